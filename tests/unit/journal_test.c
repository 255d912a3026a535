/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/journal.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/unit.h"

#define BOOT  "11111111-2222-4333-8444-555555555555"
#define OTHER "11111111-2222-4333-8444-555555555556"

static char dir[64], path[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/journal.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/traces", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static void close_journal(struct journal **j)
{
    journal_close(*j);
    *j = NULL;
}
#define JOURNAL_AUTO __attribute__((cleanup(close_journal))) struct journal

static struct journal *open_as(const char *boot)
{
    struct journal *j = NULL;
    struct failure f;

    if (journal_open(path, getuid(), boot, &j, &f) < 0) {
        fail_msg("%s", f.message);
    }
    return j;
}

static struct journal_entry entry(uint16_t domid, uint32_t vcpu)
{
    return (struct journal_entry){ .uuid = { 1, 2, (uint8_t)domid }, .domid = domid, .vcpu = vcpu };
}

static void add(struct journal *j, uint16_t domid, uint32_t vcpu)
{
    struct journal_entry e = entry(domid, vcpu);

    assert_int_equal(journal_add(j, &e, NULL), 0);
}

static uint32_t count(struct journal *j)
{
    struct journal_entry e;
    uint32_t n = 0;

    for (uint32_t at = 0; journal_next(j, &at, &e);) {
        n++;
    }
    return n;
}

/* As who only looks sees it. */
static uint32_t count_in_file(void)
{
    struct journal_entry found[8];
    uint32_t n = 0;

    assert_int_equal(journal_read(path, BOOT, found, 8, &n, NULL), 0);
    return n;
}

static off_t file_len(void)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void write_file(const void *bytes, size_t len, off_t at)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), len);
    close(fd);
}

static void assert_is_refused(const char *words)
{
    struct journal *j = NULL;
    struct failure f = { 0 };

    assert_int_equal(journal_open(path, getuid(), BOOT, &j, &f), -ERROR_FAILED_PRECONDITION);
    assert_null(j);
    assert_non_null(strstr(f.message, words));
    assert_true(f.next_step[0] != '\0');
}

static void without_the_boots_name_it_is_neither_dropped_nor_believed(void **state)
{
    struct journal *j = NULL;
    struct journal_entry seen;
    uint32_t seen_count;
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(journal_open(path, getuid(), BOOT, &j, NULL), 0);
    add(j, 1, 0);
    journal_close(j);
    j = NULL;
    for (int i = 0; i < 2; i++) {
        const char *boot = i == 0 ? "" : "no UUID";

        assert_int_equal(journal_open(path, getuid(), boot, &j, &f), -ERROR_FAILED_PRECONDITION);
        assert_null(j);
        assert_non_null(strstr(f.next_step, "boot_id"));
        assert_true(f.cause[0] != '\0');
        assert_int_equal(journal_read(path, boot, &seen, 1, &seen_count, &f),
                         -ERROR_FAILED_PRECONDITION);
    }
    assert_int_equal(journal_open(path, getuid(), BOOT, &j, NULL), 0);
    assert_int_equal(count(j), 1); /* it is all still there */
    journal_close(j);
    assert_int_equal(journal_open(NULL, 0, "", &j, NULL), 0); /* which ends with the process */
    journal_close(j);
}

/* --- what the next mapper finds ------------------------------------------------------------------ */

