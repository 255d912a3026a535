/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Who is who. Those whom nobody is told of are in directory_untold_test.c. */
#include "tests/lib/directory_rig.h"

/* The incarnation of domain 2 is another than `before`, and whoever cares was told. */
static void assert_new_incarnation(const struct domain_identity *before)
{
    struct domain_identity now = who(2);

    assert_memory_not_equal(now.incarnation, before->incarnation, 16);
    assert_int_equal(gone_count, 1);
    assert_memory_equal(last_gone, before->incarnation, 16);
}

static void a_domain_that_stays_is_the_same(void **state)
{
    struct domain_identity before = who(2);
    uint64_t generation = directory_generation(d);
    const struct directory_entry *e;

    (void)state;
    world.rows[1].cpu_time_ns += CLOCK_NS_PER_S;
    world.rows[1].state = DOMAIN_BLOCKED;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    assert_int_equal(directory_find(d, 2, &e, NULL), 0);
    assert_true(domain_identity_equal(&before, &e->identity));
    assert_int_equal(directory_generation(d), generation);
    assert_int_equal(gone_count, 0);
}

static void incarnations_differ_between_domains(void **state)
{
    struct domain_identity a = who(1), b = who(2);

    (void)state;
    assert_memory_not_equal(a.incarnation, b.incarnation, 16);
}

static void one_that_was_missing_is_new(void **state)
{
    struct domain_identity before = who(2);
    struct backend_domain row = world.rows[1];

    (void)state;
    world.rows[1] = world.rows[2];
    world.count = 2;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    world.rows[1] = row;
    world.rows[2] = (struct backend_domain){ .domid = 3, .uuid = { 3 } };
    world.count = 3;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    assert_memory_not_equal(who(2).incarnation, before.incarnation, 16);
    assert_memory_equal(who(2).uuid, before.uuid, UUID_BYTES);
}

static void another_uuid_is_another_domain(void **state)
{
    struct domain_identity before = who(2);
    const struct directory_entry *e;

    (void)state;
    world.rows[1].uuid[3] = 9;
    assert_int_equal(directory_find(d, 2, &e, NULL), 0); /* found without any event */
    assert_int_equal(e->identity.uuid[3], 9);
    assert_new_incarnation(&before);
}

static void run_time_that_goes_back_is_another_domain(void **state)
{
    struct domain_identity before = who(2);

    (void)state;
    world.rows[1].cpu_time_ns = CLOCK_NS_PER_S;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    assert_new_incarnation(&before);
}

static void clocks_that_disagree_a_little_are_forgiven(void **state)
{
    struct domain_identity before = who(2);

    (void)state;
    world.rows[1].cpu_time_ns -= 50 * CLOCK_NS_PER_MS;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    assert_memory_equal(who(2).incarnation, before.incarnation, 16);
}

static void a_name_written_again_is_another_domain(void **state)
{
    struct domain_identity before = who(2);

    (void)state;
    event(BACKEND_EVENT_NAME, 2);
    drain();
    assert_new_incarnation(&before);
}

static void one_write_of_another_name_is_a_rename(void **state)
{
    struct domain_identity before = who(2);
    uint64_t generation = directory_generation(d);

    (void)state;
    memcpy(world.name, "other", 6);
    event(BACKEND_EVENT_NAME, 2);
    drain();
    assert_memory_equal(who(2).incarnation, before.incarnation, 16);
    assert_string_equal(who(2).name, "other");
    assert_int_not_equal(directory_generation(d), generation);
}

static void two_writes_hide_what_was_between(void **state)
{
    struct domain_identity before = who(2);

    (void)state;
    memcpy(world.name, "other", 6);
    event(BACKEND_EVENT_NAME, 2);
    event(BACKEND_EVENT_NAME, 2);
    drain();
    assert_memory_not_equal(who(2).incarnation, before.incarnation, 16);
}

