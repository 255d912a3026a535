/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The numbers of what is followed: whether a stream keeps its promise that they have no holes, and
 * what of it the caller has not had yet.
 *
 * Two places are kept. That of the stream is where its last message has brought it, and begins anew
 * with each stream: what a message may say is judged by it alone. That of the caller is what was
 * delivered or told as lost, over all streams of a feed, and is never behind: after a cut a stream
 * goes on from an earlier place, and what it tells again is not new. A stream that breaks its promise
 * is -ERROR_INTERNAL, with the numbers. Pure; one owner.
 */
#ifndef XENRES_CLIENT_NUMBERING_H
#define XENRES_CLIENT_NUMBERING_H

#include "client/fault.h"

enum { NUMBERING_FEED_CHARS = 32 };

enum numbering_kind {
    NUMBERING_OTHER, /* of a later version: it is no part of this */
    NUMBERING_BEGIN,
    NUMBERING_CONTENT, /* all that there is: an image, a list */
    NUMBERING_CHANGES,
    NUMBERING_GAP,
    NUMBERING_CHECKPOINT,
    NUMBERING_HEARTBEAT,
    NUMBERING_END,
};

/* What a message says of its numbers. */
struct numbering_item {
    enum numbering_kind kind;
    uint64_t first; /* CONTENT: 0 where it has none by itself */
    uint64_t sequence;
    uint32_t segment;
    bool more; /* CONTENT, CHANGES: it goes on in the next message */
};

struct numbering_begin {
    const char *feed;
    bool resumed;
    uint64_t sequence; /* resumed: behind which it goes on */
    uint32_t segment;
};

/* What becomes of it. */
struct numbering_verdict {
    bool is_new;    /* it is to be delivered */
    uint64_t first; /* without what the caller has had */
    bool is_cut_short;
    bool is_other_feed; /* BEGIN: the one before is over, and there is a loss to tell */
    /* Numbers to tell as lost before it; `lost` 0: none is known. */
    uint64_t lost_first, lost;
};

struct numbering {
    /* Before the first stream. */
    const char *content; /* what CONTENT is called: "image", "list" */
    bool skips;   /* numbers may be passed over by checkpoints: they are of others; and content
                            may come again, of what the caller may see now */
    bool repeats; /* a stream that goes on begins with content all the same */
    bool merges;  /* what content has that was not delivered by itself is not lost */

    /* The caller's place. */
    char feed[NUMBERING_FEED_CHARS + 1]; /* "": none yet */
    bool is_known;                       /* there is one */
    uint64_t delivered;                  /* or told as lost */
    uint32_t segment;
    bool lacks_content; /* none since a loss */
    uint64_t produced;  /* as far as is known */

    /* The stream's. */
    bool has_place;
    uint64_t at;
    uint64_t passed; /* as far as a heartbeat said that there is nothing for us */
    uint32_t at_segment;
    bool is_due;     /* content has to come next */
    bool may_repeat; /* it goes on, and nothing came yet */
    bool is_in_parts;
    struct numbering_item part;
    struct numbering_verdict of_part;
};

/* A stream begins. */
int numbering_begin(struct numbering *n, const struct numbering_begin *begin,
                    struct numbering_verdict *out, struct fault *fault);
/* Its next message, of any kind but BEGIN and OTHER. */
int numbering_take(struct numbering *n, const struct numbering_item *item,
                   struct numbering_verdict *out, struct fault *fault);
/* The stream is over. True: in the midst of something that was being delivered. */
bool numbering_cut(struct numbering *n);
/* What was produced and neither delivered nor told as lost. False: nothing. */
bool numbering_rest(const struct numbering *n, uint64_t *first, uint64_t *last);

#endif
