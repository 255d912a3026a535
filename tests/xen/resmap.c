// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors

/*
 * The ground truth of the tests on a real Xen: a small program in dom0 that asks the hypervisor directly, through Xen's
 * own libraries and nothing of the gateway's. Each subcommand does one thing and says what came of it; it decides
 * nothing, and lets every odd argument through. One process, one thread; what it makes in the hypervisor goes with it,
 * except an ioreq server after a kill -9, which stays, as Xen keeps it.
 */

#define _GNU_SOURCE
#include <poll.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <time.h>

#include "command.h"

#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xen/grant_table.h>
#include <xen/hvm/ioreq.h>

#define FRAME_BYTES  4096UL
#define DOMAINS_MAX  64
#define WAIT_STEP_MS 5

// domains ------------------------------------------------------------------------------------------------------------

static void print_domain(const xc_domaininfo_t *info)
{
    const xen_domain_handle_t *uuid = &info->handle;

    printf("%u kind=%s dying=%d paused=%d shutdown=%d pages=%lu uuid=", info->domain,
           info->flags & XEN_DOMINF_hvm_guest ? "hvm" : "pv", !!(info->flags & XEN_DOMINF_dying),
           !!(info->flags & XEN_DOMINF_paused), !!(info->flags & XEN_DOMINF_shutdown),
           (unsigned long)info->tot_pages);
    for (size_t i = 0; i < sizeof *uuid; i++) {
        printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", (*uuid)[i]);
    }
    putchar('\n');
}

static int domains(char **args)
{
    static xc_domaininfo_t info[DOMAINS_MAX];
    int count = xc_domain_getinfolist(xc, 0, DOMAINS_MAX, info);

    (void)args;
    if (count < 0) {
        return fail("xc_domain_getinfolist");
    }
    for (int i = 0; i < count; i++) {
        print_domain(&info[i]);
    }
    return OK;
}

static bool is_listed(domid_t domain)
{
    xc_domaininfo_t info;

    return xc_domain_getinfolist(xc, domain, 1, &info) == 1 && info.domain == domain;
}

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Asks in small steps rather than waiting for xenstore's @releaseDomain: that is what the gateway relies on.
static int gone(char **args)
{
    domid_t domain = domain_number(args[0]);
    long start_ms = now_ms();
    long limit_ms = (long)number(args[1]);

    while (is_listed(domain)) {
        if (now_ms() - start_ms >= limit_ms) {
            fprintf(stderr, "domain %u is still there after %ld ms\n", domain, limit_ms);
            return FAILED;
        }
        poll(NULL, 0, WAIT_STEP_MS);
    }
    printf("gone after %ld ms\n", now_ms() - start_ms);
    return OK;
}

static int vcpus(char **args)
{
    xc_domaininfo_t domain;
    domid_t number = domain_number(args[0]);

    if (xc_domain_getinfolist(xc, number, 1, &domain) != 1 || domain.domain != number) {
        return fail("xc_domain_getinfolist");
    }
    for (uint32_t vcpu = 0; vcpu <= domain.max_vcpu_id; vcpu++) {
        xc_vcpuinfo_t info;

        if (xc_vcpu_getinfo(xc, number, vcpu, &info)) {
            return fail("xc_vcpu_getinfo");
        }
        printf("vcpu=%u online=%d run_time_ns=%lu\n", vcpu, info.online,
               (unsigned long)info.cpu_time);
    }
    return OK;
}

static int pause_domain(char **args)
{
    return xc_domain_pause(xc, domain_number(args[0])) ? fail("xc_domain_pause") : OK;
}

static int unpause_domain(char **args)
{
    return xc_domain_unpause(xc, domain_number(args[0])) ? fail("xc_domain_unpause") : OK;
}

// frames -------------------------------------------------------------------------------------------------------------

static int grants(char **args)
{
    struct gnttab_query_size query = { .dom = domain_number(args[0]) };
    int version;

    if (xc_gnttab_query_size(xc, &query)) {
        return fail("xc_gnttab_query_size");
    }
    if (query.status != GNTST_okay) {
        fprintf(stderr, "xc_gnttab_query_size: status %d\n", query.status);
        return FAILED;
    }
    version = xc_gnttab_get_version(xc, query.dom);
    if (version < 0) {
        return fail("xc_gnttab_get_version");
    }
    printf("frames=%u max=%u version=%d\n", query.nr_frames, query.max_nr_frames, version);
    return OK;
}

