/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Why a stream ended, and what metrics and people are told of it, once for all streams: how the API calls
 * each is in present_watch.c and present_trace.c. Pure, any thread. */
#ifndef XENRES_RPC_WATCH_END_H
#define XENRES_RPC_WATCH_END_H

enum watch_end {
    WATCH_END_INCARNATION,
    WATCH_END_RENAMED,
    WATCH_END_RESOURCE_GONE,
    WATCH_END_SAMPLING_FAILED,
    WATCH_END_MAPPER_GONE,
    WATCH_END_SHUTTING_DOWN,
    WATCH_END_PERMISSION_WITHDRAWN,
    WATCH_END_CREDENTIALS_EXPIRED,
    WATCH_END_DEADLINE,
    WATCH_END_FAILED, /* by any other failure, which it was told */
    WATCH_END_CLIENT, /* its client went */
    /* Of traces: */
    WATCH_END_STOPPED,
    WATCH_END_LEASE,
    WATCH_END_SHUTDOWN,
    WATCH_END_TAKEN_OVER,
    WATCH_END_INTERFERED,
    WATCH_END_HARDWARE_ERROR,
    WATCH_END_HARDWARE_STOPPED,
    WATCH_END_COUNT
};

/* "incarnation_ended": a metric's label, which never changes. */
const char *watch_end_name(enum watch_end end);
/* What it says, for people; "" where nobody is left to be told. */
const char *watch_end_message(enum watch_end end);
/* Of a stream that has to leave, by the code of the failure that it leaves with. */
enum watch_end watch_end_of_leaving(int code);

#endif
