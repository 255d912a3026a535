/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A host that changes under the mapper: domains that die, come back, change their tables; pages that
 * go away. The real mapper on the simulator, whose ledger proves what was disturbed.
 */
#include "common/layout.h"
#include "tests/lib/host_rig.h"

#define HVM                                                                                        \
    "domain \"hvm\" { domid = 3 uuid = \"33333333-3333-3333-3333-333333333333\" type = \"hvm\"\n"   \
    "  vcpus = 2 vmtrace { size = 65536 } ioreq \"0\" { requests_per_second = 100 }\n"                     \
    "  ioreq \"1\" { buffered = false } ioreq \"2\" { emulator = \"stubdom\" } }\n"

static void nothing_that_is_asked_for_disturbs_a_guest(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL HOST_V2 HVM, NULL);
    struct domain_identity d[3] = { rig_domain(&peer, "still"), rig_domain(&peer, "two"),
                                    rig_domain(&peer, "hvm") };

    for (int i = 0; i < 3; i++) {
        union message m = rig_message(MESSAGE_DESCRIBE);

        m.describe.domain = d[i];
        assert_true(rig_call(&peer, &m, &answered));
        for (uint32_t first = 0; first < 40; first++) {
            host_snapshot(&d[i], RESOURCE_GRANT_TABLE, 0, first, 1, 0);
            host_snapshot(&d[i], RESOURCE_GRANT_TABLE, 0, 0, first, 0);
            host_snapshot(&d[i], RESOURCE_GRANT_TABLE, 1, first, 1, 0);
        }
    }
    assert_int_equal(rig_ledger(&peer, "grant tables grown"), 0);
    assert_int_equal(rig_ledger(&peer, "ioreq pages allocated"), 0);
    assert_int_equal(rig_ledger(&peer, "zombies"), 0);
    host_stop();
}

static void the_bytes_are_the_guests(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL, NULL);
    struct domain_identity d = rig_domain(&peer, "still");

    assert_true(host_table(&d));
    const uint8_t *bytes = peer.arena + answered.snapshot_answer.slot.offset_bytes;
    struct layout_grant g;

    for (uint32_t r = 0; r < 4 * LAYOUT_GRANTS_PER_FRAME_V1; r++) {
        assert_true(layout_grant_v1(bytes, 4 * LAYOUT_FRAME_BYTES, 0, r, &g));
        bool used = r < 2 || (r >= 8 && r < 2000);

        assert_int_equal(g.kind, used ? LAYOUT_GRANT_PERMIT_ACCESS : LAYOUT_GRANT_UNUSED);
    }
    host_stop();
}

static void status_frames_are_not_held(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_V2, NULL);
    struct domain_identity d = rig_domain(&peer, "two");

    assert_true(host_snapshot(&d, RESOURCE_GRANT_TABLE, 1, 0, MESSAGE_FRAMES_ALL, 0));
    assert_int_equal(rig_ledger(&peer, "status maps"), 1);
    assert_int_equal(rig_ledger(&peer, "live mappings"), 0);
    assert_true(host_snapshot(&d, RESOURCE_GRANT_TABLE, 0, 0, MESSAGE_FRAMES_ALL, SNAPSHOT_WITH_STATUS));
    assert_int_equal(answered.snapshot_answer.status_frame_count, 2);
    assert_int_equal(rig_ledger(&peer, "live mappings"), 1);   /* the shared frames */
    host_stop();
}

static void ioreq_pages_are_taken_one_by_one_and_not_held(void **state)
{
    (void)state;
    host_start(HOST_HEAD HVM, NULL);
    struct domain_identity d = rig_domain(&peer, "hvm");

    assert_true(host_snapshot(&d, RESOURCE_IOREQ_SERVER, 0, 0, 2, 0));
    assert_true(host_snapshot(&d, RESOURCE_IOREQ_SERVER, 0, 0, 2, SNAPSHOT_SPARSE));
    assert_int_equal(answered.snapshot_answer.frames_present, 3);
    assert_false(host_snapshot(&d, RESOURCE_IOREQ_SERVER, 1, 0, 2, 0));
    host_assert_failed(ERROR_NOT_FOUND);
    /* Without a queue of buffered requests its page is zeros, whatever the slot held before. */
    assert_true(host_snapshot(&d, RESOURCE_IOREQ_SERVER, 1, 0, 2, SNAPSHOT_SPARSE));
    assert_int_equal(answered.snapshot_answer.frames_present, 2);
    const uint8_t *bytes = peer.arena + answered.snapshot_answer.slot.offset_bytes;

    for (int i = 0; i < LAYOUT_FRAME_BYTES; i++) {
        assert_int_equal(bytes[i], 0);
    }
    assert_false(host_snapshot(&d, RESOURCE_IOREQ_SERVER, 5, 0, 2, SNAPSHOT_SPARSE));
    host_assert_failed(ERROR_NOT_FOUND);
    assert_false(host_snapshot(&d, RESOURCE_IOREQ_SERVER, 2, 1, 1, SNAPSHOT_SPARSE));
    host_assert_failed(ERROR_PERMISSION_DENIED);
    assert_int_equal(rig_ledger(&peer, "live mappings"), 0);
    host_stop();
}

