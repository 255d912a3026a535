/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the sandbox of the serving process has to leave open, by its configuration: the one place that knows
 * both. One thread, before there are others.
 */
#ifndef XENRES_SERVER_CONFINEMENT_H
#define XENRES_SERVER_CONFINEMENT_H

#include "common/error.h"
#include "server/config.h"

/* Files that are read again come from the keeper: none of them can be opened any more. */
int confinement_enter(const struct config *config, struct failure *f);

#endif