static int size(char **args)
{
    size_t bytes;

    if (xenforeignmemory_resource_size(memory, domain_number(args[0]), (unsigned)number(args[1]),
                                       (unsigned)number(args[2]), &bytes)) {
        return fail("xenforeignmemory_resource_size");
    }
    printf("frames=%zu\n", bytes / FRAME_BYTES);
    return OK;
}

// Maps what args say: DOMAIN TYPE ID FIRST COUNT. NULL when Xen refuses, with the reason printed.
static xenforeignmemory_resource_handle *map(char **args, void **frames)
{
    xenforeignmemory_resource_handle *mapping;

    *frames = NULL;
    mapping = xenforeignmemory_map_resource(memory, domain_number(args[0]),
                                            (unsigned)number(args[1]), (unsigned)number(args[2]),
                                            number(args[3]), number(args[4]), frames, PROT_READ, 0);
    if (!mapping) {
        fail("xenforeignmemory_map_resource");
    }
    return mapping;
}

// Writes through a private copy: many files cannot be written to straight from such a mapping (EFAULT).
static int copy(char **args)
{
    size_t bytes = number(args[4]) * FRAME_BYTES;
    void *frames;
    void *copied;
    xenforeignmemory_resource_handle *mapping = map(args, &frames);
    int status = OK;

    if (!mapping) {
        return FAILED;
    }
    copied = malloc(bytes);
    if (!copied) {
        return fail("malloc");
    }
    if (frames) { // a map of no frames succeeds without an address
        memcpy(copied, frames, bytes);
    }
    if (fwrite(copied, 1, bytes, stdout) != bytes || fflush(stdout)) {
        status = fail("write");
    }
    free(copied);
    xenforeignmemory_unmap_resource(memory, mapping);
    return status;
}

static int hold(char **args)
{
    struct pollfd end = { .fd = termination_fd(), .events = POLLIN };
    void *frames;
    xenforeignmemory_resource_handle *mapping = map(args, &frames);

    if (!mapping) {
        return FAILED;
    }
    printf("holding\n");
    fflush(stdout);
    while (poll(&end, 1, -1) < 0 && errno == EINTR)
        ;
    xenforeignmemory_unmap_resource(memory, mapping);
    return OK;
}

// ioreq --------------------------------------------------------------------------------------------------------------

struct server {
    xendevicemodel_handle *model;
    xenevtchn_handle *events;
    domid_t domain;
    ioservid_t id;
    bool is_created;  // else id says nothing, and 0 may be a device model's
    ioreq_t *request; // of vCPU 0, in the mapped ioreq page
    evtchn_port_t local_port;
    unsigned long answers_left;
};

// Makes the server and lets it take the 8 io ports from PORT on. The test's guests have one vCPU.
static int server_open(struct server *server, domid_t domain, unsigned long port)
{
    void *page = NULL;
    xenevtchn_port_or_error_t local_port;

    server->domain = domain;
    server->model = xendevicemodel_open(NULL, 0);
    server->events = xenevtchn_open(NULL, 0);
    if (!server->model || !server->events) {
        return fail("open");
    }
    if (xendevicemodel_create_ioreq_server(server->model, domain, HVM_IOREQSRV_BUFIOREQ_ATOMIC,
                                           &server->id)) {
        return fail("xendevicemodel_create_ioreq_server");
    }
    server->is_created = true;
    if (!xenforeignmemory_map_resource(memory, domain, XENMEM_resource_ioreq_server, server->id,
                                       XENMEM_resource_ioreq_server_frame_ioreq(0), 1, &page,
                                       PROT_READ | PROT_WRITE, 0)) {
        return fail("xenforeignmemory_map_resource");
    }
    if (xendevicemodel_map_io_range_to_ioreq_server(server->model, domain, server->id, 0, port,
                                                    port + 7) ||
        xendevicemodel_set_ioreq_server_state(server->model, domain, server->id, 1)) {
        return fail("xendevicemodel_map_io_range_to_ioreq_server");
    }
    server->request = &((shared_iopage_t *)page)->vcpu_ioreq[0];
    local_port = xenevtchn_bind_interdomain(server->events, domain, server->request->vp_eport);
    if (local_port < 0) {
        return fail("xenevtchn_bind_interdomain");
    }
    server->local_port = (evtchn_port_t)local_port;
    return OK;
}

