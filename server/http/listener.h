/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The public listener: TLS 1.3, HTTP/1.1, through libmicrohttpd, at one or several doors.
 *
 * Owns a daemon for each door, their threads and every connection; limits, credentials and counters are
 * those of all doors. Each connection belongs to one thread of its daemon; a suspended one is resumed by
 * whoever completes its exchange. Credentials are counted and
 * can be exchanged while it runs: connections keep the server's certificate that they began with,
 * and their clients are verified by the authorities in force at each request.
 */
#ifndef XENRES_HTTP_LISTENER_H
#define XENRES_HTTP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/access.h"
#include "common/error.h"
#include "server/rpc/rpc.h"

struct audit;
struct listener;

struct listener_limits {
    uint32_t
        threads; /* 1 to 16 at each door, and as many of the pump; 0: as many as cores, 2 to 4 */
    uint32_t connections; /* in all */
    uint32_t connections_per_address;
    uint32_t handshake_timeout_s;   /* from accept to a finished handshake */
    uint32_t idle_timeout_s;        /* keep-alive */
    uint32_t request_timeout_s;     /* from its first byte to its last */
    uint32_t drain_min_bytes_per_s; /* a reader slower than this is ended */
    uint32_t handshakes_per_s_per_address, handshakes_per_s; /* 0: no limit */
    const char
        *handshake_exempt; /* addresses with no such limit, with spaces between; NULL: none */
};

/* Why a connection was not let in, or ended. The names (metrics, log) never change. */
enum listener_refusal {
    LISTENER_REFUSED_CONNECTIONS, /* limit in all */
    LISTENER_REFUSED_ADDRESS,     /* limit per address */
    LISTENER_REFUSED_HANDSHAKES, /* too many of them began, or failed: limit per address, or in all */
    LISTENER_REFUSED_MEMORY,
    LISTENER_REFUSED_TLS_VERSION, /* no TLS 1.3 */
    LISTENER_REFUSED_NO_CERTIFICATE,
    LISTENER_REFUSED_UNKNOWN_CA,
    LISTENER_REFUSED_EXPIRED,
    LISTENER_REFUSED_REVOKED,
    LISTENER_REFUSED_UNCHECKED,
    LISTENER_REFUSED_NOT_SPOKEN_FOR,
    LISTENER_REFUSED_BAD_CERTIFICATE,
    LISTENER_REFUSED_HANDSHAKE, /* garbage, nothing in common, or given up */
    LISTENER_REFUSED_HANDSHAKE_TIMEOUT,
    LISTENER_ENDED_SLOW_REQUEST,
    LISTENER_ENDED_SLOW_READER,
    LISTENER_REFUSAL_COUNT
};
const char *listener_refusal_name(enum listener_refusal r); /* "unknown_ca" */

/* What happened since the start; for metrics and tests. */
struct listener_counters {
    uint64_t accepted, handshakes_done, requests;
    uint64_t refused[LISTENER_REFUSAL_COUNT];
    uint32_t open;
};

/* What the server shows of itself, in PEM. Read by the caller, who may have had the right to read the
 * key and has it no longer; wiped by the caller when the call returns. */
struct listener_pem {
    const void *certificate; /* with intermediates behind the leaf */
    size_t certificate_len_bytes;
    const void *key;
    size_t key_len_bytes;
};

/* Whether clients are to show something of a kind. */
enum listener_demand {
    LISTENER_REQUIRED,
    LISTENER_OPTIONAL,
    LISTENER_NONE, /* a certificate is not asked for; a token is refused, whatever it is */
};

/* An address at which clients come in, and what they show there: in which mix. At a door without
 * certificates no token is good that is bound to one. */
struct listener_door {
    int listen_fd;  /* bound and listening; the listener closes it */
    bool is_shared; /* others hold it too, and go on with it: it is not shut down at the end */
    enum listener_demand certificate, token;
};

enum { LISTENER_DOORS_MAX = 9 };

struct listener_options {
    const struct listener_door *doors; /* 1 to LISTENER_DOORS_MAX; copied */
    size_t door_count;
    struct listener_pem pem;
    struct access *access; /* a reference is taken */
    struct rpc *rpc;
    struct audit *audit; /* outlives it; NULL: it is off */
    struct listener_limits limits;

    /* For servers that test a protocol, and nothing else: whoever connects is this one, and no
     * certificate is asked for. NULL: a client certificate is required. Outlives the listener. */
    const struct identity *everyone;
    bool plaintext; /* with `everyone`: without TLS */
};

/* Binds and listens at a numeric address, "127.0.0.1:8443" or "[::]:8443"; port 0: the kernel's
 * choice. Close-on-exec. */
/* listener_check_address(): would it, without doing it. */
int listener_check_address(const char *address, struct failure *f);
int listener_bind(const char *address, int *listen_fd, struct failure *f);
uint16_t listener_bound_port(int listen_fd);
/* Is it a list of addresses, as listener_limits has one? */
int listener_check_exempt(const char *addresses, struct failure *f);

/* Would listener_start() take them? Its failure if not. */
int listener_check_pem(const struct listener_pem *pem, struct failure *f);

int listener_start(const struct listener_options *options, struct listener **out,
                   struct failure *f);
/* All or nothing: on failure the old credentials stay in force. */
int listener_reload(struct listener *l, const struct listener_pem *pem, struct access *access,
                    struct failure *f);
/* The same with the certificate and key in force. */
int listener_set_access(struct listener *l, struct access *access, struct failure *f);
/* Of `limits`, those of handshakes, and what clients show at the first door: for connections that begin
 * from now on. -ERROR_INVALID_ARGUMENT: as listener_check_exempt(), and nothing is changed. */
int listener_set_admission(struct listener *l, const struct listener_limits *limits,
                           const struct listener_door *first, struct failure *f);
void listener_counters(struct listener *l, struct listener_counters *out);
/* Whether its threads go on, to be asked now and then by one thread: watchdog_is_well(). */
bool listener_is_well(struct listener *l);
/* Takes no more connections, lets exchanges that run end (at most `grace_ms`), then closes all. */
void listener_stop(struct listener *l, uint32_t grace_ms);

#endif
