/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Threads that sample, in real time: what they are told while they do, and what they count. */
#include "server/mapper/sampler.h"

#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/doorbell.h"
#include "common/ring_view.h"
#include "server/mapper/copy.h"
#include "server/mapper/source_frames.h"
#include "tests/lib/fake_host.h"

enum { SPOOL_BYTES = 128 << 10, LIMIT_MS = 20000 };

static struct allowance memory;
static struct sampler *sampler;
static struct doorbell bell;
static int told_fd;
static struct sampler_job jobs[300];

static int set_up(void **state)
{
    (void)state;
    fake_host_init(2, 1);
    allowance_init(&memory, 256 << 20);
    told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const struct sampler_options options = { .ops = &fake_host_ops,
                                             .memory = &memory,
                                             .spool_most_bytes = SPOOL_BYTES,
                                             .told_fd = told_fd };

    memset(jobs, 0, sizeof(jobs));
    assert_int_equal(copy_init(NULL), 0);
    assert_int_equal(doorbell_open(&bell, NULL), 0);
    assert_int_equal(sampler_new(&options, &sampler, NULL), 0);
    sampler_set_bell(sampler, bell.ring_fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sampler_free(sampler);
    doorbell_close(&bell);
    close(told_fd);
    assert_int_equal(allowance_used(&memory), 0);
    assert_int_equal(fake_host.mapped, 0);
    fake_host_done();
    return 0;
}

static void add(struct sampler_job *job, unsigned period_ms)
{
    struct message_snapshot wanted = { .type = RESOURCE_GRANT_TABLE,
                                       .frame_count = MESSAGE_FRAMES_ALL };
    struct source *source = NULL;

    wanted.domain.domid = 1;
    pthread_mutex_lock(&fake_host.lock);
    assert_int_equal(source_frames_new(&wanted, &fake_host.domains[1].domain, &source, NULL), 0);
    pthread_mutex_unlock(&fake_host.lock);
    memset(job, 0, sizeof(*job));
    job->period_ns = period_ms * CLOCK_NS_PER_MS;
    sampling_init(&job->sampling, source, SPOOL_BYTES, &memory);
    sampler_add(sampler, job);
}

static void wait_until_told(void)
{
    struct pollfd row = { .fd = told_fd, .events = POLLIN };
    uint64_t count;

    assert_int_equal(poll(&row, 1, LIMIT_MS), 1);
    assert_int_equal(read(told_fd, &count, sizeof(count)), (ssize_t)sizeof(count));
}

static void wait_until_begun(struct sampler_job *job)
{
    while (!sampler_look(sampler, job).has_begun) {
        wait_until_told();
    }
}

static void end(struct sampler_job *job)
{
    sampler_end(sampler, job, FEED_END_RELEASED);
    assert_true(sampler_wait(sampler, job, LIMIT_MS * CLOCK_NS_PER_MS));
    assert_true(sampler_look(sampler, job).is_over);
    sampler_remove(sampler, job);
    sampling_done(&job->sampling);
}

static struct sampler_counts counts(void)
{
    struct sampler_counts c = { 0 };

    sampler_count(sampler, &c);
    return c;
}

/* Until so many more samples were taken; a sampler that stands still fails the test by its limit. */
static void wait_for_samples(uint64_t more)
{
    uint64_t from = counts().samples;
    uint64_t end_ns = clock_monotonic_ns() + LIMIT_MS * CLOCK_NS_PER_MS;

    while (counts().samples < from + more) {
        assert_true(clock_monotonic_ns() < end_ns);
        poll(NULL, 0, 1);
    }
}

static void a_job_is_sampled_at_once_and_then_with_its_period(void **state)
{
    (void)state;
    uint64_t start_ns = clock_monotonic_ns();

    add(&jobs[0], 5);
    wait_until_begun(&jobs[0]);
    wait_for_samples(10);
    uint64_t passed_ns = clock_monotonic_ns() - start_ns;
    struct sampler_counts c = counts();

    assert_int_equal(c.jobs, 1);
    assert_true((c.samples - 2) * 5 * CLOCK_NS_PER_MS <= passed_ns); /* not more often */
    assert_int_equal(c.failures, 0);
    assert_true(c.hypercalls >= c.samples);
    assert_int_equal(c.mapped, 1);
    assert_int_equal(c.mapped_frames, 2);
    assert_int_equal(c.sampled_bytes, c.samples * 2 * MESSAGE_FRAME_BYTES);
    assert_true(sampler_look(sampler, &jobs[0]).is_mapped);
    struct pollfd row = { .fd = bell.wait_fd, .events = POLLIN };

    assert_int_equal(poll(&row, 1, LIMIT_MS), 1); /* the first record was rung for */
    end(&jobs[0]);
    assert_int_equal(counts().mapped, 0);
    assert_int_equal(counts().jobs, 0);
}

static void a_shorter_period_counts_at_once(void **state)
{
    (void)state;
    add(&jobs[0], 3600000);
    wait_until_begun(&jobs[0]);
    sampler_set_period(sampler, &jobs[0], 2 * CLOCK_NS_PER_MS);
    wait_for_samples(5);
    sampler_set_period(sampler, &jobs[0], 3600000 * CLOCK_NS_PER_MS);
    end(&jobs[0]);
}

static void what_is_pinned_stands_still_and_may_end(void **state)
{
    struct sampler_view one, two;

    (void)state;
    add(&jobs[0], 1);
    add(&jobs[1], 1);
    wait_until_begun(&jobs[0]);
    wait_until_begun(&jobs[1]);
    sampler_pin(sampler, &jobs[0]);
    while (!sampler_view(sampler, &jobs[0], &one)) {
        wait_until_told();
    }
    pthread_mutex_lock(&fake_host.lock);
    fake_host.pages[0] ^= 1;
    pthread_mutex_unlock(&fake_host.lock);
    uint64_t late = counts().late;

    wait_for_samples(20); /* of the other one */
    assert_true(counts().late > late);
    assert_true(sampler_view(sampler, &jobs[0], &two));
    assert_int_equal(one.place.position, two.place.position);
    assert_int_equal(one.last.monotonic_ns, two.last.monotonic_ns);
    assert_int_equal(one.image.bytes[0], 0);
    sampler_end(sampler, &jobs[0], FEED_END_RELEASED);
    assert_true(sampler_wait(sampler, &jobs[0], LIMIT_MS * CLOCK_NS_PER_MS));
    assert_int_equal(one.image.bytes[0], 0);
    sampler_unpin(sampler, &jobs[0]);
    end(&jobs[0]);
    end(&jobs[1]);
}

static void one_that_ends_by_itself_is_told_of(void **state)
{
    (void)state;
    add(&jobs[0], 2);
    wait_until_begun(&jobs[0]);
    pthread_mutex_lock(&fake_host.lock);
    fake_host.fails[FAKE_SIZE] = SAMPLING_FAILURES_MAX;
    pthread_mutex_unlock(&fake_host.lock);
    while (!sampler_look(sampler, &jobs[0]).is_over) {
        wait_until_told();
    }
    assert_int_equal(counts().failures, SAMPLING_FAILURES_MAX);
    end(&jobs[0]); /* it is over already */
}

static void at_the_ceiling_samples_are_late_and_not_lost(void **state)
{
    struct ceiling ceiling;

    (void)state;
    ceiling_init(&ceiling, 40, clock_monotonic_ns());
    sampler_set_ceiling(sampler, &ceiling);
    uint64_t start_ns = clock_monotonic_ns();

    add(&jobs[0], 1);
    wait_until_begun(&jobs[0]);
    while (counts().late < 20) {
        assert_true(clock_monotonic_ns() - start_ns < LIMIT_MS * CLOCK_NS_PER_MS);
        poll(NULL, 0, 1);
    }
    struct sampler_counts c = counts();
    double passed_s = (double)(clock_monotonic_ns() - start_ns) / (double)CLOCK_NS_PER_S;

    assert_int_equal(c.failures, 0);
    assert_true((double)c.hypercalls <=
                40 * passed_s + 10 + 5); /* a burst, and the last sample's */
    end(&jobs[0]);
    sampler_set_ceiling(sampler, NULL);
    ceiling_done(&ceiling);
}

/* Not a period later: that may be an hour. */
static void one_that_was_refused_is_sampled_when_there_is_room(void **state)
{
    struct ceiling ceiling;

    (void)state;
    ceiling_init(&ceiling, 10, clock_monotonic_ns());
    sampler_set_ceiling(sampler, &ceiling);
    add(&jobs[0], 3600000);
    wait_until_begun(&jobs[0]); /* more than there was room for */
    add(&jobs[1], 3600000);
    add(&jobs[2], UINT32_MAX);
    while (counts().late < 2 && !sampler_look(sampler, &jobs[2]).has_begun) {
        poll(NULL, 0, 1);
    }
    sampler_set_period(sampler, &jobs[2], 3600000 * CLOCK_NS_PER_MS); /* nor for its sake */
    uint64_t end_ns = clock_monotonic_ns() + LIMIT_MS * CLOCK_NS_PER_MS;

    for (int i = 1; i <= 2; i++) {
        while (!sampler_look(sampler, &jobs[i]).has_begun) {
            assert_true(clock_monotonic_ns() < end_ns);
            poll(NULL, 0, 1);
        }
    }
    for (int i = 0; i <= 2; i++) {
        end(&jobs[i]);
    }
    sampler_set_ceiling(sampler, NULL);
    ceiling_done(&ceiling);
}

/* --- what is long ------------------------------------------------------------------------------- */

/* A source that tells what was done of it, in order: 's' a sample, 'b' one that begins what is long, 'e' the
 * end of that. What is long takes until the short one is due again; the first of them waits at the gate, so
 * that all the others are queued behind it. */
static struct {
    pthread_mutex_t lock; /* of what was done */
    char done[4096];
    uint32_t count;
    uint64_t short_ns; /* when the short one was sampled last; the sampling thread's */
    sem_t gate;
    atomic_bool is_shut;
} play = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void note(char what)
{
    pthread_mutex_lock(&play.lock);
    play.done[play.count] = what;
    play.count += play.count < sizeof(play.done) - 1;
    pthread_mutex_unlock(&play.lock);
}

static void be_long(char what)
{
    if (atomic_exchange(&play.is_shut, false)) {
        sem_wait(&play.gate);
    }
    note(what);
    while (clock_monotonic_ns() < play.short_ns + CLOCK_NS_PER_MS + 2 * WHEEL_TICK_NS) {
    }
}

static int sample_short(struct source *s, struct source_tools *t, struct source_sample *now,
                        struct failure *f)
{
    (void)s, (void)t, (void)f;
    note('s');
    play.short_ns = clock_monotonic_ns();
    now->next_after_ns = CLOCK_NS_PER_MS; /* counted from before: it is due by then for sure */
    return 0;
}

static int sample_long(struct source *s, struct source_tools *t, struct source_sample *now,
                       struct failure *f)
{
    (void)s, (void)t, (void)now, (void)f;
    be_long('b');
    return 0;
}

static void finish_long(struct source *s, struct source_tools *t, struct source_sample *now,
                        struct source_end *end)
{
    (void)s, (void)t, (void)now, (void)end;
    be_long('e');
}

static void unmap_nothing(struct source *s, struct source_tools *t)
{
    (void)s, (void)t;
}

static void free_source(struct source *s)
{
    free(s);
}

static void add_played(struct sampler_job *job, bool is_long, unsigned period_ms)
{
    static const struct source_ops ops_short = { .sample = sample_short,
                                                 .unmap = unmap_nothing,
                                                 .free = free_source };
    static const struct source_ops ops_long = {
        .sample = sample_long, .finish = finish_long, .unmap = unmap_nothing, .free = free_source
    };
    struct source *source = calloc(1, sizeof(*source));

    assert_non_null(source);
    source->ops = is_long ? &ops_long : &ops_short;
    memset(job, 0, sizeof(*job));
    job->period_ns = period_ms * CLOCK_NS_PER_MS;
    sampling_init(&job->sampling, source, SPOOL_BYTES, &memory);
    sampler_add(sampler, job);
}

static void shut_gate(void)
{
    pthread_mutex_lock(&play.lock);
    play.count = 0;
    pthread_mutex_unlock(&play.lock);
    atomic_store(&play.is_shut, true);
}

/* So many were done, and never two of them without a sample of the short one in between. */
static void assert_alternated(char what, uint32_t count)
{
    uint32_t found = 0;
    bool had_turn = true;

    pthread_mutex_lock(&play.lock);
    for (uint32_t i = 0; i < play.count; i++) {
        if (play.done[i] == what && !had_turn) {
            play.done[play.count] = 0;
            fail_msg("two in a row at %u of %s", i, play.done);
        }
        had_turn = play.done[i] == 's' || (had_turn && play.done[i] != what);
        found += play.done[i] == what;
    }
    pthread_mutex_unlock(&play.lock);
    assert_int_equal(found, count);
}

static void many_that_begin_or_end_at_once_hold_up_nobody_for_longer_than_one(void **state)
{
    enum { BIG = 16 };

    (void)state;
    assert_int_equal(sem_init(&play.gate, 0, 0), 0);
    add_played(&jobs[BIG], false, 1);
    wait_until_begun(&jobs[BIG]);
    shut_gate();
    for (int i = 0; i < BIG; i++) {
        add_played(&jobs[i], true, 3600000);
    }
    sem_post(&play.gate);
    for (int i = 0; i < BIG; i++) {
        wait_until_begun(&jobs[i]);
    }
    assert_alternated('b', BIG);

    shut_gate();
    for (int i = 0; i < BIG; i++) {
        sampler_end(sampler, &jobs[i], FEED_END_RELEASED);
    }
    sem_post(&play.gate);
    for (int i = 0; i < BIG; i++) {
        end(&jobs[i]);
    }
    assert_alternated('e', BIG);
    end(&jobs[BIG]);
    sem_destroy(&play.gate);
}

/* Those that were never begun are not begun any more, and one that begins waits for no more than its turn. */
static void what_is_long_begins_and_ends_in_any_order(void **state)
{
    enum { BIG = 8 };

    (void)state;
    assert_int_equal(sem_init(&play.gate, 0, 0), 0);
    add_played(&jobs[BIG], false, 1);
    wait_until_begun(&jobs[BIG]);
    shut_gate();
    for (int i = 0; i < BIG; i++) {
        add_played(&jobs[i], true, 3600000);
    }
    for (int i = 0; i < BIG; i += 2) { /* the first may be at the gate, and all others wait */
        sampler_end(sampler, &jobs[i], FEED_END_RELEASED);
    }
    sem_post(&play.gate);
    for (int i = 1; i < BIG; i += 2) {
        wait_until_begun(&jobs[i]);
    }
    for (int i = 0; i < BIG; i++) {
        end(&jobs[i]);
    }
    assert_alternated('e', BIG);
    end(&jobs[BIG]);
    sem_destroy(&play.gate);
}

/* --- all at once -------------------------------------------------------------------------------- */

/* Everything at once, from the loop's side, while the thread samples and the guest writes. */
static void many_jobs_begin_and_end_while_others_are_sampled(void **state)
{
    enum { JOBS = sizeof(jobs) / sizeof(jobs[0]), ROUNDS = 2000 };

    (void)state;
    srandom(12);
    for (int i = 0; i < JOBS; i++) {
        add(&jobs[i], 1 + (unsigned)i % 20);
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct sampler_job *job = &jobs[random() % JOBS];
        struct sampler_view view;

        switch (random() % 6) {
        case 0:
            end(job);
            add(job, 1 + (unsigned)random() % 20);
            break;
        case 1:
            sampler_set_period(sampler, job, (1 + (uint64_t)random() % 9) * CLOCK_NS_PER_MS);
            break;
        case 2:
            if (sampler_look(sampler, job).has_begun) {
                sampler_pin(sampler, job);
                if (sampler_view(sampler, job, &view)) {
                    assert_int_equal(view.image.len_bytes, 2 * MESSAGE_FRAME_BYTES);
                    assert_int_equal(view.image.bytes[100], view.image.bytes[101]);
                }
                sampler_unpin(sampler, job);
            }
            break;
        case 3: (void)counts(); break;
        case 4: sampler_set_bell(sampler, random() % 2 == 0 ? -1 : bell.ring_fd); break;
        default: sampler_end(sampler, job, FEED_END_RENAMED); break;
        }
    }
    for (int i = 0; i < JOBS; i++) {
        end(&jobs[i]);
    }
    assert_int_equal(counts().jobs, 0);
    assert_int_equal(counts().mapped_frames, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_is_sampled_at_once_and_then_with_its_period, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_shorter_period_counts_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_pinned_stands_still_and_may_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_ends_by_itself_is_told_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_the_ceiling_samples_are_late_and_not_lost, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_was_refused_is_sampled_when_there_is_room, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            many_that_begin_or_end_at_once_hold_up_nobody_for_longer_than_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_long_begins_and_ends_in_any_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(many_jobs_begin_and_end_while_others_are_sampled, set_up,
                                        tear_down),
    };

    return UNIT_RUN(tests);
}
