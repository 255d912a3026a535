/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Streams: what the library makes of those that are proper, and of servers that send anything else.
 * The method is one that it does not know, so that messages may be any bytes. */
#include "tests/lib/client_stream.h"

#define METHOD "test.v1.Service/Stream"

struct streaming {
    struct fixture f;
    xenres_stream *stream;
};

static int open_stream(struct streaming *s, const xenres_stream_options *options)
{
    return xenres_stream_open(s->f.handle, METHOD, "ask", 3, options, &s->stream, &s->f.error);
}

static void start(struct streaming *s, const struct tls_server_step *steps, size_t step_count)
{
    s->stream = NULL;
    fixture_start(&s->f, steps, step_count);
}

static void end(struct streaming *s)
{
    xenres_stream_close(s->stream);
    fixture_end(&s->f);
}

static int next(struct streaming *s)
{
    xenres_reply_free(s->f.reply);
    s->f.reply = NULL;
    return xenres_stream_next(s->stream, &s->f.reply, &s->f.error);
}

static void expect_text(struct streaming *s, const char *text)
{
    size_t len_bytes;
    const char *type_name;

    assert_int_equal(next(s), 0);
    assert_non_null(s->f.reply);
    const void *bytes = xenres_reply_message(s->f.reply, &len_bytes, &type_name);

    assert_int_equal(len_bytes, strlen(text));
    assert_memory_equal(bytes, text, len_bytes);
    assert_string_equal(type_name, "");
}

static void expect_end(struct streaming *s)
{
    s->f.reply = NULL;
    assert_int_equal(next(s), 0);
    assert_null(s->f.reply);
}

static void expect_error(struct streaming *s, uint32_t code)
{
    for (int i = 0; i < 2; i++) { /* it is told again */
        assert_int_equal(next(s), -(int)code);
        assert_int_equal(s->f.error.code, code);
        assert_true(s->f.error.message[0] != '\0');
        assert_null(s->f.reply);
    }
}

/* A stream with one message, "one", and then what `step` does to it: an error of this code. */
static void expect_after_one(struct tls_server_step step, uint32_t code)
{
    struct streaming s;

    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, NULL), 0);
    expect_text(&s, "one");
    expect_error(&s, code);
    end(&s);
}

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

    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, NULL), 0);
    expect_text(&s, "one");
    expect_text(&s, "");
    expect_text(&s, "three");
    expect_end(&s);
    expect_end(&s);
    end(&s);
    const char *head = s.f.server.requests[0];

    assert_non_null(strstr(head, "POST /" METHOD " HTTP/1.1"));
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

        start(&s, &step, 1);
        assert_int_equal(open_stream(&s, NULL), 0);
        expect_text(&s, "one");
        expect_text(&s, "");
        expect_text(&s, "three");
        expect_end(&s);
        end(&s);
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

    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, NULL), 0);
    for (int i = 0; i < SMALL; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%d", i);
        expect_text(&s, text);
    }
    size_t len_bytes;

    assert_int_equal(next(&s), 0);
    assert_memory_equal(xenres_reply_message(s.f.reply, &len_bytes, NULL), large.data, LARGE_BYTES);
    assert_int_equal(len_bytes, LARGE_BYTES);
    expect_text(&s, "last");
    expect_end(&s);
    end(&s);
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

    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, NULL), 0);
    assert_int_equal(next(&s), 0);
    xenres_stream_close(s.stream);
    s.stream = NULL;
    xenres_free(s.f.handle);
    s.f.handle = NULL;
    assert_memory_equal(xenres_reply_message(s.f.reply, NULL, NULL), "one", 3);
    end(&s);
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

    start(&s, steps, 4);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(open_stream(&s, NULL), 0);
        expect_text(&s, "one");
        expect_end(&s);
        xenres_stream_close(s.stream);
        s.stream = NULL;
        assert_int_equal(fixture_get_host(&s.f), 0);
    }
    end(&s);
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

    start(&s, steps, 2);
    assert_int_equal(open_stream(&s, NULL), 0);
    expect_text(&s, "one");
    xenres_stream_close(s.stream);
    s.stream = NULL;
    assert_int_equal(fixture_get_host(&s.f), 0);
    end(&s);
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

    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, NULL), 0);
    assert_int_equal(fixture_get_host(&s.f), -XENRES_FAILED_PRECONDITION);
    assert_int_equal(xenres_stream_open(s.f.handle, METHOD, NULL, 0, NULL, &second, NULL),
                     -XENRES_FAILED_PRECONDITION);
    assert_null(second);
    expect_end(&s);
    assert_int_equal(fixture_get_host(&s.f), -XENRES_FAILED_PRECONDITION); /* until it is closed */
    end(&s);
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

    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, NULL), 0);
    expect_text(&s, "one");
    expect_error(&s, XENRES_ABORTED);
    assert_string_equal(s.f.error.message, "gone");
    assert_string_equal(s.f.error.cause, "why");
    assert_string_equal(s.f.error.errno_name, "EINVAL");
    assert_int_equal(s.f.error.http_status, 200);
    assert_int_equal(xenres_error_details(s.f.handle, &details), 1);
    assert_string_equal(details[0].type_name, "xenres.v1.XenFailure");
    end(&s);
}

