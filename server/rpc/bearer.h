/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who asks: the bearer of the token in the request's head (RFC 6750), else whom its connection knows. A
 * token that is not accepted is never passed over in favour of the certificate: who shows one means to be
 * known by it. Who shows too many of those has to wait until another is looked at, unless that costs no
 * signature. Tokens are taken from the header only, and written nowhere: not into logs, not into answers.
 *
 * One request after the other shows the same token on a connection, as a rule: that it is the same text,
 * taken by the same rules and beside the same certificate, is seen by looking at it, and says all that was
 * said of it then, but for the time.
 */
#ifndef XENRES_RPC_BEARER_H
#define XENRES_RPC_BEARER_H

#include <stdatomic.h>

#include "server/rpc/state.h"

/* A token that was accepted. Counted: of the exchanges that show it, and of the connection that shows it. */
struct bearer {
    atomic_uint refs;
    unsigned access_number; /* of what has accepted it, as of an exchange */
    struct token token;
    size_t text_len_bytes; /* a few thousand at most: longer ones are not accepted */
    char text[];           /* wiped at its end */
};
void bearer_unref(struct bearer *b); /* NULL is fine */

/* Sets x->call.who, and the access that it is known by. 0, or `x->failure`: -ERROR_UNAUTHENTICATED, with
 * x->challenge; -ERROR_RESOURCE_EXHAUSTED: too many were not accepted, or no memory;
 * -ERROR_INVALID_ARGUMENT: tokens where they must not be, or several. */
int bearer_take(struct exchange *x);
/* The token that was shown is not accepted: counts it, and says so to the audit. */
void bearer_refused(struct exchange *x, enum token_fault why);

#endif
