/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who comes and goes, and the thread at the doorbell. Parts: feeds_table.c (the feeds there are, and what
 * the mapper is told), feed.c (one of them), feed_piece.c (records that are shared), subscription.c,
 * subscription_read.c and subscription_append.c (one who reads), feed_position.c, merge.c, holders.c.
 */
#include "server/resource/feeds.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/clock.h"
#include "common/doorbell.h"
#include "common/errand.h"
#include "common/scope.h"
#include "server/resource/feeds_table.h"

enum {
    PERIOD_SETTLES_MS = 100, /* before the mapper is told of another period */
    SLEEP_MAX_MS = 60 * 1000,
};

struct feeds_sums *feeds_sums(struct feeds *s)
{
    return &s->sums;
}

struct scratches *feeds_scratches(struct feeds *s)
{
    return &s->scratches;
}

struct mapper_client *feeds_mapper(struct feeds *s)
{
    return s->mapper;
}

void feeds_poke(struct feeds *s)
{
    uint64_t one = 1;

    (void)!write(s->wake_fd, &one, sizeof(one)); /* full: it is awake already */
}

void feeds_look_by(struct feeds *s, uint64_t at_ns)
{
    uint64_t due_ns = atomic_load(&s->due_ns);

    while (at_ns < due_ns) {
        if (atomic_compare_exchange_weak(&s->due_ns, &due_ns, at_ns)) {
            feeds_poke(s);
            return;
        }
    }
}

