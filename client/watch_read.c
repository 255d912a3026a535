/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/watch_read.h"

#include "client/view.h"
#include "client/watch_view.h"
#include "xenres/v1/resource.pb-c.h"

static struct watch_view *new_view(xenres_reply *reply, struct follow_message *out,
                                   struct fault *fault)
{
    struct watch_view *view = reply_array(reply, 1, sizeof(*view), fault);

    out->view = view;
    return view;
}

static int read_begin(xenres_reply *reply, const Xenres__V1__WatchBegin *m,
                      struct follow_message *out, struct fault *fault)
{
    struct watch_view *view = new_view(reply, out, fault);
    int result = view != NULL ? watch_view_begin(m->feed, m->silence_max, m->resumed != 0,
                                                 m->sequence, m->segment, out, fault)
                              : -ERROR_RESOURCE_EXHAUSTED;

    if (result != 0) {
        return result;
    }
    if (m->decode == 0 && m->block_bytes != WATCH_BLOCK_BYTES) {
        return reconnect_lie(fault, "has blocks of %u bytes", m->block_bytes);
    }
    view->begin = (xenres_watch_begin){
        .type = (uint32_t)m->type,
        .id = m->id,
        .first_frame = m->first_frame,
        .mode = (uint32_t)m->mode,
        .decode = m->decode != 0,
        .period_ms = watch_view_ms(m->period),
        .resumed = m->resumed != 0,
        .sequence = m->sequence,
        .segment = m->segment,
        .feed = m->feed,
        .block_bytes = m->block_bytes,
        .silence_max_ms = out->silence_max_ms,
    };
    view_identity(m->domain, &view->begin.domain);
    return 0;
}

static int read_image(xenres_reply *reply, const Xenres__V1__WatchImage *m,
                      struct follow_message *out, struct fault *fault)
{
    struct watch_view *view = new_view(reply, out, fault);

    if (view == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    if (m->frames.len == 0) {
        return reconnect_lie(fault, "has a piece of an image without a byte");
    }
    if ((m->observation != NULL) != (m->offset_bytes == 0)) {
        return reconnect_lie(fault, "says in the wrong piece of an image what it is of");
    }
    out->numbers = (struct numbering_item){
        .kind = NUMBERING_CONTENT,
        .first = m->first_sequence,
        .sequence = m->sequence,
        .segment = m->segment,
        .more = m->complete == 0,
    };
    view->content.image = (xenres_watch_image){
        .sequence = m->sequence,
        .first_sequence = m->first_sequence,
        .segment = m->segment,
        .offset_bytes = m->offset_bytes,
        .bytes = m->frames.data,
        .len_bytes = m->frames.len,
        .complete = m->complete != 0,
    };
    if (m->observation != NULL) {
        view_observation(m->observation, &view->content.observation);
        view->content.image.observation = &view->content.observation;
    }
    return 0;
}

static int check_blocks(const Xenres__V1__WatchChanges *m, struct fault *fault)
{
    if (m->content.len != m->n_blocks * WATCH_BLOCK_BYTES) {
        return reconnect_lie(fault, "has %zu blocks with %zu bytes", m->n_blocks, m->content.len);
    }
    for (size_t i = 1; i < m->n_blocks; i++) {
        if (m->blocks[i] <= m->blocks[i - 1]) {
            return reconnect_lie(fault, "has block %u behind block %u", m->blocks[i],
                                 m->blocks[i - 1]);
        }
    }
    return 0;
}

static int read_changes(xenres_reply *reply, const Xenres__V1__WatchChanges *m,
                        struct follow_message *out, struct fault *fault)
{
    struct watch_view *view = new_view(reply, out, fault);
    int result = view != NULL ? check_blocks(m, fault) : -ERROR_RESOURCE_EXHAUSTED;

