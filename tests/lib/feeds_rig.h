/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenresd's feeds at a mapper that the test plays: the real client and thread, real rings, a real
 * doorbell. The test's thread answers the mapper's requests with rig_serve(), and subscribes.
 */
#ifndef XENRES_TESTS_FEEDS_RIG_H
#define XENRES_TESTS_FEEDS_RIG_H

#include "tests/lib/fake_mapper.h"
#include "tests/lib/feed_source.h"

#include <stdatomic.h>

#include "server/resource/feeds.h"

enum { RIG_FEEDS_MAX = 64 };

struct feeds_rig {
    struct fake_mapper mapper;
    struct outcome connected, gone;
    _Atomic(struct feeds *) feeds;
    struct mapper_client *client;
    struct feed_source_play *plays[RIG_FEEDS_MAX]; /* by the id of the source's resource */
    struct feed_source_play *domains;
    unsigned watches, unwatches, images; /* that were served */
    unsigned refusals;                   /* of watches, for want of memory */
    uint64_t period_ns;                  /* of the last WATCH */
    uint64_t least_ns;                   /* that the mapper admits */
    uint32_t image_frames;               /* that an image says it has */
    void (*image_lie)(struct message_image_answer *a);
    void (*watch_lie)(struct message_watch_answer *a);
    bool image_fails, watch_fails;
    enum error_code failure;
    unsigned held_max;       /* feeds that the mapper has memory for; 0: for all */
    uint32_t retry_after_ms; /* what it says to those for which it has none */
};

static inline void rig_on_connected(void *arg, bool connected)
{
    struct feeds_rig *r = arg;
    struct feeds *feeds = atomic_load(&r->feeds);

    if (feeds != NULL) {
        feeds_connected(feeds, connected);
    }
    outcome_tick(connected ? &r->connected : &r->gone);
}

static inline void rig_new_feeds(struct feeds_rig *r, const struct feeds_options *options)
{
    struct feeds *feeds = NULL;

    assert_int_equal(feeds_new(r->client, options, &feeds, NULL), 0);
    atomic_store(&r->feeds, feeds);
}

static inline void rig_begin(struct feeds_rig *r, const struct feeds_options *options)
{
    *r = (struct feeds_rig){ .connected = OUTCOME_INIT, .gone = OUTCOME_INIT };
    fake_mapper_init(&r->mapper);
    fake_mapper_listen(&r->mapper);
    r->mapper.hello.feeds_max = 4096;
    r->mapper.hello.spool_max_bytes = 1 << 22;
    r->mapper.hello.requests_max = 512;
    const struct mapper_client_options client_options = {
        .socket_path = r->mapper.path,
        .backoff_min_ms = 1,
        .backoff_max_ms = 5,
        .on_connected = rig_on_connected,
        .arg = r,
    };

    assert_int_equal(mapper_client_new(&client_options, &r->client, NULL), 0);
    rig_new_feeds(r, options);
    fake_mapper_join(&r->mapper);
    outcome_wait(&r->connected, 1);
}

static inline void rig_end(struct feeds_rig *r)
{
    struct feeds *feeds = atomic_exchange(&r->feeds, NULL);

    feeds_stop(feeds);
    mapper_client_free(r->client);
    feeds_free(feeds);
    fake_mapper_done(&r->mapper);
}

static inline void rig_ring(struct feeds_rig *r)
{
    doorbell_ring(r->mapper.doorbell.ring_fd);
}

/* The mapper answers a WATCH with the ring of a play, or refuses. */
static inline void rig_answer_watch(struct feeds_rig *r, const union message *request,
                                    const struct feed_source_play *p)
{
    union message m;

    if (r->held_max > 0 && r->watches - r->refusals - r->unwatches > r->held_max) {
        struct failure full = { 0 };

        failure_set(&full, ERROR_RESOURCE_EXHAUSTED, "the mapper has no memory for it");
        full.retry_after_ms = r->retry_after_ms;
        r->refusals++;
        fake_mapper_refuse(&r->mapper, request->head.serial, &full);
        return;
    }
    if (r->watch_fails || p == NULL) {
        fake_mapper_failed(&r->mapper, request->head.serial, r->failure, 0);
        return;
    }
    memset(&m.watch_answer, 0, sizeof(m.watch_answer));
    memcpy(m.watch_answer.feed_id, p->id, sizeof(p->id));
    m.watch_answer.feed = p->number;
    m.watch_answer.spool_bytes = p->capacity_bytes;
    if (request->head.type == MESSAGE_WATCH) {
        r->period_ns = request->watch.period_ns;
        m.watch_answer.period_ns = r->period_ns > r->least_ns ? r->period_ns
                                   : r->least_ns > 0          ? r->least_ns
                                                              : 1;
    }
    if (r->watch_lie != NULL) {
        r->watch_lie(&m.watch_answer);
    }
    uint16_t type = request->head.type | MESSAGE_ANSWER;
    int fd = ring_fd(p->ring);

    message_init(&m, type, request->head.serial);
    assert_int_equal(channel_send(&r->mapper.peer, &m, message_size(type), &fd, 1, NULL), 0);
}