static void expect_end_code(const char *json, uint32_t code)
{
    BUFFER_AUTO(bytes, 0);

    stream_begin(&bytes);
    stream_text(&bytes, "one");
    stream_end(&bytes, json);
    expect_after_one(stream_done(&bytes), code);
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

        start(&s, &step, 1);
        assert_int_equal(open_stream(&s, NULL), 0);
        assert_int_equal(next(&s), over > 0 ? -XENRES_RESOURCE_EXHAUSTED : 0);
        end(&s);
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
    expect_after_one(stream_done(&twice), XENRES_INTERNAL);

    stream_begin(&message);
    stream_text(&message, "one");
    stream_end(&message, "{}");
    stream_text(&message, "more");
    expect_after_one(stream_done(&message), XENRES_INTERNAL);

    stream_begin(&one_piece);
    stream_chunk(&one_piece, "\0\0\0\0\3one\2\0\0\0\2{}x", 16);
    expect_after_one(stream_done(&one_piece), XENRES_INTERNAL);
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

        start(&s, &step, 1);
        assert_int_equal(open_stream(&s, NULL), 0);
        expect_end(&s);
        end(&s);
    }
}

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
    expect_after_one(stream_done(&after_message), XENRES_INTERNAL);

    stream_begin(&in_head);
    stream_text(&in_head, "one");
    stream_chunk(&in_head, "\0\0\0", 3);
    expect_after_one(stream_done(&in_head), XENRES_INTERNAL);

    stream_begin(&in_payload);
    stream_text(&in_payload, "one");
    stream_envelope_of(&in_payload, 2, 2, "{", 1);
    expect_after_one(stream_done(&in_payload), XENRES_INTERNAL);

    stream_begin(&nothing);
    const struct tls_server_step step = stream_done(&nothing);

    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, NULL), 0);
    expect_error(&s, XENRES_INTERNAL);
    end(&s);
}

static void cut_connection_is_an_error(void **state)
{
    BUFFER_AUTO(after_message, 0);
    BUFFER_AUTO(in_payload, 0);

    (void)state;
    stream_begin(&after_message);
    stream_text(&after_message, "one");
    expect_after_one(stream_step(&after_message, TLS_SERVER_CLOSE), XENRES_UNAVAILABLE);

    stream_begin(&in_payload);
    stream_text(&in_payload, "one");
    stream_envelope_of(&in_payload, 0, 100, "part", 4);
    expect_after_one(stream_step(&in_payload, TLS_SERVER_CLOSE), XENRES_UNAVAILABLE);
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
    expect_after_one(stream_done(&flags), XENRES_INTERNAL);

    stream_begin(&text);
    stream_text(&text, "one");
    stream_chunk(&text, "<html>no stream</html>", 22);
    expect_after_one(stream_step(&text, TLS_SERVER_HANG), XENRES_INTERNAL); /* at once */
}

static void huge_message_is_refused_before_its_bytes(void **state)
{
    BUFFER_AUTO(bytes, 0);

    (void)state;
    stream_begin(&bytes);
    stream_text(&bytes, "one");
    stream_envelope_of(&bytes, 0, UINT32_MAX, "", 0);
    expect_after_one(stream_step(&bytes, TLS_SERVER_HANG), XENRES_RESOURCE_EXHAUSTED);
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
        assert_int_equal(open_stream(&s, NULL), 0);
        assert_int_equal(next(&s), over > 0 ? -XENRES_RESOURCE_EXHAUSTED : 0);
        end(&s);
    }
}

