/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The backend of xenresd-mapper-sim: backend.h over a simulated host, with Xen's rules as XEN.md has
 * them, wrong ones included: mapping beyond what is in use makes a grant table grow, the first
 * acquire allocates ioreq pages, a mapping keeps a dead domain as a zombie. What a well-behaved
 * mapper must never cause is counted, and shown in the host's checks ("sim_ledger").
 */
#include "server/mapper/backend.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/layout.h"
#include "server/mapper/explain.h"
#include "server/mapper/sim/ledger.h"
#include "server/mapper/sim/world.h"

enum { MAPPING_FRAMES_MAX = 1 << 20 };  /* XENVM.md: mapping so many gives ENOMEM */

struct backend {
    struct scenario *scenario;
    struct world world;
    struct sim_ledger ledger;
    uint64_t calls;
    uint64_t matches[SCENARIO_FAULTS_MAX];  /* calls that each fault has counted */
    int epoll_fd, signal_fd, timer_fd, wake_fd;
};

struct mapping_handle {
    struct guest *guest;
    size_t len_bytes;
};

const char backend_argument_help[] = "what the simulated host has and does, see xenresd-scenario(5);"
                                     " without it, the built-in scenario";

static const char *const call_names[SCENARIO_OP_COUNT] = {
    [SCENARIO_OP_LIST] = "xc_domain_getinfolist",
    [SCENARIO_OP_FIND] = "xc_domain_getinfolist",
    [SCENARIO_OP_NAME] = "xs_read",
    [SCENARIO_OP_SIZE] = "xenforeignmemory_resource_size",
    [SCENARIO_OP_MAP] = "xenforeignmemory_map_resource",
    [SCENARIO_OP_VCPU_INFO] = "xc_vcpu_getinfo",
};

/* A call: what it is about, for faults and for words. */
struct call {
    enum scenario_operation operation;
    struct explain_subject subject;
};

static int fail(const struct call *c, int errnum, struct failure *f)
{
    return failure_xen(f, call_names[c->operation], errnum, &c->subject);
}

/* Wakes whoever polls, for as long as there is an event to fetch. */
static void update_wake(struct backend *b)
{
    uint64_t count;
    if (world_has_event(&b->world)) {
        count = 1;
        if (write(b->wake_fd, &count, sizeof(count)) < 0) assert(errno == EAGAIN);
    } else if (read(b->wake_fd, &count, sizeof(count)) < 0) {
        assert(errno == EAGAIN);
    }
}

