/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See vmtrace.h. */
#include "server/mapper/sim/vmtrace.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "server/mapper/sim/call.h"

/* The processor that the simulated host has. */
enum {
    CPU_FAMILY = 6,
    CPU_MODEL = 85,
    CPU_STEPPING = 7,
    CRYSTAL_HZ = 25000000,
    TSC_NUMERATOR = 168, /* of the crystal's clock */
    TSC_DENOMINATOR = 2,
    TSC_KHZ = 2100000,
    NOMINAL_MHZ = 2100,
};

static enum scenario_operation operation_of(enum vmtrace_call call)
{
    switch (call) {
    case VMTRACE_ENABLE: return SCENARIO_OP_VMTRACE_ENABLE;
    case VMTRACE_DISABLE: return SCENARIO_OP_VMTRACE_DISABLE;
    case VMTRACE_RESET_AND_ENABLE: return SCENARIO_OP_VMTRACE_RESET_AND_ENABLE;
    case VMTRACE_POSITION: return SCENARIO_OP_VMTRACE_POSITION;
    case VMTRACE_GET_OPTION: return SCENARIO_OP_VMTRACE_GET_OPTION;
    case VMTRACE_SET_OPTION: break;
    }
    return SCENARIO_OP_VMTRACE_SET_OPTION;
}

static int control(struct backend *b, const struct call *c, enum vmtrace_call call, uint32_t key,
                   uint64_t *value, struct failure *f)
{
    struct guest *g = world_find(&b->sim->world, c->subject.domid);
    if (!g) {
        return call_fail(c, ESRCH, f);
    }
    if (!g->vmtrace.vcpus || c->subject.domid == 0) { /* none has its own */
        return call_fail(c, EINVAL, f);
    }
    if (c->subject.id >= g->vmtrace.vcpu_count) {
        return call_fail(c, ENOENT, f);
    }
    world_look(&b->sim->world, g);
    int errnum = guest_vmtrace_control(&g->vmtrace, c->subject.id, call, key, value);
    return errnum ? call_fail(c, errnum, f) : 0;
}

/* Where POSITION last said that it is; NULL: there is no such vCPU. */
static uint32_t *answered(const struct backend *b, const struct call *c)
{
    struct guest *g = world_find(&b->sim->world, c->subject.domid);
    bool is_there = g && c->subject.id < g->vmtrace.vcpu_count;
    return is_there ? &g->vmtrace.vcpus[c->subject.id].answered : NULL;
}

int vmtrace_call(struct backend *b, uint16_t domid, uint32_t vcpu, enum vmtrace_call call,
                 uint32_t key, uint64_t *value, struct failure *f)
{
    const struct call c = { operation_of(call),
                            { .domid = domid, .type = RESOURCE_VMTRACE_BUF, .id = vcpu } };
    const struct scenario_fault *fault;
    CALL_LOCKED(b);
    b->pauses++;
    int result = call_enter(b, &c, &fault, f);
    if (result < 0) {
        return result;
    }
    uint32_t *last = answered(b, &c), before = last ? *last : 0;
    result = control(b, &c, call, key, value, f);
    if (result < 0) {
        return result;
    }
    if (fault && fault->effect == SCENARIO_FROZEN) {
        *value = *last = before;
    }
    call_leave(b, &c, fault);
    call_delay(b->sim, call == VMTRACE_POSITION ? SIM_AFTER_POSITION : SIM_AFTER_CONTROL);
    return 0;
}

void vmtrace_facts(struct backend *b, uint16_t domid, struct message_trace_facts *out)
{
    CALL_LOCKED(b);
    *out = (struct message_trace_facts){
        .cpu_vendor = "GenuineIntel",
        .cpu_family = CPU_FAMILY,
        .cpu_model = CPU_MODEL,
        .cpu_stepping = CPU_STEPPING,
        .cpuid_15_eax = TSC_DENOMINATOR,
        .cpuid_15_ebx = TSC_NUMERATOR,
        .cpuid_15_ecx = CRYSTAL_HZ,
        .nominal_mhz = NOMINAL_MHZ,
        .tsc_khz = TSC_KHZ,
    };
    if (world_find(&b->sim->world, domid)) {
        out->guest_tsc_khz = TSC_KHZ;
        out->guest_bits = 64;
    }
}

uint64_t vmtrace_tsc(struct backend *b)
{
    CALL_LOCKED(b);
    return guest_vmtrace_tsc(world_now_ns(&b->sim->world));
}

uint64_t vmtrace_pauses(struct backend *b)
{
    return b->pauses;
}
