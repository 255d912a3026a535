/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What xenresd may rely on of a mapper's feeds, through its socket: watched, fetched, followed, ended. The
 * simulated host moves by itself and, at steps, as a scenario says.
 */
#include "common/layout.h"
#include "common/message_tags.h"
#include "tests/lib/feed_rig.h"

static const char scenario[] =
    "domain \"lively\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
    "  grants { frames = 4 frames_max = 32 entries = 900 changes_per_second = 400 } }\n"
    "domain \"two\" { domid = 2 uuid = \"11111111-1111-1111-1111-111111111112\"\n"
    "  grants { version = 2 frames = 8 entries = 900 changes_per_second = 400 } }\n"
    "domain \"windows\" { domid = 3 uuid = \"11111111-1111-1111-1111-111111111113\"\n"
    "  type = \"hvm\" vcpus = 2 max_vcpus = 5\n"
    "  ioreq \"0\" { buffered = true requests_per_second = 200 }\n"
    "  ioreq \"1\" { buffered = false requests_per_second = 200 } }\n"
    "domain \"still\" { domid = 4 uuid = \"11111111-1111-1111-1111-111111111114\"\n"
    "  grants { frames = 2 entries = 100 } }\n"
    "domain \"later\" { domid = 9 uuid = \"11111111-1111-1111-1111-111111111119\"\n"
    "  present = false }\n"
    "event { step = 1 do = \"create\" domain = \"later\" }\n"
    "event { step = 1 do = \"grow\" domain = \"still\" value = 5 }\n"
    "event { step = 2 do = \"rename\" domain = \"later\" text = \"renamed\" }\n"
    "event { step = 2 do = \"set_version\" domain = \"two\" value = 1 }\n"
    "event { step = 3 do = \"destroy\" domain = \"lively\" }\n"
    "event { step = 4 do = \"rename\" domain = \"two\" text = \"other\" }\n"
    "event { step = 5 do = \"rewrite_name\" domain = \"windows\" }\n"
    "event { step = 6 do = \"remove_name\" domain = \"later\" }\n"
    "event { step = 7 do = \"destroy\" domain = \"later\" }\n"
    "event { step = 8 do = \"remove_name\" domain = \"two\" }\n"
    "event { step = 9 do = \"retag\" domain = \"still\" text = \"prod db\" }\n"
    "event { step = 10 do = \"open_tags\" domain = \"still\" }\n";

static struct rig rig;
static struct rig_peer peer;
static union message answered;

