/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The audit as one thread sees it: chain, state and file together. What a record is about is its caller's;
 * what the audit says of itself (files begun and ended, checkpoints, what a killed process left) is
 * written here.
 *
 * A line is in the file before the state knows it. So whoever is killed leaves whole lines that the
 * state does not know yet, and at most one torn line: audit_recovery.h.
 *
 * A file that has its size is put aside. Where that fails, it goes on being written, tried again each time
 * that it has grown by a part, up to AUDIT_CEILING times its size; then nothing can be written. An empty
 * file's first record is always `file_begun`, whatever failed before it. Whoever calls sees to one
 * thread at a time.
 */
#ifndef XENRES_AUTH_AUDIT_LOG_H
#define XENRES_AUTH_AUDIT_LOG_H

#include "auth/audit_batch.h"
#include "auth/audit_file.h"

enum {
    AUDIT_CEILING = 2,    /* sizes that a file may have which cannot be put aside */
    AUDIT_SIZE_PARTS = 8, /* of its size: after one more it is tried again */
};

struct audit_log_options {
    const char *path;      /* of the file */
    const char *state_dir; /* of keys and state */
    struct audit_owner owner;
    uint64_t max_bytes; /* a file that has more is put aside; 0: none is */
    unsigned keep;      /* so many that were; 0: all */
    uint64_t keep_s;    /* … and those that were written since */
};

struct audit_log;
/* Opens all of it, while rights to do so are there. *made: see audit_state_open(). */
int audit_log_open(const struct audit_log_options *options, struct audit_log **out, bool *made,
                   struct failure *f);
/* Goes on where the last one ended, however that was. Where it fails, the next record tries it again. */
int audit_log_recover(struct audit_log *l, struct failure *f);
void audit_log_close(struct audit_log *l); /* NULL is fine */

/* The following return 0, or -1 with errno: then the chain is where it was, or behind records of the
 * audit itself, and nothing but trying again is needed. EFBIG: the ceiling. */
int audit_log_append(struct audit_log *l, const char *body, size_t len);
/* At least one; by one call of the kernel: all or none. */
int audit_log_append_all(struct audit_log *l, const struct audit_batch *batch);
/* `line`, where not NULL, is what was written: AUDIT_LINE_MAX_BYTES. */
int audit_log_checkpoint(struct audit_log *l, char *line, size_t *len);
/* Goes on in a new file if somebody has put ours aside, or in the old one where none can be made. */
int audit_log_reopen(struct audit_log *l);
/* Nothing comes any more, and that is as it should be. */
void audit_log_stop(struct audit_log *l);

uint64_t audit_log_last(const struct audit_log *l); /* sequence of the last record */
int audit_log_fd(const struct audit_log *l);        /* the file that is written now, or -1 */
int audit_log_sync_state(struct audit_log *l);

/* A file that was put aside may not be on the disk yet. It is left to who waits for disks, and not waited
 * for here, unless the one before it was not taken by then. */
bool audit_log_has_aside(const struct audit_log *l);
int audit_log_take_aside(
    struct audit_log *l); /* the caller's to sync and close; -1: there is none */
/* For which errno one did not get there that was waited for here, once; 0: none. */
int audit_log_take_loss(struct audit_log *l);

#endif
