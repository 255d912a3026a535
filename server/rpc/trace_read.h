/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * TraceService.ReadTrace, as its files share it: trace_read_say makes messages, trace_read decides what comes
 * next. Nobody else includes this.
 *
 * First the mapper is asked which trace that is, and then its feed is subscribed to by that trace's id: what
 * begins after it is another feed. A message is one record of the feed, no part of one; those with bytes
 * are encoded and compressed by the first who comes to them, and sent by all. As long as it is open, it keeps
 * the trace's lease. All of it is touched on the thread that sends, but for what wakes it.
 */
#ifndef XENRES_RPC_TRACE_READ_H
#define XENRES_RPC_TRACE_READ_H

#include "server/rpc/trace_choice.h"
#include "server/rpc/trace_leases.h"
#include "server/rpc/watch_meter.h"
#include "server/rpc/watch_pulse.h"
#include "server/resource/feeds.h"
#include "xenres/v1/trace.pb-c.h"

struct trace_read {
    /* What is asked for. */
    uint32_t vcpu;
    struct trace_choice choice;
    bool has_cursor;
    struct feed_cursor cursor;

    struct message_trace trace; /* as the mapper told of it */
    struct trace_lease *lease;  /* NULL: it was over */
    struct subscription *subscription;
    struct subscription_item item; /* the last one, and so the subscription's */
    bool begun, over;
    enum watch_end end;
    struct failure failure; /* that it ended with; code 0: none */
    uint64_t position;      /* of the next byte */
    struct watch_pulse pulse;
    struct feed_stamp sampled;   /* the last that is known of */
    struct shared_bytes *shared; /* being sent */
};

/* Each makes a message in `p` and says HANDLER_MESSAGE, or fails. */
int trace_say_begin(struct call *c, struct pool *p, struct failure *f);
/* Of the item, a RECORD that is no STILL: its segment, bytes (then HANDLER_BYTES) or loss; or a GAP. */
int trace_say_record(struct call *c, struct pool *p, struct failure *f);
int trace_say_gap(struct call *c, struct pool *p, struct failure *f);

/* A cursor for all that was said, or "" where there is no place between two messages. */
char *trace_cursor_now(struct call *c, struct pool *p);
int trace_say_checkpoint(struct call *c, struct pool *p, char *cursor, struct failure *f);
int trace_say_heartbeat(struct call *c, struct pool *p, struct failure *f);
/* The last message, which has `told`; code 0: nothing. Behind it comes Connect's own end, with
 * `why_failed`. */
int trace_say_end(struct call *c, struct pool *p, enum watch_end why, const struct failure *told,
                  const struct failure *why_failed, struct failure *f);

#endif
