/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One HTTP request and its reply, as rpc sees them: the border to server/http, which knows sockets
 * and TLS and nothing of methods, while rpc knows methods and nothing of sockets.
 *
 *      exchange_new()      when the request's head is there; may hold a refusal already
 *      exchange_refuse()   where http itself has to refuse it: a body too long, a broken framing
 *      exchange_body()     for each piece of the body
 *      exchange_run()      when it is whole: decides, asks the mapper, answers
 *      exchange_reply()    when run() said so, or `on_ready` was called
 *      exchange_read()     for each piece of a reply that is streamed
 *      exchange_free()     when the reply is sent, or the connection gone
 *
 * No call waits. Between exchange_run() returning false and `on_ready`, the exchange must not be
 * freed: that time is bounded by the deadline. One thread at a time, whichever it is, but for
 * `on_ready`, which may come from another thread, also before exchange_run() has returned.
 */
#ifndef XENRES_RPC_EXCHANGE_H
#define XENRES_RPC_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "auth/identity.h"
#include "common/error.h"

enum { EXCHANGE_HEADERS_MAX = 48 }; /* in a reply: ours, and a handler's metadata */

struct rpc; /* all services, with what they need: rpc.h */
struct exchange;

/* What a bearer token is worth where the request came in. */
enum exchange_tokens {
    EXCHANGE_TOKENS_TAKEN,    /* instead of the certificate's identity, or where there is none */
    EXCHANGE_TOKENS_REFUSED,  /* whatever it is */
    EXCHANGE_TOKENS_DEMANDED, /* as taken; who has none is refused, whatever his certificate is */
};

/* What is remembered of a connection, from one of its requests to the next: both are set with the first that
 * leaves something. The connection calls `release` at its end. */
struct exchange_memory {
    void *kept;
    void (*release)(void *kept);
};

/* The head of a request. Strings are NUL-ended, hostile, and live as long as the exchange. */
struct exchange_head {
    const char *method; /* "POST" */
    const char *target; /* as in the request line, path and query, not decoded */
    /* Value of a header by name (any case), or NULL. *count, where not NULL: how often it came. */
    const char *(*header)(void *arg, const char *name, unsigned *count);
    /* Calls `each` for every header, in the order in which they came. Until the request has run. */
    void (*each_header)(void *arg,
                        void (*each)(void *each_arg, const char *name, const char *value),
                        void *each_arg);
    /* Is `who` still known by his connection, now that what decides it is another, and until when? On the
     * thread that has the exchange. NULL: always. */
    bool (*still)(void *arg, int64_t *until_s);
    /* The certificates that were shown for him, as received; how many. The connection's, while it is open.
     * On the thread that has the exchange. NULL: none. */
    size_t (*certificates)(void *arg, struct identity_der out[IDENTITY_CHAIN_MAX]);
    /* What a bearer token costs that is not known yet, a signature, whoever connects may have for nothing.
     * token_wait_ns: how long none of his is verified, as too many were not accepted; 0: one may be.
     * token_refused: one was not; true where the connection is to be used no more. On the thread that
     * makes the exchange. NULL: there is no limit. */
    uint64_t (*token_wait_ns)(void *arg);
    bool (*token_refused)(void *arg);
    void *arg;
    struct exchange_memory *memory; /* of the thread that makes the exchange; NULL: none */
    const struct identity *who;     /* of the connection; NULL: nobody, which is refused … */
    bool is_anonymous;              /* … but where a bearer token says who it is */
    enum exchange_tokens tokens;
    const char *peer_address; /* for the log */
    uint64_t received_ns;     /* monotonic: deadlines count from here */
};

/* NULL only when memory ran out. A refusal is a reply like any other. */
struct exchange *exchange_new(struct rpc *rpc, const struct exchange_head *head);

/* What http finds wrong with a request's framing: `why` becomes the reply, with `close`, unless a
 * reply stands already. Before exchange_run(). */
void exchange_refuse(struct exchange *x, const struct failure *why);

/* The most bytes of body that it will take; 0: the reply stands already, read no body.
 * EXCHANGE_BODY_NONE for what takes none: so much is read, to refuse it. */
enum { EXCHANGE_BODY_NONE = 1 };
size_t exchange_body_max(const struct exchange *x);
/* False: too much; the reply stands. */
bool exchange_body(struct exchange *x, const void *bytes, size_t len_bytes);

/* True: the reply stands (as it may have done before). False: `on_ready` will be called, exactly
 * once. */
bool exchange_run(struct exchange *x, void (*on_ready)(void *arg), void *arg);

struct exchange_header {
    const char *name, *value;
};
struct exchange_reply {
    int status;
    struct exchange_header headers[EXCHANGE_HEADERS_MAX];
    size_t header_count;
    const void *body; /* lives until exchange_free(): may be a slot of the arena */
    size_t body_len_bytes;
    bool streamed; /* instead of `body`: it comes by exchange_read() */
    bool close;    /* do not use the connection again */
};
/* For HEAD as for GET: the caller leaves the body out. The first call builds the reply, which takes
 * some milliseconds for a large one: on the thread that sends it, not on that of `on_ready`. */
const struct exchange_reply *exchange_reply(struct exchange *x);

enum { EXCHANGE_READ_LATER = -1 };
/* What comes next of a streamed reply, at most `max_bytes` (not 0): how many bytes; 0 at its end;
 * EXCHANGE_READ_LATER where there are none now: `on_ready` is called, once, when there are, perhaps
 * before this has returned. Never fails: what goes wrong is told in the stream. On the thread that
 * sends it. The exchange may be freed at any time between two reads. */
ssize_t exchange_read(struct exchange *x, void *out, size_t max_bytes);

/* Of a streamed reply that has no room: may its reader take what was read last as slowly as it likes? It pins
 * nothing then but its connection, and may go on; `on_ready` is called when that has to be asked again. On
 * the thread that sends it. */
bool exchange_is_patient(struct exchange *x);

void exchange_free(struct exchange *x); /* NULL is fine; any thread */

#endif
