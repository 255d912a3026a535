// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors

/*
 * usage: packets FILE
 * Decodes FILE, raw Intel PT, by libipt's packet decoder and tells in one line what is in it:
 *
 *   bytes=N before=N tail=N packets=N errors=N tip=N tsc=N mnt=N first=N last=N holes=N missing=N back=N
 *
 * `before`: bytes in front of the first PSB; `tail`: of a packet that the end cuts. MNT packets of the tests' hypervisor
 * are numbered: `holes` in the numbers, `missing` numbers in all; numbers or timestamps that went `back`, or numbers of
 * another trace. A lapped capture may decode without an error: only the numbers prove that nothing is missing. Status 0
 * when there is no error.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <intel-pt.h>

struct counts {
    uint64_t packets, errors, tip, tsc, mnt, first, last, holes, missing, back;
    uint64_t last_tsc, reset;
};

// Above them is which reset they are numbered from, see xen/vmtrace.c.
#define NUMBER_MASK ((UINT64_C(1) << 40) - 1)

static void *read_whole(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    long end = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    char *bytes = end >= 0 ? malloc((size_t)end + 1) : NULL;

    if (!bytes) {
        perror(path);
        exit(2);
    }
    rewind(file);
    *len = fread(bytes, 1, (size_t)end, file);
    fclose(file);
    return bytes;
}

static void count_mnt(struct counts *c, uint64_t payload)
{
    uint64_t number = payload & NUMBER_MASK, reset = payload & ~NUMBER_MASK;

    c->back += c->mnt > 0 && reset != c->reset;
    c->reset = reset;
    if (c->mnt++ == 0) {
        c->first = number;
    } else if (number <= c->last) {
        c->back++;
    } else if (number != c->last + 1) {
        c->holes++;
        c->missing += number - c->last - 1;
    }
    c->last = number;
}

static void count(struct counts *c, const struct pt_packet *packet)
{
    c->packets++;
    switch (packet->type) {
    case ppt_tip: c->tip++; break;
    case ppt_tsc:
        c->tsc++;
        c->back += packet->payload.tsc.tsc < c->last_tsc;
        c->last_tsc = packet->payload.tsc.tsc;
        break;
    case ppt_mnt: count_mnt(c, packet->payload.mnt.payload); break;
    default: break;
    }
}

// From a PSB to the end; returns the bytes of a packet that is cut there.
static uint64_t decode(struct pt_packet_decoder *decoder, size_t len, struct counts *c)
{
    for (;;) {
        struct pt_packet packet;
        uint64_t offset = 0;

        pt_pkt_get_offset(decoder, &offset);
        int size = pt_pkt_next(decoder, &packet, sizeof packet);
        if (size >= 0) {
            count(c, &packet);
        } else if (pt_errcode(size) == pte_eos) {
            return len - offset;
        } else {
            fprintf(stderr, "offset %#" PRIx64 ": %s\n", offset, pt_errstr(pt_errcode(size)));
            c->errors++;
            if (pt_pkt_sync_forward(decoder) < 0) {
                return len - offset;
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct pt_config config;
    struct counts c = { 0 };
    size_t len;
    uint64_t before = 0, tail = 0;

    if (argc != 2) {
        fputs("usage: packets FILE\n", stderr);
        return 2;
    }
    pt_config_init(&config);
    config.begin = read_whole(argv[1], &len);
    config.end = config.begin + len;
    struct pt_packet_decoder *decoder = pt_pkt_alloc_decoder(&config);
    if (!decoder || pt_pkt_sync_forward(decoder) < 0) {
        before = len;
    } else {
        pt_pkt_get_offset(decoder, &before);
        tail = decode(decoder, len, &c);
    }
    printf("bytes=%zu before=%" PRIu64 " tail=%" PRIu64 " packets=%" PRIu64 " errors=%" PRIu64
           " tip=%" PRIu64 " tsc=%" PRIu64 " mnt=%" PRIu64 " first=%" PRIu64 " last=%" PRIu64
           " holes=%" PRIu64 " missing=%" PRIu64 " back=%" PRIu64 "\n",
           len, before, tail, c.packets, c.errors, c.tip, c.tsc, c.mnt, c.first, c.last, c.holes,
           c.missing, c.back);
    return c.errors > 0;
}
