/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a disk has lost of the audit is success for nobody, and is told, once, with how much it was. */
#include "tests/lib/audit_disk_rig.h"

#include <limits.h>

enum { FAILURES = 10 };

static struct audit_batch batch_of_one(void)
{
    const struct audit_record record = { .event = AUDIT_SNAPSHOT, .has_bytes = true, .bytes = 1 };
    struct audit_batch b = { .count = 0 };

    assert_true(audit_batch_add(&b, &record, clock_wall_ns()));
    return b;
}

/* Its thread does not come first. */
static void start_with_each(struct audit_rig *r)
{
    r->options.sync = AUDIT_SYNC_EACH;
    r->options.tick_ms = 3600 * 1000;
    audit_rig_start(r);
}

/* The disk fails from now on, which costs a record; its thread has found out that it does so still. */
static void lose_one(struct audit_rig *r)
{
    const struct audit_batch batch = batch_of_one();
    struct audit_receipt receipt;
    struct failure f = { 0 };

    set_failing(UINT_MAX);
    audit_write_batch(r->audit, &batch, &receipt);
    assert_int_equal(audit_settle(r->audit, &receipt, &f), -ERROR_UNAVAILABLE);
    wait_for_syncs_of_others(1);
}

/* The kernel tells one call of what was lost, and the next one that all is well. */
static void what_the_disk_has_lost_is_lost_for_all_who_wait(void **state)
{
    const struct audit_batch batch = batch_of_one();
    struct audit_rig *r = *state;
    struct audit_receipt before, first, second, third;
    struct failure f = { 0 };

    start_with_each(r);
    audit_write_batch(r->audit, &batch, &before);
    assert_int_equal(audit_settle(r->audit, &before, &f), 0);
    fail_next();
    audit_write_batch(r->audit, &batch, &first);
    audit_write_batch(r->audit, &batch, &second);
    assert_true(first.is_written && second.is_written);
    assert_int_equal(audit_settle(r->audit, &second, &f), -ERROR_UNAVAILABLE);
    assert_int_equal(audit_settle(r->audit, &first, &f), -ERROR_UNAVAILABLE);
    while (audit_check(r->audit, NULL) != 0) { /* its thread tries again */
    }
    assert_int_equal(audit_rig_write(r, 1), 0);
    assert_int_equal(audit_settle(r->audit, &first, &f), -ERROR_UNAVAILABLE);
    assert_int_equal(audit_settle(r->audit, &before, &f), 0);
    assert_int_equal(audit_rig_count(r, "\"unsynced\":2,\"detail\":\"Input/output error\""), 1);
    wait_for_syncs_of_others(2); /* whether it works, and of the record that says so */
    fail_next();
    audit_write_batch(r->audit, &batch, &third);
    assert_int_equal(audit_settle(r->audit, &third, &f), -ERROR_UNAVAILABLE);
    assert_int_equal(audit_settle(r->audit, &first, &f), -ERROR_UNAVAILABLE);
    while (audit_check(r->audit, NULL) != 0) {
    }
    assert_int_equal(audit_settle(r->audit, &first, &f), -ERROR_UNAVAILABLE);
    assert_int_equal(audit_settle(r->audit, &before, &f), 0);
    assert_int_equal(audit_rig_count(r, "\"unsynced\":1,\"detail\":\"Input/output error\""), 1);
}

struct waiter {
    struct audit *audit;
    struct audit_receipt receipt;
    int result;
};

static void *settle(void *arg)
{
    struct waiter *w = arg;
    struct failure f = { 0 };

    w->result = audit_settle(w->audit, &w->receipt, &f);
    return NULL;
}

