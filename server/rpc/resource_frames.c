/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ResourceService, second half: frames, in one message and in many. */
#include "xenres/v1/resource.pb-c.h"

#include "server/rpc/present.h"
#include "server/rpc/services.h"
#include "server/rpc/snapshot.h"

enum { CHUNK_FRAMES = 64 }; /* of a stream's message: 256 KiB */

/* What both methods ask for, in the same words. */
struct wanted {
    char *domain, *incarnation;
    Xenres__V1__ResourceType type;
    uint32_t id, first_frame;
    bool has_count;
    uint32_t frame_count;
};

static int prepare(struct call *c, const struct wanted *w, struct snapshot_frames *frames,
                   struct failure *f)
{
    c->domain = w->domain;
    c->incarnation = w->incarnation;
    *frames = (struct snapshot_frames){
        .type = present_to_resource_type(w->type),
        .id = w->id,
        .first_frame = w->first_frame,
        .has_count = w->has_count,
        .frame_count = w->has_count ? w->frame_count : 0,
    };
    if (frames->type < 0) {
        return snapshot_bad_type((int32_t)w->type, f);
    }
    return snapshot_prepare(c, frames, f);
}

/* --- GetSnapshot -------------------------------------------------------------------------------- */

static int get_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__GetSnapshotRequest *r = (const void *)c->request;
    struct snapshot_frames *frames = pool_alloc(&c->pool, sizeof(*frames));
    const struct wanted wanted = {
        .domain = r->domain,
        .incarnation = r->incarnation,
        .type = r->type,
        .id = r->id,
        .first_frame = r->first_frame,
        .has_count = r->frame_count_choice_case ==
                     XENRES__V1__GET_SNAPSHOT_REQUEST__FRAME_COUNT_CHOICE_FRAME_COUNT,
        .frame_count = r->frame_count,
    };

    c->state = frames;
    return frames != NULL ? prepare(c, &wanted, frames, f) : call_no_memory(f);
}

static void get_ask(struct call *c, union message *m)
{
    snapshot_ask(c, c->state, m);
}

static int get_respond(struct call *c, struct failure *f)
{
    const struct snapshot_frames *frames = c->state;
    const struct message_snapshot_answer *a = &c->answer->snapshot_answer;
    struct pool *p = &c->pool;
    Xenres__V1__GetSnapshotResponse *m =
        PRESENT_NEW(p, Xenres__V1__GetSnapshotResponse, xenres__v1__get_snapshot_response);

    if (m == NULL) {
        return call_no_memory(f);
    }
    m->domain = present_identity(p, &c->identity);
    m->type = present_resource_type((uint32_t)frames->type);
    m->id = frames->id;
    m->observation = present_observation(p, &a->observation);
    /* Packed straight from the arena: the one copy is the message. */
    m->frames.data = (uint8_t *)(uintptr_t)mapper_slot_bytes(c->slot, &m->frames.len);
    c->response = &m->base;
    return 0;
}

const struct handler resource_service_get_snapshot = { .prepare = get_prepare,
                                                       .ask = get_ask,
                                                       .respond = get_respond };

/* --- ReadSnapshot ------------------------------------------------------------------------------- */

struct reading {
    struct snapshot_frames frames;
    bool head_sent;
    size_t sent_bytes; /* of the slot */
};

static int read_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__ReadSnapshotRequest *r = (const void *)c->request;
    struct reading *reading = pool_alloc(&c->pool, sizeof(*reading));
    const struct wanted wanted = {
        .domain = r->domain,
        .incarnation = r->incarnation,
        .type = r->type,
        .id = r->id,
        .first_frame = r->first_frame,
        .has_count = r->frame_count_choice_case ==
                     XENRES__V1__READ_SNAPSHOT_REQUEST__FRAME_COUNT_CHOICE_FRAME_COUNT,
        .frame_count = r->frame_count,
    };

    c->state = reading;
    return reading != NULL ? prepare(c, &wanted, &reading->frames, f) : call_no_memory(f);
}

static void read_ask(struct call *c, union message *m)
{
    const struct reading *reading = c->state;

    snapshot_ask(c, &reading->frames, m);
}

static Xenres__V1__SnapshotHead *present_head(struct call *c, struct pool *p)
{
    const struct reading *reading = c->state;
    Xenres__V1__SnapshotHead *m =
        PRESENT_NEW(p, Xenres__V1__SnapshotHead, xenres__v1__snapshot_head);

    if (m != NULL) {
        m->domain = present_identity(p, &c->identity);
        m->type = present_resource_type((uint32_t)reading->frames.type);
        m->id = reading->frames.id;
        m->observation = present_observation(p, &c->answer->snapshot_answer.observation);
    }
    return m;
}

static Xenres__V1__SnapshotChunk *present_chunk(struct call *c, struct pool *p,
                                                const uint8_t *bytes, size_t len_bytes)
{
    struct reading *reading = c->state;
    Xenres__V1__SnapshotChunk *m =
        PRESENT_NEW(p, Xenres__V1__SnapshotChunk, xenres__v1__snapshot_chunk);
    size_t left = len_bytes - reading->sent_bytes;

    if (m != NULL) {
        m->first_frame = c->answer->snapshot_answer.observation.first_frame +
                         (uint32_t)(reading->sent_bytes / MESSAGE_FRAME_BYTES);
        m->frames.len =
            left < CHUNK_FRAMES * MESSAGE_FRAME_BYTES ? left : CHUNK_FRAMES * MESSAGE_FRAME_BYTES;
        m->frames.data = (uint8_t *)(uintptr_t)(bytes + reading->sent_bytes);
        reading->sent_bytes += m->frames.len;
    }
    return m;
}

static int read_next(struct call *c, struct pool *p, struct failure *f)
{
    struct reading *reading = c->state;
    size_t len_bytes;
    const uint8_t *bytes = mapper_slot_bytes(c->slot, &len_bytes);

    if (reading->head_sent && reading->sent_bytes == len_bytes) {
        return HANDLER_DONE;
    }
    Xenres__V1__ReadSnapshotResponse *m =
        PRESENT_NEW(p, Xenres__V1__ReadSnapshotResponse, xenres__v1__read_snapshot_response);

    if (m == NULL) {
        return call_no_memory(f);
    }
    if (!reading->head_sent) {
        reading->head_sent = true;
        m->content_case = XENRES__V1__READ_SNAPSHOT_RESPONSE__CONTENT_HEAD;
        m->head = present_head(c, p);
    } else {
        m->content_case = XENRES__V1__READ_SNAPSHOT_RESPONSE__CONTENT_CHUNK;
        m->chunk = present_chunk(c, p, bytes, len_bytes);
    }
    c->response = &m->base;
    return HANDLER_MESSAGE;
}

const struct handler resource_service_read_snapshot = { .prepare = read_prepare,
                                                        .ask = read_ask,
                                                        .next = read_next };
