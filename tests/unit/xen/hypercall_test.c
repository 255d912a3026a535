/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The xen backend with libxenctrl and libxenforeignmemory replaced by functions of this file, for
 * what a healthy Xen 4.17 never answers: other versions, missing privileges, contradictions. What
 * that one does answer is in tests/xen/backend_test.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xen/version.h>

#include "common/layout.h"
#include "server/mapper/backend.h"
#include "tests/lib/unit.h"

enum { DOMAINS_MAX = 100 };

/* What the libraries answer. An errno of 0 is success. */
static struct {
    int open_foreign_errno, open_control_errno;
    int list_errno, vcpu_errno, query_errno, version_errno, size_errno, map_errno, xen_version_errno;
    xc_domaininfo_t domains[DOMAINS_MAX];
    uint32_t domain_count, excess;      /* excess: answers more than there is room for */
    bool ignores_first;
    struct gnttab_query_size query;
    int grant_version;
    size_t size_bytes;
    uint64_t cpu_time_ns;
    uint32_t unreadable_vcpu;
    char extra[16], abis[1024];
    uint32_t physical_capabilities;
    int open_handles, live_mappings;
} xen;

static uint8_t page[LAYOUT_FRAME_BYTES];
static struct backend *b;

/* --- instead of the libraries ----------------------------------------------------------------- */

static int answer(int errnum)
{
    errno = errnum;
    return errnum == 0 ? 0 : -1;
}

xenforeignmemory_handle *xenforeignmemory_open(xentoollog_logger *logger, unsigned flags)
{
    assert_non_null(logger);
    assert_int_equal(flags, 0);
    if (answer(xen.open_foreign_errno) != 0) {
        return NULL;
    }
    xen.open_handles++;
    return (xenforeignmemory_handle *)&xen;
}

int xenforeignmemory_close(xenforeignmemory_handle *handle)
{
    assert_ptr_equal(handle, &xen);
    xen.open_handles--;
    return 0;
}

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *builder, unsigned flags)
{
    assert_true(logger != NULL && builder != NULL && flags == 0);
    if (answer(xen.open_control_errno) != 0) {
        return NULL;
    }
    xen.open_handles++;
    return (xc_interface *)&xen;
}

int xc_interface_close(xc_interface *handle)
{
    assert_ptr_equal(handle, &xen);
    xen.open_handles--;
    return 0;
}

int xc_domain_getinfolist(xc_interface *handle, uint32_t first, unsigned int max,
                          xc_domaininfo_t *out)
{
    uint32_t count = 0;

    (void)handle;
    if (answer(xen.list_errno) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < xen.domain_count && count < max; i++) {
        if (xen.domains[i].domain >= first || xen.ignores_first) {
            out[count++] = xen.domains[i];
        }
    }
    return (int)(count + xen.excess);
}

int xc_vcpu_getinfo(xc_interface *handle, uint32_t domid, uint32_t vcpu, xc_vcpuinfo_t *out)
{
    (void)handle;
    (void)domid;
    memset(out, 0, sizeof(*out));
    if (vcpu == xen.unreadable_vcpu && answer(xen.vcpu_errno) != 0) {
        return -1;
    }
    out->online = vcpu % 2 == 0;
    out->cpu_time = xen.cpu_time_ns;
    return 0;
}

int xc_gnttab_query_size(xc_interface *handle, struct gnttab_query_size *query)
{
    (void)handle;
    if (answer(xen.query_errno) != 0) {
        return -1;
    }
    assert_int_equal(query->dom, 1);
    *query = xen.query;
    return 0;
}

int xc_gnttab_get_version(xc_interface *handle, uint32_t domid)
{
    (void)handle;
    (void)domid;
    return answer(xen.version_errno) != 0 ? -1 : xen.grant_version;
}

int xenforeignmemory_resource_size(xenforeignmemory_handle *handle, domid_t domid, unsigned int type,
                                   unsigned int id, size_t *size_bytes)
{
    (void)handle;
    (void)domid;
    (void)type;
    (void)id;
    if (answer(xen.size_errno) != 0) {
        return -1;
    }
    *size_bytes = xen.size_bytes;
    return 0;
}

