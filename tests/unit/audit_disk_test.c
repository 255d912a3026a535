/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Where the audit waits for its disk, and where it does not: who writes records never waits for a file that was
 * put aside. And what is there does not stay in memory. */
#include "tests/lib/audit_disk_rig.h"

/* Its thread takes it there at once, also where nothing else is. */
static void a_file_put_aside_goes_to_the_disk_behind_the_writers_back(void **state)
{
    const enum audit_sync syncs[] = { AUDIT_SYNC_NONE, AUDIT_SYNC_INTERVAL };
    struct audit_rig *r = *state;

    r->options.tick_ms = 3600 * 1000;
    for (size_t i = 0; i < sizeof syncs / sizeof syncs[0]; i++) {
        r->options.sync = syncs[i];
        audit_rig_start(r);
        size_t files = audit_rig_list(r, names);
        unsigned before = syncs_by_writer(); /* at the stop of the one before */

        put_aside(r, files);
        wait_until_on_disk(r, names[files - 1]);
        assert_int_equal(syncs_by_writer(), before);
        audit_rig_stop(r);
    }
}

/* One that the disk holds up, and one that waits behind it, hold up nobody. A third is not begun to wait. */
static void only_a_disk_that_stays_behind_by_files_is_waited_for(void **state)
{
    struct audit_rig *r = *state;

    set_stuck(true);
    audit_rig_start(r);
    put_aside(r, 1);
    wait_for_one_that_waits();
    put_aside(r, 2);
    assert_int_equal(syncs_by_writer(), 0);
    put_aside(r, 3);
    assert_int_equal(syncs_by_writer(), 1);
    assert_true(is_on_disk(r, names[1]));
    assert_false(is_on_disk(r, names[0]));
    set_stuck(false);
    wait_until_on_disk(r, names[0]);
    wait_until_on_disk(r, names[2]);
}

/* With `each`, a record is on the disk when it is taken, whatever file it went to. */
static void with_each_nothing_is_taken_before_it_is_there(void **state)
{
    struct audit_rig *r = *state;

    r->options.sync = AUDIT_SYNC_EACH;
    audit_rig_start(r);
    for (unsigned n = 0; n < RECORDS; n++) {
        assert_int_equal(audit_rig_write(r, n), 0);
        for (size_t i = audit_rig_list(r, names); i > 0; i--) {
            assert_true(is_on_disk(r, names[i - 1]));
        }
    }
    assert_true(audit_rig_list(r, names) > 3);
}

/* The host's memory is for others: of what is on the disk, no more than the file's end stays there. */
static void what_is_on_the_disk_leaves_memory(void **state)
{
    struct audit_rig *r = *state;
    off_t forgotten = 0;
    ino_t inode;

    r->options.log.max_bytes = 0;
    r->options.sync = AUDIT_SYNC_INTERVAL;
    audit_rig_start(r);
    (void)write_beyond(r, AUDIT_CACHED_BYTES, &inode);
    assert_int_equal(advised_to(), 0);
    for (off_t pieces = 2; pieces < 5; pieces++) {
        (void)write_beyond(r, pieces * AUDIT_CACHED_BYTES, &inode);
        struct advice a = wait_for_advice(inode, (pieces - 1) * AUDIT_CACHED_BYTES);

        assert_int_equal(a.from, forgotten);
        forgotten = a.from + a.len_bytes;
        assert_int_equal(forgotten, (pieces - 1) * AUDIT_CACHED_BYTES);
        assert_true(forgotten + AUDIT_CACHED_BYTES <= a.synced_bytes);
    }
}

static void nothing_of_a_file_put_aside_stays_in_memory(void **state)
{
    struct audit_rig *r = *state;
    ino_t inode;

    audit_rig_start(r);
    put_aside(r, 1);
    off_t size = size_of(r, names[0], &inode);
    struct advice a = wait_for_advice(inode, size);

    assert_int_equal(a.from, 0);
    assert_int_equal(a.len_bytes, size);
    assert_int_equal(a.synced_bytes, size);
}

static void fill_disk(void)
{
    audit_rig_limit_files(10);
}

/* The disk is full behind it, but has what was before: also where the service ends then. */
static void a_file_put_aside_gets_there_though_nothing_can_be_written(void **state)
{
    static const unsigned ticks_ms[] = { 20, 3600 * 1000 };
    struct audit_rig *r = *state;

    for (size_t i = 0; i < sizeof ticks_ms / sizeof ticks_ms[0]; i++) {
        r->options.tick_ms = ticks_ms[i];
        audit_rig_start(r);
        size_t before = audit_rig_list(r, names);

        after_rename = fill_disk;
        for (unsigned n = 0; audit_rig_write(r, n) == 0; n++) {
            assert_true(n < RECORDS);
        }
        assert_int_equal(audit_rig_list(r, names), before + 1);
        if (i == 0) {
            wait_until_on_disk(r, names[before - 1]);
        }
        if (i == 1) {
            audit_rig_stop(r);
            assert_true(is_on_disk(r, names[before - 1]));
        }
        audit_rig_limit_files(0);
        audit_rig_stop(r);
    }
    (void)audit_rig_whole(r);
}

/* Others have put it aside. */
static void a_file_that_was_moved_away_gets_there_as_well(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_start(r);
    audit_rig_write_all(r, 2);
    assert_int_equal(rename(folder_path(&r->dir, "audit.log"), folder_path(&r->dir, "audit.log.1")),
                     0);
    audit_reopen(r->audit);
    wait_until_on_disk(r, "audit.log.1");
    assert_int_equal(syncs_by_writer(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUDIT_DISK_TEST(a_file_put_aside_goes_to_the_disk_behind_the_writers_back),
        AUDIT_DISK_TEST(only_a_disk_that_stays_behind_by_files_is_waited_for),
        AUDIT_DISK_TEST(with_each_nothing_is_taken_before_it_is_there),
        AUDIT_DISK_TEST(what_is_on_the_disk_leaves_memory),
        AUDIT_DISK_TEST(nothing_of_a_file_put_aside_stays_in_memory),
        AUDIT_DISK_TEST(a_file_put_aside_gets_there_though_nothing_can_be_written),
        AUDIT_DISK_TEST(a_file_that_was_moved_away_gets_there_as_well),
    };

    return UNIT_RUN(tests);
}
