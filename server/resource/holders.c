/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/holders.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct holder {
    struct holder *chain;
    uint32_t count, feeds; /* subscriptions; and feeds that it pays for */
    uint64_t spool_bytes, spool_max_bytes;
    char text[];
};

static struct holder **bucket_of(struct holders *h, const char *text)
{
    uint32_t mixed = UINT32_C(2166136261); /* FNV-1a: at worst a long chain of one's own names */

    for (; *text != '\0'; text++) {
        mixed = (mixed ^ (uint8_t)*text) * UINT32_C(16777619);
    }
    return &h->buckets[mixed % HOLDERS_BUCKETS];
}

int holders_take(struct holders *h, const struct identity *who, uint32_t max,
                 uint64_t spool_max_bytes, struct holder **out, struct failure *f)
{
    struct holder **at = bucket_of(h, who->text);
    struct holder *one = *at;

    while (one != NULL && strcmp(one->text, who->text) != 0) {
        one = one->chain;
    }
    if ((one != NULL ? one->count : 0) >= max) {
        int result =
            failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%s has %u streams already", who->text, max);

        failure_retry(f, result, FAILURE_RETRY_LATER_MS);
        failure_cause(f, result, "the limit streams allows no more for one identity");
        return failure_next(f, result, "end one of them, or have several readers share one");
    }
    if (one == NULL) {
        size_t bytes = strlen(who->text) + 1;

        one = calloc(1, sizeof(*one) + bytes);
        if (one == NULL) {
            return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a stream's owner");
        }
        memcpy(one->text, who->text, bytes);
        one->chain = *at;
        *at = one;
    }
    one->count++;
    one->spool_max_bytes = spool_max_bytes;
    *out = one;
    return 0;
}

/* Unless it has anything yet. */
static void forget(struct holders *h, struct holder *one)
{
    struct holder **at = bucket_of(h, one->text);

    if (one->count > 0 || one->feeds > 0) {
        return;
    }
    assert(one->spool_bytes == 0);
    while (*at != one) {
        at = &(*at)->chain;
    }
    *at = one->chain;
    free(one);
}

void holders_give(struct holders *h, struct holder *one)
{
    assert(one->count > 0);
    one->count--;
    forget(h, one);
}

void holders_pay(struct holder *one)
{
    one->feeds++;
}

void holders_pay_no_more(struct holders *h, struct holder *one)
{
    assert(one->feeds > 0);
    one->feeds--;
    forget(h, one);
}

void holders_charge(struct holder *one, uint64_t bytes)
{
    one->spool_bytes += bytes;
}

void holders_discharge(struct holder *one, uint64_t bytes)
{
    assert(one->spool_bytes >= bytes);
    one->spool_bytes -= bytes;
}

int holders_check(const struct holder *one, uint64_t bytes, struct failure *f)
{
    uint64_t most = one->spool_max_bytes;
    uint64_t room = one->spool_bytes < most ? most - one->spool_bytes : 0;

    if (most == 0 || (bytes > 0 ? bytes <= room : room > 0)) {
        return 0;
    }
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                             "what %s watches has %llu KiB of spools (at most %llu)", one->text,
                             (unsigned long long)((one->spool_bytes + bytes) >> 10),
                             (unsigned long long)(most >> 10));

    failure_cause(f, result, "the limit spool_bytes allows no more for one identity");
    if (bytes <= most) {
        failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    }
    return failure_next(f, result, "end one of the streams, and try again when it has gone");
}