static void what_no_trace_has_written_is_not_served(void **state)
{
    (void)state;
    host_start(HOST_HEAD HVM, NULL);
    struct domain_identity d = rig_domain(&peer, "hvm");

    assert_false(host_snapshot(&d, RESOURCE_VMTRACE_BUF, 0, 0, 1, 0));
    host_assert_failed(ERROR_UNIMPLEMENTED);
    assert_int_equal(rig_ledger(&peer, "maps"), 0);
    host_stop();
}

static void a_live_mapping_is_used_again_until_it_is_idle(void **state)
{
    static const char *const idle[] = { "--mapping-idle", "0", NULL };

    (void)state;
    host_start(HOST_HEAD HOST_STILL, NULL);
    struct domain_identity d = rig_domain(&peer, "still");

    for (int i = 0; i < 10; i++) {
        assert_true(host_table(&d));
        rig_release(&peer, &answered.snapshot_answer.slot);
    }
    assert_int_equal(rig_ledger(&peer, " maps"), 1);
    assert_int_equal(rig_ledger(&peer, "live mappings"), 1);
    host_stop();
    host_start(HOST_HEAD HOST_STILL, idle);
    d = rig_domain(&peer, "still");
    assert_true(host_table(&d));
    host_wait_for_ledger("live mappings", 0, 1000);
    host_stop();
}

static void a_dead_domain_is_let_go_of_at_once(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL "event { step = 1 do = \"destroy\" domain = \"still\" }\n", NULL);
    struct domain_identity d = rig_domain(&peer, "still");

    assert_true(host_table(&d));
    assert_int_equal(rig_ledger(&peer, "live mappings"), 1);
    rig_step(&rig);
    /* No request about it: the event alone must do. */
    host_wait_for_ledger("live mappings", 0, 1000);
    assert_int_equal(rig_ledger(&peer, "zombies"), 0);
    assert_false(host_table(&d));
    host_assert_failed(ERROR_NOT_FOUND);
    struct message_domain gone;

    assert_false(rig_find(&peer, "still", &gone));
    host_stop();
}

static void the_peer_is_told_when_domains_change(void **state)
{
    union message m;

    (void)state;
    host_start(HOST_HEAD HOST_STILL "event { step = 1 do = \"destroy\" domain = \"still\" }\n", NULL);
    rig_domain(&peer, "still");
    uint64_t before = 0;

    rig_step(&rig);
    assert_true(rig_receive(&peer, &m, NULL) > 0);
    assert_int_equal(m.head.type, MESSAGE_EVENT_DOMAINS);
    assert_int_equal(m.head.serial, 0);
    assert_true(m.event_domains.generation > before);
    host_stop();
}

static void what_the_scenario_dates_happens_by_itself(void **state)
{
    union message m;
    struct message_domain d;

    (void)state;
    host_start(HOST_HEAD "domain \"later\" { domid = 4 uuid = \"44444444-4444-4444-4444-444444444444\" present = false }\n"
          "event { at_ms = 300 do = \"create\" domain = \"later\" }\n", NULL);
    assert_true(rig_receive(&peer, &m, NULL) > 0);
    assert_int_equal(m.head.type, MESSAGE_EVENT_DOMAINS);
    assert_true(rig_find(&peer, "later", &d));
    host_stop();
}

