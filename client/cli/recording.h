/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The form of a recording's file: a header, then records of a head and a payload each, all of it
 * little endian; xenres-recording(5) has it for others. Two checksums a record, so that a payload
 * that was damaged costs itself and not what comes behind it. Pure.
 */
#ifndef XENRES_CLI_RECORDING_H
#define XENRES_CLI_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenres.h>

#include "common/buffer.h"
#include "common/error.h"

enum {
    RECORDING_VERSION = 1,
    RECORDING_HEADER_BYTES = 32,
    RECORDING_HEAD_BYTES = 32,
    RECORDING_PAYLOAD_MAX_BYTES = 128 << 20, /* more than the library takes of a gateway */
    RECORDING_NOTE_MAX_BYTES = 1024,
};

/* Whose messages are in it. */
enum recording_stream {
    RECORDING_OF_RESOURCE = 1, /* WatchResponse */
    RECORDING_OF_DOMAINS = 2,  /* WatchDomainsResponse */
};

enum recording_kind {
    RECORDING_REQUEST = 1,     /* WatchRequest or WatchDomainsRequest: what was asked for */
    RECORDING_HOST = 2,        /* GetHostResponse: of which host */
    RECORDING_MESSAGE = 3,     /* as it came */
    RECORDING_INTERRUPTED = 4, /* a note: nothing came for a while, and why */
    RECORDING_CLOSED = 5,      /* a note: the recorder ended, and why */
    RECORDING_GAP = 6,         /* a loss that the library found, and no message tells of */
};

struct recording_record {
    uint32_t kind;  /* enum recording_kind, or one of a later version */
    uint64_t index; /* in the file, from 0, without a hole */
    uint64_t wall_ns;
    const uint8_t *payload;
    size_t len_bytes;
};

/* What a record's head says. */
struct recording_head {
    uint32_t kind;
    uint32_t len_bytes;
    uint32_t payload_crc;
    uint64_t index;
    uint64_t wall_ns;
};

void recording_put_header(enum recording_stream stream, uint8_t out[RECORDING_HEADER_BYTES]);
/* -ERROR_INVALID_ARGUMENT: it is no recording. -ERROR_UNIMPLEMENTED: of a version or a stream that is
 * not known here. */
int recording_get_header(const uint8_t bytes[RECORDING_HEADER_BYTES], enum recording_stream *stream,
                         struct failure *f);

void recording_put_head(const struct recording_record *record, uint8_t out[RECORDING_HEAD_BYTES]);
/* False: its checksum is wrong, or the payload would be longer than any. */
bool recording_get_head(const uint8_t bytes[RECORDING_HEAD_BYTES], struct recording_head *head);
uint32_t recording_checksum(const void *bytes, size_t len_bytes);

/* The payload of a note. `code`: 0, or an enum xenres_code. */
struct recording_note {
    uint32_t code;
    char text[RECORDING_NOTE_MAX_BYTES + 1];
};
void recording_put_note(struct buffer *out, uint32_t code, const char *text);
/* False where it is none. A text that is too long is cut. */
bool recording_get_note(const struct recording_record *record, struct recording_note *note);

enum { RECORDING_GAP_BYTES = 32 };
void recording_put_gap(const xenres_watch_gap *gap, uint8_t out[RECORDING_GAP_BYTES]);
bool recording_get_gap(const struct recording_record *record, xenres_watch_gap *gap);

#endif
