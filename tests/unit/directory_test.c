/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Who is who: with a backend of a few rows that the test writes itself. */
#include "server/mapper/directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/lib/unit.h"

enum { ROWS_MAX = DIRECTORY_DOMAINS_MAX + 1, EVENTS_MAX = 8 };

struct backend {
    struct backend_domain rows[ROWS_MAX];
    char name[MESSAGE_NAME_BYTES]; /* of all of them */
    bool name_cut;
    uint32_t count;
    struct {
        unsigned events;
        uint16_t domid;
    } events[EVENTS_MAX];
    uint32_t event_count;
    int watched;
    bool list_fails, name_fails;
};

static struct backend world;
static uint8_t last_gone[16];
static int gone_count;
static struct directory *d;

static int fake_list(struct backend *b, uint16_t first, struct backend_domain *out, uint32_t max,
                     uint32_t *count, struct failure *f)
{
    if (b->list_fails) {
        return failure_set(f, ERROR_UNAVAILABLE, "no list");
    }
    *count = 0;
    for (uint32_t i = 0; i < b->count && *count < max; i++) {
        if (b->rows[i].domid >= first) {
            out[(*count)++] = b->rows[i];
        }
    }
    return 0;
}

static int fake_find(struct backend *b, uint16_t domid, struct backend_domain *out,
                     struct failure *f)
{
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->rows[i].domid == domid) {
            *out = b->rows[i];
            return 0;
        }
    }
    return failure_set(f, ERROR_NOT_FOUND, "gone");
}

static int fake_name(struct backend *b, uint16_t domid, char out[MESSAGE_NAME_BYTES], bool *cut,
                     struct failure *f)
{
    (void)domid;
    if (b->name_fails) {
        return failure_set(f, ERROR_UNAVAILABLE, "no name");
    }
    memcpy(out, b->name, MESSAGE_NAME_BYTES);
    *cut = b->name_cut;
    return 0;
}

static bool fake_next_event(struct backend *b, unsigned *events, uint16_t *domid)
{
    if (b->event_count == 0) {
        return false;
    }
    *events = b->events[0].events;
    *domid = b->events[0].domid;
    b->event_count--;
    memmove(&b->events[0], &b->events[1], b->event_count * sizeof(b->events[0]));
    return true;
}

static void fake_watch(struct backend *b, uint16_t domid)
{
    (void)domid;
    b->watched++;
}

static void fake_unwatch(struct backend *b, uint16_t domid)
{
    (void)domid;
    b->watched--;
}

static const struct backend_ops fake_ops = {
    .name = "fake",
    .list = fake_list,
    .find = fake_find,
    .domain_name = fake_name,
    .next_event = fake_next_event,
    .watch_name = fake_watch,
    .unwatch_name = fake_unwatch,
};

static void on_gone(void *arg, const uint8_t incarnation[16])
{
    (void)arg;
    memcpy(last_gone, incarnation, 16);
    gone_count++;
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    memcpy(world.name, "guest", 6);
    for (uint32_t i = 0; i < 3; i++) {
        world.rows[i] = (struct backend_domain){ .domid = (uint16_t)(i + 1),
                                                 .uuid = { (uint8_t)(i + 1) },
                                                 .state = DOMAIN_RUNNING,
                                                 .cpu_time_ns = 10 * CLOCK_NS_PER_S };
    }
    world.count = 3;
    gone_count = 0;
    return directory_new(&fake_ops, &world, on_gone, NULL, &d, NULL) < 0 ||
           directory_drain(d, NULL) < 0;
}

static int tear_down(void **state)
{
    (void)state;
    directory_free(d);
    return world.watched != 0;
}

static struct domain_identity who(uint16_t domid)
{
    uint32_t count;
    const struct directory_entry *e = directory_entries(d, &count);

    for (uint32_t i = 0; i < count; i++) {
        if (e[i].domain.domid == domid) {
            return e[i].identity;
        }
    }
    fail_msg("domain %u is not in the directory", domid);
    return (struct domain_identity){ 0 };
}

static void event(unsigned events, uint16_t domid)
{
    world.events[world.event_count].events = events;
    world.events[world.event_count++].domid = domid;
}

static void drain(void)
{
    assert_int_equal(directory_drain(d, NULL), 0);
}

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

static void a_name_taken_away_is_another_domain(void **state)
{
    struct domain_identity before = who(2);

    (void)state;
    world.name[0] = '\0';
    event(BACKEND_EVENT_NAME, 2);
    drain();
    assert_new_incarnation(&before);
    assert_string_equal(who(2).name, "");
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

static void a_write_that_cannot_be_read_is_feared(void **state)
{
    struct domain_identity before = who(2);

    (void)state;
    world.name_fails = true;
    event(BACKEND_EVENT_NAME, 2);
    assert_true(directory_drain(d, NULL) < 0);
    world.name_fails = false;
    assert_new_incarnation(&before);
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_domain_that_stays_is_the_same),
        TEST(incarnations_differ_between_domains),
        TEST(one_that_was_missing_is_new),
        TEST(another_uuid_is_another_domain),
        TEST(run_time_that_goes_back_is_another_domain),
        TEST(clocks_that_disagree_a_little_are_forgiven),
        TEST(a_name_written_again_is_another_domain),
        TEST(a_name_taken_away_is_another_domain),
        TEST(one_write_of_another_name_is_a_rename),
        TEST(two_writes_hide_what_was_between),
        TEST(a_first_name_comes_late),
        TEST(a_write_that_cannot_be_read_is_feared),
        TEST(a_dying_domain_is_let_go_of_and_listed),
        TEST(one_that_is_asked_for_and_gone_is_let_go_of),
        TEST(a_list_that_failed_is_read_again),
        TEST(a_host_may_have_so_many_domains_and_no_more),
        TEST(a_name_that_does_not_fit_is_no_name),
    };

    return UNIT_RUN(tests);
}
