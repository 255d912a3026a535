/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A folder of a test's own under TMPDIR, removed with the files in it (no folders) at the end. */
#ifndef XENRES_TESTS_FOLDER_H
#define XENRES_TESTS_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FOLDER_PATH_BYTES = 512 };

struct folder {
    char path[FOLDER_PATH_BYTES / 2];
};

/* How many entries it has; with `remove`, none after it. */
static inline unsigned folder_entries(const struct folder *f, int remove_them)
{
    DIR *dir = opendir(f->path);
    const struct dirent *entry;
    unsigned count = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            count++;
            if (remove_them) {
                (void)unlinkat(dirfd(dir), entry->d_name, 0);
            }
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return count;
}

static inline struct folder folder_make(void)
{
    const char *parent = getenv("TMPDIR");
    struct folder f;

    if (snprintf(f.path, sizeof f.path, "%s/folder.XXXXXX", parent != NULL ? parent : "/tmp") >=
            (int)sizeof f.path ||
        mkdtemp(f.path) == NULL) {
        perror("mkdtemp");
        abort();
    }
    return f;
}

static inline void folder_done(struct folder *f)
{
    (void)folder_entries(f, 1);
    (void)rmdir(f->path);
}

#define FOLDER_AUTO __attribute__((cleanup(folder_done))) struct folder

/* Path of a name in it, until the fourth next call. */
static inline const char *folder_path(const struct folder *f, const char *name)
{
    static char paths[4][FOLDER_PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % 4];

    if (snprintf(path, FOLDER_PATH_BYTES, "%s/%s", f->path, name) >= FOLDER_PATH_BYTES) {
        abort();
    }
    return path;
}

/* A file of these bytes, in place of what was there. */
static inline void folder_write(const char *path, const void *bytes, size_t len_bytes)
{
    FILE *file = fopen(path, "we");

    if (file == NULL || fwrite(bytes, 1, len_bytes, file) != len_bytes || fclose(file) != 0) {
        perror(path);
        abort();
    }
}

#endif