void feeds_connected(struct feeds *s, bool connected)
{
    (void)pthread_mutex_lock(&s->lock);
    if (connected) {
        feeds_table_take_doorbell(s);
    }
    for (uint32_t i = s->live_count; !connected && i > 0; i--) {
        struct feed *y = feed_ref(s->lives[i - 1].feed);

        feeds_table_unlist(s, y);
        feed_go(y);
        feed_unref(y);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* --- members ------------------------------------------------------------------------------------------ */

static int too_many(struct failure *f, const char *what, uint32_t max)
{
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%u %s are open already", max, what);

    failure_cause(f, result, "the configuration allows no more of them in all");
    failure_retry(f, result, FAILURE_RETRY_LATER_MS);
    return failure_next(f, result, "try again when others have ended, or raise the limit");
}

static int find_or_make(struct feeds *s, const struct feed_source *source, struct holder *payer,
                        struct feed **out, struct failure *f)
{
    struct feed *y = feeds_table_find(s, source);

    if (y != NULL) {
        int result = feeds_table_take_over(s, y, payer, f);

        *out = result == 0 ? feed_ref(y) : NULL;
        return result;
    }
    int result = feeds_table_check_payer(s, payer, 0, f); /* its size only the mapper will tell */

    if (result == 0 && s->feed_count >= s->options.feeds_max && !feeds_table_make_room(s, NULL)) {
        feeds_add(&s->sums.refused_feeds, 1);
        result = too_many(f, "feeds", s->options.feeds_max);
    }
    if (result == 0) {
        result = feed_new(s, source, out, f);
    }
    if (result == 0) {
        feeds_table_list(s, *out, payer);
    }
    return result;
}

/* What has to be asked because of a new member. */
static void welcome(struct feeds *s, struct feed *y, const struct feed_member *m)
{
    bool was_idle = y->drop_ns != UINT64_MAX && y->phase == FEED_LIVE;

    y->drop_ns = UINT64_MAX;
    if (was_idle) {
        /* Its end may be there, and nobody has read it: whether it lives, the mapper knows. */
        (void)pthread_mutex_lock(&y->lock);
        y->phase = FEED_STARTING;
        (void)pthread_mutex_unlock(&y->lock);
    }
    bool is_waiting = y->ask_ns != UINT64_MAX && !was_idle; /* for room for the question */

    if (y->phase == FEED_STARTING && !y->is_asking && !is_waiting) {
        feeds_table_ask(s, y);
    } else if (m->period_ns < y->asked_period_ns) {
        feeds_table_look_again(s, &y->ask_ns, PERIOD_SETTLES_MS);
    }
}

static int take_holder(struct feeds *s, const struct subscription_request *request,
                       struct holder **out, struct failure *f)
{
    uint32_t most = s->options.subscribers_per_identity;

    if (request->streams_max > 0 && request->streams_max < most) {
        most = request->streams_max;
    }
    int result = holders_take(&s->holders, request->who, most, request->spool_max_bytes, out, f);

    if (result != 0) {
        feeds_add(&s->sums.refused_streams, 1);
    }
    return result;
}

static int join(struct feeds *s, const struct subscription_request *request, struct feed_member *m,
                struct feed **out, struct failure *f)
{
    if (s->subscriber_count >= s->options.subscribers_max) {
        feeds_add(&s->sums.refused_streams_in_all, 1);
        return too_many(f, "streams", s->options.subscribers_max);
    }
    int result = take_holder(s, request, &m->holder, f);

    if (result == 0) {
        result = find_or_make(s, &request->source, m->holder, out, f);
        if (result != 0) {
            holders_give(&s->holders, m->holder);
        }
    }
    if (result == 0) {
        s->subscriber_count++;
        feed_enter(*out, m);
        welcome(s, *out, m);
    }
    return result;
}

int feeds_join(struct feeds *s, const struct subscription_request *request, struct feed_member *m,
               struct feed **out, struct failure *f)
{
    (void)pthread_mutex_lock(&s->lock);
    int result = join(s, request, m, out, f);

    (void)pthread_mutex_unlock(&s->lock);
    if (result == 0 && !feed_arm(*out, m, NULL)) {
        m->wake(m->arg);
    }
    return result;
}

void feeds_leave(struct feeds *s, struct feed *y, struct feed_member *m)
{
    (void)pthread_mutex_lock(&s->lock);
    s->subscriber_count--;
    bool is_empty = feed_exit(y, m);

    if (y->payer == m->holder && !is_empty) {
        feeds_table_hand_over(s, y, feed_other_holder(y));
    }
    holders_give(&s->holders, m->holder);
    if (y->is_listed && is_empty) {
        y->drop_ns = UINT64_MAX;
        feeds_table_look_again(s, &y->drop_ns, s->options.linger_ms);
    } else if (y->is_listed && !y->source.is_domains && m->period_ns <= y->asked_period_ns) {
        feeds_table_look_again(s, &y->ask_ns, PERIOD_SETTLES_MS);
    }
    (void)pthread_mutex_unlock(&s->lock);
    feed_unref(y);
}

void feeds_retire(struct feeds *s, struct feed *y)
{
    (void)pthread_mutex_lock(&s->lock);
    bool was_listed = y->is_listed;

    if (was_listed) {
        feeds_table_retire(s, y);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (was_listed) {
        feed_go(y); /* nobody looks at its spool any more, and there is no image of it */
    }
}

/* --- the thread --------------------------------------------------------------------------------------- */

static bool has_ended(const struct live *l)
{
    uint32_t kind = 0;

    return ring_view_newest_kind(l->view, &kind) && kind == FEED_RECORD_END;
}

/* Which have moved? Once over all of them, without a lock of theirs. An end is everybody's: also theirs
 * who are not due, and where nobody is, the feed's. */
static uint32_t find_moved(struct feeds *s)
{
    uint32_t count = 0;

    (void)pthread_mutex_lock(&s->lock);
    for (uint32_t i = s->live_count; i > 0;
         i--) { /* one that is taken out leaves its place to the last */
        struct live *l = &s->lives[i - 1];
        uint64_t committed = ring_view_committed(l->view);

        if (committed == l->seen) {
            continue;
        }
        l->seen = committed;
        struct moved *m = &s->moved[count++];

        *m = (struct moved){ .feed = feed_ref(l->feed), .has_ended = has_ended(l) };
        if (m->has_ended) {
            feeds_table_retire(s, m->feed);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return count;
}

/* The doorbell rang. */
static void look(struct feeds *s)
{
    uint32_t count = find_moved(s);

    errands_hold(); /* whoever is woken at once would run into the locks of who wakes him */
    for (uint32_t i = 0; i < count; i++) {
        struct moved *m = &s->moved[i];

        if (m->has_ended) {
            feed_go(m->feed);
        } else {
            feed_wake(m->feed);
        }
        feed_unref(m->feed);
    }
    errands_run();
}

/* What is due of one feed; when to look at it again. May let it go. */
static uint64_t tend_feed(struct feeds *s, struct feed *y, uint64_t now_ns)
{
    uint64_t image_ns = feed_tend_image(y, now_ns);

    if (now_ns >= y->drop_ns && !y->is_asking) {
        if (feeds_table_let_go(s, y)) {
            return UINT64_MAX;
        }
        y->drop_ns = now_ns + FEED_RETRY_MS * CLOCK_NS_PER_MS;
    }
    if (now_ns >= y->ask_ns && !y->is_asking) {
        y->ask_ns = UINT64_MAX;
        if (y->phase == FEED_STARTING || feed_wanted_period(y) != y->asked_period_ns) {
            feeds_table_ask(s, y);
        }
    }
    uint64_t due_ns = y->drop_ns < y->ask_ns ? y->drop_ns : y->ask_ns;

    /* What waits for an answer is looked at when that has come. */
    due_ns = y->is_asking ? UINT64_MAX : due_ns;
    return image_ns < due_ns ? image_ns : due_ns;
}

static void tend(struct feeds *s)
{
    uint64_t now_ns = clock_monotonic_ns(), next_ns = UINT64_MAX;

    atomic_store(&s->due_ns, UINT64_MAX);
    (void)pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < FEEDS_TABLE_BUCKETS; i++) {
        for (struct feed *y = s->buckets[i], *next; y != NULL; y = next) {
            next = y->chain;
            feed_ref(y);
            uint64_t due_ns = tend_feed(s, y, now_ns);

            feed_unref(y);
            next_ns = due_ns < next_ns ? due_ns : next_ns;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    feeds_look_by(s, next_ns);
}

static int take_new_doorbell(struct feeds *s, int doorbell_fd)
{
    (void)pthread_mutex_lock(&s->lock);
    int fd = scope_take_fd(&s->doorbell_fd);

    (void)pthread_mutex_unlock(&s->lock);
    if (fd >= 0) {
        scope_close_fd(&doorbell_fd);
        doorbell_fd = fd;
    }
    return doorbell_fd;
}

static void *run(void *arg)
{
    struct feeds *s = arg;
    SCOPE_FD int doorbell_fd = -1;

    while (!atomic_load(&s->stop)) {
        struct pollfd fds[] = { { .fd = doorbell_fd, .events = POLLIN },
                                { .fd = s->wake_fd, .events = POLLIN } };
        uint64_t count, due_ns = atomic_load(&s->due_ns);

        (void)poll(fds, 2, clock_poll_timeout_ms(due_ns, SLEEP_MAX_MS));
        if (fds[0].revents != 0) {
            look(s); /* what is there does not wait for the doorbell to become silent */
            if (!doorbell_answer(doorbell_fd)) {
                scope_close_fd(&doorbell_fd);
            }
            look(s);
        }
        if (fds[1].revents != 0) {
            (void)!read(s->wake_fd, &count, sizeof(count));
            doorbell_fd = take_new_doorbell(s, doorbell_fd);
        }
        if (clock_monotonic_ns() >= atomic_load(&s->due_ns)) {
            tend(s);
        }
    }
    return NULL;
}

/* --- its life ----------------------------------------------------------------------------------------- */

struct feeds *feeds_ref(struct feeds *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void feeds_unref(struct feeds *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    scratches_done(&s->scratches);
    scope_close_fd(&s->doorbell_fd);
    scope_close_fd(&s->wake_fd);
    pthread_mutex_destroy(&s->lock);
    free(s->lives);
    free(s->moved);
    free(s);
}

static int no_memory(struct failure *f)
{
    return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory or no descriptor for feeds");
}

int feeds_new(struct mapper_client *mapper, const struct feeds_options *options, struct feeds **out,
              struct failure *f)
{
    assert(options->feeds_max > 0 && options->feeds_max <= INT32_MAX);
    assert(options->subscribers_max <= FEEDS_SUBSCRIBERS_MAX);
    struct feeds *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return no_memory(f);
    }
    atomic_init(&s->refs, 1);
    atomic_init(&s->due_ns, UINT64_MAX);
    s->mapper = mapper;
    s->options = *options;
    s->doorbell_fd = -1;
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->lives = calloc(options->feeds_max, sizeof(*s->lives));
    s->moved = calloc(options->feeds_max, sizeof(*s->moved));
    pthread_mutex_init(&s->lock, NULL);
    scratches_init(&s->scratches);
    int result = s->wake_fd >= 0 && s->lives != NULL && s->moved != NULL ? 0 : no_memory(f);
    int errnum = result == 0 ? pthread_create(&s->thread, NULL, run, s) : 0;

    if (errnum != 0) {
        result = failure_call(f, no_memory(f), "pthread_create", errnum);
    }
    if (result != 0) {
        feeds_unref(s);
        return result;
    }
    (void)pthread_setname_np(s->thread, "feeds");
    *out = s;
    return 0;
}

void feeds_set_limits(struct feeds *s, const struct feeds_options *options)
{
    assert(options->subscribers_max <= FEEDS_SUBSCRIBERS_MAX);
    (void)pthread_mutex_lock(&s->lock);
    s->options.subscribers_max = options->subscribers_max;
    s->options.subscribers_per_identity = options->subscribers_per_identity;
    s->options.linger_ms = options->linger_ms;
    (void)pthread_mutex_unlock(&s->lock);
}

void feeds_stop(struct feeds *s)
{
    if (s == NULL || atomic_exchange(&s->stop, true)) {
        return;
    }
    feeds_poke(s);
    pthread_join(s->thread, NULL);
}

void feeds_free(struct feeds *s)
{
    if (s == NULL) {
        return;
    }
    feeds_stop(s);
    (void)pthread_mutex_lock(&s->lock);
    assert(s->subscriber_count == 0);
    s->is_stopping = true;
    for (uint32_t i = 0; i < FEEDS_TABLE_BUCKETS; i++) {
        while (s->buckets[i] != NULL) {
            feeds_table_unlist(s, s->buckets[i]);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    feeds_unref(s);
}

void feeds_count(struct feeds *s, struct feeds_counters *out)
{
    const struct feeds_sums *sums = &s->sums;

    *out = (struct feeds_counters){
        .delivered_batches = atomic_load(&sums->delivered_batches),
        .delivered_events = atomic_load(&sums->delivered_events),
        .gaps_too_slow = atomic_load(&sums->gaps[FEED_GAP_TOO_SLOW]),
        .gaps_too_many = atomic_load(&sums->gaps[FEED_GAP_TOO_MANY]),
        .gaps_segment = atomic_load(&sums->gaps[FEED_GAP_SEGMENT]),
        .gaps_resumed = atomic_load(&sums->gaps[FEED_GAP_RESUMED]),
        .lost_batches = atomic_load(&sums->lost_batches),
        .lost_blocks = atomic_load(&sums->lost_blocks),
        .delivered_bytes = atomic_load(&sums->delivered_bytes),
        .lost_bytes = atomic_load(&sums->lost_bytes),
        .images = atomic_load(&sums->images),
        .refused_streams = atomic_load(&sums->refused_streams),
        .refused_streams_in_all = atomic_load(&sums->refused_streams_in_all),
        .refused_feeds = atomic_load(&sums->refused_feeds),
        .refused_spools = atomic_load(&sums->refused_spools),
        .wakes = atomic_load(&sums->wakes),
    };
    (void)pthread_mutex_lock(&s->lock);
    out->feeds = s->feed_count;
    out->subscribers = s->subscriber_count;
    out->spool_bytes = s->spool_bytes;
    (void)pthread_mutex_unlock(&s->lock);
}
