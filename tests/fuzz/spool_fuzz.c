/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as a record of a feed's spool: the kind in four bytes, little endian, then the record. Whatever
 * passes is read as its kind says, to its last byte, and keeps the rules that readers rely on.
 */
#include <stdlib.h>
#include <string.h>

#include "common/feed_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void read_changes(const struct feed_record *r, const uint8_t *end)
{
    const uint32_t beyond = FEED_IMAGE_MAX_BYTES / FEED_BLOCK_BYTES;
    uint32_t count = r->changes->block_count;

    check(count > 0 && r->contents + (size_t)count * FEED_BLOCK_BYTES == end);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t block[FEED_BLOCK_BYTES];

        check(r->blocks[i] < beyond && (i == 0 || r->blocks[i] > r->blocks[i - 1]));
        memcpy(block, r->contents + (size_t)i * FEED_BLOCK_BYTES, sizeof(block));
    }
}

static void read_texts(const struct failure *f)
{
    check(strlen(f->call) < sizeof(f->call) && strlen(f->message) < sizeof(f->message) &&
          strlen(f->cause) < sizeof(f->cause) && strlen(f->next_step) < sizeof(f->next_step) &&
          strlen(f->field) < sizeof(f->field));
}

static void read_record(const struct feed_record *r, const uint8_t *end)
{
    switch (r->kind) {
    case FEED_RECORD_BEGIN:
        check(r->begin->image_bytes <= FEED_IMAGE_MAX_BYTES);
        check(((uint64_t)r->begin->frame_count + r->begin->status_frame_count) *
                  MESSAGE_FRAME_BYTES <=
              r->begin->image_bytes);
        break;
    case FEED_RECORD_CHANGES: read_changes(r, end); break;
    case FEED_RECORD_STILL: check((const uint8_t *)(r->still + 1) == end); break;
    case FEED_RECORD_BYTES:
        check(r->contents + r->bytes->len_bytes == end);
        check(r->bytes->offset <= r->bytes->bytes_before);
        check(r->bytes->bytes_before <= UINT64_MAX - r->bytes->len_bytes);
        break;
    case FEED_RECORD_LOSS:
        check(r->loss->offset <= r->loss->bytes_before);
        check(r->loss->bytes_before <= UINT64_MAX - r->loss->len_bytes);
        break;
    case FEED_RECORD_DOMAIN:
        check(strlen(r->domain->now.identity.name) < MESSAGE_NAME_BYTES);
        check(strlen(r->domain->before.name) < MESSAGE_NAME_BYTES);
        break;
    case FEED_RECORD_END: read_texts(&r->end->failure); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t kind;

    if (size < sizeof(kind)) {
        return 0;
    }
    memcpy(&kind, data, sizeof(kind));
    size_t len = size - sizeof(kind);
    /* Memory that ends with the record. */
    uint8_t *bytes = malloc(len > 0 ? len : 1);

    check(bytes != NULL);
    memcpy(bytes, data + sizeof(kind), len);
    struct feed_record record;
    struct failure f;
    int result = feed_record_check(kind, bytes, len, &record, &f);

    if (result == 0) {
        check((uint32_t)record.kind == kind);
        read_record(&record, bytes + len);
    } else {
        check(result == -ERROR_DATA_LOSS && f.message[0] != '\0');
    }
    free(bytes);
    return 0;
}
