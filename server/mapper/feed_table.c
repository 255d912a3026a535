/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See feed_table.h. The table is searched from end to end: only what begins or ends a feed does that. */
#include "server/mapper/feed_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/doorbell.h"
#include "common/scope.h"
#include "server/mapper/domain_feed.h"
#include "server/mapper/feed_room.h"
#include "server/mapper/source_frames.h"
#include "server/mapper/source_stats.h"

struct feed_table {
    struct feed_table_options options;
    struct feed_list list;
    bool is_to_look; /* at all feeds: one may have ended, or be free to be taken away */
    struct doorbell bell;
    struct domain_feed *domains; /* NULL: nobody asked for it */
    bool domains_are_held;
    uint64_t domains_let_go_ns;
    uint64_t events; /* of feeds of domains that have ended */
};

/* --- start and stop ---------------------------------------------------------------------------- */

int feed_table_new(const struct feed_table_options *options, struct feed_table **out,
                   struct failure *f)
{
    struct feed_table *t = calloc(1, sizeof(*t));
    if (!t) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for feeds");
    }
    t->options = *options;
    t->bell = (struct doorbell){ .ring_fd = -1, .wait_fd = -1 };
    const struct feed_list_options list = { .ops = options->ops,
                                            .backend = options->backend,
                                            .samplers = options->samplers,
                                            .spool_most_bytes = options->spool_most_bytes,
                                            .memory_most_bytes = options->memory_most_bytes };
    int result = feed_list_init(&t->list, &list, f);
    if (result < 0) {
        feed_table_free(t);
        return result;
    }
    *out = t;
    return 0;
}

static void end_domains(struct feed_table *t, enum feed_end_reason reason)
{
    if (t->domains) {
        domain_feed_end(t->domains, reason);
        doorbell_ring(t->bell.ring_fd);
        t->events += domain_feed_events(t->domains);
        domain_feed_free(t->domains);
        t->domains = NULL;
    }
}

bool feed_table_end_idle_domains(struct feed_table *t)
{
    bool is_idle = t->domains && !t->domains_are_held;
    if (is_idle) {
        end_domains(t, FEED_END_RELEASED);
    }
    return is_idle;
}

void feed_table_free(struct feed_table *t)
{
    if (!t) {
        return;
    }
    feed_list_done(&t->list);
    end_domains(t, FEED_END_STOPPED);
    doorbell_close(&t->bell);
    free(t);
}

void feed_table_set_ceiling(struct feed_table *t, struct ceiling *ceiling)
{
    for (uint32_t i = 0; i < t->list.sampler_count; i++) {
        sampler_set_ceiling(t->list.samplers[i], ceiling);
    }
}

int feed_table_welcome(struct feed_table *t, struct message_hello_answer *hello, int *wait_fd,
                       struct failure *f)
{
    struct doorbell bell;
    int result = doorbell_open(&bell, f);
    if (result < 0) {
        return result;
    }
    for (uint32_t i = 0; i < t->list.sampler_count; i++) {
        sampler_set_bell(t->list.samplers[i], bell.ring_fd);
    }
    doorbell_close(&t->bell);
    t->bell = bell;
    *wait_fd = scope_take_fd(&t->bell.wait_fd);
    hello->feeds_max = t->options.feeds_max;
    hello->spool_max_bytes = t->options.spool_most_bytes > FEED_LIST_TRACE_SPOOL_MAX
                                 ? t->options.spool_most_bytes
                                 : FEED_LIST_TRACE_SPOOL_MAX;
    hello->period_min_ns = t->options.period_min_ns;
    return 0;
}

struct feed_list *feed_table_list(struct feed_table *t)
{
    return &t->list;
}

uint32_t feed_table_feeds_max(const struct feed_table *t)
{
    return t->options.feeds_max;
}

struct feed *const *feed_table_feeds(const struct feed_table *t)
{
    return t->list.feeds;
}

void feed_table_set_pause_ceiling(struct feed_table *t, struct ceiling *ceiling)
{
    for (uint32_t i = 0; i < t->list.sampler_count; i++) {
        sampler_set_pause_ceiling(t->list.samplers[i], ceiling);
    }
}

uint64_t feed_table_period_min_ns(const struct feed_table *t)
{
    return t->options.period_min_ns;
}

int feed_table_fd(const struct feed_table *t)
{
    return t->list.told_fd;
}

/* --- feeds ------------------------------------------------------------------------------------- */

