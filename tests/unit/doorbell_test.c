/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/doorbell.h"

static bool rung(int fd)
{
    return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1;
}

static struct doorbell new_bell(void)
{
    struct doorbell d;

    assert_int_equal(doorbell_open(&d, NULL), 0);
    return d;
}

static void it_is_silent_until_it_is_rung_and_after_the_answer(void **state)
{
    struct doorbell d = new_bell();

    (void)state;
    assert_false(rung(d.wait_fd));
    assert_true(doorbell_answer(d.wait_fd));
    doorbell_ring(d.ring_fd);
    assert_true(rung(d.wait_fd));
    assert_true(doorbell_answer(d.wait_fd));
    assert_false(rung(d.wait_fd));
    doorbell_close(&d);
    doorbell_close(&d);
}

static void one_answer_is_enough_for_any_number_of_rings(void **state)
{
    struct doorbell d = new_bell();

    (void)state;
    for (int i = 0; i < 100000; i++) {
        doorbell_ring(d.ring_fd);
    }
    assert_true(rung(d.wait_fd));
    assert_true(doorbell_answer(d.wait_fd));
    assert_false(rung(d.wait_fd));
    doorbell_close(&d);
}

/* Whoever waits takes O_NONBLOCK away, as far as he can, fills all queues and never answers. */
static void ringing_never_waits_whatever_the_other_end_does(void **state)
{
    struct doorbell d = new_bell();
    static char bytes[1024];

    (void)state;
    assert_int_equal(fcntl(d.wait_fd, F_SETFL, 0), 0);
    assert_true(send(d.wait_fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) < 0);
    assert_int_equal(errno, EPIPE); /* nothing is kept for the ringer */
    (void)alarm(30);
    for (int i = 0; i < 10000; i++) {
        doorbell_ring(d.ring_fd);
    }
    assert_true(doorbell_answer(d.wait_fd)); /* nor does this, when all is heard */
    assert_true(doorbell_answer(d.wait_fd));
    assert_int_equal(shutdown(d.wait_fd, SHUT_RDWR), 0);
    doorbell_ring(d.ring_fd);
    (void)alarm(0);
    doorbell_close(&d);
}

static void either_end_may_be_gone(void **state)
{
    struct doorbell d = new_bell(), e = new_bell();

    (void)state;
    (void)close(d.wait_fd);
    d.wait_fd = -1;
    doorbell_ring(d.ring_fd); /* no SIGPIPE either */
    doorbell_close(&d);
    doorbell_ring(e.ring_fd);
    (void)close(e.ring_fd);
    e.ring_fd = -1;
    assert_true(rung(e.wait_fd)); /* and answered for the last time */
    assert_false(doorbell_answer(e.wait_fd));
    doorbell_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_silent_until_it_is_rung_and_after_the_answer),
        cmocka_unit_test(one_answer_is_enough_for_any_number_of_rings),
        cmocka_unit_test(ringing_never_waits_whatever_the_other_end_does),
        cmocka_unit_test(either_end_may_be_gone),
    };

    return UNIT_RUN(tests);
}
