/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Where frames go: the caller's callbacks and descriptor, whichever way the frames came. */
#ifndef XENRES_CLIENT_SINK_H
#define XENRES_CLIENT_SINK_H

#include "client/handle.h"

struct sink {
    xenres_frames_sink to;
    const xenres *handle; /* whose cancelling ends the wait for a descriptor */
    uint64_t deadline_ns; /* monotonic: the end of that wait */
    bool has_begun;       /* the caller has been told of the frames */
    uint64_t done_bytes;
    uint64_t total_bytes;
};

/* Checks and copies what the caller gave. The whole has handle->transfer_timeout_ms from now. */
int sink_take(struct sink *s, const xenres *handle, const xenres_frames_sink *given,
              struct fault *fault);
/* Once, before any byte. -ERROR_CANCELED where a callback ends the call, from both. */
int sink_begin(struct sink *s, const xenres_frames *frames, struct fault *fault);
int sink_deliver(struct sink *s, const void *bytes, size_t len_bytes, struct fault *fault);

#endif
