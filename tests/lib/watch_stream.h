/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Streams of ResourceService.Watch for tests: the services of the program, streams in their states, and
 * what their feeds can be given. */
#ifndef XENRES_TESTS_WATCH_STREAM_H
#define XENRES_TESTS_WATCH_STREAM_H

#include "tests/lib/watch_rig.h"

#define WATCH  "ResourceService/Watch"
#define GRANTS "\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_GRANT_TABLE\""
#define VCPUS  "\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_VCPU_STATS\""
#define IOREQS "\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_IOREQ_SERVER\""

static struct rpc_rig rig;

static inline int watch_begin(void **state)
{
    (void)state;
    watch_rig_begin(&rig);
    return 0;
}

static inline int watch_end(void **state)
{
    (void)state;
    rpc_rig_done(&rig);
    return 0;
}

static inline void open_watch(struct watching *w, const char *json)
{
    *w = (struct watching){ .feed = NULL };
    watch_open_as(&rig, w, &rig.alice, WATCH, json);
}

/* Begun, at batch 5. */
static inline void open_begun(struct watching *w, const char *json)
{
    open_watch(w, json);
    assert_non_null(w->feed);
    fake_feeds_begin(w->feed, 5, false);
    (void)watch_expect(w, "begin");
}

/* A copy of `frames` frames from `arena_frame` on. */
static inline struct mapper_slot *slot_of(uint32_t arena_frame, uint32_t frames)
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

static inline void put_image(struct watching *w, struct mapper_slot *slot, uint32_t frames,
                             uint64_t batch, uint64_t first_batch)
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
static struct feed_changes watch_head;
static inline void put_changes(struct watching *w, uint64_t batch, const uint32_t *blocks,
                               uint32_t count, const uint8_t *contents, bool more)
{
    watch_head = (struct feed_changes){ .batch = batch,
                                        .segment = 2,
                                        .block_count = count,
                                        .more = more,
                                        .stamp.monotonic_ns = clock_monotonic_ns() };
    fake_feeds_put(w->feed,
                   &(struct subscription_item){ .kind = SUBSCRIPTION_RECORD,
                                                .record.record = { .kind = FEED_RECORD_CHANGES,
                                                                   .changes = &watch_head,
                                                                   .blocks = blocks,
                                                                   .contents = contents } });
}

#endif
