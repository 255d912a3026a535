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
#include "auth/quota.h"
#include "auth/seal.h"
#include "server/resource/mapper_client.h"
#include "server/rpc/connect_error.h"
#include "server/rpc/exchange.h"
#include "server/rpc/metadata.h"
#include "server/rpc/pool.h"
#include "server/rpc/timer.h"
#include "server/rpc/uri.h"
#include "server/rpc/wait.h"

struct feeds;
struct host_memo;
struct method;
struct trace_leases;
struct watch_meter;

struct call {
    /* Given. */
    const struct method *method;
    struct timers *timers;
    struct mapper_client *mapper; /* for its hello only: calls are dispatch's */
    struct host_memo *host_memo;
    struct feeds *feeds;
    struct trace_leases *trace_leases;
    struct watch_meter *watch_meter;
    uint64_t heartbeat_ns; /* streams that are silent so long say that they live */
    const struct seal *seal;
    const uint8_t *machine_uuid, *boot_uuid; /* of UUID_BYTES; zeros: none */
    struct policy *policy;     /* in force when the call began; a stream's is kept up to date */
    struct policy_rules rules; /* of it, for `who` */
    struct { /* … and of those, the rules about the domain that was looked at last */
        bool is_known;
        struct domain_identity domain;
        struct policy_rules rules;
    } about;
    const struct exchange_head *head;
    const struct identity *who;
    struct quota_share share; /* of `who`: of methods that watch */
    uint64_t deadline_ns;
    struct pool pool;
    const ProtobufCMessage *request; /* of method->request */
    const struct uri *uri;           /* of methods that are no messages */

    /* What prepare() says. */
    const char *domain;      /* how the client named it; NULL: about no one domain */
    const char *incarnation; /* "" for any */
    int type;                /* enum resource_type; -1: any */
    bool has_id;             /* … of which that is, `id`: for the audit */
    uint32_t id;
    bool also_decode;          /* the policy has to allow that as well as the method's action */
    uint64_t arena_bytes;      /* as far as is known: what the answer will hold; 0: it is not */
    uint32_t answer_within_ms; /* 0: the deadline alone */
    bool answer_optional;      /* respond() is called without one as well */
    void *state;               /* the handler's own, in the pool */

    /* What came. */
    struct domain_identity identity; /* of the domain, resolved and decided on */
    uint32_t max_vcpus;
    bool is_absent; /* no domain answers to `domain`: of a handler that has outlives_domain */
    const union message *answer; /* NULL: none, `answer_failure` says why */
    struct failure answer_failure;
    struct mapper_slot *slot; /* counted */

    /* What respond() or next() says. */
    const ProtobufCMessage *response; /* of method->response, in the pool */
    const void *bytes;                /* instead of it, until the next call of next() */
    size_t bytes_len;
    bool pins; /* of a stream that has `leave`: what is sent now keeps what others need */
    struct exchange_reply *reply; /* of methods that are no messages: all of it */
    struct metadata headers;      /* beside the protocol's own; of streams: before the first */
    struct metadata trailers;
    uint64_t lost;   /* of a stream: blocks or bytes that it declared lost, for the audit */
    const char *end; /* … why it ended, once stop() was called: watch_end_name()'s */
    const struct connect_details *details; /* of a failure, instead of the usual ones */

    struct wait wait; /* call_wake()'s */
};

/* What a handler's function says where it has not failed. */
enum handler_next {
    HANDLER_DONE,
    HANDLER_ASK_AGAIN, /* take(): ask() is called once more */
    HANDLER_WAIT,      /* start(), next(): nothing yet; call_wake() will be called */
    HANDLER_MESSAGE,   /* next(): c->response is the next message */
    HANDLER_BYTES,     /* next(): c->bytes is, as call_encode() makes it */
};

