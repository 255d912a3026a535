/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The mapper between a simulated host and xenresd: its sources, spools and arena, sampled when the test's
 * clock says, and its end of the channel (fake_mapper), which answers when the test wants. Each sample is
 * held against the truth.
 */
#ifndef XENRES_TESTS_CHAIN_MAPPER_H
#define XENRES_TESTS_CHAIN_MAPPER_H

#include "tests/lib/chain_world.h"
#include "tests/lib/fake_mapper.h"

#include "server/mapper/arena.h"
#include "server/mapper/copy.h"
#include "server/mapper/sampling.h"
#include "server/mapper/source_frames.h"

enum {
    CHAIN_FEEDS_MAX = 32, /* of one run, those that are over included */
    CHAIN_SPOOL_BYTES = 128 << 10,
    CHAIN_ARENA_BYTES = 8 << 20,
    CHAIN_PERIOD_MIN_MS = 20,
};

struct chain_feed {
    struct message_snapshot wanted;
    uint8_t id[FEED_ID_BYTES];
    uint64_t period_ns, due_ns;
    struct sampling sampling;
    struct truth truth;
    bool is_unsure; /* a sample has failed since the last one */
};

struct chain_mapper {
    struct fake_mapper peer;
    struct arena *arena;
    struct allowance memory;
    struct source_tools tools;
    struct sim_world *world;
    struct chain_feed *feeds[CHAIN_FEEDS_MAX];
    unsigned feed_count;
    uint64_t batches, blocks, samples, failed, segments, too_many; /* of all runs */
};

/* --- samples ------------------------------------------------------------------------------------------- */

static inline uint64_t feed_batch(const struct chain_feed *y)
{
    return y->sampling.spool.batch;
}

/* A sample was taken, and the spool says this: is it what happened? */
static inline void check_sample(struct chain_mapper *m, struct chain_feed *y,
                                const struct spool *before)
{
    const struct spool *s = &y->sampling.spool;
    struct truth *t = &y->truth;
    const struct truth_image *now = truth_fresh(t), *last = &t->images[t->newest];
    struct truth_point p = { .segment = s->segment, .batch = s->batch, .blocks = s->blocks };
    bool is_first = t->count == 0;
    bool is_reshaped = is_first || now->version != last->version || now->frames != last->frames;
    uint32_t changed = is_reshaped ? 0 : truth_differences(now, last);

    if (is_first) {
        MUST(s->batch == 0 && s->blocks == 0 && s->segment == 0);
    } else if (s->segment == before->segment) {
        MUST(!is_reshaped && changed <= spool_batch_most(s));
        MUST(s->batch == before->batch + (changed > 0) && s->blocks == before->blocks + changed);
    } else if (s->batch != before->batch) {
        MUST(s->segment == before->segment + 1 && !is_reshaped && changed > spool_batch_most(s));
        MUST(s->batch == before->batch + 1 && s->blocks == before->blocks + changed);
        m->too_many++;
    } else {
        MUST(s->segment == before->segment + 1 && s->blocks == before->blocks);
        MUST(is_reshaped || y->is_unsure);
    }
    y->is_unsure = false;
    m->segments += s->segment != before->segment;
    if (is_first || changed > 0 || s->segment != before->segment) {
        truth_note(t, &p);
    } else {
        t->points[t->count - 1].last_ns = world_clock_ns;
    }
}

static inline void check_image(const struct chain_feed *y)
{
    struct source_image image;

    y->sampling.source->ops->image(y->sampling.source, &image);
    MUST(image.len_bytes == truth_last(&y->truth)->len_bytes);
    MUST(truth_hash(image.bytes, image.len_bytes) == truth_last(&y->truth)->hash);
}

static inline void mapper_sample(struct chain_mapper *m, struct chain_feed *y)
{
    static const atomic_bool stop;
    struct sampling *g = &y->sampling;
    const struct spool before = g->spool;
    uint64_t taken = g->taken;
    bool is_known = truth_read(m->world->backend, &y->wanted, truth_fresh(&y->truth));

    sampling_step(g, &m->tools, clock_wall_ns(), clock_monotonic_ns(), &stop);
    if (g->taken > taken) {
        /* An ioreq server's pages are made when they are asked for. */
        MUST(is_known || truth_read(m->world->backend, &y->wanted, truth_fresh(&y->truth)));
        check_sample(m, y, &before);
        check_image(y);
    } else {
        MUST(g->spool.batch == before.batch && g->spool.blocks == before.blocks &&
             g->spool.segment == before.segment);
        y->is_unsure = true;
    }
    doorbell_ring(m->peer.doorbell.ring_fd);
}

