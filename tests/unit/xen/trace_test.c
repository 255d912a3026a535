/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What the xen backend asks of libxenctrl's xc_vmtrace_*(), and how it words their answers. */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/xen/opened.h"

enum { VCPU = 3 };

static const struct {
    enum vmtrace_call call;
    const char *name;
} calls[] = {
    { VMTRACE_ENABLE, "xc_vmtrace_enable" },
    { VMTRACE_DISABLE, "xc_vmtrace_disable" },
    { VMTRACE_RESET_AND_ENABLE, "xc_vmtrace_reset_and_enable" },
    { VMTRACE_POSITION, "xc_vmtrace_output_position" },
    { VMTRACE_GET_OPTION, "xc_vmtrace_get_option" },
    { VMTRACE_SET_OPTION, "xc_vmtrace_set_option" },
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static int call(size_t i, uint64_t *value, struct failure *f)
{
    return backend_ops->vmtrace(b, 1, VCPU, calls[i].call, VMTRACE_KEY_CTL, value, f);
}

static void each_call_is_made_of_that_vcpu_and_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < CALLS; i++) {
        uint64_t value = 0x2405;
        uint64_t hypercalls = backend_ops->hypercalls(b);

        fake_xen.vmtrace_value = 77;
        assert_int_equal(call(i, &value, NULL), 0);
        assert_string_equal(fake_xen.vmtrace_called, calls[i].name);
        assert_int_equal(fake_xen.vmtrace_vcpu, VCPU);
        assert_int_equal(backend_ops->pauses(b), i + 1);
        assert_int_equal(backend_ops->hypercalls(b), hypercalls + 1);
        switch (calls[i].call) {
        case VMTRACE_POSITION: assert_int_equal(value, 77); break;
        case VMTRACE_GET_OPTION:
            assert_int_equal(value, 77);
            assert_int_equal(fake_xen.vmtrace_key, VMTRACE_KEY_CTL);
            break;
        case VMTRACE_SET_OPTION:
            assert_int_equal(fake_xen.vmtrace_value, 0x2405);
            assert_int_equal(fake_xen.vmtrace_key, VMTRACE_KEY_CTL);
            break;
        default: assert_int_equal(value, 0x2405); break;
        }
    }
}

static void who_has_no_use_for_a_value_gives_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(call(i, NULL, NULL), 0);
    }
}

static void a_sampler_counts_its_own_pauses(void **state)
{
    struct backend *sampler = NULL;
    uint64_t position;

    (void)state;
    assert_int_equal(backend_ops->open_sampler(b, &sampler, NULL), 0);
    assert_int_equal(backend_ops->vmtrace(sampler, 1, 0, VMTRACE_POSITION, 0, &position, NULL), 0);
    assert_int_equal(backend_ops->pauses(sampler), 1);
    assert_int_equal(backend_ops->pauses(b), 0);
    backend_ops->close(sampler);
}

static void a_failure_names_call_and_vcpu_and_leaves_the_value(void **state)
{
    (void)state;
    fake_xen.vmtrace_errno = EPERM;
    for (size_t i = 0; i < CALLS; i++) {
        struct failure f = { 0 };
        uint64_t value = 5;

        assert_int_equal(call(i, &value, &f), -ERROR_PERMISSION_DENIED);
        assert_string_equal(f.call, calls[i].name);
        assert_int_equal(f.xen_errno, EPERM);
        assert_non_null(strstr(f.message, "vmtrace_buf 3 of domain 1"));
        assert_int_equal(value, 5);
        assert_int_equal(backend_ops->pauses(b), i + 1);
    }
}

