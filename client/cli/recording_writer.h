/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Writes a recording, in place: whatever kills the program, what was written before is a recording,
 * and so is what is left where the disk is full. A file belongs to one recorder at a time (flock). A
 * new one has mode 0600, as guests' pages may be secrets. After a failure nothing more is written. One
 * owner, one thread.
 */
#ifndef XENRES_CLI_RECORDING_WRITER_H
#define XENRES_CLI_RECORDING_WRITER_H

#include "client/cli/recording.h"

struct recording_writer {
    int fd; /* -1: none */
    const char *path;
    uint64_t end_bytes; /* of the last record that is whole */
    uint64_t next_index;
    uint64_t synced_ns; /* monotonic */
    bool failed;        /* nothing more is written */
};

#define RECORDING_WRITER_AUTO                                                                      \
    __attribute__((cleanup(recording_writer_abandon))) struct recording_writer

/* Negative codes below: -ERROR_UNKNOWN with the errno as the cause, -ERROR_FAILED_PRECONDITION for a
 * file that is another's, or not for this. */

/* Opens `path`, new or there already: *is_new says which. `path` is not copied. Nothing is written
 * yet. One that is there is only opened with `may_exist`. */
int recording_writer_open(struct recording_writer *w, const char *path, bool may_exist,
                          bool *is_new, struct failure *f);
/* A new file's header. */
int recording_writer_begin(struct recording_writer *w, enum recording_stream stream,
                           struct failure *f);
/* Goes on behind the first `end_bytes`, which hold `next_index` records: what is behind is cut. */
int recording_writer_go_on(struct recording_writer *w, uint64_t end_bytes, uint64_t next_index,
                           struct failure *f);
/* Another descriptor of the file, at its beginning, to read it; negative: it cannot be had. */
int recording_writer_reader(const struct recording_writer *w, struct failure *f);

int recording_writer_append(struct recording_writer *w, enum recording_kind kind, uint64_t wall_ns,
                            const void *payload, size_t len_bytes, struct failure *f);
/* On to the disk, at most every few seconds: for after what one can go on from. */
int recording_writer_sync(struct recording_writer *w, struct failure *f);
/* All to the disk, and done. */
int recording_writer_close(struct recording_writer *w, struct failure *f);
/* Without a word. Harmless after recording_writer_close(). */
void recording_writer_abandon(struct recording_writer *w);

#endif
