/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a thread has to do when it has given its locks back: above all to wake others, who would only
 * run into those locks. Whoever holds them says so around them; whoever has something to do that can
 * wait leaves it here. Each thread has its own, and touches no other's.
 */
#ifndef XENRES_COMMON_ERRAND_H
#define XENRES_COMMON_ERRAND_H

#include <stdbool.h>

enum { ERRANDS_MAX = 32 }; /* of a thread at a time */

/* From here, until errands_run(), they wait. Not twice. */
void errands_hold(void);
/* Runs them, in the order in which they came. Without a lock. */
void errands_run(void);
/* False: nothing waits on this thread, or no more can; it is the caller's to do, now. `arg` lives
 * until it has run. */
bool errand_leave(void (*run)(void *arg), void *arg);

#endif
