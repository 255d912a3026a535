/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The services: what they answer with, and their limits. Immutable but for the rules, policy
 * and access, which rpc_set_rules() exchanges: each call decides with those in force when it began, and
 * streams that stay open are decided anew. Any thread.
 */
#ifndef XENRES_RPC_RPC_H
#define XENRES_RPC_RPC_H

#include "auth/access.h"
#include "auth/audit.h"
#include "auth/policy.h"
#include "auth/quota.h"
#include "auth/seal.h"
#include "server/resource/mapper_client.h"
#include "server/rpc/cors.h"
#include "server/rpc/meter.h"
#include "server/rpc/watch_meter.h"

struct feeds;
struct rpc;
struct method_table;

struct rpc_options {
    const struct method_table *methods; /* outlives it; services_table, as a rule */
    const struct cors *cors;            /* outlives it; NULL: no page of another origin */
    struct mapper_client *mapper;
    struct feeds *feeds;   /* NULL: no method of `methods` watches */
    struct policy *policy; /* a reference is taken, of the next too */
    struct access *access; /* NULL: whoever is known by his connection is known */
    struct quota *quota;
    const struct seal *seal;
    struct audit *audit;              /* outlives it; NULL: it is off */
    uint8_t machine_uuid[UUID_BYTES]; /* the host's where its firmware has none; zeros: none */
    uint8_t boot_uuid[UUID_BYTES];    /* of this start of the host; zeros: not known */
    uint32_t request_timeout_ms;      /* the longest; a client may ask for less */
    uint32_t request_max_bytes;       /* of a message received */
    uint32_t response_max_bytes;      /* of a message sent; raw frames are not bound by it */
    uint32_t heartbeat_ms;            /* of streams that are silent */
    int zstd_level;                   /* of messages in zstd; 0: zstd's own choice */
};

int rpc_new(const struct rpc_options *options, struct rpc **out, struct failure *f);
/* Something is another by now that decides whether streams may go on: each looks. */
void rpc_look_again(struct rpc *rpc);
/* Takes references. `access` may be NULL. */
void rpc_set_rules(struct rpc *rpc, struct policy *policy, struct access *access);
/* With the policy in force. */
void rpc_set_access(struct rpc *rpc, struct access *access);
/* The one in force, a reference; NULL: none is asked. */
struct access *rpc_access(struct rpc *rpc);
/* Streams whose clients' certificates or tokens have expired end. To be called often: once a second. */
void rpc_expire(struct rpc *rpc, int64_t now_s);
/* Traces whose owners may not have them any more end: see trace_owners.h. To be called once a second, and
 * behind rpc_set_access(). */
void rpc_judge_traces(struct rpc *rpc);
/* Every stream that stays open says where it was, and ends; later ones do so at once. Returns when they
 * have been told to, not when they have. */
void rpc_drain(struct rpc *rpc);
void rpc_free(struct rpc *rpc); /* no exchange may be left */
/* What came of the requests, and how many are under way. */
const struct meter *rpc_meter(const struct rpc *rpc);
unsigned rpc_requests_in_flight(const struct rpc *rpc);
void rpc_watches(const struct rpc *rpc, struct watch_counters *out);
/* The domain list changed (mapper_client's on_domains_changed). */
void rpc_domains_changed(struct rpc *rpc, uint64_t generation);

#endif
