/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_remains.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The line's length with its newline, if it is the one that comes next; `link` is behind it then. */
static size_t take_line(struct audit_crypto *c, struct audit_link *link, const char *bytes,
                        size_t len)
{
    const char *end = memchr(bytes, '\n', len);
    char again[AUDIT_LINE_MAX_BYTES], body[AUDIT_BODY_MAX_BYTES];
    struct audit_link next;
    size_t line_len = end != NULL ? (size_t)(end - bytes) + 1 : 0;
    int head = snprintf(body, sizeof body, "{\"seq\":%llu,", (unsigned long long)link->sequence);
    size_t frame = (size_t)head + AUDIT_TAIL_BYTES;

    if (line_len < frame || line_len - frame > sizeof body) {
        return 0;
    }
    memcpy(body, bytes + head, line_len - frame);
    bool is_next = audit_chain_seal(c, link, body, line_len - frame, again, &next) == line_len &&
                   CRYPTO_memcmp(again, bytes, line_len) == 0;

    if (is_next) {
        *link = next;
    }
    OPENSSL_cleanse(&next, sizeof next);
    return is_next ? line_len : 0;
}

int audit_remains_read(struct audit_crypto *c, const struct audit_link *link, int fd, uint64_t from,
                       uint64_t end, struct audit_remains *out)
{
    struct audit_remains found = { .link = *link, .end_bytes = from };

    while (found.end_bytes < end) {
        char bytes[AUDIT_LINE_MAX_BYTES];
        ssize_t n = pread(fd, bytes, sizeof bytes, (off_t)found.end_bytes);

        if (n <= 0) {
            errno = n < 0 ? errno : EAGAIN; /* it became shorter meanwhile */
            return -1;
        }
        size_t taken = take_line(c, &found.link, bytes, (size_t)n);

        if (taken == 0) {
            found.torn_bytes = end - found.end_bytes;
            found.is_foreign =
                found.torn_bytes >= sizeof bytes || memchr(bytes, '\n', (size_t)n) != NULL;
            break;
        }
        found.end_bytes += taken;
        found.records++;
    }
    *out = found;
    OPENSSL_cleanse(&found, sizeof found);
    return 0;
}
