/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ResourceService.Watch on feeds that the test plays: what it says of each item. */
#include "tests/lib/watch_stream.h"

#include "common/layout.h"
#include "server/rpc/watch.h"

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, watch_begin, watch_end)

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
        TEST(a_batch_in_parts_is_decoded_when_all_of_it_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