static inline bool feed_is_live(const struct chain_feed *y)
{
    return !y->sampling.is_over;
}

/* Lets time pass, and takes the samples that are due meanwhile. */
static inline void mapper_advance(struct chain_mapper *m, uint64_t until_ns)
{
    for (;;) {
        struct chain_feed *next = NULL;

        for (unsigned i = 0; i < m->feed_count; i++) {
            struct chain_feed *y = m->feeds[i];

            if (feed_is_live(y) && y->due_ns <= until_ns &&
                (next == NULL || y->due_ns < next->due_ns)) {
                next = y;
            }
        }
        if (next == NULL) {
            break;
        }
        world_advance_to(m->world, next->due_ns);
        mapper_sample(m, next);
        next->due_ns += next->period_ns;
    }
    world_advance_to(m->world, until_ns);
}

/* The loop has heard that the life it knows is over. */
static inline void mapper_end_life(struct chain_mapper *m)
{
    for (unsigned i = 0; i < m->feed_count; i++) {
        sampling_end(&m->feeds[i]->sampling, &m->tools, clock_wall_ns(), clock_monotonic_ns(),
                     FEED_END_INCARNATION);
    }
    m->world->is_there = false;
    doorbell_ring(m->peer.doorbell.ring_fd);
}

/* --- what the peer asks for ---------------------------------------------------------------------------- */

static inline void refuse(struct chain_mapper *m, const union message *request,
                          const struct failure *why)
{
    union message answer;

    memset(&answer.failed, 0, sizeof(answer.failed));
    answer.failed.failure = *why;
    fake_mapper_send(&m->peer, &answer, MESSAGE_FAILED, request->head.serial);
}

static inline void refuse_with(struct chain_mapper *m, const union message *request,
                               enum error_code code, const char *text)
{
    struct failure f = { 0 };

    failure_set(&f, code, "%s", text);
    refuse(m, request, &f);
}

static inline struct message_snapshot wanted_of(const struct message_watch *w)
{
    return (struct message_snapshot){ .domain = w->domain,
                                      .type = w->type,
                                      .id = w->id,
                                      .first_frame = w->first_frame,
                                      .frame_count = w->frame_count,
                                      .flags = w->flags };
}

static inline struct chain_feed *find_live(struct chain_mapper *m, const struct message_watch *w)
{
    for (unsigned i = 0; i < m->feed_count; i++) {
        const struct message_snapshot *s = &m->feeds[i]->wanted;

        if (feed_is_live(m->feeds[i]) && s->type == w->type && s->id == w->id &&
            s->frame_count == w->frame_count && s->flags == w->flags &&
            domain_identity_equal(&s->domain, &w->domain)) {
            return m->feeds[i];
        }
    }
    return NULL;
}

/* A new one, whose first sample is taken at once. NULL: refused. */
static inline struct chain_feed *begin_feed(struct chain_mapper *m, const union message *request)
{
    struct failure f = { 0 };
    struct backend_domain known;
    struct source *source = NULL;
    struct message_snapshot wanted = wanted_of(&request->watch);

    MUST(m->feed_count < CHAIN_FEEDS_MAX);
    if (backend_ops->find(m->world->sampler, wanted.domain.domid, &known, &f) < 0) {
        refuse(m, request, &f);
        return NULL;
    }
    if (known.dying || memcmp(known.uuid, wanted.domain.uuid, sizeof(known.uuid)) != 0) {
        refuse_with(m, request, ERROR_ABORTED, "the domain is another by now");
        return NULL;
    }
    MUST(source_frames_new(&wanted, &known, &source, &f) == 0);
    if (m->feeds[m->feed_count] == NULL) {
        m->feeds[m->feed_count] = malloc(sizeof(struct chain_feed));
        MUST(m->feeds[m->feed_count] != NULL);
    }
    struct chain_feed *y = m->feeds[m->feed_count];

    y->wanted = wanted;
    y->is_unsure = false;
    y->truth.count = y->truth.newest = 0;
    MUST(getrandom(y->id, sizeof(y->id), 0) > 0);
    sampling_init(&y->sampling, source, CHAIN_SPOOL_BYTES, &m->memory);
    mapper_sample(m, y);
    if (!y->sampling.has_begun) {
        refuse(m, request, &y->sampling.failure);
        sampling_done(&y->sampling);
        return NULL;
    }
    y->period_ns = request->watch.period_ns;
    y->due_ns = world_clock_ns + y->period_ns;
    m->feed_count++;
    return y;
}

