/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* One who is subscribed to a feed that appends: what it is told, in what order, at which offsets. */
#include "tests/lib/append_play.h"
#include "tests/lib/feeds_rig.h"

static const struct feeds_options plenty = {
    .feeds_max = 64,
    .subscribers_max = 64,
    .subscribers_per_identity = 64,
    .linger_ms = 60000,
};

static struct feeds_rig r;
static struct append_play p;

static int set_up(void **state)
{
    (void)state;
    rig_begin(&r, &plenty);
    append_new(&p, 1);
    r.plays[0] = &p.feed;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_end(&r);
    append_free(&p);
    return 0;
}

static struct subscription_request wanted(struct watcher *w, const struct feed_cursor *cursor)
{
    struct subscription_request request = rig_request(w, 0, SUBSCRIPTION_DELTA);

    request.source.type = RESOURCE_VMTRACE_BUF;
    request.source.frame_count = 16;
    request.cursor = cursor;
    return request;
}

static void start(struct watcher *w, const struct feed_cursor *cursor,
                  struct subscription_item *begun)
{
    struct subscription_request request = wanted(w, cursor);

    watcher_begin(&r, w, &request);
    watcher_next(&r, w, SUBSCRIPTION_BEGUN, begun);
}

static const struct feed_record *next_record(struct watcher *w, enum feed_record_kind kind,
                                             struct subscription_item *item)
{
    watcher_next(&r, w, SUBSCRIPTION_RECORD, item);
    assert_int_equal(item->record.record.kind, kind);
    return &item->record.record;
}

static void next_bytes(struct watcher *w, uint64_t bytes_before, uint32_t len_bytes)
{
    struct subscription_item item;
    const struct feed_record *record = next_record(w, FEED_RECORD_BYTES, &item);

    assert_int_equal(record->bytes->bytes_before, bytes_before);
    assert_int_equal(record->bytes->len_bytes, len_bytes);
    assert_true(append_is_true(&p, record->bytes, record->contents));
}

static void assert_at(const struct subscription_offset *at, uint64_t bytes_before, uint64_t offset,
                      uint32_t segment, uint32_t epoch)
{
    assert_int_equal(at->bytes_before, bytes_before);
    assert_int_equal(at->offset, offset);
    assert_int_equal(at->segment, segment);
    assert_int_equal(at->epoch, epoch);
}

/* Writes records of bytes until all that was there is overwritten; how many bytes. */
static uint64_t overwrite(void)
{
    uint64_t before = p.spool.blocks;

    for (int i = 0; i < 8; i++) {
        append_bytes(&p, 500);
    }
    return p.spool.blocks - before;
}

static void what_is_held_is_told_from_the_first_segment_to_the_end(void **state)
{
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    const struct feed_record *record;

    (void)state;
    append_bytes(&p, 100);
    start(&w, NULL, &item);
    assert_false(item.begun.resumed);
    assert_memory_equal(item.begun.feed_id, p.feed.id, FEED_ID_BYTES);
    assert_at(&item.begun.at, 0, 0, 0, 0);
    record = next_record(&w, FEED_RECORD_BEGIN, &item);
    assert_int_equal(record->begin->reason, FEED_BEGIN_START);
    next_bytes(&w, 0, 100);
    watcher_nothing(&w);
    append_loss(&p, 30);
    append_bytes(&p, 7);
    append_still(&p);
    rig_ring(&r);
    record = next_record(&w, FEED_RECORD_LOSS, &item);
    assert_int_equal(record->loss->offset, 100);
    assert_int_equal(record->loss->len_bytes, 30);
    assert_int_equal(record->loss->at_least, 0);
    next_bytes(&w, 130, 7);
    watcher_next(&r, &w, SUBSCRIPTION_STILL, &item);
    assert_int_equal(item.still.samples, 5);
    append_open_loss(&p, 1000, 77);
    append_begin(&p, FEED_BEGIN_LOSS);
    append_bytes(&p, 3);
    append_begin(&p, FEED_BEGIN_RESET);
    append_bytes(&p, 4);
    append_end(&p, FEED_END_RESOURCE);
    rig_ring(&r);
    record = next_record(&w, FEED_RECORD_LOSS, &item);
    assert_int_equal(record->loss->at_least, 1);
    record = next_record(&w, FEED_RECORD_BEGIN, &item);
    assert_int_equal(record->begin->segment, 1);
    assert_int_equal(record->begin->epoch, 0);
    assert_int_equal(record->begin->blocks_before, 1137);
    next_bytes(&w, 1137, 3);
    record = next_record(&w, FEED_RECORD_BEGIN, &item);
    assert_int_equal(record->begin->segment, 2);
    assert_int_equal(record->begin->epoch, 1);
    next_bytes(&w, 1140, 4);
    watcher_next(&r, &w, SUBSCRIPTION_ENDED, &item);
    assert_int_equal(item.ended.bytes, 1144);
    assert_int_equal(item.ended.batch, 1);
    assert_int_equal(r.images, 0);
    watcher_end(&w);
}

