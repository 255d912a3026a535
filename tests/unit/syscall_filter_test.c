/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Filters last, so each case is a child of its own, which ends with what it found. */
#include "common/syscall_filter.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/syscall_list.h"
#include "tests/lib/unit.h"

enum { CANNOT_FILTER = 99 };

static void filter(const struct syscall_rule *own)
{
    struct syscall_rule self[SYSCALL_LIST_SELF_ROWS];
    const struct syscall_rule *const lists[] = { syscall_list_runtime, self, own,
                                                 syscall_list_sanitizer };
    struct failure f;

    syscall_list_self(self);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall_filter_allow(lists, 4, &f) != 0) {
        _exit(CANNOT_FILTER);
    }
}

static const struct syscall_rule sockets[] = {
    SYSCALL_IF(socket, 0, SYSCALL_INT, AF_UNIX),
    SYSCALL_REFUSE(getpgid, EPERM),
    SYSCALL(close),
    SYSCALL_END,
};

/* How a child ended that runs `act`: its status, or the negative of its signal. */
static int ended(int (*act)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        const struct rlimit none = { 0 };

        (void)setrlimit(RLIMIT_CORE, &none);
        filter(sockets);
        _exit(act());
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int make_a_unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : 1;
}

/* The kernel looks at 32 bits of an int, whatever stands above; so must the filter, in both directions. */
static int make_a_unix_socket_with_more_bits(void)
{
    return syscall(SYS_socket, (UINT64_C(1) << 32) | AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : 1;
}

static int make_a_network_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : 1;
}

static int make_a_packet_socket(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0) >= 0 ? 0 : 1;
}

static int ask_what_is_refused(void)
{
    return getpgid(0) < 0 && errno == EPERM ? 0 : 1;
}

static void *nothing(void *arg)
{
    return arg;
}

static int start_a_thread(void)
{
    pthread_t thread;

    return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0 ? 0
                                                                                                : 1;
}

static void *call_what_is_missing(void *arg)
{
    (void)syscall(SYS_getpriority, PRIO_PROCESS, 0);
    return arg;
}

/* The process, not the thread: who waits for it would wait for ever. */
static int call_what_is_missing_in_a_thread(void)
{
    pthread_t thread;

    (void)pthread_create(&thread, NULL, call_what_is_missing, NULL);
    (void)pthread_join(thread, NULL);
    return 0;
}

static int call_what_is_missing_here(void)
{
    (void)call_what_is_missing(NULL);
    return 0;
}

static int abort_itself(void)
{
    abort();
}

/* Nothing may be taken back. */
static int allow_more(void)
{
    static const struct syscall_rule all[] = { SYSCALL(getpriority), SYSCALL_END };
    const struct syscall_rule *const lists[] = { all };

    return syscall_filter_allow(lists, 1, NULL);
}

static void what_is_on_the_list_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(ended(make_a_unix_socket), 0);
    assert_int_equal(ended(make_a_unix_socket_with_more_bits), 0);
    assert_int_equal(ended(start_a_thread), 0);
}

static void what_is_not_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(ended(make_a_network_socket), -SIGSYS);
    assert_int_equal(ended(make_a_packet_socket), -SIGSYS);
    assert_int_equal(ended(call_what_is_missing_here), -SIGSYS);
    assert_int_equal(ended(call_what_is_missing_in_a_thread), -SIGSYS);
    assert_int_equal(ended(allow_more), -SIGSYS);
}

static void what_is_refused_does_no_harm(void **state)
{
    (void)state;
    assert_int_equal(ended(ask_what_is_refused), 0);
}

#ifndef XENRES_SANITIZED /* whose runtime needs all of these */
static int fork_a_process(void)
{
    return fork() >= 0 ? 0 : 1;
}

static int map_to_execute(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED
               ? 0
               : 1;
}

static int make_executable(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static int signal_somebody(void)
{
    return (int)syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static void threads_are_no_processes_and_memory_is_no_code(void **state)
{
    (void)state;
    assert_int_equal(ended(fork_a_process), -SIGSYS);
    assert_int_equal(ended(map_to_execute), -SIGSYS);
    assert_int_equal(ended(make_executable), -SIGSYS);
    assert_int_equal(ended(signal_somebody), -SIGSYS);
}
#endif

/* A failed assertion is to be seen as what it is. */
static void a_process_may_end_itself(void **state)
{
    (void)state;
    assert_int_equal(ended(abort_itself), -SIGABRT);
}

/* Without no_new_privs the kernel takes a filter from nobody but root. */
static void a_failure_names_its_cause(void **state)
{
    static const struct syscall_rule none[] = { SYSCALL_END };
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        struct failure f;

        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) {
            _exit(CANNOT_FILTER);
        }
        int result = syscall_filter_deny(none, &f);

        _exit(result == -ERROR_FAILED_PRECONDITION && f.next_step[0] != '\0' ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_on_the_list_is_allowed),
        cmocka_unit_test(what_is_not_ends_the_process),
        cmocka_unit_test(what_is_refused_does_no_harm),
#ifndef XENRES_SANITIZED
        cmocka_unit_test(threads_are_no_processes_and_memory_is_no_code),
#endif
        cmocka_unit_test(a_process_may_end_itself),
        cmocka_unit_test(a_failure_names_its_cause),
    };
    return UNIT_RUN(tests);
}
