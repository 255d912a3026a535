/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One writer and several readers at full speed, each in a thread, over rings from tiny to roomy. With
 * SANITIZE=thread this also shows that nothing plain is shared: the view is then moved to the writer's
 * mapping (the modules are compiled into this test for that), as the sanitizer knows addresses and not
 * what is behind them.
 */
#include "tests/lib/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "common/ring.c"
#include "common/ring_view.c"
#include "tests/lib/ring_records.h"

#ifdef XENRES_SANITIZED
enum { RECORDS = 60000 };
#else
enum { RECORDS = 300000 };
#endif
enum { READERS = 4, MAX_BYTES = 200 };

struct rig {
    struct ring *ring;
    struct ring_view *view; /* one for all */
    uint32_t max_bytes;
    atomic_int readers_ready, done;
};

struct reader {
    struct rig *rig;
    unsigned number; /* how it behaves */
    struct ring_books books;
};

static void *write_all(void *arg)
{
    struct rig *r = arg;

    while (atomic_load(&r->readers_ready) < READERS) {
        sched_yield();
    }
    for (int i = 0; i < RECORDS; i++) {
        ring_records_append(r->ring, r->max_bytes);
        if (i % 4096 == 0) {
            sched_yield(); /* so that on few processors the others are in the midst of something, too */
        }
    }
    atomic_store(&r->done, 1);
    return NULL;
}

/* 0 and 1 as fast as they can, 2 a slow one, 3 one that only wants what is new. */
static void *read_all(void *arg)
{
    struct reader *me = arg;
    struct rig *r = me->rig;
    uint8_t *bytes = malloc(ring_record_max(ring_view_capacity(r->view)));
    enum ring_end end = me->number == 3 ? RING_NEWEST : RING_OLDEST;

    atomic_fetch_add(&r->readers_ready, 1);
    while (atomic_load(&r->done) == 0) {
        int answer = ring_books_step(&me->books, r->view, end, r->max_bytes, bytes);

        RING_MUST(ring_view_check(r->view, &me->books.at, NULL) != RING_NO_BOUNDARY);
        if (answer == RING_NOTHING || me->number == 2) {
            sched_yield();
        }
    }
    ring_books_close(&me->books, r->view, r->ring, &(struct ring_place){ 0 }, r->max_bytes, bytes);
    free(bytes);
    return NULL;
}

/* What the view has is left in `kept`, for ring_view_close(). */
static void share_one_mapping(struct rig *r, struct ring_view *kept)
{
    *kept = *r->view;
#ifdef __SANITIZE_THREAD__
    r->view->control = r->ring->control;
    r->view->words = r->ring->words;
#endif
}

static void stress(uint64_t capacity_bytes)
{
    uint32_t max = ring_record_max(capacity_bytes);
    struct rig r = { .max_bytes = max < MAX_BYTES ? max : MAX_BYTES };
    struct reader readers[READERS];
    struct ring_view kept;
    pthread_t writer, threads[READERS];

    assert_int_equal(ring_new(capacity_bytes, NULL, &r.ring, NULL), 0);
    assert_int_equal(ring_view_open(ring_fd(r.ring), capacity_bytes, &r.view, NULL), 0);
    share_one_mapping(&r, &kept);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){ .rig = &r, .number = i };
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    }
    assert_int_equal(pthread_create(&writer, NULL, write_all, &r), 0);
    assert_int_equal(pthread_join(writer, NULL), 0);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        print_message("%llu bytes, reader %u: %llu delivered, %llu missed in %llu gaps\n",
                      (unsigned long long)capacity_bytes, i,
                      (unsigned long long)readers[i].books.delivered_records,
                      (unsigned long long)readers[i].books.missed.records,
                      (unsigned long long)readers[i].books.gaps);
        /* It may have found the end each time, before a record was there. */
        assert_true(i == 3 || readers[i].books.delivered_records > 0);
    }
    *r.view = kept;
    ring_view_close(r.view);
    ring_free(r.ring);
}

static void threads_get_all_or_know_what_they_missed(void **state)
{
    (void)state;
    stress(RING_CAPACITY_MIN);
    stress(4096);
    stress(1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_get_all_or_know_what_they_missed),
    };

    return UNIT_RUN(tests);
}
