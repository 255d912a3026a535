/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Where the audit waits for its disk, and where it does not: who writes records never waits for a file that
 * was put aside. And what a disk has lost is success for nobody.
 */
#include "auth/audit.h"
#include "auth/audit_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/audit_rig.h"

enum { SIZE_BYTES = 4096, RECORDS = 200, FILES_MAX = 64, FAILURES = 10 };

/* --- fdatasync, in libc's place ------------------------------------------------------------------------ */

static struct disk {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t writer; /* the test's own */
    bool is_stuck;    /* for all but the writer */
    unsigned waiting; /* so many of them */
    unsigned by_writer;
    unsigned failing; /* so many calls more; as Linux does, what is lost is told once */
    bool is_flaky;    /* every other one, and so many have: */
    unsigned failures;
    struct {
        ino_t inode;
        off_t synced_bytes;
    } files[FILES_MAX];
    size_t count;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static off_t *synced(ino_t inode)
{
    size_t i = 0;

    while (i < disk.count && disk.files[i].inode != inode) {
        i++;
    }
    if (i == disk.count) {
        assert_true(disk.count < FILES_MAX);
        disk.files[disk.count++].inode = inode;
        disk.files[i].synced_bytes = 0;
    }
    return &disk.files[i].synced_bytes;
}

int fdatasync(int fd)
{
    struct stat st;

    (void)pthread_mutex_lock(&disk.lock);
    if (pthread_equal(pthread_self(), disk.writer)) {
        disk.by_writer++;
    } else {
        disk.waiting++;
        (void)pthread_cond_broadcast(&disk.changed);
        while (disk.is_stuck) {
            (void)pthread_cond_wait(&disk.changed, &disk.lock);
        }
        disk.waiting--;
    }
    bool fails = disk.failing > 0;

    assert_int_equal(fstat(fd, &st), 0);
    disk.failing = disk.is_flaky ? !fails : disk.failing - fails;
    disk.failures += fails;
    *synced(st.st_ino) = fails ? *synced(st.st_ino) : st.st_size;
    (void)pthread_cond_broadcast(&disk.changed);
    (void)pthread_mutex_unlock(&disk.lock);
    errno = EIO;
    return fails ? -1 : 0;
}

/* In libc's place as well: of the file that was told of last. */
static struct advice {
    ino_t inode;
    off_t from, len_bytes, synced_bytes;
} advised;

int posix_fadvise(int fd, off_t from, off_t len_bytes, int advice)
{
    struct stat st;

    assert_int_equal(advice, POSIX_FADV_DONTNEED);
    assert_int_equal(fstat(fd, &st), 0);
    (void)pthread_mutex_lock(&disk.lock);
    advised = (struct advice){ st.st_ino, from, len_bytes, *synced(st.st_ino) };
    (void)pthread_cond_broadcast(&disk.changed);
    (void)pthread_mutex_unlock(&disk.lock);
    return 0;
}

static off_t advised_to(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    off_t to = advised.from + advised.len_bytes;

    (void)pthread_mutex_unlock(&disk.lock);
    return to;
}

/* As far as to there, at least. */
static struct advice wait_for_advice(ino_t inode, off_t to)
{
    (void)pthread_mutex_lock(&disk.lock);
    while (advised.inode != inode || advised.from + advised.len_bytes < to) {
        (void)pthread_cond_wait(&disk.changed, &disk.lock);
    }
    struct advice a = advised;

    (void)pthread_mutex_unlock(&disk.lock);
    return a;
}

/* And this: nothing can be written any more behind one that has succeeded. */
static bool fills_up;

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    int result = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);

    if (result == 0 && fills_up) {
        audit_rig_limit_files(10);
    }
    return result;
}

static void set_stuck(bool is_stuck)
{
    (void)pthread_mutex_lock(&disk.lock);
    disk.is_stuck = is_stuck;
    (void)pthread_cond_broadcast(&disk.changed);
    (void)pthread_mutex_unlock(&disk.lock);
}

static void set_flaky(bool is_flaky)
{
    (void)pthread_mutex_lock(&disk.lock);
    disk.is_flaky = is_flaky;
    disk.failing = is_flaky;
    (void)pthread_mutex_unlock(&disk.lock);
}

static void wait_for_failures(unsigned count)
{
    (void)pthread_mutex_lock(&disk.lock);
    while (disk.failures < count) {
        (void)pthread_cond_wait(&disk.changed, &disk.lock);
    }
    (void)pthread_mutex_unlock(&disk.lock);
}

static void fail_next(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    disk.failing = 1;
    (void)pthread_mutex_unlock(&disk.lock);
}

static unsigned syncs_by_writer(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    unsigned count = disk.by_writer;

    (void)pthread_mutex_unlock(&disk.lock);
    return count;
}

static void wait_for_one_that_waits(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    while (disk.waiting == 0) {
        (void)pthread_cond_wait(&disk.changed, &disk.lock);
    }
    (void)pthread_mutex_unlock(&disk.lock);
}

static off_t size_of(const struct audit_rig *r, const char *name, ino_t *inode)
{
    struct stat st;

    assert_int_equal(stat(folder_path(&r->dir, name), &st), 0);
    *inode = st.st_ino;
    return st.st_size;
}

