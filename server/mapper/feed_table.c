/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See feed_table.h. The table is searched from end to end: only what begins or ends a feed does that. */
#include "server/mapper/feed_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/doorbell.h"
#include "common/scope.h"
#include "server/mapper/claim.h"
#include "server/mapper/domain_feed.h"
#include "server/mapper/peer.h"
#include "server/mapper/range.h"
#include "server/mapper/source_frames.h"
#include "server/mapper/source_stats.h"

struct feed {
    uint8_t id[FEED_ID_BYTES];
    struct message_snapshot wanted;
    struct sampler *sampler;
    struct sampler_job job;
    uint64_t period_ns;
    bool is_ending;     /* told to, or over: nobody finds it any more */
    bool is_held;       /* by the peer that is served */
    uint64_t let_go_ns; /* not held: when it ends */
    uint32_t waiting;   /* WATCHes that wait for its first sample */
    uint32_t pins;
};

/* A WATCH that waits for a first sample. */
struct pending {
    bool is_used;
    bool joined;
    uint32_t feed;
    uint64_t serial, deadline_ns;
};

struct feed_table {
    struct feed_table_options options;
    struct allowance memory;
    struct sampler *samplers[FEED_TABLE_SAMPLERS_MAX];
    struct feed *feeds[FEED_TABLE_MAX]; /* by number; NULL: free */
    uint32_t count;
    struct pending pending[FEED_TABLE_PENDING_MAX];
    int told_fd;
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
    allowance_init(&t->memory, options->memory_most_bytes);
    t->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = 0;
    if (t->told_fd < 0) {
        result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no descriptor for feeds");
        result = failure_call(f, result, "eventfd", errno);
    }
    const struct sampler_options sampler = { .ops = options->ops,
                                             .parent = options->backend,
                                             .memory = &t->memory,
                                             .spool_most_bytes = options->spool_most_bytes,
                                             .told_fd = t->told_fd };
    assert(options->samplers > 0 && options->samplers <= FEED_TABLE_SAMPLERS_MAX);
    for (uint32_t i = 0; i < options->samplers && result == 0; i++) {
        result = sampler_new(&sampler, &t->samplers[i], f);
    }
    if (result < 0) {
        feed_table_free(t);
        return result;
    }
    *out = t;
    return 0;
}

static void end_feed(struct feed *feed, enum feed_end_reason reason)
{
    feed->is_ending = true;
    sampler_end(feed->sampler, &feed->job, reason);
}

