/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The mapper's feeds: who is sampled, by which thread, and for whom. WATCH, UNWATCH and WATCH_DOMAINS are
 * handled here, IMAGE in feed_image.
 *
 * A feed is named by a random id, and found by its source: incarnation, type, id, frames and flags. It
 * ends when its domain does, or has another name: everything of it is unmapped then before the loop goes
 * on; when the peer that held it lets it go; or, after the peer went, when the grace period is over and
 * the next peer has not asked for the same. (The two are one user's: who has kept the descriptor of a
 * spool reads on what the next one is told.)
 *
 * Owns the samplers, the feeds and the peer's doorbell. The loop's thread.
 */
#ifndef XENRES_MAPPER_FEED_TABLE_H
#define XENRES_MAPPER_FEED_TABLE_H

#include "server/mapper/mapper.h"
#include "server/mapper/sampler.h"

enum {
    FEED_TABLE_MAX = 4096, /* feeds, of --feeds-max */
    FEED_TABLE_SAMPLERS_MAX = 8,
    FEED_TABLE_PENDING_MAX = 64, /* WATCHes that wait for a first sample */
    FEED_TABLE_PERIOD_MAX_S = 3600,
    FEED_TABLE_END_WAIT_MS = 250, /* for the end of what is sampled of a domain that dies */
    FEED_TABLE_DOMAINS = FEED_TABLE_MAX, /* the number of the feed of domains */
};

struct feed_table;

struct feed_table_options {
    const struct backend_ops *ops;
    struct backend *backend;
    uint32_t samplers, feeds_max;
    uint64_t spool_most_bytes;  /* of one */
    uint64_t memory_most_bytes; /* of all, images included */
    uint64_t period_min_ns;
};

/* Opens the samplers' handles and starts their threads: both before privileges are dropped. */
int feed_table_new(const struct feed_table_options *options, struct feed_table **out,
                   struct failure *f);
/* Ends whatever there is (the mapper stops). NULL is fine. */
void feed_table_free(struct feed_table *t);
void feed_table_set_ceiling(struct feed_table *t, struct ceiling *ceiling);
/* What the hello says of feeds, and the end of a new doorbell that the peer waits at: the caller's. */
int feed_table_welcome(struct feed_table *t, struct message_hello_answer *hello, int *wait_fd,
                       struct failure *f);

/* To be polled: samplers have something to tell feed_table_step(). */
int feed_table_fd(const struct feed_table *t);
/* Answers what can be answered, and takes away what has ended; to be called at each turn. */
void feed_table_step(struct mapper *m);
/* When it has something to do by itself (monotonic); UINT64_MAX: never. */
uint64_t feed_table_deadline_ns(const struct feed_table *t);

/* Each answers by itself, later perhaps; on failure the caller does. */
int feed_table_watch(struct mapper *m, const struct message_watch *request, struct failure *f);
int feed_table_watch_domains(struct mapper *m, const struct message_plain *request,
                             struct failure *f);
void feed_table_unwatch(struct mapper *m, const struct message_unwatch *request);

/* The peer is gone: nothing waits for an answer, and what it held ends at `until_ns`. */
void feed_table_let_go(struct mapper *m, uint64_t until_ns);
/* What the directory tells. */
void feed_table_changed(struct mapper *m, enum feed_domain_kind kind,
                        const struct directory_entry *e, const struct domain_identity *before);

/* Whom the loop has to look after: domids of feeds, each once at most, at most `max`. */
uint32_t feed_table_domids(const struct feed_table *t, uint16_t *out, uint32_t max);
/* Somebody follows the host's domains. */
bool feed_table_has_domains(const struct feed_table *t);

struct feed_table_counts {
    struct sampler_counts sampled; /* of all samplers */
    uint32_t feeds;                /* live, that of domains included */
    uint64_t spool_bytes;
    uint64_t events;
};
void feed_table_count(const struct feed_table *t, struct feed_table_counts *out);
/* The incarnation, and the number, of whom one feed after the other has frames mapped; NULL behind the
 * last; `*at` begins as 0. */
const uint8_t *feed_table_next_mapped(const struct feed_table *t, uint32_t *at, uint16_t *domid);

/* --- for feed_image ---------------------------------------------------------------------------- */

struct feed_pin {
    uint32_t feed;
    bool is_held;
};
/* The feed of that number, id included, is not sampled from now on. -ERROR_NOT_FOUND: there is none, or
 * it has ended. */
int feed_table_pin(struct feed_table *t, const struct message_image *request, struct feed_pin *out,
                   struct failure *f);
void feed_table_unpin(struct feed_table *t, struct feed_pin *pin); /* once more is fine */
/* What there is to read of it; false: not yet. */
bool feed_table_view(const struct feed_table *t, const struct feed_pin *pin,
                     struct sampler_view *out);
/* What was asked for: whose it is, and which. */
const struct message_snapshot *feed_table_wanted(const struct feed_table *t,
                                                 const struct feed_pin *pin);

#endif
