/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a mapper that lies about a feed can do: end the streams that read it, with data_loss. */
#include "tests/lib/feeds_rig.h"

#include "common/log.h"

static const struct feeds_options plenty = {
    .feeds_max = 64,
    .subscribers_max = 64,
    .subscribers_per_identity = 64,
    .linger_ms = 60000,
};

enum { BLOCKS = 4 };

static void set_up(struct feeds_rig *r, struct feed_source_play *p)
{
    rig_begin(r, &plenty);
    feed_play_new(p, 8192, BLOCKS, 1);
    r->plays[0] = p;
    feed_play_begin(p, FEED_BEGIN_START, 0, 0);
    feed_play_change(p, 0, 1);
    feed_play_change(p, 1, 2);
}

static void tear_down(struct feeds_rig *r, struct feed_source_play *p)
{
    rig_end(r);
    feed_play_free(p);
}

/* --- records ------------------------------------------------------------------------------------------- */

static void a_batch_is_left_out(struct feed_source_play *p)
{
    p->batch++;
    feed_play_change(p, 0, 1);
}
static void a_batch_comes_twice(struct feed_source_play *p)
{
    p->batch--;
    feed_play_change(p, 0, 1);
}
static void blocks_are_left_out(struct feed_source_play *p)
{
    p->blocks++;
    feed_play_change(p, 0, 1);
}
static void another_segment(struct feed_source_play *p)
{
    p->segment++;
    feed_play_change(p, 0, 1);
}
static void a_block_beyond_the_image(struct feed_source_play *p)
{
    feed_play_part(p, &(uint32_t){ BLOCKS }, 1, false);
}
static void blocks_that_descend(struct feed_source_play *p)
{
    const uint32_t blocks[] = { 2, 1 };

    feed_play_part(p, blocks, 2, false);
}
static void no_kind(struct feed_source_play *p)
{
    feed_play_append(p, (enum feed_record_kind)99, &(struct ring_part){ "", 0 }, 1);
}
static void a_record_that_is_cut(struct feed_source_play *p)
{
    const struct feed_changes c = { .batch = p->batch + 1, .block_count = 3 };

    feed_play_append(p, FEED_RECORD_CHANGES, &(struct ring_part){ &c, sizeof(c) }, 1);
}
static void bytes_in_a_feed_of_frames(struct feed_source_play *p)
{
    const struct feed_bytes b = { .len_bytes = 8, .sync_offset = -1 };
    struct ring_part parts[] = { { &b, sizeof(b) }, { "01234567", 8 } };

    feed_play_append(p, FEED_RECORD_BYTES, parts, 2);
}
static void a_domain_in_a_feed_of_frames(struct feed_source_play *p)
{
    feed_play_domain(p, FEED_DOMAIN_CREATED, 1);
}
static void a_sample_of_more_batches(struct feed_source_play *p)
{
    p->batch++;
    feed_play_still(p, 1, 0);
}
static void a_segment_is_left_out(struct feed_source_play *p)
{
    p->segment++;
    feed_play_begin(p, FEED_BEGIN_RESIZED, 0, 0);
}
static void a_segment_within_a_batch(struct feed_source_play *p)
{
    feed_play_part(p, &(uint32_t){ 0 }, 1, true);
    feed_play_begin(p, FEED_BEGIN_RESIZED, 0, 0);
}
static void a_segment_of_fewer_batches(struct feed_source_play *p)
{
    p->batch--;
    feed_play_begin(p, FEED_BEGIN_RESIZED, 0, 0);
}
static void a_segment_with_blocks_and_no_batch(struct feed_source_play *p)
{
    feed_play_begin(p, FEED_BEGIN_RESIZED, 0, 3);
}
static void an_end_of_more_batches(struct feed_source_play *p)
{
    p->batch++;
    feed_play_end(p, FEED_END_RESOURCE);
}

static const struct {
    const char *name;
    void (*tell)(struct feed_source_play *p);
} lies[] = {
    { "a batch is left out", a_batch_is_left_out },
    { "a batch comes twice", a_batch_comes_twice },
    { "blocks are left out", blocks_are_left_out },
    { "another segment", another_segment },
    { "a block beyond the image", a_block_beyond_the_image },
    { "blocks that descend", blocks_that_descend },
    { "no kind", no_kind },
    { "a record that is cut", a_record_that_is_cut },
    { "bytes in a feed of frames", bytes_in_a_feed_of_frames },
    { "a domain in a feed of frames", a_domain_in_a_feed_of_frames },
    { "a sample of more batches", a_sample_of_more_batches },
    { "a segment is left out", a_segment_is_left_out },
    { "a segment within a batch", a_segment_within_a_batch },
    { "a segment of fewer batches", a_segment_of_fewer_batches },
    { "a segment with blocks and no batch", a_segment_with_blocks_and_no_batch },
    { "an end of more batches", an_end_of_more_batches },
};

/* Parts that are well formed are told. */
static int read_until_failure(struct feeds_rig *r, struct watcher *w)
{
    struct subscription_item item;
    int result;

    do {
        result = watcher_try(r, w, &item, NULL);
    } while (result == 0 && item.kind == SUBSCRIPTION_RECORD);
    return result;
}

