/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/feeds_table.h"

#include <assert.h>
#include <string.h>

#include "common/clock.h"
#include "common/scope.h"

static struct feed **bucket_of(struct feeds *s, const struct feed_source *source)
{
    uint64_t mixed = UINT64_MAX;

    if (!source->is_domains) {
        memcpy(&mixed, source->domain.incarnation, sizeof(mixed)); /* random, says the mapper */
        mixed ^= source->type + ((uint64_t)source->id << 8) + ((uint64_t)source->first_frame << 16);
    }
    mixed *= UINT64_C(0x9e3779b97f4a7c15);
    return &s->buckets[(mixed >> 32) % FEEDS_TABLE_BUCKETS];
}

struct feed *feeds_table_find(struct feeds *s, const struct feed_source *source)
{
    struct feed *y = *bucket_of(s, source);

    while (y != NULL && !feed_source_equal(&y->source, source)) {
        y = y->chain;
    }
    return y;
}

void feeds_table_list(struct feeds *s, struct feed *y, struct holder *payer)
{
    struct feed **at = bucket_of(s, &y->source);

    y->payer = payer;
    holders_pay(payer);

    y->chain = *at;
    *at = feed_ref(y);
    y->is_listed = true;
    s->feed_count++;
}

static void end_live(struct feeds *s, struct feed *y)
{
    if (y->live_index < 0) {
        return;
    }
    struct live *last = &s->lives[--s->live_count];

    s->spool_bytes -= ring_view_capacity(y->view);
    holders_discharge(y->payer, ring_view_capacity(y->view));
    last->feed->live_index = y->live_index;
    s->lives[y->live_index] = *last;
    y->live_index = -1;
}

static void begin_live(struct feeds *s, struct feed *y)
{
    assert(y->live_index < 0 && s->live_count < s->options.feeds_max);
    y->live_index = (int)s->live_count;
    s->lives[s->live_count++] =
        (struct live){ .view = y->view, .seen = ring_view_committed(y->view), .feed = y };
    s->spool_bytes += ring_view_capacity(y->view);
    holders_charge(y->payer, ring_view_capacity(y->view));
}

void feeds_table_hand_over(struct feeds *s, struct feed *y, struct holder *payer)
{
    uint64_t bytes = y->live_index >= 0 ? ring_view_capacity(y->view) : 0;

    if (!y->is_listed || payer == y->payer) {
        return;
    }
    holders_pay(payer);
    holders_charge(payer, bytes);
    holders_discharge(y->payer, bytes);
    holders_pay_no_more(&s->holders, y->payer);
    y->payer = payer;
}

void feeds_table_unlist(struct feeds *s, struct feed *y)
{
    struct feed **at = bucket_of(s, &y->source);

    if (!y->is_listed) {
        return;
    }
    while (*at != y) {
        at = &(*at)->chain;
    }
    *at = y->chain;
    y->is_listed = false;
    s->feed_count--;
    end_live(s, y);
    holders_pay_no_more(&s->holders, scope_take_pointer(y->payer));
    feed_unref(y);
}

/* --- what the mapper is told------------------------------------------------------- */

static int send_unwatch(struct feeds *s, const uint8_t *id, uint32_t number)
{
    union message m;

    memset(&m.unwatch, 0, sizeof(m.unwatch));
    m.head.type = MESSAGE_UNWATCH;
    memcpy(m.unwatch.feed_id, id, FEED_ID_BYTES);
    m.unwatch.feed = number;
    return mapper_client_send(s->mapper, &m, NULL);
}

bool feeds_table_let_go(struct feeds *s, struct feed *y)
{
    if (y->view != NULL && send_unwatch(s, y->id, y->number) == -ERROR_RESOURCE_EXHAUSTED) {
        return false;
    }
    feeds_table_unlist(s, y);
    return true;
}

bool feeds_table_make_room(struct feeds *s, const struct holder *payer)
{
    struct feed *least = NULL;

    for (uint32_t i = 0; i < FEEDS_TABLE_BUCKETS; i++) {
        for (struct feed *y = s->buckets[i]; y != NULL; y = y->chain) {
            if (y->drop_ns != UINT64_MAX && !y->is_asking && (payer == NULL || y->payer == payer) &&
                (least == NULL || y->drop_ns < least->drop_ns)) {
                least = y;
            }
        }
    }
    return least != NULL && feeds_table_let_go(s, least);
}

int feeds_table_check_payer(struct feeds *s, const struct holder *payer, uint64_t spool_bytes,
                            struct failure *f)
{
    while (holders_check(payer, spool_bytes, NULL) != 0) {
        if (!feeds_table_make_room(s, payer)) {
            feeds_add(&s->sums.refused_spools, 1);
            return holders_check(payer, spool_bytes, f);
        }
    }
    return 0;
}

