/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See host.h. */
#include "server/mapper/sim/host.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/mapper/sim/call.h"

static struct sim_ledger ledger_of(const struct backend *b)
{
    struct sim_ledger ledger = b->sim->ledger;
    for (uint32_t i = 0; i < b->sim->world.guest_count; i++) {
        ledger.zombies += b->sim->world.guests[i]->dying;
    }
    return ledger;
}

struct sim_ledger sim_ledger(const struct backend *b)
{
    CALL_LOCKED(b);
    return ledger_of(b);
}

static void read_boot_id(char *out, size_t out_bytes)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, out_bytes - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static void add_check(struct message_host_answer *out, const char *name, bool ok,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

static void add_check(struct message_host_answer *out, const char *name, bool ok,
                      const char *format, ...)
{
    struct message_check_row *row = &out->checks[out->check_count++];
    va_list arguments;
    snprintf(row->name, sizeof(row->name), "%s", name);
    row->ok = ok;
    va_start(arguments, format);
    vsnprintf(row->detail, sizeof(row->detail), format, arguments);
    va_end(arguments);
}

static void tell_ledger(struct backend *b, struct message_host_answer *out)
{
    struct sim_ledger l = ledger_of(b);
    add_check(
        out, "sim_ledger", l.grant_tables_grown == 0 && l.zombies == 0,
        "simulated: grant tables grown %llu, ioreq pages allocated %llu, maps %llu, status maps"
        " %llu, live mappings %llu, zombies %llu, steps %u",
        (unsigned long long)l.grant_tables_grown, (unsigned long long)l.ioreq_allocations,
        (unsigned long long)l.maps, (unsigned long long)l.status_maps,
        (unsigned long long)l.live_mappings, (unsigned long long)l.zombies, b->sim->world.steps);
}

/* What the hypervisor itself has to be asked for. */
static void tell_machine(struct backend *b, struct message_host_answer *out)
{
    const struct scenario_host *host = &b->sim->scenario->host;
    snprintf(out->xen_version, sizeof(out->xen_version), "%s", host->xen_version);
    snprintf(out->guest_abis, sizeof(out->guest_abis),
             "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64");
    out->capabilities = HOST_CAN_HVM | HOST_CAN_PV | HOST_CAN_HAP | HOST_CAN_SHADOW;
    uint64_t used_mib = 0;
    for (uint32_t i = 0; i < b->sim->world.guest_count; i++) {
        used_mib += b->sim->world.guests[i]->spec->memory_mib;
        if (b->sim->world.guests[i]->vmtrace.vcpus) {
            out->capabilities |= HOST_CAN_VMTRACE;
        }
    }
    out->cpu_count = host->cpus;
    out->total_memory_kib = host->memory_mib * 1024;
    out->free_memory_kib = used_mib < host->memory_mib ? (host->memory_mib - used_mib) * 1024 : 0;
}

void host_describe(struct backend *b, struct message_host_answer *out)
{
    const struct call c = { SCENARIO_OP_HOST,
                            { .domid = EXPLAIN_NO_DOMAIN, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    struct failure f;
    CALL_LOCKED(b);
    call_make_steps(b->sim);
    memset(out, 0, sizeof(*out));
    memcpy(out->uuid, b->sim->scenario->host.uuid, sizeof(out->uuid));
    snprintf(out->uuid_source, sizeof(out->uuid_source), "scenario");
    read_boot_id(out->boot_id, UUID_TEXT_BYTES);
    out->monotonic_ns = clock_monotonic_ns();
    out->wall_ns = clock_wall_ns();
    if (call_enter(b, &c, &fault, &f) == 0) {
        tell_machine(b, out);
        call_leave(b, &c, fault);
    } else { /* as the xen backend tells it */
        add_check(out, "hypercall", false, "%s (%s): %s", f.cause, error_errno_name(f.xen_errno),
                  f.next_step);
    }
    tell_ledger(b, out);
}
