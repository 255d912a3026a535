/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Streams of messages: one request message, envelopes, encodings, what ends them, waits and deadlines. */
#include "tests/lib/echo_call.h"

#include "common/log.h"
#include "server/rpc/connect_error.h"

enum { REQUEST_MAX_BYTES = 100000, RESPONSE_MAX_BYTES = 200000 };

#define JSON   "POST " ECHO_STREAM "\nContent-Type: application/connect+json"
#define PROTO  "POST " ECHO_STREAM "\nContent-Type: application/connect+proto"
#define WAITER "POST /test.v1.Echo/Wait\nContent-Type: application/connect+json"

static struct echo_rig rig;

static void call_enveloped(struct echo_call *c, const char *head, uint8_t flags, const void *bytes,
                           size_t len_bytes)
{
    BUFFER_AUTO(body, REQUEST_MAX_BYTES + 10);

    echo_envelope(&body, flags, bytes, len_bytes);
    echo_call(&rig, c, head, body.data, body.len_bytes);
}

static void call_text(struct echo_call *c, const char *head, const char *text)
{
    call_enveloped(c, head, 0, text, strlen(text));
}

static void expect_refused(const char *head, uint8_t flags, const char *text, enum error_code code)
{
    BUFFER_AUTO(body, REQUEST_MAX_BYTES);

    echo_envelope(&body, flags, text, strlen(text));
    echo_expect_error(&rig, head, body.data, body.len_bytes, code, 200);
}

/* --- one request, many answers ---------------------------------------------------------------------- */

static void a_request_is_answered_with_messages_and_one_end(void **state)
{
    struct echo_call c;

    (void)state;
    for (size_t count = 0; count <= 3; count++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "{\"aUint32\":%zu}", count);
        call_text(&c, JSON, text);
        assert_int_equal(c.answer.messages, count);
        assert_int_equal(c.answer.code, 0);
        assert_int_equal(json_object_size(c.answer.end), 0);
        assert_string_equal(answer_header(&c.answer, "Content-Type"), "application/connect+json");
        assert_string_equal(answer_header(&c.answer, "Cache-Control"), "no-store");
        assert_string_equal(answer_header(&c.answer, "Connect-Accept-Encoding"), "gzip, zstd");
        assert_null(answer_header(&c.answer, "Connect-Content-Encoding"));
        echo_done(&c);
    }
    call_enveloped(&c, PROTO, 0, "\x20\x02", 2);
    assert_int_equal(c.answer.messages, 2);
    assert_memory_equal(c.answer.body.data, "\0\0\0\0\2\x20\x02\0\0\0\0\2\x20\x02\2\0\0\0\2{}", 21);
    echo_done(&c);
}

static void zero_messages_and_two_are_unimplemented(void **state)
{
    BUFFER_AUTO(two, 100);

    (void)state;
    echo_expect_error(&rig, JSON, "", 0, ERROR_UNIMPLEMENTED, 200);
    echo_envelope(&two, 0, "{}", 2);
    echo_envelope(&two, 0, "{}", 2);
    echo_expect_error(&rig, JSON, two.data, two.len_bytes, ERROR_UNIMPLEMENTED, 200);
    echo_expect_error(&rig, JSON, two.data, two.len_bytes - 1, ERROR_UNIMPLEMENTED, 200);
}

static void malformed_envelopes_are_refused_within_the_stream(void **state)
{
    (void)state;
    echo_expect_error(&rig, JSON, "\0", 1, ERROR_INVALID_ARGUMENT, 200);
    echo_expect_error(&rig, JSON, "\0\0\0\0", 4, ERROR_INVALID_ARGUMENT, 200);
    echo_expect_error(&rig, JSON, "\0\0\0\0\3{}", 7, ERROR_INVALID_ARGUMENT, 200);
    echo_expect_error(&rig, JSON, "\0\xff\xff\xff\xff{}", 7, ERROR_RESOURCE_EXHAUSTED, 200);
    expect_refused(JSON, ENVELOPE_END_OF_STREAM, "{}", ERROR_INVALID_ARGUMENT);
    expect_refused(JSON, 0x80, "{}", ERROR_INVALID_ARGUMENT);
    expect_refused(JSON, ENVELOPE_COMPRESSED, "{}", ERROR_INTERNAL); /* nobody said how */
    expect_refused(JSON "\nConnect-Content-Encoding: gzip", ENVELOPE_COMPRESSED, "{}",
                   ERROR_INVALID_ARGUMENT);
    expect_refused(JSON, 0, "{", ERROR_INVALID_ARGUMENT);
    expect_refused(JSON "\nConnect-Content-Encoding: br", 0, "{}", ERROR_UNIMPLEMENTED);
    expect_refused(JSON "\nConnect-Timeout-Ms: 0", 0, "{}", ERROR_INVALID_ARGUMENT);
    /* In no codec that is known, it is told as of a unary call. */
    echo_expect_error(&rig, "POST " ECHO_STREAM "\nContent-Type: application/json", "{}", 2,
                      ERROR_UNKNOWN, 415);
}

