/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/watch_end.h"

#include "common/error.h"

static const struct {
    const char *name, *message;
} ends[] = {
    [WATCH_END_INCARNATION] = { "incarnation_ended",
                                "the domain is no more, or another life of it began" },
    [WATCH_END_RENAMED] = { "renamed", "the domain has another name, or other tags" },
    [WATCH_END_RESOURCE_GONE] = { "resource_gone", "the resource is no longer there" },
    [WATCH_END_SAMPLING_FAILED] = { "sampling_failed", "it could not be sampled any more" },
    [WATCH_END_MAPPER_GONE] = { "mapper_gone", "the mapper is gone" },
    [WATCH_END_SHUTTING_DOWN] = { "shutting_down", "the gateway stops" },
    [WATCH_END_PERMISSION_WITHDRAWN] = { "permission_withdrawn",
                                         "the gateway no longer allows it" },
    [WATCH_END_CREDENTIALS_EXPIRED] = { "credentials_expired",
                                        "what was shown to the gateway has expired" },
    [WATCH_END_DEADLINE] = { "deadline", "the stream's time is over" },
    [WATCH_END_FAILED] = { "failed", "the gateway could not go on" },
    [WATCH_END_CLIENT] = { "client_gone", "" },
    [WATCH_END_STOPPED] = { "stopped", "the trace was stopped" },
    [WATCH_END_LEASE] = { "lease_ended", "nobody read the trace or renewed its lease in time" },
    [WATCH_END_SHUTDOWN] = { "shutdown", "the domain shut down" },
    [WATCH_END_TAKEN_OVER] = { "taken_over", "another caller took the trace over" },
    [WATCH_END_INTERFERED] = { "interfered", "somebody else ended or changed the trace" },
    [WATCH_END_HARDWARE_ERROR] = { "hardware_error", "the processor reports an error" },
    [WATCH_END_HARDWARE_STOPPED] = { "hardware_stopped", "the processor stopped the trace" },
};
_Static_assert(sizeof(ends) / sizeof(ends[0]) == WATCH_END_COUNT, "each has a row");

const char *watch_end_name(enum watch_end end)
{
    return ends[end].name;
}

const char *watch_end_message(enum watch_end end)
{
    return ends[end].message;
}

enum watch_end watch_end_of_leaving(int code)
{
    switch (code) {
    case ERROR_DEADLINE_EXCEEDED: return WATCH_END_DEADLINE;
    case ERROR_PERMISSION_DENIED: return WATCH_END_PERMISSION_WITHDRAWN;
    case ERROR_UNAUTHENTICATED: return WATCH_END_CREDENTIALS_EXPIRED;
    default: return WATCH_END_SHUTTING_DOWN;
    }
}
