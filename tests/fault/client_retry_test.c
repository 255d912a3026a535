/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Which failures are tried again, how often, and for how long. */
#include "tests/lib/client_stream.h"

#include "client/retry.h"
#include "common/clock.h"

static const struct tls_server_step answer = FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP);
static const struct tls_server_step cut = FIXTURE_TEXT("", TLS_SERVER_CLOSE);

#define UNAVAILABLE "{\"code\":\"unavailable\",\"message\":\"no mapper\"}"
/* google.rpc.RetryInfo of 0.4 s, and of an hour */
#define RETRY_INFO(value)                                                                          \
    "{\"code\":\"unavailable\",\"details\":[{\"type\":\"google.rpc.RetryInfo\",\"value\":\"" value \
    "\"}]}"
#define RETRY_400_MS RETRY_INFO("CgYQgIjevgE")
#define RETRY_1_H    RETRY_INFO("CgMIkBw")

static xenres_options quick(void)
{
    return (
        xenres_options){ .size = sizeof(xenres_options), .timeout_ms = 20000, .retry_wait_ms = 1 };
}

/* --- the waits --- */

static void waits_double_up_to_their_maximum(void **state)
{
    (void)state;
    assert_int_equal(retry_wait_ms(200, 1, 0), 200);
    assert_int_equal(retry_wait_ms(200, 2, 0), 400);
    assert_int_equal(retry_wait_ms(200, 3, 0), 800);
    assert_int_equal(retry_wait_ms(200, 7, 0), RETRY_WAIT_MAX_MS);
    assert_int_equal(retry_wait_ms(200, UINT32_MAX, 0), RETRY_WAIT_MAX_MS);
    assert_int_equal(retry_wait_ms(60000, 1, 0), 60000); /* as the caller wants it */
    assert_int_equal(retry_wait_ms(60000, 3, 0), 60000);
}

static void chance_takes_at_most_half(void **state)
{
    uint32_t least = UINT32_MAX, most = 0;

    (void)state;
    for (uint32_t chance = 0; chance < 1000; chance++) {
        uint32_t wait_ms = retry_wait_ms(200, 1, chance);

        least = wait_ms < least ? wait_ms : least;
        most = wait_ms > most ? wait_ms : most;
    }
    assert_int_equal(least, 100);
    assert_int_equal(most, 200);
    assert_int_equal(retry_wait_ms(1, 1, UINT32_MAX), 1);
}

static uint64_t now_ns;

static uint64_t fake_ns(void *arg)
{
    (void)arg;
    return now_ns;
}

static void tries_share_one_time(void **state)
{
    const struct clock_source fake = { .monotonic_ns = fake_ns, .wall_ns = fake_ns };

    (void)state;
    clock_set_source(&fake);
    struct retry r = retry_begin(true, 1000);
    struct retry endless = retry_begin(true, 0);

    assert_int_equal(retry_next_ms(&r), 1000);
    now_ns += 999 * CLOCK_NS_PER_MS;
    assert_int_equal(retry_next_ms(&r), 1);
    now_ns += 5000 * CLOCK_NS_PER_MS;
    assert_int_equal(retry_next_ms(&r), 1); /* 0 would be without end */
    assert_int_equal(r.tries, 3);
    assert_int_equal(retry_next_ms(&endless), 0);
    clock_set_source(NULL);
}

/* --- calls --- */

static void unavailable_is_tried_again(void **state)
{
    struct fixture f;
    BUFFER_AUTO(a, 0);
    BUFFER_AUTO(b, 0);
    const struct tls_server_step steps[] = { fixture_refusal(&a, 503, UNAVAILABLE),
                                             fixture_refusal(&b, 503, ""), answer };

    (void)state;
    fixture_start_with(&f, quick(), steps, 3);
    assert_int_equal(fixture_get_host(&f), 0);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 3);
}

static void connection_that_is_cut_is_tried_again(void **state)
{
    static const struct tls_server_step part = FIXTURE_TEXT(
        "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 9\r\n\r\n\x0a\x00",
        TLS_SERVER_CLOSE);
    const struct tls_server_step steps[] = { cut, part, answer };
    size_t len_bytes;
    struct fixture f;

    (void)state;
    fixture_start_with(&f, quick(), steps, 3);
    assert_int_equal(fixture_get_host(&f), 0);
    assert_non_null(xenres_reply_message(f.reply, &len_bytes, NULL));
    assert_int_equal(len_bytes, 0); /* nothing of the one that was cut */
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 3);
}

