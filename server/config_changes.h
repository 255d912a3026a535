/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What of a configuration a reload changes, and what only a restart does. Whoever makes an option live adds
 * it here and to xenresd.conf(5). Sections `trust` and `issuer` are live, `listener` is not. Pure.
 */
#ifndef XENRES_SERVER_CONFIG_CHANGES_H
#define XENRES_SERVER_CONFIG_CHANGES_H

#include <stdbool.h>

#include "server/config.h"

enum { CONFIG_LIVE_OPTIONS = 27 };

/* "section.name". */
bool config_is_live(const char *option);

/* Each option that is not live and has another value in `now` than in `before`; "listener": one of its
 * sections. */
void config_changes(const struct config *before, const struct config *now,
                    void (*tell)(void *arg, const char *option), void *arg);

#endif
