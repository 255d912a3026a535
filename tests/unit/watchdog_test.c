/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Sockets that are kept until their peers have read: how many, and how much is read away from one.
 * The clock stands still, so that no socket has had its time. */
#include "server/http/watchdog.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/lib/unit.h"

enum { WAIT_MS = 10000 };

static struct connections connections;
static struct tally tally;
static struct watchdog *w;

static _Atomic uint64_t now_ns = CLOCK_NS_PER_S;

static uint64_t standing_still(void *arg)
{
    (void)arg;
    return now_ns;
}

static int set_up(void **state)
{
    static const struct clock_source source = { .monotonic_ns = standing_still,
                                                .wall_ns = standing_still };
    static const struct listener_limits limits = { 0 };

    (void)state;
    clock_set_source(&source);
    tally_init(&tally);
    assert_int_equal(connections_init(&connections, 1, 1, NULL), 0);
    return watchdog_start(&connections, &tally, &limits, &w, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    watchdog_stop(w);
    connections_done(&connections);
    tally_done(&tally);
    clock_set_source(NULL);
    return 0;
}

/* The peer's end of a socket that lingers, and whose own end its owner has closed. */
static int lingering(void)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    watchdog_linger(w, ends[0]);
    assert_int_equal(close(ends[0]), 0);
    return ends[1];
}

static bool is_kept(int fd)
{
    return send(fd, "x", 1, MSG_NOSIGNAL) == 1;
}

static void so_many_linger_and_not_one_more(void **state)
{
    int peers[WATCHDOG_LINGER_MAX + 1];
    char byte;

    (void)state;
    for (int i = 0; i <= WATCHDOG_LINGER_MAX; i++) {
        peers[i] = lingering();
    }
    for (int i = 0; i < WATCHDOG_LINGER_MAX; i++) {
        assert_true(is_kept(peers[i]));
        assert_int_equal(recv(peers[i], &byte, 1, MSG_DONTWAIT), 0); /* half closed */
    }
    assert_false(is_kept(peers[WATCHDOG_LINGER_MAX]));
    for (int i = 0; i <= WATCHDOG_LINGER_MAX; i++) {
        close(peers[i]);
    }
}

/* Sends; false once the other end is closed. */
static bool send_all(int fd, size_t len_bytes)
{
    static const char bytes[65536];

    while (len_bytes > 0) {
        struct pollfd row = { .fd = fd, .events = POLLOUT };
        ssize_t n = send(fd, bytes, len_bytes < sizeof(bytes) ? len_bytes : sizeof(bytes),
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN) {
            return false;
        }
        len_bytes -= n > 0 ? (size_t)n : 0;
        assert_int_equal(n < 0 ? poll(&row, 1, WAIT_MS) : 1, 1);
    }
    return true;
}

/* Until the watchdog has taken all that was sent, or has closed. */
static void wait_until_taken(int fd)
{
    int left = 1;

    for (int i = 0; i < WAIT_MS && left > 0; i++) {
        struct pollfd row = { .fd = fd };

        assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
        if (poll(&row, 1, left > 0 ? 1 : 0) > 0 && (row.revents & POLLHUP) != 0) {
            return;
        }
    }
    assert_int_equal(left, 0);
}

static void so_many_bytes_are_read_away_and_not_one_more(void **state)
{
    int fd = lingering();

    (void)state;
    assert_true(send_all(fd, WATCHDOG_LINGER_MAX_BYTES - 1));
    wait_until_taken(fd);
    assert_true(is_kept(fd)); /* this byte is the last */
    wait_until_taken(fd);
    struct pollfd row = { .fd = fd };

    assert_int_equal(poll(&row, 1, WAIT_MS), 1);
    assert_true((row.revents & POLLHUP) != 0);
    assert_false(is_kept(fd));
    close(fd);
}

/* Asked until the thread has answered in time, which it does where nothing is stuck. */
static bool becomes_well(void)
{
    bool is_well = watchdog_is_well(w);

    for (int i = 0; i < WAIT_MS && !is_well; i++) {
        (void)poll(NULL, 0, 1);
        is_well = watchdog_is_well(w);
    }
    return is_well;
}

/* A connection that was ended and is there still: its thread hangs. */
static void what_was_ended_has_to_go_in_time(void **state)
{
    struct connection hung = { .ended = true, .ended_ns = now_ns, .table = &connections };

    (void)state;
    assert_true(watchdog_is_well(w)); /* to the first question */
    assert_true(becomes_well());
    (void)pthread_mutex_lock(&connections.lock);
    connections.head = &hung;
    (void)pthread_mutex_unlock(&connections.lock);
    now_ns += WATCHDOG_STUCK_S * CLOCK_NS_PER_S;
    watchdog_look(w);
    assert_true(becomes_well()); /* it has that long */
    now_ns += 1;
    watchdog_look(w);
    assert_false(watchdog_is_well(w));
    assert_false(watchdog_is_well(w));
    (void)pthread_mutex_lock(&connections.lock);
    connections.head = NULL;
    (void)pthread_mutex_unlock(&connections.lock);
    watchdog_look(w);
    assert_true(becomes_well());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(so_many_linger_and_not_one_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_ended_has_to_go_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(so_many_bytes_are_read_away_and_not_one_more, set_up,
                                        tear_down),
    };

    return UNIT_RUN(tests);
}
