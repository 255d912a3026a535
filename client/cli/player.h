/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Plays a recording: gives what is in it to the callbacks that a watch would have given it to, keeps
 * its books in a ledger, and tells what is wrong with the file. What a stream that went on told again
 * is not given again. One thread.
 */
#ifndef XENRES_CLI_PLAYER_H
#define XENRES_CLI_PLAYER_H

#include <xenres.h>

#include "client/cli/ledger.h"
#include "client/cli/recording_reader.h"

enum player_flaw_kind {
    PLAYER_DAMAGED,         /* a record that is not as it was written; those behind it are read */
    PLAYER_RECORDS_MISSING, /* records that are not there: the file was cut and put together */
    PLAYER_UNREADABLE,      /* all from here on */
    PLAYER_TORN,            /* a last record that is not whole: the recorder was killed in it */
};

struct player_flaw {
    enum player_flaw_kind kind;
    uint64_t offset_bytes, len_bytes;   /* in the file */
    uint64_t first_record, last_record; /* numbers of those that are missing */
};

struct player {
    /* The caller's. All but the ledger may be NULL, and so may each of the callbacks. */
    struct ledger *ledger;
    const xenres_watch_sink *sink;
    const xenres_domains_sink *domains;
    /* What was asked for, an interruption, the close: `note` NULL for what is none. 0 to go on. */
    int (*event)(void *arg, const struct recording_record *record,
                 const struct recording_note *note);
    void (*flaw)(void *arg, const struct player_flaw *flaw);
    void *arg;

    /* What was found so far. */
    uint64_t wall_ns;      /* of the record that is played */
    uint64_t offset_bytes; /* where it is in the file */
    uint64_t records, unknown_records, interruptions, flaws;
    uint64_t first_wall_ns, last_wall_ns;
    uint64_t end_bytes, next_index; /* behind the last record that is whole */
    bool is_unreadable;
    bool is_cut;    /* nothing has come since an interruption */
    bool is_closed; /* by the last record */
    struct recording_note closed;
};

/* To the end of the file. Not 0: what a callback returned, or the negative code of a failure. */
int player_run(struct player *p, struct recording_reader *r, struct failure *f);

#endif
