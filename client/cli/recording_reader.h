/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Reads a recording from its beginning to its end. The file is hostile: sizes are bounded, memory is
 * taken as bytes come, and time is linear in its length. What cannot be read is told, and never
 * skipped in silence. One owner, one thread.
 */
#ifndef XENRES_CLI_RECORDING_READER_H
#define XENRES_CLI_RECORDING_READER_H

#include <stdio.h>

#include "client/cli/recording.h"

enum recording_found {
    RECORDING_FOUND_RECORD,
    /* A record whose payload is not what was written: its head can be believed. Go on. */
    RECORDING_FOUND_DAMAGE,
    RECORDING_FOUND_END,
    /* What a recorder leaves that was killed, or whose machine stopped: the last record is not all
     * there, or zeroes are. Nothing is behind it. */
    RECORDING_FOUND_TORN,
    /* The head of a record is damaged, so that where the next one begins is not known. */
    RECORDING_FOUND_UNREADABLE,
};

struct recording_reader {
    FILE *file;
    enum recording_stream stream;
    uint64_t offset_bytes; /* of what recording_reader_next() looks at next */
    struct buffer payload;
};

#define RECORDING_READER_AUTO                                                                      \
    __attribute__((cleanup(recording_reader_close))) struct recording_reader

struct recording_step {
    enum recording_found found;
    uint64_t offset_bytes;          /* where it begins */
    uint64_t len_bytes;             /* in the file, of all that this step is about */
    struct recording_record record; /* the payload lives until the next call; of damage, none */
};

/* `fd` is the reader's from now on, also on failure; it begins where the descriptor stands, which has
 * to be the file's beginning. As recording_get_header(); -ERROR_UNKNOWN with the errno in the
 * failure: cannot be read. Initialise it with { 0 } before. */
int recording_reader_open(struct recording_reader *r, int fd, struct failure *f);
/* The same by a file's name. */
int recording_reader_open_path(struct recording_reader *r, const char *path, struct failure *f);
/* After the last three of the steps there is nothing more: END follows them. -ERROR_UNKNOWN as above,
 * -ERROR_RESOURCE_EXHAUSTED: no memory. */
int recording_reader_next(struct recording_reader *r, struct recording_step *step,
                          struct failure *f);
void recording_reader_close(struct recording_reader *r);

#endif