static bool is_on_disk(const struct audit_rig *r, const char *name)
{
    ino_t inode;
    off_t size = size_of(r, name, &inode);

    (void)pthread_mutex_lock(&disk.lock);
    bool is_whole = *synced(inode) == size;

    (void)pthread_mutex_unlock(&disk.lock);
    return is_whole;
}

/* What is in it now. */
static void wait_until_on_disk(const struct audit_rig *r, const char *name)
{
    ino_t inode;
    off_t size = size_of(r, name, &inode);

    (void)pthread_mutex_lock(&disk.lock);
    while (*synced(inode) < size) {
        (void)pthread_cond_wait(&disk.changed, &disk.lock);
    }
    (void)pthread_mutex_unlock(&disk.lock);
}

/* --- the audit ------------------------------------------------------------------------------------------- */

static char names[AUDIT_RIG_FILES][NAME_MAX + 1];

/* Writes until so many files are put aside. */
static void put_aside(struct audit_rig *r, size_t count)
{
    for (unsigned n = 0; audit_rig_list(r, names) <= count; n++) {
        assert_true(n < RECORDS);
        assert_int_equal(audit_rig_write(r, n), 0);
    }
}

static int begin(void **state)
{
    int result = audit_rig_setup(state);
    struct audit_rig *r = *state;

    disk.writer = pthread_self();
    disk.by_writer = disk.failing = disk.failures = 0;
    disk.is_flaky = false;
    disk.count = 0;
    advised = (struct advice){ .inode = 0 };
    fills_up = false;
    r->options.log.max_bytes = SIZE_BYTES;
    return result;
}

static int end(void **state)
{
    set_stuck(false);
    audit_rig_limit_files(0);
    return audit_rig_teardown(state);
}

/* Its thread takes it there at once, also where nothing else is. */
static void a_file_put_aside_goes_to_the_disk_behind_the_writers_back(void **state)
{
    struct audit_rig *r = *state;

    r->options.tick_ms = 3600 * 1000;
    audit_rig_start(r);
    for (size_t i = 1; i <= 3; i++) {
        put_aside(r, i);
        wait_until_on_disk(r, names[i - 1]);
    }
    assert_int_equal(syncs_by_writer(), 0);
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

static struct audit_batch batch_of_one(void)
{
    const struct audit_record record = { .event = AUDIT_SNAPSHOT, .has_bytes = true, .bytes = 1 };
    struct audit_batch b = { .count = 0 };

    assert_true(audit_batch_add(&b, &record, clock_wall_ns()));
    return b;
}

static off_t write_beyond(struct audit_rig *r, off_t bytes, ino_t *inode)
{
    off_t size;

    while ((size = size_of(r, "audit.log", inode)) <= bytes) {
        audit_rig_write_all(r, RECORDS);
    }
    return size;
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

/* The disk is full behind it, but has what was before: also where the service ends then. */
static void a_file_put_aside_gets_there_though_nothing_can_be_written(void **state)
{
    static const unsigned ticks_ms[] = { 20, 3600 * 1000 };
    struct audit_rig *r = *state;

    for (size_t i = 0; i < sizeof ticks_ms / sizeof ticks_ms[0]; i++) {
        r->options.tick_ms = ticks_ms[i];
        audit_rig_start(r);
        size_t before = audit_rig_list(r, names);

        fills_up = true;
        for (unsigned n = 0; audit_rig_write(r, n) == 0; n++) {
            assert_true(n < RECORDS);
        }
        assert_int_equal(audit_rig_list(r, names), before + 1);
        if (i == 0) {
            wait_until_on_disk(r, names[before - 1]);
        }
        fills_up = false;
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

/* The kernel tells one call of what was lost, and the next one that all is well. */
static void what_the_disk_has_lost_is_lost_for_all_who_wait(void **state)
{
    const struct audit_batch batch = batch_of_one();
    struct audit_rig *r = *state;
    struct audit_receipt before, first, second;
    struct failure f = { 0 };

    r->options.sync = AUDIT_SYNC_EACH;
    r->options.tick_ms = 3600 * 1000; /* its thread does not come first */
    audit_rig_start(r);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_put_aside_goes_to_the_disk_behind_the_writers_back),
        TEST(only_a_disk_that_stays_behind_by_files_is_waited_for),
        TEST(with_each_nothing_is_taken_before_it_is_there),
        TEST(a_file_put_aside_gets_there_though_nothing_can_be_written),
        TEST(a_file_that_was_moved_away_gets_there_as_well),
        TEST(what_is_on_the_disk_leaves_memory),
        TEST(nothing_of_a_file_put_aside_stays_in_memory),
        TEST(what_the_disk_has_lost_is_lost_for_all_who_wait),
        TEST(what_a_file_put_aside_has_lost_is_told),
        TEST(what_the_writer_has_seen_lost_is_told),
        TEST(nothing_is_forgotten_once_a_disk_has_failed),
        TEST(a_disk_that_fails_again_and_again_is_tried_at_leisure),
    };

    return UNIT_RUN(tests);
}
