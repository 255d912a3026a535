/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What rpc's own files know of the services and of an exchange: rpc.c makes the one, exchange.c the
 * other, dispatch.c runs it. Nobody else includes this.
 *
 * An exchange belongs to one thread at a time: to its connection's until exchange_run() has handed
 * it to the resolver or the mapper client, to the mapper's thread until `on_ready`, then to its
 * connection's again; once it is a stream, to whoever sends what it says next. Those hand it over
 * under locks of their own. While a handler waits, it belongs to nobody but for `late` and what
 * call_wake() touches; whoever sets those first has on_ready called.
 */
#ifndef XENRES_RPC_STATE_H
#define XENRES_RPC_STATE_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "common/buffer.h"
#include "server/resource/copies.h"
#include "server/resource/resolver.h"
#include "server/rpc/call.h"
#include "server/rpc/connect.h"
#include "server/rpc/rpc.h"
#include "server/rpc/streams.h"
#include "server/rpc/timer.h"
#include "server/rpc/watch_meter.h"

enum {
    EXCHANGE_FIRST_BYTES = 3072,        /* of the pool, within the exchange: a watch has room */
    EXCHANGE_POOL_MAX_BYTES = 64 << 20, /* beside those: a whole page of decoded grants */
    EXCHANGE_ELEMENTS_MAX = 4096,       /* fields in a request message */
    EXCHANGE_UNPACKED_FACTOR = 8,       /* memory of an unpacked request, by its size */
};

STAILQ_HEAD(exchange_queue, exchange);

struct rpc {
    struct rpc_options options;
    struct resolver *resolver;
    struct copies *copies;
    struct host_memo *host_memo;
    struct timers *timers;
    struct trace_leases *trace_leases;
    struct trace_owners *trace_owners;
    struct meter *meter;
    struct watch_meter watch_meter;
    struct streams streams;
    atomic_uint exchanges;
    _Atomic uint64_t refusals_logged; /* of tokens: bearer.c */
    _Atomic uint64_t tokens_refused[TOKEN_FAULT_COUNT];
    atomic_bool draining;
    atomic_uint rules_number; /* counts the rules: one that differs is other rules */
    pthread_mutex_t lock;     /* of these two, and to exchange them: held to count, no longer */
    struct policy *policy;
    struct access *access; /* NULL: none is asked */
    /* The mapper's thread's: answers that have come together, and records of theirs, not written yet. */
    struct exchange_queue gathered;
    struct audit_batch batch;
};

struct exchange {
    struct rpc *rpc;
    struct exchange_head head;
    struct call call;
    struct uri uri;
    struct connect_request connect; /* of UNARY and STREAM */
    const char *origin;             /* of another site's page that may read the reply; or NULL */
    struct bearer *bearer;          /* who asks, where he showed a token; counted */
    const char *refused;            /* a word: why what was shown is not accepted; or NULL */
    const char *challenge; /* WWW-Authenticate of an answer that nobody is known; or NULL */
    struct buffer body;
    size_t body_max_bytes;     /* 0: the reply stands */
    bool is_options;           /* only asks what may be asked */
    ProtobufCMessage *message; /* the request, unpacked */
    uint64_t deadline_ns;
    struct timer timer; /* at the deadline, while a handler waits, and for all of a stream */
    atomic_bool late;
    bool started; /* the handler's start() was called, and stop() was not */

    struct resolver_request resolving;
    struct copies_request copying;
    struct renewal *renewal; /* of a stream: its domain is being resolved anew; NULL */
    bool retried;            /* resolved anew, because the mapper knew better */
    bool retry_if_other;     /* … and asked again only where it is another domain now */
    bool quota_taken;
    uint64_t quota_bytes;
    uint64_t held_bytes; /* call_hold()'s */
    bool pauses_taken;   /* call_pauses.h's, and so the next two */
    uint32_t pauses;
    uint64_t pauses_round;
    unsigned rules_number;  /* of call.policy */
    struct access *access;  /* counted; NULL: none is asked */
    unsigned access_number; /* as rules_number: of this */
    int64_t until_s;        /* … by which his connection vouches for who asks, so long */

