/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Decoded content as the API's messages: as present.h, for what common/layout has found in a copy. Pure,
 * any thread. */
#ifndef XENRES_RPC_PRESENT_INSPECT_H
#define XENRES_RPC_PRESENT_INSPECT_H

#include "common/layout.h"
#include "server/rpc/present.h"
#include "xenres/v1/inspect.pb-c.h"

/* Into a message of the caller's, which is one of many. */
void present_grant(struct pool *p, const struct layout_grant *grant, Xenres__V1__GrantEntry *m);

Xenres__V1__IoreqState present_ioreq_state(uint8_t state);
Xenres__V1__Ioreq *present_ioreq(struct pool *p, uint32_t vcpu, const struct layout_ioreq *ioreq);
/* Of a copy of the frame of buffered requests. */
Xenres__V1__BufferedIoreqs *present_buffered_ioreqs(struct pool *p, const uint8_t *frame);
Xenres__V1__VcpuStats *present_vcpu_stats(struct pool *p, const struct message_vcpu *vcpu);

#endif
