/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The connection to xenstored, and the one thread that may block in it: libxenstore waits for each
 * answer without a limit, and the mapper's loop must not. A call is handed to the thread and waited
 * for STORE_THREAD_WAIT_MS at most. After one that was given up, further calls are refused at once
 * for STORE_THREAD_PAUSE_MS and until the thread is out of it, so that a slow xenstored does not
 * take the loop's time; what comes late is thrown away.
 *
 * Calls return 0 or an errno, as pthread functions do: xenstored's, the socket's, ETIMEDOUT for no
 * answer yet. All of them are for one thread, the mapper's; no signal is delivered to the others
 * (libxenstore has a reader of its own). Threads made here take over uid and groups when the
 * process changes them, but not prctl() settings: set no_new_privs before, or a seccomp filter with
 * TSYNC.
 */
#ifndef XENRES_MAPPER_XEN_STORE_THREAD_H
#define XENRES_MAPPER_XEN_STORE_THREAD_H

#include <stdbool.h>
#include <stddef.h>

struct store_thread;

enum {
    STORE_THREAD_WAIT_MS = 1000,
    STORE_THREAD_PAUSE_MS = 4000,
    STORE_THREAD_PATH_BYTES = 48, /* "/local/domain/32751/name" and the like */
    STORE_THREAD_TOKEN_BYTES = 32,
    STORE_THREAD_VALUE_BYTES = 512, /* of a value, with a NUL behind it */
};

int store_thread_start(struct store_thread **out);
/* Ends thread and connection; a thread that is stuck ends both by itself later. NULL is fine. */
void store_thread_stop(struct store_thread *t);

/* A new connection in place of the old one, if any; *fd is readable while events wait, until the
 * next connection. */
int store_thread_connect(struct store_thread *t, int *fd);

/* A node's value, any bytes, NUL-ended and filled with zeros up to `value_bytes`, which are at most
 * STORE_THREAD_VALUE_BYTES. *cut: it is longer than there is room for, or holds a NUL; `value` is ""
 * then. ENOENT where there is no node. */
int store_thread_read(struct store_thread *t, const char *path, char *value, size_t value_bytes,
                      bool *cut);
/* Whether any domain but dom0 may write the node, or owns it, and so may let others. */
int store_thread_is_open(struct store_thread *t, const char *path, bool *is_open);
int store_thread_watch(struct store_thread *t, const char *path, const char *token);
int store_thread_unwatch(struct store_thread *t, const char *path, const char *token);

/* The next event's token, without waiting: 0, EAGAIN for none, ENOTCONN where the connection is
 * lost (or there has never been one). */
int store_thread_event(struct store_thread *t, char token[STORE_THREAD_TOKEN_BYTES]);

#endif