static void who_comes_later_begins_with_the_oldest_byte(void **state)
{
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    append_bytes(&p, 10);
    append_begin(&p, FEED_BEGIN_RESET);
    append_bytes(&p, 20);
    uint64_t end = 30 + overwrite();

    start(&w, NULL, &item);
    uint64_t first = item.begun.at.bytes_before;

    assert_true(first > 30 && first < end && (first - 30) % 500 == 0);
    assert_at(&item.begun.at, first, first - 10, 1, 1);
    for (; first < end; first += 500) {
        next_bytes(&w, first, 500);
    }
    watcher_nothing(&w);
    watcher_end(&w);
}

/* Of a source that is idle for hours nothing else is held. */
static void samples_without_bytes_are_enough_to_begin_with(void **state)
{
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    append_begin(&p, FEED_BEGIN_RESET);
    append_bytes(&p, 20);
    append_open_loss(&p, 5, 1);
    append_begin(&p, FEED_BEGIN_LOSS);
    append_bytes(&p, 6);
    for (int i = 0; i < 100; i++) {
        append_still(&p);
    }
    start(&w, NULL, &item);
    assert_at(&item.begun.at, 31, 6, 2, 1);
    assert_int_equal(item.begun.batch, 1);
    watcher_next(&r, &w, SUBSCRIPTION_STILL, &item);
    while (subscription_lag(w.u) > 0) {
        watcher_next(&r, &w, SUBSCRIPTION_STILL, &item);
    }
    append_bytes(&p, 8);
    rig_ring(&r);
    next_bytes(&w, 31, 8);
    watcher_end(&w);
}

/* --- who is overtaken ---------------------------------------------------------------------------------- */

static void who_is_overtaken_is_told_how_many_bytes_it_missed(void **state)
{
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    struct feeds_counters c;

    (void)state;
    start(&w, NULL, &item);
    (void)next_record(&w, FEED_RECORD_BEGIN, &item);
    append_bytes(&p, 100);
    append_loss(&p, 11);
    uint64_t end = 111 + overwrite();

    watcher_next(&r, &w, SUBSCRIPTION_GAP, &item);
    assert_int_equal(item.gap.reason, FEED_GAP_TOO_SLOW);
    assert_false(item.gap.at_least);
    uint64_t next = item.gap.blocks;

    assert_true(next >= 611 && next < end && (next - 111) % 500 == 0);
    assert_at(&item.gap.at, next, next, 0, 0);
    feeds_count(r.feeds, &c);
    assert_int_equal(c.lost_bytes, next);
    assert_int_equal(c.gaps_too_slow, 1);
    for (; next < end; next += 500) {
        next_bytes(&w, next, 500);
    }
    feeds_count(r.feeds, &c);
    assert_int_equal(c.lost_bytes + c.delivered_bytes, end);
    watcher_end(&w);
}

