/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/recording_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/scope.h"

enum { PIECE_BYTES = 1 << 20 }; /* read at once: what a length that lies can make us allocate */

static int cannot_read(struct failure *f, int errnum)
{
    int result = failure_set(f, ERROR_UNKNOWN, "the recording cannot be read");

    result = failure_cause(f, result, "%s: %s", error_errno_name(errnum), strerror(errnum));
    return failure_next(f, result, "name a file that can be read");
}

int recording_reader_open(struct recording_reader *r, int fd, struct failure *f)
{
    uint8_t header[RECORDING_HEADER_BYTES] = { 0 };

    buffer_init(&r->payload, RECORDING_PAYLOAD_MAX_BYTES);
    r->file = fdopen(fd, "rb");
    if (r->file == NULL) {
        int result = cannot_read(f, errno);

        (void)close(fd);
        return result;
    }
    r->offset_bytes = fread(header, 1, sizeof(header), r->file);
    if (ferror(r->file)) {
        return cannot_read(f, errno);
    }
    return recording_get_header(header, &r->stream, f);
}

int recording_reader_open_path(struct recording_reader *r, const char *path, struct failure *f)
{
    SCOPE_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    return fd < 0 ? cannot_read(f, errno) : recording_reader_open(r, scope_take_fd(&fd), f);
}

/* All of `len_bytes`, as far as the file has them. */
static int read_payload(struct recording_reader *r, size_t len_bytes, struct failure *f)
{
    buffer_reset(&r->payload);
    while (len_bytes > 0) {
        size_t wanted = len_bytes < PIECE_BYTES ? len_bytes : PIECE_BYTES;
        uint8_t *room = buffer_extend(&r->payload, wanted);

        if (room == NULL) {
            return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a record");
        }
        size_t got = fread(room, 1, wanted, r->file);

        if (got < wanted) {
            r->payload.len_bytes -= wanted - got;
            return ferror(r->file) ? cannot_read(f, errno) : 0;
        }
        len_bytes -= got;
    }
    return 0;
}

/* Everything behind the bytes at hand: how much it is, and whether all of it is zeroes. */
static int read_rest(struct recording_reader *r, uint64_t *len_bytes, bool *is_zero,
                     struct failure *f)
{
    uint8_t piece[4096];
    size_t got;

    while ((got = fread(piece, 1, sizeof(piece), r->file)) > 0) {
        for (size_t i = 0; i < got && *is_zero; i++) {
            *is_zero = piece[i] == 0;
        }
        *len_bytes += got;
    }
    return ferror(r->file) ? cannot_read(f, errno) : 0;
}

static bool is_at_end(FILE *file)
{
    int next = getc(file);

    if (next != EOF) {
        (void)ungetc(next, file);
    }
    return next == EOF;
}

static int take_bad_head(struct recording_reader *r, const uint8_t head[RECORDING_HEAD_BYTES],
                         struct recording_step *step, struct failure *f)
{
    static const uint8_t zeroes[RECORDING_HEAD_BYTES];
    bool is_zero = memcmp(head, zeroes, sizeof(zeroes)) == 0;

    step->len_bytes = RECORDING_HEAD_BYTES;
    int result = read_rest(r, &step->len_bytes, &is_zero, f);

    step->found = is_zero ? RECORDING_FOUND_TORN : RECORDING_FOUND_UNREADABLE;
    return result;
}

static int take_record(struct recording_reader *r, const struct recording_head *head,
                       struct recording_step *step, struct failure *f)
{
    int result = read_payload(r, head->len_bytes, f);

    if (result != 0) {
        return result;
    }
    step->len_bytes = RECORDING_HEAD_BYTES + r->payload.len_bytes;
    step->record = (struct recording_record){
        .kind = head->kind,
        .index = head->index,
        .wall_ns = head->wall_ns,
        .payload = r->payload.data,
        .len_bytes = r->payload.len_bytes,
    };
    bool is_whole = r->payload.len_bytes == head->len_bytes;
    bool is_good =
        is_whole && recording_checksum(r->payload.data, r->payload.len_bytes) == head->payload_crc;

    if (is_good) {
        step->found = RECORDING_FOUND_RECORD;
        return 0;
    }
    step->found = is_whole && !is_at_end(r->file) ? RECORDING_FOUND_DAMAGE : RECORDING_FOUND_TORN;
    step->record.payload = NULL;
    step->record.len_bytes = 0;
    return 0;
}

int recording_reader_next(struct recording_reader *r, struct recording_step *step,
                          struct failure *f)
{
    uint8_t bytes[RECORDING_HEAD_BYTES];
    struct recording_head head;
    int result = 0;

    *step =
        (struct recording_step){ .found = RECORDING_FOUND_END, .offset_bytes = r->offset_bytes };
    size_t got = fread(bytes, 1, sizeof(bytes), r->file);

    if (ferror(r->file)) {
        return cannot_read(f, errno);
    }
    if (got > 0 && got < sizeof(bytes)) {
        step->found = RECORDING_FOUND_TORN;
        step->len_bytes = got;
    } else if (got > 0 && !recording_get_head(bytes, &head)) {
        result = take_bad_head(r, bytes, step, f);
    } else if (got > 0) {
        result = take_record(r, &head, step, f);
    }
    r->offset_bytes += step->len_bytes;
    return result;
}

void recording_reader_close(struct recording_reader *r)
{
    if (r->file != NULL) {
        (void)fclose(r->file);
    }
    r->file = NULL;
    buffer_done(&r->payload);
}
