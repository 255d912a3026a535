/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How many subscriptions each identity has: a row for each that has any. With its owner's lock.
 */
#ifndef XENRES_RESOURCE_HOLDERS_H
#define XENRES_RESOURCE_HOLDERS_H

#include "auth/identity.h"

enum { HOLDERS_BUCKETS = 256 };

struct holder;
struct holders {
    struct holder *buckets[HOLDERS_BUCKETS];
};

/* One more, for as long as it has fewer than `max`. -ERROR_RESOURCE_EXHAUSTED. */
int holders_take(struct holders *h, const struct identity *who, uint32_t max, struct holder **out,
                 struct failure *f);
void holders_give(struct holders *h, struct holder *one);

#endif
