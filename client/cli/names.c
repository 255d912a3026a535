/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/names.h"

#include <stddef.h>
#include <stdio.h>
#include <xenres.h>

static const char *find(const char *const *names, size_t count, uint32_t value,
                        struct name_room *room)
{
    if (value < count && names[value] != NULL) {
        return names[value];
    }
    (void)snprintf(room->text, sizeof(room->text), "#%u", value);
    return room->text;
}

#define FIND(names, value, room) find(names, sizeof(names) / sizeof((names)[0]), value, room)

const char *name_domain_type(uint32_t value, struct name_room *room)
{
    static const char *const names[] = {
        "?", [XENRES_DOMAIN_PV] = "PV", [XENRES_DOMAIN_HVM] = "HVM", [XENRES_DOMAIN_PVH] = "PVH"
    };

    return FIND(names, value, room);
}

const char *name_domain_state(uint32_t value, struct name_room *room)
{
    static const char *const names[] = {
        "?",
        [XENRES_DOMAIN_RUNNING] = "running",
        [XENRES_DOMAIN_BLOCKED] = "blocked",
        [XENRES_DOMAIN_PAUSED] = "paused",
        [XENRES_DOMAIN_SHUTDOWN] = "shut down",
        [XENRES_DOMAIN_CRASHED] = "crashed",
        [XENRES_DOMAIN_DYING] = "dying",
    };

    return FIND(names, value, room);
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
