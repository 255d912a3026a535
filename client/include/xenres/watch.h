/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The part of <xenres.h> that follows what changes: a resource, or the host's domains. That header
 * includes this one; its rules hold here too.
 *
 * What is watched is sampled at the gateway's, once for all who watch it: a *feed*, which has an id.
 * Everything that a feed produces has a number, without holes: of a resource its batches of changes,
 * of the domains their events. What is delivered says which numbers it speaks of, and numbers that
 * are not delivered are told by a gap: produced = delivered + told as lost. The library checks every
 * message against that, and ends with XENRES_INTERNAL where a gateway does not keep it.
 *
 * Cuts     A stream that was cut (connection lost, nothing heard for longer than the gateway promised,
 *          gateway or mapper stopped) is asked for again, after waits that grow and are partly left
 *          to chance, and goes on behind the last checkpoint. What had been delivered since then comes
 *          again from the gateway and is not delivered twice. Where the gateway no longer has what came
 *          meanwhile, or samples anew, there is a gap and then a new image or list.
 * Lives    A watch is of one incarnation of a domain. It ends with it, however alike the next one looks,
 *          also where that became known during a cut only.
 * Expiry   Where what was shown has expired, and its file (certificate, key, token) is another one by then
 *          or within a few seconds, that is a cut, too, and the stream goes on with that.
 * Callbacks They run on the calling thread, within the call, one at a time, and must not use the handle
 *          but to cancel it. Any may be NULL. What one returns: 0 to go on, anything else to end the
 *          call, which then fails with XENRES_CANCELED. What they are given, and everything that it
 *          points to, lives until they return.
 * Memory   One message, and a cursor; nothing is gathered. A callback that takes its time makes the
 *          gateway wait, and at last a gap. The gateway may meanwhile find us too slow to keep: that is
 *          a cut like another.
 */
#ifndef XENRES_WATCH_H
#define XENRES_WATCH_H

#include <xenres.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- what all watches have ------------------------------------------------------------------- */

/* For outage_max_ms: the first cut ends it. */
#define XENRES_NO_RECONNECT UINT32_MAX

/* Why numbers are missing. */
enum xenres_gap_reason {
    XENRES_GAP_TOO_SLOW = 1,        /* we did not read fast enough */
    XENRES_GAP_TOO_MANY = 2,        /* more changed at once than the gateway keeps */
    XENRES_GAP_NEW_SEGMENT = 3,     /* the table's size or version, or the pages, are others */
    XENRES_GAP_RESUMED = 4,         /* decoding, of each batch, went on from new content after a cut; or
                                       a list was made anew */
    /* Found by the library, and in no message of the gateway's: */
    XENRES_GAP_INTERRUPTED = 101,   /* it came during a cut, and the gateway no longer has it */
    XENRES_GAP_NEW_FEED = 102,      /* it is sampled anew after a cut: numbers begin anew */
    XENRES_GAP_AT_END = 103         /* it was produced before the end, and not sent */
};
/* "too_slow" for XENRES_GAP_TOO_SLOW, and so on; "" for a number that is none. A constant. */
XENRES_API const char *xenres_gap_reason_name(uint32_t reason);

/* Why a watch is over. */
enum xenres_end_reason {
    XENRES_END_INCARNATION_ENDED = 1, /* the domain died, is dying, or is another: watch that anew */
    XENRES_END_RENAMED = 2,         /* it has another name, or other tags: all has to be allowed anew */
    XENRES_END_RESOURCE_GONE = 3,
    XENRES_END_SAMPLING_FAILED = 4, /* `failure` says why */
    XENRES_END_MAPPER_GONE = 5,     /* this and the next: with XENRES_NO_RECONNECT only */
    XENRES_END_SHUTTING_DOWN = 6,
    XENRES_END_PERMISSION_WITHDRAWN = 7,
    XENRES_END_DEADLINE = 8,
    XENRES_END_FAILED = 9,          /* the gateway could not go on: `failure`. What may pass is a cut */
    XENRES_END_CREDENTIALS_EXPIRED = 10, /* what was shown has, and nobody renewed its file: go
                                            on from `cursor` with another */
    /* Found by the library: */
    XENRES_END_NOT_FOUND = 101      /* after a cut, domain or resource are not there, or are hidden */
};
/* "incarnation_ended" for XENRES_END_INCARNATION_ENDED, and so on; "" for a number that is none. A
 * constant. */
