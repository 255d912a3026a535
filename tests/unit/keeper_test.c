/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Both halves in one process: the supervisor's in a thread; and a worker that speaks otherwise. */
#include "server/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/guarded_file.h"
#include "common/buffer.h"
#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

static struct folder dir;
static struct config config; /* the supervisor's */
static struct config other;  /* the worker's */
static int supervisor_fd, worker_fd;
static pthread_t supervisor;

static void *supervise(void *arg)
{
    struct pollfd fds = { .fd = supervisor_fd, .events = POLLIN };

    while (poll(&fds, 1, -1) > 0 && keeper_serve(supervisor_fd, &config)) {
    }
    return arg;
}

static void name(char *option, const char *file)
{
    snprintf(option, CONFIG_TEXT_BYTES, "%s", folder_path(&dir, file));
}

static void write_file(const char *path, const char *text)
{
    (void)unlink(path);
    assert_int_equal(guarded_file_create(path, GUARDED_SECRET, text, strlen(text), NULL), 0);
}

static int set_up(void **state)
{
    struct failure f;

    (void)state;
    dir = folder_make();
    name(config.tls_certificate, "certificate");
    name(config.tls_key, "key");
    name(config.tls_client_ca, "ca");
    name(config.server_policy, "policy");
    other = config;
    assert_int_equal(keeper_pair(&supervisor_fd, &worker_fd, &f), 0);
    keeper_use(worker_fd, &other);
    return pthread_create(&supervisor, NULL, supervise, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    guarded_file_set_opener(NULL);
    (void)close(worker_fd); /* which ends the thread */
    (void)pthread_join(supervisor, NULL);
    (void)close(supervisor_fd);
    folder_done(&dir);
    return 0;
}

static int read_it(const char *path, char text[64], struct failure *f)
{
    BUFFER_AUTO(content, 63);
    int result = guarded_file_read(path, GUARDED_SECRET, &content, f);

    if (result == 0) {
        snprintf(text, 64, "%s", buffer_string(&content));
    }
    return result;
}

static void named_files_are_handed_over(void **state)
{
    char text[64];
    struct failure f;

    (void)state;
    write_file(config.tls_key, "a key");
    write_file(config.server_policy, "a policy");
    assert_int_equal(read_it(config.tls_key, text, &f), 0);
    assert_string_equal(text, "a key");
    assert_int_equal(read_it(config.server_policy, text, &f), 0);
    assert_string_equal(text, "a policy");
    write_file(config.tls_key, "another"); /* another file of this name */
    assert_int_equal(read_it(config.tls_key, text, &f), 0);
    assert_string_equal(text, "another");
}

static void other_files_are_not_asked_for(void **state)
{
    char text[64];
    struct failure f;

    (void)state;
    write_file(folder_path(&dir, "own"), "the worker's own");
    assert_int_equal(read_it(folder_path(&dir, "own"), text, &f), 0);
    assert_string_equal(text, "the worker's own");
}

static void what_is_not_there_or_no_file_is_refused(void **state)
{
    char text[64];
    struct failure f;

    (void)state;
    assert_int_equal(read_it(config.tls_key, text, &f), -ERROR_NOT_FOUND);
    assert_int_equal(mkfifo(config.tls_key, 0600), 0); /* and nobody is held up */
    assert_int_equal(read_it(config.tls_key, text, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(unlink(config.tls_key), 0);
    assert_int_equal(symlink("/dev/zero", config.tls_key), 0);
    assert_int_equal(read_it(config.tls_key, text, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(unlink(config.tls_key), 0);
    assert_int_equal(mkdir(config.tls_key, 0700), 0);
    assert_int_equal(read_it(config.tls_key, text, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(rmdir(config.tls_key), 0);
}

/* The worker has read the configuration later than its supervisor. */
static void a_worker_with_another_configuration_gets_nothing(void **state)
{
    char text[64];
    struct failure f;

    (void)state;
    write_file(config.tls_key, "a key");
    write_file(folder_path(&dir, "elsewhere"), "something else");
    name(other.tls_key, "elsewhere");
    assert_int_equal(read_it(other.tls_key, text, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.message, strerror(ESTALE)));
}

static void many_are_answered_one_by_one(void **state)
{
    char text[64];
    struct failure f;

    (void)state;
    write_file(config.tls_key, "a key");
    for (int i = 0; i < 1000; i++) { /* none keeps a descriptor */
        assert_int_equal(read_it(config.tls_key, text, &f), 0);
    }
    assert_true(dup(0) < 64);
}

/* Any other bytes end it: the supervisor speaks no more with who does not speak so. */
static void whoever_speaks_otherwise_is_heard_no_more(void **state)
{
    static const uint32_t wrong[][6] = { { 0 },
                                         { 0x6b657031, 1, 0, 1 },   /* reserved */
                                         { 0x6b657030, 1, 0, 0 } }; /* another magic */
    struct failure f;

    (void)state;
    for (size_t i = 0; i <= sizeof(wrong) / sizeof(wrong[0]); i++) {
        int mine, theirs;
        size_t len_bytes = i < 3 ? sizeof(wrong[0]) : 5; /* and one that is too short */

        assert_int_equal(keeper_pair(&mine, &theirs, &f), 0);
        assert_int_equal(send(theirs, wrong[i % 3], len_bytes, 0), (ssize_t)len_bytes);
        assert_false(keeper_serve(mine, &config));
        (void)close(mine);
        (void)close(theirs);
    }
}

static void an_index_beyond_the_last_is_refused(void **state)
{
    static const uint32_t beyond[6] = { 0x6b657031, 7, UINT32_MAX };
    uint32_t answer[4];
    int mine, theirs;
    struct failure f;

    (void)state;
    assert_int_equal(keeper_pair(&mine, &theirs, &f), 0);
    assert_int_equal(send(theirs, beyond, sizeof(beyond), 0), (ssize_t)sizeof(beyond));
    assert_true(keeper_serve(mine, &config));
    assert_int_equal(recv(theirs, answer, sizeof(answer), 0), (ssize_t)sizeof(answer));
    assert_int_equal(answer[1], 7);
    assert_int_equal(answer[2], ESTALE);
    (void)close(theirs);
    assert_false(keeper_serve(mine, &config)); /* it is gone */
    (void)close(mine);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(named_files_are_handed_over),
        ROW(other_files_are_not_asked_for),
        ROW(what_is_not_there_or_no_file_is_refused),
        ROW(a_worker_with_another_configuration_gets_nothing),
        ROW(many_are_answered_one_by_one),
        ROW(whoever_speaks_otherwise_is_heard_no_more),
        ROW(an_index_beyond_the_last_is_refused),
    };
    return UNIT_RUN(tests);
}
