/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The listener: requests and replies, whenever the exchange answers; framing; limits; the stop. */

#include <signal.h>

#include "server/http/body.h"
#include "tests/lib/listener_rig.h"

static void each_way_to_answer_delivers_its_body(void **state)
{
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    rig_get(&p, "/now/100", 100);
    rig_get(&p, "/sync/70000", 70000);
    for (int i = 0; i < 200; i++) { /* on_ready races with the suspension */
        rig_get(&p, "/later/4096", 4096);
    }
    rig_get(&p, "/now/0", 0);
    rig_get(&p, "/later/67108864", 67108864);
    tls_peer_close(&p);
    rig_stop();
}

/* … until it ends, and not a connection longer. */
static void what_rpc_remembers_of_a_connection_is_there_with_its_next_request(void **state)
{
    struct tls_peer first, second;
    unsigned forgotten = rig.forgotten, remembered = rig.remembered, recognised = rig.recognised;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&first);
    rig_open(&second);
    for (int i = 0; i < 3; i++) {
        rig_get(&first, "/later/5", 5);
        rig_get(&second, "/sync/5000", 5000);
    }
    tls_peer_close(&first);
    rig_wait(&rig.forgotten, forgotten + 1);
    tls_peer_close(&second);
    rig_wait(&rig.forgotten, forgotten + 2);
    rig_stop();
    assert_int_equal(rig.remembered, remembered + 2);
    assert_int_equal(rig.recognised, recognised + 4);
}

static void a_held_request_holds_up_nobody_else(void **state)
{
    struct tls_peer held, other;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&held);
    assert_true(tls_peer_say(&held, "GET /held/5 HTTP/1.1\r\nHost: test\r\n\r\n"));
    rig_wait_held(1);
    for (int i = 0; i < 4; i++) { /* on every thread of the daemon */
        rig_open(&other);
        rig_get(&other, "/now/5", 5);
        tls_peer_close(&other);
    }
    rig_release();
    assert_int_equal(tls_peer_response(&held, NULL), 200);
    rig_get(&held, "/now/5", 5);
    tls_peer_close(&held);
    rig_stop();
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct tls_peer p;
    size_t len = 0;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    assert_true(tls_peer_say(&p, "GET /held/11 HTTP/1.1\r\nHost: test\r\n\r\n"
                                 "GET /now/22 HTTP/1.1\r\nHost: test\r\n\r\n"
                                 "GET /later/33 HTTP/1.1\r\nHost: test\r\n\r\n"));
    rig_wait_held(1);
    rig_release();
    assert_int_equal(tls_peer_response(&p, &len), 200);
    assert_int_equal(len, 11);
    assert_int_equal(tls_peer_response(&p, &len), 200);
    assert_int_equal(len, 22);
    assert_int_equal(tls_peer_response(&p, &len), 200);
    assert_int_equal(len, 33);
    tls_peer_close(&p);
    rig_stop();
}

static void head_has_a_length_and_no_body(void **state)
{
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    assert_true(tls_peer_say(&p, "HEAD /later/4096 HTTP/1.1\r\nHost: test\r\n\r\n"));
    assert_int_equal(tls_peer_head(&p), 200);
    assert_int_equal(strtol(tls_peer_header(&p, "Content-Length"), NULL, 10), 4096);
    rig_get(&p, "/now/7", 7);
    tls_peer_close(&p);
    rig_stop();
}

/* --- bodies -------------------------------------------------------------------------------------- */