static void a_guest_that_runs_changes_and_one_that_stands_still_does_not(void **state)
{
    uint8_t digest[16];
    uint64_t end_ns = clock_monotonic_ns() + RIG_LIMIT_MS * CLOCK_NS_PER_MS;

    (void)state;
    host_start(HOST_HEAD HOST_STILL "domain \"busy\" { domid = 5 uuid = \"55555555-5555-5555-5555-555555555555\""
          " grants { entries = 400 changes_per_second = 1000 } }\n", NULL);
    struct domain_identity still = rig_domain(&peer, "still"), busy = rig_domain(&peer, "busy");
    int changes = 0;

    assert_true(host_table(&still));
    memcpy(digest, answered.snapshot_answer.observation.digest, 16);
    rig_release(&peer, &answered.snapshot_answer.slot);
    for (uint8_t before[16] = { 0 }; changes < 5 && clock_monotonic_ns() < end_ns;) {
        assert_true(host_table(&busy));
        changes += memcmp(before, answered.snapshot_answer.observation.digest, 16) != 0;
        memcpy(before, answered.snapshot_answer.observation.digest, 16);
        rig_release(&peer, &answered.snapshot_answer.slot);
    }
    assert_int_equal(changes, 5);
    assert_true(host_table(&still));
    assert_memory_equal(digest, answered.snapshot_answer.observation.digest, 16);
    host_stop();
}

/* Whatever the number and the name say: another life is another domain. */
static void assert_never_the_old_one(const char *action)
{
    char scenario[1024];

    snprintf(scenario, sizeof(scenario), HOST_HEAD HOST_STILL "event { step = 1 do = \"%s\" domain = \"still\""
             " text = \"other\" }\n", action);
    host_start(scenario, NULL);
    struct domain_identity old = rig_domain(&peer, "still");

    assert_true(host_table(&old));
    rig_step(&rig);
    assert_false(host_table(&old));
    if (answered.failed.failure.code != ERROR_NOT_FOUND) {
        host_assert_failed(ERROR_ABORTED);
    }
    host_wait_for_ledger("zombies", 0, 1000);
    host_stop();
}

static void a_reboot_is_another_domain(void **state)
{
    (void)state;
    assert_never_the_old_one("reboot");
}

static void a_restore_with_the_same_number_and_uuid_is_another_domain(void **state)
{
    (void)state;
    assert_never_the_old_one("restore");
}

static void a_name_written_again_is_another_domain(void **state)
{
    (void)state;
    assert_never_the_old_one("rewrite_name");
}

static void a_name_taken_away_is_another_domain(void **state)
{
    (void)state;
    assert_never_the_old_one("remove_name");
}

static void a_renamed_domain_is_not_the_one_named(void **state)
{
    (void)state;
    assert_never_the_old_one("rename");
}

static void a_domain_with_other_tags_is_not_the_one_decided_on(void **state)
{
    (void)state;
    assert_never_the_old_one("retag");
    assert_never_the_old_one("open_tags");
}

static void the_new_domain_is_served_under_its_old_number(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL
          "domain \"next\" { domid = 1 uuid = \"44444444-4444-4444-4444-444444444444\" present = false"
          " name = \"still\" grants { frames = 2 } }\n"
          "event { step = 1 do = \"destroy\" domain = \"still\" }\n"
          "event { step = 1 do = \"create\" domain = \"next\" }\n", NULL);
    struct domain_identity old = rig_domain(&peer, "still");

    assert_true(host_table(&old));
    rig_step(&rig);
    host_wait_for_ledger("zombies", 0, 1000);
    assert_false(host_table(&old));
    struct domain_identity next = rig_domain(&peer, "still");

    assert_int_equal(next.domid, old.domid);
    assert_int_equal(next.uuid[0], 0x44);
    assert_true(host_table(&next));
    assert_int_equal(answered.snapshot_answer.observation.frame_count, 2);
    host_stop();
}

static void pages_that_go_away_fail_one_request(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL HOST_V2 "fault { operation = \"map\" effect = \"pages_lost\" domain = \"still\" }\n", NULL);
    struct domain_identity lost = rig_domain(&peer, "still"), other = rig_domain(&peer, "two");

    assert_false(host_table(&lost));
    host_assert_failed(ERROR_ABORTED);
    assert_int_equal(rig_ledger(&peer, "live mappings"), 0); /* not to be found again */
    assert_true(host_table(&other));
    host_stop();
}

static void a_domain_that_dies_while_it_is_copied_is_not_served(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL "fault { operation = \"map\" effect = \"dies\" domain = \"still\" }\n", NULL);
    struct domain_identity d = rig_domain(&peer, "still");

    assert_false(host_table(&d));
    assert_true(answered.failed.failure.code == ERROR_ABORTED ||
                answered.failed.failure.code == ERROR_NOT_FOUND);
    host_wait_for_ledger("zombies", 0, 1000);
    assert_int_equal(rig_ledger(&peer, "live mappings"), 0);
    host_stop();
}

