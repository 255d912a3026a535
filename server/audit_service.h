/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The audit as the service runs it: its options from the configuration, its checkpoints in the journal, and
 * what the service itself does (reloads) as records. Owned by service_run()'s thread; the audit's own thread
 * calls back into it.
 */
#ifndef XENRES_SERVER_AUDIT_SERVICE_H
#define XENRES_SERVER_AUDIT_SERVICE_H

#include <stdatomic.h>

#include "auth/audit.h"
#include "common/buffer.h"
#include "server/config.h"

struct rpc;

/* Opens what rights are needed for; NULL in *out: it is off. `rpc`, once it is set, is told when streams have
 * to look whether they may go on. */
int audit_service_open(const struct config *config, _Atomic(struct rpc *) *rpc, struct audit **out,
                       struct failure *f);

/* Policy and certificates were read again, or were not: the first of `faults`, or `why`, says why. Where
 * somebody has put the file aside, another one is begun. */
void audit_service_reloaded(struct audit *audit, const struct buffer *faults,
                            const struct failure *why);

/* The same of what decides who is let in, because a file of it has changed. */
void audit_service_access_reloaded(struct audit *audit, const struct buffer *faults,
                                   const struct failure *why);

/* For /readyz: a line where the audit cannot be written. True: nobody is served because of it. */
bool audit_service_is_closed(const struct audit *audit, struct buffer *reasons);

#endif