static void post(struct tls_peer *p, const char *target, size_t len, bool chunked)
{
    char head[256];
    char *body = calloc(1, len + 1);

    memset(body, 'b', len);
    if (chunked) {
        (void)snprintf(head, sizeof(head),
                       "POST %s HTTP/1.1\r\nHost: test\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n%zx\r\n",
                       target, len);
    } else {
        (void)snprintf(head, sizeof(head),
                       "POST %s HTTP/1.1\r\nHost: test\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       target, len);
    }
    (void)tls_peer_say(p, head);
    (void)tls_peer_send(p, body, len);
    if (chunked) {
        (void)tls_peer_say(p, "\r\n0\r\n\r\n");
    }
    free(body);
}

static void a_body_of_the_maximum_passes_and_one_byte_more_is_refused(void **state)
{
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    for (int chunked = 0; chunked < 2; chunked++) {
        rig_open(&p);
        post(&p, "/now/1", RIG_BODY_MAX_BYTES, chunked);
        assert_int_equal(tls_peer_response(&p, NULL), 200);
        post(&p, "/now/1", RIG_BODY_MAX_BYTES + 1, chunked);
        assert_int_equal(tls_peer_response(&p, NULL), 429);
        tls_peer_close(&p);
    }
    rig_stop();
}

static void a_length_beyond_the_maximum_is_refused_before_the_body_is_read(void **state)
{
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    assert_true(tls_peer_say(&p, "POST /now/1 HTTP/1.1\r\nHost: test\r\n"
                                 "Content-Length: 99999999999\r\n\r\n"));
    assert_int_equal(tls_peer_response(&p, NULL), 429);
    assert_true(tls_peer_ended(&p));
    tls_peer_close(&p);
    rig_stop();
}

static void an_endless_chunked_body_ends_the_connection(void **state)
{
    static const char chunk[16384];
    struct tls_peer p;
    size_t sent = 0;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    assert_true(tls_peer_say(&p, "POST /now/1 HTTP/1.1\r\nHost: test\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n"));
    while (tls_peer_send(&p, chunk, sizeof(chunk))) {
        sent += sizeof(chunk);
        assert_true(sent < 64 * 1024 * 1024);
    }
    tls_peer_close(&p);
    rig_wait(&rig.live, 0);
    rig_stop();
}

static void a_refused_request_with_a_short_body_keeps_its_connection(void **state)
{
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    post(&p, "/refused", BODY_DISCARD_MAX_BYTES, false);
    assert_int_equal(tls_peer_response(&p, NULL), 403);
    post(&p, "/refused", BODY_DISCARD_MAX_BYTES, true);
    assert_int_equal(tls_peer_response(&p, NULL), 403);
    rig_get(&p, "/now/1", 1);
    post(&p, "/refused", BODY_DISCARD_MAX_BYTES + 1, false); /* too much to read for nothing */
    assert_int_equal(tls_peer_response(&p, NULL), 403);
    while (!tls_peer_ended(&p)) {
    }
    tls_peer_close(&p);
    rig_stop();
}

static void framing_that_can_be_read_two_ways_is_refused(void **state)
{
    static const char *const framings[] = {
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\nContent-Length: 3\r\n",
        "Content-Length : 3\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 30\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: -1\r\n",
    };

    (void)state;
    rig_start(&rig_limits);
    for (size_t i = 0; i < sizeof(framings) / sizeof(framings[0]); i++) {
        struct tls_peer p;

        rig_open(&p);
        assert_true(tls_peer_say(&p, "POST /now/1 HTTP/1.1\r\nHost: test\r\n"));
        assert_true(tls_peer_say(&p, framings[i]));
        (void)tls_peer_say(&p,
                           "\r\n3\r\nabc\r\n0\r\n\r\nGET /now/1 HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_int_equal(tls_peer_response(&p, NULL), 400);
        while (!tls_peer_ended(&p)) {
        }
        tls_peer_close(&p);
        assert_true(rig.seen <= i + 1); /* what follows is not taken for a request */
    }
    rig_stop();
}

/* The daemon answers these itself, before a request is there; whatever it says, it is a refusal, and
 * what follows is no request. */
static void a_length_that_is_no_number_ends_the_connection(void **state)
{
    static const struct {
        const char *length;
        int status;
    } rows[] = {
        { "-1", 400 },
        { "+3", 400 },
        { "0x3", 400 },
        { "3, 3", 400 },
        { "three", 400 },
        { "", 400 },
        { "99999999999999999999999", 413 },
    };

    (void)state;
    rig_start(&rig_limits);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[2048] = "";
        size_t len = 0, n;
        struct tls_peer p;

        rig_open(&p);
        assert_true(tls_peer_say(&p, "POST /now/1 HTTP/1.1\r\nHost: test\r\nContent-Length: "));
        assert_true(tls_peer_say(&p, rows[i].length));
        (void)tls_peer_say(&p, "\r\n\r\nabcGET /now/1 HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_int_equal(tls_peer_head(&p), rows[i].status);
        while ((n = tls_peer_read(&p, text + len, sizeof(text) - 1 - len)) > 0) {
            len += n;
        }
        assert_true(len < sizeof(text) - 1);
        assert_null(strstr(text, "HTTP/1.1 2"));
        assert_int_equal(rig.seen, 0);
        tls_peer_close(&p);
    }
    rig_stop();
}

/* A proxy of that version would not have read the chunks as one body. */
static void a_chunked_body_of_http_1_0_is_refused(void **state)
{
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    assert_true(tls_peer_say(&p, "POST /now/1 HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                                 "GET /now/1 HTTP/1.1\r\nHost: test\r\n\r\n"));
    assert_int_equal(tls_peer_response(&p, NULL), 400);
    while (!tls_peer_ended(&p)) {
    }
    tls_peer_close(&p);
    assert_true(rig.seen <= 1);
    rig_stop();
}

static void garbage_behind_the_handshake_ends_that_connection_only(void **state)
{
    static const char *const garbage[] = {
        "\r\n\r\n\r\n",
        "GET",
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01",
        "GET / HTTP/1.1\r\n:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET  HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /now/1 HTTP/1.1\r\n\r\n",
    };
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        rig_open(&p);
        (void)tls_peer_say(&p, garbage[i]);
        (void)SSL_shutdown(p.ssl);
        (void)shutdown(p.fd, SHUT_WR);
        assert_int_not_equal(tls_peer_response(&p, NULL), 200);
        tls_peer_close(&p);
    }
    rig_open(&p);
    rig_get(&p, "/now/1", 1);
    tls_peer_close(&p);
    rig_stop();
}

static void a_head_beyond_the_memory_of_a_connection_is_refused(void **state)
{
    char line[20000];
    struct tls_peer p;

    (void)state;
    memset(line, 'a', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    rig_start(&rig_limits);
    rig_open(&p);
    assert_true(tls_peer_say(&p, "GET /"));
    (void)tls_peer_say(&p, line);
    assert_int_equal(tls_peer_response(&p, NULL), 414);
    tls_peer_close(&p);
    rig_open(&p);
    assert_true(tls_peer_say(&p, "GET /now/1 HTTP/1.1\r\nHost: test\r\nX-Long: "));
    (void)tls_peer_say(&p, line);
    assert_int_equal(tls_peer_response(&p, NULL), 431);
    tls_peer_close(&p);
    rig_stop();
}

/* --- clients that go, and the stop ------------------------------------------------------------------ */

static void a_client_that_goes_leaves_nothing_behind(void **state)
{
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    assert_true(tls_peer_say(&p, "GET /held/1000000 HTTP/1.1\r\nHost: test\r\n\r\n"));
    rig_wait_held(1);
    tls_peer_close(&p);
    rig_release();
    rig_wait(&rig.live, 0);
    rig_stop();
}

/* By the end of TLS, of TCP, or of both. */
static void a_client_that_has_said_all_still_gets_its_reply(void **state)
{
    static const char *const targets[] = { "/now/1000000", "/sync/10", "/later/10",
                                           "/held/1000000" };
    struct listener_limits limits = rig_limits;

    (void)state;
    limits.idle_timeout_s = 3600; /* it is not by this that its connection ends */
    rig_start(&limits);
    for (size_t i = 0; i < 3 * sizeof(targets) / sizeof(targets[0]); i++) {
        const char *target = targets[i / 3];
        bool is_held = strncmp(target, "/held", 5) == 0;
        struct tls_peer p;
        size_t len = 0;
        char request[128];

        (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", target);
        rig_open(&p);
        assert_true(tls_peer_say(&p, request));
        if (i % 3 != 0) {
            (void)SSL_shutdown(p.ssl);
        }
        if (i % 3 != 1) {
            (void)shutdown(p.fd, SHUT_WR);
        }
        if (is_held) {
            rig_wait_held(1);
            rig_release();
        }
        assert_int_equal(tls_peer_response(&p, &len), 200);
        assert_int_equal(len, strtoul(strrchr(target, '/') + 1, NULL, 10));
        assert_true(tls_peer_ended(&p)); /* and then its connection ends */
        rig_wait(&rig.live, 0);
        tls_peer_close(&p);
    }
    rig_stop();
}

static void *stop_in_thread(void *arg)
{
    (void)arg;
    rig_stop();
    return NULL;
}

static void stopping_waits_for_exchanges_that_run(void **state)
{
    struct tls_peer p;
    pthread_t stopper;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    assert_true(tls_peer_say(&p, "GET /held/5 HTTP/1.1\r\nHost: test\r\n\r\n"));
    rig_wait_held(1);
    pthread_create(&stopper, NULL, stop_in_thread, NULL);
    { /* a connection attempt is refused when the stop has begun: the event to wait for */
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_port = htons(rig.port),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd, refused;

        do {
            fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            refused = connect(fd, (const struct sockaddr *)&address, sizeof(address));
            (void)close(fd);
        } while (refused == 0);
    }
    rig_release();
    assert_int_equal(tls_peer_response(&p, NULL), 200);
    assert_non_null(strstr(p.head, "Connection: close"));
    pthread_join(stopper, NULL);
    tls_peer_close(&p);
}

static void stopping_outlasts_exchanges_that_do_not_end(void **state)
{
    struct tls_peer p[3];
    uint64_t began_ns;

    (void)state;
    rig_start(&rig_limits);
    for (size_t i = 0; i < 3; i++) {
        rig_open(&p[i]);
        assert_true(tls_peer_say(&p[i], "GET /held/5 HTTP/1.1\r\nHost: test\r\n\r\n"));
    }
    rig_wait_held(3);
    began_ns = clock_monotonic_ns();
    listener_stop(rig.listener, 200); /* with connections suspended: must not abort */
    assert_in_range(clock_monotonic_ns() - began_ns, 200 * CLOCK_NS_PER_MS, 5 * CLOCK_NS_PER_S);
    assert_int_equal(rig.live, 3); /* must not be freed: they run */
    rig_release();
    rig_wait(&rig.live, 0);
    for (size_t i = 0; i < 3; i++) {
        tls_peer_close(&p[i]);
    }
}

static void stopping_ends_idle_connections_and_unread_replies(void **state)
{
    struct tls_peer idle, unread;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&idle);
    rig_get(&idle, "/now/1", 1);
    rig_open(&unread);
    assert_true(tls_peer_say(&unread, "GET /now/67108864 HTTP/1.1\r\nHost: test\r\n\r\n"));
    assert_int_equal(tls_peer_head(&unread), 200);
    listener_stop(rig.listener, 100);
    rig_wait(&rig.live, 0);
    assert_true(tls_peer_ended(&idle));
    tls_peer_close(&idle);
    tls_peer_close(&unread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_to_answer_delivers_its_body),
        cmocka_unit_test(what_rpc_remembers_of_a_connection_is_there_with_its_next_request),
        cmocka_unit_test(a_held_request_holds_up_nobody_else),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(head_has_a_length_and_no_body),
        cmocka_unit_test(a_body_of_the_maximum_passes_and_one_byte_more_is_refused),
        cmocka_unit_test(a_length_beyond_the_maximum_is_refused_before_the_body_is_read),
        cmocka_unit_test(an_endless_chunked_body_ends_the_connection),
        cmocka_unit_test(a_refused_request_with_a_short_body_keeps_its_connection),
        cmocka_unit_test(framing_that_can_be_read_two_ways_is_refused),
        cmocka_unit_test(a_length_that_is_no_number_ends_the_connection),
        cmocka_unit_test(a_chunked_body_of_http_1_0_is_refused),
        cmocka_unit_test(garbage_behind_the_handshake_ends_that_connection_only),
        cmocka_unit_test(a_head_beyond_the_memory_of_a_connection_is_refused),
        cmocka_unit_test(a_client_that_goes_leaves_nothing_behind),
        cmocka_unit_test(a_client_that_has_said_all_still_gets_its_reply),
        cmocka_unit_test(stopping_waits_for_exchanges_that_run),
        cmocka_unit_test(stopping_outlasts_exchanges_that_do_not_end),
        cmocka_unit_test(stopping_ends_idle_connections_and_unread_replies),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, rig_make_pki, rig_drop_pki);
}
