/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Whether an audit is as it was written: files of one chain, the oldest first, byte for byte. Found is
 * any change, removal, reordering and duplication of what its word reaches over, and that the end is
 * missing, back to the last checkpoint that is known from elsewhere:
 *
 *      with key 1            each record, up to the last one
 *      with the public key   each record up to the last checkpoint; it proves nothing of what is behind
 *      with checkpoints      (as the journal has them) also that the end is there up to the last of them
 *      with the state        also that it is there up to where the service has come
 *
 * Stops at the first fault, and says where. A line that was begun and not finished, at the very end, is what
 * a killed process leaves: no fault, but told. One thread.
 */
#ifndef XENRES_AUTH_AUDIT_VERIFY_H
#define XENRES_AUTH_AUDIT_VERIFY_H

#include "auth/audit_line.h"

enum {
    AUDIT_ANCHORS_MAX = 65536, /* checkpoints from elsewhere; further ones are refused */
    AUDIT_VERIFY_NAME_BYTES = 512,
};
/* Keys are computed one after the other, up to where the first file begins: some minutes' worth. */
#define AUDIT_STEPS_MAX UINT64_C(1000000000)

struct audit_verify_options {
    const uint8_t *key;        /* AUDIT_KEY_BYTES; NULL: it is not there */
    const uint8_t *public_key; /* the same; one of the two has to be */
    uint64_t steps_max;        /* AUDIT_STEPS_MAX */
    uint64_t expected_last;    /* the state's; 0: not known */
};

struct audit_verifier;
int audit_verifier_new(const struct audit_verify_options *options, struct audit_verifier **out,
                       struct failure *f);
void audit_verifier_free(struct audit_verifier *v); /* wipes the key; NULL is fine */

/* A checkpoint known from elsewhere, with or without its newline; before the first file.
 * -ERROR_INVALID_ARGUMENT: it is none. Of another chain: not looked at. */
int audit_verify_anchor(struct audit_verifier *v, const char *line, size_t len, struct failure *f);

/* The next file begins; then its bytes, in pieces of any length. -ERROR_DATA_LOSS from the first fault on. */
int audit_verify_file(struct audit_verifier *v, const char *name, struct failure *f);
int audit_verify_bytes(struct audit_verifier *v, const char *bytes, size_t len, struct failure *f);

struct audit_report {
    uint64_t records;           /* that were read */
    uint64_t first_sequence;    /* 0: there was none */
    uint64_t last_sequence;     /* of what was read, up to the fault if there is one */
    uint64_t verified_sequence; /* its word reaches so far; 0: nowhere */
    char verified_time[AUDIT_TIME_BYTES];
    uint64_t checkpoint_sequence; /* the last checkpoint whose signature was checked; 0: none */
    char checkpoint_time[AUDIT_TIME_BYTES];
    uint64_t torn_bytes; /* of a line that was not finished, at the very end */
};
/* After the last byte. 0, or -ERROR_DATA_LOSS with the first fault; the report is filled either way. */
int audit_verify_end(struct audit_verifier *v, struct audit_report *report, struct failure *f);

#endif
