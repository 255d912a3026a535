/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a trace that is being started may cost: its identity's share of the mapper's pauses of vCPUs, by the
 * budgets of all its traces (auth/quota.h says how). One thread at a time, as the call.
 */
#ifndef XENRES_RPC_CALL_PAUSES_H
#define XENRES_RPC_CALL_PAUSES_H

#include "server/rpc/call.h"

/* 0: no limit. */
uint32_t call_pauses_share(struct call *c);
/* Holds them until the call has ended; what it held before is given back. */
int call_pauses_begin(struct call *c, uint32_t pauses, struct failure *f);
/* By the mapper's list, asked for after begin. HANDLER_DONE, or HANDLER_ASK_AGAIN for a new list. */
int call_pauses_judge(struct call *c, uint64_t running, struct failure *f);
void call_pauses_end(struct call *c); /* again is fine */

#endif