XENRES_API const char *xenres_end_reason_name(uint32_t reason);

/* Numbers from `first_sequence` to `sequence` were produced, and are not delivered. Of events, some may
 * have been of domains that are not watched. */
typedef struct xenres_watch_gap {
    uint32_t reason;                /* enum xenres_gap_reason */
    uint64_t first_sequence;        /* 0 where that is not known (a cursor from elsewhere) */
    uint64_t sequence;              /* 0 where not one number is known to be missing */
    bool exact;                     /* false: of a feed that is over, it may be more */
    uint64_t blocks;                /* changed blocks of 64 bytes in them; 0: not known, or domains */
    int64_t wall_seconds;           /* 0 where the library found it */
    uint32_t wall_nanoseconds;
} xenres_watch_gap;

/* A place to go on from, also in another process: everything before it was delivered. */
typedef struct xenres_watch_checkpoint {
    const char *cursor;             /* not empty; below 4,096 bytes, of printable ASCII */
    const char *feed;               /* whose numbers these are; "" by xenres_watch_message() */
    uint64_t sequence;              /* the last number before it */
} xenres_watch_checkpoint;

/* Nothing has changed, and it lives. */
typedef struct xenres_watch_heartbeat {
    int64_t wall_seconds;
    uint32_t wall_nanoseconds;
    uint64_t sequence;              /* the last number that there is */
    const xenres_sample_time *sampled; /* until then nothing has changed; NULL: not known, or domains */
    uint64_t samples;               /* taken since the stream began, and those that failed */
    uint64_t failed_samples;
} xenres_watch_heartbeat;

/* It was cut, or one more try to go on has failed. */
typedef struct xenres_watch_interruption {
    const xenres_error *error;      /* what cut it, or what the try failed with */
    uint32_t end_reason;            /* enum xenres_end_reason where the gateway ended it so; else 0 */
    uint32_t tries;                 /* that have failed since the cut; 0: this is the cut */
    uint32_t wait_ms;               /* before the next one */
    uint64_t outage_ms;             /* since the cut */
    bool unfinished;                /* an image, a list or a batch was cut between its parts: forget
                                       those; it comes again, whole */
    const char *feed;
    uint64_t sequence;              /* the last number that was delivered or told as lost */
    const char *cursor;             /* that it will go on from; "": from a new image or list */
} xenres_watch_interruption;

/* The last of a watch. */
typedef struct xenres_watch_end {
    uint32_t reason;                /* enum xenres_end_reason */
    const char *message;            /* for people */
    const xenres_failure *failure;  /* NULL: none */
    const char *cursor;             /* where it makes sense to go on from; else "" */
    uint64_t sequence;              /* the last number that was produced, as far as is known; 0: not */
} xenres_watch_end;

/* --- a resource ------------------------------------------------------------------------------ */

enum xenres_watch_mode {
    XENRES_WATCH_DELTA = 1,         /* an image, then every batch of changes */
    XENRES_WATCH_FULL = 2,          /* an image, and another after each period with a change */
    XENRES_WATCH_LATEST = 3         /* an image, then what is different now; skips when slow */
};

typedef struct xenres_watch_query {
    size_t size;                    /* sizeof(xenres_watch_query) */
    const char *domain;             /* as in all queries */
    const char *incarnation;
    uint32_t type;                  /* enum xenres_resource_type */
    uint32_t id;
    uint32_t first_frame;
    uint32_t frame_count;           /* XENRES_ALL: all in use from there, also when they grow */
    uint32_t period_ms;             /* the least time between two messages of changes; 0: 100; at most
                                       3 600 000 */
    uint32_t mode;                  /* enum xenres_watch_mode; 0: delta */
    bool decode;                    /* meaning instead of bytes; needed for XENRES_VCPU_STATS */
    const char *cursor;             /* of a checkpoint of the same domain, resource and range: go on
                                       from there. NULL or "": from now on */
    const char *feed;               /* what was delivered up to `sequence` of this feed is not delivered */
    uint64_t sequence;              /* again, and what is missing behind it is told. NULL: nothing was */
    uint32_t outage_max_ms;         /* a cut longer than this ends it; 0: 300 000; at most
                                       86 400 000, or XENRES_NO_RECONNECT */
} xenres_watch_query;

