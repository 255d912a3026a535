/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* WatchDomains: what a stream says, of itself and in lists. */
#include "common/clock.h"
#include "common/text.h"
#include "server/rpc/host_watch.h"
#include "server/rpc/present_watch.h"
#include "server/rpc/watch_cursor.h"

Xenres__V1__WatchDomainsResponse *host_watch_response(
    struct pool *p, Xenres__V1__WatchDomainsResponse__ContentCase content)
{
    Xenres__V1__WatchDomainsResponse *m =
        PRESENT_NEW(p, Xenres__V1__WatchDomainsResponse, xenres__v1__watch_domains_response);

    if (m != NULL) {
        m->content_case = content;
    }
    return m;
}

int host_watch_say(struct call *c, Xenres__V1__WatchDomainsResponse *m, struct failure *f)
{
    struct host_watch *w = c->state;

    if (m == NULL) {
        return call_no_memory(f);
    }
    watch_pulse_said(&w->pulse);
    c->response = &m->base;
    return HANDLER_MESSAGE;
}

int host_watch_say_begin(struct call *c, struct pool *p, bool resumed, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        host_watch_response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_BEGIN);
    Xenres__V1__WatchDomainsBegin *begin =
        PRESENT_NEW(p, Xenres__V1__WatchDomainsBegin, xenres__v1__watch_domains_begin);
    char feed[HEX128_TEXT_BYTES];

    if (m == NULL || begin == NULL) {
        return call_no_memory(f);
    }
    text_from_hex(w->item.begun.feed_id, FEED_ID_BYTES, feed);
    m->begin = begin;
    begin->resumed = resumed;
    begin->sequence = w->seen;
    begin->feed = pool_string(p, feed);
    begin->silence_max = present_duration(p, c->heartbeat_ns * WATCH_SILENCE_FACTOR);
    return host_watch_say(c, m, f);
}

char *host_watch_cursor_now(struct call *c, struct pool *p)
{
    const struct host_watch *w = c->state;
    struct feed_cursor cursor;
    bool is_told =
        w->begun && !w->wants_list && w->rows == NULL && !w->holds_item && !w->lacks_list;

    return is_told && subscription_cursor(w->subscription, &cursor)
               ? watch_cursor_make(c, p, &cursor, &w->filter_digest)
               : pool_string(p, "");
}

int host_watch_say_checkpoint(struct call *c, struct pool *p, char *cursor, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        host_watch_response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_CHECKPOINT);
    Xenres__V1__WatchCheckpoint *checkpoint =
        PRESENT_NEW(p, Xenres__V1__WatchCheckpoint, xenres__v1__watch_checkpoint);

    if (m == NULL || checkpoint == NULL) {
        return call_no_memory(f);
    }
    m->checkpoint = checkpoint;
    checkpoint->cursor = cursor;
    checkpoint->sequence = w->told = w->seen;
    watch_pulse_sealed(&w->pulse);
    return host_watch_say(c, m, f);
}

int host_watch_say_heartbeat(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        host_watch_response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_HEARTBEAT);
    Xenres__V1__WatchHeartbeat *heartbeat =
        PRESENT_NEW(p, Xenres__V1__WatchHeartbeat, xenres__v1__watch_heartbeat);

    if (m == NULL || heartbeat == NULL) {
        return call_no_memory(f);
    }
    m->heartbeat = heartbeat;
    heartbeat->time = present_time(p, clock_wall_ns());
    heartbeat->sequence = w->told;
    watch_meter_heartbeat(c->watch_meter);
    return host_watch_say(c, m, f);
}

int host_watch_say_end(struct call *c, struct pool *p, enum watch_end why,
                       const struct failure *why_failed, uint64_t sequence, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        host_watch_response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_END);
    char *cursor = host_watch_cursor_now(c, p);

    w->over = true;
    w->end = why;
    w->failure = *why_failed;
    if (m != NULL) {
        m->end = present_end(p, why, why_failed, cursor, sequence);
    }
    return host_watch_say(c, m, f);
}

int host_watch_say_gap(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        host_watch_response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_GAP);
    struct subscription_item gap = {
        .kind = SUBSCRIPTION_GAP,
        .gap = { .reason = FEED_GAP_RESUMED, .first_batch = w->told + 1, .batch = w->seen },
    };

    if (w->gap_reason != 0) {
        gap.gap.reason = w->gap_reason;
    }
    if (m != NULL) {
        m->gap = present_gap(p, &gap);
    }
    w->told = w->seen;
    w->gap_reason = 0;
    return host_watch_say(c, m, f);
}

int host_watch_say_list(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        host_watch_response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_LIST);
    Xenres__V1__WatchDomainsList *list =
        PRESENT_NEW(p, Xenres__V1__WatchDomainsList, xenres__v1__watch_domains_list);
    Xenres__V1__Domain **domains = pool_array(p, HOST_WATCH_LIST_PART, sizeof(*domains));
    size_t count;
    const struct message_domain *rows = domain_rows_all(w->rows, &count, &w->generation);

    if (m == NULL || list == NULL || domains == NULL) {
        return call_no_memory(f);
    }
    if (w->listed == 0) {
        host_view_clear(&w->view);
    }
    for (; w->listed < count && list->n_domains < HOST_WATCH_LIST_PART; w->listed++) {
        if (host_view_shows(&w->view, &rows[w->listed])) {
            domains[list->n_domains++] = present_domain(p, &rows[w->listed]);
        }
    }
    m->list = list;
    list->sequence = w->seen;
    list->domains = domains;
    list->complete = w->listed == count;
    if (list->complete) {
        domain_rows_free(w->rows);
        w->rows = NULL;
        w->has_list = false;
        w->listed = 0;
        w->told = w->seen;
        w->has_told = true;
        w->lacks_list = false;
        w->gap_reason = 0;
        watch_pulse_news(&w->pulse, true);
        if (w->lists_again) {
            host_watch_list_anew(w);
        }
    }
    return host_watch_say(c, m, f);
}
