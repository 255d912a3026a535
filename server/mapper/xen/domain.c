/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/xen/domain.h"

#include <errno.h>
#include <string.h>

#include "server/mapper/explain.h"
#include "server/mapper/xen/handle.h"

enum { LIST_CHUNK = 32 }; /* domains a hypercall: 4 KiB of stack, and a short stay in Xen */

_Static_assert(EXPLAIN_DOMID_RESERVED == DOMID_FIRST_RESERVED, "the first number of no domain");

#if defined(__i386__) || defined(__x86_64__)
/* Of an HVM guest Xen emulates a whole PC board with a device model's help; of a PVH guest the
 * local APIC, and of a PVH dom0 the IO-APIC and PCI configuration too. */
static bool has_emulated_board(const xc_domaininfo_t *info)
{
    return (info->arch_config.emulation_flags &
            ~(XEN_X86_EMU_LAPIC | XEN_X86_EMU_IOAPIC | XEN_X86_EMU_VPCI)) != 0;
}
#else
static bool has_emulated_board(const xc_domaininfo_t *info)
{
    (void)info;
    return false;
}
#endif

static enum domain_type type_of(const xc_domaininfo_t *info)
{
    if ((info->flags & XEN_DOMINF_hvm_guest) == 0) {
        return DOMAIN_PV;
    }
    return has_emulated_board(info) ? DOMAIN_HVM : DOMAIN_PVH;
}

static uint32_t shutdown_code_of(const xc_domaininfo_t *info)
{
    return (info->flags >> XEN_DOMINF_shutdownshift) & XEN_DOMINF_shutdownmask;
}

/* The strongest that holds, as `xl list` shows them. A domain that is neither blocked nor paused
 * and has no processor at this instant is runnable: running. */
static enum domain_state state_of(const xc_domaininfo_t *info)
{
    if ((info->flags & XEN_DOMINF_dying) != 0) {
        return DOMAIN_DYING;
    }
    if ((info->flags & XEN_DOMINF_shutdown) != 0) {
        return shutdown_code_of(info) == SHUTDOWN_crash ? DOMAIN_CRASHED : DOMAIN_SHUTDOWN;
    }
    if ((info->flags & XEN_DOMINF_paused) != 0) {
        return DOMAIN_PAUSED;
    }
    if ((info->flags & (XEN_DOMINF_blocked | XEN_DOMINF_running)) == XEN_DOMINF_blocked) {
        return DOMAIN_BLOCKED;
    }
    return DOMAIN_RUNNING;
}

static void convert(const xc_domaininfo_t *info, struct backend_domain *out)
{
    *out = (struct backend_domain){
        .domid = info->domain,
        .dying = (info->flags & XEN_DOMINF_dying) != 0,
        .type = type_of(info),
        .state = state_of(info),
        .online_vcpus = info->nr_online_vcpus,
        .max_vcpus = info->max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : info->max_vcpu_id + 1,
        .memory_kib = info->tot_pages * (XC_PAGE_SIZE / 1024),
        .cpu_time_ns = info->cpu_time,
    };
    if (out->state == DOMAIN_SHUTDOWN || out->state == DOMAIN_CRASHED) {
        out->shutdown_code = shutdown_code_of(info);
    }
    _Static_assert(sizeof(info->handle) == sizeof(out->uuid), "Xen's handle is the UUID");
    memcpy(out->uuid, info->handle, sizeof(out->uuid));
}

/* At most `max` domains from `first` on, ascending and in range, or a failure about `about`. */
static int ask(struct backend *b, uint32_t first, uint32_t max, xc_domaininfo_t *info,
               uint16_t about, struct failure *f)
{
    const struct explain_subject subject = { .domid = about, .type = EXPLAIN_NO_RESOURCE };
    int answered;

    b->hypercall_count++;
    answered = xc_domain_getinfolist(b->control, first, max, info);
    if (answered < 0) {
        return failure_xen(f, "xc_domain_getinfolist", errno, &subject);
    }
    if ((uint32_t)answered > max) {
        return failure_set(f, ERROR_INTERNAL, "the hypervisor listed %d domains, %u were asked for",
                           answered, max);
    }
    for (int i = 0; i < answered; i++) {
        if (info[i].domain < first || info[i].domain >= DOMID_FIRST_RESERVED) {
            return failure_set(f, ERROR_INTERNAL,
                               "the hypervisor listed domain %u where domains"
                               " from %u on were asked for",
                               info[i].domain, first);
        }
        first = (uint32_t)info[i].domain + 1;
    }
    return answered;
}

int domain_list(struct backend *b, uint16_t first_domid, struct backend_domain *out, uint32_t max,
                uint32_t *count, struct failure *f)
{
    xc_domaininfo_t info[LIST_CHUNK];
    uint32_t first = first_domid;
    uint32_t listed = 0;

    while (listed < max) {
        uint32_t wanted = max - listed < LIST_CHUNK ? max - listed : LIST_CHUNK;
        int answered = ask(b, first, wanted, info, EXPLAIN_NO_DOMAIN, f);

        if (answered < 0) {
            return answered;
        }
        for (int i = 0; i < answered; i++) {
            convert(&info[i], &out[listed++]);
        }
        if ((uint32_t)answered < wanted) {
            break;
        }
        first = (uint32_t)info[answered - 1].domain + 1;
    }
    *count = listed;
    return 0;
}

int domain_find(struct backend *b, uint16_t domid, struct backend_domain *out, struct failure *f)
{
    const struct explain_subject subject = { .domid = domid, .type = EXPLAIN_NO_RESOURCE };
    xc_domaininfo_t info;
    int answered;

    if (domid >= DOMID_FIRST_RESERVED) {
        return failure_xen(f, "", ESRCH, &subject);
    }
    answered = ask(b, domid, 1, &info, domid, f);
    if (answered < 0) {
        return answered;
    }
    /* Xen answers with the next domain where there is none of this number. */
    if (answered == 0 || info.domain != domid) {
        return failure_xen(f, "xc_domain_getinfolist", ESRCH, &subject);
    }
    convert(&info, out);
    return 0;
}
