/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See confine.h. Found by reading what Xen's libraries of 4.17 call, and by tracing tests/system. */
#include "server/mapper/confine.h"

#include <execinfo.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/syscall_filter.h"
#include "common/syscall_list.h"

/* The calls of a device have its letter in their number. */
#define DEVICE_BITS    UINT64_C(0xff00)
#define DEVICE(letter) ((uint64_t)(letter) << 8)

static const struct syscall_rule mapper[] = {
    /* the loop and the samplers wait; signals come as a descriptor */
    SYSCALL(poll),
    SYSCALL(ppoll),
    SYSCALL(eventfd2),
    SYSCALL(signalfd4),
    SYSCALL(timerfd_create),
    SYSCALL(timerfd_settime),
    SYSCALL(setitimer), /* patience.c: a call to Xen that takes too long is interrupted */
    /* xenresd, which connects; the service manager, which is told; xenstored, to which libxenstore
     * connects again, by its socket or by /dev/xen/xenbus, with a pipe for its watches */
    SYSCALL(accept4),
    SYSCALL_IF(socket, 0, SYSCALL_INT, AF_UNIX),
    SYSCALL_IF(socketpair, 0, SYSCALL_INT, AF_UNIX), /* the doorbell */
    SYSCALL(connect),
    SYSCALL(recvfrom),
    SYSCALL(recvmsg),
    SYSCALL(sendto),
    SYSCALL(sendmsg),
    SYSCALL(shutdown),
    SYSCALL(getsockopt),
    SYSCALL(setsockopt),
    SYSCALL(getsockname),
    SYSCALL(pipe),
    SYSCALL(pipe2),
    SYSCALL(open),
    SYSCALL(openat),
    SYSCALL(stat),
    SYSCALL(lstat),
    SYSCALL(fstat),
    SYSCALL(newfstatat),
    SYSCALL(statx),
    SYSCALL(access), /* xs_open() looks which way there is */
    SYSCALL(faccessat),
    SYSCALL(faccessat2),
    SYSCALL(read),
    SYSCALL(readv),
    SYSCALL(write),
    SYSCALL(writev),
    SYSCALL(lseek),
    SYSCALL(close),
    /* the journal, and at the end the socket's path */
    SYSCALL(pread64),
    SYSCALL(pwrite64),
    SYSCALL(fsync),
    SYSCALL(fdatasync),
    SYSCALL(unlink),
    SYSCALL(unlinkat),
    /* arena and spools: memory that is sealed, and handed out read-only by its path in /proc */
    SYSCALL(memfd_create),
    SYSCALL(ftruncate),
    SYSCALL(fallocate),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_ADD_SEALS),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_GET_SEALS),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_GETFL),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_SETFL),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_GETFD),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_SETFD),
    SYSCALL_IF(fcntl, 1, SYSCALL_INT, F_DUPFD_CLOEXEC),
    /* Xen's nodes: privcmd, where libxencall calls the hypervisor and libxenforeignmemory maps; evtchn
     * and gntdev, which libxenctrl may have open */
    SYSCALL_IF(ioctl, 1, DEVICE_BITS, DEVICE('P')),
    SYSCALL_IF(ioctl, 1, DEVICE_BITS, DEVICE('E')),
    SYSCALL_IF(ioctl, 1, DEVICE_BITS, DEVICE('G')),
    SYSCALL_IF(ioctl, 1, SYSCALL_INT, TCGETS), /* stdio asks whether it writes to a terminal */
    SYSCALL_IF(ioctl, 1, SYSCALL_INT, SIOCOUTQ),
    SYSCALL_END,
};

int confine_calls(struct failure *f)
{
    struct syscall_rule self[SYSCALL_LIST_SELF_ROWS];
    const struct syscall_rule *const lists[] = { syscall_list_runtime, self, mapper,
                                                 syscall_list_sanitizer };
    void *frame[1];

    /* xs_close() cancels its reader; the C library loads what unwinds a thread when it first needs it,
     * which has to be now. */
    (void)backtrace(frame, 1);
    syscall_list_self(self);
    return syscall_filter_allow(lists, sizeof(lists) / sizeof(lists[0]), f);
}
