/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Calls, deadlines, slots and releases, and the mapper's coming and going. What a mapper that lies
 * can do is in mapper_lies_test.c. */
#include "tests/lib/fake_mapper.h"

#include <errno.h>
#include <stdatomic.h>

#include "common/log.h"
#include "tests/lib/descriptors.h"

struct events {
    struct outcome connected, gone, domains;
    atomic_uint_fast64_t generation;
};

#define EVENTS_INIT                                                                                \
    {                                                                                              \
        .connected = OUTCOME_INIT, .gone = OUTCOME_INIT, .domains = OUTCOME_INIT                   \
    }

static void on_connected(void *arg, bool connected)
{
    struct events *e = arg;

    outcome_tick(connected ? &e->connected : &e->gone);
}

static void on_domains_changed(void *arg, uint64_t generation)
{
    struct events *e = arg;

    atomic_store(&e->generation, generation);
    outcome_tick(&e->domains);
}

static struct mapper_client *new_client(const struct fake_mapper *m, struct events *e)
{
    const struct mapper_client_options options = {
        .socket_path = m->path,
        .backoff_min_ms = 1,
        .backoff_max_ms = 20,
        .on_connected = on_connected,
        .on_domains_changed = on_domains_changed,
        .arg = e,
    };
    struct mapper_client *c = NULL;

    assert_int_equal(mapper_client_new(&options, &c, NULL), 0);
    return c;
}

/* A mapper and a client that are connected. */
#define CONNECTED(m_, e_, c_)                                                                      \
    struct fake_mapper m_;                                                                         \
    struct events e_ = EVENTS_INIT;                                                                \
    fake_mapper_init(&m_);                                                                         \
    fake_mapper_listen(&m_);                                                                       \
    struct mapper_client *c_ = new_client(&m_, &e_);                                               \
    fake_mapper_join(&m_);                                                                         \
    outcome_wait(&e_.connected, 1)

static void fill_snapshot(union message *m, uint32_t first_frame, uint32_t frame_count)
{
    memset(&m->snapshot, 0, sizeof(m->snapshot));
    m->head.type = MESSAGE_SNAPSHOT;
    m->snapshot.type = RESOURCE_GRANT_TABLE;
    m->snapshot.first_frame = first_frame;
    m->snapshot.frame_count = frame_count;
}

static void call(struct mapper_client *c, uint32_t deadline_ms, struct outcome *o)
{
    union message m;

    fill_snapshot(&m, 0, 1);
    assert_int_equal(mapper_client_call(c, &m, fake_deadline(deadline_ms), outcome_done, o, NULL),
                     0);
}

/* A call answered with one frame of the arena. */
static struct mapper_slot *get_slot(struct fake_mapper *m, struct mapper_client *c,
                                    uint32_t arena_frame)
{
    struct outcome o = OUTCOME_INIT;
    union message request;

    call(c, FAKE_WAIT_MS, &o);
    fake_mapper_request(m, &request);
    fake_mapper_snapshot(m, &request, arena_frame, 1);
    outcome_wait(&o, 1);
    assert_int_equal(o.code, 0);
    assert_non_null(o.slot);
    return o.slot;
}

static void expect_release(struct fake_mapper *m, uint32_t index)
{
    union message release;

    fake_mapper_receive(m, &release);
    assert_int_equal(release.head.type, MESSAGE_RELEASE);
    assert_int_equal(release.release.slot_count, 1);
    assert_int_equal(release.release.slots[0].index, index);
    assert_int_equal(release.release.slots[0].generation, 7);
}

static void an_answer_brings_its_bytes_and_the_slot_goes_back(void **state)
{
    (void)state;
    CONNECTED(m, e, c);
    struct mapper_slot *slot = get_slot(&m, c, 4);
    size_t len_bytes;
    const uint8_t *bytes = mapper_slot_bytes(slot, &len_bytes);

    assert_int_equal(len_bytes, MESSAGE_FRAME_BYTES);
    assert_int_equal(bytes[0], 5);
    assert_int_equal(bytes[len_bytes - 1], 5);
    mapper_slot_unref(mapper_slot_ref(slot));
    mapper_slot_unref(slot);
    expect_release(&m, 0);
    mapper_client_free(c);
    fake_mapper_done(&m);
}

