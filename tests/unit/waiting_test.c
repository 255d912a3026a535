/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Handlers that wait beside the mapper, unary and in streams: who wakes them, their deadlines, and
 * readers that go at the very moment. */
#include "tests/lib/echo_call.h"

#include "common/log.h"

enum { ROUNDS = 300 };

#define UNARY  "POST /test.v1.Echo/WaitUnary\nContent-Type: application/json"
#define STREAM "POST /test.v1.Echo/WaitStream\nContent-Type: application/connect+json"

/* `aUint64`: microseconds until it wakes itself; 0: within start() already; beyond an hour: never.
 * Streams wake themselves so before each message. */
struct waiting {
    struct timer timer;
    atomic_bool due;
    size_t sent;
};

static atomic_int started, stopped;

static void on_time(void *arg)
{
    struct call *c = arg;
    struct waiting *w = c->state;

    atomic_store(&w->due, true);
    call_wake(c);
}

static void wake_later(struct call *c)
{
    struct waiting *w = c->state;
    uint64_t us = ((const Zoo__Zoo *)c->request)->a_uint64;

    atomic_store(&w->due, false);
    if (us == 0) {
        on_time(c);
    } else {
        timer_arm(c->timers, &w->timer, clock_monotonic_ns() + us * 1000, on_time, c);
    }
}

static int prepare(struct call *c, struct failure *f)
{
    c->state = pool_alloc(&c->pool, sizeof(struct waiting));
    return c->state != NULL ? 0 : call_no_memory(f);
}

static int start(struct call *c, struct failure *f)
{
    started++;
    if (((const Zoo__Zoo *)c->request)->an_int32 != 0) {
        started--; /* what fails has not begun, and is not stopped */
        return failure_set(f, ERROR_ABORTED, "as asked for");
    }
    wake_later(c);
    return HANDLER_WAIT;
}

static int respond(struct call *c, struct failure *f)
{
    const struct waiting *w = c->state;

    (void)f;
    assert_true(atomic_load(&w->due)); /* not woken by the deadline: that is no answer */
    c->response = c->request;
    return 0;
}

static int next(struct call *c, struct pool *p, struct failure *f)
{
    struct waiting *w = c->state;

    (void)p, (void)f;
    if (!atomic_load(&w->due)) {
        return HANDLER_WAIT;
    }
    if (w->sent++ == ((const Zoo__Zoo *)c->request)->a_uint32) {
        return HANDLER_DONE;
    }
    wake_later(c);
    c->response = c->request;
    return HANDLER_MESSAGE;
}

static void stop(struct call *c)
{
    struct waiting *w = c->state;

    timer_cancel(c->timers, &w->timer);
    stopped++;
}

static const struct handler unary_handler = {
    .prepare = prepare, .start = start, .respond = respond, .stop = stop
};
static const struct handler stream_handler = {
    .prepare = prepare, .start = start, .next = next, .stop = stop
};

static struct echo_rig rig;

static void add_method(const char *path, enum method_kind kind, const struct handler *handler)
{
    const struct method m = { .path = path,
                              .kind = kind,
                              .request = &zoo__zoo__descriptor,
                              .response = &zoo__zoo__descriptor,
                              .no_side_effects = true,
                              .open = true,
                              .handler = handler };

    echo_rig_add(&rig, &m);
}

static int begin(void **state)
{
    (void)state;
    echo_rig_init(&rig, 4096, 65536, "");
    add_method("/test.v1.Echo/WaitUnary", METHOD_UNARY, &unary_handler);
    add_method("/test.v1.Echo/WaitStream", METHOD_STREAM, &stream_handler);
    return 0;
}

static int end(void **state)
{
    (void)state;
    echo_rig_done(&rig);
    assert_int_equal(started, stopped);
    return 0;
}

/* --- unary -------------------------------------------------------------------------------------------- */

static void expect_answer(const char *head, const char *json, int code)
{
    struct echo_call c;

    echo_call(&rig, &c, head, json, strlen(json));
    if (c.answer.code != code) {
        fail_msg("%s: %d, not %d", json, c.answer.code, code);
    }
    assert_true(c.request.ready <= 1);
    echo_done(&c);
    assert_int_equal(started, stopped); /* each that began, once */
}

static void a_call_that_waits_is_answered_when_it_is_woken(void **state)
{
    (void)state;
    expect_answer(UNARY, "{\"aUint64\":\"0\"}", 0); /* before start() has returned */
    for (int i = 0; i < ROUNDS; i++) {
        char json[64];

        (void)snprintf(json, sizeof(json), "{\"aUint64\":\"%d\"}", 1 + i % 20);
        expect_answer(UNARY, json, 0);
    }
}

static void a_call_that_is_not_woken_ends_at_its_deadline(void **state)
{
    (void)state;
    expect_answer(UNARY "\nConnect-Timeout-Ms: 10", "{\"aUint64\":\"9999999999\"}",
                  ERROR_DEADLINE_EXCEEDED);
}

static void free_it(void *arg)
{
    struct echo_call *c = arg;

    exchange_free(c->exchange);
    echo_on_ready(&c->request);
}

