/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Positions of bytes: proper streams, what comes again, what is missing, and what a gateway may not say;
 * and random streams of a trace that the test knows byte by byte, some of which lie. `SEED=n` in the
 * environment runs one seed alone. */
#include "tests/lib/unit.h"

#include <inttypes.h>
#include <stdlib.h>

#include "client/byte_numbering.h"

#define FEED  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

enum { SEEDS = 10000 };

static struct byte_place place(uint64_t position, uint32_t segment, uint32_t epoch, uint64_t offset)
{
    return (struct byte_place){
        .position = position, .segment = segment, .epoch = epoch, .offset = offset
    };
}

static struct byte_verdict verdict;

static int begin(struct byte_numbering *n, bool resumed, bool from_kept, struct byte_place at)
{
    struct fault fault = { 0 };
    const struct byte_begin b = { .feed = FEED, .resumed = resumed, .at = at };

    return byte_numbering_begin(n, &b, from_kept, &verdict, &fault);
}

static int take(struct byte_numbering *n, struct byte_item item)
{
    struct fault fault = { 0 };

    return byte_numbering_take(n, &item, &verdict, &fault);
}

static struct byte_item data(struct byte_place at, uint64_t length)
{
    return (struct byte_item){ .kind = BYTE_DATA, .at = at, .length = length };
}

static struct byte_item gap(uint64_t position, uint64_t length, bool at_least, struct byte_place to)
{
    return (struct byte_item){
        .kind = BYTE_GAP, .at.position = position, .length = length, .at_least = at_least, .to = to
    };
}

static struct byte_item segment(struct byte_place at, uint32_t reason)
{
    return (struct byte_item){ .kind = BYTE_SEGMENT, .at = at, .reason = reason };
}

static struct byte_item mark(enum byte_kind kind, uint64_t position)
{
    return (struct byte_item){ .kind = kind, .at.position = position };
}

static void takes(struct byte_numbering *n, struct byte_item item, bool is_new, uint64_t skip)
{
    assert_int_equal(take(n, item), 0);
    assert_int_equal(verdict.is_new, is_new);
    assert_int_equal(verdict.skip, skip);
}

static void refuses(const struct byte_numbering *n, struct byte_item item)
{
    struct byte_numbering copy = *n;

    assert_int_equal(take(&copy, item), -ERROR_INTERNAL);
}

/* At byte 10 of the first segment. */
static struct byte_numbering begun(void)
{
    struct byte_numbering n = { .is_known = false };

    assert_int_equal(begin(&n, false, false, place(0, 0, 0, 0)), 0);
    assert_false(verdict.lost.is_some);
    takes(&n, segment(place(0, 0, 0, 0), XENRES_TRACE_SEGMENT_START), true, 0);
    takes(&n, data(place(0, 0, 0, 0), 10), true, 0);
    return n;
}

