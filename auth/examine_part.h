/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What examine and examine_list share. Nobody else includes this.
 */
#ifndef XENRES_AUTH_EXAMINE_PART_H
#define XENRES_AUTH_EXAMINE_PART_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "auth/examine.h"

enum { EXAMINE_NAME_BYTES = 200, EXAMINE_DATE_BYTES = 32 };

void examine_tell(const struct examine_options *o, enum examine_level level, unsigned line,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
/* INT64_MIN: it cannot be read. */
int64_t examine_seconds(const ASN1_TIME *time);
void examine_date(int64_t at_s, char out[EXAMINE_DATE_BYTES]);
void examine_name(const X509_NAME *name, char out[EXAMINE_NAME_BYTES]);

/* Calls `take` for each PEM text of one of these labels, ended by NULL, with where it begins; until that
 * says false. OpenSSL's reader does not say lines. */
typedef bool examine_take(void *arg, const char *at, const char *end, unsigned line);
void examine_each(const char *pem, size_t len_bytes, const char *const *labels, examine_take *take,
                  void *arg);

/* Certificates of a file, and where they stand. */
struct examine_item {
    X509 *x509;
    unsigned line;
};
struct examine_file {
    const struct examine_options *options; /* NULL: nothing is told */
    struct examine_item items[EXAMINE_CERTIFICATES_MAX];
    size_t count;
};
void examine_read(struct examine_file *file, const char *pem, size_t len_bytes);
void examine_file_done(struct examine_file *file);

#define EXAMINE_FILE_AUTO __attribute__((cleanup(examine_file_done))) struct examine_file

#endif
