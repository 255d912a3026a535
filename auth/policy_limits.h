/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The `limits` sections of the policy's file: what of the gateway an identity may use. A limit of
 * nothing is a fault: that is what rules are for. One thread at a time.
 */
#ifndef XENRES_AUTH_POLICY_LIMITS_H
#define XENRES_AUTH_POLICY_LIMITS_H

#include <confuse.h>

#include "auth/policy_list.h"
#include "auth/policy_rule.h"

enum {
    POLICY_REQUESTS_PER_SECOND_MAX = 1000000,
    POLICY_SNAPSHOTS_MAX = 65536,
    POLICY_STREAMS_MAX = 1000000,
    POLICY_SPOOL_MAX_MIB = 1 << 20,
    POLICY_PAUSES_PER_SECOND_MAX = 1000000,
};
#define POLICY_BYTES_PER_SECOND_MAX (UINT64_C(1) << 40)

/* The options of a section but for `identities`, for its schema: values are of `value`. */
#define POLICY_LIMITS_OPTIONS(value, free_value)                                                   \
    CFG_PTR_CB("requests_per_second", NULL, CFGF_NONE, value, free_value),                         \
        CFG_PTR_CB("bytes_per_second", NULL, CFGF_NONE, value, free_value),                        \
        CFG_PTR_CB("snapshots", NULL, CFGF_NONE, value, free_value),                               \
        CFG_PTR_CB("streams", NULL, CFGF_NONE, value, free_value),                                 \
        CFG_PTR_CB("spool_mib", NULL, CFGF_NONE, value, free_value),                               \
        CFG_PTR_CB("pauses_per_second", NULL, CFGF_NONE, value, free_value)

/* `out->name` and `out->line` are known; faults are counted in `r`. */
void policy_limits_read(struct policy_reading *r, cfg_t *section, struct policy_limit_section *out);

#endif
