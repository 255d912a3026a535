/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What may stand in a file before libconfuse sees it, because libconfuse in silence
 *      expands ${NAME} from the environment, and drops characters that it has no rule for;
 *      lets a section end with the file, so that half a file passes for a whole one;
 *      takes a quoted name with | in it for a path to another section's option;
 *      counts three lines for each line of comment.
 * Names and values are words of letters, digits and _ . : / + -, or "strings" on one line with \"
 * and \\ in them; comments are #, // and C's. Pure, any thread.
 */
#ifndef XENRES_COMMON_SETTINGS_TEXT_H
#define XENRES_COMMON_SETTINGS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"

/* Checks `text`, and makes its comments spaces. False: a fault, `name:line: what was expected`, was
 * appended to `faults`. */
bool settings_text_check(const char *name, char *text, size_t len_bytes, struct buffer *faults);

/* Lines at which sections `name "TITLE" {` of the top level open, in the order of a text that passed
 * the check. Up to `max` are written; returns how many there are. */
size_t settings_text_sections(const char *text, size_t len_bytes, const char *name, unsigned *lines,
                              size_t max);

#endif
