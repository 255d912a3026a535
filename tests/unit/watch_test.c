/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ResourceService.Watch on feeds that the test plays: what it says of each item, how it ends, and what it
 * refuses. */
#include "tests/lib/watch_rig.h"

#include "common/layout.h"
#include "server/rpc/watch.h"

#define WATCH  "ResourceService/Watch"
#define GRANTS "\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_GRANT_TABLE\""
#define VCPUS  "\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_VCPU_STATS\""
#define IOREQS "\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_IOREQ_SERVER\""

static struct rpc_rig rig;

static int begin(void **state)
{
    (void)state;
    watch_rig_begin(&rig);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rpc_rig_done(&rig);
    return 0;
}

static void open_watch(struct watching *w, const char *json)
{
    *w = (struct watching){ .feed = NULL };
    watch_open_as(&rig, w, &rig.alice, WATCH, json);
}

/* Begun, at batch 5. */
static void open_begun(struct watching *w, const char *json)
{
    open_watch(w, json);
    assert_non_null(w->feed);
    fake_feeds_begin(w->feed, 5, false);
    (void)watch_expect(w, "begin");
}

/* A copy of `frames` frames from `arena_frame` on. */
static struct mapper_slot *slot_of(uint32_t arena_frame, uint32_t frames)
{
    struct outcome got = OUTCOME_INIT;
    union message m;

    memset(&m, 0, sizeof(m.snapshot));
    m.head.type = MESSAGE_SNAPSHOT;
    m.snapshot.frame_count = frames;
    m.snapshot.type = RESOURCE_GRANT_TABLE;
    m.snapshot.domain = fake_domain(1, "web-1", 0x11, 1).identity;
    assert_int_equal(
        mapper_client_call(rig.client, &m, fake_deadline(FAKE_WAIT_MS), outcome_done, &got, NULL),
        0);
    rpc_rig_frames(&rig, arena_frame, frames);
    outcome_wait(&got, 1);
    assert_non_null(got.slot);
    return got.slot;
}

static void put_image(struct watching *w, struct mapper_slot *slot, uint32_t frames, uint64_t batch,
                      uint64_t first_batch)
{
    fake_feeds_put(w->feed, &(struct subscription_item){
                                .kind = SUBSCRIPTION_IMAGE,
                                .image = { .slot = slot,
                                           .first_batch = first_batch,
                                           .answer = { .observation = { .frame_count = frames,
                                                                        .frames_in_use = frames,
                                                                        .monotonic_ns = 77,
                                                                        .grant_version = 1 },
                                                       .batch = batch,
                                                       .blocks_before = batch * 10,
                                                       .segment = 2 } } });
}

/* A record of changes, whose memory is the test's. */
static struct feed_changes head;
static void put_changes(struct watching *w, uint64_t batch, const uint32_t *blocks, uint32_t count,
                        const uint8_t *contents, bool more)
{
    head = (struct feed_changes){ .batch = batch,
                                  .segment = 2,
                                  .block_count = count,
                                  .more = more,
                                  .stamp.monotonic_ns = clock_monotonic_ns() };
    fake_feeds_put(w->feed,
                   &(struct subscription_item){ .kind = SUBSCRIPTION_RECORD,
                                                .record.record = { .kind = FEED_RECORD_CHANGES,
                                                                   .changes = &head,
                                                                   .blocks = blocks,
                                                                   .contents = contents } });
}

/* --- what it says --------------------------------------------------------------------------------------- */

