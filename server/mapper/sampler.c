/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See sampler.h. */
#include "server/mapper/sampler.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/doorbell.h"

enum { POSTPONED_MS = 100 }; /* at most, until it is tried again */

struct sampler {
    const struct backend_ops *ops;
    struct ceiling *ceiling; /* NULL: none */
    struct ceiling_meter meter;
    struct source_tools tools; /* the thread's */
    int told_fd;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock;       /* of what follows, and of jobs */
    pthread_cond_t changed;     /* there is something to do, or something was done */
    struct wheel wheel;         /* of all that are sampled, but for … */
    struct wheel begins;        /* … those whose first sample is long, until it was taken */
    struct sampler_job *ends;   /* to be ended, the newest first … */
    struct sampler_job *drains; /* … and those whose last sample is long */
    uint64_t owed_ns; /* what was due by then comes before the next that is long; 0: nothing is */
    struct sampler_counts counts;
    int bell_fd;
    bool is_stopping;
};

/* --- the thread -------------------------------------------------------------------------------- */

static void tell(const struct sampler *s)
{
    uint64_t one = 1;
    (void)!write(s->told_fd, &one, sizeof(one)); /* full: it is readable already */
}

/* With the lock: what the thread's tools have counted becomes everybody's. */
static void publish_counts(struct sampler *s, const struct sampling *before,
                           const struct sampling *after)
{
    struct sampler_counts *c = &s->counts;
    c->hypercalls = s->ops->hypercalls(s->tools.backend);
    c->maps = s->tools.maps;
    c->sampled_bytes = s->tools.sampled_bytes;
    c->mapped = s->tools.mapped;
    c->mapped_frames = s->tools.mapped_frames;
    c->samples += after->taken - before->taken;
    c->failures += after->failed - before->failed;
    c->late += after->held_back - before->held_back;
    if (after->source->ops->image) { /* else they are losses and bytes */
        c->produced_batches += after->spool.batch - before->spool.batch;
        c->produced_blocks += after->spool.blocks - before->spool.blocks;
    }
    c->produced_bytes = s->tools.produced_bytes;
    c->lost_bytes = s->tools.lost_bytes;
    c->open_losses = s->tools.open_losses;
    c->pause_refusals = s->tools.pause_refusals;
    c->pauses = s->ops->pauses(s->tools.backend);
}

/* Records in its ring. */
static uint64_t records(const struct sampling *s)
{
    return s->spool.ring ? ring_next(s->spool.ring).sequence : 0;
}

/* What it begins and ends with takes as long as all of what it is of is copied and compared. */
static bool is_long(const struct sampler_job *job)
{
    return job->sampling.source->ops->finish != NULL;
}

static struct wheel *wheel_of(struct sampler *s, const struct sampler_job *job)
{
    return is_long(job) && !job->is_told ? &s->begins : &s->wheel;
}

static struct sampler_job **ends_of(struct sampler *s, const struct sampler_job *job)
{
    return is_long(job) ? &s->drains : &s->ends;
}

static void unlink_end(struct sampler *s, const struct sampler_job *job)
{
    struct sampler_job **link = ends_of(s, job);
    while (*link && *link != job) {
        link = &(*link)->next_end;
    }
    if (*link) {
        *link = job->next_end;
    }
}

/* With the lock, which is given up meanwhile: samples the job, or ends it. */
static void work(struct sampler *s, struct sampler_job *job, uint64_t now_ns)
{
    enum feed_end_reason end = job->end;
    bool was_long = is_long(job) && (end != 0 || !job->is_told);
    job->is_sampled = true;
    pthread_mutex_unlock(&s->lock);
    struct sampling before = job->sampling;
    uint64_t records_before = records(&before);
    uint64_t wall_ns = clock_wall_ns();
    if (end != 0) {
        sampling_end(&job->sampling, &s->tools, wall_ns, now_ns, end);
    } else {
        sampling_step(&job->sampling, &s->tools, wall_ns, now_ns, &job->stop);
    }
    pthread_mutex_lock(&s->lock);
    if (s->bell_fd >= 0 && records(&job->sampling) != records_before) {
        doorbell_ring(s->bell_fd); /* before all that can wait */
    }
    if (s->ceiling) {
        ceiling_charge(s->ceiling, &s->meter, s->ops->hypercalls(s->tools.backend));
    }
    job->is_sampled = false;
    if (job->sampling.is_over) { /* by itself perhaps, while it was told to */
        unlink_end(s, job);
    }
    job->mapped += s->tools.mapped - s->counts.mapped;
    publish_counts(s, &before, &job->sampling);
    bool has_begun = job->sampling.has_begun && !job->is_told;
    job->is_told = job->is_told || has_begun;
    s->owed_ns = was_long ? clock_monotonic_ns() : s->owed_ns;
    if (has_begun || job->sampling.is_over || job->pins > 0) {
        tell(s);
        pthread_cond_broadcast(&s->changed);
    }
}

