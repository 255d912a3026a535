/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The mapper's feeds: who is sampled, and how long. What the peer asks of them is in feed_watch and
 * feed_image; those of traces live as long as their trace says (feed_trace).
 *
 * A feed is named by a random id, and found by its source: incarnation, type, id, frames and flags. It
 * ends when its domain does, or has another name: everything of it is unmapped then before the loop goes
 * on; when the peer that held it lets it go; or, after the peer went, when the grace period is over and
 * the next peer has not asked for the same. (The two are one user's: who has kept the descriptor of a
 * spool reads on what the next one is told.)
 *
 * Owns the list of feeds, with its samplers, and the peer's doorbell. The loop's thread.
 */
#ifndef XENRES_MAPPER_FEED_TABLE_H
#define XENRES_MAPPER_FEED_TABLE_H

#include "server/mapper/directory.h"
#include "server/mapper/export.h"
#include "server/mapper/feed_list.h"

enum {
    FEED_TABLE_DOMAINS = FEED_LIST_MAX, /* the number of the feed of domains */
    FEED_TABLE_FREED_A_TURN = 8 << 20,  /* bytes of spools; of the last one more perhaps: some ms */
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

/* Before privileges are dropped: opens handles and starts threads, see feed_list_init(). */
int feed_table_new(const struct feed_table_options *options, struct feed_table **out,
                   struct failure *f);
/* Ends whatever there is (the mapper stops). NULL is fine. */
void feed_table_free(struct feed_table *t);
void feed_table_set_ceiling(struct feed_table *t, struct ceiling *ceiling);
void feed_table_set_pause_ceiling(struct feed_table *t, struct ceiling *ceiling);
/* What the hello says of feeds, and the end of a new doorbell that the peer waits at: the caller's. */
int feed_table_welcome(struct feed_table *t, struct message_hello_answer *hello, int *wait_fd,
                       struct failure *f);

uint64_t feed_table_period_min_ns(const struct feed_table *t);

/* To be polled: samplers have something to tell. At each turn it is heard first, then feed_watch and
 * feed_image look at their feeds, then comes the step: so that what is told meanwhile is seen in the next
 * turn, which it wakes. */
int feed_table_fd(const struct feed_table *t);
void feed_table_hear(struct feed_table *t);
/* From there until the step: one of the feeds may have begun or ended. */
bool feed_table_has_news(const struct feed_table *t);
/* Takes away what has ended, in several steps where that is much, and ends what nobody holds. */
void feed_table_step(struct feed_table *t);
/* When it has something to do by itself (monotonic); UINT64_MAX: never. */
uint64_t feed_table_deadline_ns(const struct feed_table *t);
/* The peer is gone: what it held ends at `until_ns`, unless the next one takes it. */
void feed_table_let_go(struct feed_table *t, uint64_t until_ns);
/* What the directory tells, then at `generation`. */
void feed_table_changed(struct feed_table *t, enum feed_domain_kind kind,
                        const struct directory_entry *e, const struct domain_identity *before,
                        uint64_t generation);

/* --- for feed_watch ---------------------------------------------------------------------------- */

struct feed_asked {
    uint32_t feed; /* its number: stays until feed_table_take() or _refuse() */
    bool joined;   /* it was there already */
};
/* The live feed of this source, or a new one whose first sample is due at once; it has the period from
 * now on. Each is followed by one feed_table_take() or feed_table_refuse(). `known`: the domain as its
 * identity was checked. At the limit one that nobody holds makes room, and its end is waited for, for a
 * bounded time. -ERROR_RESOURCE_EXHAUSTED: there may be no more. */
int feed_table_ask(struct feed_table *t, const struct message_snapshot *wanted,
                   const struct backend_domain *known, uint64_t period_ns, struct feed_asked *out,
                   struct failure *f);
enum feed_stage { FEED_BEGINS, FEED_HAS_BEGUN, FEED_FAILED };
/* FAILED: no sample could be taken, as `why` says. It may have begun and ended since. */
enum feed_stage feed_table_look(const struct feed_table *t, uint32_t number, struct failure *why);
const struct domain_identity *feed_table_domain(const struct feed_table *t, uint32_t number);
/* As the peer is to be told. */
struct feed_about {
    const uint8_t *id; /* valid until the table's next turn, as is `fd` */
    uint32_t number;
    uint64_t spool_bytes, period_ns;
    int fd; /* of its spool */
};
/* It has begun, and the peer holds it from now on. */
void feed_table_take(struct feed_table *t, uint32_t number, struct feed_about *out);
/* The peer is told of it not. */
void feed_table_refuse(struct feed_table *t, uint32_t number);
/* The feed of domains, which the peer holds from now on. */
int feed_table_ask_domains(struct feed_table *t, const struct export_list *export,
                           struct feed_about *out, bool *joined, struct failure *f);
/* The peer holds it no longer. A number that is another feed's by now, or none's, is late: nothing
 * happens. */
void feed_table_release(struct feed_table *t, uint32_t number, const uint8_t *id);

/* --- for feed_trace and feed_room ------------------------------------------------------------------ */

struct feed_list *feed_table_list(struct feed_table *t);
struct feed *const *feed_table_feeds(const struct feed_table *t); /* by number */
uint32_t feed_table_feeds_max(const struct feed_table *t);
/* What is sampled for it; not of a trace. */
int feed_table_source(const struct message_snapshot *wanted, const struct backend_domain *known,
                      struct source **out, struct failure *f);
/* Ends the feed of domains, if there is one that nobody holds. */
bool feed_table_end_idle_domains(struct feed_table *t);
/* The next step looks at all of them. */
void feed_table_look_again(struct feed_table *t);

/* --- for loop and counters --------------------------------------------------------------------- */

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