static void it_begins_with_what_is_watched_and_how(void **state)
{
    struct watching w;

    (void)state;
    open_watch(&w, "{" GRANTS ",\"firstFrame\":1,\"frameCount\":2,\"period\":\"0.020s\","
                   "\"mode\":\"WATCH_MODE_LATEST\"}");
    const struct subscription_request *asked = &w.feed->request;

    assert_int_equal(asked->mode, SUBSCRIPTION_LATEST);
    assert_int_equal(asked->period_ns, 20 * CLOCK_NS_PER_MS);
    assert_int_equal(asked->source.type, RESOURCE_GRANT_TABLE);
    assert_int_equal(asked->source.first_frame, 1);
    assert_int_equal(asked->source.frame_count, 2);
    assert_int_equal(asked->source.flags, 0);
    assert_string_equal(asked->source.domain.name, "web-1");
    assert_null(asked->cursor);
    watch_expect_nothing(&w);
    fake_feeds_begin(w.feed, 5, false);
    const json_t *said = watch_expect(&w, "begin");

    assert_string_equal(watch_text(json_object_get(said, "domain"), "name"), "web-1");
    assert_string_equal(watch_text(said, "mode"), "WATCH_MODE_LATEST");
    assert_string_equal(watch_text(said, "period"), "0.020s");
    assert_string_equal(watch_text(said, "feed"), "09000000000000000000000000000000");
    assert_string_equal(watch_text(said, "silenceMax"), "0.150s");
    assert_int_equal(watch_number(said, "sequence"), 5);
    assert_int_equal(watch_number(said, "blockBytes"), FEED_BLOCK_BYTES);
    assert_false(watch_flag(said, "resumed"));
    watch_expect_nothing(&w);
    watch_done(&w);
}

static void what_is_left_out_is_chosen(void **state)
{
    struct watching w;

    (void)state;
    open_watch(&w, "{" GRANTS "}");
    assert_int_equal(w.feed->request.mode, SUBSCRIPTION_DELTA);
    assert_int_equal(w.feed->request.period_ns, 100 * CLOCK_NS_PER_MS);
    assert_int_equal(w.feed->request.source.frame_count, MESSAGE_FRAMES_ALL);
    watch_done(&w);
    open_watch(&w, "{" GRANTS ",\"decode\":true}");
    assert_int_equal(w.feed->request.source.flags, SNAPSHOT_WITH_STATUS);
    watch_done(&w);
    open_watch(&w, "{" IOREQS ",\"decode\":true}");
    assert_int_equal(w.feed->request.source.flags, SNAPSHOT_SPARSE);
    assert_int_equal(w.feed->request.source.frame_count, IOREQ_FRAMES);
    watch_done(&w);
}

static void an_image_comes_in_parts_and_a_checkpoint_behind_it(void **state)
{
    const uint32_t frames = WATCH_IMAGE_PART_BYTES / MESSAGE_FRAME_BYTES + 1;
    struct mapper_slot *slot = slot_of(0, frames);
    struct watching w;

    (void)state;
    open_begun(&w, "{" GRANTS "}");
    put_image(&w, slot, frames, 6, 0);
    assert_true(exchange_is_patient(w.flight.exchange));
    const json_t *part = watch_expect(&w, "image");

    assert_false(exchange_is_patient(w.flight.exchange)); /* a slot waits for its reader */
    assert_int_equal(watch_number(part, "sequence"), 6);
    assert_int_equal(watch_number(part, "segment"), 2);
    assert_int_equal(watch_number(json_object_get(part, "observation"), "frameCount"), frames);
    assert_int_equal(strlen(watch_text(part, "frames")), (WATCH_IMAGE_PART_BYTES + 2) / 3 * 4);
    assert_false(watch_flag(part, "complete"));
    part = watch_expect(&w, "image");
    assert_int_equal(watch_number(part, "offsetBytes"), WATCH_IMAGE_PART_BYTES);
    assert_null(json_object_get(part, "observation"));
    assert_true(watch_flag(part, "complete"));
    assert_memory_equal(watch_text(part, "frames"), "QUFB", 4); /* 65 is 'A' */
    const json_t *checkpoint = watch_expect(&w, "checkpoint");

    assert_int_equal(watch_number(checkpoint, "sequence"), 6);
    assert_true(watch_text(checkpoint, "cursor")[0] != '\0');
    assert_true(exchange_is_patient(w.flight.exchange));
    watch_expect_nothing(&w);
    watch_done(&w);
    mapper_slot_unref(slot);
}

static void changes_are_made_once_for_all_who_take_the_same(void **state)
{
    static const uint32_t blocks[] = { 3, 70 };
    static const uint8_t contents[2 * FEED_BLOCK_BYTES] = { 'A', 'A', 'A' };
    struct watching one, two;

    (void)state;
    open_begun(&one, "{" GRANTS "}");
    open_begun(&two, "{" GRANTS "}");
    put_changes(&one, 6, blocks, 2, contents, false);
    put_changes(&two, 6, blocks, 2, contents, false);
    for (int i = 0; i < 2; i++) {
        const json_t *said = watch_expect(i == 0 ? &one : &two, "changes");

        assert_int_equal(watch_number(said, "firstSequence"), 6);
        assert_int_equal(watch_number(said, "sequence"), 6);
        assert_int_equal(json_integer_value(json_array_get(json_object_get(said, "blocks"), 1)),
                         70);
        assert_memory_equal(watch_text(said, "content"), "QUFB", 4);
        assert_false(watch_flag(said, "more"));
    }
    assert_int_equal(fake_feeds.shares, 1);
    assert_int_equal(fake_feeds.uses, 1);
    watch_done(&one);
    watch_done(&two);
}

