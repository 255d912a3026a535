/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A feed of a real mapper, as a peer of mapper_rig.h follows it: watched, its image fetched, its records
 * checked and applied. Waits at the doorbell, with a limit; nothing sleeps.
 */
#ifndef XENRES_TESTS_FEED_RIG_H
#define XENRES_TESTS_FEED_RIG_H

#include "common/doorbell.h"
#include "common/feed_record.h"
#include "common/ring_view.h"
#include "tests/lib/mapper_rig.h"

struct feed_rig {
    struct rig_peer *peer;
    struct message_watch_answer answer;
    struct ring_view *view;
    struct ring_place place;
    uint8_t *bytes; /* of the last record */
    struct feed_record record;
    uint8_t *image; /* NULL: none was fetched */
    struct message_image_answer image_answer;
    uint64_t batch, blocks; /* of the last record that told of them */
};

static inline union message feed_rig_message(const struct domain_identity *d, uint32_t type,
                                             uint32_t id, uint32_t flags, unsigned period_ms)
{
    union message m = rig_message(MESSAGE_WATCH);

    m.watch.domain = *d;
    m.watch.type = type;
    m.watch.id = id;
    m.watch.frame_count = MESSAGE_FRAMES_ALL;
    m.watch.flags = flags;
    m.watch.period_ns = period_ms * CLOCK_NS_PER_MS;
    return m;
}

/* False: refused, as `answer` says. */
static inline bool feed_rig_begin(struct feed_rig *r, struct rig_peer *p, union message *request,
                                  union message *answer)
{
    int fd = -1;

    *r = (struct feed_rig){ .peer = p };
    if (!rig_call_for(p, request, answer, &fd)) {
        assert_int_equal(fd, -1);
        return false;
    }
    assert_true(fd >= 0);
    r->answer = answer->watch_answer;
    assert_int_equal(ring_view_open(fd, p->hello.spool_max_bytes, &r->view, NULL), 0);
    close(fd);
    assert_int_equal(ring_view_capacity(r->view), r->answer.spool_bytes);
    assert_int_equal(ring_view_find(r->view, RING_OLDEST, &r->place, NULL), 0);
    r->bytes = aligned_alloc(8, ring_record_max(r->answer.spool_bytes));
    assert_non_null(r->bytes);
    return true;
}

static inline void feed_rig_done(struct feed_rig *r)
{
    ring_view_close(r->view);
    free(r->bytes);
    free(r->image);
    *r = (struct feed_rig){ 0 };
}

/* A record that is there already; `kind` and parts in r->record. */
static inline bool feed_rig_read(struct feed_rig *r)
{
    struct ring_record record;
    struct failure f = { 0 };
    int found = ring_view_read(r->view, &r->place, r->bytes, ring_record_max(r->answer.spool_bytes),
                               &record, &f);

    if (found == RING_NOTHING) {
        return false;
    }
    if (found != RING_RECORD ||
        feed_record_check(record.kind, r->bytes, record.len_bytes, &r->record, &f) < 0) {
        fail_msg("reading a spool: %d, %s", found, f.message);
    }
    return true;
}

/* The next record. */
static inline const struct feed_record *feed_rig_next(struct feed_rig *r)
{
    uint64_t end_ns = clock_monotonic_ns() + RIG_LIMIT_MS * CLOCK_NS_PER_MS;

    for (;;) {
        struct pollfd row = { .fd = r->peer->bell_fd, .events = POLLIN };

        assert_true(doorbell_answer(r->peer->bell_fd));
        if (feed_rig_read(r)) {
            return &r->record;
        }
        if (poll(&row, 1, clock_poll_timeout_ms(end_ns, RIG_LIMIT_MS)) != 1) {
            fail_msg("no record came");
        }
    }
}

/* The next of a kind; others are passed over. */
static inline const struct feed_record *feed_rig_next_of(struct feed_rig *r,
                                                         enum feed_record_kind kind)
{
    do {
        feed_rig_next(r);
    } while (r->record.kind != kind);
    return &r->record;
}

/* The image, and the place from which on records are to be applied to it. */
static inline void feed_rig_fetch(struct feed_rig *r)
{
    union message m = rig_message(MESSAGE_IMAGE), a;

    memcpy(m.image.feed_id, r->answer.feed_id, sizeof(m.image.feed_id));
    m.image.feed = r->answer.feed;
    if (!rig_call(r->peer, &m, &a)) {
        fail_msg("%s", a.failed.failure.message);
    }
    r->image_answer = a.image_answer;
    free(r->image);
    r->image = malloc(a.image_answer.slot.len_bytes);
    assert_non_null(r->image);
    memcpy(r->image, r->peer->arena + a.image_answer.slot.offset_bytes,
           a.image_answer.slot.len_bytes);
    rig_release(r->peer, &a.image_answer.slot);
    r->place = (struct ring_place){ .position = a.image_answer.place_position,
                                    .sequence = a.image_answer.place_sequence,
                                    .bytes = a.image_answer.place_bytes };
    r->batch = a.image_answer.batch;
    r->blocks = a.image_answer.blocks_before;
}

/* Applies the last record, which is CHANGES. */
static inline void feed_rig_apply(struct feed_rig *r)
{
    const struct feed_changes *c = r->record.changes;

    assert_int_equal(c->segment, r->image_answer.segment);
    assert_int_equal(c->blocks_before, r->blocks);
    assert_true(c->batch == r->batch + 1 || c->batch == r->batch);
    for (uint32_t i = 0; i < c->block_count; i++) {
        uint64_t at = (uint64_t)r->record.blocks[i] * FEED_BLOCK_BYTES;

        assert_true(at + FEED_BLOCK_BYTES <= r->image_answer.slot.len_bytes);
        memcpy(r->image + at, r->record.contents + (size_t)i * FEED_BLOCK_BYTES, FEED_BLOCK_BYTES);
    }
    r->batch = c->batch;
    r->blocks += c->block_count;
}

static inline void feed_rig_unwatch(struct feed_rig *r)
{
    union message m = rig_message(MESSAGE_UNWATCH);

    memcpy(m.unwatch.feed_id, r->answer.feed_id, sizeof(m.unwatch.feed_id));
    m.unwatch.feed = r->answer.feed;
    rig_send(r->peer, &m);
}

#endif
