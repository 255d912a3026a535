/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/xen/host.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "common/clock.h"
#include "server/mapper/explain.h"
#include "server/mapper/xen/domain.h"
#include "server/mapper/xen/handle.h"

static const struct explain_subject about_host = {
    .domid = EXPLAIN_NO_DOMAIN,
    .type = EXPLAIN_NO_RESOURCE,
};

/* --- what it is ------------------------------------------------------------------------------- */

/* Copies as many whole words as there is room for. */
static void copy_words(char *to, size_t size, const char *from, size_t from_size)
{
    size_t len = strnlen(from, from_size);

    if (len >= size) {
        len = size - 1;
        while (len > 0 && from[len] != ' ') {
            len--;
        }
    }
    while (len > 0 && from[len - 1] == ' ') {
        len--;
    }
    memcpy(to, from, len);
    to[len] = '\0';
}

/* False where the hypervisor does not say. */
static bool describe_version(struct backend *b, struct message_host_answer *out)
{
    xen_extraversion_t extra = "";
    xen_capabilities_info_t abis = "";
    int version;

    b->hypercall_count += 3;
    version = xc_version(b->control, XENVER_version, NULL);
    if (version < 0) {
        return false;
    }
    if (xc_version(b->control, XENVER_extraversion, &extra) < 0) {
        extra[0] = '\0';
    }
    if (xc_version(b->control, XENVER_capabilities, &abis) < 0) {
        abis[0] = '\0';
    }
    snprintf(out->xen_version, sizeof(out->xen_version), "%d.%d%.*s", version >> 16,
             version & 0xffff, (int)strnlen(extra, sizeof(extra)), extra);
    copy_words(out->guest_abis, sizeof(out->guest_abis), abis, sizeof(abis));
    return true;
}

static void describe_machine(struct backend *b, struct message_host_answer *out)
{
    static const struct {
        uint32_t xens, ours;
    } capabilities[] = {
        { XEN_SYSCTL_PHYSCAP_hvm, HOST_CAN_HVM },
        { XEN_SYSCTL_PHYSCAP_pv, HOST_CAN_PV },
        { XEN_SYSCTL_PHYSCAP_hap, HOST_CAN_HAP },
        { XEN_SYSCTL_PHYSCAP_shadow, HOST_CAN_SHADOW },
        { XEN_SYSCTL_PHYSCAP_directio, HOST_CAN_IOMMU },
        { XEN_SYSCTL_PHYSCAP_vmtrace, HOST_CAN_VMTRACE },
    };
    xc_physinfo_t info;

    memset(&info, 0, sizeof(info));
    b->hypercall_count++;
    if (xc_physinfo(b->control, &info) != 0) {
        return; /* the checks say why */
    }
    for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
        if ((info.capabilities & capabilities[i].xens) != 0) {
            out->capabilities |= capabilities[i].ours;
        }
    }
    out->cpu_count = info.nr_cpus;
    out->total_memory_kib = info.total_pages * (XC_PAGE_SIZE / 1024);
    out->free_memory_kib = info.free_pages * (XC_PAGE_SIZE / 1024);
}

/* --- whether it works ------------------------------------------------------------------------- */

