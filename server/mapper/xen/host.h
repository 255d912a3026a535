/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the hypervisor says of itself, and the checks: whether the mapper reaches what it needs.
 * Each check is made anew, without touching any domain, and says what was found or how to cure it.
 * The mapper's thread.
 */
#ifndef XENRES_MAPPER_XEN_HOST_H
#define XENRES_MAPPER_XEN_HOST_H

#include "server/mapper/backend.h"

/* Fills everything but the head. */
void host_describe(struct backend *b, struct message_host_answer *out);

#endif