xenforeignmemory_resource_handle *xenforeignmemory_map_resource(
    xenforeignmemory_handle *handle, domid_t domid, unsigned int type, unsigned int id,
    unsigned long first, unsigned long count, void **address, int protection, int flags)
{
    (void)handle;
    (void)domid;
    (void)type;
    (void)id;
    (void)first;
    assert_null(*address);
    assert_int_equal(protection, PROT_READ);
    assert_int_equal(flags, 0);
    assert_true(count > 0);
    if (answer(xen.map_errno) != 0) {
        return NULL;
    }
    *address = page;
    xen.live_mappings++;
    return (xenforeignmemory_resource_handle *)page;
}

int xenforeignmemory_unmap_resource(xenforeignmemory_handle *handle,
                                    xenforeignmemory_resource_handle *mapping)
{
    (void)handle;
    assert_ptr_equal(mapping, page);
    xen.live_mappings--;
    return 0;
}

int xc_version(xc_interface *handle, int command, void *out)
{
    (void)handle;
    if (answer(xen.xen_version_errno) != 0) {
        return -1;
    }
    if (command == XENVER_extraversion) {
        memcpy(out, xen.extra, sizeof(xen.extra));
    } else if (command == XENVER_capabilities) {
        memcpy(out, xen.abis, sizeof(xen.abis));
    }
    return 4 << 16 | 17;
}

int xc_physinfo(xc_interface *handle, xc_physinfo_t *out)
{
    (void)handle;
    if (answer(xen.list_errno) != 0) {
        return -1;
    }
    out->capabilities = xen.physical_capabilities;
    out->nr_cpus = 4;
    out->total_pages = 1024;
    out->free_pages = 256;
    return 0;
}

/* --- helpers ---------------------------------------------------------------------------------- */

/* One PVH guest, domain 1, with 2 of 4 grant frames in use. */
static void set_healthy(void)
{
    memset(&xen, 0, sizeof(xen));
    xen.domain_count = 2;
    xen.domains[0].flags = XEN_DOMINF_running;
    xen.domains[1] = (xc_domaininfo_t){
        .domain = 1, .flags = XEN_DOMINF_hvm_guest | XEN_DOMINF_blocked, .nr_online_vcpus = 2,
        .max_vcpu_id = 2, .tot_pages = 10, .arch_config.emulation_flags = XEN_X86_EMU_LAPIC,
    };
    xen.query = (struct gnttab_query_size){ .nr_frames = 2, .max_nr_frames = 4 };
    xen.grant_version = 1;
    xen.size_bytes = 4 * LAYOUT_FRAME_BYTES;
    xen.unreadable_vcpu = UINT32_MAX;
    memcpy(xen.extra, ".7", 3);
    memcpy(xen.abis, "xen-3.0-x86_64 ", 16);
}

static int open_backend(void **state)
{
    (void)state;
    set_healthy();
    return backend_open(NULL, &b, NULL);
}

static int close_backend(void **state)
{
    (void)state;
    backend_ops->close(b);
    b = NULL;
    return xen.open_handles == 0 && xen.live_mappings == 0 ? 0 : -1;
}

static int size_of(uint32_t type, uint32_t id, struct backend_size *size, struct failure *f)
{
    memset(f, 0, sizeof(*f));
    return backend_ops->size(b, 1, type, id, size, f);
}

static const struct message_check_row *check_of(const struct message_host_answer *host,
                                                const char *name)
{
    for (uint32_t i = 0; i < host->check_count; i++) {
        if (strcmp(host->checks[i].name, name) == 0) {
            return &host->checks[i];
        }
    }
    fail_msg("no check %s", name);
    return NULL;
}