/* What is written while another waits for the disk may have been on its way there with the rest. */
static void what_is_written_meanwhile_is_lost_as_well(void **state)
{
    const struct audit_batch batch = batch_of_one();
    struct audit_rig *r = *state;
    struct audit_receipt second;
    struct failure f = { 0 };
    pthread_t thread;

    start_with_each(r);
    struct waiter first = { .audit = r->audit };

    audit_write_batch(r->audit, &batch, &first.receipt);
    set_stuck(true);
    assert_int_equal(pthread_create(&thread, NULL, settle, &first), 0);
    wait_for_one_that_waits();
    audit_write_batch(r->audit, &batch, &second);
    fail_next();
    set_stuck(false);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(first.result, -ERROR_UNAVAILABLE);
    assert_int_equal(audit_settle(r->audit, &second, &f), -ERROR_UNAVAILABLE);
    while (audit_check(r->audit, NULL) != 0) {
    }
    assert_int_equal(audit_rig_count(r, "\"unsynced\":2"), 1);
}

/* Of a chain that is long already, no more than what this service has written. */
static void what_was_written_before_the_start_is_not_counted(void **state)
{
    struct audit_rig *r = *state;

    r->options.log.max_bytes = 0;
    audit_rig_start(r);
    audit_rig_write_all(r, RECORDS);
    audit_rig_stop(r);
    r->options.sync = AUDIT_SYNC_EACH;
    r->options.tick_ms = 3600 * 1000;
    fail_next();
    assert_int_equal(audit_rig_try_start(r, NULL), -ERROR_UNAVAILABLE);
    r->options.on_failure = AUDIT_CONTINUE;
    fail_next();
    audit_rig_start(r);
    while (audit_rig_count(r, "\"unsynced\":1,") == 0) { /* the start's */
    }
}

/* The service stops before anybody has found out that the disk works again. */
static void what_was_lost_is_told_at_the_stop(void **state)
{
    struct audit_rig *r = *state;

    start_with_each(r);
    lose_one(r);
    set_failing(0);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_count(r, "\"unsynced\":1,"), 1);
    audit_rig_run(r);
    assert_int_equal(audit_rig_count(r, "\"event\":\"recovered\""), 0);
    (void)audit_rig_whole(r);
}

/* Records that could not be written are told of as soon as some can be, also while the disk fails. */
static void what_is_missing_does_not_wait_for_the_disk(void **state)
{
    const struct audit_batch batch = batch_of_one();
    struct audit_rig *r = *state;
    struct audit_receipt receipt;
    struct failure f = { 0 };
    uint64_t sum = 0;

    r->options.log.max_bytes = 0;
    start_with_each(r);
    lose_one(r);
    audit_rig_limit_files(10);
    audit_write_batch(r->audit, &batch, &receipt);
    assert_false(receipt.is_written);
    audit_rig_limit_files(0);
    audit_write_batch(r->audit, &batch, &receipt);
    assert_true(receipt.is_written);
    assert_int_equal(audit_rig_count_in(r, "audit.log", "\"event\":\"lost\",\"records\":", &sum),
                     1);
    assert_int_equal(sum, 1);
    assert_int_equal(audit_rig_count(r, "\"unsynced\""), 0);
    assert_int_equal(audit_check(r->audit, &f), -ERROR_UNAVAILABLE);
    set_failing(0);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_count(r, "\"unsynced\""), 1);
}

/* … and not for want of something else: then it waits there still. */
static void what_cannot_be_taken_to_the_disk_now_is_another_time(void **state)
{
    const struct audit_batch batch = batch_of_one();
    struct audit_rig *r = *state;
    struct audit_receipt receipt;
    struct failure f = { 0 };

    start_with_each(r);
    audit_write_batch(r->audit, &batch, &receipt);
    audit_rig_limit_descriptors(true);
    int result = audit_settle(r->audit, &receipt, &f);

    audit_rig_limit_descriptors(false);
    assert_int_equal(result, -ERROR_UNAVAILABLE);
    assert_int_equal(audit_settle(r->audit, &receipt, &f), 0);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_count(r, "\"unsynced\""), 0);
    assert_int_equal(audit_rig_count(r, "\"event\":\"lost\""), 1);
}

