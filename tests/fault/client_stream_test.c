/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Streams: what the library makes of those that are proper, and of how they end. */
#include "tests/lib/client_streaming.h"

/* --- proper ones --- */

static void messages_come_in_their_order(void **state)
{
    struct streaming s;
    BUFFER_AUTO(bytes, 0);

    (void)state;
    stream_begin(&bytes);
    stream_text(&bytes, "one");
    stream_text(&bytes, "");
    stream_text(&bytes, "three");
    stream_end(&bytes, "{\"metadata\":{\"a\":[\"b\"]}}");
    const struct tls_server_step step = stream_done(&bytes);

    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, NULL), 0);
    streaming_text(&s, "one");
    streaming_text(&s, "");
    streaming_text(&s, "three");
    streaming_end(&s);
    streaming_end(&s);
    streaming_stop(&s);
    const char *head = s.f.server.requests[0];

    assert_non_null(strstr(head, "POST /" STREAMING_METHOD " HTTP/1.1"));
    assert_non_null(strstr(head, "Content-Type: application/connect+proto"));
    assert_non_null(strstr(head, "Connect-Protocol-Version: 1"));
    assert_non_null(strstr(head, "Connect-Accept-Encoding: gzip"));
    assert_null(strstr(head, "Connect-Timeout-Ms")); /* without an end of its own */
    assert_int_equal(s.f.server.body_len, 8);
    assert_memory_equal(s.f.server.body, "\0\0\0\0\3ask", 8);
}

/* Envelopes that lie across chunks, and several in one. */
static void pieces_make_no_difference(void **state)
{
    enum { PIECES_MAX = 7 };
    BUFFER_AUTO(flat, 1 << 20);
    const uint8_t all[] = "\0\0\0\0\3one\0\0\0\0\0\0\0\0\0\5three\2\0\0\0\2{}";

    (void)state;
    for (size_t piece = 1; piece <= PIECES_MAX; piece++) {
        struct streaming s;

        buffer_reset(&flat);
        buffer_append_string(&flat, STREAM_HEAD "\r\n");
        for (size_t at = 0; at < sizeof(all) - 1; at += piece) {
            size_t left = sizeof(all) - 1 - at;

            stream_chunk(&flat, all + at, left < piece ? left : piece);
        }
        const struct tls_server_step step = stream_done(&flat);

        streaming_start(&s, &step, 1);
        assert_int_equal(streaming_open(&s, NULL), 0);
        streaming_text(&s, "one");
        streaming_text(&s, "");
        streaming_text(&s, "three");
        streaming_end(&s);
        streaming_stop(&s);
    }
}

/* More than libcurl hands over at once, so that pieces are held back. */
static void many_and_large_messages_come_whole(void **state)
{
    enum { SMALL = 20000, LARGE_BYTES = 3 << 20 };
    struct streaming s;
    BUFFER_AUTO(bytes, 0);
    BUFFER_AUTO(large, LARGE_BYTES);

    (void)state;
    memset(buffer_extend(&large, LARGE_BYTES), 'x', LARGE_BYTES);
    stream_begin(&bytes);
    for (int i = 0; i < SMALL; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%d", i);
        stream_text(&bytes, text);
    }
    stream_envelope(&bytes, 0, large.data, LARGE_BYTES);
    stream_text(&bytes, "last");
    stream_end(&bytes, "{}");
    const struct tls_server_step step = stream_done(&bytes);

    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, NULL), 0);
    for (int i = 0; i < SMALL; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%d", i);
        streaming_text(&s, text);
    }
    size_t len_bytes;

    assert_int_equal(streaming_next(&s), 0);
    assert_memory_equal(xenres_reply_message(s.f.reply, &len_bytes, NULL), large.data, LARGE_BYTES);
    assert_int_equal(len_bytes, LARGE_BYTES);
    streaming_text(&s, "last");
    streaming_end(&s);
    streaming_stop(&s);
}

static void messages_outlive_the_stream(void **state)
{
    struct streaming s;
    BUFFER_AUTO(bytes, 0);

    (void)state;
    stream_begin(&bytes);
    stream_text(&bytes, "one");
    stream_end(&bytes, "{}");
    const struct tls_server_step step = stream_done(&bytes);

    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, NULL), 0);
    assert_int_equal(streaming_next(&s), 0);
    xenres_stream_close(s.stream);
    s.stream = NULL;
    xenres_free(s.f.handle);
    s.f.handle = NULL;
    assert_memory_equal(xenres_reply_message(s.f.reply, NULL, NULL), "one", 3);
    streaming_stop(&s);
}

