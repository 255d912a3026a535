/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The mapper's feeds as xenresd has them, and who is subscribed to them.
 *
 * A feed is held at the mapper once, at the smallest period that any of its subscribers was admitted with,
 * however many there are; when the last has gone, for a while longer, so that one that was cut off can go
 * on where it was, unless another needs the room, here or at the mapper. Owns the spools as xenresd sees
 * them (read-only), the table of feeds, and a thread that waits at the mapper's doorbell and wakes
 * subscribers. Nothing here waits for the mapper, and no subscriber for another: each has a place of its
 * own in the spool, and one that is overtaken is told what it missed.
 *
 * Bounds: feeds, subscribers, and subscribers and memory of spools per identity; over one is
 * resource_exhausted at once. A feed's spool is paid for by who asked for it first; when he has gone, by one
 * of those who are there, within his bound or not; and while it lingers, by the last: he may have another
 * one as soon as it is let go for that. How large a spool is only the mapper's answer tells: a feed that
 * turns out to be more than who pays for it may have is let go at once, and its subscribers are told.
 * Any thread. Locks: one of the table, one of each feed, in this order, before those of the mapper
 * client; `wake` is called with a feed's lock held: it must be quick, and take nothing that calls here.
 */
#ifndef XENRES_RESOURCE_FEEDS_H
#define XENRES_RESOURCE_FEEDS_H

#include "auth/identity.h"
#include "common/feed_record.h"
#include "common/ring_view.h"
#include "server/resource/mapper_client.h"

enum {
    FEEDS_SUBSCRIBERS_MAX = 65536, /* of feeds_options.subscribers_max */
    FEED_CURSOR_BYTES = 144,       /* of struct feed_cursor, sealed by rpc */
};

struct feeds;
struct subscription;

struct feeds_options {
    uint32_t feeds_max;
    uint32_t subscribers_max;
    uint32_t subscribers_per_identity;
    uint32_t linger_ms; /* that a feed is held without a subscriber */
};

int feeds_new(struct mapper_client *mapper, const struct feeds_options *options, struct feeds **out,
              struct failure *f);
/* Another subscribers_max, subscribers_per_identity and linger_ms from now on; who is there stays. */
void feeds_set_limits(struct feeds *s, const struct feeds_options *options);
/* Ends the thread, which asks the mapper client: before that one is freed. Subscribers are waked no more.
 * By the owner. NULL, and again, is fine. */
void feeds_stop(struct feeds *s);
/* Every subscription must have ended. The mapper client may be gone by then, where the thread was stopped
 * before. NULL is fine. */
void feeds_free(struct feeds *s);
/* The mapper came or went (mapper_client's on_connected): every feed of one that is gone ends. That one came
 * before there were feeds nobody has to say. */
void feeds_connected(struct feeds *s, bool connected);

/* What is watched: with the same source and flags, the same feed. */
struct feed_source {
    bool is_domains; /* the host's domains: nothing else is looked at */
    struct domain_identity domain;
    /* As in struct message_watch. RESOURCE_VMTRACE_BUF: a feed that appends, of others frames. */
    uint32_t type, id, first_frame, frame_count;
    uint32_t flags;
    uint8_t trace_id[16]; /* of a feed that appends: another trace's is another feed; else 0 */
};

/*
 * Where a subscriber is: all that a cursor has to carry. What it carries comes back from strangers: rpc
 * seals it (auth/seal), and feeds believes only that it was made here once. Compares by content.
 */
struct feed_cursor {
    uint8_t feed_id[FEED_ID_BYTES];
    uint8_t incarnation[16];                            /* domains: zero */
    uint32_t type, id, first_frame, frame_count, flags; /* of the source */
    uint32_t segment;
    struct ring_place place;
    /* Behind which the place is; domains: events, 0; append: open losses, bytes. */
    uint64_t batch, blocks_before;
    uint64_t wall_ns;     /* when it was made */
    uint32_t image_bytes; /* of the segment */
    uint32_t epoch;       /* append */
    uint64_t offset;      /* append: within the segment */
    uint8_t trace_id[16]; /* append: of the source */
    uint8_t reserved[8];  /* 0 */
};
_Static_assert(sizeof(struct feed_cursor) == FEED_CURSOR_BYTES, "a cursor is what is announced");

