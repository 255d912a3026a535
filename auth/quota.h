/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What one identity, and all together, may use, so that none can take more than its share: requests and
 * bytes of answers a second, calls and snapshots in flight, bytes of the arena and of what is kept of it,
 * pauses of vCPUs. Over a limit is resource_exhausted at once, never a wait, and says when to try again;
 * only streams, which have begun, are slowed instead. Identities are told apart by their text alone: more
 * certificates for one name are no larger share.
 *
 * An identity's limits are the gateway's for each, or those that the policy sets for it where they are
 * smaller. One table behind one lock, under which nothing else is taken; any thread. An identity that
 * holds nothing keeps its row, with what it has used up, until others need the room: the one that was
 * here longest ago goes first.
 */
#ifndef XENRES_AUTH_QUOTA_H
#define XENRES_AUTH_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/identity.h"
#include "auth/policy.h"

enum { QUOTA_IDENTITIES_MAX = 4096 }; /* that are known at one time; all may hold something */

/* 0: no limit. A second's worth of what is per second may come at once. */
struct quota_share {
    uint64_t requests_per_second;
    uint64_t bytes_per_second; /* of answers' bodies */
    uint32_t calls;            /* in flight */
    uint32_t snapshots;        /* of those, that hold a copy of frames */
    uint64_t arena_bytes;
    uint32_t streams;           /* for who counts them: server/resource/feeds */
    uint64_t spool_bytes;       /* so, too */
    uint32_t pauses_per_second; /* of vCPUs, by the budgets of its traces */
};
struct quota_limits {
    struct quota_share each; /* identity */
    struct quota_share all;  /* together: requests, bytes, snapshots and pauses count */
};

/* Which limit was hit. The names (metrics) never change. */
enum quota_limit {
    QUOTA_REQUESTS,
    QUOTA_REQUESTS_IN_ALL,
    QUOTA_BYTES,
    QUOTA_BYTES_IN_ALL,
    QUOTA_STREAM_BYTES, /* a stream is slowed */
    QUOTA_CALLS,
    QUOTA_SNAPSHOTS,
    QUOTA_SNAPSHOTS_IN_ALL,
    QUOTA_ARENA,
    QUOTA_PAUSES,
    QUOTA_PAUSES_IN_ALL,
    QUOTA_IDENTITIES,
    QUOTA_LIMIT_COUNT
};
const char *quota_limit_name(enum quota_limit limit); /* "requests_per_second" */

struct quota;
int quota_new(const struct quota_limits *limits, struct quota **out, struct failure *f);
void quota_free(struct quota *q); /* everything must have been given back */

/* Whose limits count from now on, beside the gateway's; a reference is taken. What is held stays. */
void quota_set_policy(struct quota *q, struct policy *policy);
/* Another limit of each from now on, as when the arena turns out to be larger or smaller; so, too. */
void quota_set_arena_limit(struct quota *q, uint64_t bytes_per_identity);
void quota_set_pauses_limit(struct quota *q, uint32_t pauses_per_identity, uint32_t pauses_in_all);
/* 0: no limit. */
uint32_t quota_pauses_in_all(struct quota *q);
/* The limits of one. */
void quota_share_of(struct quota *q, const struct identity *who, struct quota_share *out);
void quota_count_hits(const struct quota *q, uint64_t out[QUOTA_LIMIT_COUNT]);

/* A request has come. -ERROR_RESOURCE_EXHAUSTED: too many have, or more bytes were sent than may be; it
 * does not count then, and the failure says how long that is so. */
int quota_request(struct quota *q, const struct identity *who, struct failure *f);
/* So many bytes of an answer are, or will be, sent, whatever the limit: the next request may pay for it.
 * How long a stream has to wait until it may send more; 0: not at all. */
uint64_t quota_sent(struct quota *q, const struct identity *who, uint64_t bytes);
/* A stream waits for that. */
void quota_slowed(struct quota *q);

enum quota_call { QUOTA_CALL_PLAIN, QUOTA_CALL_SNAPSHOT };
/* Takes one call and `arena_bytes` (0 is fine), both or none; quota_give() gives both back, with
 * the same kind and number. -ERROR_RESOURCE_EXHAUSTED names the limit. */
int quota_take(struct quota *q, const struct identity *who, enum quota_call kind,
               uint64_t arena_bytes, struct failure *f);
void quota_give(struct quota *q, const struct identity *who, enum quota_call kind,
                uint64_t arena_bytes);

/* Bytes alone, of streams: how many streams there are is limited where they subscribe. Released in
 * parts as large as the caller likes. */
int quota_hold(struct quota *q, const struct identity *who, uint64_t arena_bytes,
               struct failure *f);
void quota_release(struct quota *q, const struct identity *who, uint64_t arena_bytes);

/*
 * Pauses a second that a trace may make, while it is being started: traces outlive this process, so what
 * those that run may make is in the mapper's list alone. begin, then the list, then judge by it, then the
 * start itself, then end: whoever judges meanwhile counts what is being started.
 */
struct quota_running {
    uint64_t own, all; /* what the budgets of traces come to: of one identity, of everybody */
};
int quota_start_begin(struct quota *q, const struct identity *who, uint32_t pauses, uint64_t *round,
                      struct failure *f);
/* `running`: of the traces in a list that was asked for after begin, without that which this start may join
 * or take over. -ERROR_ABORTED: another start has ended since `*round`, which is set anew: the list may lack
 * it, and has to be made again. */
int quota_start_judge(struct quota *q, const struct identity *who, uint32_t pauses,
                      const struct quota_running *running, uint64_t *round, struct failure *f);
/* When the mapper has answered, in the order of its answers. */
void quota_start_end(struct quota *q, const struct identity *who, uint32_t pauses);

#endif