static void it_is_given_up_in_the_end(void **state)
{
    static const struct {
        uint32_t retries, tries;
    } counts[] = { { 0, 3 }, { 1, 2 }, { 4, 5 }, { XENRES_NO_RETRIES, 1 } };
    BUFFER_AUTO(bytes, 0);
    struct tls_server_step steps[6];

    (void)state;
    steps[0] = fixture_refusal(&bytes, 503, UNAVAILABLE);
    for (size_t i = 1; i < 6; i++) {
        steps[i] = steps[0];
    }
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        xenres_options options = quick();
        const xenres_detail *details;
        struct fixture f;

        options.retries = counts[i].retries;
        fixture_start_with(&f, options, steps, 6);
        assert_int_equal(fixture_get_host(&f), -XENRES_UNAVAILABLE);
        assert_int_equal(f.error.tries, counts[i].tries);
        assert_string_equal(f.error.message, "no mapper");
        assert_int_equal(xenres_error_details(f.handle, &details), 0);
        fixture_end(&f);
        assert_int_equal(f.server.next_step, counts[i].tries);
    }
}

static void nobody_there_is_tried_again(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start_with(&f, quick(), NULL, 0);
    tls_server_stop(&f.server); /* its port is free, as far as we know */
    assert_int_equal(fixture_get_host(&f), -XENRES_UNAVAILABLE);
    assert_int_equal(f.error.tries, 3);
    assert_string_equal(f.error.errno_name, "ECONNREFUSED");
    xenres_free(f.handle);
}

static void expect_one_try(struct tls_server_step step, uint32_t code)
{
    const struct tls_server_step steps[] = { step, answer };
    struct fixture f;

    fixture_start_with(&f, quick(), steps, 2);
    assert_int_equal(fixture_get_host(&f), -(int)code);
    assert_int_equal(f.error.tries, 1);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 1);
}

static void other_failures_are_not_tried_again(void **state)
{
    static const struct tls_server_step html =
        FIXTURE_TEXT("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",
                     TLS_SERVER_KEEP);
    static const struct tls_server_step no_message = FIXTURE_TEXT(
        "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 1\r\n\r\n\xff",
        TLS_SERVER_KEEP);
    static const char *const codes[] = { "internal", "not_found",          "deadline_exceeded",
                                         "aborted",  "resource_exhausted", "permission_denied" };

    (void)state;
    expect_one_try(html, XENRES_INTERNAL);
    expect_one_try(no_message, XENRES_INTERNAL);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        BUFFER_AUTO(bytes, 0);
        char body[64];
        struct fixture f;

        (void)snprintf(body, sizeof(body), "{\"code\":\"%s\"}", codes[i]);
        const struct tls_server_step steps[] = { fixture_refusal(&bytes, 503, body), answer };

        fixture_start_with(&f, quick(), steps, 2);
        assert_true(fixture_get_host(&f) < 0);
        assert_int_equal(f.error.tries, 1);
        fixture_end(&f);
        assert_int_equal(f.server.next_step, 1);
    }
}

/* What a method does that is not known here, nobody knows: it is asked once. */
static void unknown_method_is_not_tried_again(void **state)
{
    struct fixture f;
    BUFFER_AUTO(bytes, 0);
    xenres_stream *stream = NULL;
    const struct tls_server_step refusal = fixture_refusal(&bytes, 503, UNAVAILABLE);
    const struct tls_server_step steps[] = { refusal, refusal, answer };

    (void)state;
    fixture_start_with(&f, quick(), steps, 3);
    assert_int_equal(xenres_call(f.handle, "a.B/C", NULL, 0, &f.reply, &f.error),
                     -XENRES_UNAVAILABLE);
    assert_int_equal(f.error.tries, 1);
    assert_int_equal(xenres_stream_open(f.handle, "a.B/C", NULL, 0, NULL, &stream, &f.error),
                     -XENRES_UNAVAILABLE);
    assert_int_equal(f.error.tries, 1);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 2);
}

static void gateways_wish_to_wait_is_kept(void **state)
{
    struct fixture f;
    BUFFER_AUTO(bytes, 0);
    const struct tls_server_step steps[] = { fixture_refusal(&bytes, 503, RETRY_400_MS), answer };

    (void)state;
    fixture_start_with(&f, quick(), steps, 2);
    uint64_t began_ns = clock_monotonic_ns();

    assert_int_equal(fixture_get_host(&f), 0);
    assert_true(clock_monotonic_ns() - began_ns >= 400 * CLOCK_NS_PER_MS);
    fixture_end(&f);
}