static void a_message_of_the_limit_passes_in_each_encoding_and_one_byte_more_does_not(void **state)
{
    (void)state;
    for (int e = 0; e < COMPRESS_COUNT; e++) {
        for (size_t len = REQUEST_MAX_BYTES; len <= REQUEST_MAX_BYTES + 1; len++) {
            BUFFER_AUTO(plain, len);
            BUFFER_AUTO(packed, len);
            struct echo_call c;
            char head[256];

            echo_fill(CODEC_JSON, &plain, len);
            bool shrunk = compress_shrink((enum compress_encoding)e, COMPRESS_ZSTD_LEVEL,
                                          plain.data, len, &packed);
            const struct buffer *body = shrunk ? &packed : &plain;

            (void)snprintf(head, sizeof(head), JSON "\nConnect-Content-Encoding: %s",
                           compress_name((enum compress_encoding)e));
            call_enveloped(&c, head, shrunk ? ENVELOPE_COMPRESSED : 0, body->data, body->len_bytes);
            assert_int_equal(c.answer.code, len > REQUEST_MAX_BYTES ? ERROR_RESOURCE_EXHAUSTED : 0);
            echo_done(&c);
        }
    }
}

static void an_empty_message_is_not_expanded(void **state)
{
    struct echo_call c;

    (void)state;
    call_enveloped(&c, JSON "\nConnect-Content-Encoding: zstd", ENVELOPE_COMPRESSED, "", 0);
    assert_int_equal(c.answer.code, 0);
    echo_done(&c);
}

static void answers_are_compressed_where_it_pays(void **state)
{
    static const char *const encodings[] = { "gzip", "zstd" };
    char text[1024] = "{\"aUint32\":2,\"aString\":\"";
    struct echo_call c;

    (void)state;
    memset(text + strlen(text), 'x', 600);
    memcpy(text + 624, "\"}", 3);
    for (size_t i = 0; i < 2; i++) {
        char head[256];

        (void)snprintf(head, sizeof(head), JSON "\nConnect-Accept-Encoding: %s", encodings[i]);
        call_text(&c, head, text);
        assert_string_equal(answer_header(&c.answer, "Connect-Content-Encoding"), encodings[i]);
        assert_int_equal(c.answer.messages, 2);
        assert_int_equal(c.answer.body.data[0], ENVELOPE_COMPRESSED);
        assert_true(c.answer.body.len_bytes < 300);
        echo_done(&c);
        call_text(&c, head, "{\"aUint32\":1}"); /* too small */
        assert_int_equal(c.answer.body.data[0], 0);
        echo_done(&c);
    }
}

/* --- what ends it ------------------------------------------------------------------------------------- */

static void a_failure_behind_the_first_message_is_told_at_the_end(void **state)
{
    struct echo_call c;

    (void)state;
    call_text(&c, JSON, "{\"aUint32\":2,\"anInt32\":14,\"strings\":[\"one\",\"two\"]}");
    assert_int_equal(c.answer.messages, 2);
    assert_int_equal(c.answer.code, ERROR_UNAVAILABLE);
    char *text = json_dumps(c.answer.end, JSON_COMPACT);

    assert_non_null(strstr(text, "\"type\":\"xenres.v1.XenFailure\""));
    assert_non_null(strstr(text, "\"type\":\"google.rpc.RetryInfo\""));
    assert_non_null(strstr(text, "\"type\":\"google.rpc.BadRequest\""));
    assert_non_null(strstr(text, "\"metadata\":{\"x-string\":[\"one\",\"two\"]}"));
    assert_null(answer_header(&c.answer, "Trailer-x-string"));
    free(text);
    echo_done(&c);
}

