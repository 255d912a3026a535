/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <string.h>

#include "auth/certificate.h"

static int take_block(const struct pem_kind *kind, const char *name, const char *label,
                      unsigned number, struct failure *f)
{
    if (strcmp(label, kind->label) != 0) {
        return failure_set(f, ERROR_INVALID_ARGUMENT,
                           "block %u in %s is \"%.40s\"; expected \"%s\"", number, name, label,
                           kind->label);
    }
    return number > kind->max ? failure_set(f, ERROR_INVALID_ARGUMENT, "more than %u %ss in %s",
                                            kind->max, kind->noun, name)
                              : 0;
}

static int read_blocks(const struct pem_kind *kind, const char *name, BIO *pem, pem_take *take,
                       void *arg, struct failure *f)
{
    unsigned count = 0;

    for (;;) {
        char *label = NULL, *header = NULL;
        unsigned char *der = NULL;
        long len = 0;

        if (PEM_read_bio(pem, &label, &header, &der, &len) != 1) {
            break;
        }
        count++;
        int result = take_block(kind, name, label, count, f);

        if (result == 0) {
            result = take(arg, der, (size_t)len, count, f);
        }
        OPENSSL_free(label);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)len); /* a misplaced key, perhaps */
        if (result != 0) {
            return result;
        }
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        return certificate_cause(f, failure_set(f, ERROR_INVALID_ARGUMENT,
                                                "block %u in %s cannot be read", count + 1, name));
    }
    ERR_clear_error();
    if (count > 0) {
        return 0;
    }
    return failure_next(f, failure_set(f, ERROR_INVALID_ARGUMENT, "no %s in %s", kind->noun, name),
                        "put one there, as PEM (-----BEGIN %s-----), or name another file",
                        kind->label);
}

int pem_read(const struct pem_kind *kind, const char *name, const void *text, size_t len_bytes,
             pem_take *take, void *arg, struct failure *f)
{
    if (len_bytes > kind->max_bytes) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s is longer than %zu bytes", name,
                           kind->max_bytes);
    }
    BIO *bio = BIO_new_mem_buf(len_bytes > 0 ? text : "", (int)len_bytes);

    if (bio == NULL) {
        return certificate_cause(
            f, failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for %s", name));
    }
    int result = read_blocks(kind, name, bio, take, arg, f);

    BIO_free(bio);
    return result;
}

static bool begins(const char *line, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

int pem_check_rest(const char *name, const char *text, size_t len_bytes, struct failure *f)
{
    const char *at = text, *end = text + len_bytes;
    bool within = false;

    for (unsigned line = 1; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop != NULL ? stop : end) - at);

        if (begins(at, len, "-----BEGIN ") || begins(at, len, "-----END ")) {
            within = at[5] == 'B';
        } else if (!within && at[0] != '#' && len > 0 && !(len == 1 && at[0] == '\r')) {
            return failure_set(f, ERROR_INVALID_ARGUMENT,
                               "%s:%u: expected a block, a blank line, or a comment behind #", name,
                               line);
        }
        at = stop != NULL ? stop + 1 : end;
    }
    return 0;
}
