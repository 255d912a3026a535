/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a decoder is made of, for the three kinds of content. Nobody else includes this. */
#ifndef XENRES_RPC_WATCH_DECODER_H
#define XENRES_RPC_WATCH_DECODER_H

#include "server/rpc/watch_decode.h"

struct watch_decoding {
    uint32_t entries_a_block; /* at most: that many of them are told together */
    /* Tells the entries that block `block` of the image is of, where they are not as they were; adds to
     * the message's lists, which have room for them. */
    void (*tell)(const struct watch_decoder *d, uint32_t block, struct pool *p,
                 Xenres__V1__WatchDecoded *m);
    /* Gives the lists their room. */
    void (*begin)(const struct watch_decoder *d, struct pool *p, Xenres__V1__WatchDecoded *m);
};
extern const struct watch_decoding watch_decoding_grants, watch_decoding_ioreqs,
    watch_decoding_vcpus;

struct watch_decoder {
    const struct watch_decoding *kind;
    uint32_t max_vcpus;
    uint8_t *now, *told; /* image_bytes each */
    uint64_t *changed;   /* a bit for each block: of what was taken and is not told entirely */
    size_t image_bytes, room_bytes;
    bool whole;
    uint32_t at; /* the block from which on it is to be told */

    /* Of the image. */
    uint32_t first_frame, frame_count, first_status_frame, status_frame_count;
    uint32_t grant_version, frames_present;
};

static inline bool watch_decoder_is_changed(const struct watch_decoder *d, uint32_t block)
{
    return (d->changed[block / 64] >> (block % 64) & 1) != 0;
}

#endif
