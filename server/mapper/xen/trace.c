/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/xen/trace.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#if defined(__i386__) || defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

#include "server/mapper/explain.h"
#include "server/mapper/xen/handle.h"

/* --- control ---------------------------------------------------------------------------------- */

/* The library's function, by name: 0, or -1 and errno. */
static int make_call(struct backend *b, uint16_t domid, uint32_t vcpu, enum vmtrace_call call,
                     uint32_t key, uint64_t *value, const char **name)
{
    switch (call) {
    case VMTRACE_ENABLE:
        *name = "xc_vmtrace_enable";
        return xc_vmtrace_enable(b->control, domid, vcpu);
    case VMTRACE_DISABLE:
        *name = "xc_vmtrace_disable";
        return xc_vmtrace_disable(b->control, domid, vcpu);
    case VMTRACE_RESET_AND_ENABLE:
        *name = "xc_vmtrace_reset_and_enable";
        return xc_vmtrace_reset_and_enable(b->control, domid, vcpu);
    case VMTRACE_POSITION:
        *name = "xc_vmtrace_output_position";
        return xc_vmtrace_output_position(b->control, domid, vcpu, value);
    case VMTRACE_GET_OPTION:
        *name = "xc_vmtrace_get_option";
        return xc_vmtrace_get_option(b->control, domid, vcpu, key, value);
    case VMTRACE_SET_OPTION:
        *name = "xc_vmtrace_set_option";
        return xc_vmtrace_set_option(b->control, domid, vcpu, key, *value);
    }
    assert(!"a call of enum vmtrace_call");
    return -1;
}

int trace_control(struct backend *b, uint16_t domid, uint32_t vcpu, enum vmtrace_call call,
                  uint32_t key, uint64_t *value, struct failure *f)
{
    const struct explain_subject subject = {
        .domid = domid,
        .type = RESOURCE_VMTRACE_BUF,
        .id = vcpu,
    };
    const char *name = "";
    uint64_t answered = value != NULL ? *value : 0;

    b->hypercall_count++;
    b->pause_count++;
    if (make_call(b, domid, vcpu, call, key, &answered, &name) != 0) {
        return failure_xen(f, name, errno, &subject);
    }
    if (value != NULL) {
        *value = answered;
    }
    return 0;
}

/* --- facts ------------------------------------------------------------------------------------ */

#if defined(__i386__) || defined(__x86_64__)
enum { LEAF_VENDOR = 0, LEAF_VERSION = 1, LEAF_TSC = 0x15, LEAF_FREQUENCY = 0x16 };

/* Family and model as the processor's manual puts them together. */
static void read_version(uint32_t eax, struct message_trace_facts *out)
{
    uint32_t family = eax >> 8 & 0xf;
    uint32_t model = eax >> 4 & 0xf;

    out->cpu_stepping = eax & 0xf;
    out->cpu_family = family == 0xf ? family + (eax >> 20 & 0xff) : family;
    out->cpu_model = family == 6 || family == 0xf ? model | (eax >> 12 & 0xf0) : model;
}

static void read_processor(struct message_trace_facts *out)
{
    uint32_t eax, ebx, ecx, edx;

    if (__get_cpuid(LEAF_VENDOR, &eax, &ebx, &ecx, &edx) != 0) {
        memcpy(out->cpu_vendor, &ebx, sizeof(ebx));
        memcpy(out->cpu_vendor + 4, &edx, sizeof(edx));
        memcpy(out->cpu_vendor + 8, &ecx, sizeof(ecx));
    }
    if (__get_cpuid(LEAF_VERSION, &eax, &ebx, &ecx, &edx) != 0) {
        read_version(eax, out);
    }
    if (__get_cpuid(LEAF_TSC, &eax, &ebx, &ecx, &edx) != 0) {
        out->cpuid_15_eax = eax;
        out->cpuid_15_ebx = ebx;
        out->cpuid_15_ecx = ecx;
    }
    if (__get_cpuid(LEAF_FREQUENCY, &eax, &ebx, &ecx, &edx) != 0) {
        out->nominal_mhz = eax & 0xffff;
    }
}

uint64_t trace_tsc(struct backend *b)
{
    (void)b;
    return __rdtsc();
}
#else
static void read_processor(struct message_trace_facts *out)
{
    (void)out;
}

uint64_t trace_tsc(struct backend *b)
{
    (void)b;
    return 0;
}
#endif

void trace_facts(struct backend *b, uint16_t domid, struct message_trace_facts *out)
{
    xc_physinfo_t host;
    uint32_t mode = 0, khz = 0, incarnation = 0;
    uint64_t elapsed_ns = 0;
    unsigned int width_bytes = 0;

    memset(out, 0, sizeof(*out));
    memset(&host, 0, sizeof(host));
    read_processor(out);
    b->hypercall_count += 3;
    if (xc_physinfo(b->control, &host) == 0) {
        out->tsc_khz = host.cpu_khz;
    }
    if (xc_domain_get_tsc_info(b->control, domid, &mode, &elapsed_ns, &khz, &incarnation) == 0) {
        out->guest_tsc_mode = mode;
        out->guest_tsc_khz = khz;
    }
    if (xc_domain_get_guest_width(b->control, domid, &width_bytes) == 0 &&
        (width_bytes == 4 || width_bytes == 8)) {
        out->guest_bits = width_bytes * 8;
    }
}
