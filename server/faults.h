/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Faults of files, a line each, on their way into the log. Any thread. */
#ifndef XENRES_SERVER_FAULTS_H
#define XENRES_SERVER_FAULTS_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/log.h"

enum { FAULTS_MAX_BYTES = 64 * 1024 }; /* that are told at once */

/* A line of the log for each, behind `doing`. */
void faults_log(enum log_level level, const char *doing, const struct buffer *faults);

/* A failure as such a line. */
void faults_add(struct buffer *faults, const struct failure *f);

#endif