int feeds_table_take_over(struct feeds *s, struct feed *y, struct holder *payer, struct failure *f)
{
    if (y->drop_ns == UINT64_MAX || y->payer == payer) {
        return 0;
    }
    uint64_t bytes = y->live_index >= 0 ? ring_view_capacity(y->view) : 0;
    int result = feeds_table_check_payer(s, payer, bytes, f);

    if (result == 0) {
        feeds_table_hand_over(s, y, payer);
    }
    return result;
}

static void watch_done(void *arg, const struct mapper_result *result);

static void fill_watch(const struct feed *y, union message *m)
{
    memset(&m->watch, 0, sizeof(m->watch));
    m->head.type = y->source.is_domains ? MESSAGE_WATCH_DOMAINS : MESSAGE_WATCH;
    if (!y->source.is_domains) {
        m->watch.domain = y->source.domain;
        m->watch.type = y->source.type;
        m->watch.id = y->source.id;
        m->watch.first_frame = y->source.first_frame;
        m->watch.frame_count = y->source.frame_count;
        m->watch.flags = y->source.flags;
        m->watch.period_ns = y->asked_period_ns;
        memcpy(m->watch.trace_id, y->source.trace_id, sizeof(m->watch.trace_id));
    }
}

void feeds_table_retire(struct feeds *s, struct feed *y)
{
    /* Told or not, the mapper has done with it. */
    if (!feeds_table_let_go(s, y)) {
        feeds_table_unlist(s, y);
    }
}

void feeds_table_look_again(struct feeds *s, uint64_t *due_ns, uint64_t in_ms)
{
    uint64_t at_ns = clock_monotonic_ns() + in_ms * CLOCK_NS_PER_MS;

    *due_ns = at_ns < *due_ns ? at_ns : *due_ns;
    feeds_look_by(s, *due_ns);
}

/* Asks for the feed, or for another period of it. Without a deadline: the answer to one that came too
 * late would be dropped, and the feed be held for nobody. */
void feeds_table_ask(struct feeds *s, struct feed *y)
{
    struct failure f = { 0 };
    union message m;
    uint64_t wanted_ns = feed_wanted_period(y);

    y->ask_ns = UINT64_MAX;
    y->asked_period_ns = wanted_ns != UINT64_MAX ? wanted_ns : y->asked_period_ns;
    y->is_asking = true;
    fill_watch(y, &m);
    feed_ref(y);
    int result = mapper_client_call(s->mapper, &m, UINT64_MAX, watch_done, y, &f);

    if (result == 0) {
        return;
    }
    y->is_asking = false;
    if (result == -ERROR_RESOURCE_EXHAUSTED) {
        feeds_table_look_again(s, &y->ask_ns, FEED_RETRY_MS);
    } else if (y->phase == FEED_STARTING) {
        (void)pthread_mutex_lock(&y->lock);
        feed_fail(y, &f);
        (void)pthread_mutex_unlock(&y->lock);
        feeds_table_unlist(s, y);
        feed_wake(y);
    }
    feed_unref(y);
}

/* --- what it answers ---------------------------------------------------------------------------------- */

/* The end to wait at, where it was not taken yet: whoever made us may have been told of the mapper before
 * we were there. With the lock. */
void feeds_table_take_doorbell(struct feeds *s)
{
    int fd = mapper_client_take_doorbell(s->mapper);

    if (fd >= 0) {
        scope_close_fd(&s->doorbell_fd);
        s->doorbell_fd = fd;
        feeds_poke(s);
    }
}

static uint64_t least_period(struct feeds *s)
{
    struct message_hello_answer hello;

    return mapper_client_hello(s->mapper, &hello) ? hello.period_min_ns : 0;
}

/* Of a feed that is starting, or starting again. With both locks. */
static void become(struct feed *y, const struct message_watch_answer *a, struct ring_view **view)
{
    bool is_same = y->view != NULL && memcmp(y->id, a->feed_id, sizeof(y->id)) == 0;

    if (!is_same) { /* nobody reads there: who is subscribed has not begun */
        feed_pieces_drop(&y->pieces);
        feed_image_unref(scope_take_pointer(y->image));
        ring_view_close(y->view);
        y->view = scope_take_pointer(*view);
        memcpy(y->id, a->feed_id, sizeof(y->id));
    }
    y->number = a->feed;
    y->phase = FEED_LIVE;
}

/* Whoever waits for the answer does not wait for what comes after it. */
static void fail_ended(struct feed *y)
{
    struct failure f = { 0 };
    int result = failure_set(&f, ERROR_UNAVAILABLE, "the feed has just ended");

    failure_retry(&f, result, FAILURE_RETRY_SOON_MS);
    failure_next(&f, result, "try again in a moment");
    (void)pthread_mutex_lock(&y->lock);
    feed_fail(y, &f);
    (void)pthread_mutex_unlock(&y->lock);
}

