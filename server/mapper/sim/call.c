/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See call.h. */
#include "server/mapper/sim/call.h"
#include "server/mapper/sim/timeline.h"

#include <assert.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"

static const struct {
    const char *name;
    bool is_hypercall; /* else it goes to xenstored, or to the kernel alone */
} calls[SCENARIO_OP_COUNT] = {
    [SCENARIO_OP_HOST] = { "xc_version", true },
    [SCENARIO_OP_LIST] = { "xc_domain_getinfolist", true },
    [SCENARIO_OP_FIND] = { "xc_domain_getinfolist", true },
    [SCENARIO_OP_NAME] = { "xs_read", false },
    [SCENARIO_OP_SIZE] = { "xenforeignmemory_resource_size", true },
    [SCENARIO_OP_GRANT_VERSION] = { "xc_gnttab_get_version", true },
    [SCENARIO_OP_MAP] = { "xenforeignmemory_map_resource", true },
    [SCENARIO_OP_UNMAP] = { "xenforeignmemory_unmap_resource", false },
    [SCENARIO_OP_VCPU_INFO] = { "xc_vcpu_getinfo", true },
    [SCENARIO_OP_VMTRACE_ENABLE] = { "xc_vmtrace_enable", true },
    [SCENARIO_OP_VMTRACE_DISABLE] = { "xc_vmtrace_disable", true },
    [SCENARIO_OP_VMTRACE_RESET_AND_ENABLE] = { "xc_vmtrace_reset_and_enable", true },
    [SCENARIO_OP_VMTRACE_POSITION] = { "xc_vmtrace_output_position", true },
    [SCENARIO_OP_VMTRACE_GET_OPTION] = { "xc_vmtrace_get_option", true },
    [SCENARIO_OP_VMTRACE_SET_OPTION] = { "xc_vmtrace_set_option", true },
    [SCENARIO_OP_EVENTS] = { "xs_check_watch", false },
    [SCENARIO_OP_WATCH] = { "xs_watch", false },
    [SCENARIO_OP_UNWATCH] = { "xs_unwatch", false },
};

int call_fail(const struct call *c, int errnum, struct failure *f)
{
    return failure_xen(f, calls[c->operation].name, errnum, &c->subject);
}

/* Wakes whoever polls, for as long as there is an event to fetch. */
void call_update_wake(struct simulation *sim)
{
    uint64_t count = 1;
    bool has_event = world_has_event(&sim->world);
    if (has_event == sim->is_awake) {
        return;
    }
    ssize_t n = has_event ? write(sim->wake_fd, &count, sizeof(count))
                          : read(sim->wake_fd, &count, sizeof(count));
    assert(n == sizeof(count)); /* the counter is 0 or 1, as is_awake says */
    sim->is_awake = has_event;
}

void call_arm_timer(struct simulation *sim)
{
    uint64_t next_ns = timeline_next_ns(&sim->world);
    struct itimerspec at = { 0 };
    if (next_ns != UINT64_MAX && !sim->scenario->clock_is_virtual) {
        at.it_value.tv_sec = (time_t)(next_ns / CLOCK_NS_PER_S);
        at.it_value.tv_nsec = (long)(next_ns % CLOCK_NS_PER_S);
    }
    timerfd_settime(sim->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* Makes the steps that were asked for. The core fetches events before it believes what it knows, so
 * that a request that was sent after the signal sees the step. */
void call_make_steps(struct simulation *sim)
{
    struct signalfd_siginfo info;
    while (read(sim->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        timeline_step(&sim->world);
    }
}

/* Lets happen what is due, before any call looks. */
void call_tick(struct simulation *sim)
{
    uint64_t next_ns = timeline_next_ns(&sim->world);
    timeline_tick(&sim->world);
    if (timeline_next_ns(&sim->world) != next_ns) {
        call_arm_timer(sim);
    }
}

/* The scenario's fault for this call, if one is due. */
static const struct scenario_fault *due_fault(struct simulation *sim, const struct call *c)
{
    const struct scenario_fault *due = NULL;
    const struct guest *g = world_find(&sim->world, c->subject.domid);
    for (uint32_t i = 0; i < sim->scenario->fault_count; i++) {
        const struct scenario_fault *fault = &sim->scenario->faults[i];
        if (fault->operation != c->operation) {
            continue;
        }
        if (fault->domain != SCENARIO_NO_DOMAIN && (!g || g->spec_index != fault->domain)) {
            continue;
        }
        uint64_t n = ++sim->matches[i];
        if (n >= fault->first_call && n - fault->first_call < fault->call_count && !due) {
            due = fault;
        }
    }
    return due;
}

/* Begins every call: time, count, and a fault that makes it fail. */
int call_enter(struct backend *b, const struct call *c, const struct scenario_fault **fault,
               struct failure *f)
{
    b->calls += calls[c->operation].is_hypercall;
    call_tick(b->sim);
    *fault = due_fault(b->sim, c);
    if (*fault && (*fault)->effect == SCENARIO_FAIL) {
        return call_fail(c, (*fault)->errnum, f);
    }
    return 0;
}

/* Ends it: a fault that strikes afterwards. */
void call_leave(struct backend *b, const struct call *c, const struct scenario_fault *fault)
{
    struct guest *g = fault && fault->effect == SCENARIO_DIES
                          ? world_find(&b->sim->world, c->subject.domid)
                          : NULL;
    if (g) {
        world_destroy(&b->sim->world, g);
    }
    call_update_wake(b->sim);
}

void call_delay(struct simulation *sim, enum sim_moment moment)
{
    if (!sim->delays.after || !sim->scenario->clock_is_virtual) {
        return;
    }
    uint64_t by_ns = sim->delays.after(sim->delays.arg, moment, ++sim->moments[moment]);
    if (by_ns > 0) {
        timeline_advance(&sim->world, by_ns);
        call_update_wake(sim);
    }
}