static void no_wait_goes_beyond_the_calls_time(void **state)
{
    struct fixture f;
    BUFFER_AUTO(bytes, 0);
    const struct tls_server_step steps[] = { fixture_refusal(&bytes, 503, RETRY_1_H), answer };

    (void)state;
    fixture_start_with(&f, quick(), steps, 2);
    uint64_t began_ns = clock_monotonic_ns();

    assert_int_equal(fixture_get_host(&f), -XENRES_UNAVAILABLE);
    assert_int_equal(f.error.retry_after_ms, 3600000);
    assert_int_equal(f.error.tries, 1);
    assert_true(clock_monotonic_ns() - began_ns < 10 * CLOCK_NS_PER_S);
    fixture_end(&f);
}

/* --- raw frames and streams: until something was handed on --- */

struct counting {
    int begins;
    size_t bytes;
};

static int count_begin(void *arg, const xenres_frames *frames)
{
    struct counting *c = arg;

    (void)frames;
    c->begins++;
    return 0;
}

static int count_data(void *arg, const void *bytes, size_t len_bytes)
{
    struct counting *c = arg;

    (void)bytes;
    c->bytes += len_bytes;
    return 0;
}

static int read_frames(struct fixture *f, struct counting *c)
{
    const xenres_frames_query query = XENRES_FRAMES_QUERY_INIT("5", XENRES_GRANT_TABLE, 0);
    xenres_frames_sink sink = XENRES_FRAMES_SINK_INIT;
    const xenres_frames *frames;

    sink.begin = count_begin;
    sink.data = count_data;
    sink.arg = c;
    return xenres_read_frames(f->handle, &query, &sink, &f->reply, &frames, &f->error);
}

static struct tls_server_step frames_step(struct buffer *out, size_t len, enum tls_server_then then)
{
    buffer_init(out, 65536);
    buffer_append_string(
        out,
        "HTTP/1.1 200 OK\r\nXenres-Domid: 5\r\nXenres-Uuid: " UUID_A
        "\r\nXenres-Incarnation: " LIFE_A "\r\nXenres-Type: grant_table\r\nXenres-Id: 0\r\n"
        "Xenres-Wall-Time: 2026-01-31T23:59:59Z\r\nXenres-Monotonic-Ns: 1\r\n"
        "Xenres-Copy-Duration-Ns: 1\r\nXenres-First-Frame: 0\r\nXenres-Frame-Count: 1\r\n"
        "Xenres-Frames-In-Use: 1\r\nXenres-Frames-Max: 1\r\nXenres-Grant-Version: 1\r\n"
        "ETag: \"a\"\r\nContent-Type: application/octet-stream\r\nContent-Length: 4096\r\n\r\n");
    memset(buffer_extend(out, len), 'x', len);
    return (struct tls_server_step){ out->data, out->len_bytes, then };
}

static void frames_are_asked_for_again_before_any_was_seen(void **state)
{
    struct fixture f;
    struct counting c = { 0 };
    BUFFER_AUTO(refusal, 0);
    BUFFER_AUTO(frames, 0);
    const struct tls_server_step steps[] = { cut, fixture_refusal(&refusal, 503, UNAVAILABLE),
                                             frames_step(&frames, 4096, TLS_SERVER_KEEP) };

    (void)state;
    fixture_start_with(&f, quick(), steps, 3);
    assert_int_equal(read_frames(&f, &c), 0);
    assert_int_equal(c.begins, 1);
    assert_int_equal(c.bytes, 4096);
    fixture_end(&f);
}

static void frames_that_were_cut_are_not(void **state)
{
    struct fixture f;
    struct counting c = { 0 };
    BUFFER_AUTO(part, 0);
    BUFFER_AUTO(whole, 0);
    const struct tls_server_step steps[] = { frames_step(&part, 0, TLS_SERVER_CLOSE),
                                             frames_step(&whole, 4096, TLS_SERVER_KEEP) };

    (void)state;
    fixture_start_with(&f, quick(), steps, 2);
    assert_int_equal(read_frames(&f, &c), -XENRES_UNAVAILABLE);
    assert_int_equal(c.begins, 1);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 1);
}

/* A method that is known to be harmless, whose messages may be empty. */
#define READ_SNAPSHOT "xenres.v1.ResourceService/ReadSnapshot"

