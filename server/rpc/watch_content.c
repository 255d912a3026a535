/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Watch: what is sent of the resource itself, as bytes and decoded. */
#include <assert.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "server/rpc/present_watch.h"
#include "server/rpc/watch.h"

Xenres__V1__WatchResponse *watch_response(struct pool *p,
                                          Xenres__V1__WatchResponse__ContentCase content)
{
    Xenres__V1__WatchResponse *m =
        PRESENT_NEW(p, Xenres__V1__WatchResponse, xenres__v1__watch_response);

    if (m != NULL) {
        m->content_case = content;
    }
    return m;
}

int watch_say(struct call *c, Xenres__V1__WatchResponse *m, struct failure *f)
{
    struct watch *w = c->state;

    if (m == NULL) {
        return call_no_memory(f);
    }
    watch_pulse_said(&w->pulse);
    c->pins = false;
    c->response = &m->base;
    return HANDLER_MESSAGE;
}

int watch_say_begin(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;
    Xenres__V1__WatchBegin *begin = PRESENT_NEW(p, Xenres__V1__WatchBegin, xenres__v1__watch_begin);
    Xenres__V1__WatchResponse *m = watch_response(p, XENRES__V1__WATCH_RESPONSE__CONTENT_BEGIN);
    char feed[HEX128_TEXT_BYTES];

    if (m == NULL || begin == NULL) {
        return call_no_memory(f);
    }
    text_from_hex(w->item.begun.feed_id, FEED_ID_BYTES, feed);
    begin->domain = present_identity(p, &c->identity);
    begin->type = present_resource_type(w->source.type);
    begin->id = w->source.id;
    begin->first_frame = w->source.first_frame;
    begin->mode = w->mode;
    begin->decode = w->decode;
    begin->period = present_duration(p, w->item.begun.period_ns);
    begin->resumed = w->item.begun.resumed;
    begin->sequence = w->item.begun.batch;
    begin->segment = w->item.begun.segment;
    begin->feed = pool_string(p, feed);
    begin->block_bytes = FEED_BLOCK_BYTES;
    begin->silence_max = present_duration(p, c->heartbeat_ns * WATCH_SILENCE_FACTOR);
    w->sequence = begin->sequence;
    m->begin = begin;
    return watch_say(c, m, f);
}

/* --- bytes -------------------------------------------------------------------------------------- */

/* The item is told entirely. */
static void finish_part(struct watch *w, uint64_t sequence, bool is_image)
{
    w->part = WATCH_PART_NONE;
    w->sequence = sequence;
    watch_pulse_news(&w->pulse, is_image);
}

static void finish_changes(struct watch *w)
{
    finish_part(w, w->changes.batch, false);
    w->within_batch = w->changes.more;
}

static int say_image(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;
    const struct message_image_answer *a = &w->item.image.answer;
    Xenres__V1__WatchResponse *m = watch_response(p, XENRES__V1__WATCH_RESPONSE__CONTENT_IMAGE);
    Xenres__V1__WatchImage *image = PRESENT_NEW(p, Xenres__V1__WatchImage, xenres__v1__watch_image);
    size_t len_bytes;
    const uint8_t *bytes = mapper_slot_bytes(w->item.image.slot, &len_bytes);
    size_t left = len_bytes - w->at;

    if (m == NULL || image == NULL) {
        return call_no_memory(f);
    }
    m->image = image;
    image->sequence = a->batch;
    image->segment = a->segment;
    image->first_sequence = w->item.image.first_batch;
    image->offset_bytes = w->at;
    if (w->at == 0) {
        image->observation = present_observation(p, &a->observation);
    }
    /* Packed straight from the arena: the one copy is the message. */
    image->frames.len = left < WATCH_IMAGE_PART_BYTES ? left : (size_t)WATCH_IMAGE_PART_BYTES;
    image->frames.data = (uint8_t *)(uintptr_t)(bytes + w->at);
    w->at += image->frames.len;
    image->complete = w->at == len_bytes;
    if (image->complete) {
        (void)call_hold(c, 0, NULL); /* less never fails */
        finish_part(w, a->batch, true);
    }
    int result = watch_say(c, m, f);

    c->pins = true; /* a slot of the arena */
    return result;
}

static Xenres__V1__WatchResponse *present_changes(struct watch *w, struct pool *p)
{
    const struct watch_changes *from = &w->changes;
    Xenres__V1__WatchResponse *m = watch_response(p, XENRES__V1__WATCH_RESPONSE__CONTENT_CHANGES);
    Xenres__V1__WatchChanges *changes =
        PRESENT_NEW(p, Xenres__V1__WatchChanges, xenres__v1__watch_changes);
    size_t left = from->block_count - w->at;
    size_t count = left < WATCH_CHANGES_PART_BLOCKS ? left : (size_t)WATCH_CHANGES_PART_BLOCKS;

    if (m == NULL || changes == NULL) {
        return NULL;
    }
    m->changes = changes;
    changes->first_sequence = from->first_batch;
    changes->sequence = from->batch;
    changes->segment = from->segment;
    changes->sampled = present_sample(p, from->stamp);
    changes->n_blocks = count;
    changes->blocks = (uint32_t *)(uintptr_t)(from->blocks + w->at);
    changes->content.len = count * FEED_BLOCK_BYTES;
    changes->content.data =
        (uint8_t *)(uintptr_t)(from->contents + w->at * (size_t)FEED_BLOCK_BYTES);
    w->at += count;
    changes->more = from->more || w->at < from->block_count;
    return m;
}

