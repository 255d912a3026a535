/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/key_pem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"

static const char begin[] = "-----BEGIN ";
static const char end[] = "-----END ";
static const char label_end[] = "PRIVATE KEY-----";

/* What is between the first and last line of a block. */
struct body {
    const char *text;
    size_t len_bytes;
};

static bool starts(const char *at, const char *stop, const char *with)
{
    return (size_t)(stop - at) >= strlen(with) && memcmp(at, with, strlen(with)) == 0;
}

/* The next line of a text that ends at `stop`, which may be `at`. */
static const char *next_line(const char *at, const char *stop)
{
    const char *newline = memchr(at, '\n', (size_t)(stop - at));

    return newline != NULL ? newline + 1 : stop;
}

/* The line [at, line_end) with what ends lines taken off. */
static bool is_key_begin(const char *at, const char *line_end)
{
    const size_t len = sizeof(label_end) - 1;

    while (line_end > at && (line_end[-1] == '\n' || line_end[-1] == '\r' || line_end[-1] == ' ')) {
        line_end--;
    }
    return starts(at, line_end, begin) && (size_t)(line_end - at) >= sizeof(begin) - 1 + len &&
           memcmp(line_end - len, label_end, len) == 0;
}

static bool find(const char *pem, size_t len_bytes, struct body *out)
{
    const char *stop = pem + len_bytes, *at = pem;

    while (at < stop && !is_key_begin(at, next_line(at, stop))) {
        at = next_line(at, stop);
    }
    at = next_line(at, stop);
    out->text = at;
    while (at < stop && !starts(at, stop, end)) {
        at = next_line(at, stop);
    }
    out->len_bytes = (size_t)(at - out->text);
    return at < stop;
}

/* Appends the base64 in one piece; there is room for it. */
static size_t join(const struct body *body, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < body->len_bytes; i++) {
        if (memchr("\r\n\t ", body->text[i], 4) == NULL) {
            out[len++] = body->text[i];
        }
    }
    return len;
}

static int import(const uint8_t *der, size_t len_bytes, gnutls_x509_privkey_t *out)
{
    const gnutls_datum_t datum = { .data = (uint8_t *)(uintptr_t)der, .size = (unsigned)len_bytes };
    gnutls_x509_privkey_t key = NULL;
    int code = gnutls_x509_privkey_init(&key);

    if (code >= 0) {
        code = gnutls_x509_privkey_import2(key, &datum, GNUTLS_X509_FMT_DER, NULL, 0);
    }
    if (code < 0) {
        gnutls_x509_privkey_deinit(key); /* wipes it; NULL is fine */
        return code;
    }
    *out = key;
    return code;
}

int key_pem_read(const void *pem, size_t len_bytes, gnutls_x509_privkey_t *out, struct failure *f)
{
    struct body body;
    int code = GNUTLS_E_BASE64_DECODING_ERROR;

    if (!find(pem, len_bytes, &body)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "there is no private key in it");
    }
    /* Both forms in one piece of memory that never grows, and so leaves nothing behind: text, then bytes. */
    const size_t room = 2 * body.len_bytes + 1;
    char *text = malloc(room);

    if (text == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    const size_t text_len = join(&body, text);
    uint8_t *der = (uint8_t *)text + body.len_bytes;

    if (base64_decode_into(der, text, text_len)) {
        code = import(der, base64_decoded_bytes(text, text_len), out);
    }
    explicit_bzero(text, room);
    free(text);
    return code >= 0 ? 0
                     : failure_set(f, ERROR_INVALID_ARGUMENT, "the private key cannot be read: %s",
                                   gnutls_strerror(code));
}
