/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The system calls of xenresd. Of the worker: a list of what it needs to serve, and nothing else; of the
 * supervisor, which starts programs by other people's libraries: all but what none of the three needs.
 * Whoever calls what is not allowed is ended by SIGSYS. Any thread; for all of them.
 *
 * docs/hacking.md says how a call that is missing is found.
 */
#ifndef XENRES_SERVER_SANDBOX_SECCOMP_H
#define XENRES_SERVER_SANDBOX_SECCOMP_H

#include "common/error.h"

int sandbox_seccomp_worker(struct failure *f);
int sandbox_seccomp_supervisor(struct failure *f);

#endif
