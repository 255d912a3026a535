/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The ring's protocol in all that C11's memory model allows. A load may see any store of its word that is
 * not older than one that the thread is bound to have seen; release, acquire and fences are what binds it.
 * Since the reader stores nothing, its schedules are its choices of what each load sees: those of every
 * load of every call are tried, from every state that can be reached, until nothing new comes up. That
 * holds every interleaving with a writer that may stop anywhere, and also the reordering that x86 does
 * not do. The modules are compiled into this test, with every access to shared memory going through here.
 */
#include "tests/lib/unit.h"

#include <stdatomic.h>

static uint64_t step_load(const _Atomic uint64_t *word, int order);
static void step_store(_Atomic uint64_t *word, uint64_t value, int order);
static void step_fence(int order);

#define RING_LOAD(word, order)         step_load(word, order)
#define RING_STORE(word, value, order) step_store(word, value, order)
#define RING_FENCE(order)              step_fence(order)
#include "common/ring.c"
#include "common/ring_view.c"

#include "tests/lib/ring_records.h"

/* --- the memory model ------------------------------------------------------------------------ */

enum {
    CONTROL_LOCATIONS = 16, /* words of the control page that are in use */
    LOCATIONS = CONTROL_LOCATIONS + RING_CAPACITY_MIN / 8,
    STORES_MAX = 24,   /* of one word */
    CHOICES_MAX = 512, /* loads in one call */
};

/* Of each word, the newest store that a thread is bound to have seen. */
struct knowledge {
    uint8_t newest[LOCATIONS];
};

struct stored {
    uint64_t value;
    struct knowledge released; /* what an acquiring load of it learns */
};

static struct {
    enum { REAL, WRITER, READER } runs;
    const void *base;
    struct stored stores[LOCATIONS][STORES_MAX];
    int store_count[LOCATIONS];
    struct knowledge knows;   /* the thread that runs */
    struct knowledge fenced;  /* the writer: at its last release fence */
    struct knowledge pending; /* the reader: what an acquire fence would make it know */
    uint8_t chosen[CHOICES_MAX], choice_count[CHOICES_MAX];
    int depth, depth_max;
    uint64_t schedules;
} model;

static void learn(struct knowledge *k, const struct knowledge *more)
{
    for (int i = 0; i < LOCATIONS; i++) {
        k->newest[i] = k->newest[i] > more->newest[i] ? k->newest[i] : more->newest[i];
    }
}

static int location_of(const void *word)
{
    ptrdiff_t offset = (const char *)word - (const char *)model.base;
    int location =
        (int)(offset < RING_CONTROL_BYTES ? offset / 8
                                          : CONTROL_LOCATIONS + (offset - RING_CONTROL_BYTES) / 8);

    RING_MUST(offset >= 0 && offset % 8 == 0 && location < LOCATIONS);
    RING_MUST(offset >= RING_CONTROL_BYTES || location < CONTROL_LOCATIONS);
    return location;
}

static int choose(int count)
{
    RING_MUST(model.depth < CHOICES_MAX);
    if (model.depth == model.depth_max) {
        model.chosen[model.depth_max++] = 0;
    }
    model.choice_count[model.depth] = (uint8_t)count;
    return model.chosen[model.depth++];
}

/* The next way through a call; false when all were tried. */
static bool next_schedule(void)
{
    model.schedules++;
    model.depth_max = model.depth;
    while (model.depth_max > 0 &&
           ++model.chosen[model.depth_max - 1] == model.choice_count[model.depth_max - 1]) {
        model.depth_max--;
    }
    model.depth = 0;
    return model.depth_max > 0;
}

static uint64_t model_load(const void *word, int order)
{
    int location = location_of(word), oldest = model.knows.newest[location];
    /* The newest first: what is common is tried first. */
    int seen = model.store_count[location] - 1 - choose(model.store_count[location] - oldest);
    const struct stored *s = &model.stores[location][seen];

    model.knows.newest[location] = (uint8_t)seen;
    learn(&model.pending, &s->released);
    model.pending.newest[location] = (uint8_t)seen;
    if (order == memory_order_acquire) {
        learn(&model.knows, &s->released);
    }
    return s->value;
}

static void model_store(const void *word, uint64_t value, int order)
{
    int location = location_of(word), number = model.store_count[location]++;

    RING_MUST(number < STORES_MAX);
    model.knows.newest[location] = (uint8_t)number;
    struct stored *s = &model.stores[location][number];

    s->value = value;
    s->released = order == memory_order_release ? model.knows : model.fenced;
    s->released.newest[location] = (uint8_t)number;
}

