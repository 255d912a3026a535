/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who asks: the bearer of the token in the request's head (RFC 6750), else whom its connection knows. A
 * token that is not accepted is never passed over in favour of the certificate: who shows one means to be
 * known by it. Who shows too many of those has to wait until another is looked at, unless that costs no
 * signature. Tokens are taken from the header only, and written nowhere: not into logs, not into answers.
 */
#ifndef XENRES_RPC_BEARER_H
#define XENRES_RPC_BEARER_H

#include "server/rpc/state.h"

/* Sets x->call.who, and the access that it is known by. 0, or `x->failure`: -ERROR_UNAUTHENTICATED, with
 * x->challenge; -ERROR_RESOURCE_EXHAUSTED: too many were not accepted, or no memory;
 * -ERROR_INVALID_ARGUMENT: tokens where they must not be, or several. */
int bearer_take(struct exchange *x);

#endif