static int set_up(void **state)
{
    static const char *const options[] = { "--feeds-max", "8", "--samplers", "2", NULL };

    (void)state;
    rig_start(&rig, scenario, RIG_EXPORT_ALL, options);
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

static struct message_counters_answer counters(void)
{
    union message m = rig_message(MESSAGE_COUNTERS), a;

    assert_true(rig_call(&peer, &m, &a));
    return a.counters_answer;
}

static bool watch_at(struct feed_rig *r, const char *name, uint32_t type, uint32_t id,
                     uint32_t flags, unsigned period_ms)
{
    struct domain_identity d = rig_domain(&peer, name);
    union message m = feed_rig_message(&d, type, id, flags, period_ms);

    return feed_rig_begin(r, &peer, &m, &answered);
}

static void watch(struct feed_rig *r, const char *name, uint32_t type, uint32_t id, uint32_t flags)
{
    if (!watch_at(r, name, type, id, flags, 10)) {
        fail_msg("%s", answered.failed.failure.message);
    }
}

static bool watch_domains(struct feed_rig *r)
{
    union message m = rig_message(MESSAGE_WATCH_DOMAINS);

    return feed_rig_begin(r, &peer, &m, &answered);
}

/* --- images and changes ------------------------------------------------------------------------ */

/* So many batches from the image; and then the feed's own image says the same. */
static void follow(struct feed_rig *r, unsigned batches)
{
    feed_rig_fetch(r);
    while (batches > 0) {
        feed_rig_next_of(r, FEED_RECORD_CHANGES);
        feed_rig_apply(r);
        batches -= r->record.changes->more == 0;
    }
    struct feed_rig followed = *r;

    r->image = NULL;
    feed_rig_fetch(r); /* behind the same batch, or a later one */
    while (followed.place.position < r->place.position) {
        assert_true(feed_rig_read(&followed));
        if (followed.record.kind == FEED_RECORD_CHANGES) {
            feed_rig_apply(&followed);
        }
    }
    assert_int_equal(followed.batch, r->batch);
    assert_int_equal(followed.blocks, r->blocks);
    assert_memory_equal(followed.image, r->image, r->image_answer.slot.len_bytes);
    free(followed.image);
}

static void a_table_is_an_image_and_what_changes(void **state)
{
    struct feed_rig r;

    (void)state;
    watch(&r, "lively", RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0);
    assert_int_equal(r.answer.joined, 0);
    assert_int_equal(r.answer.period_ns, 10 * CLOCK_NS_PER_MS);
    const struct feed_begin *b = feed_rig_next(&r)->begin;

    assert_int_equal(r.record.kind, FEED_RECORD_BEGIN);
    assert_int_equal(b->reason, FEED_BEGIN_START);
    assert_int_equal(b->segment, 0);
    assert_int_equal(b->frame_count, 4);
    assert_int_equal(b->frames_in_use, 4);
    assert_int_equal(b->frames_max, 32);
    assert_int_equal(b->grant_version, 1);
    assert_int_equal(b->image_bytes, 4 * MESSAGE_FRAME_BYTES);
    follow(&r, 20);
    assert_int_equal(r.image_answer.observation.frame_count, 4);
    struct layout_grant g;

    assert_true(layout_grant_v1(r.image, r.image_answer.slot.len_bytes, 0, 0, &g));
    assert_int_equal(g.kind, LAYOUT_GRANT_PERMIT_ACCESS);
    feed_rig_unwatch(&r);
    assert_int_equal(feed_rig_next_of(&r, FEED_RECORD_END)->end->reason, FEED_END_RELEASED);
    feed_rig_done(&r);
}

static void status_frames_follow_their_frames(void **state)
{
    struct feed_rig r;

    (void)state;
    watch(&r, "two", RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, SNAPSHOT_WITH_STATUS);
    follow(&r, 5);
    assert_int_equal(r.image_answer.observation.grant_version, 2);
    assert_int_equal(r.image_answer.status_frame_count, 1);
    assert_int_equal(r.image_answer.slot.len_bytes, 9 * MESSAGE_FRAME_BYTES);
    feed_rig_unwatch(&r);
    feed_rig_done(&r);
}

static void ioreq_pages_may_be_sparse(void **state)
{
    struct feed_rig r;

    (void)state;
    watch(&r, "windows", RESOURCE_IOREQ_SERVER, 0, SNAPSHOT_SPARSE);
    follow(&r, 5);
    assert_int_equal(r.image_answer.frames_present, 3);
    feed_rig_unwatch(&r);
    feed_rig_done(&r);
    watch(&r, "windows", RESOURCE_IOREQ_SERVER, 1, SNAPSHOT_SPARSE);
    follow(&r, 5);
    assert_int_equal(r.image_answer.frames_present, 1 << IOREQ_FRAME_SYNCHRONOUS);
    feed_rig_unwatch(&r);
    feed_rig_done(&r);
    assert_false(watch_at(&r, "windows", RESOURCE_IOREQ_SERVER, 1, 0, 10));
    assert_int_equal(answered.failed.failure.code, ERROR_NOT_FOUND);
    assert_false(watch_at(&r, "windows", RESOURCE_IOREQ_SERVER, 5, SNAPSHOT_SPARSE, 10));
    assert_int_equal(answered.failed.failure.code, ERROR_NOT_FOUND);
}

static void run_times_are_a_table_of_vcpus(void **state)
{
    struct feed_rig r;

    (void)state;
    watch(&r, "windows", RESOURCE_VCPU_STATS, 0, 0);
    follow(&r, 3);
    assert_int_equal(r.image_answer.slot.len_bytes,
                     2 * FEED_BLOCK_BYTES); /* five of four a block */
    const struct message_vcpu *v = (const struct message_vcpu *)(const void *)r.image;

    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(v[i].vcpu, i);
        assert_int_equal((v[i].flags & VCPU_ONLINE) != 0, i < 2);
    }
    assert_true(v[0].run_time_ns > 0);
    assert_int_equal(v[5].vcpu, 0);
    feed_rig_unwatch(&r);
    feed_rig_done(&r);
}

