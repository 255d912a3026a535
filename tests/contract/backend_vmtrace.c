/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The rules of traces that the core relies on. On hosts without Intel PT no domain has a buffer, and the rules
 * of those that have one go without a case. */
#include "tests/contract/backend_contract.h"

#include <errno.h>

#include "common/layout.h"

static const enum vmtrace_call vmtrace_calls[] = {
    VMTRACE_ENABLE,   VMTRACE_DISABLE,    VMTRACE_RESET_AND_ENABLE,
    VMTRACE_POSITION, VMTRACE_GET_OPTION, VMTRACE_SET_OPTION,
};
enum { VMTRACE_CALLS = sizeof(vmtrace_calls) / sizeof(vmtrace_calls[0]) };

/* The bytes of each vCPU's buffer; 0: it has none. */
static uint64_t vmtrace_bytes(const struct backend_domain *d)
{
    struct backend_size size = { 0 };

    if (d->domid == 0 || ops->size(b, d->domid, RESOURCE_VMTRACE_BUF, 0, &size, NULL) < 0) {
        return 0;
    }
    return (uint64_t)size.frames_in_use * LAYOUT_FRAME_BYTES;
}

static int vmtrace_errno(uint16_t domid, uint32_t vcpu, enum vmtrace_call call, uint32_t key,
                         uint64_t *value)
{
    struct failure f = { 0 };

    if (ops->vmtrace(b, domid, vcpu, call, key, value, &f) == 0) {
        return 0;
    }
    assert_true(f.message[0] && f.cause[0] && f.next_step[0]);
    return (int)f.xen_errno;
}

void without_a_trace_buffer_every_call_is_einval(void **state)
{
    uint32_t seen = 0;

    (void)state;
    for (uint32_t i = 0; i < domain_count; i++) {
        for (size_t k = 0; k < VMTRACE_CALLS && vmtrace_bytes(&domains[i]) == 0; k++) {
            uint64_t value = 0;

            assert_int_equal(
                vmtrace_errno(domains[i].domid, 0, vmtrace_calls[k], VMTRACE_KEY_CTL, &value),
                EINVAL);
            seen++;
        }
    }
    assert_true(seen > 0); /* domain 0 has never one */
}

void calls_of_traces_go_to_vcpus_that_there_are(void **state)
{
    (void)state;
    for (size_t k = 0; k < VMTRACE_CALLS; k++) {
        uint64_t value = 0;

        assert_int_equal(vmtrace_errno(9999, 0, vmtrace_calls[k], VMTRACE_KEY_CTL, &value), ESRCH);
        for (uint32_t i = 0; i < domain_count; i++) {
            const struct backend_domain *d = &domains[i];
            int expected = vmtrace_bytes(d) > 0 ? ENOENT : EINVAL;

            assert_int_equal(
                vmtrace_errno(d->domid, d->max_vcpus, vmtrace_calls[k], VMTRACE_KEY_CTL, &value),
                expected);
        }
    }
}

/* With options that let no packet through, so that nothing moves meanwhile. */
static void keeps_the_rules_of_traces(uint16_t domid, uint32_t vcpu)
{
    uint64_t ctl = 0, value = UINT64_MAX;

    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_DISABLE, 0, NULL), EINVAL);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_SET_OPTION, VMTRACE_KEY_CTL, &ctl), 0);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_RESET_AND_ENABLE, 0, NULL), 0);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_RESET_AND_ENABLE, 0, NULL), EINVAL);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_ENABLE, 0, NULL), EINVAL);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_POSITION, 0, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_GET_OPTION, VMTRACE_KEY_CTL, &value), 0);
    assert_int_equal(value, VMTRACE_CTL_ENABLED);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_DISABLE, 0, NULL), 0);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_DISABLE, 0, NULL), EINVAL);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_GET_OPTION, VMTRACE_KEY_CTL, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_POSITION, 0, &value), 0); /* off, too */
    assert_int_equal(value, 0);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_ENABLE, 0, NULL), 0);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_DISABLE, 0, NULL), 0);
}

static void keeps_the_rules_of_options(uint16_t domid, uint32_t vcpu)
{
    uint64_t usual = VMTRACE_CTL_OS | VMTRACE_CTL_USER | VMTRACE_CTL_TSC | VMTRACE_CTL_NO_RETC |
                     VMTRACE_CTL_BRANCH;
    uint64_t cr3_filter = 0x80, byte_count = UINT64_C(1) << 32, none = 0, value = 0;

    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_SET_OPTION, VMTRACE_KEY_CTL, &usual), 0);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_SET_OPTION, VMTRACE_KEY_CTL, &cr3_filter),
                     EINVAL);
    assert_int_equal(
        vmtrace_errno(domid, vcpu, VMTRACE_SET_OPTION, VMTRACE_KEY_STATUS, &byte_count), EINVAL);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_GET_OPTION, VMTRACE_KEY_CTL, &value), 0);
    assert_int_equal(value, usual); /* what was refused has changed nothing */
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_SET_OPTION, 0x572, &none), EINVAL);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_GET_OPTION, 0x572, &value), EINVAL);
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_GET_OPTION, VMTRACE_KEY_STATUS, &value), 0);
    assert_false(value & (VMTRACE_STATUS_ERROR | VMTRACE_STATUS_STOPPED));
    assert_int_equal(vmtrace_errno(domid, vcpu, VMTRACE_SET_OPTION, VMTRACE_KEY_CTL, &none), 0);
}

/* Where there are buffers: on hosts without Intel PT there are none. */
void a_vcpu_with_a_trace_buffer_keeps_xens_rules(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < domain_count; i++) {
        uint64_t bytes = vmtrace_bytes(&domains[i]);

        for (uint32_t vcpu = 0; vcpu < domains[i].max_vcpus && bytes > 0; vcpu++) {
            assert_int_equal(bytes & (bytes - 1), 0);
            keeps_the_rules_of_traces(domains[i].domid, vcpu);
            keeps_the_rules_of_options(domains[i].domid, vcpu);
        }
    }
}

void calls_of_traces_are_counted_as_pauses_by_their_handle(void **state)
{
    struct backend *sampler = NULL;
    uint64_t pauses = ops->pauses(b), hypercalls = ops->hypercalls(b), value = 0;
    struct backend_domain d;

    (void)state;
    assert_int_equal(ops->open_sampler(b, &sampler, NULL), 0);
    (void)ops->vmtrace(sampler, domains[0].domid, 0, VMTRACE_POSITION, 0, &value, NULL);
    assert_int_equal(ops->pauses(sampler), 1);
    assert_true(ops->hypercalls(sampler) > 0);
    assert_int_equal(ops->pauses(b), pauses);
    assert_int_equal(ops->hypercalls(b), hypercalls);
    assert_int_equal(ops->find(sampler, domains[0].domid, &d, NULL), 0);
    assert_int_equal(ops->pauses(sampler), 1);
    ops->close(sampler);
}

void the_clock_of_traces_runs_and_is_described(void **state)
{
    struct message_trace_facts facts;
    uint64_t before = ops->tsc(b);

    (void)state;
    memset(&facts, 0xff, sizeof(facts));
    ops->trace_facts(b, domains[0].domid, &facts);
    assert_true(ops->tsc(b) > before);
    assert_true(facts.cpu_vendor[0] != '\0');
    assert_non_null(memchr(facts.cpu_vendor, '\0', sizeof(facts.cpu_vendor)));
    assert_true(facts.cpu_family > 0 && facts.tsc_khz > 0);
    assert_int_equal(facts.rtit_ctl + facts.buffer_bytes, 0); /* the caller's */
}