static void connection_is_used_again_after_a_good_end(void **state)
{
    const struct tls_server_step answer = FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP);
    struct streaming s;
    BUFFER_AUTO(bytes, 0);

    (void)state;
    stream_begin(&bytes);
    stream_text(&bytes, "one");
    stream_end(&bytes, "{}");
    const struct tls_server_step stream = stream_done(&bytes);
    const struct tls_server_step steps[] = { stream, answer, stream, answer };

    streaming_start(&s, steps, 4);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(streaming_open(&s, NULL), 0);
        streaming_text(&s, "one");
        streaming_end(&s);
        xenres_stream_close(s.stream);
        s.stream = NULL;
        assert_int_equal(fixture_get_host(&s.f), 0);
    }
    streaming_stop(&s);
    assert_int_equal(s.f.server.connections, 1);
}

/* One that is closed before its end leaves nothing behind for the next call. */
static void closing_early_leaves_the_handle_usable(void **state)
{
    const struct tls_server_step answer = FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP);
    struct streaming s;
    BUFFER_AUTO(bytes, 0);

    (void)state;
    stream_begin(&bytes);
    stream_text(&bytes, "one");
    stream_text(&bytes, "two");
    const struct tls_server_step steps[] = { stream_step(&bytes, TLS_SERVER_KEEP), answer };

    streaming_start(&s, steps, 2);
    assert_int_equal(streaming_open(&s, NULL), 0);
    streaming_text(&s, "one");
    xenres_stream_close(s.stream);
    s.stream = NULL;
    assert_int_equal(fixture_get_host(&s.f), 0);
    streaming_stop(&s);
    assert_int_equal(s.f.server.connections, 2);
}

static void open_stream_has_the_handle(void **state)
{
    struct streaming s;
    xenres_stream *second = NULL;
    BUFFER_AUTO(bytes, 0);

    (void)state;
    stream_begin(&bytes);
    stream_end(&bytes, "{}");
    const struct tls_server_step step = stream_done(&bytes);

    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, NULL), 0);
    assert_int_equal(fixture_get_host(&s.f), -XENRES_FAILED_PRECONDITION);
    assert_int_equal(xenres_stream_open(s.f.handle, STREAMING_METHOD, NULL, 0, NULL, &second, NULL),
                     -XENRES_FAILED_PRECONDITION);
    assert_null(second);
    streaming_end(&s);
    assert_int_equal(fixture_get_host(&s.f), -XENRES_FAILED_PRECONDITION); /* until it is closed */
    streaming_stop(&s);
}

/* --- ends --- */

static void error_end_comes_with_its_details(void **state)
{
    struct streaming s;
    BUFFER_AUTO(bytes, 0);
    const xenres_detail *details;

    (void)state;
    stream_begin(&bytes);
    stream_text(&bytes, "one");
    stream_end(&bytes,
               "{\"error\":{\"code\":\"aborted\",\"message\":\"gone\",\"details\":[{\"type\":"
               "\"xenres.v1.XenFailure\",\"value\":\"CgFjEgZFSU5WQUwaA3doeSICZG8\"}]}}");
    const struct tls_server_step step = stream_done(&bytes);

    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, NULL), 0);
    streaming_text(&s, "one");
    streaming_error(&s, XENRES_ABORTED);
    assert_string_equal(s.f.error.message, "gone");
    assert_string_equal(s.f.error.cause, "why");
    assert_string_equal(s.f.error.errno_name, "EINVAL");
    assert_int_equal(s.f.error.http_status, 200);
    assert_int_equal(xenres_error_details(s.f.handle, &details), 1);
    assert_string_equal(details[0].type_name, "xenres.v1.XenFailure");
    streaming_stop(&s);
}

static void expect_end_code(const char *json, uint32_t code)
{
    BUFFER_AUTO(bytes, 0);

    stream_begin(&bytes);
    stream_text(&bytes, "one");
    stream_end(&bytes, json);
    streaming_after_one(stream_done(&bytes), code);
}

static void ends_that_make_no_sense_are_errors(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "17",
        "null",
        "not JSON",
        "{\"error\":17}",
        "{\"error\":\"internal\"}",
        "{}{}",
        "{} x",
        "\"\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_end_code(bad[i], XENRES_INTERNAL);
    }
    expect_end_code("{\"error\":{}}", XENRES_UNKNOWN);
    expect_end_code("{\"error\":{\"code\":\"made_up\"}}", XENRES_UNKNOWN);
}

static void end_message_has_a_bound(void **state)
{
    enum { MAX = 64 * 1024 };
    static char json[MAX + 2];

    (void)state;
    for (size_t over = 0; over <= 1; over++) {
        struct streaming s;
        BUFFER_AUTO(bytes, 0);

        memset(json, ' ', MAX + over);
        json[0] = '{';
        json[1] = '}';
        json[MAX + over] = '\0';
        stream_begin(&bytes);
        stream_end(&bytes, json);
        const struct tls_server_step step = stream_done(&bytes);

        streaming_start(&s, &step, 1);
        assert_int_equal(streaming_open(&s, NULL), 0);
        assert_int_equal(streaming_next(&s), over > 0 ? -XENRES_RESOURCE_EXHAUSTED : 0);
        streaming_stop(&s);
    }
}

