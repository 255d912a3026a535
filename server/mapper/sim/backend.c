/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The backend of xenresd-mapper-sim: backend.h over a simulated host, with Xen's rules, the
 * unpleasant ones included: mapping beyond what is in use makes a grant table grow, the first
 * acquire allocates ioreq pages, a mapping keeps a dead domain as a zombie. What a well-behaved
 * mapper must never cause is counted, and shown in the host's checks ("sim_ledger").
 */
#include "server/mapper/backend.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/mapper/sim/call.h"
#include "server/mapper/sim/event.h"
#include "server/mapper/sim/host.h"
#include "server/mapper/sim/resource.h"
#include "server/mapper/sim/timeline.h"
#include "server/mapper/sim/truth.h"
#include "server/mapper/sim/vmtrace.h"

const char backend_argument_help[] =
    "what the simulated host has and does, see xenresd-scenario(5);"
    " without it, the built-in scenario";

/* --- domains ----------------------------------------------------------------------------------- */

static void fill_domain(struct backend *b, struct guest *g, struct backend_domain *out)
{
    world_look(&b->sim->world, g);
    *out = (struct backend_domain){
        .domid = g->domid,
        .dying = g->dying,
        .type = g->spec->type,
        .state = g->state,
        .shutdown_code = g->shutdown_code,
        .online_vcpus = g->dying ? 0 : g->spec->vcpus,
        .max_vcpus = g->spec->max_vcpus,
        .memory_kib = g->dying ? 0 : g->spec->memory_mib * 1024,
        .cpu_time_ns = g->cpu_time_ns,
    };
    memcpy(out->uuid, g->uuid, sizeof(out->uuid));
}