int feed_table_source(const struct message_snapshot *wanted, const struct backend_domain *known,
                      struct source **out, struct failure *f)
{
    return wanted->type == RESOURCE_VCPU_STATS ? source_stats_new(known, out, f)
                                               : source_frames_new(wanted, known, out, f);
}

static int begin_feed(struct feed_table *t, const struct message_snapshot *wanted,
                      const struct backend_domain *known, uint64_t period_ns, uint32_t *number,
                      struct failure *f)
{
    struct source *source = NULL;
    int result = feed_room_make(t, FEED_LIST_END_WAIT_MS, f);
    if (result == 0) {
        result = feed_table_source(wanted, known, &source, f);
    }
    if (result == 0) {
        result = feed_list_add(&t->list, wanted, source, period_ns, 0, number, f);
    }
    if (result == 0) {
        t->list.feeds[*number]->known = *known;
    }
    return result;
}

int feed_table_ask(struct feed_table *t, const struct message_snapshot *wanted,
                   const struct backend_domain *known, uint64_t period_ns, struct feed_asked *out,
                   struct failure *f)
{
    uint32_t number = 0;
    struct feed *feed = feed_list_find(&t->list, wanted, &number);
    bool joined = feed != NULL;
    int result = joined ? 0 : begin_feed(t, wanted, known, period_ns, &number, f);
    if (result < 0) {
        return result;
    }
    feed = t->list.feeds[number];
    if (feed->period_ns != period_ns) {
        feed->period_ns = period_ns;
        sampler_set_period(feed->sampler, &feed->job, period_ns);
    }
    feed->waiting++;
    *out = (struct feed_asked){ .feed = number, .joined = joined };
    return 0;
}

enum feed_stage feed_table_look(const struct feed_table *t, uint32_t number, struct failure *why)
{
    const struct feed *feed = t->list.feeds[number];
    struct sampler_state state = sampler_look(feed->sampler, &feed->job);
    if (state.has_begun) {
        return FEED_HAS_BEGUN;
    }
    if (!state.is_over) {
        return FEED_BEGINS;
    }
    *why = feed->job.sampling.failure;
    if (why->code == 0) {
        int result =
            failure_set(why, ERROR_ABORTED, "domain %u changed before it was first sampled",
                        feed->wanted.domain.domid);
        failure_next(why, result, "see the list of domains, and watch the one meant");
    }
    return FEED_FAILED;
}

const struct domain_identity *feed_table_domain(const struct feed_table *t, uint32_t number)
{
    return &t->list.feeds[number]->wanted.domain;
}

void feed_table_take(struct feed_table *t, uint32_t number, struct feed_about *out)
{
    struct feed *feed = t->list.feeds[number];
    feed->waiting--;
    feed->is_held = true;
    t->is_to_look = true; /* it may be over by now */
    *out = (struct feed_about){ .id = feed->id,
                                .number = number,
                                .spool_bytes = feed->job.sampling.spool.capacity_bytes,
                                .period_ns = feed->period_ns,
                                .fd = ring_fd(feed->job.sampling.spool.ring) };
}

void feed_table_refuse(struct feed_table *t, uint32_t number)
{
    struct feed *feed = t->list.feeds[number];
    feed->waiting--;
    t->is_to_look = true;
    if (!feed->is_of_trace && !feed->is_held && feed->waiting == 0 && !feed->is_ending) {
        feed_list_end(feed, FEED_END_RELEASED); /* nobody was told of it */
    }
}

int feed_table_ask_domains(struct feed_table *t, const struct export_list *export,
                           struct feed_about *out, bool *joined, struct failure *f)
{
    *joined = t->domains != NULL;
    int result = *joined ? 0
                         : domain_feed_new(export, t->options.spool_most_bytes, &t->list.memory,
                                           &t->domains, f);
    if (result < 0) {
        return result;
    }
    t->domains_are_held = true;
    *out = (struct feed_about){ .id = domain_feed_id(t->domains),
                                .number = FEED_TABLE_DOMAINS,
                                .spool_bytes = domain_feed_bytes(t->domains),
                                .fd = domain_feed_fd(t->domains) };
    return 0;
}

static bool is_named(const uint8_t *id, const uint8_t *other)
{
    return memcmp(id, other, FEED_ID_BYTES) == 0;
}

