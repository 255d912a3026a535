/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How many WATCHes may wait, and how many IMAGEs may be in flight: the mapper's parts in this process, on
 * the simulator. */
#include <stdlib.h>

#include "common/channel.h"
#include "common/clock.h"
#include "server/mapper/copy.h"
#include "server/mapper/feed_image.h"
#include "server/mapper/feed_table.h"
#include "server/mapper/feed_watch.h"
#include "server/mapper/peer.h"
#include "server/mapper/sim/truth.h"
#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

/* An image takes two steps: with one, a job is over before the next begins. */
enum {
    FRAMES = COPY_STEP_BYTES / MESSAGE_FRAME_BYTES + 1,
    IMAGE_BYTES = FRAMES * MESSAGE_FRAME_BYTES,
    WAIT_MS = 20000,
};

static const char scenario[] =
    "clock = \"virtual\"\n"
    "domain \"large\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
    "  grants { frames = 257 frames_max = 512 entries = 1000 } }\n"
    "event { step = 1 do = \"rename\" domain = \"large\" text = \"other\" }\n";

static struct mapper m;
static struct folder folder;
static struct domain_identity large;

static void on_gone(void *arg, const uint8_t incarnation[16])
{
    mapping_drop_incarnation(arg, incarnation);
}

static int set_up(void **state)
{
    static const char export[] = "allow all all list,watch\n";
    uid_t user = getuid();
    int listen_fd;
    uint32_t count;

    (void)state;
    m = (struct mapper){ .ops = backend_ops };
    folder = folder_make();
    assert_int_equal(copy_init(NULL), 0);
    assert_int_equal(channel_listen(folder_path(&folder, "socket"), &listen_fd, NULL), 0);
    assert_int_equal(peer_new(listen_fd, &user, 1, &m.peer, NULL), 0);
    assert_int_equal(export_parse(export, sizeof(export) - 1, "test", &m.export, NULL), 0);
    assert_int_equal(sim_open(scenario, &m.backend, NULL), 0);
    const struct feed_table_options options = { .ops = m.ops,
                                                .backend = m.backend,
                                                .samplers = 1,
                                                .feeds_max = 256,
                                                .spool_most_bytes = 1 << 20,
                                                .memory_most_bytes = 256 << 20,
                                                .period_min_ns = CLOCK_NS_PER_S };

    assert_int_equal(feed_table_new(&options, &m.feeds, NULL), 0);
    assert_int_equal(feed_watches_new(&m.watches, NULL), 0);
    assert_int_equal(feed_image_jobs_new(&m.images, NULL), 0);
    assert_int_equal(mapping_cache_new(m.ops, m.backend, 4, UINT64_MAX, &m.mappings, NULL), 0);
    assert_int_equal(directory_new(m.ops, m.backend, on_gone, m.mappings, &m.directory, NULL), 0);
    assert_int_equal(
        arena_new((uint64_t)(FEED_IMAGE_JOBS_MAX + 1) * IMAGE_BYTES, IMAGE_BYTES, &m.arena, NULL),
        0);
    assert_int_equal(directory_drain(m.directory, NULL), 0);
    large = directory_entries(m.directory, &count)[0].identity;
    assert_int_equal(count, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    feed_image_abandon(&m);
    feed_watch_abandon(&m);
    feed_table_free(m.feeds);
    feed_image_jobs_free(m.images);
    feed_watches_free(m.watches);
    directory_free(m.directory);
    mapping_cache_free(m.mappings);
    arena_free(m.arena);
    peer_free(m.peer);
    m.ops->close(m.backend);
    export_free(m.export);
    folder_done(&folder);
    return 0;
}

static struct message_watch watch_of(uint32_t first, uint32_t count)
{
    struct message_watch w = { .head.serial = first + 1,
                               .domain = large,
                               .type = RESOURCE_GRANT_TABLE,
                               .first_frame = first,
                               .frame_count = count,
                               .period_ns = 3600 * CLOCK_NS_PER_S };

    return w;
}

static uint32_t feeds(void)
{
    struct feed_table_counts c;

    feed_table_count(m.feeds, &c);
    return c.feeds;
}

static void as_many_wait_as_may_and_not_one_more(void **state)
{
    struct failure f;

    (void)state;
    for (uint32_t i = 0; i < FEED_WATCH_PENDING_MAX; i++) {
        struct message_watch w = watch_of(i, 1);

        assert_int_equal(feed_watch(&m, &w, &f), 0);
    }
    struct message_watch more = watch_of(FEED_WATCH_PENDING_MAX, 1);

    assert_int_equal(feed_watch(&m, &more, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_true(f.retry_after_ms > 0);
    assert_int_equal(feeds(), FEED_WATCH_PENDING_MAX); /* nothing was begun for it */
    assert_true(feed_watch_deadline_ns(m.watches) == UINT64_MAX);
    feed_watch_abandon(&m);
    more.deadline_ns = clock_monotonic_ns() + 3600 * CLOCK_NS_PER_S;
    assert_int_equal(feed_watch(&m, &more, &f), 0);
    assert_int_equal(feed_watch_deadline_ns(m.watches), more.deadline_ns);
}

static void wait_for_feeds(uint32_t count)
{
    uint64_t end_ns = clock_monotonic_ns() + WAIT_MS * CLOCK_NS_PER_MS;

    while (feeds() != count) {
        assert_true(clock_monotonic_ns() < end_ns);
        feed_table_hear(m.feeds);
        feed_watch_step(&m);
        feed_table_step(m.feeds);
        poll(NULL, 0, 1);
    }
}

static void one_that_has_another_name_by_its_answer_is_not_given_away(void **state)
{
    struct message_watch w = watch_of(0, 1);
    struct failure f;

    (void)state;
    assert_int_equal(feed_watch(&m, &w, &f), 0);
    sim_step(m.backend);
    wait_for_feeds(0); /* nobody was told of it */
}

/* The feed of all frames, as a peer would know it. */
static struct message_image begin_feed(void)
{
    struct message_snapshot wanted = { .domain = large,
                                       .type = RESOURCE_GRANT_TABLE,
                                       .frame_count = FRAMES };
    struct message_image image = { .head.serial = 1 };
    const struct directory_entry *e;
    struct feed_asked asked;
    struct feed_about about;
    struct failure f;
    uint64_t end_ns = clock_monotonic_ns() + WAIT_MS * CLOCK_NS_PER_MS;

    assert_int_equal(directory_find(m.directory, 1, &e, NULL), 0);
    assert_int_equal(
        feed_table_ask(m.feeds, &wanted, &e->domain, 3600 * CLOCK_NS_PER_S, &asked, &f), 0);
    while (feed_table_look(m.feeds, asked.feed, &f) == FEED_BEGINS) {
        assert_true(clock_monotonic_ns() < end_ns);
        poll(NULL, 0, 1);
    }
    feed_table_take(m.feeds, asked.feed, &about);
    image.feed = about.number;
    memcpy(image.feed_id, about.id, sizeof(image.feed_id));
    return image;
}

static void as_many_images_as_may_be_and_not_one_more(void **state)
{
    struct message_image image = begin_feed();
    struct failure f;

    (void)state;
    for (uint32_t i = 0; i < FEED_IMAGE_JOBS_MAX; i++) {
        assert_int_equal(feed_image_begin(&m, &image, &f), 0);
    }
    assert_int_equal(feed_image_count(m.images), FEED_IMAGE_JOBS_MAX);
    assert_int_equal(feed_image_begin(&m, &image, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_true(f.retry_after_ms > 0);
    assert_int_equal(arena_usage(m.arena).slot_count, FEED_IMAGE_JOBS_MAX);
    assert_false(feed_image_step(&m)); /* the second step is each one's last */
    assert_int_equal(feed_image_count(m.images), 0);
    assert_int_equal(arena_usage(m.arena).slot_count, FEED_IMAGE_JOBS_MAX); /* the peer's */
    assert_int_equal(feed_image_begin(&m, &image, &f), 0);
    feed_image_abandon(&m);
    assert_int_equal(feed_image_count(m.images), 0);
}

/* A full arena, and a deadline that passes, end a copy, and the feed is sampled again. */
static void an_image_that_fails_gives_everything_back(void **state)
{
    struct message_image image = begin_feed();
    struct message_slot slots[FEED_IMAGE_JOBS_MAX + 1];
    struct failure f;

    (void)state;
    for (size_t i = 0; i < FEED_IMAGE_JOBS_MAX + 1; i++) {
        assert_int_equal(arena_take(m.arena, IMAGE_BYTES, &slots[i], NULL), 0);
    }
    assert_int_equal(feed_image_begin(&m, &image, &f),
                     0); /* and is answered that there is no room */
    assert_int_equal(feed_image_count(m.images), 0);
    arena_take_back(m.arena, &slots[0]);
    image.deadline_ns = 1;
    assert_int_equal(feed_image_begin(&m, &image, &f), 0);
    assert_int_equal(feed_image_count(m.images), 0);
    assert_int_equal(arena_usage(m.arena).slot_count, FEED_IMAGE_JOBS_MAX);
    image.deadline_ns = 0;
    assert_int_equal(feed_image_begin(&m, &image, &f), 0);
    assert_int_equal(feed_image_count(m.images), 1);
    assert_false(feed_image_step(&m));
    feed_table_release(m.feeds, image.feed, image.feed_id);
    wait_for_feeds(0); /* no pin is left that would keep it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_many_wait_as_may_and_not_one_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_has_another_name_by_its_answer_is_not_given_away,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(as_many_images_as_may_be_and_not_one_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_image_that_fails_gives_everything_back, set_up,
                                        tear_down),
    };

    return UNIT_RUN(tests);
}
