/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See trace.h. */
#include "server/mapper/trace.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"

struct trace_table {
    struct trace_options options;
    struct trace *traces[2 * TRACE_MAX]; /* NULL: free */
};

int trace_table_new(const struct trace_options *options, struct trace_table **out,
                    struct failure *f)
{
    struct trace_table *t = calloc(1, sizeof(*t));
    if (!t) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for traces");
    }
    assert(options->traces_max > 0 && options->traces_max <= TRACE_MAX);
    t->options = *options;
    *out = t;
    return 0;
}

void trace_table_free(struct trace_table *t)
{
    for (uint32_t i = 0; t && i < 2 * TRACE_MAX; i++) {
        free(t->traces[i]);
    }
    free(t);
}

/* --- the journal, as sampling threads tell it --------------------------------------------------- */

static struct journal_entry entry_of(const struct backend_domain *d, uint32_t vcpu)
{
    struct journal_entry entry = { .domid = d->domid, .vcpu = vcpu };
    memcpy(entry.uuid, d->uuid, sizeof(entry.uuid));
    return entry;
}

static int add_to_journal(void *journal, const struct backend_domain *d, uint32_t vcpu,
                          struct failure *f)
{
    const struct journal_entry entry = entry_of(d, vcpu);
    return journal_add(journal, &entry, f);
}

static void remove_from_journal(void *journal, const struct backend_domain *d, uint32_t vcpu)
{
    const struct journal_entry entry = entry_of(d, vcpu);
    journal_remove(journal, &entry);
}

/* --- begin -------------------------------------------------------------------------------------- */

static bool has_vcpu(const uint64_t vcpus[2], uint32_t vcpu)
{
    return (vcpus[vcpu / 64] >> vcpu % 64 & 1) != 0;
}

void trace_table_welcome(const struct trace_table *t, struct message_hello_answer *hello)
{
    hello->trace_pauses_per_second = t->options.pauses_per_second;
    hello->pauses_per_second = t->options.pauses_ceiling;
}

static uint32_t admitted_pauses(const struct trace_table *t, uint32_t asked)
{
    uint32_t pauses = asked > 0 ? asked : t->options.pauses_per_second;
    return pauses < t->options.pauses_ceiling ? pauses : t->options.pauses_ceiling;
}

static uint32_t admitted_lease_ms(uint32_t asked, uint32_t preset)
{
    uint32_t ms = asked > 0 ? asked : preset;
    return ms < TRACE_LEASE_MIN_MS   ? TRACE_LEASE_MIN_MS
           : ms > TRACE_LEASE_MAX_MS ? TRACE_LEASE_MAX_MS
                                     : ms;
}

/* As they are told: neither OS nor USER is both, and taking over is of the beginning alone. */
static uint32_t admitted_flags(uint32_t asked)
{
    uint32_t flags = asked & ~(uint32_t)TRACE_TAKEOVER;
    return flags & (TRACE_OS | TRACE_USER) ? flags : flags | TRACE_OS | TRACE_USER;
}

static void drop(struct trace_table *t, struct feed_table *feeds, uint32_t place)
{
    struct trace *trace = t->traces[place];
    assert(trace->stage == TRACE_IS_OVER && trace->waiting == 0);
    for (uint32_t i = 0; i < trace->feed_count; i++) {
        feed_trace_drop(feeds, trace->feeds[i]);
    }
    free(trace);
    t->traces[place] = NULL;
}

static bool is_droppable(const struct trace *trace)
{
    return trace && trace->stage == TRACE_IS_OVER && trace->waiting == 0;
}

