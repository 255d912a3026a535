/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The mapper's lobby: how many may wait in it, and who goes when one more comes. */
#include "server/mapper/peer.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/clock.h"
#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

static struct folder folder;
static struct peer *peer;
static uint64_t now_ns;

static uint64_t fake_now(void *arg)
{
    (void)arg;
    return now_ns;
}

static int set_up(void **state)
{
    static const struct clock_source source = { .monotonic_ns = fake_now, .wall_ns = fake_now };
    uid_t user = getuid();
    int listen_fd;

    (void)state;
    now_ns = CLOCK_NS_PER_S;
    clock_set_source(&source);
    folder = folder_make();
    assert_int_equal(channel_listen(folder_path(&folder, "socket"), &listen_fd, NULL), 0);
    return peer_new(listen_fd, &user, 1, &peer, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    peer_free(peer);
    folder_done(&folder);
    clock_set_source(NULL);
    return 0;
}

/* Connects, and is let in a moment after those before. */
static struct channel visitor(void)
{
    struct channel c = { .fd = -1 };
    union message hello;

    assert_int_equal(channel_connect(folder_path(&folder, "socket"), &c, NULL), 0);
    now_ns += CLOCK_NS_PER_MS;
    assert_false(peer_admit(peer, &hello));
    return c;
}

static bool is_closed(const struct channel *c)
{
    struct pollfd row = { .fd = c->fd, .events = POLLIN };

    return poll(&row, 1, 0) == 1 && (row.revents & POLLHUP) != 0;
}

static void so_many_wait_and_the_longest_goes_for_one_more(void **state)
{
    struct channel visitors[PEER_LOBBY_MAX + 1];
    struct pollfd rows[PEER_POLL_MAX];

    (void)state;
    for (int i = 0; i < PEER_LOBBY_MAX; i++) {
        visitors[i] = visitor();
        assert_int_equal(peer_poll_rows(peer, rows), i + 2); /* and the listening socket */
    }
    for (int i = 0; i < PEER_LOBBY_MAX; i++) {
        assert_false(is_closed(&visitors[i]));
    }
    visitors[PEER_LOBBY_MAX] = visitor();
    assert_int_equal(peer_poll_rows(peer, rows), PEER_LOBBY_MAX + 1);
    for (int i = 0; i <= PEER_LOBBY_MAX; i++) {
        assert_int_equal(is_closed(&visitors[i]), i == 0);
        channel_close(&visitors[i]);
    }
}

static void with_a_peer_and_a_full_lobby_all_rows_are_used(void **state)
{
    struct channel visitors[PEER_LOBBY_MAX];
    struct channel served = { .fd = -1 };
    struct pollfd rows[PEER_POLL_MAX];
    union message hello;

    (void)state;
    memset(&hello, 0, sizeof(hello));
    message_init(&hello, MESSAGE_HELLO, 1);
    snprintf(hello.hello.version, sizeof(hello.hello.version), "test");
    assert_int_equal(channel_connect(folder_path(&folder, "socket"), &served, NULL), 0);
    assert_int_equal(channel_send(&served, &hello, hello.head.len_bytes, NULL, 0, NULL), 0);
    assert_true(peer_admit(peer, &hello));
    for (int i = 0; i < PEER_LOBBY_MAX; i++) {
        visitors[i] = visitor();
    }
    assert_int_equal(peer_poll_rows(peer, rows), PEER_POLL_MAX);
    for (int i = 0; i < PEER_LOBBY_MAX; i++) {
        assert_false(is_closed(&visitors[i]));
        channel_close(&visitors[i]);
    }
    channel_close(&served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(so_many_wait_and_the_longest_goes_for_one_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(with_a_peer_and_a_full_lobby_all_rows_are_used, set_up,
                                        tear_down),
    };

    return UNIT_RUN(tests);
}