static void changes_that_are_many_are_split(void **state)
{
    enum { COUNT = WATCH_CHANGES_PART_BLOCKS + 1 };
    static uint32_t blocks[COUNT];
    static uint8_t contents[(size_t)COUNT * FEED_BLOCK_BYTES];
    struct watching w;

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        blocks[i] = i;
    }
    open_begun(&w, "{" GRANTS "}");
    put_changes(&w, 6, blocks, COUNT, contents, false);
    const json_t *said = watch_expect(&w, "changes");

    assert_int_equal(json_array_size(json_object_get(said, "blocks")), WATCH_CHANGES_PART_BLOCKS);
    assert_true(watch_flag(said, "more"));
    said = watch_expect(&w, "changes");
    assert_int_equal(json_array_size(json_object_get(said, "blocks")), 1);
    assert_int_equal(watch_number(said, "sequence"), 6);
    assert_false(watch_flag(said, "more"));
    assert_int_equal(fake_feeds.shares, 0);
    put_changes(&w, 7, blocks, COUNT - 1, contents,
                true); /* as many as one has, of a batch that goes on */
    (void)watch_expect(&w, "checkpoint");
    said = watch_expect(&w, "changes");
    assert_int_equal(json_array_size(json_object_get(said, "blocks")), WATCH_CHANGES_PART_BLOCKS);
    assert_true(watch_flag(said, "more"));
    assert_int_equal(fake_feeds.shares, 1);
    watch_done(&w);
}

static void merged_batches_say_which(void **state)
{
    static const uint32_t blocks[] = { 1 };
    static const uint8_t contents[FEED_BLOCK_BYTES];
    struct watching w;

    (void)state;
    open_begun(&w, "{" GRANTS ",\"mode\":\"WATCH_MODE_LATEST\"}");
    fake_feeds_put(w.feed, &(struct subscription_item){ .kind = SUBSCRIPTION_MERGED,
                                                        .merged = { .first_batch = 6,
                                                                    .batch = 9,
                                                                    .segment = 2,
                                                                    .blocks = blocks,
                                                                    .contents = contents,
                                                                    .block_count = 1 } });
    const json_t *said = watch_expect(&w, "changes");

    assert_int_equal(watch_number(said, "firstSequence"), 6);
    assert_int_equal(watch_number(said, "sequence"), 9);
    assert_int_equal(fake_feeds.shares, 0);
    watch_done(&w);
}

static void what_is_missing_is_told_by_its_numbers(void **state)
{
    static const struct {
        int reason;
        const char *name;
    } rows[] = { { FEED_GAP_TOO_SLOW, "WATCH_GAP_REASON_TOO_SLOW" },
                 { FEED_GAP_TOO_MANY, "WATCH_GAP_REASON_TOO_MANY" },
                 { FEED_GAP_SEGMENT, "WATCH_GAP_REASON_NEW_SEGMENT" },
                 { FEED_GAP_RESUMED, "WATCH_GAP_REASON_RESUMED" } };
    struct watching w;

    (void)state;
    open_begun(&w, "{" GRANTS "}");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct subscription_item item = { .kind = SUBSCRIPTION_GAP,
                                          .gap = { .first_batch = 6, .batch = 8, .blocks = 30 } };

        item.gap.reason = rows[i].reason;
        fake_feeds_put(w.feed, &item);
        const json_t *said = watch_expect(&w, "gap");

        assert_string_equal(watch_text(said, "reason"), rows[i].name);
        assert_int_equal(watch_number(said, "firstSequence"), 6);
        assert_int_equal(watch_number(said, "sequence"), 8);
        assert_int_equal(watch_number(said, "blocks"), 30);
    }
    watch_done(&w);
}

