/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Words for the API's enumerations. A number that a newer gateway may send, and we do not know, is
 * shown as a number: `room` is where it is written. Pure.
 */
#ifndef XENRES_CLI_NAMES_H
#define XENRES_CLI_NAMES_H

#include <stdint.h>

struct name_room {
    char text[16];
};

const char *name_domain_type(uint32_t value, struct name_room *room);
const char *name_domain_state(uint32_t value, struct name_room *room);
/* The other way, in either case; 0: it is none's. */
uint32_t name_to_domain_type(const char *name);
uint32_t name_to_domain_state(const char *name);
const char *name_availability(uint32_t value, struct name_room *room);
const char *name_resource_type(uint32_t value, struct name_room *room);
const char *name_grant_kind(uint32_t value, struct name_room *room);
const char *name_ioreq_state(uint32_t value, struct name_room *room);
/* `raw`: what stands in the page, shown where the type is unknown. */
const char *name_ioreq_type(uint32_t value, uint32_t raw, struct name_room *room);
const char *name_stats_source(uint32_t value, struct name_room *room);
const char *name_watch_mode(uint32_t value, struct name_room *room);
uint32_t name_to_watch_mode(const char *name);
const char *name_gap_reason(uint32_t value, struct name_room *room);
const char *name_end_reason(uint32_t value, struct name_room *room);

#endif
