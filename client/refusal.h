/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* An answer that is an error: Connect's JSON object with its details, or, where something else
 * answered, what the HTTP status means. Nothing in it is trusted. The details go to the handle. */
#ifndef XENRES_CLIENT_REFUSAL_H
#define XENRES_CLIENT_REFUSAL_H

#include "client/handle.h"

/* Fills the fault from the body (any bytes) of an answer with `status` (not 200); returns -code. */
int refusal_read(xenres *handle, int status, const void *body, size_t len_bytes,
                 struct fault *fault);
/* The last message of a stream (any bytes): 0 where it ended well. */
int refusal_read_end(xenres *handle, const void *message, size_t len_bytes, struct fault *fault);

#endif