/* The image as it is now; in the arena at a place of its own for each, round and round. */
static inline void rig_answer_image(struct feeds_rig *r, const union message *request,
                                    const struct feed_source_play *p)
{
    enum { AT_ONCE = 64, SLOT_BYTES = FAKE_ARENA_FRAMES * MESSAGE_FRAME_BYTES / AT_ONCE };
    union message m;
    struct ring_place place = ring_next(p->ring);
    uint32_t slot = r->mapper.next_slot++;
    uint32_t bytes = p->block_count * FEED_BLOCK_BYTES;

    if (r->image_fails || p->is_over) {
        fake_mapper_failed(&r->mapper, request->head.serial,
                           r->image_fails ? r->failure : ERROR_NOT_FOUND, 0);
        return;
    }
    assert_true(bytes <= SLOT_BYTES);
    memcpy(r->mapper.arena + slot % AT_ONCE * SLOT_BYTES, p->image, bytes);
    memset(&m.image_answer, 0, sizeof(m.image_answer));
    m.image_answer = (struct message_image_answer){
        .slot = { .index = slot,
                  .generation = 1,
                  .offset_bytes = (uint64_t)(slot % AT_ONCE) * SLOT_BYTES,
                  .len_bytes = bytes },
        .observation = { .wall_ns = 1, .frame_count = r->image_frames, .frames_max = 64 },
        .place_position = place.position,
        .place_sequence = place.sequence,
        .place_bytes = place.bytes,
        .batch = p->batch,
        .blocks_before = p->blocks,
        .segment = p->segment,
    };
    if (r->image_lie != NULL) {
        r->image_lie(&m.image_answer);
    }
    fake_mapper_send(&r->mapper, &m, MESSAGE_IMAGE | MESSAGE_ANSWER, request->head.serial);
}

static inline struct feed_source_play *rig_play_of(const struct feeds_rig *r, uint32_t number)
{
    static struct feed_source_play none;

    for (unsigned i = 0; i < RIG_FEEDS_MAX; i++) {
        if (r->plays[i] != NULL && r->plays[i]->number == number) {
            return r->plays[i];
        }
    }
    fail();
    return &none;
}

/* Answers one request that is there within `wait_ms`; its type, 0 for none. */
static inline uint16_t rig_serve_one(struct feeds_rig *r, int wait_ms)
{
    struct pollfd p = { .fd = r->mapper.peer.fd, .events = POLLIN };
    union message m;

    do {
        if (poll(&p, 1, wait_ms) == 0) {
            return 0;
        }
        fake_mapper_receive(&r->mapper, &m);
    } while (m.head.type == MESSAGE_RELEASE);
    switch (m.head.type) {
    case MESSAGE_WATCH:
        r->watches++;
        rig_answer_watch(r, &m, r->plays[m.watch.id % RIG_FEEDS_MAX]);
        break;
    case MESSAGE_WATCH_DOMAINS:
        r->watches++;
        rig_answer_watch(r, &m, r->domains);
        break;
    case MESSAGE_IMAGE:
        r->images++;
        rig_answer_image(r, &m, rig_play_of(r, m.image.feed));
        break;
    case MESSAGE_UNWATCH: r->unwatches++; break;
    default: fail(); break;
    }
    return m.head.type;
}

/* Answers what is there; how many. */
static inline unsigned rig_serve(struct feeds_rig *r)
{
    unsigned count = 0;

    while (rig_serve_one(r, 0) != 0) {
        count++;
    }
    return count;
}

/* The next request is of this type, and is answered. */
static inline void rig_serve_next(struct feeds_rig *r, uint16_t type)
{
    assert_int_equal(rig_serve_one(r, FAKE_WAIT_MS), type);
}

