/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The connections that are open: whom they are from, what each is doing and since when, and the
 * limits in all and per origin.
 *
 * A connection belongs to one thread of the daemon, from connection_add() to connection_remove();
 * the watchdog looks at all of them, and an exchange may outlive its connection: so they are
 * counted. Lock order: table → connection → the daemon's own locks.
 */
#ifndef XENRES_HTTP_CONNECTION_H
#define XENRES_HTTP_CONNECTION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/identity.h"
#include "server/http/credentials.h"
#include "server/http/inflow.h"
#include "server/http/listener.h"
#include "server/http/outflow.h"
#include "server/http/socket.h"
#include "server/rpc/exchange.h"

struct MHD_Connection;
struct streaming;

enum connection_phase {
    CONNECTION_HANDSHAKE, /* from accept to the finished handshake */
    CONNECTION_IDLE,      /* no request line yet, or none again */
    CONNECTION_RECEIVING, /* from the request line to the last byte of the body */
    CONNECTION_RUNNING,   /* rpc has it: its deadline bounds that */
    CONNECTION_SENDING,   /* the reply stands, its last byte is not with the kernel yet */
    CONNECTION_WAITING, /* of a streamed reply, what there is has gone, and more may come; or what is
                             on its way pins nothing, and its reader may take its time */
};

struct connection {
    /* Set by connection_add(), never changed. */
    struct connections *table;
    struct MHD_Connection *mhd;
    int fd; /* the daemon's; open as long as this is in the table */
    char peer[SOCKET_PEER_BYTES];
    struct socket_origin origin;
    struct credentials_pair *pair; /* counted: of the server, as long as the session lasts */
    atomic_uint refs;

    /* The connection's own thread, or the pump's, while it is parked. */
    gnutls_session_t tls;       /* the daemon's; NULL: none */
    struct identity who;        /* of the verified certificate */
    bool known;                 /* `who` is filled in, and let in by `judged` */
    int64_t until_s;            /* … so long */
    struct credentials *judged; /* counted: those in force when it was looked at last, or began */
    enum listener_demand certificate, token; /* its door's; set before the handshake */
    bool anonymous;          /* he was: nobody is known, but it may be somebody with a token */
    bool refused;            /* the reason is told already */
    uint32_t tokens_refused; /* that were shown on it */
    struct exchange_memory memory;
    struct inflow inflow;
    struct outflow outflow;
    bool linger; /* input may be unread when it closes: see watchdog_linger() */

    /* Written by whose the connection is, read by the watchdog: microseconds << 3 | phase, in
     * one word so that a phase is never read with another one's start. */
    _Atomic uint64_t phase;

    /* Suspending and resuming: see body.c. */
    pthread_mutex_t lock;
    bool suspended;           /* under `lock`, and so the next */
    bool answered;            /* the exchange that runs has its reply */
    struct streaming *parked; /* suspended, and the pump's; not `suspended` then */

    /* Under the table's lock. */
    struct connection *prev, *next; /* all */
    struct connection *chain;       /* same bucket of origins */
    uint64_t watched_phase;         /* the watchdog's notes on a reply that is being sent */
    uint64_t watched_since_ns;
    uint64_t watched_acked_bytes;
    bool ended; /* the watchdog has shut its socket down */
    uint64_t ended_ns;
};

enum { CONNECTIONS_BUCKETS = 1024 };

struct connections {
    pthread_mutex_t lock;
    pthread_cond_t quiet; /* requests fell to 0 */
    uint32_t limit, limit_per_origin;
    uint64_t seed;           /* of the buckets: peers cannot choose to collide */
    struct connection *head; /* under `lock`, and so the next two */
    uint32_t count;
    struct connection *buckets[CONNECTIONS_BUCKETS];
    atomic_uint requests;   /* begun and not ended */
    atomic_bool stopping;   /* no more requests than those that are under way */
    atomic_bool abandoning; /* nor any more waiting for the replies of those */
};

int connections_init(struct connections *t, uint32_t limit, uint32_t limit_per_origin,
                     struct failure *f);
void connections_done(struct connections *t); /* empty, but for references that others hold */

/* True if one more from `address` would be within the limits, else `*why`. */
bool connections_admit(struct connections *t, const struct sockaddr *address,
                       enum listener_refusal *why);
/* Takes it in, to be judged by `credentials` (a reference is taken), unless the limits are reached by now:
 * then NULL. */
struct connection *connection_add(struct connections *t, struct MHD_Connection *mhd, int fd,
                                  const struct sockaddr *address, struct credentials *credentials,
                                  enum listener_refusal *why);
void connection_remove(struct connection *c); /* and gives up the reference of connection_add() */
struct connection *connection_ref(struct connection *c);
void connection_unref(struct connection *c);

void connection_enter(struct connection *c, enum connection_phase phase);
enum connection_phase connection_phase(const struct connection *c, uint64_t *since_ns);

void connections_request_began(struct connections *t);
void connections_request_ended(struct connections *t);
/* Waits until no request is left, at most until `deadline_ns`. */
void connections_wait_quiet(struct connections *t, uint64_t deadline_ns);

/* Calls `look` for each, with the table's lock. */
void connections_each(struct connections *t, void (*look)(struct connection *c, void *arg),
                      void *arg);
uint32_t connections_count(struct connections *t);

#endif