static const struct message_host_answer *host(void)
{
    static struct message_host_answer answered;

    memset(&answered, 0xff, sizeof(answered));
    backend_ops->host(b, &answered);
    return &answered;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void without_device_nodes_opening_fails_with_the_cure(void **state)
{
    struct failure f = { 0 };

    (void)state;
    set_healthy();
    xen.open_foreign_errno = ENOENT;
    assert_int_equal(backend_open(NULL, &b, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.next_step, "xen-privcmd"));
    xen.open_foreign_errno = EACCES;
    assert_int_equal(backend_open(NULL, &b, &f), -ERROR_PERMISSION_DENIED);
    assert_non_null(strstr(f.next_step, "/dev/xen/privcmd"));
    assert_string_equal(f.call, "xenforeignmemory_open");
}

static void a_half_opened_backend_is_closed_again(void **state)
{
    struct failure f = { 0 };

    (void)state;
    set_healthy();
    xen.open_control_errno = EACCES;
    assert_int_equal(backend_open(NULL, &b, &f), -ERROR_PERMISSION_DENIED);
    assert_non_null(strstr(f.next_step, "/dev/xen/hypercall"));
    assert_null(b);
    assert_int_equal(xen.open_handles, 0);
}

static void an_argument_is_refused(void **state)
{
    (void)state;
    set_healthy();
    assert_int_equal(backend_open("scenario", &b, NULL), -ERROR_INVALID_ARGUMENT);
    assert_string_equal(backend_argument_help, "");
    backend_ops->close(NULL);
}

/* --- host ------------------------------------------------------------------------------------- */

static void another_interface_version_is_explained(void **state)
{
    struct backend_domain domain;
    struct failure f = { 0 };

    (void)state;
    xen.list_errno = EACCES;
    assert_int_equal(backend_ops->find(b, 1, &domain, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.cause, "libxenctrl"));
    assert_false(check_of(host(), "interface")->ok);
    assert_non_null(strstr(check_of(host(), "interface")->detail, "EACCES"));
    assert_false(check_of(host(), "control_domain")->ok);
    assert_int_equal(host()->capabilities, 0);
}

static void want_of_privilege_is_explained(void **state)
{
    (void)state;
    xen.list_errno = EPERM;
    assert_true(check_of(host(), "interface")->ok);
    assert_false(check_of(host(), "control_domain")->ok);
    assert_non_null(strstr(check_of(host(), "control_domain")->detail, "dom0"));
}

static void a_kernel_without_sizes_is_told_from_one_that_maps_nothing(void **state)
{
    static const struct { int errnum; bool ok; const char *detail; } cases[] = {
        { ESRCH, true, "tells their size" }, { EPERM, true, "tells their size" },
        { EINVAL, false, "cannot tell a resource's size" },
        { EOPNOTSUPP, false, "cannot map resources" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        xen.size_errno = cases[i].errnum;
        assert_int_equal(check_of(host(), "resource_size")->ok, cases[i].ok);
        assert_non_null(strstr(check_of(host(), "resource_size")->detail, cases[i].detail));
    }
}

static void xen_says_its_version_and_abis(void **state)
{
    (void)state;
    assert_string_equal(host()->xen_version, "4.17.7");
    assert_string_equal(host()->guest_abis, "xen-3.0-x86_64");
    assert_int_equal(host()->cpu_count, 4);
    assert_int_equal(host()->total_memory_kib, 4096);
    assert_int_equal(host()->free_memory_kib, 1024);
    xen.physical_capabilities = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_vmtrace |
                                XEN_SYSCTL_PHYSCAP_vpmu;
    assert_int_equal(host()->capabilities, HOST_CAN_HVM | HOST_CAN_VMTRACE);
}

static void strings_without_an_end_are_cut_at_their_room(void **state)
{
    const char *abis;

    (void)state;
    memset(xen.extra, 'x', sizeof(xen.extra));
    for (size_t i = 0; i < sizeof(xen.abis); i++) {
        xen.abis[i] = i % 10 == 9 ? ' ' : 'a';
    }
    assert_string_equal(host()->xen_version, "4.17xxxxxxxxxxxxxxxx");
    abis = host()->guest_abis;
    assert_int_equal(strlen(abis), 249);            /* 25 words of 9 and the spaces between */
    memset(xen.abis, 'a', sizeof(xen.abis));
    assert_string_equal(host()->guest_abis, "");    /* no whole word fits */
}

static void a_silent_hypervisor_is_told(void **state)
{
    (void)state;
    xen.xen_version_errno = ENOSYS;
    assert_false(check_of(host(), "hypercall")->ok);
    assert_string_equal(host()->xen_version, "");
}

/* --- domains ---------------------------------------------------------------------------------- */

static void a_long_list_comes_whole_and_in_pages(void **state)
{
    struct backend_domain domains[DOMAINS_MAX];
    uint32_t count = 0;

    (void)state;
    xen.domain_count = DOMAINS_MAX;
    for (uint16_t i = 0; i < DOMAINS_MAX; i++) {
        xen.domains[i].domain = (uint16_t)(i * 3);
    }
    assert_int_equal(backend_ops->list(b, 0, domains, DOMAINS_MAX, &count, NULL), 0);
    assert_int_equal(count, DOMAINS_MAX);
    for (uint16_t i = 0; i < DOMAINS_MAX; i++) {
        assert_int_equal(domains[i].domid, i * 3);
    }
    assert_int_equal(backend_ops->list(b, 100, domains, 33, &count, NULL), 0);
    assert_int_equal(count, 33);
    assert_int_equal(domains[0].domid, 102);
    assert_int_equal(domains[32].domid, 198);
    assert_int_equal(backend_ops->list(b, 0, domains, 0, &count, NULL), 0);
    assert_int_equal(count, 0);
}

static void a_list_that_contradicts_the_question_is_refused(void **state)
{
    struct backend_domain domains[4];
    uint32_t count = 77;

    (void)state;
    xen.excess = 3;
    assert_int_equal(backend_ops->list(b, 0, domains, 4, &count, NULL), -ERROR_INTERNAL);
    xen.excess = 0;
    xen.ignores_first = true;
    assert_int_equal(backend_ops->list(b, 1, domains, 4, &count, NULL), -ERROR_INTERNAL);
    xen.ignores_first = false;
    xen.domains[0].domain = 5;                      /* not ascending */
    assert_int_equal(backend_ops->list(b, 0, domains, 4, &count, NULL), -ERROR_INTERNAL);
    xen.domains[0].domain = 0;
    xen.domains[1].domain = DOMID_FIRST_RESERVED;
    assert_int_equal(backend_ops->list(b, 0, domains, 4, &count, NULL), -ERROR_INTERNAL);
    assert_int_equal(count, 77);
}

static void the_next_domain_is_not_the_one_asked_for(void **state)
{
    struct backend_domain domain = { .domid = 77 };

    (void)state;
    xen.domains[1].domain = 9;
    assert_int_equal(backend_ops->find(b, 1, &domain, NULL), -ERROR_NOT_FOUND);
    assert_int_equal(domain.domid, 77);
    assert_int_equal(backend_ops->find(b, 9, &domain, NULL), 0);
}

static void types_are_told_by_what_is_emulated(void **state)
{
    static const struct { uint32_t flags, emulated; enum domain_type type; } cases[] = {
        { 0, 0, DOMAIN_PV }, { 0, XEN_X86_EMU_PIT, DOMAIN_PV },
        { XEN_DOMINF_hvm_guest, XEN_X86_EMU_LAPIC, DOMAIN_PVH },
        { XEN_DOMINF_hvm_guest, 0, DOMAIN_PVH },
        { XEN_DOMINF_hvm_guest, XEN_X86_EMU_LAPIC | XEN_X86_EMU_IOAPIC | XEN_X86_EMU_VPCI,
          DOMAIN_PVH },
        { XEN_DOMINF_hvm_guest, XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI, DOMAIN_HVM },
        { XEN_DOMINF_hvm_guest, XEN_X86_EMU_ALL & ~(XEN_X86_EMU_VPCI | XEN_X86_EMU_USE_PIRQ),
          DOMAIN_HVM },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct backend_domain domain;

        xen.domains[1].flags = cases[i].flags;
        xen.domains[1].arch_config.emulation_flags = cases[i].emulated;
        assert_int_equal(backend_ops->find(b, 1, &domain, NULL), 0);
        assert_int_equal(domain.type, cases[i].type);
    }
}

static void the_strongest_state_is_told(void **state)
{
    enum { CRASH = SHUTDOWN_crash << XEN_DOMINF_shutdownshift,
           REBOOT = SHUTDOWN_reboot << XEN_DOMINF_shutdownshift };
    static const struct { uint32_t flags; enum domain_state state; } cases[] = {
        { 0, DOMAIN_RUNNING }, { XEN_DOMINF_running, DOMAIN_RUNNING },
        { XEN_DOMINF_blocked, DOMAIN_BLOCKED },
        { XEN_DOMINF_blocked | XEN_DOMINF_running, DOMAIN_RUNNING },
        { XEN_DOMINF_paused | XEN_DOMINF_blocked, DOMAIN_PAUSED },
        { XEN_DOMINF_paused | XEN_DOMINF_shutdown | REBOOT, DOMAIN_SHUTDOWN },
        { XEN_DOMINF_shutdown, DOMAIN_SHUTDOWN },
        { XEN_DOMINF_shutdown | CRASH, DOMAIN_CRASHED }, { CRASH, DOMAIN_RUNNING },
        { XEN_DOMINF_dying | XEN_DOMINF_shutdown | CRASH, DOMAIN_DYING },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct backend_domain domain;

        xen.domains[1].flags = cases[i].flags;
        assert_int_equal(backend_ops->find(b, 1, &domain, NULL), 0);
        assert_int_equal(domain.state, cases[i].state);
        assert_int_equal(domain.dying, cases[i].state == DOMAIN_DYING);
    }
}

static void a_domain_without_vcpus_has_none(void **state)
{
    struct backend_domain domain;

    (void)state;
    xen.domains[1].max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
    assert_int_equal(backend_ops->find(b, 1, &domain, NULL), 0);
    assert_int_equal(domain.max_vcpus, 0);
}

/* --- sizes and frames ------------------------------------------------------------------------- */

static void a_grant_query_fails_by_its_status_too(void **state)
{
    static const struct { int16_t status; enum error_code code; } cases[] = {
        { GNTST_bad_domain, ERROR_NOT_FOUND }, { GNTST_permission_denied, ERROR_PERMISSION_DENIED },
        { GNTST_general_error, ERROR_INVALID_ARGUMENT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct backend_size size;
        struct failure f;

        xen.query.status = cases[i].status;
        assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -(int)cases[i].code);
        assert_string_equal(f.call, "xc_gnttab_query_size");
    }
}

static void errnos_of_each_call_are_kept(void **state)
{
    struct backend_size size;
    struct failure f;

    (void)state;
    xen.query_errno = EFAULT;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_INTERNAL);
    xen.version_errno = ESRCH;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_NOT_FOUND);
    assert_string_equal(f.call, "xc_gnttab_get_version");
    xen.size_errno = EOPNOTSUPP;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_UNIMPLEMENTED);
    assert_string_equal(f.call, "xenforeignmemory_resource_size");
}