static void the_next_mapper_finds_what_was_not_crossed_out(void **state)
{
    (void)state;
    {
        JOURNAL_AUTO *j = open_as(BOOT);
        struct journal_entry gone = entry(5, 0);

        add(j, 5, 0);
        add(j, 5, 1);
        add(j, 7, 127);
        add(j, 5, 1); /* once more */
        journal_remove(j, &gone);
        journal_remove(j, &gone);
        assert_false(journal_has(j, &gone));
        assert_int_equal(file_len(), 3 * JOURNAL_RECORD_BYTES);
    }
    JOURNAL_AUTO *j = open_as(BOOT);
    struct journal_entry e, wanted[] = { entry(5, 1), entry(7, 127) };
    uint32_t at = 0;

    for (size_t i = 0; i < 2; i++) {
        assert_true(journal_next(j, &at, &e));
        assert_memory_equal(e.uuid, wanted[i].uuid, sizeof(e.uuid));
        assert_int_equal(e.domid, wanted[i].domid);
        assert_int_equal(e.vcpu, wanted[i].vcpu);
        assert_true(journal_has(j, &e));
    }
    assert_false(journal_next(j, &at, &e));
}

static void one_of_another_uuid_is_another(void **state)
{
    JOURNAL_AUTO *j = open_as(BOOT);
    struct journal_entry e = entry(5, 0);

    (void)state;
    add(j, 5, 0);
    e.uuid[15] = 1;
    assert_false(journal_has(j, &e));
    journal_remove(j, &e);
    assert_int_equal(count(j), 1);
    assert_int_equal(journal_add(j, &e, NULL), 0);
    assert_int_equal(count(j), 2);
}

static void a_killed_mapper_has_written_it_down_and_holds_no_lock(void **state)
{
    int ready[2];

    (void)state;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct journal *j = open_as(BOOT);

        add(j, 9, 3);
        (void)!write(ready[1], "", 1);
        pause();
        _exit(0);
    }
    char byte;

    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_is_refused("another mapper's");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ready[0]);
    close(ready[1]);
    JOURNAL_AUTO *j = open_as(BOOT);
    struct journal_entry e = entry(9, 3);

    assert_true(journal_has(j, &e));
    assert_int_equal(count(j), 1);
}

static void what_another_boot_wrote_is_void_and_is_taken_out(void **state)
{
    (void)state;
    {
        JOURNAL_AUTO *j = open_as(OTHER);

        add(j, 5, 0);
        add(j, 5, 1);
    }
    {
        JOURNAL_AUTO *j = open_as(BOOT);

        assert_int_equal(count(j), 0);
        assert_int_equal(file_len(), 0);
        add(j, 6, 0);
    }
    JOURNAL_AUTO *j = open_as(OTHER);

    assert_int_equal(count(j), 0);
}

static void free_places_are_used_again(void **state)
{
    JOURNAL_AUTO *j = open_as(BOOT);

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        struct journal_entry e = entry(5, i);

        add(j, 5, i);
        add(j, 6, i);
        journal_remove(j, &e);
        e = entry(6, i);
        journal_remove(j, &e);
    }
    assert_int_equal(count(j), 0);
    assert_int_equal(file_len(), 2 * JOURNAL_RECORD_BYTES);
}

static void without_a_file_it_ends_with_the_process(void **state)
{
    struct journal *j = NULL;
    struct journal_entry e = entry(5, 0);

    (void)state;
    assert_int_equal(journal_open(NULL, 0, BOOT, &j, NULL), 0);
    add(j, 5, 0);
    assert_true(journal_has(j, &e));
    journal_remove(j, &e);
    assert_int_equal(count(j), 0);
    journal_close(j);
    journal_close(NULL);
    write_file("", 0, 0); /* for tear_down() */
}

/* --- limits and errors ---------------------------------------------------------------------------- */

static void as_many_as_may_be_and_not_one_more(void **state)
{
    struct failure f = { 0 };

    (void)state;
    {
        JOURNAL_AUTO *j = open_as(BOOT);
        struct journal_entry more = entry(200, 0);

        for (uint32_t i = 0; i < JOURNAL_RECORDS_MAX; i++) {
            add(j, (uint16_t)(i / 128), i % 128);
        }
        assert_int_equal(journal_add(j, &more, &f), -ERROR_RESOURCE_EXHAUSTED);
        assert_false(journal_has(j, &more));
        add(j, 0, 0); /* is there */
    }
    {
        JOURNAL_AUTO *j = open_as(BOOT);
        struct journal_entry first = entry(0, 0);

        assert_int_equal(count(j), JOURNAL_RECORDS_MAX);
        journal_remove(j, &first);
        add(j, 200, 0);
    }
    write_file("x", 1, (off_t)JOURNAL_RECORDS_MAX * JOURNAL_RECORD_BYTES);
    assert_is_refused("its length");
}