// Answers a read with 0xa5 in every byte. The states are the protocol with Xen: only READY is ours to take.
static int server_answer(struct server *server)
{
    ioreq_t *request = server->request;

    if (request->state != STATE_IOREQ_READY) {
        return OK;
    }
    if (server->answers_left == 0) {
        printf("left unanswered: addr=%#lx size=%u dir=%u type=%u\n", (unsigned long)request->addr,
               request->size, request->dir, request->type);
        fflush(stdout);
        return OK;
    }
    server->answers_left--;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    request->state = STATE_IOREQ_INPROCESS;
    if (request->dir == IOREQ_READ && !request->data_is_ptr) {
        request->data = 0xa5a5a5a5;
    }
    __atomic_thread_fence(__ATOMIC_RELEASE);
    request->state = STATE_IORESP_READY;
    return xenevtchn_notify(server->events, server->local_port) ? fail("xenevtchn_notify") : OK;
}

static int server_run(struct server *server)
{
    struct pollfd wait[] = { { .fd = termination_fd(), .events = POLLIN },
                             { .fd = xenevtchn_fd(server->events), .events = POLLIN } };

    // A request may have come before the event channel was bound.
    if (server_answer(server)) {
        return FAILED;
    }
    while (poll(wait, 2, -1) >= 0 || errno == EINTR) {
        xenevtchn_port_or_error_t port;

        if (wait[0].revents) {
            return OK;
        }
        if (!wait[1].revents) {
            continue;
        }
        port = xenevtchn_pending(server->events);
        if (port < 0 || xenevtchn_unmask(server->events, (evtchn_port_t)port)) {
            return fail("xenevtchn_pending");
        }
        if (server_answer(server)) {
            return FAILED;
        }
    }
    return fail("poll");
}

static int serve(char **args)
{
    struct server server = { .answers_left = number(args[2]) };
    int status = server_open(&server, domain_number(args[0]), number(args[1]));

    if (status == OK) {
        printf("id=%u\n", server.id);
        fflush(stdout);
        status = server_run(&server);
    }
    if (server.is_created) {
        xendevicemodel_destroy_ioreq_server(server.model, server.domain, server.id);
    }
    return status;
}

// the command line ---------------------------------------------------------------------------------------------------

static const struct command commands[] = {
    { "domains", 0, domains,
      "domains                                each domain that Xen lists, zombies too" },
    { "gone", 2, gone,
      "gone DOMAIN MS                         waits until Xen no longer lists the domain" },
    { "vcpus", 1, vcpus,
      "vcpus DOMAIN                           run time of each vCPU, by xc_vcpu_getinfo" },
    { "pause", 1, pause_domain,
      "pause DOMAIN                           by xc_domain_pause; counts, as Xen does" },
    { "unpause", 1, unpause_domain, "unpause DOMAIN" },
    { "grants", 1, grants,
      "grants DOMAIN                          frames in use, their maximum, version" },
    { "size", 3, size,
      "size DOMAIN TYPE ID                    what Xen calls the size, in frames" },
    { "copy", 5, copy, "copy DOMAIN TYPE ID FIRST COUNT        the frames to standard output" },
    { "hold", 5, hold,
      "hold DOMAIN TYPE ID FIRST COUNT        says \"holding\", keeps them mapped until SIGTERM" },
    { "serve", 3, serve,
      "serve DOMAIN PORT ANSWERS              an ioreq server for 8 io ports: says id=N, answers "
      "so many requests with\n"
      "                                       0xa5, leaves the next one unanswered and says so; "
      "ends at SIGTERM" },
};

int main(int argc, char **argv)
{
    return command_main(
        argc, argv,
        "resmap COMMAND [ARG...], as root in dom0. TYPE: 0 ioreq server, 1 grant table, 2 vmtrace.",
        commands, sizeof commands / sizeof commands[0]);
}
