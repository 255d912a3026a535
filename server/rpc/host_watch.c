/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * HostService.WatchDomains: a list, then events.
 *
 * The list is made after the stream has its place among the events, and carries a generation: events up
 * to that are in it already, and are passed over. What was passed over although the client knew a state
 * (after a gap, under another policy) is declared missing before the list that has it.
 */
#include "server/rpc/host_watch.h"

#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "server/rpc/present_watch.h"
#include "server/rpc/services.h"
#include "server/rpc/watch_cursor.h"

static int domains_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__WatchDomainsRequest *r = (const void *)c->request;
    struct host_watch *w = pool_alloc(&c->pool, sizeof(*w));

    c->state = w;
    if (w == NULL || !host_view_init(&w->view, c, r->filter) ||
        !present_filter_digest(&c->pool, r->filter, &w->filter_digest)) {
        return call_no_memory(f);
    }
    int result = present_filter_check(r->filter, f);

    if (result == 0 && r->cursor[0] != '\0') {
        result = watch_cursor_open(c, r->cursor, &w->filter_digest, &w->cursor, f);
        w->has_cursor = result == 0;
    }
    return result;
}

/* --- its beginning and its end ------------------------------------------------------------------ */

static void on_wake(void *arg)
{
    call_wake(arg);
}

static int domains_start(struct call *c, struct failure *f)
{
    struct host_watch *w = c->state;
    const struct subscription_request request = {
        .source = { .is_domains = true },
        .who = c->who,
        .mode = SUBSCRIPTION_DELTA,
        .cursor = w->has_cursor ? &w->cursor : NULL,
        .deadline_ns = c->deadline_ns,
        .wake = on_wake,
        .arg = c,
    };

    watch_pulse_begin(&w->pulse, c);
    int result = subscription_begin(c->feeds, &request, &w->subscription, f);

    if (result != 0) {
        return result;
    }
    w->end = WATCH_END_CLIENT; /* unless it is told another one */
    watch_meter_opened(c->watch_meter);
    return HANDLER_DONE;
}

static void domains_stop(struct call *c)
{
    struct host_watch *w = c->state;

    watch_pulse_stop(&w->pulse);
    domain_rows_free(w->rows);
    subscription_end(w->subscription);
    watch_meter_ended(c->watch_meter, w->end);
}

/* --- what it says of itself --------------------------------------------------------------------- */

static Xenres__V1__WatchDomainsResponse *response(
    struct pool *p, Xenres__V1__WatchDomainsResponse__ContentCase content)
{
    Xenres__V1__WatchDomainsResponse *m =
        PRESENT_NEW(p, Xenres__V1__WatchDomainsResponse, xenres__v1__watch_domains_response);

    if (m != NULL) {
        m->content_case = content;
    }
    return m;
}

static int say(struct call *c, Xenres__V1__WatchDomainsResponse *m, struct failure *f)
{
    struct host_watch *w = c->state;

    if (m == NULL) {
        return call_no_memory(f);
    }
    watch_pulse_said(&w->pulse);
    c->response = &m->base;
    return HANDLER_MESSAGE;
}

static int say_begin(struct call *c, struct pool *p, bool resumed, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_BEGIN);
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
    return say(c, m, f);
}

/* There is no place to go on from while what was taken is not told. */
static char *cursor_now(struct call *c, struct pool *p)
{
    const struct host_watch *w = c->state;
    struct feed_cursor cursor;
    bool is_told = w->begun && !w->wants_list && w->rows == NULL && !w->holds_item;

    return is_told && subscription_cursor(w->subscription, &cursor)
               ? watch_cursor_make(c, p, &cursor, &w->filter_digest)
               : pool_string(p, "");
}

static int say_checkpoint(struct call *c, struct pool *p, char *cursor, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_CHECKPOINT);
    Xenres__V1__WatchCheckpoint *checkpoint =
        PRESENT_NEW(p, Xenres__V1__WatchCheckpoint, xenres__v1__watch_checkpoint);

    if (m == NULL || checkpoint == NULL) {
        return call_no_memory(f);
    }
    m->checkpoint = checkpoint;
    checkpoint->cursor = cursor;
    checkpoint->sequence = w->told = w->seen;
    watch_pulse_sealed(&w->pulse);
    return say(c, m, f);
}

static int say_heartbeat(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_HEARTBEAT);
    Xenres__V1__WatchHeartbeat *heartbeat =
        PRESENT_NEW(p, Xenres__V1__WatchHeartbeat, xenres__v1__watch_heartbeat);

    if (m == NULL || heartbeat == NULL) {
        return call_no_memory(f);
    }
    m->heartbeat = heartbeat;
    heartbeat->time = present_time(p, clock_wall_ns());
    heartbeat->sequence = w->told;
    watch_meter_heartbeat(c->watch_meter);
    return say(c, m, f);
}

