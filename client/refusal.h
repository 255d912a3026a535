/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* An answer that is an error: Connect's JSON object with its details, or, where something else
 * answered, what the HTTP status means. Nothing in it is trusted. Pure. */
#ifndef XENRES_CLIENT_REFUSAL_H
#define XENRES_CLIENT_REFUSAL_H

#include "client/fault.h"

/* Fills the fault from the body (any bytes) of an answer with `status` (not 200); returns -code.
 * `server` is named where the answer is not the gateway's own. */
int refusal_read(const char *server, int status, const void *body, size_t len_bytes,
                 struct fault *fault);

#endif
