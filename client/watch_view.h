/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The parts that both watches' messages have, as views, and what can be wrong about one by itself.
 * Strings stay the message's. Pure. */
#ifndef XENRES_CLIENT_WATCH_VIEW_H
#define XENRES_CLIENT_WATCH_VIEW_H

#include "client/follow.h"
#include "google/protobuf/duration.pb-c.h"
#include "xenres/v1/watch.pb-c.h"

int watch_view_begin(const char *feed, const Google__Protobuf__Duration *silence_max, bool resumed,
                     uint64_t sequence, uint32_t segment, struct follow_message *out,
                     struct fault *fault);
void watch_view_gap(const Xenres__V1__WatchGap *message, struct follow_message *out);
int watch_view_checkpoint(const Xenres__V1__WatchCheckpoint *message, struct follow_message *out,
                          struct fault *fault);
int watch_view_heartbeat(xenres_reply *reply, const Xenres__V1__WatchHeartbeat *message,
                         struct follow_message *out, struct fault *fault);
int watch_view_end(xenres_reply *reply, const Xenres__V1__WatchEnd *message,
                   struct follow_message *out, struct fault *fault);

void watch_view_sample(const Xenres__V1__SampleTime *message, xenres_sample_time *out);
/* Whole milliseconds, at most UINT32_MAX; 0 for NULL and what is below. */
uint32_t watch_view_ms(const Google__Protobuf__Duration *message);

#endif
