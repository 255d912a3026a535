/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How many subscriptions each identity has, and the memory of the spools that it pays for: a row for each
 * that has any. With its owner's lock.
 */
#ifndef XENRES_RESOURCE_HOLDERS_H
#define XENRES_RESOURCE_HOLDERS_H

#include "auth/identity.h"

enum { HOLDERS_BUCKETS = 256 };

struct holder;
struct holders {
    struct holder *buckets[HOLDERS_BUCKETS];
};

/* One subscription more, for as long as it has fewer than `max`. From now on its spools may have
 * `spool_max_bytes`; 0: no limit. -ERROR_RESOURCE_EXHAUSTED. */
int holders_take(struct holders *h, const struct identity *who, uint32_t max,
                 uint64_t spool_max_bytes, struct holder **out, struct failure *f);
void holders_give(struct holders *h, struct holder *one);

/* A feed is paid for: the row stays as long as that is so. */
void holders_pay(struct holder *one);
void holders_pay_no_more(struct holders *h, struct holder *one);
/* Its spool; whatever the limit. */
void holders_charge(struct holder *one, uint64_t bytes);
void holders_discharge(struct holder *one, uint64_t bytes);
/* 0 or -ERROR_RESOURCE_EXHAUSTED: would so many more be within the limit? 0: may there be any? */
int holders_check(const struct holder *one, uint64_t bytes, struct failure *f);

#endif
