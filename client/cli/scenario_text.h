/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Pieces of a scenario's text. Pure. */
#ifndef XENRES_CLI_SCENARIO_TEXT_H
#define XENRES_CLI_SCENARIO_TEXT_H

#include "common/buffer.h"

enum { SCENARIO_TEXT_MAX_BYTES = 255 }; /* of a name, at the simulator */

/* A comment that says whose it is. */
void scenario_text_begin(struct buffer *out);
/* A string as the API has it, in quotes. What no scenario may hold (control characters, "${") stands in
 * it as \xNN, letter by letter, as the API shows it. A longer one is cut. */
void scenario_text_string(struct buffer *out, const char *text);
/* The name of a file, without its folder, in quotes. */
void scenario_text_file(struct buffer *out, const char *path);

#endif
