/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * See pt.h. The packets are those of the Intel SDM, volume 3, chapter "Intel Processor Trace". A block has
 * slots of 256 bytes: each begins with the MNT of its number, where those are wanted, goes on with a few
 * loops of a made-up program, and is filled with short TNTs to its end. The program's loops are those of
 * a phase of some blocks, and go round with now and then another branch taken: so they compress as real
 * traces do.
 */
#include "server/mapper/sim/pt.h"

#include <assert.h>
#include <string.h>

#include "server/mapper/sim/draw.h"

enum {
    SLOT_BYTES = PT_BLOCK_BYTES / PT_SEQUENCE_PER_BLOCK,
    PHASE_BLOCKS = 8,
    LOOPS = 4,           /* of a phase */
    ROUNDS_MAX = 24,     /* of a loop, at a time */
    STEPS_MIN = 2,       /* of a round */
    STEPS_MAX = 8,       /* of a round */
    STEP_BYTES_MAX = 8,  /* a long TNT */
    NOISE = 16,          /* one step of so many is not the loop's */
    SWITCH_SLOTS = 24,   /* one slot of so many begins with a switch of the address space */
    OVERFLOW_SLOTS = 97, /* … with packets lost inside the processor */
    TSC_SLOTS = 4,
    LONG_TNT_BRANCHES = 47,
    TNT_BRANCHES_MAX = 6,
};
enum packet { TIP = 0x0d, TIP_PGE = 0x11, TIP_PGD = 0x01, FUP = 0x1d, TSC = 0x19, MODE = 0x99 };
enum { MODE_EXEC_64 = 0x01, MODE_TSX_NONE = 0x20, CBR_RATIO = 21, PIP_NON_ROOT = 1 };
#define KERNEL_TEXT UINT64_C(0xffffffff81000000)
#define USER_TEXT   UINT64_C(0x000055d5c0a00000)
#define TEXT_BYTES  UINT64_C(0x400000)
#define CR3_MASK    UINT64_C(0x000000ffffffffe0)

struct writer {
    const struct pt_options *options;
    uint64_t block_start, block; /* offset and number */
    uint8_t *begin, *at, *end;   /* of the block; of the slot */
    uint64_t random, last_ip;
};

uint64_t pt_tsc(const struct pt_options *o, uint64_t offset_bytes)
{
    uint64_t block = offset_bytes / PT_BLOCK_BYTES, within = offset_bytes % PT_BLOCK_BYTES;
    uint64_t part = (uint64_t)((unsigned __int128)o->tsc_per_block * within / PT_BLOCK_BYTES);
    return o->tsc_start + block * o->tsc_per_block + part;
}

/* A packet goes into the slot whole, or not at all. */
static bool put(struct writer *w, const uint8_t *packet, size_t len)
{
    if ((size_t)(w->end - w->at) < len) {
        return false;
    }
    memcpy(w->at, packet, len);
    w->at += len;
    return true;
}

static size_t little_endian(uint8_t *out, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++, value >>= 8) {
        out[i] = (uint8_t)value;
    }
    return len;
}

/* An opcode of two bytes and a payload. */
static void put_extended(struct writer *w, uint8_t opcode, uint64_t payload, size_t len)
{
    uint8_t packet[2 + sizeof(payload)] = { 0x02, opcode };
    put(w, packet, 2 + little_endian(packet + 2, payload, len));
}

static void put_tsc(struct writer *w)
{
    uint8_t packet[8] = { TSC };
    uint64_t tsc = pt_tsc(w->options, w->block_start + (uint64_t)(w->at - w->begin));
    if (w->options->has_tsc) {
        put(w, packet, 1 + little_endian(packet + 1, tsc, 7));
    }
}

static void put_mode(struct writer *w, uint8_t mode)
{
    const uint8_t packet[] = { MODE, mode };
    put(w, packet, sizeof(packet));
}

/* With as few bytes of the address as the last one leaves to be told. */
static void put_ip(struct writer *w, enum packet opcode, uint64_t ip)
{
    uint64_t other = ip ^ w->last_ip;
    unsigned form = other >> 16 == 0 ? 1 : other >> 32 == 0 ? 2 : 3;
    uint8_t packet[7] = { (uint8_t)((unsigned)opcode | form << 5) };
    if (put(w, packet, 1 + little_endian(packet + 1, ip, 2 * form))) {
        w->last_ip = ip;
    }
}

static uint64_t code_address(const struct writer *w, uint64_t drawn)
{
    uint64_t text = drawn % 4 == 0 ? USER_TEXT : KERNEL_TEXT;
    uint64_t page = w->options->seed ^ (drawn >> 8) % 64; /* a working set of so many functions */
    return text + draw_next(&page) % TEXT_BYTES;
}

static void put_tnt(struct writer *w, uint64_t drawn)
{
    unsigned branches = 1 + (unsigned)(drawn % TNT_BRANCHES_MAX);
    uint64_t stop = UINT64_C(1) << branches;
    const uint8_t packet = (uint8_t)((stop | (drawn >> 8 & (stop - 1))) << 1);
    put(w, &packet, 1);
}

