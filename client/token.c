/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/scope.h"

/* RFC 6750's b64token and a little more; above all nothing that ends a header. */
static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '!' || text[i] > '~') {
            return false;
        }
    }
    return len > 0 && len <= TOKEN_MAX_BYTES;
}

int token_check_options(const xenres_options *o, struct fault *fault)
{
    struct failure *f = &fault->failure;

    if (o->token != NULL && o->token_file != NULL) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "token and token_file are both given");
    }
    if (o->token != NULL && !is_token(o->token, strlen(o->token))) {
        return failure_set(f, ERROR_INVALID_ARGUMENT,
                           "token is not 1 to %d printable characters without spaces",
                           TOKEN_MAX_BYTES);
    }
    return 0;
}

static int bad_file(const char *path, const char *why, struct fault *fault)
{
    int result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                             "the token in %s is not used: %s", path, why);

    return failure_next(&fault->failure, result,
                        "put the token alone into a file of yours, with mode 0600");
}

static int check_file(int fd, const char *path, struct fault *fault)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return bad_file(path, strerror(errno), fault);
    }
    if (!S_ISREG(st.st_mode)) {
        return bad_file(path, "it is not a regular file", fault);
    }
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        return bad_file(path, "the file belongs to another user", fault);
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return bad_file(path, "others have access to the file", fault);
    }
    return 0;
}

/* The length without line ends behind it; negative: a failure. */
static ssize_t read_file(const char *path, char text[TOKEN_MAX_BYTES + 3], struct fault *fault)
{
    SCOPE_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    size_t len = 0;
    ssize_t n;
    int result = fd >= 0 ? check_file(fd, path, fault) : bad_file(path, strerror(errno), fault);

    if (result != 0) {
        return result;
    }
    do {
        n = read(fd, text + len, TOKEN_MAX_BYTES + 3 - len);
        len += n > 0 ? (size_t)n : 0;
    } while ((n > 0 && len < TOKEN_MAX_BYTES + 3) || (n < 0 && errno == EINTR));
    if (n < 0) {
        return bad_file(path, strerror(errno), fault);
    }
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }
    return is_token(text, len)
               ? (ssize_t)len
               : bad_file(path, "it is not one line of printable characters without spaces", fault);
}

int token_header(const xenres *handle, struct buffer *out, struct fault *fault)
{
    char text[TOKEN_MAX_BYTES + 3];
    const char *token = handle->token;
    ssize_t len = token != NULL ? (ssize_t)strlen(token) : 0;

    if (handle->token_file != NULL) {
        token = text;
        len = read_file(handle->token_file, text, fault);
    }
    if (len <= 0) {
        return (int)len;
    }
    bool done = buffer_printf(out, "Authorization: Bearer %.*s", (int)len, token);

    explicit_bzero(text, sizeof(text));
    return done ? 0 : failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
}
