/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/unit/xen/fake_xen.h"

#include <errno.h>
#include <sys/mman.h>
#include <xen/version.h>
#include <xenforeignmemory.h>

#include "tests/lib/unit.h"

struct fake_xen fake_xen;
uint8_t fake_xen_page[XC_PAGE_SIZE];

void fake_xen_set_healthy(void)
{
    memset(&fake_xen, 0, sizeof(fake_xen));
    fake_xen.domain_count = 2;
    fake_xen.domains[0].flags = XEN_DOMINF_running;
    fake_xen.domains[1] = (xc_domaininfo_t){
        .domain = 1,
        .flags = XEN_DOMINF_hvm_guest | XEN_DOMINF_blocked,
        .nr_online_vcpus = 2,
        .max_vcpu_id = 2,
        .tot_pages = 10,
        .arch_config.emulation_flags = XEN_X86_EMU_LAPIC,
    };
    fake_xen.query = (struct gnttab_query_size){ .nr_frames = 2, .max_nr_frames = 4 };
    fake_xen.grant_version = 1;
    fake_xen.size_bytes = 4 * XC_PAGE_SIZE;
    fake_xen.unreadable_vcpu = UINT32_MAX;
    memcpy(fake_xen.extra, ".7", 3);
    memcpy(fake_xen.abis, "xen-3.0-x86_64 ", 16);
}

static int answer(int errnum)
{
    errno = errnum;
    return errnum == 0 ? 0 : -1;
}

xenforeignmemory_handle *xenforeignmemory_open(xentoollog_logger *logger, unsigned flags)
{
    assert_non_null(logger);
    assert_int_equal(flags, 0);
    if (answer(fake_xen.open_foreign_errno) != 0) {
        return NULL;
    }
    fake_xen.open_handles++;
    return (xenforeignmemory_handle *)&fake_xen;
}

int xenforeignmemory_close(xenforeignmemory_handle *handle)
{
    assert_ptr_equal(handle, &fake_xen);
    fake_xen.open_handles--;
    return 0;
}

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *builder,
                                unsigned flags)
{
    assert_true(logger != NULL && builder != NULL && flags == 0);
    if (answer(fake_xen.open_control_errno) != 0) {
        return NULL;
    }
    fake_xen.open_handles++;
    return (xc_interface *)&fake_xen;
}

int xc_interface_close(xc_interface *handle)
{
    assert_ptr_equal(handle, &fake_xen);
    fake_xen.open_handles--;
    return 0;
}

int xc_domain_getinfolist(xc_interface *handle, uint32_t first, unsigned int max,
                          xc_domaininfo_t *out)
{
    uint32_t count = 0;

    (void)handle;
    if (answer(fake_xen.list_errno) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < fake_xen.domain_count && count < max; i++) {
        if (fake_xen.domains[i].domain >= first || fake_xen.ignores_first) {
            out[count++] = fake_xen.domains[i];
        }
    }
    return (int)(count + fake_xen.excess);
}

int xc_vcpu_getinfo(xc_interface *handle, uint32_t domid, uint32_t vcpu, xc_vcpuinfo_t *out)
{
    (void)handle;
    (void)domid;
    memset(out, 0, sizeof(*out));
    if (vcpu == fake_xen.unreadable_vcpu && answer(fake_xen.vcpu_errno) != 0) {
        return -1;
    }
    out->online = vcpu % 2 == 0;
    out->cpu_time = fake_xen.cpu_time_ns;
    return 0;
}

int xc_gnttab_query_size(xc_interface *handle, struct gnttab_query_size *query)
{
    (void)handle;
    if (answer(fake_xen.query_errno) != 0) {
        return -1;
    }
    assert_int_equal(query->dom, 1);
    *query = fake_xen.query;
    return 0;
}

int xc_gnttab_get_version(xc_interface *handle, uint32_t domid)
{
    (void)handle;
    (void)domid;
    return answer(fake_xen.version_errno) != 0 ? -1 : fake_xen.grant_version;
}