static void stream_is_asked_for_again_before_its_first_message(void **state)
{
    struct fixture f;
    xenres_stream *stream = NULL;
    BUFFER_AUTO(ended, 0);
    BUFFER_AUTO(good, 0);

    (void)state;
    stream_begin(&ended);
    stream_end(&ended, "{\"error\":{\"code\":\"unavailable\"}}");
    stream_begin(&good);
    stream_text(&good, "");
    stream_end(&good, "{}");
    const struct tls_server_step steps[] = { cut, stream_done(&ended), stream_done(&good) };

    fixture_start_with(&f, quick(), steps, 3);
    assert_int_equal(xenres_stream_open(f.handle, READ_SNAPSHOT, NULL, 0, NULL, &stream, &f.error),
                     0);
    assert_int_equal(xenres_stream_next(stream, &f.reply, &f.error), 0);
    assert_non_null(f.reply);
    xenres_reply_free(f.reply);
    assert_int_equal(xenres_stream_next(stream, &f.reply, &f.error), 0);
    assert_null(f.reply);
    xenres_stream_close(stream);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 3);
}

static void stream_is_not_begun_anew_behind_a_message(void **state)
{
    struct fixture f;
    xenres_stream *stream = NULL;
    BUFFER_AUTO(bytes, 0);

    (void)state;
    stream_begin(&bytes);
    stream_text(&bytes, "");
    stream_end(&bytes, "{\"error\":{\"code\":\"unavailable\"}}");
    const struct tls_server_step step = stream_done(&bytes);
    const struct tls_server_step steps[] = { step, step };

    fixture_start_with(&f, quick(), steps, 2);
    assert_int_equal(xenres_stream_open(f.handle, READ_SNAPSHOT, NULL, 0, NULL, &stream, &f.error),
                     0);
    assert_int_equal(xenres_stream_next(stream, &f.reply, &f.error), 0);
    xenres_reply_free(f.reply);
    f.reply = NULL;
    assert_int_equal(xenres_stream_next(stream, &f.reply, &f.error), -XENRES_UNAVAILABLE);
    xenres_stream_close(stream);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 1);
}

/* A stream without a timeout of its own waits for no gateway's wish without end. */
static void stream_waits_less_than_the_handles_timeout(void **state)
{
    struct fixture f;
    xenres_stream *stream = NULL;
    BUFFER_AUTO(bytes, 0);
    const struct tls_server_step steps[] = { fixture_refusal(&bytes, 503, RETRY_1_H), answer };

    (void)state;
    fixture_start_with(&f, quick(), steps, 2);
    assert_int_equal(xenres_stream_open(f.handle, READ_SNAPSHOT, NULL, 0, NULL, &stream, &f.error),
                     -XENRES_UNAVAILABLE);
    assert_int_equal(f.error.tries, 1);
    assert_int_equal(f.error.retry_after_ms, 3600000);
    fixture_end(&f);
}

static void options_have_their_bounds(void **state)
{
    xenres_options options = XENRES_OPTIONS_INIT;
    xenres *handle = NULL;

    (void)state;
    options.server = "https://h";
    options.retries = 10;
    options.retry_wait_ms = 60000;
    assert_int_equal(xenres_new(&options, &handle, NULL), 0);
    xenres_free(handle);
    options.retries = 11;
    assert_int_equal(xenres_new(&options, &handle, NULL), -XENRES_INVALID_ARGUMENT);
    options.retries = 10;
    options.retry_wait_ms = 60001;
    assert_int_equal(xenres_new(&options, &handle, NULL), -XENRES_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_their_maximum),
        cmocka_unit_test(chance_takes_at_most_half),
        cmocka_unit_test(tries_share_one_time),
        cmocka_unit_test(unavailable_is_tried_again),
        cmocka_unit_test(connection_that_is_cut_is_tried_again),
        cmocka_unit_test(it_is_given_up_in_the_end),
        cmocka_unit_test(nobody_there_is_tried_again),
        cmocka_unit_test(other_failures_are_not_tried_again),
        cmocka_unit_test(unknown_method_is_not_tried_again),
        cmocka_unit_test(gateways_wish_to_wait_is_kept),
        cmocka_unit_test(no_wait_goes_beyond_the_calls_time),
        cmocka_unit_test(frames_are_asked_for_again_before_any_was_seen),
        cmocka_unit_test(frames_that_were_cut_are_not),
        cmocka_unit_test(stream_is_asked_for_again_before_its_first_message),
        cmocka_unit_test(stream_is_not_begun_anew_behind_a_message),
        cmocka_unit_test(stream_waits_less_than_the_handles_timeout),
        cmocka_unit_test(options_have_their_bounds),
    };

    return UNIT_RUN(tests);
}
