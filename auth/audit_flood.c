/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_flood.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "common/clock.h"

enum {
    LOOKED_AT = 8, /* places for one name */
    PLACES = AUDIT_FLOOD_NAMES + AUDIT_EVENT_COUNT,
};

struct place {
    bool is_used;
    uint32_t written;
    uint64_t begun_ns;
    struct audit_flood_sum sum;
};

struct audit_flood {
    uint64_t period_ns;
    uint64_t seed; /* so that nobody can choose names that fall onto one place */
    pthread_mutex_t lock;
    uint64_t all_begun_ns;       /* under it, and so the rest */
    uint32_t all_written[2];     /* of who is known, and of strangers */
    struct place places[PLACES]; /* names', then those of the others of each event */
};

int audit_flood_new(unsigned period_ms, struct audit_flood **out, struct failure *f)
{
    struct audit_flood *d = calloc(1, sizeof *d);

    if (d == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the audit");
    }
    if (getrandom(&d->seed, sizeof d->seed, 0) != (ssize_t)sizeof d->seed ||
        pthread_mutex_init(&d->lock, NULL) != 0) {
        free(d);
        return failure_set(f, ERROR_INTERNAL, "cannot set the audit up");
    }
    d->period_ns = period_ms * CLOCK_NS_PER_MS;
    *out = d;
    return 0;
}

void audit_flood_free(struct audit_flood *d)
{
    if (d != NULL) {
        (void)pthread_mutex_destroy(&d->lock);
        free(d);
    }
}

/* The identity, or the address without its port, which is another one each time. */
static size_t name_of(const struct audit_record *r, struct audit_flood_sum *sum)
{
    const char *from = r->who != NULL ? r->who->text : r->peer != NULL ? r->peer : "";
    const char *colon = r->who == NULL ? strrchr(from, ':') : NULL;
    size_t len = colon != NULL ? (size_t)(colon - from) : strlen(from);

    len = len < sizeof sum->who ? len : sizeof sum->who - 1;
    memcpy(sum->who, from, len);
    sum->who[len] = '\0';
    sum->event = r->event;
    sum->is_peer = r->who == NULL;
    return len;
}

static bool is_over(const struct audit_flood *d, uint64_t begun_ns, uint64_t now_ns)
{
    return now_ns - begun_ns >= d->period_ns;
}

static void begin(struct place *p, const struct audit_flood_sum *sum, uint64_t now_ns)
{
    *p = (struct place){ .is_used = true, .begun_ns = now_ns, .sum = *sum };
}

static bool is_used_up(const struct audit_flood *d, bool is_stranger)
{
    return d->all_written[is_stranger] >= (is_stranger ? AUDIT_FLOOD_STRANGERS : AUDIT_FLOOD_ALL);
}

/* The name's place, a free one, or that of the others. One whose period has ended is free once nothing is
 * to be told of it. A stranger who comes when their records are used up gets none: he is one of many. */
static struct place *find(struct audit_flood *d, const struct audit_flood_sum *sum, size_t len,
                          uint64_t now_ns)
{
    uint64_t hash = XXH3_64bits_withSeed(sum->who, len, d->seed + (uint64_t)sum->event);
    struct place *free_one = NULL;

    for (uint64_t i = 0; i < LOOKED_AT; i++) {
        struct place *p = &d->places[(hash + i) % AUDIT_FLOOD_NAMES];

        if (p->is_used && p->sum.event == sum->event && p->sum.is_peer == sum->is_peer &&
            strcmp(p->sum.who, sum->who) == 0) {
            return p;
        }
        if (free_one == NULL &&
            (!p->is_used || (is_over(d, p->begun_ns, now_ns) && p->sum.suppressed == 0))) {
            free_one = p;
        }
    }
    if (free_one != NULL && !(sum->is_peer && is_used_up(d, true))) {
        begin(free_one, sum, now_ns);
        return free_one;
    }
    struct place *others = &d->places[AUDIT_FLOOD_NAMES + sum->event];

    if (!others->is_used) {
        begin(others, sum, now_ns);
        others->sum.is_others = true;
        others->sum.who[0] = '\0';
    }
    return others;
}

static bool take(struct audit_flood *d, struct place *p, bool is_stranger, uint64_t now_ns)
{
    if (is_over(d, p->begun_ns, now_ns) && p->sum.suppressed == 0) {
        p->begun_ns = now_ns;
        p->written = 0;
    }
    if (p->written >= AUDIT_FLOOD_RECORDS || is_used_up(d, is_stranger)) {
        p->sum.suppressed++;
        return false;
    }
    p->written++;
    d->all_written[is_stranger]++;
    return true;
}

bool audit_flood_take(struct audit_flood *d, const struct audit_record *r, uint64_t now_ns)
{
    struct audit_flood_sum sum = { 0 };
    size_t len = name_of(r, &sum);

    (void)pthread_mutex_lock(&d->lock);
    if (is_over(d, d->all_begun_ns, now_ns)) {
        d->all_begun_ns = now_ns;
        memset(d->all_written, 0, sizeof d->all_written);
    }
    bool taken = take(d, find(d, &sum, len, now_ns), sum.is_peer, now_ns);

    (void)pthread_mutex_unlock(&d->lock);
    return taken;
}

bool audit_flood_next(struct audit_flood *d, uint64_t now_ns, bool all, struct audit_flood_sum *out)
{
    bool found = false;

    (void)pthread_mutex_lock(&d->lock);
    for (size_t i = 0; !found && i < PLACES; i++) {
        const struct place *p = &d->places[i];

        if (p->is_used && p->sum.suppressed > 0 && (all || is_over(d, p->begun_ns, now_ns))) {
            *out = p->sum;
            out->place = i;
            found = true;
        }
    }
    (void)pthread_mutex_unlock(&d->lock);
    return found;
}

/* It is the same name's as long as there is something to tell of it. */
void audit_flood_told(struct audit_flood *d, const struct audit_flood_sum *sum)
{
    struct place *p = &d->places[sum->place];

    (void)pthread_mutex_lock(&d->lock);
    p->sum.suppressed -= sum->suppressed;
    p->is_used = p->sum.suppressed > 0;
    (void)pthread_mutex_unlock(&d->lock);
}

void audit_flood_record(const struct audit_flood_sum *sum, struct identity *who,
                        struct audit_record *out)
{
    *who = (struct identity){ .token_id = "" };
    memcpy(who->text, sum->who, sizeof who->text);
    *out = (struct audit_record){
        .event = sum->event,
        .suppressed = sum->suppressed,
        .who = !sum->is_peer && !sum->is_others ? who : NULL,
        .peer = sum->is_peer && !sum->is_others ? sum->who : NULL,
        .detail = sum->is_others ? "others like it, of several callers, were not written"
                                 : "others like it were not written",
        .outcome = sum->event == AUDIT_DENIED  ? ERROR_PERMISSION_DENIED
                   : sum->event == AUDIT_LIMIT ? ERROR_RESOURCE_EXHAUSTED
                                               : ERROR_UNAUTHENTICATED,
    };
}
