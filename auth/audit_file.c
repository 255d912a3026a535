/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/guarded_file.h"
#include "common/scope.h"

enum { SEQUENCE_DIGITS = 20 };

static int fail_call(struct failure *f, const char *call, const char *path)
{
    int errnum = errno;
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "cannot write the audit to %s: %s", path,
                             strerror(errnum));

    failure_call(f, result, call, errnum);
    return failure_next(f, result, "let the service's user write there, or set audit.file");
}

static int refuse(struct failure *f, const char *path, const char *what, const char *cure)
{
    return failure_next(f, failure_set(f, ERROR_FAILED_PRECONDITION, "%s %s", path, what), "%s",
                        cure);
}

/* Who can write it by another name, or owns it, can change what is in it, or have us write elsewhere. */
static int judge(const struct stat *st, const char *path, const struct audit_owner *owner,
                 struct failure *f)
{
    bool becomes = geteuid() == 0 && owner->uid != (uid_t)-1;

    if (!S_ISREG(st->st_mode)) {
        return refuse(f, path, "is no regular file", "move it away: another one is made");
    }
    if (st->st_nlink != 1) {
        return refuse(f, path, "has another name as well (a hard link), or none any more",
                      "remove the other one (find / -samefile), or move it away");
    }
    if (st->st_uid != (becomes ? owner->uid : geteuid())) {
        return refuse(f, path, "belongs to another user than the service's",
                      "move it away, or chown it to the service's user");
    }
    return (st->st_mode & (S_IWGRP | S_IWOTH)) == 0
               ? 0
               : refuse(f, path, "can be written by others", "chmod 600, after a look at it");
}

int audit_file_examine(const char *path, const struct audit_owner *owner, struct failure *f)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? 0 : fail_call(f, "lstat", path);
    }
    return judge(&st, path, owner, f);
}

/* An existing one is never given away, and never made through a link. What it has is read where that is
 * allowed still: before the service gives its files up. */
static int open_it(struct audit_file *a, struct failure *f)
{
    const int flags = O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    SCOPE_FD int fd = open(a->path, flags | O_WRONLY | O_CREAT | O_EXCL, 0600);
    struct stat st;

    if (fd >= 0 && geteuid() == 0 && a->owner.uid != (uid_t)-1 &&
        fchown(fd, a->owner.uid, a->owner.gid) != 0) {
        return fail_call(f, "fchown", a->path);
    }
    if (fd < 0 && errno == EEXIST) {
        fd = open(a->path, flags | O_RDWR);
        if (fd < 0 && errno == EACCES) {
            fd = open(a->path, flags | O_WRONLY);
        }
    }
    if (fd < 0) {
        return fail_call(f, "open", a->path);
    }
    if (fstat(fd, &st) != 0) {
        return fail_call(f, "fstat", a->path);
    }
    int result = judge(&st, a->path, &a->owner, f);

    if (result == 0) {
        a->fd = scope_take_fd(&fd);
        a->len_bytes = (uint64_t)st.st_size;
        a->is_torn = false;
    }
    return result;
}

int audit_file_open(struct audit_file *a, const char *path, const struct audit_owner *owner,
                    struct failure *f)
{
    struct audit_file opened = { .owner = *owner, .fd = -1 };
    size_t len = strlen(path);

    if (len + SEQUENCE_DIGITS + 16 >= sizeof opened.path) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "the path of the audit is too long");
    }
    memcpy(opened.path, path, len + 1);
    int result = open_it(&opened, f);

    if (result == 0) {
        *a = opened;
    }
    return result;
}

void audit_file_close(struct audit_file *a)
{
    scope_close_fd(&a->fd);
}

static bool take_back(struct audit_file *a)
{
    a->is_torn = ftruncate(a->fd, (off_t)a->len_bytes) != 0;
    return !a->is_torn;
}

int audit_file_append(struct audit_file *a, const char *line, size_t len)
{
    size_t written = 0;

    if (a->is_torn && !take_back(a)) {
        return -1;
    }
    while (written < len) {
        ssize_t n = write(a->fd, line + written, len - written);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            int errnum = n < 0 ? errno : ENOSPC;

            if (written > 0) {
                (void)take_back(a);
            }
            errno = errnum;
            return -1;
        }
        written += (size_t)n;
    }
    a->len_bytes += len;
    return 0;
}

