/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What somebody showed with a call, kept for longer than that and its connection: for what goes on in his
 * name, and is to end when he is let in no more. Its end of life is not looked at: what he began while it was
 * good does not end with it.
 *
 * Immutable, its owner's. Any thread, but for shown_new(): that of the exchange.
 */
#ifndef XENRES_RPC_SHOWN_H
#define XENRES_RPC_SHOWN_H

#include "server/rpc/state.h"

struct shown;

struct shown *shown_new(const struct exchange *x); /* NULL: no memory */
void shown_free(struct shown *s);                  /* NULL is fine */
const struct identity *shown_who(const struct shown *s);
/* Would it be accepted now, were it not for its end? -ERROR_UNAUTHENTICATED: it was revoked. */
int shown_still(const struct shown *s, const struct access *access, int64_t now_s,
                struct failure *f);

#endif