/* One record in one message: the same for all whose clients take the same. */
static int say_shared(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;
    unsigned variant = call_variant(c);
    BUFFER_AUTO(bytes, 0);

    w->shared = subscription_shared(w->subscription, variant);
    if (w->shared == NULL) {
        const Xenres__V1__WatchResponse *m = present_changes(w, p);
        int result = m != NULL ? call_encode(c, &m->base, &bytes, f) : call_no_memory(f);

        if (result != 0) {
            return result;
        }
        w->shared = subscription_share(w->subscription, variant, bytes.data, bytes.len_bytes);
    }
    if (w->shared == NULL) {
        return call_no_memory(f);
    }
    finish_changes(w);
    watch_pulse_said(&w->pulse);
    c->pins = false;
    c->bytes = shared_bytes_data(w->shared, &c->bytes_len);
    return HANDLER_BYTES;
}
_Static_assert((int)CALL_VARIANTS <= (int)FEEDS_VARIANTS, "each has a place");

static int say_changes(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;

    if (w->item.kind == SUBSCRIPTION_RECORD &&
        w->changes.block_count <= WATCH_CHANGES_PART_BLOCKS) {
        return say_shared(c, p, f);
    }
    Xenres__V1__WatchResponse *m = present_changes(w, p);

    if (m != NULL && w->at == w->changes.block_count) {
        finish_changes(w);
    }
    return watch_say(c, m, f);
}

/* --- decoded ------------------------------------------------------------------------------------ */

static int say_decoded(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;
    Xenres__V1__WatchResponse *m = watch_response(p, XENRES__V1__WATCH_RESPONSE__CONTENT_DECODED);
    Xenres__V1__WatchDecoded *decoded =
        PRESENT_NEW(p, Xenres__V1__WatchDecoded, xenres__v1__watch_decoded);

    if (m == NULL || decoded == NULL) {
        return call_no_memory(f);
    }
    m->decoded = decoded;
    decoded->first_sequence = w->changes.first_batch;
    decoded->sequence = w->changes.batch;
    decoded->segment = w->changes.segment;
    decoded->sampled = present_sample(p, &w->sampled);
    watch_decoder_tell(w->decoder, p, decoded);
    if (!decoded->more) {
        finish_part(w, decoded->sequence, decoded->whole);
    }
    return watch_say(c, m, f);
}

/* --- what is taken ------------------------------------------------------------------------------ */

static struct feed_stamp stamp_of(const struct subscription_item *item)
{
    const struct message_observation *o = &item->image.answer.observation;

    return (struct feed_stamp){
        .wall_ns = o->wall_ns,
        .monotonic_ns = o->monotonic_ns,
        .duration_ns = o->copy_duration_ns,
    };
}

int watch_take_image(struct call *c, struct failure *f)
{
    struct watch *w = c->state;
    const struct message_image_answer *a = &w->item.image.answer;
    size_t len_bytes;
    const void *bytes = mapper_slot_bytes(w->item.image.slot, &len_bytes);
    int result = call_hold(c, w->decode ? watch_decoder_bytes(len_bytes) : len_bytes, f);

    if (result != 0) {
        return result;
    }
    w->at = 0;
    w->sampled = stamp_of(&w->item);
    w->part = WATCH_PART_IMAGE;
    if (!w->decode) {
        return 0;
    }
    w->part = WATCH_PART_DECODED;
    w->changes = (struct watch_changes){ .first_batch = w->item.image.first_batch,
                                         .batch = a->batch,
                                         .segment = a->segment };
    return watch_decoder_image(w->decoder, a, bytes, len_bytes, f);
}

int watch_take_changes(struct call *c, const struct watch_changes *changes, struct failure *f)
{
    struct watch *w = c->state;
    uint64_t sent_ns = clock_monotonic_ns();
    uint64_t sampled_ns = changes->stamp->monotonic_ns + changes->stamp->duration_ns;

    watch_meter_lag(c->watch_meter, sent_ns > sampled_ns ? sent_ns - sampled_ns : 0);
    w->changes = *changes;
    w->sampled = *changes->stamp;
    w->at = 0;
    if (!w->decode) {
        w->part = WATCH_PART_CHANGES;
        return 0;
    }
    w->part = changes->more ? WATCH_PART_NONE : WATCH_PART_DECODED;
    return watch_decoder_blocks(w->decoder, changes->blocks, changes->contents,
                                changes->block_count, f);
}

int watch_say_part(struct call *c, struct pool *p, struct failure *f)
{
    const struct watch *w = c->state;

    switch (w->part) {
    case WATCH_PART_IMAGE: return say_image(c, p, f);
    case WATCH_PART_CHANGES: return say_changes(c, p, f);
    case WATCH_PART_DECODED: return say_decoded(c, p, f);
    case WATCH_PART_NONE: break;
    }
    assert(!"there is a part");
    return HANDLER_DONE;
}