static void no_record_that_cannot_be_is_told(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct feeds_rig r;
        struct feed_source_play p;
        struct watcher w[3] = { WATCHER_INIT, WATCHER_INIT, WATCHER_INIT };
        struct subscription_item item;

        set_up(&r, &p);
        for (unsigned mode = 0; mode < 3; mode++) {
            watcher_start(&r, &w[mode], 0, SUBSCRIPTION_DELTA + mode, &item);
        }
        lies[i].tell(&p);
        for (unsigned mode = 0; mode < 3; mode++) {
            int result = read_until_failure(&r, &w[mode]);

            if (result != -ERROR_DATA_LOSS) {
                fail_msg("%s, mode %u: %d", lies[i].name, mode, result);
            }
            watcher_nothing(&w[mode]);
            watcher_end(&w[mode]);
        }
        tear_down(&r, &p);
    }
}

/* --- images -------------------------------------------------------------------------------------------- */

static void a_place_to_come(struct message_image_answer *a)
{
    a->place_position += 1 << 16;
}
static void a_place_within_a_record(struct message_image_answer *a)
{
    a->place_position -= 8;
}
static void a_place_of_other_numbers(struct message_image_answer *a)
{
    a->place_sequence++;
}
static void fewer_batches(struct message_image_answer *a)
{
    a->batch = 0;
}
static void fewer_blocks(struct message_image_answer *a)
{
    a->blocks_before = 0;
}
static void an_older_segment(struct message_image_answer *a)
{
    a->segment = 0;
}
static void another_size(struct message_image_answer *a)
{
    a->slot.len_bytes = FEED_BLOCK_BYTES;
}

static const struct {
    const char *name;
    void (*tell)(struct message_image_answer *a);
} image_lies[] = {
    { "a place to come", a_place_to_come },
    { "a place within a record", a_place_within_a_record },
    { "a place of other numbers", a_place_of_other_numbers },
    { "fewer batches", fewer_batches },
    { "fewer blocks", fewer_blocks },
    { "an older segment", an_older_segment },
    { "another size", another_size },
};

static void no_image_that_cannot_be_is_told(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(image_lies) / sizeof(image_lies[0]); i++) {
        struct feeds_rig r;
        struct feed_source_play p;
        struct watcher w = WATCHER_INIT;
        struct subscription_item item;

        set_up(&r, &p);
        watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
        feed_play_begin(&p, FEED_BEGIN_RESIZED, 0, 0);
        feed_play_change(&p, 0, 5);
        r.image_lie = image_lies[i].tell;
        int result = watcher_try(&r, &w, &item, NULL);

        if (result != -ERROR_DATA_LOSS) {
            fail_msg("%s: %d", image_lies[i].name, result);
        }
        watcher_end(&w);
        tear_down(&r, &p);
    }
}

static void other_frames(struct message_image_answer *a)
{
    a->observation.first_frame++;
}
static void more_frames_than_bytes(struct message_image_answer *a)
{
    a->observation.frame_count = 0;
}

static void an_image_has_the_frames_of_its_source(void **state)
{
    void (*const tell[])(struct message_image_answer *) = { NULL, other_frames,
                                                            more_frames_than_bytes };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct feeds_rig r;
        struct feed_source_play p;
        struct watcher w = WATCHER_INIT;
        struct subscription_item item;
        struct subscription_request request = rig_request(&w, 0, SUBSCRIPTION_DELTA);

        rig_begin(&r, &plenty);
        feed_play_new(&p, 1 << 16, FEED_BLOCKS_A_FRAME, 1);
        r.plays[0] = &p;
        r.image_frames = 1;
        feed_play_begin(&p, FEED_BEGIN_START, 0, 0);
        request.source.type = RESOURCE_GRANT_TABLE;
        r.image_lie = tell[i];
        watcher_begin(&r, &w, &request);
        assert_int_equal(watcher_try(&r, &w, &item, NULL), i == 0 ? 0 : -ERROR_DATA_LOSS);
        watcher_end(&w);
        tear_down(&r, &p);
    }
}

/* --- spools -------------------------------------------------------------------------------------------- */

static void another_capacity(struct message_watch_answer *a)
{
    a->spool_bytes *= 2;
}

static void a_spool_that_is_not_as_announced_is_refused(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    struct subscription_request request = rig_request(&w, 0, SUBSCRIPTION_DELTA);
    struct feeds_counters c;

    (void)state;
    set_up(&r, &p);
    r.watch_lie = another_capacity;
    watcher_begin(&r, &w, &request);
    assert_int_equal(watcher_try(&r, &w, &item, NULL), -ERROR_DATA_LOSS);
    watcher_end(&w);
    rig_wait_unwatched(&r, 1); /* the mapper holds it, whatever it is */
    feeds_count(r.feeds, &c);
    assert_int_equal(c.feeds, 0);
    assert_int_equal(c.spool_bytes, 0);
    tear_down(&r, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_record_that_cannot_be_is_told),
        cmocka_unit_test(no_image_that_cannot_be_is_told),
        cmocka_unit_test(an_image_has_the_frames_of_its_source),
        cmocka_unit_test(a_spool_that_is_not_as_announced_is_refused),
    };

    log_open("feeds_lies_test", (enum log_level)0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