static void no_other_guest_is_mapped_when_the_number_goes_over_in_between(void **state)
{
    (void)state;
    /* The shared frames are mapped first; then the domain is replaced by one with fewer frames, before
     * the status frames are mapped. They must not be asked of the new one: its table would grow. */
    host_start(HOST_HEAD "domain \"old\" { domid = 2 uuid = \"22222222-2222-2222-2222-222222222222\""
          " grants { version = 2 frames = 2000 frames_max = 2000 } }\n"
          "domain \"new\" { domid = 2 uuid = \"77777777-7777-7777-7777-777777777777\" present = false"
          " grants { version = 2 frames = 1 frames_max = 2000 } }\n"
          "event { step = 1 do = \"destroy\" domain = \"old\" }\n"
          "event { step = 1 do = \"create\" domain = \"new\" }\n", NULL);
    struct domain_identity d = rig_domain(&peer, "old");
    union message m = rig_snapshot_message(&d, RESOURCE_GRANT_TABLE, 0, 0, MESSAGE_FRAMES_ALL);

    m.snapshot.flags = SNAPSHOT_WITH_STATUS;
    m.head.serial = 500;
    rig_send(&peer, &m);
    rig_step(&rig);
    do {
        assert_true(rig_receive(&peer, &answered, NULL) > 0);
    } while (answered.head.serial != 500);
    assert_int_equal(rig_ledger(&peer, "grant tables grown"), 0);
    host_stop();
}

static void a_table_that_changes_while_it_is_copied_is_aborted(void **state)
{
    (void)state;
    /* The size is asked for before and after the copy; the second answer is another. */
    host_start(HOST_HEAD HOST_STILL "fault { operation = \"size\" effect = \"wrong_size\" value = 5 call = 2 }\n", NULL);
    struct domain_identity d = rig_domain(&peer, "still");

    assert_false(host_table(&d));
    host_assert_failed(ERROR_ABORTED);
    assert_int_equal(answered.failed.failure.retry_after_ms, FAILURE_RETRY_SOON_MS);
    assert_true(host_table(&d));
    host_stop();
}

static void a_size_that_cannot_be_is_not_believed(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL "fault { operation = \"size\" effect = \"wrong_size\" value = 4294967201 }\n", NULL);
    struct domain_identity d = rig_domain(&peer, "still");

    assert_false(host_table(&d));
    host_assert_failed(ERROR_INTERNAL);
    assert_int_equal(rig_ledger(&peer, " maps"), 0);
    assert_true(host_table(&d));
    host_stop();
}

static void run_times_come_from_the_table_where_there_is_one(void **state)
{
    union message m = rig_message(MESSAGE_VCPU_STATS);

    (void)state;
    host_start(HOST_HEAD "host { stats_table = true stats_busy = true }\n"
          "domain \"d\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\" vcpus = 300"
          " max_vcpus = 310 }\n", NULL);
    m.vcpu_stats.domain = rig_domain(&peer, "d");
    assert_true(rig_call(&peer, &m, &answered));
    const struct message_vcpu_stats_answer *a = &answered.vcpu_stats_answer;

    assert_int_equal(a->source, VCPU_STATS_TABLE);
    assert_int_equal(a->observation.consistency, SNAPSHOT_SEQUENCE_LOCKED);
    assert_int_equal(a->vcpu_count, 310);   /* its second page too */
    const struct message_vcpu *v = (const struct message_vcpu *)(const void *)(
        peer.arena + a->slot.offset_bytes);

    assert_int_equal(v[0].flags, VCPU_UNREADABLE);
    assert_int_equal(v[299].flags, VCPU_ONLINE);
    assert_int_equal(v[300].flags, 0);
    assert_int_equal(rig_ledger(&peer, "live mappings"), 0);
    host_stop();
}