static void bytes_follow_each_other(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    takes(&n, data(place(10, 0, 0, 10), 5), true, 0);
    takes(&n, mark(BYTE_CHECKPOINT, 15), true, 0);
    takes(&n, gap(15, 7, false, place(0, 0, 0, 22)), true, 0);
    takes(&n, data(place(22, 0, 0, 22), 1), true, 0);
    takes(&n, gap(23, 100, true, place(0, 0, 0, 123)), true, 0);
    takes(&n, mark(BYTE_HEARTBEAT, 123), true, 0);
    takes(&n, segment(place(123, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), true, 0);
    takes(&n, data(place(123, 1, 0, 0), 4), true, 0);
    takes(&n, gap(127, 0, true, place(0, 1, 0, 4)), true, 0);
    takes(&n, segment(place(127, 2, 1, 0), XENRES_TRACE_SEGMENT_RESET), true, 0);
    takes(&n, segment(place(127, 3, 2, 0), XENRES_TRACE_SEGMENT_RESET), true, 0);
    takes(&n, gap(127, 50, true, place(0, 5, 3, 20)), true, 0); /* into the midst of another */
    takes(&n, data(place(177, 5, 3, 20), 3), true, 0);
    takes(&n, mark(BYTE_END, 200), true, 0);
    assert_int_equal(byte_numbering_rest(&n, 200), 20);
    assert_int_equal(byte_numbering_rest(&n, 180), 0);
}

static void what_has_a_hole_is_refused(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    refuses(&n, data(place(11, 0, 0, 11), 5));
    refuses(&n, data(place(9, 0, 0, 9), 5));
    refuses(&n, data(place(10, 0, 0, 9), 5));
    refuses(&n, data(place(10, 1, 0, 0), 5));
    refuses(&n, data(place(10, 0, 1, 10), 5));
    refuses(&n, data(place(10, 0, 0, 10), 0));
    refuses(&n, data(place(10, 0, 0, 10), BYTE_NUMBERING_MAX - 9));
    refuses(&n, data(place(10, 0, 0, 10), UINT64_MAX));
    refuses(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS)); /* none was told of */
    refuses(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_START));
    refuses(&n, segment(place(10, 0, 0, 10), XENRES_TRACE_SEGMENT_LOSS));
    refuses(&n, segment(place(10, 2, 1, 0), XENRES_TRACE_SEGMENT_RESET));
    refuses(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_RESET));
    refuses(&n, segment(place(11, 1, 1, 0), XENRES_TRACE_SEGMENT_RESET));
    refuses(&n, gap(11, 5, false, place(0, 0, 0, 16)));
    refuses(&n, gap(10, 5, false, place(0, 0, 0, 16)));
    refuses(&n, gap(10, 0, false, place(0, 0, 0, 10)));
    refuses(&n, gap(10, 5, false, place(0, 1, 0, 0))); /* an open loss that is not told */
    refuses(&n, gap(10, 5, true, place(0, 1, 0, 6)));  /* it would begin before the gap */
    refuses(&n, gap(10, 5, true, place(0, 1, 2, 0)));  /* more resets than segments */
    refuses(&n, gap(10, UINT64_MAX, true, place(0, 0, 0, 9)));
    refuses(&n, mark(BYTE_CHECKPOINT, 11));
    refuses(&n, mark(BYTE_CHECKPOINT, 9));
    refuses(&n, mark(BYTE_HEARTBEAT, 11));
    refuses(&n, mark(BYTE_END, 9));
    refuses(&n, mark(BYTE_END, UINT64_MAX));
    refuses(&n, mark(BYTE_BEGIN, 10));
}

static void behind_an_open_loss_a_segment_begins(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    takes(&n, gap(10, 5, true, place(0, 0, 0, 15)), true, 0);
    refuses(&n, data(place(15, 0, 0, 15), 1));
    refuses(&n, gap(15, 5, false, place(0, 0, 0, 20)));
    refuses(&n, segment(place(15, 2, 0, 0), XENRES_TRACE_SEGMENT_LOSS));
    refuses(&n, segment(place(15, 1, 1, 0), XENRES_TRACE_SEGMENT_LOSS));
    takes(&n, mark(BYTE_END, 15), true, 0);
    takes(&n, gap(15, 5, false, place(0, 1, 0, 5)), true, 0); /* it is the one that is known */
}

static void what_comes_again_is_not_new(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    takes(&n, gap(10, 0, true, place(0, 0, 0, 10)), true, 0);
    takes(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), true, 0);
    takes(&n, data(place(10, 1, 0, 0), 10), true, 0);
    assert_int_equal(begin(&n, false, false, place(0, 0, 0, 0)), 0);
    assert_false(verdict.lost.is_some);
    assert_int_equal(byte_numbering_next(&n).position, 20);
    takes(&n, segment(place(0, 0, 0, 0), XENRES_TRACE_SEGMENT_START), false, 0);
    takes(&n, data(place(0, 0, 0, 0), 10), false, 10);
    refuses(&n, data(place(10, 0, 0, 10), 2)); /* another segment was there before */
    takes(&n, gap(10, 0, true, place(0, 0, 0, 10)), false, 0);
    takes(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), false, 0);
    takes(&n, mark(BYTE_HEARTBEAT, 10), false, 0);
    refuses(&n, gap(10, 30, true, place(0, 1, 0, 31)));
    takes(&n, data(place(10, 1, 0, 0), 25), true, 10);
}