/* A segment began among what was missed: by a reset all is counted, by an open loss it is not. */
static void a_gap_over_an_open_loss_is_of_at_least_so_many(void **state)
{
    (void)state;
    for (int is_open = 0; is_open < 2; is_open++) {
        struct watcher w = WATCHER_INIT;
        struct subscription_item item;

        start(&w, NULL, &item);
        while (subscription_lag(w.u) > 0) {
            watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
        }
        uint64_t told = p.spool.blocks;

        if (is_open) {
            append_open_loss(&p, 40, 2);
        }
        append_begin(&p, is_open ? FEED_BEGIN_LOSS : FEED_BEGIN_RESET);
        uint64_t begins = p.spool.blocks;

        (void)overwrite();
        watcher_next(&r, &w, SUBSCRIPTION_GAP, &item);
        assert_int_equal(item.gap.at_least, is_open);
        assert_at(&item.gap.at, told + item.gap.blocks, told + item.gap.blocks - begins,
                  (uint32_t)is_open + 1, 1);
        next_bytes(&w, told + item.gap.blocks, 500);
        watcher_end(&w);
    }
}

static void a_segment_whose_beginning_alone_was_missed_is_told(void **state)
{
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    append_bytes(&p, 9);
    start(&w, NULL, &item);
    (void)next_record(&w, FEED_RECORD_BEGIN, &item);
    next_bytes(&w, 0, 9);
    append_begin(&p, FEED_BEGIN_RESET);
    for (int i = 0; i < 100; i++) {
        append_still(&p);
    }
    watcher_next(&r, &w, SUBSCRIPTION_GAP, &item);
    assert_int_equal(item.gap.blocks, 0);
    assert_at(&item.gap.at, 9, 0, 1, 1);
    watcher_next(&r, &w, SUBSCRIPTION_STILL, &item);
    watcher_end(&w);
}

static void who_missed_nothing_but_idle_samples_gets_no_gap(void **state)
{
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    append_bytes(&p, 9);
    start(&w, NULL, &item);
    (void)next_record(&w, FEED_RECORD_BEGIN, &item);
    next_bytes(&w, 0, 9);
    for (int i = 0; i < 100; i++) {
        append_still(&p);
    }
    watcher_next(&r, &w, SUBSCRIPTION_STILL, &item);
    while (subscription_lag(w.u) > 0) {
        watcher_next(&r, &w, SUBSCRIPTION_STILL, &item);
    }
    watcher_end(&w);
}

/* --- cursors ------------------------------------------------------------------------------------------- */

static void one_goes_on_exactly_where_it_was_cut(void **state)
{
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    struct feed_cursor cursor;

    (void)state;
    append_begin(&p, FEED_BEGIN_RESET);
    append_bytes(&p, 50);
    start(&w, NULL, &item);
    assert_false(subscription_cursor(w.u, &cursor)); /* no segment has begun */
    (void)next_record(&w, FEED_RECORD_BEGIN, &item);
    (void)next_record(&w, FEED_RECORD_BEGIN, &item);
    next_bytes(&w, 0, 50);
    assert_true(subscription_cursor(w.u, &cursor));
    assert_int_equal(cursor.blocks_before, 50);
    assert_int_equal(cursor.offset, 50);
    assert_int_equal(cursor.segment, 1);
    assert_int_equal(cursor.epoch, 1);
    watcher_end(&w);
    append_bytes(&p, 60);
    start(&w, &cursor, &item);
    assert_true(item.begun.resumed);
    assert_at(&item.begun.at, 50, 50, 1, 1);
    next_bytes(&w, 50, 60);
    append_open_loss(&p, 1, 0);
    rig_ring(&r);
    (void)next_record(&w, FEED_RECORD_LOSS, &item);
    assert_false(subscription_cursor(w.u, &cursor)); /* between segments */
    append_begin(&p, FEED_BEGIN_LOSS);
    rig_ring(&r);
    (void)next_record(&w, FEED_RECORD_BEGIN, &item);
    assert_true(subscription_cursor(w.u, &cursor));
    assert_int_equal(cursor.offset, 0);
    assert_int_equal(cursor.segment, 2);
    assert_int_equal(cursor.batch, 1);
    watcher_end(&w);
}

