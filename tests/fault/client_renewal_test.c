/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Streams that end because what was shown has expired: they go on where its files are others by then, or soon,
 * and else end as the gateway said. */
#include "tests/lib/client_watch_cuts.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

#include "client/reconnect.h"
#include "tests/lib/folder.h"

#define EXPIRED                                                                                    \
    "{\"error\":{\"code\":\"unauthenticated\",\"message\":\"the bearer token has expired\"}}"

/* A watch that shows a token of a file, which is another one from the first checkpoint, or the first cut, on. */
struct renewal {
    struct watching w;
    struct folder dir;
    char path[PATH_MAX / 2];
    bool at_checkpoint, at_begin, late;
    unsigned number;
    pthread_t writer; /* where it is late */
};

static void write_token(struct renewal *r)
{
    char text[32], fresh[PATH_MAX];

    (void)snprintf(text, sizeof(text), "token-%u", ++r->number);
    (void)snprintf(fresh, sizeof(fresh), "%s.new", r->path);
    folder_write(fresh, text, strlen(text));
    assert_int_equal(chmod(fresh, 0600), 0);
    assert_int_equal(rename(fresh, r->path), 0);
}

static int on_checkpoint(void *arg, const xenres_watch_checkpoint *c)
{
    struct renewal *r = arg;

    if (r->at_checkpoint) {
        write_token(r);
    }
    return told_checkpoint(&r->w.told, c);
}

static int on_interrupted(void *arg, const xenres_watch_interruption *i)
{
    return told_interrupted(&((struct renewal *)arg)->w.told, i);
}

static int on_begin(void *arg, const xenres_watch_begin *b)
{
    struct renewal *r = arg;

    if (r->at_begin) {
        write_token(r);
    }
    return told_begin(&r->w.told, b);
}

static int on_image(void *arg, const xenres_watch_image *i)
{
    return told_image(&((struct renewal *)arg)->w.told, i);
}

static int on_end(void *arg, const xenres_watch_end *e)
{
    return told_end(&((struct renewal *)arg)->w.told, e);
}

/* Once the gateway has refused the first one. */
static void *write_late(void *arg)
{
    struct renewal *r = arg;

    while (__atomic_load_n(&r->w.f.server.next_step, __ATOMIC_ACQUIRE) < 2) {
        (void)poll(NULL, 0, 1);
    }
    write_token(r);
    return NULL;
}

/* Runs it: `lines` are told, and the call returns -`code`. Its requests are in r->w.f.server until
 * renewal_done(). */
static void renewal_run(struct renewal *r, struct script *s, uint32_t code, const char *lines)
{
    struct watching *w = &r->w;
    const xenres_watch_sink sink = { .size = sizeof(sink),
                                     .begin = on_begin,
                                     .image = on_image,
                                     .checkpoint = on_checkpoint,
                                     .end = on_end,
                                     .interrupted = on_interrupted,
                                     .arg = r };
    xenres_options options = { .size = sizeof(options),
                               .timeout_ms = 20000,
                               .retries = XENRES_NO_RETRIES,
                               .retry_wait_ms = r->late ? 200 : 1 };

    r->dir = folder_make();
    (void)snprintf(r->path, sizeof(r->path), "%s", folder_path(&r->dir, "token"));
    write_token(r);
    options.token_file = r->path;
    w->query = (xenres_watch_query)XENRES_WATCH_QUERY_INIT("1", XENRES_GRANT_TABLE, 0);
    buffer_init(&w->told.lines, 1 << 20);
    tls_server_start(&w->f.server, "IP:127.0.0.1", TLS1_3_VERSION, s->steps, s->count);
    fixture_connect(&w->f, options);
    if (r->late) {
        assert_int_equal(pthread_create(&r->writer, NULL, write_late, r), 0);
    }
    w->result = xenres_watch(w->f.handle, &w->query, &sink, &w->f.error);
    if (r->late) {
        (void)pthread_join(r->writer, NULL);
    }
    assert_string_equal(buffer_string(&w->told.lines), lines);
    assert_int_equal(w->result, -(int)code);
}

static void renewal_done(struct renewal *r, struct script *s)
{
    watching_stop(&r->w);
    assert_int_equal(r->w.f.server.next_step, s->count);
    script_done(s);
    folder_done(&r->dir);
}

static bool request_has(const struct renewal *r, unsigned request, const char *token)
{
    return strstr(r->w.f.server.requests[request], token) != NULL;
}