static void install(struct feeds *s, struct feed *y, const struct message_watch_answer *a,
                    struct ring_view **view)
{
    if (s->is_stopping) {
        return;
    }
    if (!y->is_listed || (y->phase == FEED_LIVE && memcmp(y->id, a->feed_id, sizeof(y->id)) != 0)) {
        /* Its end has come meanwhile; what is there now nobody here has asked for. */
        (void)send_unwatch(s, a->feed_id, a->feed);
        if (y->phase == FEED_STARTING) {
            fail_ended(y);
        }
        return;
    }
    if (y->phase == FEED_STARTING) {
        end_live(s, y);
        (void)pthread_mutex_lock(&y->lock);
        become(y, a, view);
        y->least_period_ns = least_period(s);
        (void)pthread_mutex_unlock(&y->lock);
        begin_live(s, y);
    }
    atomic_store(&y->period_ns, a->period_ns);
}

static int open_view(const struct mapper_result *result, struct ring_view **out, struct failure *f)
{
    if (result->failure != NULL) {
        *f = *result->failure;
        return -f->code;
    }
    const struct message_watch_answer *a = &result->answer->watch_answer;
    int opened = ring_view_open(result->fd, a->spool_bytes, out, f);

    if (opened == 0 && ring_view_capacity(*out) != a->spool_bytes) {
        ring_view_close(scope_take_pointer(*out));
        opened = -ERROR_INVALID_ARGUMENT;
    }
    if (opened != -ERROR_INVALID_ARGUMENT) {
        return opened;
    }
    opened = failure_set(f, ERROR_DATA_LOSS, "the mapper gave no spool of a feed");
    failure_cause(f, opened, "the mapper is not the one of this release, or it is taken over");
    return failure_next(f, opened, "see the mapper's log; install both programs from one release");
}

/* What the mapper may hold, though nobody here does. */
static void unwatch_failed(struct feeds *s, const struct feed *y,
                           const struct mapper_result *result)
{
    if (result->answer != NULL) {
        (void)send_unwatch(s, result->answer->watch_answer.feed_id,
                           result->answer->watch_answer.feed);
    } else if (y->view != NULL) {
        (void)send_unwatch(s, y->id, y->number);
    }
}

/* The mapper's number of feeds, or their memory, is used up: what is held there for nobody here makes
 * room, one after the other. (What is short for a moment only, or can never be had, is of no use to ask
 * for again.) */
static bool may_ask_again(struct feeds *s, const struct feed *y, const struct failure *f)
{
    return f->code == ERROR_RESOURCE_EXHAUSTED && f->retry_after_ms >= FAILURE_RETRY_LATER_MS &&
           y->drop_ns == UINT64_MAX && !s->is_stopping && feeds_table_make_room(s, NULL);
}

/* Of one that is starting. */
static void refused(struct feeds *s, struct feed *y, const struct mapper_result *result,
                    const struct failure *f)
{
    if (may_ask_again(s, y, f)) {
        feeds_table_ask(s, y);
        return;
    }
    (void)pthread_mutex_lock(&y->lock);
    feed_fail(y, f);
    (void)pthread_mutex_unlock(&y->lock);
    if (!s->is_stopping) {
        unwatch_failed(s, y, result);
    }
    feeds_table_unlist(s, y);
}

/* Now that the size of its spool is known: is it more than who pays for it may have? */
static int check_spool(struct feeds *s, const struct feed *y, uint64_t spool_bytes,
                       struct failure *f)
{
    return y->phase == FEED_STARTING && y->is_listed && y->live_index < 0
               ? feeds_table_check_payer(s, y->payer, spool_bytes, f)
               : 0;
}

/* On the mapper client's thread, without its locks. */
static void watch_done(void *arg, const struct mapper_result *result)
{
    struct feed *y = arg;
    struct feeds *s = feeds_ref(y->feeds);
    struct ring_view *view = NULL;
    struct failure f = { 0 };
    int opened = open_view(result, &view, &f);

    (void)pthread_mutex_lock(&s->lock);
    feeds_table_take_doorbell(s);
    if (opened == 0) { /* as long as it asks, it is not what makes room */
        opened = check_spool(s, y, result->answer->watch_answer.spool_bytes, &f);
    }
    y->is_asking = false;
    if (opened == 0) {
        install(s, y, &result->answer->watch_answer, &view);
    } else if (y->phase == FEED_STARTING) {
        refused(s, y, result, &f);
    }
    feeds_look_by(s, y->drop_ns < y->ask_ns ? y->drop_ns : y->ask_ns);
    (void)pthread_mutex_unlock(&s->lock);
    feed_wake(y);
    ring_view_close(view);
    feed_unref(y);
    feeds_unref(s);
}
