/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Keeps the books of one watch, over all its streams: which numbers were told of, which were told as
 * lost, and what is missing although nobody said so. <xenres/watch.h> has the rules; the library holds a
 * gateway to them, and this holds a recording to them. What a stream that goes on tells again counts
 * once. What it is given may be hostile. Pure; one owner, one thread.
 */
#ifndef XENRES_CLI_LEDGER_H
#define XENRES_CLI_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <xenres.h>

enum {
    LEDGER_CURSOR_MAX_BYTES = 4095, /* longer ones are not kept: nothing goes on from them */
    LEDGER_ID_MAX_BYTES = 63,
    LEDGER_EXCUSE_MAX_BYTES = 255,
};

enum ledger_fault {
    LEDGER_GAP,  /* told: `reason` is an enum xenres_gap_reason */
    LEDGER_HOLE, /* numbers that nothing speaks of */
    LEDGER_TAIL, /* produced before the end, and not there: `reason` an enum xenres_end_reason */
    LEDGER_NEW_FEED,  /* numbers begin anew: how many came before is not known */
    LEDGER_IMAGE_CUT, /* an image, or a list, whose last piece did not come */
    LEDGER_BATCH_CUT, /* a batch of several messages, of which the last did not come */
    LEDGER_NO_IMAGE,  /* changes of what is not known */
    LEDGER_NONSENSE,  /* contradicts what came before, or itself */
};

struct ledger_finding {
    enum ledger_fault fault;
    uint64_t first, last; /* the numbers; 0: not known */
    bool at_least;        /* it may be more */
    uint64_t blocks;      /* of a gap: as told */
    int64_t seconds;      /* of a gap: when; 0: not told */
    uint32_t nanoseconds;
    uint32_t reason;
    const char *detail; /* never NULL; lives as long as the call */
};

/* Is not given what is fine. */
typedef void ledger_found(void *arg, const struct ledger_finding *finding);

enum ledger_news {
    LEDGER_NEW,
    LEDGER_AGAIN, /* a stream that goes on has told what was told before */
};

struct ledger {
    ledger_found *found; /* may be NULL */
    void *arg;
    char excuse[LEDGER_EXCUSE_MAX_BYTES + 1]; /* why something may be missing now, "": no reason */

    bool has_begun;
    char feed[LEDGER_ID_MAX_BYTES + 1];
    char incarnation[LEDGER_ID_MAX_BYTES + 1]; /* "": of domains */

    bool has_last;
    uint64_t last;        /* told of up to here */
    uint64_t again_until; /* what may be told again */
    uint32_t segment;
    bool merges;           /* what whole content has that did not come by itself is not lost */
    bool awaits_whole;     /* nothing is known of the content */
    bool expects_new_feed; /* a gap has told of it */

    bool image_is_open, batch_is_open; /* more pieces have to come */
    uint64_t open_first, open_last;    /* their numbers */
    uint64_t image_next_bytes;         /* where the next piece belongs */
    uint64_t image_bytes;              /* of the last whole one */

    bool has_ended; /* the last message was an end */
    uint32_t end_reason;
    uint64_t end_sequence;

    char cursor[LEDGER_CURSOR_MAX_BYTES + 1]; /* the last one; "": none */
    uint64_t cursor_sequence;

    /* Sums. */
    uint64_t streams, messages;
    uint64_t delivered, lost, gaps; /* numbers delivered, and told as lost; gaps told */
    uint64_t lost_blocks;
    uint64_t undeclared; /* numbers that are missing without a word */
    uint64_t faults;     /* findings that are not gaps */
};

void ledger_init(struct ledger *l, ledger_found *found, void *arg);

void ledger_begin(struct ledger *l, const xenres_watch_begin *begin);
enum ledger_news ledger_image(struct ledger *l, const xenres_watch_image *piece);
enum ledger_news ledger_changes(struct ledger *l, const xenres_watch_changes *changes);
enum ledger_news ledger_decoded(struct ledger *l, const xenres_watch_decoded *decoded);
enum ledger_news ledger_gap(struct ledger *l, const xenres_watch_gap *gap);
void ledger_checkpoint(struct ledger *l, const xenres_watch_checkpoint *checkpoint);
void ledger_end(struct ledger *l, const xenres_watch_end *end);

void ledger_domains_begin(struct ledger *l, const xenres_domains_begin *begin);
enum ledger_news ledger_domains_list(struct ledger *l, const xenres_domains_piece *piece);
enum ledger_news ledger_domain_change(struct ledger *l, const xenres_domain_change *change);
void ledger_domains_checkpoint(struct ledger *l, const xenres_watch_checkpoint *checkpoint);
void ledger_domains_heartbeat(struct ledger *l, const xenres_watch_heartbeat *heartbeat);
void ledger_domains_end(struct ledger *l, const xenres_watch_end *end);

/* What comes cannot be understood. */
void ledger_nonsense(struct ledger *l, const char *what);
/* Something was between two messages that may have cost some: why what is missing is. */
void ledger_excuse(struct ledger *l, const char *why);
/* Nothing comes any more: what is open stays so. */
void ledger_close(struct ledger *l);

#endif