/* When it is due again: at the next of its times that is yet to come; or when its source wants to be sampled,
 * which counts from when it was. */
static void schedule(struct sampler *s, struct sampler_job *job, uint64_t begun_ns)
{
    if (job->sampling.is_over || job->end != 0) {
        return;
    }
    uint64_t now_ns = clock_monotonic_ns(), wanted_ns = job->sampling.next_after_ns;
    if (wanted_ns > 0) {
        job->due_ns = begun_ns + wanted_ns;
        s->counts.late += job->is_told && now_ns >= job->due_ns + wanted_ns;
        wheel_add(wheel_of(s, job), &job->entry, job->due_ns);
        return;
    }
    job->due_ns += job->period_ns;
    if (job->due_ns <= now_ns) {
        uint64_t missed = (now_ns - job->due_ns) / job->period_ns + 1;
        job->due_ns += missed * job->period_ns;
        s->counts.late += missed;
    }
    wheel_add(wheel_of(s, job), &job->entry, job->due_ns);
}

/* It may not be sampled now, and still is to be. */
static void postpone(struct sampler *s, struct sampler_job *job, uint64_t now_ns)
{
    uint64_t most_ns = POSTPONED_MS * CLOCK_NS_PER_MS;
    s->counts.late++;
    job->sampling.was_postponed = true;
    wheel_add(wheel_of(s, job), &job->entry,
              now_ns + (job->period_ns < most_ns ? job->period_ns : most_ns));
}

static bool ceiling_lets(struct sampler *s, uint64_t now_ns)
{
    return !s->ceiling ||
           ceiling_has_room(s->ceiling, &s->meter, now_ns, s->ops->hypercalls(s->tools.backend));
}

static void wait_for_work(struct sampler *s)
{
    uint64_t next_ns = wheel_next_ns(&s->wheel), begins_ns = wheel_next_ns(&s->begins);
    next_ns = begins_ns < next_ns ? begins_ns : next_ns;
    if (next_ns == UINT64_MAX) {
        pthread_cond_wait(&s->changed, &s->lock);
        return;
    }
    struct timespec until = { .tv_sec = (time_t)(next_ns / CLOCK_NS_PER_S),
                              .tv_nsec = (long)(next_ns % CLOCK_NS_PER_S) };
    pthread_cond_timedwait(&s->changed, &s->lock, &until);
}

static struct sampler_job *take_end(struct sampler_job **ends)
{
    struct sampler_job *job = *ends;
    *ends = job ? job->next_end : NULL;
    return job;
}

static struct sampler_job *take_due(struct wheel *w, uint64_t now_ns)
{
    return (struct sampler_job *)wheel_take(w, now_ns);
}

/*
 * What is to be done now; NULL: nothing yet. Of what is long there is one at a time between those that are
 * due: each of these is in the wheel once, and is due again only after it was sampled, so that what is long
 * waits for one round of them at most.
 */
static struct sampler_job *take_job(struct sampler *s, uint64_t now_ns)
{
    struct sampler_job *job = take_end(&s->ends);
    if (!job && s->owed_ns > 0) {
        job = take_due(&s->wheel, s->owed_ns);
        s->owed_ns = job ? s->owed_ns : 0;
    }
    job = job ? job : take_end(&s->drains);
    job = job ? job : take_due(&s->begins, now_ns);
    return job ? job : take_due(&s->wheel, now_ns);
}

