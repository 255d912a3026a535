/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/recording.h"

#include <endian.h>
#include <string.h>
#include <zlib.h>

#include "common/text.h"

/* A first byte that no text has, and line ends that a transfer as text would change. */
static const uint8_t magic[8] = { 0x89, 'X', 'N', 'R', 'E', 'C', '\r', '\n' };

struct header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t len_bytes; /* of this */
    uint32_t stream;
    uint32_t reserved[2]; /* 0 */
    uint32_t crc;         /* of all before it */
};

struct head {
    uint32_t len_bytes; /* of the payload */
    uint32_t kind;
    uint64_t index;
    uint64_t wall_ns;
    uint32_t payload_crc;
    uint32_t crc; /* of all before it */
};

struct gap {
    uint32_t reason;
    uint32_t exact; /* 1, or 0: it may be more */
    uint64_t first_sequence;
    uint64_t sequence;
    uint64_t blocks;
};

_Static_assert(sizeof(struct gap) == RECORDING_GAP_BYTES, "as in the manual page");
_Static_assert(sizeof(struct header) == RECORDING_HEADER_BYTES, "as in the manual page");
_Static_assert(sizeof(struct head) == RECORDING_HEAD_BYTES, "as in the manual page");

uint32_t recording_checksum(const void *bytes, size_t len_bytes)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, len_bytes);
}

void recording_put_header(enum recording_stream stream, uint8_t out[RECORDING_HEADER_BYTES])
{
    struct header h = {
        .version = htole32(RECORDING_VERSION),
        .len_bytes = htole32(sizeof(h)),
        .stream = htole32((uint32_t)stream),
    };

    memcpy(h.magic, magic, sizeof(magic));
    h.crc = htole32(recording_checksum(&h, offsetof(struct header, crc)));
    memcpy(out, &h, sizeof(h));
}

int recording_get_header(const uint8_t bytes[RECORDING_HEADER_BYTES], enum recording_stream *stream,
                         struct failure *f)
{
    struct header h;

    memcpy(&h, bytes, sizeof(h));
    if (memcmp(h.magic, magic, sizeof(magic)) != 0) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "it is no recording");

        return failure_next(f, result, "name a file that \"xenres watch --output\" has written");
    }
    if (le32toh(h.crc) != recording_checksum(&h, offsetof(struct header, crc))) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "the recording's header is damaged");

        return failure_next(f, result, "take another copy of the file");
    }
    if (le32toh(h.version) != RECORDING_VERSION || le32toh(h.len_bytes) != sizeof(h) ||
        le32toh(h.stream) < RECORDING_OF_RESOURCE || le32toh(h.stream) > RECORDING_OF_DOMAINS) {
        int result = failure_set(f, ERROR_UNIMPLEMENTED, "a recording of version %u, stream %u",
                                 le32toh(h.version), le32toh(h.stream));

        return failure_next(f, result, "read it with a newer xenres");
    }
    *stream = (enum recording_stream)le32toh(h.stream);
    return 0;
}

void recording_put_head(const struct recording_record *record, uint8_t out[RECORDING_HEAD_BYTES])
{
    struct head h = {
        .len_bytes = htole32((uint32_t)record->len_bytes),
        .kind = htole32(record->kind),
        .index = htole64(record->index),
        .wall_ns = htole64(record->wall_ns),
        .payload_crc = htole32(recording_checksum(record->payload, record->len_bytes)),
    };

    h.crc = htole32(recording_checksum(&h, offsetof(struct head, crc)));
    memcpy(out, &h, sizeof(h));
}

bool recording_get_head(const uint8_t bytes[RECORDING_HEAD_BYTES], struct recording_head *head)
{
    struct head h;

    memcpy(&h, bytes, sizeof(h));
    if (le32toh(h.crc) != recording_checksum(&h, offsetof(struct head, crc)) ||
        le32toh(h.len_bytes) > RECORDING_PAYLOAD_MAX_BYTES) {
        return false;
    }
    *head = (struct recording_head){
        .kind = le32toh(h.kind),
        .len_bytes = le32toh(h.len_bytes),
        .payload_crc = le32toh(h.payload_crc),
        .index = le64toh(h.index),
        .wall_ns = le64toh(h.wall_ns),
    };
    return true;
}

void recording_put_note(struct buffer *out, uint32_t code, const char *text)
{
    uint32_t stored = htole32(code);

    buffer_append(out, &stored, sizeof(stored));
    buffer_append(out, text, text_cut(text, strnlen(text, RECORDING_NOTE_MAX_BYTES)));
}

bool recording_get_note(const struct recording_record *record, struct recording_note *note)
{
    uint32_t stored;

    if (record->len_bytes < sizeof(stored)) {
        return false;
    }
    const char *text = (const char *)record->payload + sizeof(stored);
    size_t len = record->len_bytes - sizeof(stored);

    len = len < RECORDING_NOTE_MAX_BYTES ? len : RECORDING_NOTE_MAX_BYTES;
    if (!text_is_utf8(text, text_cut(text, len))) {
        return false;
    }
    memcpy(&stored, record->payload, sizeof(stored));
    note->code = le32toh(stored);
    (void)memcpy(note->text, text, text_cut(text, len));
    note->text[text_cut(text, len)] = '\0';
    return true;
}

void recording_put_gap(const xenres_watch_gap *gap, uint8_t out[RECORDING_GAP_BYTES])
{
    const struct gap g = {
        .reason = htole32(gap->reason),
        .exact = htole32(gap->exact),
        .first_sequence = htole64(gap->first_sequence),
        .sequence = htole64(gap->sequence),
        .blocks = htole64(gap->blocks),
    };

    memcpy(out, &g, sizeof(g));
}

bool recording_get_gap(const struct recording_record *record, xenres_watch_gap *gap)
{
    struct gap g;

    if (record->len_bytes != sizeof(g)) {
        return false;
    }
    memcpy(&g, record->payload, sizeof(g));
    *gap = (xenres_watch_gap){
        .reason = le32toh(g.reason),
        .exact = le32toh(g.exact) != 0,
        .first_sequence = le64toh(g.first_sequence),
        .sequence = le64toh(g.sequence),
        .blocks = le64toh(g.blocks),
    };
    return true;
}
