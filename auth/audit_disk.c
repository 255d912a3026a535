/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A piece at a time. */
static void forget(struct audit_disk *d, int fd, off_t synced_bytes, off_t kept_bytes)
{
    off_t to = synced_bytes - kept_bytes;

    to -= kept_bytes > 0 ? to % AUDIT_CACHED_BYTES : 0;
    if (d->lost_to == 0 && to > d->forgotten_bytes) {
        (void)posix_fadvise(fd, d->forgotten_bytes, to - d->forgotten_bytes, POSIX_FADV_DONTNEED);
        d->forgotten_bytes = to;
    }
}

static int sync_file(struct audit_disk *d, int fd, off_t kept_bytes)
{
    struct stat before;

    if (fstat(fd, &before) != 0 || fdatasync(fd) != 0) {
        return errno;
    }
    forget(d, fd, before.st_size, kept_bytes);
    return 0;
}

int audit_disk_sync(struct audit_disk *d, const struct audit_written *w)
{
    int errnum = w->lost, why = 0;

    if (w->aside >= 0) {
        why = sync_file(d, w->aside, 0);
        d->forgotten_bytes = 0; /* of the next one */
    }
    errnum = errnum != 0 ? errnum : why;
    if (w->fd >= 0) {
        why = sync_file(d, w->fd, AUDIT_CACHED_BYTES);
    }
    errnum = errnum != 0 ? errnum : why;
    if (errnum == 0) {
        d->synced = w->fd_errnum == 0 ? w->last : d->synced;
        return w->fd_errnum;
    }
    if (d->lost_to <= d->synced) {
        d->lost_from = d->synced;
    }
    d->lost_to = w->last;
    return errnum;
}

int audit_disk_find(const struct audit_disk *d, uint64_t sequence)
{
    if (sequence > d->lost_from && sequence <= d->lost_to) {
        return -1;
    }
    return sequence <= d->synced ? 0 : 1;
}

uint64_t audit_disk_lost(const struct audit_disk *d)
{
    return d->lost_to - d->lost_from;
}
