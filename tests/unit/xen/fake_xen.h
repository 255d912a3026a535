/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Instead of libxenctrl and libxenforeignmemory: linked before them, these functions answer what
 * the test has put into fake_xen, and check the arguments that have to be as they are.
 */
#ifndef XENRES_TESTS_FAKE_XEN_H
#define XENRES_TESTS_FAKE_XEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenctrl.h>

enum { FAKE_XEN_DOMAINS_MAX = 100 };

/* What the libraries answer. An errno of 0 is success. */
struct fake_xen {
    int open_foreign_errno, open_control_errno;
    int list_errno, vcpu_errno, query_errno, version_errno, size_errno, map_errno, unmap_errno;
    int xen_version_errno, vmtrace_errno, tsc_errno, width_errno;
    xc_domaininfo_t domains[FAKE_XEN_DOMAINS_MAX];
    uint32_t domain_count, excess; /* excess: answers more than there is room for */
    bool ignores_first;
    struct gnttab_query_size query;
    int grant_version;
    size_t size_bytes;
    uint64_t cpu_time_ns;
    uint32_t unreadable_vcpu;
    char extra[16], abis[1024];
    uint32_t physical_capabilities;
    int open_handles, live_mappings;
    const char *vmtrace_called; /* the last xc_vmtrace_*(), and what it was called with */
    uint32_t vmtrace_vcpu;
    uint64_t vmtrace_key, vmtrace_value;
    uint32_t tsc_mode, tsc_khz;
    unsigned int guest_width_bytes;
};

extern struct fake_xen fake_xen;
extern uint8_t fake_xen_page[XC_PAGE_SIZE]; /* what every mapping shows */

/* One PVH guest, domain 1, with 2 of 4 grant frames in use. */
void fake_xen_set_healthy(void);

#endif
