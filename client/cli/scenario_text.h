/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Pieces of a scenario's text. Pure. */
#ifndef XENRES_CLI_SCENARIO_TEXT_H
#define XENRES_CLI_SCENARIO_TEXT_H

#include "common/buffer.h"

/* A comment that says whose it is. */
void scenario_text_begin(struct buffer *out);
/* In quotes. The API's own escapes (\\ and \xNN) are those of the scenario's syntax, too. */
void scenario_text_string(struct buffer *out, const char *text);
/* The name of a file, without its folder, which has no escapes of anybody's in it. */
void scenario_text_file(struct buffer *out, const char *path);

#endif
