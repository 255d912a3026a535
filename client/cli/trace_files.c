/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/trace_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scope.h"

static const char manifest_name[] = "manifest.json";
static const char unfinished_name[] = "manifest.json.new";

static int fail(struct failure *f, const char *what, const char *name, int errnum)
{
    int result = failure_set(f, errnum == ENOMEM ? ERROR_RESOURCE_EXHAUSTED : ERROR_UNKNOWN,
                             "cannot %s %s", what, name);

    failure_cause(f, result, "%s: %s", error_errno_name(errnum), strerror(errnum));
    return failure_next(f, result, "%s",
                        errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG
                            ? "make room, then go on with record --resume"
                            : "put that right, and ask again");
}

/* --- the folder --- */

static int lock(int fd, const char *path, struct failure *f)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        return 0;
    }
    if (errno != EWOULDBLOCK) {
        return fail(f, "lock", path, errno);
    }
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "%s is being recorded into", path);

    failure_cause(f, result, "another xenres has locked it");
    return failure_next(f, result, "wait for it, or record into another folder");
}

static int check_is_new(int fd, const char *path, struct failure *f)
{
    if (faccessat(fd, manifest_name, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
        return 0;
    }
    int result = failure_set(f, ERROR_ALREADY_EXISTS, "%s holds a recording", path);

    return failure_next(f, result, "go on with it by --resume, or record into another folder");
}

int trace_files_open_to_read(const char *path, int *fd, struct failure *f)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0 ? 0 : fail(f, "open", path, errno);
}

int trace_files_open(const char *path, bool is_new, int *out, struct failure *f)
{
    SCOPE_FD int fd = -1;

    /* Traces are secrets of the guest. */
    if (is_new && mkdir(path, 0700) != 0 && errno != EEXIST) {
        return fail(f, "make", path, errno);
    }
    int result = trace_files_open_to_read(path, &fd, f);

    if (result == 0) {
        result = lock(fd, path, f);
    }
    if (result == 0 && is_new) {
        result = check_is_new(fd, path, f);
    }
    if (result == 0) {
        *out = scope_take_fd(&fd);
    }
    return result;
}

/* --- the manifest --- */

static int read_all(int fd, struct buffer *out, struct failure *f)
{
    for (;;) {
        uint8_t piece[65536];
        ssize_t n = read(fd, piece, sizeof(piece));

        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return fail(f, "read", manifest_name, errno);
        }
        if (n > 0 && !buffer_append(out, piece, (size_t)n)) {
            int result = failure_set(f, ERROR_INVALID_ARGUMENT,
                                     "the manifest is none: it is larger than %d MiB",
                                     MANIFEST_MAX_BYTES >> 20);

            return failure_next(f, result, "use the files of another recording, or of a backup");
        }
    }
}

int trace_files_load(int dir_fd, struct manifest *out, struct failure *f)
{
    BUFFER_AUTO(text, MANIFEST_MAX_BYTES);
    SCOPE_FD int fd = openat(dir_fd, manifest_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        int result = fail(f, "open", manifest_name, errno);

        return failure_next(f, result, "name a folder that \"xenres trace record\" has made");
    }
    int result = read_all(fd, &text, f);

    return result == 0 ? manifest_parse(text.data, text.len_bytes, out, f) : result;
}