static void silence_is_broken_by_heartbeats(void **state)
{
    struct watching w;

    (void)state;
    open_begun(&w, "{" GRANTS "}");
    fake_feeds_put(w.feed,
                   &(struct subscription_item){
                       .kind = SUBSCRIPTION_STILL,
                       .still = { .stamp.monotonic_ns = 123, .samples = 50, .failures = 2 } });
    for (int i = 0; i < 2; i++) {
        const json_t *said = watch_await(&w, "heartbeat");

        assert_int_equal(watch_number(said, "sequence"), 5);
        assert_int_equal(watch_number(json_object_get(said, "sampled"), "monotonicNs"), 123);
        assert_int_equal(watch_number(said, "samples"), 50);
        assert_int_equal(watch_number(said, "failedSamples"), 2);
    }
    struct watch_counters counters;

    rpc_watches(rig.rpc, &counters);
    assert_int_equal(counters.heartbeats, 2);
    assert_int_equal(counters.open, 1);
    watch_done(&w);
    rpc_watches(rig.rpc, &counters);
    assert_int_equal(counters.open, 0);
    assert_int_equal(counters.ends[WATCH_END_CLIENT], 1);
}

static unsigned wakes_of(struct watching *w)
{
    pthread_mutex_lock(&w->flight.ready.lock);
    unsigned count = w->flight.ready.count;

    pthread_mutex_unlock(&w->flight.ready.lock);
    return count;
}

/* One that has not begun, and one in the midst of a batch, have no heartbeat; nor are they waked for it
 * again and again. */
static void what_is_due_and_cannot_be_said_wakes_nobody(void **state)
{
    static const uint32_t blocks[] = { 1 };
    static const uint8_t contents[FEED_BLOCK_BYTES];
    struct watching beating, early, within;

    (void)state;
    open_begun(&beating, "{" GRANTS "}");
    open_watch(&early, "{" GRANTS "}");
    open_begun(&within, "{" GRANTS "}");
    put_changes(&within, 6, blocks, 1, contents, true);
    within.feed->has_cursor = false;
    (void)watch_expect(&within, "changes");
    within.feed->has_cursor = false;
    (void)watch_await(&beating, "heartbeat");
    (void)watch_await(&beating, "heartbeat");
    watch_expect_nothing(&early);
    watch_expect_nothing(&within);
    unsigned of_early = wakes_of(&early), of_within = wakes_of(&within);

    (void)watch_await(&beating, "heartbeat");
    assert_int_equal(wakes_of(&early), of_early);
    assert_int_equal(wakes_of(&within), of_within);
    watch_done(&beating);
    watch_done(&early);
    watch_done(&within);
}

/* --- its end -------------------------------------------------------------------------------------------- */

