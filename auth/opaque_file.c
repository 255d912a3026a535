/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/opaque_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>

#include "auth/guarded_file.h"
#include "common/scope.h"

/* Until the descriptor is closed, whoever changes a file in the same directory by this waits. */
static int lock_directory(const char *path, struct failure *f)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    int fd, result;

    if (len >= sizeof(directory)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "the path is longer than %d bytes", PATH_MAX);
    }
    memcpy(directory, len > 0 ? path : ".", len > 0 ? len : 1);
    directory[len > 0 ? len : 1] = '\0';
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX) == 0) {
        return fd;
    }
    result =
        failure_set(f, ERROR_FAILED_PRECONDITION, "cannot lock %s: %s", directory, strerror(errno));
    result = failure_call(f, result, fd >= 0 ? "flock" : "open", errno);
    if (fd >= 0) {
        (void)close(fd);
    }
    return result;
}

static int read_whole(const char *path, struct buffer *text, struct opaque_set **set,
                      struct failure *f)
{
    int result = guarded_file_read(path, GUARDED_PUBLIC, text, f);

    if (result == 0) {
        result = opaque_parse(path, text->data != NULL ? (const char *)text->data : "",
                              text->len_bytes, set, f);
    }
    return result;
}

/* What was made has to be what is read: the bounds are the reader's. */
static int check_again(const char *path, const struct buffer *text, struct failure *f)
{
    struct opaque_set *set = NULL;
    int result = opaque_parse(path, (const char *)text->data, text->len_bytes, &set, f);

    opaque_free(set);
    return result == -ERROR_INVALID_ARGUMENT
               ? failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%s has no room for one more token", path)
               : result;
}

int opaque_file_add(const char *path, const char *name, const char *groups, int64_t expires_s,
                    char token[OPAQUE_TOKEN_BYTES], struct failure *f)
{
    BUFFER_AUTO(text, OPAQUE_FILE_MAX_BYTES);
    char made[OPAQUE_TOKEN_BYTES];
    struct opaque_set *set = NULL;
    SCOPE_FD int lock = lock_directory(path, f);
    int result = lock >= 0 ? read_whole(path, &text, &set, f) : lock;
    bool is_new = result == -ERROR_NOT_FOUND && lock >= 0;

    opaque_free(set);
    if (result != 0 && !is_new) {
        return result;
    }
    if (text.len_bytes > 0 && text.data[text.len_bytes - 1] != '\n') {
        buffer_append_byte(&text, '\n');
    }
    result = opaque_make(name, groups, expires_s, made, &text, f);
    if (result == 0) {
        result = check_again(path, &text, f);
    }
    if (result == 0) {
        result = is_new ? guarded_file_create(path, GUARDED_PUBLIC, text.data, text.len_bytes, f)
                        : guarded_file_replace(path, text.data, text.len_bytes, f);
    }
    if (result == 0) {
        memcpy(token, made, sizeof(made));
    }
    explicit_bzero(made, sizeof(made));
    return result;
}

/* Where line `number` begins. */
static size_t line_start(const struct buffer *text, unsigned number)
{
    const uint8_t *at = text->data;

    while (--number > 0) {
        at = (const uint8_t *)memchr(at, '\n', text->len_bytes - (size_t)(at - text->data)) + 1;
    }
    return (size_t)(at - text->data);
}

static int remove_line(const char *path, struct buffer *text, unsigned number, struct failure *f)
{
    size_t start = line_start(text, number);
    const uint8_t *end = memchr(text->data + start, '\n', text->len_bytes - start);
    size_t next = end != NULL ? (size_t)(end - text->data) + 1 : text->len_bytes;

    memmove(text->data + start, text->data + next, text->len_bytes - next);
    return guarded_file_replace(path, text->data, text->len_bytes - (next - start), f);
}

int opaque_file_remove(const char *path, const char *id, struct failure *f)
{
    BUFFER_AUTO(text, OPAQUE_FILE_MAX_BYTES);
    struct opaque_set *set = NULL;
    SCOPE_FD int lock = lock_directory(path, f);
    int result = lock >= 0 ? read_whole(path, &text, &set, f) : lock;
    unsigned line = 0;

    if (result != 0) {
        return result;
    }
    for (size_t i = 0; i < opaque_count(set); i++) {
        if (strcmp(opaque_at(set, i)->id, id) == 0) {
            line = opaque_at(set, i)->line;
        }
    }
    opaque_free(set);
    if (line == 0) {
        result = failure_set(f, ERROR_NOT_FOUND, "no token in %s has the id %.32s", path, id);
        return failure_next(f, result, "see `xenresd token list --file %s`", path);
    }
    return remove_line(path, &text, line, f);
}