static int sim_list(struct backend *b, uint16_t first_domid, struct backend_domain *out,
                    uint32_t max, uint32_t *count, struct failure *f)
{
    const struct call c = { SCENARIO_OP_LIST,
                            { .domid = EXPLAIN_NO_DOMAIN, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    CALL_LOCKED(b);
    int result = call_enter(b, &c, &fault, f);
    if (result < 0) {
        return result;
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < b->sim->world.guest_count && found < max; i++) {
        if (b->sim->world.guests[i]->domid >= first_domid) {
            fill_domain(b, b->sim->world.guests[i], &out[found++]);
        }
    }
    *count = found;
    call_leave(b, &c, fault);
    return 0;
}

static int sim_find(struct backend *b, uint16_t domid, struct backend_domain *out,
                    struct failure *f)
{
    const struct call c = { SCENARIO_OP_FIND, { .domid = domid, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    CALL_LOCKED(b);
    int result = call_enter(b, &c, &fault, f);
    if (result < 0) {
        return result;
    }
    struct guest *g = world_find(&b->sim->world, domid);
    if (!g) {
        return call_fail(&c, ESRCH, f);
    }
    fill_domain(b, g, out);
    call_leave(b, &c, fault);
    return 0;
}

static int sim_domain_name(struct backend *b, uint16_t domid, char out[MESSAGE_NAME_BYTES],
                           bool *cut, struct failure *f)
{
    const struct call c = { SCENARIO_OP_NAME, { .domid = domid, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    CALL_LOCKED(b);
    int result = call_enter(b, &c, &fault, f);
    if (result < 0) {
        return result;
    }
    const struct guest *g = world_find(&b->sim->world, domid);
    memset(out, 0, MESSAGE_NAME_BYTES);
    if (g) {
        memcpy(out, g->name, strlen(g->name));
    }
    *cut = false;
    call_leave(b, &c, fault);
    return 0;
}

static int sim_domain_tags(struct backend *b, uint16_t domid, struct backend_tags *out,
                           struct failure *f)
{
    const struct call c = { SCENARIO_OP_TAGS, { .domid = domid, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    CALL_LOCKED(b);
    int result = call_enter(b, &c, &fault, f);
    if (result < 0) {
        return result;
    }
    const struct guest *g = world_find(&b->sim->world, domid);
    memset(out, 0, sizeof(*out));
    if (g) {
        *out = g->tags;
    }
    call_leave(b, &c, fault);
    return 0;
}

static int sim_vcpu_info(struct backend *b, uint16_t domid, struct message_vcpu *out, uint32_t max,
                         uint32_t *count, struct failure *f)
{
    const struct call c = { SCENARIO_OP_VCPU_INFO,
                            { .domid = domid, .type = RESOURCE_VCPU_STATS } };
    const struct scenario_fault *fault;
    CALL_LOCKED(b);
    int result = call_enter(b, &c, &fault, f);
    if (result < 0) {
        return result;
    }
    struct guest *g = world_find(&b->sim->world, domid);
    if (!g) {
        return call_fail(&c, ESRCH, f);
    }
    world_look(&b->sim->world, g);
    uint32_t vcpus = g->spec->max_vcpus < max ? g->spec->max_vcpus : max;
    for (uint32_t i = 0; i < vcpus; i++) {
        out[i] = (struct message_vcpu){ .vcpu = i,
                                        .flags = i < g->spec->vcpus ? VCPU_ONLINE : 0,
                                        .run_time_ns = guest_vcpu_time_ns(g, i) };
    }
    b->calls += vcpus;
    *count = vcpus;
    call_leave(b, &c, fault);
    return 0;
}

static int sim_event_fd(struct backend *b)
{
    return b->sim->epoll_fd;
}

static uint64_t sim_hypercalls(struct backend *b)
{
    return b->calls;
}

/* --- start and stop ---------------------------------------------------------------------------- */

static void free_simulation(struct simulation *sim)
{
    const int fds[] = { sim->epoll_fd, sim->signal_fd, sim->timer_fd, sim->wake_fd };
    timeline_end(&sim->world);
    world_done(&sim->world);
    scenario_free(sim->scenario);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    pthread_mutex_destroy(&sim->lock);
    free(sim);
}

static void sim_close(struct backend *b)
{
    if (!b) {
        return;
    }
    pthread_mutex_lock(&b->sim->lock);
    bool is_last = --b->sim->handle_count == 0;
    pthread_mutex_unlock(&b->sim->lock);
    if (is_last) {
        free_simulation(b->sim);
    }
    free(b);
}

/* One descriptor to poll, for steps, times, and events that calls have caused. */
static int open_events(struct simulation *sim, struct failure *f)
{
    sigset_t step;
    sigemptyset(&step);
    sigaddset(&step, SIGUSR1);
    if (pthread_sigmask(SIG_BLOCK, &step, NULL) == 0) { /* samplers' threads inherit it */
        sim->signal_fd = signalfd(-1, &step, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    sim->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    sim->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sim->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    const int fds[] = { sim->signal_fd, sim->timer_fd, sim->wake_fd };
    bool added = true;
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]) && added; i++) {
        struct epoll_event event = { .events = EPOLLIN };
        added = epoll_ctl(sim->epoll_fd, EPOLL_CTL_ADD, fds[i], &event) == 0;
    }
    if (added) {
        return 0;
    }
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no descriptors for the simulation");
    return failure_call(f, result, "epoll_ctl", errno);
}

static int no_memory(struct failure *f)
{
    return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the simulation");
}

/* Takes the scenario. */
static int open_simulation(struct scenario *scenario, struct backend **out, struct failure *f)
{
    struct backend *b = calloc(1, sizeof(*b));
    struct simulation *sim = calloc(1, sizeof(*sim));
    if (!b || !sim || pthread_mutex_init(&sim->lock, NULL) != 0) {
        free(b);
        free(sim);
        scenario_free(scenario);
        return no_memory(f);
    }
    b->sim = sim;
    sim->handle_count = 1;
    sim->scenario = scenario;
    sim->epoll_fd = sim->signal_fd = sim->timer_fd = sim->wake_fd = -1;
    int result = open_events(sim, f);
    if (result == 0) {
        result = world_init(&sim->world, scenario, f);
    }
    if (result < 0) {
        sim_close(b);
        return result;
    }
    timeline_begin(&sim->world);
    call_arm_timer(sim);
    call_update_wake(sim);
    *out = b;
    return 0;
}

int backend_open(const char *argument, struct backend **out, struct failure *f)
{
    struct scenario *scenario = NULL;
    int result = scenario_load(argument, &scenario, f);
    return result < 0 ? result : open_simulation(scenario, out, f);
}

int sim_open(const char *text, struct backend **out, struct failure *f)
{
    struct scenario *scenario = NULL;
    int result = scenario_parse(text, "scenario", &scenario, f);
    return result < 0 ? result : open_simulation(scenario, out, f);
}

static int sim_open_sampler(struct backend *parent, struct backend **child, struct failure *f)
{
    struct backend *b = calloc(1, sizeof(*b));
    if (!b) {
        return no_memory(f);
    }
    CALL_LOCKED(parent);
    parent->sim->handle_count++;
    b->sim = parent->sim;
    *child = b;
    return 0;
}

static const struct backend_ops ops = {
    .name = "sim",
    .host = host_describe,
    .list = sim_list,
    .find = sim_find,
    .domain_name = sim_domain_name,
    .domain_tags = sim_domain_tags,
    .size = resource_size,
    .map = resource_map,
    .unmap = resource_unmap,
    .vcpu_info = sim_vcpu_info,
    .vmtrace = vmtrace_call,
    .trace_facts = vmtrace_facts,
    .tsc = vmtrace_tsc,
    .event_fd = sim_event_fd,
    .next_event = event_next,
    .watch_name = event_watch_name,
    .unwatch_name = event_unwatch_name,
    .hypercalls = sim_hypercalls,
    .pauses = vmtrace_pauses,
    .open_sampler = sim_open_sampler,
    .close = sim_close,
};
const struct backend_ops *const backend_ops = &ops;