static int say_end(struct call *c, struct pool *p, enum watch_end why,
                   const struct failure *why_failed, uint64_t sequence, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_END);
    char *cursor = cursor_now(c, p);

    w->over = true;
    w->end = why;
    w->failure = *why_failed;
    if (m != NULL) {
        m->end = present_end(p, why, why_failed, cursor, sequence);
    }
    return say(c, m, f);
}

static int fail(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    struct failure why = *f;

    w->end = WATCH_END_FAILED;
    if (!w->begun) {
        return -why.code;
    }
    f->code = 0;
    return say_end(c, p, WATCH_END_FAILED, &why, w->seen, f);
}

/* --- lists -------------------------------------------------------------------------------------- */

static void forget_list(struct host_watch *w)
{
    domain_rows_free(w->rows);
    w->rows = NULL;
    w->has_list = false;
    w->wants_list = true;
}

static int ask_list(struct call *c, struct failure *f)
{
    struct host_watch *w = c->state;
    uint64_t deadline_ns = clock_monotonic_ns() + HOST_WATCH_LIST_WITHIN_MS * CLOCK_NS_PER_MS;

    w->wants_list = false;
    w->listed = 0;
    return domain_rows_ask(c->mapper, deadline_ns, on_wake, c, &w->rows, f);
}

/* What was passed over, of one who knew what was before. */
static int say_gap(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_GAP);
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
    return say(c, m, f);
}

/* The next part of the list. */
static int say_list(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    Xenres__V1__WatchDomainsResponse *m =
        response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_LIST);
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
        w->told = w->seen;
        w->has_told = true;
        w->gap_reason = 0;
        watch_pulse_news(&w->pulse, true);
    }
    return say(c, m, f);
}

/* --- what comes next ---------------------------------------------------------------------------- */

static int wait_or_beat(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;

    return w->begun && watch_pulse_wants_heartbeat(&w->pulse)
               ? say_heartbeat(c, p, f)
               : watch_pulse_wait(&w->pulse, UINT64_MAX);
}

static int take_begun(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    bool knows = w->item.begun.resumed;

    w->begun = true;
    w->seen = w->told = w->item.begun.batch;
    w->has_told = knows;
    /* Which domains were shown to whom filters by states, nobody knows any more. */
    w->wants_list = !knows || w->view.shown != NULL;
    return say_begin(c, p, knows, f);
}

static bool is_in_list(const struct host_watch *w)
{
    return w->item.kind == SUBSCRIPTION_RECORD &&
           w->item.record.record.kind == FEED_RECORD_DOMAIN &&
           w->item.record.record.domain->generation <= w->generation;
}

static int take_event(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    const struct feed_record *r = &w->item.record.record;

    if (r->kind != FEED_RECORD_DOMAIN) {
        int result = failure_set(f, ERROR_DATA_LOSS, "the feed has a record of another kind");

        return failure_next(f, result, "watch anew, and report this with the gateway's log");
    }
    bool is_passed_over = is_in_list(w);

    w->seen = r->domain->number;
    watch_pulse_news(&w->pulse, false);
    Xenres__V1__DomainChange *change =
        is_passed_over ? NULL : host_view_change(&w->view, r->domain, p);
    Xenres__V1__WatchDomainsResponse *m =
        change != NULL ? response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_CHANGE) : NULL;

    if (m == NULL) {
        return p->failed ? call_no_memory(f) : 0;
    }
    uint64_t now_ns = clock_monotonic_ns();

    watch_meter_lag(c->watch_meter,
                    now_ns > r->domain->monotonic_ns ? now_ns - r->domain->monotonic_ns : 0);
    m->change = change;
    change->sequence = w->seen;
    change->first_sequence = w->told + 1 < w->seen ? w->told + 1 : 0;
    w->told = w->seen;
    return say(c, m, f);
}

static int take_end(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    struct failure why;
    enum watch_end end = present_end_reason(&w->item, &why);

    return say_end(c, p, end, &why, w->item.ended.batch > w->seen ? w->item.ended.batch : w->seen,
                   f);
}

/* A new list has to be made, and says of all that is missing by then. */
static void take_gap(struct host_watch *w)
{
    w->seen = w->item.gap.batch;
    w->gap_reason = (int)w->item.gap.reason;
    forget_list(w);
}

/* 0: nothing is to be said of the item. */
static int take_item(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;

    switch (w->item.kind) {
    case SUBSCRIPTION_BEGUN: return take_begun(c, p, f);
    case SUBSCRIPTION_RECORD: return take_event(c, p, f);
    case SUBSCRIPTION_GAP: take_gap(w); return 0;
    case SUBSCRIPTION_ENDED: return take_end(c, p, f);
    case SUBSCRIPTION_IMAGE:
    case SUBSCRIPTION_MERGED:
    case SUBSCRIPTION_STILL: return 0; /* domains have none */
    case SUBSCRIPTION_NOTHING: break;
    }
    return wait_or_beat(c, p, f);
}