int audit_file_look(struct audit_file *a)
{
    struct stat st;

    if (fstat(a->fd, &st) != 0) {
        return -1;
    }
    a->len_bytes = (uint64_t)st.st_size;
    return 0;
}

bool audit_file_is_replaced(const struct audit_file *a)
{
    struct stat there, ours;

    return stat(a->path, &there) != 0 || fstat(a->fd, &ours) != 0 || there.st_ino != ours.st_ino ||
           there.st_dev != ours.st_dev;
}

static void directory_of(const struct audit_file *a, char directory[PATH_MAX])
{
    const char *slash = strrchr(a->path, '/');
    size_t len = slash == NULL ? 0 : slash == a->path ? 1 : (size_t)(slash - a->path);

    memcpy(directory, len > 0 ? a->path : ".", len > 0 ? len : 1);
    directory[len > 0 ? len : 1] = '\0';
}

bool audit_file_can_rotate(const struct audit_file *a)
{
    char directory[PATH_MAX];

    directory_of(a, directory);
    return access(directory, W_OK | X_OK) == 0;
}

void audit_file_name(const struct audit_file *a, const char *word, uint64_t sequence,
                     char name[PATH_MAX])
{
    int n = snprintf(name, PATH_MAX, "%s.%s%s%0*llu", a->path, word != NULL ? word : "",
                     word != NULL ? "-" : "", SEQUENCE_DIGITS, (unsigned long long)sequence);

    if (n < 0 || n >= PATH_MAX) {
        name[0] = '\0'; /* audit_file_open() has seen to it that it fits */
    }
}

int audit_file_free_name(const struct audit_file *a, const char *word, uint64_t sequence,
                         char name[PATH_MAX])
{
    struct stat st;

    audit_file_name(a, word, sequence, name);
    size_t len = strlen(name);

    for (unsigned i = 1; lstat(name, &st) == 0; i++) {
        if (i > AUDIT_NAMES_MAX) {
            errno = EEXIST;
            return -1;
        }
        (void)snprintf(name + len, PATH_MAX - len, ".%u", i);
    }
    return errno == ENOENT ? 0 : -1;
}

/* What is there already is nobody's to lose. */
int audit_file_put_aside(const struct audit_file *a, const char *name)
{
    return guarded_file_rename(a->path, name);
}

/* Of NAME.20-DIGITS, and nothing else of what is in the directory; 0: it is not one. */
static uint64_t sequence_of(const char *entry, const char *base, size_t base_len)
{
    const char *digits = entry + base_len + 1;

    return strncmp(entry, base, base_len) == 0 && entry[base_len] == '.' &&
                   strlen(digits) == SEQUENCE_DIGITS &&
                   strspn(digits, "0123456789") == SEQUENCE_DIGITS
               ? strtoull(digits, NULL, 10)
               : 0;
}

int audit_file_oldest(const struct audit_file *a, struct audit_file_oldest *out)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(a->path, '/');
    const char *base = slash != NULL ? slash + 1 : a->path;
    uint64_t oldest = UINT64_MAX;
    struct stat st;

    directory_of(a, directory);
    SCOPE_DIR DIR *dir = opendir(directory);
    const struct dirent *entry;

    *out = (struct audit_file_oldest){ .name = "" };
    while (dir != NULL && (entry = readdir(dir)) != NULL) { /* to its end: they have no order */
        uint64_t sequence = sequence_of(entry->d_name, base, strlen(base));

        out->count += sequence > 0;
        oldest = sequence > 0 && sequence < oldest ? sequence : oldest;
    }
    if (dir == NULL || out->count == 0) {
        return dir != NULL ? 0 : -1;
    }
    audit_file_name(a, NULL, oldest, out->name);
    if (lstat(out->name, &st) != 0) {
        return -1;
    }
    out->modified_s = st.st_mtim.tv_sec;
    return 0;
}
