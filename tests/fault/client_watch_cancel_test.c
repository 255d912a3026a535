/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How long callbacks, and what they are given, live; and ending a watch: from another thread, at each of
 * its points, and by what a callback returns. */
#include "tests/lib/client_watch.h"

#include "common/clock.h"

enum {
    ROUNDS = 100,
    PROMPT_MS = 2000, /* on a loaded machine; the waits that are ended would last longer */
    CALLS = 13,       /* of whole_script() */
};

/* All kinds of callbacks, and a gateway that dies in the middle. */
static void whole_script(struct script *s)
{
    struct buffer *b = script_stream(s);

    say_begin(b, (struct say_begin){ .silence_ms = 20000 });
    say_image(b, (struct say_image){ .sequence = 3 });
    say_checkpoint(b, 3, "c3");
    say_batch(b, 4);
    say_changes(b, (struct say_changes){ .sequence = 5, .more = true });
    script_then(s, TLS_SERVER_CLOSE);
    b = script_stream(s);
    say_begin(b, (struct say_begin){ .resumed = true, .sequence = 3, .silence_ms = 20000 });
    say_batch(b, 4);
    say_heartbeat(b, 5);
    say_gap(b, XENRES_GAP_TOO_SLOW, 5, 6);
    say_image(b, (struct say_image){ .sequence = 6, .len = 64, .more = true });
    say_image(b, (struct say_image){ .sequence = 6, .offset = 64, .len = 4032 });
    say_checkpoint(b, 6, "c6");
    say_end(b, XENRES_END_RENAMED, 6, "");
    script_then(s, TLS_SERVER_KEEP);
}

/* --- what a callback is given --- */

struct lives {
    char feed[33];
    unsigned calls, raws;
    xenres *handle;
};

static int live_raw(void *arg, const void *message, size_t len_bytes)
{
    struct lives *l = arg;
    struct told told = { .calls = 0 };
    const xenres_watch_sink sink = told_sink(&told);
    const xenres_host *host;
    xenres_reply *reply;

    /* The bytes are a whole message, and other work of the library does not disturb them. */
    buffer_init(&told.lines, 1 << 20);
    assert_int_equal(xenres_watch_message(message, len_bytes, &sink, NULL), 0);
    assert_int_equal(xenres_get_host(l->handle, &reply, &host, NULL), -XENRES_FAILED_PRECONDITION);
    told.is_over = false;
    assert_int_equal(xenres_watch_message(message, len_bytes, &sink, NULL), 0);
    buffer_done(&told.lines);
    l->raws++;
    return 0;
}

static int live_begin(void *arg, const xenres_watch_begin *b)
{
    struct lives *l = arg;

    assert_int_equal(strlen(b->feed), 32);
    assert_string_equal(b->domain.uuid, UUID_A);
    assert_string_equal(b->domain.incarnation, LIFE_A);
    (void)snprintf(l->feed, sizeof(l->feed), "%s", b->feed);
    l->calls++;
    return 0;
}

static int live_image(void *arg, const xenres_watch_image *i)
{
    struct lives *l = arg;
    const uint8_t *bytes = i->bytes;

    for (size_t at = 0; at < i->len_bytes; at++) {
        assert_int_equal(bytes[at], 0);
    }
    if (i->observation != NULL) {
        assert_string_equal(i->observation->content_tag, "tag");
    }
    l->calls++;
    return 0;
}

static int live_changes(void *arg, const xenres_watch_changes *c)
{
    struct lives *l = arg;
    const uint8_t *content = c->content;

    for (size_t i = 0; i < c->block_count; i++) {
        assert_int_equal(content[i * 64 + 63], c->blocks[i] + c->sequence);
    }
    l->calls++;
    return 0;
}

static int live_checkpoint(void *arg, const xenres_watch_checkpoint *c)
{
    struct lives *l = arg;

    assert_int_equal(c->cursor[0], 'c');
    assert_string_equal(c->feed, l->feed);
    l->calls++;
    return 0;
}

static int live_interrupted(void *arg, const xenres_watch_interruption *i)
{
    struct lives *l = arg;

    assert_int_equal(i->error->code, XENRES_UNAVAILABLE);
    assert_string_equal(i->feed, l->feed);
    assert_string_equal(i->cursor, "c3");
    assert_true(i->unfinished);
    return 0;
}

static int live_end(void *arg, const xenres_watch_end *e)
{
    struct lives *l = arg;

    assert_string_equal(e->message, "so it is");
    assert_string_equal(e->cursor, "");
    assert_null(e->failure);
    l->calls++;
    return 0;
}

