/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One feed as its sampling thread has it: a source, the spool that it is told in, and what becomes of
 * failures: each is tried again with the next period, and SAMPLING_FAILURES_MAX in a row end the feed,
 * as does at once the end of the domain or of the resource. Before the END record is written nothing
 * of the source is mapped any more.
 *
 * Time is passed in. One thread at a time; the image may be read by another while nothing is sampled.
 */
#ifndef XENRES_MAPPER_SAMPLING_H
#define XENRES_MAPPER_SAMPLING_H

#include "server/mapper/source.h"

enum { SAMPLING_FAILURES_MAX = 10 };

struct sampling {
    struct source *source; /* owned */
    struct spool spool;
    uint32_t failures;        /* in a row */
    bool is_to_prepare;       /* the next step makes the spool, and takes no sample */
    bool has_begun;           /* the first sample was taken: there is a ring */
    bool is_over;             /* ended: nothing is mapped, and nothing will be sampled */
    bool was_postponed;       /* whoever samples it could not when it was due */
    enum feed_end_reason end; /* is over: why, with what struct feed_end has of it */
    uint32_t end_detail;
    struct failure failure; /* of the last sample that failed; is over: why (code 0: none) */
    uint64_t failed;        /* samples that could not be taken */
    uint64_t taken;
    uint64_t held_back;     /* by a budget or a ceiling on pauses */
    uint64_t next_after_ns; /* the next sample is wanted so long after the last; 0: as usual */
};

/* Takes the source. */
void sampling_init(struct sampling *s, struct source *source, uint64_t spool_most_bytes,
                   struct allowance *memory);
/* The first step makes the spool, which takes its time if that is large; the next one takes the first
 * sample, of a source that cannot wait for a spool then. */
void sampling_prepare_first(struct sampling *s);
/* It is over, or never was sampled. What others have open of the spool stays readable. */
void sampling_done(struct sampling *s);

/* Takes a sample, unless it is over. A first one that fails is over at once, without a record. */
void sampling_step(struct sampling *s, struct source_tools *t, uint64_t wall_ns,
                   uint64_t monotonic_ns, const atomic_bool *stop);
/* Ends it, once. */
void sampling_end(struct sampling *s, struct source_tools *t, uint64_t wall_ns,
                  uint64_t monotonic_ns, enum feed_end_reason reason);

#endif
