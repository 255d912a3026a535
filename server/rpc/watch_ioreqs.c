/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Watched pages of an ioreq server, decoded: requests that go from state to state, and the queue. */
#include <string.h>

#include "server/rpc/present_inspect.h"
#include "server/rpc/watch_decoder.h"

enum { IOREQS_A_BLOCK = FEED_BLOCK_BYTES / LAYOUT_IOREQ_BYTES };

static void begin_ioreqs(const struct watch_decoder *d, struct pool *p, Xenres__V1__WatchDecoded *m)
{
    (void)d;
    m->ioreqs = pool_array(p, LAYOUT_IOREQS_PER_FRAME, sizeof(*m->ioreqs));
}

static void tell_ioreq(const struct watch_decoder *d, const uint8_t *told, const uint8_t *now,
                       uint32_t vcpu, struct pool *p, Xenres__V1__WatchDecoded *m)
{
    struct layout_ioreq before, after;
    size_t offset = (size_t)vcpu * LAYOUT_IOREQ_BYTES;

    if (vcpu >= d->max_vcpus || m->n_ioreqs == LAYOUT_IOREQS_PER_FRAME ||
        (!d->whole && memcmp(told + offset, now + offset, LAYOUT_IOREQ_BYTES) == 0) ||
        !layout_ioreq(told, MESSAGE_FRAME_BYTES, vcpu, &before) ||
        !layout_ioreq(now, MESSAGE_FRAME_BYTES, vcpu, &after)) {
        return;
    }
    Xenres__V1__IoreqChange *change =
        PRESENT_NEW(p, Xenres__V1__IoreqChange, xenres__v1__ioreq_change);

    if (change != NULL) {
        change->ioreq = present_ioreq(p, vcpu, &after);
        if (!d->whole) {
            change->before_state = present_ioreq_state(before.state);
        }
        m->ioreqs[m->n_ioreqs++] = change;
    }
}

static void tell_ioreqs(const struct watch_decoder *d, uint32_t block, struct pool *p,
                        Xenres__V1__WatchDecoded *m)
{
    uint32_t index = block / FEED_BLOCKS_A_FRAME;
    uint32_t frame = d->first_frame + index;
    const uint8_t *now = d->now + (size_t)index * MESSAGE_FRAME_BYTES;
    uint32_t first_vcpu = block % FEED_BLOCKS_A_FRAME * IOREQS_A_BLOCK;

    if (index >= 32 || (d->frames_present >> index & 1) == 0) {
        return; /* a page that the server does not have */
    }
    if (frame == IOREQ_FRAME_BUFFERED && m->buffered == NULL) {
        m->buffered = present_buffered_ioreqs(p, now);
    }
    for (uint32_t i = 0; frame == IOREQ_FRAME_SYNCHRONOUS && i < IOREQS_A_BLOCK; i++) {
        tell_ioreq(d, d->told + (size_t)index * MESSAGE_FRAME_BYTES, now, first_vcpu + i, p, m);
    }
}

const struct watch_decoding watch_decoding_ioreqs = { .entries_a_block = IOREQS_A_BLOCK,
                                                      .begin = begin_ioreqs,
                                                      .tell = tell_ioreqs };
