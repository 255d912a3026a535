/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The audit of a running service: one record of each decision that matters, xenresd-audit(5).
 *
 * There is no queue. audit_write() returns when the record is with the kernel (and with `each`, on the
 * disk), so that what a decision lets out is never out without its record, whatever becomes of this
 * process then; to wake a thread for that costs more than to do it. Where several decisions are at hand,
 * they share a batch. A thread of its own does what waits: checkpoints, the disk, and trying again what
 * failed.
 *
 * What cannot be written is the operator's choice. `refuse`: audit_write() and audit_check() fail, so that
 * calls are refused and streams end until it works again. `continue`: the service goes on, loudly. Either
 * way the first record afterwards says how many are missing. A disk that loses what it was given counts as
 * that, too, until something has got there: audit_disk.h.
 *
 * Any thread. Locks: the sync lock, which is held while the disk is waited for, then the log's; nothing is
 * called with them but the disk's and the log's own.
 * NULL is an audit that is off: everything succeeds.
 */
#ifndef XENRES_AUTH_AUDIT_H
#define XENRES_AUTH_AUDIT_H

#include "auth/audit_batch.h"
#include "auth/audit_log.h"

enum audit_on_failure { AUDIT_REFUSE, AUDIT_CONTINUE };
enum audit_sync { AUDIT_SYNC_NONE, AUDIT_SYNC_INTERVAL, AUDIT_SYNC_EACH };
enum {
    AUDIT_CHECKPOINT_RECORDS = 1000,
    AUDIT_CHECKPOINT_S = 60,
    AUDIT_TICK_MS =
        1000, /* between looks of its thread: how long what failed is not tried again, and
                             with `interval`, what is not on the disk yet */
};

struct audit;
struct audit_options {
    struct audit_log_options log;
    enum audit_on_failure on_failure;
    enum audit_sync sync;
    unsigned checkpoint_records, checkpoint_ms, flood_ms, tick_ms;
    /* On its thread, with no lock: each checkpoint's line, without its newline; and when writing begins
     * to fail and when it works again. May be NULL. */
    void (*on_checkpoint)(void *arg, const char *line, uint64_t sequence);
    void (*on_failing)(void *arg, bool is_failing);
    void *arg;
};

/* Opens it, while rights to do so are there, and says once where the key is that was made. */
int audit_new(const struct audit_options *options, struct audit **out, struct failure *f);
/* Goes on with the chain, and begins its thread. -ERROR_FAILED_PRECONDITION with what to do. */
int audit_start(struct audit *a, struct failure *f);
/* Writes what was suppressed, `stop` and a last checkpoint. NULL, and one that was not started, are fine. */
void audit_stop(struct audit *a);

/* 0, also where it failed and the service is to go on; -ERROR_UNAVAILABLE: what the record is of must not
 * happen. Who only tells of what has happened (a denial, an end) need not look. */
int audit_write(struct audit *a, const struct audit_record *r, struct failure *f);
/* The same of several records, in two steps. The first writes all that are in the batch, which is not empty,
 * or none of them. The second is for each of what they are of, before it happens: it says what audit_write()
 * would, and waits for the disk where that is asked for. */
struct audit_receipt {
    bool is_written;
    uint64_t sequence; /* of the last of them */
};
void audit_write_batch(struct audit *a, const struct audit_batch *b, struct audit_receipt *out);
int audit_settle(struct audit *a, const struct audit_receipt *r, struct failure *f);
/* May anybody be served now? -ERROR_UNAVAILABLE with cause and next step. Cheap. */
int audit_check(const struct audit *a, struct failure *f);
/* The file was put aside: go on in a new one. */
void audit_reopen(struct audit *a);

struct audit_counters {
    uint64_t records, lost, suppressed, checkpoints;
    uint64_t unsigned_records;   /* since the last checkpoint */
    uint64_t checkpoint_wall_ns; /* of the last one; 0: none yet */
    bool is_failing;
};
void audit_count(const struct audit *a, struct audit_counters *out); /* zeros for NULL */

#endif