/* One that ends, or that another peer was told of and this one was not, is nobody's. */
static struct feed *held_feed(struct feed_table *t, uint32_t number, const uint8_t *id)
{
    struct feed *feed = feed_list_named(&t->list, number, id);
    return feed && !feed->is_ending && feed->is_held ? feed : NULL;
}

void feed_table_release(struct feed_table *t, uint32_t number, const uint8_t *id)
{
    struct feed *feed = held_feed(t, number, id);
    if (feed && feed->is_of_trace) {
        feed->is_held = false; /* who no longer reads a trace does not end it */
    } else if (feed) {
        feed_list_end(feed, FEED_END_RELEASED);
    } else if (number == FEED_TABLE_DOMAINS && t->domains && t->domains_are_held &&
               is_named(domain_feed_id(t->domains), id)) {
        end_domains(t, FEED_END_RELEASED);
    }
}

/* --- the loop's turn --------------------------------------------------------------------------- */

static void sweep(struct feed_table *t, uint64_t now_ns)
{
    uint64_t freed_bytes = 0;
    for (uint32_t i = 0; i < FEED_LIST_MAX && t->list.count > 0; i++) {
        struct feed *feed = t->list.feeds[i];
        if (!feed || feed->is_of_trace) {
            continue;
        }
        bool is_over = sampler_look(feed->sampler, &feed->job).is_over;
        feed->is_ending = feed->is_ending || is_over;
        if (is_over && feed->waiting == 0 && feed->pins == 0) {
            if (freed_bytes >= FEED_TABLE_FREED_A_TURN) {
                t->is_to_look = true; /* at the rest, in the next turn */
                continue;
            }
            freed_bytes += feed->job.sampling.spool.capacity_bytes;
            feed_list_remove(&t->list, i);
        } else if (!feed->is_ending && !feed->is_held && feed->waiting == 0 &&
                   now_ns >= feed->let_go_ns) {
            feed_list_end(feed, FEED_END_RELEASED);
        }
    }
    if (t->domains && !t->domains_are_held && now_ns >= t->domains_let_go_ns) {
        end_domains(t, FEED_END_RELEASED);
    }
}

void feed_table_look_again(struct feed_table *t)
{
    t->is_to_look = true;
}

void feed_table_hear(struct feed_table *t)
{
    uint64_t told;
    t->is_to_look = read(t->list.told_fd, &told, sizeof(told)) == sizeof(told) || t->is_to_look;
}

bool feed_table_has_news(const struct feed_table *t)
{
    return t->is_to_look;
}

void feed_table_step(struct feed_table *t)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (now_ns >= feed_table_deadline_ns(t)) {
        t->is_to_look = false;
        sweep(t, now_ns);
    }
}

uint64_t feed_table_deadline_ns(const struct feed_table *t)
{
    uint64_t first = t->is_to_look ? 0 : UINT64_MAX;
    for (uint32_t i = 0, seen = 0; i < FEED_LIST_MAX && seen < t->list.count; i++) {
        const struct feed *feed = t->list.feeds[i];
        seen += feed != NULL;
        bool is_let_go =
            feed && !feed->is_of_trace && !feed->is_ending && !feed->is_held && feed->waiting == 0;
        first = is_let_go && feed->let_go_ns < first ? feed->let_go_ns : first;
    }
    bool domains_are_let_go = t->domains && !t->domains_are_held;
    return domains_are_let_go && t->domains_let_go_ns < first ? t->domains_let_go_ns : first;
}

void feed_table_let_go(struct feed_table *t, uint64_t until_ns)
{
    for (uint32_t i = 0; i < FEED_LIST_MAX; i++) {
        if (t->list.feeds[i]) {
            t->list.feeds[i]->is_held = false;
            t->list.feeds[i]->let_go_ns = until_ns;
        }
    }
    t->domains_are_held = false;
    t->domains_let_go_ns = until_ns;
}

/* --- what happens to domains ------------------------------------------------------------------- */

static bool is_of(const struct feed *feed, const uint8_t incarnation[16])
{
    return feed && feed_list_is_of(feed, incarnation);
}

/* Nothing of it may stay mapped: waits for what is being sampled, for a bounded time. A copy looks up
 * every MiB. */
