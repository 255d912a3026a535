/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A reader whose writer is taken over: any word of the ring may be anything, and may change between two
 * loads. The module is compiled into this test, so that each load is seen: within the ring, and not more
 * of them in a call than are allowed for.
 */
#include "tests/lib/unit.h"

#include <stdatomic.h>

static uint64_t watched_load(const _Atomic uint64_t *word);

#define RING_LOAD(word, order)         watched_load(word)
#define RING_STORE(word, value, order) atomic_store(word, value)
#define RING_FENCE(order)              ((void)0)
#include "common/ring.c"
#include "common/ring_view.c"

#include "tests/lib/ring_records.h"

enum {
    CAPACITY = 1024,
    CONTROL_WORDS = 16,
    WORDS = CONTROL_WORDS + CAPACITY / 8, /* that there is anything in */
    RECORDS = 40,
    LOADS_MAX = RING_LOOKS_MAX * (RING_HEADER_WORDS + 4) + CAPACITY / RING_RECORD_FRACTION / 8 + 8,
    RUNS = 100000,
};

static struct {
    const struct ring_view *view; /* within which loads have to stay; NULL: not open yet */
    bool alive;                   /* words change while they are read */
    int loads;                    /* in this call */
} watch;

static struct {
    int fd;
    _Atomic uint64_t *map; /* what the hostile writer writes */
    uint64_t honest[WORDS];
    uint64_t mask;
    struct ring_place places[RECORDS + 1];
    uint64_t seed;
} rig;

static uint64_t draw(void)
{
    return ring_records_mix(rig.seed++);
}

static _Atomic uint64_t *word(int number)
{
    return number < CONTROL_WORDS ? rig.map + number
                                  : rig.map + RING_CONTROL_BYTES / 8 + (number - CONTROL_WORDS);
}

/* What an attacker would try: limits, neighbours, other records' words, single bits. */
static uint64_t evil(uint64_t was)
{
    switch (draw() % 9) {
    case 0: return 0;
    case 1: return UINT64_MAX - draw() % 16;
    case 2: return was + 8 * (draw() % 5) - 16;
    case 3: return RING_POSITION_MAX + 8 * (draw() % 3) - 8;
    case 4: return rig.places[draw() % (RECORDS + 1)].position;
    case 5: return rig.places[draw() % (RECORDS + 1)].position ^ rig.mask;
    case 6: return draw() % 2048;
    case 7: return draw();
    default: return was ^ UINT64_C(1) << draw() % 64;
    }
}

static void corrupt(void)
{
    /* As often the control words and headers as all the rest. */
    uint64_t record = rig.places[RECORDS - 1 - draw() % 16].position % CAPACITY / 8;
    int header = CONTROL_WORDS + (int)((record + draw() % RING_HEADER_WORDS) % (CAPACITY / 8));
    int numbers[] = { (int)(draw() % CONTROL_WORDS), header, (int)(draw() % WORDS) };
    _Atomic uint64_t *w = word(numbers[draw() % 3]);

    atomic_store(w, evil(atomic_load(w)));
}

static uint64_t watched_load(const _Atomic uint64_t *w)
{
    if (watch.view != NULL) {
        uintptr_t offset = (uintptr_t)w - (uintptr_t)watch.view->control;

        RING_MUST(offset <= RING_CONTROL_BYTES + CAPACITY - 8 && offset % 8 == 0);
        RING_MUST(++watch.loads <= LOADS_MAX);
        if (watch.alive && draw() % 8 == 0) {
            corrupt();
        }
    }
    return atomic_load(w);
}

static void restore(void)
{
    for (int i = 0; i < WORDS; i++) {
        atomic_store(word(i), rig.honest[i]);
    }
}

