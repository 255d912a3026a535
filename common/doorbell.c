/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/doorbell.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/scope.h"

/* The smallest buffer that the kernel makes holds fewer, so that one answer makes it silent. */
enum { RINGS_HEARD_MAX = 16 };

int doorbell_open(struct doorbell *out, struct failure *f)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        int result =
            failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot make a doorbell: %s", strerror(errno));

        return failure_call(f, result, "socketpair", errno);
    }
    /* Nothing is taken from the other process, so that it cannot make us keep anything. */
    (void)shutdown(fds[0], SHUT_RD);
    (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &(int){ 0 }, sizeof(int));
    *out = (struct doorbell){ .ring_fd = fds[0], .wait_fd = fds[1] };
    return 0;
}

void doorbell_close(struct doorbell *d)
{
    scope_close_fd(&d->ring_fd);
    scope_close_fd(&d->wait_fd);
}

void doorbell_ring(int ring_fd)
{
    /* The flag is this call's; the descriptor's is the open file's, and each end has its own. */
    (void)send(ring_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool doorbell_answer(int wait_fd)
{
    char rings[1];

    for (int i = 0; i < RINGS_HEARD_MAX; i++) {
        ssize_t got = recv(wait_fd, rings, sizeof(rings), MSG_DONTWAIT);

        if (got == 0) {
            return false;
        }
        if (got < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
    }
    return true;
}
