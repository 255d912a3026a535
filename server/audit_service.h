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

/* Whether the file can be the audit's, as far as it is there. Where there is no such user as the service
 * becomes, nothing is said. */
int audit_service_check(const struct config *config, struct failure *f);

/* What decides who may do what was read again, or was not: the first of `faults`, or `why`, says why.
 * `because`: a word, "signal" or "files". */
void audit_service_reloaded(struct audit *audit, const char *because, const struct buffer *faults,
                            const struct failure *why);

/* For /readyz: a line where the audit cannot be written. True: nobody is served because of it. */
bool audit_service_is_closed(const struct audit *audit, struct buffer *reasons);

#endif