/* --- who asks ---------------------------------------------------------------------------------- */

static void the_same_source_is_the_same_feed(void **state)
{
    struct feed_rig one, two, other;

    (void)state;
    assert_true(watch_at(&one, "still", RESOURCE_GRANT_TABLE, 0, 0, 500));
    assert_true(watch_at(&two, "still", RESOURCE_GRANT_TABLE, 0, 0, 3));
    assert_int_equal(two.answer.joined, 1);
    assert_memory_equal(one.answer.feed_id, two.answer.feed_id, FEED_ID_BYTES);
    assert_int_equal(one.answer.period_ns, 500 * CLOCK_NS_PER_MS);
    assert_int_equal(two.answer.period_ns, 10 * CLOCK_NS_PER_MS); /* the least */
    assert_true(watch_at(&other, "still", RESOURCE_GRANT_TABLE, 0, SNAPSHOT_WITH_STATUS, 10));
    assert_memory_not_equal(one.answer.feed_id, other.answer.feed_id, FEED_ID_BYTES);
    feed_rig_unwatch(&one);
    feed_rig_unwatch(&other);
    assert_int_equal(feed_rig_next_of(&two, FEED_RECORD_END)->end->reason, FEED_END_RELEASED);
    feed_rig_done(&one);
    feed_rig_done(&two);
    feed_rig_done(&other);
}

static void what_cannot_be_watched_is_refused_with_its_reason(void **state)
{
    const struct {
        const char *name;
        uint32_t type, id, flags;
        int code;
    } rows[] = {
        { "lively", RESOURCE_VMTRACE_BUF, 0, 0,
          ERROR_INVALID_ARGUMENT }, /* a trace has no period */
        { "lively", RESOURCE_TYPE_COUNT, 0, 0, ERROR_INVALID_ARGUMENT },
        { "lively", RESOURCE_GRANT_TABLE, 2, 0, ERROR_INVALID_ARGUMENT },
        { "lively", RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0, ERROR_FAILED_PRECONDITION },
        { "lively", RESOURCE_GRANT_TABLE, 0, SNAPSHOT_SPARSE, ERROR_INVALID_ARGUMENT },
        { "lively", RESOURCE_VCPU_STATS, 1, 0, ERROR_INVALID_ARGUMENT },
        { "lively", RESOURCE_IOREQ_SERVER, 0, 0, ERROR_FAILED_PRECONDITION },
        { "windows", RESOURCE_IOREQ_SERVER, 8, 0, ERROR_INVALID_ARGUMENT },
    };
    struct feed_rig r;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_false(watch_at(&r, rows[i].name, rows[i].type, rows[i].id, rows[i].flags, 10));
        assert_int_equal(answered.failed.failure.code, rows[i].code);
        assert_true(answered.failed.failure.message[0] != '\0');
    }
    struct domain_identity d = rig_domain(&peer, "still");
    union message m = feed_rig_message(&d, RESOURCE_GRANT_TABLE, 0, 0, 10);

    m.watch.frame_count = 3; /* two are in use */
    assert_false(feed_rig_begin(&r, &peer, &m, &answered));
    assert_int_equal(answered.failed.failure.code, ERROR_OUT_OF_RANGE);
    m.watch.frame_count = 1;
    m.watch.deadline_ns = 1;
    assert_false(feed_rig_begin(&r, &peer, &m, &answered));
    assert_int_equal(answered.failed.failure.code, ERROR_DEADLINE_EXCEEDED);
    m.watch.deadline_ns = 0;
    m.watch.domain.incarnation[0] ^= 1;
    assert_false(feed_rig_begin(&r, &peer, &m, &answered));
    assert_int_equal(answered.failed.failure.code, ERROR_ABORTED);
}

