/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Who has a turn, when, and on which thread. */
#include "server/http/pump.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/errand.h"
#include "tests/lib/unit.h"

enum { ENTRIES = PUMP_HELP_MAX + 1, WAIT_S = 30 };

struct member {
    struct pump_entry entry;
    int fds[2]; /* the pump's end, and the peer's */
    bool fills; /* its turns write until the socket is full */

    /* Under the rig's lock. */
    unsigned turns, more; /* that it had; that it asks for */
    bool has_turn, is_full, peer_is_done, peer_left, leaves, left;
    bool was_help; /* its last turn, and so the next */
    pthread_t thread;
};

static struct {
    struct pump *pump;
    struct member members[ENTRIES];
    pthread_mutex_t lock;
    pthread_cond_t changed;
} rig = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static bool fill(int fd)
{
    static const char bytes[4096];

    while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    return errno == EAGAIN;
}

static enum pump_verdict turn(struct pump_entry *e, const struct pump_news *news)
{
    struct member *m = (void *)e; /* its first */
    enum pump_verdict verdict = PUMP_RESTS;

    pthread_mutex_lock(&rig.lock);
    assert_false(m->has_turn); /* one at a time */
    m->has_turn = true;
    pthread_mutex_unlock(&rig.lock);
    bool is_full = m->fills && fill(m->fds[0]);

    pthread_mutex_lock(&rig.lock);
    m->has_turn = false;
    m->turns++;
    m->is_full = is_full;
    m->peer_left |= news->peer_left;
    m->peer_is_done |= news->peer_is_done;
    m->was_help = news->is_help;
    m->thread = pthread_self();
    if ((m->leaves || news->peer_left) && news->is_help) {
        verdict = PUMP_GOES_ON; /* the pump's own thread lets go of it */
    } else if (m->leaves || news->peer_left) {
        pump_leave(e);
        m->left = true;
        verdict = PUMP_LEFT;
    } else if (m->more > 0) {
        m->more--;
        verdict = PUMP_GOES_ON;
    }
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
    return verdict;
}

/* With the lock. */
static void wait_for_change(void)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_S;
    assert_int_equal(pthread_cond_timedwait(&rig.changed, &rig.lock, &deadline), 0);
}

static void wait_turns(const struct member *m, unsigned turns)
{
    pthread_mutex_lock(&rig.lock);
    while (m->turns < turns) {
        wait_for_change();
    }
    pthread_mutex_unlock(&rig.lock);
}

static void wait_left(const struct member *m)
{
    pthread_mutex_lock(&rig.lock);
    while (!m->left) {
        wait_for_change();
    }
    pthread_mutex_unlock(&rig.lock);
}

static void enter(struct member *m)
{
    memset(m, 0, sizeof(*m));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, m->fds), 0);
    assert_true(pump_enter(rig.pump, &m->entry, m->fds[0]));
    wait_turns(m, 1);
}

static void close_both(struct member *m)
{
    (void)close(m->fds[0]);
    (void)close(m->fds[1]);
}

static void begin(unsigned threads)
{
    struct failure f = { 0 };

    assert_int_equal(pump_start(threads, turn, &rig.pump, &f), 0);
}

/* All that has entered has to leave. */
static void end(unsigned members)
{
    for (unsigned i = 0; i < members; i++) {
        struct member *m = &rig.members[i];

        pthread_mutex_lock(&rig.lock);
        bool has_left = m->left;

        m->leaves = true;
        pthread_mutex_unlock(&rig.lock);
        if (!has_left) {
            pump_wake(&m->entry);
        }
    }
    pump_stop(rig.pump);
    for (unsigned i = 0; i < members; i++) {
        assert_true(rig.members[i].left);
        close_both(&rig.members[i]);
    }
}

/* The end of a turn that a wake came into is followed by another: what comes behind proves it. */
static void who_is_woken_has_a_turn(void **state)
{
    struct member *m = &rig.members[0];

    (void)state;
    begin(1);
    enter(m);
    for (unsigned i = 0; i < 1000; i++) {
        pthread_mutex_lock(&rig.lock);
        unsigned before = m->turns;

        pthread_mutex_unlock(&rig.lock);
        pump_wake(&m->entry);
        wait_turns(m, before + 1);
    }
    end(1);
}

static void who_goes_on_has_turns_until_it_rests(void **state)
{
    struct member *m = &rig.members[0];

    (void)state;
    begin(1);
    enter(m);
    pthread_mutex_lock(&rig.lock);
    m->more = 10;
    unsigned before = m->turns;

    pthread_mutex_unlock(&rig.lock);
    pump_wake(&m->entry);
    wait_turns(m, before + 11);
    end(1);
}