static void what_is_given_lives_until_they_return(void **state)
{
    static struct watching w;
    struct script s = { .count = 0 };
    struct lives l = { .calls = 0 };
    const xenres_watch_sink sink = { .size = sizeof(sink),
                                     .raw = live_raw,
                                     .begin = live_begin,
                                     .image = live_image,
                                     .changes = live_changes,
                                     .checkpoint = live_checkpoint,
                                     .end = live_end,
                                     .interrupted = live_interrupted,
                                     .arg = &l };

    (void)state;
    whole_script(&s);
    watching_start(&w, &s);
    l.handle = w.f.handle;
    assert_int_equal(xenres_watch(w.f.handle, &w.query, &sink, &w.f.error), 0);
    /* Each but the interruption has its message, the one that came again has none. */
    assert_int_equal(l.raws, CALLS - 1);
    assert_int_equal(l.calls + 2, l.raws); /* of heartbeat and gap there are no callbacks */
    watching_stop(&w);
    script_done(&s);
}

/* --- ended by a callback --- */

static void each_callback_can_end_it(void **state)
{
    (void)state;
    for (unsigned stop_at = 1; stop_at <= CALLS; stop_at++) {
        static struct watching w;
        struct script s = { .count = 0 };

        whole_script(&s);
        watching_start(&w, &s);
        w.told.stop_at = stop_at;
        watching_run(&w);
        assert_int_equal(w.result, -XENRES_CANCELED);
        assert_string_equal(w.f.error.message, "ended by a callback");
        assert_int_equal(w.told.calls, stop_at); /* none after it: told() looks */
        watching_stop(&w);
        script_done(&s);
    }
}

static int end_raw(void *arg, const void *message, size_t len_bytes)
{
    unsigned *left = arg;

    (void)message;
    (void)len_bytes;
    return --*left == 0;
}

static void raw_can_end_it(void **state)
{
    (void)state;
    for (unsigned i = 1; i < CALLS; i++) {
        static struct watching w;
        struct script s = { .count = 0 };
        unsigned left = i;
        xenres_watch_sink sink = XENRES_WATCH_SINK_INIT;

        sink.raw = end_raw;
        sink.arg = &left;
        whole_script(&s);
        watching_start(&w, &s);
        assert_int_equal(xenres_watch(w.f.handle, &w.query, &sink, &w.f.error), -XENRES_CANCELED);
        assert_int_equal(left, 0);
        watching_stop(&w);
        script_done(&s);
    }
}

/* --- cancelled from another thread --- */

struct canceller {
    xenres *handle;
    unsigned at; /* the call within which it cancels */
    unsigned after;
    sem_t go, done;
    uint64_t cancelled_ns;
};

static void *cancel_thread(void *arg)
{
    struct canceller *c = arg;

    sem_wait(&c->go);
    c->cancelled_ns = clock_monotonic_ns();
    xenres_cancel(c->handle);
    sem_post(&c->done);
    return NULL;
}

/* While the callback runs: so that it is known what may come after it, which is nothing. */
static void cancel_within(struct told *t)
{
    struct canceller *c = t->arg;

    if (t->calls + 1 == c->at) {
        sem_post(&c->go);
        sem_wait(&c->done);
    } else {
        c->after += t->calls + 1 > c->at;
    }
}

static void each_point_can_be_cancelled_at(void **state)
{
    (void)state;
    for (unsigned at = 1; at <= CALLS; at++) {
        static struct watching w;
        static struct canceller c;
        struct script s = { .count = 0 };
        pthread_t thread;

        whole_script(&s);
        watching_start(&w, &s);
        c = (struct canceller){ .handle = w.f.handle, .at = at };
        sem_init(&c.go, 0, 0);
        sem_init(&c.done, 0, 0);
        w.told.on_call = cancel_within;
        w.told.arg = &c;
        assert_int_equal(pthread_create(&thread, NULL, cancel_thread, &c), 0);
        watching_run(&w);
        pthread_join(thread, NULL);
        /* The last is the end, and that has come. */
        assert_int_equal(w.result, at < CALLS ? -XENRES_CANCELED : 0);
        assert_int_equal(c.after, 0);
        watching_stop(&w);
        script_done(&s);
    }
}