static void what_follows_the_end_is_an_error(void **state)
{
    BUFFER_AUTO(twice, 0);
    BUFFER_AUTO(message, 0);
    BUFFER_AUTO(one_piece, 0);

    (void)state;
    stream_begin(&twice);
    stream_text(&twice, "one");
    stream_end(&twice, "{}");
    stream_end(&twice, "{}");
    streaming_after_one(stream_done(&twice), XENRES_INTERNAL);

    stream_begin(&message);
    stream_text(&message, "one");
    stream_end(&message, "{}");
    stream_text(&message, "more");
    streaming_after_one(stream_done(&message), XENRES_INTERNAL);

    stream_begin(&one_piece);
    stream_chunk(&one_piece, "\0\0\0\0\3one\2\0\0\0\2{}x", 16);
    streaming_after_one(stream_done(&one_piece), XENRES_INTERNAL);

    /* A moment later, too. */
    static const char later[] = "HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\n"
                                "Content-Length: 100000\r\n\r\n\0\0\0\0\3one\2\0\0\0\2{}";

    streaming_after_one((struct tls_server_step){ later, sizeof(later) - 1, TLS_SERVER_DRIP },
                        XENRES_INTERNAL);
}

/* The end message says all; that the body has no end costs the connection. */
static void body_that_does_not_end_behind_the_end_is_let_go(void **state)
{
    static const enum tls_server_then ways[] = { TLS_SERVER_HANG, TLS_SERVER_CLOSE };
    BUFFER_AUTO(bytes, 0);

    (void)state;
    stream_begin(&bytes);
    stream_end(&bytes, "{}");
    for (size_t i = 0; i < 2; i++) {
        const struct tls_server_step step = stream_step(&bytes, ways[i]);
        struct streaming s;

        streaming_start(&s, &step, 1);
        assert_int_equal(streaming_open(&s, NULL), 0);
        streaming_end(&s);
        streaming_stop(&s);
    }
}

/* --- what the caller may give --- */

static void wrong_use_is_told(void **state)
{
    static const struct {
        const char *method;
        xenres_stream_options options;
    } bad[] = {
        { "xenres.v1.HostService/GetHost", XENRES_STREAM_OPTIONS_INIT }, /* no stream */
        { "no method", XENRES_STREAM_OPTIONS_INIT },
        { STREAMING_METHOD, { 0, 0, 0 } },
        { STREAMING_METHOD, { sizeof(xenres_stream_options), 24 * 3600 * 1000 + 1, 0 } },
        { STREAMING_METHOD, { sizeof(xenres_stream_options), 0, 3600 * 1000 + 1 } },
    };
    struct streaming s;
    xenres_reply *reply = NULL;

    (void)state;
    streaming_start(&s, NULL, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(xenres_stream_open(s.f.handle, bad[i].method, NULL, 0, &bad[i].options,
                                            &s.stream, &s.f.error),
                         -XENRES_INVALID_ARGUMENT);
        assert_null(s.stream);
    }
    assert_int_equal(xenres_call(s.f.handle, "xenres.v1.ResourceService/ReadSnapshot", NULL, 0,
                                 &reply, &s.f.error),
                     -XENRES_INVALID_ARGUMENT);
    streaming_stop(&s);
    assert_int_equal(s.f.server.connections, 0);
}

/* Of a method that the library knows, messages are checked. */
static void messages_of_known_methods_are_checked(void **state)
{
    struct streaming s;
    BUFFER_AUTO(bytes, 0);

    (void)state;
    stream_begin(&bytes);
    stream_envelope(&bytes, 0, "\xff\xff\xff", 3);
    stream_end(&bytes, "{}");
    const struct tls_server_step step = stream_done(&bytes);

    streaming_start(&s, &step, 1);
    assert_int_equal(xenres_stream_open(s.f.handle, "xenres.v1.ResourceService/ReadSnapshot", NULL,
                                        0, NULL, &s.stream, &s.f.error),
                     0);
    streaming_error(&s, XENRES_INTERNAL);
    streaming_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_in_their_order),
        cmocka_unit_test(pieces_make_no_difference),
        cmocka_unit_test(many_and_large_messages_come_whole),
        cmocka_unit_test(messages_outlive_the_stream),
        cmocka_unit_test(connection_is_used_again_after_a_good_end),
        cmocka_unit_test(closing_early_leaves_the_handle_usable),
        cmocka_unit_test(open_stream_has_the_handle),
        cmocka_unit_test(error_end_comes_with_its_details),
        cmocka_unit_test(ends_that_make_no_sense_are_errors),
        cmocka_unit_test(end_message_has_a_bound),
        cmocka_unit_test(what_follows_the_end_is_an_error),
        cmocka_unit_test(body_that_does_not_end_behind_the_end_is_let_go),
        cmocka_unit_test(wrong_use_is_told),
        cmocka_unit_test(messages_of_known_methods_are_checked),
    };

    return UNIT_RUN(tests);
}
