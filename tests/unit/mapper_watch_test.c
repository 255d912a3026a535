/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What the mapper's client does with what feeds need: descriptors, the doorbell, what has no answer. */
#include "tests/lib/fake_mapper.h"

#include "common/log.h"
#include <sys/stat.h>

#include "common/feed_record.h"
#include "common/ring.h"
#include "tests/lib/descriptors.h"

struct watch {
    struct fake_mapper m;
    struct outcome connected;
    struct mapper_client *client;
    struct ring *ring;
};

static void set_up(struct watch *w)
{
    *w = (struct watch){ .connected = OUTCOME_INIT };
    fake_mapper_init(&w->m);
    fake_mapper_listen(&w->m);
    w->client = fake_mapper_client(&w->m, &w->connected);
    fake_mapper_join(&w->m);
    outcome_wait(&w->connected, 1);
    assert_int_equal(ring_new(1 << 12, NULL, &w->ring, NULL), 0);
}

static void tear_down(struct watch *w)
{
    mapper_client_free(w->client);
    ring_free(w->ring);
    fake_mapper_done(&w->m);
}

/* What came of a WATCH, and whether its descriptor was a ring's when `done` ran. */
struct watched {
    struct outcome outcome;
    bool had_ring;
    int fd;
};

static void watched_done(void *arg, const struct mapper_result *result)
{
    struct watched *x = arg;
    struct stat st;

    x->fd = result->fd;
    x->had_ring = result->fd >= 0 && fstat(result->fd, &st) == 0 &&
                  st.st_size == (1 << 12) + RING_CONTROL_BYTES && descriptor_is_cloexec(result->fd);
    outcome_done(&x->outcome, result);
}

static void ask(struct watch *w, uint16_t type, uint64_t deadline_ns, struct watched *x,
                union message *request)
{
    union message m;

    *x = (struct watched){ .outcome = OUTCOME_INIT, .fd = -2 };
    memset(&m, 0, sizeof(m));
    m.head.type = type;
    m.watch.type = RESOURCE_GRANT_TABLE;
    assert_int_equal(mapper_client_call(w->client, &m, deadline_ns, watched_done, x, NULL), 0);
    fake_mapper_request(&w->m, request);
    assert_int_equal(request->head.type, type);
}

static void answer(struct watch *w, const union message *request, uint64_t period_ns,
                   size_t fd_count)
{
    const uint16_t type = request->head.type | MESSAGE_ANSWER;
    const int fds[] = { ring_fd(w->ring), ring_fd(w->ring) };
    union message m;

    memset(&m, 0, sizeof(m));
    m.watch_answer.feed_id[0] = 1;
    m.watch_answer.spool_bytes = 1 << 12;
    m.watch_answer.period_ns = period_ns;
    message_init(&m, type, request->head.serial);
    assert_int_equal(channel_send(&w->m.peer, &m, message_size(type), fds, fd_count, NULL), 0);
}

/* The client has done with all that came before, descriptors included. */
static void settle(struct watch *w)
{
    struct watched x;
    union message request;

    ask(w, MESSAGE_HOST, UINT64_MAX, &x, &request);
    fake_mapper_failed(&w->m, request.head.serial, ERROR_NOT_FOUND, 0);
    outcome_wait(&x.outcome, 1);
    assert_int_equal(x.fd, -1);
}

static void an_answer_to_watch_brings_a_spool_for_as_long_as_it_is_told(void **state)
{
    struct watch w;
    struct watched x;
    union message request;

    (void)state;
    set_up(&w);
    settle(&w);
    size_t before = descriptors_open();

    ask(&w, MESSAGE_WATCH, UINT64_MAX, &x, &request);
    answer(&w, &request, 5, 1);
    outcome_wait(&x.outcome, 1);
    assert_int_equal(x.outcome.code, 0);
    assert_true(x.had_ring);
    ask(&w, MESSAGE_WATCH_DOMAINS, UINT64_MAX, &x, &request);
    answer(&w, &request, 0, 1);
    outcome_wait(&x.outcome, 1);
    assert_true(x.had_ring);
    settle(&w);
    assert_int_equal(descriptors_open(), before);
    tear_down(&w);
}

static void an_answer_that_comes_too_late_leaves_no_descriptor(void **state)
{
    struct watch w;
    struct watched x;
    union message late;

    (void)state;
    set_up(&w);
    settle(&w);
    size_t before = descriptors_open();

    ask(&w, MESSAGE_WATCH, clock_monotonic_ns(), &x, &late);
    outcome_wait(&x.outcome, 1);
    assert_int_equal(x.outcome.code, ERROR_DEADLINE_EXCEEDED);
    answer(&w, &late, 5, 1);
    settle(&w);
    assert_int_equal(descriptors_open(), before);
    assert_int_equal(x.outcome.count, 1);
    tear_down(&w);
}

static void too_few_or_too_many_descriptors_end_the_connection(void **state)
{
    struct watch w;
    struct watched x;
    union message request;

    (void)state;
    set_up(&w);
    for (unsigned i = 0; i < 2; i++) {
        ask(&w, MESSAGE_WATCH, UINT64_MAX, &x, &request);
        answer(&w, &request, 5, i == 0 ? 0 : 2);
        outcome_wait(&x.outcome, 1);
        assert_int_equal(x.outcome.code, ERROR_UNAVAILABLE);
        fake_mapper_leave(&w.m);
        fake_mapper_join(&w.m);
        outcome_wait(&w.connected, i + 2);
    }
    tear_down(&w);
}

