/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A line of the audit, read back: hostile bytes, of which only the form that audit_chain_seal() and
 * audit_log write is one. What a record says beside what ties it to the others is not looked at. Pure, any
 * thread.
 */
#ifndef XENRES_AUTH_AUDIT_LINE_H
#define XENRES_AUTH_AUDIT_LINE_H

#include "auth/audit_chain.h"

struct audit_line {
    uint64_t sequence;
    size_t covered_len; /* bytes that the MAC is of, from the first on */
    uint8_t mac[AUDIT_MAC_BYTES];
    char time[AUDIT_TIME_BYTES];
    int event; /* enum audit_event; -1: none that this version knows */

    uint8_t chain[AUDIT_ID_BYTES]; /* of AUDIT_FILE_BEGUN and AUDIT_CHECKPOINT */
    struct {                       /* of AUDIT_FILE_BEGUN */
        bool is_broken;            /* the file before was not ended by the service */
        uint8_t mac[AUDIT_MAC_BYTES], digest[AUDIT_DIGEST_BYTES];
    } previous;
    struct { /* of AUDIT_CHECKPOINT */
        uint8_t digest[AUDIT_DIGEST_BYTES], signature[AUDIT_SIGNATURE_BYTES];
        size_t signed_len; /* bytes that it is of */
    } checkpoint;
};

/* `len` with the newline. False: it is none. */
bool audit_line_parse(const char *bytes, size_t len, struct audit_line *out);

#endif