/* So many feeds were let go, now or before. */
static inline void rig_wait_unwatched(struct feeds_rig *r, unsigned count)
{
    while (r->unwatches < count) {
        assert_int_not_equal(rig_serve_one(r, FAKE_WAIT_MS), 0);
    }
    assert_int_equal(r->unwatches, count);
}

/* --- who subscribes ------------------------------------------------------------------------------------ */

/* One who counts its wakes. */
struct watcher {
    struct outcome wakes;
    struct subscription *u;
};
#define WATCHER_INIT                                                                               \
    {                                                                                              \
        .wakes = OUTCOME_INIT                                                                      \
    }

static inline struct feed_source rig_source(uint32_t id)
{
    return (struct feed_source){
        .domain = { .domid = 5, .uuid = { 1 }, .incarnation = { 9 }, .name = "guest" },
        .type = RESOURCE_VCPU_STATS,
        .id = id,
        .frame_count = MESSAGE_FRAMES_ALL,
    };
}

static inline struct subscription_request rig_request(struct watcher *w, uint32_t id,
                                                      enum subscription_mode mode)
{
    static const struct identity who = { .text = "cn:somebody" };

    return (struct subscription_request){
        .source = rig_source(id),
        .who = &who,
        .mode = mode,
        .deadline_ns = fake_deadline(FAKE_WAIT_MS),
        .wake = (void (*)(void *))outcome_tick,
        .arg = &w->wakes,
    };
}

static inline void watcher_begin(struct feeds_rig *r, struct watcher *w,
                                 const struct subscription_request *request)
{
    struct failure f = { 0 };
    int result = subscription_begin(r->feeds, request, &w->u, &f);

    assert_string_equal(f.message, "");
    assert_int_equal(result, 0);
}

static inline void watcher_end(struct watcher *w)
{
    subscription_end(w->u);
    w->u = NULL;
}

static inline unsigned watcher_wakes(struct watcher *w)
{
    pthread_mutex_lock(&w->wakes.lock);
    unsigned count = w->wakes.count;

    pthread_mutex_unlock(&w->wakes.lock);
    return count;
}

/* More wakes than `before`. */
static inline void watcher_wait(struct watcher *w, unsigned before)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FAKE_WAIT_MS / 1000;
    pthread_mutex_lock(&w->wakes.lock);
    while (w->wakes.count <= before &&
           pthread_cond_timedwait(&w->wakes.changed, &w->wakes.lock, &until) == 0) {
    }
    assert_true(w->wakes.count > before);
    pthread_mutex_unlock(&w->wakes.lock);
}

/* The next item that is one: serves the mapper, and waits for wakes. */
static inline int watcher_try(struct feeds_rig *r, struct watcher *w, struct subscription_item *out,
                              struct failure *f)
{
    for (;;) {
        unsigned before = watcher_wakes(w);
        int result = subscription_next(w->u, out, f);

        if (result != 0 || out->kind != SUBSCRIPTION_NOTHING) {
            return result;
        }
        while (rig_serve(r) > 0) {
        }
        if (out->wake_ns != UINT64_MAX && clock_monotonic_ns() >= out->wake_ns) {
            continue;
        }
        watcher_wait(w, before);
    }
}

static inline void watcher_next(struct feeds_rig *r, struct watcher *w,
                                enum subscription_item_kind kind, struct subscription_item *out)
{
    struct failure f = { 0 };
    int result = watcher_try(r, w, out, &f);

    assert_string_equal(result != 0 ? f.message : "", "");
    assert_int_equal(result, 0);
    assert_int_equal(out->kind, kind);
}

/* Nothing now. */
static inline void watcher_nothing(struct watcher *w)
{
    struct subscription_item item;

    assert_int_equal(subscription_next(w->u, &item, NULL), 0);
    assert_int_equal(item.kind, SUBSCRIPTION_NOTHING);
}

/* Begins, and has BEGUN and the image. */
static inline void watcher_start(struct feeds_rig *r, struct watcher *w, uint32_t id,
                                 enum subscription_mode mode, struct subscription_item *image)
{
    struct subscription_request request = rig_request(w, id, mode);

    watcher_begin(r, w, &request);
    watcher_next(r, w, SUBSCRIPTION_BEGUN, image);
    watcher_next(r, w, SUBSCRIPTION_IMAGE, image);
}

#endif