static void each_end_has_its_reason(void **state)
{
    static const struct {
        uint32_t reason;
        const char *name;
        enum error_code code;
        enum watch_end end;
    } rows[] = {
        { FEED_END_INCARNATION, "INCARNATION_ENDED", 0, WATCH_END_INCARNATION },
        { FEED_END_RENAMED, "RENAMED", 0, WATCH_END_RENAMED },
        { FEED_END_RESOURCE, "RESOURCE_GONE", 0, WATCH_END_RESOURCE_GONE },
        { FEED_END_FAILED, "SAMPLING_FAILED", ERROR_ABORTED, WATCH_END_SAMPLING_FAILED },
        { FEED_END_STOPPED, "MAPPER_GONE", ERROR_UNAVAILABLE, WATCH_END_MAPPER_GONE },
        { 0, "MAPPER_GONE", ERROR_UNAVAILABLE, WATCH_END_MAPPER_GONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct watching w;
        struct watch_counters counters;
        char name[64];

        open_begun(&w, "{" GRANTS "}");
        fake_feeds_put(
            w.feed,
            &(struct subscription_item){
                .kind = SUBSCRIPTION_ENDED,
                .ended = { .mapper_gone = rows[i].reason == 0,
                           .end = { .reason = rows[i].reason,
                                    .failure = { .code = ERROR_ABORTED, .message = "it was so" } },
                           .batch = 9 } });
        const json_t *said = watch_expect(&w, "end");

        (void)snprintf(name, sizeof(name), "WATCH_END_REASON_%s", rows[i].name);
        assert_string_equal(watch_text(said, "reason"), name);
        assert_int_equal(watch_number(said, "sequence"), 9);
        assert_int_equal(json_object_get(said, "failure") != NULL,
                         rows[i].reason == FEED_END_FAILED);
        watch_expect_end(&w, rows[i].code);
        watch_done(&w);
        rpc_watches(rig.rpc, &counters);
        assert_true(counters.ends[rows[i].end] > 0);
    }
}

static void with_a_deadline_it_says_where_it_was(void **state)
{
    struct watching w = { .feed = NULL };

    (void)state;
    flight_add(&w.flight, "Connect-Timeout-Ms", "100");
    watch_open_as(&rig, &w, &rig.alice, WATCH, "{" GRANTS "}");
    fake_feeds_begin(w.feed, 5, true);
    (void)watch_expect(&w, "begin");
    const json_t *said = NULL;

    while (said == NULL) { /* there may be a heartbeat before */
        json_t *json = watch_read(&w);

        if (json == NULL) {
            outcome_wait_at_least(&w.flight.ready, 1);
            continue;
        }
        said = json_object_get(json, "end");
        if (said != NULL) {
            assert_string_equal(watch_text(said, "reason"), "WATCH_END_REASON_DEADLINE");
            assert_true(watch_text(said, "cursor")[0] != '\0');
        }
        json_decref(json);
    }
    watch_expect_end(&w, ERROR_DEADLINE_EXCEEDED);
    watch_done(&w);
}

static void when_the_gateway_stops_every_stream_says_where_it_was(void **state)
{
    static uint32_t blocks[WATCH_CHANGES_PART_BLOCKS + 1];
    static uint8_t contents[sizeof(blocks) / sizeof(blocks[0]) * FEED_BLOCK_BYTES];
    struct mapper_slot *slot = slot_of(0, 100);
    struct watching idle, mid_image, mid_changes, fresh;

    (void)state;
    open_begun(&idle, "{" GRANTS "}");
    open_begun(&mid_image, "{" GRANTS "}");
    open_begun(&mid_changes, "{" GRANTS "}");
    watch_expect_nothing(&idle);
    put_image(&mid_image, slot, 100, 6, 0);
    (void)watch_expect(&mid_image, "image");
    put_changes(&mid_changes, 6, blocks, WATCH_CHANGES_PART_BLOCKS + 1, contents, false);
    (void)watch_expect(&mid_changes, "changes");
    rpc_drain(rig.rpc);
    outcome_wait_at_least(&idle.flight.ready, 1);
    assert_string_equal(watch_text(watch_expect(&idle, "end"), "reason"),
                        "WATCH_END_REASON_SHUTTING_DOWN");
    watch_expect_end(&idle, ERROR_UNAVAILABLE);
    /* The image is not waited for, and there is no place within it; of changes there is little left. */
    assert_string_equal(watch_text(watch_expect(&mid_image, "end"), "cursor"), "");
    watch_expect_end(&mid_image, ERROR_UNAVAILABLE);
    assert_false(watch_flag(watch_expect(&mid_changes, "changes"), "more"));
    assert_true(watch_text(watch_expect(&mid_changes, "end"), "cursor")[0] != '\0');
    watch_expect_end(&mid_changes, ERROR_UNAVAILABLE);
    open_watch(&fresh, "{" GRANTS "}");
    watch_expect_end(&fresh, ERROR_UNAVAILABLE);
    watch_done(&idle);
    watch_done(&mid_image);
    watch_done(&mid_changes);
    watch_done(&fresh);
    mapper_slot_unref(slot);
}

static void set_policy(const char *actions)
{
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "rule \"all\" { effect = allow identities = { \"cn:alice\" } domains = { "
                   "\"all\" } types = { \"grant_table\" } actions = { %s } }\n",
                   actions);
    struct policy *policy = rpc_rig_parse_policy(text);

    rpc_set_policy(rig.rpc, policy);
    policy_unref(policy);
}

static void another_policy_ends_what_it_does_not_allow_and_nothing_else(void **state)
{
    struct watching raw, decoded;

    (void)state;
    open_begun(&raw, "{" GRANTS "}");
    open_begun(&decoded, "{" GRANTS ",\"decode\":true}");
    watch_expect_nothing(&raw);
    watch_expect_nothing(&decoded);
    set_policy("\"list\", \"watch\", \"decode\"");
    watch_expect_nothing(&raw);
    watch_expect_nothing(&decoded);
    set_policy("\"watch\"");
    watch_expect_nothing(&raw);
    assert_string_equal(watch_text(watch_expect(&decoded, "end"), "reason"),
                        "WATCH_END_REASON_PERMISSION_WITHDRAWN");
    watch_expect_end(&decoded, ERROR_PERMISSION_DENIED);
    set_policy("\"list\"");
    (void)watch_expect(&raw, "end");
    watch_expect_end(&raw, ERROR_PERMISSION_DENIED);
    watch_done(&raw);
    watch_done(&decoded);
}

