/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The configuration in force, and how another one takes its place while the service runs: its file is read
 * again, then all files that it names, and either all of it is in force or nothing is, and the log says which
 * and why. Options that a reload cannot change (config_changes.h) keep the values of the start, and are named
 * in the log where the file has others.
 *
 * What the sandbox has left open at the start bounds what can be read: a file that the configuration did not
 * name then is refused with a supervisor, and else where it is in another folder than all that it did name.
 *
 * The service's thread.
 */
#ifndef XENRES_SERVER_RELOAD_H
#define XENRES_SERVER_RELOAD_H

#include <stdbool.h>

#include "auth/audit.h"
#include "auth/quota.h"
#include "server/access_watch.h"
#include "server/config.h"
#include "server/http/listener.h"
#include "server/metrics.h"
#include "server/resource/feeds.h"
#include "server/rpc/rpc.h"

struct reload {
    const struct config *started;
    const struct config *config; /* in force: `started`, or `held` */
    struct config *held;
    bool has_keeper;
    struct access_watch watch; /* of the files of `config` */
};

/* Who is told. */
struct reload_parts {
    struct listener *listener;
    struct feeds *feeds;
    struct rpc *rpc;
    struct quota *quota;
    struct audit *audit;
    struct metrics *metrics;
};

/* `started` outlives it. Before its files are read. */
void reload_init(struct reload *r, const struct config *started, bool has_keeper);
void reload_done(struct reload *r); /* fine on a zeroed one */

void reload_now(struct reload *r, const struct reload_parts *parts);

#endif
