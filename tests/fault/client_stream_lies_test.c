/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Streams of servers that cut them, send anything else, more than was agreed on, or nothing. */
#include "tests/lib/client_streaming.h"

/* --- cuts --- */

static void stream_without_an_end_is_an_error(void **state)
{
    BUFFER_AUTO(after_message, 0);
    BUFFER_AUTO(in_head, 0);
    BUFFER_AUTO(in_payload, 0);
    BUFFER_AUTO(nothing, 0);
    struct streaming s;

    (void)state;
    stream_begin(&after_message);
    stream_text(&after_message, "one");
    streaming_after_one(stream_done(&after_message), XENRES_INTERNAL);

    stream_begin(&in_head);
    stream_text(&in_head, "one");
    stream_chunk(&in_head, "\0\0\0", 3);
    streaming_after_one(stream_done(&in_head), XENRES_INTERNAL);

    stream_begin(&in_payload);
    stream_text(&in_payload, "one");
    stream_envelope_of(&in_payload, 2, 2, "{", 1);
    streaming_after_one(stream_done(&in_payload), XENRES_INTERNAL);

    stream_begin(&nothing);
    const struct tls_server_step step = stream_done(&nothing);

    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, NULL), 0);
    streaming_error(&s, XENRES_INTERNAL);
    streaming_stop(&s);
}

static void cut_connection_is_an_error(void **state)
{
    BUFFER_AUTO(after_message, 0);
    BUFFER_AUTO(in_payload, 0);

    (void)state;
    stream_begin(&after_message);
    stream_text(&after_message, "one");
    streaming_after_one(stream_step(&after_message, TLS_SERVER_CLOSE), XENRES_UNAVAILABLE);

    stream_begin(&in_payload);
    stream_text(&in_payload, "one");
    stream_envelope_of(&in_payload, 0, 100, "part", 4);
    streaming_after_one(stream_step(&in_payload, TLS_SERVER_CLOSE), XENRES_UNAVAILABLE);
}

/* --- garbage --- */

static void garbage_is_no_envelope(void **state)
{
    BUFFER_AUTO(flags, 0);
    BUFFER_AUTO(text, 0);

    (void)state;
    stream_begin(&flags);
    stream_text(&flags, "one");
    stream_envelope(&flags, 4, "x", 1);
    streaming_after_one(stream_done(&flags), XENRES_INTERNAL);

    stream_begin(&text);
    stream_text(&text, "one");
    stream_chunk(&text, "<html>no stream</html>", 22);
    streaming_after_one(stream_step(&text, TLS_SERVER_HANG), XENRES_INTERNAL); /* at once */
}

static void huge_message_is_refused_before_its_bytes(void **state)
{
    BUFFER_AUTO(bytes, 0);

    (void)state;
    stream_begin(&bytes);
    stream_text(&bytes, "one");
    stream_envelope_of(&bytes, 0, UINT32_MAX, "", 0);
    streaming_after_one(stream_step(&bytes, TLS_SERVER_HANG), XENRES_RESOURCE_EXHAUSTED);
}

static void bound_of_a_message_is_exact(void **state)
{
    enum { MAX = 1000 };
    const xenres_options options = { .size = sizeof(options), .message_max_bytes = MAX };
    static char payload[MAX + 1];

    (void)state;
    for (size_t over = 0; over <= 1; over++) {
        struct streaming s = { .stream = NULL };
        BUFFER_AUTO(bytes, 0);

        stream_begin(&bytes);
        stream_envelope(&bytes, 0, payload, MAX + over);
        stream_end(&bytes, "{}");
        const struct tls_server_step step = stream_done(&bytes);

        fixture_start_with(&s.f, options, &step, 1);
        assert_int_equal(streaming_open(&s, NULL), 0);
        assert_int_equal(streaming_next(&s), over > 0 ? -XENRES_RESOURCE_EXHAUSTED : 0);
        streaming_stop(&s);
    }
}