static void a_stream_goes_on_where_it_was_asked_to(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    byte_numbering_keep(&n);
    takes(&n, data(place(10, 0, 0, 10), 5), true, 0);
    struct byte_numbering copy = n;

    assert_int_equal(begin(&copy, true, true, place(9, 0, 0, 9)), -ERROR_INTERNAL);
    copy = n;
    assert_int_equal(begin(&copy, true, true, place(15, 0, 0, 15)), -ERROR_INTERNAL);
    copy = n;
    assert_int_equal(begin(&copy, true, false, place(16, 0, 0, 16)), -ERROR_INTERNAL);
    assert_int_equal(begin(&n, true, true, place(10, 0, 0, 10)), 0);
    assert_false(verdict.lost.is_some);
    takes(&n, data(place(10, 0, 0, 10), 7), true, 5);
}

/* What a cursor was kept behind is known: nobody may leave out the loss. */
static void an_open_loss_is_remembered_with_the_cursor(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    byte_numbering_keep(&n);
    assert_int_equal(begin(&n, true, true, place(10, 0, 0, 10)), 0);
    refuses(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS));
    takes(&n, gap(10, 0, true, place(0, 0, 0, 10)), true, 0);
    byte_numbering_keep(&n);
    assert_int_equal(begin(&n, true, true, place(10, 0, 0, 10)), 0);
    takes(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), true, 0);
    /* Of one from elsewhere it is not known. */
    n = (struct byte_numbering){ .is_known = false };
    assert_int_equal(begin(&n, true, false, place(10, 0, 0, 10)), 0);
    takes(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), true, 0);
}

static void lost_is(bool is_before_all, uint64_t position, uint64_t length, bool at_least)
{
    assert_true(verdict.lost.is_some);
    assert_int_equal(verdict.lost.is_before_all, is_before_all);
    assert_int_equal(verdict.lost.position, position);
    assert_int_equal(verdict.lost.length, length);
    assert_int_equal(verdict.lost.at_least, at_least);
}

static void what_is_no_longer_held_is_lost(void **state)
{
    struct byte_numbering n = { .is_known = false };

    (void)state;
    assert_int_equal(begin(&n, false, false, place(100, 0, 0, 100)), 0);
    lost_is(true, 0, 100, false);
    n = (struct byte_numbering){ .is_known = false };
    assert_int_equal(begin(&n, false, false, place(100, 2, 1, 50)), 0);
    lost_is(true, 0, 100, true);
    n = (struct byte_numbering){ .is_known = false };
    assert_int_equal(begin(&n, false, false, place(0, 1, 0, 0)), 0);
    lost_is(true, 0, 0, true);
    n = begun();
    assert_int_equal(begin(&n, false, false, place(30, 0, 0, 30)), 0);
    lost_is(false, 10, 20, false);
    assert_int_equal(begin(&n, false, false, place(40, 1, 0, 5)), 0);
    lost_is(false, 30, 10, true);
    assert_int_equal(begin(&n, false, false, place(40, 1, 0, 4)), -ERROR_INTERNAL);
    n = begun();
    assert_int_equal(begin(&n, false, false, place(30, 0, 0, 29)), -ERROR_INTERNAL);
    n = begun();
    assert_int_equal(begin(&n, false, false, place(30, 1, 0, 21)), -ERROR_INTERNAL);
    n = begun();
    assert_int_equal(begin(&n, false, false, place(UINT64_MAX, 0, 0, 30)), -ERROR_INTERNAL);
}

