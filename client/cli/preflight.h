/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What is wrong with the options before the library is asked: frequent mistakes, each told with its
 * remedy in this command's own words. What it lets pass is not right for that: the library decides.
 */
#ifndef XENRES_CLI_PREFLIGHT_H
#define XENRES_CLI_PREFLIGHT_H

#include <stdbool.h>
#include <xenres.h>

/* False: `error` says what is wrong, with the code that the library would give. */
bool preflight_check(const xenres_options *options, xenres_error *error);

#endif
