/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* InspectService.GetIoreqServer: the requests in the pages of an ioreq server. */
#include "common/layout.h"
#include "server/rpc/present.h"
#include "server/rpc/services.h"
#include "server/rpc/snapshot.h"
#include "xenres/v1/inspect.pb-c.h"

static int ioreq_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__GetIoreqServerRequest *r = (const void *)c->request;
    struct snapshot_frames *frames = pool_alloc(&c->pool, sizeof(*frames));

    if (frames == NULL) {
        return call_no_memory(f);
    }
    *frames = (struct snapshot_frames){
        .type = RESOURCE_IOREQ_SERVER,
        .id = r->id,
        .first_frame = 0,
        .has_count = true,
        .frame_count = IOREQ_FRAMES,
        .flags = SNAPSHOT_SPARSE, /* a server without a queue of buffered requests is fine */
    };
    c->state = frames;
    c->domain = r->domain;
    c->incarnation = r->incarnation;
    return snapshot_prepare(c, frames, f);
}

static void ioreq_ask(struct call *c, union message *m)
{
    snapshot_ask(c, c->state, m);
}

static const Xenres__V1__IoreqState ioreq_states[] = {
    [LAYOUT_IOREQ_NONE] = XENRES__V1__IOREQ_STATE__IOREQ_STATE_NONE,
    [LAYOUT_IOREQ_READY] = XENRES__V1__IOREQ_STATE__IOREQ_STATE_READY,
    [LAYOUT_IOREQ_INPROCESS] = XENRES__V1__IOREQ_STATE__IOREQ_STATE_IN_PROCESS,
    [LAYOUT_IOREQ_RESP_READY] = XENRES__V1__IOREQ_STATE__IOREQ_STATE_RESPONSE_READY,
};

static Xenres__V1__IoreqState present_ioreq_state(uint8_t state)
{
    return state < sizeof(ioreq_states) / sizeof(ioreq_states[0])
               ? ioreq_states[state]
               : XENRES__V1__IOREQ_STATE__IOREQ_STATE_UNSPECIFIED;
}

static const struct {
    uint8_t type;
    Xenres__V1__IoreqType presented;
} ioreq_types[] = {
    { LAYOUT_IOREQ_PIO, XENRES__V1__IOREQ_TYPE__IOREQ_TYPE_PIO },
    { LAYOUT_IOREQ_COPY, XENRES__V1__IOREQ_TYPE__IOREQ_TYPE_COPY },
    { LAYOUT_IOREQ_PCI_CONFIG, XENRES__V1__IOREQ_TYPE__IOREQ_TYPE_PCI_CONFIG },
    { LAYOUT_IOREQ_TIMEOFFSET, XENRES__V1__IOREQ_TYPE__IOREQ_TYPE_TIMEOFFSET },
    { LAYOUT_IOREQ_INVALIDATE, XENRES__V1__IOREQ_TYPE__IOREQ_TYPE_INVALIDATE },
};

static Xenres__V1__IoreqType present_ioreq_type(uint8_t type)
{
    for (size_t i = 0; i < sizeof(ioreq_types) / sizeof(ioreq_types[0]); i++) {
        if (ioreq_types[i].type == type) {
            return ioreq_types[i].presented;
        }
    }
    return XENRES__V1__IOREQ_TYPE__IOREQ_TYPE_UNKNOWN;
}

static Xenres__V1__Ioreq *present_ioreq(struct pool *p, uint32_t vcpu,
                                        const struct layout_ioreq *ioreq)
{
    Xenres__V1__Ioreq *m = PRESENT_NEW(p, Xenres__V1__Ioreq, xenres__v1__ioreq);

    if (m != NULL) {
        m->vcpu = vcpu;
        m->state = present_ioreq_state(ioreq->state);
        m->type = present_ioreq_type(ioreq->type);
        m->address = ioreq->address;
        m->data = ioreq->data;
        m->data_is_pointer = ioreq->data_is_pointer;
        m->count = ioreq->count;
        m->size_bytes = ioreq->size_bytes;
        m->event_channel = ioreq->event_channel;
        m->read = ioreq->read;
        m->descending = ioreq->descending;
        m->raw_type = ioreq->type;
    }
    return m;
}

