/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Sockets that whoever started this process has bound for it, by name, as sd_listen_fds(3) has it: a service
 * manager for the supervisor, and the supervisor for its worker. One thread, once.
 */
#ifndef XENRES_SERVER_INHERITED_H
#define XENRES_SERVER_INHERITED_H

#include "server/doors.h"

/* Beside the doors'. -1: there is none. */
struct inherited {
    int health_fd; /* listening */
    int keeper_fd; /* keeper.h; of a worker alone */
};

/* Those of doors are theirs now. What has another name, or a name that is taken, is closed and told in the
 * log. The caller owns the rest. */
void inherited_take(struct inherited *out, struct doors *doors);

#endif
