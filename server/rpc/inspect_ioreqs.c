/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* InspectService.GetIoreqServer: the requests in the pages of an ioreq server. */
#include "common/layout.h"
#include "server/rpc/present_inspect.h"
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
        m->buffered =
            present_buffered_ioreqs(p, bytes + IOREQ_FRAME_BUFFERED * MESSAGE_FRAME_BYTES);
    }
    c->response = &m->base;
    return 0;
}

const struct handler inspect_service_get_ioreq_server = { .prepare = ioreq_prepare,
                                                          .ask = ioreq_ask,
                                                          .respond = ioreq_respond };