static void each_errno_has_its_words(void **state)
{
    static const struct {
        enum vmtrace_call call;
        int errnum;
        enum error_code code;
        const char *cause, *next_step;
    } rows[] = {
        { VMTRACE_ENABLE, EINVAL, ERROR_FAILED_PRECONDITION, "traced already", "--takeover" },
        { VMTRACE_RESET_AND_ENABLE, EINVAL, ERROR_FAILED_PRECONDITION, "traced already",
          "--takeover" },
        { VMTRACE_DISABLE, EINVAL, ERROR_FAILED_PRECONDITION, "has disabled it", "start anew" },
        { VMTRACE_POSITION, EINVAL, ERROR_FAILED_PRECONDITION, "no vmtrace buffer",
          "vmtrace_buf_kb" },
        { VMTRACE_GET_OPTION, EINVAL, ERROR_FAILED_PRECONDITION, "no vmtrace buffer",
          "vmtrace_buf_kb" },
        { VMTRACE_SET_OPTION, EINVAL, ERROR_FAILED_PRECONDITION, "one of the options",
          "vmtrace_buf_kb" },
        { VMTRACE_POSITION, ENOENT, ERROR_NOT_FOUND, "no vCPU with this number", "below" },
        { VMTRACE_POSITION, ESRCH, ERROR_NOT_FOUND, "no such domain", "list of domains" },
        { VMTRACE_ENABLE, EOPNOTSUPP, ERROR_UNIMPLEMENTED, "Intel PT", "--doctor" },
        { VMTRACE_ENABLE, EACCES, ERROR_FAILED_PRECONDITION, "libxenctrl", "install" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct failure f = { 0 };
        uint64_t value = 0;

        fake_xen.vmtrace_errno = rows[i].errnum;
        assert_int_equal(
            backend_ops->vmtrace(b, 1, VCPU, rows[i].call, VMTRACE_KEY_CTL, &value, &f),
            -(int)rows[i].code);
        if (strstr(f.cause, rows[i].cause) == NULL ||
            strstr(f.next_step, rows[i].next_step) == NULL) {
            fail_msg("row %zu: \"%s\", \"%s\"", i, f.cause, f.next_step);
        }
    }
}

static void what_is_known_of_processor_and_guest_is_told(void **state)
{
    struct message_trace_facts facts;

    (void)state;
    fake_xen.tsc_mode = 2;
    fake_xen.tsc_khz = 1800000;
    fake_xen.guest_width_bytes = 8;
    memset(&facts, 0xff, sizeof(facts));
    backend_ops->trace_facts(b, 1, &facts);
    assert_int_equal(facts.rtit_ctl, 0);
    assert_int_equal(facts.buffer_bytes, 0);
    assert_int_equal(facts.tsc_khz, 2500000);
    assert_int_equal(facts.guest_tsc_mode, 2);
    assert_int_equal(facts.guest_tsc_khz, 1800000);
    assert_int_equal(facts.guest_bits, 64);
    assert_int_equal(facts.reserved, 0);
#if defined(__x86_64__)
    assert_int_equal(strlen(facts.cpu_vendor), 12);
    assert_true(facts.cpu_family >= 6);
    assert_true(backend_ops->tsc(b) < backend_ops->tsc(b));
#endif
    assert_int_equal(backend_ops->pauses(b), 0);
    fake_xen.guest_width_bytes = 4;
    backend_ops->trace_facts(b, 1, &facts);
    assert_int_equal(facts.guest_bits, 32);
}

static void what_cannot_be_found_out_is_zero(void **state)
{
    struct message_trace_facts facts;

    (void)state;
    fake_xen.list_errno = fake_xen.tsc_errno = fake_xen.width_errno = EPERM;
    fake_xen.tsc_mode = fake_xen.tsc_khz = fake_xen.guest_width_bytes = 8;
    backend_ops->trace_facts(b, 1, &facts);
    assert_int_equal(facts.tsc_khz | facts.guest_tsc_mode | facts.guest_tsc_khz | facts.guest_bits,
                     0);
    fake_xen.width_errno = 0;
    fake_xen.guest_width_bytes = 3;
    backend_ops->trace_facts(b, 1, &facts);
    assert_int_equal(facts.guest_bits, 0);
}

static void how_a_domain_shut_down_is_known_once_it_did(void **state)
{
    static const struct {
        uint32_t flags, code;
        enum domain_state state;
    } rows[] = {
        { XEN_DOMINF_shutdown | SHUTDOWN_reboot << XEN_DOMINF_shutdownshift, SHUTDOWN_reboot,
          DOMAIN_SHUTDOWN },
        { XEN_DOMINF_shutdown | SHUTDOWN_crash << XEN_DOMINF_shutdownshift, SHUTDOWN_crash,
          DOMAIN_CRASHED },
        { XEN_DOMINF_shutdown | SHUTDOWN_soft_reset << XEN_DOMINF_shutdownshift,
          SHUTDOWN_soft_reset, DOMAIN_SHUTDOWN },
        { XEN_DOMINF_running | SHUTDOWN_reboot << XEN_DOMINF_shutdownshift, 0, DOMAIN_RUNNING },
        { XEN_DOMINF_dying | XEN_DOMINF_shutdown | SHUTDOWN_crash << XEN_DOMINF_shutdownshift, 0,
          DOMAIN_DYING },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct backend_domain domain;

        fake_xen.domains[1].flags = rows[i].flags | XEN_DOMINF_hvm_guest;
        assert_int_equal(backend_ops->find(b, 1, &domain, NULL), 0);
        assert_int_equal(domain.state, rows[i].state);
        assert_int_equal(domain.shutdown_code, rows[i].code);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        OPENED(each_call_is_made_of_that_vcpu_and_counted),
        OPENED(who_has_no_use_for_a_value_gives_none),
        OPENED(a_sampler_counts_its_own_pauses),
        OPENED(a_failure_names_call_and_vcpu_and_leaves_the_value),
        OPENED(each_errno_has_its_words),
        OPENED(what_is_known_of_processor_and_guest_is_told),
        OPENED(what_cannot_be_found_out_is_zero),
        OPENED(how_a_domain_shut_down_is_known_once_it_did),
    };

    return UNIT_RUN(tests);
}
