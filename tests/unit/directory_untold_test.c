/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Incarnations that succeed a name which was taken away, or could not be read: when they are told of. */
#include "tests/lib/directory_rig.h"

/* As a toolstack does that destroys domain 2; or not. */
static void take_name_away(void)
{
    struct domain_identity before = who(2);
    uint64_t generation = directory_generation(d);
    int gone_before = gone_count;

    world.name[0] = '\0';
    event(BACKEND_EVENT_NAME, 2);
    drain();
    assert_memory_not_equal(who(2).incarnation, before.incarnation, 16);
    assert_memory_equal(last_gone, before.incarnation, 16);
    assert_int_equal(gone_count, gone_before + 1);
    assert_string_equal(who(2).name, "");
    assert_true(entry(2).is_untold);
    assert_int_equal(directory_generation(d), generation + 1);
    expect_told("G");
    assert_true(domain_identity_equal(&last_told.identity, &before));
}

static void a_name_taken_away_is_another_domain_and_nobody_is_told(void **state)
{
    (void)state;
    take_name_away();
    drain();
    expect_told("");
}

static void nothing_is_told_of_one_that_dies_untold(void **state)
{
    (void)state;
    take_name_away();
    uint64_t generation = directory_generation(d);

    assert_int_equal(settle(0), DIRECTORY_UNTOLD_MS);
    world.rows[1].state = DOMAIN_SHUTDOWN;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    world.rows[1].dying = true;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    assert_int_equal(gone_count, 2); /* of whoever holds anything of it */
    assert_int_equal(settle(10 * DIRECTORY_UNTOLD_MS), UINT64_MAX);
    assert_true(entry(2).is_untold);
    world.rows[1] = world.rows[2];
    world.count = 2;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    assert_int_equal(settle(20 * DIRECTORY_UNTOLD_MS), UINT64_MAX);
    expect_told("");
    assert_int_equal(directory_generation(d), generation);
}

static void a_name_that_comes_back_is_another_life_told_once(void **state)
{
    (void)state;
    for (int times = 1; times <= 2; times++) { /* written so often in one look */
        struct domain_identity before = who(2);

        take_name_away();
        settle(0);
        memcpy(world.name, "guest", 6);
        for (int i = 0; i < times; i++) {
            event(BACKEND_EVENT_NAME, 2);
        }
        drain();
        expect_told("C");
        assert_false(entry(2).is_untold);
        assert_string_equal(last_told.identity.name, "guest");
        assert_memory_not_equal(last_told.identity.incarnation, before.incarnation, 16);
        assert_int_equal(settle(10 * DIRECTORY_UNTOLD_MS), UINT64_MAX);
        expect_told("");
    }
}

static void one_that_lives_on_without_a_name_is_told_in_time(void **state)
{
    (void)state;
    take_name_away();
    uint64_t generation = directory_generation(d);

    assert_int_equal(settle(700), 700 + DIRECTORY_UNTOLD_MS);
    assert_int_equal(settle(1000), 700 + DIRECTORY_UNTOLD_MS);
    event(BACKEND_EVENT_NAME, 2); /* written and taken away again makes it no longer */
    event(BACKEND_EVENT_NAME, 2);
    drain();
    assert_int_equal(settle(700 + DIRECTORY_UNTOLD_MS - 1), 700 + DIRECTORY_UNTOLD_MS);
    expect_told("");
    assert_int_equal(directory_generation(d), generation);
    assert_int_equal(settle(700 + DIRECTORY_UNTOLD_MS), UINT64_MAX);
    expect_told("C");
    assert_int_equal(directory_generation(d), generation + 1);
    assert_false(entry(2).is_untold);
    assert_string_equal(last_told.identity.name, "");
    memcpy(world.name, "late", 5);
    event(BACKEND_EVENT_NAME, 2);
    drain();
    expect_told("R");
    take_name_away(); /* and all over again */
    assert_int_equal(settle(9000), 9000 + DIRECTORY_UNTOLD_MS);
}