#define XENRES_WATCH_QUERY_INIT(domain_, type_, id_)                                               \
    { sizeof(xenres_watch_query), (domain_), NULL, (type_), (id_), 0, XENRES_ALL, 0, 0, false,     \
      NULL, NULL, 0, 0 }

/* What is watched, and how. Comes first, and again after each cut. */
typedef struct xenres_watch_begin {
    xenres_identity domain;
    uint32_t type;
    uint32_t id;
    uint32_t first_frame;
    uint32_t mode;                  /* enum xenres_watch_mode */
    bool decode;
    uint32_t period_ms;             /* as admitted */
    bool resumed;                   /* it goes on: no image comes, but what follows `sequence`; or, where
                                       that is decoded, a gap and whole content */
    uint64_t sequence;              /* where resumed: the last number behind us, as delivered */
    uint32_t segment;
    const char *feed;               /* 32 hexadecimal digits. With another one, numbers begin anew */
    uint32_t block_bytes;           /* 64 */
    uint32_t silence_max_ms;        /* when nothing was heard for so long, it is cut */
} xenres_watch_begin;

/* A piece of the whole content as it was behind batch `sequence`. Pieces follow each other without
 * holes; the last one is `complete`. */
typedef struct xenres_watch_image {
    uint64_t sequence;
    uint64_t first_sequence;        /* batches from here to `sequence` were not delivered by
                                       themselves: this image has them. 0: none */
    uint32_t segment;               /* what is known of an earlier segment is void */
    const xenres_observation *observation; /* with the first piece, else NULL; of all of it: its size
                                       is frame_count × frame_bytes */
    uint64_t offset_bytes;          /* from the first frame watched */
    const void *bytes;
    size_t len_bytes;
    bool complete;
} xenres_watch_image;

/* A batch of changes; or of several, what is different after them. */
typedef struct xenres_watch_changes {
    uint64_t first_sequence;
    uint64_t sequence;
    uint32_t segment;
    xenres_sample_time sampled;     /* of the last of them */
    const uint32_t *blocks;         /* numbers of blocks of 64 bytes, from the first frame watched,
                                       ascending */
    size_t block_count;
    const void *content;            /* 64 bytes for each, in that order; aligned to nothing */
    bool more;                      /* the batch goes on in the next call, with the same numbers and
                                       higher blocks; or a gap has its number, and the parts are void */
} xenres_watch_changes;

enum xenres_grant_change_kind {
    XENRES_GRANT_APPEARED = 1,      /* in whole content: is there */
    XENRES_GRANT_CHANGED = 2,
    XENRES_GRANT_WENT_AWAY = 3      /* `grant` is what it is now: unused */
};

typedef struct xenres_grant_change {
    uint32_t kind;                  /* enum xenres_grant_change_kind */
    xenres_grant grant;
    bool has_before;
    xenres_grant before;            /* where it changed or went away */
} xenres_grant_change;

typedef struct xenres_ioreq_change {
    xenres_ioreq ioreq;
    uint32_t before_state;          /* enum xenres_ioreq_state; 0: not known */
} xenres_ioreq_change;

/* Content or changes, decoded. */
typedef struct xenres_watch_decoded {
    uint64_t first_sequence;        /* whole: as in xenres_watch_image */
    uint64_t sequence;
    uint32_t segment;
    xenres_sample_time sampled;
    bool whole;                     /* all that is there: forget what you know */
    bool more;                      /* it goes on in the next call, with the same numbers */
    uint32_t grant_version;         /* 1 or 2; 0 for other resources */
    const xenres_grant_change *grants;
    size_t grant_count;
    const xenres_ioreq_change *ioreqs;
    size_t ioreq_count;
    bool has_buffered;              /* the queue of an ioreq server, where it is or changed */
    uint32_t read_pointer;
    uint32_t write_pointer;
    bool pointers_valid;            /* false: they make no sense together: no requests */
    const xenres_buffered_ioreq *requests;
    size_t request_count;
    const xenres_vcpu *vcpus;       /* those whose run time changed */
    size_t vcpu_count;
} xenres_watch_decoded;