static void expect_open_error(const char *answer, enum tls_server_then then, uint32_t code)
{
    struct streaming s;
    const struct tls_server_step step = { answer, strlen(answer), then };

    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, NULL), -(int)code);
    assert_int_equal(s.f.error.code, code);
    assert_null(s.stream);
    assert_int_equal(fixture_get_host(&s.f), -XENRES_UNAVAILABLE); /* not occupied */
    end(&s);
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

    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, NULL), 0);
    expect_text(&s, "packed");
    expect_text(&s, "plain");
    expect_text(&s, "");
    expect_end(&s);
    end(&s);
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
    expect_after_one(stream_done(&bytes), XENRES_INTERNAL);
}

static void bomb_is_refused_at_the_limit(void **state)
{
    enum { UNPACKED = 64 << 20 };
    const xenres_options options = { .size = sizeof(options), .message_max_bytes = 100000 };
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
    assert_int_equal(open_stream(&s, NULL), 0);
    expect_error(&s, XENRES_RESOURCE_EXHAUSTED);
    end(&s);
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
    expect_after_one(stream_done(&bytes), XENRES_INTERNAL);

    stream_gzip(&packed, zeros, sizeof(zeros));
    gzip_head(&end_bomb);
    stream_text(&end_bomb, "one");
    stream_envelope(&end_bomb, 3, packed.data, packed.len_bytes);
    expect_after_one(stream_done(&end_bomb), XENRES_RESOURCE_EXHAUSTED);
}

static void no_compression_is_asked_for_where_none_is_wanted(void **state)
{
    const xenres_options options = { .size = sizeof(options), .no_gzip = true };
    struct streaming s = { .stream = NULL };
    BUFFER_AUTO(bytes, 0);

    (void)state;
    gzip_head(&bytes);
    const struct tls_server_step step = stream_done(&bytes);

    fixture_start_with(&s.f, options, &step, 1);
    assert_int_equal(open_stream(&s, NULL), -XENRES_INTERNAL); /* the gateway does so anyway */
    end(&s);
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

    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, &options), 0);
    expect_text(&s, "one");
    expect_error(&s, XENRES_DEADLINE_EXCEEDED);
    end(&s);
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
    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, &options), 0);
    expect_error(&s, XENRES_DEADLINE_EXCEEDED);
    end(&s);
    assert_non_null(strstr(s.f.server.requests[0], "Connect-Timeout-Ms: "));
}

static void silence_before_the_head_ends(void **state)
{
    const xenres_stream_options options = { .size = sizeof(options), .idle_timeout_ms = 300 };
    const struct tls_server_step step = FIXTURE_TEXT("", TLS_SERVER_HANG);
    struct streaming s;

    (void)state;
    start(&s, &step, 1);
    assert_int_equal(open_stream(&s, &options), -XENRES_DEADLINE_EXCEEDED);
    end(&s);
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
        { METHOD, { 0, 0, 0 } },
        { METHOD, { sizeof(xenres_stream_options), 24 * 3600 * 1000 + 1, 0 } },
        { METHOD, { sizeof(xenres_stream_options), 0, 3600 * 1000 + 1 } },
    };
    struct streaming s;
    xenres_reply *reply = NULL;

    (void)state;
    start(&s, NULL, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(xenres_stream_open(s.f.handle, bad[i].method, NULL, 0, &bad[i].options,
                                            &s.stream, &s.f.error),
                         -XENRES_INVALID_ARGUMENT);
        assert_null(s.stream);
    }
    assert_int_equal(xenres_call(s.f.handle, "xenres.v1.ResourceService/ReadSnapshot", NULL, 0,
                                 &reply, &s.f.error),
                     -XENRES_INVALID_ARGUMENT);
    end(&s);
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

    start(&s, &step, 1);
    assert_int_equal(xenres_stream_open(s.f.handle, "xenres.v1.ResourceService/ReadSnapshot", NULL,
                                        0, NULL, &s.stream, &s.f.error),
                     0);
    expect_error(&s, XENRES_INTERNAL);
    end(&s);
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
        cmocka_unit_test(wrong_use_is_told),
        cmocka_unit_test(messages_of_known_methods_are_checked),
    };

    return UNIT_RUN(tests);
}