static void whoever_is_to_be_told_of_is_looked_at_first(void **state)
{
    uint64_t next_ns;

    (void)state;
    take_name_away();
    settle(0);
    world.find_fails = true;
    assert_int_equal(directory_settle(d, DIRECTORY_UNTOLD_MS * CLOCK_NS_PER_MS, &next_ns, NULL),
                     -ERROR_UNAVAILABLE);
    assert_int_equal(next_ns, 2 * DIRECTORY_UNTOLD_MS * CLOCK_NS_PER_MS);
    world.find_fails = false;
    world.rows[1].dying = true; /* and no event came */
    assert_int_equal(settle(2 * DIRECTORY_UNTOLD_MS), UINT64_MAX);
    expect_told("");
}

static void several_are_settled_whoever_of_them_is_gone(void **state)
{
    (void)state;
    world.name[0] = '\0';
    for (uint16_t domid = 1; domid <= 3; domid++) {
        event(BACKEND_EVENT_NAME, domid);
    }
    drain();
    expect_told("GGG");
    settle(0);
    world.rows[0] = world.rows[1];
    world.rows[1] = world.rows[2];
    world.count = 2;
    assert_int_equal(settle(DIRECTORY_UNTOLD_MS), UINT64_MAX);
    expect_told("CC");
    assert_int_equal(last_told.domain.domid, 3);
    assert_false(entry(2).is_untold);
    drain();
    expect_told("");
}

static void an_untold_number_used_again_is_told(void **state)
{
    (void)state;
    take_name_away();
    world.rows[1].uuid[3] = 9;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    expect_told("C"); /* a domain of its own, whose name comes later */
    assert_false(entry(2).is_untold);
}

/* Nor is it known by the name that it had, which may be another's now. */
static void a_write_that_cannot_be_read_is_feared(void **state)
{
    struct domain_identity before = who(2);

    (void)state;
    world.name_fails = true;
    memcpy(world.name, "other", 6);
    event(BACKEND_EVENT_NAME, 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(directory_drain(d, NULL), -ERROR_UNAVAILABLE);
        assert_true(entry(2).is_untold);
        assert_string_equal(who(2).name, "");
        assert_int_equal(settle(10000 * (uint64_t)i), UINT64_MAX); /* it may have a name */
    }
    assert_memory_not_equal(who(2).incarnation, before.incarnation, 16);
    expect_told("G");
    world.name_fails = false;
    drain();
    expect_told("C");
    assert_string_equal(who(2).name, "other");
    drain();
    expect_told("");
}

static void nor_is_another_domain_known_by_the_name_of_the_one_before(void **state)
{
    const struct directory_entry *e;

    (void)state;
    world.name_fails = true;
    memcpy(world.name, "other", 6);
    world.rows[1].uuid[3] = 9;
    assert_int_equal(directory_find(d, 2, &e, NULL), 0);
    assert_string_equal(e->identity.name, "");
    expect_told("G");
    world.name_fails = false;
    drain();
    expect_told("C");
    assert_string_equal(who(2).name, "other");
}

static void one_that_had_none_when_it_could_be_read_is_told_in_time(void **state)
{
    (void)state;
    world.name_fails = true;
    world.name[0] = '\0';
    event(BACKEND_EVENT_NAME, 2);
    assert_int_equal(directory_drain(d, NULL), -ERROR_UNAVAILABLE);
    world.name_fails = false;
    drain();
    expect_told("G");
    assert_int_equal(settle(100), 100 + DIRECTORY_UNTOLD_MS);
    assert_int_equal(settle(100 + DIRECTORY_UNTOLD_MS), UINT64_MAX);
    expect_told("C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIRECTORY_TEST(a_name_taken_away_is_another_domain_and_nobody_is_told),
        DIRECTORY_TEST(nothing_is_told_of_one_that_dies_untold),
        DIRECTORY_TEST(a_name_that_comes_back_is_another_life_told_once),
        DIRECTORY_TEST(one_that_lives_on_without_a_name_is_told_in_time),
        DIRECTORY_TEST(whoever_is_to_be_told_of_is_looked_at_first),
        DIRECTORY_TEST(several_are_settled_whoever_of_them_is_gone),
        DIRECTORY_TEST(an_untold_number_used_again_is_told),
        DIRECTORY_TEST(a_write_that_cannot_be_read_is_feared),
        DIRECTORY_TEST(nor_is_another_domain_known_by_the_name_of_the_one_before),
        DIRECTORY_TEST(one_that_had_none_when_it_could_be_read_is_told_in_time),
    };

    return UNIT_RUN(tests);
}
