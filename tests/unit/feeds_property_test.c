/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Random sources and subscribers on a clock that the test moves: whatever is done, each receiver's image
 * is the source's at each number that it is told of, and what was produced is what was delivered and what
 * was declared lost, each once. A run is made of a seed; XENRES_SEED=n runs that one only.
 */
#include "tests/lib/feeds_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/ring_view.h"
#include "tests/lib/ring_records.h"

enum {
    RUNS = 10000,
    STEPS = 60,
    RECEIVERS = 3,
    BLOCKS_MAX = 12,
    STATES_MAX = STEPS + 16,
    CAPACITY_BYTES = 4096,
    LINGER_MS = 400,
};

/* --- a clock and chance -------------------------------------------------------------------------------- */

static _Atomic uint64_t now_ns = 1000 * CLOCK_NS_PER_S;
static uint64_t chance_state;
static uint64_t run_seed;

static uint64_t read_clock(void *arg)
{
    (void)arg;
    return atomic_load(&now_ns);
}

static uint32_t chance(uint32_t below)
{
    chance_state++;
    return (uint32_t)(ring_records_mix(chance_state ^ run_seed << 32) % below);
}

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu: %s:%d: %s\n", (unsigned long long)run_seed, __FILE__,      \
                    __LINE__, #condition);                                                         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* --- what the source was ------------------------------------------------------------------------------- */

struct source_state {
    uint32_t segment, block_count;
    uint64_t batch;
    uint8_t image[BLOCKS_MAX * FEED_BLOCK_BYTES];
};

struct world {
    struct feeds_rig rig;
    struct feed_source_play play;
    struct ring_view *view;
    struct source_state states[STATES_MAX];
    unsigned state_count;
    bool is_over;
};

static void note_state(struct world *x)
{
    struct source_state *s = &x->states[x->state_count++];

    MUST(x->state_count <= STATES_MAX);
    s->segment = x->play.segment;
    s->batch = x->play.batch;
    s->block_count = x->play.block_count;
    memcpy(s->image, x->play.image, x->play.block_count * FEED_BLOCK_BYTES);
}

static const struct source_state *state_at(const struct world *x, uint32_t segment, uint64_t batch)
{
    for (unsigned i = x->state_count; i > 0; i--) {
        if (x->states[i - 1].segment == segment && x->states[i - 1].batch == batch) {
            return &x->states[i - 1];
        }
    }
    return NULL;
}

static void change(struct world *x)
{
    uint32_t blocks[BLOCKS_MAX], count = 0;

    for (uint32_t b = 0; b < x->play.block_count; b++) {
        if (chance(3) == 0) {
            memset(x->play.image + (size_t)b * FEED_BLOCK_BYTES, (int)chance(256),
                   FEED_BLOCK_BYTES);
            blocks[count++] = b;
        }
    }
    for (uint32_t at = 0; at < count;) {
        uint32_t part = 1 + chance(count - at);

        feed_play_part(&x->play, blocks + at, part, at + part < count);
        at += part;
    }
    if (count > 0) {
        note_state(x);
    }
}

static void begin_segment(struct world *x)
{
    bool is_too_many = chance(2) == 0;

    if (!is_too_many) {
        x->play.block_count = 1 + chance(BLOCKS_MAX);
    }
    for (uint32_t i = 0; i < x->play.block_count * FEED_BLOCK_BYTES; i += 8) {
        x->play.image[i] = (uint8_t)chance(256);
    }
    feed_play_begin(&x->play, is_too_many ? FEED_BEGIN_TOO_MANY : FEED_BEGIN_RESIZED, is_too_many,
                    is_too_many ? x->play.block_count : 0);
    note_state(x);
}

static void move_source(struct world *x)
{
    switch (chance(12)) {
    case 0: feed_play_still(&x->play, 1 + chance(9), chance(2)); break;
    case 1: begin_segment(x); break;
    default: change(x); break;
    }
    if (chance(4) != 0) {
        rig_ring(&x->rig);
    }
}

/* --- who receives -------------------------------------------------------------------------------------- */

/* What a receiver has, and goes back to when it was cut. */
struct books {
    uint8_t image[BLOCKS_MAX * FEED_BLOCK_BYTES];
    uint32_t segment, block_count;
    uint64_t batch;
    uint64_t base_blocks, blocks; /* at its first image; delivered and declared lost since */
    bool is_in_batch, is_void;    /* void: until the next image */
};

