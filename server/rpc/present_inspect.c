/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/present_inspect.h"

static const Xenres__V1__GrantKind grant_kinds[] = {
    [LAYOUT_GRANT_UNUSED] = XENRES__V1__GRANT_KIND__GRANT_KIND_UNUSED,
    [LAYOUT_GRANT_PERMIT_ACCESS] = XENRES__V1__GRANT_KIND__GRANT_KIND_PERMIT_ACCESS,
    [LAYOUT_GRANT_ACCEPT_TRANSFER] = XENRES__V1__GRANT_KIND__GRANT_KIND_ACCEPT_TRANSFER,
    [LAYOUT_GRANT_TRANSITIVE] = XENRES__V1__GRANT_KIND__GRANT_KIND_TRANSITIVE,
};

void present_grant(struct pool *p, const struct layout_grant *grant, Xenres__V1__GrantEntry *m)
{
    xenres__v1__grant_entry__init(m);
    m->reference = grant->reference;
    m->kind = grant_kinds[grant->kind];
    m->domid = grant->domid;
    m->frame = grant->frame;
    m->readonly = grant->readonly;
    m->reading = grant->reading;
    m->writing = grant->writing;
    m->raw_flags = grant->flags;
    m->raw_status = grant->status;
    if (grant->has_sub_page) {
        m->sub_page = PRESENT_NEW(p, Xenres__V1__GrantSubPage, xenres__v1__grant_sub_page);
    }
    if (m->sub_page != NULL) {
        m->sub_page->offset_bytes = grant->sub_page_offset_bytes;
        m->sub_page->length_bytes = grant->sub_page_length_bytes;
    }
    if (grant->kind == LAYOUT_GRANT_TRANSITIVE) {
        m->transitive = PRESENT_NEW(p, Xenres__V1__GrantTransitive, xenres__v1__grant_transitive);
    }
    if (m->transitive != NULL) {
        m->transitive->domid = grant->transitive_domid;
        m->transitive->reference = grant->transitive_reference;
    }
}

static const Xenres__V1__IoreqState ioreq_states[] = {
    [LAYOUT_IOREQ_NONE] = XENRES__V1__IOREQ_STATE__IOREQ_STATE_NONE,
    [LAYOUT_IOREQ_READY] = XENRES__V1__IOREQ_STATE__IOREQ_STATE_READY,
    [LAYOUT_IOREQ_INPROCESS] = XENRES__V1__IOREQ_STATE__IOREQ_STATE_IN_PROCESS,
    [LAYOUT_IOREQ_RESP_READY] = XENRES__V1__IOREQ_STATE__IOREQ_STATE_RESPONSE_READY,
};

Xenres__V1__IoreqState present_ioreq_state(uint8_t state)
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

Xenres__V1__Ioreq *present_ioreq(struct pool *p, uint32_t vcpu, const struct layout_ioreq *ioreq)
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

Xenres__V1__BufferedIoreqs *present_buffered_ioreqs(struct pool *p, const uint8_t *frame)
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

Xenres__V1__VcpuStats *present_vcpu_stats(struct pool *p, const struct message_vcpu *vcpu)
{
    Xenres__V1__VcpuStats *m = PRESENT_NEW(p, Xenres__V1__VcpuStats, xenres__v1__vcpu_stats);

    if (m != NULL) {
        m->vcpu = vcpu->vcpu;
        m->online = (vcpu->flags & VCPU_ONLINE) != 0;
        m->unreadable = (vcpu->flags & VCPU_UNREADABLE) != 0;
        m->run_time_ns = m->unreadable ? 0 : vcpu->run_time_ns;
    }
    return m;
}