static void remove_feed(struct feed_table *t, uint32_t number)
{
    struct feed *feed = t->feeds[number];
    sampler_remove(feed->sampler, &feed->job);
    sampling_done(&feed->job.sampling);
    free(feed);
    t->feeds[number] = NULL;
    t->count--;
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

void feed_table_free(struct feed_table *t)
{
    if (!t) {
        return;
    }
    for (uint32_t i = 0; i < FEED_TABLE_MAX; i++) {
        if (t->feeds[i]) {
            end_feed(t->feeds[i], FEED_END_STOPPED);
        }
    }
    for (uint32_t i = 0; i < FEED_TABLE_MAX; i++) {
        if (t->feeds[i]) {
            while (!sampler_wait(t->feeds[i]->sampler, &t->feeds[i]->job, CLOCK_NS_PER_S)) {
            }
            remove_feed(t, i);
        }
    }
    end_domains(t, FEED_END_STOPPED);
    for (uint32_t i = 0; i < FEED_TABLE_SAMPLERS_MAX; i++) {
        sampler_free(t->samplers[i]);
    }
    doorbell_close(&t->bell);
    scope_close_fd(&t->told_fd);
    free(t);
}

void feed_table_set_ceiling(struct feed_table *t, struct ceiling *ceiling)
{
    for (uint32_t i = 0; i < t->options.samplers; i++) {
        sampler_set_ceiling(t->samplers[i], ceiling);
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
    for (uint32_t i = 0; i < t->options.samplers; i++) {
        sampler_set_bell(t->samplers[i], bell.ring_fd);
    }
    doorbell_close(&t->bell);
    t->bell = bell;
    *wait_fd = scope_take_fd(&t->bell.wait_fd);
    hello->feeds_max = t->options.feeds_max;
    hello->spool_max_bytes = t->options.spool_most_bytes;
    hello->period_min_ns = t->options.period_min_ns;
    return 0;
}

int feed_table_fd(const struct feed_table *t)
{
    return t->told_fd;
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
    return r->type == RESOURCE_VCPU_STATS ? check_stats(r, f) : range_check_request(wanted, f);
}

static uint64_t admitted_period(const struct feed_table *t, uint64_t period_ns)
{
    uint64_t most_ns = FEED_TABLE_PERIOD_MAX_S * CLOCK_NS_PER_S;
    uint64_t least_ns = t->options.period_min_ns;
    return period_ns < least_ns ? least_ns : period_ns > most_ns ? most_ns : period_ns;
}

static bool is_same_source(const struct message_snapshot *a, const struct message_snapshot *b)
{
    return a->type == b->type && a->id == b->id && a->first_frame == b->first_frame &&
           a->frame_count == b->frame_count && a->flags == b->flags &&
           memcmp(a->domain.incarnation, b->domain.incarnation, sizeof(a->domain.incarnation)) == 0;
}

/* --- feeds ------------------------------------------------------------------------------------- */

static struct feed *find(struct feed_table *t, const struct message_snapshot *wanted,
                         uint32_t *number)
{
    for (uint32_t i = 0; i < FEED_TABLE_MAX && t->count > 0; i++) {
        struct feed *feed = t->feeds[i];
        if (feed && !feed->is_ending && is_same_source(&feed->wanted, wanted)) {
            *number = i;
            return feed;
        }
    }
    return NULL;
}

/* The one that has the fewest. */
static struct sampler *least_busy(struct feed_table *t)
{
    struct sampler *least = NULL;
    uint32_t least_jobs = UINT32_MAX;
    for (uint32_t i = 0; i < t->options.samplers; i++) {
        struct sampler_counts counts = { 0 };
        sampler_count(t->samplers[i], &counts);
        if (counts.jobs < least_jobs) {
            least_jobs = counts.jobs;
            least = t->samplers[i];
        }
    }
    return least;
}

/* What the peer before had and nobody has asked for again makes room first. */
static int refuse_more(struct feed_table *t, struct failure *f)
{
    struct feed *oldest = NULL;
    for (uint32_t i = 0; i < FEED_TABLE_MAX; i++) {
        struct feed *feed = t->feeds[i];
        if (feed && !feed->is_held && !feed->is_ending && feed->waiting == 0 &&
            (!oldest || feed->let_go_ns < oldest->let_go_ns)) {
            oldest = feed;
        }
    }
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%u feeds are live, and may be no more",
                             t->options.feeds_max);
    if (oldest) {
        end_feed(oldest, FEED_END_RELEASED);
        failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    }
    return failure_next(f, result, "watch less, or raise the mapper's --feeds-max");
}

static int begin_feed(struct feed_table *t, const struct message_snapshot *wanted,
                      const struct backend_domain *known, uint64_t period_ns, uint32_t *number,
                      struct failure *f)
{
    if (t->count >= t->options.feeds_max) {
        return refuse_more(t, f);
    }
    struct feed *feed = calloc(1, sizeof(*feed));
    if (!feed) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a feed");
    }
    struct source *source = NULL;
    int result = wanted->type == RESOURCE_VCPU_STATS
                     ? source_stats_new(known, &source, f)
                     : source_frames_new(wanted, known, &source, f);
    if (result < 0) {
        free(feed);
        return result;
    }
    ssize_t drawn = getrandom(feed->id, sizeof(feed->id), 0);
    assert(drawn == sizeof(feed->id)); /* so few bytes are never cut or interrupted */
    feed->wanted = *wanted;
    feed->period_ns = feed->job.period_ns = period_ns;
    feed->sampler = least_busy(t);
    sampling_init(&feed->job.sampling, source, t->options.spool_most_bytes, &t->memory);
    *number = 0;
    while (t->feeds[*number]) {
        (*number)++;
    }
    t->feeds[*number] = feed;
    t->count++;
    sampler_add(feed->sampler, &feed->job);
    return 0;
}

static void answer(struct mapper *m, uint32_t number, uint64_t serial, bool joined)
{
    struct feed *feed = m->feeds->feeds[number];
    union message out __attribute__((uninitialized)); /* 10 KiB, of which this is little */
    memset(&out.watch_answer, 0, sizeof(out.watch_answer));
    message_init(&out, MESSAGE_WATCH | MESSAGE_ANSWER, serial);
    struct message_watch_answer *a = &out.watch_answer;
    memcpy(a->feed_id, feed->id, sizeof(a->feed_id));
    a->feed = number;
    a->joined = joined;
    a->spool_bytes = feed->job.sampling.spool.capacity_bytes;
    a->period_ns = feed->period_ns;
    feed->is_held = true;
    int fd = ring_fd(feed->job.sampling.spool.ring);
    peer_send(m->peer, &out, &fd, 1);
}