static void a_refusal_reaches_the_caller(void **state)
{
    (void)state;
    CONNECTED(m, e, c);
    struct outcome o = OUTCOME_INIT;
    union message request;

    call(c, FAKE_WAIT_MS, &o);
    fake_mapper_request(&m, &request);
    fake_mapper_failed(&m, request.head.serial, ERROR_NOT_FOUND, ENOENT);
    outcome_wait(&o, 1);
    assert_int_equal(o.code, ERROR_NOT_FOUND);
    assert_int_equal(o.failure.xen_errno, ENOENT);
    assert_string_equal(o.failure.message, "the fake mapper refuses");
    mapper_client_free(c);
    fake_mapper_done(&m);
}

static void without_a_mapper_calls_are_unavailable_and_say_why(void **state)
{
    struct fake_mapper m;
    struct events e = EVENTS_INIT;
    struct failure f = { 0 };
    union message request;
    struct message_hello_answer hello;

    (void)state;
    fake_mapper_init(&m);
    struct mapper_client *c = new_client(&m, &e);

    fill_snapshot(&request, 0, 1);
    assert_int_equal(mapper_client_call(c, &request, fake_deadline(1000), outcome_done, NULL, &f),
                     -ERROR_UNAVAILABLE);
    assert_true(f.cause[0] != '\0' && f.next_step[0] != '\0');
    assert_false(mapper_client_hello(c, &hello));
    fake_mapper_listen(&m); /* found without being told */
    fake_mapper_join(&m);
    outcome_wait(&e.connected, 1);
    assert_true(mapper_client_hello(c, &hello));
    assert_string_equal(hello.backend, "fake");
    mapper_slot_unref(get_slot(&m, c, 0));
    mapper_client_free(c);
    fake_mapper_done(&m);
}

static void a_deadline_ends_a_call_and_its_late_answer_is_released(void **state)
{
    (void)state;
    CONNECTED(m, e, c);
    struct outcome o = OUTCOME_INIT;
    union message request;

    call(c, 5, &o);
    fake_mapper_request(&m, &request);
    outcome_wait(&o, 1);
    assert_int_equal(o.code, ERROR_DEADLINE_EXCEEDED);
    fake_mapper_snapshot(&m, &request, 3, 1);
    expect_release(&m, 0);
    assert_int_equal(o.count, 1);
    mapper_slot_unref(get_slot(&m, c, 0)); /* and the connection goes on */
    mapper_client_free(c);
    fake_mapper_done(&m);
}

static void the_earlier_of_two_deadlines_comes_first(void **state)
{
    (void)state;
    CONNECTED(m, e, c);
    struct outcome later = OUTCOME_INIT, sooner = OUTCOME_INIT;

    call(c, FAKE_WAIT_MS, &later);
    call(c, 5, &sooner);
    outcome_wait(&sooner, 1);
    assert_int_equal(sooner.code, ERROR_DEADLINE_EXCEEDED);
    assert_int_equal(later.count, 0);
    mapper_client_free(c);
    assert_int_equal(later.code, ERROR_UNAVAILABLE);
    fake_mapper_done(&m);
}

static void death_fails_what_is_in_flight_and_the_next_call_works(void **state)
{
    (void)state;
    CONNECTED(m, e, c);
    struct outcome o = OUTCOME_INIT;
    union message request;

    call(c, FAKE_WAIT_MS, &o);
    fake_mapper_request(&m, &request);
    fake_mapper_leave(&m);
    outcome_wait(&o, 1);
    assert_int_equal(o.code, ERROR_UNAVAILABLE);
    outcome_wait(&e.gone, 1);
    m.hello.mapper_id[0] = 2;
    fake_mapper_join(&m);
    outcome_wait(&e.connected, 2);
    assert_int_equal(mapper_client_restarts(c), 1);
    mapper_slot_unref(get_slot(&m, c, 0));
    mapper_client_free(c);
    fake_mapper_done(&m);
}

static void a_slot_outlives_its_mapper_and_its_client(void **state)
{
    (void)state;
    CONNECTED(m, e, c);
    struct mapper_slot *slot = get_slot(&m, c, 9);
    struct mapper_slot *second;
    size_t len_bytes;

    fake_mapper_leave(&m);
    outcome_wait(&e.gone, 1);
    m.next_slot = 50;
    fake_mapper_join(&m);
    outcome_wait(&e.connected, 2);
    assert_int_equal(((const uint8_t *)mapper_slot_bytes(slot, &len_bytes))[17], 10);
    second = get_slot(&m, c, 20);
    mapper_slot_unref(slot); /* nobody is told: its mapper is gone */
    mapper_slot_unref(second);
    expect_release(&m, 50);
    second = get_slot(&m, c, 21);
    mapper_client_free(c);
    assert_int_equal(((const uint8_t *)mapper_slot_bytes(second, &len_bytes))[0], 22);
    mapper_slot_unref(second);
    fake_mapper_done(&m);
}

