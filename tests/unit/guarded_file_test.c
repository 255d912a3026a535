/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/guarded_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

enum { MAX_BYTES = 100 };

static int read_it(const char *path, enum guarded_kind kind, struct failure *f)
{
    BUFFER_AUTO(content, MAX_BYTES);

    return guarded_file_read(path, kind, &content, f);
}

static void what_was_created_is_read(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "a");
    BUFFER_AUTO(content, 6);

    (void)state;
    assert_int_equal(guarded_file_create(path, GUARDED_SECRET, "secret", 6, NULL), 0);
    assert_int_equal(guarded_file_read(path, GUARDED_SECRET, &content, NULL), 0);
    assert_string_equal(buffer_string(&content), "secret");
    assert_int_equal(folder_entries(&dir, 0), 1);
}

static bool dies_at_unlink;

int unlink(const char *path)
{
    if (dies_at_unlink) {
        (void)raise(SIGKILL);
    }
    return (int)syscall(SYS_unlink, path);
}

/* One with two names would be none of ours at the next start. */
static void who_is_killed_leaves_it_with_one_name(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "a");
    struct stat st;
    int status;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        dies_at_unlink = true;
        _exit(guarded_file_create(path, GUARDED_SECRET, "secret", 6, NULL) != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_nlink, 1);
}

