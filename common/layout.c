/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Offsets are those of Xen's public headers, written as numbers: a struct with bit-fields would be
 * the compiler's layout, and a cast to it would need alignment that a caller's bytes may not have.
 */
#include "common/layout.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

static uint16_t load16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static uint32_t load32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t load64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static void store16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof(value));
}

static void store32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static void store64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

/* Element `index` of an array of `size_bytes` each, or NULL where it is not whole. */
static const uint8_t *element(const void *array, size_t len_bytes, size_t size_bytes,
                              uint64_t index)
{
    if (array == NULL || index >= len_bytes / size_bytes) {
        return NULL;
    }
    return (const uint8_t *)array + index * size_bytes;
}

/* Grant tables: <xen/grant_table.h>. */

enum {
    GRANT_FLAGS = 0,          /* u16: grant_entry_header_t.flags */
    GRANT_DOMID = 2,          /* u16 */
    GRANT_V1_FRAME = 4,       /* u32 */
    GRANT_V2_FRAME = 8,       /* u64: full_page.frame, sub_page.frame */
    GRANT_V2_PAGE_OFFSET = 4, /* u16: sub_page.page_off */
    GRANT_V2_LENGTH = 6,      /* u16: sub_page.length */
    GRANT_V2_TRANS_DOMID = 4, /* u16: transitive.trans_domid */
    GRANT_V2_TRANS_REF = 8,   /* u32: transitive.gref */
    GRANT_KIND_MASK = 3,
    STATUS_FRAMES_COVER = LAYOUT_STATUS_PER_FRAME / LAYOUT_GRANTS_PER_FRAME_V2, /* 8 */
};

uint32_t layout_grants_per_frame(uint32_t version)
{
    switch (version) {
    case 1: return LAYOUT_GRANTS_PER_FRAME_V1;
    case 2: return LAYOUT_GRANTS_PER_FRAME_V2;
    default: return 0;
    }
}

void layout_status_range(uint32_t first_frame, uint32_t frame_count, uint32_t *first_status_frame,
                         uint32_t *status_frame_count)
{
    uint32_t first = first_frame / STATUS_FRAMES_COVER;

    *first_status_frame = first;
    *status_frame_count = 0;
    if (frame_count > 0) {
        uint64_t last = ((uint64_t)first_frame + frame_count - 1) / STATUS_FRAMES_COVER;

        *status_frame_count = (uint32_t)(last - first + 1);
    }
}

static void load_grant_head(const uint8_t *entry, uint32_t reference, struct layout_grant *out)
{
    uint16_t flags = load16(entry + GRANT_FLAGS);

    *out = (struct layout_grant){
        .reference = reference,
        .kind = (enum layout_grant_kind)(flags & GRANT_KIND_MASK),
        .flags = flags,
        .domid = load16(entry + GRANT_DOMID),
        .readonly = (flags & LAYOUT_GTF_READONLY) != 0,
    };
}

static void set_use(uint16_t bits, struct layout_grant *out)
{
    out->reading = (bits & LAYOUT_GTF_READING) != 0;
    out->writing = (bits & LAYOUT_GTF_WRITING) != 0;
}

bool layout_grant_v1(const void *frames, size_t len_bytes, uint32_t first_reference, uint32_t index,
                     struct layout_grant *out)
{
    const uint8_t *entry = element(frames, len_bytes, LAYOUT_GRANT_V1_BYTES, index);

    if (entry == NULL) {
        return false;
    }
    load_grant_head(entry, first_reference + index, out);
    set_use(out->flags, out);
    out->frame = load32(entry + GRANT_V1_FRAME);
    return true;
}

bool layout_grant_v2(const void *frames, size_t len_bytes, uint32_t first_reference, uint32_t index,
                     const void *status, size_t status_len_bytes, uint32_t first_status_reference,
                     struct layout_grant *out)
{
    const uint8_t *entry = element(frames, len_bytes, LAYOUT_GRANT_V2_BYTES, index);

