/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The bearer token that a request carries: the option's, or what the option's file holds at that moment,
 * so that whoever renews it has only to write it there. It goes into one header, of requests over TLS to
 * the handle's gateway, and nowhere else: redirects are not followed, and proxies do not get it.
 *
 * A file that others may read, or could have written, is refused: what is in it is a secret.
 */
#ifndef XENRES_CLIENT_TOKEN_H
#define XENRES_CLIENT_TOKEN_H

#include "client/handle.h"
#include "common/buffer.h"

enum { TOKEN_MAX_BYTES = 8192, TOKEN_HEADER_MAX_BYTES = TOKEN_MAX_BYTES + 32 };

/* Of the options: both at once, or what cannot be a token, is -ERROR_INVALID_ARGUMENT. */
int token_check_options(const xenres_options *o, struct fault *fault);
/* "Authorization: Bearer …"; empty where the handle has none. -ERROR_INVALID_ARGUMENT: the file cannot be
 * read, is not the caller's alone, or has no token in it. */
int token_header(const xenres *handle, struct buffer *out, struct fault *fault);

#endif
