/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/limits.h"

/* Without a product that overflows. */
static uint64_t percent_of(int64_t percent, uint64_t whole)
{
    return whole / 100 * (uint64_t)percent + whole % 100 * (uint64_t)percent / 100;
}

void limits_of_config(const struct config *c, struct quota_limits *out)
{
    *out = (struct quota_limits){
        .each = { .requests_per_second = (uint64_t)c->limits_requests_per_s_per_identity,
                  .bytes_per_second = (uint64_t)c->limits_bytes_per_s_per_identity,
                  .calls = (uint32_t)c->limits_calls_per_identity,
                  .snapshots = (uint32_t)c->limits_snapshots_per_identity,
                  .arena_bytes = percent_of(c->limits_arena_percent_per_identity,
                                            (uint64_t)c->mapper_arena_mib << 20),
                  .streams = (uint32_t)c->limits_subscribers_per_identity,
                  .spool_bytes = (uint64_t)c->limits_spool_mib_per_identity << 20 },
        .all = { .requests_per_second = (uint64_t)c->limits_requests_per_s,
                 .bytes_per_second = (uint64_t)c->limits_bytes_per_s,
                 .snapshots = (uint32_t)c->limits_snapshots },
    };
}

void limits_follow_mapper(const struct config *c, const struct message_hello_answer *hello,
                          struct quota *q)
{
    uint64_t pauses = percent_of(c->limits_pauses_percent_per_identity, hello->pauses_per_second);
    uint64_t in_all = percent_of(c->limits_pauses_percent, hello->pauses_per_second);

    quota_set_arena_limit(q, percent_of(c->limits_arena_percent_per_identity, hello->arena_bytes));
    if (in_all == 0 && c->limits_pauses_percent > 0) {
        in_all = 1; /* a little is not none, which is no limit */
    }
    quota_set_pauses_limit(q, pauses > 0 ? (uint32_t)pauses : 1, (uint32_t)in_all);
}