    if (entry == NULL) {
        return false;
    }
    load_grant_head(entry, first_reference + index, out);
    if (out->kind == LAYOUT_GRANT_TRANSITIVE) {
        out->transitive_domid = load16(entry + GRANT_V2_TRANS_DOMID);
        out->transitive_reference = load32(entry + GRANT_V2_TRANS_REF);
    } else {
        out->frame = load64(entry + GRANT_V2_FRAME);
        out->has_sub_page = (out->flags & LAYOUT_GTF_SUB_PAGE) != 0;
    }
    if (out->has_sub_page) {
        out->sub_page_offset_bytes = load16(entry + GRANT_V2_PAGE_OFFSET);
        out->sub_page_length_bytes = load16(entry + GRANT_V2_LENGTH);
    }
    if (out->reference >= first_status_reference) {
        const uint8_t *word = element(status, status_len_bytes, LAYOUT_GRANT_STATUS_BYTES,
                                      out->reference - first_status_reference);

        out->status = word != NULL ? load16(word) : 0;
    }
    set_use(out->status, out);
    return true;
}

void layout_put_grant_v1(void *entry, const struct layout_grant *grant)
{
    uint8_t *at = entry;

    store16(at + GRANT_FLAGS, grant->flags);
    store16(at + GRANT_DOMID, grant->domid);
    store32(at + GRANT_V1_FRAME, (uint32_t)grant->frame);
}

void layout_put_grant_v2(void *entry, void *status, const struct layout_grant *grant)
{
    uint8_t *at = entry;

    memset(at, 0, LAYOUT_GRANT_V2_BYTES);
    store16(at + GRANT_FLAGS, grant->flags);
    store16(at + GRANT_DOMID, grant->domid);
    if ((grant->flags & GRANT_KIND_MASK) == LAYOUT_GRANT_TRANSITIVE) {
        store16(at + GRANT_V2_TRANS_DOMID, grant->transitive_domid);
        store32(at + GRANT_V2_TRANS_REF, grant->transitive_reference);
    } else {
        store64(at + GRANT_V2_FRAME, grant->frame);
        if ((grant->flags & LAYOUT_GTF_SUB_PAGE) != 0) {
            store16(at + GRANT_V2_PAGE_OFFSET, grant->sub_page_offset_bytes);
            store16(at + GRANT_V2_LENGTH, grant->sub_page_length_bytes);
        }
    }
    if (status != NULL) {
        store16(status, grant->status);
    }
}

/* Ioreq pages: <xen/hvm/ioreq.h>. */

enum {
    IOREQ_ADDR = 0,      /* u64 */
    IOREQ_DATA = 8,      /* u64 */
    IOREQ_COUNT = 16,    /* u32 */
    IOREQ_SIZE = 20,     /* u32 */
    IOREQ_VP_EPORT = 24, /* u32 */
    IOREQ_BITS = 30,     /* u8: state:4, data_is_ptr:1, dir:1, df:1 */
    IOREQ_TYPE = 31,     /* u8 */
    IOREQ_STATE_MASK = 0x0f,
    IOREQ_DATA_IS_POINTER = 0x10,
    IOREQ_DIR_READ = 0x20,
    IOREQ_DESCENDING = 0x40,

    BUFFERED_READ_POINTER = 0,  /* u32 */
    BUFFERED_WRITE_POINTER = 4, /* u32 */
    BUFFERED_FIRST_SLOT = 8,
    BUFFERED_SLOT_BYTES = 8, /* u32: type:8, pad:1, dir:1, size:2, addr:20; u32 data */
    BUFFERED_DIR_SHIFT = 9,
    BUFFERED_SIZE_SHIFT = 10,
    BUFFERED_ADDR_SHIFT = 12,
};