static void expect_open_error(const char *answer, enum tls_server_then then, uint32_t code)
{
    struct streaming s;
    const struct tls_server_step step = { answer, strlen(answer), then };

    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, NULL), -(int)code);
    assert_int_equal(s.f.error.code, code);
    assert_null(s.stream);
    assert_int_equal(fixture_get_host(&s.f), -XENRES_UNAVAILABLE); /* not occupied */
    streaming_stop(&s);
}

static void other_answers_are_no_streams(void **state)
{
    (void)state;
    expect_open_error(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP, XENRES_INTERNAL);
    expect_open_error("HTTP/1.1 200 OK\r\nContent-Type: application/connect+json\r\n"
                      "Content-Length: 0\r\n\r\n",
                      TLS_SERVER_KEEP, XENRES_INTERNAL);
    expect_open_error("HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\n\r\n",
                      TLS_SERVER_CLOSE, XENRES_INTERNAL); /* where does it end? */
    expect_open_error(STREAM_HEAD "Connect-Content-Encoding: br\r\n\r\n", TLS_SERVER_KEEP,
                      XENRES_INTERNAL);
    expect_open_error("HTTP/1.1 404 X\r\nContent-Type: application/json\r\nContent-Length: 24\r\n"
                      "\r\n{\"code\":\"unimplemented\"}",
                      TLS_SERVER_KEEP, XENRES_UNIMPLEMENTED);
    expect_open_error("HTTP/1.1 204 No Content\r\n\r\n", TLS_SERVER_KEEP, XENRES_UNKNOWN);
    expect_open_error("", TLS_SERVER_CLOSE, XENRES_UNAVAILABLE);
}

/* --- compression --- */

static void gzip_head(struct buffer *out)
{
    buffer_init(out, 1 << 26);
    buffer_append_string(out, STREAM_HEAD "Connect-Content-Encoding: gzip\r\n\r\n");
}

static void compressed_messages_are_unpacked(void **state)
{
    struct streaming s;
    BUFFER_AUTO(bytes, 0);
    BUFFER_AUTO(packed, 4096);
    BUFFER_AUTO(packed_end, 4096);

    (void)state;
    stream_gzip(&packed, "packed", 6);
    stream_gzip(&packed_end, "{}", 2);
    gzip_head(&bytes);
    stream_envelope(&bytes, 1, packed.data, packed.len_bytes);
    stream_text(&bytes, "plain"); /* each message for itself */
    stream_envelope(&bytes, 1, "", 0);
    stream_envelope(&bytes, 3, packed_end.data, packed_end.len_bytes);
    const struct tls_server_step step = stream_done(&bytes);

    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, NULL), 0);
    streaming_text(&s, "packed");
    streaming_text(&s, "plain");
    streaming_text(&s, "");
    streaming_end(&s);
    streaming_stop(&s);
}

static void compression_that_nobody_agreed_on_is_an_error(void **state)
{
    BUFFER_AUTO(bytes, 0);
    BUFFER_AUTO(packed, 4096);

    (void)state;
    stream_gzip(&packed, "packed", 6);
    stream_begin(&bytes);
    stream_text(&bytes, "one");
    stream_envelope(&bytes, 1, packed.data, packed.len_bytes);
    streaming_after_one(stream_done(&bytes), XENRES_INTERNAL);
}

static void bomb_is_refused_at_the_limit(void **state)
{
    enum { UNPACKED = 64 << 20 };
    const xenres_options options = { .size = sizeof(options),
                                     .message_max_bytes = 100000,
                                     .gzip = true };
    struct streaming s = { .stream = NULL };
    BUFFER_AUTO(bytes, 0);
    BUFFER_AUTO(packed, 1 << 20);
    uint8_t *zeros = calloc(1, UNPACKED);

    (void)state;
    stream_gzip(&packed, zeros, UNPACKED);
    free(zeros);
    gzip_head(&bytes);
    stream_envelope(&bytes, 1, packed.data, packed.len_bytes);
    stream_end(&bytes, "{}");
    const struct tls_server_step step = stream_done(&bytes);

    fixture_start_with(&s.f, options, &step, 1);
    assert_int_equal(streaming_open(&s, NULL), 0);
    streaming_error(&s, XENRES_RESOURCE_EXHAUSTED);
    streaming_stop(&s);
}