static uint64_t step_load(const _Atomic uint64_t *word, int order)
{
    return model.runs == READER ? model_load(word, order) : atomic_load(word);
}

static void step_store(_Atomic uint64_t *word, uint64_t value, int order)
{
    atomic_store(word, value); /* the writer sees its own */
    if (model.runs == WRITER) {
        model_store(word, value, order);
    }
}

static void step_fence(int order)
{
    if (model.runs == WRITER && order == memory_order_release) {
        model.fenced = model.knows;
    } else if (model.runs == READER && order == memory_order_acquire) {
        learn(&model.knows, &model.pending);
    }
}

/* --- the reader's states --------------------------------------------------------------------- */

enum { STATES_MAX = 1 << 20 };
#ifdef __SANITIZE_THREAD__
enum { RINGS = 1, FEWER = 4 }; /* in one thread it has nothing to find, slowly */
#else
enum { RINGS = 2, FEWER = 0 };
#endif

struct pair {
    struct ring *ring;
    struct ring_view *view;
    uint32_t max_bytes; /* of records here */
    uint8_t bytes[RING_CAPACITY_MIN];
};

struct reader_state {
    int record; /* its place: before this one; -1: it has none yet */
    bool overtaken;
    struct knowledge knows;
};

static struct {
    struct reader_state *states;
    int count;
    int32_t *table; /* by hash; 0: free, else number + 1 */
    struct ring_place places[STORES_MAX * 2];
    int record_count;
} space;

static void add_state(const struct reader_state *s)
{
    uint64_t hash = (uint64_t)(s->record * 2 + s->overtaken);

    for (int i = 0; i < LOCATIONS; i++) {
        hash = ring_records_mix(hash ^ s->knows.newest[i]);
    }
    for (uint64_t at = hash;; at++) {
        int32_t *entry = &space.table[at % (2 * STATES_MAX)];

        if (*entry == 0) {
            RING_MUST(space.count < STATES_MAX);
            space.states[space.count++] = *s;
            *entry = space.count;
            return;
        }
        const struct reader_state *other = &space.states[*entry - 1];

        if (other->record == s->record && other->overtaken == s->overtaken &&
            memcmp(&other->knows, &s->knows, sizeof(s->knows)) == 0) {
            return;
        }
    }
}

/* A place has to be a boundary, with all its counts. */
static int record_at(const struct ring_place *place)
{
    uint64_t record = place->sequence - space.places[0].sequence;

    RING_MUST(record <= (uint64_t)space.record_count);
    RING_MUST(memcmp(place, &space.places[record], sizeof(*place)) == 0);
    return (int)record;
}

static void try_read(struct pair *p, struct reader_state *s)
{
    struct ring_place at = space.places[s->record];
    struct ring_record record;
    int answer = ring_view_read(p->view, &at, p->bytes, sizeof(p->bytes), &record, NULL);

    RING_MUST(answer == RING_NOTHING || answer == RING_RECORD || answer == RING_OVERTAKEN);
    if (answer == RING_RECORD) {
        RING_MUST(record_at(&record.place) == s->record);
        RING_MUST(ring_records_are(&record, p->bytes, p->max_bytes));
        RING_MUST(record_at(&at) == ++s->record);
    } else {
        RING_MUST(record_at(&at) == s->record);
    }
    s->overtaken = answer == RING_OVERTAKEN;
    RING_MUST(!s->overtaken || ring_next(p->ring).position > at.position + RING_CAPACITY_MIN);
}

static void try_skip(struct pair *p, struct reader_state *s, enum ring_end end)
{
    struct ring_place at = space.places[s->record], from = at;
    struct ring_missed missed;

    RING_MUST(ring_view_skip(p->view, end, &at, &missed, NULL) == 0);
    int record = record_at(&at);

    RING_MUST(missed.records == (uint64_t)(record - s->record));
    RING_MUST(missed.bytes == at.bytes - from.bytes);
    RING_MUST(!s->overtaken || record > s->record); /* it is never told the same twice */
    s->record = record;
    s->overtaken = false;
}

static void try_find(struct pair *p, struct reader_state *s, enum ring_end end)
{
    struct ring_place at;

    RING_MUST(ring_view_find(p->view, end, &at, NULL) == 0);
    s->record = record_at(&at);
}

