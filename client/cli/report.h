/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Failures on standard error: what failed, what is known of why, and in the last line what to do
 * now; and the exit status of each kind. Colours where standard error takes them.
 */
#ifndef XENRES_CLI_REPORT_H
#define XENRES_CLI_REPORT_H

#include <xenres.h>

#include "common/error.h"

/* Of the gateway or the library; the status is that of errors.def. */
int report_error(const xenres_error *error);
/* Of this machine: returns EXIT_LOCAL. `errnum` 0: none. `next_step` NULL: the errno's. */
int report_local(const char *what, const char *subject, int errnum, const char *next_step);
int report_no_memory(void);
/* Of what is made here of messages; returns EXIT_LOCAL. */
int report_failure(const struct failure *f);
/* Wrong usage: returns EXIT_USAGE. `verb` NULL: of the command itself. */
int report_usage(const char *verb, const char *what);
/* Something to know beside an answer that is on standard output. Never part of it. */
void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
