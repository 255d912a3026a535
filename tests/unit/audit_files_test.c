/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The audit's files come and go: they are put aside, by the service and by others, and cannot be; and what
 * a process left that was killed, or what somebody did to them meanwhile, is found at the start. Whatever
 * fails on the way, what is written afterwards is a whole chain.
 */
#include "auth/audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/lib/audit_rig.h"
#include "tests/lib/rename_hook.h"

enum { SIZE_BYTES = 16384 };

static void fill_disk(void)
{
    audit_rig_limit_files(10);
}

static void take_descriptors(void)
{
    audit_rig_limit_descriptors(true);
}

static struct audit_rig *saved_rig;
static struct audit_bytes saved_state;

static void save_state(void)
{
    saved_state = audit_rig_read(folder_path(&saved_rig->dir, "audit.state"));
}

/* As if the process had been killed then. */
static void restore_state(struct audit_rig *r)
{
    folder_write(folder_path(&r->dir, "audit.state"), saved_state.bytes, saved_state.len);
    free(saved_state.bytes);
}

static int tear_down(void **state)
{
    rename_errno = 0;
    after_rename = NULL;
    audit_rig_limit_files(0);
    audit_rig_limit_descriptors(false);
    return audit_rig_teardown(state);
}

static void append_text(const struct audit_rig *r, const char *text)
{
    FILE *file = fopen(folder_path(&r->dir, "audit.log"), "ae");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void move_away(const struct audit_rig *r)
{
    assert_int_equal(rename(folder_path(&r->dir, "audit.log"), folder_path(&r->dir, "audit.log.1")),
                     0);
}

static uint64_t size_of(const struct audit_rig *r, const char *name)
{
    struct stat st;

    assert_int_equal(stat(folder_path(&r->dir, name), &st), 0);
    return (uint64_t)st.st_size;
}

/* Writes until one is refused. */
static void write_until_refused(struct audit_rig *r)
{
    unsigned n = 0;

    while (audit_rig_write(r, n++) == 0) {
        assert_true(n < 10000);
    }
}

static void expect_cut(const struct audit_rig *r, struct audit_report *report)
{
    static const struct audit_rig_check with_all;
    struct failure f;

    assert_int_equal(audit_rig_verify(r, &with_all, report, &f), -ERROR_DATA_LOSS);
}

/* --- at its size ----------------------------------------------------------------------------------------- */

static void rotation_keeps_the_chain_and_no_more_files_than_asked_for(void **state)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    struct audit_rig *r = *state;

    r->options.log.max_bytes = 4096;
    r->options.log.keep = 3;
    audit_rig_start(r);
    audit_rig_write_all(r, 100);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_list(r, names), 4);
    assert_true(audit_rig_whole(r)->first_sequence > 1);
    assert_true(audit_rig_count(r, "\"event\":\"file_removed\"") > 0);
}

/* Whoever causes many records has none of before removed; those that are old enough go. */
static void young_files_are_kept_however_many(void **state)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    const struct timespec long_ago[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
    struct audit_rig *r = *state;

    r->options.log.max_bytes = 4096;
    r->options.log.keep = 3;
    r->options.log.keep_s = 3600;
    audit_rig_start(r);
    audit_rig_write_all(r, 130);
    size_t count = audit_rig_list(r, names);

    assert_true(count > 10);
    assert_int_equal(audit_rig_count_all(r, "\"event\":\"file_removed\""), 0);
    for (size_t i = 0; i < count - 3; i++) { /* two that were put aside stay young */
        assert_int_equal(utimensat(AT_FDCWD, folder_path(&r->dir, names[i]), long_ago, 0), 0);
    }
    while (audit_rig_count(r, "\"event\":\"file_removed\"") == 0) { /* when the next one begins */
        assert_int_equal(audit_rig_write(r, 1), 0);
    }
    audit_rig_stop(r);
    assert_int_equal(audit_rig_list(r, names), 4);
    (void)audit_rig_whole(r);
}

