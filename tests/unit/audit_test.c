/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* An audit that is written: by many threads, into full disks, across rotations, and by processes that are
 * killed. */
#include "auth/audit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/lib/audit_rig.h"

enum { THREADS = 4, RECORDS_EACH = 500, KILLS = 100 };

static void goes_on_after_a_stop(void **state)
{
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    for (unsigned i = 0; i < 3; i++) {
        audit_rig_start(&r);
        assert_int_equal(audit_rig_write(&r, i), 0);
        audit_rig_stop(&r);
    }
    assert_int_equal(audit_rig_whole(&r)->records, 1 + 3 * 4); /* start, one, stop, checkpoint */
    assert_int_equal(audit_rig_count(&r, "\"event\":\"recovered\""), 0);
    audit_rig_done(&r);
}

static void *write_many(void *arg)
{
    for (unsigned i = 0; i < RECORDS_EACH; i++) {
        assert_int_equal(audit_rig_write(arg, i), 0);
    }
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
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    r.options.sync = AUDIT_SYNC_EACH;
    audit_rig_start(&r);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(audit_rig_write(&r, i), 0);
    }
    audit_rig_done(&r);
}

/* --- files --------------------------------------------------------------------------------------------- */

static void rotation_keeps_the_chain_and_no_more_files_than_asked_for(void **state)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    r.options.log.max_bytes = 4096;
    r.options.log.keep = 3;
    audit_rig_start(&r);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(audit_rig_write(&r, i), 0);
    }
    audit_rig_stop(&r);
    assert_int_equal(audit_rig_list(&r, names), 4);
    assert_true(audit_rig_whole(&r)->first_sequence > 1);
    assert_true(audit_rig_count(&r, "\"event\":\"file_removed\"") > 0);
    audit_rig_done(&r);
}

static void a_file_that_was_put_aside_is_followed_by_another(void **state)
{
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    assert_int_equal(audit_rig_write(&r, 1), 0);
    audit_reopen(r.audit); /* nobody has: nothing */
    assert_int_equal(rename(folder_path(&r.dir, "audit.log"), folder_path(&r.dir, "audit.log.1")),
                     0);
    audit_reopen(r.audit);
    assert_int_equal(audit_rig_write(&r, 2), 0);
    audit_rig_stop(&r);
    assert_int_equal(audit_rig_count(&r, "\"reason\":\"reopened\""), 1);
    (void)audit_rig_whole(&r);
    audit_rig_done(&r);
}

/* Whoever moves the file away while the service is down: the next one goes on. */
static void a_file_that_is_gone_is_told(void **state)
{
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    audit_rig_stop(&r);
    assert_int_equal(rename(folder_path(&r.dir, "audit.log"), folder_path(&r.dir, "audit.log.1")),
                     0);
    audit_rig_start(&r);
    audit_rig_stop(&r);
    assert_int_equal(audit_rig_count(&r, "the file was gone or empty"), 1);
    (void)audit_rig_whole(&r);
    audit_rig_done(&r);
}

/* What was cut off is not made good: a record says it, and the verifier finds it missing. */
static void a_file_that_was_cut_is_put_aside(void **state)
{
    static const struct audit_rig_check with_all;
    struct audit_rig r;
    struct audit_report report;
    struct failure f;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    assert_int_equal(audit_rig_write(&r, 1), 0);
    audit_rig_stop(&r);
    assert_int_equal(truncate(folder_path(&r.dir, "audit.log"), 700), 0);
    audit_rig_start(&r);
    audit_rig_stop(&r);
    assert_int_equal(audit_rig_count(&r, "shorter than it was left"), 1);
    assert_int_equal(audit_rig_verify(&r, &with_all, &report, &f), -ERROR_DATA_LOSS);
    audit_rig_done(&r);
}

