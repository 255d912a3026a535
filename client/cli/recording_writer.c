/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/recording_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/scope.h"

enum { SYNC_EVERY_S = 5, NOTE_BYTES = RECORDING_NOTE_MAX_BYTES + sizeof(uint32_t) };

static int refuse(struct failure *f, const char *what, const char *path, const char *next_step)
{
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "%s: %s", path, what);

    return failure_next(f, result, "%s", next_step);
}

static int cannot_write(struct recording_writer *w, int errnum, struct failure *f)
{
    int result = failure_set(f, ERROR_UNKNOWN, "cannot record to %s", w->path);

    w->failed = true;
    result = failure_cause(f, result, "%s: %s", error_errno_name(errnum), strerror(errnum));
    return failure_next(f, result,
                        errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG
                            ? "make room, then go on with the same command and --resume"
                            : "name a file in a folder where you may write");
}

static int open_either(const char *path, bool may_exist, bool *is_new)
{
    int flags = O_RDWR | O_CLOEXEC | O_NOCTTY;
    int fd = open(path, flags | O_CREAT | O_EXCL, 0600);

    *is_new = fd >= 0;
    return fd < 0 && errno == EEXIST && may_exist ? open(path, flags) : fd;
}

int recording_writer_open(struct recording_writer *w, const char *path, bool may_exist,
                          bool *is_new, struct failure *f)
{
    struct stat there;
    bool made;

    *w = (struct recording_writer){ .fd = -1, .path = path };
    SCOPE_FD int fd = open_either(path, may_exist, &made);

    if (fd < 0) {
        return errno == EEXIST ? refuse(f, "it is there already", path,
                                        "go on with it by --resume, or name another file")
                               : cannot_write(w, errno, f);
    }
    if (fstat(fd, &there) != 0 || !S_ISREG(there.st_mode)) {
        return refuse(f, "it is no regular file", path,
                      "name one: nothing else can be gone on with");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? refuse(f, "another program records to it", path,
                                             "wait for its end, or name another file")
                                    : cannot_write(w, errno, f);
    }
    w->fd = scope_take_fd(&fd);
    *is_new = made || there.st_size == 0;
    return 0;
}

/* All of it, or nothing: what was written of it is taken back, so that the file stays whole. */
static int write_all(struct recording_writer *w, struct iovec *parts, int count)
{
    size_t total = 0, written = 0;
    int errnum = 0;

    for (int i = 0; i < count; i++) {
        total += parts[i].iov_len;
    }
    while (written < total && errnum == 0) {
        ssize_t now = pwritev(w->fd, parts, count, (off_t)(w->end_bytes + written));

        if (now > 0) {
            written += (size_t)now;
            for (int i = 0; i < count; i++) {
                size_t done = (size_t)now < parts[i].iov_len ? (size_t)now : parts[i].iov_len;

                parts[i].iov_base = (uint8_t *)parts[i].iov_base + done;
                parts[i].iov_len -= done;
                now -= (ssize_t)done;
            }
        } else if (now == 0 || errno != EINTR) {
            errnum = now == 0 ? EIO : errno;
        }
    }
    if (errnum != 0) {
        int is_cut = ftruncate(w->fd, (off_t)w->end_bytes);

        (void)is_cut; /* else a torn tail is left, which readers know */
        return -errnum;
    }
    w->end_bytes += total;
    return 0;
}

int recording_writer_begin(struct recording_writer *w, enum recording_stream stream,
                           struct failure *f)
{
    uint8_t header[RECORDING_HEADER_BYTES];
    struct iovec part = { header, sizeof(header) };

    recording_put_header(stream, header);
    int result = write_all(w, &part, 1);

    return result == 0 ? 0 : cannot_write(w, -result, f);
}

int recording_writer_go_on(struct recording_writer *w, uint64_t end_bytes, uint64_t next_index,
                           struct failure *f)
{
    w->end_bytes = end_bytes;
    w->next_index = next_index;
    return ftruncate(w->fd, (off_t)end_bytes) == 0 ? 0 : cannot_write(w, errno, f);
}

int recording_writer_reader(const struct recording_writer *w, struct failure *f)
{
    char name[64];

    /* Not a duplicate: that would share its place in the file. */
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", w->fd);
    int fd = open(name, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        int result = failure_set(f, ERROR_UNKNOWN, "cannot read %s", w->path);

        return failure_cause(f, result, "%s: %s", error_errno_name(errno), strerror(errno));
    }
    return fd;
}

static int put(struct recording_writer *w, enum recording_kind kind, uint64_t wall_ns,
               const void *payload, size_t len_bytes)
{
    const struct recording_record record = {
        .kind = (uint32_t)kind,
        .index = w->next_index,
        .wall_ns = wall_ns,
        .payload = payload,
        .len_bytes = len_bytes,
    };
    uint8_t head[RECORDING_HEAD_BYTES];
    struct iovec parts[] = {
        { head, sizeof(head) }, { (void *)(uintptr_t)payload, len_bytes }, /* only read */
    };

    recording_put_head(&record, head);
    int result = write_all(w, parts, len_bytes > 0 ? 2 : 1);

    w->next_index += result == 0;
    return result;
}

/* The file cannot take what came. Its end may still have room to say so. */
static int give_up(struct recording_writer *w, uint64_t wall_ns, int errnum, struct failure *f)
{
    BUFFER_AUTO(payload, NOTE_BYTES);

    recording_put_note(&payload, ERROR_RESOURCE_EXHAUSTED, strerror(errnum));
    (void)put(w, RECORDING_CLOSED, wall_ns, payload.data, payload.len_bytes);
    return cannot_write(w, errnum, f);
}

int recording_writer_append(struct recording_writer *w, enum recording_kind kind, uint64_t wall_ns,
                            const void *payload, size_t len_bytes, struct failure *f)
{
    if (len_bytes > RECORDING_PAYLOAD_MAX_BYTES) {
        return give_up(w, wall_ns, EMSGSIZE, f);
    }
    int result = put(w, kind, wall_ns, payload, len_bytes);

    return result == 0 ? 0 : give_up(w, wall_ns, -result, f);
}

int recording_writer_sync(struct recording_writer *w, struct failure *f)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (w->synced_ns != 0 && now_ns - w->synced_ns < SYNC_EVERY_S * CLOCK_NS_PER_S) {
        return 0;
    }
    w->synced_ns = now_ns;
    return fdatasync(w->fd) == 0 ? 0 : cannot_write(w, errno, f);
}

int recording_writer_close(struct recording_writer *w, struct failure *f)
{
    int result = 0;

    if (w->fd < 0) {
        return 0;
    }
    if (!w->failed && fsync(w->fd) != 0) {
        result = cannot_write(w, errno, f);
    }
    if (close(scope_take_fd(&w->fd)) != 0 && !w->failed) {
        result = cannot_write(w, errno, f);
    }
    return result;
}

void recording_writer_abandon(struct recording_writer *w)
{
    if (w->fd >= 0) {
        (void)close(scope_take_fd(&w->fd));
    }
}
