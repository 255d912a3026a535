/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a trace that is being started may cost: its identity's share of the mapper's pauses of vCPUs, by the
 * budgets of all its traces, and what all may make together (auth/quota.h says how). One thread at a time, as
 * the call.
 */
#ifndef XENRES_RPC_CALL_PAUSES_H
#define XENRES_RPC_CALL_PAUSES_H

#include "auth/quota.h"
#include "server/rpc/call.h"

/* Its identity's; 0: no limit. */
uint32_t call_pauses_share(struct call *c);
/* Is there one, of its identity or of all? */
bool call_pauses_are_limited(struct call *c);
/* Holds them until the call has ended; what it held before is given back. */
int call_pauses_begin(struct call *c, uint32_t pauses, struct failure *f);
/* By the mapper's list, asked for after begin. HANDLER_DONE, or HANDLER_ASK_AGAIN for a new list. */
int call_pauses_judge(struct call *c, const struct quota_running *running, struct failure *f);
void call_pauses_end(struct call *c); /* again is fine */

#endif