/* The last of the same number goes; and of all that are over the oldest, if there are enough. */
static int make_place(struct trace_table *t, struct feed_table *feeds, uint16_t domid,
                      uint32_t *place, struct failure *f)
{
    uint32_t live = 0, over = 0, free_place = 2 * TRACE_MAX, oldest = 2 * TRACE_MAX;
    for (uint32_t i = 0; i < 2 * TRACE_MAX; i++) {
        if (is_droppable(t->traces[i]) && t->traces[i]->about.domain.domid == domid) {
            drop(t, feeds, i);
        }
        const struct trace *trace = t->traces[i];
        if (!trace) {
            free_place = free_place < i ? free_place : i;
        } else if (trace->stage != TRACE_IS_OVER) {
            live++;
        } else {
            over++;
            bool is_oldest = oldest == 2 * TRACE_MAX || trace->drop_ns < t->traces[oldest]->drop_ns;
            oldest = is_droppable(trace) && is_oldest ? i : oldest;
        }
    }
    if (live >= t->options.traces_max) {
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                                 "%u traces are running, and may be no more", live);
        failure_retry(f, result, FAILURE_RETRY_LATER_MS);
        return failure_next(f, result, "stop one, or raise the mapper's --traces-max");
    }
    if (over >= TRACE_MAX && oldest < 2 * TRACE_MAX) {
        drop(t, feeds, oldest);
        free_place = oldest;
    }
    if (free_place == 2 * TRACE_MAX) { /* of all that are over somebody waits for the answer */
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "too many traces are ending");
        return failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    }
    *place = free_place;
    return 0;
}

static void describe(const struct trace_table *t, const struct trace_wanted *w,
                     struct message_trace *out)
{
    ssize_t drawn = getrandom(out->trace_id, sizeof(out->trace_id), 0);
    assert(drawn == sizeof(out->trace_id)); /* so few bytes are never cut or interrupted */
    out->domain = *w->identity;
    memcpy(out->vcpus, w->vcpus, sizeof(out->vcpus));
    out->vcpu_count =
        (uint32_t)(__builtin_popcountll(w->vcpus[0]) + __builtin_popcountll(w->vcpus[1]));
    out->started_wall_ns = clock_wall_ns();
    out->started_monotonic_ns = clock_monotonic_ns();
    out->flags = admitted_flags(w->flags);
    out->pauses_per_second = admitted_pauses(t, w->pauses_per_second);
    out->lease_ms = admitted_lease_ms(w->lease_ms, TRACE_LEASE_MS);
    out->laps_detectable = (out->flags & TRACE_NO_TSC) == 0;
    out->facts = w->facts;
    snprintf(out->owner, sizeof(out->owner), "%s", w->owner);
}

/* All that are known of it end; how, each one's own end says. */
static void end_feeds(struct trace *trace, struct feed_table *feeds, enum feed_end_reason reason)
{
    trace->stage = TRACE_ENDS;
    trace->about.end_reason = reason; /* as it was decided; not told before it is over */
    for (uint32_t i = 0; i < trace->feed_count; i++) {
        feed_trace_end(feeds, trace->feeds[i], reason);
    }
}

static int begin_feed(const struct trace_table *t, struct feed_table *feeds, struct trace *trace,
                      uint32_t vcpu, struct failure *f)
{
    const struct trace_rest *rest = &trace->rest;
    const struct journal_entry entry = entry_of(&rest->domain, vcpu);
    const struct source_trace_options options = {
        .known = rest->domain,
        .vcpu = vcpu,
        .flags = rest->flags,
        .pauses_per_second = trace->about.pauses_per_second,
        .period_min_ns = t->options.period_min_ns,
        .period_max_ns = t->options.period_max_ns,
        .is_ours = journal_has(t->options.journal, &entry),
        .journal_add = add_to_journal,
        .journal_remove = remove_from_journal,
        .journal = t->options.journal,
    };
    int result = feed_trace_begin(feeds, &trace->about, &options, rest->buffer_bytes,
                                  &trace->feeds[trace->feed_count], f);
    trace->feed_count += result == 0;
    return result;
}

static bool is_to_begin_more(const struct trace *trace)
{
    return trace->stage == TRACE_BEGINS && trace->feed_count < trace->about.vcpu_count;
}