bool layout_ioreq(const void *frame, size_t len_bytes, uint32_t vcpu, struct layout_ioreq *out)
{
    const uint8_t *slot = element(frame, len_bytes, LAYOUT_IOREQ_BYTES, vcpu);

    if (slot == NULL) {
        return false;
    }
    uint8_t bits = slot[IOREQ_BITS];

    *out = (struct layout_ioreq){
        .address = load64(slot + IOREQ_ADDR),
        .data = load64(slot + IOREQ_DATA),
        .count = load32(slot + IOREQ_COUNT),
        .size_bytes = load32(slot + IOREQ_SIZE),
        .event_channel = load32(slot + IOREQ_VP_EPORT),
        .state = bits & IOREQ_STATE_MASK,
        .type = slot[IOREQ_TYPE],
        .data_is_pointer = (bits & IOREQ_DATA_IS_POINTER) != 0,
        .read = (bits & IOREQ_DIR_READ) != 0,
        .descending = (bits & IOREQ_DESCENDING) != 0,
    };
    return true;
}

void layout_put_ioreq(void *slot, const struct layout_ioreq *ioreq)
{
    uint8_t *at = slot;

    memset(at, 0, LAYOUT_IOREQ_BYTES);
    store64(at + IOREQ_ADDR, ioreq->address);
    store64(at + IOREQ_DATA, ioreq->data);
    store32(at + IOREQ_COUNT, ioreq->count);
    store32(at + IOREQ_SIZE, ioreq->size_bytes);
    store32(at + IOREQ_VP_EPORT, ioreq->event_channel);
    at[IOREQ_BITS] =
        (uint8_t)((ioreq->state & IOREQ_STATE_MASK) |
                  (ioreq->data_is_pointer ? IOREQ_DATA_IS_POINTER : 0) |
                  (ioreq->read ? IOREQ_DIR_READ : 0) | (ioreq->descending ? IOREQ_DESCENDING : 0));
    at[IOREQ_TYPE] = ioreq->type;
}

bool layout_buffered_pointers(const void *frame, size_t len_bytes, uint32_t *read_pointer,
                              uint32_t *write_pointer, bool *valid)
{
    const uint8_t *pointers = element(frame, len_bytes, BUFFERED_FIRST_SLOT, 0);

    if (pointers == NULL) {
        return false;
    }
    *read_pointer = load32(pointers + BUFFERED_READ_POINTER);
    *write_pointer = load32(pointers + BUFFERED_WRITE_POINTER);
    /* Modulo 2³², as Xen subtracts them. */
    *valid = *write_pointer - *read_pointer <= LAYOUT_BUFFERED_SLOTS;
    return true;
}

/* Where the slot `step` behind `pointer` begins. */
static size_t slot_offset(uint32_t pointer, uint32_t step)
{
    uint32_t slot = (pointer % LAYOUT_BUFFERED_SLOTS + step) % LAYOUT_BUFFERED_SLOTS;

    return BUFFERED_FIRST_SLOT + (size_t)slot * BUFFERED_SLOT_BYTES;
}

static const uint8_t *buffered_slot(const void *frame, size_t len_bytes, uint32_t pointer,
                                    uint32_t step)
{
    size_t offset = slot_offset(pointer, step);

    if (frame == NULL || len_bytes < offset + BUFFERED_SLOT_BYTES) {
        return NULL;
    }
    return (const uint8_t *)frame + offset;
}

uint32_t layout_buffered_ioreq(const void *frame, size_t len_bytes, uint32_t pointer,
                               struct layout_buffered_ioreq *out)
{
    const uint8_t *slot = buffered_slot(frame, len_bytes, pointer, 0);

    if (slot == NULL) {
        return 0;
    }
    uint32_t head = load32(slot);
    struct layout_buffered_ioreq found = {
        .address = head >> BUFFERED_ADDR_SHIFT,
        .data = load32(slot + 4),
        .size_bytes = 1U << (head >> BUFFERED_SIZE_SHIFT & 3),
        .type = (uint8_t)head,
        .read = (head >> BUFFERED_DIR_SHIFT & 1) != 0,
    };