    void (*on_ready)(void *arg);
    void *on_ready_arg;
    struct failure failure; /* code 0: none */
    int http_status;        /* 0: that of the failure */
    bool built;             /* `reply` is */
    struct exchange_reply reply;
    struct buffer reply_body; /* of a stream: the message that is sent now, unless it is shared */
    const uint8_t *sending;   /* of a stream: that message, or one that others send too */
    size_t sending_bytes;
    size_t sent_bytes; /* of it */
    struct wait full;  /* for what ends a stream of which the reader takes nothing */
    bool leaving;      /* `failure` ends it, and is told when the handler has nothing more to say */
    bool ended;        /* it is the last */
    STAILQ_ENTRY(exchange) gathered;
    struct audit_receipt receipt; /* of its record, where that was gathered */
    bool has_receipt;
    struct policy_verdict verdict; /* on the method's action; its rule is of call.policy */
    bool is_audited;   /* of a stream: the audit was told that it began, not that it ended */
    uint64_t messages; /* … that were made */
    struct stream_entry entry; /* of one that has to be told to leave */
    uint64_t streamed_bytes;   /* read of a stream so far */
    uint64_t slowed_until_ns;  /* of a stream: what its caller may be sent a second is used up; 0 */
    struct timer slow_timer;   /* at that time */
    struct pool message_pool;  /* of a stream: of the one message */
    alignas(max_align_t) unsigned char first[EXCHANGE_FIRST_BYTES];
};

static inline struct exchange *exchange_of(struct call *c)
{
    return (struct exchange *)(void *)((char *)c - offsetof(struct exchange, call));
}

/* Runs the exchange as far as it goes without waiting. True: it is answered, by `failure` or by
 * what is in `call`. False: it goes on by itself, and calls on_ready. */
bool dispatch_run(struct exchange *x);

/* Takes the policy in force, and decides again. 0, or `x->failure`. */
int dispatch_judge(struct exchange *x);

/* Whether a failure may come of a domain that is another by now: of one that was not resolved anew yet.
 * x->retry_if_other says in which case it stands all the same. */
bool dispatch_may_retry(struct exchange *x, const struct failure *f);
/* The call is about this domain from now on, if that is allowed and the one meant. 0, or `x->failure`. */
int dispatch_accept(struct exchange *x, const struct domain_entry *domain);
/* A domain of which somebody may do nothing at all does not exist for him. `action` is looked at first. */
bool dispatch_shows(const struct policy *policy, const struct identity *who, enum action action,
                    const struct domain_identity *domain);

/* Decodes the request's message, where the method has one: request.c. */
int request_decode(struct exchange *x);

/* Gives back what is held for the answer: the mapper's, the quota, what the handler began. */
void dispatch_done(struct exchange *x);

/* Builds the reply: reply.c. */
void reply_build(struct exchange *x);

/* What all replies have: reply_head.c. */
void reply_add_header(struct exchange *x, const char *name, const char *value);
void reply_add_cors(struct exchange *x);      /* which page may read it, and what of it */
void reply_add_challenge(struct exchange *x); /* how to be known, where nobody is */
void reply_add_metadata(struct exchange *x);
const struct connect_details *reply_details(const struct exchange *x); /* of its failure */
/* An error, where even an error does not fit, or its memory cannot be had. */
extern const char reply_last_resort[];

/* Makes the reply that of a stream, which exchange_read() then reads: stream.c. */
void stream_begin(struct exchange *x);
/* It may have to leave: it looks, also where its reader takes nothing. Any thread, as call_wake(). */
void exchange_urge(struct call *c);
/* Makes it a stream of nothing but its end, with `x->failure`. */
void stream_refuse(struct exchange *x);

#endif
