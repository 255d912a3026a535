/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The domain that a request means: the one place that decides whether it may be touched. First the
 * export list, on who the peer says it is; then what the backend reports, and then the domain itself
 * must be exactly that one, alive. Called before anything is mapped, and again after the copy, so
 * that no answer is of another domain than the one asked for.
 */
#ifndef XENRES_MAPPER_CLAIM_H
#define XENRES_MAPPER_CLAIM_H

#include "server/mapper/mapper.h"

/*
 * -ERROR_PERMISSION_DENIED: not in the export list. The answer depends on the claim alone, and so
 * tells nothing of domains that are not exported. A type of RESOURCE_TYPE_COUNT: allowed for any.
 */
int claim_allowed(const struct mapper *m, const struct domain_identity *claimed, uint32_t type,
                  enum export_action action, struct failure *f);

/* -ERROR_NOT_FOUND: gone; -ERROR_ABORTED: another, or dying, with what differs. `out` (may be NULL)
 * is valid until the directory is read again. */
int claim_check(struct mapper *m, const struct domain_identity *claimed,
                const struct directory_entry **out, struct failure *f);

#endif