/* It waits for something that does not come: cancelled as soon as `until` was told. */
static void cancel_wait(const struct script *s, uint32_t retry_wait_ms, unsigned calls)
{
    const xenres_options options = { .size = sizeof(options),
                                     .timeout_ms = 60000,
                                     .retries = XENRES_NO_RETRIES,
                                     .retry_wait_ms = retry_wait_ms };
    static struct watching w;
    static struct canceller c;
    pthread_t thread;

    watching_start(&w, s);
    xenres_free(w.f.handle);
    fixture_connect(&w.f, options);
    c = (struct canceller){ .handle = w.f.handle, .at = calls };
    sem_init(&c.go, 0, 0);
    sem_init(&c.done, 0, 1); /* the callback does not wait for it */
    w.told.on_call = cancel_within;
    w.told.arg = &c;
    if (calls == 0) {
        sem_post(&c.go);
    }
    assert_int_equal(pthread_create(&thread, NULL, cancel_thread, &c), 0);
    watching_run(&w);
    uint64_t ended_ns = clock_monotonic_ns();

    pthread_join(thread, NULL);
    assert_int_equal(w.result, -XENRES_CANCELED);
    assert_true(ended_ns - c.cancelled_ns < PROMPT_MS * CLOCK_NS_PER_MS);
    /* And again, until it is let go. */
    w.told.is_over = false;
    watching_run(&w);
    assert_int_equal(w.result, -XENRES_CANCELED);
    watching_stop(&w);
}

static void waiting_before_another_try_is_ended(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);

    (void)state;
    say_begin(b, (struct say_begin){ .silence_ms = 20000 });
    script_then(&s, TLS_SERVER_CLOSE);
    cancel_wait(&s, 60000, 2);
    script_done(&s);
}

static void waiting_for_the_next_message_is_ended(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);

    (void)state;
    say_begin(b, (struct say_begin){ .silence_ms = 60000 });
    script_then(&s, TLS_SERVER_SILENT);
    cancel_wait(&s, 1, 1);
    script_done(&s);
}

static void waiting_for_the_first_answer_is_ended(void **state)
{
    struct script s = { .count = 0 };

    (void)state;
    buffer_init(&s.bytes[0], 1);
    script_then(&s, TLS_SERVER_SILENT);
    s.steps[0].len = 0;
    cancel_wait(&s, 1, 0);
    script_done(&s);
}

/* --- at any moment --- */

struct endless {
    struct buffer first, other;
};

/* A stream that is cut again and again. */
static struct tls_server_step endless_answer(void *arg, const void *body, size_t len)
{
    const struct endless *e = arg;
    /* Which of them, the request says: it ends with the cursor, where it has one. */
    bool has_cursor = memcmp((const uint8_t *)body + len - 2, "c3", 2) == 0;

    return stream_step(has_cursor ? &e->other : &e->first, TLS_SERVER_CLOSE);
}

static void *cancel_later(void *arg)
{
    struct canceller *c = arg;
    struct pollfd none = { .fd = -1 };

    sem_wait(&c->go);
    (void)poll(&none, 1, (int)(c->at % 20));
    xenres_cancel(c->handle);
    return NULL;
}

static void any_moment_will_do(void **state)
{
    static struct watching w;
    static struct endless e;
    struct script none = { .count = 0 };

    (void)state;
    stream_begin(&e.first);
    say_begin(&e.first, (struct say_begin){ .silence_ms = 20000 });
    say_image(&e.first, (struct say_image){ .sequence = 3 });
    say_checkpoint(&e.first, 3, "c3");
    stream_begin(&e.other);
    say_begin(&e.other, (struct say_begin){ .resumed = true, .sequence = 3 });
    say_heartbeat(&e.other, 3);
    watching_start(&w, &none);
    w.f.server.arg = &e;
    w.f.server.answer = endless_answer;
    for (unsigned round = 0; round < ROUNDS; round++) {
        static struct canceller c;
        pthread_t thread;

        c = (struct canceller){ .handle = w.f.handle, .at = round };
        sem_init(&c.go, 0, 1);
        w.told.is_over = false;
        buffer_reset(&w.told.lines);
        assert_int_equal(pthread_create(&thread, NULL, cancel_later, &c), 0);
        watching_run(&w);
        pthread_join(thread, NULL);
        assert_int_equal(w.result, -XENRES_CANCELED);
        xenres_cancel_reset(w.f.handle);
    }
    watching_stop(&w);
    buffer_done(&e.first);
    buffer_done(&e.other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_lives_until_they_return),
        cmocka_unit_test(each_callback_can_end_it),
        cmocka_unit_test(raw_can_end_it),
        cmocka_unit_test(each_point_can_be_cancelled_at),
        cmocka_unit_test(waiting_before_another_try_is_ended),
        cmocka_unit_test(waiting_for_the_next_message_is_ended),
        cmocka_unit_test(waiting_for_the_first_answer_is_ended),
        cmocka_unit_test(any_moment_will_do),
    };

    return UNIT_RUN(tests);
}
