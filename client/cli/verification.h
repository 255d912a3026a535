/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Is a recording complete, and if it is not, what is missing, and why? Of the file: records that are
 * damaged, missing or torn; of the watch: numbers told as lost, or not told of at all, images and
 * batches that were cut, an end that did not come. One thread.
 */
#ifndef XENRES_CLI_VERIFICATION_H
#define XENRES_CLI_VERIFICATION_H

#include "client/cli/player.h"

enum { VERIFICATION_FINDINGS_MAX = 1000 }; /* those behind them are counted */

/* Those of the ledger, and of the file. */
enum verification_kind {
    VERIFICATION_GAP = LEDGER_GAP,
    VERIFICATION_HOLE = LEDGER_HOLE,
    VERIFICATION_TAIL = LEDGER_TAIL,
    VERIFICATION_NEW_FEED = LEDGER_NEW_FEED,
    VERIFICATION_IMAGE_CUT = LEDGER_IMAGE_CUT,
    VERIFICATION_BATCH_CUT = LEDGER_BATCH_CUT,
    VERIFICATION_NO_IMAGE = LEDGER_NO_IMAGE,
    VERIFICATION_NONSENSE = LEDGER_NONSENSE,
    VERIFICATION_DAMAGED,
    VERIFICATION_RECORDS_MISSING,
    VERIFICATION_UNREADABLE,
    VERIFICATION_TORN,
    VERIFICATION_CUT_OFF,    /* it was closed in an interruption, or by a failure */
    VERIFICATION_NOT_CLOSED, /* what came behind its end, if anything, is not in it */
    VERIFICATION_EMPTY,      /* nothing was received */
};

struct verification_finding {
    enum verification_kind kind;
    uint64_t first, last; /* numbers that are missing; of missing records, theirs; 0: not known */
    bool at_least;
    uint64_t blocks;
    uint32_t reason; /* as in struct ledger_finding */
    int64_t seconds; /* when the gateway says that it was; else when it was received, about */
    uint32_t nanoseconds;
    uint64_t offset_bytes; /* of the record in the file */
    uint64_t len_bytes;    /* of what is damaged there */
    char detail[LEDGER_EXCUSE_MAX_BYTES + 1];
};

struct verification {
    struct player player;
    struct ledger ledger;
    enum recording_stream stream;
    struct buffer title; /* what is recorded, in words; may be empty */
    struct verification_finding *findings;
    size_t finding_count;
    uint64_t left_off; /* findings beyond the maximum */
};

#define VERIFICATION_AUTO __attribute__((cleanup(verification_done))) struct verification

/* Reads it to its end. Negative: it cannot be read, or is no recording. */
int verification_run(struct verification *v, struct recording_reader *r, struct failure *f);
bool verification_is_complete(const struct verification *v);
void verification_done(struct verification *v);

const char *verification_kind_name(enum verification_kind kind); /* "gap" */

#endif
