/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The places of a trace's bytes: whether a stream keeps its promise that they have no holes, and what of
 * it the caller has not had yet.
 *
 * A byte has a position over the whole trace, and an offset within a segment; within one, both go up
 * together. Two places are kept, as in client/numbering. That of the stream is where its last message
 * has brought it: what the next one may say is judged by it alone. That of the caller is what was
 * delivered or told as lost, over all streams, and never goes back: what a stream tells again is not
 * new, and has to be at the same places as the first time. A stream that breaks its promise is
 * -ERROR_INTERNAL, with the numbers. Pure; one owner.
 */
#ifndef XENRES_CLIENT_BYTE_NUMBERING_H
#define XENRES_CLIENT_BYTE_NUMBERING_H

#include "client/fault.h"

enum { BYTE_NUMBERING_FEED_CHARS = 32 };

/* None is larger, so that two can be added. */
#define BYTE_NUMBERING_MAX (UINT64_MAX / 4)

enum byte_kind {
    BYTE_OTHER, /* of a later version: it is no part of this */
    BYTE_BEGIN,
    BYTE_SEGMENT,
    BYTE_DATA,
    BYTE_GAP,
    BYTE_CHECKPOINT,
    BYTE_HEARTBEAT,
    BYTE_END,
};

/* Of the next byte. */
struct byte_place {
    uint64_t position;
    uint64_t offset; /* within the segment */
    uint32_t segment, epoch;
};

/* What a message says. */
struct byte_item {
    enum byte_kind kind;
    struct byte_place at; /* of the first byte; CHECKPOINT, HEARTBEAT, END: its position alone */
    uint64_t length;      /* DATA: above 0; GAP */
    bool at_least;        /* GAP */
    struct byte_place to; /* GAP: where it goes on; its position is not looked at */
    uint32_t reason;      /* SEGMENT: enum xenres_trace_segment_reason */
};

struct byte_begin {
    const char *feed;
    bool resumed;
    struct byte_place at;
};

/* Bytes to tell as lost that the gateway did not tell of. */
struct byte_loss {
    bool is_some;
    bool is_before_all; /* before the first stream began; else between two */
    bool at_least;
    uint64_t position, length;
    struct byte_place to;
};

/* What becomes of it. */
struct byte_verdict {
    bool is_new;           /* it is to be delivered */
    uint64_t skip;         /* DATA, GAP: without so many bytes, which the caller has had */
    struct byte_loss lost; /* BEGIN */
};

/* How far one is at a position: these follow each other there. */
enum byte_step {
    BYTE_STEP_BEFORE, /* the segment has not been announced */
    BYTE_STEP_WITHIN,
    BYTE_STEP_OPEN, /* behind a loss that may be larger: the next segment, or the end */
};

struct byte_numbering {
    /* The caller's place. */
    char feed[BYTE_NUMBERING_FEED_CHARS + 1]; /* "": none yet */
    bool is_known;                            /* there is one */
    bool has_segment; /* with all of its numbers; else its position is known alone */
    struct byte_place had;
    enum byte_step had_step;

    /* The stream's. */
    struct byte_place at;
    enum byte_step step;
    bool may_be_open; /* it begins at a cursor from elsewhere, perhaps behind an open loss */

    /* That of the last checkpoint of ours. */
    bool has_kept;
    struct byte_place kept;
    enum byte_step kept_step;
};

/* Before the first stream: what was delivered before `position` of this feed (32 digits) was. Where a later
 * segment begins just there, the loss before it is told, perhaps again. */
void byte_numbering_know(struct byte_numbering *n, const char *feed, uint64_t position);
/* The same where all numbers of the next byte are known, and whether a loss that may be larger is just before
 * it: then what is missing is told as exactly as between two streams. A segment that begins just there is
 * announced, perhaps again. False: there is no such place. */
bool byte_numbering_know_place(struct byte_numbering *n, const char *feed,
                               const struct byte_place *place, bool is_open);

/* A stream begins. `from_kept`: it was asked to go on from the place of byte_numbering_keep(). */
int byte_numbering_begin(struct byte_numbering *n, const struct byte_begin *begin, bool from_kept,
                         struct byte_verdict *out, struct fault *fault);
/* Its next message, of any kind but BEGIN and OTHER. */
int byte_numbering_take(struct byte_numbering *n, const struct byte_item *item,
                        struct byte_verdict *out, struct fault *fault);
/* The stream's place is one to go on from. */
void byte_numbering_keep(struct byte_numbering *n);
/* At the end: bytes that were produced before `position`, and neither delivered nor told as lost. */
uint64_t byte_numbering_rest(const struct byte_numbering *n, uint64_t position);
/* Where the caller's next byte is, as far as is known: at the stream's numbers where it is there. */
struct byte_place byte_numbering_next(const struct byte_numbering *n);

#endif
