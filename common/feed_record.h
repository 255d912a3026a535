/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the records of a feed's spool hold: written by the mapper, read by xenresd, both on one machine.
 * Each record begins with a structure of its kind, a multiple of 8 bytes long; feed_record_check() says
 * whether one can be believed to be well formed, and finds the parts behind it.
 *
 * A feed is one source sampled once, whoever looks. It has an id, random, which names it for ever: its
 * positions mean nothing in another feed. Two kinds:
 *
 *   frames   an image of `image_bytes`, which the mapper holds and gives out at a place of the spool, and
 *            then BEGIN (CHANGES | STILL)* … END. Blocks of 64 bytes: what was not in a record since
 *            the image's place stands as it was. BEGIN starts a segment: all that was known of the image
 *            is void, and another has to be fetched.
 *   append   BEGIN (BYTES | LOSS | STILL)* … END: bytes at their offset within a segment, and at one over
 *            all segments, which never wraps; what is declared lost has its numbers as well. A segment
 *            begins when the source was reset, which is a new epoch, too, and behind a loss that may be
 *            larger than it says: within one, all distances are exact.
 *   domains  DOMAIN* … END: what happened to the host's domains.
 *
 * Numbers that let a reader count what it missed, exactly, all from the feed's first: of frames `batch`
 * counts batches, over all segments, and `blocks_before` blocks published before this record; of append
 * they are losses that may be larger than they say, and bytes (in BYTES and LOSS `open_losses` and
 * `bytes_before`), those before this record; of domains, `number` counts events. Pure, any thread.
 */
#ifndef XENRES_COMMON_FEED_RECORD_H
#define XENRES_COMMON_FEED_RECORD_H

#include "common/message.h"

enum {
    FEED_BLOCK_BYTES = 64,
    FEED_BLOCKS_A_FRAME = MESSAGE_FRAME_BYTES / FEED_BLOCK_BYTES,
    /* Of one frames feed: 16,384 frames of a version 2 grant table. */
    FEED_IMAGE_MAX_BYTES = 64 << 20,
    /* Of one record of bytes: a message's worth, made once for all readers who are near each other. */
    FEED_BYTES_MAX = 64 << 10,
    FEED_ID_BYTES = 16,
};

enum feed_record_kind {
    FEED_RECORD_BEGIN = 1,
    FEED_RECORD_CHANGES,
    FEED_RECORD_STILL,
    FEED_RECORD_BYTES,
    FEED_RECORD_LOSS,
    FEED_RECORD_DOMAIN,
    FEED_RECORD_END,
};

enum feed_begin_reason {
    FEED_BEGIN_START = 1,   /* the feed's first segment */
    FEED_BEGIN_RESIZED = 2, /* more or fewer frames are in use */
    FEED_BEGIN_VERSION = 3, /* the grant table's version is another */
    /* More changed at once than the spool has room for: that batch is in no record, and counted in this
     * one's numbers. */
    FEED_BEGIN_TOO_MANY = 4,
    FEED_BEGIN_REMADE = 5, /* the pages are others: a new ioreq server with the same id */
    FEED_BEGIN_LOSS = 6,   /* append: behind a loss that may be larger than it says */
    FEED_BEGIN_RESET = 7,  /* append: the trace was reset: a new epoch */
};

/* When a sample was taken, and of what age the one before it was. */
struct feed_stamp {
    uint64_t wall_ns;
    uint64_t monotonic_ns;       /* when its copy began */
    uint64_t since_monotonic_ns; /* when that of the sample before began; 0: there is none */
    uint64_t duration_ns;        /* of the copy */
};

struct feed_begin {
    struct feed_stamp stamp;
    uint64_t batch;         /* batches before it; append: open losses */
    uint64_t blocks_before; /* append: bytes, over all segments */
    uint32_t segment;       /* from 0 */
    uint32_t reason;        /* enum feed_begin_reason */
    uint32_t first_frame, frame_count;
    uint32_t first_status_frame, status_frame_count; /* they follow the frames in the image */
    uint32_t frames_in_use, frames_max;
    uint32_t grant_version;
    uint32_t frames_present; /* sparse ioreq pages: bit n = frame first_frame + n */
    uint32_t image_bytes;    /* a multiple of FEED_BLOCK_BYTES; of vcpu_stats: struct message_vcpu
                                each, rounded up */
    uint32_t epoch;          /* append, from 0: one more for each FEED_BEGIN_RESET */
    uint64_t tsc;            /* append: the host's at the stamp's time */
};

/* Then `block_count` numbers of blocks, ascending, 32 bits each, padded to 8 bytes; then the blocks. */
struct feed_changes {
    struct feed_stamp stamp;
    uint64_t batch; /* the number of this batch, from 1; its parts have the same */
    uint64_t blocks_before;
    uint32_t segment;
    uint32_t block_count; /* > 0 */
    uint32_t more;        /* 1: the batch goes on in the next record */
    uint32_t samples;     /* taken since the record before, this one included; 0 in further parts */
};

/* Samples were taken, and nothing has changed; or none could be taken (`samples` is 0). */
struct feed_still {
    struct feed_stamp stamp; /* of the last of them */
    uint64_t batch;          /* batches so far; append: open losses */
    uint64_t blocks_before;  /* append: bytes */
    uint64_t offset;         /* append: within the segment, of the next byte; else 0 */
    uint32_t segment;
    uint32_t epoch;    /* append; else 0 */
    uint32_t samples;  /* since the record before */
    uint32_t failures; /* samples that could not be taken, and that no record has told of */
};

