/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who talks to the mapper. Every connection waits in a small lobby for its first message, for a few
 * seconds at most; who then says hello in the right version, as the right user, becomes the one peer
 * that is served, if nobody is. Everybody else is told why not, and is closed.
 *
 * Sending never waits: a peer that does not read, so that its socket is full, is dropped. Owns the
 * listening socket and all connections. One thread.
 */
#ifndef XENRES_MAPPER_PEER_H
#define XENRES_MAPPER_PEER_H

#include <poll.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/message.h"

enum {
    PEER_LOBBY_MAX = 8, /* connections that have not said anything yet */
    PEER_USERS_MAX = 2, /* uids that may be served */
    PEER_POLL_MAX = PEER_LOBBY_MAX + 2,
    PEER_HELLO_TIMEOUT_MS = 2000,
    PEER_STALL_TIMEOUT_MS = 30000, /* a peer that reads nothing for so long is dropped */
};

struct peer;

/* Takes `listen_fd`. Only connections of `users` are served. */
int peer_new(int listen_fd, const uid_t *users, size_t user_count, struct peer **out,
             struct failure *f);
void peer_free(struct peer *p); /* NULL is fine */

/* What the loop polls for, at most PEER_POLL_MAX rows; the first is the listening socket. */
nfds_t peer_poll_rows(const struct peer *p, struct pollfd *rows);
/* When something here times out (monotonic), UINT64_MAX: never. */
uint64_t peer_deadline_ns(const struct peer *p);

/*
 * Accepts who waits and hears those in the lobby. True when one said a proper hello and is the peer
 * from now on: `hello` is then its message, which the caller answers.
 */
bool peer_admit(struct peer *p, union message *hello);

/* Is there anybody in the lobby? */
bool peer_lobby_waits(const struct peer *p);
bool peer_is_served(const struct peer *p);
/* Has its socket room for answers? While not, nothing more is read from it. */
bool peer_is_writable(struct peer *p);
/*
 * The next message of the peer. Its length; 0: none now; -1: the peer is gone, or broke the rules of
 * the channel (cut messages, descriptors), and was dropped.
 */
ssize_t peer_receive(struct peer *p, union message *out);
/* Sends a message whose head message_init() has filled, with descriptors (at most CHANNEL_FDS_MAX; they
 * stay the caller's); on failure the peer is dropped. */
void peer_send(struct peer *p, const union message *m, const int *fds, size_t fd_count);
void peer_send_failure(struct peer *p, uint64_t serial, const struct failure *failure);
/* Ends the connection; nothing happens when there is none. `why` is logged. */
void peer_drop(struct peer *p, const char *why);

#endif
