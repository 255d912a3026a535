/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Clients that no client library would be, against the real gateway on the simulator: strangers that
 * begin handshakes, readers and senders that do not move on, bodies without an end. Others are served
 * meanwhile, nothing spins, and no slot of the arena stays taken.
 */
#include "tests/lib/gateway.h"

#include <errno.h>

enum { BIG_FRAMES = 16384 };

static const char scenario[] =
    "seed = 1\n"
    "domain \"big\" {\n"
    "  domid = 1  uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01\"  type = \"pv\"\n"
    "  grants { version = 1 frames = 16384 frames_max = 16384 entries = 1000 }\n"
    "}\n";

/* Short times, so that the test is short. */
static const char limits[] =
    "limits {\n"
    "  handshake_timeout_s = 3\n  idle_timeout_s = 60\n  receive_timeout_s = 2\n"
    "  connections_per_address = 400\n  request_max_kib = 64\n"
    "  arena_percent_per_identity = 30\n}\n"; /* of 256 MiB: one answer of 64 MiB, not two */

#define FRAMES "/v1/domains/1/resources/grant_table/0/frames"

static int start_gateway(void **state)
{
    (void)state;
    return gateway_set_up("hostile", scenario, limits);
}

static int stop_gateway(void **state)
{
    (void)state;
    return gateway_tear_down();
}

static int get(struct tls_peer *p, unsigned frames, size_t *len)
{
    char request[256];

    (void)snprintf(request, sizeof(request),
                   "GET " FRAMES "?first=0&count=%u HTTP/1.1\r\nHost: test\r\n\r\n", frames);
    return tls_peer_say(p, request) ? tls_peer_response(p, len) : 0;
}

static void expect_served(void)
{
    struct tls_peer p;
    size_t len = 0;

    gateway_open(&p);
    assert_int_equal(get(&p, 16, &len), 200);
    assert_int_equal(len, 16 * 4096);
    tls_peer_close(&p);
}