struct receiver {
    struct watcher w;
    enum subscription_mode mode;
    uint64_t period_ns;
    struct books books, saved;
    bool has_cursor;
    struct feed_cursor cursor;
    bool is_resuming, is_image_needed, is_begun, is_ended;
    bool counts_blocks; /* got each batch by itself */
};

static void apply(struct receiver *v, const uint32_t *blocks, const uint8_t *contents,
                  uint32_t count)
{
    MUST(!v->books.is_void);
    for (uint32_t i = 0; i < count; i++) {
        MUST(blocks[i] < v->books.block_count);
        memcpy(v->books.image + (size_t)blocks[i] * FEED_BLOCK_BYTES,
               contents + (size_t)i * FEED_BLOCK_BYTES, FEED_BLOCK_BYTES);
    }
}

static void compare(const struct world *x, const struct receiver *v)
{
    const struct source_state *s = state_at(x, v->books.segment, v->books.batch);

    MUST(s != NULL && !v->books.is_void);
    MUST(s->block_count == v->books.block_count);
    MUST(memcmp(s->image, v->books.image, s->block_count * FEED_BLOCK_BYTES) == 0);
}

static void take_begun(struct receiver *v, const struct subscription_item *item)
{
    MUST(!v->is_begun);
    MUST(item->begun.resumed == v->is_resuming);
    v->is_begun = true;
    if (v->is_resuming) {
        MUST(item->begun.batch == v->books.batch);
    } else {
        v->books = (struct books){ .batch = item->begun.batch, .is_void = true };
        v->counts_blocks = v->mode == SUBSCRIPTION_DELTA && v->period_ns <= 1;
    }
}

static void take_image(const struct world *x, struct receiver *v,
                       const struct subscription_item *item)
{
    const struct message_image_answer *a = &item->image.answer;
    struct books *b = &v->books;
    size_t len;
    const void *bytes = mapper_slot_bytes(item->image.slot, &len);

    if (item->image.first_batch != 0) {
        MUST(v->mode != SUBSCRIPTION_DELTA);
        MUST(item->image.first_batch == b->batch + 1 && a->batch > b->batch);
    } else {
        MUST(a->batch == b->batch);
    }
    MUST(a->segment >= b->segment);
    if (b->is_void && b->base_blocks == 0 && b->blocks == 0) {
        b->base_blocks = a->blocks_before;
    }
    b->batch = a->batch;
    b->segment = a->segment;
    b->block_count = (uint32_t)(len / FEED_BLOCK_BYTES);
    b->is_void = b->is_in_batch = false;
    memcpy(b->image, bytes, len);
    compare(x, v);
}

static void take_record(const struct world *x, struct receiver *v, const struct feed_record *r)
{
    const struct feed_changes *c = r->changes;

    MUST(r->kind == FEED_RECORD_CHANGES && c->batch == v->books.batch + 1);
    MUST(c->segment == v->books.segment);
    apply(v, r->blocks, r->contents, c->block_count);
    v->books.blocks += c->block_count;
    v->books.is_in_batch = c->more != 0;
    if (c->more == 0) {
        v->books.batch = c->batch;
        compare(x, v);
    }
}

static void take_merged(const struct world *x, struct receiver *v,
                        const struct subscription_item *item)
{
    MUST(!v->books.is_in_batch && v->period_ns + v->mode > 1 + SUBSCRIPTION_DELTA);
    MUST(item->merged.first_batch == v->books.batch + 1);
    MUST(item->merged.batch >= item->merged.first_batch);
    MUST(item->merged.segment == v->books.segment);
    for (uint32_t i = 1; i < item->merged.block_count; i++) {
        MUST(item->merged.blocks[i] > item->merged.blocks[i - 1]);
    }
    apply(v, item->merged.blocks, item->merged.contents, item->merged.block_count);
    v->books.batch = item->merged.batch;
    v->counts_blocks = false;
    compare(x, v);
}

static void take_gap(struct receiver *v, const struct subscription_item *item)
{
    MUST(v->mode == SUBSCRIPTION_DELTA); /* to the others, an image that has it is enough */
    MUST(item->gap.first_batch == v->books.batch + 1 && item->gap.batch >= item->gap.first_batch);
    v->books.batch = item->gap.batch;
    v->books.blocks += item->gap.blocks;
    v->books.is_void = true;
}