static inline void answer_watch(struct chain_mapper *m, const union message *request)
{
    const struct sim_world *world = m->world;
    uint64_t least_ns = CHAIN_PERIOD_MIN_MS * CLOCK_NS_PER_MS;
    uint16_t type = MESSAGE_WATCH | MESSAGE_ANSWER;
    union message a;

    if (!world->is_there || !domain_identity_equal(&world->domain, &request->watch.domain)) {
        refuse_with(m, request, ERROR_NOT_FOUND, "there is no such domain");
        return;
    }
    struct chain_feed *y = find_live(m, &request->watch);

    if (y == NULL) {
        y = begin_feed(m, request);
    }
    if (y == NULL) {
        return;
    }
    uint64_t period_ns = request->watch.period_ns > least_ns ? request->watch.period_ns : least_ns;

    y->due_ns = y->due_ns - y->period_ns + period_ns;
    y->due_ns = y->due_ns < world_clock_ns ? world_clock_ns : y->due_ns;
    y->period_ns = period_ns;
    memset(&a.watch_answer, 0, sizeof(a.watch_answer));
    memcpy(a.watch_answer.feed_id, y->id, sizeof(y->id));
    for (unsigned i = 0; i < m->feed_count; i++) {
        a.watch_answer.feed = m->feeds[i] == y ? i : a.watch_answer.feed;
    }
    a.watch_answer.spool_bytes = y->sampling.spool.capacity_bytes;
    a.watch_answer.period_ns = period_ns;
    message_init(&a, type, request->head.serial);
    int fd = ring_fd(y->sampling.spool.ring);

    MUST(channel_send(&m->peer.peer, &a, message_size(type), &fd, 1, NULL) == 0);
}

static inline struct chain_feed *feed_named(const struct chain_mapper *m, uint32_t number,
                                            const uint8_t *id)
{
    return number < m->feed_count && memcmp(m->feeds[number]->id, id, FEED_ID_BYTES) == 0
               ? m->feeds[number]
               : NULL;
}

static inline void answer_image(struct chain_mapper *m, const union message *request)
{
    const struct chain_feed *y = feed_named(m, request->image.feed, request->image.feed_id);
    struct source_image image;
    union message out;

    if (y == NULL || !feed_is_live(y)) {
        refuse_with(m, request, ERROR_NOT_FOUND, "there is no such feed");
        return;
    }
    const struct spool *s = &y->sampling.spool;
    struct ring_place place = ring_next(s->ring);
    struct message_image_answer *a = &out.image_answer;

    y->sampling.source->ops->image(y->sampling.source, &image);
    memset(a, 0, sizeof(*a));
    if (arena_take(m->arena, image.len_bytes, &a->slot, NULL) < 0) {
        refuse_with(m, request, ERROR_RESOURCE_EXHAUSTED, "the arena is full");
        return;
    }
    memcpy(arena_slot_bytes(m->arena, &a->slot), image.bytes, image.len_bytes);
    arena_hand_over(m->arena, &a->slot);
    a->observation = (struct message_observation){
        .wall_ns = s->last.wall_ns,
        .monotonic_ns = s->last.monotonic_ns,
        .copy_duration_ns = s->last.duration_ns,
        .first_frame = image.first_frame,
        .frame_count = image.frame_count,
        .frames_in_use = image.size.frames_in_use,
        .frames_max = image.size.frames_max,
        .grant_version = image.size.grant_version,
        .consistency = image.consistency,
    };
    a->place_position = place.position;
    a->place_sequence = place.sequence;
    a->place_bytes = place.bytes;
    a->batch = s->batch;
    a->blocks_before = s->blocks;
    a->segment = s->segment;
    a->first_status_frame = image.first_status_frame;
    a->status_frame_count = image.status_frame_count;
    a->frames_present = image.frames_present;
    fake_mapper_send(&m->peer, &out, MESSAGE_IMAGE | MESSAGE_ANSWER, request->head.serial);
}