static int wait_for_sample(struct feed_table *t, const struct message_watch *r, uint32_t number,
                           bool joined, struct failure *f)
{
    for (uint32_t i = 0; i < FEED_TABLE_PENDING_MAX; i++) {
        struct pending *p = &t->pending[i];
        if (!p->is_used) {
            *p = (struct pending){ .is_used = true,
                                   .joined = joined,
                                   .feed = number,
                                   .serial = r->head.serial,
                                   .deadline_ns = r->deadline_ns ? r->deadline_ns : UINT64_MAX };
            t->feeds[number]->waiting++;
            return 0;
        }
    }
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%d feeds are beginning already",
                             FEED_TABLE_PENDING_MAX);
    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    return failure_next(f, result, "ask again in a moment");
}

int feed_table_watch(struct mapper *m, const struct message_watch *request, struct failure *f)
{
    struct feed_table *t = m->feeds;
    struct message_snapshot wanted;
    const struct directory_entry *e;
    int result = check_request(request, &wanted, f);
    if (result == 0) {
        result = claim_allowed(m, &wanted.domain, wanted.type, EXPORT_WATCH, f);
    }
    if (result == 0) {
        result = claim_check(m, &wanted.domain, &e, f);
    }
    if (result < 0) {
        return result;
    }
    uint32_t number = 0;
    uint64_t period_ns = admitted_period(t, request->period_ns);
    struct feed *feed = find(t, &wanted, &number);
    bool joined = feed != NULL;
    if (!joined) {
        result = begin_feed(t, &wanted, &e->domain, period_ns, &number, f);
    } else if (feed->period_ns != period_ns) {
        feed->period_ns = period_ns;
        sampler_set_period(feed->sampler, &feed->job, period_ns);
    }
    if (result < 0) {
        return result;
    }
    feed = t->feeds[number];
    if (sampler_look(feed->sampler, &feed->job).has_begun) {
        answer(m, number, request->head.serial, joined);
        return 0;
    }
    return wait_for_sample(t, request, number, joined, f);
}

int feed_table_watch_domains(struct mapper *m, const struct message_plain *request,
                             struct failure *f)
{
    struct feed_table *t = m->feeds;
    bool joined = t->domains != NULL;
    int result = directory_drain(m->directory, f); /* what was before is no event */
    if (result == 0 && !joined) {
        result =
            domain_feed_new(m->export, t->options.spool_most_bytes, &t->memory, &t->domains, f);
    }
    if (result < 0) {
        return result;
    }
    t->domains_are_held = true;
    union message out __attribute__((uninitialized));
    memset(&out.watch_answer, 0, sizeof(out.watch_answer));
    message_init(&out, MESSAGE_WATCH_DOMAINS | MESSAGE_ANSWER, request->head.serial);
    struct message_watch_answer *a = &out.watch_answer;
    memcpy(a->feed_id, domain_feed_id(t->domains), sizeof(a->feed_id));
    a->feed = FEED_TABLE_DOMAINS;
    a->joined = joined;
    a->spool_bytes = domain_feed_bytes(t->domains);
    int fd = domain_feed_fd(t->domains);
    peer_send(m->peer, &out, &fd, 1);
    return 0;
}

/* A number that is another feed's by now, or none's, is late: nothing happens. */
void feed_table_unwatch(struct mapper *m, const struct message_unwatch *request)
{
    struct feed_table *t = m->feeds;
    if (request->feed == FEED_TABLE_DOMAINS) {
        if (t->domains && memcmp(domain_feed_id(t->domains), request->feed_id, FEED_ID_BYTES) == 0) {
            end_domains(t, FEED_END_RELEASED);
        }
        return;
    }
    struct feed *feed = request->feed < FEED_TABLE_MAX ? t->feeds[request->feed] : NULL;
    if (feed && !feed->is_ending && memcmp(feed->id, request->feed_id, FEED_ID_BYTES) == 0) {
        end_feed(feed, FEED_END_RELEASED);
    }
}

/* --- the loop's turn --------------------------------------------------------------------------- */

