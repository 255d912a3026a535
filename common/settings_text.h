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

/* A statement of a text that passed the check: `name = value`, or a section. */
struct settings_statement {
    const char *name,
        *value; /* not NUL-ended; a quoted value without its quotes; NULL: a list or section */
    size_t name_len, value_len;
    unsigned line;
    const void *level; /* of the section that it stands in */
};
/* Whether it may stay; of a section, `*inside` becomes the level of what stands in it. */
typedef bool settings_judge(void *arg, const struct settings_statement *statement,
                            const void **inside);

/* Has each statement judged, the first one's level being `level`, and makes spaces of those that may not
 * stay: libconfuse would end at the first of them. Ends in silence where it does not understand the text, or
 * where more than SETTINGS_DEPTH_MAX sections stand in each other: libconfuse will say why. */
enum { SETTINGS_DEPTH_MAX = 8 };
void settings_text_filter(char *text, size_t len_bytes, const void *level, settings_judge *judge,
                          void *arg);

#endif