typedef struct xenres_watch_sink {
    size_t size;                    /* sizeof(xenres_watch_sink) */
    /* Before each of the others that a message is behind: that message as it came, a
     * xenres.v1.WatchResponse. None is behind what the library found by itself: gaps and ends whose
     * reasons are above 100, the end of a life met after a cut, and interruptions; and messages that
     * are not delivered are not given either. After a cut one may speak of numbers that were
     * delivered before: the callback behind it is given what is new. */
    int (*raw)(void *arg, const void *message, size_t len_bytes);
    int (*begin)(void *arg, const xenres_watch_begin *begin);
    int (*image)(void *arg, const xenres_watch_image *piece);
    int (*changes)(void *arg, const xenres_watch_changes *changes);
    int (*decoded)(void *arg, const xenres_watch_decoded *decoded);
    int (*gap)(void *arg, const xenres_watch_gap *gap);
    int (*checkpoint)(void *arg, const xenres_watch_checkpoint *checkpoint);
    int (*heartbeat)(void *arg, const xenres_watch_heartbeat *heartbeat);
    int (*end)(void *arg, const xenres_watch_end *end);
    int (*interrupted)(void *arg, const xenres_watch_interruption *interruption);
    void *arg;
} xenres_watch_sink;

#define XENRES_WATCH_SINK_INIT                                                                     \
    { sizeof(xenres_watch_sink), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }

/*
 * What a resource holds, and what changes in it, until it ends.
 * Inputs:    `query` and `sink`, read until it returns.
 * Outputs:   by the callbacks. In order: begin; an image (decoded: `whole` content) unless resumed; then
 *            changes, or with XENRES_WATCH_FULL images, with checkpoints, heartbeats, gaps, each of which
 *            an image follows. After an interruption, begin again; a gap of reason
 *            XENRES_GAP_NEW_FEED comes before the new feed's begin.
 * Returns:   0: it is over, and `end` was told why.
 * Errors:    before anything was delivered: as xenres_get_snapshot(). XENRES_CANCELED: see above, or
 *            xenres_cancel(). XENRES_UNAVAILABLE, XENRES_DEADLINE_EXCEEDED and what else may pass: a cut
 *            that lasted longer than outage_max_ms. XENRES_PERMISSION_DENIED and others: what the gateway
 *            answered after a cut. XENRES_INTERNAL: the numbers, pieces or parts are not what they have to
 *            be; the error says which. XENRES_DATA_LOSS: the gateway's own memory of the feed is broken.
 * Guarantee: each number of a feed is delivered, or told as lost, once, and in order. What was delivered
 *            is of one incarnation.
 * Blocking:  without an end. Only the first try is bounded by the handle's timeout_ms and retries.
 */
XENRES_API int xenres_watch(xenres *handle, const xenres_watch_query *query,
                            const xenres_watch_sink *sink, xenres_error *error);

/*
 * Gives one message that `raw` was given, of a recording for instance, to the callback that it is for;
 * `raw` is not called. One message alone: numbers are not checked, only form.
 * Returns:   0, also where there is no callback for it.
 * Errors:    XENRES_INTERNAL: it is no such message, or makes no sense by itself. XENRES_CANCELED: the
 *            callback returned so. XENRES_RESOURCE_EXHAUSTED: above 96 MiB.
 */
XENRES_API int xenres_watch_message(const void *message, size_t len_bytes,
                                    const xenres_watch_sink *sink, xenres_error *error);

/* --- an image kept --------------------------------------------------------------------------- */

/* What a watched resource holds now, put together out of pieces and changes. It is of one number at
 * every moment: what has several parts is put aside until the last one, and dropped when it comes
 * again after a cut. Memory: up to three times the image. One owner. */
typedef struct xenres_image xenres_image;

/* `max_bytes`: the largest image taken; 0: 64 MiB, which is the gateway's own limit.
 * Errors: XENRES_RESOURCE_EXHAUSTED: no memory. */
XENRES_API int xenres_image_new(size_t max_bytes, xenres_image **out, xenres_error *error);
/*
 * Takes a piece, or a batch, as the callbacks are given them.
 * Errors: XENRES_RESOURCE_EXHAUSTED: larger than max_bytes, or no memory. XENRES_INVALID_ARGUMENT: it
 * does not fit to what is there: another segment, a block beyond the end, changes without an image, a
 * piece that does not follow the one before. The image is as before then.
 */
XENRES_API int xenres_image_apply_piece(xenres_image *image, const xenres_watch_image *piece,
                                        xenres_error *error);
XENRES_API int xenres_image_apply_changes(xenres_image *image, const xenres_watch_changes *changes,
                                          xenres_error *error);