static void take(struct world *x, struct receiver *v, const struct subscription_item *item)
{
    MUST(item->kind == SUBSCRIPTION_BEGUN || v->is_begun);
    MUST(!v->books.is_void || item->kind == SUBSCRIPTION_IMAGE || item->kind == SUBSCRIPTION_BEGUN);
    switch (item->kind) {
    case SUBSCRIPTION_BEGUN: take_begun(v, item); break;
    case SUBSCRIPTION_IMAGE: take_image(x, v, item); break;
    case SUBSCRIPTION_RECORD: take_record(x, v, &item->record.record); break;
    case SUBSCRIPTION_MERGED: take_merged(x, v, item); break;
    case SUBSCRIPTION_STILL: MUST(item->still.batch == v->books.batch); break;
    case SUBSCRIPTION_GAP: take_gap(v, item); break;
    case SUBSCRIPTION_ENDED:
        MUST(x->is_over && !v->is_ended && item->ended.batch == x->play.batch);
        v->is_ended = true;
        break;
    case SUBSCRIPTION_NOTHING: break;
    }
}

static void subscribe(struct world *x, struct receiver *v)
{
    struct subscription_request request = rig_request(&v->w, 0, v->mode);

    request.deadline_ns = 0;
    request.period_ns = v->period_ns;
    v->is_begun = false;
    v->is_resuming = v->has_cursor;
    if (v->has_cursor) {
        v->is_image_needed = chance(4) == 0;
        request.is_image_needed = v->is_image_needed;
        request.cursor = &v->cursor;
        v->books = v->saved;
    }
    v->has_cursor = false;
    watcher_begin(&x->rig, &v->w, &request);
}

/* One look. False: there was nothing. */
static bool receive(struct world *x, struct receiver *v, uint64_t *wake_ns)
{
    struct subscription_item item;
    struct failure f = { 0 };
    int result = subscription_next(v->w.u, &item, &f);

    if (result != 0) {
        MUST(result == -ERROR_OUT_OF_RANGE && v->is_resuming && !v->is_begun);
        MUST(ring_view_check(x->view, &v->cursor.place, NULL) == RING_OVERTAKEN);
        watcher_end(&v->w);
        subscribe(x, v); /* from the beginning: has_cursor was taken away */
        *wake_ns = 0;
        return true;
    }
    *wake_ns = item.wake_ns;
    if (item.kind == SUBSCRIPTION_NOTHING) {
        return false;
    }
    take(x, v, &item);
    if (chance(3) == 0 && subscription_cursor(v->w.u, &v->cursor)) {
        MUST(!v->books.is_in_batch && !v->books.is_void);
        MUST(v->cursor.batch == v->books.batch);
        v->has_cursor = true;
        v->saved = v->books;
    }
    return true;
}

/* Waits for the mapper, that is, and not for changes. */
static bool is_asking(const struct receiver *v, uint64_t wake_ns)
{
    struct feed_cursor c;

    return wake_ns == UINT64_MAX && !v->books.is_in_batch &&
           (!v->is_begun || !subscription_cursor(v->w.u, &c));
}

static void read_some(struct world *x, struct receiver *v)
{
    uint64_t wake_ns;

    for (uint32_t i = chance(6); i > 0; i--) {
        unsigned before = watcher_wakes(&v->w);

        if (!receive(x, v, &wake_ns) && rig_serve(&x->rig) > 0 && chance(4) != 0 &&
            is_asking(v, wake_ns)) {
            watcher_wait(&v->w, before);
        }
    }
}

static bool is_drained(const struct world *x, struct receiver *v)
{
    struct feed_cursor c;

    if (x->is_over) {
        return v->is_ended;
    }
    return v->is_begun && subscription_lag(v->w.u) == 0 && subscription_cursor(v->w.u, &c) &&
           v->books.batch == x->play.batch && !v->books.is_void &&
           v->books.segment == x->play.segment;
}

static void drain(struct world *x, struct receiver *v)
{
    rig_ring(&x->rig);
    for (int looks = 0; !is_drained(x, v); looks++) {
        uint64_t wake_ns;
        unsigned before = watcher_wakes(&v->w);

        MUST(looks < 10000);
        if (receive(x, v, &wake_ns)) {
            continue;
        }
        (void)rig_serve(&x->rig);
        if (wake_ns != UINT64_MAX) {
            atomic_store(&now_ns, wake_ns > now_ns ? wake_ns : now_ns);
        } else if (!is_drained(x, v)) {
            watcher_wait(&v->w, before);
        }
    }
    compare(x, v);
    if (v->counts_blocks) {
        MUST(v->books.base_blocks + v->books.blocks == x->play.blocks);
    }
}

