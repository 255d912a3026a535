/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One feed of the fake host, sampled when the test says so, and a reader of it, which checks numbers and
 * segments as it goes.
 */
#ifndef XENRES_TESTS_SAMPLING_RIG_H
#define XENRES_TESTS_SAMPLING_RIG_H

#include "common/clock.h"
#include "common/ring_view.h"
#include "server/mapper/copy.h"
#include "server/mapper/sampling.h"
#include "server/mapper/source_frames.h"
#include "server/mapper/source_stats.h"
#include "tests/lib/fake_host.h"

enum {
    SPOOL_BYTES = 128 << 10,
    IMAGE_MAX_BYTES = (FAKE_HOST_FRAMES_MAX + 8) * MESSAGE_FRAME_BYTES,
};

static struct allowance memory;
static struct backend handle;
static struct source_tools tools;
static struct sampling sampling;
static uint64_t now_ns;
static atomic_bool stop;

static inline uint64_t fake_now(void *arg)
{
    (void)arg;
    return now_ns;
}

static inline int sampling_set_up(void **state)
{
    static const struct clock_source still = { fake_now, fake_now, NULL };

    (void)state;
    clock_set_source(&still);
    allowance_init(&memory, 64 << 20);
    tools = (struct source_tools){ .ops = &fake_host_ops, .backend = &handle, .memory = &memory };
    tools.page = aligned_alloc(MESSAGE_FRAME_BYTES, MESSAGE_FRAME_BYTES);
    return copy_init(NULL) == 0 && tools.page != NULL &&
                   diff_init(&tools.changes, spool_batch_room(SPOOL_BYTES))
               ? 0
               : -1;
}

static inline int sampling_tear_down(void **state)
{
    (void)state;
    diff_done(&tools.changes);
    free(tools.page);
    fake_host_done();
    clock_set_source(NULL);
    return 0;
}

static struct message_snapshot wanted;

static inline void begin_at(uint32_t type, uint32_t id, uint32_t first, uint32_t count,
                            uint32_t flags)
{
    const struct backend_domain *known = &fake_host.domains[1].domain;
    struct source *source = NULL;

    wanted = (struct message_snapshot){
        .type = type, .id = id, .first_frame = first, .frame_count = count, .flags = flags
    };
    wanted.domain.domid = 1;
    int result = type == RESOURCE_VCPU_STATS ? source_stats_new(known, &source, NULL)
                                             : source_frames_new(&wanted, known, &source, NULL);

    assert_int_equal(result, 0);
    sampling_init(&sampling, source, SPOOL_BYTES, &memory);
}

static inline void begin(uint32_t type, uint32_t id, uint32_t flags)
{
    begin_at(type, id, 0, MESSAGE_FRAMES_ALL, flags);
}

static inline void step(void)
{
    now_ns += 10 * CLOCK_NS_PER_MS;
    sampling_step(&sampling, &tools, now_ns, now_ns, &stop);
}

/* --- a reader -------------------------------------------------------------------------------------- */

static struct reader {
    struct ring_view *view;
    struct ring_place place;
    struct feed_record record;
    _Alignas(8) uint8_t bytes[SPOOL_BYTES];
    uint8_t image[IMAGE_MAX_BYTES];
    uint64_t image_bytes, batch, blocks;
    uint32_t segment, begins;
    bool has_image;
    struct feed_begin begin;
    struct feed_end end; /* reason 0: none yet */
} reader;

static inline void reader_begin(void)
{
    ring_view_close(reader.view);
    memset(&reader, 0, sizeof(reader));
    assert_int_equal(ring_view_open(ring_fd(sampling.spool.ring), SPOOL_BYTES, &reader.view, NULL),
                     0);
}

/* As IMAGE does: the image, and the place of the next record. */
static inline void reader_fetch(void)
{
    struct source_image image;

    sampling.source->ops->image(sampling.source, &image);
    assert_true(image.len_bytes <= IMAGE_MAX_BYTES);
    memcpy(reader.image, image.bytes, image.len_bytes);
    reader.image_bytes = image.len_bytes;
    reader.place = ring_next(sampling.spool.ring);
    reader.batch = sampling.spool.batch;
    reader.blocks = sampling.spool.blocks;
    reader.segment = sampling.spool.segment;
    reader.has_image = true;
}

static inline void take_changes(const struct feed_changes *c)
{
    assert_int_equal(c->segment, reader.segment);
    assert_int_equal(c->blocks_before, reader.blocks);
    assert_true(c->batch == reader.batch || c->batch == reader.batch + 1);
    for (uint32_t i = 0; i < c->block_count && reader.has_image; i++) {
        uint64_t at = (uint64_t)reader.record.blocks[i] * FEED_BLOCK_BYTES;

        assert_true(at + FEED_BLOCK_BYTES <= reader.image_bytes);
        memcpy(reader.image + at, reader.record.contents + (size_t)i * FEED_BLOCK_BYTES,
               FEED_BLOCK_BYTES);
    }
    reader.batch = c->batch;
    reader.blocks += c->block_count;
}

static inline void take_record(void)
{
    switch (reader.record.kind) {
    case FEED_RECORD_BEGIN:
        reader.begin = *reader.record.begin;
        assert_int_equal(reader.begin.segment, reader.begins++);
        assert_true(reader.begin.batch >= reader.batch &&
                    reader.begin.blocks_before >= reader.blocks);
        assert_int_equal(reader.begin.batch > reader.batch,
                         reader.begin.reason == FEED_BEGIN_TOO_MANY);
        reader.batch = reader.begin.batch;
        reader.blocks = reader.begin.blocks_before;
        reader.segment = reader.begin.segment;
        reader.has_image = false;
        break;
    case FEED_RECORD_CHANGES: take_changes(reader.record.changes); break;
    case FEED_RECORD_END: reader.end = *reader.record.end; break;
    default: break;
    }
}

/* Everything that there is; then an image, if it has to have another. */
static inline void reader_follow(void)
{
    struct ring_record found;
    struct failure f;
    int answer;

    while ((answer = ring_view_read(reader.view, &reader.place, reader.bytes, sizeof(reader.bytes),
                                    &found, NULL)) == RING_RECORD) {
        assert_int_equal(reader.end.reason, 0); /* nothing is behind the end */
        if (feed_record_check(found.kind, reader.bytes, found.len_bytes, &reader.record, &f) < 0) {
            fail_msg("%s", f.message);
        }
        take_record();
    }
    assert_int_equal(answer, RING_NOTHING);
    if (!reader.has_image && reader.end.reason == 0) {
        reader_fetch();
    }
}

#endif