static void end_incarnation(struct feed_table *t, const uint8_t incarnation[16],
                            enum feed_end_reason reason)
{
    for (uint32_t i = 0; i < FEED_LIST_MAX; i++) {
        if (is_of(t->list.feeds[i], incarnation) && !t->list.feeds[i]->is_ending) {
            feed_list_end(t->list.feeds[i], reason);
        }
    }
    uint64_t end_ns = clock_monotonic_ns() + FEED_LIST_END_WAIT_MS * CLOCK_NS_PER_MS;
    for (uint32_t i = 0; i < FEED_LIST_MAX; i++) {
        uint64_t now_ns = clock_monotonic_ns();
        if (is_of(t->list.feeds[i], incarnation) && now_ns < end_ns) {
            feed_list_wait(t->list.feeds[i], end_ns - now_ns);
        }
    }
}

void feed_table_changed(struct feed_table *t, enum feed_domain_kind kind,
                        const struct directory_entry *e, const struct domain_identity *before,
                        uint64_t generation)
{
    if (t->list.count > 0 && (kind == FEED_DOMAIN_DYING || kind == FEED_DOMAIN_GONE)) {
        end_incarnation(t, e->identity.incarnation, FEED_END_INCARNATION);
    } else if (t->list.count > 0 && (kind == FEED_DOMAIN_RENAMED || kind == FEED_DOMAIN_RETAGGED)) {
        end_incarnation(t, e->identity.incarnation, FEED_END_RENAMED);
    }
    if (t->domains && domain_feed_tell(t->domains, kind, e, before, generation)) {
        doorbell_ring(t->bell.ring_fd);
    }
}

uint32_t feed_table_domids(const struct feed_table *t, uint16_t *out, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < FEED_LIST_MAX && t->list.count > 0 && count < max; i++) {
        bool is_known = !t->list.feeds[i];
        for (uint32_t k = 0; k < count && !is_known; k++) {
            is_known = out[k] == t->list.feeds[i]->wanted.domain.domid;
        }
        if (!is_known) {
            out[count++] = t->list.feeds[i]->wanted.domain.domid;
        }
    }
    return count;
}

bool feed_table_has_domains(const struct feed_table *t)
{
    return t->domains != NULL;
}

void feed_table_count(const struct feed_table *t, struct feed_table_counts *out)
{
    *out = (struct feed_table_counts){ .feeds = t->list.count + (t->domains != NULL),
                                       .spool_bytes = allowance_used(&t->list.memory),
                                       .events = t->events };
    for (uint32_t i = 0; i < t->list.sampler_count; i++) {
        sampler_count(t->list.samplers[i], &out->sampled);
    }
    out->events += t->domains ? domain_feed_events(t->domains) : 0;
}

const uint8_t *feed_table_next_mapped(const struct feed_table *t, uint32_t *at, uint16_t *domid)
{
    while (*at < FEED_LIST_MAX) {
        const struct feed *feed = t->list.feeds[(*at)++];
        if (feed && sampler_look(feed->sampler, &feed->job).is_mapped) {
            *domid = feed->wanted.domain.domid;
            return feed->wanted.domain.incarnation;
        }
    }
    return NULL;
}

/* --- for feed_image ---------------------------------------------------------------------------- */

int feed_table_pin(struct feed_table *t, const struct message_image *request, struct feed_pin *out,
                   struct failure *f)
{
    struct feed *feed = held_feed(t, request->feed, request->feed_id);
    if (!feed) {
        int result = failure_set(f, ERROR_NOT_FOUND, "there is no feed %u of that id, or it ended",
                                 request->feed);
        return failure_next(f, result, "see its spool for how it ended, or watch anew");
    }
    if (feed->is_of_trace) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "a trace has no image");
        return failure_next(f, result, "read it from its spool");
    }
    sampler_pin(feed->sampler, &feed->job);
    feed->pins++;
    *out = (struct feed_pin){ .feed = request->feed, .is_held = true };
    return 0;
}

void feed_table_unpin(struct feed_table *t, struct feed_pin *pin)
{
    if (pin->is_held) {
        struct feed *feed = t->list.feeds[pin->feed];
        sampler_unpin(feed->sampler, &feed->job);
        feed->pins--;
        t->is_to_look = true;
        pin->is_held = false;
    }
}

bool feed_table_view(const struct feed_table *t, const struct feed_pin *pin,
                     struct sampler_view *out)
{
    const struct feed *feed = t->list.feeds[pin->feed];
    return sampler_view(feed->sampler, &feed->job, out);
}

const struct message_snapshot *feed_table_wanted(const struct feed_table *t,
                                                 const struct feed_pin *pin)
{
    return &t->list.feeds[pin->feed]->wanted;
}
