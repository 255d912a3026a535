// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors

/*
 * The ground truth of the tests of traces, and the other tool that gets in their way: a program in dom0 that controls
 * vmtrace directly, through Xen's own libraries and nothing of the gateway's. Each subcommand does one thing; it decides
 * nothing, and cleans nothing up. What it tells and emits are options of the hypervisor that these tests run on
 * (xen/vmtrace.c); the gateway knows none of them.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "../command.h"

#include <xen/memory.h>

enum key {
    CTL = 0x570, // IA32_RTIT_CTL
    STATUS = 0x571,
    PRODUCED = 0x4d540000, // bytes since the reset
    EXTRA = 0x4d540001,    // bytes that each VM exit adds
    EMIT = 0x4d540002,     // so many bytes now
    NEXT = 0x4d540004,     // number of the next MNT packet
};
enum { FRAME_BYTES = 4096 };

static uint32_t vcpu_number(const char *text)
{
    return (uint32_t)number(text);
}

static bool is_paused(domid_t domain)
{
    xc_domaininfo_t info;

    return xc_domain_getinfolist(xc, domain, 1, &info) == 1 && info.domain == domain &&
           (info.flags & XEN_DOMINF_paused);
}

static int facts(char **args)
{
    domid_t domain = domain_number(args[0]);
    uint32_t vcpu = vcpu_number(args[1]);
    uint64_t position, produced, next, ctl, status;

    if (xc_vmtrace_output_position(xc, domain, vcpu, &position) ||
        xc_vmtrace_get_option(xc, domain, vcpu, PRODUCED, &produced) ||
        xc_vmtrace_get_option(xc, domain, vcpu, NEXT, &next) ||
        xc_vmtrace_get_option(xc, domain, vcpu, CTL, &ctl) ||
        xc_vmtrace_get_option(xc, domain, vcpu, STATUS, &status)) {
        return fail("xc_vmtrace");
    }
    printf("produced=%" PRIu64 " next=%" PRIu64 " position=%" PRIu64 " on=%d ctl=%#" PRIx64
           " status=%#" PRIx64 " paused=%d\n",
           produced, next, position, (int)(ctl & 1), ctl, status, is_paused(domain));
    return OK;
}

static int set(char **args, enum key key)
{
    return xc_vmtrace_set_option(xc, domain_number(args[0]), vcpu_number(args[1]), key,
                                 number(args[2]))
               ? fail("xc_vmtrace_set_option")
               : OK;
}

static int emit(char **args)
{
    return set(args, EMIT);
}

static int extra(char **args)
{
    return set(args, EXTRA);
}

static int ctl(char **args)
{
    return set(args, CTL);
}

static int status(char **args)
{
    return set(args, STATUS);
}

static int enable(char **args)
{
    return xc_vmtrace_enable(xc, domain_number(args[0]), vcpu_number(args[1]))
               ? fail("xc_vmtrace_enable")
               : OK;
}

static int disable(char **args)
{
    return xc_vmtrace_disable(xc, domain_number(args[0]), vcpu_number(args[1]))
               ? fail("xc_vmtrace_disable")
               : OK;
}

// Somebody who begins anew: Xen has no reset of what is on, so it is off for a moment.
static int reset(char **args)
{
    domid_t domain = domain_number(args[0]);
    uint32_t vcpu = vcpu_number(args[1]);

    return xc_vmtrace_disable(xc, domain, vcpu) || xc_vmtrace_reset_and_enable(xc, domain, vcpu)
               ? fail("xc_vmtrace_reset_and_enable")
               : OK;
}

static int ring(char **args)
{
    unsigned long frames = number(args[2]) / FRAME_BYTES;
    void *address = NULL;
    xenforeignmemory_resource_handle *mapping =
        xenforeignmemory_map_resource(memory, domain_number(args[0]), XENMEM_resource_vmtrace_buf,
                                      vcpu_number(args[1]), 0, frames, &address, PROT_READ, 0);
    int result = OK;

    if (!mapping) {
        return fail("xenforeignmemory_map_resource");
    }
    for (unsigned long i = 0; i < frames && result == OK; i++) {
        char frame[FRAME_BYTES]; // not every kind of file takes bytes of this mapping

        memcpy(frame, (const char *)address + i * FRAME_BYTES, sizeof frame);
        if (fwrite(frame, sizeof frame, 1, stdout) != 1) {
            result = fail("fwrite");
        }
    }
    xenforeignmemory_unmap_resource(memory, mapping);
    return result;
}

static const struct command commands[] = {
    { "facts", 2, facts,
      "facts DOMAIN VCPU          bytes produced since the reset, number of the next MNT packet, "
      "and so on" },
    { "emit", 3, emit,
      "emit DOMAIN VCPU BYTES     appends exactly so many; needs tracing to be on" },
    { "extra", 3, extra, "extra DOMAIN VCPU BYTES    that each VM exit adds from now on" },
    { "ctl", 3, ctl, "ctl DOMAIN VCPU VALUE      sets RTIT_CTL" },
    { "status", 3, status, "status DOMAIN VCPU VALUE   sets RTIT_STATUS" },
    { "enable", 2, enable, "enable DOMAIN VCPU" },
    { "disable", 2, disable, "disable DOMAIN VCPU" },
    { "reset", 2, reset, "reset DOMAIN VCPU          disables, then resets and enables" },
    { "ring", 3, ring, "ring DOMAIN VCPU BYTES     what is in the ring, whoever wrote it" },
};

int main(int argc, char **argv)
{
    return command_main(argc, argv, "ptctl COMMAND [ARG...], as root in dom0.", commands,
                        sizeof commands / sizeof commands[0]);
}