static void arm_timer(struct backend *b)
{
    uint64_t next_ns = world_next_ns(&b->world);
    struct itimerspec at = { 0 };
    if (next_ns != UINT64_MAX) {
        at.it_value.tv_sec = (time_t)(next_ns / CLOCK_NS_PER_S);
        at.it_value.tv_nsec = (long)(next_ns % CLOCK_NS_PER_S);
    }
    timerfd_settime(b->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* Lets happen what is due, before any call looks. */
static void tick(struct backend *b)
{
    uint64_t now_ns = clock_monotonic_ns();
    struct signalfd_siginfo info;
    while (read(b->signal_fd, &info, sizeof(info)) == sizeof(info)) world_step(&b->world, now_ns);
    if (now_ns >= world_next_ns(&b->world)) {
        world_tick(&b->world, now_ns);
        arm_timer(b);
    } else if (b->scenario->event_count > 0) {
        world_tick(&b->world, now_ns);      /* a number may have become free */
    }
}

/* The scenario's fault for this call, if one is due. */
static const struct scenario_fault *due_fault(struct backend *b, const struct call *c)
{
    const struct scenario_fault *due = NULL;
    const struct guest *g = world_find(&b->world, c->subject.domid);
    for (uint32_t i = 0; i < b->scenario->fault_count; i++) {
        const struct scenario_fault *fault = &b->scenario->faults[i];
        if (fault->operation != c->operation) continue;
        if (fault->domain != SCENARIO_NO_DOMAIN && (!g || g->spec_index != fault->domain)) continue;
        uint64_t n = ++b->matches[i];
        if (n >= fault->first_call && n - fault->first_call < fault->call_count && !due) due = fault;
    }
    return due;
}

/* Begins every call: time, count, and a fault that makes it fail. */
static int enter(struct backend *b, const struct call *c, const struct scenario_fault **fault,
                 struct failure *f)
{
    b->calls++;
    tick(b);
    *fault = due_fault(b, c);
    if (*fault && (*fault)->effect == SCENARIO_FAIL) return fail(c, (*fault)->errnum, f);
    return 0;
}

/* Ends it: a fault that strikes afterwards. */
static void leave(struct backend *b, const struct call *c, const struct scenario_fault *fault)
{
    struct guest *g = fault && fault->effect == SCENARIO_DIES ? world_find(&b->world, c->subject.domid)
                                                             : NULL;
    if (g) world_destroy(&b->world, g);
    update_wake(b);
}

/* --- domains ----------------------------------------------------------------------------------- */

static void fill_domain(struct guest *g, struct backend_domain *out)
{
    guest_advance(g, clock_monotonic_ns());
    *out = (struct backend_domain){
        .domid = g->domid, .dying = g->dying, .type = g->spec->type, .state = g->state,
        .online_vcpus = g->dying ? 0 : g->spec->vcpus, .max_vcpus = g->spec->max_vcpus,
        .memory_kib = g->dying ? 0 : g->spec->memory_mib * 1024, .cpu_time_ns = g->cpu_time_ns,
    };
    memcpy(out->uuid, g->spec->uuid, sizeof(out->uuid));
}

static int sim_list(struct backend *b, uint16_t first_domid, struct backend_domain *out, uint32_t max,
                    uint32_t *count, struct failure *f)
{
    const struct call c = { SCENARIO_OP_LIST, { .domid = EXPLAIN_NO_DOMAIN,
                                                .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    int result = enter(b, &c, &fault, f);
    if (result < 0) return result;
    uint32_t found = 0;
    for (uint32_t i = 0; i < b->world.guest_count && found < max; i++) {
        if (b->world.guests[i]->domid >= first_domid) fill_domain(b->world.guests[i], &out[found++]);
    }
    *count = found;
    leave(b, &c, fault);
    return 0;
}

static int sim_find(struct backend *b, uint16_t domid, struct backend_domain *out,
                    struct failure *f)
{
    const struct call c = { SCENARIO_OP_FIND, { .domid = domid, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    int result = enter(b, &c, &fault, f);
    if (result < 0) return result;
    struct guest *g = world_find(&b->world, domid);
    if (!g) return fail(&c, ESRCH, f);
    fill_domain(g, out);
    leave(b, &c, fault);
    return 0;
}

static int sim_domain_name(struct backend *b, uint16_t domid, char out[MESSAGE_NAME_BYTES],
                           bool *cut, struct failure *f)
{
    const struct call c = { SCENARIO_OP_NAME, { .domid = domid, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    int result = enter(b, &c, &fault, f);
    if (result < 0) return result;
    const struct guest *g = world_find(&b->world, domid);
    memset(out, 0, MESSAGE_NAME_BYTES);
    if (g) memcpy(out, g->name, strlen(g->name));
    *cut = false;
    leave(b, &c, fault);
    return 0;
}

/* --- resources --------------------------------------------------------------------------------- */

static int check_domain(struct backend *b, const struct call *c, struct guest **out,
                        struct failure *f)
{
    if (c->subject.domid == 0) return fail(c, EPERM, f);    /* our own */
    struct guest *g = world_find(&b->world, c->subject.domid);
    if (!g) return fail(c, ESRCH, f);
    guest_advance(g, clock_monotonic_ns());
    *out = g;
    return 0;
}

static int resource_size(const struct call *c, const struct guest *g, struct backend_size *out,
                         struct failure *f)
{
    struct backend_size size = { 0 };
    uint32_t first;
    switch (c->subject.type) {
    case RESOURCE_GRANT_TABLE:
        size.grant_version = g->grant_version;
        size.frames_in_use = g->grant_frames;
        size.frames_max = g->spec->grant_frames_max;
        if (c->subject.id > GRANT_TABLE_STATUS) return fail(c, EINVAL, f);
        if (c->subject.id == GRANT_TABLE_SHARED) break;
        if (g->grant_version != 2) return fail(c, EINVAL, f);
        layout_status_range(0, g->grant_frames, &first, &size.frames_in_use);
        layout_status_range(0, g->spec->grant_frames_max, &first, &size.frames_max);
        break;
    case RESOURCE_IOREQ_SERVER:     /* whether the server exists or not */
        if (g->spec->type == DOMAIN_PV) return fail(c, EINVAL, f);
        size.frames_in_use = size.frames_max = 1 + (g->spec->max_vcpus * LAYOUT_IOREQ_BYTES +
                                                    LAYOUT_FRAME_BYTES - 1) / LAYOUT_FRAME_BYTES;
        break;
    case RESOURCE_VMTRACE_BUF:      /* the vCPU is not looked at */
        if (g->spec->vmtrace_kib == 0) return fail(c, EINVAL, f);
        size.frames_in_use = size.frames_max = g->spec->vmtrace_kib / 4;
        break;
    case RESOURCE_VCPU_STATS:
        if (!g->stats.memory) return fail(c, EOPNOTSUPP, f);
        size.frames_in_use = size.frames_max = g->stats.frame_count;
        break;
    default:
        return fail(c, EOPNOTSUPP, f);
    }
    *out = size;
    return 0;
}

static int sim_size(struct backend *b, uint16_t domid, uint32_t type, uint32_t id,
                    struct backend_size *out, struct failure *f)
{
    const struct call c = { SCENARIO_OP_SIZE, { .domid = domid, .type = (int32_t)type, .id = id } };
    const struct scenario_fault *fault;
    struct guest *g;
    int result = enter(b, &c, &fault, f);
    if (result == 0) result = check_domain(b, &c, &g, f);
    if (result == 0) result = resource_size(&c, g, out, f);
    if (result < 0) return result;
    if (fault && fault->effect == SCENARIO_WRONG_SIZE) {
        out->frames_in_use = out->frames_max = fault->value;
    }
    leave(b, &c, fault);
    return 0;
}

/* As gnttab_acquire_resource(): more than is in use makes the table grow, up to its maximum. */
static int grant_pages(struct backend *b, const struct call *c, struct guest *g, uint64_t end,
                       const struct pages **out, struct failure *f)
{
    if (c->subject.id > GRANT_TABLE_STATUS) return fail(c, EINVAL, f);
    bool status = c->subject.id == GRANT_TABLE_STATUS;
    if (status && g->grant_version != 2) return fail(c, EINVAL, f);
    const struct pages *p = status ? &g->status : &g->grants;
    if (end > p->frame_count) return fail(c, EINVAL, f);
    uint64_t needed = status ? end * 8 : end;
    if (needed > g->spec->grant_frames_max) needed = g->spec->grant_frames_max;
    uint32_t first, in_use = g->grant_frames;
    if (status) layout_status_range(0, g->grant_frames, &first, &in_use);
    if (end > in_use) {
        b->ledger.grant_tables_grown++;
        g->grant_frames = (uint32_t)needed;
    }
    *out = p;
    return 0;
}

static int ioreq_pages(struct backend *b, const struct call *c, struct guest *g, uint64_t end,
                       const struct pages **out, struct failure *f)
{
    uint32_t id = c->subject.id;
    if (g->spec->type == DOMAIN_PV) return fail(c, EINVAL, f);
    if (g->dying || id >= SCENARIO_IOREQ_SERVERS_MAX || !g->spec->ioreq[id].exists) {
        return fail(c, ENOENT, f);
    }
    if (g->spec->ioreq[id].in_stub_domain) return fail(c, EPERM, f);
    if (end > 2) return fail(c, EINVAL, f);
    bool allocated;
    int result = guest_ioreq_pages(g, id, &allocated, f);   /* both, whichever is asked for */
    if (result < 0) return result;
    if (allocated) b->ledger.ioreq_allocations++;
    if (c->subject.first_frame == 0 && !g->spec->ioreq[id].buffered) return fail(c, ENOENT, f);
    *out = &g->ioreq[id];
    return 0;
}

/* Which pages the call means; *skip: frames of `out` before the resource's own first one. */
static int resource_pages(struct backend *b, const struct call *c, struct guest *g,
                          const struct pages **out, uint32_t *skip, struct failure *f)
{
    const struct explain_subject *s = &c->subject;
    uint64_t end = (uint64_t)s->first_frame + s->frame_count;
    *skip = 0;
    if (s->frame_count >= MAPPING_FRAMES_MAX) return fail(c, ENOMEM, f);
    switch (s->type) {
    case RESOURCE_GRANT_TABLE: return grant_pages(b, c, g, end, out, f);
    case RESOURCE_IOREQ_SERVER: return ioreq_pages(b, c, g, end, out, f);
    case RESOURCE_VMTRACE_BUF:
        if (g->dying || g->spec->vmtrace_kib == 0) return fail(c, EINVAL, f);
        if (s->id >= g->spec->max_vcpus) return fail(c, ENOENT, f);
        if (end > g->spec->vmtrace_kib / 4) return fail(c, EINVAL, f);
        *skip = s->id * (g->spec->vmtrace_kib / 4);
        *out = &g->vmtrace;
        return 0;
    case RESOURCE_VCPU_STATS:
        if (!g->stats.memory) return fail(c, EOPNOTSUPP, f);
        if (end > g->stats.frame_count) return fail(c, EINVAL, f);
        *out = &g->stats;
        return 0;
    default: return fail(c, EOPNOTSUPP, f);
    }
}

static int map_pages(struct backend *b, const struct call *c, struct guest *g,
                     struct backend_mapping *out, struct failure *f)
{
    const struct pages *p = NULL;
    uint32_t skip;
    int result = resource_pages(b, c, g, &p, &skip, f);
    if (result < 0) return result;
    struct mapping_handle *handle = malloc(sizeof(*handle));
    void *memory = handle ? pages_map(p, skip + c->subject.first_frame, c->subject.frame_count) : NULL;
    if (!memory) {
        free(handle);
        return fail(c, ENOMEM, f);
    }
    *handle = (struct mapping_handle){
        .guest = g, .len_bytes = (size_t)c->subject.frame_count * LAYOUT_FRAME_BYTES,
    };
    g->mappings++;
    b->ledger.live_mappings++;
    if (c->subject.type == RESOURCE_GRANT_TABLE && c->subject.id == GRANT_TABLE_STATUS) {
        b->ledger.status_maps++;
    }
    *out = (struct backend_mapping){ .address = memory, .frame_count = c->subject.frame_count,
                                     .handle = handle };
    return 0;
}

static int sim_map(struct backend *b, uint16_t domid, uint32_t type, uint32_t id,
                   uint32_t first_frame, uint32_t frame_count, struct backend_mapping *out,
                   struct failure *f)
{
    const struct call c = { SCENARIO_OP_MAP, { .domid = domid, .type = (int32_t)type, .id = id,
                                               .first_frame = first_frame,
                                               .frame_count = frame_count } };
    const struct scenario_fault *fault;
    struct guest *g;
    assert(frame_count > 0);    /* the core's promise */
    int result = enter(b, &c, &fault, f);
    if (result == 0) result = check_domain(b, &c, &g, f);
    if (result == 0) result = map_pages(b, &c, g, out, f);
    if (result < 0) return result;
    b->ledger.maps++;
    if (fault && fault->effect == SCENARIO_PAGES_LOST) guest_lose_pages(g);
    leave(b, &c, fault);
    return 0;
}

static void sim_unmap(struct backend *b, struct backend_mapping *mapping)
{
    struct mapping_handle *handle = mapping->handle;
    b->calls++;
    b->ledger.live_mappings--;
    munmap((void *)(uintptr_t)mapping->address, handle->len_bytes);
    world_unmapped(&b->world, handle->guest);
    free(handle);
    *mapping = (struct backend_mapping){ 0 };
    update_wake(b);
}

static int sim_vcpu_info(struct backend *b, uint16_t domid, struct message_vcpu *out, uint32_t max,
                         uint32_t *count, struct failure *f)
{
    const struct call c = { SCENARIO_OP_VCPU_INFO, { .domid = domid, .type = RESOURCE_VCPU_STATS } };
    const struct scenario_fault *fault;
    int result = enter(b, &c, &fault, f);
    if (result < 0) return result;
    struct guest *g = world_find(&b->world, domid);
    if (!g) return fail(&c, ESRCH, f);
    guest_advance(g, clock_monotonic_ns());
    uint32_t vcpus = g->spec->max_vcpus < max ? g->spec->max_vcpus : max;
    for (uint32_t i = 0; i < vcpus; i++) {
        out[i] = (struct message_vcpu){ .vcpu = i, .flags = i < g->spec->vcpus ? VCPU_ONLINE : 0,
                                        .run_time_ns = guest_vcpu_time_ns(g, i) };
    }
    b->calls += vcpus;
    *count = vcpus;
    leave(b, &c, fault);
    return 0;
}

/* --- events ------------------------------------------------------------------------------------ */

static int sim_event_fd(struct backend *b)
{
    return b->epoll_fd;
}

static bool sim_next_event(struct backend *b, unsigned *events, uint16_t *domid)
{
    tick(b);
    bool found = world_next_event(&b->world, events, domid);
    if (!found) update_wake(b);
    return found;
}

static void sim_watch_name(struct backend *b, uint16_t domid)
{
    b->world.name_watched[domid] = true;
}

static void sim_unwatch_name(struct backend *b, uint16_t domid)
{
    b->world.name_watched[domid] = false;
}

static uint64_t sim_hypercalls(struct backend *b)
{
    return b->calls;
}

/* --- host, start and stop ---------------------------------------------------------------------- */

struct sim_ledger sim_ledger(const struct backend *b)
{
    struct sim_ledger ledger = b->ledger;
    for (uint32_t i = 0; i < b->world.guest_count; i++) ledger.zombies += b->world.guests[i]->dying;
    return ledger;
}

static void read_boot_id(char *out, size_t out_bytes)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, out_bytes - 1) : -1;
    if (fd >= 0) close(fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static void sim_host(struct backend *b, struct message_host_answer *out)
{
    const struct scenario_host *host = &b->scenario->host;
    tick(b);
    memset(out, 0, sizeof(*out));
    memcpy(out->uuid, host->uuid, sizeof(out->uuid));
    snprintf(out->uuid_source, sizeof(out->uuid_source), "scenario");
    read_boot_id(out->boot_id, UUID_TEXT_BYTES);
    snprintf(out->xen_version, sizeof(out->xen_version), "%s", host->xen_version);
    snprintf(out->guest_abis, sizeof(out->guest_abis),
             "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64");
    out->capabilities = HOST_CAN_HVM | HOST_CAN_PV | HOST_CAN_HAP | HOST_CAN_SHADOW;
    uint64_t used_mib = 0;
    for (uint32_t i = 0; i < b->world.guest_count; i++) {
        used_mib += b->world.guests[i]->spec->memory_mib;
        if (b->world.guests[i]->vmtrace.memory) out->capabilities |= HOST_CAN_VMTRACE;
    }
    out->cpu_count = host->cpus;
    out->total_memory_kib = host->memory_mib * 1024;
    out->free_memory_kib = used_mib < host->memory_mib ? (host->memory_mib - used_mib) * 1024 : 0;
    out->monotonic_ns = clock_monotonic_ns();
    out->wall_ns = clock_wall_ns();
    struct sim_ledger l = sim_ledger(b);
    struct message_check_row *row = &out->checks[out->check_count++];
    snprintf(row->name, sizeof(row->name), "sim_ledger");
    row->ok = l.grant_tables_grown == 0 && l.zombies == 0;
    snprintf(row->detail, sizeof(row->detail),
             "simulated: grant tables grown %llu, ioreq pages allocated %llu, maps %llu, status maps"
             " %llu, live mappings %llu, zombies %llu, steps %u",
             (unsigned long long)l.grant_tables_grown, (unsigned long long)l.ioreq_allocations,
             (unsigned long long)l.maps, (unsigned long long)l.status_maps,
             (unsigned long long)l.live_mappings, (unsigned long long)l.zombies, b->world.steps);
}

static void sim_close(struct backend *b)
{
    if (!b) return;
    world_done(&b->world);
    scenario_free(b->scenario);
    const int fds[] = { b->epoll_fd, b->signal_fd, b->timer_fd, b->wake_fd };
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) close(fds[i]);
    }
    free(b);
}

/* One descriptor to poll, for steps, times, and events that calls have caused. */
static int open_events(struct backend *b, struct failure *f)
{
    sigset_t step;
    sigemptyset(&step);
    sigaddset(&step, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &step, NULL) == 0) {
        b->signal_fd = signalfd(-1, &step, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    b->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    const int fds[] = { b->signal_fd, b->timer_fd, b->wake_fd };
    bool added = true;
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]) && added; i++) {
        struct epoll_event event = { .events = EPOLLIN };
        added = epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, fds[i], &event) == 0;
    }
    if (added) return 0;
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no descriptors for the simulation");
    return failure_call(f, result, "epoll_ctl", errno);
}

int backend_open(const char *argument, struct backend **out, struct failure *f)
{
    struct backend *b = calloc(1, sizeof(*b));
    if (!b) return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the simulation");
    b->epoll_fd = b->signal_fd = b->timer_fd = b->wake_fd = -1;
    int result = scenario_load(argument, &b->scenario, f);
    if (result == 0) result = open_events(b, f);
    if (result == 0) result = world_init(&b->world, b->scenario, clock_monotonic_ns(), f);
    if (result < 0) {
        sim_close(b);
        return result;
    }
    arm_timer(b);
    update_wake(b);
    *out = b;
    return 0;
}

static const struct backend_ops ops = {
    .name = "sim", .host = sim_host, .list = sim_list, .find = sim_find,
    .domain_name = sim_domain_name, .size = sim_size, .map = sim_map, .unmap = sim_unmap,
    .vcpu_info = sim_vcpu_info, .event_fd = sim_event_fd, .next_event = sim_next_event,
    .watch_name = sim_watch_name, .unwatch_name = sim_unwatch_name, .hypercalls = sim_hypercalls,
    .close = sim_close,
};
const struct backend_ops *const backend_ops = &ops;
