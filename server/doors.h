/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The doors of the public listener, as the configuration has them: their sockets, bound by us or handed
 * over by a service manager (sd_listen_fds(3)), each by its name: "public" is server.listen's,
 * "listener.TITLE" that of a section `listener "TITLE"`. One thread.
 */
#ifndef XENRES_SERVER_DOORS_H
#define XENRES_SERVER_DOORS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/config.h"
#include "server/http/listener.h"

enum { DOORS_NAME_BYTES = CONFIG_TITLE_BYTES + 16 };

struct doors {
    struct listener_door door[LISTENER_DOORS_MAX]; /* listen_fd -1: not there yet, or handed on */
    char name[LISTENER_DOORS_MAX][DOORS_NAME_BYTES];
    size_t count;
};

void doors_init(struct doors *d, const struct config *config);
/* Takes a socket that was handed over. False: no door that lacks one has this name; the caller's then. */
bool doors_take(struct doors *d, const char *name, int fd);
/* Binds those that are not there. */
int doors_bind(struct doors *d, const struct config *config, struct failure *f);
void doors_log(const struct doors *d); /* at which port each listens */
/* Those that are still ours. */
void doors_close(struct doors *d);
/* Their sockets are the listener's from now on. */
void doors_handed_on(struct doors *d);

#endif
