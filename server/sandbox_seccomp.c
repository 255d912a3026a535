/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/sandbox_seccomp.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/socket.h>

#include "common/syscall_filter.h"
#include "common/syscall_list.h"

/* Found by tracing every test of tests/system (docs/hacking.md), and by reading what calls what. */
static const struct syscall_rule worker[] = {
    /* libmicrohttpd's, the pump's, health's, the mapper client's and the timers' waiting */
    SYSCALL(epoll_create1),
    SYSCALL(epoll_ctl),
    SYSCALL(epoll_wait),
    SYSCALL(epoll_pwait),
    SYSCALL(poll),
    SYSCALL(ppoll),
    SYSCALL(eventfd2),
    SYSCALL(timerfd_create),
    SYSCALL(timerfd_settime),
    /* connections: accepted ones of TCP; made ones to the mapper and the service manager. No socket of the
     * network is made after the start, so that nothing is dialled and nothing new is listened on. */
    SYSCALL(accept4),
    SYSCALL(accept),
    SYSCALL_IF(socket, 0, SYSCALL_INT, AF_UNIX),
    SYSCALL(connect),
    SYSCALL(recvfrom),
    SYSCALL(recvmsg),
    SYSCALL(sendto),
    SYSCALL(sendmsg),
    /* sd_journal_send(): what does not fit into the journal's socket it would send as a file */
    SYSCALL_REFUSE(memfd_create, EPERM),
    SYSCALL(shutdown),
    SYSCALL(getsockname),
    SYSCALL(getpeername),
    SYSCALL(getsockopt),
    SYSCALL(setsockopt),
    SYSCALL_IF(ioctl, 1, SYSCALL_INT, SIOCOUTQ), /* has a reader taken the end of a stream? */
    SYSCALL_IF(ioctl, 1, SYSCALL_INT, FIONBIO),
    SYSCALL_IF(ioctl, 1, SYSCALL_INT, TCGETS), /* stdio asks whether it writes to a terminal */
    /* descriptors */
    SYSCALL(read),
    SYSCALL(readv),
    SYSCALL(write),
    SYSCALL(writev),
    SYSCALL(close),
    SYSCALL(fstatfs), /* the kind of the memory that the mapper shares */
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_GETFL),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_SETFL),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_GETFD),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_SETFD),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_DUPFD_CLOEXEC),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_GET_SEALS),
    /* files that are read again, and those that are written in the state folder, renamed and
     * removed there; which ones, Landlock and their modes decide */
    SYSCALL(open),
    SYSCALL(openat),
    SYSCALL(stat),
    SYSCALL(lstat),
    SYSCALL(fstat),
    SYSCALL(newfstatat),
    SYSCALL(statx),
    SYSCALL(access),
    SYSCALL(faccessat),
    SYSCALL(faccessat2),
    SYSCALL(lseek),
    SYSCALL(pread64),
    SYSCALL(pwrite64),
    SYSCALL(fsync),
    SYSCALL(fdatasync),
    SYSCALL(fadvise64),
    SYSCALL(msync), /* the audit's state */
    SYSCALL(ftruncate),
    SYSCALL(flock),
    SYSCALL(fchmod),
    SYSCALL(getdents64),
    SYSCALL(rename),
    SYSCALL(renameat),
    SYSCALL(renameat2),
    SYSCALL(unlink),
    SYSCALL(unlinkat),
    SYSCALL_END,
};

/* What neither a supervisor nor what it starts has a use for, and a kernel's faults are often behind. */
static const struct syscall_rule never[] = {
    SYSCALL(ptrace),
    SYSCALL(process_vm_readv),
    SYSCALL(process_vm_writev),
    SYSCALL(pidfd_getfd),
    SYSCALL(kcmp),
    SYSCALL(perf_event_open),
    SYSCALL(bpf),
    SYSCALL(userfaultfd),
    SYSCALL(io_uring_setup),
    SYSCALL(io_uring_enter),
    SYSCALL(io_uring_register),
    SYSCALL(add_key),
    SYSCALL(request_key),
    SYSCALL(keyctl),
    SYSCALL(init_module),
    SYSCALL(finit_module),
    SYSCALL(delete_module),
    SYSCALL(kexec_load),
    SYSCALL(kexec_file_load),
    SYSCALL(reboot),
    SYSCALL(mount),
    SYSCALL(umount2),
    SYSCALL(move_mount),
    SYSCALL(open_tree),
    SYSCALL(fsopen),
    SYSCALL(pivot_root),
    SYSCALL(chroot),
    SYSCALL(unshare),
    SYSCALL(setns),
    SYSCALL(swapon),
    SYSCALL(swapoff),
    SYSCALL(mknod),
    SYSCALL(mknodat),
    SYSCALL(iopl),
    SYSCALL(ioperm),
    SYSCALL(modify_ldt),
    SYSCALL(personality),
    SYSCALL(acct),
    SYSCALL(quotactl),
    SYSCALL(settimeofday),
    SYSCALL(clock_settime),
    SYSCALL(adjtimex),
    SYSCALL(clock_adjtime),
    SYSCALL(sethostname),
    SYSCALL(setdomainname),
    SYSCALL(syslog),
    SYSCALL(open_by_handle_at),
    SYSCALL(fanotify_init),
    SYSCALL_END,
};

int sandbox_seccomp_worker(struct failure *f)
{
    struct syscall_rule self[SYSCALL_LIST_SELF_ROWS];
    const struct syscall_rule *const lists[] = { syscall_list_runtime, self, worker,
                                                 syscall_list_sanitizer };

    syscall_list_self(self);
    return syscall_filter_allow(lists, sizeof(lists) / sizeof(lists[0]), f);
}

int sandbox_seccomp_supervisor(struct failure *f)
{
#ifdef XENRES_SANITIZED /* the leak checker of each traces it */
    (void)never;
    (void)f;
    return 0;
#else
    return syscall_filter_deny(never, f);
#endif
}
