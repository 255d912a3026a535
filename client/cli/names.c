/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/names.h"

#include <stddef.h>
#include <stdio.h>
#include <strings.h>
#include <xenres.h>

/* 0 where it is the name of none; case does not count. */
static uint32_t number_of(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 1; i < count; i++) {
        if (names[i] != NULL && strcasecmp(names[i], name) == 0) {
            return (uint32_t)i;
        }
    }
    return 0;
}

static const char *find(const char *const *names, size_t count, uint32_t value,
                        struct name_room *room)
{
    if (value < count && names[value] != NULL) {
        return names[value];
    }
    (void)snprintf(room->text, sizeof(room->text), "#%u", value);
    return room->text;
}

#define COUNT(names)             (sizeof(names) / sizeof((names)[0]))
#define FIND(names, value, room) find(names, COUNT(names), value, room)

static const char *const domain_types[] = {
    "?", [XENRES_DOMAIN_PV] = "PV", [XENRES_DOMAIN_HVM] = "HVM", [XENRES_DOMAIN_PVH] = "PVH"
};

static const char *const domain_states[] = {
    "?",
    [XENRES_DOMAIN_RUNNING] = "running",
    [XENRES_DOMAIN_BLOCKED] = "blocked",
    [XENRES_DOMAIN_PAUSED] = "paused",
    [XENRES_DOMAIN_SHUTDOWN] = "shutdown",
    [XENRES_DOMAIN_CRASHED] = "crashed",
    [XENRES_DOMAIN_DYING] = "dying",
};

const char *name_domain_type(uint32_t value, struct name_room *room)
{
    return FIND(domain_types, value, room);
}

const char *name_domain_state(uint32_t value, struct name_room *room)
{
    return FIND(domain_states, value, room);
}

uint32_t name_to_domain_type(const char *name)
{
    return number_of(domain_types, COUNT(domain_types), name);
}

uint32_t name_to_domain_state(const char *name)
{
    return number_of(domain_states, COUNT(domain_states), name);
}

const char *name_availability(uint32_t value, struct name_room *room)
{
    static const char *const names[] = {
        "?",
        [XENRES_RESOURCE_AVAILABLE] = "yes",
        [XENRES_RESOURCE_UNAVAILABLE] = "no",
        [XENRES_RESOURCE_ON_REQUEST] = "on request",
    };

    return FIND(names, value, room);
}

const char *name_resource_type(uint32_t value, struct name_room *room)
{
    const char *name = xenres_resource_type_name(value);

    return name[0] != '\0' ? name : FIND((const char *const[]){ NULL }, value, room);
}

const char *name_grant_kind(uint32_t value, struct name_room *room)
{
    static const char *const names[] = {
        "?",
        [XENRES_GRANT_UNUSED] = "unused",
        [XENRES_GRANT_PERMIT_ACCESS] = "access",
        [XENRES_GRANT_ACCEPT_TRANSFER] = "transfer",
        [XENRES_GRANT_TRANSITIVE] = "transitive",
    };

    return FIND(names, value, room);
}

const char *name_ioreq_state(uint32_t value, struct name_room *room)
{
    static const char *const names[] = {
        "?",
        [XENRES_IOREQ_NONE] = "none",
        [XENRES_IOREQ_READY] = "ready",
        [XENRES_IOREQ_IN_PROCESS] = "in process",
        [XENRES_IOREQ_RESPONSE_READY] = "response",
    };

    return FIND(names, value, room);
}

const char *name_ioreq_type(uint32_t value, uint32_t raw, struct name_room *room)
{
    static const char *const names[] = {
        "?",
        [XENRES_IOREQ_PIO] = "pio",
        [XENRES_IOREQ_COPY] = "mmio",
        [XENRES_IOREQ_PCI_CONFIG] = "pci-config",
        [XENRES_IOREQ_TIMEOFFSET] = "time-offset",
        [XENRES_IOREQ_INVALIDATE] = "invalidate",
    };

    return value == XENRES_IOREQ_UNKNOWN ? find(names, 0, raw, room) : FIND(names, value, room);
}

const char *name_stats_source(uint32_t value, struct name_room *room)
{
    static const char *const names[] = {
        "?",
        [XENRES_STATS_TABLE] = "the hypervisor's shared table",
        [XENRES_STATS_VCPU_INFO] = "a hypercall for each vCPU",
    };

    return FIND(names, value, room);
}

static const char *const watch_modes[] = {
    "?", [XENRES_WATCH_DELTA] = "delta", [XENRES_WATCH_FULL] = "full",
    [XENRES_WATCH_LATEST] = "latest"
};

const char *name_watch_mode(uint32_t value, struct name_room *room)
{
    return FIND(watch_modes, value, room);
}

uint32_t name_to_watch_mode(const char *name)
{
    return number_of(watch_modes, COUNT(watch_modes), name);
}

const char *name_gap_reason(uint32_t value, struct name_room *room)
{
    const char *name = xenres_gap_reason_name(value);

    return name[0] != '\0' ? name : find(NULL, 0, value, room);
}

const char *name_end_reason(uint32_t value, struct name_room *room)
{
    const char *name = xenres_end_reason_name(value);

    return name[0] != '\0' ? name : find(NULL, 0, value, room);
}