static void of_1025_calls_one_is_refused_and_each_other_ends_once(void **state)
{
    (void)state;
    CONNECTED(m, e, c);
    struct outcome o = OUTCOME_INIT;
    struct failure f = { 0 };
    union message request;

    for (int i = 0; i < MAPPER_CALLS_MAX; i++) {
        call(c, FAKE_WAIT_MS, &o);
        fake_mapper_request(&m, &request); /* or the socket is full before the table */
    }
    fill_snapshot(&request, 0, 1);
    assert_int_equal(mapper_client_call(c, &request, fake_deadline(1000), outcome_done, &o, &f),
                     -ERROR_RESOURCE_EXHAUSTED);
    assert_true(f.next_step[0] != '\0');
    fake_mapper_leave(&m);
    outcome_wait(&o, MAPPER_CALLS_MAX);
    assert_int_equal(o.code, ERROR_UNAVAILABLE);
    fake_mapper_join(&m);
    outcome_wait(&e.connected, 2);
    mapper_slot_unref(get_slot(&m, c, 0));
    mapper_client_free(c);
    fake_mapper_done(&m);
}

static void a_mapper_that_does_not_read_exhausts_nothing_but_itself(void **state)
{
    (void)state;
    CONNECTED(m, e, c);
    struct outcome o = OUTCOME_INIT;
    union message request;
    unsigned accepted = 0;
    int result = 0;

    while (result == 0 && accepted <= MAPPER_CALLS_MAX) {
        fill_snapshot(&request, 0, 1);
        result =
            mapper_client_call(c, &request, fake_deadline(FAKE_WAIT_MS), outcome_done, &o, NULL);
        accepted += result == 0;
    }
    assert_int_equal(result, -ERROR_RESOURCE_EXHAUSTED);
    for (unsigned i = 0; i < accepted; i++) {
        fake_mapper_request(&m, &request);
        fake_mapper_failed(&m, request.head.serial, ERROR_NOT_FOUND, 0);
    }
    outcome_wait(&o, accepted);
    mapper_slot_unref(get_slot(&m, c, 0));
    mapper_client_free(c);
    fake_mapper_done(&m);
}

static void no_more_is_asked_at_once_than_the_mapper_takes(void **state)
{
    struct fake_mapper m;
    struct events e = EVENTS_INIT;
    struct outcome o = OUTCOME_INIT;
    union message request;

    (void)state;
    fake_mapper_init(&m);
    fake_mapper_listen(&m);
    m.hello.requests_max = 2;
    struct mapper_client *c = new_client(&m, &e);

    fake_mapper_join(&m);
    outcome_wait(&e.connected, 1);
    call(c, FAKE_WAIT_MS, &o);
    call(c, FAKE_WAIT_MS, &o);
    fill_snapshot(&request, 0, 1);
    assert_int_equal(mapper_client_call(c, &request, fake_deadline(1000), outcome_done, &o, NULL),
                     -ERROR_RESOURCE_EXHAUSTED);
    fake_mapper_request(&m, &request);
    fake_mapper_failed(&m, request.head.serial, ERROR_NOT_FOUND, 0);
    outcome_wait(&o, 1);
    call(c, FAKE_WAIT_MS, &o);
    mapper_client_free(c);
    assert_int_equal(o.count, 3);
    fake_mapper_done(&m);
}

enum { MANY_SLOTS = 600 };

