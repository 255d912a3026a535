/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A real mapper, started for a test, and a peer of it that speaks the real messages over the real
 * socket. Everything here waits for an event, with a limit; nothing sleeps.
 *
 * The program is $MAPPER, else xenresd-mapper-sim of $BUILD, else the one of the build that the test
 * is of.
 */
#ifndef XENRES_TESTS_MAPPER_RIG_H
#define XENRES_TESTS_MAPPER_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/message.h"
#include "tests/lib/unit.h"

enum { RIG_LIMIT_MS = 20000, RIG_ARGUMENTS_MAX = 24 };

#define RIG_EXPORT_ALL "allow all all list,snapshot,watch\nallow dom0 all list,snapshot,watch\n"

struct rig {
    pid_t pid;
    char dir[64], socket[96];
    int listen_fd;
};

struct rig_peer {
    struct channel channel;
    const uint8_t *arena;
    int bell_fd; /* the end of the doorbell to wait at */
    struct message_hello_answer hello;
    uint64_t serial;
    uint32_t events; /* EVENT_DOMAINS seen meanwhile */
};

static inline void rig_program(char path[PATH_MAX])
{
    const char *given = getenv("MAPPER"), *build = getenv("BUILD");

    if (given != NULL) {
        snprintf(path, PATH_MAX, "%s", given);
    } else if (build != NULL) {
        snprintf(path, PATH_MAX, "%s/xenresd-mapper-sim", build);
    } else {
        ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 64);

        assert_true(n > 0);
        path[n] = '\0';
        for (int up = 0; up < 3; up++) { /* BUILD/tests/kind/program */
            *strrchr(path, '/') = '\0';
        }
        strncat(path, "/xenresd-mapper-sim", 32);
    }
}