static void numbers_and_ids_go_together(void **state)
{
    struct feed_rig r;
    union message m = rig_message(MESSAGE_IMAGE);

    (void)state;
    watch(&r, "still", RESOURCE_GRANT_TABLE, 0, 0);
    m.image.feed = r.answer.feed;
    assert_false(rig_call(&peer, &m, &answered));
    assert_int_equal(answered.failed.failure.code, ERROR_NOT_FOUND);
    memcpy(m.image.feed_id, r.answer.feed_id, FEED_ID_BYTES);
    m.image.feed = UINT32_MAX;
    assert_false(rig_call(&peer, &m, &answered));
    assert_int_equal(answered.failed.failure.code, ERROR_NOT_FOUND);
    struct feed_rig wrong = r;

    wrong.answer.feed_id[0] ^= 1;
    feed_rig_unwatch(&wrong);
    wrong = r;
    wrong.answer.feed = UINT32_MAX;
    feed_rig_unwatch(&wrong);
    feed_rig_fetch(&r); /* it is still there */
    feed_rig_unwatch(&r);
    feed_rig_done(&r);
}

static void feeds_are_counted_and_no_more_than_may_be(void **state)
{
    struct feed_rig feeds[8], more;
    struct domain_identity d = rig_domain(&peer, "lively");

    (void)state;
    uint32_t before = counters().feeds;

    for (uint32_t i = 0; i < 8; i++) {
        union message m = feed_rig_message(&d, RESOURCE_GRANT_TABLE, 0, 0, 10);

        m.watch.first_frame = i % 4;
        m.watch.frame_count = i < 4 ? 1 : MESSAGE_FRAMES_ALL;
        while (!feed_rig_begin(&feeds[i], &peer, &m, &answered)) { /* those that end still count */
            assert_int_equal(answered.failed.failure.code, ERROR_RESOURCE_EXHAUSTED);
        }
    }
    assert_false(watch_at(&more, "still", RESOURCE_GRANT_TABLE, 0, 0, 10));
    assert_int_equal(answered.failed.failure.code, ERROR_RESOURCE_EXHAUSTED);
    struct message_counters_answer c = counters();

    assert_int_equal(c.feeds, 8);
    assert_int_equal(c.zombies, 0);
    assert_true(c.samples >= 8 && c.mappings >= 8 && c.mapped_frames >= 8);
    assert_true(c.spool_bytes >= 8 * (128 << 10));
    for (uint32_t i = 0; i < 8; i++) {
        feed_rig_unwatch(&feeds[i]);
        feed_rig_next_of(&feeds[i], FEED_RECORD_END);
        feed_rig_done(&feeds[i]);
    }
    while (counters().feeds > before) { /* until it has taken them away */
    }
    assert_int_equal(counters().mapped_frames, 0);
}

/* --- what happens to domains: the scenario's steps, in their order ------------------------------- */

static void growth_is_a_new_segment(void **state)
{
    struct feed_rig r, domains;

    (void)state;
    assert_true(watch_domains(&domains));
    assert_int_equal(domains.answer.joined, 0);
    watch(&r, "still", RESOURCE_GRANT_TABLE, 0, 0);
    feed_rig_next_of(&r, FEED_RECORD_BEGIN);
    rig_step(&rig);
    const struct feed_begin *b = feed_rig_next_of(&r, FEED_RECORD_BEGIN)->begin;

    assert_int_equal(b->reason, FEED_BEGIN_RESIZED);
    assert_int_equal(b->segment, 1);
    assert_int_equal(b->frame_count, 5);
    feed_rig_fetch(&r);
    assert_int_equal(r.image_answer.segment, 1);
    assert_int_equal(r.image_answer.slot.len_bytes, 5 * MESSAGE_FRAME_BYTES);
    const struct feed_domain *e = feed_rig_next(&domains)->domain;

    assert_int_equal(domains.record.kind, FEED_RECORD_DOMAIN);
    assert_int_equal(e->kind, FEED_DOMAIN_CREATED);
    assert_int_equal(e->number, 1);
    assert_string_equal(e->now.identity.name, "later");
    struct domain_identity later = rig_domain(&peer, "later");

    assert_true(domain_identity_equal(&later, &e->now.identity));
    feed_rig_unwatch(&r);
    feed_rig_done(&r);
    feed_rig_done(&domains);
}

