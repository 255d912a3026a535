/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The line that `systemctl status` shows: what is served with, and what came of the last reload. Cut where it
 * is longer than STATUS_MAX_BYTES, and one line, whatever is in the names of files. Any thread.
 */
#ifndef XENRES_SERVER_STATUS_H
#define XENRES_SERVER_STATUS_H

#include <stdbool.h>

enum { STATUS_MAX_BYTES = 400 };

/* What a worker tells its supervisor: the configuration that it was to read is in force. */
#define STATUS_TAKEN "X_XENRESD_CONFIG=taken"

/* To the service manager, where there is one; `ready` with it: READY=1. */
void status_tell(bool ready, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same of what a worker has told its supervisor: of a message's lines (NUL-ended), its status alone, as a
 * worker that was taken over could say anything. */
void status_pass_on(const char *message);

#endif
