/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The services: what they answer with, and their limits. Immutable but for the policy, which
 * rpc_set_policy() exchanges (each call decides with the one in force when it began). Any thread.
 */
#ifndef XENRES_RPC_RPC_H
#define XENRES_RPC_RPC_H

#include "auth/policy.h"
#include "auth/quota.h"
#include "auth/seal.h"
#include "server/resource/mapper_client.h"
#include "server/rpc/cors.h"
#include "server/rpc/meter.h"

struct rpc;
struct method_table;

struct rpc_options {
    const struct method_table *methods; /* outlives it; services_table, as a rule */
    const struct cors *cors;            /* outlives it; NULL: no page of another origin */
    struct mapper_client *mapper;
    struct policy *policy; /* a reference is taken */
    struct quota *quota;
    const struct seal *seal;
    uint8_t machine_uuid[UUID_BYTES]; /* the host's where its firmware has none; zeros: none */
    uint32_t request_timeout_ms;      /* the longest; a client may ask for less */
    uint32_t request_max_bytes;       /* of a message received */
    uint32_t response_max_bytes;      /* of a message sent; raw frames are not bound by it */
};

int rpc_new(const struct rpc_options *options, struct rpc **out, struct failure *f);
void rpc_set_policy(struct rpc *rpc, struct policy *policy);
void rpc_free(struct rpc *rpc); /* no exchange may be left */
/* What came of the requests, and how many are under way. */
const struct meter *rpc_meter(const struct rpc *rpc);
unsigned rpc_requests_in_flight(const struct rpc *rpc);
/* The domain list changed (mapper_client's on_domains_changed). */
void rpc_domains_changed(struct rpc *rpc, uint64_t generation);

#endif
