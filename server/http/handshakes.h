/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How many TLS handshakes may begin, from each origin and in all: a handshake is the dearest thing that a
 * stranger can make us do. Each takes one from its origin's bucket; one that fails takes more, the more of
 * them have failed, up to HANDSHAKES_PENALTY_MAX_S of what the origin may do; how many have failed is
 * halved every HANDSHAKES_HALF_LIFE_S. Others behind the same address wait with it, that long at most after
 * the last one that failed. A bearer token that was not accepted is such a failure, too.
 *
 * The table has HANDSHAKES_ROWS, in sets that are chosen by a seeded hash: who comes from ever more
 * addresses makes it forget, of a set, the origin with the least to remember. So to be forgotten himself he
 * has to fail from as many others of his set, which he cannot choose, as it has rows. Any thread; one lock,
 * under which nothing else is taken.
 */
#ifndef XENRES_HTTP_HANDSHAKES_H
#define XENRES_HTTP_HANDSHAKES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/bucket.h"
#include "server/http/socket.h"

enum {
    HANDSHAKES_ROWS = 4096,
    HANDSHAKES_WAYS = 8, /* rows of a set */
    HANDSHAKES_EXEMPT_MAX = 64,
    HANDSHAKES_BURST_S = 8, /* seconds' worth may come at once */
    HANDSHAKES_FREE_FAILURES = 3,
    HANDSHAKES_PENALTY_MIN_MS = 250, /* of the next one; twice as much of each one more */
    HANDSHAKES_PENALTY_MAX_S = 60,
    HANDSHAKES_HALF_LIFE_S = 120,
    HANDSHAKES_MAX_BYTES = 512 * 1024, /* of the table */
};

struct handshakes_limits {
    uint32_t per_second, per_second_in_all; /* 0: no limit */
    const char *exempt; /* numeric addresses, with spaces between: no limit; NULL: none */
};

struct handshakes_row {
    struct socket_origin origin;
    bool is_used;
    uint32_t failures;  /* the last ones, fewer with time */
    uint64_t halved_ns; /* when they were last halved, or there were none */
    struct bucket bucket;
};

struct handshakes {
    struct handshakes_limits limits;
    uint64_t seed;
    struct socket_origin exempt[HANDSHAKES_EXEMPT_MAX];
    uint32_t exempt_count;
    pthread_mutex_t lock; /* of what follows */
    struct bucket all;
    struct handshakes_row *rows; /* NULL: there is no limit per origin */
};

/* -ERROR_INVALID_ARGUMENT: not such a list, or a longer one than HANDSHAKES_EXEMPT_MAX. */
int handshakes_check_exempt(const char *exempt, struct failure *f);
int handshakes_init(struct handshakes *h, const struct handshakes_limits *limits, uint64_t now_ns,
                    struct failure *f);
void handshakes_done(struct handshakes *h);

/* One is about to begin. False: it may not. */
bool handshakes_admit(struct handshakes *h, const struct socket_origin *origin, uint64_t now_ns);
/* How long until one may begin, where so many have failed that they cost something: 0 now, or where they have
 * not, however many begin. For what else is not to be done for those who fail. */
uint64_t handshakes_penalty_ns(struct handshakes *h, const struct socket_origin *origin,
                               uint64_t now_ns);
/* One that was admitted has not come to its end. */
void handshakes_failed(struct handshakes *h, const struct socket_origin *origin, uint64_t now_ns);

#endif
