/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What audit_log.c and audit_recovery.c know of a log; the former owns it. Nobody else includes this. What
 * has to be written next is kept here until it is, so that whatever failed can be tried again.
 */
#ifndef XENRES_AUTH_AUDIT_LOG_STATE_H
#define XENRES_AUTH_AUDIT_LOG_STATE_H

#include "auth/audit_log.h"

struct audit_log {
    struct audit_crypto *crypto;
    struct audit_state *state;
    struct audit_file file;
    struct audit_position position;
    uint64_t max_bytes;
    unsigned keep;
    uint64_t keep_s;
    bool is_recovered; /* what the last one left was looked at, and is as it is to be */

    /* What comes before anything else, until it is written: an empty file's first record, and what was
     * found at the start. */
    struct {
        const char *why;
        char previous[PATH_MAX]; /* the file before; "" where none is known */
    } begun;
    struct {
        const char *detail; /* NULL: nothing */
        uint64_t records, torn_bytes;
    } recovered;

    /* How far the file's end came, where the rest failed; `last` has a higher number now: not at all. */
    struct {
        enum { END_NONE, END_SAID, END_SIGNED } step;
        uint64_t last;
    } end;
    struct {
        int fd; /* of the file that was put aside, until somebody takes it to the disk; -1: none */
        int errnum; /* why one before it may not be there */
    } aside;
    uint64_t rotate_at_bytes; /* when it is tried again */
    bool is_said_at_ceiling, is_open_failure_said;

    /* Of a batch, as they are written. */
    char lines[AUDIT_BATCH_BYTES + AUDIT_BATCH_RECORDS * (AUDIT_SEQUENCE_BYTES + AUDIT_TAIL_BYTES)];
};

/* Of the file that is empty now, or will be the next one. */
void audit_log_owe_begun(struct audit_log *l, const char *why, const char *previous);
/* What is at our path, or a file that is made there. -1 with errno; why is said once. */
int audit_log_open_file(struct audit_log *l, struct audit_file *out);
/* The file that was written is put aside, and has yet to go to the disk. */
void audit_log_leave_file(struct audit_log *l);
/* Puts it aside as PATH.WORD-SEQUENCE, says so, and closes it. -1 with errno: it stays as it was. */
int audit_log_put_aside_damaged(struct audit_log *l, struct audit_file *file, const char *word,
                                char name[PATH_MAX]);

#endif
