/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The real gateway on the simulator, `xenresd --demo`, as a child of a test program: started with a
 * scenario and limits of the test's own, asked by clients that no client library would be. Included by
 * one file of a test program.
 */
#ifndef XENRES_TESTS_GATEWAY_H
#define XENRES_TESTS_GATEWAY_H

#include "tests/lib/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/lib/tls_peer.h"

enum { GATEWAY_START_WAIT_S = 30, GATEWAY_PATH_BYTES = 256 };

static struct {
    char dir[64];
    pid_t pid;
    uint16_t port;
    bool is_logged; /* in DIR/log, all of it */
} gateway;

static inline void gateway_path(const char *name, char path[GATEWAY_PATH_BYTES])
{
    (void)snprintf(path, GATEWAY_PATH_BYTES, "%s/%s", gateway.dir, name);
}

static inline void gateway_write(const char *name, const char *mode, const char *text)
{
    char path[GATEWAY_PATH_BYTES];
    FILE *file;

    gateway_path(name, path);
    file = fopen(path, mode);
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void gateway_pause_ms(long ms)
{
    const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    nanosleep(&pause, NULL);
}

/* DIR/env appears whole, when the gateway serves. */
static inline void gateway_start(bool with_scenario)
{
    const char *build = getenv("BUILD");
    char program[GATEWAY_PATH_BYTES], env[GATEWAY_PATH_BYTES], demo[GATEWAY_PATH_BYTES],
        world[GATEWAY_PATH_BYTES], log[GATEWAY_PATH_BYTES], text[1024] = "";
    char option[] = "--demo", second[] = "--scenario", verbose[] = "--verbose";
    char *arguments[] = {
        program, option, demo, verbose, with_scenario ? second : NULL, world, NULL
    };
    posix_spawn_file_actions_t actions;
    uint64_t until_ns = clock_monotonic_ns() + GATEWAY_START_WAIT_S * CLOCK_NS_PER_S;
    FILE *file;
    char *colon;

    (void)snprintf(program, sizeof(program), "%s/xenresd", build != NULL ? build : "build");
    gateway_path("demo", demo);
    gateway_path("demo/env", env);
    gateway_path("scenario", world);
    (void)unlink(env);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    if (gateway.is_logged) {
        gateway_path("log", log);
        assert_int_equal(posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log,
                                                          O_WRONLY | O_CREAT | O_APPEND, 0600),
                         0);
    } else {
        memmove(&arguments[3], &arguments[4], 3 * sizeof(arguments[0]));
    }
    assert_int_equal(posix_spawn(&gateway.pid, program, &actions, NULL, arguments, environ), 0);
    assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
    while (access(env, R_OK) != 0) {
        assert_true(clock_monotonic_ns() < until_ns);
        assert_int_equal(waitpid(gateway.pid, NULL, WNOHANG), 0);
        gateway_pause_ms(10);
    }
    file = fopen(env, "re");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    (void)fclose(file);
    colon = strstr(text, "https://");
    assert_non_null(colon);
    colon = strchr(colon + 8, ':');
    assert_non_null(colon);
    gateway.port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

static inline void gateway_stop(void)
{
    int status = 0;

    assert_int_equal(kill(gateway.pid, SIGTERM), 0);
    assert_int_equal(waitpid(gateway.pid, &status, 0), gateway.pid);
    assert_int_equal(status, 0);
}

/* Once for the demo's files, and again with limits of the test's own among them. */
static inline int gateway_set_up(const char *name, const char *scenario, const char *limits)
{
    (void)snprintf(gateway.dir, sizeof(gateway.dir), "/tmp/%s.XXXXXX", name);
    assert_non_null(mkdtemp(gateway.dir));
    assert_int_equal(chmod(gateway.dir, 0755), 0);
    gateway_write("scenario", "we", scenario);
    gateway_start(true);
    gateway_stop();
    gateway_write("demo/xenresd.conf", "ae", limits);
    gateway_start(false);
    return 0;
}

/* What it has said into DIR/log, if it has, is then where all other output is: run.sh looks there for what
 * sanitizers report. */
static inline int gateway_tear_down(void)
{
    char command[GATEWAY_PATH_BYTES];

    gateway_stop();
    (void)snprintf(command, sizeof(command),
                   "cd %s && { [ ! -e log ] || cat log >&2; } && rm -rf %s", gateway.dir,
                   gateway.dir);
    return system(command);
}

static inline struct tls_peer_options gateway_operator(int receive_buffer_bytes)
{
    static char dir[GATEWAY_PATH_BYTES];

    gateway_path("demo", dir);
    return (struct tls_peer_options){ .dir = dir,
                                      .name = "operator",
                                      .receive_buffer_bytes = receive_buffer_bytes };
}

static inline void gateway_open(struct tls_peer *p)
{
    const struct tls_peer_options options = gateway_operator(0);

    assert_true(tls_peer_open(p, gateway.port, &options));
}

#endif