static inline void end_watch(struct chain_mapper *m, const struct message_unwatch *w)
{
    struct chain_feed *y = feed_named(m, w->feed, w->feed_id);

    if (y != NULL) {
        sampling_end(&y->sampling, &m->tools, clock_wall_ns(), clock_monotonic_ns(),
                     FEED_END_RELEASED);
    }
}

/* Answers a request that is there; false: none is. */
static inline bool mapper_serve_one(struct chain_mapper *m)
{
    struct pollfd p = { .fd = m->peer.peer.fd, .events = POLLIN };
    union message r;

    if (poll(&p, 1, 0) == 0) {
        return false;
    }
    fake_mapper_receive(&m->peer, &r);
    switch (r.head.type) {
    case MESSAGE_WATCH: answer_watch(m, &r); break;
    case MESSAGE_IMAGE: answer_image(m, &r); break;
    case MESSAGE_UNWATCH: end_watch(m, &r.unwatch); break;
    case MESSAGE_RELEASE:
        for (uint32_t i = 0; i < r.release.slot_count; i++) {
            MUST(arena_release(m->arena, r.release.slots[i].index, r.release.slots[i].generation));
        }
        break;
    default: MUST(!"a request that is expected"); break;
    }
    return true;
}

/* --- its life ------------------------------------------------------------------------------------------ */

static inline void mapper_begin(struct chain_mapper *m)
{
    *m = (struct chain_mapper){ .feed_count = 0 };
    allowance_init(&m->memory, 256 << 20);
    m->tools.ops = backend_ops;
    m->tools.memory = &m->memory;
    m->tools.page = aligned_alloc(MESSAGE_FRAME_BYTES, MESSAGE_FRAME_BYTES);
    MUST(copy_init(NULL) == 0 && m->tools.page != NULL);
    MUST(diff_init(&m->tools.changes, spool_batch_room(CHAIN_SPOOL_BYTES)));
    MUST(arena_new(CHAIN_ARENA_BYTES, CHAIN_ARENA_BYTES / 2, &m->arena, NULL) == 0);
    fake_mapper_init(&m->peer);
    fake_mapper_listen(&m->peer);
    m->peer.hello.feeds_max = CHAIN_FEEDS_MAX;
    m->peer.hello.spool_max_bytes = CHAIN_SPOOL_BYTES;
    m->peer.hello.period_min_ns = CHAIN_PERIOD_MIN_MS * CLOCK_NS_PER_MS;
    m->peer.hello.arena_bytes = CHAIN_ARENA_BYTES;
    m->peer.hello.slot_max_bytes = CHAIN_ARENA_BYTES / 2;
}

static inline void mapper_join(struct chain_mapper *m)
{
    fake_mapper_accept(&m->peer);
    fake_mapper_answer_hello(&m->peer, arena_fd(m->arena));
}

/* A run begins on this host. */
static inline void mapper_take_world(struct chain_mapper *m, struct sim_world *w)
{
    m->world = w;
    m->feed_count = 0;
    m->tools.backend = w->sampler;
}

/* A run is over; nobody holds anything. */
static inline void mapper_leave_world(struct chain_mapper *m)
{
    for (unsigned i = 0; i < m->feed_count; i++) {
        struct sampling *g = &m->feeds[i]->sampling;

        sampling_end(g, &m->tools, clock_wall_ns(), clock_monotonic_ns(), FEED_END_STOPPED);
        m->batches += g->spool.batch;
        m->blocks += g->spool.blocks;
        m->samples += g->taken;
        m->failed += g->failed;
        sampling_done(g);
    }
    MUST(m->tools.mapped == 0 && allowance_used(&m->memory) == 0);
    MUST(arena_usage(m->arena).slot_count == 0);
}

static inline void mapper_end(struct chain_mapper *m)
{
    fake_mapper_done(&m->peer);
    arena_free(m->arena);
    diff_done(&m->tools.changes);
    free(m->tools.page);
    for (unsigned i = 0; i < CHAIN_FEEDS_MAX; i++) {
        free(m->feeds[i]);
    }
}

#endif
