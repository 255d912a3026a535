/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Traces of a simulated domain 7, controlled as the mapper would. */
#ifndef XENRES_TESTS_VMTRACE_RIG_H
#define XENRES_TESTS_VMTRACE_RIG_H

#include "tests/lib/sim_rig.h"

#define VMTRACE_RIG_CTL (VMTRACE_CTL_OS | VMTRACE_CTL_USER | VMTRACE_CTL_TSC | VMTRACE_CTL_BRANCH)
/* A guest that runs, with what its section `vmtrace` says. */
#define VMTRACE_RIG(body) SIM_VIRTUAL SIM_DOMAIN("type = \"hvm\" vmtrace { " body " }")
#define VMTRACE_RIG_VCPUS(count, body)                                                             \
    SIM_VIRTUAL SIM_DOMAIN("type = \"hvm\" vcpus = " count " vmtrace { " body " }")

/* The errno of a call; 0: it succeeded. */
static inline int vmtrace_rig_call(struct backend *b, uint32_t vcpu, enum vmtrace_call call,
                                   uint32_t key, uint64_t *value)
{
    struct failure f = { 0 };

    return backend_ops->vmtrace(b, 7, vcpu, call, key, value, &f) == 0 ? 0 : (int)f.xen_errno;
}

static inline uint64_t vmtrace_rig_position(struct backend *b, uint32_t vcpu)
{
    uint64_t position = UINT64_MAX;

    assert_int_equal(vmtrace_rig_call(b, vcpu, VMTRACE_POSITION, 0, &position), 0);
    return position;
}

static inline uint64_t vmtrace_rig_get(struct backend *b, uint32_t vcpu, uint32_t key)
{
    uint64_t value = UINT64_MAX;

    assert_int_equal(vmtrace_rig_call(b, vcpu, VMTRACE_GET_OPTION, key, &value), 0);
    return value;
}

static inline void vmtrace_rig_set(struct backend *b, uint32_t vcpu, uint32_t key, uint64_t value)
{
    assert_int_equal(vmtrace_rig_call(b, vcpu, VMTRACE_SET_OPTION, key, &value), 0);
}

static inline void vmtrace_rig_start(struct backend *b, uint32_t vcpu)
{
    vmtrace_rig_set(b, vcpu, VMTRACE_KEY_CTL, VMTRACE_RIG_CTL);
    assert_int_equal(vmtrace_rig_call(b, vcpu, VMTRACE_RESET_AND_ENABLE, 0, NULL), 0);
}

static inline struct sim_trace vmtrace_rig_truth(struct backend *b, uint32_t vcpu)
{
    struct sim_trace t;

    assert_true(sim_trace(b, 7, vcpu, &t));
    return t;
}

/* The ring as it is. */
static inline void vmtrace_rig_ring(struct backend *b, uint32_t vcpu, uint32_t frames, void *out)
{
    const struct sim_resource what = { .domid = 7, .type = RESOURCE_VMTRACE_BUF, .id = vcpu };

    assert_true(sim_read(b, &what, 0, frames, out));
}

#endif