static void add_check(struct message_host_answer *out, const char *name, bool ok,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

static void add_check(struct message_host_answer *out, const char *name, bool ok,
                      const char *format, ...)
{
    struct message_check_row *row;
    va_list arguments;

    assert(out->check_count < MESSAGE_CHECKS_MAX);
    row = &out->checks[out->check_count++];
    snprintf(row->name, sizeof(row->name), "%s", name);
    row->ok = ok;
    va_start(arguments, format);
    vsnprintf(row->detail, sizeof(row->detail), format, arguments);
    va_end(arguments);
}

/* What was found, and the cure. */
static void add_failure(struct message_host_answer *out, const char *name, const struct failure *f)
{
    add_check(out, name, false, "%s (%s): %s", f->cause, error_errno_name(f->xen_errno),
              f->next_step);
}

/* One domain list tells of two things: EACCES is another interface version, EPERM want of
 * privilege. */
static void check_control(struct backend *b, struct message_host_answer *out)
{
    struct backend_domain domain;
    struct failure f = { 0 };
    uint32_t count;
    int result = domain_list(b, 0, &domain, 1, &count, &f);

    if (result < 0 && f.xen_errno == EACCES) {
        add_failure(out, "interface", &f);
        add_check(out, "control_domain", false, "not known before the interface fits");
        return;
    }
    add_check(out, "interface", true, "libxenctrl's interface (sysctl 0x%x, domctl 0x%x) is Xen's",
              XEN_SYSCTL_INTERFACE_VERSION, XEN_DOMCTL_INTERFACE_VERSION);
    if (result < 0) {
        add_failure(out, "control_domain", &f);
    } else {
        add_check(out, "control_domain", true, "this domain may list and map the others");
    }
}

/*
 * Whether the kernel passes the question for a resource's size on to Xen. It is asked about a
 * number that no domain can have: ESRCH (or EPERM, from XSM) is Xen's own answer, while a kernel
 * without the question looks for a mapping at address 0 and says EINVAL.
 */
static void check_resource_size(struct backend *b, struct message_host_answer *out)
{
    struct utsname kernel = { .release = "of unknown version" };
    size_t size_bytes;
    int errnum = 0;

    (void)uname(&kernel);
    b->hypercall_count++;
    if (xenforeignmemory_resource_size(b->foreign, DOMID_INVALID, RESOURCE_GRANT_TABLE,
                                       GRANT_TABLE_SHARED, &size_bytes) != 0) {
        errnum = errno;
    }
    if (errnum == 0 || errnum == ESRCH || errnum == EPERM) {
        add_check(out, "resource_size", true, "kernel %.64s maps resources and tells their size",
                  kernel.release);
    } else {
        add_check(out, "resource_size", false,
                  "kernel %.64s cannot %s (%s): update dom0's kernel"
                  " to one of 2021 or newer",
                  kernel.release, errnum == EINVAL ? "tell a resource's size" : "map resources",
                  error_errno_name(errnum));
    }
}

static void check_identity(const struct backend *b, struct message_host_answer *out)
{
    if (b->identity.uuid_source[0] != '\0') {
        add_check(out, "host_uuid", true, "from %s", b->identity.uuid_source);
    } else {
        add_check(out, "host_uuid", true,
                  "not from the firmware: it has none, or the mapper was"
                  " not started by root; made of the machine id instead");
    }
}

void host_describe(struct backend *b, struct message_host_answer *out)
{
    const struct message_head head = out->head;
    struct failure f = { 0 };

    memset(out, 0, sizeof(*out));
    out->head = head;
    memcpy(out->uuid, b->identity.uuid, sizeof(out->uuid));
    memcpy(out->uuid_source, b->identity.uuid_source, sizeof(out->uuid_source));
    memcpy(out->boot_id, b->identity.boot_id, sizeof(b->identity.boot_id));
    out->monotonic_ns = clock_monotonic_ns();
    out->wall_ns = clock_wall_ns();

    /* That this runs at all means that backend_open() opened the device nodes. */
    add_check(out, "privcmd", true, "the mapper has /dev/xen/privcmd open");
    if (describe_version(b, out)) {
        add_check(out, "hypercall", true, "Xen %s answers", out->xen_version);
    } else {
        (void)failure_xen(&f, "xc_version", errno, &about_host);
        add_failure(out, "hypercall", &f);
    }
    describe_machine(b, out);
    check_control(b, out);
    check_resource_size(b, out);
    if (store_check(b->store, &f) == 0) {
        add_check(out, "xenstore", true, "xenstored answers: names and events are known");
    } else {
        add_failure(out, "xenstore", &f);
    }
    check_identity(b, out);
}