enum subscription_mode { SUBSCRIPTION_DELTA = 1, SUBSCRIPTION_FULL, SUBSCRIPTION_LATEST };

struct subscription_request {
    struct feed_source source;
    const struct identity *who;  /* copied */
    uint32_t streams_max;        /* of `who`, where that is less than the options'; 0: it is not */
    uint64_t spool_max_bytes;    /* of the feeds that `who` pays for; 0: no limit */
    enum subscription_mode mode; /* append, domains: SUBSCRIPTION_DELTA */
    uint64_t period_ns;          /* wanted; 0: the least; append: 0 */
    /* NULL: from an image; of domains from now on; append: from the oldest byte that is held. */
    const struct feed_cursor *cursor;
    bool is_image_needed; /* with a cursor: from an image all the same, behind a gap; append: no */
    uint64_t deadline_ns; /* of the first item */
    /* There may be something, and often is not: subscription_next() is to be called. Any thread, also
     * before subscription_begin() has returned; not after subscription_end() has. */
    void (*wake)(void *arg);
    void *arg;
};

/* -ERROR_RESOURCE_EXHAUSTED; -ERROR_INVALID_ARGUMENT: the cursor is of another source, or what is wanted
 * makes no sense of a feed that appends. Whatever the mapper or the feed has against it,
 * subscription_next() says. */
int subscription_begin(struct feeds *s, const struct subscription_request *request,
                       struct subscription **out, struct failure *f);
/* NULL is fine. */
void subscription_end(struct subscription *u);

enum subscription_item_kind {
    SUBSCRIPTION_NOTHING, /* not now; `wake` will be called, or look again at `wake_ns`: the item that is
                             due then is not waked for */
    SUBSCRIPTION_BEGUN, /* the first: `begun` */
    SUBSCRIPTION_IMAGE, /* the whole content: `image` */
    /* One record of the feed, `record`: CHANGES or DOMAIN; append: BYTES, LOSS, or a segment's BEGIN. */
    SUBSCRIPTION_RECORD,
    SUBSCRIPTION_MERGED, /* several batches as one: `merged`; one of one record comes as RECORD */
    SUBSCRIPTION_STILL,  /* samples were taken, and nothing has changed: `still` */
    /* `gap`; an IMAGE follows, of domains a new list has to be made, and append goes on with what is held;
     * or, where the feed is over, ENDED. */
    SUBSCRIPTION_GAP,
    SUBSCRIPTION_ENDED, /* the last: `ended` */
};

/* Of a feed that appends: where the next byte is. The BEGIN of that segment may be what comes next. */
struct subscription_offset {
    uint64_t bytes_before; /* over all segments */
    uint64_t offset;       /* within the segment */
    uint32_t segment, epoch;
};

