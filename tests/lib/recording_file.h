/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Recordings in memory, record by record, with whatever is wrong about them. */
#ifndef XENRES_TESTS_RECORDING_FILE_H
#define XENRES_TESTS_RECORDING_FILE_H

#include "tests/lib/client_watch.h"

#include <sys/mman.h>
#include <unistd.h>

#include "client/cli/recording.h"
#include "client/cli/recording_reader.h"

enum { RECORDING_FILE_MAX_BYTES = 256 << 20 };

/* When the record of an index was received: a second after the one before. */
#define RECORDING_FILE_WALL_NS(index) ((UINT64_C(1769904000) + (index)) * UINT64_C(1000000000))

struct recording_file {
    struct buffer bytes;
    uint64_t next_index;
    size_t last_offset; /* of the last record */
};

static inline void recording_file_begin(struct recording_file *r, enum recording_stream stream)
{
    *r = (struct recording_file){ .next_index = 0 };
    buffer_init(&r->bytes, RECORDING_FILE_MAX_BYTES);
    recording_put_header(stream, buffer_extend(&r->bytes, RECORDING_HEADER_BYTES));
}

static inline void recording_file_done(struct recording_file *r)
{
    buffer_done(&r->bytes);
}

static inline void recording_file_add(struct recording_file *r, enum recording_kind kind,
                                      const void *payload, size_t len_bytes)
{
    const struct recording_record record = {
        .kind = (uint32_t)kind,
        .index = r->next_index,
        .wall_ns = RECORDING_FILE_WALL_NS(r->next_index),
        .payload = payload,
        .len_bytes = len_bytes,
    };

    r->next_index++;
    r->last_offset = r->bytes.len_bytes;
    recording_put_head(&record, buffer_extend(&r->bytes, RECORDING_HEAD_BYTES));
    buffer_append(&r->bytes, payload, len_bytes);
}

static inline void recording_file_note(struct recording_file *r, enum recording_kind kind,
                                       uint32_t code, const char *text)
{
    BUFFER_AUTO(payload, 4096);

    recording_put_note(&payload, code, text);
    recording_file_add(r, kind, payload.data, payload.len_bytes);
}

static inline void recording_file_close(struct recording_file *r)
{
    recording_file_note(r, RECORDING_CLOSED, 0, "ended by a signal");
}

static inline void recording_file_gap(struct recording_file *r, xenres_watch_gap gap)
{
    uint8_t payload[RECORDING_GAP_BYTES];

    recording_put_gap(&gap, payload);
    recording_file_add(r, RECORDING_GAP, payload, sizeof(payload));
}

/* The messages that the say_…() of client_watch.h have put into `stream`, which is emptied: they
 * stand there as chunks of an envelope each. What is no message (a stream's own end) is left out. */
static inline void recording_file_messages(struct recording_file *r, struct buffer *stream)
{
    size_t at = 0;

    while (at < stream->len_bytes) {
        char *end;
        size_t chunk = strtoul((const char *)stream->data + at, &end, 16);
        const uint8_t *envelope = (const uint8_t *)end + 2;

        if (envelope[0] == 0) {
            recording_file_add(r, RECORDING_MESSAGE, envelope + 5, chunk - 5);
        }
        at = (size_t)(envelope - stream->data) + chunk + 2;
    }
    buffer_reset(stream);
}

/* A descriptor of a file with the first `len_bytes` of it. */
static inline int recording_file_open(const struct recording_file *r, size_t len_bytes)
{
    int fd = memfd_create("recording", MFD_CLOEXEC);

    assert_true(fd >= 0);
    for (size_t at = 0; at < len_bytes;) {
        ssize_t written = write(fd, r->bytes.data + at, len_bytes - at);

        assert_true(written > 0);
        at += (size_t)written;
    }
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

#endif