/* What does not fit the message that ends a stream is told so, in one that fits: never bytes that
 * nobody wrote. */
static void trailers_too_large_for_the_end_are_a_failure(void **state)
{
    BUFFER_AUTO(text, REQUEST_MAX_BYTES);
    struct echo_call c;

    (void)state;
    buffer_append_string(&text, "{\"aUint32\":1,\"strings\":[");
    for (int i = 0; i < METADATA_MAX; i++) {
        buffer_printf(&text, "%s\"%05000d\"", i > 0 ? "," : "", i);
    }
    buffer_append_string(&text, "]}");
    call_text(&c, JSON, buffer_string(&text));
    assert_int_equal(c.answer.code, ERROR_RESOURCE_EXHAUSTED);
    echo_done(&c);
}

static void trailers_that_are_no_utf_8_are_a_failure(void **state)
{
    struct metadata trailers = { .count = 1, .names = { "x" }, .values = { "\xff" } };
    BUFFER_AUTO(out, 1000);

    (void)state;
    assert_false(connect_end(NULL, NULL, &trailers, &out));
}

static void a_message_too_large_ends_the_stream(void **state)
{
    BUFFER_AUTO(text, REQUEST_MAX_BYTES);
    struct echo_call c;

    (void)state;
    buffer_append_string(&text, "{\"aUint32\":1,\"aString\":\"");
    for (size_t i = 0; i < RESPONSE_MAX_BYTES / 5; i++) { /* one byte here, six there */
        buffer_append_byte(&text, 0x7f);
    }
    buffer_append_string(&text, "\"}");
    call_text(&c, JSON, buffer_string(&text));
    assert_int_equal(c.answer.messages, 0);
    assert_int_equal(c.answer.code, ERROR_RESOURCE_EXHAUSTED);
    echo_done(&c);
}

/* --- waiting ------------------------------------------------------------------------------------------ */

/* Gives one message, and waits with the next one until it is told. */
static struct {
    struct call *call;
    atomic_int left, started, stopped;
} waiter;

static int wait_start(struct call *c, struct failure *f)
{
    (void)f;
    waiter.call = c;
    waiter.started++;
    return HANDLER_DONE;
}

static int wait_next(struct call *c, struct pool *p, struct failure *f)
{
    (void)p, (void)f;
    if (atomic_load(&waiter.left) == 0) {
        return HANDLER_WAIT;
    }
    atomic_fetch_sub(&waiter.left, 1);
    c->response = c->request;
    return HANDLER_MESSAGE;
}

static void wait_stop(struct call *c)
{
    assert_ptr_equal(c, waiter.call);
    waiter.stopped++;
}

static const struct handler wait_handler = {
    .prepare = echo_prepare, .start = wait_start, .next = wait_next, .stop = wait_stop
};

static int begin(void **state)
{
    (void)state;
    echo_rig_init(&rig, REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES, "");
    const struct method wait = { .path = "/test.v1.Echo/Wait",
                                 .kind = METHOD_STREAM,
                                 .request = &zoo__zoo__descriptor,
                                 .response = &zoo__zoo__descriptor,
                                 .open = true,
                                 .handler = &wait_handler };

    echo_rig_add(&rig, &wait);
    return 0;
}

static int end(void **state)
{
    (void)state;
    echo_rig_done(&rig);
    return 0;
}

static void start_waiting(struct echo_call *c, const char *head)
{
    waiter.left = 1;
    waiter.started = waiter.stopped = 0;
    echo_start(&rig, c, &rig.who, head, "\0\0\0\0\2{}", 7);
    assert_true(exchange_reply(c->exchange)->streamed);
}

static void read_one(struct echo_call *c)
{
    uint8_t bytes[64];

    assert_int_equal(exchange_read(c->exchange, bytes, sizeof(bytes)), ENVELOPE_HEAD_BYTES + 2);
    assert_memory_equal(bytes, "\0\0\0\0\2{}", 7);
}

static void wait_ready(struct echo_request *q, unsigned count)
{
    pthread_mutex_lock(&q->lock);
    while (q->ready < count) {
        pthread_cond_wait(&q->changed, &q->lock);
    }
    assert_int_equal(q->ready, count);
    pthread_mutex_unlock(&q->lock);
}

