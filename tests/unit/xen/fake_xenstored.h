/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * An xenstored that is a thread of the test: it speaks the protocol of <xen/io/xs_wire.h> on a
 * socket that libxenstore is pointed at (XENSTORED_PATH), serves one connection at a time, and can
 * be absent, silent, or gone.
 */
#ifndef XENRES_TESTS_FAKE_XENSTORED_H
#define XENRES_TESTS_FAKE_XENSTORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FAKE_XENSTORED_NODES = 8,
    FAKE_XENSTORED_WATCHES = 64,
    FAKE_XENSTORED_VALUE_MAX = 4096, /* XENSTORE_PAYLOAD_MAX */
};

/* Listens, with no nodes, watches or connection. */
void fake_xenstored_start(void);
/* Ends the connection and the listening; fine when it was never started. */
void fake_xenstored_stop(void);
/* Ends the connection alone. */
void fake_xenstored_hang_up(void);
/* Takes requests and answers none until it is false again. */
void fake_xenstored_be_silent(bool silent);
/* A node in place i, and events to those who watch it. */
void fake_xenstored_write(int i, const char *path, const char *value, size_t len_bytes);
/* Whose the node in place i is, and who may do what with it, as xenstore-chmod has them: "n0 r5". One
 * that was not written has no value. Without this it is dom0's alone. */
void fake_xenstored_permit(int i, const char *path, const char *entries);
/* An event with any token. */
void fake_xenstored_fire(const char *path, const char *token);

uint32_t fake_xenstored_watch_count(void);
/* Since the start. */
uint32_t fake_xenstored_connections(void);
/* Silent no more, and waits until the connection is closed by its other end. */
void fake_xenstored_wait_for_end(void);

#endif