/* Some of those that have not begun, at most `*left`. */
static void begin_feeds(const struct trace_table *t, struct feed_table *feeds, struct trace *trace,
                        uint32_t *left)
{
    struct trace_rest *rest = &trace->rest;
    rest->has_to_wait = false;
    while (is_to_begin_more(trace) && *left > 0 && !rest->has_to_wait) {
        struct failure f = { 0 };
        int result = 0;
        if (has_vcpu(trace->about.vcpus, rest->next_vcpu)) {
            --*left;
            result = begin_feed(t, feeds, trace, rest->next_vcpu, &f);
        }
        rest->next_vcpu += result == 0;
        rest->has_to_wait = result < 0 && f.retry_after_ms == FAILURE_RETRY_SOON_MS;
        if (result < 0 && !rest->has_to_wait) {
            trace->about.failure = f;
            end_feeds(trace, feeds, FEED_END_FAILED);
        }
    }
}

int trace_begin(struct trace_table *t, struct feed_table *feeds, const struct trace_wanted *wanted,
                struct trace **out, struct failure *f)
{
    uint32_t place = 0;
    int result = make_place(t, feeds, wanted->identity->domid, &place, f);
    if (result < 0) {
        return result;
    }
    struct trace *trace = calloc(1, sizeof(*trace));
    if (!trace) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a trace");
    }
    describe(t, wanted, &trace->about);
    trace->stage = TRACE_BEGINS;
    trace_renew(trace, 0, clock_monotonic_ns());
    trace->rest =
        (struct trace_rest){ .domain = *wanted->domain,
                             .buffer_bytes = wanted->buffer_bytes,
                             .flags = trace->about.flags | (wanted->flags & TRACE_TAKEOVER) };
    t->traces[place] = trace;
    *out = trace;
    return 0;
}

bool trace_is_same(const struct trace_table *t, const struct trace *trace,
                   const struct trace_wanted *wanted)
{
    const struct message_trace *a = &trace->about;
    return strcmp(a->owner, wanted->owner) == 0 && a->vcpus[0] == wanted->vcpus[0] &&
           a->vcpus[1] == wanted->vcpus[1] && a->flags == admitted_flags(wanted->flags) &&
           a->pauses_per_second == admitted_pauses(t, wanted->pauses_per_second);
}

void trace_end(struct trace *trace, struct feed_table *feeds, enum feed_end_reason reason)
{
    if (trace->stage == TRACE_BEGINS || trace->stage == TRACE_RUNS) {
        end_feeds(trace, feeds, reason);
    }
}

void trace_renew(struct trace *trace, uint32_t lease_ms, uint64_t now_ns)
{
    trace->about.lease_ms = admitted_lease_ms(lease_ms, trace->about.lease_ms);
    trace->lease_end_ns = now_ns + trace->about.lease_ms * CLOCK_NS_PER_MS;
}

/* --- looking ------------------------------------------------------------------------------------ */

struct trace *trace_of_incarnation(struct trace_table *t, const uint8_t incarnation[16])
{
    for (uint32_t i = 0; i < 2 * TRACE_MAX; i++) {
        struct trace *trace = t->traces[i];
        if (trace && trace->stage != TRACE_IS_OVER &&
            memcmp(trace->about.domain.incarnation, incarnation, 16) == 0) {
            return trace;
        }
    }
    return NULL;
}

static bool is_live_of(const struct trace *trace, uint16_t domid, const uint8_t uuid[UUID_BYTES])
{
    return trace && trace->stage != TRACE_IS_OVER && trace->about.domain.domid == domid &&
           memcmp(trace->about.domain.uuid, uuid, UUID_BYTES) == 0;
}

struct trace *trace_of_domain(struct trace_table *t, uint16_t domid, const uint8_t uuid[UUID_BYTES])
{
    for (uint32_t i = 0; i < 2 * TRACE_MAX; i++) {
        if (is_live_of(t->traces[i], domid, uuid)) {
            return t->traces[i];
        }
    }
    return NULL;
}