static void what_fails_before_it_has_begun_is_an_error_like_any_other(void **state)
{
    struct watching w;

    (void)state;
    open_watch(&w, "{" GRANTS "}");
    fake_feeds_fail(w.feed, ERROR_FAILED_PRECONDITION);
    watch_expect_end(&w, ERROR_FAILED_PRECONDITION);
    watch_done(&w);
    fake_feeds.refuse = ERROR_RESOURCE_EXHAUSTED;
    open_watch(&w, "{" GRANTS "}");
    assert_null(w.feed);
    fake_feeds.refuse = 0;
    flight_json_error(&w.flight, ERROR_RESOURCE_EXHAUSTED, NULL);
    free(w.bytes);
}

static void what_fails_later_has_an_end_too(void **state)
{
    struct watching w;

    (void)state;
    open_begun(&w, "{" GRANTS "}");
    fake_feeds_fail(w.feed, ERROR_DATA_LOSS);
    const json_t *said = watch_expect(&w, "end");

    assert_string_equal(watch_text(said, "reason"), "WATCH_END_REASON_FAILED");
    assert_non_null(json_object_get(said, "failure"));
    watch_expect_end(&w, ERROR_DATA_LOSS);
    watch_done(&w);
}

/* --- cursors -------------------------------------------------------------------------------------------- */

/* The cursor of a stream of alice's that was at batch 6. */
static void take_cursor(const char *json, char *cursor, size_t room)
{
    struct mapper_slot *slot = slot_of(0, 1);
    struct watching w;

    open_begun(&w, json);
    put_image(&w, slot, 1, 6, 0);
    (void)watch_expect(&w, strstr(json, "decode") != NULL ? "decoded" : "image");
    (void)snprintf(cursor, room, "%s", watch_text(watch_expect(&w, "checkpoint"), "cursor"));
    watch_done(&w);
    mapper_slot_unref(slot);
}

static void open_with_cursor(struct watching *w, const char *json, const char *cursor)
{
    char request[2048];

    (void)snprintf(request, sizeof(request), "{%s,\"cursor\":\"%s\"}", json, cursor);
    open_watch(w, request);
}

static void a_stream_goes_on_from_its_cursor(void **state)
{
    char cursor[SEAL_TOKEN_MAX_BYTES];
    struct watching w;

    (void)state;
    take_cursor("{" GRANTS "}", cursor, sizeof(cursor));
    open_with_cursor(&w, GRANTS, cursor);
    assert_int_equal(w.feed->resumed.batch, 6);
    assert_false(w.feed->request.is_image_needed);
    fake_feeds_begin(w.feed, 6, true);
    const json_t *said = watch_expect(&w, "begin");

    assert_true(watch_flag(said, "resumed"));
    assert_int_equal(watch_number(said, "sequence"), 6);
    watch_done(&w);
}

/* What it needs to know of the image before, nobody kept. */
static void decoding_goes_on_from_a_new_image(void **state)
{
    struct mapper_slot *slot = slot_of(0, 1);
    char cursor[SEAL_TOKEN_MAX_BYTES];
    struct watching w;

    (void)state;
    take_cursor("{" GRANTS ",\"decode\":true}", cursor, sizeof(cursor));
    open_with_cursor(&w, GRANTS ",\"decode\":true", cursor);
    assert_int_equal(w.feed->resumed.batch, 6);
    assert_true(w.feed->request.is_image_needed);
    fake_feeds_begin(w.feed, 6, true);
    assert_true(watch_flag(watch_expect(&w, "begin"), "resumed"));
    put_image(&w, slot, 1, 8, 0);
    assert_true(watch_flag(watch_expect(&w, "decoded"), "whole"));
    watch_done(&w);
    mapper_slot_unref(slot);
}

