/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * All domains of the host as they were in one generation of the mapper's list, with what the list says of
 * each: asked page by page, without waiting, and begun anew where the list changed between two pages.
 *
 * Whoever asks owns it, and may go at any time: what is still to come of the mapper is then dropped. Lock:
 * one; `done` is called under it, and must not free it.
 */
#ifndef XENRES_RESOURCE_DOMAIN_ROWS_H
#define XENRES_RESOURCE_DOMAIN_ROWS_H

#include "server/resource/mapper_client.h"

enum { DOMAIN_ROWS_TRIES = 16 }; /* of a list that changes while it is read; then unavailable */

struct domain_rows;

/* `done` is called once, on the mapper client's thread, unless it is freed before. On failure it is not. */
int domain_rows_ask(struct mapper_client *mapper, uint64_t deadline_ns, void (*done)(void *arg),
                    void *arg, struct domain_rows **out, struct failure *f);
/* When this returns, `done` is not called any more. NULL is fine. */
void domain_rows_free(struct domain_rows *r);

/* False: not yet. Else `*result` is 0, or the failure that is in `f`. */
bool domain_rows_ready(struct domain_rows *r, int *result, struct failure *f);
/* Of one that is ready, and was not failed: in the order of their domids. */
const struct message_domain *domain_rows_all(const struct domain_rows *r, size_t *count,
                                             uint64_t *generation);

#endif