bool trace_is_of(const struct trace_table *t, const struct journal_entry *entry)
{
    bool found = false;
    for (uint32_t i = 0; i < 2 * TRACE_MAX && !found; i++) {
        const struct trace *trace = t->traces[i];
        found = is_live_of(trace, entry->domid, entry->uuid) &&
                entry->vcpu < MESSAGE_TRACED_VCPUS_MAX && has_vcpu(trace->about.vcpus, entry->vcpu);
    }
    return found;
}

struct trace *trace_named(struct trace_table *t, const uint8_t trace_id[16])
{
    for (uint32_t i = 0; i < 2 * TRACE_MAX; i++) {
        struct trace *trace = t->traces[i];
        if (trace && memcmp(trace->about.trace_id, trace_id, 16) == 0) {
            return trace;
        }
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const struct trace *const *left = a, *const *right = b;
    int by_domid = (int)(*left)->about.domain.domid - (int)(*right)->about.domain.domid;
    int by_stage = ((*left)->stage == TRACE_IS_OVER) - ((*right)->stage == TRACE_IS_OVER);
    return by_domid != 0 ? by_domid : by_stage;
}

uint32_t trace_all(struct trace_table *t, struct trace *out[2 * TRACE_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < 2 * TRACE_MAX; i++) {
        if (t->traces[i] && t->traces[i]->has_begun) {
            out[count++] = t->traces[i];
        }
    }
    qsort(out, count, sizeof(out[0]), compare);
    return count;
}

void trace_tell(const struct trace *trace, uint64_t now_ns, struct message_trace *out)
{
    *out = trace->about;
    if (trace->stage != TRACE_IS_OVER) {
        out->end_reason = 0;
        memset(&out->failure, 0, sizeof(out->failure));
    }
    bool has_lease = trace->stage < TRACE_ENDS && now_ns < trace->lease_end_ns;
    out->lease_left_ms =
        has_lease ? (uint32_t)((trace->lease_end_ns - now_ns) / CLOCK_NS_PER_MS) : 0;
}

struct trace_counts trace_table_count(const struct trace_table *t)
{
    struct trace_counts counts = { 0 };
    for (uint32_t i = 0; i < 2 * TRACE_MAX; i++) {
        if (t->traces[i] && t->traces[i]->stage != TRACE_IS_OVER) {
            counts.traces++;
            counts.vcpus += t->traces[i]->feed_count;
        }
    }
    return counts;
}

/* --- stages ------------------------------------------------------------------------------------- */

/* What the feeds have come to. */
struct progress {
    uint32_t begun, over;
    bool has_ended; /* one of them, and this is its end */
    struct feed_trace_state end;
};

/* The first that ended otherwise than it was told to, else the first that ended. */
static struct progress look(const struct trace *trace, const struct feed_table *feeds)
{
    struct progress p = { 0 };
    for (uint32_t i = 0; i < trace->feed_count; i++) {
        struct feed_trace_state state;
        feed_trace_look(feeds, trace->feeds[i], &state);
        p.begun += state.has_begun;
        p.over += state.is_over;
        bool is_unlike = state.is_over && p.has_ended &&
                         p.end.end == (enum feed_end_reason)trace->about.end_reason &&
                         state.end != p.end.end;
        if (state.is_over && (!p.has_ended || is_unlike)) {
            p.has_ended = true;
            p.end = state;
        }
    }
    return p;
}

static void note_facts(struct trace *trace, const struct feed_table *feeds)
{
    struct source_trace_figures figures;
    feed_trace_figures(feeds, trace->feeds[0], &figures);
    trace->about.facts.rtit_ctl = figures.rtit_ctl;
    trace->about.facts.buffer_bytes = figures.buffer_bytes;
}

static void begin_or_fail(struct trace *trace, struct feed_table *feeds, uint64_t now_ns,
                          const struct progress *p)
{
    if (p->begun == trace->about.vcpu_count) {
        trace->has_begun = true;
        trace->stage = TRACE_RUNS;
        note_facts(trace, feeds);
        trace_renew(trace, 0, now_ns);
    } else if (p->has_ended) {
        trace->about.failure = p->end.failure;
        end_feeds(trace, feeds, p->end.end != 0 ? p->end.end : FEED_END_FAILED);
    }
}

static void finish(struct trace *trace, const struct progress *p, uint64_t now_ns)
{
    const struct feed_trace_state *end = trace->has_ended ? &trace->end : &p->end;
    struct message_trace *a = &trace->about;
    trace->stage = TRACE_IS_OVER;
    trace->drop_ns = now_ns + (trace->has_begun ? TRACE_HELD_S * CLOCK_NS_PER_S : 0);
    a->ended_wall_ns = clock_wall_ns();
    if (trace->has_begun) {
        a->end_reason = end->end;
        a->shutdown_code = end->end == FEED_END_SHUTDOWN ? end->end_detail : 0;
        a->failure = end->failure;
    } else if (a->failure.code == 0 && a->end_reason == FEED_END_LEASE) {
        int result = failure_set(&a->failure, ERROR_ABORTED,
                                 "the lease of domain %u's trace ended before it had begun",
                                 a->domain.domid);
        failure_cause(&a->failure, result, "pauses or hypercalls were held back all the time");
        failure_next(&a->failure, result,
                     "trace less, or raise the mapper's --pauses-per-second or"
                     " --hypercalls-per-second");
    } else if (a->failure.code == 0) {
        int result = failure_set(&a->failure, ERROR_ABORTED,
                                 "domain %u changed, or its trace was ended, before it had begun",
                                 a->domain.domid);
        failure_next(&a->failure, result, "see the list of domains, and trace the one meant");
    }
}

static void step(const struct trace_table *t, struct trace *trace, struct feed_table *feeds,
                 uint64_t now_ns, uint32_t *left)
{
    struct progress p = look(trace, feeds);
    if (trace->stage == TRACE_BEGINS) {
        begin_or_fail(trace, feeds, now_ns, &p);
        begin_feeds(t, feeds, trace, left);
    }
    if (trace->stage == TRACE_RUNS && p.has_ended) {
        trace->has_ended = true;
        trace->end = p.end;
        end_feeds(trace, feeds, p.end.end);
    } else if (trace->stage < TRACE_ENDS && now_ns >= trace->lease_end_ns) {
        end_feeds(trace, feeds, FEED_END_LEASE);
    }
    if (trace->stage == TRACE_ENDS && p.over == trace->feed_count) {
        finish(trace, &p, now_ns);
    }
}

/* What of it happens by time. */
static uint64_t deadline_ns(const struct trace *trace)
{
    switch (trace->stage) {
    case TRACE_BEGINS:
        return is_to_begin_more(trace) && !trace->rest.has_to_wait ? 0 : trace->lease_end_ns;
    case TRACE_RUNS: return trace->lease_end_ns;
    case TRACE_ENDS: return trace->feed_count == 0 ? 0 : UINT64_MAX; /* of none nothing is told */
    case TRACE_IS_OVER: return trace->waiting == 0 ? trace->drop_ns : UINT64_MAX;
    }
    return UINT64_MAX;
}

void trace_table_step(struct trace_table *t, struct feed_table *feeds)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint32_t left = TRACE_VCPUS_A_TURN;
    for (uint32_t i = 0; i < 2 * TRACE_MAX; i++) {
        struct trace *trace = t->traces[i];
        if (!trace || (!feed_table_has_news(feeds) && now_ns < deadline_ns(trace))) {
            continue;
        }
        if (trace->stage != TRACE_IS_OVER) {
            step(t, trace, feeds, now_ns, &left);
        } else if (is_droppable(trace) && now_ns >= trace->drop_ns) {
            drop(t, feeds, i);
        }
    }
}

uint64_t trace_table_deadline_ns(const struct trace_table *t)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < 2 * TRACE_MAX; i++) {
        uint64_t ns = t->traces[i] ? deadline_ns(t->traces[i]) : UINT64_MAX;
        first = ns < first ? ns : first;
    }
    return first;
}
