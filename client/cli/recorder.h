/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Records a watch: what was asked for, of which host, every message as it came, the losses and
 * interruptions that the library found, and how it ended. Goes on with a file that is there already
 * from its last checkpoint. A file in which nothing came to stand is removed again. One thread.
 */
#ifndef XENRES_CLI_RECORDER_H
#define XENRES_CLI_RECORDER_H

#include <xenres.h>

#include "client/cli/ledger.h"
#include "client/cli/recording_writer.h"

enum { RECORDER_REQUEST_MAX_BYTES = 16384 };

struct recorder {
    struct recording_writer writer;
    enum recording_stream stream;
    bool is_on;                     /* false: nothing is recorded, and all below does nothing */
    bool is_new;                    /* the file */
    bool has_begun;                 /* a message of this watch is in it */
    struct ledger ledger;           /* of what was in the file */
    struct buffer request, host;    /* to be written before the first message */
    struct buffer recorded_request; /* the last one that was in the file */
    struct failure failure;         /* the first; code 0: none */
};

#define RECORDER_AUTO __attribute__((cleanup(recorder_done))) struct recorder

/* Opens `path`, new, or with `resume` one that is there, which is read to its end; a torn tail is cut.
 * `path` is not copied. Refused beside what recording_writer_open() refuses: a file that is damaged in
 * such a way that its end cannot be found, or that is of another kind of stream. */
int recorder_open(struct recorder *r, const char *path, enum recording_stream stream, bool resume,
                  struct failure *f);
/* Where to go on from: "" where there is nothing to go on from. */
const char *recorder_cursor(const struct recorder *r);
/* What was told of behind it is known: its feed, and up to which number; NULL: tell all again. */
const char *recorder_feed(const struct recorder *r, uint64_t *sequence);

/* Each returns 0, or a negative code, with `failure` set; after that nothing more is written. */
int recorder_message(struct recorder *r, uint64_t wall_ns, const void *message, size_t len_bytes);
int recorder_gap(struct recorder *r, uint64_t wall_ns, const xenres_watch_gap *gap);
int recorder_interrupted(struct recorder *r, uint64_t wall_ns, uint32_t code, const char *why);
int recorder_checkpoint(struct recorder *r);
/* `code` 0: as it should. */
int recorder_close(struct recorder *r, uint64_t wall_ns, uint32_t code, const char *why);
void recorder_done(struct recorder *r);

#endif