    if (found.size_bytes < 8) {
        *out = found;
        return 1;
    }
    const uint8_t *second = buffered_slot(frame, len_bytes, pointer, 1);

    if (second == NULL) {
        return 0;
    }
    found.data |= (uint64_t)load32(second + 4) << 32;
    *out = found;
    return 2;
}

static void put_slot(uint8_t *slot, uint32_t head, uint32_t data)
{
    store32(slot, head);
    store32(slot + 4, data);
}

uint32_t layout_put_buffered_ioreq(void *frame, uint32_t pointer,
                                   const struct layout_buffered_ioreq *r)
{
    uint32_t size = r->size_bytes;

    assert(size == 1 || size == 2 || size == 4 || size == 8);
    assert(r->address < UINT32_C(1) << 20);
    uint32_t size_code = (uint32_t)__builtin_ctz(size);
    uint32_t head = r->type | (r->read ? 1U : 0U) << BUFFERED_DIR_SHIFT |
                    size_code << BUFFERED_SIZE_SHIFT | r->address << BUFFERED_ADDR_SHIFT;

    put_slot((uint8_t *)frame + slot_offset(pointer, 0), head, (uint32_t)r->data);
    if (size < 8) {
        return 1;
    }
    /* Xen writes the same head again, with the upper half of the data. */
    put_slot((uint8_t *)frame + slot_offset(pointer, 1), head, (uint32_t)(r->data >> 32));
    return 2;
}

void layout_put_buffered_pointers(void *frame, uint32_t read_pointer, uint32_t write_pointer)
{
    store32((uint8_t *)frame + BUFFERED_READ_POINTER, read_pointer);
    store32((uint8_t *)frame + BUFFERED_WRITE_POINTER, write_pointer);
}

/* Stats table: the unmerged series. */

enum { STATS_MAGIC = 0, STATS_OFFSET = 4, STATS_SIZE = 8, STATS_STRIDE = 12 };

bool layout_stats_header(const void *frame, size_t len_bytes, struct layout_stats_header *out,
                         uint32_t *vcpu_count)
{
    const uint8_t *at = element(frame, len_bytes, LAYOUT_STATS_HEADER_BYTES, 0);

    if (at == NULL || load32(at + STATS_MAGIC) != LAYOUT_STATS_MAGIC) {
        return false;
    }
    struct layout_stats_header found = {
        .magic = LAYOUT_STATS_MAGIC,
        .offset_bytes = load32(at + STATS_OFFSET),
        .size_bytes = load32(at + STATS_SIZE),
        .stride_bytes = load32(at + STATS_STRIDE),
    };

    if (found.offset_bytes < LAYOUT_STATS_HEADER_BYTES ||
        found.size_bytes < LAYOUT_STATS_ENTRY_BYTES || found.stride_bytes < found.size_bytes) {
        return false;
    }
    /* The run time is read by one aligned load. */
    if (found.offset_bytes % 8 != 0 || found.stride_bytes % 8 != 0) {
        return false;
    }
    if ((uint64_t)found.offset_bytes + found.size_bytes > len_bytes) {
        return false;
    }
    uint64_t behind_first = len_bytes - found.offset_bytes - found.size_bytes;
    uint64_t count = behind_first / found.stride_bytes + 1;

    *out = found;
    *vcpu_count = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
    return true;
}

void layout_put_stats_header(void *frame, const struct layout_stats_header *header)
{
    uint8_t *at = frame;

    store32(at + STATS_MAGIC, header->magic);
    store32(at + STATS_OFFSET, header->offset_bytes);
    store32(at + STATS_SIZE, header->size_bytes);
    store32(at + STATS_STRIDE, header->stride_bytes);
}