static void call_done(struct echo_call *c)
{
    exchange_free(c->exchange);
    free(c->text);
    assert_int_equal(waiter.started, 1);
    assert_int_equal(waiter.stopped, 1);
}

static void a_stream_that_waits_is_woken_once_and_goes_on(void **state)
{
    struct echo_call c;
    uint8_t byte;

    (void)state;
    start_waiting(&c, WAITER);
    for (unsigned i = 1; i <= 3; i++) {
        read_one(&c);
        assert_int_equal(exchange_read(c.exchange, &byte, 1), EXCHANGE_READ_LATER);
        assert_int_equal(c.request.ready, i - 1);
        waiter.left = 1;
        call_wake(waiter.call);
        call_wake(waiter.call);
        wait_ready(&c.request, i);
    }
    read_one(&c);
    call_done(&c); /* in the middle: what it began is stopped */
}

static void a_wake_with_nothing_to_give_waits_again(void **state)
{
    struct echo_call c;
    uint8_t byte;

    (void)state;
    start_waiting(&c, WAITER);
    read_one(&c);
    assert_int_equal(exchange_read(c.exchange, &byte, 1), EXCHANGE_READ_LATER);
    call_wake(waiter.call);
    wait_ready(&c.request, 1);
    assert_int_equal(exchange_read(c.exchange, &byte, 1), EXCHANGE_READ_LATER);
    call_done(&c); /* while it waits */
    assert_int_equal(c.request.ready, 1);
}

static void a_stream_ends_at_its_deadline_while_it_waits(void **state)
{
    struct echo_call c;
    char end_message[4096];
    uint8_t byte;

    (void)state;
    start_waiting(&c, WAITER "\nConnect-Timeout-Ms: 20");
    read_one(&c);
    assert_int_equal(exchange_read(c.exchange, &byte, 1), EXCHANGE_READ_LATER);
    wait_ready(&c.request, 1);
    ssize_t n = exchange_read(c.exchange, end_message, sizeof(end_message) - 1);

    assert_true(n > ENVELOPE_HEAD_BYTES);
    end_message[n] = '\0';
    assert_int_equal(end_message[0], ENVELOPE_END_OF_STREAM);
    assert_non_null(strstr(end_message + ENVELOPE_HEAD_BYTES, "\"code\":\"deadline_exceeded\""));
    assert_int_equal(exchange_read(c.exchange, &byte, 1), 0);
    assert_int_equal(waiter.stopped, 1); /* at the end, not when the reader goes */
    call_done(&c);
}

/* A reader that comes late finds the end, whatever there would be to give. */
static void a_stream_whose_time_is_over_gives_nothing_more(void **state)
{
    struct echo_call c;

    (void)state;
    start_waiting(&c, WAITER "\nConnect-Timeout-Ms: 1");
    waiter.left = 1000000000;
    assert_null(answer_read(&c.answer, c.exchange, 1 << 16));
    assert_int_equal(c.answer.code, ERROR_DEADLINE_EXCEEDED);
    answer_done(&c.answer);
    call_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered_with_messages_and_one_end),
        cmocka_unit_test(zero_messages_and_two_are_unimplemented),
        cmocka_unit_test(malformed_envelopes_are_refused_within_the_stream),
        cmocka_unit_test(a_message_of_the_limit_passes_in_each_encoding_and_one_byte_more_does_not),
        cmocka_unit_test(an_empty_message_is_not_expanded),
        cmocka_unit_test(answers_are_compressed_where_it_pays),
        cmocka_unit_test(a_failure_behind_the_first_message_is_told_at_the_end),
        cmocka_unit_test(trailers_too_large_for_the_end_are_a_failure),
        cmocka_unit_test(trailers_that_are_no_utf_8_are_a_failure),
        cmocka_unit_test(a_message_too_large_ends_the_stream),
        cmocka_unit_test(a_stream_that_waits_is_woken_once_and_goes_on),
        cmocka_unit_test(a_wake_with_nothing_to_give_waits_again),
        cmocka_unit_test(a_stream_ends_at_its_deadline_while_it_waits),
        cmocka_unit_test(a_stream_whose_time_is_over_gives_nothing_more),
    };

    log_open("stream_test", LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, begin, end);
}