static void expect_refused(const struct identity *who, const char *json, enum error_code code,
                           const char *field)
{
    struct flight f = { 0 };

    flight_json(&rig, &f, who, WATCH, true, json);
    flight_json_error(&f, code, field);
}

static void a_cursor_is_good_for_its_caller_and_resource_only(void **state)
{
    static const char *const others[] = { GRANTS ",\"frameCount\":1", GRANTS ",\"firstFrame\":1",
                                          GRANTS ",\"id\":1", IOREQS, GRANTS ",\"decode\":true" };
    char cursor[SEAL_TOKEN_MAX_BYTES], json[2048];
    struct identity twin = rig.alice;

    (void)state;
    take_cursor("{" GRANTS "}", cursor, sizeof(cursor));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        (void)snprintf(json, sizeof(json), "{%s,\"cursor\":\"%s\"}", others[i], cursor);
        expect_refused(&rig.alice, json, ERROR_INVALID_ARGUMENT, "cursor");
    }
    (void)snprintf(json, sizeof(json), "{\"domain\":\"web-2\",\"type\":2,\"cursor\":\"%s\"}",
                   cursor);
    expect_refused(&rig.alice, json, ERROR_ABORTED, "cursor");
    set_policy("\"watch\"");
    strcpy(twin.text, "cn:alicia");
    (void)snprintf(json, sizeof(json), "{" GRANTS ",\"cursor\":\"%s\"}", cursor);
    expect_refused(&twin, json, ERROR_INVALID_ARGUMENT, "cursor");
    cursor[10] = cursor[10] == 'A' ? 'B' : 'A';
    (void)snprintf(json, sizeof(json), "{" GRANTS ",\"cursor\":\"%s\"}", cursor);
    expect_refused(&rig.alice, json, ERROR_INVALID_ARGUMENT, "cursor");
}

/* --- what it refuses ------------------------------------------------------------------------------------ */

static void what_cannot_be_watched_is_refused_by_its_field(void **state)
{
    static const struct {
        const char *json;
        enum error_code code;
        const char *field;
    } rows[] = {
        { "{" GRANTS ",\"frameCount\":0}", ERROR_INVALID_ARGUMENT, "frame_count" },
        { "{" GRANTS ",\"period\":\"-1s\"}", ERROR_INVALID_ARGUMENT, "period" },
        { "{" GRANTS ",\"period\":\"-0.001s\"}", ERROR_INVALID_ARGUMENT, "period" },
        { "{" GRANTS ",\"period\":\"3600.000000001s\"}", ERROR_INVALID_ARGUMENT, "period" },
        { "{" GRANTS ",\"mode\":9}", ERROR_INVALID_ARGUMENT, "mode" },
        { "{" GRANTS ",\"cursor\":\"x\"}", ERROR_INVALID_ARGUMENT, "cursor" },
        { "{" GRANTS ",\"id\":1,\"decode\":true}", ERROR_INVALID_ARGUMENT, "id" },
        { "{" VCPUS "}", ERROR_INVALID_ARGUMENT, "decode" },
        { "{\"domain\":\"web-1\"}", ERROR_INVALID_ARGUMENT, "type" },
        { "{\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_VMTRACE_BUF\"}", ERROR_UNIMPLEMENTED,
          "type" },
        { "{\"type\":2}", ERROR_INVALID_ARGUMENT, "domain" },
        { "{" GRANTS ",\"incarnation\":\"x\"}", ERROR_INVALID_ARGUMENT, "incarnation" },
    };
    struct watching w;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_refused(&rig.alice, rows[i].json, rows[i].code, rows[i].field);
    }
    open_watch(&w, "{" GRANTS ",\"period\":\"3600s\"}"); /* the most */
    assert_int_equal(w.feed->request.period_ns, 3600 * CLOCK_NS_PER_S);
    watch_done(&w);
}

static void the_policy_has_to_allow_watching_and_decoding(void **state)
{
    (void)state;
    expect_refused(&rig.viewer, "{" GRANTS "}", ERROR_PERMISSION_DENIED, NULL);
    expect_refused(&rig.nobody, "{" GRANTS "}", ERROR_NOT_FOUND, NULL);
    set_policy("\"watch\"");
    expect_refused(&rig.alice, "{" GRANTS ",\"decode\":true}", ERROR_PERMISSION_DENIED, NULL);
    set_policy("\"decode\"");
    expect_refused(&rig.alice, "{" GRANTS ",\"decode\":true}", ERROR_PERMISSION_DENIED, NULL);
}

