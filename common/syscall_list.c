/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/syscall_list.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A thread shares memory and signal handlers with its process, and is in the same namespaces: a process
 * (fork, vfork, posix_spawn) does not come out of this, nor a way out of here. */
#define CLONE_KIND                                                                                 \
    (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND | CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID |        \
     CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_PTRACE)
#define CLONE_OF_THREADS (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)

const struct syscall_rule syscall_list_runtime[] = {
    /* malloc, stacks of threads, shared memory */
    SYSCALL(brk),
    SYSCALL_IF(mmap, 2, PROT_EXEC, 0),
    SYSCALL_IF(mmap2, 2, PROT_EXEC, 0),
    SYSCALL_IF(mprotect, 2, PROT_EXEC, 0),
    SYSCALL(munmap),
    SYSCALL(mremap),
    SYSCALL(madvise),
    /* threads; clone3's flags are in memory, out of a filter's sight: without it libc takes clone */
    SYSCALL_IF(clone, 0, CLONE_KIND, CLONE_OF_THREADS),
    SYSCALL_REFUSE(clone3, ENOSYS),
    SYSCALL(futex),
    SYSCALL(futex_waitv),
    SYSCALL(set_robust_list),
    SYSCALL(rseq),
    SYSCALL(gettid),
    SYSCALL(sched_yield),
    SYSCALL(sched_getaffinity),
    SYSCALL(exit),
    SYSCALL(exit_group),
    SYSCALL_IF(prctl, 0, SYSCALL_INT, PR_SET_NAME),
    SYSCALL_IF(prctl, 0, SYSCALL_INT, PR_GET_NAME), /* libsystemd's, where the journal is full */
    /* signals: of pthreads, of abort(), and the return from a handler */
    SYSCALL(rt_sigprocmask),
    SYSCALL(rt_sigaction),
    SYSCALL(rt_sigreturn),
    SYSCALL(restart_syscall),
    /* time, where the vDSO has no clock to read by itself: on Xen that happens */
    SYSCALL(clock_gettime),
    SYSCALL(clock_getres),
    SYSCALL(gettimeofday),
    SYSCALL(time),
    SYSCALL(nanosleep),
    SYSCALL(clock_nanosleep),
    /* random bytes; how much memory and how many processors (qsort(), malloc's arenas) */
    SYSCALL(getrandom),
    SYSCALL(sysinfo),
    SYSCALL(getcpu),
    SYSCALL(uname),
    SYSCALL(getpid),
    SYSCALL(getppid),
    SYSCALL(getuid),
    SYSCALL(geteuid),
    SYSCALL(getgid),
    SYSCALL(getegid),
    SYSCALL_END,
};

void syscall_list_self(struct syscall_rule rows[SYSCALL_LIST_SELF_ROWS])
{
    const uint64_t self = (uint64_t)getpid();

    /* raise() and abort(), so that a failed assertion is seen as what it is; limits read, not set. */
    rows[0] = (struct syscall_rule)SYSCALL_IF(tgkill, 0, SYSCALL_INT, self);
    rows[1] = (struct syscall_rule)SYSCALL_IF(prlimit64, 2, UINT64_MAX, 0);
    rows[2] = (struct syscall_rule)SYSCALL_END;
}

const struct syscall_rule syscall_list_sanitizer[] = {
#ifdef XENRES_SANITIZED
    /* The leak checker stops the process by a child that shares its memory and traces it; reports read
     * the program and /proc/self. None of this is in a build that is installed. */
    SYSCALL(clone),
    SYSCALL(ptrace),
    SYSCALL(wait4),
    SYSCALL(prctl),
    SYSCALL(kill),
    SYSCALL(tgkill),
    SYSCALL(sigaltstack),
    SYSCALL(readlink),
    SYSCALL(readlinkat),
    SYSCALL(openat),
    SYSCALL(open),
    SYSCALL(getdents64),
    SYSCALL(getdents),
    SYSCALL(pipe),
    SYSCALL(pipe2),
    SYSCALL(mincore),
    SYSCALL(sched_getparam),
    SYSCALL(sched_getscheduler),
    SYSCALL(personality),
    SYSCALL(prlimit64),
    SYSCALL(getrusage),
    SYSCALL(dup),
    SYSCALL(dup2),
    SYSCALL(fcntl),
    SYSCALL(ioctl),
    SYSCALL(stat),
    SYSCALL(newfstatat),
    SYSCALL(rt_sigpending),
    SYSCALL(process_vm_readv),
    SYSCALL(mmap),
    SYSCALL(mprotect),
#endif
    SYSCALL_END,
};
