/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A program's options, checked and copied into a handle, with what holds where one was left 0. */
#ifndef XENRES_CLIENT_OPTIONS_H
#define XENRES_CLIENT_OPTIONS_H

#include "client/handle.h"

enum { OPTIONS_RETRIES_MAX = 10 };

/* What was copied before a failure is the handle's to release, as ever. */
int options_take(xenres *handle, const xenres_options *options, struct fault *fault);

#endif
