/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A connected unix SOCK_SEQPACKET socket: whole messages, descriptors, never blocking.
 *
 * Owns the descriptor. Used by one thread for receiving; channel_send() is safe from any thread
 * (one sendmsg). Every message that arrives with more descriptors than asked for, or cut, is an
 * error, and its descriptors are closed. All descriptors are close-on-exec.
 */
#ifndef XENRES_COMMON_CHANNEL_H
#define XENRES_COMMON_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

enum { CHANNEL_FDS_MAX = 4 };

struct channel {
    int fd; /* -1 when closed */
};

/* Listening socket at `path`, mode 0660. A stale socket there, on which nobody listens, is
 * replaced; anything else is -ERROR_ALREADY_EXISTS. Of two that try at once, one is refused. */
int channel_listen(const char *path, int *listen_fd, struct failure *f);
/* Accepts one peer without waiting; `uid` and `pid` from SO_PEERCRED. -ERROR_UNAVAILABLE when none
 * is there. */
int channel_accept(int listen_fd, struct channel *out, uid_t *uid, pid_t *pid, struct failure *f);
int channel_connect(const char *path, struct channel *out, struct failure *f);
void channel_close(struct channel *c);

/* Sends one message with MSG_DONTWAIT|MSG_NOSIGNAL. -ERROR_RESOURCE_EXHAUSTED: the peer does not
 * read; -ERROR_UNAVAILABLE: the peer is gone. */
int channel_send(const struct channel *c, const void *message, size_t len_bytes, const int *fds,
                 size_t fd_count, struct failure *f);
/* Does the next message bring descriptors? Takes nothing, lets nothing in. */
bool channel_brings_descriptors(const struct channel *c);
/*
 * Receives one message of at most `max_bytes`. Returns its length (> 0); 0 when none is waiting;
 * -ERROR_UNAVAILABLE at the peer's end (an empty message counts as that); -ERROR_DATA_LOSS when it
 * was cut or came with more descriptors. `fds` has room for CHANNEL_FDS_MAX; those received are the
 * caller's to close. NULL: no descriptor is expected, none is let in. After a failure `message`
 * holds nothing of use.
 */
ssize_t channel_receive(const struct channel *c, void *message, size_t max_bytes,
                        int fds[CHANNEL_FDS_MAX], size_t *fd_count, struct failure *f);

#endif
