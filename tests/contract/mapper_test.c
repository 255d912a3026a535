/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What xenresd may rely on of a mapper, through its socket. The cases take whatever domains there
 * are, and skip themselves where there is none of a kind: so the same program runs on the simulator
 * and, with MAPPER=…/xenresd-mapper, in dom0 of a real Xen.
 */
#include "common/layout.h"
#include "tests/lib/feed_rig.h"

enum { DOMAINS_MAX = 256 };

static struct rig rig;
static struct rig_peer peer;

static int set_up(void **state)
{
    (void)state;
    rig_start(&rig, NULL, RIG_EXPORT_ALL, NULL);
    rig_join(&rig, &peer);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_leave(&peer);
    rig_stop(&rig);
    return 0;
}

static bool describe(const struct domain_identity *d, uint32_t type, uint32_t id,
                     struct message_resource *out)
{
    union message m = rig_message(MESSAGE_DESCRIBE), answer;

    m.describe.domain = *d;
    if (!rig_call(&peer, &m, &answer)) {
        return false;
    }
    for (uint32_t i = 0; i < answer.describe_answer.resource_count; i++) {
        const struct message_resource *r = &answer.describe_answer.resources[i];

        if (r->type == type && r->first_id == id) {
            *out = *r;
            return true;
        }
    }
    return false;
}

typedef bool wanted(const struct message_domain *d);

static bool any_guest(const struct message_domain *d)
{
    return d->identity.domid != 0 && d->state != DOMAIN_DYING;
}

static bool has_version(const struct message_domain *d, uint32_t version)
{
    struct message_resource r;

    return any_guest(d) && describe(&d->identity, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, &r) &&
           r.grant_version == version;
}

static bool has_v1(const struct message_domain *d)
{
    return has_version(d, 1);
}

static bool has_v2(const struct message_domain *d)
{
    return has_version(d, 2);
}

static bool is_pv(const struct message_domain *d)
{
    return any_guest(d) && d->type == DOMAIN_PV;
}

static bool is_translated(const struct message_domain *d)
{
    return any_guest(d) && d->type != DOMAIN_PV;
}

static bool is_dom0(const struct message_domain *d)
{
    return d->identity.domid == 0;
}

/* The first domain of a kind; skips the case where there is none. */
static struct domain_identity first(wanted *is_wanted)
{
    static struct message_domain all[DOMAINS_MAX];
    uint32_t count = rig_domains(&peer, all, DOMAINS_MAX);

    for (uint32_t i = 0; i < count; i++) {
        if (is_wanted(&all[i])) {
            return all[i].identity;
        }
    }
    skip();
    return (struct domain_identity){ 0 };
}

static union message answered;

static bool snapshot(const struct domain_identity *d, uint32_t type, uint32_t id,
                     uint32_t first_frame, uint32_t count, uint32_t flags)
{
    union message m = rig_snapshot_message(d, type, id, first_frame, count);

    m.snapshot.flags = flags;
    return rig_call(&peer, &m, &answered);
}

static void assert_refused(int code, int errnum)
{
    const struct failure *f = &answered.failed.failure;

    assert_int_equal(answered.head.type, MESSAGE_FAILED);
    if (f->code != code || f->xen_errno != errnum) {
        fail_msg("%s (%d, errno %d)", f->message, f->code, f->xen_errno);
    }
    assert_true(f->message[0] && f->cause[0] && f->next_step[0]);
}

/* --- host and domains -------------------------------------------------------------------------- */

static void the_host_says_what_it_is(void **state)
{
    union message m = rig_message(MESSAGE_HOST), a;

    (void)state;
    assert_true(rig_call(&peer, &m, &a));
    assert_true(a.host_answer.xen_version[0] && a.host_answer.boot_id[0] &&
                a.host_answer.guest_abis[0]);
    assert_true(a.host_answer.cpu_count > 0 && a.host_answer.total_memory_kib > 0);
    assert_true(a.host_answer.wall_ns > 0 && a.host_answer.monotonic_ns > 0);
}

