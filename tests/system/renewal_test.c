/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * libxenres at the real gateway, with a token of a few seconds' life in a file: a watch and the reading of a
 * trace go on with the one that takes its place, and what they had and have adds up to the byte; without one,
 * they end as the gateway says.
 */
#include "tests/lib/token_rig.h"

#include "xenres.h"

enum { LIFE_S = 3, RETRY_MS = 100 };

static xenres *handle;
static char token_path[GATEWAY_PATH_BYTES];

/* As whoever renews it does: a whole file in place of the old one. */
static void put_token(int64_t life_s)
{
    char claims[256];
    int64_t now_s = (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S);
    char fresh[GATEWAY_PATH_BYTES];

    (void)snprintf(claims, sizeof(claims), "{" WHO ",\"exp\":%lld}", (long long)(now_s + life_s));
    gateway_write("token.new", "we", mint(JOSE_ES256, ES256, claims));
    gateway_path("token.new", fresh);
    assert_int_equal(chmod(fresh, 0600), 0);
    assert_int_equal(rename(fresh, token_path), 0);
}

static int open_handle(void **state)
{
    char url[64], ca[GATEWAY_PATH_BYTES];
    xenres_options options = XENRES_OPTIONS_INIT;

    (void)state;
    gateway_path("token", token_path);
    gateway_path("demo/ca.crt", ca);
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", gateway.port);
    options.server = url;
    options.ca_file = ca;
    options.proxy = "";
    options.token_file = token_path;
    options.retry_wait_ms = RETRY_MS;
    return xenres_new(&options, &handle, NULL);
}

static int close_handle(void **state)
{
    (void)state;
    xenres_free(handle);
    return 0;
}

/* --- a watch ------------------------------------------------------------------------------------------ */

struct watched {
    int64_t next_life_s; /* of the token that is put in place when it has begun; 0: none is */
    unsigned begins, interruptions;
    uint64_t next; /* the next number */
    uint32_t end_reason, interrupted_by;
};

static int on_begin(void *arg, const xenres_watch_begin *b)
{
    struct watched *w = arg;

    if (w->begins++ == 0) {
        if (w->next_life_s != 0) {
            put_token(w->next_life_s);
        }
    } else {
        assert_true(b->resumed);
        assert_int_equal(b->sequence + 1, w->next);
    }
    return 0;
}

/* It has gone on, and brings news: enough. */
static int take(struct watched *w, uint64_t first, uint64_t last)
{
    assert_int_equal(first, w->next);
    w->next = last + 1;
    return w->begins > 1 ? -XENRES_CANCELED : 0;
}

/* The first one has all that was before it; each other one says what it has. */
static int on_image(void *arg, const xenres_watch_image *i)
{
    struct watched *w = arg;

    if (!i->complete) {
        return 0;
    }
    if (w->next == 0) {
        w->next = i->sequence;
    }
    return take(w, i->first_sequence != 0 ? i->first_sequence : i->sequence, i->sequence);
}

static int on_changes(void *arg, const xenres_watch_changes *c)
{
    return c->more ? 0 : take(arg, c->first_sequence, c->sequence);
}

static int on_gap(void *arg, const xenres_watch_gap *g)
{
    struct watched *w = arg;

    assert_int_equal(g->first_sequence, w->next);
    w->next = g->sequence + 1;
    return 0;
}

static int on_end(void *arg, const xenres_watch_end *e)
{
    ((struct watched *)arg)->end_reason = e->reason;
    return 0;
}

static int on_interrupted(void *arg, const xenres_watch_interruption *i)
{
    struct watched *w = arg;

    w->interruptions++;
    w->interrupted_by = i->end_reason;
    return 0;
}

static int watch(struct watched *w, xenres_error *error)
{
    const xenres_watch_query query = XENRES_WATCH_QUERY_INIT("one", XENRES_GRANT_TABLE, 0);
    const xenres_watch_sink sink = { .size = sizeof(sink),
                                     .begin = on_begin,
                                     .image = on_image,
                                     .changes = on_changes,
                                     .gap = on_gap,
                                     .end = on_end,
                                     .interrupted = on_interrupted,
                                     .arg = w };

    return xenres_watch(handle, &query, &sink, error);
}

