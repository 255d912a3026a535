/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/guarded_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scope.h"

enum { READ_STEP_BYTES = 16384 };

static int fail_call(struct failure *f, const char *call, const char *doing, const char *path)
{
    int errnum = errno;
    enum error_code code = errnum == ENOENT   ? ERROR_NOT_FOUND
                           : errnum == EEXIST ? ERROR_ALREADY_EXISTS
                                              : ERROR_FAILED_PRECONDITION;
    int result = failure_set(f, code, "cannot %s %s: %s", doing, path, strerror(errnum));

    return failure_call(f, result, call, errnum);
}

static uid_t accepted_user = (uid_t)-1;
static enum guarded_kind accepted_kind;

void guarded_file_accept_user(uid_t user, enum guarded_kind kind)
{
    accepted_user = user;
    accepted_kind = kind;
}

/* Whom such a file may belong to beside root and this process's user; (uid_t)-1: nobody. */
static uid_t other_owner(enum guarded_kind kind)
{
    return kind >= accepted_kind ? accepted_user : (uid_t)-1;
}

/* systemd lets the service's user read its credentials by an access list, which stat() shows as the group's
 * right (acl(5)), and keeps everybody else out of their directory: systemd.exec(5). */
static bool is_credential(const struct stat *st, const char *path)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    size_t len = directory != NULL ? strlen(directory) : 0;

    return len > 0 && directory[0] == '/' && st->st_uid == 0 &&
           (st->st_mode & (S_IRWXG | S_IRWXO)) == S_IRGRP && strncmp(path, directory, len) == 0 &&
           path[len] == '/' && strchr(path + len + 1, '/') == NULL;
}

static int check_stat(const struct stat *st, const char *path, enum guarded_kind kind,
                      struct failure *f)
{
    int result;

    if (!S_ISREG(st->st_mode)) {
        return failure_set(f, ERROR_FAILED_PRECONDITION, "%s is not a regular file", path);
    }
    if (st->st_uid != 0 && st->st_uid != geteuid() && st->st_uid != other_owner(kind)) {
        result =
            failure_set(f, ERROR_FAILED_PRECONDITION, "%s belongs to user %u, who could change it",
                        path, (unsigned)st->st_uid);
        uid_t owner = other_owner(kind) != (uid_t)-1 ? other_owner(kind)
                      : kind == GUARDED_PUBLIC       ? 0
                                                     : geteuid();

        return owner == 0 ? failure_next(f, result, "chown root %s", path)
                          : failure_next(f, result, "chown %u %s", (unsigned)owner, path);
    }
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        result =
            failure_set(f, ERROR_FAILED_PRECONDITION, "%s may be written by others (mode %04o)",
                        path, (unsigned)(st->st_mode & 07777));
        return failure_next(f, result, "chmod go-w %s", path);
    }
    if (kind == GUARDED_SECRET && (st->st_mode & (S_IRWXG | S_IRWXO)) != 0 &&
        !is_credential(st, path)) {
        result = failure_set(f, ERROR_FAILED_PRECONDITION, "%s may be read by others (mode %04o)",
                             path, (unsigned)(st->st_mode & 07777));
        return failure_next(f, result, "chmod 600 %s; if others had access, replace the secret",
                            path);
    }
    return 0;
}

static int read_all(int fd, const char *path, struct buffer *out, struct failure *f)
{
    for (;;) {
        uint8_t piece[READ_STEP_BYTES];
        ssize_t n = read(fd, piece, sizeof piece);

        if (n > 0) {
            bool fits = buffer_append(out, piece, (size_t)n);

            explicit_bzero(piece, (size_t)n); /* it may be a key */
            if (!fits) {
                return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%s is longer than %zu bytes", path,
                                   out->max_bytes);
            }
        } else if (n == 0) {
            return 0;
        } else if (errno != EINTR) {
            return fail_call(f, "read", "read", path);
        }
    }
}

static int (*ask_opener)(const char *path);

void guarded_file_set_opener(int (*opener)(const char *path))
{
    ask_opener = opener;
}

static int open_file(const char *path)
{
    int fd = -1;

    errno = ENOSYS;
    if (ask_opener != NULL) {
        fd = ask_opener(path);
    }
    if (fd >= 0 || errno != ENOSYS) {
        return fd;
    }
    /* O_NONBLOCK: a FIFO in its place must not hold us up. */
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* In one piece: a buffer that grows leaves what it held before behind in the heap, and that may be a key. */
static int make_room(struct buffer *out, const struct stat *st, const char *path, struct failure *f)
{
    size_t len_bytes = st->st_size > 0 ? (size_t)st->st_size : 0;

    if (buffer_extend(out, len_bytes) == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%s is longer than %zu bytes", path,
                           out->max_bytes);
    }
    out->len_bytes -= len_bytes;
    return 0;
}

