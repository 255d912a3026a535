/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The ring's protocol on real memory, stopped between its steps: the modules are compiled into this
 * test, with every access to shared memory going through here. The reader is stopped at each of its
 * steps, and each two of them, while the writer runs on by each number of records, and the other way
 * round; and a writer in a process of its own is killed at each of its steps. What compilers and
 * processors may reorder is in ring_memory_test.c.
 */
#include "tests/lib/unit.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static void step(void);

#define RING_LOAD(word, order)         (step(), atomic_load(word))
#define RING_STORE(word, value, order) (step(), atomic_store(word, value))
#define RING_FENCE(order)              step()
#include "common/ring.c"
#include "common/ring_view.c"

#include "tests/lib/ring_records.h"

/* --- steps ----------------------------------------------------------------------------------- */

enum { STOPS = 2, NOT_COUNTED = -1 };

static struct {
    int at; /* the step that comes next */
    int stops[STOPS];
    void (*then)(void *arg);
    void *arg;
} steps = { .at = NOT_COUNTED };

static void step(void)
{
    if (steps.at == NOT_COUNTED) {
        return;
    }
    int now = steps.at;

    steps.at = NOT_COUNTED; /* who runs on meanwhile is not stopped */
    for (int i = 0; i < STOPS; i++) {
        if (now == steps.stops[i]) {
            steps.then(steps.arg);
        }
    }
    steps.at = now + 1;
}

/* From now on; then steps_end(). */
static void steps_begin(int first, int second, void (*then)(void *arg), void *arg)
{
    steps.stops[0] = first;
    steps.stops[1] = second;
    steps.then = then;
    steps.arg = arg;
    steps.at = 0;
}

/* How many there were. */
static int steps_end(void)
{
    int made = steps.at;

    steps.at = NOT_COUNTED;
    return made;
}

/* --- real memory ----------------------------------------------------------------------------- */

struct pair {
    struct ring *ring;
    struct ring_view *view;
    uint32_t max_bytes; /* of records here */
    uint8_t bytes[RING_CAPACITY_MIN];
    struct ring_books books;
    int run_on; /* records that the writer runs on by */
};

static const struct ring_place BEGINNING;

static void open_pair(struct pair *p)
{
    *p = (struct pair){ .max_bytes = 32 };
    assert_int_equal(ring_new(RING_CAPACITY_MIN, NULL, &p->ring, NULL), 0);
    assert_int_equal(ring_view_open(ring_fd(p->ring), RING_CAPACITY_MIN, &p->view, NULL), 0);
}

static void close_pair(struct pair *p)
{
    ring_view_close(p->view);
    ring_free(p->ring);
}

static void writer_runs_on(void *arg)
{
    struct pair *p = arg;

    for (int i = 0; i < p->run_on; i++) {
        ring_records_append(p->ring, p->max_bytes);
    }
}

static void reader_runs_on(void *arg)
{
    struct pair *p = arg;

    ring_books_drain(&p->books, p->view, p->max_bytes, p->bytes);
}

enum { RECORDS = 12, STEPS_MAX = 1000 };

/* The number of steps that the reader made before it was done. */
static int read_with_stops(int lag, int run_on, int first, int second)
{
    struct pair p;

    open_pair(&p);
    p.run_on = lag;
    writer_runs_on(&p);
    p.run_on = run_on;
    steps_begin(first, second, writer_runs_on, &p);
    reader_runs_on(&p);
    int made = steps_end();

    ring_books_close(&p.books, p.view, p.ring, &BEGINNING, p.max_bytes, p.bytes);
    close_pair(&p);
    return made;
}

static void a_reader_may_be_stopped_at_each_of_its_steps(void **state)
{
    (void)state;
    for (int lag = 0; lag <= RECORDS; lag++) {
        for (int run_on = 1; run_on <= RECORDS; run_on++) {
            for (int stop = 0; read_with_stops(lag, run_on, stop, stop) > stop; stop++) {
                assert_true(stop < STEPS_MAX);
            }
        }
    }
}

static void a_reader_may_be_stopped_at_each_two_of_its_steps(void **state)
{
    (void)state;
    for (int lag = 0; lag <= RECORDS; lag += 4) {
        for (int run_on = 1; run_on <= RECORDS; run_on += 4) {
            int made = 1;

            for (int first = 0; first < made; first++) {
                int second = first;

                do {
                    assert_true(++second < STEPS_MAX);
                    made = read_with_stops(lag, run_on, first, second);
                } while (made > second);
            }
        }
    }
}

static void a_writer_may_be_stopped_at_each_of_its_steps(void **state)
{
    (void)state;
    for (int lag = 0; lag < 2 * RECORDS; lag++) {
        for (int unread = 0; unread <= lag; unread++) {
            for (int stop = 0;; stop++) {
                struct pair p;

                open_pair(&p);
                p.run_on = lag - unread;
                writer_runs_on(&p);
                reader_runs_on(&p);
                p.run_on = unread;
                writer_runs_on(&p);
                steps_begin(stop, stop, reader_runs_on, &p);
                ring_records_append(p.ring, p.max_bytes);
                bool done = steps_end() <= stop;

                ring_books_close(&p.books, p.view, p.ring, &BEGINNING, p.max_bytes, p.bytes);
                close_pair(&p);
                if (done) {
                    break;
                }
            }
        }
    }
}

/* --- a writer that is killed ----------------------------------------------------------------- */

static void kill_writer(void *arg)
{
    (void)arg;
    (void)kill(getpid(), SIGKILL);
}

/* Appends until it is killed at its step `stop`; true when it was. */
static bool was_killed(struct pair *p, int stop)
{
    pid_t writer = fork();
    int status;

    assert_true(writer >= 0);
    if (writer == 0) {
        steps_begin(stop, stop, kill_writer, NULL);
        ring_records_append(p->ring, p->max_bytes);
        _exit(0);
    }
    assert_int_equal(waitpid(writer, &status, 0), writer);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void what_a_killed_writer_has_published_stays_readable(void **state)
{
    (void)state;
    for (int before = 0; before <= RECORDS; before++) {
        bool killed = true;

        for (int stop = 0; killed; stop++) {
            struct pair p;
            struct ring_place end = { 0 };

            open_pair(&p);
            p.run_on = before;
            writer_runs_on(&p);
            uint64_t sequence = ring_next(p.ring).sequence;

            killed = was_killed(&p, stop);
            reader_runs_on(&p); /* and ends, with nothing torn */
            uint64_t read = p.books.delivered_records + p.books.missed.records;

            assert_int_equal(read, sequence + !killed);
            assert_true(p.books.delivered_records >= (before < 3 ? (uint64_t)before : 3));
            assert_int_equal(ring_view_find(p.view, RING_NEWEST, &end, NULL), 0);
            assert_memory_equal(&end, &p.books.at, sizeof(end));
            assert_int_equal(ring_view_check(p.view, &end, NULL), RING_NOTHING);
            close_pair(&p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_may_be_stopped_at_each_of_its_steps),
        cmocka_unit_test(a_reader_may_be_stopped_at_each_two_of_its_steps),
        cmocka_unit_test(a_writer_may_be_stopped_at_each_of_its_steps),
        cmocka_unit_test(what_a_killed_writer_has_published_stays_readable),
    };

    return UNIT_RUN(tests);
}
