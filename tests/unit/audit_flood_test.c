/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Who causes records without end gets few of them, and a count of the rest. */
#include "auth/audit_flood.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "tests/lib/audit_rig.h"

static void denials_are_thinned_and_counted(void **state)
{
    struct audit_rig *r = *state;
    const struct identity who = { .text = "cn:mallory" };
    const struct audit_record denied = { .event = AUDIT_DENIED, .who = &who };
    const struct audit_record stranger = { .event = AUDIT_AUTHENTICATION_FAILED,
                                           .peer = "192.0.2.9:1" };
    struct audit_counters counted;

    audit_rig_start(r);
    for (unsigned i = 0; i < AUDIT_FLOOD_RECORDS + 7; i++) {
        assert_int_equal(audit_write(r->audit, &denied, NULL), 0);
    }
    assert_int_equal(audit_write(r->audit, &stranger, NULL), 0); /* somebody else's are his */
    audit_count(r->audit, &counted);
    assert_int_equal(counted.suppressed, 7);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_count(r, "\"event\":\"denied\""), AUDIT_FLOOD_RECORDS + 1);
    assert_int_equal(audit_rig_count(r, "\"identity\":\"cn:mallory\",\"suppressed\":7"), 1);
    assert_int_equal(audit_rig_count(r, "\"event\":\"authentication_failed\""), 1);
    (void)audit_rig_whole(r);
}

static atomic_uint failed_writes;

static void count_failed_write(int signal_number)
{
    (void)signal_number;
    atomic_fetch_add(&failed_writes, 1);
}

static void what_was_counted_is_kept_while_the_disk_is_full(void **state)
{
    struct audit_rig *r = *state;
    const struct identity who = { .text = "cn:mallory" };
    const struct audit_record denied = { .event = AUDIT_DENIED, .who = &who };
    struct audit_counters counted = { 0 };
    uint64_t told = 0;

    r->options.flood_ms = 20;
    audit_rig_start(r);
    (void)signal(SIGXFSZ, count_failed_write);
    audit_rig_limit_files(10);
    while (counted.suppressed < 7) {
        (void)audit_write(r->audit, &denied, NULL);
        audit_count(r->audit, &counted);
    }
    unsigned before = atomic_load(&failed_writes);

    while (atomic_load(&failed_writes) < before + 10) { /* its thread tries, a time or two a tick */
        (void)sched_yield();
    }
    audit_rig_limit_files(0);
    audit_rig_stop(r);
    assert_true(audit_rig_count_in(r, "audit.log", "\"suppressed\":", &told) > 0);
    assert_int_equal(told, counted.suppressed);
    (void)audit_rig_whole(r);
}

/* What comes while it is being told is told next. */
static void a_count_stays_until_it_is_told(void **state)
{
    struct audit_flood *d = NULL;
    struct audit_flood_sum sum;
    const struct audit_record r = { .event = AUDIT_AUTHENTICATION_FAILED, .peer = "192.0.2.9:1" };

    (void)state;
    assert_int_equal(audit_flood_new(1000, &d, NULL), 0);
    for (unsigned i = 0; i < AUDIT_FLOOD_RECORDS + 3; i++) {
        (void)audit_flood_take(d, &r, 1);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_true(audit_flood_next(d, 2, true, &sum));
        assert_int_equal(sum.suppressed, 3);
    }
    assert_false(audit_flood_take(d, &r, 1));
    audit_flood_told(d, &sum);
    assert_true(audit_flood_next(d, 2, true, &sum));
    assert_int_equal(sum.suppressed, 1);
    audit_flood_told(d, &sum);
    assert_false(audit_flood_next(d, 2, true, &sum));
    audit_flood_free(d);
}

static void names_without_end_are_counted_together(void **state)
{
    struct audit_flood *d = NULL;
    struct audit_flood_sum sum;
    uint64_t now_ns = 1000 * CLOCK_NS_PER_S, written = 0, told = 0, told_records = 0;
    const unsigned names = 4 * AUDIT_FLOOD_NAMES;

    (void)state;
    assert_int_equal(audit_flood_new(AUDIT_FLOOD_S * 1000, &d, NULL), 0);
    for (unsigned i = 0; i < names; i++) {
        char peer[32];
        const struct audit_record r = { .event = AUDIT_AUTHENTICATION_FAILED, .peer = peer };

        snprintf(peer, sizeof(peer), "10.%u.%u.1:5", i / 256, i % 256);
        written += audit_flood_take(d, &r, now_ns);
    }
    assert_int_equal(written, AUDIT_FLOOD_STRANGERS);
    assert_false(audit_flood_next(d, now_ns, false, &sum)); /* not before its time */
    now_ns += AUDIT_FLOOD_S * CLOCK_NS_PER_S;
    while (audit_flood_next(d, now_ns, false, &sum)) {
        told += sum.suppressed;
        told_records++;
        audit_flood_told(d, &sum);
    }
    assert_int_equal(written + told, names);
    assert_true(told_records <= AUDIT_FLOOD_STRANGERS + 1);
    audit_flood_free(d);
}

/* However many strangers there are: what who is known does is written all the same. */
static void strangers_take_nothing_from_who_is_known(void **state)
{
    struct audit_flood *d = NULL;
    const struct identity who = { .text = "cn:mallory" };
    const struct audit_record denied = { .event = AUDIT_DENIED, .who = &who };

    (void)state;
    assert_int_equal(audit_flood_new(AUDIT_FLOOD_S * 1000, &d, NULL), 0);
    for (unsigned i = 0; i < 2 * AUDIT_FLOOD_ALL; i++) {
        char peer[32];
        const struct audit_record r = { .event = AUDIT_AUTHENTICATION_FAILED, .peer = peer };

        snprintf(peer, sizeof(peer), "10.0.%u.1:5", i / AUDIT_FLOOD_RECORDS);
        (void)audit_flood_take(d, &r, 1);
    }
    assert_true(audit_flood_take(d, &denied, 1));
    audit_flood_free(d);
}

static void one_address_has_many_ports(void **state)
{
    struct audit_flood *d = NULL;
    unsigned written = 0;

    (void)state;
    assert_int_equal(audit_flood_new(AUDIT_FLOOD_S * 1000, &d, NULL), 0);
    for (unsigned i = 0; i < 100; i++) {
        char peer[32];
        const struct audit_record r = { .event = AUDIT_AUTHENTICATION_FAILED, .peer = peer };

        snprintf(peer, sizeof(peer), "[2001:db8::1]:%u", 1024 + i);
        written += audit_flood_take(d, &r, 1);
    }
    assert_int_equal(written, AUDIT_FLOOD_RECORDS);
    audit_flood_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUDIT_RIG_TEST(denials_are_thinned_and_counted),
        AUDIT_RIG_TEST(what_was_counted_is_kept_while_the_disk_is_full),
        cmocka_unit_test(a_count_stays_until_it_is_told),
        cmocka_unit_test(names_without_end_are_counted_together),
        cmocka_unit_test(strangers_take_nothing_from_who_is_known),
        cmocka_unit_test(one_address_has_many_ports),
    };

    return UNIT_RUN(tests);
}
