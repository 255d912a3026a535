/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a mapper that lies about bytes can do: end the streams that read them, with data_loss. */
#include "tests/lib/append_play.h"
#include "tests/lib/feeds_rig.h"

#include "common/log.h"

static const struct feeds_options plenty = {
    .feeds_max = 64,
    .subscribers_max = 64,
    .subscribers_per_identity = 64,
    .linger_ms = 60000,
};

enum { BYTES = 24 };

/* Two segments, of which the second has an offset, and an open loss between them. */
static void set_up(struct feeds_rig *r, struct append_play *p)
{
    rig_begin(r, &plenty);
    append_new(p, 1);
    r->plays[0] = &p->feed;
    append_bytes(p, 100);
    append_open_loss(p, 10, 0);
    append_begin(p, FEED_BEGIN_RESET);
    append_bytes(p, 50);
}

static void tear_down(struct feeds_rig *r, struct append_play *p)
{
    rig_end(r);
    append_free(p);
}

/* --- records that would follow, and what may be wrong with them ---------------------------------------- */

static struct feed_bytes next_bytes(const struct append_play *p)
{
    return (struct feed_bytes){ .offset = p->spool.offset,
                                .bytes_before = p->spool.blocks,
                                .segment = p->spool.segment,
                                .epoch = p->spool.epoch,
                                .open_losses = (uint32_t)p->spool.batch,
                                .len_bytes = BYTES,
                                .sync_offset = -1 };
}

static struct feed_loss next_loss(const struct append_play *p)
{
    return (struct feed_loss){ .offset = p->spool.offset,
                               .bytes_before = p->spool.blocks,
                               .len_bytes = BYTES,
                               .segment = p->spool.segment,
                               .epoch = p->spool.epoch,
                               .open_losses = (uint32_t)p->spool.batch,
                               .reason = FEED_LOSS_LAPPED };
}

static struct feed_begin next_begin(const struct append_play *p)
{
    return (struct feed_begin){ .batch = p->spool.batch,
                                .blocks_before = p->spool.blocks,
                                .segment = p->spool.segment + 1,
                                .epoch = p->spool.epoch + 1,
                                .reason = FEED_BEGIN_RESET };
}

static struct feed_still next_still(const struct append_play *p)
{
    return (struct feed_still){ .batch = p->spool.batch,
                                .blocks_before = p->spool.blocks,
                                .offset = p->spool.offset,
                                .segment = p->spool.segment,
                                .epoch = p->spool.epoch };
}

static struct feed_end next_end(const struct append_play *p)
{
    return (struct feed_end){ .batch = p->spool.batch,
                              .blocks_before = p->spool.blocks,
                              .reason = FEED_END_RESOURCE };
}

static void put(struct append_play *p, enum feed_record_kind kind, const void *head, size_t len)
{
    static const uint8_t bytes[BYTES];
    const struct ring_part parts[] = { { head, len }, { bytes, sizeof(bytes) } };

    assert_int_equal(
        ring_append(p->spool.ring, kind, parts, kind == FEED_RECORD_BYTES ? 2 : 1, NULL), 0);
}

/* A record of `kind` that would follow but for one field. */
#define LIE(name, part, kind, change)                                                              \
    static void name(struct append_play *p)                                                        \
    {                                                                                              \
        struct feed_##part lie = next_##part(p);                                                   \
                                                                                                   \
        lie.change;                                                                                \
        put(p, kind, &lie, sizeof(lie));                                                           \
    }

LIE(bytes_of_a_segment_to_come, bytes, FEED_RECORD_BYTES, segment++)
LIE(bytes_of_a_segment_before, bytes, FEED_RECORD_BYTES, segment--)
LIE(bytes_of_another_epoch, bytes, FEED_RECORD_BYTES, epoch++)
LIE(bytes_are_left_out, bytes, FEED_RECORD_BYTES, offset++)
LIE(bytes_come_twice, bytes, FEED_RECORD_BYTES, offset--)
LIE(bytes_are_left_out_of_all, bytes, FEED_RECORD_BYTES, bytes_before++)
LIE(bytes_come_twice_in_all, bytes, FEED_RECORD_BYTES, bytes_before--)
LIE(a_loss_that_nobody_told_of, bytes, FEED_RECORD_BYTES, open_losses++)
LIE(more_bytes_than_there_are_numbers, bytes, FEED_RECORD_BYTES, bytes_before = UINT64_MAX)
LIE(bytes_that_are_cut, bytes, FEED_RECORD_BYTES, len_bytes--)
LIE(a_sync_beyond_the_bytes, bytes, FEED_RECORD_BYTES, sync_offset = BYTES)

