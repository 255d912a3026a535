/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* An audit that is written: by many threads, into full disks, across rotations, and by processes that are
 * killed. */
#include "auth/audit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/lib/audit_rig.h"

enum { THREADS = 4, RECORDS_EACH = 500, KILLS = 100 };

static void goes_on_after_a_stop(void **state)
{
    struct audit_rig *r = *state;

    for (unsigned i = 0; i < 3; i++) {
        audit_rig_start(r);
        assert_int_equal(audit_rig_write(r, i), 0);
        audit_rig_stop(r);
    }
    assert_int_equal(audit_rig_whole(r)->records, 1 + 3 * 4); /* start, one, stop, checkpoint */
    assert_int_equal(audit_rig_count(r, "\"event\":\"recovered\""), 0);
}

static void *write_many(void *arg)
{
    audit_rig_write_all(arg, RECORDS_EACH);
    return NULL;
}

static void threads_write_one_chain(void **state)
{
    const enum audit_sync syncs[] = { AUDIT_SYNC_NONE, AUDIT_SYNC_INTERVAL };
    struct audit_rig r;
    pthread_t threads[THREADS];
    struct audit_counters counted;

    (void)state;
    for (size_t s = 0; s < sizeof syncs / sizeof syncs[0]; s++) {
        audit_rig_init(&r);
        r.options.sync = syncs[s];
        r.options.log.max_bytes = 65536;
        r.options.checkpoint_records = 100;
        audit_rig_start(&r);
        for (size_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, write_many, &r), 0);
        }
        for (size_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        }
        audit_count(r.audit, &counted);
        assert_true(counted.records >= THREADS * RECORDS_EACH);
        assert_int_equal(counted.lost, 0);
        audit_rig_stop(&r);
        assert_true(audit_rig_whole(&r)->records > THREADS * RECORDS_EACH);
        audit_rig_done(&r);
    }
}

static void each_record_can_be_on_the_disk_first(void **state)
{
    struct audit_rig *r = *state;

    r->options.sync = AUDIT_SYNC_EACH;
    audit_rig_start(r);
    audit_rig_write_all(r, 5);
}

/* --- what it starts with --------------------------------------------------------------------------------- */

static void without_its_state_no_new_chain_begins(void **state)
{
    struct audit_rig *r = *state;
    struct failure f = { 0 };

    audit_rig_run(r);
    assert_int_equal(unlink(folder_path(&r->dir, "audit.state")), 0);
    assert_int_equal(audit_rig_try_start(r, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.next_step, "audit.key"));
}

static void the_key_may_be_elsewhere(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_run(r);
    assert_int_equal(rename(folder_path(&r->dir, "audit.key"), folder_path(&r->dir, "moved.key")),
                     0);
    audit_rig_run(r);
    assert_int_equal(rename(folder_path(&r->dir, "moved.key"), folder_path(&r->dir, "audit.key")),
                     0);
    (void)audit_rig_whole(r);
}

static void a_damaged_state_is_refused(void **state)
{
    struct audit_rig *r = *state;
    struct failure f = { 0 };
    static const char zeros[4096];

    audit_rig_run(r);
    folder_write(folder_path(&r->dir, "audit.state"), zeros, sizeof zeros);
    assert_int_equal(audit_rig_try_start(r, &f), -ERROR_FAILED_PRECONDITION);
}

static void two_services_do_not_write_one_audit(void **state)
{
    struct audit_rig *r = *state;
    struct failure f = { 0 };

    audit_rig_start(r);
    struct audit_rig second = *r;

    assert_int_equal(audit_rig_try_start(&second, &f), -ERROR_UNAVAILABLE);
}

/* The state's file holds one key, that of the record that comes: neither place has an older one. */
static void no_key_of_the_past_is_kept(void **state)
{
    struct audit_rig *r = *state;
    uint8_t key[AUDIT_KEY_BYTES];
    struct audit_crypto *c = NULL;

    audit_rig_start(r);
    audit_rig_write_all(r, 3);
    audit_rig_key(r, "audit.key", key);
    assert_int_equal(audit_crypto_new(&c, NULL), 0);
    struct audit_bytes b = audit_rig_read(folder_path(&r->dir, "audit.state"));

    for (unsigned i = 1; i <= 6; i++) { /* file_begun, start, three: the sixth comes next */
        bool is_there = memmem(b.bytes, b.len, key, sizeof key) != NULL;

        assert_int_equal(is_there, i == 6);
        assert_int_equal(audit_chain_next_key(c, key), 0);
    }
    free(b.bytes);
    audit_crypto_free(c);
}