static void a_disk_that_is_full_then_leaves_no_file_without_its_beginning(void **state)
{
    struct audit_rig *r = *state;

    r->options.log.max_bytes = SIZE_BYTES;
    audit_rig_start(r);
    after_rename = fill_disk;
    write_until_refused(r);
    assert_int_equal(size_of(r, "audit.log"), 0);
    audit_rig_limit_files(0);
    assert_int_equal(audit_rig_write(r, 1), 0);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_count(r, "\"reason\":\"size\""), 1);
    (void)audit_rig_whole(r);
}

static void a_next_file_that_cannot_be_made_is_made_later(void **state)
{
    struct audit_rig *r = *state;

    r->options.log.max_bytes = SIZE_BYTES;
    audit_rig_start(r);
    after_rename = take_descriptors;
    write_until_refused(r);
    audit_rig_limit_descriptors(false);
    assert_int_equal(audit_rig_write(r, 1), 0);
    audit_rig_stop(r);
    (void)audit_rig_whole(r);
}

/* Up to twice its size it goes on, and by trying it does not grow. Then it is as with a disk that is full. */
static void a_file_that_cannot_be_put_aside_has_a_ceiling(void **state)
{
    struct audit_rig *r = *state;
    struct audit_counters counted;

    r->options.log.max_bytes = SIZE_BYTES;
    audit_rig_start(r);
    rename_errno = EXDEV;
    write_until_refused(r);
    assert_int_equal(audit_check(r->audit, NULL), -ERROR_UNAVAILABLE);
    uint64_t len = size_of(r, "audit.log");

    assert_in_range(len, AUDIT_CEILING * SIZE_BYTES,
                    AUDIT_CEILING * SIZE_BYTES + 2 * AUDIT_LINE_MAX_BYTES);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(audit_rig_write(r, i), -ERROR_UNAVAILABLE);
    }
    assert_int_equal(size_of(r, "audit.log"), len);
    assert_in_range(audit_rig_count(r, "\"event\":\"file_ended\""), 2, AUDIT_SIZE_PARTS + 2);
    rename_errno = 0;
    assert_int_equal(audit_rig_write(r, 1), 0);
    audit_count(r->audit, &counted);
    assert_false(counted.is_failing);
    audit_rig_stop(r);
    assert_true(audit_rig_count(r, "\"event\":\"lost\"") > 0);
    (void)audit_rig_whole(r);
}

static void at_the_ceiling_it_goes_on_where_that_is_the_choice(void **state)
{
    struct audit_rig *r = *state;
    struct audit_counters counted;

    r->options.log.max_bytes = SIZE_BYTES;
    r->options.on_failure = AUDIT_CONTINUE;
    audit_rig_start(r);
    rename_errno = EXDEV;
    audit_rig_write_all(r, 300);
    audit_count(r->audit, &counted);
    assert_true(counted.is_failing && counted.lost > 0);
    assert_true(size_of(r, "audit.log") <= AUDIT_CEILING * SIZE_BYTES + 2 * AUDIT_LINE_MAX_BYTES);
    rename_errno = 0;
    audit_rig_stop(r);
    (void)audit_rig_whole(r);
}

static void a_file_system_without_flags_of_rename_will_do(void **state)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    struct audit_rig *r = *state;

    r->options.log.max_bytes = SIZE_BYTES;
    audit_rig_start(r);
    rename_errno = EINVAL;
    audit_rig_write_all(r, 100);
    rename_errno = 0;
    audit_rig_stop(r);
    assert_true(audit_rig_list(r, names) > 1);
    (void)audit_rig_whole(r);
}

/* --- put aside by others --------------------------------------------------------------------------------- */

static void a_file_that_was_put_aside_is_followed_by_another(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_start(r);
    assert_int_equal(audit_rig_write(r, 1), 0);
    audit_reopen(r->audit); /* nobody has: nothing */
    move_away(r);
    audit_reopen(r->audit);
    assert_int_equal(audit_rig_write(r, 2), 0);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_count(r, "\"reason\":\"reopened\""), 1);
    (void)audit_rig_whole(r);
}