static int write_all(int fd, const void *bytes, size_t len_bytes)
{
    const uint8_t *at = bytes;

    while (len_bytes > 0) {
        ssize_t n = write(fd, at, len_bytes);

        if (n < 0 && errno != EINTR) {
            return errno;
        }
        at += n > 0 ? n : 0;
        len_bytes -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int is_not_ours(const char *name, struct failure *f)
{
    int result =
        failure_set(f, ERROR_UNKNOWN, "cannot write %s: it is no file of this recording", name);

    failure_cause(f, result, "a link, a FIFO or the like of that name is there");
    return failure_next(f, result, "remove it, then go on with record --resume");
}

/* What somebody else has put there is neither followed, nor waited at, nor written over. */
static int open_unfinished(int dir_fd, int *out, struct failure *f)
{
    SCOPE_FD int fd = openat(dir_fd, unfinished_name,
                             O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat st;

    if (fd < 0) {
        return errno == ELOOP || errno == ENXIO || errno == EISDIR
                   ? is_not_ours(unfinished_name, f)
                   : fail(f, "write", unfinished_name, errno);
    }
    if (fstat(fd, &st) != 0) {
        return fail(f, "write", unfinished_name, errno);
    }
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
        return is_not_ours(unfinished_name, f);
    }
    if (ftruncate(fd, 0) != 0) {
        return fail(f, "write", unfinished_name, errno);
    }
    *out = scope_take_fd(&fd);
    return 0;
}

int trace_files_save(int dir_fd, const struct manifest *m, struct failure *f)
{
    BUFFER_AUTO(text, MANIFEST_MAX_BYTES);

    if (!manifest_print(m, &text)) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "the manifest is too large, or no memory");
    }
    SCOPE_FD int fd = -1;
    int result = open_unfinished(dir_fd, &fd, f);

    if (result != 0) {
        return result;
    }
    int errnum = write_all(fd, text.data, text.len_bytes);

    if (errnum != 0 || fsync(fd) != 0) {
        return fail(f, "write", unfinished_name, errnum != 0 ? errnum : errno);
    }
    if (renameat(dir_fd, unfinished_name, dir_fd, manifest_name) != 0 || fsync(dir_fd) != 0) {
        return fail(f, "replace", manifest_name, errno);
    }
    return 0;
}

/* --- what is behind it --- */

static int trim_file(int dir_fd, const struct manifest_vcpu *v, size_t number, struct failure *f)
{
    const struct manifest_file *file = &v->files[number];
    char name[MANIFEST_NAME_BYTES];
    struct stat st;

    manifest_file_name(v->vcpu, number, name);
    SCOPE_FD int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0) {
        return fail(f, "open", name, errno);
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < file->bytes) {
        int result =
            failure_set(f, ERROR_DATA_LOSS, "%s has %llu bytes, and the manifest speaks of %llu",
                        name, (unsigned long long)st.st_size, (unsigned long long)file->bytes);

        failure_cause(f, result, "somebody has changed it, or the disk has lost what was written");
        return failure_next(f, result, "see what is missing by xenres verify, and record anew");
    }
    return (uint64_t)st.st_size == file->bytes || ftruncate(fd, (off_t)file->bytes) == 0
               ? 0
               : fail(f, "cut", name, errno);
}

/* Begun, and in no manifest yet. */
static int remove_others(int dir_fd, const struct manifest_vcpu *v, struct failure *f)
{
    for (size_t number = v->file_count; number < MANIFEST_FILES_MAX; number++) {
        char name[MANIFEST_NAME_BYTES];

        manifest_file_name(v->vcpu, number, name);
        if (unlinkat(dir_fd, name, 0) != 0) {
            return errno == ENOENT ? 0 : fail(f, "remove", name, errno);
        }
    }
    return 0;
}

int trace_files_trim(int dir_fd, const struct manifest *m, struct failure *f)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < m->vcpu_count; i++) {
        for (size_t k = 0; result == 0 && k < m->vcpus[i].file_count; k++) {
            result = trim_file(dir_fd, &m->vcpus[i], k, f);
        }
        if (result == 0) {
            result = remove_others(dir_fd, &m->vcpus[i], f);
        }
    }
    return result;
}

/* --- one vCPU --- */

void trace_writer_init(struct trace_writer *w, int dir_fd, struct manifest_vcpu *vcpu)
{
    *w = (struct trace_writer){ .dir_fd = dir_fd, .vcpu = *vcpu, .fd = -1 };
    *vcpu = (struct manifest_vcpu){ .files = NULL };
    (void)pthread_mutex_init(&w->lock, NULL);
}

void trace_writer_done(struct trace_writer *w)
{
    if (w->fd >= 0) {
        (void)close(w->fd);
    }
    manifest_done_vcpu(&w->vcpu);
    (void)pthread_mutex_destroy(&w->lock);
}

