/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Random sources that append, and subscribers who are cut, overtaken and go on, on a clock that the test
 * moves: each byte that is told is the source's at its place, what was produced is what was delivered and
 * what was declared lost, each once and in order; where less is declared than was lost, at least is said.
 * A run is made of a seed; XENRES_SEED=n runs that one only.
 */
#include "tests/lib/append_play.h"
#include "tests/lib/feeds_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/ring_view.h"
#include "tests/lib/ring_records.h"

enum {
    RUNS = 10000,
    STEPS = 80,
    RECEIVERS = 3,
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

/* --- the source ---------------------------------------------------------------------------------------- */

struct world {
    struct feeds_rig rig;
    struct append_play play;
    struct ring_view *view;
    bool is_over;
    unsigned resumed, refused, open_gaps, empty_gaps; /* in all runs */
};

/* An open loss, and the segment that follows: of a source that was reset at the same time as well. */
static void lose_openly(struct world *x)
{
    append_open_loss(&x->play, chance(3) * chance(5000), chance(3) * chance(5000));
    append_begin(&x->play, chance(3) == 0 ? FEED_BEGIN_RESET : FEED_BEGIN_LOSS);
}

static void move_source(struct world *x)
{
    switch (chance(16)) {
    case 0:
    case 1: append_loss(&x->play, 1 + chance(5000)); break;
    case 2: lose_openly(x); break;
    case 3: append_begin(&x->play, FEED_BEGIN_RESET); break;
    case 4:
    case 5:
        for (uint32_t i = chance(40); i > 0; i--) {
            append_still(&x->play);
        }
        break;
    case 6: append_bytes(&x->play, 1 + chance(APPEND_BYTES_MAX)); break; /* in several records */
    default: append_bytes(&x->play, 1 + chance(300)); break;
    }
    if (chance(4) != 0) {
        rig_ring(&x->rig);
    }
}

/* --- who receives -------------------------------------------------------------------------------------- */

/* What a receiver knows, and goes back to when it was cut. */
struct books {
    uint64_t bytes_before, offset; /* of the next byte */
    uint32_t segment, epoch;
    uint64_t open_losses;
    uint64_t base, delivered, lost; /* base: before it began */
    enum { WITHIN, BEFORE_BEGIN, BEHIND_LOSS } at;
};

struct receiver {
    struct watcher w;
    struct books books, saved;
    bool has_cursor;
    struct feed_cursor cursor;
    bool is_resuming, is_begun, is_ended;
};

/* Where in the source the next byte is; of one that is behind an open loss: at least. */
static uint64_t source_of(const struct world *x, const struct books *b)
{
    return append_source(&x->play, b->segment, b->offset);
}

static bool is_same(const struct subscription_offset *at, const struct books *b)
{
    return at->bytes_before == b->bytes_before && at->offset == b->offset &&
           at->segment == b->segment && at->epoch == b->epoch;
}

/* That an offset is one of the source's. */
static void check_offset(const struct world *x, const struct subscription_offset *at)
{
    MUST(at->segment <= x->play.spool.segment);
    MUST(at->epoch == x->play.segments[at->segment].epoch);
    MUST(at->bytes_before == x->play.segments[at->segment].bytes_before + at->offset);
}

static void go_to(struct books *b, const struct subscription_offset *at)
{
    b->bytes_before = at->bytes_before;
    b->offset = at->offset;
    b->segment = at->segment;
    b->epoch = at->epoch;
    b->at = at->offset == 0 ? BEFORE_BEGIN : WITHIN; /* or behind it: either may come */
}

static void take_begun(struct world *x, struct receiver *v, const struct subscription_item *item)
{
    MUST(!v->is_begun && item->begun.resumed == v->is_resuming);
    v->is_begun = true;
    check_offset(x, &item->begun.at);
    if (v->is_resuming) {
        MUST(is_same(&item->begun.at, &v->books) && item->begun.batch == v->books.open_losses);
        x->resumed++;
        return;
    }
    v->books =
        (struct books){ .base = item->begun.at.bytes_before, .open_losses = item->begun.batch };
    go_to(&v->books, &item->begun.at);
}

static void take_segment(const struct world *x, struct books *b, const struct feed_begin *r)
{
    bool is_expected = b->at == BEFORE_BEGIN && r->segment == b->segment;

    MUST(is_expected || r->segment == b->segment + 1);
    MUST(is_expected || (r->reason == FEED_BEGIN_LOSS) <= (b->at == BEHIND_LOSS));
    MUST(r->blocks_before == b->bytes_before && r->batch == b->open_losses);
    MUST(r->epoch == x->play.segments[r->segment].epoch);
    if (b->at == WITHIN) { /* by a reset: nothing of the source is between */
        MUST(source_of(x, b) == x->play.segments[r->segment].source);
    }
    b->segment = r->segment;
    b->epoch = r->epoch;
    b->offset = 0;
    b->at = WITHIN;
}

static void take_bytes(const struct world *x, struct books *b, const struct feed_record *r)
{
    MUST(b->at != BEHIND_LOSS);
    MUST(r->bytes->bytes_before == b->bytes_before && r->bytes->offset == b->offset);
    MUST(r->bytes->segment == b->segment && r->bytes->epoch == b->epoch);
    MUST(r->bytes->open_losses == b->open_losses);
    MUST(append_is_true(&x->play, r->bytes, r->contents));
    b->bytes_before += r->bytes->len_bytes;
    b->offset += r->bytes->len_bytes;
    b->delivered += r->bytes->len_bytes;
    b->at = WITHIN;
}

static void take_loss(struct books *b, const struct feed_loss *r)
{
    MUST(b->at != BEHIND_LOSS);
    MUST(r->bytes_before == b->bytes_before && r->offset == b->offset);
    MUST(r->segment == b->segment && r->epoch == b->epoch && r->open_losses == b->open_losses);
    b->bytes_before += r->len_bytes;
    b->offset += r->len_bytes;
    b->lost += r->len_bytes;
    b->open_losses += r->at_least;
    b->at = r->at_least != 0 ? BEHIND_LOSS : WITHIN;
}

static void take_gap(struct world *x, struct books *b, const struct subscription_item *item)
{
    const struct subscription_offset *at = &item->gap.at;
    uint64_t source = source_of(x, b);

    MUST(item->gap.reason == FEED_GAP_TOO_SLOW);
    MUST(item->gap.first_batch == b->open_losses + 1 && item->gap.batch >= b->open_losses);
    MUST(item->gap.at_least == (item->gap.batch > b->open_losses));
    MUST(at->bytes_before == b->bytes_before + item->gap.blocks);
    check_offset(x, at);
    MUST(item->gap.blocks > 0 || item->gap.at_least || at->segment > b->segment);
    uint64_t truth = append_source(&x->play, at->segment, at->offset) - source;

    MUST(item->gap.at_least || b->at == BEHIND_LOSS ? truth >= item->gap.blocks
                                                    : truth == item->gap.blocks);
    x->open_gaps += item->gap.at_least;
    x->empty_gaps += item->gap.blocks == 0;
    b->lost += item->gap.blocks;
    b->open_losses = item->gap.batch;
    go_to(b, at);
}

static void take_record(const struct world *x, struct receiver *v, const struct feed_record *r)
{
    switch (r->kind) {
    case FEED_RECORD_BEGIN: take_segment(x, &v->books, r->begin); break;
    case FEED_RECORD_BYTES: take_bytes(x, &v->books, r); break;
    case FEED_RECORD_LOSS: take_loss(&v->books, r->loss); break;
    default: MUST(false);
    }
}

static void take(struct world *x, struct receiver *v, const struct subscription_item *item)
{
    MUST((item->kind == SUBSCRIPTION_BEGUN || v->is_begun) && !v->is_ended);
    switch (item->kind) {
    case SUBSCRIPTION_BEGUN: take_begun(x, v, item); break;
    case SUBSCRIPTION_RECORD: take_record(x, v, &item->record.record); break;
    case SUBSCRIPTION_STILL: MUST(item->still.batch == v->books.open_losses); break;
    case SUBSCRIPTION_GAP: take_gap(x, &v->books, item); break;
    case SUBSCRIPTION_ENDED:
        MUST(x->is_over && item->ended.bytes == x->play.spool.blocks);
        MUST(item->ended.batch == x->play.spool.batch);
        v->is_ended = true;
        break;
    case SUBSCRIPTION_IMAGE:
    case SUBSCRIPTION_MERGED: MUST(false);
    case SUBSCRIPTION_NOTHING: break;
    }
}

static void subscribe(struct world *x, struct receiver *v)
{
    struct subscription_request request = rig_request(&v->w, 0, SUBSCRIPTION_DELTA);

    request.source.type = RESOURCE_VMTRACE_BUF;
    request.source.frame_count = 16;
    request.deadline_ns = 0;
    v->is_begun = false;
    v->is_resuming = v->has_cursor;
    if (v->has_cursor) {
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
        x->refused++;
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
        MUST(v->books.at != BEHIND_LOSS && v->cursor.offset == v->books.offset);
        MUST(v->cursor.blocks_before == v->books.bytes_before);
        v->has_cursor = true;
        v->saved = v->books;
    }
    return true;
}

static void read_some(struct world *x, struct receiver *v)
{
    uint64_t wake_ns;

    for (uint32_t i = chance(12); i > 0; i--) {
        unsigned before = watcher_wakes(&v->w);

        if (!receive(x, v, &wake_ns) && rig_serve(&x->rig) > 0 && !v->is_begun) {
            watcher_wait(&v->w, before);
        }
    }
}

static bool is_drained(const struct world *x, const struct receiver *v)
{
    return x->is_over ? v->is_ended
                      : v->is_begun && subscription_lag(v->w.u) == 0 &&
                            v->books.bytes_before == x->play.spool.blocks;
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
    const struct books *b = &v->books;

    MUST(b->base + b->delivered + b->lost == x->play.spool.blocks);
    MUST(b->open_losses == x->play.spool.batch);
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

static void end_source(struct world *x)
{
    if (chance(4) == 0) {
        append_open_loss(&x->play, chance(100), chance(100)); /* the last that is known of it */
    }
    append_end(&x->play, FEED_END_RESOURCE);
    x->is_over = true;
}

static void run_one(struct world *x, uint64_t seed)
{
    static struct receiver receivers[RECEIVERS];

    run_seed = seed;
    chance_state = 0;
    x->is_over = false;
    append_new(&x->play, (uint32_t)seed + 1);
    MUST(ring_view_open(ring_fd(x->play.spool.ring), APPEND_CAPACITY_BYTES, &x->view, NULL) == 0);
    x->rig.plays[0] = &x->play.feed;
    for (unsigned i = 0; i < RECEIVERS; i++) {
        receivers[i] = (struct receiver){ .w = WATCHER_INIT };
        subscribe(x, &receivers[i]);
    }
    for (int i = 0; i < STEPS; i++) {
        step(x, receivers);
    }
    for (unsigned i = 0; i < RECEIVERS; i++) {
        while (!receivers[i].is_begun) { /* else its feed may be over, and there is no other */
            uint64_t wake_ns;
            unsigned before = watcher_wakes(&receivers[i].w);

            if (!receive(x, &receivers[i], &wake_ns) && rig_serve(&x->rig) > 0) {
                watcher_wait(&receivers[i].w, before);
            }
        }
    }
    if (chance(2) == 0) {
        end_source(x);
    }
    for (unsigned i = 0; i < RECEIVERS; i++) {
        drain(x, &receivers[i]);
        watcher_end(&receivers[i].w);
    }
    let_go(x);
    ring_view_close(x->view);
    append_free(&x->play);
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
        assert_true(c.gaps_too_slow > 1000 && x.open_gaps > 1000 && x.empty_gaps > 10);
        assert_true(x.resumed > 1000 && x.refused > 1000);
    }
    printf("%llu bytes delivered, %llu lost in %llu gaps (%u open, %u empty), %u went on, %u could "
           "not\n",
           (unsigned long long)c.delivered_bytes, (unsigned long long)c.lost_bytes,
           (unsigned long long)c.gaps_too_slow, x.open_gaps, x.empty_gaps, x.resumed, x.refused);
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