    if (result != 0) {
        return result;
    }
    out->numbers = (struct numbering_item){
        .kind = NUMBERING_CHANGES,
        .first = m->first_sequence,
        .sequence = m->sequence,
        .segment = m->segment,
        .more = m->more != 0,
    };
    view->changes = (xenres_watch_changes){
        .first_sequence = m->first_sequence,
        .sequence = m->sequence,
        .segment = m->segment,
        .blocks = m->blocks,
        .block_count = m->n_blocks,
        .content = m->content.data != NULL ? (const void *)m->content.data : "",
        .more = m->more != 0,
    };
    watch_view_sample(m->sampled, &view->changes.sampled);
    return 0;
}

/* --- decoded --- */

static int read_grants(xenres_reply *reply, const Xenres__V1__WatchDecoded *m,
                       xenres_watch_decoded *out, struct fault *fault)
{
    xenres_grant_change *grants = reply_array(reply, m->n_grants, sizeof(*grants), fault);

    if (grants == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    for (size_t i = 0; i < m->n_grants; i++) {
        const Xenres__V1__GrantChange *from = m->grants[i];

        if (from->entry == NULL) {
            return reconnect_lie(fault, "has a change of no grant");
        }
        grants[i].kind = (uint32_t)from->kind;
        grants[i].has_before = from->before != NULL;
        view_grant(from->entry, &grants[i].grant);
        if (from->before != NULL) {
            view_grant(from->before, &grants[i].before);
        }
    }
    out->grants = grants;
    out->grant_count = m->n_grants;
    return 0;
}

static int read_ioreqs(xenres_reply *reply, const Xenres__V1__WatchDecoded *m,
                       xenres_watch_decoded *out, struct fault *fault)
{
    xenres_ioreq_change *ioreqs = reply_array(reply, m->n_ioreqs, sizeof(*ioreqs), fault);

    if (ioreqs == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    for (size_t i = 0; i < m->n_ioreqs; i++) {
        if (m->ioreqs[i]->ioreq == NULL) {
            return reconnect_lie(fault, "has a change of no request");
        }
        ioreqs[i].before_state = (uint32_t)m->ioreqs[i]->before_state;
        view_ioreq(m->ioreqs[i]->ioreq, &ioreqs[i].ioreq);
    }
    out->ioreqs = ioreqs;
    out->ioreq_count = m->n_ioreqs;
    if (m->buffered == NULL) {
        return 0;
    }
    out->has_buffered = true;
    out->read_pointer = m->buffered->read_pointer;
    out->write_pointer = m->buffered->write_pointer;
    out->pointers_valid = m->buffered->pointers_valid != 0;
    out->request_count = m->buffered->n_requests;
    return view_buffered(reply, m->buffered, &out->requests, fault);
}

static int read_vcpus(xenres_reply *reply, const Xenres__V1__WatchDecoded *m,
                      xenres_watch_decoded *out, struct fault *fault)
{
    xenres_vcpu *vcpus = reply_array(reply, m->n_vcpus, sizeof(*vcpus), fault);

    if (vcpus == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    for (size_t i = 0; i < m->n_vcpus; i++) {
        view_vcpu(m->vcpus[i], &vcpus[i]);
    }
    out->vcpus = vcpus;
    out->vcpu_count = m->n_vcpus;
    return 0;
}

static int read_decoded(xenres_reply *reply, const Xenres__V1__WatchDecoded *m,
                        struct follow_message *out, struct fault *fault)
{
    struct watch_view *view = new_view(reply, out, fault);

    if (view == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    out->numbers = (struct numbering_item){
        .kind = m->whole != 0 ? NUMBERING_CONTENT : NUMBERING_CHANGES,
        .first = m->first_sequence,
        .sequence = m->sequence,
        .segment = m->segment,
        .more = m->more != 0,
    };
    view->is_decoded = true;
    view->decoded = (xenres_watch_decoded){
        .first_sequence = m->first_sequence,
        .sequence = m->sequence,
        .segment = m->segment,
        .whole = m->whole != 0,
        .more = m->more != 0,
        .grant_version = m->grant_version,
    };
    watch_view_sample(m->sampled, &view->decoded.sampled);
    int result = read_grants(reply, m, &view->decoded, fault);

    if (result == 0) {
        result = read_ioreqs(reply, m, &view->decoded, fault);
    }
    return result == 0 ? read_vcpus(reply, m, &view->decoded, fault) : result;
}

int watch_read(xenres_reply *reply, struct follow_message *out, struct fault *fault)
{
    const Xenres__V1__WatchResponse *m = (const Xenres__V1__WatchResponse *)reply->message;

    switch (m->content_case) {
    case XENRES__V1__WATCH_RESPONSE__CONTENT_BEGIN: return read_begin(reply, m->begin, out, fault);
    case XENRES__V1__WATCH_RESPONSE__CONTENT_IMAGE: return read_image(reply, m->image, out, fault);
    case XENRES__V1__WATCH_RESPONSE__CONTENT_CHANGES:
        return read_changes(reply, m->changes, out, fault);
    case XENRES__V1__WATCH_RESPONSE__CONTENT_DECODED:
        return read_decoded(reply, m->decoded, out, fault);
    case XENRES__V1__WATCH_RESPONSE__CONTENT_GAP: watch_view_gap(m->gap, out); return 0;
    case XENRES__V1__WATCH_RESPONSE__CONTENT_CHECKPOINT:
        return watch_view_checkpoint(m->checkpoint, out, fault);
    case XENRES__V1__WATCH_RESPONSE__CONTENT_HEARTBEAT:
        return watch_view_heartbeat(reply, m->heartbeat, out, fault);
    case XENRES__V1__WATCH_RESPONSE__CONTENT_END: return watch_view_end(reply, m->end, out, fault);
    case XENRES__V1__WATCH_RESPONSE__CONTENT__NOT_SET: /* a later version's */
    default: return 0;
    }
}