/* The bytes, and the number that they are of (both outputs may be NULL). They stand until the next
 * call with the image. NULL before the first image was whole. */
XENRES_API const void *xenres_image_bytes(const xenres_image *image, size_t *len_bytes,
                                          uint64_t *sequence);
/* NULL is fine. */
XENRES_API void xenres_image_free(xenres_image *image);

/* --- the host's domains ---------------------------------------------------------------------- */

typedef struct xenres_domains_watch_query {
    size_t size;                    /* sizeof(xenres_domains_watch_query) */
    const xenres_domain_query *filter; /* which domains; NULL: all that the caller may see */
    const char *cursor;             /* as in xenres_watch_query; of the same caller and filter */
    const char *feed;
    uint64_t sequence;
    uint32_t outage_max_ms;
} xenres_domains_watch_query;

#define XENRES_DOMAINS_WATCH_QUERY_INIT                                                            \
    { sizeof(xenres_domains_watch_query), NULL, NULL, NULL, 0, 0 }

/* Comes first, and again after each cut. */
typedef struct xenres_domains_begin {
    bool resumed;                   /* it goes on from a checkpoint: no list comes, but with a filter of
                                       states, where it is or behind a gap */
    uint64_t sequence;              /* where resumed: the last number behind us, as delivered */
    const char *feed;
    uint32_t silence_max_ms;
} xenres_domains_begin;

/* A piece of the list of all domains, as it was behind event `sequence`, in the order of their domids;
 * the last one is `complete`. It comes first, after a gap, and where the gateway decides anew which domains
 * we may see, then perhaps of a number that was delivered already: forget the list before. */
typedef struct xenres_domains_piece {
    uint64_t sequence;
    const xenres_domain *domains;
    size_t domain_count;
    bool complete;
} xenres_domains_piece;

enum xenres_domain_change_kind {
    XENRES_DOMAIN_CHANGE_CREATED = 1, /* is there, or fits the filter now */
    XENRES_DOMAIN_CHANGE_RENAMED = 2,
    XENRES_DOMAIN_CHANGE_STATE = 3, /* shut down, crashed, or alive again */
    XENRES_DOMAIN_CHANGE_DYING = 4,
    XENRES_DOMAIN_CHANGE_GONE = 5,  /* `domain` is as it was last; or no longer fits the filter */
    XENRES_DOMAIN_CHANGE_RETAGGED = 6
};

typedef struct xenres_domain_change {
    uint64_t first_sequence;        /* events from here to the one before it were not of our domains */
    uint64_t sequence;
    uint32_t kind;                  /* enum xenres_domain_change_kind */
    xenres_domain domain;
    const char *previous_name;      /* RENAMED; else "" */
    int64_t wall_seconds;
    uint32_t wall_nanoseconds;
    uint64_t monotonic_ns;
} xenres_domain_change;

typedef struct xenres_domains_sink {
    size_t size;                    /* sizeof(xenres_domains_sink) */
    int (*raw)(void *arg, const void *message, size_t len_bytes); /* WatchDomainsResponse */
    int (*begin)(void *arg, const xenres_domains_begin *begin);
    int (*list)(void *arg, const xenres_domains_piece *piece);
    int (*change)(void *arg, const xenres_domain_change *change);
    int (*gap)(void *arg, const xenres_watch_gap *gap); /* a list follows, but at the end */
    int (*checkpoint)(void *arg, const xenres_watch_checkpoint *checkpoint);
    int (*heartbeat)(void *arg, const xenres_watch_heartbeat *heartbeat);
    int (*end)(void *arg, const xenres_watch_end *end);
    int (*interrupted)(void *arg, const xenres_watch_interruption *interruption);
    void *arg;
} xenres_domains_sink;

#define XENRES_DOMAINS_SINK_INIT                                                                   \
    { sizeof(xenres_domains_sink), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }

/* The domains that the caller may see, and what becomes of them. All else as xenres_watch(); it ends
 * when the gateway ends it for good, or when it is cancelled. */
XENRES_API int xenres_watch_domains(xenres *handle, const xenres_domains_watch_query *query,
                                    const xenres_domains_sink *sink, xenres_error *error);

/* As xenres_watch_message(). */
XENRES_API int xenres_watch_domains_message(const void *message, size_t len_bytes,
                                            const xenres_domains_sink *sink, xenres_error *error);

#ifdef __cplusplus
}
#endif

#endif