/* --- where it cannot be written ------------------------------------------------------------------------- */

static atomic_int failing;

static void on_failing(void *arg, bool is_failing)
{
    (void)arg;
    atomic_store(&failing, is_failing);
}

static void wait_failing(int wanted)
{
    while (atomic_load(&failing) != wanted) {
        (void)sched_yield();
    }
}

static void a_full_disk_refuses_until_there_is_room(void **state)
{
    struct audit_rig *r = *state;
    struct audit_counters counted;
    struct failure f = { 0 };
    unsigned refused = 0;

    atomic_store(&failing, 0);
    r->options.on_failing = on_failing;
    audit_rig_start(r);
    audit_rig_limit_files(8192);
    for (unsigned i = 0; i < 100; i++) {
        refused += audit_rig_write(r, i) == -ERROR_UNAVAILABLE;
    }
    assert_in_range(refused, 70, 99); /* those that had room, were taken */
    assert_int_equal(audit_check(r->audit, &f), -ERROR_UNAVAILABLE);
    assert_true(f.next_step[0] != '\0' && f.cause[0] != '\0' && f.retry_after_ms > 0);
    wait_failing(1);
    audit_count(r->audit, &counted);
    assert_int_equal(counted.lost, refused);
    assert_true(counted.is_failing);
    audit_rig_limit_files(0);
    wait_failing(0); /* its thread finds it out by itself */
    assert_int_equal(audit_check(r->audit, NULL), 0);
    assert_int_equal(audit_rig_write(r, 1), 0);
    audit_rig_stop(r);
    (void)audit_rig_whole(r);
    uint64_t missing = 0;

    assert_true(audit_rig_count_in(r, "audit.log", "\"event\":\"lost\",\"records\":", &missing) >
                0);
    assert_int_equal(missing, refused);
}

static void a_full_disk_is_told_and_gone_on_from_where_that_is_the_choice(void **state)
{
    struct audit_rig *r = *state;

    atomic_store(&failing, 0);
    r->options.on_failure = AUDIT_CONTINUE;
    r->options.on_failing = on_failing;
    audit_rig_start(r);
    audit_rig_limit_files(8192);
    audit_rig_write_all(r, 100);
    assert_int_equal(audit_check(r->audit, NULL), 0);
    wait_failing(1);
    audit_rig_limit_files(0);
    wait_failing(0);
    audit_rig_stop(r);
    (void)audit_rig_whole(r);
    assert_true(audit_rig_count(r, "\"event\":\"lost\"") > 0);
}

/* It may be full from the beginning. */
static void a_start_without_room_is_the_operators_choice(void **state)
{
    struct audit_rig *r = *state;
    struct failure f = { 0 };

    audit_rig_run(r);
    audit_rig_limit_files(100);
    assert_int_equal(audit_rig_try_start(r, &f), -ERROR_UNAVAILABLE);
    r->options.on_failure = AUDIT_CONTINUE;
    audit_rig_start(r);
    audit_rig_limit_files(0);
    audit_rig_stop(r);
    (void)audit_rig_whole(r);
}

/* --- killed ---------------------------------------------------------------------------------------------- */

/* Writes until it is killed; what it was told is written, it tells `out`. */
static void write_until_killed(struct audit_rig *r, int out)
{
    audit_rig_start(r);
    for (unsigned i = 0;; i++) {
        uint8_t one = 1;

        if (audit_rig_write(r, i) != 0 || write(out, &one, 1) != 1) {
            _exit(1);
        }
    }
}

/* A process that writes, rotates and signs all the time is killed, again and again: nothing that it was told is
 * written is missing, and the chain is whole. */
