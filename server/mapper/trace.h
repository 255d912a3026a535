/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The traces there are: who started each, of which vCPUs, until when its lease lasts, and how it ended.
 * What the peer asks of them is in trace_request.
 *
 * There is one trace of a domain at once, and TRACE_MAX of all. It goes through its stages in one
 * direction: it begins, a few vCPUs in each turn of the loop, until each one's first sample was taken; it
 * runs; it ends, once one of its vCPUs has, or its lease, or somebody said so; and it is over, when nothing
 * of it is enabled any more. Then it is held for TRACE_HELD_S, with its feeds, so that the rest can be read,
 * or until the next trace of the domain begins. One that could not begin is kept only until that was
 * answered.
 *
 * Owns its traces; their feeds are in the feed table, which outlives it. The loop's thread.
 */
#ifndef XENRES_MAPPER_TRACE_H
#define XENRES_MAPPER_TRACE_H

#include "server/mapper/feed_trace.h"
#include "server/mapper/journal.h"

enum {
    TRACE_MAX = 64,         /* that are not over, of --traces-max; as many that are */
    TRACE_VCPUS_A_TURN = 8, /* begun in one turn of the loop, of all traces */
    TRACE_HELD_S = 60,
    TRACE_LEASE_MS = 60 * 1000, /* where none is asked for */
    TRACE_LEASE_MIN_MS = 5 * 1000,
    TRACE_LEASE_MAX_MS = 3600 * 1000,
};

enum trace_stage { TRACE_BEGINS, TRACE_RUNS, TRACE_ENDS, TRACE_IS_OVER };

struct trace {
    /* As it is told; lease_left_ms by trace_tell(). Its flags are without TAKEOVER, and say OS, USER or
     * both. */
    struct message_trace about;
    enum trace_stage stage;
    bool has_begun;        /* of each vCPU a sample was taken */
    uint64_t lease_end_ns; /* monotonic */
    uint64_t drop_ns;      /* it is over: when it goes */
    bool has_ended;        /* one of its vCPUs by itself, and so all: `end` is how */
    struct feed_trace_state end;
    uint32_t waiting;   /* answers that wait for its next stage: it does not go before */
    struct trace_rest { /* for those that are yet to begin */
        struct backend_domain domain;
        uint64_t buffer_bytes;
        uint32_t flags, next_vcpu;
        bool has_to_wait; /* for room: another feed is ending */
    } rest;
    uint32_t feed_count;                      /* begun so far; about.vcpu_count, once it runs */
    uint32_t feeds[MESSAGE_TRACED_VCPUS_MAX]; /* numbers, ascending by vCPU */
};

struct trace_table;

struct trace_options {
    struct journal *journal; /* outlives the feeds */
    uint32_t traces_max;
    uint32_t pauses_per_second;            /* of each vCPU, where no budget is asked for */
    uint32_t pauses_ceiling;               /* of the whole mapper: nobody's budget is larger */
    uint64_t period_min_ns, period_max_ns; /* between samples */
};

int trace_table_new(const struct trace_options *options, struct trace_table **out,
                    struct failure *f);
void trace_table_free(struct trace_table *t); /* NULL is fine */
/* What its peer has to know. */
void trace_table_welcome(const struct trace_table *t, struct message_hello_answer *hello);

/* What is to be traced, once all of it was checked. */
struct trace_wanted {
    const struct domain_identity *identity;
    const struct backend_domain *domain; /* as the identity was checked */
    const char *owner;
    uint64_t vcpus[2];          /* at least one, and each below max_vcpus */
    uint32_t flags;             /* enum trace_flags */
    uint32_t pauses_per_second; /* as asked for: 0 the table's own */
    uint32_t lease_ms;
    uint64_t buffer_bytes; /* of each vCPU, as it is now */
    struct message_trace_facts facts;
};

/* Begins one, its vCPUs from the next step on; there is none of that domain that is not over, and the last
 * one that is goes. On failure nothing was begun. -ERROR_RESOURCE_EXHAUSTED: there may be no more. */
int trace_begin(struct trace_table *t, struct feed_table *feeds, const struct trace_wanted *wanted,
                struct trace **out, struct failure *f);
/* Is it what is wanted, owner included? */
bool trace_is_same(const struct trace_table *t, const struct trace *trace,
                   const struct trace_wanted *wanted);
/* It ends from now on, for this reason, unless it does already. */
void trace_end(struct trace *trace, struct feed_table *feeds, enum feed_end_reason reason);
/* Its lease begins anew: within bounds; 0: as it was. */
void trace_renew(struct trace *trace, uint32_t lease_ms, uint64_t now_ns);

/* The one of that life of a domain that is not over. NULL: none. */
struct trace *trace_of_incarnation(struct trace_table *t, const uint8_t incarnation[16]);
/* The same, of whichever life of that domain: of one that is gone it may not have ended yet. */
struct trace *trace_of_domain(struct trace_table *t, uint16_t domid,
                              const uint8_t uuid[UUID_BYTES]);
/* Is that vCPU one of a trace that is not over? */
bool trace_is_of(const struct trace_table *t, const struct journal_entry *entry);
struct trace *trace_named(struct trace_table *t, const uint8_t trace_id[16]);
/* Those that have begun, ascending by domid and of one domain the running one first, into `out`. */
uint32_t trace_all(struct trace_table *t, struct trace *out[2 * TRACE_MAX]);
void trace_tell(const struct trace *trace, uint64_t now_ns, struct message_trace *out);

/* At each turn of the loop, before feed_table_step(): what has begun or ended goes on to its next stage,
 * leases end, and what is not held any longer goes. */
void trace_table_step(struct trace_table *t, struct feed_table *feeds);
/* When there is something to do by itself (monotonic); UINT64_MAX: never. */
uint64_t trace_table_deadline_ns(const struct trace_table *t);

struct trace_counts {
    uint32_t traces, vcpus; /* not over */
};
struct trace_counts trace_table_count(const struct trace_table *t);

#endif