static void a_renewed_token_goes_on(void **state)
{
    static struct renewal r;
    struct script s = { .count = 0 };

    (void)state;
    r = (struct renewal){ .at_checkpoint = true };
    say_end(begun(&s), XENRES_END_CREDENTIALS_EXPIRED, 3, "e3");
    script_then(&s, TLS_SERVER_CLOSE);
    ended(&s, resumed(&s, 3), 3);
    renewal_run(
        &r, &s, 0,
        BEGUN
        "interrupted at 3 credentials_expired [e3]\nbegin a behind 3\nend incarnation_ended\n");
    assert_true(request_has(&r, 0, "Bearer token-1\r\n"));
    assert_true(request_has(&r, 1, "Bearer token-2\r\n"));
    renewal_done(&r, &s);
}

/* Nobody asks again with what has expired: that is one more failure of his address to the gateway. */
static void one_that_nobody_renews_ends_it_as_the_gateway_said(void **state)
{
    static struct renewal r;
    struct script s = { .count = 0 };

    (void)state;
    r = (struct renewal){ .number = 0 };
    say_end(begun(&s), XENRES_END_CREDENTIALS_EXPIRED, 3, "e3");
    script_then(&s, TLS_SERVER_KEEP);
    renewal_run(&r, &s, 0, BEGUN "end credentials_expired\n");
    renewal_done(&r, &s);
}

/* Each is good for a moment only, and no news comes: so often another is taken, and no more. */
static void those_that_expire_at_once_have_an_end(void **state)
{
    static struct renewal r;
    struct script s = { .count = 0 };
    BUFFER_AUTO(lines, 4096);

    (void)state;
    r = (struct renewal){ .at_begin = true };
    say_end(begun(&s), XENRES_END_CREDENTIALS_EXPIRED, 3, "e3");
    script_then(&s, TLS_SERVER_CLOSE);
    buffer_append_string(&lines, BEGUN);
    for (int i = 0; i < RECONNECT_LOOKS_MAX; i++) {
        say_end(resumed(&s, 3), XENRES_END_CREDENTIALS_EXPIRED, 3, "e3");
        script_then(&s, TLS_SERVER_CLOSE);
        buffer_append_string(&lines, "interrupted at 3");
        if (i > 0) {
            buffer_printf(&lines, " try %d", i);
        }
        buffer_append_string(&lines, " credentials_expired [e3]\nbegin a behind 3\n");
    }
    buffer_append_string(&lines, "end credentials_expired\n");
    renewal_run(&r, &s, 0, buffer_string(&lines));
    renewal_done(&r, &s);
}

static void one_that_is_refused_and_stays_is_asked_with_once(void **state)
{
    static struct renewal r;
    struct script s = { .count = 0 };

    (void)state;
    r = (struct renewal){ .at_checkpoint = true };
    say_end(begun(&s), XENRES_END_CREDENTIALS_EXPIRED, 3, "e3");
    script_then(&s, TLS_SERVER_CLOSE);
    script_error(&s, EXPIRED);
    renewal_run(&r, &s, XENRES_UNAUTHENTICATED,
                BEGUN "interrupted at 3 credentials_expired [e3]\n");
    renewal_done(&r, &s);
}

/* It expired while the stream was cut. */
static void a_refusal_after_a_cut_looks_too(void **state)
{
    static struct renewal r;
    struct script s = { .count = 0 };

    (void)state;
    r = (struct renewal){ .late = true };
    begun(&s);
    script_then(&s, TLS_SERVER_CLOSE);
    script_error(&s, EXPIRED);
    s.steps[s.count - 1].then = TLS_SERVER_CLOSE;
    ended(&s, resumed(&s, 3), 3);
    renewal_run(&r, &s, 0,
                BEGUN "interrupted at 3 [c3]\ninterrupted at 3 try 1 [c3]\nbegin a behind "
                      "3\nend incarnation_ended\n");
    assert_true(request_has(&r, 1, "Bearer token-1\r\n"));
    assert_true(request_has(&r, 2, "Bearer token-2\r\n"));
    renewal_done(&r, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_renewed_token_goes_on),
        cmocka_unit_test(one_that_nobody_renews_ends_it_as_the_gateway_said),
        cmocka_unit_test(those_that_expire_at_once_have_an_end),
        cmocka_unit_test(one_that_is_refused_and_stays_is_asked_with_once),
        cmocka_unit_test(a_refusal_after_a_cut_looks_too),
    };

    return UNIT_RUN(tests);
}