/* CPU of the gateway's processes: the supervisor, and what it started. */
static double cpu_s(void)
{
    char path[GATEWAY_PATH_BYTES], children[256] = "", pids[300], *rest = pids, *pid;
    double sum = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", gateway.pid, gateway.pid);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_true(fread(children, 1, sizeof(children) - 1, file) > 0);
    (void)fclose(file);
    (void)snprintf(pids, sizeof(pids), "%d %s", gateway.pid, children);
    while ((pid = strsep(&rest, " \n")) != NULL) {
        unsigned long user = 0, system = 0;

        if (*pid == '\0') {
            continue;
        }
        (void)snprintf(path, sizeof(path), "/proc/%.10s/stat", pid);
        file = fopen(path, "re");
        assert_non_null(file);
        assert_int_equal(fscanf(file,
                                "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                                "%lu %lu",
                                &user, &system),
                         2);
        (void)fclose(file);
        sum += (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    }
    return sum;
}

static void strangers_with_six_bytes_cost_nothing_and_are_ended(void **state)
{
    enum { STRANGERS = 300 };
    int fds[STRANGERS];
    double before, used;
    char byte;

    (void)state;
    for (size_t i = 0; i < STRANGERS; i++) {
        fds[i] = tls_peer_connect(gateway.port, 0);
        assert_int_equal(send(fds[i], "\x16\x03\x01\x02\x00\x01", 6, 0), 6);
    }
    expect_served();
    before = cpu_s();
    for (size_t i = 0; i < STRANGERS; i++) {
        assert_true(recv(fds[i], &byte, 1, 0) <= 0 || byte == 0x15);
        assert_int_not_equal(errno, EAGAIN);
        (void)close(fds[i]);
    }
    used = cpu_s() - before;
    print_message("%d strangers: %.2f s of CPU until the last was ended\n", STRANGERS, used);
    assert_true(used < 0.5); /* of about 3 s */
    expect_served();
}

static void slow_readers_do_not_keep_the_arena(void **state)
{
    struct tls_peer slow, other;
    const struct tls_peer_options options = gateway_operator(4096);
    uint64_t until_ns;
    int status;

    (void)state;
    assert_true(tls_peer_open(&slow, gateway.port, &options));
    assert_true(tls_peer_say(&slow, "GET " FRAMES " HTTP/1.1\r\nHost: test\r\n\r\n"));
    assert_int_equal(tls_peer_head(&slow), 200);
    gateway_open(&other);
    assert_int_equal(get(&other, BIG_FRAMES, NULL), 429); /* at once, not a wait */
    until_ns = clock_monotonic_ns() + 30 * CLOCK_NS_PER_S;
    while ((status = get(&other, BIG_FRAMES, NULL)) == 429 && clock_monotonic_ns() < until_ns) {
        gateway_pause_ms(100);
    }
    assert_int_equal(status, 200);
    tls_peer_close(&other);
    tls_peer_close(&slow);
    expect_served();
}

static void a_sender_that_drips_is_ended(void **state)
{
    struct tls_peer p;
    uint64_t began_ns = clock_monotonic_ns();

    (void)state;
    gateway_open(&p);
    assert_true(tls_peer_say(&p,
                             "POST /xenres.v1.HostService/GetHost HTTP/1.1\r\nHost: test\r\n"
                             "Content-Type: application/proto\r\nContent-Length: 1000\r\n\r\n"));
    while (tls_peer_say(&p, "x")) {
        assert_true(clock_monotonic_ns() - began_ns < 20 * CLOCK_NS_PER_S);
        gateway_pause_ms(100);
    }
    tls_peer_close(&p);
    expect_served();
}

/* The refusal has a Connect code in a JSON body. */
static void expect_refusal(const char *head, int status, const char *code)
{
    struct tls_peer p;
    char body[4096] = "";
    size_t len = 0, n;

    gateway_open(&p);
    assert_true(tls_peer_say(&p, "POST /xenres.v1.HostService/GetHost HTTP/1.1\r\nHost: test\r\n"
                                 "Content-Type: application/proto\r\n"));
    assert_true(tls_peer_say(&p, head));
    assert_int_equal(tls_peer_head(&p), status);
    while (len < sizeof(body) - 1 &&
           (n = tls_peer_read(&p, body + len, sizeof(body) - 1 - len)) > 0) {
        len += n; /* to the end: such a connection is not used again */
    }
    assert_non_null(strstr(p.head, "Content-Type: application/json"));
    assert_non_null(strstr(body, code));
    tls_peer_close(&p);
}

static void bodies_too_long_and_framings_of_two_minds_get_a_connect_error(void **state)
{
    (void)state;
    expect_refusal("Content-Length: 99999999\r\n\r\n", 429, "\"resource_exhausted\"");
    expect_refusal("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
                   "\"invalid_argument\"");
    expect_refusal("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400,
                   "\"invalid_argument\"");
    expect_served();
}

static void a_body_without_end_is_ended(void **state)
{
    static const char piece[16384];
    struct tls_peer p;
    size_t sent = 0;

    (void)state;
    gateway_open(&p);
    assert_true(tls_peer_say(&p, "POST /xenres.v1.HostService/GetHost HTTP/1.1\r\nHost: test\r\n"
                                 "Content-Type: application/proto\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n"));
    while (tls_peer_send(&p, piece, sizeof(piece))) {
        sent += sizeof(piece);
        assert_true(sent < 64 * 1024 * 1024);
    }
    tls_peer_close(&p);
    expect_served();
}

static void connections_that_vanish_in_any_state_leave_the_others_alone(void **state)
{
    static const char *const begun[] = {
        "G",
        "GET " FRAMES " HTTP/1.1\r\n",
        "GET " FRAMES " HTTP/1.1\r\nHost: test\r\n\r\n",
        "GET " FRAMES "?first=0&count=1 HTTP/1.1\r\nHost: t\r\n\r\nGET " FRAMES
        " HTTP/1.1\r\nHost:",
        "HEAD " FRAMES " HTTP/1.1\r\nHost: test\r\n\r\n",
    };

    (void)state;
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof(begun) / sizeof(begun[0]); i++) {
            const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
            struct tls_peer p;

            gateway_open(&p);
            assert_true(tls_peer_say(&p, begun[i]));
            if (round % 2 == 0) { /* by a reset, or by an end */
                (void)setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
            }
            tls_peer_close(&p);
        }
    }
    expect_served();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_with_six_bytes_cost_nothing_and_are_ended),
        cmocka_unit_test(slow_readers_do_not_keep_the_arena),
        cmocka_unit_test(a_sender_that_drips_is_ended),
        cmocka_unit_test(bodies_too_long_and_framings_of_two_minds_get_a_connect_error),
        cmocka_unit_test(a_body_without_end_is_ended),
        cmocka_unit_test(connections_that_vanish_in_any_state_leave_the_others_alone),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start_gateway, stop_gateway);
}