static void modes_are_as_said_whatever_the_umask(void **state)
{
    FOLDER_AUTO dir = folder_make();
    mode_t before = umask(0);
    struct stat st;

    (void)state;
    assert_int_equal(guarded_file_create(folder_path(&dir, "s"), GUARDED_SECRET, "", 0, NULL), 0);
    assert_int_equal(stat(folder_path(&dir, "s"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    (void)umask(0777);
    assert_int_equal(guarded_file_create(folder_path(&dir, "p"), GUARDED_PUBLIC, "", 0, NULL), 0);
    assert_int_equal(stat(folder_path(&dir, "p"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    (void)umask(before);
}

static void what_is_there_is_not_touched(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "a");
    BUFFER_AUTO(content, MAX_BYTES);

    (void)state;
    assert_int_equal(guarded_file_create(path, GUARDED_PUBLIC, "old", 3, NULL), 0);
    assert_int_equal(guarded_file_create(path, GUARDED_PUBLIC, "new", 3, NULL),
                     -ERROR_ALREADY_EXISTS);
    assert_int_equal(symlink("nowhere", folder_path(&dir, "link")), 0);
    assert_int_equal(guarded_file_create(folder_path(&dir, "link"), GUARDED_PUBLIC, "x", 1, NULL),
                     -ERROR_ALREADY_EXISTS);
    assert_int_equal(guarded_file_read(path, GUARDED_PUBLIC, &content, NULL), 0);
    assert_string_equal(buffer_string(&content), "old");
    assert_int_equal(folder_entries(&dir, 0), 2);
}

static void what_others_can_change_is_refused(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "a");
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(guarded_file_create(path, GUARDED_PUBLIC, "x", 1, NULL), 0);
    assert_int_equal(chmod(path, 0664), 0);
    assert_int_equal(read_it(path, GUARDED_PUBLIC, &f), -ERROR_FAILED_PRECONDITION);
    assert_memory_equal(f.next_step, "chmod go-w ", 11);
    assert_int_equal(chmod(path, 0602), 0);
    assert_int_equal(read_it(path, GUARDED_PUBLIC, NULL), -ERROR_FAILED_PRECONDITION);
}

static void a_strangers_file_is_refused(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "a");
    struct failure f = { 0 };

    (void)state;
    if (geteuid() != 0) {
        skip(); /* only root can give a file away */
    }
    assert_int_equal(guarded_file_create(path, GUARDED_PUBLIC, "x", 1, NULL), 0);
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(read_it(path, GUARDED_PUBLIC, &f), -ERROR_FAILED_PRECONDITION);
    assert_memory_equal(f.next_step, "chown root ", 11);
}

static void a_secret_may_belong_to_whom_the_process_becomes(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "a");
    struct failure f = { 0 };

    (void)state;
    if (geteuid() != 0) {
        skip(); /* only root can give a file away */
    }
    assert_int_equal(guarded_file_create(path, GUARDED_SECRET, "x", 1, NULL), 0);
    assert_int_equal(chown(path, 65534, 65534), 0);
    guarded_file_accept_user(65533, GUARDED_SECRET);
    assert_int_equal(read_it(path, GUARDED_SECRET, &f), -ERROR_FAILED_PRECONDITION);
    assert_memory_equal(f.next_step, "chown 65533 ", 12);
    guarded_file_accept_user(65534, GUARDED_SECRET);
    assert_int_equal(read_it(path, GUARDED_SECRET, NULL), 0);
    assert_int_equal(read_it(path, GUARDED_PUBLIC, NULL), -ERROR_FAILED_PRECONDITION);
    guarded_file_accept_user(65534, GUARDED_PUBLIC);
    assert_int_equal(read_it(path, GUARDED_SECRET, NULL), 0);
    assert_int_equal(read_it(path, GUARDED_PUBLIC, NULL), 0);
    guarded_file_accept_user((uid_t)-1, GUARDED_SECRET);
    assert_int_equal(read_it(path, GUARDED_SECRET, NULL), -ERROR_FAILED_PRECONDITION);
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "a");
    static const mode_t open_modes[] = { 0640, 0604, 0610, 0644 };

    (void)state;
    assert_int_equal(guarded_file_create(path, GUARDED_SECRET, "x", 1, NULL), 0);
    for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
        assert_int_equal(chmod(path, open_modes[i]), 0);
        assert_int_equal(read_it(path, GUARDED_SECRET, NULL), -ERROR_FAILED_PRECONDITION);
        assert_int_equal(read_it(path, GUARDED_PUBLIC, NULL), 0);
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(read_it(path, GUARDED_SECRET, NULL), 0);
}

/* As systemd's LoadCredential= leaves it: root's, 0400, with an access list that shows as 0440. */
static void a_credential_of_systemd_is_read(void **state)
{
    FOLDER_AUTO dir = folder_make();
    FOLDER_AUTO other = folder_make();
    char path[FOLDER_PATH_BYTES], elsewhere[FOLDER_PATH_BYTES];
    static const mode_t refused[] = { 0444, 0450, 0441, 0460 };

    (void)state;
    if (geteuid() != 0) {
        skip(); /* it is root's */
    }
    snprintf(path, sizeof path, "%s", folder_path(&dir, "key"));
    snprintf(elsewhere, sizeof elsewhere, "%s", folder_path(&other, "key"));
    assert_int_equal(guarded_file_create(path, GUARDED_SECRET, "x", 1, NULL), 0);
    assert_int_equal(guarded_file_create(elsewhere, GUARDED_SECRET, "x", 1, NULL), 0);
    assert_int_equal(chmod(path, 0440), 0);
    assert_int_equal(chmod(elsewhere, 0440), 0);
    assert_int_equal(read_it(path, GUARDED_SECRET, NULL), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir.path, 1), 0);
    assert_int_equal(read_it(path, GUARDED_SECRET, NULL), 0);
    assert_int_equal(read_it(elsewhere, GUARDED_SECRET, NULL), -ERROR_FAILED_PRECONDITION);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(chmod(path, refused[i]), 0);
        assert_int_equal(read_it(path, GUARDED_SECRET, NULL), -ERROR_FAILED_PRECONDITION);
    }
    assert_int_equal(chmod(path, 0440), 0);
    /* Beside it, and beneath: neither a name that only begins alike, nor a way out of it. */
    dir.path[strlen(dir.path) - 1] ^= 1;
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir.path, 1), 0);
    dir.path[strlen(dir.path) - 1] ^= 1;
    assert_int_equal(read_it(path, GUARDED_SECRET, NULL), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/tmp", 1), 0);
    assert_int_equal(read_it(path, GUARDED_SECRET, NULL), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(chown(path, 1, 1), 0);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir.path, 1), 0);
    assert_int_equal(read_it(path, GUARDED_SECRET, NULL), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void the_maximum_fits_and_one_byte_more_is_refused(void **state)
{
    FOLDER_AUTO dir = folder_make();
    char bytes[MAX_BYTES + 1] = { 0 };

    (void)state;
    assert_int_equal(
        guarded_file_create(folder_path(&dir, "a"), GUARDED_PUBLIC, bytes, MAX_BYTES, NULL), 0);
    assert_int_equal(
        guarded_file_create(folder_path(&dir, "b"), GUARDED_PUBLIC, bytes, MAX_BYTES + 1, NULL), 0);
    assert_int_equal(read_it(folder_path(&dir, "a"), GUARDED_PUBLIC, NULL), 0);
    assert_int_equal(read_it(folder_path(&dir, "b"), GUARDED_PUBLIC, NULL),
                     -ERROR_RESOURCE_EXHAUSTED);
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
    FOLDER_AUTO dir = folder_make();

    (void)state;
    assert_int_equal(mkfifo(folder_path(&dir, "fifo"), 0600), 0);
    assert_int_equal(read_it(folder_path(&dir, "fifo"), GUARDED_PUBLIC, NULL),
                     -ERROR_FAILED_PRECONDITION);
    assert_int_equal(read_it(dir.path, GUARDED_PUBLIC, NULL), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(read_it(folder_path(&dir, "none"), GUARDED_PUBLIC, NULL), -ERROR_NOT_FOUND);
}

static void a_failed_create_leaves_nothing(void **state)
{
    FOLDER_AUTO dir = folder_make();

    (void)state;
    assert_int_equal(
        guarded_file_create(folder_path(&dir, "no/such"), GUARDED_PUBLIC, "x", 1, NULL),
        -ERROR_NOT_FOUND);
    assert_int_equal(folder_entries(&dir, 0), 0);
}

static void replacing_keeps_owner_and_mode_and_never_shows_a_half(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "a");
    BUFFER_AUTO(content, MAX_BYTES);
    struct stat before, after;

    (void)state;
    assert_int_equal(guarded_file_replace(path, "new", 3, NULL), -ERROR_NOT_FOUND);
    assert_int_equal(guarded_file_create(path, GUARDED_PUBLIC, "old", 3, NULL), 0);
    assert_int_equal(chmod(path, 0640), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 0, 12345), 0);
        assert_int_equal(chmod(path, 0640), 0);
    }
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(guarded_file_replace(path, "new", 3, NULL), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_not_equal(before.st_ino,
                         after.st_ino); /* who has the old one open, has the old one */
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_uid, before.st_uid);
    assert_int_equal(after.st_gid, before.st_gid);
    assert_int_equal(guarded_file_read(path, GUARDED_PUBLIC, &content, NULL), 0);
    assert_string_equal(buffer_string(&content), "new");
    assert_int_equal(folder_entries(&dir, 0), 1);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(guarded_file_replace(path, "x", 1, NULL), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(folder_entries(&dir, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_created_is_read),
        cmocka_unit_test(who_is_killed_leaves_it_with_one_name),
        cmocka_unit_test(modes_are_as_said_whatever_the_umask),
        cmocka_unit_test(what_is_there_is_not_touched),
        cmocka_unit_test(what_others_can_change_is_refused),
        cmocka_unit_test(a_strangers_file_is_refused),
        cmocka_unit_test(a_secret_may_belong_to_whom_the_process_becomes),
        cmocka_unit_test(a_secret_that_others_can_read_is_refused),
        cmocka_unit_test(a_credential_of_systemd_is_read),
        cmocka_unit_test(the_maximum_fits_and_one_byte_more_is_refused),
        cmocka_unit_test(what_is_no_file_is_refused_without_waiting),
        cmocka_unit_test(a_failed_create_leaves_nothing),
        cmocka_unit_test(replacing_keeps_owner_and_mode_and_never_shows_a_half),
    };

    return UNIT_RUN(tests);
}
