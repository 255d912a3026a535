/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Streams and unary calls of Connect from the real gateway on the simulator, by clients that pipeline,
 * close one half of the connection, stop reading, or vanish: each gets what is his, others are served
 * meanwhile, and no slot of the arena stays taken.
 */
#include "tests/lib/gateway.h"

#include <jansson.h>

enum {
    BIG_FRAMES = 16384,
    FRAME_BYTES = 4096,
    ENVELOPE_HEAD_BYTES = 5,
    BODY_MAX_BYTES = 80 << 20,
    SERVED_WAIT_S = 30,
};

static const char scenario[] =
    "seed = 1\n"
    "domain \"big\" {\n"
    "  domid = 1  uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01\"  type = \"pv\"\n"
    "  grants { version = 1 frames = 16384 frames_max = 16384 entries = 1000 }\n"
    "}\n";

static const char limits[] =
    "limits {\n"
    "  handshake_timeout_s = 3\n  idle_timeout_s = 60\n  receive_timeout_s = 2\n"
    "  connections_per_address = 400\n"
    "  arena_percent_per_identity = 30\n}\n"; /* of 256 MiB: one answer of 64 MiB, not two */

#define HOST_CALL                                                                                  \
    "GET /xenres.v1.HostService/GetHost?encoding=json&message={} HTTP/1.1\r\nHost: t\r\n\r\n"

static uint8_t *body; /* of BODY_MAX_BYTES */

static int begin(void **state)
{
    (void)state;
    body = malloc(BODY_MAX_BYTES);
    assert_non_null(body);
    return gateway_set_up("stream", scenario, limits);
}

static int end(void **state)
{
    (void)state;
    free(body);
    return gateway_tear_down();
}

/* The request for a stream of so many frames, with more headers. In proto: the frames are as long as
 * they are. */
static size_t write_request(char *out, size_t max, unsigned frames, const char *headers)
{
    /* domain "1", type 2, frame_count of two bytes and more */
    const uint8_t message[] = { 0x0a,
                                1,
                                '1',
                                0x18,
                                2,
                                0x30,
                                (uint8_t)(0x80 | (frames & 0x7f)),
                                (uint8_t)(0x80 | (frames >> 7 & 0x7f)),
                                (uint8_t)(frames >> 14) };
    const uint8_t envelope[ENVELOPE_HEAD_BYTES] = { 0, 0, 0, 0, sizeof(message) };
    size_t head = (size_t)snprintf(out, max,
                                   "POST /xenres.v1.ResourceService/ReadSnapshot HTTP/1.1\r\n"
                                   "Host: t\r\nContent-Type: application/connect+proto\r\n"
                                   "Content-Length: %zu\r\n%s\r\n",
                                   sizeof(envelope) + sizeof(message), headers);

    assert_true(head + sizeof(envelope) + sizeof(message) < max);
    memcpy(out + head, envelope, sizeof(envelope));
    memcpy(out + head + sizeof(envelope), message, sizeof(message));
    return head + sizeof(envelope) + sizeof(message);
}

static void ask(struct tls_peer *p, unsigned frames, const char *headers)
{
    char request[1024];
    size_t len = write_request(request, sizeof(request), frames, headers);

    assert_true(tls_peer_send(p, request, len));
}

/* What ends the stream in `body`: its error's code, "" where it ended well. The bytes of the messages
 * before it are in `*bytes`. */
static const char *end_of(size_t len, size_t *bytes)
{
    static char code[64];
    size_t at = 0;

    *bytes = 0;
    code[0] = '\0';
    while (at + ENVELOPE_HEAD_BYTES <= len) {
        const uint8_t *head = body + at;
        size_t size =
            (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];

        at += ENVELOPE_HEAD_BYTES + size;
        assert_true(at <= len);
        if (head[0] == 0) {
            *bytes += size;
            continue;
        }
        assert_int_equal(head[0], 2);
        json_t *json = json_loadb((const char *)head + ENVELOPE_HEAD_BYTES, size, 0, NULL);

        assert_true(json_is_object(json));
        const json_t *error = json_object_get(json, "error");

        if (error != NULL) {
            (void)snprintf(code, sizeof(code), "%s",
                           json_string_value(json_object_get(error, "code")));
        }
        json_decref(json);
        assert_int_equal(at, len); /* nothing behind it */
        return code;
    }
    fail_msg("a stream without an end");
    return NULL;
}

