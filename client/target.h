/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Which domain was asked for, and whether the answer is of it. Caches and proxies that mix answers
 * up, and gateways that do, are found out here: the bytes of another domain are never handed on.
 * Pure.
 */
#ifndef XENRES_CLIENT_TARGET_H
#define XENRES_CLIENT_TARGET_H

#include "client/fault.h"

enum { TARGET_MAX_BYTES = 512 }; /* of a domain's spelling */

/* As in the public queries; `incarnation` may be NULL. -ERROR_INVALID_ARGUMENT for what no gateway
 * could take: no domain, one that is not UTF-8 or too long. */
int target_check(const char *domain, const char *incarnation, struct fault *fault);

/* -ERROR_INTERNAL where `identity` cannot be that of the domain asked for: another domid or UUID
 * than given (a name tells nothing: the gateway may write it otherwise), another incarnation, or no
 * identity at all. */
int target_match(const char *domain, const char *incarnation, const xenres_identity *identity,
                 struct fault *fault);

#endif