static void a_watch_goes_on_with_the_next_token(void **state)
{
    struct watched w = { .next_life_s = 3600 };
    xenres_error error = { 0 };

    (void)state;
    put_token(LIFE_S);
    int result = watch(&w, &error);

    if (result != -XENRES_CANCELED) {
        fail_msg("%d: %s; end %u", result, error.message, w.end_reason);
    }
    assert_int_equal(w.begins, 2);
    assert_int_equal(w.interruptions, 1);
    assert_int_equal(w.interrupted_by, XENRES_END_CREDENTIALS_EXPIRED);
}

static void without_another_token_it_ends_so(void **state)
{
    struct watched w = { .next_life_s = 0 };
    xenres_error error = { 0 };

    (void)state;
    put_token(LIFE_S);
    assert_int_equal(watch(&w, &error), 0);
    assert_int_equal(w.begins, 1);
    assert_int_equal(w.interruptions, 0);
    assert_int_equal(w.end_reason, XENRES_END_CREDENTIALS_EXPIRED);
}

static void with_one_that_has_expired_it_fails_so(void **state)
{
    struct watched w = { .next_life_s = -10 };
    xenres_error error = { 0 };

    (void)state;
    put_token(LIFE_S);
    assert_int_equal(watch(&w, &error), -XENRES_UNAUTHENTICATED);
    assert_non_null(strstr(error.message, "expired"));
    assert_int_equal(w.begins, 1);
}

/* --- a trace ------------------------------------------------------------------------------------------ */

struct read {
    unsigned begins;
    uint64_t next; /* the next byte's position */
};

static int on_trace_begin(void *arg, const xenres_trace_begin *b)
{
    struct read *r = arg;

    if (r->begins++ == 0) {
        r->next = b->position;
        put_token(3600);
    }
    assert_int_equal(b->position, r->next);
    return 0;
}

static int on_data(void *arg, const xenres_trace_data *d)
{
    struct read *r = arg;

    assert_int_equal(d->position, r->next);
    r->next += d->len_bytes;
    return r->begins > 1 ? -XENRES_CANCELED : 0;
}

static int on_trace_gap(void *arg, const xenres_trace_gap *g)
{
    struct read *r = arg;

    assert_int_equal(g->position, r->next);
    r->next += g->length;
    return 0;
}

static void reading_a_trace_goes_on_with_the_next_token(void **state)
{
    xenres_trace_options options = XENRES_TRACE_OPTIONS_INIT("traced");
    xenres_trace_query query = XENRES_TRACE_QUERY_INIT("traced", 0);
    struct read r = { .begins = 0 };
    const xenres_trace_sink sink = { .size = sizeof(sink),
                                     .begin = on_trace_begin,
                                     .data = on_data,
                                     .gap = on_trace_gap,
                                     .arg = &r };
    const xenres_trace *trace = NULL;
    xenres_reply *reply = NULL;
    xenres_error error = { 0 };

    (void)state;
    put_token(LIFE_S);
    if (xenres_trace_start(handle, &options, &trace, NULL, &reply, &error) != 0) {
        fail_msg("%s", error.message);
    }
    xenres_reply_free(reply);
    int result = xenres_trace_read(handle, &query, &sink, &error);

    if (result != -XENRES_CANCELED) {
        fail_msg("%d: %s", result, error.message);
    }
    assert_int_equal(r.begins, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_watch_goes_on_with_the_next_token, open_handle,
                                        close_handle),
        cmocka_unit_test_setup_teardown(without_another_token_it_ends_so, open_handle,
                                        close_handle),
        cmocka_unit_test_setup_teardown(with_one_that_has_expired_it_fails_so, open_handle,
                                        close_handle),
        cmocka_unit_test_setup_teardown(reading_a_trace_goes_on_with_the_next_token, open_handle,
                                        close_handle),
    };

    return cmocka_run_group_tests(tests, start_gateway, stop_gateway);
}
