/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Traces as the API shows them: as present.h. Pure, any thread. */
#ifndef XENRES_RPC_PRESENT_TRACE_H
#define XENRES_RPC_PRESENT_TRACE_H

#include "server/resource/feeds.h"
#include "server/rpc/present.h"
#include "server/rpc/watch_meter.h"
#include "xenres/v1/trace.pb-c.h"

Xenres__V1__Trace *present_trace(struct pool *p, const struct message_trace *t);
Xenres__V1__TraceVcpu *present_trace_vcpu(struct pool *p, const struct message_trace_vcpu *v);

/* A segment's BEGIN, BYTES (whose content is not copied), and what is missing: by a LOSS, and by a GAP of
 * the subscription, which was at `position` before it. */
Xenres__V1__TraceSegment *present_trace_segment(struct pool *p, const struct feed_begin *b);
Xenres__V1__TraceData *present_trace_data(struct pool *p, const struct feed_record *r);
Xenres__V1__TraceGap *present_trace_loss(struct pool *p, const struct feed_loss *l);
Xenres__V1__TraceGap *present_trace_gap(struct pool *p, const struct subscription_item *item,
                                        uint64_t position);
/* How a gap is counted. */
enum watch_loss present_trace_loss_kind(uint32_t feed_loss_reason);

/* Why the feed is over. `told` is what the message is to have, `f` what the stream fails with; code 0:
 * nothing. */
enum watch_end present_trace_over(const struct subscription_item *item, struct failure *told,
                                  struct failure *f);
/* The last message, for what was sent up to `position`; `told` as above. */
Xenres__V1__TraceEnd *present_trace_end(struct pool *p, enum watch_end why,
                                        const struct failure *told, char *cursor, uint64_t position,
                                        uint32_t shutdown_code);

#endif