static void refuse(struct mapper *m, struct pending *p, const struct failure *why)
{
    struct feed *feed = m->feeds->feeds[p->feed];
    peer_send_failure(m->peer, p->serial, why);
    p->is_used = false;
    feed->waiting--;
    if (!feed->is_held && feed->waiting == 0 && !feed->is_ending) {
        end_feed(feed, FEED_END_RELEASED); /* nobody was told of it */
    }
}

/* Answers one that waits, if it can be by now. The domain is looked at once more. */
static void settle(struct mapper *m, struct pending *p, uint64_t now_ns)
{
    struct feed *feed = m->feeds->feeds[p->feed];
    struct sampler_state state = sampler_look(feed->sampler, &feed->job);
    struct failure f = { 0 };
    if (state.has_begun) {
        if (claim_check(m, &feed->wanted.domain, NULL, &f) < 0) {
            refuse(m, p, &f);
            return;
        }
        p->is_used = false;
        feed->waiting--;
        answer(m, p->feed, p->serial, p->joined);
    } else if (state.is_over) {
        f = feed->job.sampling.failure;
        if (f.code == 0) {
            failure_set(&f, ERROR_ABORTED, "domain %u went away before it was first sampled",
                        feed->wanted.domain.domid);
        }
        refuse(m, p, &f);
    } else if (now_ns > p->deadline_ns) {
        failure_set(&f, ERROR_DEADLINE_EXCEEDED, "the deadline passed before the first sample");
        refuse(m, p, &f);
    }
}

static void sweep(struct feed_table *t, uint64_t now_ns)
{
    for (uint32_t i = 0; i < FEED_TABLE_MAX && t->count > 0; i++) {
        struct feed *feed = t->feeds[i];
        if (!feed) {
            continue;
        }
        bool is_over = sampler_look(feed->sampler, &feed->job).is_over;
        feed->is_ending = feed->is_ending || is_over;
        if (is_over && feed->waiting == 0 && feed->pins == 0) {
            remove_feed(t, i);
        } else if (!feed->is_ending && !feed->is_held && feed->waiting == 0 &&
                   now_ns >= feed->let_go_ns) {
            end_feed(feed, FEED_END_RELEASED);
        }
    }
    if (t->domains && !t->domains_are_held && now_ns >= t->domains_let_go_ns) {
        end_domains(t, FEED_END_RELEASED);
    }
}

void feed_table_step(struct mapper *m)
{
    struct feed_table *t = m->feeds;
    uint64_t told = 0, now_ns = clock_monotonic_ns();
    bool is_told = read(t->told_fd, &told, sizeof(told)) == sizeof(told);
    if (!is_told && now_ns < feed_table_deadline_ns(t)) {
        return;
    }
    for (uint32_t i = 0; i < FEED_TABLE_PENDING_MAX; i++) {
        if (t->pending[i].is_used) {
            settle(m, &t->pending[i], now_ns);
        }
    }
    sweep(t, now_ns);
}

uint64_t feed_table_deadline_ns(const struct feed_table *t)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < FEED_TABLE_PENDING_MAX; i++) {
        const struct pending *p = &t->pending[i];
        first = p->is_used && p->deadline_ns < first ? p->deadline_ns : first;
    }
    for (uint32_t i = 0, seen = 0; i < FEED_TABLE_MAX && seen < t->count; i++) {
        const struct feed *feed = t->feeds[i];
        seen += feed != NULL;
        bool is_let_go = feed && !feed->is_ending && !feed->is_held && feed->waiting == 0;
        first = is_let_go && feed->let_go_ns < first ? feed->let_go_ns : first;
    }
    bool domains_are_let_go = t->domains && !t->domains_are_held;
    return domains_are_let_go && t->domains_let_go_ns < first ? t->domains_let_go_ns : first;
}

void feed_table_let_go(struct mapper *m, uint64_t until_ns)
{
    struct feed_table *t = m->feeds;
    for (uint32_t i = 0; i < FEED_TABLE_PENDING_MAX; i++) {
        t->pending[i].is_used = false;
    }
    for (uint32_t i = 0; i < FEED_TABLE_MAX; i++) {
        if (t->feeds[i]) {
            t->feeds[i]->is_held = false;
            t->feeds[i]->waiting = 0;
            t->feeds[i]->let_go_ns = until_ns;
        }
    }
    t->domains_are_held = false;
    t->domains_let_go_ns = until_ns;
}

