/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The parts that all views have, from unpacked messages. Strings stay the message's. Pure. */
#ifndef XENRES_CLIENT_VIEW_H
#define XENRES_CLIENT_VIEW_H

#include "client/fault.h"
#include "xenres/v1/domain.pb-c.h"

/* NULL gives an identity of empty strings, which target_match() refuses. */
void view_identity(const Xenres__V1__DomainIdentity *message, xenres_identity *out);
/* NULL gives zeros. */
void view_observation(const Xenres__V1__Observation *message, xenres_observation *out);
void view_time(const Google__Protobuf__Timestamp *message, int64_t *seconds, uint32_t *nanoseconds);

#endif
