/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Who shares a copy with whom, and who does not. */
#include "tests/lib/fake_mapper.h"

#include "common/log.h"
#include "server/resource/copies.h"

struct rig {
    struct fake_mapper mapper;
    struct outcome connected;
    struct mapper_client *client;
    struct copies *copies;
};

/* One who asks. */
struct asker {
    struct copies_request request;
    struct outcome outcome;
};
#define ASKER_INIT                                                                                 \
    {                                                                                              \
        .outcome = OUTCOME_INIT                                                                    \
    }

static void rig_init(struct rig *r)
{
    *r = (struct rig){ .connected = OUTCOME_INIT };
    fake_mapper_init(&r->mapper);
    fake_mapper_listen(&r->mapper);
    r->client = fake_mapper_client(&r->mapper, &r->connected);
    assert_int_equal(copies_new(r->client, &r->copies, NULL), 0);
    fake_mapper_join(&r->mapper);
    outcome_wait(&r->connected, 1);
}

static void rig_done(struct rig *r)
{
    mapper_client_free(r->client);
    copies_free(r->copies); /* asserts that nothing is left */
    fake_mapper_done(&r->mapper);
}

static struct message_snapshot grants(uint32_t first_frame)
{
    struct message_snapshot s = { .domain = { .domid = 3, .incarnation = { 1 } },
                                  .type = RESOURCE_GRANT_TABLE,
                                  .first_frame = first_frame,
                                  .frame_count = 1 };

    s.head.type = MESSAGE_SNAPSHOT;
    return s;
}

static int ask_for(struct rig *r, const struct message_snapshot *s, struct asker *a,
                   uint32_t deadline_ms)
{
    a->request = (struct copies_request){ .done = outcome_done,
                                          .arg = &a->outcome,
                                          .deadline_ns = fake_deadline(deadline_ms) };
    return copies_ask(r->copies, s, &a->request, NULL);
}

static void ask(struct rig *r, uint32_t first_frame, struct asker *a)
{
    const struct message_snapshot s = grants(first_frame);

    assert_int_equal(ask_for(r, &s, a, FAKE_WAIT_MS), 0);
}

static void those_who_ask_during_a_copy_share_the_next(void **state)
{
    struct rig r;
    struct asker a = ASKER_INIT, b = ASKER_INIT, c = ASKER_INIT;
    union message first, second, release;

    (void)state;
    rig_init(&r);
    ask(&r, 0, &a);
    fake_mapper_request(&r.mapper, &first);
    ask(&r, 0, &b);
    ask(&r, 0, &c);
    fake_mapper_snapshot(&r.mapper, &first, 4, 1);
    outcome_wait(&a.outcome, 1);
    fake_mapper_request(&r.mapper, &second); /* it begins after the first is over */
    outcome_wait(&b.outcome, 0);             /* what was copied before they asked is not theirs */
    outcome_wait(&c.outcome, 0);
    fake_mapper_snapshot(&r.mapper, &second, 5, 1);
    outcome_wait(&b.outcome, 1);
    outcome_wait(&c.outcome, 1);
    assert_ptr_equal(b.outcome.slot, c.outcome.slot);
    assert_ptr_not_equal(a.outcome.slot, b.outcome.slot);
    mapper_slot_unref(a.outcome.slot);
    mapper_slot_unref(b.outcome.slot);
    mapper_slot_unref(c.outcome.slot);
    unsigned released = 0; /* both slots, each once; together or one by one */
    while (released < 2) {
        fake_mapper_receive(&r.mapper, &release);
        assert_int_equal(release.head.type, MESSAGE_RELEASE);
        released += release.release.slot_count;
    }
    assert_int_equal(released, 2);
    rig_done(&r);
}

static void another_range_or_incarnation_is_another_copy(void **state)
{
    struct rig r;
    struct asker a = ASKER_INIT, b = ASKER_INIT, c = ASKER_INIT, d = ASKER_INIT;
    union message m;
    struct message_snapshot other = grants(0), sparse = grants(0);

    (void)state;
    rig_init(&r);
    ask(&r, 0, &a);
    fake_mapper_request(&r.mapper, &m);
    ask(&r, 1, &b);
    fake_mapper_request(&r.mapper, &m);
    assert_int_equal(m.snapshot.first_frame, 1);
    other.domain.incarnation[0] = 2;
    assert_int_equal(ask_for(&r, &other, &c, FAKE_WAIT_MS), 0);
    fake_mapper_request(&r.mapper, &m);
    assert_int_equal(m.snapshot.domain.incarnation[0], 2);
    sparse.flags = SNAPSHOT_WITH_STATUS;
    assert_int_equal(ask_for(&r, &sparse, &d, FAKE_WAIT_MS), 0);
    fake_mapper_request(&r.mapper, &m);
    assert_int_equal(m.snapshot.flags, SNAPSHOT_WITH_STATUS);
    rig_done(&r); /* ends them all */
    assert_int_equal(a.outcome.count + b.outcome.count + c.outcome.count + d.outcome.count, 4);
}

static void a_refusal_is_for_all_who_share(void **state)
{
    struct rig r;
    struct asker a = ASKER_INIT, b = ASKER_INIT, c = ASKER_INIT;
    union message m;

    (void)state;
    rig_init(&r);
    ask(&r, 0, &a);
    fake_mapper_request(&r.mapper, &m);
    ask(&r, 0, &b);
    ask(&r, 0, &c);
    fake_mapper_failed(&r.mapper, m.head.serial, ERROR_ABORTED, 0);
    outcome_wait(&a.outcome, 1);
    assert_int_equal(a.outcome.code, ERROR_ABORTED);
    fake_mapper_request(&r.mapper, &m);
    fake_mapper_failed(&r.mapper, m.head.serial, ERROR_PERMISSION_DENIED, 0);
    outcome_wait(&b.outcome, 1);
    outcome_wait(&c.outcome, 1);
    assert_int_equal(b.outcome.code, ERROR_PERMISSION_DENIED);
    assert_int_equal(c.outcome.code, ERROR_PERMISSION_DENIED);
    rig_done(&r);
}