static void a_first_name_comes_late(void **state)
{
    (void)state;
    world.name[0] = '\0';
    world.rows[3] = (struct backend_domain){ .domid = 4, .uuid = { 4 } };
    world.count = 4;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    struct domain_identity before = who(4);

    memcpy(world.name, "late", 5);
    event(BACKEND_EVENT_NAME, 4);
    drain();
    assert_memory_equal(who(4).incarnation, before.incarnation, 16);
    assert_string_equal(who(4).name, "late");
}

static void a_dying_domain_is_let_go_of_and_listed(void **state)
{
    struct domain_identity before = who(2);

    (void)state;
    world.rows[1].dying = true;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    assert_int_equal(gone_count, 1);
    assert_memory_equal(last_gone, before.incarnation, 16);
    assert_memory_equal(who(2).incarnation, before.incarnation, 16);
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    assert_int_equal(gone_count, 1);
    world.rows[1].dying = false; /* the same number, alive: never the same domain */
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    assert_memory_not_equal(who(2).incarnation, before.incarnation, 16);
}

static void one_that_is_asked_for_and_gone_is_let_go_of(void **state)
{
    struct domain_identity before = who(3);
    const struct directory_entry *e;

    (void)state;
    world.count = 2;
    assert_int_equal(directory_find(d, 3, &e, NULL), -ERROR_NOT_FOUND);
    assert_memory_equal(last_gone, before.incarnation, 16);
}

static void a_list_that_failed_is_read_again(void **state)
{
    (void)state;
    world.list_fails = true;
    world.count = 2;
    event(BACKEND_EVENT_DOMAINS, 0);
    assert_int_equal(directory_drain(d, NULL), -ERROR_UNAVAILABLE);
    assert_int_equal(directory_drain(d, NULL), -ERROR_UNAVAILABLE); /* not believed meanwhile */
    world.list_fails = false;
    drain();
    uint32_t count;

    directory_entries(d, &count);
    assert_int_equal(count, 2);
}

static void a_host_may_have_so_many_domains_and_no_more(void **state)
{
    struct failure f;
    uint32_t count;

    (void)state;
    directory_listen(d, NULL, NULL);
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        world.rows[i] = (struct backend_domain){ .domid = (uint16_t)(i + 1) };
    }
    world.count = DIRECTORY_DOMAINS_MAX;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    directory_entries(d, &count);
    assert_int_equal(count, DIRECTORY_DOMAINS_MAX);
    world.count = ROWS_MAX;
    event(BACKEND_EVENT_DOMAINS, 0);
    assert_int_equal(directory_drain(d, &f), -ERROR_RESOURCE_EXHAUSTED);
    world.count = 3;
    drain();
}

static void a_name_that_does_not_fit_is_no_name(void **state)
{
    (void)state;
    world.name_cut = true;
    memset(world.name, 'x', MESSAGE_NAME_BYTES - 1);
    event(BACKEND_EVENT_NAME, 2);
    drain();
    assert_int_equal(who(2).name_cut, 1);
    assert_string_equal(who(2).name, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIRECTORY_TEST(a_domain_that_stays_is_the_same),
        DIRECTORY_TEST(incarnations_differ_between_domains),
        DIRECTORY_TEST(one_that_was_missing_is_new),
        DIRECTORY_TEST(another_uuid_is_another_domain),
        DIRECTORY_TEST(run_time_that_goes_back_is_another_domain),
        DIRECTORY_TEST(clocks_that_disagree_a_little_are_forgiven),
        DIRECTORY_TEST(a_name_written_again_is_another_domain),
        DIRECTORY_TEST(one_write_of_another_name_is_a_rename),
        DIRECTORY_TEST(two_writes_hide_what_was_between),
        DIRECTORY_TEST(a_first_name_comes_late),
        DIRECTORY_TEST(a_dying_domain_is_let_go_of_and_listed),
        DIRECTORY_TEST(one_that_is_asked_for_and_gone_is_let_go_of),
        DIRECTORY_TEST(a_list_that_failed_is_read_again),
        DIRECTORY_TEST(a_host_may_have_so_many_domains_and_no_more),
        DIRECTORY_TEST(a_name_that_does_not_fit_is_no_name),
    };

    return UNIT_RUN(tests);
}
