/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/shown.h"

#include <stdlib.h>
#include <string.h>

#include "server/rpc/bearer.h"

struct shown {
    struct identity who;
    bool has_token;
    struct token token;
    size_t
        certificate_count; /* of his connection; 0: none, or a connection that has no such thing */
    struct identity_der certificates[IDENTITY_CHAIN_MAX]; /* in `bytes` */
    uint8_t bytes[];
};

static size_t bytes_of(const struct identity_der *certificates, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        bytes += certificates[i].len_bytes;
    }
    return bytes;
}

static void keep_certificates(struct shown *s, const struct identity_der *certificates,
                              size_t count)
{
    uint8_t *at = s->bytes;

    for (size_t i = 0; i < count; i++) {
        memcpy(at, certificates[i].bytes, certificates[i].len_bytes);
        s->certificates[i] = (struct identity_der){ at, certificates[i].len_bytes };
        at += certificates[i].len_bytes;
    }
    s->certificate_count = count;
}

struct shown *shown_new(const struct exchange *x)
{
    struct identity_der certificates[IDENTITY_CHAIN_MAX];
    size_t count =
        x->head.certificates != NULL ? x->head.certificates(x->head.arg, certificates) : 0;
    struct shown *s = calloc(1, sizeof(*s) + bytes_of(certificates, count));

    if (s == NULL) {
        return NULL;
    }
    s->who = *x->call.who;
    s->who.not_after_s = INT64_MAX;
    s->has_token = x->bearer != NULL;
    if (s->has_token) {
        s->token = x->bearer->token;
    }
    keep_certificates(s, certificates, count);
    return s;
}

void shown_free(struct shown *s)
{
    free(s);
}

const struct identity *shown_who(const struct shown *s)
{
    return &s->who;
}

/* One that has expired is on no list any more: then there is nothing to be found out. */
static int certificate_still(const struct shown *s, const struct access *access, int64_t now_s,
                             struct failure *f)
{
    struct identity again;
    enum identity_fault fault = IDENTITY_OK;
    struct failure why = { 0 };
    int result = access_certificate(access, s->certificates, s->certificate_count, now_s, &again,
                                    &fault, &why);

    if (result == 0 || fault == IDENTITY_EXPIRED) {
        return 0;
    }
    *f = why;
    return result;
}

int shown_still(const struct shown *s, const struct access *access, int64_t now_s,
                struct failure *f)
{
    int result = access_still(access, &s->who, now_s, NULL, f);

    if (result == 0 && s->has_token) {
        result = access_token_still(access, &s->token, f);
    }
    if (result == 0 && s->certificate_count > 0) {
        result = certificate_still(s, access, now_s, f);
    }
    return result;
}