static void put_long_tnt(struct writer *w, uint64_t drawn)
{
    uint64_t stop = UINT64_C(1) << LONG_TNT_BRANCHES;
    put_extended(w, 0xa3, stop | (drawn & (stop - 1)), 6);
}

static void put_pip(struct writer *w, uint64_t drawn)
{
    put_extended(w, 0x43, (drawn & CR3_MASK) >> 4 | PIP_NON_ROOT, 6);
}

/* PSB+: where a decoder that knows nothing begins. */
static void put_psb(struct writer *w)
{
    static const uint8_t psb[16] = { 0x02, 0x82, 0x02, 0x82, 0x02, 0x82, 0x02, 0x82,
                                     0x02, 0x82, 0x02, 0x82, 0x02, 0x82, 0x02, 0x82 };
    uint64_t phase = w->block / PHASE_BLOCKS ^ w->options->seed;
    put(w, psb, sizeof(psb));
    put_tsc(w);
    put_extended(w, 0x03, CBR_RATIO, 2);
    put_pip(w, draw_next(&phase));
    put_mode(w, MODE_EXEC_64);
    put_mode(w, MODE_TSX_NONE);
    put_ip(w, FUP, code_address(w, draw_next(&w->random)));
    put_extended(w, 0x23, 0, 0);
}

/* What is beside the flow: another address space, an overflow, the time. */
static void put_beside(struct writer *w)
{
    uint64_t drawn = draw_next(&w->random);
    if (drawn % SWITCH_SLOTS == 0) {
        put_ip(w, FUP, code_address(w, drawn >> 16));
        put_ip(w, TIP_PGD, code_address(w, drawn >> 24));
        put_pip(w, draw_next(&w->random));
        put_ip(w, TIP_PGE, code_address(w, drawn >> 32));
        put_mode(w, MODE_EXEC_64);
    } else if (drawn % OVERFLOW_SLOTS == 0) {
        put_extended(w, 0xf3, 0, 0);
        put_ip(w, FUP, code_address(w, drawn >> 16));
    }
    if (drawn % TSC_SLOTS == 0) {
        put_tsc(w);
    }
}

static void put_step(struct writer *w, uint64_t drawn)
{
    if (w->end - w->at < STEP_BYTES_MAX) {
        put_tnt(w, drawn >> 8); /* fills the slot: whatever is longer may not fit */
    } else if (drawn % 3 == 0) {
        put_ip(w, TIP, code_address(w, drawn >> 8));
    } else if (drawn % 16 == 1) {
        put_long_tnt(w, drawn >> 8);
    } else {
        put_tnt(w, drawn >> 8);
    }
}

/* A loop of the phase's, some times round. */
static void put_loop(struct writer *w)
{
    uint64_t drawn = draw_next(&w->random);
    uint64_t program = w->options->seed ^ (w->block / PHASE_BLOCKS * LOOPS + drawn % LOOPS) << 20;
    uint64_t rounds = 1 + (drawn >> 8) % ROUNDS_MAX;
    for (uint64_t round = 0; round < rounds && w->at < w->end; round++) {
        uint64_t state = program;
        uint64_t steps = STEPS_MIN + draw_next(&state) % (STEPS_MAX - STEPS_MIN + 1);
        for (uint64_t i = 0; i < steps && w->at < w->end; i++) {
            uint64_t step = draw_next(&state), noise = draw_next(&w->random);
            put_step(w, noise % NOISE == 0 ? noise >> 8 : step);
        }
    }
}

static void put_slot(struct writer *w, uint64_t slot)
{
    w->end = w->begin + (slot + 1) * SLOT_BYTES;
    if (slot == 0) {
        put_psb(w);
    }
    if (w->options->has_sequence) {
        uint8_t packet[11] = { 0x02, 0xc3, 0x88 }; /* MNT */
        little_endian(packet + 3, w->block * PT_SEQUENCE_PER_BLOCK + slot, 8);
        bool fits = put(w, packet, sizeof(packet));
        assert(fits); /* a PSB+ has at most 55 bytes */
    }
    if (slot != 0) {
        put_beside(w);
    }
    while (w->at < w->end) {
        put_loop(w);
    }
}

void pt_block(const struct pt_options *o, uint64_t block, uint8_t out[PT_BLOCK_BYTES])
{
    uint64_t seed = o->seed + block;
    struct writer w = {
        .options = o,
        .block = block,
        .block_start = block * PT_BLOCK_BYTES,
        .begin = out,
        .at = out,
        .random = draw_next(&seed),
    };
    for (uint64_t slot = 0; slot < PT_SEQUENCE_PER_BLOCK; slot++) {
        put_slot(&w, slot);
    }
}

void pt_bytes(const struct pt_options *o, uint64_t offset_bytes, void *out, size_t len_bytes)
{
    uint8_t block[PT_BLOCK_BYTES];
    for (size_t done = 0, len; done < len_bytes; done += len) {
        size_t within = (size_t)((offset_bytes + done) % PT_BLOCK_BYTES);
        len = PT_BLOCK_BYTES - within;
        if (len > len_bytes - done) {
            len = len_bytes - done;
        }
        pt_block(o, (offset_bytes + done) / PT_BLOCK_BYTES, block);
        memcpy((uint8_t *)out + done, block + within, len);
    }
}
