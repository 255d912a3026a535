/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* How much of it is there then. */
static int sync_file(int fd, off_t *bytes)
{
    struct stat before;

    if (fstat(fd, &before) != 0) {
        return errno;
    }
    *bytes = before.st_size;
    return fdatasync(fd) == 0 ? 0 : errno;
}

/* What the kernel has lost it tells only one of those who ask about the same file. */
int audit_disk_sync(struct audit_written *w)
{
    int result = w->aside >= 0 ? sync_file(w->aside, &w->aside_bytes) : 0;
    int why = w->fd >= 0 ? sync_file(w->fd, &w->bytes) : 0;

    return result != 0 ? result : why;
}

void audit_disk_has(struct audit_disk *d, uint64_t last)
{
    d->synced = last;
}

uint64_t audit_disk_lose(struct audit_disk *d, uint64_t last)
{
    uint64_t known = d->lost_to > d->synced ? d->lost_to : d->synced;

    if (d->lost_to == 0) {
        d->lost_from = d->synced;
    }
    d->lost_to = last;
    return last > known ? last - known : 0;
}

int audit_disk_find(const struct audit_disk *d, uint64_t sequence)
{
    if (sequence > d->lost_from && sequence <= d->lost_to) {
        return -1;
    }
    return sequence <= d->synced ? 0 : 1;
}

/* A piece at a time. */
void audit_disk_forget(struct audit_disk *d, const struct audit_written *w)
{
    if (d->lost_to > 0) {
        return;
    }
    if (w->aside >= 0) {
        (void)posix_fadvise(w->aside, 0, w->aside_bytes, POSIX_FADV_DONTNEED);
        d->forgotten_bytes = 0; /* of the next one */
    }
    off_t to = w->bytes - AUDIT_CACHED_BYTES;

    to -= to % AUDIT_CACHED_BYTES;
    if (w->fd >= 0 && to > d->forgotten_bytes) {
        (void)posix_fadvise(w->fd, d->forgotten_bytes, to - d->forgotten_bytes,
                            POSIX_FADV_DONTNEED);
        d->forgotten_bytes = to;
    }
}