/* Reads a stream whole. Its end's code. */
static const char *read_stream(struct tls_peer *p, size_t *bytes)
{
    assert_int_equal(tls_peer_head(p), 200);
    assert_non_null(strstr(p->head, "application/connect+proto"));
    const char *length = tls_peer_header(p, "Content-Length"); /* where it is the end alone */
    size_t len = 0, wanted = length != NULL ? strtoul(length, NULL, 10) : 0, n;

    while (len < wanted && (n = tls_peer_read(p, body + len, wanted - len)) > 0) {
        len += n;
    }
    if (length == NULL) {
        assert_non_null(strstr(p->head, "Transfer-Encoding: chunked"));
        len = wanted = tls_peer_chunks(p, body, BODY_MAX_BYTES);
    }
    assert_true(len == wanted && len <= BODY_MAX_BYTES); /* not cut */
    return end_of(len, bytes);
}

static void expect_frames(struct tls_peer *p, unsigned frames)
{
    size_t bytes;
    const char *code = read_stream(p, &bytes);

    assert_string_equal(code, "");
    assert_in_range(bytes, (size_t)frames * FRAME_BYTES, (size_t)frames * FRAME_BYTES + 65536);
}

/* All of the caller's share of the arena can be had: nothing holds any of it. Soon, not at once: who
 * has just gone may not have been noticed. */
static void expect_whole_share(void)
{
    uint64_t until_ns = clock_monotonic_ns() + SERVED_WAIT_S * CLOCK_NS_PER_S;
    const char *code;
    size_t bytes;

    do {
        struct tls_peer p;

        gateway_open(&p);
        ask(&p, BIG_FRAMES, "");
        code = read_stream(&p, &bytes);
        tls_peer_close(&p);
        assert_true(clock_monotonic_ns() < until_ns);
    } while (strcmp(code, "resource_exhausted") == 0);
    assert_string_equal(code, "");
}

static void expect_host(struct tls_peer *p)
{
    size_t len = 0;

    assert_int_equal(tls_peer_response(p, &len), 200);
    assert_true(len > 0);
}

/* --- what is asked ------------------------------------------------------------------------------------ */

static void a_stream_of_sixty_four_mebibytes_comes_whole(void **state)
{
    struct tls_peer p;

    (void)state;
    gateway_open(&p);
    ask(&p, BIG_FRAMES, "");
    expect_frames(&p, BIG_FRAMES);
    ask(&p, 200, ""); /* and the connection goes on */
    expect_frames(&p, 200);
    tls_peer_close(&p);
}

static void pipelined_requests_are_answered_in_their_order(void **state)
{
    char requests[4096];
    struct tls_peer p;
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        len += (size_t)snprintf(requests + len, sizeof(requests) - len, HOST_CALL);
        len += write_request(requests + len, sizeof(requests) - len, 130 + (unsigned)i, "");
    }
    len += (size_t)snprintf(requests + len, sizeof(requests) - len,
                            "GET /nothing HTTP/1.1\r\nHost: t\r\n\r\n" HOST_CALL);
    gateway_open(&p);
    assert_true(tls_peer_send(&p, requests, len));
    for (unsigned i = 0; i < 3; i++) {
        expect_host(&p);
        expect_frames(&p, 130 + i);
    }
    assert_int_equal(tls_peer_response(&p, NULL), 404);
    expect_host(&p);
    tls_peer_close(&p);
}

/* HTTP/1.0 knows no chunks: the connection's end is the stream's. */
static void a_client_of_http_1_0_gets_its_stream_to_the_end_of_the_connection(void **state)
{
    char request[1024];
    struct tls_peer p;
    size_t len, bytes, total = 0, n;

    (void)state;
    len = write_request(request, sizeof(request), 130, "");
    memcpy(strstr(request, "HTTP/1.1"), "HTTP/1.0", 8);
    gateway_open(&p);
    assert_true(tls_peer_send(&p, request, len));
    while ((n = tls_peer_read(&p, body + total, BODY_MAX_BYTES - total)) > 0) {
        total += n;
    }
    const uint8_t *begins = memmem(body, total, "\r\n\r\n", 4);

    assert_non_null(begins);
    len = total - (size_t)(begins + 4 - body);
    memmove(body, begins + 4, len);
    assert_string_equal(end_of(len, &bytes), "");
    tls_peer_close(&p);
}

/* --- half-closed -------------------------------------------------------------------------------------- */

enum closing { BY_TLS = 1, BY_TCP = 2, BY_BOTH = 3 };

static void close_half(struct tls_peer *p, enum closing how)
{
    if ((how & BY_TLS) != 0) {
        (void)SSL_shutdown(p->ssl);
    }
    if ((how & BY_TCP) != 0) {
        assert_int_equal(shutdown(p->fd, SHUT_WR), 0);
    }
}

static void who_has_said_all_still_gets_his_answer(void **state)
{
    (void)state;
    for (int how = BY_TLS; how <= BY_BOTH; how++) {
        struct tls_peer p;

        gateway_open(&p);
        assert_true(tls_peer_say(&p, HOST_CALL));
        close_half(&p, (enum closing)how);
        expect_host(&p);
        tls_peer_close(&p);
        gateway_open(&p);
        ask(&p, 4096, "");
        close_half(&p, (enum closing)how);
        expect_frames(&p, 4096);
        tls_peer_close(&p);
    }
    expect_whole_share();
}

