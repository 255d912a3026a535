/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How much one look at a feed reads, where its mapper writes just ahead of the reader. What is tested is
 * compiled in here, with a read of the feed behind which the mapper writes.
 */
#include "tests/lib/feeds_rig.h"

#include "server/resource/subscription.h"

static struct {
    struct feed_source_play play;
    unsigned left; /* records that it still writes, one for each that is read */
    bool more;     /* parts of a batch that does not end */
    unsigned reads;
} ahead;

static void write_one(void)
{
    ahead.left--;
    ahead.play.image[0]++;
    feed_play_part(&ahead.play, &(uint32_t){ 0 }, 1, ahead.more);
}

static int read_and_write(struct feed *y, struct ring_place *at, struct scratch *x,
                          struct feed_piece **out, struct failure *f)
{
    int answer = feed_read(y, at, x, out, f);

    ahead.reads += answer == RING_RECORD;
    if (answer == RING_RECORD && ahead.left > 0) {
        write_one();
    }
    return answer;
}

#define feed_read read_and_write
#include "server/resource/subscription_read.c"
#undef feed_read

static const struct feeds_options plenty = {
    .feeds_max = 64,
    .subscribers_max = 64,
    .subscribers_per_identity = 64,
    .linger_ms = 60000,
};

enum { CAPACITY_BYTES = 4096, BLOCKS = 4 };

static struct feeds_rig rig;
static struct watcher watcher;

static void set_up(enum subscription_mode mode)
{
    struct subscription_item item;

    memset(&ahead, 0, sizeof(ahead));
    watcher = (struct watcher)WATCHER_INIT;
    rig_begin(&rig, &plenty);
    feed_play_new(&ahead.play, CAPACITY_BYTES, BLOCKS, 1);
    rig.plays[0] = &ahead.play;
    feed_play_begin(&ahead.play, FEED_BEGIN_START, 0, 0);
    watcher_start(&rig, &watcher, 0, mode, &item);
    watcher_nothing(&watcher);
}

static void tear_down(void)
{
    watcher_end(&watcher);
    rig_end(&rig);
    feed_play_free(&ahead.play);
}

/* Records of one block until a look has read more than it may: the last is the one that it is more by. */
static unsigned records_of_a_look(void)
{
    uint64_t before = ring_next(ahead.play.ring).position;

    ahead.left = 1;
    write_one();
    return (unsigned)(GATHER_SPOOLS * CAPACITY_BYTES /
                      (ring_next(ahead.play.ring).position - before)) +
           1;
}

static void one_look_ends_though_there_is_always_more(void **state)
{
    struct subscription_item item;

    (void)state;
    set_up(SUBSCRIPTION_LATEST);
    unsigned most = records_of_a_look();

    ahead.left = most - 1; /* with the first one: as many as it takes */
    watcher_next(&rig, &watcher, SUBSCRIPTION_MERGED, &item);
    assert_int_equal(ahead.reads, most);
    assert_int_equal(item.merged.first_batch, 1);
    assert_int_equal(item.merged.batch, most);
    watcher_nothing(&watcher);
    (void)records_of_a_look();
    ahead.reads = 0;
    ahead.left = most; /* one more */
    watcher_next(&rig, &watcher, SUBSCRIPTION_MERGED, &item);
    assert_int_equal(ahead.reads, most);
    assert_int_equal(item.merged.first_batch, most + 1);
    assert_int_equal(item.merged.batch, 2 * most);
    watcher_next(&rig, &watcher, SUBSCRIPTION_RECORD, &item); /* what is left, the next time */
    assert_int_equal(item.record.record.changes->batch, 2 * most + 1);
    watcher_nothing(&watcher);
    tear_down();
}

/* An honest one fits into half a spool. */
static void a_batch_that_does_not_end_is_none(void **state)
{
    struct subscription_item item;
    struct failure f = { 0 };

    (void)state;
    for (int is_beyond = 0; is_beyond < 2; is_beyond++) {
        set_up(SUBSCRIPTION_LATEST);
        ahead.more = true;
        unsigned most = records_of_a_look();

        ahead.left = most - 2 + (unsigned)is_beyond;
        assert_int_equal(subscription_next(watcher.u, &item, &f), is_beyond ? -ERROR_DATA_LOSS : 0);
        assert_int_equal(ahead.reads, most - 1 + (unsigned)is_beyond);
        if (!is_beyond) {
            assert_int_equal(item.kind, SUBSCRIPTION_NOTHING); /* it may still end */
        }
        tear_down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_look_ends_though_there_is_always_more),
        cmocka_unit_test(a_batch_that_does_not_end_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