static void append_text(const struct audit_rig *r, const char *text)
{
    FILE *file = fopen(folder_path(&r->dir, "audit.log"), "ae");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void a_torn_line_is_taken_off_and_told(void **state)
{
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    audit_rig_stop(&r);
    append_text(&r, "{\"seq\":5,\"ti");
    assert_int_equal(audit_rig_whole(&r)->torn_bytes, 12);
    audit_rig_start(&r);
    audit_rig_stop(&r);
    assert_int_equal(audit_rig_whole(&r)->torn_bytes, 0);
    assert_int_equal(audit_rig_count(&r, "\"torn_bytes\":12"), 1);
    audit_rig_done(&r);
}

static void bytes_of_others_are_kept_for_who_looks(void **state)
{
    static const struct audit_rig_check with_all;
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    struct audit_rig r;
    struct audit_report report;
    struct failure f;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    audit_rig_stop(&r);
    append_text(&r, "not of the audit\n");
    audit_rig_start(&r);
    audit_rig_stop(&r);
    assert_int_equal(audit_rig_list(&r, names), 2);
    assert_non_null(strstr(names[0], "audit.log.damaged-"));
    assert_int_equal(audit_rig_verify(&r, &with_all, &report, &f), -ERROR_DATA_LOSS);
    assert_int_equal(report.verified_sequence, 4); /* all before it */
    audit_rig_done(&r);
}

/* --- what it starts with --------------------------------------------------------------------------------- */

static void without_its_state_no_new_chain_begins(void **state)
{
    struct audit_rig r;
    struct failure f = { 0 };

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    audit_rig_stop(&r);
    assert_int_equal(unlink(folder_path(&r.dir, "audit.state")), 0);
    assert_int_equal(audit_rig_try_start(&r, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.next_step, "audit.key"));
    audit_rig_done(&r);
}

static void the_key_may_be_elsewhere(void **state)
{
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    audit_rig_stop(&r);
    assert_int_equal(rename(folder_path(&r.dir, "audit.key"), folder_path(&r.dir, "moved.key")), 0);
    audit_rig_start(&r);
    audit_rig_stop(&r);
    assert_int_equal(rename(folder_path(&r.dir, "moved.key"), folder_path(&r.dir, "audit.key")), 0);
    (void)audit_rig_whole(&r);
    audit_rig_done(&r);
}

static void a_damaged_state_is_refused(void **state)
{
    struct audit_rig r;
    struct failure f = { 0 };
    static const char zeros[4096];

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    audit_rig_stop(&r);
    folder_write(folder_path(&r.dir, "audit.state"), zeros, sizeof zeros);
    assert_int_equal(audit_rig_try_start(&r, &f), -ERROR_FAILED_PRECONDITION);
    audit_rig_done(&r);
}

static void two_services_do_not_write_one_audit(void **state)
{
    struct audit_rig r;
    struct failure f = { 0 };

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    struct audit_rig second = r;

    assert_int_equal(audit_rig_try_start(&second, &f), -ERROR_UNAVAILABLE);
    audit_rig_done(&r);
}

/* The state's file holds one key, that of the record that comes: neither place has an older one. */
static void no_key_of_the_past_is_kept(void **state)
{
    struct audit_rig r;
    uint8_t key[AUDIT_KEY_BYTES];
    struct audit_crypto *c = NULL;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(audit_rig_write(&r, i), 0);
    }
    audit_rig_key(&r, "audit.key", key);
    assert_int_equal(audit_crypto_new(&c, NULL), 0);
    struct audit_bytes b = audit_rig_read(folder_path(&r.dir, "audit.state"));

    for (unsigned i = 1; i <= 6; i++) { /* file_begun, start, three: the sixth comes next */
        bool is_there = memmem(b.bytes, b.len, key, sizeof key) != NULL;

        assert_int_equal(is_there, i == 6);
        assert_int_equal(audit_chain_next_key(c, key), 0);
    }
    free(b.bytes);
    audit_crypto_free(c);
    audit_rig_done(&r);
}

/* --- where it cannot be written ------------------------------------------------------------------------- */

static atomic_int failing;

static void on_failing(void *arg, bool is_failing)
{
    (void)arg;
    atomic_store(&failing, is_failing);
}

/* As a disk that is full: the file may not grow beyond what it has and a little. */
static void limit_files(uint64_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes != 0 ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void wait_failing(int wanted)
{
    while (atomic_load(&failing) != wanted) {
        (void)sched_yield();
    }
}

static void a_full_disk_refuses_until_there_is_room(void **state)
{
    struct audit_rig r;
    struct audit_counters counted;
    struct failure f = { 0 };
    unsigned refused = 0;

    (void)state;
    atomic_store(&failing, 0);
    audit_rig_init(&r);
    r.options.on_failing = on_failing;
    audit_rig_start(&r);
    limit_files(8192);
    for (unsigned i = 0; i < 100; i++) {
        refused += audit_rig_write(&r, i) == -ERROR_UNAVAILABLE;
    }
    assert_in_range(refused, 70, 99); /* those that had room, were taken */
    assert_int_equal(audit_check(r.audit, &f), -ERROR_UNAVAILABLE);
    assert_true(f.next_step[0] != '\0' && f.cause[0] != '\0' && f.retry_after_ms > 0);
    wait_failing(1);
    audit_count(r.audit, &counted);
    assert_int_equal(counted.lost, refused);
    assert_true(counted.is_failing);
    limit_files(0);
    wait_failing(0); /* its thread finds it out by itself */
    assert_int_equal(audit_check(r.audit, NULL), 0);
    assert_int_equal(audit_rig_write(&r, 1), 0);
    audit_rig_stop(&r);
    (void)audit_rig_whole(&r);
    uint64_t missing = 0;

    assert_true(audit_rig_count_in(&r, "audit.log", "\"event\":\"lost\",\"records\":", &missing) >
                0);
    assert_int_equal(missing, refused);
    audit_rig_done(&r);
}

static void a_full_disk_is_told_and_gone_on_from_where_that_is_the_choice(void **state)
{
    struct audit_rig r;

    (void)state;
    atomic_store(&failing, 0);
    audit_rig_init(&r);
    r.options.on_failure = AUDIT_CONTINUE;
    r.options.on_failing = on_failing;
    audit_rig_start(&r);
    limit_files(8192);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(audit_rig_write(&r, i), 0);
    }
    assert_int_equal(audit_check(r.audit, NULL), 0);
    wait_failing(1);
    limit_files(0);
    wait_failing(0);
    audit_rig_stop(&r);
    (void)audit_rig_whole(&r);
    assert_true(audit_rig_count(&r, "\"event\":\"lost\"") > 0);
    audit_rig_done(&r);
}

