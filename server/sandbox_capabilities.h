/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Capabilities, by system call: a library for two of them would be one more in the process. They belong
 * to threads: for a process that has one.
 */
#ifndef XENRES_SERVER_SANDBOX_CAPABILITIES_H
#define XENRES_SERVER_SANDBOX_CAPABILITIES_H

#include <stdint.h>

#include "common/error.h"

/* A set of capabilities, by their numbers (linux/capability.h). */
#define SANDBOX_CAPABILITY(number) (UINT64_C(1) << (number))

/* Keeps those of `kept` in the bounding set, so that no program started from here ever has another. Who has
 * not the right to (CAP_SETPCAP) changes nothing: no_new_privs keeps it from gaining any, too. */
int sandbox_capabilities_bound(uint64_t kept, struct failure *f);
/* Only those of `kept` stay, as far as they are there, and none is inherited or ambient. */
int sandbox_capabilities_keep(uint64_t kept, struct failure *f);

#endif