static void a_feed_is_kept_to(void **state)
{
    struct byte_numbering n = begun();
    struct fault fault = { 0 };
    const struct byte_begin b = { .feed = OTHER };

    (void)state;
    assert_int_equal(byte_numbering_begin(&n, &b, false, &verdict, &fault), -ERROR_INTERNAL);
}

/* What a file has, a position says. */
static void a_position_alone_is_enough_to_go_on(void **state)
{
    struct byte_numbering n = { .is_known = false };

    (void)state;
    byte_numbering_know(&n, FEED, 15);
    assert_int_equal(begin(&n, false, false, place(0, 0, 0, 0)), 0);
    assert_false(verdict.lost.is_some);
    takes(&n, segment(place(0, 0, 0, 0), XENRES_TRACE_SEGMENT_START), false, 0);
    takes(&n, data(place(0, 0, 0, 0), 10), false, 10);
    takes(&n, gap(10, 1, true, place(0, 0, 0, 11)), false, 1);
    takes(&n, segment(place(11, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), false, 0);
    takes(&n, data(place(11, 1, 0, 0), 10), true, 4);
    takes(&n, data(place(21, 1, 0, 10), 1), true, 0);
    byte_numbering_know(&n, FEED, 15);
    assert_int_equal(begin(&n, false, false, place(20, 1, 0, 3)), 0);
    lost_is(false, 15, 5, true);
    byte_numbering_know(&n, FEED, 15);
    assert_int_equal(begin(&n, true, false, place(15, 1, 0, 4)), 0);
    assert_false(verdict.lost.is_some);
    takes(&n, data(place(15, 1, 0, 4), 1), true, 0);
    /* What was lost before a segment that begins just there, neither it nor a cursor says. */
    for (int resumed = 0; resumed < 2; resumed++) {
        byte_numbering_know(&n, FEED, 15);
        assert_int_equal(begin(&n, resumed, false, place(15, 1, 1, 0)), 0);
        lost_is(false, 15, 0, true);
        takes(&n, segment(place(15, 1, 1, 0), XENRES_TRACE_SEGMENT_RESET), true, 0);
    }
}

/* --- at random, against a trace that is known --- */

enum { EVENTS_MAX = 40, STREAMS_MAX = 12 };

enum event_kind { EVENT_SEGMENT, EVENT_DATA, EVENT_LOSS };

/* The truth: what happened, one after the other, with the places before and behind it. */
struct event {
    enum event_kind kind;
    struct byte_place at, to;
    bool at_least;
    uint32_t reason;
};

struct truth {
    struct event events[EVENTS_MAX];
    size_t count;
};

static uint64_t state_of_chance;

static uint32_t chance(uint32_t below)
{
    state_of_chance = state_of_chance * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(state_of_chance >> 33) % below;
}

static void make_truth(struct truth *t)
{
    struct byte_place at = { .position = 0 };
    bool is_open = false;

    *t = (struct truth){ .count = 1 };
    t->events[0] = (struct event){ .kind = EVENT_SEGMENT, .reason = XENRES_TRACE_SEGMENT_START };
    while (t->count < EVENTS_MAX) {
        struct event *e = &t->events[t->count++];
        uint32_t what = chance(10);

        *e = (struct event){ .at = at, .to = at };
        if (is_open || what == 0) {
            bool is_reset = !is_open || chance(2) == 0;

            e->kind = EVENT_SEGMENT;
            e->reason = is_reset ? XENRES_TRACE_SEGMENT_RESET : XENRES_TRACE_SEGMENT_LOSS;
            e->to = place(at.position, at.segment + 1, at.epoch + is_reset, 0);
            e->at = e->to;
            is_open = false;
        } else {
            uint64_t length = what < 3 ? chance(20) : 1 + chance(30);

            e->kind = what < 3 ? EVENT_LOSS : EVENT_DATA;
            e->at_least = e->kind == EVENT_LOSS && (length == 0 || chance(2) == 0);
            e->to.position += length;
            e->to.offset += length;
            is_open = e->at_least;
        }
        at = e->to;
    }
}

/* What the receiver makes of it. */
struct receiver {
    uint64_t position;              /* of the next byte */
    uint64_t delivered[2];          /* of each byte at most once: counted */
    uint8_t what[EVENTS_MAX * 32];  /* 0 nothing, 1 delivered, 2 told as lost */
    unsigned open_told[EVENTS_MAX]; /* per segment that ended so */
};

static uint64_t seed;

static void must(bool condition, const char *what)
{
    if (!condition) {
        fail_msg("seed %" PRIu64 ": %s", seed, what);
    }
}

static void account(struct receiver *r, uint64_t position, uint64_t length, uint8_t what)
{
    must(position == r->position, "a hole, or something twice");
    for (uint64_t i = 0; i < length; i++) {
        must(r->what[position + i] == 0, "a byte twice");
        r->what[position + i] = what;
    }
    r->position += length;
}

static void hear_begin(struct receiver *r)
{
    if (verdict.lost.is_some) {
        account(r, verdict.lost.position, verdict.lost.length, 2);
        if (verdict.lost.at_least) {
            for (uint32_t s = 0; s < verdict.lost.to.segment; s++) {
                r->open_told[s]++;
            }
        }
    }
}

static void hear_loss(struct receiver *r, const struct byte_item *i)
{
    account(r, i->at.position + verdict.skip, i->length - verdict.skip, 2);
    for (uint32_t s = 0; i->at_least && s < EVENTS_MAX; s++) {
        r->open_told[s] += s <= i->to.segment;
    }
}

struct sender {
    const struct truth *t;
    struct byte_numbering *n;
    struct receiver *r;
    size_t event; /* in which it is */
    uint64_t in;  /* so far */
    struct {
        bool is_some;
        size_t event;
        uint64_t in;
    } cursor;
};

/* Of what is held no longer: skipped to the beginning of a later event. */
static void send_skip(struct sender *s, size_t to)
{
    const struct event *from = &s->t->events[s->event];
    struct byte_place at = from->at;
    struct byte_item i = { .kind = BYTE_GAP };

    at.position += from->kind == EVENT_SEGMENT ? 0 : s->in;
    i.at.position = at.position;
    for (size_t e = s->event; e < to; e++) {
        i.at_least = i.at_least || s->t->events[e].at_least;
    }
    i.to = s->t->events[to].at;
    i.length = i.to.position - at.position;
    s->event = to;
    s->in = 0;
    /* Nothing is to be said of samples without bytes, or of a segment that comes now. */
    if (i.length == 0 && !i.at_least && i.to.segment == s->n->at.segment) {
        return;
    }
    must(take(s->n, i) == 0, "a proper skip is refused");
    if (verdict.is_new) {
        hear_loss(s->r, &i);
    }
}

static void send_next(struct sender *s)
{
    const struct event *e = &s->t->events[s->event];
    struct byte_item i = { .at = e->at };
    uint64_t length = e->to.position - e->at.position;

    if (e->kind == EVENT_SEGMENT) {
        i.kind = BYTE_SEGMENT;
        i.reason = e->reason;
        must(take(s->n, i) == 0, "a proper segment is refused");
        s->event++;
        return;
    }
    i.at.position += s->in;
    i.at.offset += s->in;
    if (e->kind == EVENT_LOSS) {
        i = gap(i.at.position, length, e->at_least, e->to);
        must(take(s->n, i) == 0, "a proper loss is refused");
        if (verdict.is_new) {
            hear_loss(s->r, &i);
        }
        s->event++;
        s->in = 0;
        return;
    }
    i.kind = BYTE_DATA;
    i.length = chance(3) == 0 ? 1 + chance((uint32_t)(length - s->in)) : length - s->in;
    must(take(s->n, i) == 0, "proper bytes are refused");
    if (verdict.is_new) {
        account(s->r, i.at.position + verdict.skip, i.length - verdict.skip, 1);
    }
    s->in += i.length;
    if (s->in == length) {
        s->event++;
        s->in = 0;
    }
}

/* A message that is wrong by a little, which must never pass as news. */
static void send_lie(const struct sender *s)
{
    struct byte_numbering copy = *s->n;
    struct byte_item i = data(copy.at, 1 + chance(5));

    switch (chance(5)) {
    case 0: i.at.position += 1 + chance(3); break;
    case 1: i.at.offset += 1 + chance(3); break;
    case 2: i.at.segment++; break;
    case 3: i.at.epoch++; break;
    default:
        i = gap(copy.at.position, 1 + chance(9), false, copy.at);
        i.to.offset += i.length + 1 + chance(3);
        break;
    }
    must(take(&copy, i) != 0, "a lie is believed");
}

static void send_stream(struct sender *s, size_t head)
{
    bool from_kept = s->cursor.is_some && chance(4) > 0;
    struct byte_place at;

    if (from_kept) {
        s->event = s->cursor.event;
        s->in = s->cursor.in;
        at = s->n->kept;
    } else { /* the oldest that is held: at most what there is */
        s->event = chance((uint32_t)head);
        s->in = 0;
        at = s->t->events[s->event].at;
    }
    must(begin(s->n, from_kept, from_kept, at) == 0, "a proper beginning is refused");
    hear_begin(s->r);
    while (s->event < head && chance(12) > 0) {
        send_lie(s);
        if (chance(8) == 0 && s->event + 2 < head) {
            send_skip(s, s->event + 1 + chance((uint32_t)(head - s->event - 1)));
            continue;
        }
        send_next(s);
        if (chance(3) == 0) {
            must(take(s->n, mark(BYTE_CHECKPOINT, s->n->at.position)) == 0, "a checkpoint");
            byte_numbering_keep(s->n);
            s->cursor.is_some = true;
            s->cursor.event = s->event;
            s->cursor.in = s->in;
        }
    }
}

static void check_truth(const struct truth *t, const struct receiver *r)
{
    for (size_t e = 0; e < t->count; e++) {
        const struct event *it = &t->events[e];

        if (it->at_least && it->to.position < r->position) {
            must(r->open_told[it->at.segment] > 0, "an open loss that was not told");
        }
        for (uint64_t p = it->at.position; it->kind == EVENT_LOSS && p < it->to.position; p++) {
            must(r->what[p] != 1, "a lost byte was delivered");
        }
    }
}

static void run_seed(void)
{
    struct truth truth;
    struct byte_numbering n = { .is_known = false };
    struct receiver r = { .position = 0 };
    struct sender s = { .t = &truth, .n = &n, .r = &r };

    state_of_chance = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    make_truth(&truth);
    size_t head = 1;

    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        head += chance(8);
        head = head < truth.count ? head : truth.count;
        send_stream(&s, head);
    }
    check_truth(&truth, &r);
}

static void random_streams_tell_each_byte_once(void **state)
{
    const char *one = getenv("SEED");

    (void)state;
    for (seed = one != NULL ? strtoull(one, NULL, 10) : 0; seed < SEEDS; seed++) {
        run_seed();
        if (one != NULL) {
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_follow_each_other),
        cmocka_unit_test(what_has_a_hole_is_refused),
        cmocka_unit_test(behind_an_open_loss_a_segment_begins),
        cmocka_unit_test(what_comes_again_is_not_new),
        cmocka_unit_test(a_stream_goes_on_where_it_was_asked_to),
        cmocka_unit_test(an_open_loss_is_remembered_with_the_cursor),
        cmocka_unit_test(what_is_no_longer_held_is_lost),
        cmocka_unit_test(a_feed_is_kept_to),
        cmocka_unit_test(a_position_alone_is_enough_to_go_on),
        cmocka_unit_test(random_streams_tell_each_byte_once),
    };

    return UNIT_RUN(tests);
}
