/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * `xenresd --check`: everything that a start would stumble over, told at once. Reads what the service
 * would read, binds nothing, changes nothing.
 */
#ifndef XENRES_SERVER_CHECK_H
#define XENRES_SERVER_CHECK_H

#include "common/buffer.h"
#include "common/error.h"
#include "server/config.h"

/* Every fault is a line in `faults`, with file and line where there is one; the first one's code is the
 * result. So is what is no fault, but will surprise or become one soon ("warning:", "note:"): then the
 * result may be 0. `config`: as this thread has loaded it last.
 *
 * Where root runs it and the key belongs to server.user, the process has become that user when it returns. */
int check_config(const struct config *config, struct buffer *faults, struct failure *f);

#endif