static void the_old_one_is_written_until_there_is_another(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_start(r);
    move_away(r);
    audit_rig_limit_descriptors(true);
    audit_reopen(r->audit);
    assert_int_equal(audit_rig_write(r, 1), 0);
    audit_rig_limit_descriptors(false);
    audit_reopen(r->audit);
    assert_int_equal(audit_rig_write(r, 2), 0);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_count(r, "\"reason\":\"reopened\""), 1);
    (void)audit_rig_whole(r);
}

static void what_somebody_has_put_in_its_place_goes_aside(void **state)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    struct audit_rig *r = *state;

    audit_rig_start(r);
    move_away(r);
    append_text(r, "not of the audit\n");
    assert_int_equal(chmod(folder_path(&r->dir, "audit.log"), 0600), 0);
    audit_reopen(r->audit);
    assert_int_equal(audit_rig_write(r, 1), 0);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_list(r, names), 3);
    assert_int_equal(unlink(folder_path(&r->dir, names[1])), 0);
    (void)audit_rig_whole(r);
}

/* Whoever moves the file away while the service is down: the next one goes on. */
static void a_file_that_is_gone_is_told(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_run(r);
    move_away(r);
    audit_rig_run(r);
    assert_int_equal(audit_rig_count(r, "the file was gone or empty"), 1);
    (void)audit_rig_whole(r);
}

/* --- found at the start ---------------------------------------------------------------------------------- */

/* What was cut off is not made good: a record says it, and the verifier finds it missing. */
static void a_file_that_was_cut_is_put_aside(void **state)
{
    struct audit_rig *r = *state;
    struct audit_report report;

    audit_rig_start(r);
    assert_int_equal(audit_rig_write(r, 1), 0);
    audit_rig_stop(r);
    assert_int_equal(truncate(folder_path(&r->dir, "audit.log"), 700), 0);
    audit_rig_run(r);
    assert_int_equal(audit_rig_count(r, "shorter than it was left"), 1);
    expect_cut(r, &report);
}

static void a_torn_line_is_taken_off_and_told(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_run(r);
    append_text(r, "{\"seq\":5,\"ti");
    assert_int_equal(audit_rig_whole(r)->torn_bytes, 12);
    audit_rig_run(r);
    assert_int_equal(audit_rig_whole(r)->torn_bytes, 0);
    assert_int_equal(audit_rig_count(r, "\"torn_bytes\":12"), 1);
}

/* Once, and not at the next start. */
static void what_was_found_is_told_when_there_is_room(void **state)
{
    struct audit_rig *r = *state;

    r->options.on_failure = AUDIT_CONTINUE;
    saved_rig = r;
    audit_rig_start(r);
    save_state();
    audit_rig_stop(r); /* two records that the state does not know */
    restore_state(r);
    append_text(r, "{\"seq\":5,\"ti");
    audit_rig_limit_files(size_of(r, "audit.log") - 12);
    audit_rig_start(r);
    audit_rig_limit_files(0);
    assert_int_equal(audit_rig_write(r, 1), 0);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_count(r, "\"event\":\"recovered\",\"records\":2,\"torn_bytes\":12"),
                     1);
    audit_rig_run(r);
    assert_int_equal(audit_rig_count(r, "\"event\":\"recovered\""), 1);
    (void)audit_rig_whole(r);
}

static void bytes_of_others_are_kept_for_who_looks(void **state)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    struct audit_rig *r = *state;
    struct audit_report report;

    audit_rig_run(r);
    append_text(r, "not of the audit\n");
    audit_rig_run(r);
    assert_int_equal(audit_rig_list(r, names), 2);
    assert_non_null(strstr(names[0], "audit.log.damaged-"));
    expect_cut(r, &report);
    assert_int_equal(report.verified_sequence, 4); /* all before it */
}