int xenforeignmemory_resource_size(xenforeignmemory_handle *handle, domid_t domid,
                                   unsigned int type, unsigned int id, size_t *size_bytes)
{
    (void)handle;
    (void)domid;
    (void)type;
    (void)id;
    if (answer(fake_xen.size_errno) != 0) {
        return -1;
    }
    *size_bytes = fake_xen.size_bytes;
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
    if (answer(fake_xen.map_errno) != 0) {
        return NULL;
    }
    *address = fake_xen_page;
    fake_xen.live_mappings++;
    return (xenforeignmemory_resource_handle *)fake_xen_page;
}

int xenforeignmemory_unmap_resource(xenforeignmemory_handle *handle,
                                    xenforeignmemory_resource_handle *mapping)
{
    (void)handle;
    assert_ptr_equal(mapping, fake_xen_page);
    if (answer(fake_xen.unmap_errno) != 0) {
        return -1;
    }
    fake_xen.live_mappings--;
    return 0;
}

int xc_version(xc_interface *handle, int command, void *out)
{
    (void)handle;
    if (answer(fake_xen.xen_version_errno) != 0) {
        return -1;
    }
    if (command == XENVER_extraversion) {
        memcpy(out, fake_xen.extra, sizeof(fake_xen.extra));
    } else if (command == XENVER_capabilities) {
        memcpy(out, fake_xen.abis, sizeof(fake_xen.abis));
    }
    return 4 << 16 | 17;
}

int xc_physinfo(xc_interface *handle, xc_physinfo_t *out)
{
    (void)handle;
    if (answer(fake_xen.list_errno) != 0) {
        return -1;
    }
    out->capabilities = fake_xen.physical_capabilities;
    out->nr_cpus = 4;
    out->cpu_khz = 2500000;
    out->total_pages = 1024;
    out->free_pages = 256;
    return 0;
}

/* --- traces ------------------------------------------------------------------------------------- */

static int vmtrace(const char *name, uint32_t domid, uint32_t vcpu)
{
    assert_int_equal(domid, 1);
    fake_xen.vmtrace_called = name;
    fake_xen.vmtrace_vcpu = vcpu;
    return answer(fake_xen.vmtrace_errno);
}

int xc_vmtrace_enable(xc_interface *handle, uint32_t domid, uint32_t vcpu)
{
    (void)handle;
    return vmtrace(__func__, domid, vcpu);
}

int xc_vmtrace_disable(xc_interface *handle, uint32_t domid, uint32_t vcpu)
{
    (void)handle;
    return vmtrace(__func__, domid, vcpu);
}

int xc_vmtrace_reset_and_enable(xc_interface *handle, uint32_t domid, uint32_t vcpu)
{
    (void)handle;
    return vmtrace(__func__, domid, vcpu);
}

/* Whatever they answer, they have written something. */
int xc_vmtrace_output_position(xc_interface *handle, uint32_t domid, uint32_t vcpu, uint64_t *out)
{
    (void)handle;
    *out = fake_xen.vmtrace_value;
    return vmtrace(__func__, domid, vcpu);
}

int xc_vmtrace_get_option(xc_interface *handle, uint32_t domid, uint32_t vcpu, uint64_t key,
                          uint64_t *out)
{
    (void)handle;
    fake_xen.vmtrace_key = key;
    *out = fake_xen.vmtrace_value;
    return vmtrace(__func__, domid, vcpu);
}

int xc_vmtrace_set_option(xc_interface *handle, uint32_t domid, uint32_t vcpu, uint64_t key,
                          uint64_t value)
{
    (void)handle;
    fake_xen.vmtrace_key = key;
    fake_xen.vmtrace_value = value;
    return vmtrace(__func__, domid, vcpu);
}

int xc_domain_get_tsc_info(xc_interface *handle, uint32_t domid, uint32_t *mode,
                           uint64_t *elapsed_ns, uint32_t *khz, uint32_t *incarnation)
{
    (void)handle;
    (void)domid;
    *mode = fake_xen.tsc_mode;
    *khz = fake_xen.tsc_khz;
    *elapsed_ns = *incarnation = 1;
    return answer(fake_xen.tsc_errno);
}

int xc_domain_get_guest_width(xc_interface *handle, uint32_t domid, unsigned int *width_bytes)
{
    (void)handle;
    (void)domid;
    *width_bytes = fake_xen.guest_width_bytes;
    return answer(fake_xen.width_errno);
}