static void domains_have_an_identity_and_keep_it(void **state)
{
    static struct message_domain before[DOMAINS_MAX], after[DOMAINS_MAX];
    static const uint8_t zero[16];
    uint32_t count = rig_domains(&peer, before, DOMAINS_MAX);

    (void)state;
    assert_true(count > 0);
    assert_int_equal(rig_domains(&peer, after, DOMAINS_MAX), count);
    for (uint32_t i = 0; i < count; i++) {
        assert_memory_not_equal(before[i].identity.incarnation, zero, 16);
        assert_true(domain_identity_equal(&before[i].identity, &after[i].identity));
        assert_true(after[i].cpu_time_ns >= before[i].cpu_time_ns);
    }
}

static void describing_maps_nothing_and_names_what_is_missing(void **state)
{
    struct domain_identity d = first(is_pv);
    struct message_resource r;

    (void)state;
    assert_true(describe(&d, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, &r));
    assert_int_equal(r.availability, RESOURCE_AVAILABLE);
    assert_true(r.frames_in_use > 0 && r.frames_in_use <= r.frames_max);
    assert_true(describe(&d, RESOURCE_IOREQ_SERVER, 0, &r));
    assert_int_equal(r.availability, RESOURCE_UNAVAILABLE);
    assert_true(r.failure.message[0] && r.failure.cause[0] && r.failure.next_step[0]);
    assert_true(describe(&d, RESOURCE_VMTRACE_BUF, 0, &r));
    assert_int_equal(r.availability, RESOURCE_UNAVAILABLE);
    d = first(is_translated);
    assert_true(describe(&d, RESOURCE_IOREQ_SERVER, 0, &r));
    assert_int_equal(r.availability, RESOURCE_ON_REQUEST);
    assert_int_equal(r.id_count, IOREQ_SERVERS);
}

/* --- grant tables ------------------------------------------------------------------------------ */

static void all_frames_in_use_are_copied(void **state)
{
    struct domain_identity d = first(has_v1);
    struct message_resource r;

    (void)state;
    assert_true(describe(&d, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, &r));
    assert_true(snapshot(&d, RESOURCE_GRANT_TABLE, 0, 0, MESSAGE_FRAMES_ALL, 0));
    const struct message_snapshot_answer *a = &answered.snapshot_answer;

    assert_int_equal(a->observation.frame_count, r.frames_in_use);
    assert_int_equal(a->observation.grant_version, 1);
    assert_int_equal(a->slot.len_bytes, (uint64_t)r.frames_in_use * MESSAGE_FRAME_BYTES);
    assert_true(a->slot.offset_bytes + a->slot.len_bytes <= peer.hello.arena_bytes);
    /* The toolstack wrote the first two references when it built the domain. */
    struct layout_grant g;

    assert_true(layout_grant_v1(peer.arena + a->slot.offset_bytes, a->slot.len_bytes, 0, 0, &g));
    assert_int_equal(g.kind, LAYOUT_GRANT_PERMIT_ACCESS);
    assert_int_equal(g.domid, 0);
    rig_release(&peer, &a->slot);
}

static void a_part_is_the_part(void **state)
{
    struct domain_identity d = first(has_v1);
    static uint8_t whole[MESSAGE_FRAME_BYTES];

    (void)state;
    assert_true(snapshot(&d, RESOURCE_GRANT_TABLE, 0, 0, MESSAGE_FRAMES_ALL, 0));
    struct message_slot all = answered.snapshot_answer.slot;
    uint32_t last = answered.snapshot_answer.observation.frame_count - 1;

    memcpy(whole, peer.arena + all.offset_bytes + (size_t)last * MESSAGE_FRAME_BYTES,
           sizeof(whole));
    assert_true(snapshot(&d, RESOURCE_GRANT_TABLE, 0, last, 1, 0));
    assert_int_equal(answered.snapshot_answer.observation.first_frame, last);
    assert_int_equal(answered.snapshot_answer.observation.frame_count, 1);
    assert_int_equal(answered.snapshot_answer.slot.len_bytes, MESSAGE_FRAME_BYTES);
}

