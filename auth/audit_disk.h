/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What of the audit is on the disk, and what may have been lost on the way there. The kernel tells one call
 * of what it could not write, and the next one that all is well: so it is kept here which records that were.
 *
 * What is there leaves the host's memory, but for the end of the file that is written: a busy service writes
 * megabytes a second, which nobody reads, and which would push out what others need. Once the disk has
 * failed, that ends: what is in memory may be all that there is.
 *
 * Whoever calls sees to one thread at a time.
 */
#ifndef XENRES_AUTH_AUDIT_DISK_H
#define XENRES_AUTH_AUDIT_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { AUDIT_CACHED_BYTES = 1 << 20 }; /* of the file's end, at least, for whoever follows it */

/* Zeros: nothing is there. */
struct audit_disk {
    uint64_t synced; /* the last record that is */
    uint64_t lost_from,
        lost_to;           /* those behind the one, up to the other: some may have been lost */
    off_t forgotten_bytes; /* of the file that is written */
};

/* The files with all that was written up to the record `last`; they are the caller's, and stay so. */
struct audit_written {
    uint64_t last;
    int aside;                /* one that was put aside, -1: none */
    int fd;                   /* the one that is written now, -1: none */
    off_t aside_bytes, bytes; /* audit_disk_sync()'s: so much of them it was about */
};

/* Takes them there; no lock is needed. 0, or errno: then what was written meanwhile may have been lost as
 * well. */
int audit_disk_sync(struct audit_written *w);

/* What has come of it. The records up to `last` are there … */
void audit_disk_has(struct audit_disk *d, uint64_t last);
/* … or of those behind what is there, up to `last`, some may have been lost. How many of them nobody has
 * counted yet. Late comers are told so from the first such moment on: better too many of them than one who
 * is told that his is there. */
uint64_t audit_disk_lose(struct audit_disk *d, uint64_t last);
/* 0: it is there. 1: it is not, yet. -1: it may have been lost. */
int audit_disk_find(const struct audit_disk *d, uint64_t sequence);
/* What is there leaves memory, see above. */
void audit_disk_forget(struct audit_disk *d, const struct audit_written *w);

#endif