/* --- a run --------------------------------------------------------------------------------------------- */

static void step(struct world *x, struct receiver *receivers)
{
    struct receiver *v = &receivers[chance(RECEIVERS)];

    switch (chance(10)) {
    case 0: atomic_fetch_add(&now_ns, chance(60) * CLOCK_NS_PER_MS); break;
    case 1:
        if (v->has_cursor) {
            watcher_end(&v->w);
            subscribe(x, v);
        }
        break;
    case 2:
    case 3:
    case 4: read_some(x, v); break;
    default: move_source(x); break;
    }
    if (chance(8) == 0) {
        (void)rig_serve(&x->rig);
    }
}

static void let_go(struct world *x)
{
    struct feeds_counters c;

    atomic_fetch_add(&now_ns, 2 * LINGER_MS * CLOCK_NS_PER_MS);
    for (int i = 0; i < 10000; i++) {
        feeds_count(x->rig.feeds, &c);
        if (c.feeds == 0) {
            break;
        }
        rig_ring(&x->rig);
        (void)rig_serve_one(&x->rig, 1);
    }
    MUST(c.feeds == 0 && c.subscribers == 0);
    (void)rig_serve(&x->rig);
}

static void run_one(struct world *x, uint64_t seed)
{
    static struct receiver receivers[RECEIVERS];

    run_seed = seed;
    chance_state = 0;
    x->state_count = 0;
    x->is_over = false;
    feed_play_new(&x->play, CAPACITY_BYTES, 1 + chance(BLOCKS_MAX), (uint32_t)seed + 1);
    MUST(ring_view_open(ring_fd(x->play.ring), CAPACITY_BYTES, &x->view, NULL) == 0);
    x->rig.plays[0] = &x->play;
    feed_play_begin(&x->play, FEED_BEGIN_START, 0, 0);
    note_state(x);
    for (unsigned i = 0; i < RECEIVERS; i++) {
        receivers[i] = (struct receiver){
            .w = WATCHER_INIT,
            .mode = SUBSCRIPTION_DELTA + chance(3),
            .period_ns = chance(2) == 0 ? 0 : (1 + chance(50)) * CLOCK_NS_PER_MS,
        };
        subscribe(x, &receivers[i]);
    }
    for (int i = 0; i < STEPS; i++) {
        step(x, receivers);
    }
    if (chance(2) == 0) {
        for (unsigned i = 0; i < RECEIVERS; i++) {
            drain(x, &receivers[i]); /* else an image could not be had any more */
        }
        feed_play_end(&x->play, FEED_END_RESOURCE);
        x->is_over = true;
    }
    for (unsigned i = 0; i < RECEIVERS; i++) {
        drain(x, &receivers[i]);
        watcher_end(&receivers[i].w);
    }
    let_go(x);
    ring_view_close(x->view);
    feed_play_free(&x->play);
}

static void what_is_produced_is_delivered_or_declared_lost_once(void **state)
{
    static struct world x;
    const struct clock_source source = { .monotonic_ns = read_clock, .wall_ns = read_clock };
    const struct feeds_options options = {
        .feeds_max = 8, .subscribers_max = 8, .subscribers_per_identity = 8, .linger_ms = LINGER_MS
    };
    const char *only = getenv("XENRES_SEED");
    struct feeds_counters c;

    (void)state;
    clock_set_source(&source);
    rig_begin(&x.rig, &options);
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        if (only == NULL || strtoull(only, NULL, 10) == seed) {
            run_one(&x, seed);
        }
    }
    feeds_count(x.rig.feeds, &c);
    if (only == NULL) { /* all that can happen has happened */
        assert_true(c.gaps_too_slow > 1000 && c.gaps_too_many > 100 && c.gaps_segment > 10 &&
                    c.gaps_resumed > 100);
    }
    printf("%llu batches delivered, %llu lost, %llu images, gaps %llu %llu %llu %llu\n",
           (unsigned long long)c.delivered_batches, (unsigned long long)c.lost_batches,
           (unsigned long long)c.images, (unsigned long long)c.gaps_too_slow,
           (unsigned long long)c.gaps_too_many, (unsigned long long)c.gaps_segment,
           (unsigned long long)c.gaps_resumed);
    rig_end(&x.rig);
    clock_set_source(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_produced_is_delivered_or_declared_lost_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