static void *run(void *arg)
{
    struct sampler *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->is_stopping) {
        uint64_t now_ns = clock_monotonic_ns();
        struct sampler_job *job = take_job(s, now_ns);
        if (!job) {
            wait_for_work(s);
        } else if (job->end != 0) {
            work(s, job, now_ns);
        } else if (job->pins == 0 && ceiling_lets(s, now_ns)) {
            work(s, job, now_ns);
            schedule(s, job, now_ns);
        } else {
            postpone(s, job, now_ns);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* --- start and stop ---------------------------------------------------------------------------- */

static int start_thread(struct sampler *s, struct failure *f)
{
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* copies are guarded */
    sigdelset(&all, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&s->thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (errnum != 0) {
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no thread to sample with");
        return failure_call(f, result, "pthread_create", errnum);
    }
    s->has_thread = true;
    return 0;
}

static int open_tools(struct sampler *s, const struct sampler_options *o, struct failure *f)
{
    struct source_tools *t = &s->tools;
    *t = (struct source_tools){ .ops = o->ops, .memory = o->memory };
    t->page = aligned_alloc(MESSAGE_FRAME_BYTES, MESSAGE_FRAME_BYTES);
    uint32_t blocks_max = FEED_IMAGE_MAX_BYTES / FEED_BLOCK_BYTES; /* no batch has more */
    uint32_t room = spool_batch_room(o->spool_most_bytes);
    if (!t->page || !diff_init(&t->changes, room < blocks_max ? room : blocks_max)) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory to sample with");
    }
    return o->ops->open_sampler(o->parent, &t->backend, f);
}

int sampler_new(const struct sampler_options *options, struct sampler **out, struct failure *f)
{
    struct sampler *s = calloc(1, sizeof(*s));
    if (!s) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory to sample with");
    }
    s->ops = options->ops;
    s->told_fd = options->told_fd;
    s->bell_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    wheel_init(&s->wheel, clock_monotonic_ns());
    wheel_init(&s->begins, clock_monotonic_ns());
    int result = open_tools(s, options, f);
    if (result == 0) {
        result = start_thread(s, f);
    }
    if (result < 0) {
        sampler_free(s);
        return result;
    }
    *out = s;
    return 0;
}

void sampler_free(struct sampler *s)
{
    if (!s) {
        return;
    }
    if (s->has_thread) {
        pthread_mutex_lock(&s->lock);
        assert(s->counts.jobs == 0);
        s->is_stopping = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    if (s->tools.backend) {
        s->ops->close(s->tools.backend);
    }
    diff_done(&s->tools.changes);
    free(s->tools.page);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* --- what the loop asks for -------------------------------------------------------------------- */

void sampler_set_ceiling(struct sampler *s, struct ceiling *ceiling)
{
    pthread_mutex_lock(&s->lock);
    s->ceiling = ceiling;
    pthread_mutex_unlock(&s->lock);
}

void sampler_set_pause_ceiling(struct sampler *s, struct ceiling *ceiling)
{
    pthread_mutex_lock(&s->lock);
    s->tools.pauses = ceiling;
    pthread_mutex_unlock(&s->lock);
}

void sampler_set_bell(struct sampler *s, int ring_fd)
{
    pthread_mutex_lock(&s->lock);
    s->bell_fd = ring_fd;
    pthread_mutex_unlock(&s->lock);
}

void sampler_add(struct sampler *s, struct sampler_job *job)
{
    pthread_mutex_lock(&s->lock);
    s->counts.jobs++;
    job->due_ns = clock_monotonic_ns();
    wheel_add(wheel_of(s, job), &job->entry, job->due_ns);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void sampler_remove(struct sampler *s, struct sampler_job *job)
{
    pthread_mutex_lock(&s->lock);
    assert(job->sampling.is_over && !job->is_sampled && !job->entry.next);
    s->counts.jobs--;
    pthread_mutex_unlock(&s->lock);
}

void sampler_set_period(struct sampler *s, struct sampler_job *job, uint64_t period_ns)
{
    pthread_mutex_lock(&s->lock);
    if (job->entry.next && job->is_told) { /* it waits: for the next of the new times */
        wheel_remove(&s->wheel, &job->entry);
        uint64_t last_ns = job->due_ns - job->period_ns;
        job->due_ns = last_ns + period_ns;
        wheel_add(&s->wheel, &job->entry, job->due_ns);
        pthread_cond_broadcast(&s->changed);
    }
    job->period_ns = period_ns;
    pthread_mutex_unlock(&s->lock);
}

struct sampler_state sampler_look(struct sampler *s, const struct sampler_job *job)
{
    pthread_mutex_lock(&s->lock);
    /* While it is sampled its sampling is the thread's: what was told before still holds. */
    struct sampler_state state = { .has_begun = job->is_told, .is_mapped = job->mapped > 0 };
    if (!job->is_sampled) {
        state.is_over = job->sampling.is_over;
    }
    pthread_mutex_unlock(&s->lock);
    return state;
}

bool sampler_view(struct sampler *s, const struct sampler_job *job, struct sampler_view *out)
{
    pthread_mutex_lock(&s->lock);
    bool is_quiet = !job->is_sampled;
    if (is_quiet) {
        const struct sampling *g = &job->sampling;
        assert(job->pins > 0 && g->has_begun);
        *out = (struct sampler_view){ .place = ring_next(g->spool.ring),
                                      .batch = g->spool.batch,
                                      .blocks = g->spool.blocks,
                                      .segment = g->spool.segment,
                                      .last = g->spool.last };
        if (g->source->ops->image) {
            g->source->ops->image(g->source, &out->image);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return is_quiet;
}

void sampler_pin(struct sampler *s, struct sampler_job *job)
{
    pthread_mutex_lock(&s->lock);
    job->pins++;
    pthread_mutex_unlock(&s->lock);
}

void sampler_unpin(struct sampler *s, struct sampler_job *job)
{
    pthread_mutex_lock(&s->lock);
    assert(job->pins > 0);
    job->pins--;
    pthread_mutex_unlock(&s->lock);
}

void sampler_end(struct sampler *s, struct sampler_job *job, enum feed_end_reason reason)
{
    pthread_mutex_lock(&s->lock);
    bool is_over = !job->is_sampled && job->sampling.is_over;
    if (job->end == 0 && !is_over) {
        job->end = reason;
        atomic_store_explicit(&job->stop, true, memory_order_relaxed);
        wheel_remove(wheel_of(s, job), &job->entry);
        struct sampler_job **ends = ends_of(s, job);
        job->next_end = *ends;
        *ends = job;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
}

bool sampler_wait(struct sampler *s, const struct sampler_job *job, uint64_t most_ns)
{
    uint64_t end_ns = clock_monotonic_ns() + most_ns;
    struct timespec until = { .tv_sec = (time_t)(end_ns / CLOCK_NS_PER_S),
                              .tv_nsec = (long)(end_ns % CLOCK_NS_PER_S) };
    pthread_mutex_lock(&s->lock);
    int errnum = 0;
    while ((job->is_sampled || !job->sampling.is_over) && errnum == 0) {
        errnum = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    bool is_over = !job->is_sampled && job->sampling.is_over;
    pthread_mutex_unlock(&s->lock);
    return is_over;
}

void sampler_count(struct sampler *s, struct sampler_counts *sum)
{
    pthread_mutex_lock(&s->lock);
    const struct sampler_counts *c = &s->counts;
    sum->jobs += c->jobs;
    sum->hypercalls += c->hypercalls;
    sum->maps += c->maps;
    sum->samples += c->samples;
    sum->failures += c->failures;
    sum->late += c->late;
    sum->sampled_bytes += c->sampled_bytes;
    sum->produced_batches += c->produced_batches;
    sum->produced_blocks += c->produced_blocks;
    sum->produced_bytes += c->produced_bytes;
    sum->lost_bytes += c->lost_bytes;
    sum->open_losses += c->open_losses;
    sum->pauses += c->pauses;
    sum->pause_refusals += c->pause_refusals;
    sum->mapped += c->mapped;
    sum->mapped_frames += c->mapped_frames;
    pthread_mutex_unlock(&s->lock);
}

_Static_assert(offsetof(struct sampler_job, entry) == 0, "the wheel's entry is the job");
