/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/holders.h"

#include <stdlib.h>
#include <string.h>

struct holder {
    struct holder *chain;
    uint32_t count;
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

int holders_take(struct holders *h, const struct identity *who, uint32_t max, struct holder **out,
                 struct failure *f)
{
    struct holder **at = bucket_of(h, who->text);
    struct holder *one = *at;

    while (one != NULL && strcmp(one->text, who->text) != 0) {
        one = one->chain;
    }
    if ((one != NULL ? one->count : 0) >= max) {
        int result =
            failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%s has %u streams already", who->text, max);

        failure_cause(f, result, "the configuration allows no more for one identity");
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
    *out = one;
    return 0;
}

void holders_give(struct holders *h, struct holder *one)
{
    struct holder **at = bucket_of(h, one->text);

    if (--one->count > 0) {
        return;
    }
    while (*at != one) {
        at = &(*at)->chain;
    }
    *at = one->chain;
    free(one);
}