static void a_cursor_that_is_too_old_says_how_many_bytes_are_missing(void **state)
{
    (void)state;
    for (int is_open = 0; is_open < 2; is_open++) {
        struct watcher w = WATCHER_INIT;
        struct subscription_item item;
        struct feed_cursor cursor;
        struct failure f = { 0 };
        char message[96], cause[64];

        start(&w, NULL, &item);
        while (subscription_lag(w.u) > 0) {
            watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
        }
        assert_true(subscription_cursor(w.u, &cursor));
        watcher_end(&w);
        if (is_open) {
            append_open_loss(&p, 40, 2);
            append_begin(&p, FEED_BEGIN_LOSS);
        }
        (void)overwrite();
        start(&w, NULL, &item);
        uint64_t oldest = item.begun.at.bytes_before;

        watcher_end(&w);
        struct subscription_request request = wanted(&w, &cursor);

        watcher_begin(&r, &w, &request);
        assert_int_equal(watcher_try(&r, &w, &item, &f), -ERROR_OUT_OF_RANGE);
        snprintf(message, sizeof(message), "%s%llu bytes from %llu on are no longer held",
                 is_open ? "at least " : "", (unsigned long long)(oldest - cursor.blocks_before),
                 (unsigned long long)cursor.blocks_before);
        assert_string_equal(f.message, message);
        snprintf(cause, sizeof(cause), "byte %llu: segment %d", (unsigned long long)oldest,
                 is_open);
        assert_non_null(strstr(f.cause, cause));
        assert_string_equal(f.field, "cursor");
        assert_non_null(strstr(f.next_step, "what is held"));
        watcher_end(&w);
    }
}

/* --- what is refused ----------------------------------------------------------------------------------- */

static void what_makes_no_sense_of_a_trace_is_refused(void **state)
{
    const struct feed_cursor cursor = { 0 };

    (void)state;
    for (int i = 0; i < 4; i++) {
        static const char *const fields[] = { "mode", "mode", "period", "cursor" };
        struct watcher w = WATCHER_INIT;
        struct failure f = { 0 };
        struct subscription_request request = wanted(&w, &cursor);

        request.mode = i == 0   ? SUBSCRIPTION_LATEST
                       : i == 1 ? SUBSCRIPTION_FULL
                                : SUBSCRIPTION_DELTA;
        request.period_ns = i == 2 ? 1 : 0;
        request.is_image_needed = i == 3;
        assert_int_equal(subscription_begin(r.feeds, &request, &w.u, &f), -ERROR_INVALID_ARGUMENT);
        assert_string_equal(f.field, fields[i]);
        assert_non_null(strstr(f.message, "whole and in order"));
    }
    assert_int_equal(r.watches, 0);
}

static void what_is_made_of_bytes_is_shared(void **state)
{
    struct watcher w[2] = { WATCHER_INIT, WATCHER_INIT };
    struct subscription_item item;
    size_t len = 0;

    (void)state;
    append_bytes(&p, 20);
    for (int i = 0; i < 2; i++) {
        start(&w[i], NULL, &item);
    }
    for (int i = 0; i < 2; i++) {
        (void)next_record(&w[i], FEED_RECORD_BEGIN, &item);
        next_bytes(&w[i], 0, 20);
    }
    struct shared_bytes *made = subscription_share(w[0].u, 1, "made", 4);
    struct shared_bytes *found = subscription_shared(w[1].u, 1);

    assert_non_null(found);
    assert_memory_equal(shared_bytes_data(found, &len), "made", 4);
    assert_ptr_equal(made, found);
    shared_bytes_unref(made);
    shared_bytes_unref(found);
    watcher_end(&w[0]);
    watcher_end(&w[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define APPEND_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        APPEND_TEST(what_is_held_is_told_from_the_first_segment_to_the_end),
        APPEND_TEST(who_comes_later_begins_with_the_oldest_byte),
        APPEND_TEST(samples_without_bytes_are_enough_to_begin_with),
        APPEND_TEST(who_is_overtaken_is_told_how_many_bytes_it_missed),
        APPEND_TEST(a_gap_over_an_open_loss_is_of_at_least_so_many),
        APPEND_TEST(a_segment_whose_beginning_alone_was_missed_is_told),
        APPEND_TEST(who_missed_nothing_but_idle_samples_gets_no_gap),
        APPEND_TEST(one_goes_on_exactly_where_it_was_cut),
        APPEND_TEST(a_cursor_that_is_too_old_says_how_many_bytes_are_missing),
        APPEND_TEST(what_makes_no_sense_of_a_trace_is_refused),
        APPEND_TEST(what_is_made_of_bytes_is_shared),
#undef APPEND_TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
