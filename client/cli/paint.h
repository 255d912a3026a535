/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Colours, few: what is a title, what is well, what is not. For standard output and standard error
 * each where that is a terminal, unless the user says otherwise (--color, NO_COLOR, TERM=dumb).
 * What is painted never says more than its text. One thread.
 */
#ifndef XENRES_CLI_PAINT_H
#define XENRES_CLI_PAINT_H

#include <stdbool.h>

enum paint { PAINT_PLAIN, PAINT_TITLE, PAINT_GOOD, PAINT_WARN, PAINT_BAD };
enum paint_when { PAINT_AUTO, PAINT_ALWAYS, PAINT_NEVER };

/* Until it is called nothing is painted. The last call counts. */
void paint_init(enum paint_when when);
/* "auto", "always" or "never"; false for what is none of them. */
bool paint_when_from_name(const char *name, enum paint_when *out);

/* What stands before and behind a painted text on descriptor `fd`; "" where there are no colours.
 * Constants. */
const char *paint_begin(int fd, enum paint paint);
const char *paint_end(int fd, enum paint paint);

#endif
