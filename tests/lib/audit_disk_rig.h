/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * An audit whose disk does as a test wants: it hangs, it loses what it was given, and tells it once, as Linux
 * does; and it says what is on it. Included by one file of a test program.
 */
#ifndef XENRES_TESTS_AUDIT_DISK_RIG_H
#define XENRES_TESTS_AUDIT_DISK_RIG_H

#include "tests/lib/audit_rig.h"
#include "tests/lib/rename_hook.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/audit_disk.h"

enum { SIZE_BYTES = 4096, RECORDS = 200, FILES_MAX = 64 };

/* --- fdatasync, in libc's place ------------------------------------------------------------------------ */

static struct disk {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t writer; /* the test's own */
    bool is_stuck;    /* for all but the writer */
    unsigned waiting; /* so many of them */
    unsigned by_writer, by_others;
    unsigned failing; /* so many calls more; as Linux does, what is lost is told once */
    bool is_flaky;    /* every other one, and so many have: */
    unsigned failures;
    struct {
        ino_t inode;
        off_t synced_bytes;
    } files[FILES_MAX];
    size_t count;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static inline off_t *synced(ino_t inode)
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
        disk.by_others++;
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

static inline off_t advised_to(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    off_t to = advised.from + advised.len_bytes;

    (void)pthread_mutex_unlock(&disk.lock);
    return to;
}

/* As far as to there, at least. */
static inline struct advice wait_for_advice(ino_t inode, off_t to)
{
    (void)pthread_mutex_lock(&disk.lock);
    while (advised.inode != inode || advised.from + advised.len_bytes < to) {
        (void)pthread_cond_wait(&disk.changed, &disk.lock);
    }
    struct advice a = advised;

    (void)pthread_mutex_unlock(&disk.lock);
    return a;
}

static inline void set_stuck(bool is_stuck)
{
    (void)pthread_mutex_lock(&disk.lock);
    disk.is_stuck = is_stuck;
    (void)pthread_cond_broadcast(&disk.changed);
    (void)pthread_mutex_unlock(&disk.lock);
}

static inline void set_flaky(bool is_flaky)
{
    (void)pthread_mutex_lock(&disk.lock);
    disk.is_flaky = is_flaky;
    disk.failing = is_flaky;
    (void)pthread_mutex_unlock(&disk.lock);
}

static inline void wait_for_failures(unsigned count)
{
    (void)pthread_mutex_lock(&disk.lock);
    while (disk.failures < count) {
        (void)pthread_cond_wait(&disk.changed, &disk.lock);
    }
    (void)pthread_mutex_unlock(&disk.lock);
}

static inline void set_failing(unsigned calls)
{
    (void)pthread_mutex_lock(&disk.lock);
    disk.failing = calls;
    (void)pthread_mutex_unlock(&disk.lock);
}

static inline void fail_next(void)
{
    set_failing(1);
}

static inline unsigned syncs_by_writer(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    unsigned count = disk.by_writer;

    (void)pthread_mutex_unlock(&disk.lock);
    return count;
}

static inline void wait_for_syncs_of_others(unsigned count)
{
    (void)pthread_mutex_lock(&disk.lock);
    while (disk.by_others < count) {
        (void)pthread_cond_wait(&disk.changed, &disk.lock);
    }
    (void)pthread_mutex_unlock(&disk.lock);
}

static inline void wait_for_one_that_waits(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    while (disk.waiting == 0) {
        (void)pthread_cond_wait(&disk.changed, &disk.lock);
    }
    (void)pthread_mutex_unlock(&disk.lock);
}

static inline off_t size_of(const struct audit_rig *r, const char *name, ino_t *inode)
{
    struct stat st;

    assert_int_equal(stat(folder_path(&r->dir, name), &st), 0);
    *inode = st.st_ino;
    return st.st_size;
}

static inline bool is_on_disk(const struct audit_rig *r, const char *name)
{
    ino_t inode;
    off_t size = size_of(r, name, &inode);

    (void)pthread_mutex_lock(&disk.lock);
    bool is_whole = *synced(inode) == size;

    (void)pthread_mutex_unlock(&disk.lock);
    return is_whole;
}

/* What is in it now. */
static inline void wait_until_on_disk(const struct audit_rig *r, const char *name)
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
static inline void put_aside(struct audit_rig *r, size_t count)
{
    for (unsigned n = 0; audit_rig_list(r, names) <= count; n++) {
        assert_true(n < RECORDS);
        assert_int_equal(audit_rig_write(r, n), 0);
    }
}

static inline int begin(void **state)
{
    int result = audit_rig_setup(state);
    struct audit_rig *r = *state;

    disk.writer = pthread_self();
    disk.by_writer = disk.by_others = disk.failing = disk.failures = 0;
    disk.is_flaky = false;
    disk.count = 0;
    advised = (struct advice){ .inode = 0 };
    after_rename = NULL;
    r->options.log.max_bytes = SIZE_BYTES;
    return result;
}

static inline int end(void **state)
{
    set_stuck(false);
    audit_rig_limit_files(0);
    return audit_rig_teardown(state);
}

static inline off_t write_beyond(struct audit_rig *r, off_t bytes, ino_t *inode)
{
    off_t size;

    while ((size = size_of(r, "audit.log", inode)) <= bytes) {
        audit_rig_write_all(r, RECORDS);
    }
    return size;
}

#define AUDIT_DISK_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
