/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A simulated guest's trace buffers: a ring for each vCPU, and the control that Xen has of it. Bytes come
 * at the scenario's rate for as long as the guest runs and the vCPU's trace is on; how many there are
 * depends on that time alone, not on how often it was looked at. As in Xen, a ring is never cleared,
 * neither at its creation nor by a reset, and its position is told when it is off, too.
 * For whoever holds the simulation's lock.
 */
#ifndef XENRES_SIM_GUEST_VMTRACE_H
#define XENRES_SIM_GUEST_VMTRACE_H

#include "server/mapper/backend.h"
#include "server/mapper/sim/pages.h"
#include "server/mapper/sim/scenario.h"
#include "server/mapper/sim/trace_source.h"
#include "server/mapper/sim/truth.h"

enum {
    GUEST_VMTRACE_STALE_FRAMES = 16, /* of each ring, so many hold another guest's bytes at first */
    GUEST_VMTRACE_ALL = -1,          /* every vCPU */
};

struct vmtrace_vcpu {
    struct trace_source source;
    bool never_runs;
    bool is_enabled; /* by a call; whether RTIT_CTL lets anything through is another thing */
    uint64_t ctl, status;
    uint32_t position, answered; /* answered: by the last POSITION */
    uint64_t produced, reset_at, resets;
    uint64_t owed; /* in billionths, of bytes by rate */
    uint32_t laps; /* forced ones that are done */
};

struct guest_vmtrace {
    const struct scenario_vmtrace *spec;
    struct pages pages; /* all vCPUs' rings, one behind the other */
    uint32_t vcpu_count;
    struct vmtrace_vcpu *vcpus; /* NULL: the domain has no buffers */
    uint64_t advanced_ns;
};

int guest_vmtrace_init(struct guest_vmtrace *g, const struct scenario_domain *d, uint64_t seed,
                       uint64_t now_ns, struct failure *f);
void guest_vmtrace_done(struct guest_vmtrace *g);

/* Up to that time; `runs`: the guest did, since the last look. */
void guest_vmtrace_advance(struct guest_vmtrace *g, uint64_t now_ns, bool runs);

/* One call, of a vCPU that there is: 0, or Xen's errno. */
int guest_vmtrace_control(struct guest_vmtrace *g, uint32_t vcpu, enum vmtrace_call call,
                          uint32_t key, uint64_t *value);
/* What somebody else does, or what befalls it: an event that is of vmtrace, of one or all vCPUs. */
void guest_vmtrace_happen(struct guest_vmtrace *g, const struct scenario_event *e);

/* The host's time stamp counter at that time. */
uint64_t guest_vmtrace_tsc(uint64_t now_ns);

void guest_vmtrace_truth(const struct guest_vmtrace *g, uint32_t vcpu, struct sim_trace *out);
/* Bytes that the vCPU wrote. False: it did not, or they are of a stretch long ago. */
bool guest_vmtrace_bytes(const struct guest_vmtrace *g, uint32_t vcpu, uint64_t from, void *out,
                         size_t len_bytes);

#endif
