/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * `--doctor`: what stands in the way of the gateway on this host, and above all of tracing; which domains
 * have trace buffers; and who traces now. One line for each thing looked at, `ok` or `no`, and behind a
 * `no` its cure. Only looks: nothing is mapped or enabled. (To ask whether a vCPU is traced pauses it for
 * that call: each is asked once, and DOCTOR_VCPUS_MAX in all; which were not, is said.)
 */
#ifndef XENRES_MAPPER_DOCTOR_H
#define XENRES_MAPPER_DOCTOR_H

#include <stdbool.h>
#include <stdio.h>

#include "server/mapper/backend.h"

enum { DOCTOR_VCPUS_MAX = 512 }; /* that are asked, and so paused */

/* `journal_path` may be NULL. True: there is no `no`. */
bool doctor_look(FILE *to, const struct backend_ops *ops, struct backend *b,
                 const char *journal_path);
/* There is no backend to look with, as `why` says: a line of its own. */
void doctor_tell_failure(FILE *to, const char *name, const struct failure *why);

#endif
