/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The mapper's own list, which it serves with. A filter lasts, so each case is a child of its own: first
 * without the filter, where the call is made, then with it. */
#include "server/mapper/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/unit.h"

enum { CANNOT_CONFINE = 99 };

/* A call, and whether it was made: by 0. */
typedef int act(void);

/* How a child ended that makes the call: its status, or the negative of its signal. */
static int ended(act *make, bool is_confined)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        const struct rlimit none = { 0 };
        struct failure f;

        (void)setrlimit(RLIMIT_CORE, &none);
        if (is_confined &&
            (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || confine_calls(&f) != 0)) {
            _exit(CANNOT_CONFINE);
        }
        _exit(make());
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* --- what serving takes ---------------------------------------------------------------------- */

static int make_a_unix_socket(void)
{
    int pair[2];

    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) >= 0 &&
                   socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0
               ? 0
               : 1;
}

/* As to /dev/xen/privcmd: it is the kernel that refuses, since this is no node of Xen's. */
static int call_xens_device(void)
{
    return ioctl(eventfd(0, EFD_CLOEXEC), _IOC(_IOC_NONE, 'P', 0, 16), NULL) < 0 && errno == ENOTTY
               ? 0
               : 1;
}

static int share_memory(void)
{
    int fd = memfd_create("confine", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    return fd >= 0 && ftruncate(fd, 4096) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 ? 0
                                                                                             : 1;
}

/* --- what it does not ------------------------------------------------------------------------ */

static int make_a_socket(int family, int type)
{
    return socket(family, type | SOCK_CLOEXEC, 0) >= 0 || errno == EAFNOSUPPORT ? 0 : 1;
}
static int make_a_tcp_socket(void)
{
    return make_a_socket(AF_INET, SOCK_STREAM);
}
static int make_a_tcp6_socket(void)
{
    return make_a_socket(AF_INET6, SOCK_STREAM);
}
static int make_a_udp_socket(void)
{
    return make_a_socket(AF_INET, SOCK_DGRAM);
}
static int make_a_netlink_socket(void)
{
    return make_a_socket(AF_NETLINK, SOCK_RAW);
}
static int make_a_vsock_socket(void)
{
    return make_a_socket(AF_VSOCK, SOCK_STREAM);
}

static int listen_anew(void)
{
    const struct sockaddr_un any = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return bind(fd, (const struct sockaddr *)&any, sizeof(any.sun_family)) == 0 &&
                   listen(fd, 1) == 0
               ? 0
               : 1;
}

static int run_a_program(void)
{
    char *const arguments[] = { (char[]){ "true" }, NULL };

    (void)execve("/bin/true", arguments, NULL);
    return 1;
}

static int run_a_program_by_its_descriptor(void)
{
    char *const arguments[] = { (char[]){ "true" }, NULL };

    (void)syscall(SYS_execveat, open("/bin/true", O_PATH | O_CLOEXEC), "", arguments, NULL,
                  AT_EMPTY_PATH);
    return 1;
}

static int change_the_user(void)
{
    uid_t uid = getuid();

    return setresuid(uid, uid, uid) == 0 ? 0 : 1;
}

static int make_a_namespace(void)
{
    return syscall(SYS_unshare, CLONE_FILES) == 0 ? 0 : 1;
}

static int make_a_link(void)
{
    return symlink("/", "/proc/none") < 0 && errno != ENOSYS ? 0 : 1;
}

/* What the runtime of an instrumented build makes as well, and so may there. */
#ifndef XENRES_SANITIZED
static int call_another_device(void)
{
    return ioctl(eventfd(0, EFD_CLOEXEC), TIOCSTI, "x") < 0 && errno == ENOTTY ? 0 : 1;
}

static int signal_another(void)
{
    return kill(getppid(), 0) == 0 ? 0 : 1;
}

static int trace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1;
}

static int read_the_memory_of_a_process(void)
{
    char from = 1, to = 0;
    const struct iovec local = { &to, 1 }, remote = { &from, 1 };

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1 ? 0 : 1;
}

static int make_a_process(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);

    if (pid == 0) {
        _exit(0);
    }
    return pid > 0 ? 0 : 1;
}

static int make_code(void)
{
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page != MAP_FAILED ? 0 : 1;
}

static int make_memory_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 ? 0 : 1;
}
#endif

static void what_serving_takes_is_allowed(void **state)
{
    static act *const calls[] = { make_a_unix_socket, call_xens_device, share_memory };

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        assert_int_equal(ended(calls[i], true), 0);
    }
}

static void what_else_a_program_might_call_ends_it(void **state)
{
    static const struct {
        const char *name;
        act *make;
    } calls[] = {
#define ROW(call) { #call, (call) }
        ROW(make_a_tcp_socket),
        ROW(make_a_tcp6_socket),
        ROW(make_a_udp_socket),
        ROW(make_a_netlink_socket),
        ROW(make_a_vsock_socket),
        ROW(listen_anew),
        ROW(run_a_program),
        ROW(run_a_program_by_its_descriptor),
        ROW(change_the_user),
        ROW(make_a_namespace),
        ROW(make_a_link),
#ifndef XENRES_SANITIZED
        ROW(call_another_device),
        ROW(signal_another),
        ROW(trace),
        ROW(read_the_memory_of_a_process),
        ROW(make_a_process),
        ROW(make_code),
        ROW(make_memory_code),
#endif
    };

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        int free = ended(calls[i].make, false), confined = ended(calls[i].make, true);

        if (free != 0 || confined != -SIGSYS) {
            print_error("%s: %d without the list, %d with it\n", calls[i].name, free, confined);
            fail();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_serving_takes_is_allowed),
        cmocka_unit_test(what_else_a_program_might_call_ends_it),
    };
    return UNIT_RUN(tests);
}
