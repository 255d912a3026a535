/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See trace_can.h. */
#include "server/mapper/trace_can.h"

#include <errno.h>
#include <string.h>

#include "server/mapper/range.h"

int trace_can_host(const struct message_host_answer *host, struct failure *f)
{
    if (host->capabilities & HOST_CAN_VMTRACE) {
        return 0;
    }
    int result = failure_set(f, ERROR_FAILED_PRECONDITION,
                             "the hypervisor of this host does not offer to trace (vmtrace)");
    failure_cause(f, result,
                  "its processors have no Intel PT, or Xen runs in a virtual machine that does not"
                  " show it, or is older than 4.15");
    return failure_next(f, result,
                        "trace on a host with Intel processors of 2015 (Broadwell) or newer and Xen"
                        " 4.15 or newer; `xl info` names vmtrace among virt_caps where it can be"
                        " had");
}

/* What a domain without buffers has to be told: where the host has none to give, that first. */
static int explain_no_buffer(const struct backend_ops *ops, struct backend *b,
                             const struct backend_domain *domain, int result, struct failure *f)
{
    struct message_host_answer host;
    struct failure of_host;
    memset(&host, 0, sizeof(host));
    ops->host(b, &host);
    if (trace_can_host(&host, &of_host) < 0) {
        of_host.xen_errno = f->xen_errno;
        memcpy(of_host.call, f->call, sizeof(of_host.call));
        *f = of_host;
        return -ERROR_FAILED_PRECONDITION;
    }
    if (domain->type == DOMAIN_PV) {
        failure_cause(f, result, "it is a PV guest, and only HVM and PVH guests can be traced");
        return failure_next(f, result, "trace an HVM or PVH guest");
    }
    return result;
}

int trace_can(const struct backend_ops *ops, struct backend *b, const struct backend_domain *domain,
              uint64_t *buffer_bytes, struct failure *f)
{
    if (domain->state == DOMAIN_SHUTDOWN || domain->state == DOMAIN_CRASHED) {
        int result =
            failure_set(f, ERROR_FAILED_PRECONDITION, "domain %u has shut down", domain->domid);
        failure_cause(f, result, "it executes nothing more that could be traced");
        return failure_next(f, result, "start it, and trace it then");
    }
    struct backend_size size;
    int result = ops->size(b, domain->domid, RESOURCE_VMTRACE_BUF, 0, &size, f);
    if (result < 0) {
        return f->xen_errno == EINVAL ? explain_no_buffer(ops, b, domain, result, f) : result;
    }
    result = range_check_size(domain->domid, RESOURCE_VMTRACE_BUF, 0, &size, f);
    *buffer_bytes = result == 0 ? (uint64_t)size.frames_in_use * MESSAGE_FRAME_BYTES : 0;
    return result;
}

/* Bit n % 64 of word n / 64: those below `count`. */
static void first_vcpus(uint32_t count, uint64_t out[2])
{
    out[0] = count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
    out[1] = count >= 128 ? UINT64_MAX : count > 64 ? (UINT64_C(1) << (count - 64)) - 1 : 0;
}

int trace_can_vcpus(const struct backend_domain *domain, uint64_t vcpus[2], struct failure *f)
{
    uint64_t all[2];
    first_vcpus(domain->max_vcpus, all);
    bool is_all = vcpus[0] == 0 && vcpus[1] == 0;
    bool is_within = (vcpus[0] & ~all[0]) == 0 && (vcpus[1] & ~all[1]) == 0;
    if (is_within && (!is_all || (all[0] != 0 && domain->max_vcpus <= MESSAGE_TRACED_VCPUS_MAX))) {
        if (is_all) {
            memcpy(vcpus, all, sizeof(all));
        }
        return 0;
    }
    int result;
    if (is_all) {
        result =
            failure_set(f, ERROR_OUT_OF_RANGE, "domain %u has %u vCPUs, and a trace is of 1 to %d",
                        domain->domid, domain->max_vcpus, MESSAGE_TRACED_VCPUS_MAX);
        return failure_next(f, result, "name the vCPUs to be traced");
    }
    result = failure_set(f, ERROR_OUT_OF_RANGE, "domain %u has no vCPUs but the first %u",
                         domain->domid, domain->max_vcpus);
    failure_field(f, result, "vcpus");
    return failure_next(f, result, "ask for vCPUs below %u", domain->max_vcpus);
}
