/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The configuration in force, and how another one takes its place while the service runs: its file is read
 * again, then all files that it names, and either all of it is in force or nothing is, and the log says which
 * and why. Options that a reload cannot change (config_changes.h) keep the values of the start, and are named
 * in the log where the file has others.
 *
 * The supervisor reads the file as well, and hands over what it names (keeper.h): one that was replaced in
 * between names others, and is refused.
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
#include "server/material.h"
#include "server/metrics.h"
#include "server/resource/feeds.h"
#include "server/rpc/rpc.h"

struct reload {
    const struct config *started;
    const struct config *config; /* in force: `started`, or `held` */
    struct config *held;
    struct buffer certificate; /* the text of the one in force; empty before the first */
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
void reload_init(struct reload *r, const struct config *started);
void reload_done(struct reload *r); /* fine on a zeroed one */

/*
 * Whether clients would take the certificate of `m`, as `config` has it: a fault is a line in `faults`, and
 * its failure is -ERROR_FAILED_PRECONDITION. Two faults are errors in the log and no more, as refusing would
 * make them worse: at the start, one that it has today only (a host whose clock is wrong would have no
 * gateway when it is set right); at a reload, one of the certificate that is in force in any case (nobody
 * could be kept out by a new policy until there is another one).
 */
int reload_judge_certificate(const struct reload *r, const struct config *config,
                             const struct material *m, struct buffer *faults, struct failure *f);
/* It is in force. Takes the text. */
void reload_note_certificate(struct reload *r, struct material *m);

void reload_now(struct reload *r, const struct reload_parts *parts);

#endif
