/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Xen's page layouts: bytes of a private copy → grants, ioreqs, run times. And the other way for
 * the simulator and the tests.
 *
 * Sources: <xen/grant_table.h>, <xen/hvm/ioreq.h>; the stats table from the unmerged series that
 * XENMEM_resource_stats_table names. The layouts are written down here so that programs without
 * Xen's headers can decode; server/mapper/xen/ asserts at compile time that they equal those.
 *
 * Pure: never give these functions a mapping, only a copy (a guest writes while one reads). Every
 * reading function is total: any bytes decode to something, never beyond `len_bytes`, or to false.
 * Any thread.
 */
#ifndef XENRES_COMMON_LAYOUT_H
#define XENRES_COMMON_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LAYOUT_FRAME_BYTES = 4096,
    LAYOUT_GRANT_V1_BYTES = 8,
    LAYOUT_GRANT_V2_BYTES = 16,
    LAYOUT_GRANT_STATUS_BYTES = 2,
    LAYOUT_GRANTS_PER_FRAME_V1 = LAYOUT_FRAME_BYTES / LAYOUT_GRANT_V1_BYTES,  /* 512 */
    LAYOUT_GRANTS_PER_FRAME_V2 = LAYOUT_FRAME_BYTES / LAYOUT_GRANT_V2_BYTES,  /* 256 */
    LAYOUT_STATUS_PER_FRAME = LAYOUT_FRAME_BYTES / LAYOUT_GRANT_STATUS_BYTES, /* 2048 */
    LAYOUT_IOREQ_BYTES = 32,
    LAYOUT_IOREQS_PER_FRAME = LAYOUT_FRAME_BYTES / LAYOUT_IOREQ_BYTES, /* 128 */
    LAYOUT_BUFFERED_SLOTS = 511,
};

enum layout_grant_kind { /* flags & 3 */
                         LAYOUT_GRANT_UNUSED = 0,
                         LAYOUT_GRANT_PERMIT_ACCESS = 1,
                         LAYOUT_GRANT_ACCEPT_TRANSFER = 2,
                         LAYOUT_GRANT_TRANSITIVE = 3,
};

enum layout_grant_flag { /* bits of `flags`; reading and writing are in the status in v2 */
                         LAYOUT_GTF_READONLY = 1 << 2,
                         LAYOUT_GTF_READING = 1 << 3,
                         LAYOUT_GTF_WRITING = 1 << 4,
                         LAYOUT_GTF_SUB_PAGE = 1 << 8,
};

struct layout_grant {
    uint32_t reference;
    enum layout_grant_kind kind;
    uint16_t flags;  /* as they stand */
    uint16_t status; /* v2, as it stands; 0 in v1 */
    uint16_t domid;
    bool readonly, reading, writing;
    bool has_sub_page; /* v2 */
    uint64_t frame;    /* all of v1; in v2 0 for transitive */
    uint16_t sub_page_offset_bytes, sub_page_length_bytes;
    uint16_t transitive_domid;
    uint32_t transitive_reference;
};

/* Entries per frame of a version (1 or 2), else 0. */
uint32_t layout_grants_per_frame(uint32_t version);
/* Status frames that cover entries of shared frames [first, first + count) of a v2 table. */
void layout_status_range(uint32_t first_frame, uint32_t frame_count, uint32_t *first_status_frame,
                         uint32_t *status_frame_count);

/*
 * Entry `index` within `frames` (`len_bytes` long, whose first entry has reference
 * `first_reference`). v2 takes its status from `status` (an array whose first element belongs to
 * `first_status_reference`), or 0 where that is NULL or does not reach.
 */
bool layout_grant_v1(const void *frames, size_t len_bytes, uint32_t first_reference, uint32_t index,
                     struct layout_grant *out);
bool layout_grant_v2(const void *frames, size_t len_bytes, uint32_t first_reference, uint32_t index,
                     const void *status, size_t status_len_bytes, uint32_t first_status_reference,
                     struct layout_grant *out);