static void the_largest_table_fits_and_others_are_served_meanwhile(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL "domain \"large\" { domid = 9 uuid = \"99999999-9999-9999-9999-999999999999\""
          " grants { frames = 16384 frames_max = 16384 entries = 100000 } }\n", NULL);
    struct domain_identity large = rig_domain(&peer, "large"), small = rig_domain(&peer, "still");
    union message m = rig_snapshot_message(&large, RESOURCE_GRANT_TABLE, 0, 0, MESSAGE_FRAMES_ALL);

    message_init(&m, MESSAGE_SNAPSHOT, 1000);
    rig_send(&peer, &m);
    m = rig_snapshot_message(&small, RESOURCE_GRANT_TABLE, 0, 0, 1);
    message_init(&m, MESSAGE_SNAPSHOT, 1001);
    rig_send(&peer, &m);
    assert_true(rig_receive(&peer, &answered, NULL) > 0);
    assert_int_equal(answered.head.serial, 1001);   /* asked for later, and answered first */
    assert_true(rig_receive(&peer, &answered, NULL) > 0);
    assert_int_equal(answered.head.serial, 1000);
    assert_int_equal(answered.head.type, MESSAGE_SNAPSHOT | MESSAGE_ANSWER);
    assert_int_equal(answered.snapshot_answer.slot.len_bytes, 64U << 20);
    host_stop();
}

static void a_full_arena_is_said_at_once_and_emptied_by_release(void **state)
{
    static const char *const small[] = { "--arena-mib", "1", NULL };
    struct message_slot slots[300];
    int count = 0;

    (void)state;
    host_start(HOST_HEAD HOST_STILL, small);
    struct domain_identity d = rig_domain(&peer, "still");

    while (count < 300 && host_table(&d)) {
        slots[count++] = answered.snapshot_answer.slot;
    }
    assert_int_equal(count, (1 << 20) / (4 * MESSAGE_FRAME_BYTES));
    host_assert_failed(ERROR_RESOURCE_EXHAUSTED);
    rig_release(&peer, &slots[7]);
    assert_true(host_table(&d));
    assert_int_equal(answered.snapshot_answer.slot.index, slots[7].index);
    assert_int_not_equal(answered.snapshot_answer.slot.generation, slots[7].generation);
    host_stop();
}

static void hypercalls_have_a_ceiling(void **state)
{
    static const char *const few[] = { "--hypercalls-per-second", "100", NULL };
    int served = 0;

    (void)state;
    host_start(HOST_HEAD HOST_STILL, few);
    struct domain_identity d = rig_domain(&peer, "still");

    while (served < 1000 && host_table(&d)) {
        rig_release(&peer, &answered.snapshot_answer.slot);
        served++;
    }
    host_assert_failed(ERROR_RESOURCE_EXHAUSTED);
    assert_true(served < 100);
    union message m = rig_message(MESSAGE_COUNTERS), a; /* which costs no hypercall */

    assert_true(rig_call(&peer, &m, &a));
    assert_int_equal(a.counters_answer.ceiling_refusals, 1);
    host_stop();
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_that_is_asked_for_disturbs_a_guest),
        TEST(the_bytes_are_the_guests),
        TEST(status_frames_are_not_held),
        TEST(ioreq_pages_are_taken_one_by_one_and_not_held),
        TEST(what_no_trace_has_written_is_not_served),
        TEST(a_live_mapping_is_used_again_until_it_is_idle),
        TEST(a_dead_domain_is_let_go_of_at_once),
        TEST(the_peer_is_told_when_domains_change),
        TEST(what_the_scenario_dates_happens_by_itself),
        TEST(a_guest_that_runs_changes_and_one_that_stands_still_does_not),
        TEST(a_reboot_is_another_domain),
        TEST(a_restore_with_the_same_number_and_uuid_is_another_domain),
        TEST(a_name_written_again_is_another_domain),
        TEST(a_name_taken_away_is_another_domain),
        TEST(a_renamed_domain_is_not_the_one_named),
        TEST(a_domain_with_other_tags_is_not_the_one_decided_on),
        TEST(the_new_domain_is_served_under_its_old_number),
        TEST(pages_that_go_away_fail_one_request),
        TEST(a_domain_that_dies_while_it_is_copied_is_not_served),
        TEST(no_other_guest_is_mapped_when_the_number_goes_over_in_between),
        TEST(a_table_that_changes_while_it_is_copied_is_aborted),
        TEST(a_size_that_cannot_be_is_not_believed),
        TEST(run_times_come_from_the_table_where_there_is_one),
        TEST(the_largest_table_fits_and_others_are_served_meanwhile),
        TEST(a_full_arena_is_said_at_once_and_emptied_by_release),
        TEST(hypercalls_have_a_ceiling),
    };

    return UNIT_RUN(tests);
}