static void nothing_beyond_what_is_in_use_is_mapped(void **state)
{
    struct domain_identity d = first(has_v1);
    struct message_resource before, after;

    (void)state;
    assert_true(describe(&d, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, &before));
    uint32_t n = before.frames_in_use;
    const struct {
        uint32_t first, count;
        int code, errnum;
    } rows[] = {
        { n, 1, ERROR_OUT_OF_RANGE, 0 },
        { n - 1, 2, ERROR_OUT_OF_RANGE, 0 },
        { 0, n + 1, ERROR_OUT_OF_RANGE, 0 },
        { n, MESSAGE_FRAMES_ALL, ERROR_OUT_OF_RANGE, 0 },
        { 0, before.frames_max, n < before.frames_max ? ERROR_OUT_OF_RANGE : 0, 0 },
        { UINT32_MAX, 1, ERROR_OUT_OF_RANGE, 0 },
        { UINT32_MAX, UINT32_MAX - 1, ERROR_OUT_OF_RANGE, 0 },
        { 1, UINT32_MAX - 1, ERROR_OUT_OF_RANGE, 0 },
        { 0, 0, ERROR_INVALID_ARGUMENT, EINVAL },
        { UINT32_MAX, 0, ERROR_INVALID_ARGUMENT, EINVAL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool served = snapshot(&d, RESOURCE_GRANT_TABLE, 0, rows[i].first, rows[i].count, 0);

        if (rows[i].code == 0) {
            assert_true(served);
            rig_release(&peer, &answered.snapshot_answer.slot);
        } else if (rows[i].count == 0) {
            assert_int_equal(answered.failed.failure.code, rows[i].code);
            assert_int_equal(answered.failed.failure.xen_errno, rows[i].errnum);
        } else {
            assert_refused(rows[i].code, rows[i].errnum);
        }
    }
    assert_true(describe(&d, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, &after));
    assert_int_equal(after.frames_in_use, n);
}

static void status_frames_belong_to_version_2(void **state)
{
    struct domain_identity v1 = first(has_v1);

    (void)state;
    assert_false(snapshot(&v1, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0, 1, 0));
    assert_refused(ERROR_FAILED_PRECONDITION, EINVAL);
    assert_true(snapshot(&v1, RESOURCE_GRANT_TABLE, 0, 0, 1, SNAPSHOT_WITH_STATUS));
    assert_int_equal(answered.snapshot_answer.status_frame_count, 0);
    struct domain_identity v2 = first(has_v2);

    assert_true(snapshot(&v2, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0, 1, 0));
    assert_true(
        snapshot(&v2, RESOURCE_GRANT_TABLE, 0, 0, MESSAGE_FRAMES_ALL, SNAPSHOT_WITH_STATUS));
    const struct message_snapshot_answer *a = &answered.snapshot_answer;
    uint32_t first_status, count;

    layout_status_range(0, a->observation.frame_count, &first_status, &count);
    assert_int_equal(a->observation.grant_version, 2);
    assert_int_equal(a->first_status_frame, first_status);
    assert_int_equal(a->status_frame_count, count);
    assert_int_equal(a->slot.len_bytes,
                     ((uint64_t)a->observation.frame_count + count) * MESSAGE_FRAME_BYTES);
}

static void equal_content_has_an_equal_digest(void **state)
{
    struct domain_identity d = first(has_v1);
    uint8_t one[16];

    (void)state;
    /* A guest may write between two looks: so look until two are equal, but not for ever. */
    for (int i = 0; i < 100; i++) {
        assert_true(snapshot(&d, RESOURCE_GRANT_TABLE, 0, 0, 1, 0));
        struct message_slot slot = answered.snapshot_answer.slot;

        memcpy(one, answered.snapshot_answer.observation.digest, 16);
        assert_true(snapshot(&d, RESOURCE_GRANT_TABLE, 0, 0, 1, 0));
        bool same_bytes = memcmp(peer.arena + slot.offset_bytes,
                                 peer.arena + answered.snapshot_answer.slot.offset_bytes,
                                 MESSAGE_FRAME_BYTES) == 0;
        bool same_digest = memcmp(one, answered.snapshot_answer.observation.digest, 16) == 0;

        assert_int_equal(same_bytes, same_digest);
        rig_release(&peer, &slot);
        rig_release(&peer, &answered.snapshot_answer.slot);
        if (same_bytes) {
            return;
        }
    }
    skip();
}

/* --- everything else --------------------------------------------------------------------------- */

static void odd_questions_get_clear_answers(void **state)
{
    struct domain_identity d = first(is_translated);
    struct domain_identity own = first(is_dom0);

    (void)state;
    const struct {
        uint32_t type, id, frame;
        int code, errnum;
    } rows[] = {
        { 4, 0, 0, ERROR_INVALID_ARGUMENT, EINVAL },
        { 99, 0, 0, ERROR_INVALID_ARGUMENT, EINVAL },
        { UINT32_MAX, 0, 0, ERROR_INVALID_ARGUMENT, EINVAL },
        { RESOURCE_GRANT_TABLE, 2, 0, ERROR_INVALID_ARGUMENT, EINVAL },
        { RESOURCE_IOREQ_SERVER, 8, 0, ERROR_INVALID_ARGUMENT, EINVAL },
        { RESOURCE_IOREQ_SERVER, 7, 1, ERROR_NOT_FOUND, ENOENT },
        { RESOURCE_IOREQ_SERVER, 0, 2, ERROR_OUT_OF_RANGE, EINVAL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_false(snapshot(&d, rows[i].type, rows[i].id, rows[i].frame, 1, 0));
        assert_refused(rows[i].code, rows[i].errnum);
    }
    assert_false(snapshot(&own, RESOURCE_GRANT_TABLE, 0, 0, 1, 0));
    assert_refused(ERROR_PERMISSION_DENIED, EPERM);
    struct domain_identity pv = first(is_pv);

    assert_false(snapshot(&pv, RESOURCE_VMTRACE_BUF, 0, 0, 1, 0));
    assert_refused(ERROR_FAILED_PRECONDITION, EINVAL);
    assert_false(snapshot(&pv, RESOURCE_IOREQ_SERVER, 0, 1, 1, 0));
    assert_refused(ERROR_FAILED_PRECONDITION, EINVAL);
}

static void numbers_without_a_domain_are_not_found(void **state)
{
    static const uint16_t domids[] = { 999, 0x7ff0, 0x7ff1, 0x7ff4, 0x7fff, 0xffff };
    struct domain_identity d = first(any_guest);

    (void)state;
    for (size_t i = 0; i < sizeof(domids) / sizeof(domids[0]); i++) {
        d.domid = domids[i];
        assert_false(snapshot(&d, RESOURCE_GRANT_TABLE, 0, 0, 1, 0));
        assert_refused(ERROR_NOT_FOUND, ESRCH);
    }
}

static void every_field_of_the_identity_counts(void **state)
{
    struct domain_identity right = first(any_guest);
    struct domain_identity wrong[4] = { right, right, right, right };

    (void)state;
    wrong[0].uuid[7] ^= 1;
    wrong[1].incarnation[15] ^= 1;
    wrong[2].name[0] ^= 1;
    wrong[3].name_cut = 1;
    memset(wrong[3].name, 0, sizeof(wrong[3].name));
    for (int i = 0; i < 4; i++) {
        assert_false(snapshot(&wrong[i], RESOURCE_GRANT_TABLE, 0, 0, 1, 0));
        assert_int_equal(answered.failed.failure.code, ERROR_ABORTED);
    }
    assert_true(snapshot(&right, RESOURCE_GRANT_TABLE, 0, 0, 1, 0));
}

static void run_times_come_one_for_each_vcpu(void **state)
{
    static struct message_domain all[DOMAINS_MAX];
    uint32_t count = rig_domains(&peer, all, DOMAINS_MAX);

    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        union message m = rig_message(MESSAGE_VCPU_STATS), a;

        m.vcpu_stats.domain = all[i].identity;
        assert_true(rig_call(&peer, &m, &a));
        const struct message_vcpu_stats_answer *s = &a.vcpu_stats_answer;
        const struct message_vcpu *v =
            (const struct message_vcpu *)(const void *)(peer.arena + s->slot.offset_bytes);
        uint32_t online = 0;

        assert_int_equal(s->vcpu_count, all[i].max_vcpus);
        for (uint32_t k = 0; k < s->vcpu_count; k++) {
            assert_int_equal(v[k].vcpu, k);
            assert_true(v[k].run_time_ns < UINT64_C(1) << 63);
            online += (v[k].flags & VCPU_ONLINE) != 0;
        }
        assert_int_equal(online, all[i].online_vcpus);
        rig_release(&peer, &s->slot);
    }
}

static struct message_counters_answer counters(void)
{
    union message m = rig_message(MESSAGE_COUNTERS), a;

    assert_true(rig_call(&peer, &m, &a));
    return a.counters_answer;
}

/* Mapped domains are looked at twice a second, whoever asks: but not every time. */
static void counting_asks_nobody(void)
{
    uint64_t last, now = counters().hypercalls;
    int tries = 0;

    do {
        last = now;
        now = counters().hypercalls;
    } while (now != last && ++tries < 100);
    assert_int_equal(now, last);
}

static void what_is_done_is_counted(void **state)
{
    static struct message_domain all[DOMAINS_MAX];
    struct domain_identity d = first(has_v1);
    struct message_counters_answer before, copied, after;

    (void)state;
    uint32_t domains = rig_domains(&peer, all, DOMAINS_MAX);

    before = counters();
    assert_int_equal(before.domains, domains);
    assert_int_equal(before.arena_bytes, peer.hello.arena_bytes);
    assert_int_equal(before.copies, 0);
    assert_int_equal(before.zombies, 0);
    assert_true(before.hypercalls > 0);
    assert_int_equal(counters().requests, before.requests + 1);
    counting_asks_nobody();

    assert_true(snapshot(&d, RESOURCE_GRANT_TABLE, 0, 0, 1, 0));
    struct message_slot slot = answered.snapshot_answer.slot;

    copied = counters();
    assert_int_equal(copied.arena_slots, before.arena_slots + 1);
    assert_int_equal(copied.arena_used_bytes, before.arena_used_bytes + MESSAGE_FRAME_BYTES);
    assert_true(copied.hypercalls > before.hypercalls);
    assert_true(copied.mappings > 0 && copied.mapped_frames >= copied.mappings);
    assert_true(copied.maps >= copied.mappings);
    rig_release(&peer, &slot);
    rig_release(&peer, &slot);
    after = counters();
    assert_int_equal(after.arena_slots, before.arena_slots);
    assert_int_equal(after.arena_used_bytes, before.arena_used_bytes);
    assert_int_equal(after.false_releases, before.false_releases + 1);
}

static void what_is_too_late_is_not_begun(void **state)
{
    struct domain_identity d = first(any_guest);
    union message m = rig_snapshot_message(&d, RESOURCE_GRANT_TABLE, 0, 0, 1);

    (void)state;
    m.snapshot.deadline_ns = 1;
    assert_false(rig_call(&peer, &m, &answered));
    assert_int_equal(answered.failed.failure.code, ERROR_DEADLINE_EXCEEDED);
    m.snapshot.deadline_ns = clock_monotonic_ns() + 3600 * CLOCK_NS_PER_S;
    assert_true(rig_call(&peer, &m, &answered));
}

static void flags_go_with_their_types(void **state)
{
    struct domain_identity d = first(has_v1);

    (void)state;
    assert_false(snapshot(&d, RESOURCE_GRANT_TABLE, 0, 0, 1, SNAPSHOT_SPARSE));
    assert_int_equal(answered.failed.failure.code, ERROR_INVALID_ARGUMENT);
    assert_false(snapshot(&d, RESOURCE_GRANT_TABLE, 0, 0, 1, 1U << 31));
    assert_int_equal(answered.failed.failure.code, ERROR_INVALID_ARGUMENT);
    assert_true(snapshot(&d, RESOURCE_GRANT_TABLE, 0, 0, 1, 0));
}

/* --- feeds: more of them in feed_test.c, where the host does as it is told ---------------------- */

static void watch(struct feed_rig *r, const struct domain_identity *d, uint32_t type,
                  uint32_t flags)
{
    union message m = feed_rig_message(d, type, 0, flags, 20);

    if (!feed_rig_begin(r, &peer, &m, &answered)) {
        fail_msg("%s", answered.failed.failure.message);
    }
    feed_rig_next(r);
    assert_int_equal(r->record.kind, FEED_RECORD_BEGIN);
    assert_int_equal(r->record.begin->reason, FEED_BEGIN_START);
    feed_rig_fetch(r);
    assert_int_equal(r->image_answer.segment, 0);
}

static void unwatch(struct feed_rig *r)
{
    feed_rig_unwatch(r);
    assert_int_equal(feed_rig_next_of(r, FEED_RECORD_END)->end->reason, FEED_END_RELEASED);
    feed_rig_done(r);
}

static void a_table_can_be_watched(void **state)
{
    struct domain_identity d = first(has_v1);
    struct feed_rig r;
    struct layout_grant g;

    (void)state;
    watch(&r, &d, RESOURCE_GRANT_TABLE, SNAPSHOT_WITH_STATUS);
    assert_true(snapshot(&d, RESOURCE_GRANT_TABLE, 0, 0, MESSAGE_FRAMES_ALL, 0));
    assert_int_equal(r.image_answer.slot.len_bytes, answered.snapshot_answer.slot.len_bytes);
    assert_int_equal(r.image_answer.observation.frames_in_use,
                     answered.snapshot_answer.observation.frames_in_use);
    rig_release(&peer, &answered.snapshot_answer.slot);
    assert_true(layout_grant_v1(r.image, r.image_answer.slot.len_bytes, 0, 0, &g));
    assert_int_equal(g.kind, LAYOUT_GRANT_PERMIT_ACCESS);
    unwatch(&r);
    d = first(has_v2);
    watch(&r, &d, RESOURCE_GRANT_TABLE, SNAPSHOT_WITH_STATUS);
    assert_true(r.image_answer.status_frame_count > 0);
    unwatch(&r);
}

static void run_times_can_be_watched_and_move(void **state)
{
    struct domain_identity d = first(is_dom0); /* which is busy with this test */
    struct feed_rig r;

    (void)state;
    watch(&r, &d, RESOURCE_VCPU_STATS, 0);
    const struct message_vcpu *v = (const struct message_vcpu *)(const void *)r.image;
    uint64_t before_ns = v[0].run_time_ns;

    do {
        feed_rig_next_of(&r, FEED_RECORD_CHANGES);
        feed_rig_apply(&r);
    } while (v[0].run_time_ns <= before_ns);
    unwatch(&r);
}

static void the_hosts_domains_can_be_watched(void **state)
{
    union message m = rig_message(MESSAGE_WATCH_DOMAINS);
    struct feed_rig r;

    (void)state;
    assert_true(feed_rig_begin(&r, &peer, &m, &answered));
    assert_int_equal(r.answer.period_ns, 0);
    unwatch(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_says_what_it_is),
        cmocka_unit_test(domains_have_an_identity_and_keep_it),
        cmocka_unit_test(describing_maps_nothing_and_names_what_is_missing),
        cmocka_unit_test(all_frames_in_use_are_copied),
        cmocka_unit_test(a_part_is_the_part),
        cmocka_unit_test(nothing_beyond_what_is_in_use_is_mapped),
        cmocka_unit_test(status_frames_belong_to_version_2),
        cmocka_unit_test(equal_content_has_an_equal_digest),
        cmocka_unit_test(odd_questions_get_clear_answers),
        cmocka_unit_test(numbers_without_a_domain_are_not_found),
        cmocka_unit_test(every_field_of_the_identity_counts),
        cmocka_unit_test(run_times_come_one_for_each_vcpu),
        cmocka_unit_test(what_is_done_is_counted),
        cmocka_unit_test(what_is_too_late_is_not_begun),
        cmocka_unit_test(flags_go_with_their_types),
        cmocka_unit_test(a_table_can_be_watched),
        cmocka_unit_test(run_times_can_be_watched_and_move),
        cmocka_unit_test(the_hosts_domains_can_be_watched),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
