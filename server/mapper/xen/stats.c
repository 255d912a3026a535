/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/xen/stats.h"

#include <errno.h>

#include "common/layout.h"
#include "server/mapper/explain.h"
#include "server/mapper/xen/domain.h"
#include "server/mapper/xen/handle.h"

int stats_vcpu_info(struct backend *b, uint16_t domid, struct message_vcpu *out, uint32_t max,
                    uint32_t *count, struct failure *f)
{
    struct backend_domain domain;
    uint32_t wanted;
    int result = domain_find(b, domid, &domain, f);

    if (result < 0) {
        return result;
    }
    wanted = domain.max_vcpus < max ? domain.max_vcpus : max;
    for (uint32_t vcpu = 0; vcpu < wanted; vcpu++) {
        struct explain_subject subject = {
            .domid = domid,
            .type = RESOURCE_VCPU_STATS,
            .id = vcpu,
        };
        xc_vcpuinfo_t info;

        out[vcpu] = (struct message_vcpu){ .vcpu = vcpu };
        b->hypercall_count++;
        if (xc_vcpu_getinfo(b->control, domid, vcpu, &info) == 0) {
            out[vcpu].flags = info.online ? VCPU_ONLINE : 0;
            /* Xen marks what it does not know with the highest bit. */
            out[vcpu].run_time_ns = info.cpu_time & ~LAYOUT_STATS_INACTIVE;
            continue;
        }
        if (errno != ESRCH && errno != EINVAL) {
            return failure_xen(f, "xc_vcpu_getinfo", errno, &subject);
        }
        /* The domain is gone, or another has its number, or it has a hole in its vCPU numbers. */
        result = domain_find(b, domid, &domain, f);
        if (result < 0) {
            return result;
        }
        out[vcpu].flags = VCPU_UNREADABLE;
    }
    *count = wanted;
    return 0;
}
