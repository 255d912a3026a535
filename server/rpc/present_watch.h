/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What the streams of resources and of domains have in common, as messages: as present.h. Pure, any
 * thread. */
#ifndef XENRES_RPC_PRESENT_WATCH_H
#define XENRES_RPC_PRESENT_WATCH_H

#include "server/resource/feeds.h"
#include "server/rpc/present.h"
#include "server/rpc/watch_meter.h"
#include "google/protobuf/duration.pb-c.h"
#include "xenres/v1/watch.pb-c.h"

Google__Protobuf__Duration *present_duration(struct pool *p, uint64_t duration_ns);
Xenres__V1__SampleTime *present_sample(struct pool *p, const struct feed_stamp *stamp);
/* Of an item that is a GAP. */
Xenres__V1__WatchGap *present_gap(struct pool *p, const struct subscription_item *item);
/* Why it is over, and what a feed's end says of it; `f`: the failure that it is to be told with, code 0
 * where none. */
enum watch_end present_end_reason(const struct subscription_item *item, struct failure *f);
/* `cursor`: "" for none. */
Xenres__V1__WatchEnd *present_end(struct pool *p, enum watch_end why, const struct failure *f,
                                  char *cursor, uint64_t sequence);

#endif
