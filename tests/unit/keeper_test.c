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
static struct config config;   /* the supervisor's, offered to the worker */
static struct config in_force; /* what the worker says that it has */
static struct config other;    /* the worker's */
static struct keeper kept;
static int worker_fd;
static pthread_t supervisor;

static void *supervise(void *arg)
{
    struct pollfd fds = { .fd = kept.fd, .events = POLLIN };

    while (poll(&fds, 1, -1) > 0 && keeper_serve(&kept, &config, &in_force)) {
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
    other = in_force = config;
    assert_int_equal(keeper_pair(&kept.fd, &worker_fd, &f), 0);
    keeper_begin_turn(&kept, &config);
    keeper_use(worker_fd, &other);
    return pthread_create(&supervisor, NULL, supervise, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    guarded_file_set_opener(NULL);
    (void)close(worker_fd); /* which ends the thread */
    (void)pthread_join(supervisor, NULL);
    (void)close(kept.fd);
    folder_done(&dir);
    return 0;
}

/* While the other thread waits: it looks at the turn behind the next request. */
static void turn_again(void)
{
    keeper_begin_turn(&kept, &config);
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
    turn_again();
    assert_int_equal(read_it(config.tls_key, text, &f), 0);
    assert_string_equal(text, "another");
}

/* The worker is somebody else's by now. */
static void the_key_is_handed_over_once_in_a_turn(void **state)
{
    char text[64];
    struct failure f;

    (void)state;
    write_file(config.tls_key, "a key");
    write_file(config.tls_certificate, "a certificate");
    assert_int_equal(read_it(config.tls_key, text, &f), 0);
    assert_int_equal(read_it(config.tls_key, text, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(f.xen_errno, EACCES);
    assert_int_equal(read_it(config.tls_certificate, text, &f), 0); /* each by itself */
}

static void nor_once_the_turn_is_over(void **state)
{
    char text[64];
    struct failure f;

    (void)state;
    write_file(config.tls_key, "a key");
    assert_int_equal(read_it(folder_path(&dir, "key"), text, &f), 0);
    turn_again();
    keeper_end_turn(&kept);
    assert_int_equal(read_it(config.tls_key, text, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(f.xen_errno, EACCES);
}

/* A list that changed is read without a signal. */
static void what_is_watched_is_handed_over_whenever_it_is_asked_for(void **state)
{
    char text[64];
    struct failure f;

    (void)state;
    write_file(config.tls_client_ca, "authorities");
    for (int i = 0; i < 1000; i++) { /* none keeps a descriptor */
        assert_int_equal(read_it(config.tls_client_ca, text, &f), 0);
    }
    keeper_end_turn(&kept);
    assert_int_equal(read_it(config.tls_client_ca, text, &f), 0);
    assert_true(dup(0) < 64);
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
    const char *ca = config.tls_client_ca;

    assert_int_equal(read_it(ca, text, &f), -ERROR_NOT_FOUND);
    assert_int_equal(mkfifo(ca, 0600), 0); /* and nobody is held up */
    assert_int_equal(read_it(ca, text, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(f.xen_errno, EINVAL);
    assert_int_equal(unlink(ca), 0);
    assert_int_equal(symlink("/dev/zero", ca), 0);
    assert_int_equal(read_it(ca, text, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(f.xen_errno, EINVAL);
    assert_int_equal(unlink(ca), 0);
    assert_int_equal(mkdir(ca, 0700), 0);
    assert_int_equal(read_it(ca, text, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(f.xen_errno, EINVAL);
    assert_int_equal(rmdir(ca), 0);
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

/* It is told to read another configuration: until it has taken that, it goes on with what is watched of its own. */
static void what_is_in_force_is_watched_on_while_another_is_offered(void **state)
{
    char text[64];
    struct failure f;

    (void)state;
    write_file(config.tls_client_ca, "an authority");
    write_file(config.tls_key, "a key");
    name(config.tls_client_ca, "second-ca");
    name(config.tls_key, "second-key");
    write_file(config.tls_client_ca, "another authority");
    write_file(config.tls_key, "another key");
    turn_again();
    assert_int_equal(read_it(other.tls_client_ca, text, &f), 0);
    assert_string_equal(text, "an authority");
    assert_int_not_equal(read_it(other.tls_key, text, &f), 0); /* which it has had */
    static struct config fresh;

    fresh = config;
    keeper_follow(&fresh);
    assert_int_equal(read_it(fresh.tls_client_ca, text, &f), 0);
    assert_string_equal(text, "another authority");
    assert_int_equal(read_it(fresh.tls_key, text, &f), 0);
    assert_string_equal(text, "another key");
    assert_int_not_equal(read_it(fresh.tls_key, text, &f), 0); /* once */
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
        struct keeper mine = { .fd = -1 };
        int theirs;
        size_t len_bytes = i < 3 ? sizeof(wrong[0]) : 5; /* and one that is too short */

        assert_int_equal(keeper_pair(&mine.fd, &theirs, &f), 0);
        assert_int_equal(send(theirs, wrong[i % 3], len_bytes, 0), (ssize_t)len_bytes);
        assert_false(keeper_serve(&mine, &config, &config));
        (void)close(mine.fd);
        (void)close(theirs);
    }
}

static void an_index_beyond_the_last_is_refused(void **state)
{
    static const uint32_t beyond[6] = { 0x6b657031, 7, UINT32_MAX };
    uint32_t answer[4];
    struct keeper mine = { .fd = -1 };
    int theirs;
    struct failure f;

    (void)state;
    assert_int_equal(keeper_pair(&mine.fd, &theirs, &f), 0);
    assert_int_equal(send(theirs, beyond, sizeof(beyond), 0), (ssize_t)sizeof(beyond));
    assert_true(keeper_serve(&mine, &config, &config));
    assert_int_equal(recv(theirs, answer, sizeof(answer), 0), (ssize_t)sizeof(answer));
    assert_int_equal(answer[1], 7);
    assert_int_equal(answer[2], ESTALE);
    (void)close(theirs);
    assert_false(keeper_serve(&mine, &config, &config)); /* it is gone */
    (void)close(mine.fd);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(named_files_are_handed_over),
        ROW(the_key_is_handed_over_once_in_a_turn),
        ROW(nor_once_the_turn_is_over),
        ROW(what_is_watched_is_handed_over_whenever_it_is_asked_for),
        ROW(other_files_are_not_asked_for),
        ROW(what_is_not_there_or_no_file_is_refused),
        ROW(a_worker_with_another_configuration_gets_nothing),
        ROW(what_is_in_force_is_watched_on_while_another_is_offered),
        ROW(whoever_speaks_otherwise_is_heard_no_more),
        ROW(an_index_beyond_the_last_is_refused),
    };
    return UNIT_RUN(tests);
}
