/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * HostService.WatchDomains, as its files share it: host_view decides which domains a stream is about, and
 * what an event is to it; host_watch_say makes its messages; host_watch decides what comes next. Nobody
 * else includes this.
 *
 * What is seen of a domain is decided on the identity that it has at each event, by the policy in force:
 * one that is renamed into what the caller may see appears, one that is renamed out of it goes away, and
 * its new name is not told.
 */
#ifndef XENRES_RPC_HOST_WATCH_H
#define XENRES_RPC_HOST_WATCH_H

#include "server/resource/domain_list.h"
#include "server/resource/domain_rows.h"
#include "server/resource/feeds.h"
#include "server/rpc/call.h"
#include "server/rpc/present_domain.h"
#include "server/rpc/watch_meter.h"
#include "server/rpc/watch_pulse.h"
#include "xenres/v1/host.pb-c.h"

enum {
    HOST_WATCH_LIST_PART = 500, /* domains in one message of a list */
    HOST_WATCH_LIST_WITHIN_MS = 10000,
};

/* Which domains a stream is about. */
struct host_view {
    const struct call *call;                /* who, and the policy in force */
    const Xenres__V1__DomainFilter *filter; /* NULL: all */
    /* By domid, a bit each: those that were told of as being there. Only with a filter of states: of a
     * state that changes, an event does not say what it was. NULL: none. */
    uint8_t *shown;
};

/* False: no memory. */
bool host_view_init(struct host_view *v, struct call *c, const Xenres__V1__DomainFilter *filter);
void host_view_clear(struct host_view *v); /* a list begins: nothing is shown */
/* Is it to be in a list? Then it is shown from now on. */
bool host_view_shows(struct host_view *v, const struct message_domain *row);
/* What the event is to this stream, in `p`; NULL: nothing, or no memory. Numbers are the caller's. */
Xenres__V1__DomainChange *host_view_change(struct host_view *v, const struct feed_domain *event,
                                           struct pool *p);

struct host_watch {
    struct host_view view;
    XXH128_canonical_t filter_digest;
    bool has_cursor, has_same_policy;
    struct feed_cursor cursor;

    struct subscription *subscription;
    struct subscription_item item;
    bool begun, over;
    enum watch_end end;
    struct failure failure; /* that it ended with; code 0: none */
    struct watch_pulse pulse;

    uint64_t seen; /* the last event that was taken */
    uint64_t told; /* the last up to which the client knows */

    /* A list: wanted, being made (`rows`), brought up to the events, told. */
    bool wants_list;
    struct domain_rows *rows;
    bool has_list;       /* `rows` is complete */
    size_t listed;       /* rows of it that were looked at */
    uint64_t generation; /* of the last list: events up to it are in it */
    bool has_told;       /* the client knows a state: what a new list skips is a gap */
    bool lacks_list;     /* and it is void: nobody can go on from there */
    bool lists_again;    /* another list is wanted when this one is told */
    bool gives_up;       /* `failure` ends it, and what it missed was declared */
    int gap_reason;      /* of subscription_item; 0: FEED_GAP_RESUMED */
    bool holds_item;     /* `item` came behind the list, and is to be told next */
};

/* A response in the pool that has `content`; NULL: no memory. */
Xenres__V1__WatchDomainsResponse *host_watch_response(
    struct pool *p, Xenres__V1__WatchDomainsResponse__ContentCase content);
/* Says it: HANDLER_MESSAGE, or a failure. So do those that follow. */
int host_watch_say(struct call *c, Xenres__V1__WatchDomainsResponse *m, struct failure *f);
int host_watch_say_begin(struct call *c, struct pool *p, bool resumed, struct failure *f);
/* "" where there is no place to go on from: while what was taken is not told. */
char *host_watch_cursor_now(struct call *c, struct pool *p);
int host_watch_say_checkpoint(struct call *c, struct pool *p, char *cursor, struct failure *f);
int host_watch_say_heartbeat(struct call *c, struct pool *p, struct failure *f);
/* What was passed over, to one who knew what was before. */
int host_watch_say_gap(struct call *c, struct pool *p, struct failure *f);
/* Another list is to be made, from now on. */
void host_watch_list_anew(struct host_watch *w);
/* The next part of the list. */
int host_watch_say_list(struct call *c, struct pool *p, struct failure *f);
int host_watch_say_end(struct call *c, struct pool *p, enum watch_end why,
                       const struct failure *why_failed, uint64_t sequence, struct failure *f);

#endif