static void half_a_request_and_no_more_is_no_request(void **state)
{
    char request[1024];
    size_t len = write_request(request, sizeof(request), 1, "");

    (void)state;
    for (size_t cut = 1; cut < len; cut += 23) {
        struct tls_peer p;

        gateway_open(&p);
        assert_true(tls_peer_send(&p, request, cut));
        close_half(&p, BY_BOTH);
        assert_true(tls_peer_head(&p) != 200);
        tls_peer_close(&p);
    }
    expect_whole_share();
}

/* --- readers that do not read ------------------------------------------------------------------------- */

static void open_slow(struct tls_peer *p)
{
    const struct tls_peer_options options = gateway_operator(4096);

    assert_true(tls_peer_open(p, gateway.port, &options));
}

static void slow_readers_of_streams_hold_up_nobody(void **state)
{
    enum { SLOW = 16, CALLS = 100 };
    struct tls_peer slow[SLOW], p;
    uint64_t began_ns;

    (void)state;
    for (size_t i = 0; i < SLOW; i++) {
        open_slow(&slow[i]);
        ask(&slow[i], 1000, "");
        assert_int_equal(tls_peer_head(&slow[i]), 200);
    }
    gateway_open(&p);
    began_ns = clock_monotonic_ns();
    for (int i = 0; i < CALLS; i++) {
        assert_true(tls_peer_say(&p, HOST_CALL));
        expect_host(&p);
    }
    ask(&p, 200, "");
    expect_frames(&p, 200);
    /* Below the time after which a reader that does not read is ended. */
    assert_true(clock_monotonic_ns() - began_ns < 4 * CLOCK_NS_PER_S);
    for (size_t i = 0; i < SLOW; i++) {
        size_t len = tls_peer_chunks(&slow[i], body, BODY_MAX_BYTES), bytes;

        assert_true(len <= BODY_MAX_BYTES);
        assert_string_equal(end_of(len, &bytes), ""); /* nor are they lost themselves */
        tls_peer_close(&slow[i]);
    }
    tls_peer_close(&p);
}

static void who_stops_reading_a_stream_is_ended_and_holds_nothing(void **state)
{
    struct tls_peer slow, other;
    size_t bytes;

    (void)state;
    open_slow(&slow);
    ask(&slow, BIG_FRAMES, "");
    assert_int_equal(tls_peer_head(&slow), 200);
    gateway_open(&other);
    ask(&other, BIG_FRAMES, "");
    assert_string_equal(read_stream(&other, &bytes),
                        "resource_exhausted"); /* at once, not a wait */
    expect_whole_share();
    tls_peer_close(&other);
    tls_peer_close(&slow);
}

static void who_leaves_in_mid_stream_holds_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
        struct tls_peer p;

        open_slow(&p);
        ask(&p, 4000, "");
        if (round % 3 > 0) {
            assert_int_equal(tls_peer_head(&p), 200);
        }
        if (round % 3 > 1) {
            assert_true(tls_peer_read(&p, body, 100000) > 0);
        }
        if (round % 2 == 0) { /* by a reset, or by an end */
            (void)setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        }
        tls_peer_close(&p);
    }
    expect_whole_share();
}

static void a_streams_time_ends_it_within_the_stream(void **state)
{
    struct tls_peer p;
    size_t bytes;

    (void)state;
    open_slow(&p);
    ask(&p, BIG_FRAMES, "Connect-Timeout-Ms: 300\r\n");
    gateway_pause_ms(500); /* what the kernel takes of it is less than all */
    const char *code = read_stream(&p, &bytes);

    assert_string_equal(code, "deadline_exceeded");
    assert_true(bytes < (size_t)BIG_FRAMES * FRAME_BYTES);
    tls_peer_close(&p);
    expect_whole_share();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_of_sixty_four_mebibytes_comes_whole),
        cmocka_unit_test(pipelined_requests_are_answered_in_their_order),
        cmocka_unit_test(a_client_of_http_1_0_gets_its_stream_to_the_end_of_the_connection),
        cmocka_unit_test(who_has_said_all_still_gets_his_answer),
        cmocka_unit_test(half_a_request_and_no_more_is_no_request),
        cmocka_unit_test(slow_readers_of_streams_hold_up_nobody),
        cmocka_unit_test(who_stops_reading_a_stream_is_ended_and_holds_nothing),
        cmocka_unit_test(who_leaves_in_mid_stream_holds_nothing),
        cmocka_unit_test(a_streams_time_ends_it_within_the_stream),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin, end);
}