static void what_a_peer_does_is_noticed(void **state)
{
    bool is_done = false;

    (void)state;
    begin(2);
    for (int i = 0; i < 3; i++) {
        enter(&rig.members[i]);
    }
    (void)close(rig.members[0].fds[1]);
    rig.members[0].fds[1] = -1;
    (void)shutdown(rig.members[1].fds[1], SHUT_WR);
    wait_left(&rig.members[0]);
    assert_true(rig.members[0].peer_left);
    pthread_mutex_lock(&rig.lock);
    while (!rig.members[1].peer_is_done) {
        wait_for_change();
    }
    assert_false(rig.members[1].peer_left); /* it may still read */
    is_done = rig.members[2].peer_is_done;
    pthread_mutex_unlock(&rig.lock);
    assert_false(is_done);
    end(3);
    assert_false(rig.members[2].peer_left);
}

static void a_full_socket_has_a_turn_when_it_has_room(void **state)
{
    struct member *m = &rig.members[0];
    char bytes[65536];

    (void)state;
    begin(1);
    enter(m);
    m->fills = true; /* it rests */
    pump_wake(&m->entry);
    pthread_mutex_lock(&rig.lock);
    while (!m->is_full) {
        wait_for_change();
    }
    unsigned before = m->turns;

    pthread_mutex_unlock(&rig.lock);
    while (recv(m->fds[1], bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
    }
    wait_turns(m, before + 1);
    end(1);
}

/* Wakes the first `count` as one who holds locks meanwhile. */
static void wake_together(unsigned count)
{
    unsigned before[ENTRIES];

    pthread_mutex_lock(&rig.lock);
    for (unsigned i = 0; i < count; i++) {
        before[i] = rig.members[i].turns;
    }
    pthread_mutex_unlock(&rig.lock);
    errands_hold();
    for (unsigned i = 0; i < count; i++) {
        pump_wake(&rig.members[i].entry);
    }
    errands_run();
    for (unsigned i = 0; i < count; i++) {
        wait_turns(&rig.members[i], before[i] + 1);
    }
}

static unsigned count_own(unsigned count)
{
    unsigned own = 0;

    pthread_mutex_lock(&rig.lock);
    for (unsigned i = 0; i < count; i++) {
        bool is_own = pthread_equal(rig.members[i].thread, pthread_self()) != 0;

        assert_int_equal(is_own, rig.members[i].was_help);
        own += is_own ? 1 : 0;
    }
    pthread_mutex_unlock(&rig.lock);
    return own;
}

/* It may happen that the thread is not asleep yet: then the turns are its own. */
static void a_few_are_served_by_who_wakes_them_and_not_one_more(void **state)
{
    unsigned own = 0;

    (void)state;
    begin(1);
    for (int i = 0; i < ENTRIES; i++) {
        enter(&rig.members[i]);
    }
    for (int i = 0; i < 10000 && own != PUMP_HELP_MAX; i++) {
        wake_together(PUMP_HELP_MAX);
        own = count_own(PUMP_HELP_MAX);
    }
    assert_int_equal(own, PUMP_HELP_MAX);
    for (int i = 0; i < 100; i++) {
        wake_together(PUMP_HELP_MAX + 1);
        assert_int_equal(count_own(PUMP_HELP_MAX + 1), 0);
    }
    end(ENTRIES);
}

static void *wake_often(void *arg)
{
    struct member *m = arg;

    for (int i = 0; i < 20000; i++) {
        bool holds = i % 2 == 0;

        if (holds) {
            errands_hold();
        }
        pump_wake(&m->entry);
        if (holds) {
            errands_run();
        }
    }
    return NULL;
}

/* turn() sees that no entry has two at a time. */
static void many_wake_one(void **state)
{
    struct member *m = &rig.members[0];
    pthread_t wakers[3];

    (void)state;
    begin(2);
    enter(m);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&wakers[i], NULL, wake_often, m), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(wakers[i], NULL), 0);
    }
    pthread_mutex_lock(&rig.lock);
    unsigned before = m->turns;

    pthread_mutex_unlock(&rig.lock);
    pump_wake(&m->entry); /* still works */
    wait_turns(m, before + 1);
    end(1);
}

static void as_many_threads_as_there_may_be(void **state)
{
    (void)state;
    begin(PUMP_THREADS_MAX);
    for (int i = 0; i < ENTRIES; i++) {
        enter(&rig.members[i]);
    }
    end(ENTRIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_woken_has_a_turn),
        cmocka_unit_test(who_goes_on_has_turns_until_it_rests),
        cmocka_unit_test(what_a_peer_does_is_noticed),
        cmocka_unit_test(a_full_socket_has_a_turn_when_it_has_room),
        cmocka_unit_test(a_few_are_served_by_who_wakes_them_and_not_one_more),
        cmocka_unit_test(many_wake_one),
        cmocka_unit_test(as_many_threads_as_there_may_be),
    };

    return UNIT_RUN(tests);
}
