/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The feeds there are, by number, and the threads that sample them: how one is made, found by what it is
 * of, ended and taken away. Who holds one, and how long it lives, is feed_table's, or the trace's that it
 * is of (feed_trace).
 *
 * The list is searched from end to end: only what begins or ends a feed does that. The loop's thread.
 */
#ifndef XENRES_MAPPER_FEED_LIST_H
#define XENRES_MAPPER_FEED_LIST_H

#include "server/mapper/sampler.h"

enum {
    FEED_LIST_MAX = 4096, /* feeds */
    FEED_LIST_SAMPLERS_MAX = 8,
    FEED_LIST_TRACE_SPOOL_MAX = 32 << 20, /* bytes: half the largest trace buffer */
    FEED_LIST_END_WAIT_MS = 250,          /* for the end of what is sampled of a domain that dies */
};

struct feed {
    uint8_t id[FEED_ID_BYTES]; /* random */
    struct message_snapshot wanted;
    struct backend_domain known; /* as it was when it was asked for; of traces: zero */
    uint64_t spool_least_bytes;  /* of traces, whose spool is made before they begin; else 0 */
    struct sampler *sampler;
    struct sampler_job job;
    uint64_t period_ns;
    bool is_of_trace; /* nobody but its trace ends it, or takes it away */
    uint8_t trace_id[16];
    bool is_ending;     /* told to, or over: nobody finds it any more, but for one of a trace */
    bool is_held;       /* by the peer that is served */
    uint64_t let_go_ns; /* not held: when it ends */
    uint32_t waiting;   /* WATCHes that wait for its first sample */
    uint32_t pins;
};

struct feed_list_options {
    const struct backend_ops *ops;
    struct backend *backend;
    uint32_t samplers;
    uint64_t spool_most_bytes;  /* of one */
    uint64_t memory_most_bytes; /* of all, images included */
};

struct feed_list {
    uint64_t spool_most_bytes;
    struct allowance memory;
    struct sampler *samplers[FEED_LIST_SAMPLERS_MAX];
    uint32_t sampler_count;
    int told_fd;                       /* an eventfd: samplers have something to tell */
    struct feed *feeds[FEED_LIST_MAX]; /* by number; NULL: free */
    uint32_t count;
};

/* Opens the samplers' handles and starts their threads. What was begun feed_list_done() gives back. */
int feed_list_init(struct feed_list *l, const struct feed_list_options *options, struct failure *f);
/* Ends whatever there is, and waits for it however long it takes: nothing stays mapped or traced. */
void feed_list_done(struct feed_list *l);

/* A feed of `source`, which it takes, also when it fails; its first sample is due at once. There is a
 * free number. */
int feed_list_add(struct feed_list *l, const struct message_snapshot *wanted, struct source *source,
                  uint64_t period_ns, uint64_t spool_least_bytes, uint32_t *number,
                  struct failure *f);
/* Begins it once more, from another source of the same, which it takes: it is over, and nothing of it was
 * told. */
void feed_list_begin_again(struct feed_list *l, uint32_t number, struct source *source);
/* The one of this source that has not ended; NULL: there is none. */
struct feed *feed_list_find(struct feed_list *l, const struct message_snapshot *wanted,
                            uint32_t *number);
/* That of this number, if it has this id too. */
struct feed *feed_list_named(struct feed_list *l, uint32_t number, const uint8_t *id);
bool feed_list_is_of(const struct feed *feed, const uint8_t incarnation[16]);

void feed_list_end(struct feed *feed, enum feed_end_reason reason);
/* Waits so long at most: is it over? */
bool feed_list_wait(const struct feed *feed, uint64_t most_ns);
/* It is over, and neither pinned nor waited for. */
void feed_list_remove(struct feed_list *l, uint32_t number);

#endif
