/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenres_image: what a watched resource holds. New pieces and the parts of a batch are put aside until
 * the last of them is there, so that what was kept is of one number at every moment, and what a cut
 * left unfinished is dropped when the next begins. Bounded: about three times the largest image.
 */
#include <stdlib.h>
#include <string.h>

#include "client/fault.h"
#include "common/buffer.h"

enum {
    IMAGE_USUAL_MAX_BYTES = 64 << 20,
    BLOCK_BYTES = 64,
};

struct aside {
    struct buffer blocks; /* uint32_t each */
    struct buffer contents;
    uint64_t first_sequence, sequence;
};

struct xenres_image {
    struct buffer bytes;
    bool is_whole; /* `bytes` are all there, as of `sequence` */
    uint64_t sequence;
    uint32_t segment;

    struct buffer pieces; /* of the next one, as far as they came */
    uint64_t pieces_total_bytes;
    uint64_t pieces_sequence;
    uint32_t pieces_segment;

    struct aside parts; /* of a batch */
};

static int does_not_fit(struct fault *fault, const char *what)
{
    return failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "%s", what);
}

static int out_of_memory(struct fault *fault)
{
    return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory for the image");
}

int xenres_image_new(size_t max_bytes, xenres_image **out, xenres_error *error)
{
    struct fault fault = { 0 };
    xenres_image *image = calloc(1, sizeof(*image));

    if (image == NULL) {
        return fault_export(out_of_memory(&fault), &fault, error);
    }
    max_bytes = max_bytes > 0 ? max_bytes : IMAGE_USUAL_MAX_BYTES;
    buffer_init(&image->bytes, max_bytes);
    buffer_init(&image->pieces, max_bytes);
    buffer_init(&image->parts.blocks, max_bytes / BLOCK_BYTES * sizeof(uint32_t));
    buffer_init(&image->parts.contents, max_bytes);
    *out = image;
    return 0;
}

void xenres_image_free(xenres_image *image)
{
    if (image == NULL) {
        return;
    }
    buffer_done(&image->bytes);
    buffer_done(&image->pieces);
    buffer_done(&image->parts.blocks);
    buffer_done(&image->parts.contents);
    free(image);
}

const void *xenres_image_bytes(const xenres_image *image, size_t *len_bytes, uint64_t *sequence)
{
    if (len_bytes != NULL) {
        *len_bytes = image->is_whole ? image->bytes.len_bytes : 0;
    }
    if (sequence != NULL) {
        *sequence = image->is_whole ? image->sequence : 0;
    }
    return image->is_whole ? image->bytes.data : NULL;
}

static void drop_parts(xenres_image *image)
{
    buffer_reset(&image->parts.blocks);
    buffer_reset(&image->parts.contents);
}

/* --- pieces --- */

static int begin_pieces(xenres_image *image, const xenres_watch_image *piece, struct fault *fault)
{
    uint64_t total_bytes =
        (uint64_t)piece->observation->frame_count * piece->observation->frame_bytes;

    buffer_reset(&image->pieces);
    if (total_bytes > image->pieces.max_bytes) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED,
                           "the image has more than %zu bytes", image->pieces.max_bytes);
    }
    image->pieces_total_bytes = total_bytes;
    image->pieces_sequence = piece->sequence;
    image->pieces_segment = piece->segment;
    return 0;
}

static int take_piece(xenres_image *image, const xenres_watch_image *piece, struct fault *fault)
{
    int result = piece->observation != NULL ? begin_pieces(image, piece, fault) : 0;

    if (result != 0) {
        return result;
    }
    if (piece->offset_bytes != image->pieces.len_bytes ||
        piece->sequence != image->pieces_sequence || piece->segment != image->pieces_segment ||
        piece->len_bytes > image->pieces_total_bytes - image->pieces.len_bytes) {
        return does_not_fit(fault, "the piece does not follow the one before");
    }
    if (!buffer_append(&image->pieces, piece->bytes, piece->len_bytes)) {
        return out_of_memory(fault);
    }
    if (piece->complete != (image->pieces.len_bytes == image->pieces_total_bytes)) {
        return does_not_fit(fault, "the piece is not the last, or there are more");
    }
    return 0;
}

int xenres_image_apply_piece(xenres_image *image, const xenres_watch_image *piece,
                             xenres_error *error)
{
    struct fault fault = { 0 };
    int result = take_piece(image, piece, &fault);

    if (result != 0) {
        buffer_reset(&image->pieces);
        image->pieces_total_bytes = 0;
        return fault_export(result, &fault, error);
    }
    if (piece->complete) {
        struct buffer old = image->bytes;

        image->bytes = image->pieces;
        image->pieces = old;
        buffer_reset(&image->pieces);
        image->pieces_total_bytes = 0;
        image->is_whole = true;
        image->sequence = piece->sequence;
        image->segment = piece->segment;
        drop_parts(image);
    }
    return 0;
}

/* --- changes --- */

/* The parts that came are of another batch, or the same one comes again. */
static bool begins_anew(const xenres_image *image, const xenres_watch_changes *c)
{
    const struct aside *p = &image->parts;
    uint32_t last;

    if (p->blocks.len_bytes == 0) {
        return true;
    }
    memcpy(&last, p->blocks.data + p->blocks.len_bytes - sizeof(last), sizeof(last));
    return p->sequence != c->sequence || p->first_sequence != c->first_sequence ||
           (c->block_count > 0 && c->blocks[0] <= last);
}

static int check_changes(const xenres_image *image, const xenres_watch_changes *c,
                         struct fault *fault)
{
    if (!image->is_whole || c->segment != image->segment) {
        return does_not_fit(fault, "there is no image of this segment to change");
    }
    for (size_t i = 0; i < c->block_count; i++) {
        if (i > 0 && c->blocks[i] <= c->blocks[i - 1]) {
            return does_not_fit(fault, "the blocks are not ascending");
        }
        if (c->blocks[i] >= image->bytes.len_bytes / BLOCK_BYTES) {
            return does_not_fit(fault, "a block is beyond the image");
        }
    }
    return 0;
}

static void write_blocks(xenres_image *image)
{
    const struct aside *p = &image->parts;

    for (size_t i = 0; i < p->blocks.len_bytes / sizeof(uint32_t); i++) {
        uint32_t block;

        memcpy(&block, p->blocks.data + i * sizeof(block), sizeof(block));
        memcpy(image->bytes.data + (size_t)block * BLOCK_BYTES, p->contents.data + i * BLOCK_BYTES,
               BLOCK_BYTES);
    }
}

static int take_changes(xenres_image *image, const xenres_watch_changes *c, struct fault *fault)
{
    struct aside *p = &image->parts;
    int result = check_changes(image, c, fault);

    if (result != 0) {
        return result;
    }
    if (begins_anew(image, c)) {
        drop_parts(image);
    }
    p->first_sequence = c->first_sequence;
    p->sequence = c->sequence;
    if (c->block_count > 0 &&
        (!buffer_append(&p->blocks, c->blocks, c->block_count * sizeof(c->blocks[0])) ||
         !buffer_append(&p->contents, c->content, c->block_count * BLOCK_BYTES))) {
        drop_parts(image);
        return out_of_memory(fault);
    }
    if (!c->more) {
        write_blocks(image);
        image->sequence = c->sequence;
        drop_parts(image);
    }
    return 0;
}

int xenres_image_apply_changes(xenres_image *image, const xenres_watch_changes *changes,
                               xenres_error *error)
{
    struct fault fault = { 0 };

    return fault_export(take_changes(image, changes, &fault), &fault, error);
}