static void grant_tables_that_contradict_themselves_are_refused(void **state)
{
    struct backend_size size = { .frames_max = 77 };
    struct failure f;

    (void)state;
    xen.query.nr_frames = 5;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_INTERNAL);
    xen.query.nr_frames = 2;
    xen.grant_version = 3;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_UNIMPLEMENTED);
    xen.grant_version = 0;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_UNIMPLEMENTED);
    assert_int_equal(size.frames_max, 77);
}

static void status_frames_follow_the_shared_ones(void **state)
{
    static const struct { uint32_t shared, status; } cases[] = {
        { 0, 0 }, { 1, 1 }, { 8, 1 }, { 9, 2 }, { 16, 2 }, { 64, 8 },
    };

    (void)state;
    xen.grant_version = 2;
    xen.size_bytes = 8 * LAYOUT_FRAME_BYTES;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct backend_size size;
        struct failure f;

        xen.query.nr_frames = cases[i].shared;
        assert_int_equal(size_of(RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, &size, &f), 0);
        assert_int_equal(size.frames_in_use, cases[i].status);
        assert_int_equal(size.frames_max, 8);
    }
}

static void a_size_that_cannot_be_is_no_size(void **state)
{
    static const struct { uint32_t type; size_t max_frames; } cases[] = {
        { RESOURCE_IOREQ_SERVER, 65 }, { RESOURCE_GRANT_TABLE, 1 << 20 },
        { RESOURCE_VMTRACE_BUF, 16384 }, { RESOURCE_VCPU_STATS, 33 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct backend_size size;
        struct failure f;

        xen.size_bytes = cases[i].max_frames * LAYOUT_FRAME_BYTES;
        assert_int_equal(size_of(cases[i].type, 0, &size, &f), 0);
        assert_int_equal(size.frames_max, cases[i].max_frames);
        xen.size_bytes = (cases[i].max_frames + 1) * LAYOUT_FRAME_BYTES;
        assert_true(size_of(cases[i].type, 0, &size, &f) < 0);
        xen.size_bytes = UINT64_C(4294967201) * LAYOUT_FRAME_BYTES;
        assert_true(size_of(cases[i].type, 0, &size, &f) < 0);
        assert_non_null(strstr(f.cause, "4294967201"));
        xen.size_bytes = 0;
        assert_true(size_of(cases[i].type, 0, &size, &f) < 0);
    }
}

static void a_stats_table_needs_a_frame_beside_its_size(void **state)
{
    struct backend_size size;
    struct failure f;

    (void)state;
    xen.size_bytes = LAYOUT_FRAME_BYTES;
    xen.map_errno = EOPNOTSUPP;
    assert_int_equal(size_of(RESOURCE_VCPU_STATS, 0, &size, &f), -ERROR_UNIMPLEMENTED);
    xen.map_errno = 0;
    assert_int_equal(size_of(RESOURCE_VCPU_STATS, 0, &size, &f), 0);
    assert_int_equal(size.frames_in_use, 1);
    assert_int_equal(xen.live_mappings, 0);
}

static void a_mapping_is_given_back_once(void **state)
{
    struct backend_mapping mapping;
    uint64_t before = backend_ops->hypercalls(b);

    (void)state;
    assert_int_equal(backend_ops->map(b, 1, RESOURCE_GRANT_TABLE, 0, UINT32_MAX - 1, 1, &mapping,
                                      NULL), 0);
    assert_ptr_equal(mapping.address, page);
    assert_int_equal(mapping.frame_count, 1);
    assert_int_equal(xen.live_mappings, 1);
    backend_ops->unmap(b, &mapping);
    assert_null(mapping.handle);
    assert_int_equal(xen.live_mappings, 0);
    assert_int_equal(backend_ops->hypercalls(b), before + 1);
}

/* --- run times -------------------------------------------------------------------------------- */

static void run_times_lose_the_mark_of_what_is_unknown(void **state)
{
    struct message_vcpu vcpus[4];
    uint32_t count;

    (void)state;
    xen.cpu_time_ns = (UINT64_C(1) << 63) + 5;
    assert_int_equal(backend_ops->vcpu_info(b, 1, vcpus, 4, &count, NULL), 0);
    assert_int_equal(count, 3);
    assert_int_equal(vcpus[0].run_time_ns, 5);
    assert_int_equal(vcpus[0].flags, VCPU_ONLINE);
    assert_int_equal(vcpus[1].flags, 0);
    assert_int_equal(vcpus[2].vcpu, 2);
}

static void a_hole_in_the_vcpus_is_told_from_a_domain_that_went(void **state)
{
    struct message_vcpu vcpus[4];
    struct failure f = { 0 };
    uint32_t count;

    (void)state;
    xen.unreadable_vcpu = 1;
    xen.vcpu_errno = ESRCH;
    assert_int_equal(backend_ops->vcpu_info(b, 1, vcpus, 4, &count, NULL), 0);
    assert_int_equal(vcpus[1].flags, VCPU_UNREADABLE);
    assert_int_equal(vcpus[1].run_time_ns, 0);
    assert_int_equal(vcpus[2].flags, VCPU_ONLINE);
    xen.vcpu_errno = EPERM;
    assert_int_equal(backend_ops->vcpu_info(b, 1, vcpus, 4, &count, &f), -ERROR_PERMISSION_DENIED);
    xen.domain_count = 1;
    assert_int_equal(backend_ops->vcpu_info(b, 1, vcpus, 4, &count, &f), -ERROR_NOT_FOUND);
}

#define OPENED(test) cmocka_unit_test_setup_teardown(test, open_backend, close_backend)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_device_nodes_opening_fails_with_the_cure),
        cmocka_unit_test(a_half_opened_backend_is_closed_again),
        cmocka_unit_test(an_argument_is_refused),
        OPENED(another_interface_version_is_explained),
        OPENED(want_of_privilege_is_explained),
        OPENED(a_kernel_without_sizes_is_told_from_one_that_maps_nothing),
        OPENED(xen_says_its_version_and_abis),
        OPENED(strings_without_an_end_are_cut_at_their_room),
        OPENED(a_silent_hypervisor_is_told),
        OPENED(a_long_list_comes_whole_and_in_pages),
        OPENED(a_list_that_contradicts_the_question_is_refused),
        OPENED(the_next_domain_is_not_the_one_asked_for),
        OPENED(types_are_told_by_what_is_emulated),
        OPENED(the_strongest_state_is_told),
        OPENED(a_domain_without_vcpus_has_none),
        OPENED(a_grant_query_fails_by_its_status_too),
        OPENED(errnos_of_each_call_are_kept),
        OPENED(grant_tables_that_contradict_themselves_are_refused),
        OPENED(status_frames_follow_the_shared_ones),
        OPENED(a_size_that_cannot_be_is_no_size),
        OPENED(a_stats_table_needs_a_frame_beside_its_size),
        OPENED(a_mapping_is_given_back_once),
        OPENED(run_times_lose_the_mark_of_what_is_unknown),
        OPENED(a_hole_in_the_vcpus_is_told_from_a_domain_that_went),
    };

    setenv("XENSTORED_PATH", "/nonexistent/xenstored", 1);
    return UNIT_RUN(tests);
}
