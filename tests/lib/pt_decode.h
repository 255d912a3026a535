/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What libipt's packet decoder makes of bytes: every packet counted, the first error told. */
#ifndef XENRES_TESTS_PT_DECODE_H
#define XENRES_TESTS_PT_DECODE_H

#include <intel-pt.h>

#include "tests/lib/unit.h"

struct pt_decoded {
    uint64_t packets[ppt_mnt + 1];                         /* by type */
    uint64_t synchronised_at;                              /* where the first PSB is */
    uint64_t decoded_to;                                   /* the end of the last whole packet */
    uint64_t first_sequence, next_sequence, sequence_gaps; /* of MNT packets */
    uint64_t first_tsc, last_tsc, tsc_steps_back;
    int error; /* 0, or libipt's where it stopped before the end */
};

static inline void pt_decode_count(struct pt_decoded *d, const struct pt_packet *p)
{
    if ((unsigned)p->type <= ppt_mnt) {
        d->packets[p->type]++;
    }
    if (p->type == ppt_mnt) {
        uint64_t sequence = p->payload.mnt.payload;

        if (d->packets[ppt_mnt] == 1) {
            d->first_sequence = d->next_sequence = sequence;
        }
        d->sequence_gaps += sequence != d->next_sequence;
        d->next_sequence = sequence + 1;
    }
    if (p->type == ppt_tsc) {
        if (d->packets[ppt_tsc] == 1) {
            d->first_tsc = p->payload.tsc.tsc;
        }
        d->tsc_steps_back += p->payload.tsc.tsc < d->last_tsc;
        d->last_tsc = p->payload.tsc.tsc;
    }
}

/* From the first PSB on; a packet that the end cuts is no error. */
static inline struct pt_decoded pt_decode(uint8_t *bytes, size_t len)
{
    struct pt_decoded d = { 0 };
    struct pt_config config;

    pt_config_init(&config);
    config.begin = bytes;
    config.end = bytes + len;
    struct pt_packet_decoder *decoder = pt_pkt_alloc_decoder(&config);

    assert_non_null(decoder);
    int status = pt_pkt_sync_forward(decoder);

    (void)pt_pkt_get_offset(decoder, &d.synchronised_at);
    while (status >= 0) {
        struct pt_packet packet;

        (void)pt_pkt_get_offset(decoder, &d.decoded_to);
        status = pt_pkt_next(decoder, &packet, sizeof(packet));
        if (status >= 0) {
            pt_decode_count(&d, &packet);
        }
    }
    d.error = status == -pte_eos ? 0 : status;
    pt_pkt_free_decoder(decoder);
    return d;
}

#endif