/* The feed is over, and with it what was to be listed. What was passed over is declared before that. */
static int take_end_at_once(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;

    domain_rows_free(w->rows);
    w->rows = NULL;
    w->wants_list = w->has_list = false;
    w->holds_item = w->has_told && w->seen > w->told;
    return w->holds_item ? say_gap(c, p, f) : take_end(c, p, f);
}

/* There is no list. Where that is because the mapper is gone, the feed says so. */
static int miss_list(struct call *c, struct pool *p, int result, struct failure *f)
{
    struct host_watch *w = c->state;
    struct failure ignored;

    while (subscription_next(w->subscription, &w->item, &ignored) == 0 &&
           w->item.kind != SUBSCRIPTION_NOTHING) {
        if (w->item.kind == SUBSCRIPTION_ENDED) {
            return take_end_at_once(c, p, f);
        }
        if (w->item.kind == SUBSCRIPTION_RECORD &&
            w->item.record.record.kind == FEED_RECORD_DOMAIN) {
            w->seen = w->item.record.record.domain->number;
        } else if (w->item.kind == SUBSCRIPTION_GAP) {
            w->seen = w->item.gap.batch;
        }
    }
    return result;
}

/* Brings a list that has come up to the events that are in it. Returns 0 when it can be told. */
static int catch_up(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;

    (void)domain_rows_all(w->rows, &(size_t){ 0 }, &w->generation);
    for (;;) {
        int result = subscription_next(w->subscription, &w->item, f);

        if (result != 0) {
            return result;
        }
        if (is_in_list(w)) {
            w->seen = w->item.record.record.domain->number;
            continue;
        }
        switch (w->item.kind) {
        case SUBSCRIPTION_GAP: take_gap(w); break;
        case SUBSCRIPTION_ENDED: return take_end_at_once(c, p, f);
        default:
            w->has_list = true;
            w->holds_item = w->item.kind == SUBSCRIPTION_RECORD;
            break;
        }
        return 0;
    }
}

/* 0: look again. */
static int make_list(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    int result = 0;

    if (w->wants_list) {
        result = ask_list(c, f);
        return result == 0 ? 0 : miss_list(c, p, result, f);
    }
    if (!w->has_list) {
        if (!domain_rows_ready(w->rows, &result, f)) {
            return wait_or_beat(c, p, f);
        }
        return result == 0 ? catch_up(c, p, f) : miss_list(c, p, result, f);
    }
    if (w->has_told && w->listed == 0 && w->seen > w->told) {
        return say_gap(c, p, f);
    }
    return say_list(c, p, f);
}

static int next_item(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;

    if (w->wants_list || w->rows != NULL) {
        return make_list(c, p, f);
    }
    if (w->holds_item) {
        w->holds_item = false;
        return take_item(c, p, f);
    }
    if (watch_pulse_wants_checkpoint(&w->pulse)) {
        char *cursor = cursor_now(c, p);

        if (cursor[0] != '\0') {
            return say_checkpoint(c, p, cursor, f);
        }
    }
    int result = subscription_next(w->subscription, &w->item, f);

    return result == 0 ? take_item(c, p, f) : result;
}

static int domains_next(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    int result;

    if (w->over) {
        *f = w->failure;
        return f->code != 0 ? -f->code : HANDLER_DONE;
    }
    do {
        result = next_item(c, p, f);
    } while (result == 0);
    return result < 0 ? fail(c, p, f) : result;
}
_Static_assert(HANDLER_DONE == 0, "nothing to say is not the end");

/* --- when it is ended, or another policy decides ------------------------------------------------ */

static int domains_leave(struct call *c, struct pool *p, const struct failure *why)
{
    struct host_watch *w = c->state;
    enum watch_end end = why->code == ERROR_DEADLINE_EXCEEDED   ? WATCH_END_DEADLINE
                         : why->code == ERROR_PERMISSION_DENIED ? WATCH_END_PERMISSION_WITHDRAWN
                                                                : WATCH_END_SHUTTING_DOWN;
    struct failure f = { 0 };

    if (w->over || !w->begun) {
        w->end = w->over ? w->end : end;
        return HANDLER_DONE;
    }
    return say_end(c, p, end, why, w->seen, &f);
}

static void domains_policy_changed(struct call *c)
{
    struct host_watch *w = c->state;

    if (!w->begun || w->over || (w->holds_item && w->item.kind == SUBSCRIPTION_ENDED)) {
        return;
    }
    if (w->holds_item) { /* it is in the list that is to be made */
        w->holds_item = false;
        w->seen = w->item.record.record.domain->number;
    }
    forget_list(w);
}

const struct handler host_service_watch_domains = { .prepare = domains_prepare,
                                                    .start = domains_start,
                                                    .next = domains_next,
                                                    .leave = domains_leave,
                                                    .policy_changed = domains_policy_changed,
                                                    .stop = domains_stop };