/* The only false answer is one that was true a while ago. */
static void try_check(struct pair *p, int record, bool boundary)
{
    struct ring_place place = space.places[record];

    place.position += boundary ? 0 : 8;
    int answer = ring_view_check(p->view, &place, NULL);
    bool lapped = ring_next(p->ring).position > place.position + RING_CAPACITY_MIN;

    RING_MUST(answer >= 0);
    RING_MUST(answer != RING_OVERTAKEN || lapped);
    RING_MUST(answer != RING_RECORD || (boundary && record < space.record_count));
    RING_MUST(answer != RING_NOTHING || boundary);
    RING_MUST(answer != RING_NO_BOUNDARY || !boundary);
}

enum call { READ, SKIP_OLDEST, SKIP_NEWEST, FIND_OLDEST, FIND_NEWEST, CHECKS };

static void try_call(struct pair *p, const struct reader_state *from, int call)
{
    do {
        struct reader_state s = *from;

        model.knows = model.pending = from->knows;
        switch (call) {
        case READ: try_read(p, &s); break;
        case SKIP_OLDEST:
        case SKIP_NEWEST: try_skip(p, &s, call == SKIP_OLDEST ? RING_OLDEST : RING_NEWEST); break;
        case FIND_OLDEST:
        case FIND_NEWEST: try_find(p, &s, call == FIND_OLDEST ? RING_OLDEST : RING_NEWEST); break;
        default: try_check(p, (call - CHECKS) / 2, (call - CHECKS) % 2 == 0); break;
        }
        s.knows = model.knows;
        if (call < CHECKS) {
            add_state(&s);
        }
    } while (next_schedule());
}

/* Everything that the writer ever stores, and what each store releases. */
static void write_all(struct pair *p, int records)
{
    memset(&model, 0, sizeof(model));
    model.base = p->ring->control;
    for (int i = 0; i < LOCATIONS; i++) {
        const _Atomic uint64_t *word = i < CONTROL_LOCATIONS
                                           ? (const _Atomic uint64_t *)p->ring->control + i
                                           : p->ring->words + (i - CONTROL_LOCATIONS);

        model.stores[i][model.store_count[i]++].value = atomic_load(word);
    }
    space.record_count = records;
    model.runs = WRITER;
    for (int i = 0; i < records; i++) {
        space.places[i] = ring_next(p->ring);
        ring_records_append(p->ring, p->max_bytes);
    }
    space.places[records] = ring_next(p->ring);
}

static void explore(uint32_t max_bytes, int records, const struct ring_place *first)
{
    struct pair p = { .max_bytes = max_bytes };
    struct reader_state nobody = { .record = -1 };

    assert_int_equal(ring_new(RING_CAPACITY_MIN, first, &p.ring, NULL), 0);
    assert_int_equal(ring_view_open(ring_fd(p.ring), RING_CAPACITY_MIN, &p.view, NULL), 0);
    write_all(&p, records);
    model.runs = READER;
    model.base = p.view->control;
    space.count = 0;
    space.states = calloc(STATES_MAX, sizeof(*space.states));
    space.table = calloc(2 * STATES_MAX, sizeof(*space.table));
    assert_true(space.states != NULL && space.table != NULL);
    add_state(&nobody);
    bool at_end = false;

    for (int i = 0; i < space.count; i++) {
        struct reader_state s = space.states[i];

        if (s.record < 0) { /* who knows nothing may see all that anybody may */
            for (int call = FIND_OLDEST; call < CHECKS + 2 * records + 1; call++) {
                try_call(&p, &s, call);
            }
            add_state(&(struct reader_state){ .record = 0 });
        } else if (s.overtaken) {
            try_call(&p, &s, SKIP_OLDEST);
            try_call(&p, &s, SKIP_NEWEST);
        } else {
            try_call(&p, &s, READ);
            try_call(&p, &s, SKIP_NEWEST);
            at_end = at_end || s.record == records;
        }
    }
    print_message("%d records of 0 to %u bytes: %d states, %llu schedules\n", records, max_bytes,
                  space.count, (unsigned long long)model.schedules);
    assert_true(at_end);
    free(space.states);
    free(space.table);
    model.runs = REAL;
    ring_view_close(p.view);
    ring_free(p.ring);
}

static void no_schedule_of_the_memory_model_tears_doubles_or_loses_a_record(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < RINGS; i++) { /* other lengths, and another end of the ring */
        struct ring_place first = { i * 40, i * 1000, i * 50000 };

        explore(0, 12 - FEWER, &first);
        explore(8, 12 - FEWER, &first);
        explore(16, 10 - FEWER, &first);
        explore(32, 10 - FEWER, &first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_schedule_of_the_memory_model_tears_doubles_or_loses_a_record),
    };

    return UNIT_RUN(tests);
}
