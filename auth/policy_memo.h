/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Which rules of one policy are for whom, remembered for those who asked last: that is most of what a
 * decision costs, and the same for every request of a caller. Somebody is known again by all that rules
 * look at of him: his text, his groups and whether he is bound, compared in full, so that nobody is ever
 * taken for another. It belongs to a policy, which never changes: nothing in it gets old.
 *
 * It has room for so many, and forgets who asked longest ago of those who share a place; who is forgotten
 * is decided on as slowly as at first. Any thread; its lock is innermost, and held to compare and copy.
 */
#ifndef XENRES_AUTH_POLICY_MEMO_H
#define XENRES_AUTH_POLICY_MEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/policy.h"

enum { POLICY_MEMO_BUCKETS = 64, POLICY_MEMO_WAYS = 4 };

struct policy_memo;
struct policy_memo *policy_memo_new(void);       /* NULL: no memory */
void policy_memo_free(struct policy_memo *memo); /* NULL is fine */

bool policy_memo_find(struct policy_memo *memo, const struct identity *who,
                      struct policy_rules *out);
void policy_memo_keep(struct policy_memo *memo, const struct identity *who,
                      const struct policy_rules *rules);

#endif