/* As http does with one whose connection is gone: on the thread of the timers, within the deadline's call. */
static void a_call_whose_client_is_gone_is_freed_when_its_time_is_over(void **state)
{
    struct echo_call c = { .text = strdup(UNARY "\nConnect-Timeout-Ms: 10\n\n"
                                                "{\"aUint64\":\"9999999999\"}") };

    (void)state;
    assert_non_null(c.text);
    echo_parse(&c.request, c.text, strlen(c.text));
    const struct exchange_head head = { .method = c.request.method,
                                        .target = c.request.target,
                                        .header = echo_header,
                                        .arg = &c.request,
                                        .who = &rig.who,
                                        .peer_address = "127.0.0.1",
                                        .received_ns = clock_monotonic_ns() };

    c.exchange = exchange_new(rig.rpc, &head);
    assert_non_null(c.exchange);
    assert_true(exchange_body(c.exchange, c.request.body, c.request.body_len_bytes));
    assert_false(exchange_run(c.exchange, free_it, &c));
    pthread_mutex_lock(&c.request.lock);
    while (c.request.ready == 0) {
        pthread_cond_wait(&c.request.changed, &c.request.lock);
    }
    pthread_mutex_unlock(&c.request.lock);
    assert_int_equal(started, stopped);
    free(c.text);
}

static void what_fails_at_its_start_is_not_stopped(void **state)
{
    (void)state;
    expect_answer(UNARY, "{\"anInt32\":1}", ERROR_ABORTED);
}

/* Whoever comes first: an answer, or a deadline, and nothing twice. */
static void a_wake_at_the_deadline_is_one_or_the_other(void **state)
{
    int in_time = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct echo_call c;
        char json[64];

        (void)snprintf(json, sizeof(json), "{\"aUint64\":\"%d\"}", 850 + i);
        echo_call(&rig, &c, UNARY "\nConnect-Timeout-Ms: 1", json, strlen(json));
        assert_true(c.answer.code == 0 || c.answer.code == ERROR_DEADLINE_EXCEEDED);
        in_time += c.answer.code == 0;
        assert_true(c.request.ready <= 1);
        echo_done(&c);
        assert_int_equal(started, stopped);
    }
    print_message("%d of %d in time\n", in_time, ROUNDS);
}

/* --- streams ------------------------------------------------------------------------------------------ */

static void start_stream(struct echo_call *c, const char *head, const char *json)
{
    BUFFER_AUTO(body, 1000);

    echo_envelope(&body, 0, json, strlen(json));
    echo_start(&rig, c, &rig.who, head, body.data, body.len_bytes);
}

/* Reads on, at most `reads` pieces, and waits where there are none. False: at the end. */
static bool read_on(struct echo_call *c, size_t reads)
{
    struct echo_request *q = &c->request;
    unsigned seen = q->ready;
    uint8_t piece[16];

    for (size_t i = 0; i < reads; i++) {
        ssize_t n = exchange_read(c->exchange, piece, sizeof(piece));

        if (n == 0) {
            return false;
        }
        if (n < 0) {
            seen++;
            pthread_mutex_lock(&q->lock);
            while (q->ready < seen) {
                pthread_cond_wait(&q->changed, &q->lock);
            }
            assert_int_equal(q->ready, seen); /* once for each time */
            pthread_mutex_unlock(&q->lock);
        }
    }
    return true;
}

static void a_stream_is_woken_for_each_message(void **state)
{
    static const char *const delays[] = { "0", "1", "50", "500" };

    (void)state;
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        struct echo_call c;
        char json[64];

        (void)snprintf(json, sizeof(json), "{\"aUint32\":20,\"aUint64\":\"%s\"}", delays[i]);
        start_stream(&c, STREAM, json);
        assert_true(exchange_reply(c.exchange)->streamed);
        assert_false(read_on(&c, 10000));
        exchange_free(c.exchange);
        free(c.text);
        assert_int_equal(started, stopped);
    }
}

/* While it is woken, while its time is over, or neither. */
static void a_reader_may_go_at_any_moment(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct echo_call c;
        char json[64], head[256];
        uint8_t byte;

        (void)snprintf(json, sizeof(json), "{\"aUint32\":1000,\"aUint64\":\"%d\"}", 1 + i % 60);
        (void)snprintf(head, sizeof(head), STREAM "%s", i % 2 ? "\nConnect-Timeout-Ms: 1" : "");
        start_stream(&c, head, json);
        (void)exchange_reply(c.exchange);
        if (read_on(&c, (size_t)i % 7)) {
            (void)exchange_read(c.exchange, &byte, 1); /* it may wait, and be woken while it goes */
        }
        exchange_free(c.exchange);
        unsigned ready = c.request.ready; /* nobody comes behind that */

        assert_int_equal(started, stopped);
        assert_int_equal(c.request.ready, ready);
        free(c.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_waits_is_answered_when_it_is_woken),
        cmocka_unit_test(a_call_that_is_not_woken_ends_at_its_deadline),
        cmocka_unit_test(a_call_whose_client_is_gone_is_freed_when_its_time_is_over),
        cmocka_unit_test(what_fails_at_its_start_is_not_stopped),
        cmocka_unit_test(a_wake_at_the_deadline_is_one_or_the_other),
        cmocka_unit_test(a_stream_is_woken_for_each_message),
        cmocka_unit_test(a_reader_may_go_at_any_moment),
    };

    log_open("waiting_test", LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, begin, end);
}