LIE(a_loss_of_another_segment, loss, FEED_RECORD_LOSS, segment--)
LIE(a_loss_of_another_epoch, loss, FEED_RECORD_LOSS, epoch--)
LIE(a_loss_elsewhere, loss, FEED_RECORD_LOSS, offset++)
LIE(a_loss_elsewhere_in_all, loss, FEED_RECORD_LOSS, bytes_before++)
LIE(a_loss_behind_another, loss, FEED_RECORD_LOSS, open_losses++)
LIE(a_loss_of_nothing, loss, FEED_RECORD_LOSS, len_bytes = 0)
LIE(a_loss_of_more_than_there_can_be, loss, FEED_RECORD_LOSS, len_bytes = UINT64_MAX)

LIE(a_segment_is_left_out, begin, FEED_RECORD_BEGIN, segment++)
LIE(a_segment_comes_twice, begin, FEED_RECORD_BEGIN, segment--)
LIE(an_epoch_is_left_out, begin, FEED_RECORD_BEGIN, epoch++)
LIE(a_reset_within_an_epoch, begin, FEED_RECORD_BEGIN, epoch--)
LIE(a_segment_with_more_bytes, begin, FEED_RECORD_BEGIN, blocks_before++)
LIE(a_segment_with_fewer_bytes, begin, FEED_RECORD_BEGIN, blocks_before--)
LIE(a_segment_with_more_losses, begin, FEED_RECORD_BEGIN, batch++)
LIE(a_segment_with_an_image, begin, FEED_RECORD_BEGIN, image_bytes = FEED_BLOCK_BYTES)
LIE(a_segment_of_frames, begin, FEED_RECORD_BEGIN, reason = FEED_BEGIN_RESIZED)
LIE(a_second_start, begin, FEED_RECORD_BEGIN, reason = FEED_BEGIN_START)

LIE(a_sample_elsewhere, still, FEED_RECORD_STILL, offset++)
LIE(a_sample_of_more_bytes, still, FEED_RECORD_STILL, blocks_before++)
LIE(a_sample_of_another_segment, still, FEED_RECORD_STILL, segment++)
LIE(a_sample_of_another_epoch, still, FEED_RECORD_STILL, epoch++)
LIE(a_sample_of_more_losses, still, FEED_RECORD_STILL, batch++)

LIE(an_end_of_more_bytes, end, FEED_RECORD_END, blocks_before++)
LIE(an_end_of_fewer_losses, end, FEED_RECORD_END, batch--)

static void a_segment_of_a_loss_without_one(struct append_play *p)
{
    struct feed_begin lie = next_begin(p);

    lie.reason = FEED_BEGIN_LOSS;
    lie.epoch--;
    put(p, FEED_RECORD_BEGIN, &lie, sizeof(lie));
}

/* Behind a loss that may be larger no distance is exact. */
static void bytes_behind_an_open_loss(struct append_play *p)
{
    append_open_loss(p, 5, 0);
    append_bytes(p, 1);
}

static void a_sample_behind_an_open_loss(struct append_play *p)
{
    append_open_loss(p, 5, 0);
    append_still(p);
}

static void an_open_loss_behind_another(struct append_play *p)
{
    append_open_loss(p, 5, 0);
    append_open_loss(p, 5, 0);
}

static void changes_in_a_feed_that_appends(struct append_play *p)
{
    const struct feed_changes c = { .batch = p->spool.batch + 1,
                                    .blocks_before = p->spool.blocks,
                                    .segment = p->spool.segment,
                                    .block_count = 1 };
    static const uint8_t block[8 + FEED_BLOCK_BYTES];
    const struct ring_part parts[] = { { &c, sizeof(c) }, { block, sizeof(block) } };

    assert_int_equal(ring_append(p->spool.ring, FEED_RECORD_CHANGES, parts, 2, NULL), 0);
}