/* Then `len_bytes` bytes. What `bytes_before` is less `offset`, is where the segment begins. */
struct feed_bytes {
    struct feed_stamp stamp;
    uint64_t offset;       /* within the segment, of the first */
    uint64_t bytes_before; /* all before the first, over all segments */
    uint32_t segment, epoch;
    uint32_t open_losses; /* before it */
    uint32_t samples;   /* that no record has told of, this one included; 0 in further ones of it */
    uint32_t len_bytes; /* > 0, at most FEED_BYTES_MAX */
    /* Of the first byte from which on it can be decoded (of Intel PT a whole PSB, which no two
     * records share), from its first byte on; -1: none. */
    int32_t sync_offset;
    uint64_t tsc; /* the host's at the stamp's time */
};

enum feed_loss_reason {
    FEED_LOSS_LAPPED = 1, /* the writer went all the way round the ring before it was read */
    FEED_LOSS_FAILED = 2, /* samples could not be taken */
    FEED_LOSS_PAUSED = 3, /* a budget or a ceiling on pauses held samples back, and it was lapped */
    FEED_LOSS_RESET = 4,  /* somebody else reset the trace: what came before that is unknown */
};
/* Bytes that are not there, and have their numbers all the same. */
struct feed_loss {
    struct feed_stamp stamp;
    uint64_t offset;       /* within the segment, where they would have been */
    uint64_t bytes_before; /* as above */
    uint64_t len_bytes;    /* > 0, but for an open one */
    uint32_t segment, epoch;
    uint32_t open_losses; /* before it */
    uint32_t samples;     /* as above */
    uint32_t reason;      /* enum feed_loss_reason */
    uint32_t at_least;    /* 1: an open one, it may have been more: BEGIN or END is next */
};

enum feed_end_reason {
    FEED_END_INCARNATION = 1, /* the domain died, is dying, or is another */
    FEED_END_RENAMED = 2,     /* the identity that was decided on is no longer the domain's: another
                                 name, other tags */
    FEED_END_RESOURCE = 3,    /* it is no longer there: an ioreq server destroyed, … */
    FEED_END_FAILED = 4,      /* sampling failed again and again: `failure` */
    FEED_END_STOPPED = 5,     /* the mapper stops */
    FEED_END_RELEASED = 6,    /* nobody held it */
    /* Of traces: */
    FEED_END_STOPPED_BY_CALLER = 7,
    FEED_END_LEASE = 8,          /* nobody renewed it in time */
    FEED_END_SHUTDOWN = 9,       /* the domain shut down or crashed: `detail` is Xen's SHUTDOWN_* */
    FEED_END_TRACE_ERROR = 10,   /* RTIT_STATUS says Error: the hardware gave up */
    FEED_END_TRACE_STOPPED = 11, /* RTIT_STATUS says Stopped */
    FEED_END_INTERFERED = 12, /* somebody else ended or changed it: `failure` says what was seen */
    FEED_END_TAKEN_OVER = 13, /* another caller took it over */
};
struct feed_end {
    uint64_t wall_ns, monotonic_ns;
    uint64_t batch; /* batches, or events, in all; append: open losses */
    uint64_t blocks_before;
    uint32_t reason;        /* enum feed_end_reason */
    uint32_t detail;        /* SHUTDOWN: the code; else 0 */
    struct failure failure; /* code 0: none */
};

enum feed_domain_kind {
    FEED_DOMAIN_CREATED = 1,
    FEED_DOMAIN_RENAMED = 2,
    FEED_DOMAIN_STATE = 3, /* shut down, crashed, or alive again */
    FEED_DOMAIN_DYING = 4,
    FEED_DOMAIN_GONE = 5,     /* nothing is left of it, or its number has another */
    FEED_DOMAIN_RETAGGED = 6, /* the same name, other tags */
};
struct feed_domain {
    uint64_t wall_ns, monotonic_ns;
    uint64_t number;               /* of the event, from 1 */
    uint64_t generation;           /* a list of this generation or a later one has it */
    uint32_t kind;                 /* enum feed_domain_kind */
    uint32_t had_name;             /* RENAMED, RETAGGED: 1 where `before` is set */
    struct message_domain now;     /* GONE: as it was last */
    struct domain_identity before; /* RENAMED, RETAGGED: as it was; else zero */
};

/* A record as feed_record_check() has found it; pointers lead into its bytes. */
struct feed_record {
    enum feed_record_kind kind;
    union {
        const struct feed_begin *begin;
        const struct feed_changes *changes;
        const struct feed_still *still;
        const struct feed_bytes *bytes;
        const struct feed_loss *loss;
        const struct feed_domain *domain;
        const struct feed_end *end;
    };
    const uint32_t *blocks;  /* CHANGES: numbers */
    const uint8_t *contents; /* CHANGES: FEED_BLOCK_BYTES each; BYTES */
};

/*
 * Sizes, counts and enums are what they can be, block numbers ascending and below FEED_IMAGE_MAX_BYTES,
 * reserved fields zero, strings ended. Whether blocks are within the segment's image its reader checks.
 * `bytes` is aligned to 8. -ERROR_DATA_LOSS with what is wrong.
 */
int feed_record_check(uint32_t kind, const void *bytes, size_t len_bytes, struct feed_record *out,
                      struct failure *f);

#endif