static void who_waits_for_his_turn_has_his_own_deadline(void **state)
{
    struct rig r;
    struct asker a = ASKER_INIT, b = ASKER_INIT, c = ASKER_INIT;
    union message m;
    const struct message_snapshot s = grants(0);

    (void)state;
    rig_init(&r);
    ask(&r, 0, &a);
    fake_mapper_request(&r.mapper, &m);
    assert_int_equal(ask_for(&r, &s, &b, 1), 0);
    outcome_wait(&b.outcome, 1); /* though the mapper stalls */
    assert_int_equal(b.outcome.code, ERROR_DEADLINE_EXCEEDED);
    outcome_wait(&a.outcome, 0);
    fake_mapper_snapshot(&r.mapper, &m, 4, 1);
    outcome_wait(&a.outcome, 1);
    mapper_slot_unref(a.outcome.slot);
    ask(&r, 9, &c);
    fake_mapper_request(&r.mapper, &m); /* no copy for who is gone */
    assert_int_equal(m.snapshot.first_frame, 9);
    rig_done(&r);
}

static void a_shared_copy_outlives_the_shortest_deadline(void **state)
{
    struct rig r;
    struct asker a = ASKER_INIT, b = ASKER_INIT, c = ASKER_INIT;
    union message m;
    const struct message_snapshot s = grants(0);

    (void)state;
    rig_init(&r);
    ask(&r, 0, &a);
    fake_mapper_request(&r.mapper, &m);
    ask(&r, 0, &c);
    assert_int_equal(ask_for(&r, &s, &b, 100), 0);
    fake_mapper_snapshot(&r.mapper, &m, 4, 1);
    fake_mapper_request(&r.mapper, &m);
    assert_int_equal(m.snapshot.deadline_ns, c.request.deadline_ns);
    outcome_wait(&b.outcome, 1);
    assert_int_equal(b.outcome.code, ERROR_DEADLINE_EXCEEDED);
    fake_mapper_snapshot(&r.mapper, &m, 5, 1);
    outcome_wait(&c.outcome, 1);
    assert_int_equal(c.outcome.code, 0);
    outcome_wait(&b.outcome, 1); /* not told twice */
    mapper_slot_unref(a.outcome.slot);
    mapper_slot_unref(c.outcome.slot);
    rig_done(&r);
}

static void all_are_told_when_the_mapper_goes(void **state)
{
    struct rig r;
    struct asker a = ASKER_INIT, b = ASKER_INIT, c = ASKER_INIT;
    union message m;
    const struct message_snapshot s = grants(0);

    (void)state;
    rig_init(&r);
    ask(&r, 0, &a);
    fake_mapper_request(&r.mapper, &m);
    ask(&r, 0, &b);
    fake_mapper_leave(&r.mapper);
    outcome_wait(&a.outcome, 1);
    outcome_wait(&b.outcome, 1);
    assert_int_equal(a.outcome.code, ERROR_UNAVAILABLE);
    assert_int_equal(b.outcome.code, ERROR_UNAVAILABLE);
    assert_int_equal(ask_for(&r, &s, &c, FAKE_WAIT_MS), -ERROR_UNAVAILABLE);
    assert_int_equal(c.outcome.count, 0); /* refused is not told */
    rig_done(&r);
}

enum { THREADS = 4, ROUNDS = 500 };

static void *ask_often(void *arg)
{
    struct rig *r = arg;
    const struct message_snapshot s = grants(0);

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct asker a = ASKER_INIT;

        /* Some deadlines pass while the answer comes. */
        assert_int_equal(ask_for(r, &s, &a, i % 7 == 0 ? 0 : FAKE_WAIT_MS), 0);
        outcome_wait(&a.outcome, 1);
        mapper_slot_unref(a.outcome.slot);
    }
    return NULL;
}

static void *answer_all(void *arg)
{
    struct fake_mapper *mapper = arg;
    union message m;

    for (;;) {
        fake_mapper_request(mapper, &m);
        if (m.snapshot.first_frame != 0) {
            return NULL;
        }
        fake_mapper_snapshot(mapper, &m, 1, 1);
    }
}

static void every_asker_is_told_once(void **state)
{
    struct rig r;
    struct asker last = ASKER_INIT;
    pthread_t threads[THREADS], answering;

    (void)state;
    rig_init(&r);
    assert_int_equal(pthread_create(&answering, NULL, answer_all, &r.mapper), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &r), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    ask(&r, 1, &last); /* ends the answering */
    assert_int_equal(pthread_join(answering, NULL), 0);
    rig_done(&r);
    assert_int_equal(last.outcome.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_who_ask_during_a_copy_share_the_next),
        cmocka_unit_test(another_range_or_incarnation_is_another_copy),
        cmocka_unit_test(a_refusal_is_for_all_who_share),
        cmocka_unit_test(who_waits_for_his_turn_has_his_own_deadline),
        cmocka_unit_test(a_shared_copy_outlives_the_shortest_deadline),
        cmocka_unit_test(all_are_told_when_the_mapper_goes),
        cmocka_unit_test(every_asker_is_told_once),
    };

    log_open("copies_test", (enum log_level)0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