/* It may be full from the beginning. */
static void a_start_without_room_is_the_operators_choice(void **state)
{
    struct audit_rig r;
    struct failure f = { 0 };

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    audit_rig_stop(&r);
    limit_files(100);
    assert_int_equal(audit_rig_try_start(&r, &f), -ERROR_UNAVAILABLE);
    r.options.on_failure = AUDIT_CONTINUE;
    audit_rig_start(&r);
    limit_files(0);
    audit_rig_stop(&r);
    (void)audit_rig_whole(&r);
    audit_rig_done(&r);
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
    struct audit_rig r;
    uint64_t told = 0;

    (void)state;
    audit_rig_init(&r);
    r.options.log.max_bytes = 16384;
    r.options.log.keep = 20;
    r.options.checkpoint_records = 7;
    for (unsigned i = 0; i < KILLS; i++) {
        uint8_t bytes[4096];
        ssize_t n;
        int ends[2], status;

        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            (void)close(ends[0]);
            write_until_killed(&r, ends[1]);
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

            assert_int_equal(audit_state_peek(folder_path(&r.dir, "audit.state"), &last, NULL), 0);
            const struct audit_report *report = audit_rig_whole(&r);

            assert_true(report->last_sequence >= told && report->last_sequence >= last);
        }
    }
    audit_rig_start(&r);
    audit_rig_stop(&r);
    assert_true(audit_rig_whole(&r)->last_sequence > told);
    assert_true(audit_rig_count_all(&r, "did not stop, but was ended") > 0);
    audit_rig_done(&r);
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
    struct audit_rig r;

    (void)state;
    atomic_store(&checkpoints, 0);
    audit_rig_init(&r);
    r.options.on_checkpoint = count_checkpoint;
    r.options.checkpoint_records = 5;
    audit_rig_start(&r);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(audit_rig_write(&r, i), 0);
    }
    while (atomic_load(&checkpoints) < 1) {
        (void)sched_yield();
    }
    audit_rig_stop(&r);
    r.options.checkpoint_records = 1000000;
    r.options.checkpoint_ms = 1;
    audit_rig_start(&r);
    unsigned before = atomic_load(&checkpoints);

    while (atomic_load(&checkpoints) == before) {
        (void)sched_yield();
    }
    audit_rig_done(&r);
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
        cmocka_unit_test(goes_on_after_a_stop),
        cmocka_unit_test(threads_write_one_chain),
        cmocka_unit_test(each_record_can_be_on_the_disk_first),
        cmocka_unit_test(rotation_keeps_the_chain_and_no_more_files_than_asked_for),
        cmocka_unit_test(a_file_that_was_put_aside_is_followed_by_another),
        cmocka_unit_test(a_file_that_is_gone_is_told),
        cmocka_unit_test(a_file_that_was_cut_is_put_aside),
        cmocka_unit_test(a_torn_line_is_taken_off_and_told),
        cmocka_unit_test(bytes_of_others_are_kept_for_who_looks),
        cmocka_unit_test(without_its_state_no_new_chain_begins),
        cmocka_unit_test(the_key_may_be_elsewhere),
        cmocka_unit_test(a_damaged_state_is_refused),
        cmocka_unit_test(two_services_do_not_write_one_audit),
        cmocka_unit_test(no_key_of_the_past_is_kept),
        cmocka_unit_test(a_full_disk_refuses_until_there_is_room),
        cmocka_unit_test(a_full_disk_is_told_and_gone_on_from_where_that_is_the_choice),
        cmocka_unit_test(a_start_without_room_is_the_operators_choice),
        cmocka_unit_test(whoever_is_killed_leaves_a_whole_chain),
        cmocka_unit_test(checkpoints_come_by_number_and_by_time),
        cmocka_unit_test(an_audit_that_is_off_refuses_nothing),
    };

    return UNIT_RUN(tests);
}
