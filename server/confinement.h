/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the sandbox of the serving process has to leave open, by its configuration: the one place that knows
 * both. One thread, before there are others.
 */
#ifndef XENRES_SERVER_CONFINEMENT_H
#define XENRES_SERVER_CONFINEMENT_H

#include <stdbool.h>

#include "common/error.h"
#include "server/config.h"

struct confinement {
    const struct config *config;
    bool supervised; /* ends with its parent */
    bool
        has_keeper; /* files that are read again come from the keeper: none is left open for them */
};

int confinement_enter(const struct confinement *options, struct failure *f);

#endif