/* Writes the bytes of one entry: what kind and uses it has is in `flags` and `status`; the fields
 * that decoding takes from those are ignored. `status` NULL: none is written. */
void layout_put_grant_v1(void *entry, const struct layout_grant *grant);
void layout_put_grant_v2(void *entry, void *status, const struct layout_grant *grant);

enum layout_ioreq_state {
    LAYOUT_IOREQ_NONE,
    LAYOUT_IOREQ_READY,
    LAYOUT_IOREQ_INPROCESS,
    LAYOUT_IOREQ_RESP_READY
};
enum layout_ioreq_type {
    LAYOUT_IOREQ_PIO = 0,
    LAYOUT_IOREQ_COPY = 1,
    LAYOUT_IOREQ_PCI_CONFIG = 2,
    LAYOUT_IOREQ_TIMEOFFSET = 7,
    LAYOUT_IOREQ_INVALIDATE = 8,
};

struct layout_ioreq {
    uint64_t address;
    uint64_t data;
    uint32_t count;
    uint32_t size_bytes;
    uint32_t event_channel;
    uint8_t state; /* 4 bits: above 3 is possible in bytes, and none of Xen's */
    uint8_t type;
    bool data_is_pointer, read, descending;
};

/* The ioreq of vCPU `vcpu` in a copy of frame 1. */
bool layout_ioreq(const void *frame, size_t len_bytes, uint32_t vcpu, struct layout_ioreq *out);
void layout_put_ioreq(void *slot, const struct layout_ioreq *ioreq);

struct layout_buffered_ioreq {
    uint32_t address; /* 20 bits */
    uint64_t data;
    uint32_t size_bytes; /* 1, 2, 4, 8 */
    uint8_t type;
    bool read;
};

/* Both pointers of a copy of frame 0. `valid`: write is ahead of read by at most the slots. */
bool layout_buffered_pointers(const void *frame, size_t len_bytes, uint32_t *read_pointer,
                              uint32_t *write_pointer, bool *valid);
/* The request at `pointer`; returns the slots that it takes (2 for 8 bytes), 0 beyond the page. */
uint32_t layout_buffered_ioreq(const void *frame, size_t len_bytes, uint32_t pointer,
                               struct layout_buffered_ioreq *out);
/* Writes it (a size of 1, 2, 4 or 8, a 20-bit address) at `pointer` of a whole frame; returns the
 * slots taken. The pointers are the caller's to move. */
uint32_t layout_put_buffered_ioreq(void *frame, uint32_t pointer,
                                   const struct layout_buffered_ioreq *r);
void layout_put_buffered_pointers(void *frame, uint32_t read_pointer, uint32_t write_pointer);

/* Stats table, version 3 of the series. An entry: u32 sequence (odd: being written), u32 padding,
 * u64 run time. It is read under its sequence lock, so the mapper loads these fields itself. */
#define LAYOUT_STATS_MAGIC UINT32_C(0xaabbccdd)
enum {
    LAYOUT_STATS_HEADER_BYTES = 16,
    LAYOUT_STATS_ENTRY_BYTES = 16,
    LAYOUT_STATS_SEQUENCE_OFFSET_BYTES = 0, /* in an entry */
    LAYOUT_STATS_TIME_OFFSET_BYTES = 8,
};
struct layout_stats_header {
    uint32_t magic, offset_bytes, size_bytes, stride_bytes;
};
/* False where the bytes are no stats table: wrong magic, entries that are too small, overlap, are
 * not aligned to 8 bytes or lie outside `len_bytes`. `vcpu_count`: whole entries in `len_bytes`,
 * which may be more than the domain has vCPUs. */
bool layout_stats_header(const void *frame, size_t len_bytes, struct layout_stats_header *out,
                         uint32_t *vcpu_count);
void layout_put_stats_header(void *frame, const struct layout_stats_header *header);
#define LAYOUT_STATS_INACTIVE (UINT64_C(1) << 63) /* in runstate_running_time: no such vCPU now */

#endif
