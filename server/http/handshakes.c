/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/handshakes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"

enum {
    SETS = HANDSHAKES_ROWS / HANDSHAKES_WAYS,
    FAILURES_MAX = 16, /* more cost no more */
    MS_A_SECOND = 1000,
};

_Static_assert(sizeof(struct handshakes_row) * HANDSHAKES_ROWS <= HANDSHAKES_MAX_BYTES,
               "the table is as large as is announced, or smaller");

/* --- who is exempt -------------------------------------------------------------------------------- */

static bool parse_address(const char *text, struct socket_origin *out)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        socket_origin((const struct sockaddr *)&v4, out);
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        socket_origin((const struct sockaddr *)&v6, out);
        return true;
    }
    return false;
}

static int no_address(struct failure *f, const char *text)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "\"%s\" is no numeric address", text);

    return failure_next(f, result, "write addresses as 192.0.2.1 or 2001:db8::1, spaces between");
}

static int parse_exempt(const char *list, struct socket_origin out[HANDSHAKES_EXEMPT_MAX],
                        uint32_t *count, struct failure *f)
{
    *count = 0;
    for (const char *at = list; at != NULL && *at != '\0';) {
        char text[INET6_ADDRSTRLEN] = "";
        size_t len = strcspn(at, " ");

        if (len > 0 && *count == HANDSHAKES_EXEMPT_MAX) {
            return failure_set(f, ERROR_INVALID_ARGUMENT, "more than %d addresses",
                               (int)HANDSHAKES_EXEMPT_MAX);
        }
        if (len > 0) {
            memcpy(text, at, len < sizeof(text) ? len : sizeof(text) - 1);
            if (len >= sizeof(text) || !parse_address(text, &out[*count])) {
                return no_address(f, text);
            }
            ++*count;
        }
        at += len + strspn(at + len, " ");
    }
    return 0;
}

int handshakes_check_exempt(const char *exempt, struct failure *f)
{
    struct socket_origin origins[HANDSHAKES_EXEMPT_MAX];
    uint32_t count;

    return parse_exempt(exempt, origins, &count, f);
}

/* Nobody comes from nowhere but by a unix socket. */
static bool is_exempt(const struct handshakes *h, const struct socket_origin *origin)
{
    static const struct socket_origin nowhere;

    if (memcmp(origin, &nowhere, sizeof(nowhere)) == 0) {
        return true;
    }
    for (uint32_t i = 0; i < h->exempt_count; i++) {
        if (memcmp(origin, &h->exempt[i], sizeof(*origin)) == 0) {
            return true;
        }
    }
    return false;
}

/* --- life ----------------------------------------------------------------------------------------- */

int handshakes_init(struct handshakes *h, const struct handshakes_limits *limits, uint64_t now_ns,
                    struct failure *f)
{
    *h = (struct handshakes){ .limits = *limits };
    int result = parse_exempt(limits->exempt, h->exempt, &h->exempt_count, f);

    h->limits.exempt = NULL; /* the caller's */
    if (result != 0) {
        return result;
    }
    if (getrandom(&h->seed, sizeof(h->seed), 0) != (ssize_t)sizeof(h->seed)) {
        return failure_call(f, failure_set(f, ERROR_INTERNAL, "no random numbers"), "getrandom",
                            errno);
    }
    if (limits->per_second > 0) {
        h->rows = calloc(HANDSHAKES_ROWS, sizeof(*h->rows));
        if (h->rows == NULL) {
            return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory to count handshakes");
        }
    }
    bucket_init(&h->all, limits->per_second_in_all,
                (uint64_t)limits->per_second_in_all * HANDSHAKES_BURST_S, now_ns);
    (void)pthread_mutex_init(&h->lock, NULL);
    return 0;
}

void handshakes_done(struct handshakes *h)
{
    free(h->rows);
    h->rows = NULL;
    (void)pthread_mutex_destroy(&h->lock);
}

/* --- the table, with the lock --------------------------------------------------------------------- */

static struct handshakes_row *set_of(struct handshakes *h, const struct socket_origin *origin)
{
    uint64_t hash = h->seed;