static inline void rig_write(const struct rig *r, const char *name, const char *text,
                             char path[128])
{
    snprintf(path, 128, "%s/%s", r->dir, name);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

static inline void rig_remove(const struct rig *r)
{
    static const char *const names[] = { "export", "scenario", "socket", "log" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", r->dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(r->dir);
}

/* Starts it with a listening socket that is ours, so that connecting succeeds from the first moment.
 * `scenario` NULL: the built-in one; `more`: further arguments, ended by NULL. */
static inline void rig_start(struct rig *r, const char *scenario, const char *export,
                             const char *const *more)
{
    char program[PATH_MAX], export_path[128], scenario_path[128], fd[16];
    const char *arguments[RIG_ARGUMENTS_MAX] = { program, "--listen-fd", fd, "--export",
                                                 export_path };
    size_t n = 5;

    snprintf(r->dir, sizeof(r->dir), "/tmp/rig.XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    assert_int_equal(chmod(r->dir, 0755), 0);
    snprintf(r->socket, sizeof(r->socket), "%s/socket", r->dir);
    rig_program(program);
    rig_write(r, "export", export, export_path);
    if (scenario != NULL) {
        rig_write(r, "scenario", scenario, scenario_path);
        arguments[n++] = "--scenario";
        arguments[n++] = scenario_path;
    }
    while (more != NULL && *more != NULL && n + 1 < RIG_ARGUMENTS_MAX) {
        arguments[n++] = *more++;
    }
    assert_int_equal(channel_listen(r->socket, &r->listen_fd, NULL), 0);
    assert_int_equal(chmod(r->socket, 0666), 0);
    snprintf(fd, sizeof(fd), "%d", r->listen_fd);
    fflush(NULL);
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0) {
        char log[128];

        snprintf(log, sizeof(log), "%s/log", r->dir);
        int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        /* A test that fails must leave nobody behind. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)fcntl(r->listen_fd, F_SETFD, 0);
        (void)dup2(log_fd, STDERR_FILENO);
        close(log_fd);
        execv(program, (char **)(uintptr_t)arguments);
        _exit(127);
    }
    close(r->listen_fd);
}

/* Waits for its end; the status as waitpid() gives it. */
static inline int rig_wait(struct rig *r)
{
    int status = -1;
    uint64_t end_ns = clock_monotonic_ns() + RIG_LIMIT_MS * CLOCK_NS_PER_MS;

    while (waitpid(r->pid, &status, WNOHANG) == 0) {
        if (clock_monotonic_ns() > end_ns) {
            kill(r->pid, SIGKILL);
            waitpid(r->pid, &status, 0);
            fail_msg("the mapper did not end");
        }
        poll(NULL, 0, 2);
    }
    return status;
}

/* Ends it, and proves that it ended well (leaks of an instrumented build fail here). */
static inline void rig_stop(struct rig *r)
{
    kill(r->pid, SIGTERM);
    int status = rig_wait(r);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        char command[160];

        snprintf(command, sizeof(command), "%s/log", r->dir);
        FILE *log = fopen(command, "re");
        char line[1100];

        while (log != NULL && fgets(line, sizeof(line), log) != NULL) {
            print_message("# %s", line);
        }
        fail_msg("the mapper ended with status %#x", (unsigned)status);
    }
    rig_remove(r);
}

/* The log has `text`. */
static inline bool rig_log_says(const struct rig *r, const char *text)
{
    char path[128], line[1100];
    bool found = false;

    snprintf(path, sizeof(path), "%s/log", r->dir);
    FILE *file = fopen(path, "re");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        found = found || strstr(line, text) != NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

/* --- a peer ----------------------------------------------------------------------------------- */

static inline bool rig_readable(const struct rig_peer *p, int limit_ms)
{
    struct pollfd row = { .fd = p->channel.fd, .events = POLLIN };

    return poll(&row, 1, limit_ms) == 1;
}

/* The next message; 0 bytes at the end of the connection. Descriptors are the caller's. */
static inline size_t rig_receive_all(struct rig_peer *p, union message *m, int fds[CHANNEL_FDS_MAX],
                                     size_t *fd_count)
{
    *fd_count = 0;
    if (!rig_readable(p, RIG_LIMIT_MS)) {
        fail_msg("no answer");
    }
    ssize_t len = channel_receive(&p->channel, m, sizeof(*m), fds, fd_count, NULL);

    return len > 0 ? (size_t)len : 0;
}

/* The same; the first descriptor goes to `fd`. */
static inline size_t rig_receive(struct rig_peer *p, union message *m, int *fd)
{
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count;
    size_t len = rig_receive_all(p, m, fds, &fd_count);

    for (size_t i = 0; i < fd_count; i++) {
        if (i == 0 && fd != NULL) {
            *fd = fds[i];
        } else {
            close(fds[i]);
        }
    }
    return len;
}

static inline void rig_connect(struct rig *r, struct rig_peer *p)
{
    uint64_t end_ns = clock_monotonic_ns() + RIG_LIMIT_MS * CLOCK_NS_PER_MS;

    *p = (struct rig_peer){ .channel.fd = -1, .bell_fd = -1 };
    while (channel_connect(r->socket, &p->channel, NULL) < 0) { /* others wait to be accepted */
        assert_true(clock_monotonic_ns() < end_ns);
        poll(NULL, 0, 1);
    }
}

static inline void rig_send(struct rig_peer *p, const union message *m)
{
    struct pollfd row = { .fd = p->channel.fd, .events = POLLOUT };
    struct failure f;
    int result;

    while ((result = channel_send(&p->channel, m, m->head.len_bytes, NULL, 0, &f)) ==
           -ERROR_RESOURCE_EXHAUSTED) {
        assert_int_equal(poll(&row, 1, RIG_LIMIT_MS), 1);
    }
    if (result < 0) {
        fail_msg("%s", f.message);
    }
}

/* Sends, and waits for the answer with its serial. True: not a failure. A descriptor goes to `fd`. */
static inline bool rig_call_for(struct rig_peer *p, union message *request, union message *answer,
                                int *fd)
{
    uint16_t type = request->head.type;
    struct failure f;

    message_init(request, type, ++p->serial);
    rig_send(p, request);
    for (;;) {
        size_t len = rig_receive(p, answer, fd);

        if (len == 0) {
            fail_msg("the mapper closed the connection");
        }
        if (message_check(answer, len, &f) < 0) {
            fail_msg("the mapper's answer is wrong: %s", f.message);
        }
        if (answer->head.type == MESSAGE_EVENT_DOMAINS) {
            p->events++;
            continue;
        }
        assert_int_equal(answer->head.serial, p->serial);
        assert_true(answer->head.type == (type | MESSAGE_ANSWER) ||
                    answer->head.type == MESSAGE_FAILED);
        return answer->head.type != MESSAGE_FAILED;
    }
}

static inline bool rig_call(struct rig_peer *p, union message *request, union message *answer)
{
    return rig_call_for(p, request, answer, NULL);
}

static inline union message rig_message(uint16_t type)
{
    union message m;

    memset(&m, 0, sizeof(m));
    message_init(&m, type, 1);
    return m;
}

static inline union message rig_hello_message(void)
{
    union message m = rig_message(MESSAGE_HELLO);

    snprintf(m.hello.version, sizeof(m.hello.version), "test");
    return m;
}

/* Connects and says hello; the arena is mapped. */
static inline void rig_join(struct rig *r, struct rig_peer *p)
{
    union message m = rig_hello_message();
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count;

    rig_connect(r, p);
    rig_send(p, &m);
    size_t len = rig_receive_all(p, &m, fds, &fd_count);

    assert_true(len > 0);
    if (m.head.type == MESSAGE_FAILED) {
        fail_msg("%s", m.failed.failure.message);
    }
    assert_int_equal(message_check(&m, len, NULL), 0);
    assert_int_equal(m.head.type, MESSAGE_HELLO | MESSAGE_ANSWER);
    assert_int_equal(fd_count, 2);
    p->hello = m.hello_answer;
    p->serial = 1;
    const void *arena = mmap(NULL, p->hello.arena_bytes, PROT_READ, MAP_SHARED, fds[0], 0);

    assert_ptr_not_equal(arena, MAP_FAILED);
    p->arena = arena;
    p->bell_fd = fds[1];
    close(fds[0]);
}

static inline void rig_leave(struct rig_peer *p)
{
    if (p->arena != NULL) {
        munmap((void *)(uintptr_t)p->arena, p->hello.arena_bytes);
    }
    if (p->bell_fd >= 0) {
        close(p->bell_fd);
    }
    p->arena = NULL;
    p->bell_fd = -1;
    channel_close(&p->channel);
}

/* The domains, all pages; returns how many. */
static inline uint32_t rig_domains(struct rig_peer *p, struct message_domain *out, uint32_t max)
{
    uint32_t count = 0, first = 0;
    union message answer;

    do {
        union message m = rig_message(MESSAGE_DOMAINS);

        m.domains.first_domid = first;
        assert_true(rig_call(p, &m, &answer));
        for (uint32_t i = 0; i < answer.domains_answer.domain_count && count < max; i++) {
            out[count++] = answer.domains_answer.domains[i];
            first = out[count - 1].identity.domid + 1U;
        }
    } while (answer.domains_answer.more);
    return count;
}

static inline bool rig_find(struct rig_peer *p, const char *name, struct message_domain *out)
{
    static struct message_domain all[4096];
    uint32_t count = rig_domains(p, all, 4096);

    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(all[i].identity.name, name) == 0) {
            *out = all[i];
            return true;
        }
    }
    return false;
}

static inline struct domain_identity rig_domain(struct rig_peer *p, const char *name)
{
    struct message_domain d;

    if (!rig_find(p, name, &d)) {
        fail_msg("there is no domain %s", name);
    }
    return d.identity;
}

static inline union message rig_snapshot_message(const struct domain_identity *d, uint32_t type,
                                                 uint32_t id, uint32_t first, uint32_t count)
{
    union message m = rig_message(MESSAGE_SNAPSHOT);

    m.snapshot.domain = *d;
    m.snapshot.type = type;
    m.snapshot.id = id;
    m.snapshot.first_frame = first;
    m.snapshot.frame_count = count;
    return m;
}

static inline void rig_release(struct rig_peer *p, const struct message_slot *slot)
{
    union message m = rig_message(MESSAGE_RELEASE);

    m.release.slot_count = 1;
    m.release.slots[0].index = slot->index;
    m.release.slots[0].generation = slot->generation;
    rig_send(p, &m);
}

/* What the simulated host has counted, by its name in the ledger's line ("grant tables grown"). */
static inline uint64_t rig_ledger(struct rig_peer *p, const char *what)
{
    union message m = rig_message(MESSAGE_HOST), answer;

    assert_true(rig_call(p, &m, &answer));
    for (uint32_t i = 0; i < answer.host_answer.check_count; i++) {
        const struct message_check_row *row = &answer.host_answer.checks[i];
        const char *at = strcmp(row->name, "sim_ledger") == 0 ? strstr(row->detail, what) : NULL;

        if (at != NULL) {
            return strtoull(at + strlen(what), NULL, 10);
        }
    }
    fail_msg("the ledger has no `%s`", what);
    return 0;
}

/* The scenario's next step; what is asked for afterwards sees it. */
static inline void rig_step(const struct rig *r)
{
    assert_int_equal(kill(r->pid, SIGUSR1), 0);
}

#endif