static void present_vcpu_ioreqs(struct call *c, const uint8_t *frame,
                                Xenres__V1__GetIoreqServerResponse *m)
{
    uint32_t count =
        c->max_vcpus < LAYOUT_IOREQS_PER_FRAME ? c->max_vcpus : (uint32_t)LAYOUT_IOREQS_PER_FRAME;
    Xenres__V1__Ioreq **rows = pool_array(&c->pool, count, sizeof(*rows));
    struct layout_ioreq ioreq;

    m->vcpus = rows;
    for (uint32_t vcpu = 0;
         rows != NULL && vcpu < count && layout_ioreq(frame, MESSAGE_FRAME_BYTES, vcpu, &ioreq);
         vcpu++) {
        rows[m->n_vcpus++] = present_ioreq(&c->pool, vcpu, &ioreq);
    }
}

static Xenres__V1__BufferedIoreq *present_buffered(struct pool *p,
                                                   const struct layout_buffered_ioreq *ioreq)
{
    Xenres__V1__BufferedIoreq *m =
        PRESENT_NEW(p, Xenres__V1__BufferedIoreq, xenres__v1__buffered_ioreq);

    if (m != NULL) {
        m->type = present_ioreq_type(ioreq->type);
        m->address = ioreq->address;
        m->data = ioreq->data;
        m->size_bytes = ioreq->size_bytes;
        m->read = ioreq->read;
        m->raw_type = ioreq->type;
    }
    return m;
}

static Xenres__V1__BufferedIoreqs *present_queue(struct pool *p, const uint8_t *frame)
{
    Xenres__V1__BufferedIoreqs *m =
        PRESENT_NEW(p, Xenres__V1__BufferedIoreqs, xenres__v1__buffered_ioreqs);
    Xenres__V1__BufferedIoreq **rows = pool_array(p, LAYOUT_BUFFERED_SLOTS, sizeof(*rows));
    struct layout_buffered_ioreq ioreq;
    bool valid = false;

    if (m == NULL || rows == NULL ||
        !layout_buffered_pointers(frame, MESSAGE_FRAME_BYTES, &m->read_pointer, &m->write_pointer,
                                  &valid)) {
        return m;
    }
    m->requests = rows;
    m->pointers_valid = valid;
    uint32_t left = valid ? m->write_pointer - m->read_pointer : 0; /* they wrap at 2^32 */

    while (left > 0 && m->n_requests < LAYOUT_BUFFERED_SLOTS) {
        uint32_t slots =
            layout_buffered_ioreq(frame, MESSAGE_FRAME_BYTES, m->write_pointer - left, &ioreq);

        if (slots == 0 || slots > left) {
            break; /* the second half of an 8-byte request is not written yet */
        }
        rows[m->n_requests++] = present_buffered(p, &ioreq);
        left -= slots;
    }
    return m;
}

static int ioreq_respond(struct call *c, struct failure *f)
{
    const struct snapshot_frames *frames = c->state;
    const struct message_snapshot_answer *a = &c->answer->snapshot_answer;
    struct pool *p = &c->pool;
    size_t len_bytes;
    const uint8_t *bytes = mapper_slot_bytes(c->slot, &len_bytes);
    Xenres__V1__GetIoreqServerResponse *m =
        PRESENT_NEW(p, Xenres__V1__GetIoreqServerResponse, xenres__v1__get_ioreq_server_response);

    if (m == NULL) {
        return call_no_memory(f);
    }
    m->domain = present_identity(p, &c->identity);
    m->observation = present_observation(p, &a->observation);
    m->id = frames->id;
    /* Two frames were asked for, and mapper_answer has seen that the slot holds two. */
    if ((a->frames_present & (1U << IOREQ_FRAME_SYNCHRONOUS)) != 0) {
        present_vcpu_ioreqs(c, bytes + IOREQ_FRAME_SYNCHRONOUS * MESSAGE_FRAME_BYTES, m);
    }
    if ((a->frames_present & (1U << IOREQ_FRAME_BUFFERED)) != 0) {
        m->buffered = present_queue(p, bytes + IOREQ_FRAME_BUFFERED * MESSAGE_FRAME_BYTES);
    }
    c->response = &m->base;
    return 0;
}

const struct handler inspect_service_get_ioreq_server = { .prepare = ioreq_prepare,
                                                          .ask = ioreq_ask,
                                                          .respond = ioreq_respond };
