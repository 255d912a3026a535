/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The log: a line an event to stderr, with the priority as `<N>` before it where the journal reads
 * it (JOURNAL_STREAM names it), else with time and program name. Control characters and bytes that
 * are not ASCII are written as \xNN, backslashes doubled (text_escape), so that what a guest chose
 * cannot forge a line. A line has at most LOG_LINE_MAX bytes and is written by one write(2). Any
 * thread.
 */
#ifndef XENRES_COMMON_LOG_H
#define XENRES_COMMON_LOG_H

#include "common/error.h"

enum { LOG_LINE_MAX = 1024 };

enum log_level { /* syslog(3)'s numbers */
                 LOG_LEVEL_ERROR = 3,
                 LOG_LEVEL_WARNING = 4,
                 LOG_LEVEL_INFO = 6,
                 LOG_LEVEL_DEBUG = 7,
};

/* `program` must outlive the log. Levels above `max` are not written. Before other threads start.
 * Without it: info and above. errno survives every call here. */
void log_open(const char *program, enum log_level max);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line from a failure: what, call and errno, cause, next step. */
void log_failure(enum log_level level, const char *doing, const struct failure *f);

#endif
