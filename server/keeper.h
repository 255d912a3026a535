/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How a worker reads files again that are not its own: a key that only root may read, above all. Its
 * supervisor keeps the right to, and hands it a descriptor, open for reading, of a file that the
 * configuration names (reload_files.h): by number, so that no path of the worker's is ever opened. Requests
 * and answers are fixed messages on a socketpair; a digest of the path goes with the number, so that a worker
 * that has read another configuration than its supervisor is refused, and not given another file.
 *
 * A worker that was taken over could ask as well. So what is read at the start and at SIGHUP alone, the
 * key above all, is handed over once for each start and each SIGHUP that the supervisor itself has seen,
 * and not behind the worker's word that it is done with it. What is read whenever it changes (authorities,
 * lists, keys of issuers, hashes of tokens) is handed over whenever it is asked for: of the configuration
 * that the worker is to read, and of the one that it has in force until it says that it took the other.
 *
 * The supervisor's half is its one thread's, and never waits for the worker; the worker's is any thread's,
 * and waits for the supervisor a few seconds at most.
 */
#ifndef XENRES_SERVER_KEEPER_H
#define XENRES_SERVER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "server/config.h"

/* The supervisor's half, of one worker. */
struct keeper {
    int fd;       /* -1: none */
    uint64_t due; /* a bit for each file that it may still be handed in this turn */
};

/* Both ends, close-on-exec. */
int keeper_pair(int *supervisor_fd, int *worker_fd, struct failure *f);

/* The worker starts, or is told to read its files again: each may be handed over once from here on. */
void keeper_begin_turn(struct keeper *k, const struct config *offered);
/* It has read them. */
void keeper_end_turn(struct keeper *k);
/* Answers what has come. False: the worker is gone, or speaks otherwise; the end is to be closed then. */
bool keeper_serve(struct keeper *k, const struct config *offered, const struct config *in_force);

/* From now on guarded_file_read() asks here for the files of `config`, and opens all others itself.
 * Both outlive all reading. */
void keeper_use(int worker_fd, const struct config *config);
/* By the files of this one, where keeper_use() was called. No other thread reads meanwhile. */
void keeper_follow(const struct config *config);

#endif