static const struct {
    const char *name;
    void (*tell)(struct append_play *p);
} lies[] = {
#define ROW(name)                                                                                  \
    {                                                                                              \
        #name, name                                                                                \
    }
    ROW(bytes_of_a_segment_to_come),
    ROW(bytes_of_a_segment_before),
    ROW(bytes_of_another_epoch),
    ROW(bytes_are_left_out),
    ROW(bytes_come_twice),
    ROW(bytes_are_left_out_of_all),
    ROW(bytes_come_twice_in_all),
    ROW(a_loss_that_nobody_told_of),
    ROW(more_bytes_than_there_are_numbers),
    ROW(bytes_that_are_cut),
    ROW(a_sync_beyond_the_bytes),
    ROW(a_loss_of_another_segment),
    ROW(a_loss_of_another_epoch),
    ROW(a_loss_elsewhere),
    ROW(a_loss_elsewhere_in_all),
    ROW(a_loss_behind_another),
    ROW(a_loss_of_nothing),
    ROW(a_loss_of_more_than_there_can_be),
    ROW(a_segment_is_left_out),
    ROW(a_segment_comes_twice),
    ROW(an_epoch_is_left_out),
    ROW(a_reset_within_an_epoch),
    ROW(a_segment_with_more_bytes),
    ROW(a_segment_with_fewer_bytes),
    ROW(a_segment_with_more_losses),
    ROW(a_segment_with_an_image),
    ROW(a_segment_of_frames),
    ROW(a_second_start),
    ROW(a_sample_elsewhere),
    ROW(a_sample_of_more_bytes),
    ROW(a_sample_of_another_segment),
    ROW(a_sample_of_another_epoch),
    ROW(a_sample_of_more_losses),
    ROW(an_end_of_more_bytes),
    ROW(an_end_of_fewer_losses),
    ROW(a_segment_of_a_loss_without_one),
    ROW(bytes_behind_an_open_loss),
    ROW(a_sample_behind_an_open_loss),
    ROW(an_open_loss_behind_another),
    ROW(changes_in_a_feed_that_appends),
#undef ROW
};

static void start(struct feeds_rig *r, struct watcher *w)
{
    struct subscription_request request = rig_request(w, 0, SUBSCRIPTION_DELTA);

    request.source.type = RESOURCE_VMTRACE_BUF;
    request.source.frame_count = 16;
    watcher_begin(r, w, &request);
}

/* Only what is true is told before it. */
static int read_until_failure(struct feeds_rig *r, struct watcher *w, const struct append_play *p)
{
    struct subscription_item item;

    for (;;) {
        int result = watcher_try(r, w, &item, NULL);

        if (result != 0) {
            return result;
        }
        if (item.kind == SUBSCRIPTION_ENDED) {
            return 0;
        }
        if (item.kind == SUBSCRIPTION_RECORD && item.record.record.kind == FEED_RECORD_BYTES) {
            assert_true(append_is_true(p, item.record.record.bytes, item.record.record.contents));
        }
    }
}

static void no_record_that_cannot_be_is_told(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct feeds_rig r;
        struct append_play p;
        struct watcher w = WATCHER_INIT;

        set_up(&r, &p);
        start(&r, &w);
        lies[i].tell(&p);
        int result = read_until_failure(&r, &w, &p);

        if (result != -ERROR_DATA_LOSS) {
            fail_msg("%s: %d", lies[i].name, result);
        }
        watcher_nothing(&w);
        watcher_end(&w);
        tear_down(&r, &p);
    }
}

/* The same records, with nothing wrong. */
static void what_the_lies_are_made_of_is_told(void **state)
{
    struct feeds_rig r;
    struct append_play p;
    struct watcher w = WATCHER_INIT;

    (void)state;
    set_up(&r, &p);
    start(&r, &w);
    append_bytes(&p, BYTES);
    append_loss(&p, BYTES);
    append_still(&p);
    append_begin(&p, FEED_BEGIN_RESET);
    append_open_loss(&p, 5, 0);
    append_end(&p, FEED_END_RESOURCE);
    assert_int_equal(read_until_failure(&r, &w, &p), 0);
    watcher_end(&w);
    tear_down(&r, &p);
}

/* --- spools -------------------------------------------------------------------------------------------- */