static void bad_gzip_is_an_error(void **state)
{
    BUFFER_AUTO(bytes, 0);
    BUFFER_AUTO(end_bomb, 0);
    BUFFER_AUTO(packed, 4096);
    static const char zeros[1 << 20];

    (void)state;
    gzip_head(&bytes);
    stream_text(&bytes, "one");
    stream_envelope(&bytes, 1, "no gzip", 7);
    streaming_after_one(stream_done(&bytes), XENRES_INTERNAL);

    stream_gzip(&packed, zeros, sizeof(zeros));
    gzip_head(&end_bomb);
    stream_text(&end_bomb, "one");
    stream_envelope(&end_bomb, 3, packed.data, packed.len_bytes);
    streaming_after_one(stream_done(&end_bomb), XENRES_RESOURCE_EXHAUSTED);
}

static void no_compression_is_asked_for_where_none_is_wanted(void **state)
{
    const xenres_options options = { .size = sizeof(options) };
    struct streaming s = { .stream = NULL };
    BUFFER_AUTO(bytes, 0);

    (void)state;
    gzip_head(&bytes);
    const struct tls_server_step step = stream_done(&bytes);

    fixture_start_with(&s.f, options, &step, 1);
    assert_int_equal(streaming_open(&s, NULL), -XENRES_INTERNAL); /* the gateway does so anyway */
    streaming_stop(&s);
    assert_null(strstr(s.f.server.requests[0], "Accept-Encoding"));
}

/* --- time --- */

static void silence_ends_at_the_idle_timeout(void **state)
{
    const xenres_stream_options options = { .size = sizeof(options), .idle_timeout_ms = 300 };
    struct streaming s;
    BUFFER_AUTO(bytes, 0);

    (void)state;
    stream_begin(&bytes);
    stream_text(&bytes, "one");
    const struct tls_server_step step = stream_step(&bytes, TLS_SERVER_HANG);

    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, &options), 0);
    streaming_text(&s, "one");
    streaming_error(&s, XENRES_DEADLINE_EXCEEDED);
    streaming_stop(&s);
}

/* Something comes all the time, and it never becomes a message. */
static void drip_ends_at_the_timeout(void **state)
{
    const xenres_stream_options options = { .size = sizeof(options), .timeout_ms = 700 };
    struct streaming s;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\n"
                               "Content-Length: 100000\r\n\r\n\0\0\0\x10\0";
    const struct tls_server_step step = { head, sizeof(head) - 1, TLS_SERVER_DRIP };

    (void)state;
    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, &options), 0);
    streaming_error(&s, XENRES_DEADLINE_EXCEEDED);
    streaming_stop(&s);
    assert_non_null(strstr(s.f.server.requests[0], "Connect-Timeout-Ms: "));
}

static void silence_before_the_head_ends(void **state)
{
    const xenres_stream_options options = { .size = sizeof(options), .idle_timeout_ms = 300 };
    const struct tls_server_step step = FIXTURE_TEXT("", TLS_SERVER_HANG);
    struct streaming s;

    (void)state;
    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, &options), -XENRES_DEADLINE_EXCEEDED);
    streaming_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_without_an_end_is_an_error),
        cmocka_unit_test(cut_connection_is_an_error),
        cmocka_unit_test(garbage_is_no_envelope),
        cmocka_unit_test(huge_message_is_refused_before_its_bytes),
        cmocka_unit_test(bound_of_a_message_is_exact),
        cmocka_unit_test(other_answers_are_no_streams),
        cmocka_unit_test(compressed_messages_are_unpacked),
        cmocka_unit_test(compression_that_nobody_agreed_on_is_an_error),
        cmocka_unit_test(bomb_is_refused_at_the_limit),
        cmocka_unit_test(bad_gzip_is_an_error),
        cmocka_unit_test(no_compression_is_asked_for_where_none_is_wanted),
        cmocka_unit_test(silence_ends_at_the_idle_timeout),
        cmocka_unit_test(drip_ends_at_the_timeout),
        cmocka_unit_test(silence_before_the_head_ends),
    };

    return UNIT_RUN(tests);
}