struct handler {
    /* Reads the request. Where it sets c->answer, the mapper is not asked. */
    int (*prepare)(struct call *c, struct failure *f);
    /* Fills a zeroed message, type included, for the domain in c->identity. NULL: nothing is asked
     * of the mapper. */
    void (*ask)(struct call *c, union message *m);
    /* What it is about may outlive its domain. Where none that the caller may see answers to c->domain, it is
     * asked with c->is_absent, if he may do this anywhere at all: then take() looks for the domain that is
     * meant, decides whether he may do it there, which nobody else has, and sets c->identity. */
    bool outlives_domain;
    /* It is about no one domain, and asks call_finds_life() of many. */
    bool needs_domains;
    /* Takes from an answer what it needs, on the mapper's thread: quick. An enum handler_next or a
     * failure. NULL: call_keep(). */
    int (*take)(struct call *c, const union message *answer, struct mapper_slot *slot,
                struct failure *f);
    /* Begins what takes time beside the mapper: DONE, or WAIT until call_wake(). NULL: nothing. */
    int (*start)(struct call *c, struct failure *f);
    /* Of a stream whose next() has failed before it said anything, because the mapper knew its domain
     * otherwise: c->identity is that of now, and allowed. Begins what start() began once more: DONE
     * or a failure, after both of which next() or stop() comes. On the thread that sends it. NULL: the
     * failure stands. */
    int (*renew)(struct call *c, struct failure *f);
    /* Makes the answer, on the thread that sends it. */
    int (*respond)(struct call *c, struct failure *f);
    /* Instead of respond(), of streams: MESSAGE, made in `p`, which lasts until the next call of it;
     * WAIT; or DONE at the end. Never waits itself. On the thread that sends it. */
    int (*next)(struct call *c, struct pool *p, struct failure *f);
    /* Of a stream that goes on until it is ended, by its deadline, the gateway's stop or a policy that no
     * longer allows it (`why`): what it has to say then. As next(), until DONE or a failure. NULL: such a
     * stream ends by itself, is not told of a stop, and its policy stays. */
    int (*leave)(struct call *c, struct pool *p, const struct failure *why);
    /* c->policy is another, and allows the call. NULL: that is nothing to it. */
    void (*policy_changed)(struct call *c);
    /* Ends what start() and next() began: when it returns, nobody calls call_wake() any more. Once,
     * where start() was called, on any thread, at any time after that. NULL: nothing to end. */
    void (*stop)(struct call *c);
};

/* Keeps an answer and its slot for respond(). */
int call_keep(struct call *c, const union message *answer, struct mapper_slot *slot,
              struct failure *f);
/* The incarnation that is asked for, which is not "". -ERROR_INVALID_ARGUMENT: it is none. */
int call_read_incarnation(const struct call *c, uint8_t out[16], struct failure *f);
/* True where the policy lets the caller do it; `domain` and `type` as in struct policy_question. */
bool call_allows(const struct call *c, const struct domain_identity *domain, int type,
                 enum action action);
/* Whether that life of a domain goes on, and who it is now, whoever may see it. Of calls about a domain, and
 * of handlers that have needs_domains. */
bool call_finds_life(struct call *c, const struct domain_identity *life,
                     struct domain_identity *now);
/* What the call holds, from now on, of the caller's share of the arena, beside its slot: images. It is
 * given back at the end of the call. -ERROR_RESOURCE_EXHAUSTED: it holds what it held. */
int call_hold(struct call *c, uint64_t bytes, struct failure *f);
/* A message of a stream as its client takes it: encoded, compressed, behind its head. `out` is empty, and
 * its maximum is set here. */
int call_encode(struct call *c, const ProtobufCMessage *message, struct buffer *out,
                struct failure *f);
/* Which form that is, below CALL_VARIANTS: calls of the same one get the same bytes. */
enum { CALL_VARIANTS = 6 };
unsigned call_variant(const struct call *c);
/* There is more to say than start() or next() found: respond() or next() is called then. Any thread;
 * not with a lock that stop() takes. */
void call_wake(struct call *c);
/* -ERROR_RESOURCE_EXHAUSTED: the pool, or the machine, has no more. */
int call_no_memory(struct failure *f);

#endif
