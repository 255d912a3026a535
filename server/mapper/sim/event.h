/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How the simulated host tells of changes, with the failures of a connection to xenstored. A look
 * that fails has lost the connection: all that is watched is told of, since nobody knows what was
 * missed. A watch that fails is tried again with each look, and its name told of until it stands; one
 * that cannot be taken back goes on telling. The functions are those of backend.h.
 */
#ifndef XENRES_SIM_EVENT_H
#define XENRES_SIM_EVENT_H

#include "server/mapper/sim/call.h"

bool event_next(struct backend *b, unsigned *events, uint16_t *domid);
void event_watch_name(struct backend *b, uint16_t domid);
void event_unwatch_name(struct backend *b, uint16_t domid);

#endif