/* A ring that was honest so far; its memfd has the seals that a reader asks for. */
static int set_up(void **state)
{
    struct ring *r = NULL;
    size_t bytes = RING_CONTROL_BYTES + CAPACITY;

    (void)state;
    assert_int_equal(ring_new(CAPACITY, NULL, &r, NULL), 0);
    for (int i = 0; i < RECORDS; i++) {
        rig.places[i] = ring_next(r);
        ring_records_append(r, ring_record_max(CAPACITY));
    }
    rig.places[RECORDS] = ring_next(r);
    rig.mask = r->mask;
    rig.fd = memfd_create("ring-hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(rig.fd, (off_t)bytes), 0);
    assert_int_equal(fallocate(rig.fd, 0, 0, (off_t)bytes), 0);
    rig.map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, rig.fd, 0);
    assert_ptr_not_equal(rig.map, MAP_FAILED);
    memcpy((void *)(uintptr_t)rig.map, r->control, bytes);
    assert_int_equal(fcntl(rig.fd, F_ADD_SEALS, RING_SEALS), 0);
    for (int i = 0; i < WORDS; i++) {
        rig.honest[i] = atomic_load(word(i));
    }
    ring_free(r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    munmap((void *)(uintptr_t)rig.map, RING_CONTROL_BYTES + CAPACITY);
    return close(rig.fd);
}

static struct ring_place some_place(void)
{
    struct ring_place p = rig.places[draw() % (RECORDS + 1)];

    if (draw() % 4 == 0) {
        p.position = evil(p.position);
    }
    if (draw() % 8 == 0) {
        p.sequence = evil(p.sequence);
    }
    return p;
}

static bool is_failure(int answer)
{
    return answer == -ERROR_DATA_LOSS || answer == -ERROR_UNAVAILABLE;
}

/* A subscriber that does what its header tells it to do. */
static void follow(const struct ring_view *v)
{
    uint8_t *bytes = malloc(ring_record_max(CAPACITY)); /* exactly, for the address sanitizer */
    const _Atomic uint64_t *committed = &((struct ring_control *)(uintptr_t)rig.map)->committed;
    struct ring_place at = some_place();
    struct ring_record record;
    struct ring_missed missed;

    for (int i = 0; i < 8; i++) {
        struct ring_place before = at;

        watch.loads = 0;
        int answer = ring_view_read(v, &at, bytes, ring_record_max(CAPACITY), &record, NULL);

        if (answer == RING_RECORD) {
            RING_MUST(record.len_bytes <= ring_record_max(CAPACITY));
            RING_MUST(at.position > before.position && at.position <= 2 * RING_POSITION_MAX);
            RING_MUST(watch.alive || at.position <= atomic_load(committed));
            continue;
        }
        RING_MUST(memcmp(&at, &before, sizeof(at)) == 0);
        RING_MUST(answer == RING_OVERTAKEN || answer == RING_NOTHING || answer == -ERROR_DATA_LOSS);
        watch.loads = 0;
        answer = ring_view_skip(v, draw() % 2 == 0 ? RING_OLDEST : RING_NEWEST, &at, &missed, NULL);
        RING_MUST(answer == 0 || is_failure(answer));
        if (answer == 0) {
            RING_MUST(at.position >= before.position);
            RING_MUST(missed.bytes <= at.position - before.position);
            RING_MUST(missed.records <= (at.position - before.position) / RING_HEADER_BYTES);
        }
    }
    free(bytes);
}

static void look_around(const struct ring_view *v)
{
    struct ring_place at = some_place(), found;

    watch.loads = 0;
    int answer = ring_view_check(v, &at, NULL);

    RING_MUST((answer >= RING_NOTHING && answer <= RING_NO_BOUNDARY) || is_failure(answer));
    watch.loads = 0;
    answer = ring_view_find(v, draw() % 2 == 0 ? RING_OLDEST : RING_NEWEST, &found, NULL);
    RING_MUST(answer == 0 || is_failure(answer));
}

static struct ring_view *open_view(void)
{
    struct ring_view *v = NULL;

    watch.view = NULL;
    int result = ring_view_open(rig.fd, CAPACITY, &v, NULL);

    RING_MUST(result == 0 ? v != NULL : result == -ERROR_INVALID_ARGUMENT && v == NULL);
    watch.view = v;
    return v;
}

/* Every word of the ring, with every bit of it turned, and with what an attacker would try. */
static void any_word_may_be_anything(void **state)
{
    struct ring_view *v = open_view();

    (void)state;
    for (int number = 0; number < WORDS; number++) {
        for (int value = 0; value < 64 + 64; value++) {
            uint64_t was = rig.honest[number];

            rig.seed = (uint64_t)(number * 1000 + value);
            atomic_store(word(number), value < 64 ? was ^ UINT64_C(1) << value : evil(was));
            look_around(v);
            follow(v);
            atomic_store(word(number), was);
        }
    }
    watch.view = NULL;
    ring_view_close(v);
}

static void corrupt_some(void)
{
    for (uint64_t i = 1 + draw() % 4; i > 0; i--) {
        corrupt();
    }
}

static void run(uint64_t seed, bool before_it_is_opened, bool while_it_is_read)
{
    rig.seed = seed << 32;
    if (before_it_is_opened) {
        corrupt_some();
    }
    struct ring_view *v = open_view();

    if (!before_it_is_opened) {
        corrupt_some();
    }
    if (v != NULL) {
        watch.alive = while_it_is_read;
        look_around(v);
        follow(v);
        watch.alive = false;
    }
    watch.view = NULL;
    ring_view_close(v);
    restore();
}

static void many_words_may_be_anything(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        run(seed, seed % 4 == 0, false);
    }
}

static void words_may_change_while_they_are_read(void **state)
{
    (void)state;
    for (uint64_t seed = RUNS; seed < 2 * RUNS; seed++) {
        run(seed, false, true);
    }
}

/* The tests above could be right for want of any record. */
static void what_is_honest_is_read(void **state)
{
    struct ring_view *v = open_view();
    struct ring_books books = { .at = rig.places[0] };
    uint8_t bytes[CAPACITY];

    (void)state;
    watch.loads = INT32_MIN;
    ring_books_drain(&books, v, ring_record_max(CAPACITY), bytes);
    assert_true(books.delivered_records > 3);
    assert_int_equal(books.delivered_records + books.missed.records, RECORDS);
    watch.view = NULL;
    ring_view_close(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_honest_is_read),
        cmocka_unit_test(any_word_may_be_anything),
        cmocka_unit_test(many_words_may_be_anything),
        cmocka_unit_test(words_may_change_while_they_are_read),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