/* Also of a file that was put aside, where nobody else would have noticed. */
static void what_a_file_put_aside_has_lost_is_told(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_start(r);
    fail_next();
    put_aside(r, 1);
    while (audit_rig_count_all(r, "\"detail\":\"Input/output error\"") == 0) {
    }
    put_aside(r, 3);
    audit_rig_stop(r);
    (void)audit_rig_whole(r);
}

/* … and of one that the writer has waited for. */
static void what_the_writer_has_seen_lost_is_told(void **state)
{
    struct audit_rig *r = *state;
    uint64_t unsynced = 0, sum = 0;

    audit_rig_start(r);
    set_stuck(true);
    put_aside(r, 1);
    wait_for_one_that_waits();
    put_aside(r, 2);
    fail_next();
    put_aside(r, 3);
    assert_int_equal(syncs_by_writer(), 1);
    assert_int_equal(audit_rig_count_all(r, "\"detail\":\"Input/output error\""), 0);
    set_stuck(false);
    while (audit_rig_count_all(r, "\"detail\":\"Input/output error\"") == 0) {
    }
    wait_until_on_disk(r, names[2]);
    (void)audit_rig_count_in(r, "audit.log", "\"unsynced\":", &unsynced);
    (void)audit_rig_count_in(r, names[2], "\"unsynced\":", &unsynced);
    assert_true(unsynced >= audit_rig_count_in(r, names[1], "\"seq\":", &sum));
}

/* Then what is in memory may be all that there is. */
static void nothing_is_forgotten_once_a_disk_has_failed(void **state)
{
    struct audit_rig *r = *state;
    ino_t inode;

    r->options.log.max_bytes = 0;
    r->options.sync = AUDIT_SYNC_INTERVAL;
    fail_next();
    audit_rig_start(r);
    off_t size = write_beyond(r, 3 * AUDIT_CACHED_BYTES, &inode);

    assert_true(size > 0);
    wait_until_on_disk(r, "audit.log");
    assert_int_equal(advised_to(), 0);
}

/* Each time that it seems to work again a record says so, which has to get there as well: that is not to go
 * round and round. */
static void a_disk_that_fails_again_and_again_is_tried_at_leisure(void **state)
{
    struct audit_rig *r = *state;
    uint64_t sum = 0, begun_ns = clock_monotonic_ns();

    r->options.log.max_bytes = 0;
    r->options.sync = AUDIT_SYNC_INTERVAL;
    audit_rig_start(r);
    set_flaky(true);
    assert_int_equal(audit_rig_write(r, 1), 0);
    wait_for_failures(FAILURES);
    uint64_t ticks = (clock_monotonic_ns() - begun_ns) / (r->options.tick_ms * CLOCK_NS_PER_MS);

    assert_true(ticks + 1 >= FAILURES);
    set_flaky(false);
    assert_true(audit_rig_count_in(r, "audit.log", "\"event\":\"lost\"", &sum) >= FAILURES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUDIT_DISK_TEST(what_the_disk_has_lost_is_lost_for_all_who_wait),
        AUDIT_DISK_TEST(what_is_written_meanwhile_is_lost_as_well),
        AUDIT_DISK_TEST(what_was_written_before_the_start_is_not_counted),
        AUDIT_DISK_TEST(what_was_lost_is_told_at_the_stop),
        AUDIT_DISK_TEST(what_is_missing_does_not_wait_for_the_disk),
        AUDIT_DISK_TEST(what_cannot_be_taken_to_the_disk_now_is_another_time),
        AUDIT_DISK_TEST(what_a_file_put_aside_has_lost_is_told),
        AUDIT_DISK_TEST(what_the_writer_has_seen_lost_is_told),
        AUDIT_DISK_TEST(nothing_is_forgotten_once_a_disk_has_failed),
        AUDIT_DISK_TEST(a_disk_that_fails_again_and_again_is_tried_at_leisure),
    };

    return UNIT_RUN(tests);
}