static void what_cannot_be_written_is_not_in_it(void **state)
{
    struct rlimit limit, before;
    struct failure f = { 0 };
    struct journal_entry e = entry(5, 1);

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    {
        JOURNAL_AUTO *j = open_as(BOOT);

        add(j, 5, 0);
        limit = before;
        limit.rlim_cur = JOURNAL_RECORD_BYTES + 20; /* the second is cut short */
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_int_equal(journal_add(j, &e, &f), -ERROR_FAILED_PRECONDITION);
        assert_string_equal(f.call, "pwrite");
        assert_false(journal_has(j, &e));
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(journal_add(j, &e, &f), 0);
    }
    JOURNAL_AUTO *j = open_as(BOOT);

    assert_int_equal(count(j), 2);
}

static void limit_file(rlim_t bytes)
{
    static struct rlimit before;
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    if (bytes != RLIM_INFINITY) {
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    }
    limit = before;
    limit.rlim_cur = bytes != RLIM_INFINITY ? bytes : before.rlim_cur;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Whoever reads it meanwhile would disable what somebody else traces by then. */
static void what_could_not_be_crossed_out_is_when_it_can(void **state)
{
    struct journal_entry e = entry(5, 0);

    (void)state;
    {
        JOURNAL_AUTO *j = open_as(BOOT);

        assert_true(journal_is_clear(j));
        add(j, 5, 0);
        add(j, 5, 1);
        limit_file(0);
        journal_remove(j, &e);
        assert_false(journal_has(j, &e));
        journal_settle(j); /* it still cannot */
        e.vcpu = 1;
        journal_remove(j, &e);
        assert_int_equal(count(j), 0);
        assert_false(journal_is_clear(j));
        limit_file(RLIM_INFINITY);
        assert_int_equal(count_in_file(), 2);
        add(j, 6, 0); /* in the place of the first */
        assert_int_equal(count_in_file(), 2);
        journal_settle(j);
        assert_int_equal(count_in_file(), 1);
        e = entry(6, 0);
        journal_remove(j, &e);
        assert_true(journal_is_clear(j));
    }
    JOURNAL_AUTO *j = open_as(BOOT);

    assert_true(journal_is_clear(j));
}

/* And what was cut short is made whole, or no mapper would start with it. */
static void what_was_cut_short_is_made_whole(void **state)
{
    struct journal_entry e = entry(5, 1);

    (void)state;
    {
        JOURNAL_AUTO *j = open_as(BOOT);

        add(j, 5, 0);
        limit_file(JOURNAL_RECORD_BYTES + 20);
        assert_int_equal(journal_add(j, &e, NULL), -ERROR_FAILED_PRECONDITION);
        limit_file(RLIM_INFINITY);
        assert_int_equal(file_len(), JOURNAL_RECORD_BYTES + 20);
        journal_settle(j);
        assert_int_equal(file_len(), 2 * JOURNAL_RECORD_BYTES);
        assert_int_equal(count(j), 1);
    }
    JOURNAL_AUTO *j = open_as(BOOT);

    assert_int_equal(count(j), 1);
    assert_false(journal_is_clear(j));
}

static void every_bit_that_is_another_is_noticed(void **state)
{
    (void)state;
    uint8_t record[JOURNAL_RECORD_BYTES];
    {
        JOURNAL_AUTO *j = open_as(BOOT);

        add(j, 5, 0);
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        assert_int_equal(read(fd, record, sizeof(record)), sizeof(record));
        close(fd);
    }
    for (size_t bit = 0; bit < sizeof(record) * 8; bit++) {
        uint8_t wrong[JOURNAL_RECORD_BYTES];

        memcpy(wrong, record, sizeof(wrong));
        wrong[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_file(wrong, sizeof(wrong), 0);
        assert_is_refused("not sound");
    }
    write_file(record, sizeof(record), 0);
    assert_int_equal(truncate(path, JOURNAL_RECORD_BYTES - 1), 0);
    assert_is_refused("its length");
    assert_int_equal(truncate(path, JOURNAL_RECORD_BYTES),
                     0); /* a zero in place of its last byte */
    assert_is_refused("not sound");
}

static void a_file_that_others_may_write_or_that_is_none_is_refused(void **state)
{
    char target[128];

    (void)state;
    write_file("", 0, 0);
    assert_int_equal(chmod(path, 0660), 0);
    assert_is_refused("written by others");
    assert_int_equal(chmod(path, 0602), 0);
    assert_is_refused("written by others");
    if (getuid() == 0) {
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(chown(path, 65534, 0), 0);
        assert_is_refused("written by others");
    }
    assert_int_equal(unlink(path), 0);
    snprintf(target, sizeof(target), "%s/target", dir);
    assert_int_equal(symlink(target, path), 0);
    assert_is_refused("cannot use");
    assert_int_equal(access(target, F_OK), -1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_is_refused("no regular file");
}

/* --- looking on, and threads --------------------------------------------------------------------- */

static void who_only_looks_sees_it_while_it_is_anothers(void **state)
{
    JOURNAL_AUTO *j = open_as(BOOT);
    struct journal_entry seen[2];
    uint32_t seen_count = 9;

    (void)state;
    add(j, 5, 0);
    add(j, 5, 1);
    add(j, 5, 2);
    assert_int_equal(journal_read(path, BOOT, seen, 2, &seen_count, NULL), 0);
    assert_int_equal(seen_count, 2);
    assert_int_equal(seen[1].vcpu, 1);
    assert_int_equal(journal_read(path, OTHER, seen, 2, &seen_count, NULL), 0);
    assert_int_equal(seen_count, 0);
    assert_int_equal(journal_read(dir, BOOT, seen, 2, &seen_count, NULL),
                     -ERROR_FAILED_PRECONDITION);
}

static void *play(void *arg)
{
    struct journal *j = arg;

    for (uint32_t i = 0; i < 500; i++) {
        struct journal_entry e = entry((uint16_t)(uintptr_t)pthread_self(), i);

        (void)journal_add(j, &e, NULL);
        (void)journal_has(j, &e);
        journal_remove(j, &e);
    }
    return NULL;
}

static void threads_have_it_at_once(void **state)
{
    JOURNAL_AUTO *j = open_as(BOOT);
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, play, j), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(count(j), 0);
    assert_true(file_len() <= 4 * JOURNAL_RECORD_BYTES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(without_the_boots_name_it_is_neither_dropped_nor_believed),
        TEST(the_next_mapper_finds_what_was_not_crossed_out),
        TEST(one_of_another_uuid_is_another),
        TEST(a_killed_mapper_has_written_it_down_and_holds_no_lock),
        TEST(what_another_boot_wrote_is_void_and_is_taken_out),
        TEST(free_places_are_used_again),
        TEST(without_a_file_it_ends_with_the_process),
        TEST(as_many_as_may_be_and_not_one_more),
        TEST(what_cannot_be_written_is_not_in_it),
        TEST(what_could_not_be_crossed_out_is_when_it_can),
        TEST(what_was_cut_short_is_made_whole),
        TEST(every_bit_that_is_another_is_noticed),
        TEST(a_file_that_others_may_write_or_that_is_none_is_refused),
        TEST(who_only_looks_sees_it_while_it_is_anothers),
        TEST(threads_have_it_at_once),
    };

    return UNIT_RUN(tests);
}
