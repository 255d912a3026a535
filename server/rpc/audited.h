/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the audit is told of an exchange: one call at each place where something is decided. What lets
 * something out fails where its record cannot be written and the operator wants it so; what only tells of
 * what has happened does not. Nothing is told where the audit is off.
 */
#ifndef XENRES_RPC_AUDITED_H
#define XENRES_RPC_AUDITED_H

#include "auth/audit.h"
#include "server/rpc/state.h"

/* May it be served at all? 0, or `x->failure`. */
int audited_check(struct exchange *x);

/* The policy does not allow it. */
void audited_denial(const struct exchange *x, enum action action, const struct policy_verdict *v);
/* There is no such domain, or none that the caller may see. */
void audited_unseen(const struct exchange *x);

/* The mapper has answered a snapshot of raw frames: its record joins those of rpc->gathered, whose answers
 * have come with it. False where that cannot be: audited_answer() writes one by itself then. Once no more
 * come, the second writes all of them, before any of the answers is let go: whoever is to send one finds
 * its record written, and waits for nobody but the disk, if that is asked for. Both on the mapper's thread,
 * which all that has a slot comes from: while the file takes no write, nothing comes from the mapper. */
bool audited_gather(struct exchange *x);
void audited_gathered(struct rpc *rpc);
/* An answer with what a guest has, of so many bytes, is about to be sent; a stream is about to begin. 0,
 * or `x->failure`. Other answers are none of the audit's. */
int audited_answer(struct exchange *x, uint64_t bytes);
int audited_stream(struct exchange *x);
/* Of a stream that began: it ended, with what was sent and lost. Once; others are fine. */
void audited_stream_end(struct exchange *x);

/* It ends, since what was shown for it is not accepted any more: `why` is a word for what decides that. */
void audited_revoked(const struct exchange *x, const char *why, const char *detail);

/* A trace was started, stopped, renewed: `done` is a word for it. 0, or -ERROR_UNAVAILABLE. */
int audited_control(struct call *c, const char *done, const struct message_trace *t,
                    struct failure *f);

/* The exchange is over: it may have failed for a limit, or for nobody known. */
void audited_failure(const struct exchange *x);

#endif
