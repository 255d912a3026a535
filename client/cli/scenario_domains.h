/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A recording of the host's domains as a scenario: those that were there, and what became of them as
 * events at their times. A life of a domain is a section of its own. What is more than the simulator
 * takes ends it, and is told.
 */
#ifndef XENRES_CLI_SCENARIO_DOMAINS_H
#define XENRES_CLI_SCENARIO_DOMAINS_H

#include "client/cli/recording_reader.h"

enum { SCENARIO_DOMAINS_MAX_LIVES = 512, SCENARIO_DOMAINS_MAX_EVENTS = 1024 }; /* the simulator's */

/* Writes it when it is whole. Not 0: reported; the exit status. */
int scenario_domains_write(struct recording_reader *reader, const char *path);

#endif
