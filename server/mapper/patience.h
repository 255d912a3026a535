/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Bounds how long it takes to close what a peer has sent. A descriptor in a message may be anything,
 * and whoever gives up the last reference to it waits as long as it likes: a TCP socket that lingers
 * and whose other side reads nothing holds close() for hours, and with it a mapper that has to unmap
 * a dying domain. Between begin and end a signal comes after PATIENCE_MS, and again and again, which
 * ends each such wait.
 *
 * Uses SIGALRM and the process's real-time timer. One thread: the others block the signal.
 */
#ifndef XENRES_MAPPER_PATIENCE_H
#define XENRES_MAPPER_PATIENCE_H

enum { PATIENCE_MS = 20, PATIENCE_AGAIN_MS = 1 };

void patience_init(void); /* installs the handler, once */
void patience_begin(void);
void patience_end(void);

#endif
