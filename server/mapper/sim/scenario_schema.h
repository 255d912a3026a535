/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a scenario file may say, for libconfuse: its sections and options, the bounds of each number
 * and the words that each option takes. Every value is checked where it stands, so that a fault has
 * its line; what concerns several values at once is scenario.c's. One thread.
 */
#ifndef XENRES_SIM_SCENARIO_SCHEMA_H
#define XENRES_SIM_SCENARIO_SCHEMA_H

#include <confuse.h>

/* For settings_parse_text(), then cfg_free(). NULL: no memory. */
cfg_t *scenario_schema_new(void);

/* What the word of an option stands for. Of one that is none (the parse has told) or left out: 0. */
int scenario_schema_word(cfg_t *section, const char *option);
/* The number of an errno's name; 0: there is none of that name. */
int scenario_schema_errno(const char *name);

#endif