/* Put aside is what was there; that the next one cannot be made at once does not end it. */
static void a_next_file_can_be_made_later_at_the_start_as_well(void **state)
{
    struct audit_rig *r = *state;

    r->options.on_failure = AUDIT_CONTINUE;
    audit_rig_run(r);
    append_text(r, "not of the audit\n");
    after_rename = take_descriptors;
    audit_rig_start(r);
    audit_rig_limit_descriptors(false);
    assert_int_equal(audit_rig_write(r, 1), 0);
    struct audit_counters counted;

    audit_count(r->audit, &counted);
    assert_false(counted.is_failing);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_count(r, "\"reason\":\"damaged\""), 1);
    assert_int_equal(audit_rig_count(r, "that are not of this audit"), 1);
}

static void a_name_that_is_taken_is_no_obstacle(void **state)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    struct audit_rig *r = *state;

    audit_rig_run(r);
    append_text(r, "not of the audit\n");
    folder_write(folder_path(&r->dir, "audit.log.damaged-00000000000000000004"), "", 0);
    audit_rig_run(r);
    assert_int_equal(audit_rig_list(r, names), 3);
    assert_string_equal(names[1], "audit.log.damaged-00000000000000000004.1");
}

/* Killed when the next file had been made, and the state did not know it yet; *line: the length of that file's
 * first line. */
static void rotate_and_forget(struct audit_rig *r, long *line)
{
    r->options.log.max_bytes = SIZE_BYTES;
    saved_rig = r;
    audit_rig_start(r);
    after_rename = save_state;
    for (unsigned n = 0; after_rename != NULL; n++) {
        assert_int_equal(audit_rig_write(r, n), 0);
    }
    audit_rig_stop(r);
    restore_state(r);
    struct audit_bytes b = audit_rig_read(folder_path(&r->dir, "audit.log"));

    *line = (char *)memchr(b.bytes, '\n', b.len) + 1 - b.bytes;
    free(b.bytes);
}

static void go_on_with(struct audit_rig *r, long bytes)
{
    assert_int_equal(truncate(folder_path(&r->dir, "audit.log"), bytes), 0);
    audit_rig_run(r);
    assert_int_equal(audit_rig_count(r, "\"event\":\"file_begun\""), 1);
    assert_int_equal(audit_rig_count(r, "\"event\":\"recovered\""), 1);
    (void)audit_rig_whole(r);
}

static void a_next_file_that_the_state_does_not_know_is_gone_on_with(void **state)
{
    long line;

    rotate_and_forget(*state, &line);
    go_on_with(*state, line);
}

static void a_next_file_that_was_hardly_begun_is_begun_again(void **state)
{
    long line;

    rotate_and_forget(*state, &line);
    go_on_with(*state, line / 2);
}

/* The power failed then: the file is where it was, and lacks its end. Nobody has put anything into it. */
static void a_file_that_lost_its_end_when_it_was_to_be_put_aside_is_shorter(void **state)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    struct audit_rig *r = *state;
    struct stat st;
    long line;

    rotate_and_forget(r, &line);
    assert_int_equal(audit_rig_list(r, names), 2);
    const char *path = folder_path(&r->dir, "audit.log");

    assert_int_equal(rename(folder_path(&r->dir, names[0]), path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - line), 0);
    audit_rig_run(r);
    assert_int_equal(audit_rig_count(r, "the file was shorter than it was left"), 1);
    assert_int_equal(audit_rig_count(r, "\"reason\":\"damaged\""), 1);
}

/* Killed at the very first start, when the state was there, and nothing else. */
static void a_chain_that_was_hardly_begun_has_its_key(void **state)
{
    struct audit_rig *r = *state;
    char path[FOLDER_PATH_BYTES];

    snprintf(path, sizeof(path), "%s/audit.log", r->dir.path);
    r->options.log.path = path;
    r->options.log.state_dir = r->dir.path;
    assert_int_equal(audit_new(&r->options, &r->audit, NULL), 0);
    audit_rig_stop(r);
    assert_int_equal(unlink(folder_path(&r->dir, "audit.key")), 0);
    audit_rig_run(r);
    assert_int_equal(audit_rig_whole(r)->first_sequence, 1);
    assert_int_equal(unlink(folder_path(&r->dir, "audit.key")), 0);
    audit_rig_run(r); /* it was moved, and is nowhere else any more */
    assert_int_equal(access(folder_path(&r->dir, "audit.key"), F_OK), -1);
}

