/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Names and numbers of resource types, for the functions that put them into paths. Pure. */
#ifndef XENRES_CLIENT_RESOURCE_H
#define XENRES_CLIENT_RESOURCE_H

#include "client/fault.h"

/* Copies a frames query and checks what can be checked here. */
int resource_take_query(const xenres_frames_query *query, xenres_frames_query *out,
                        struct fault *fault);
/* -ERROR_INTERNAL where the answer is not what the query asked for: another domain, resource, or
 * range, or a length that is not that of its frames. */
int resource_match(const xenres_frames_query *query, const xenres_identity *domain, uint32_t type,
                   uint32_t id, const xenres_observation *observation, struct fault *fault);

#endif