static void streams_are_no_calls_but_what_they_hold_is_the_callers(void **state)
{
    struct mapper_slot *slot = slot_of(0, 300);
    struct watching all[RPC_RIG_CALLS + 1], decoded;

    (void)state;
    for (size_t i = 0; i < RPC_RIG_CALLS + 1; i++) {
        open_begun(&all[i], "{" GRANTS "}");
    }
    put_image(&all[0], slot, 300, 6, 0); /* of a share of 500 */
    put_image(&all[1], slot, 300, 6, 0);
    (void)watch_expect(&all[0], "image");
    assert_string_equal(watch_text(watch_expect(&all[1], "end"), "reason"),
                        "WATCH_END_REASON_FAILED");
    watch_expect_end(&all[1], ERROR_RESOURCE_EXHAUSTED);
    while (!watch_flag(watch_expect(&all[0], "image"), "complete")) {
    }
    put_image(&all[2], slot, 300, 6, 0); /* what was sent is not held any more */
    (void)watch_expect(&all[2], "image");
    for (size_t i = 0; i < RPC_RIG_CALLS + 1; i++) {
        watch_done(&all[i]);
    }
    open_begun(&decoded, "{" GRANTS ",\"decode\":true}"); /* which keeps two of them */
    put_image(&decoded, slot, 300, 6, 0);
    (void)watch_expect(&decoded, "end");
    watch_expect_end(&decoded, ERROR_RESOURCE_EXHAUSTED);
    watch_done(&decoded);
    mapper_slot_unref(slot);
}

static void a_batch_in_parts_is_decoded_when_all_of_it_is_there(void **state)
{
    static const uint32_t first[] = { 0 }, second[] = { 1 };
    static uint8_t contents[FEED_BLOCK_BYTES];
    struct mapper_slot *slot = slot_of(0, 1);
    struct watching w;

    (void)state;
    open_begun(&w, "{" GRANTS ",\"decode\":true}");
    put_image(&w, slot, 1, 6, 0);
    (void)watch_expect(&w, "decoded");
    (void)watch_expect(&w, "checkpoint");
    put_changes(&w, 7, first, 1, contents, true);
    watch_expect_nothing(&w);
    put_changes(&w, 7, second, 1, contents, false);
    const json_t *said = watch_expect(&w, "decoded");
    const json_t *grants = json_object_get(said, "grants");

    assert_int_equal(watch_number(said, "firstSequence"), 7);
    assert_int_equal(json_array_size(grants), 2 * FEED_BLOCK_BYTES / LAYOUT_GRANT_V1_BYTES);
    assert_string_equal(watch_text(json_array_get(grants, 0), "kind"),
                        "GRANT_CHANGE_KIND_WENT_AWAY");
    watch_done(&w);
    mapper_slot_unref(slot);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_begins_with_what_is_watched_and_how),
        TEST(what_is_left_out_is_chosen),
        TEST(an_image_comes_in_parts_and_a_checkpoint_behind_it),
        TEST(changes_are_made_once_for_all_who_take_the_same),
        TEST(changes_that_are_many_are_split),
        TEST(merged_batches_say_which),
        TEST(what_is_missing_is_told_by_its_numbers),
        TEST(silence_is_broken_by_heartbeats),
        TEST(what_is_due_and_cannot_be_said_wakes_nobody),
        TEST(each_end_has_its_reason),
        TEST(with_a_deadline_it_says_where_it_was),
        TEST(when_the_gateway_stops_every_stream_says_where_it_was),
        TEST(another_policy_ends_what_it_does_not_allow_and_nothing_else),
        TEST(what_fails_before_it_has_begun_is_an_error_like_any_other),
        TEST(what_fails_later_has_an_end_too),
        TEST(a_stream_goes_on_from_its_cursor),
        TEST(decoding_goes_on_from_a_new_image),
        TEST(a_cursor_is_good_for_its_caller_and_resource_only),
        TEST(what_cannot_be_watched_is_refused_by_its_field),
        TEST(the_policy_has_to_allow_watching_and_decoding),
        TEST(streams_are_no_calls_but_what_they_hold_is_the_callers),
        TEST(a_batch_in_parts_is_decoded_when_all_of_it_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
