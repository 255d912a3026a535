/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/quota_refusal.h"

#include "common/clock.h"

static const struct {
    const char *name, *text; /* for a number */
} limits[QUOTA_LIMIT_COUNT] = {
    [QUOTA_REQUESTS] = { "requests_per_second", "requests a second of yours" },
    [QUOTA_REQUESTS_IN_ALL] = { "requests_per_second_in_all", "requests a second of all callers" },
    [QUOTA_BYTES] = { "bytes_per_second", "bytes a second of answers to you" },
    [QUOTA_BYTES_IN_ALL] = { "bytes_per_second_in_all", "bytes a second of answers to all" },
    [QUOTA_STREAM_BYTES] = { "stream_bytes_per_second", "bytes a second of streams" },
    [QUOTA_CALLS] = { "calls", "calls of yours are in flight" },
    [QUOTA_SNAPSHOTS] = { "snapshots", "snapshots of yours are in flight" },
    [QUOTA_SNAPSHOTS_IN_ALL] = { "snapshots_in_all", "snapshots are in flight in all" },
    [QUOTA_ARENA] = { "arena_bytes", "bytes of the arena" },
    [QUOTA_PAUSES] = { "pauses_per_second", "your traces" },
    [QUOTA_PAUSES_IN_ALL] = { "pauses_per_second_in_all", "all traces" },
    [QUOTA_IDENTITIES] = { "identities", "callers are being served already" },
};

const char *quota_limit_name(enum quota_limit limit)
{
    return limits[limit].name;
}

/* Rounded up: who comes then is not too early. */
static uint32_t in_ms(uint64_t wait_ns)
{
    uint64_t ms = wait_ns / CLOCK_NS_PER_MS + (wait_ns % CLOCK_NS_PER_MS > 0 ? 1 : 0);

    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

int quota_refuse_rate(enum quota_limit limit, uint64_t per_second, uint64_t wait_ns,
                      struct failure *f)
{
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "more than %llu %s",
                             (unsigned long long)per_second, limits[limit].text);

    failure_retry(f, result, in_ms(wait_ns));
    failure_cause(f, result, "the limit %s", limits[limit].name);
    return failure_next(f, result, "try again in %u ms, and more slowly", in_ms(wait_ns));
}

int quota_refuse_calls(enum quota_limit limit, uint32_t held, uint32_t most, struct failure *f)
{
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%u %s (at most %u)", held,
                             limits[limit].text, most);

    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    failure_cause(f, result, "the limit %s", limits[limit].name);
    return failure_next(f, result, "try again when one of them has ended");
}

int quota_refuse_arena(uint64_t held_bytes, uint64_t wanted_bytes, uint64_t most_bytes,
                       struct failure *f)
{
    int result =
        failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                    "%llu bytes more than the %llu that your calls in flight hold (at most %llu)",
                    (unsigned long long)wanted_bytes, (unsigned long long)held_bytes,
                    (unsigned long long)most_bytes);

    failure_cause(f, result, "the limit %s", limits[QUOTA_ARENA].name);
    if (wanted_bytes <= most_bytes) {
        failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    }
    return failure_next(f, result,
                        wanted_bytes > most_bytes ? "ask for fewer frames at a time"
                                                  : "try again when one of your calls has ended");
}

int quota_refuse_pauses(enum quota_limit limit, uint64_t held, uint32_t wanted, uint32_t most,
                        struct failure *f)
{
    int result =
        failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                    "%u pauses of vCPUs a second more than the %llu that %s may make (at most %u)",
                    wanted, (unsigned long long)held, limits[limit].text, most);

    failure_cause(f, result, "the limit %s: each question for a trace's position pauses its vCPU",
                  limits[limit].name);
    if (wanted <= most) {
        failure_retry(f, result, FAILURE_RETRY_LATER_MS);
    }
    return failure_next(f, result,
                        wanted > most ? "trace fewer vCPUs, or ask for fewer pauses_per_second"
                        : limit == QUOTA_PAUSES
                            ? "stop one of your traces, or ask for fewer pauses_per_second"
                            : "ask for fewer pauses_per_second, or try again when others have "
                              "ended");
}

int quota_refuse_identity(struct failure *f)
{
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%d callers are being served already",
                             (int)QUOTA_IDENTITIES_MAX);

    failure_retry(f, result, FAILURE_RETRY_LATER_MS);
    failure_cause(f, result, "the gateway knows no more of them at a time");
    return failure_next(f, result, "try again when others have ended");
}