/* What an item holds is the subscription's, until the next call of it. */
struct subscription_item {
    enum subscription_item_kind kind;
    uint64_t wake_ns; /* NOTHING: monotonic; UINT64_MAX: never by itself */
    union {
        struct {
            uint8_t feed_id[FEED_ID_BYTES];
            uint64_t period_ns; /* admitted */
            bool resumed;
            uint64_t batch; /* behind which it is; domains: events; append: open losses */
            uint32_t segment;
            struct subscription_offset at; /* append: what is before it, is no longer held */
        } begun;
        struct {
            struct mapper_slot *slot; /* counted */
            struct message_image_answer answer;
            /* The first that this image has and that was not told of; 0: none. */
            uint64_t first_batch;
            uint64_t wall_ns;
        } image;
        struct {
            struct feed_record record;
            struct ring_place place; /* where it is: names it for ever, with the feed's id */
        } record;
        struct {
            uint64_t first_batch, batch;
            uint32_t segment;
            struct feed_stamp stamp; /* of the last */
            const uint32_t *blocks;  /* ascending */
            const uint8_t *contents;
            uint32_t block_count;
        } merged;
        struct {
            struct feed_stamp stamp;
            uint64_t batch;
            uint64_t samples, failures; /* since the subscription began */
        } still;
        struct {
            enum {
                FEED_GAP_TOO_SLOW = 1,
                FEED_GAP_TOO_MANY,
                FEED_GAP_SEGMENT,
                FEED_GAP_RESUMED
            } reason;
            uint64_t first_batch, batch; /* the numbers missed; append: of open losses */
            uint64_t blocks; /* append: bytes; 0: that a segment begins was missed, and no more */
            bool at_least;   /* append: open losses are among them */
            struct subscription_offset at; /* append: where it goes on */
        } gap;
        struct {
            bool mapper_gone;
            struct feed_end end; /* where the feed said one: reason not 0 */
            uint64_t batch;
            uint64_t bytes; /* append: in all, those declared lost included */
        } ended;
    };
};

/*
 * The next item; never waits. Failures are final: those of the mapper's answer (NOT_FOUND, ABORTED,
 * FAILED_PRECONDITION, …), -ERROR_OUT_OF_RANGE for a cursor that cannot be gone on from, with how much
 * was missed where that is known, -ERROR_DATA_LOSS for a spool that is broken. One thread at a time.
 */
int subscription_next(struct subscription *u, struct subscription_item *out, struct failure *f);
/* Behind all that subscription_next() has given. False: there is no place to go on from (not begun,
 * between a gap and its image, in the midst of a batch's parts, before the BEGIN of a segment of bytes, or
 * ended for good: where its mapper is gone there is one, since it may have been the connection only). */
bool subscription_cursor(const struct subscription *u, struct feed_cursor *out);
/* How far the feed is ahead of it, in bytes of the spool: 0, it has all. */
uint64_t subscription_lag(const struct subscription *u);

/* --- what is made once for all who are at the same record ------------------------------------------- */

/*
 * Bytes made of one record, for whoever else comes to it: rpc's encoded and compressed messages. Kept
 * per feed by the record's place and `variant` (rpc's: codec and encoding), a few of the last ones.
 * Counted; immutable.
 */
enum { FEEDS_SHARED_PER_FEED = 16, FEEDS_VARIANTS = 6 };
struct shared_bytes;
const void *shared_bytes_data(const struct shared_bytes *b, size_t *len_bytes);
void shared_bytes_unref(struct shared_bytes *b); /* NULL is fine */
/* Of the RECORD that subscription_next() has just given; NULL: nobody has made it yet. With a reference
 * for the caller. */
struct shared_bytes *subscription_shared(struct subscription *u, unsigned variant);
/* Keeps a copy of them there, and gives a reference; NULL: no memory. */
struct shared_bytes *subscription_share(struct subscription *u, unsigned variant, const void *bytes,
                                        size_t len_bytes);

struct feeds_counters {
    uint32_t feeds, subscribers;
    uint64_t spool_bytes;                         /* mapped */
    uint64_t delivered_batches, delivered_events; /* to subscribers, by itself or merged */
    uint64_t delivered_bytes, lost_bytes;         /* append: to subscribers, as below */
    uint64_t gaps_too_slow, gaps_too_many, gaps_segment, gaps_resumed;
    uint64_t lost_batches, lost_blocks; /* in gaps, declared to subscribers */
    uint64_t images;                    /* given to subscribers */
    uint64_t refused_streams, refused_streams_in_all, refused_feeds, refused_spools; /* by limit */
    uint64_t wakes;
};
void feeds_count(struct feeds *s, struct feeds_counters *out);

#endif
