/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The xen backend's table, and the life of its handles. Without the device nodes there is nothing
 * to serve, so that opening fails; without xenstored or with another Xen than the libraries are
 * made for it succeeds, the calls that need them fail with their reason, and host() says so.
 */
#include "server/mapper/backend.h"

#include <errno.h>
#include <stdlib.h>

#include "common/scope.h"
#include "server/mapper/explain.h"
#include "server/mapper/xen/domain.h"
#include "server/mapper/xen/frames.h"
#include "server/mapper/xen/handle.h"
#include "server/mapper/xen/host.h"
#include "server/mapper/xen/stats.h"
#include "server/mapper/xen/trace.h"

/* The libraries' own words go nowhere: each failure is told once, by whoever decides about it. */
static void discard_message(xentoollog_logger *logger, xentoollog_level level, int errnum,
                            const char *context, const char *format, va_list arguments)
{
    (void)logger;
    (void)level;
    (void)errnum;
    (void)context;
    (void)format;
    (void)arguments;
}

/* The logger is a part of struct backend: nothing to give back. */
static void keep_logger(xentoollog_logger *logger)
{
    (void)logger;
}

static int name(struct backend *b, uint16_t domid, char out[MESSAGE_NAME_BYTES], bool *cut,
                struct failure *f)
{
    return store_name(b->store, domid, out, cut, f);
}

static int tags(struct backend *b, uint16_t domid, struct backend_tags *out, struct failure *f)
{
    return store_tags(b->store, domid, out, f);
}

static int event_fd(struct backend *b)
{
    return store_event_fd(b->store);
}

static bool next_event(struct backend *b, unsigned *events, uint16_t *domid)
{
    return store_next_event(b->store, events, domid);
}

static void watch_name(struct backend *b, uint16_t domid)
{
    store_watch_name(b->store, domid);
}

static void unwatch_name(struct backend *b, uint16_t domid)
{
    store_unwatch_name(b->store, domid);
}

static uint64_t hypercalls(struct backend *b)
{
    return b->hypercall_count;
}

static uint64_t pauses(struct backend *b)
{
    return b->pause_count;
}

static void backend_close(struct backend *b)
{
    if (b == NULL) {
        return;
    }
    store_close(b->store);
    if (b->control != NULL) {
        xc_interface_close(b->control);
    }
    if (b->foreign != NULL) {
        xenforeignmemory_close(b->foreign);
    }
    free(b);
}

static void close_half_open(struct backend **b)
{
    backend_close(*b);
}

/* The devices, which every handle needs. */
static int open_devices(struct backend *b, struct failure *f)
{
    static const struct explain_subject about_host = {
        .domid = EXPLAIN_NO_DOMAIN,
        .type = EXPLAIN_NO_RESOURCE,
    };

    b->quiet.vmessage = discard_message;
    b->quiet.destroy = keep_logger;
    b->foreign = xenforeignmemory_open(&b->quiet, 0);
    if (b->foreign == NULL) {
        return failure_xen(f, "xenforeignmemory_open", errno, &about_host);
    }
    b->control = xc_interface_open(&b->quiet, &b->quiet, 0);
    if (b->control == NULL) {
        return failure_xen(f, "xc_interface_open", errno, &about_host);
    }
    return 0;
}

static int no_memory(struct failure *f)
{
    return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the xen backend");
}

/* Before the privileges are dropped, as backend_open(): the device nodes are root's. */
static int open_sampler(struct backend *parent, struct backend **child, struct failure *f)
{
    __attribute__((cleanup(close_half_open))) struct backend *b = calloc(1, sizeof(*b));

    (void)parent;
    int result = b != NULL ? open_devices(b, f) : no_memory(f);
    if (result < 0) {
        return result;
    }
    *child = scope_take_pointer(b);
    return 0;
}

static const struct backend_ops ops = {
    .name = "xen",
    .host = host_describe,
    .list = domain_list,
    .find = domain_find,
    .domain_name = name,
    .domain_tags = tags,
    .size = frames_size,
    .map = frames_map,
    .unmap = frames_unmap,
    .vcpu_info = stats_vcpu_info,
    .vmtrace = trace_control,
    .trace_facts = trace_facts,
    .tsc = trace_tsc,
    .event_fd = event_fd,
    .next_event = next_event,
    .watch_name = watch_name,
    .unwatch_name = unwatch_name,
    .hypercalls = hypercalls,
    .pauses = pauses,
    .open_sampler = open_sampler,
    .close = backend_close,
};

const struct backend_ops *const backend_ops = &ops;
const char backend_argument_help[] = "";

int backend_open(const char *argument, struct backend **out, struct failure *f)
{
    __attribute__((cleanup(close_half_open))) struct backend *b = NULL;
    int result;

    if (argument != NULL) {
        result = failure_set(f, ERROR_INVALID_ARGUMENT, "the xen backend takes no argument");
        return failure_next(f, result, "leave \"%s\" out", argument);
    }
    b = calloc(1, sizeof(*b));
    if (b == NULL) {
        return no_memory(f);
    }
    /* First what only root may read, then the devices that every start needs. */
    host_identity_read(&b->identity, &host_identity_of_linux);
    result = open_devices(b, f);
    if (result == 0) {
        result = store_open(&b->store, f);
    }
    if (result < 0) {
        return result;
    }
    *out = scope_take_pointer(b);
    return 0;
}