static void releases_are_gathered_and_none_is_lost(void **state)
{
    static struct mapper_slot *slots[MANY_SLOTS];
    bool released[MANY_SLOTS] = { false };
    struct outcome o = OUTCOME_INIT;
    union message request, m_release;
    unsigned messages = 0;

    (void)state;
    CONNECTED(m, e, c);
    for (int i = 0; i < MANY_SLOTS; i++) {
        slots[i] = get_slot(&m, c, (uint32_t)i);
    }
    call(c, FAKE_WAIT_MS, &o); /* an answer is on its way: releases may wait for it */
    fake_mapper_request(&m, &request);
    for (int i = 0; i < MANY_SLOTS; i++) {
        mapper_slot_unref(slots[i]);
    }
    fake_mapper_snapshot(&m, &request, 0, 1);
    outcome_wait(&o, 1);
    mapper_slot_unref(o.slot);
    for (unsigned count = 0; count < MANY_SLOTS + 1; messages++) {
        fake_mapper_receive(&m, &m_release);
        assert_int_equal(m_release.head.type, MESSAGE_RELEASE);
        for (uint32_t i = 0; i < m_release.release.slot_count; i++, count++) {
            uint32_t index = m_release.release.slots[i].index;

            assert_true(index <= MANY_SLOTS);
            assert_true(index == MANY_SLOTS || !released[index]);
            released[index % MANY_SLOTS] = index < MANY_SLOTS || released[0];
        }
    }
    assert_in_range(messages, (MANY_SLOTS + 1) / MESSAGE_RELEASES_MAX, MANY_SLOTS / 8);
    mapper_client_free(c);
    fake_mapper_done(&m);
}

/* With nothing in flight each release is a message, and 600 are more than a socket holds. */
static void releases_wait_for_a_mapper_that_does_not_read(void **state)
{
    static struct mapper_slot *slots[MANY_SLOTS];
    union message m_release;
    unsigned count = 0;

    (void)state;
    CONNECTED(m, e, c);
    for (int i = 0; i < MANY_SLOTS; i++) {
        slots[i] = get_slot(&m, c, (uint32_t)i);
    }
    for (int i = 0; i < MANY_SLOTS; i++) {
        mapper_slot_unref(slots[i]);
    }
    while (count < MANY_SLOTS) {
        fake_mapper_receive(&m, &m_release);
        assert_int_equal(m_release.head.type, MESSAGE_RELEASE);
        count += m_release.release.slot_count;
    }
    assert_int_equal(count, MANY_SLOTS);
    mapper_slot_unref(get_slot(&m, c, 0));
    mapper_client_free(c);
    fake_mapper_done(&m);
}

static void a_wait_ends_at_its_deadline_or_when_it_is_ended(void **state)
{
    (void)state;
    CONNECTED(m, e, c);
    struct outcome o = OUTCOME_INIT, ended = OUTCOME_INIT, stopped = OUTCOME_INIT;
    uint64_t wait, never, last;

    assert_int_equal(
        mapper_client_wait(c, fake_deadline(FAKE_WAIT_MS), outcome_done, &ended, &never, NULL), 0);
    assert_int_equal(mapper_client_wait(c, fake_deadline(3), outcome_done, &o, &wait, NULL), 0);
    outcome_wait(&o, 1);
    assert_int_equal(o.code, ERROR_DEADLINE_EXCEEDED);
    assert_false(mapper_client_end_wait(c, wait));
    assert_true(mapper_client_end_wait(c, never));
    assert_false(mapper_client_end_wait(c, never));
    assert_int_equal(
        mapper_client_wait(c, fake_deadline(FAKE_WAIT_MS), outcome_done, &stopped, &last, NULL), 0);
    fake_mapper_leave(&m); /* a wait is for time, not for a mapper */
    outcome_wait(&e.gone, 1);
    assert_int_equal(stopped.count, 0);
    mapper_client_free(c);
    assert_int_equal(stopped.code, ERROR_UNAVAILABLE);
    assert_int_equal(ended.count, 0);
    fake_mapper_done(&m);
}

static void changes_of_the_domains_are_told(void **state)
{
    union message event;

    (void)state;
    CONNECTED(m, e, c);
    outcome_wait(&e.domains, 1); /* by connecting */
    memset(&event.event_domains, 0, sizeof(event.event_domains));
    event.event_domains.generation = 99;
    fake_mapper_send(&m, &event, MESSAGE_EVENT_DOMAINS, 0);
    outcome_wait(&e.domains, 2);
    assert_int_equal(atomic_load(&e.generation), 99);
    mapper_client_free(c);
    fake_mapper_done(&m);
}

static void nothing_is_left_open(void **state)
{
    size_t before = descriptors_open();

    (void)state;
    for (int round = 0; round < 3; round++) {
        CONNECTED(m, e, c);
        mapper_slot_unref(get_slot(&m, c, 0));
        fake_mapper_leave(&m);
        outcome_wait(&e.gone, 1);
        fake_mapper_join(&m);
        outcome_wait(&e.connected, 2);
        mapper_client_free(c);
        fake_mapper_done(&m);
    }
    assert_int_equal(descriptors_open(), before);
}

