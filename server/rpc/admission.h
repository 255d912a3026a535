/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Whether who asks is still to be let in, by the access in force: looked at by each call when it begins, and
 * by streams that stay open whenever the rules are others, or what was shown has ended. Nothing of an answer
 * says what decided.
 */
#ifndef XENRES_RPC_ADMISSION_H
#define XENRES_RPC_ADMISSION_H

#include <stdbool.h>

#include "server/rpc/state.h"

/* Takes the access in force. */
void admission_take(struct exchange *x);
/* When a call begins: 0, or -ERROR_UNAUTHENTICATED in `x->failure`. Takes the access in force. */
int admission_begin(struct exchange *x);

/* When what was shown ends, by the access that was taken last. */
int64_t admission_end_s(const struct exchange *x);
/* Of an open stream: true where it has to end, and `x->failure` says why. ERROR_UNAUTHENTICATED: what was
 * shown has expired; ERROR_PERMISSION_DENIED: it was revoked. */
bool admission_is_over(struct exchange *x);

#endif
