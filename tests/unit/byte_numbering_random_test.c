/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Positions of bytes in random streams of a trace that the test knows byte by byte, some of which lie, with
 * readers that are killed and go on by what they had written down. `SEED=n` in the environment runs one seed
 * alone. */
#include "tests/lib/unit.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tests/lib/byte_calls.h"

enum { SEEDS = 10000 };

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
        bool is_ours; /* of this reader, not of one before it */
        size_t event;
        uint64_t in;
        struct byte_place at;
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

/* The reader was killed: the next one knows what that had written down. */
static void begin_anew(struct byte_numbering *n)
{
    const struct byte_numbering before = *n;

    *n = (struct byte_numbering){ .is_known = false };
    must(byte_numbering_know_place(n, FEED, &before.had, before.had_step == BYTE_STEP_OPEN),
         "a place that is none");
}

static void send_stream(struct sender *s, size_t head)
{
    bool resumed = s->cursor.is_some && chance(4) > 0;
    struct byte_place at;

    if (s->n->is_known && chance(6) == 0) {
        begin_anew(s->n);
        s->cursor.is_ours = false;
    }
    if (resumed) {
        s->event = s->cursor.event;
        s->in = s->cursor.in;
        at = s->cursor.at;
    } else { /* the oldest that is held: at most what there is */
        s->event = chance((uint32_t)head);
        s->in = 0;
        at = s->t->events[s->event].at;
    }
    must(begin(s->n, resumed, resumed && s->cursor.is_ours, at) == 0,
         "a proper beginning is refused");
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
            s->cursor.is_some = s->cursor.is_ours = true;
            s->cursor.at = s->n->kept;
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
        cmocka_unit_test(random_streams_tell_each_byte_once),
    };

    return UNIT_RUN(tests);
}
