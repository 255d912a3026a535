/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Intel Processor Trace as a busy guest's processor might write it: made up, but valid packets throughout,
 * and about as repetitive as the real ones. It comes in blocks of 4 KiB, each of which begins with a PSB+
 * and ends with a whole packet, and depends on nothing but its number and the options: any byte can be
 * told by its offset alone. Pure.
 */
#ifndef XENRES_SIM_PT_H
#define XENRES_SIM_PT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PT_BLOCK_BYTES = 4096,
    PT_SEQUENCE_PER_BLOCK = 16, /* MNT packets, where they are wanted */
};

struct pt_options {
    uint64_t seed;
    uint64_t tsc_start;     /* the time stamp of offset 0 */
    uint64_t tsc_per_block; /* by how much it grows in each */
    bool has_tsc;           /* TSC packets, as with TSCEn */
    bool has_sequence; /* MNT packets with numbers from 0 on, so that a decoder can prove a loss */
};

/* The time stamp at an offset. Wraps as the counter would. */
uint64_t pt_tsc(const struct pt_options *o, uint64_t offset_bytes);
/* One whole block. */
void pt_block(const struct pt_options *o, uint64_t block, uint8_t out[PT_BLOCK_BYTES]);
/* Any bytes of the endless trace. */
void pt_bytes(const struct pt_options *o, uint64_t offset_bytes, void *out, size_t len_bytes);

#endif