/* --- many threads ----------------------------------------------------------------------------- */

enum { CALLERS = 4, CALLS_EACH = 400 };

struct caller {
    pthread_t thread;
    struct mapper_client *client;
    unsigned answered, refused;
};

static void *call_on(void *arg)
{
    struct caller *k = arg;

    for (int i = 0; i < CALLS_EACH; i++) {
        struct outcome o = OUTCOME_INIT;
        union message m;

        fill_snapshot(&m, 0, 1);
        if (mapper_client_call(k->client, &m, fake_deadline(i % 50 == 0 ? 0 : FAKE_WAIT_MS),
                               outcome_done, &o, NULL) != 0) {
            k->refused++;
            continue;
        }
        outcome_wait(&o, 1);
        k->answered++;
        mapper_slot_unref(o.slot);
    }
    return NULL;
}

struct server {
    struct fake_mapper *mapper;
    atomic_bool stop;
};

/* Answers until it is stopped; goes away and comes back now and then. */
static void *serve(void *arg)
{
    struct server *s = arg;
    struct fake_mapper *m = s->mapper;
    unsigned served = 0;

    while (!atomic_load(&s->stop)) {
        struct pollfd p = { .fd = m->peer.fd, .events = POLLIN };
        union message request, answer;

        if (poll(&p, 1, 5) != 1) {
            continue;
        }
        if (channel_receive(&m->peer, &request, sizeof(request), NULL, NULL, NULL) <= 0) {
            break;
        }
        if (request.head.type != MESSAGE_SNAPSHOT) {
            continue;
        }
        fake_snapshot(m, &request, m->next_slot % FAKE_ARENA_FRAMES, 1, &answer);
        message_init(&answer, MESSAGE_SNAPSHOT | MESSAGE_ANSWER, request.head.serial);
        (void)channel_send(&m->peer, &answer, sizeof(answer.snapshot_answer), NULL, 0, NULL);
        if (++served % 500 == 0) {
            fake_mapper_leave(m);
            fake_mapper_join(m);
        }
    }
    return NULL;
}

static void many_threads_get_each_answer_once_while_the_mapper_comes_and_goes(void **state)
{
    struct caller callers[CALLERS] = { { 0 } };
    pthread_t server_thread;

    (void)state;
    CONNECTED(m, e, c);
    struct server s = { .mapper = &m };

    atomic_init(&s.stop, false);
    assert_int_equal(pthread_create(&server_thread, NULL, serve, &s), 0);
    for (int i = 0; i < CALLERS; i++) {
        callers[i].client = c;
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_on, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].answered + callers[i].refused, CALLS_EACH);
    }
    atomic_store(&s.stop, true);
    pthread_join(server_thread, NULL);
    mapper_client_free(c);
    fake_mapper_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_brings_its_bytes_and_the_slot_goes_back),
        cmocka_unit_test(a_refusal_reaches_the_caller),
        cmocka_unit_test(without_a_mapper_calls_are_unavailable_and_say_why),
        cmocka_unit_test(a_deadline_ends_a_call_and_its_late_answer_is_released),
        cmocka_unit_test(the_earlier_of_two_deadlines_comes_first),
        cmocka_unit_test(death_fails_what_is_in_flight_and_the_next_call_works),
        cmocka_unit_test(a_slot_outlives_its_mapper_and_its_client),
        cmocka_unit_test(of_1025_calls_one_is_refused_and_each_other_ends_once),
        cmocka_unit_test(a_mapper_that_does_not_read_exhausts_nothing_but_itself),
        cmocka_unit_test(no_more_is_asked_at_once_than_the_mapper_takes),
        cmocka_unit_test(releases_are_gathered_and_none_is_lost),
        cmocka_unit_test(releases_wait_for_a_mapper_that_does_not_read),
        cmocka_unit_test(a_wait_ends_at_its_deadline_or_when_it_is_ended),
        cmocka_unit_test(changes_of_the_domains_are_told),
        cmocka_unit_test(nothing_is_left_open),
        cmocka_unit_test(many_threads_get_each_answer_once_while_the_mapper_comes_and_goes),
    };

    log_open("mapper_client_test", LOG_LEVEL_ERROR);
    return UNIT_RUN(tests);
}
