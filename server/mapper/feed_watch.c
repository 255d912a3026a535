/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See feed_watch.h. */
#include "server/mapper/feed_watch.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/mapper/claim.h"
#include "server/mapper/feed_room.h"
#include "server/mapper/feed_trace.h"
#include "server/mapper/peer.h"
#include "server/mapper/range.h"

/* A WATCH that waits for a first sample. */
struct pending {
    bool is_used;
    bool is_of_trace;
    struct feed_asked asked;
    uint64_t serial, deadline_ns;
};

struct feed_watches {
    struct pending pending[FEED_WATCH_PENDING_MAX];
};

int feed_watches_new(struct feed_watches **out, struct failure *f)
{
    struct feed_watches *w = calloc(1, sizeof(*w));
    if (!w) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for feeds");
    }
    *out = w;
    return 0;
}

void feed_watches_free(struct feed_watches *w)
{
    free(w);
}

/* --- what may be watched ----------------------------------------------------------------------- */

static int check_stats(const struct message_watch *r, struct failure *f)
{
    if (r->id == 0 && r->first_frame == 0 && r->frame_count == MESSAGE_FRAMES_ALL &&
        r->flags == 0) {
        return 0;
    }
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "run times are no frames, and have one id");
    failure_field(f, result, "type");
    return failure_next(f, result, "watch all of id 0");
}

static int check_trace(const struct message_watch *r, struct failure *f)
{
    if (r->first_frame == 0 && r->frame_count == MESSAGE_FRAMES_ALL && r->flags == 0 &&
        r->period_ns == 0) {
        return 0;
    }
    int result = failure_set(f, ERROR_INVALID_ARGUMENT,
                             "a trace is read in its order, as it is sampled: it has neither frames"
                             " nor a period to choose");
    failure_field(f, result, "type");
    return failure_next(f, result, "watch all of it");
}

static int check_request(const struct message_watch *r, struct message_snapshot *wanted,
                         struct failure *f)
{
    *wanted = (struct message_snapshot){ .domain = r->domain,
                                         .type = r->type,
                                         .id = r->id,
                                         .first_frame = r->first_frame,
                                         .frame_count = r->frame_count,
                                         .flags = r->flags };
    if (r->deadline_ns != 0 && clock_monotonic_ns() > r->deadline_ns) {
        return failure_set(f, ERROR_DEADLINE_EXCEEDED, "the deadline passed before it was begun");
    }
    switch (r->type) {
    case RESOURCE_VCPU_STATS: return check_stats(r, f);
    case RESOURCE_VMTRACE_BUF: return check_trace(r, f);
    default: return range_check_request(wanted, f);
    }
}

static uint64_t admitted_period(const struct feed_table *t, uint64_t period_ns)
{
    uint64_t most_ns = FEED_WATCH_PERIOD_MAX_S * CLOCK_NS_PER_S;
    uint64_t least_ns = feed_table_period_min_ns(t);
    return period_ns < least_ns ? least_ns : period_ns > most_ns ? most_ns : period_ns;
}

/* --- answers ----------------------------------------------------------------------------------- */

static void answer(struct mapper *m, uint16_t type, uint64_t serial, const struct feed_about *feed,
                   bool joined)
{
    union message out __attribute__((uninitialized)); /* 15 KiB, of which this is little */
    memset(&out.watch_answer, 0, sizeof(out.watch_answer));
    message_init(&out, type | MESSAGE_ANSWER, serial);
    struct message_watch_answer *a = &out.watch_answer;
    memcpy(a->feed_id, feed->id, sizeof(a->feed_id));
    a->feed = feed->number;
    a->joined = joined;
    a->spool_bytes = feed->spool_bytes;
    a->period_ns = feed->period_ns;
    peer_send(m->peer, &out, &feed->fd, 1);
}

static struct pending *free_place(struct feed_watches *w, struct failure *f)
{
    for (uint32_t i = 0; i < FEED_WATCH_PENDING_MAX; i++) {
        if (!w->pending[i].is_used) {
            return &w->pending[i];
        }
    }
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%d feeds are beginning already",
                             FEED_WATCH_PENDING_MAX);
    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    failure_next(f, result, "ask again in a moment");
    return NULL;
}

static void refuse(struct mapper *m, struct pending *p, const struct failure *why)
{
    p->is_used = false;
    feed_table_refuse(m->feeds, p->asked.feed);
    peer_send_failure(m->peer, p->serial, why);
}

