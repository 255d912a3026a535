/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/watch_decode.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/rpc/watch_decoder.h"

enum { BITS_A_WORD = 64 };

static const struct watch_decoding *const kinds[RESOURCE_TYPE_COUNT] = {
    [RESOURCE_IOREQ_SERVER] = &watch_decoding_ioreqs,
    [RESOURCE_GRANT_TABLE] = &watch_decoding_grants,
    [RESOURCE_VCPU_STATS] = &watch_decoding_vcpus,
};

struct watch_decoder *watch_decoder_new(uint32_t type, uint32_t max_vcpus)
{
    struct watch_decoder *d = calloc(1, sizeof(*d));

    assert(type < RESOURCE_TYPE_COUNT && kinds[type] != NULL);
    if (d != NULL) {
        d->kind = kinds[type];
        d->max_vcpus = max_vcpus;
    }
    return d;
}

static void drop_images(struct watch_decoder *d)
{
    free(d->now);
    free(d->told);
    free(d->changed);
    d->now = d->told = NULL;
    d->changed = NULL;
    d->image_bytes = d->room_bytes = 0;
}

void watch_decoder_free(struct watch_decoder *d)
{
    if (d != NULL) {
        drop_images(d);
        free(d);
    }
}

static uint32_t block_count(const struct watch_decoder *d)
{
    return (uint32_t)(d->image_bytes / FEED_BLOCK_BYTES);
}

static size_t word_count(uint64_t image_bytes)
{
    return (size_t)(image_bytes / FEED_BLOCK_BYTES + BITS_A_WORD - 1) / BITS_A_WORD;
}

uint64_t watch_decoder_bytes(uint64_t image_bytes)
{
    return 2 * image_bytes + word_count(image_bytes) * sizeof(uint64_t);
}

static int make_room(struct watch_decoder *d, size_t image_bytes, struct failure *f)
{
    if (d->room_bytes < image_bytes) {
        drop_images(d);
        d->now = malloc(image_bytes);
        d->told = malloc(image_bytes);
        d->changed = calloc(word_count(image_bytes), sizeof(*d->changed));
        if (d->now == NULL || d->told == NULL || d->changed == NULL) {
            drop_images(d);
            int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory to decode with");

            return failure_next(f, result, "try again in a moment, or watch fewer frames");
        }
        d->room_bytes = image_bytes;
    }
    d->image_bytes = image_bytes;
    return 0;
}

static int is_no_image(struct failure *f)
{
    int result = failure_set(f, ERROR_DATA_LOSS, "the mapper gave an image that is none");

    return failure_next(f, result, "report this, with the gateway's log");
}

/* The frames and their status have to be where the answer says. */
static bool is_image(const struct watch_decoder *d, const struct message_image_answer *a,
                     size_t len_bytes)
{
    uint64_t frames = (uint64_t)a->observation.frame_count + a->status_frame_count;

    if (len_bytes == 0 || len_bytes % FEED_BLOCK_BYTES != 0 || len_bytes > FEED_IMAGE_MAX_BYTES) {
        return false;
    }
    return d->kind == &watch_decoding_vcpus || frames * MESSAGE_FRAME_BYTES == len_bytes;
}

static void set_all(struct watch_decoder *d)
{
    for (uint32_t block = 0; block < block_count(d); block++) {
        d->changed[block / BITS_A_WORD] |= UINT64_C(1) << block % BITS_A_WORD;
    }
}

int watch_decoder_image(struct watch_decoder *d, const struct message_image_answer *a,
                        const void *bytes, size_t len_bytes, struct failure *f)
{
    if (!is_image(d, a, len_bytes)) {
        return is_no_image(f);
    }
    int result = make_room(d, len_bytes, f);

    if (result != 0) {
        return result;
    }
    memcpy(d->now, bytes, len_bytes);
    memset(d->told, 0, len_bytes);
    memset(d->changed, 0, word_count(len_bytes) * sizeof(*d->changed));
    set_all(d);
    d->whole = true;
    d->at = 0;
    d->first_frame = a->observation.first_frame;
    d->frame_count = a->observation.frame_count;
    d->first_status_frame = a->first_status_frame;
    d->status_frame_count = a->status_frame_count;
    d->grant_version = a->observation.grant_version;
    d->frames_present = a->frames_present;
    return 0;
}

int watch_decoder_blocks(struct watch_decoder *d, const uint32_t *blocks, const uint8_t *contents,
                         uint32_t count, struct failure *f)
{
    for (uint32_t i = 0; i < count; i++) {
        if (blocks[i] >= block_count(d)) {
            int result = failure_set(f, ERROR_DATA_LOSS, "block %u is beyond the image", blocks[i]);

            return failure_next(f, result, "report this, with the gateway's log");
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        memcpy(d->now + (size_t)blocks[i] * FEED_BLOCK_BYTES,
               contents + (size_t)i * FEED_BLOCK_BYTES, FEED_BLOCK_BYTES);
        d->changed[blocks[i] / BITS_A_WORD] |= UINT64_C(1) << blocks[i] % BITS_A_WORD;
    }
    return 0;
}

/* The next block from `d->at` on that has changed; block_count(): none. */
static uint32_t next_changed(const struct watch_decoder *d)
{
    uint32_t block = d->at, end = block_count(d);

    while (block < end) {
        uint64_t rest = d->changed[block / BITS_A_WORD] >> block % BITS_A_WORD;

        if (rest != 0) {
            return block + (uint32_t)__builtin_ctzll(rest);
        }
        block += BITS_A_WORD - block % BITS_A_WORD;
    }
    return end;
}

/* What was told is what is now. */
static void settle(struct watch_decoder *d)
{
    for (d->at = 0; (d->at = next_changed(d)) < block_count(d); d->at++) {
        memcpy(d->told + (size_t)d->at * FEED_BLOCK_BYTES,
               d->now + (size_t)d->at * FEED_BLOCK_BYTES, FEED_BLOCK_BYTES);
    }
    memset(d->changed, 0, word_count(d->image_bytes) * sizeof(*d->changed));
    d->at = 0;
    d->whole = false;
}

static size_t entry_count(const Xenres__V1__WatchDecoded *m)
{
    return m->n_grants + m->n_ioreqs + m->n_vcpus;
}

void watch_decoder_tell(struct watch_decoder *d, struct pool *p, Xenres__V1__WatchDecoded *m)
{
    m->whole = d->whole;
    m->grant_version = d->grant_version;
    d->kind->begin(d, p, m);
    while ((d->at = next_changed(d)) < block_count(d)) {
        if (entry_count(m) + d->kind->entries_a_block > WATCH_ENTRIES_MAX) {
            m->more = true;
            return;
        }
        if (!p->failed) {
            d->kind->tell(d, d->at, p, m);
        }
        d->at++;
    }
    settle(d);
}
