/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What the simulated host says of itself: the scenario's machine, the real clocks, and the ledger among
 * the checks. The function is backend.h's. */
#ifndef XENRES_SIM_HOST_H
#define XENRES_SIM_HOST_H

#include "server/mapper/backend.h"

void host_describe(struct backend *b, struct message_host_answer *out);

#endif