static int cannot_open(const char *path, struct failure *f)
{
    int errnum = errno;
    int result = fail_call(f, "open", "open", path);

    return errnum == ENOENT
               ? failure_next(f, result, "make the file, or name the one that is meant")
           : errnum == EACCES
               ? failure_next(f, result, "let user %u read it, and enter the folders that it is in",
                              (unsigned)geteuid())
               : result;
}

int guarded_file_read(const char *path, enum guarded_kind kind, struct buffer *out,
                      struct failure *f)
{
    SCOPE_FD int fd = open_file(path);
    struct stat st;
    int result;

    if (fd < 0) {
        return cannot_open(path, f);
    }
    if (fstat(fd, &st) != 0) {
        return fail_call(f, "fstat", "look at", path);
    }
    result = check_stat(&st, path, kind, f);
    if (result == 0) {
        result = make_room(out, &st, path, f);
    }
    return result != 0 ? result : read_all(fd, path, out, f);
}

static int write_all(int fd, const uint8_t *bytes, size_t len_bytes)
{
    while (len_bytes > 0) {
        ssize_t n = write(fd, bytes, len_bytes);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        bytes += n;
        len_bytes -= (size_t)n;
    }
    return 0;
}

/* The directory entry itself reaches the disk only by this. */
static int sync_directory(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);

    SCOPE_FD int fd = -1;

    memcpy(directory, len > 0 ? path : ".", len > 0 ? len : 1);
    directory[len > 0 ? len : 1] = '\0';
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -1 : fsync(fd);
}

/* Makes an empty file of mode 0600 beside `path`. Its descriptor, or a failure. */
static int make_beside(const char *path, char temporary[PATH_MAX], struct failure *f)
{
    int n = snprintf(temporary, PATH_MAX, "%s.XXXXXX", path);
    int fd;

    if (n < 0 || n >= PATH_MAX) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "the path is longer than %d bytes", PATH_MAX);
    }
    fd = mkostemp(temporary, O_CLOEXEC); /* O_EXCL */
    return fd >= 0 ? fd : fail_call(f, "mkostemp", "make", path);
}

int guarded_file_rename(const char *from, const char *to)
{
    struct stat st;

    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return -1;
    }
    if (lstat(to, &st) == 0) {
        errno = EEXIST;
        return -1;
    }
    return errno == ENOENT ? rename(from, to) : -1;
}

/* Renamed, not linked and unlinked: whoever is killed in between leaves it with one name. */
int guarded_file_create(const char *path, enum guarded_kind kind, const void *bytes,
                        size_t len_bytes, struct failure *f)
{
    char temporary[PATH_MAX];
    SCOPE_FD int fd = make_beside(path, temporary, f);
    int result = 0;

    if (fd < 0) {
        return fd;
    }
    if (fchmod(fd, kind == GUARDED_SECRET ? 0600 : 0644) != 0 ||
        write_all(fd, bytes, len_bytes) != 0 || fsync(fd) != 0) {
        result = fail_call(f, "write", "write", path);
    } else if (guarded_file_rename(temporary, path) != 0) {
        result = fail_call(f, "renameat2", "make", path);
    } else if (sync_directory(path) != 0) {
        result = fail_call(f, "fsync", "write the directory of", path);
        (void)unlink(path);
    }
    if (result != 0) {
        (void)unlink(temporary);
    }
    return result;
}

int guarded_file_replace(const char *path, const void *bytes, size_t len_bytes, struct failure *f)
{
    char temporary[PATH_MAX];
    struct stat st;
    int result;

    if (stat(path, &st) != 0) {
        return fail_call(f, "stat", "look at", path);
    }
    result = check_stat(&st, path, GUARDED_PUBLIC, f);
    if (result != 0) {
        return result;
    }
    SCOPE_FD int fd = make_beside(path, temporary, f);

    if (fd < 0) {
        return fd;
    }
    /* The mode last: a change of owner takes bits of it away. */
    if (((st.st_uid != geteuid() || st.st_gid != getegid()) &&
         fchown(fd, st.st_uid, st.st_gid) != 0) ||
        fchmod(fd, st.st_mode & 07777) != 0 || write_all(fd, bytes, len_bytes) != 0 ||
        fsync(fd) != 0 || rename(temporary, path) != 0) {
        result = fail_call(f, "rename", "write", path);
        (void)unlink(temporary);
    } else if (sync_directory(path) != 0) {
        result = fail_call(f, "fsync", "write the directory of", path);
    }
    return result;
}
