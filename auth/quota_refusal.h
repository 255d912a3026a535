/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What quota.c says of the limits that were hit: in words, by name, and when to try again. Pure. */
#ifndef XENRES_AUTH_QUOTA_REFUSAL_H
#define XENRES_AUTH_QUOTA_REFUSAL_H

#include "auth/quota.h"

/* All -ERROR_RESOURCE_EXHAUSTED. */
int quota_refuse_rate(enum quota_limit limit, uint64_t per_second, uint64_t wait_ns,
                      struct failure *f);
int quota_refuse_calls(enum quota_limit limit, uint32_t held, uint32_t most, struct failure *f);
int quota_refuse_arena(uint64_t held_bytes, uint64_t wanted_bytes, uint64_t most_bytes,
                       struct failure *f);
int quota_refuse_pauses(enum quota_limit limit, uint64_t held, uint32_t wanted, uint32_t most,
                        struct failure *f);
int quota_refuse_identity(struct failure *f);

#endif
