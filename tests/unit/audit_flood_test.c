/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Who causes records without end gets few of them, and a count of the rest. */
#include "auth/audit_flood.h"

#include "tests/lib/audit_rig.h"

static void denials_are_thinned_and_counted(void **state)
{
    struct audit_rig r;
    const struct identity who = { .text = "cn:mallory" };
    const struct audit_record denied = { .event = AUDIT_DENIED, .who = &who };
    const struct audit_record stranger = { .event = AUDIT_AUTHENTICATION_FAILED,
                                           .peer = "192.0.2.9:1" };
    struct audit_counters counted;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    for (unsigned i = 0; i < AUDIT_FLOOD_RECORDS + 7; i++) {
        assert_int_equal(audit_write(r.audit, &denied, NULL), 0);
    }
    assert_int_equal(audit_write(r.audit, &stranger, NULL), 0); /* somebody else's are his */
    audit_count(r.audit, &counted);
    assert_int_equal(counted.suppressed, 7);
    audit_rig_stop(&r);
    assert_int_equal(audit_rig_count(&r, "\"event\":\"denied\""), AUDIT_FLOOD_RECORDS + 1);
    assert_int_equal(audit_rig_count(&r, "\"identity\":\"cn:mallory\",\"suppressed\":7"), 1);
    assert_int_equal(audit_rig_count(&r, "\"event\":\"authentication_failed\""), 1);
    (void)audit_rig_whole(&r);
    audit_rig_done(&r);
}

static void names_without_end_are_counted_together(void **state)
{
    struct audit_flood *d = NULL;
    struct audit_flood_sum sum;
    uint64_t now_ns = 1000 * CLOCK_NS_PER_S, written = 0, told = 0;
    const unsigned names = 4 * AUDIT_FLOOD_NAMES;

    (void)state;
    assert_int_equal(audit_flood_new(&d, NULL), 0);
    for (unsigned i = 0; i < names; i++) {
        char peer[32];
        const struct audit_record r = { .event = AUDIT_AUTHENTICATION_FAILED, .peer = peer };

        snprintf(peer, sizeof(peer), "10.%u.%u.1:5", i / 256, i % 256);
        written += audit_flood_take(d, &r, now_ns);
    }
    assert_true(written <= AUDIT_FLOOD_ALL);
    assert_false(audit_flood_next(d, now_ns, false, &sum)); /* not before its time */
    now_ns += AUDIT_FLOOD_PERIOD_S * CLOCK_NS_PER_S;
    while (audit_flood_next(d, now_ns, false, &sum)) {
        told += sum.suppressed;
    }
    assert_int_equal(written + told, names);
    audit_flood_free(d);
}

static void one_address_has_many_ports(void **state)
{
    struct audit_flood *d = NULL;
    unsigned written = 0;

    (void)state;
    assert_int_equal(audit_flood_new(&d, NULL), 0);
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
        cmocka_unit_test(denials_are_thinned_and_counted),
        cmocka_unit_test(names_without_end_are_counted_together),
        cmocka_unit_test(one_address_has_many_ports),
    };

    return UNIT_RUN(tests);
}
