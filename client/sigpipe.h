/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Writing to a connection that the server closed must not end the program. libcurl sends with
 * MSG_NOSIGNAL from 7.88 on; before, OpenSSL wrote without. So SIGPIPE is blocked for the calling
 * thread around whatever may write to one; a signal of ours is taken back, one that was pending
 * before is left.
 */
#ifndef XENRES_CLIENT_SIGPIPE_H
#define XENRES_CLIENT_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct sigpipe {
    sigset_t old;
    bool is_blocked;
    bool was_pending;
};

void sigpipe_block(struct sigpipe *s);
void sigpipe_restore(struct sigpipe *s);

/* For the rest of the scope. */
#define SIGPIPE_BLOCKED(name)                                                                      \
    __attribute__((cleanup(sigpipe_restore))) struct sigpipe name;                                 \
    sigpipe_block(&(name))

#endif
