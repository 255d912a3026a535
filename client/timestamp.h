/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* RFC 3339 in UTC → seconds, as the raw frames endpoint writes it. Pure. */
#ifndef XENRES_CLIENT_TIMESTAMP_H
#define XENRES_CLIENT_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

/* "2026-01-31T23:59:59[.1-9 digits]Z", years 1 to 9999, dates that exist; no leap seconds. */
bool timestamp_parse(const char *text, int64_t *seconds, uint32_t *nanoseconds);

#endif