static void a_feed_needs_something_to_begin_with(void **state)
{
    (void)state;
    for (int has_end = 0; has_end < 2; has_end++) {
        struct feeds_rig r;
        struct feed_source_play p;
        struct watcher w = WATCHER_INIT;
        struct subscription_item item;

        rig_begin(&r, &plenty);
        feed_play_new(&p, 4096, 0, 1);
        r.plays[0] = &p;
        if (has_end) {
            feed_play_end(&p, FEED_END_RESOURCE);
        }
        start(&r, &w);
        assert_int_equal(watcher_try(&r, &w, &item, NULL), -ERROR_DATA_LOSS);
        watcher_end(&w);
        rig_end(&r);
        feed_play_free(&p);
    }
}

/* --- what is missing ------------------------------------------------------------------------------------ */

static void fewer_bytes(struct spool *s)
{
    s->blocks = s->offset = 0;
}
static void an_older_segment(struct spool *s)
{
    s->segment = 0;
}
static void an_older_epoch(struct spool *s)
{
    s->epoch = 0;
}
static void fewer_losses(struct spool *s)
{
    s->batch = 0;
}
static void more_losses_than_segments(struct spool *s)
{
    s->segment += 1;
    s->batch += 2;
    s->offset = 0;
}
static void more_epochs_than_segments(struct spool *s)
{
    s->segment += 1;
    s->epoch += 2;
    s->offset = 0;
}
static void a_segment_that_nothing_begins(struct spool *s)
{
    s->segment += 1;
    s->offset = 0;
}
static void less_of_a_segment_than_of_all(struct spool *s)
{
    s->blocks += 10;
}
static void more_of_a_segment_than_of_all(struct spool *s)
{
    s->segment += 1;
    s->epoch += 1;
    s->blocks += 10;
}

static const struct {
    const char *name;
    void (*tell)(struct spool *s);
} skips[] = {
    { "fewer bytes", fewer_bytes },
    { "an older segment", an_older_segment },
    { "an older epoch", an_older_epoch },
    { "fewer losses", fewer_losses },
    { "more losses than segments", more_losses_than_segments },
    { "more epochs than segments", more_epochs_than_segments },
    { "a segment that nothing begins", a_segment_that_nothing_begins },
    { "less of a segment than of all", less_of_a_segment_than_of_all },
    { "more of a segment than of all", more_of_a_segment_than_of_all },
};

/* Overwrites all that was there; nothing of it is told of wrongly but where it begins. */
static void overwrite(struct append_play *p)
{
    for (int i = 0; i < 100; i++) {
        const struct feed_still still = next_still(p);

        put(p, FEED_RECORD_STILL, &still, sizeof(still));
    }
}

static void no_gap_that_cannot_be_is_told(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(skips) / sizeof(skips[0]); i++) {
        struct feeds_rig r;
        struct append_play p;
        struct watcher w = WATCHER_INIT, late = WATCHER_INIT;
        struct subscription_item item;
        struct feed_cursor cursor;

        set_up(&r, &p);
        start(&r, &w);
        do {
            assert_int_equal(watcher_try(&r, &w, &item, NULL), 0);
        } while (subscription_lag(w.u) > 0);
        assert_true(subscription_cursor(w.u, &cursor));
        skips[i].tell(&p.spool);
        overwrite(&p);
        int result = watcher_try(&r, &w, &item, NULL);

        if (result != -ERROR_DATA_LOSS) {
            fail_msg("%s: %d", skips[i].name, result);
        }
        watcher_end(&w);
        struct subscription_request request = rig_request(&late, 0, SUBSCRIPTION_DELTA);

        request.source.type = RESOURCE_VMTRACE_BUF;
        request.source.frame_count = 16;
        request.cursor = &cursor;
        watcher_begin(&r, &late, &request);
        assert_int_equal(watcher_try(&r, &late, &item, NULL), -ERROR_DATA_LOSS);
        watcher_end(&late);
        tear_down(&r, &p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_record_that_cannot_be_is_told),
        cmocka_unit_test(what_the_lies_are_made_of_is_told),
        cmocka_unit_test(a_feed_needs_something_to_begin_with),
        cmocka_unit_test(no_gap_that_cannot_be_is_told),
    };

    log_open("feeds_append_lies_test", (enum log_level)0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