static int full(struct trace_writer *w, const char *what)
{
    int result = failure_set(&w->f, ERROR_RESOURCE_EXHAUSTED,
                             "vCPU %u has too many %s for one recording", w->vcpu.vcpu, what);

    failure_cause(&w->f, result, "more is lost than a trace is worth: at most %d are kept",
                  MANIFEST_GAPS_MAX);
    return failure_next(&w->f, result,
                        "trace less (--user, fewer vCPUs), or give the domain a larger buffer");
}

/* What is there already is somebody else's, unless it is gone on with: then it is a file, and not what a
 * writer waits at. */
static int open_bytes(const struct trace_writer *w, const char *name, bool goes_on)
{
    int fd = openat(w->dir_fd, name,
                    O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
                        (goes_on ? 0 : O_CREAT | O_EXCL),
                    0600);
    struct stat st;

    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        (void)close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

/* For the bytes that come: the file that they go on in, or a new one. */
static int open_file(struct trace_writer *w, const xenres_trace_data *d)
{
    struct manifest_vcpu *v = &w->vcpu;
    const struct manifest_file *last = v->file_count > 0 ? &v->files[v->file_count - 1] : NULL;
    bool goes_on = last != NULL && last->segment == d->segment && last->epoch == d->epoch &&
                   last->position + last->bytes == d->position &&
                   last->offset + last->bytes == d->offset;
    char name[MANIFEST_NAME_BYTES];

    if (goes_on && w->fd >= 0) {
        return 0;
    }
    if (w->fd >= 0) {
        if (fdatasync(w->fd) != 0) {
            w->sync_failed = true;
            return fail(&w->f, "write", "the trace", errno);
        }
        (void)close(w->fd);
    }
    manifest_file_name(v->vcpu, goes_on ? v->file_count - 1 : v->file_count, name);
    w->fd = open_bytes(w, name, goes_on);
    if (w->fd < 0) {
        int errnum = errno;
        int result = fail(&w->f, goes_on ? "open" : "make", name, errnum);

        return errnum == EEXIST ? failure_next(&w->f, result, "record into another folder")
                                : result;
    }
    const struct manifest_file file = {
        .position = d->position, .offset = d->offset, .segment = d->segment, .epoch = d->epoch
    };

    return goes_on || manifest_add_file(v, &file) ? 0 : full(w, "stretches without a gap");
}

int trace_writer_begin(struct trace_writer *w, const xenres_trace_begin *b)
{
    pthread_mutex_lock(&w->lock);
    (void)snprintf(w->vcpu.feed, sizeof(w->vcpu.feed), "%s", b->feed);
    pthread_mutex_unlock(&w->lock);
    return 0;
}

static int put(struct trace_writer *w, const xenres_trace_data *d)
{
    int result = open_file(w, d);

    if (result != 0) {
        return result;
    }
    struct manifest_file *file = &w->vcpu.files[w->vcpu.file_count - 1];
    int errnum = write_all(w->fd, d->bytes, d->len_bytes);

    if (errnum != 0) {
        /* What was written of it is behind what counts. */
        w->vcpu.file_count -= file->bytes == 0;
        return fail(&w->f, "write", "the trace", errnum);
    }
    if (d->has_sync && !file->has_sync) {
        file->has_sync = true;
        file->sync = file->bytes + d->sync_offset;
    }
    file->bytes += d->len_bytes;
    w->vcpu.position = d->position + d->len_bytes;
    const struct manifest_time t = { .position = w->vcpu.position,
                                     .tsc = d->tsc,
                                     .monotonic_ns = d->sampled.monotonic_ns,
                                     .seconds = d->sampled.wall_seconds,
                                     .nanoseconds = d->sampled.wall_nanoseconds };

    return manifest_add_time(&w->vcpu, &t)
               ? 0
               : failure_set(&w->f, ERROR_RESOURCE_EXHAUSTED, "no memory");
}

int trace_writer_data(struct trace_writer *w, const xenres_trace_data *data)
{
    pthread_mutex_lock(&w->lock);
    int result = put(w, data);

    pthread_mutex_unlock(&w->lock);
    return result;
}

/* An open loss without a byte that came last, and comes again after a cut. */
static bool is_told(const struct manifest_vcpu *v, const xenres_trace_gap *g)
{
    const struct manifest_gap *last = v->gap_count > 0 ? &v->gaps[v->gap_count - 1] : NULL;

    return g->length == 0 && last != NULL && last->at_least && last->segment == g->segment &&
           last->position + last->length == g->position;
}

int trace_writer_gap(struct trace_writer *w, const xenres_trace_gap *g)
{
    int result = 0;

    pthread_mutex_lock(&w->lock);
    const struct manifest_gap gap = {
        .reason = g->reason,
        .position = g->position,
        .length = g->length,
        .at_least = g->at_least,
        .segment = g->segment,
        .epoch = g->epoch,
        .offset = g->offset,
        .seconds = g->wall_seconds,
        .nanoseconds = g->wall_nanoseconds,
    };

    if (!is_told(&w->vcpu, g)) {
        result = manifest_add_gap(&w->vcpu, &gap) ? 0 : full(w, "gaps");
    }
    if (result == 0) {
        w->vcpu.position = g->position + g->length;
    }
    pthread_mutex_unlock(&w->lock);
    return result;
}

int trace_writer_checkpoint(struct trace_writer *w, const xenres_trace_checkpoint *c)
{
    pthread_mutex_lock(&w->lock);
    (void)snprintf(w->vcpu.cursor, sizeof(w->vcpu.cursor), "%s", c->cursor);
    pthread_mutex_unlock(&w->lock);
    return 0;
}

int trace_writer_interrupted(struct trace_writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->vcpu.interruptions += w->vcpu.interruptions < UINT32_MAX;
    pthread_mutex_unlock(&w->lock);
    return 0;
}

int trace_writer_end(struct trace_writer *w, const xenres_trace_end *e)
{
    pthread_mutex_lock(&w->lock);
    w->vcpu.has_end = true;
    w->vcpu.end_reason = e->reason;
    w->vcpu.shutdown_code = e->shutdown_code;
    w->vcpu.end_position = e->position;
    manifest_take_text(w->vcpu.end_message, sizeof(w->vcpu.end_message), e->message);
    if (e->cursor[0] != '\0') {
        (void)snprintf(w->vcpu.cursor, sizeof(w->vcpu.cursor), "%s", e->cursor);
    }
    pthread_mutex_unlock(&w->lock);
    return 0;
}

/* Linux says once of an open file that bytes of it are lost, to whoever asks first: the thread that writes,
 * or the one that saves. 0, or the errno. */
static int sync_once(struct trace_writer *w, int fd)
{
    int errnum = fdatasync(fd) == 0 ? 0 : errno;

    pthread_mutex_lock(&w->lock);
    w->sync_failed = w->sync_failed || errnum != 0;
    errnum = errnum == 0 && w->sync_failed ? EIO : errnum;
    pthread_mutex_unlock(&w->lock);
    return errnum;
}

int trace_writer_settle(struct trace_writer *w, struct manifest_vcpu *out, struct failure *f)
{
    pthread_mutex_lock(&w->lock);
    SCOPE_FD int fd = w->fd >= 0 ? fcntl(w->fd, F_DUPFD_CLOEXEC, 0) : -1;
    int errnum = w->fd >= 0 && fd < 0 ? errno : 0;
    bool is_copied = manifest_copy_vcpu(out, &w->vcpu);

    errnum = w->sync_failed ? EIO : errnum;
    pthread_mutex_unlock(&w->lock);
    if (!is_copied) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    /* Without the lock: it takes as long as the disk does. */
    if (errnum == 0 && fd >= 0) {
        errnum = sync_once(w, fd);
    }
    if (errnum != 0) {
        manifest_done_vcpu(out);
        return fail(f, "write", "the trace", errnum);
    }
    return 0;
}
