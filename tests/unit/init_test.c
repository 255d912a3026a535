/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What `xenresd init` changes is what it has made, whoever else has his hands on the path meanwhile. The
 * rest of it: tests/system/init.sh. */
#include "server/init.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

enum { VICTIM_MODE = 0711 };

static struct {
    struct folder dir;
    char victim[FOLDER_PATH_BYTES], state_dir[FOLDER_PATH_BYTES], etc[FOLDER_PATH_BYTES];
    bool swaps; /* the state folder becomes a link to the victim as soon as it is made */
} place;

/* The C library's, and somebody who is quick. */
int mkdir(const char *path, mode_t mode)
{
    long result = syscall(SYS_mkdirat, AT_FDCWD, path, mode);

    if (result == 0 && place.swaps && strcmp(path, place.state_dir) == 0) {
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(symlink(place.victim, path), 0);
    }
    return (int)result;
}

static int begin(void **state)
{
    (void)state;
    place.dir = folder_make();
    (void)snprintf(place.victim, sizeof(place.victim), "%s", folder_path(&place.dir, "victim"));
    (void)snprintf(place.state_dir, sizeof(place.state_dir), "%s",
                   folder_path(&place.dir, "state"));
    (void)snprintf(place.etc, sizeof(place.etc), "%s", folder_path(&place.dir, "etc"));
    assert_int_equal(mkdir(place.victim, 0700), 0);
    assert_int_equal(chmod(place.victim, VICTIM_MODE), 0);
    place.swaps = false;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    return remove(path);
}

static int end(void **state)
{
    (void)state;
    assert_int_equal(nftw(place.dir.path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    return 0;
}

static int init(struct failure *f)
{
    const struct init_options options = {
        .dir = place.etc, .state_dir = place.state_dir, .admin = "admin", .user = "nobody"
    };

    return init_make(&options, f);
}

/* Nothing was made, and the victim is as it was. */
static void is_refused(const char *says)
{
    struct failure f = { 0 };
    struct stat st;

    assert_int_equal(init(&f), -ERROR_FAILED_PRECONDITION);
    if (strstr(f.message, says) == NULL) {
        fail_msg("%s", f.message);
    }
    assert_int_not_equal(lstat(place.etc, &st), 0);
    assert_int_equal(stat(place.victim, &st), 0);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(st.st_mode & 07777, VICTIM_MODE);
}

static void what_is_put_in_a_folders_place_is_not_given_away(void **state)
{
    (void)state;
    place.swaps = true;
    is_refused("it is a link, or no folder");
}

static void a_link_that_is_there_is_no_folder(void **state)
{
    (void)state;
    assert_int_equal(symlink(place.victim, place.state_dir), 0);
    is_refused("it is a link, or no folder");
}

static void a_folder_that_others_write_is_refused_also_for_the_state(void **state)
{
    (void)state;
    assert_int_equal(mkdir(place.state_dir, 0700), 0);
    assert_int_equal(chmod(place.state_dir, 0770), 0);
    is_refused("others than this user can change");
}

static void a_folder_in_one_that_others_write_is_refused(void **state)
{
    char open_dir[FOLDER_PATH_BYTES / 2 + 8];

    (void)state;
    (void)snprintf(open_dir, sizeof(open_dir), "%s/open", place.dir.path);
    assert_int_equal(mkdir(open_dir, 0700), 0);
    assert_int_equal(chmod(open_dir, 0777), 0);
    (void)snprintf(place.state_dir, sizeof(place.state_dir), "%s/state", open_dir);
    is_refused("others than this user can change");
    assert_int_equal(chmod(open_dir, 01777), 0); /* as /tmp: what is mine there stays */
    assert_int_equal(init(NULL), 0);
}

static void a_folder_of_the_serving_users_does_and_one_of_others_does_not(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(mkdir(place.state_dir, 0700), 0);
    assert_int_equal(chown(place.state_dir, 1, 1), 0); /* daemon's, who does not serve */
    is_refused("others than this user can change");
    assert_int_equal(chown(place.state_dir, 65534, 65534), 0);
    assert_int_equal(init(NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_in_a_folders_place_is_not_given_away),
        TEST(a_link_that_is_there_is_no_folder),
        TEST(a_folder_that_others_write_is_refused_also_for_the_state),
        TEST(a_folder_in_one_that_others_write_is_refused),
        TEST(a_folder_of_the_serving_users_does_and_one_of_others_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