    for (size_t i = 0; i < sizeof(origin->bytes); i++) {
        hash = (hash ^ origin->bytes[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return &h->rows[hash % SETS * HANDSHAKES_WAYS];
}

static void halve(struct handshakes_row *row, uint64_t now_ns)
{
    const uint64_t half_life_ns = HANDSHAKES_HALF_LIFE_S * CLOCK_NS_PER_S;

    while (row->failures > 0 && now_ns > row->halved_ns &&
           now_ns - row->halved_ns >= half_life_ns) {
        row->failures /= 2;
        row->halved_ns += half_life_ns;
    }
}

/* Less to remember than of another? */
static bool is_lesser(struct handshakes_row *a, struct handshakes_row *b, uint64_t now_ns)
{
    uint64_t a_ns = bucket_wait_ns(&a->bucket, a->bucket.burst, now_ns);
    uint64_t b_ns = bucket_wait_ns(&b->bucket, b->bucket.burst, now_ns);

    return a_ns != b_ns ? a_ns < b_ns : a->failures < b->failures;
}

/* The origin's row, made where there is none. */
static struct handshakes_row *get(struct handshakes *h, const struct socket_origin *origin,
                                  uint64_t now_ns)
{
    struct handshakes_row *set = set_of(h, origin), *least = NULL;

    for (int i = 0; i < HANDSHAKES_WAYS; i++) {
        struct handshakes_row *row = &set[i];

        if (row->is_used && memcmp(&row->origin, origin, sizeof(*origin)) == 0) {
            halve(row, now_ns);
            return row;
        }
        if (row->is_used) {
            halve(row, now_ns);
        }
        if (least == NULL || (least->is_used && (!row->is_used || is_lesser(row, least, now_ns)))) {
            least = row;
        }
    }
    *least = (struct handshakes_row){ .origin = *origin, .is_used = true };
    bucket_init(&least->bucket, h->limits.per_second,
                (uint64_t)h->limits.per_second * HANDSHAKES_BURST_S, now_ns);
    return least;
}

/* --- handshakes ----------------------------------------------------------------------------------- */

/* What one origin is refused costs the others nothing. */
static bool take(struct handshakes *h, const struct socket_origin *origin, uint64_t now_ns)
{
    struct handshakes_row *row = h->rows != NULL ? get(h, origin, now_ns) : NULL;

    if (row != NULL && !bucket_take(&row->bucket, 1, now_ns)) {
        return false;
    }
    if (bucket_take(&h->all, 1, now_ns)) {
        return true;
    }
    if (row != NULL) {
        bucket_return(&row->bucket, 1);
    }
    return false;
}

bool handshakes_admit(struct handshakes *h, const struct socket_origin *origin, uint64_t now_ns)
{
    if (is_exempt(h, origin)) {
        return true;
    }
    (void)pthread_mutex_lock(&h->lock);
    bool admitted = take(h, origin, now_ns);

    (void)pthread_mutex_unlock(&h->lock);
    return admitted;
}

uint64_t handshakes_penalty_ns(struct handshakes *h, const struct socket_origin *origin,
                               uint64_t now_ns)
{
    if (h->rows == NULL || is_exempt(h, origin)) {
        return 0;
    }
    (void)pthread_mutex_lock(&h->lock);
    struct handshakes_row *row = get(h, origin, now_ns);
    uint64_t wait_ns =
        row->failures > HANDSHAKES_FREE_FAILURES ? bucket_wait_ns(&row->bucket, 1, now_ns) : 0;

    (void)pthread_mutex_unlock(&h->lock);
    return wait_ns;
}

static uint64_t penalty_ms(uint32_t failures)
{
    const uint64_t most_ms = HANDSHAKES_PENALTY_MAX_S * MS_A_SECOND;

    if (failures <= HANDSHAKES_FREE_FAILURES) {
        return 0;
    }
    uint64_t ms = (uint64_t)HANDSHAKES_PENALTY_MIN_MS << (failures - HANDSHAKES_FREE_FAILURES - 1);

    return ms < most_ms ? ms : most_ms;
}

/* It is never owed so much that it takes longer than the longest penalty until one is there again. */
static void punish(const struct handshakes *h, struct handshakes_row *row, uint64_t now_ns)
{
    uint64_t per_second = h->limits.per_second;
    uint64_t cost = (per_second * penalty_ms(row->failures) + MS_A_SECOND - 1) / MS_A_SECOND;
    int64_t left = row->bucket.units + (int64_t)(per_second * HANDSHAKES_PENALTY_MAX_S) - 1;
    uint64_t most = left > 0 ? (uint64_t)left : 0;

    bucket_charge(&row->bucket, cost < most ? cost : most, now_ns);
}

void handshakes_failed(struct handshakes *h, const struct socket_origin *origin, uint64_t now_ns)
{
    if (h->rows == NULL || is_exempt(h, origin)) {
        return;
    }
    (void)pthread_mutex_lock(&h->lock);
    struct handshakes_row *row = get(h, origin, now_ns);

    if (row->failures == 0) {
        row->halved_ns = now_ns;
    }
    if (row->failures < FAILURES_MAX) {
        row->failures++;
    }
    punish(h, row, now_ns);
    (void)pthread_mutex_unlock(&h->lock);
}