static void another_version_is_a_new_segment(void **state)
{
    struct feed_rig r, status, domains;

    (void)state;
    assert_true(watch_domains(&domains));
    assert_int_equal(domains.answer.joined, 1);
    feed_rig_next(&domains);
    watch(&r, "two", RESOURCE_GRANT_TABLE, 0, SNAPSHOT_WITH_STATUS);
    watch(&status, "two", RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0);
    feed_rig_next_of(&r, FEED_RECORD_BEGIN);
    rig_step(&rig);
    const struct feed_begin *b = feed_rig_next_of(&r, FEED_RECORD_BEGIN)->begin;

    assert_int_equal(b->reason, FEED_BEGIN_VERSION);
    assert_int_equal(b->grant_version, 1);
    assert_int_equal(b->status_frame_count, 0);
    assert_int_equal(feed_rig_next_of(&status, FEED_RECORD_END)->end->reason, FEED_END_RESOURCE);
    const struct feed_domain *e = feed_rig_next(&domains)->domain;

    assert_int_equal(e->kind, FEED_DOMAIN_RENAMED);
    assert_int_equal(e->number, 2);
    assert_string_equal(e->now.identity.name, "renamed");
    assert_string_equal(e->before.name, "later");
    feed_rig_unwatch(&r);
    feed_rig_done(&r);
    feed_rig_done(&status);
    feed_rig_done(&domains);
}

static void a_domain_destroyed_ends_its_feeds_within_a_second_and_is_no_zombie(void **state)
{
    struct feed_rig feeds[3], domains;

    (void)state;
    assert_true(watch_domains(&domains));
    feed_rig_next(&domains);
    feed_rig_next(&domains);
    watch(&feeds[0], "lively", RESOURCE_GRANT_TABLE, 0, 0);
    watch(&feeds[1], "lively", RESOURCE_VCPU_STATS, 0, 0);
    assert_true(
        watch_at(&feeds[2], "lively", RESOURCE_GRANT_TABLE, 0, SNAPSHOT_WITH_STATUS, 60000));
    assert_true(rig_ledger(&peer, "live mappings") >= 2);
    uint64_t start_ns = clock_monotonic_ns();

    rig_step(&rig);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(feed_rig_next_of(&feeds[i], FEED_RECORD_END)->end->reason,
                         FEED_END_INCARNATION);
    }
    assert_true(clock_monotonic_ns() - start_ns < CLOCK_NS_PER_S);
    assert_int_equal(rig_ledger(&peer, "zombies"), 0);
    assert_int_equal(rig_ledger(&peer, "live mappings"), 0);
    assert_int_equal(counters().zombies, 0);
    do {
        feed_rig_next(&domains);
    } while (domains.record.domain->kind == FEED_DOMAIN_DYING);
    assert_int_equal(domains.record.domain->kind, FEED_DOMAIN_GONE);
    assert_string_equal(domains.record.domain->now.identity.name, "lively");
    for (int i = 0; i < 3; i++) {
        feed_rig_done(&feeds[i]);
    }
    feed_rig_done(&domains);
}