/* Answers one that waits, if it can be by now. The domain is looked at once more. */
static void settle(struct mapper *m, struct pending *p, uint64_t now_ns)
{
    struct failure f = { 0 };
    switch (feed_table_look(m->feeds, p->asked.feed, &f)) {
    case FEED_HAS_BEGUN:
        /* Of a trace what was sampled may be read, whatever became of the domain: see watch_trace(). */
        if (!p->is_of_trace &&
            claim_check(m, feed_table_domain(m->feeds, p->asked.feed), NULL, &f) < 0) {
            refuse(m, p, &f);
        } else {
            struct feed_about about;
            p->is_used = false;
            feed_table_take(m->feeds, p->asked.feed, &about);
            answer(m, MESSAGE_WATCH, p->serial, &about, p->asked.joined);
        }
        break;
    case FEED_FAILED:
        if (!feed_room_begin_again(m->feeds, p->asked.feed, &f)) {
            refuse(m, p, &f);
        }
        break;
    case FEED_BEGINS:
        if (now_ns > p->deadline_ns) {
            failure_set(&f, ERROR_DEADLINE_EXCEEDED,
                        "the deadline passed before the first sample was taken");
            refuse(m, p, &f);
        }
        break;
    }
}

/* --- requests ---------------------------------------------------------------------------------- */

/* Asks for a feed of what is there now. */
static int watch_source(struct mapper *m, const struct message_snapshot *wanted, uint64_t period_ns,
                        struct feed_asked *out, struct failure *f)
{
    const struct directory_entry *e;
    int result = claim_allowed(m, &wanted->domain, wanted->type, EXPORT_WATCH, f);
    if (result == 0) {
        result = claim_check(m, &wanted->domain, &e, f);
    }
    if (result < 0) {
        return result;
    }
    return feed_table_ask(m->feeds, wanted, &e->domain, admitted_period(m->feeds, period_ns), out,
                          f);
}

/* Of a trace the domain is not looked at: nothing of it is touched by this, and the end can be read when
 * it is dead. Whoever is named exactly as the one that was traced is that one. */
static int watch_trace(struct mapper *m, const struct message_watch *request,
                       struct feed_asked *out, struct failure *f)
{
    int result = claim_allowed(m, &request->domain, request->type, EXPORT_TRACE_READ, f);
    return result < 0 ? result : feed_trace_ask(m->feeds, request, out, f);
}

int feed_watch(struct mapper *m, const struct message_watch *request, struct failure *f)
{
    struct message_snapshot wanted;
    int result = check_request(request, &wanted, f);
    if (result < 0) {
        return result;
    }
    struct pending *p = free_place(m->watches, f);
    if (!p) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    struct pending pending = { .is_used = true,
                               .is_of_trace = wanted.type == RESOURCE_VMTRACE_BUF,
                               .serial = request->head.serial,
                               .deadline_ns =
                                   request->deadline_ns ? request->deadline_ns : UINT64_MAX };
    result = pending.is_of_trace ? watch_trace(m, request, &pending.asked, f)
                                 : watch_source(m, &wanted, request->period_ns, &pending.asked, f);
    if (result == 0) {
        *p = pending;
    }
    return result;
}

int feed_watch_domains(struct mapper *m, const struct message_plain *request, struct failure *f)
{
    struct feed_about about;
    bool joined;
    int result = directory_drain(m->directory, f); /* what was before is no event */
    if (result == 0) {
        result = feed_table_ask_domains(m->feeds, m->export, &about, &joined, f);
    }
    if (result == 0) {
        answer(m, MESSAGE_WATCH_DOMAINS, request->head.serial, &about, joined);
    }
    return result;
}

void feed_watch_end(struct mapper *m, const struct message_unwatch *request)
{
    feed_table_release(m->feeds, request->feed, request->feed_id);
}

void feed_watch_step(struct mapper *m)
{
    uint64_t now_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < FEED_WATCH_PENDING_MAX; i++) {
        if (m->watches->pending[i].is_used) {
            settle(m, &m->watches->pending[i], now_ns);
        }
    }
}

uint64_t feed_watch_deadline_ns(const struct feed_watches *w)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < FEED_WATCH_PENDING_MAX; i++) {
        const struct pending *p = &w->pending[i];
        first = p->is_used && p->deadline_ns < first ? p->deadline_ns : first;
    }
    return first;
}

void feed_watch_abandon(struct mapper *m)
{
    for (uint32_t i = 0; i < FEED_WATCH_PENDING_MAX; i++) {
        struct pending *p = &m->watches->pending[i];
        if (p->is_used) {
            p->is_used = false;
            feed_table_refuse(m->feeds, p->asked.feed);
        }
    }
}
