/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Reading a trace: how long callbacks live, and ending it by what one returns, or from another thread at
 * each of its points and at any moment. */
#include "tests/lib/client_trace.h"

enum { ROUNDS = 100, CALLS = 11 /* of whole_script() */ };

/* All kinds of callbacks, and a gateway that dies in the middle. */
static void whole_script(struct script *s)
{
    struct buffer *b = script_stream(s);

    trace_say_begin(b, (struct trace_begin){ .silence_ms = 20000 });
    trace_say_start(b);
    trace_say_bytes(b, 0, 10);
    trace_say_checkpoint(b, 10, "c10");
    script_then(s, TLS_SERVER_CLOSE);
    b = script_stream(s);
    trace_say_begin(b, (struct trace_begin){ .resumed = true, .position = 10, .offset = 10 });
    trace_say_heartbeat(b, 10);
    trace_say_gap(b, (struct trace_gap){ XENRES_TRACE_GAP_LAPPED, 10, 5, true, 15, 0, 0 });
    trace_say_segment(b, 1, 0, XENRES_TRACE_SEGMENT_LOSS, 15);
    trace_say_data(b, (struct trace_data){ .position = 15, .segment = 1, .len = 5 });
    trace_say_end(b, XENRES_TRACE_STOPPED, 20, "");
    script_then(s, TLS_SERVER_KEEP);
}

static void each_callback_can_end_it(void **state)
{
    (void)state;
    for (unsigned stop_at = 1; stop_at <= CALLS; stop_at++) {
        static struct tracing w;
        struct script s = { .count = 0 };

        whole_script(&s);
        tracing_start(&w, &s);
        w.told.stop_at = stop_at;
        tracing_run(&w);
        assert_int_equal(w.result, -XENRES_CANCELED);
        assert_string_equal(w.f.error.message, "ended by a callback");
        assert_int_equal(w.told.calls, stop_at); /* none after it: told() looks */
        tracing_stop(&w);
        script_done(&s);
    }
}

/* --- from another thread --- */

struct canceller {
    xenres *handle;
    unsigned at;
    sem_t go, done;
};

static void *cancel_thread(void *arg)
{
    struct canceller *c = arg;

    sem_wait(&c->go);
    xenres_cancel(c->handle);
    sem_post(&c->done);
    return NULL;
}

static void cancel_within(struct told *t)
{
    struct canceller *c = t->arg;

    if (t->calls + 1 == c->at) {
        sem_post(&c->go);
        sem_wait(&c->done);
    } else {
        assert_true(t->calls + 1 < c->at); /* none comes after it */
    }
}

static void each_point_can_be_cancelled_at(void **state)
{
    (void)state;
    for (unsigned at = 1; at <= CALLS; at++) {
        static struct tracing w;
        static struct canceller c;
        struct script s = { .count = 0 };
        pthread_t thread;

        whole_script(&s);
        tracing_start(&w, &s);
        c = (struct canceller){ .handle = w.f.handle, .at = at };
        sem_init(&c.go, 0, 0);
        sem_init(&c.done, 0, 0);
        w.told.on_call = cancel_within;
        w.told.arg = &c;
        assert_int_equal(pthread_create(&thread, NULL, cancel_thread, &c), 0);
        tracing_run(&w);
        pthread_join(thread, NULL);
        /* The last is the end, and that has come. */
        assert_int_equal(w.result, at < CALLS ? -XENRES_CANCELED : 0);
        tracing_stop(&w);
        script_done(&s);
    }
}

/* --- at any moment --- */

struct endless {
    struct buffer first, other;
};

static struct tls_server_step endless_answer(void *arg, const void *body, size_t len)
{
    const struct endless *e = arg;
    /* Which of them, the request says: it ends with the cursor, where it has one. */
    bool has_cursor = memcmp((const uint8_t *)body + len - 3, "c10", 3) == 0;

    return stream_step(has_cursor ? &e->other : &e->first, TLS_SERVER_CLOSE);
}

static void *cancel_later(void *arg)
{
    struct canceller *c = arg;
    struct pollfd none = { .fd = -1 };

    (void)poll(&none, 1, (int)(c->at % 20));
    xenres_cancel(c->handle);
    return NULL;
}

static void any_moment_will_do(void **state)
{
    static struct tracing w;
    static struct endless e;
    struct script none = { .count = 0 };

    (void)state;
    stream_begin(&e.first);
    trace_say_begin(&e.first, (struct trace_begin){ .silence_ms = 20000 });
    trace_say_bytes(&e.first, 0, 10);
    trace_say_checkpoint(&e.first, 10, "c10");
    stream_begin(&e.other);
    trace_say_begin(&e.other,
                    (struct trace_begin){ .resumed = true, .position = 10, .offset = 10 });
    trace_say_heartbeat(&e.other, 10);
    tracing_start(&w, &none);
    w.f.server.arg = &e;
    w.f.server.answer = endless_answer;
    for (unsigned round = 0; round < ROUNDS; round++) {
        static struct canceller c;
        pthread_t thread;

        c = (struct canceller){ .handle = w.f.handle, .at = round };
        w.told.is_over = false;
        buffer_reset(&w.told.lines);
        assert_int_equal(pthread_create(&thread, NULL, cancel_later, &c), 0);
        tracing_run(&w);
        pthread_join(thread, NULL);
        assert_int_equal(w.result, -XENRES_CANCELED);
        xenres_cancel_reset(w.f.handle);
    }
    tracing_stop(&w);
    buffer_done(&e.first);
    buffer_done(&e.other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_callback_can_end_it),
        cmocka_unit_test(each_point_can_be_cancelled_at),
        cmocka_unit_test(any_moment_will_do),
    };

    return UNIT_RUN(tests);
}