static void whoever_is_killed_leaves_a_whole_chain(void **state)
{
    struct audit_rig *r = *state;
    uint64_t told = 0;

    r->options.log.max_bytes = 16384;
    r->options.log.keep = 20;
    r->options.checkpoint_records = 7;
    for (unsigned i = 0; i < KILLS; i++) {
        uint8_t bytes[4096];
        ssize_t n;
        int ends[2], status;

        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            (void)close(ends[0]);
            write_until_killed(r, ends[1]);
        }
        (void)close(ends[1]);
        for (size_t seen = 0; seen < 1 + i * 3 % 40; seen += (size_t)n) {
            n = read(ends[0], bytes, 1);
            assert_int_equal(n, 1);
            told++;
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        while ((n = read(ends[0], bytes, sizeof(bytes))) > 0) {
            told += (uint64_t)n;
        }
        (void)close(ends[0]);
        assert_true(WIFSIGNALED(status));
        if (i % 10 == 9) {
            uint64_t last = 0;

            assert_int_equal(audit_state_peek(folder_path(&r->dir, "audit.state"), &last, NULL), 0);
            const struct audit_report *report = audit_rig_whole(r);

            assert_true(report->last_sequence >= told && report->last_sequence >= last);
        }
    }
    audit_rig_run(r);
    assert_true(audit_rig_whole(r)->last_sequence > told);
    assert_true(audit_rig_count_all(r, "did not stop, but was ended") > 0);
}

/* --- checkpoints -------------------------------------------------------------------------------------------- */

static atomic_uint checkpoints;

static void count_checkpoint(void *arg, const char *line, uint64_t sequence)
{
    char begin[40];

    (void)arg;
    snprintf(begin, sizeof(begin), "{\"seq\":%llu,", (unsigned long long)sequence);
    assert_memory_equal(line, begin, strlen(begin));
    assert_null(strchr(line, '\n'));
    atomic_fetch_add(&checkpoints, 1);
}

static void checkpoints_come_by_number_and_by_time(void **state)
{
    struct audit_rig *r = *state;

    atomic_store(&checkpoints, 0);
    r->options.on_checkpoint = count_checkpoint;
    r->options.checkpoint_records = 5;
    audit_rig_start(r);
    audit_rig_write_all(r, 5);
    while (atomic_load(&checkpoints) < 1) {
        (void)sched_yield();
    }
    audit_rig_stop(r);
    r->options.checkpoint_records = 1000000;
    r->options.checkpoint_ms = 1;
    audit_rig_start(r);
    unsigned before = atomic_load(&checkpoints);

    while (atomic_load(&checkpoints) == before) {
        (void)sched_yield();
    }
}

static void an_audit_that_is_off_refuses_nothing(void **state)
{
    const struct audit_record r = { .event = AUDIT_STOP };
    struct audit_counters counted;

    (void)state;
    assert_int_equal(audit_start(NULL, NULL), 0);
    assert_int_equal(audit_write(NULL, &r, NULL), 0);
    assert_int_equal(audit_check(NULL, NULL), 0);
    audit_reopen(NULL);
    audit_count(NULL, &counted);
    assert_int_equal(counted.records, 0);
    audit_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUDIT_RIG_TEST(goes_on_after_a_stop),
        cmocka_unit_test(threads_write_one_chain),
        AUDIT_RIG_TEST(each_record_can_be_on_the_disk_first),
        AUDIT_RIG_TEST(without_its_state_no_new_chain_begins),
        AUDIT_RIG_TEST(the_key_may_be_elsewhere),
        AUDIT_RIG_TEST(a_damaged_state_is_refused),
        AUDIT_RIG_TEST(two_services_do_not_write_one_audit),
        AUDIT_RIG_TEST(no_key_of_the_past_is_kept),
        AUDIT_RIG_TEST(a_full_disk_refuses_until_there_is_room),
        AUDIT_RIG_TEST(a_full_disk_is_told_and_gone_on_from_where_that_is_the_choice),
        AUDIT_RIG_TEST(a_start_without_room_is_the_operators_choice),
        AUDIT_RIG_TEST(whoever_is_killed_leaves_a_whole_chain),
        AUDIT_RIG_TEST(checkpoints_come_by_number_and_by_time),
        cmocka_unit_test(an_audit_that_is_off_refuses_nothing),
    };

    return UNIT_RUN(tests);
}
