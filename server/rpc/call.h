/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a method's handler sees of one exchange, and what it is made of. Dispatch does all that is
 * common (decoding, resolving, deciding, quotas, deadlines, retries, encoding); a handler reads its
 * request, says what to ask of the mapper, and makes the answer of what came.
 */
#ifndef XENRES_RPC_CALL_H
#define XENRES_RPC_CALL_H

#include <protobuf-c/protobuf-c.h>

#include "auth/policy.h"
#include "auth/seal.h"
#include "server/resource/mapper_client.h"
#include "server/rpc/exchange.h"
#include "server/rpc/pool.h"
#include "server/rpc/uri.h"

struct method;

struct call {
    /* Given. */
    const struct method *method;
    struct mapper_client *mapper; /* for its hello only: calls are dispatch's */
    const struct seal *seal;
    const uint8_t *machine_uuid; /* of UUID_BYTES; zeros: none */
    struct policy *policy;       /* the one in force when the call began */
    const struct exchange_head *head;
    const struct identity *who;
    uint64_t deadline_ns;
    struct pool pool;
    const ProtobufCMessage *request; /* of method->request */
    const struct uri *uri;           /* of methods that are no messages */

    /* What prepare() says. */
    const char *domain;        /* how the client named it; NULL: about no one domain */
    const char *incarnation;   /* "" for any */
    int type;                  /* enum resource_type; -1: any */
    uint64_t arena_bytes;      /* as far as is known: what the answer will hold */
    uint32_t answer_within_ms; /* 0: the deadline alone */
    bool answer_optional;      /* respond() is called without one as well */
    void *state;               /* the handler's own, in the pool */

    /* What came. */
    struct domain_identity identity; /* of the domain, resolved and decided on */
    uint32_t max_vcpus;
    const union message *answer; /* NULL: none, `answer_failure` says why */
    struct failure answer_failure;
    struct mapper_slot *slot; /* counted */

    /* What respond() says. */
    const ProtobufCMessage *response; /* of method->response, in the pool */
    struct exchange_reply *reply;     /* of methods that are no messages: all of it */
};

enum handler_next { HANDLER_DONE, HANDLER_ASK_AGAIN };

struct handler {
    /* Reads the request. */
    int (*prepare)(struct call *c, struct failure *f);
    /* Fills a zeroed message, type included, for the domain in c->identity. */
    void (*ask)(struct call *c, union message *m);
    /* Takes from an answer what it needs, on the mapper's thread: quick. An enum handler_next or a
     * failure. NULL: call_keep(). */
    int (*take)(struct call *c, const union message *answer, struct mapper_slot *slot,
                struct failure *f);
    /* Makes the answer, on the thread that sends it. */
    int (*respond)(struct call *c, struct failure *f);
};

/* Keeps an answer and its slot for respond(). */
int call_keep(struct call *c, const union message *answer, struct mapper_slot *slot,
              struct failure *f);
/* True where the policy lets the caller do it; `domain` and `type` as in struct policy_question. */
bool call_allows(const struct call *c, const struct domain_identity *domain, int type,
                 enum action action);
/* -ERROR_RESOURCE_EXHAUSTED: the pool, or the machine, has no more. */
int call_no_memory(struct failure *f);

#endif
