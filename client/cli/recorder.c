/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/recorder.h"

#include <inttypes.h>
#include <unistd.h>

#include "client/cli/player.h"

enum { HOST_MAX_BYTES = 1 << 20 };

static int on_event(void *arg, const struct recording_record *record,
                    const struct recording_note *note)
{
    struct recorder *r = arg;

    (void)note;
    if (record->kind == RECORDING_REQUEST) {
        buffer_reset(&r->recorded_request);
        buffer_append(&r->recorded_request, record->payload, record->len_bytes);
    }
    return 0;
}

static int refuse(struct recorder *r, const char *what, struct failure *f)
{
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "%s: %s", r->writer.path, what);

    return failure_next(f, result, "record to another file");
}

/* Reads what is there, and goes on behind it. */
static int take_up(struct recorder *r, struct failure *f)
{
    RECORDING_READER_AUTO reader = { 0 };
    struct player player = { .ledger = &r->ledger, .event = on_event, .arg = r };
    int fd = recording_writer_reader(&r->writer, f);
    int result = fd < 0 ? fd : recording_reader_open(&reader, fd, f);

    if (result == 0 && reader.stream != r->stream) {
        return refuse(r, "it is a recording of something else", f);
    }
    if (result == 0) {
        result = player_run(&player, &reader, f);
    }
    if (result == 0 && player.is_unreadable) {
        result = failure_set(f, ERROR_DATA_LOSS, "%s is damaged from byte %" PRIu64 " on",
                             r->writer.path, player.end_bytes);
        result = failure_cause(f, result, "no recorder leaves it so, whatever ended it");
        return failure_next(f, result, "keep it, and record to another file");
    }
    return result == 0 ? recording_writer_go_on(&r->writer, player.end_bytes, player.next_index, f)
                       : result;
}

int recorder_open(struct recorder *r, const char *path, enum recording_stream stream, bool resume,
                  struct failure *f)
{
    *r = (struct recorder){ .writer.fd = -1, .stream = stream };
    ledger_init(&r->ledger, NULL, NULL);
    buffer_init(&r->request, RECORDER_REQUEST_MAX_BYTES);
    buffer_init(&r->recorded_request, RECORDER_REQUEST_MAX_BYTES);
    buffer_init(&r->host, HOST_MAX_BYTES);
    int result = recording_writer_open(&r->writer, path, resume, &r->is_new, f);

    if (result == 0 && !r->is_new) {
        result = take_up(r, f);
    }
    r->is_on = result == 0;
    return result;
}

const char *recorder_cursor(const struct recorder *r)
{
    const struct ledger *l = &r->ledger;

    /* Where the content is not known any more, it has to come again, and not what is behind a place
     * of before. */
    return l->awaits_whole ? "" : l->cursor;
}

const char *recorder_feed(const struct recorder *r, uint64_t *sequence)
{
    const struct ledger *l = &r->ledger;

    if (l->feed[0] == '\0' || !l->has_last || l->last < l->cursor_sequence) {
        return NULL;
    }
    *sequence = l->last;
    return l->feed;
}

/* --- records --- */

/* What stands before the first message. */
static int begin(struct recorder *r, uint64_t wall_ns, struct failure *f)
{
    struct recording_writer *w = &r->writer;
    int result = 0;

    if (r->is_new) {
        result = recording_writer_begin(w, r->stream, f);
    }
    if (result == 0) {
        r->has_begun = true;
        result = recording_writer_append(w, RECORDING_REQUEST, wall_ns, r->request.data,
                                         r->request.len_bytes, f);
    }
    if (result == 0 && r->host.len_bytes > 0) {
        result =
            recording_writer_append(w, RECORDING_HOST, wall_ns, r->host.data, r->host.len_bytes, f);
    }
    return result;
}

static int append(struct recorder *r, enum recording_kind kind, uint64_t wall_ns,
                  const void *payload, size_t len_bytes)
{
    int result = 0;

    if (!r->is_on) {
        return 0;
    }
    if (!r->has_begun) {
        result = begin(r, wall_ns, &r->failure);
    }
    if (result == 0) {
        result =
            recording_writer_append(&r->writer, kind, wall_ns, payload, len_bytes, &r->failure);
    }
    r->is_on = result == 0;
    return result;
}

int recorder_message(struct recorder *r, uint64_t wall_ns, const void *message, size_t len_bytes)
{
    return append(r, RECORDING_MESSAGE, wall_ns, message, len_bytes);
}

int recorder_gap(struct recorder *r, uint64_t wall_ns, const xenres_watch_gap *gap)
{
    uint8_t payload[RECORDING_GAP_BYTES];

    recording_put_gap(gap, payload);
    return append(r, RECORDING_GAP, wall_ns, payload, sizeof(payload));
}

static int note(struct recorder *r, enum recording_kind kind, uint64_t wall_ns, uint32_t code,
                const char *why)
{
    BUFFER_AUTO(payload, RECORDING_NOTE_MAX_BYTES + sizeof(uint32_t));

    recording_put_note(&payload, code, why);
    return append(r, kind, wall_ns, payload.data, payload.len_bytes);
}

int recorder_interrupted(struct recorder *r, uint64_t wall_ns, uint32_t code, const char *why)
{
    return r->has_begun ? note(r, RECORDING_INTERRUPTED, wall_ns, code, why) : 0;
}

int recorder_checkpoint(struct recorder *r)
{
    int result = r->is_on ? recording_writer_sync(&r->writer, &r->failure) : 0;

    r->is_on = r->is_on && result == 0;
    return result;
}

int recorder_close(struct recorder *r, uint64_t wall_ns, uint32_t code, const char *why)
{
    int result = 0;

    if (r->has_begun) {
        result = note(r, RECORDING_CLOSED, wall_ns, code, why);
    } else if (r->is_on && r->is_new) {
        (void)unlink(r->writer.path);
    }
    int closed = recording_writer_close(&r->writer, &r->failure);

    r->is_on = false;
    return result != 0 ? result : closed;
}

void recorder_done(struct recorder *r)
{
    recording_writer_abandon(&r->writer);
    buffer_done(&r->request);
    buffer_done(&r->recorded_request);
    buffer_done(&r->host);
}