static void a_period_that_cannot_be_ends_the_connection(void **state)
{
    static const struct {
        uint16_t type;
        uint64_t period_ns;
    } lies[] = { { MESSAGE_WATCH, 0 }, { MESSAGE_WATCH_DOMAINS, 1 } };
    struct watch w;
    struct watched x;
    union message request;

    (void)state;
    set_up(&w);
    for (unsigned i = 0; i < 2; i++) {
        ask(&w, lies[i].type, UINT64_MAX, &x, &request);
        answer(&w, &request, lies[i].period_ns, 1);
        outcome_wait(&x.outcome, 1);
        assert_int_equal(x.outcome.code, ERROR_INTERNAL);
        fake_mapper_leave(&w.m);
        fake_mapper_join(&w.m);
        outcome_wait(&w.connected, i + 2);
    }
    tear_down(&w);
}

static void an_image_of_a_size_that_cannot_be_ends_the_connection(void **state)
{
    static const uint64_t sizes[] = { 0, FEED_BLOCK_BYTES - 8, FEED_BLOCK_BYTES };
    struct watch w;
    struct watched x;
    union message request, m;

    (void)state;
    set_up(&w);
    for (unsigned i = 0; i < 3; i++) {
        ask(&w, MESSAGE_IMAGE, UINT64_MAX, &x, &request);
        memset(&m, 0, sizeof(m));
        m.image_answer.slot.len_bytes = sizes[i];
        fake_mapper_send(&w.m, &m, MESSAGE_IMAGE | MESSAGE_ANSWER, request.head.serial);
        outcome_wait(&x.outcome, 1);
        assert_int_equal(x.outcome.code, sizes[i] == FEED_BLOCK_BYTES ? 0 : ERROR_INTERNAL);
        assert_int_equal(x.outcome.slot != NULL, sizes[i] == FEED_BLOCK_BYTES);
        mapper_slot_unref(x.outcome.slot);
        if (i < 2) {
            fake_mapper_leave(&w.m);
            fake_mapper_join(&w.m);
            outcome_wait(&w.connected, i + 2);
        }
    }
    tear_down(&w);
}

static void a_hello_without_a_doorbell_is_refused(void **state)
{
    struct watch w;
    union message hello, m;

    (void)state;
    set_up(&w);
    fake_mapper_leave(&w.m);
    fake_mapper_accept(&w.m);
    fake_mapper_make_arena(&w.m);
    fake_mapper_receive(&w.m, &hello);
    m.hello_answer = w.m.hello;
    message_init(&m, MESSAGE_HELLO | MESSAGE_ANSWER, hello.head.serial);
    assert_int_equal(channel_send(&w.m.peer, &m, sizeof(m.hello_answer), &w.m.arena_fd, 1, NULL),
                     0);
    fake_mapper_wait_end(&w.m);
    tear_down(&w);
}

static void the_doorbell_is_taken_once_and_rings(void **state)
{
    struct watch w;

    (void)state;
    set_up(&w);
    int fd = mapper_client_take_doorbell(w.client);

    assert_true(fd >= 0);
    assert_int_equal(mapper_client_take_doorbell(w.client), -1);
    doorbell_ring(w.m.doorbell.ring_fd);
    fake_wait_readable(fd);
    assert_true(doorbell_answer(fd));
    fake_mapper_leave(&w.m);
    fake_wait_readable(fd);
    assert_false(doorbell_answer(fd));
    (void)close(fd);
    tear_down(&w);
}

static void what_has_no_answer_is_sent_behind_what_was_sent_before(void **state)
{
    struct watch w;
    struct watched x;
    union message request, m;

    (void)state;
    set_up(&w);
    ask(&w, MESSAGE_HOST, UINT64_MAX, &x, &request);
    memset(&m, 0, sizeof(m));
    m.head.type = MESSAGE_UNWATCH;
    m.unwatch.feed = 7;
    assert_int_equal(mapper_client_send(w.client, &m, NULL), 0);
    fake_mapper_request(&w.m, &request);
    assert_int_equal(request.head.type, MESSAGE_UNWATCH);
    assert_int_equal(request.unwatch.feed, 7);
    fake_mapper_leave(&w.m);
    outcome_wait(&x.outcome, 1);
    m.head.type = MESSAGE_UNWATCH;
    assert_int_equal(mapper_client_send(w.client, &m, NULL), -ERROR_UNAVAILABLE);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_to_watch_brings_a_spool_for_as_long_as_it_is_told),
        cmocka_unit_test(an_answer_that_comes_too_late_leaves_no_descriptor),
        cmocka_unit_test(too_few_or_too_many_descriptors_end_the_connection),
        cmocka_unit_test(a_period_that_cannot_be_ends_the_connection),
        cmocka_unit_test(an_image_of_a_size_that_cannot_be_ends_the_connection),
        cmocka_unit_test(a_hello_without_a_doorbell_is_refused),
        cmocka_unit_test(the_doorbell_is_taken_once_and_rings),
        cmocka_unit_test(what_has_no_answer_is_sent_behind_what_was_sent_before),
    };

    log_open("mapper_watch_test", (enum log_level)0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
