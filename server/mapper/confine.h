/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The system calls of the mapper, in both builds: what serving takes, by a list; whoever makes another one is
 * ended by SIGSYS. There is no socket in it but unix ones, no program to start, no executable memory, no
 * process to look into; of device calls, those of Xen's nodes. What the nodes themselves allow is all that
 * Xen has, and no filter can look into a hypercall: that is why the program is small.
 */
#ifndef XENRES_MAPPER_CONFINE_H
#define XENRES_MAPPER_CONFINE_H

#include "common/error.h"

/* Once, when everything is open; for all threads. Needs privilege_begin(). */
int confine_calls(struct failure *f);

#endif
