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
        result =
            watch_cursor_open(c, r->cursor, &w->filter_digest, &w->cursor, &w->has_same_policy, f);
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
        .streams_max = c->share.streams,
        .spool_max_bytes = c->share.spool_bytes,
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
    c->end = watch_end_name(w->end);
    watch_meter_ended(c->watch_meter, w->end);
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
    return host_watch_say_end(c, p, WATCH_END_FAILED, &why, w->seen, f);
}

/* --- lists -------------------------------------------------------------------------------------- */

static void drop_list(struct host_watch *w)
{
    domain_rows_free(w->rows);
    w->rows = NULL;
    w->has_list = w->lists_again = false;
    w->listed = 0;
}

void host_watch_list_anew(struct host_watch *w)
{
    if (w->holds_item) { /* it is in the list that is to be made */
        w->holds_item = false;
        w->seen = w->item.record.record.domain->number;
    }
    drop_list(w);
    w->wants_list = true;
}

static int ask_list(struct call *c, struct failure *f)
{
    struct host_watch *w = c->state;
    uint64_t deadline_ns = clock_monotonic_ns() + HOST_WATCH_LIST_WITHIN_MS * CLOCK_NS_PER_MS;

    w->wants_list = false;
    return domain_rows_ask(c->mapper, deadline_ns, on_wake, c, &w->rows, f);
}

/* --- what comes next ---------------------------------------------------------------------------- */

static int wait_or_beat(struct call *c, struct pool *p, uint64_t wake_ns, struct failure *f)
{
    struct host_watch *w = c->state;

    if (watch_pulse_wants_checkpoint_here(&w->pulse)) {
        char *cursor = host_watch_cursor_now(c, p);

        if (cursor[0] != '\0') {
            return host_watch_say_checkpoint(c, p, cursor, f);
        }
    }
    return w->begun && watch_pulse_wants_heartbeat(&w->pulse)
               ? host_watch_say_heartbeat(c, p, f)
               : watch_pulse_wait(&w->pulse, wake_ns);
}

static int take_begun(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    bool knows = w->item.begun.resumed;

    w->begun = true;
    w->seen = w->told = w->item.begun.batch;
    w->has_told = knows;
    /* Which domains were shown to whom filters by states, or under another policy, nobody knows any more. */
    w->wants_list = !knows || w->view.shown != NULL || !w->has_same_policy;
    return host_watch_say_begin(c, p, knows, f);
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
        change != NULL ? host_watch_response(p, XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_CHANGE)
                       : NULL;

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
    return host_watch_say(c, m, f);
}

static int take_end(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    struct failure why;
    enum watch_end end = present_end_reason(&w->item, &why);

    return host_watch_say_end(c, p, end, &why,
                              w->item.ended.batch > w->seen ? w->item.ended.batch : w->seen, f);
}

/* A new list has to be made, and says of all that is missing by then. */
static void take_gap(struct host_watch *w)
{
    w->seen = w->item.gap.batch;
    w->gap_reason = (int)w->item.gap.reason;
    drop_list(w);
    w->wants_list = true;
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
    return wait_or_beat(c, p, w->item.wake_ns, f);
}

/* The feed is over, and with it what was to be listed. What was passed over is declared before that. */
static int take_end_at_once(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;

    drop_list(w);
    w->wants_list = false;
    w->lacks_list = true;
    w->holds_item = w->has_told && w->seen > w->told;
    return w->holds_item ? host_watch_say_gap(c, p, f) : take_end(c, p, f);
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
    w->gives_up = w->begun && w->has_told && w->seen > w->told;
    if (!w->gives_up) {
        return result;
    }
    w->failure = *f;
    drop_list(w);
    w->lacks_list = true;
    return host_watch_say_gap(c, p, f);
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
            return wait_or_beat(c, p, UINT64_MAX, f);
        }
        return result == 0 ? catch_up(c, p, f) : miss_list(c, p, result, f);
    }
    if (w->has_told && w->listed == 0 && w->seen > w->told) {
        return host_watch_say_gap(c, p, f);
    }
    return host_watch_say_list(c, p, f);
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
        char *cursor = host_watch_cursor_now(c, p);

        if (cursor[0] != '\0') {
            return host_watch_say_checkpoint(c, p, cursor, f);
        }
    }
    int result = subscription_next(w->subscription, &w->item, f);

    return result == 0 ? take_item(c, p, f) : result;
}

static int domains_next(struct call *c, struct pool *p, struct failure *f)
{
    struct host_watch *w = c->state;
    int result;

    watch_pulse_look(&w->pulse);
    if (w->over) {
        *f = w->failure;
        return f->code != 0 ? -f->code : HANDLER_DONE;
    }
    if (w->gives_up) {
        *f = w->failure;
        return fail(c, p, f);
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
    enum watch_end end = watch_end_of_leaving(why->code);
    struct failure f = { 0 };

    if (w->over || !w->begun) {
        w->end = w->over ? w->end : end;
        return HANDLER_DONE;
    }
    return host_watch_say_end(c, p, end, why, w->seen, &f);
}

static void domains_policy_changed(struct call *c)
{
    struct host_watch *w = c->state;

    if (!w->begun || w->over || w->gives_up ||
        (w->holds_item && w->item.kind == SUBSCRIPTION_ENDED)) {
        return;
    }
    /* The client has pieces of one: what is missing of it comes under this policy already. */
    if (w->listed > 0) {
        w->lists_again = true;
    } else {
        host_watch_list_anew(w);
    }
}

const struct handler host_service_watch_domains = { .prepare = domains_prepare,
                                                    .start = domains_start,
                                                    .next = domains_next,
                                                    .leave = domains_leave,
                                                    .policy_changed = domains_policy_changed,
                                                    .stop = domains_stop };