static void another_name_ends_a_feed(void **state)
{
    struct feed_rig r;

    (void)state;
    watch(&r, "two", RESOURCE_GRANT_TABLE, 0, 0);
    rig_step(&rig);
    assert_int_equal(feed_rig_next_of(&r, FEED_RECORD_END)->end->reason, FEED_END_RENAMED);
    feed_rig_done(&r);
    watch(&r, "other", RESOURCE_GRANT_TABLE, 0, 0);
    feed_rig_unwatch(&r);
    feed_rig_done(&r);
}

static void another_incarnation_ends_a_feed_and_is_two_events(void **state)
{
    struct feed_rig r, domains;

    (void)state;
    assert_true(watch_domains(&domains));
    while (feed_rig_read(&domains)) {
    }
    watch(&r, "windows", RESOURCE_VCPU_STATS, 0, 0);
    struct domain_identity before = rig_domain(&peer, "windows");

    rig_step(&rig);
    assert_int_equal(feed_rig_next_of(&r, FEED_RECORD_END)->end->reason, FEED_END_INCARNATION);
    assert_int_equal(feed_rig_next(&domains)->domain->kind, FEED_DOMAIN_GONE);
    assert_true(domain_identity_equal(&domains.record.domain->now.identity, &before));
    assert_int_equal(feed_rig_next(&domains)->domain->kind, FEED_DOMAIN_CREATED);
    assert_memory_not_equal(domains.record.domain->now.identity.incarnation, before.incarnation,
                            16);
    assert_string_equal(domains.record.domain->now.identity.name, "windows");
    feed_rig_done(&r);
    feed_rig_unwatch(&domains);
    assert_int_equal(feed_rig_next_of(&domains, FEED_RECORD_END)->end->reason, FEED_END_RELEASED);
    feed_rig_done(&domains);
}

static bool is_listed(uint16_t domid)
{
    struct message_domain all[16];
    uint32_t count = rig_domains(&peer, all, 16), at = 0;

    while (at < count && all[at].identity.domid != domid) {
        at++;
    }
    assert_int_equal(counters().domains, count);
    return at < count;
}

/* Domain 9 is destroyed as xl does it, name first; domain 2 lives on without one. */
static void what_has_no_name_any_more_is_told_when_it_lives_on(void **state)
{
    struct feed_rig r, domains;
    struct domain_identity before = rig_domain(&peer, "renamed"), nameless = before;

    (void)state;
    assert_true(watch_domains(&domains));
    while (feed_rig_read(&domains)) {
    }
    watch(&r, "renamed", RESOURCE_VCPU_STATS, 0, 0);
    rig_step(&rig);
    assert_int_equal(feed_rig_next_of(&r, FEED_RECORD_END)->end->reason, FEED_END_INCARNATION);
    feed_rig_done(&r);
    assert_int_equal(feed_rig_next(&domains)->domain->kind, FEED_DOMAIN_GONE);
    assert_true(domain_identity_equal(&domains.record.domain->now.identity, &before));
    assert_false(is_listed(9));
    memset(nameless.name, 0, sizeof(nameless.name));
    for (int i = 0; i < 2; i++) { /* nor is it anybody whom one could mean */
        union message m =
            feed_rig_message(i == 0 ? &before : &nameless, RESOURCE_VCPU_STATS, 0, 0, 10);

        assert_false(feed_rig_begin(&r, &peer, &m, &answered));
        assert_int_equal(answered.failed.failure.code, ERROR_ABORTED);
    }
    rig_step(&rig);
    assert_false(is_listed(9));
    before = rig_domain(&peer, "other");
    rig_step(&rig);
    assert_int_equal(feed_rig_next(&domains)->domain->kind, FEED_DOMAIN_GONE);
    assert_true(domain_identity_equal(&domains.record.domain->now.identity, &before));
    assert_false(is_listed(2));
    assert_int_equal(feed_rig_next(&domains)->domain->kind, FEED_DOMAIN_CREATED);
    assert_int_equal(domains.record.domain->now.identity.domid, 2);
    assert_string_equal(domains.record.domain->now.identity.name, "");
    assert_true(is_listed(2));
    feed_rig_done(&domains);
}

/* --- peers come and go ------------------------------------------------------------------------- */