/* By another name, or as its owner, somebody else could change it. */
static void a_file_that_others_reach_is_not_written(void **state)
{
    struct audit_rig *r = *state;
    const struct audit_owner us = { (uid_t)-1, (gid_t)-1 };
    struct failure f = { 0 };

    audit_rig_run(r);
    const char *path = folder_path(&r->dir, "audit.log"), *other = folder_path(&r->dir, "other");

    assert_int_equal(link(path, other), 0);
    assert_int_equal(audit_rig_try_start(r, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.message, "another name"));
    assert_true(f.next_step[0] != '\0');
    assert_int_equal(audit_file_examine(path, &us, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(chmod(path, 0620), 0);
    assert_int_equal(audit_rig_try_start(r, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.message, "written by others"));
    assert_int_equal(chmod(path, 0600), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 1, 1), 0);
        assert_int_equal(audit_rig_try_start(r, &f), -ERROR_FAILED_PRECONDITION);
        assert_non_null(strstr(f.message, "another user"));
        assert_int_equal(chown(path, 0, 0), 0);
    }
    assert_int_equal(audit_file_examine(path, &us, &f), 0);
    assert_int_equal(audit_file_examine(folder_path(&r->dir, "nothing"), &us, &f), 0);
    assert_int_equal(symlink(path, other), 0);
    assert_int_equal(audit_file_examine(other, &us, &f), -ERROR_FAILED_PRECONDITION);
    audit_rig_run(r);
}

/* What could not be made whole the first time is made the second. */
static void a_first_start_on_a_full_disk_leaves_nothing_in_the_way(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_limit_files(100);
    assert_true(audit_rig_try_start(r, NULL) != 0);
    audit_rig_limit_files(0);
    audit_rig_run(r);
    (void)audit_rig_whole(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, audit_rig_setup, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rotation_keeps_the_chain_and_no_more_files_than_asked_for),
        TEST(young_files_are_kept_however_many),
        TEST(a_disk_that_is_full_then_leaves_no_file_without_its_beginning),
        TEST(a_next_file_that_cannot_be_made_is_made_later),
        TEST(a_file_that_cannot_be_put_aside_has_a_ceiling),
        TEST(at_the_ceiling_it_goes_on_where_that_is_the_choice),
        TEST(a_file_system_without_flags_of_rename_will_do),
        TEST(a_file_that_was_put_aside_is_followed_by_another),
        TEST(the_old_one_is_written_until_there_is_another),
        TEST(what_somebody_has_put_in_its_place_goes_aside),
        TEST(a_file_that_is_gone_is_told),
        TEST(a_file_that_was_cut_is_put_aside),
        TEST(a_torn_line_is_taken_off_and_told),
        TEST(what_was_found_is_told_when_there_is_room),
        TEST(bytes_of_others_are_kept_for_who_looks),
        TEST(a_next_file_can_be_made_later_at_the_start_as_well),
        TEST(a_name_that_is_taken_is_no_obstacle),
        TEST(a_next_file_that_the_state_does_not_know_is_gone_on_with),
        TEST(a_next_file_that_was_hardly_begun_is_begun_again),
        TEST(a_file_that_lost_its_end_when_it_was_to_be_put_aside_is_shorter),
        TEST(a_chain_that_was_hardly_begun_has_its_key),
        TEST(a_file_that_others_reach_is_not_written),
        TEST(a_first_start_on_a_full_disk_leaves_nothing_in_the_way),
    };

    return UNIT_RUN(tests);
}