/* --- what happens to domains ------------------------------------------------------------------- */

static bool is_of(const struct feed *feed, const uint8_t incarnation[16])
{
    return feed && memcmp(feed->wanted.domain.incarnation, incarnation, 16) == 0;
}

/* Nothing of it may stay mapped: waits for what is being sampled, for a bounded time. A copy looks up
 * every MiB. */
static void end_incarnation(struct feed_table *t, const uint8_t incarnation[16],
                            enum feed_end_reason reason)
{
    for (uint32_t i = 0; i < FEED_TABLE_MAX; i++) {
        if (is_of(t->feeds[i], incarnation) && !t->feeds[i]->is_ending) {
            end_feed(t->feeds[i], reason);
        }
    }
    uint64_t end_ns = clock_monotonic_ns() + FEED_TABLE_END_WAIT_MS * CLOCK_NS_PER_MS;
    for (uint32_t i = 0; i < FEED_TABLE_MAX; i++) {
        uint64_t now_ns = clock_monotonic_ns();
        if (is_of(t->feeds[i], incarnation) && now_ns < end_ns) {
            sampler_wait(t->feeds[i]->sampler, &t->feeds[i]->job, end_ns - now_ns);
        }
    }
}

void feed_table_changed(struct mapper *m, enum feed_domain_kind kind,
                        const struct directory_entry *e, const struct domain_identity *before)
{
    struct feed_table *t = m->feeds;
    if (t->count > 0 && (kind == FEED_DOMAIN_DYING || kind == FEED_DOMAIN_GONE)) {
        end_incarnation(t, e->identity.incarnation, FEED_END_INCARNATION);
    } else if (t->count > 0 && kind == FEED_DOMAIN_RENAMED) {
        end_incarnation(t, e->identity.incarnation, FEED_END_RENAMED);
    }
    if (t->domains &&
        domain_feed_tell(t->domains, kind, e, before, directory_generation(m->directory))) {
        doorbell_ring(t->bell.ring_fd);
    }
}

uint32_t feed_table_domids(const struct feed_table *t, uint16_t *out, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < FEED_TABLE_MAX && t->count > 0; i++) {
        bool is_known = !t->feeds[i];
        for (uint32_t k = 0; k < count && !is_known; k++) {
            is_known = out[k] == t->feeds[i]->wanted.domain.domid;
        }
        if (!is_known && count < max) {
            out[count++] = t->feeds[i]->wanted.domain.domid;
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
    *out = (struct feed_table_counts){ .feeds = t->count + (t->domains != NULL),
                                       .spool_bytes = allowance_used(&t->memory),
                                       .events = t->events };
    for (uint32_t i = 0; i < t->options.samplers; i++) {
        sampler_count(t->samplers[i], &out->sampled);
    }
    out->events += t->domains ? domain_feed_events(t->domains) : 0;
}

const uint8_t *feed_table_next_mapped(const struct feed_table *t, uint32_t *at, uint16_t *domid)
{
    while (*at < FEED_TABLE_MAX) {
        const struct feed *feed = t->feeds[(*at)++];
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
    struct feed *feed = request->feed < FEED_TABLE_MAX ? t->feeds[request->feed] : NULL;
    if (!feed || feed->is_ending || !feed->is_held ||
        memcmp(feed->id, request->feed_id, FEED_ID_BYTES) != 0) {
        int result = failure_set(f, ERROR_NOT_FOUND, "there is no feed %u of that id, or it ended",
                                 request->feed);
        return failure_next(f, result, "see its spool for how it ended, or watch anew");
    }
    sampler_pin(feed->sampler, &feed->job);
    feed->pins++;
    *out = (struct feed_pin){ .feed = request->feed, .is_held = true };
    return 0;
}

void feed_table_unpin(struct feed_table *t, struct feed_pin *pin)
{
    if (pin->is_held) {
        struct feed *feed = t->feeds[pin->feed];
        sampler_unpin(feed->sampler, &feed->job);
        feed->pins--;
        pin->is_held = false;
    }
}

bool feed_table_view(const struct feed_table *t, const struct feed_pin *pin,
                     struct sampler_view *out)
{
    const struct feed *feed = t->feeds[pin->feed];
    return sampler_view(feed->sampler, &feed->job, out);
}

const struct message_snapshot *feed_table_wanted(const struct feed_table *t,
                                                 const struct feed_pin *pin)
{
    return &t->feeds[pin->feed]->wanted;
}