static void the_next_peer_takes_a_feed_over(void **state)
{
    struct feed_rig before, after;
    uint8_t id[FEED_ID_BYTES];

    (void)state;
    watch(&before, "still", RESOURCE_GRANT_TABLE, 0, 0);
    feed_rig_fetch(&before);
    memcpy(id, before.answer.feed_id, sizeof(id));
    rig_leave(&peer);
    rig_join(&rig, &peer);
    watch(&after, "still", RESOURCE_GRANT_TABLE, 0, 0);
    assert_int_equal(after.answer.joined, 1);
    assert_memory_equal(after.answer.feed_id, id, sizeof(id));
    after.place = before.place; /* a place stays what it is */
    rig_leave(&peer);
    rig_join(&rig, &peer);
    struct feed_rig third;

    watch(&third, "still", RESOURCE_GRANT_TABLE, 0, 0);
    assert_int_equal(third.answer.joined, 1);
    feed_rig_unwatch(&third);
    assert_int_equal(feed_rig_next_of(&third, FEED_RECORD_END)->end->reason, FEED_END_RELEASED);
    assert_int_equal(feed_rig_next_of(&after, FEED_RECORD_END)->end->reason, FEED_END_RELEASED);
    feed_rig_done(&before);
    feed_rig_done(&after);
    feed_rig_done(&third);
}

/* What a policy decided on is not so any more. The export list knows no tags. */
static void other_tags_end_a_feed_and_are_told(void **state)
{
    struct feed_rig r, domains;
    uint64_t ignored = counters().tags_ignored;

    (void)state;
    assert_true(watch_domains(&domains));
    watch(&r, "still", RESOURCE_GRANT_TABLE, 0, 0);
    rig_step(&rig);
    assert_int_equal(feed_rig_next_of(&r, FEED_RECORD_END)->end->reason, FEED_END_RENAMED);
    feed_rig_done(&r);
    const struct feed_domain *e;

    do { /* those of before */
        e = feed_rig_next(&domains)->domain;
    } while (e->kind != FEED_DOMAIN_RETAGGED);
    assert_true(domain_has_tag(&e->now.identity, "prod") && domain_has_tag(&e->now.identity, "db"));
    assert_string_equal(e->before.name, "still");
    watch(&r, "still", RESOURCE_GRANT_TABLE, 0, 0);
    rig_step(&rig);
    assert_int_equal(feed_rig_next_of(&r, FEED_RECORD_END)->end->reason, FEED_END_RENAMED);
    feed_rig_done(&r);
    e = feed_rig_next(&domains)->domain;
    assert_int_equal(e->kind, FEED_DOMAIN_RETAGGED);
    assert_int_equal(e->now.identity.tags_unknown, 1);
    assert_true(counters().tags_ignored > ignored);
    feed_rig_done(&domains);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_an_image_and_what_changes),
        cmocka_unit_test(status_frames_follow_their_frames),
        cmocka_unit_test(ioreq_pages_may_be_sparse),
        cmocka_unit_test(run_times_are_a_table_of_vcpus),
        cmocka_unit_test(the_same_source_is_the_same_feed),
        cmocka_unit_test(what_cannot_be_watched_is_refused_with_its_reason),
        cmocka_unit_test(numbers_and_ids_go_together),
        cmocka_unit_test(feeds_are_counted_and_no_more_than_may_be),
        cmocka_unit_test(growth_is_a_new_segment),
        cmocka_unit_test(another_version_is_a_new_segment),
        cmocka_unit_test(a_domain_destroyed_ends_its_feeds_within_a_second_and_is_no_zombie),
        cmocka_unit_test(another_name_ends_a_feed),
        cmocka_unit_test(another_incarnation_ends_a_feed_and_is_two_events),
        cmocka_unit_test(what_has_no_name_any_more_is_told_when_it_lives_on),
        cmocka_unit_test(the_next_peer_takes_a_feed_over),
        cmocka_unit_test(other_tags_end_a_feed_and_are_told),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
