/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The xen backend with libxenctrl and libxenforeignmemory replaced (fake_xen.h), for
 * what a healthy Xen 4.17 never answers: other versions, missing privileges, contradictions. What
 * that one does answer is in tests/xen/backend_test.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/xen/opened.h"

static const struct message_check_row *check_of(const struct message_host_answer *host,
                                                const char *name)
{
    uint32_t i = 0;

    while (i < host->check_count && strcmp(host->checks[i].name, name) != 0) {
        i++;
    }
    assert_true(i < host->check_count);
    return &host->checks[i];
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
    fake_xen_set_healthy();
    fake_xen.open_foreign_errno = ENOENT;
    assert_int_equal(backend_open(NULL, &b, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.next_step, "xen-privcmd"));
    fake_xen.open_foreign_errno = EACCES;
    assert_int_equal(backend_open(NULL, &b, &f), -ERROR_PERMISSION_DENIED);
    assert_non_null(strstr(f.next_step, "/dev/xen/privcmd"));
    assert_string_equal(f.call, "xenforeignmemory_open");
}

static void a_half_opened_backend_is_closed_again(void **state)
{
    struct failure f = { 0 };

    (void)state;
    fake_xen_set_healthy();
    fake_xen.open_control_errno = EACCES;
    assert_int_equal(backend_open(NULL, &b, &f), -ERROR_PERMISSION_DENIED);
    assert_non_null(strstr(f.next_step, "/dev/xen/hypercall"));
    assert_null(b);
    assert_int_equal(fake_xen.open_handles, 0);
}

static void an_argument_is_refused(void **state)
{
    (void)state;
    fake_xen_set_healthy();
    assert_int_equal(backend_open("scenario", &b, NULL), -ERROR_INVALID_ARGUMENT);
    assert_string_equal(backend_argument_help, "");
    backend_ops->close(NULL);
}

static void a_sampler_has_devices_of_its_own_and_no_store(void **state)
{
    struct backend *sampler = NULL;
    struct backend_domain domain;
    int before = fake_xen.open_handles;

    (void)state;
    assert_int_equal(backend_ops->open_sampler(b, &sampler, NULL), 0);
    assert_int_equal(fake_xen.open_handles, before + 2);
    assert_int_equal(backend_ops->find(sampler, 1, &domain, NULL), 0);
    assert_int_equal(backend_ops->hypercalls(sampler), 1);
    backend_ops->close(sampler);
    assert_int_equal(fake_xen.open_handles, before);
}

static void a_sampler_that_cannot_be_opened_leaves_nothing(void **state)
{
    struct backend *sampler = NULL;
    struct failure f = { 0 };
    int before = fake_xen.open_handles;

    (void)state;
    fake_xen.open_control_errno = EACCES;
    assert_int_equal(backend_ops->open_sampler(b, &sampler, &f), -ERROR_PERMISSION_DENIED);
    assert_string_equal(f.call, "xc_interface_open");
    assert_null(sampler);
    assert_int_equal(fake_xen.open_handles, before);
}

/* --- host ------------------------------------------------------------------------------------- */

static void another_interface_version_is_explained(void **state)
{
    struct backend_domain domain;
    struct failure f = { 0 };

    (void)state;
    fake_xen.list_errno = EACCES;
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
    fake_xen.list_errno = EPERM;
    assert_true(check_of(host(), "interface")->ok);
    assert_false(check_of(host(), "control_domain")->ok);
    assert_non_null(strstr(check_of(host(), "control_domain")->detail, "dom0"));
}

static void a_kernel_without_sizes_is_told_from_one_that_maps_nothing(void **state)
{
    static const struct {
        int errnum;
        bool ok;
        const char *detail;
    } cases[] = {
        { ESRCH, true, "tells their size" },
        { EPERM, true, "tells their size" },
        { EINVAL, false, "cannot tell a resource's size" },
        { EOPNOTSUPP, false, "cannot map resources" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake_xen.size_errno = cases[i].errnum;
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
    fake_xen.physical_capabilities =
        XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_vmtrace | XEN_SYSCTL_PHYSCAP_vpmu;
    assert_int_equal(host()->capabilities, HOST_CAN_HVM | HOST_CAN_VMTRACE);
}

static void strings_without_an_end_are_cut_at_their_room(void **state)
{
    const char *abis;

    (void)state;
    memset(fake_xen.extra, 'x', sizeof(fake_xen.extra));
    for (size_t i = 0; i < sizeof(fake_xen.abis); i++) {
        fake_xen.abis[i] = i % 10 == 9 ? ' ' : 'a';
    }
    assert_string_equal(host()->xen_version, "4.17xxxxxxxxxxxxxxxx");
    abis = host()->guest_abis;
    assert_int_equal(strlen(abis), 249); /* 25 words of 9 and the spaces between */
    memset(fake_xen.abis, 'a', sizeof(fake_xen.abis));
    assert_string_equal(host()->guest_abis, ""); /* no whole word fits */
}

static void a_silent_hypervisor_is_told(void **state)
{
    (void)state;
    fake_xen.xen_version_errno = ENOSYS;
    assert_false(check_of(host(), "hypercall")->ok);
    assert_string_equal(host()->xen_version, "");
}

/* --- domains ---------------------------------------------------------------------------------- */

static void a_long_list_comes_whole_and_in_pages(void **state)
{
    struct backend_domain domains[FAKE_XEN_DOMAINS_MAX];
    uint32_t count = 0;

    (void)state;
    fake_xen.domain_count = FAKE_XEN_DOMAINS_MAX;
    for (uint16_t i = 0; i < FAKE_XEN_DOMAINS_MAX; i++) {
        fake_xen.domains[i].domain = (uint16_t)(i * 3);
    }
    assert_int_equal(backend_ops->list(b, 0, domains, FAKE_XEN_DOMAINS_MAX, &count, NULL), 0);
    assert_int_equal(count, FAKE_XEN_DOMAINS_MAX);
    for (uint16_t i = 0; i < FAKE_XEN_DOMAINS_MAX; i++) {
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
    fake_xen.excess = 3;
    assert_int_equal(backend_ops->list(b, 0, domains, 4, &count, NULL), -ERROR_INTERNAL);
    fake_xen.excess = 0;
    fake_xen.ignores_first = true;
    assert_int_equal(backend_ops->list(b, 1, domains, 4, &count, NULL), -ERROR_INTERNAL);
    fake_xen.ignores_first = false;
    fake_xen.domains[0].domain = 5; /* not ascending */
    assert_int_equal(backend_ops->list(b, 0, domains, 4, &count, NULL), -ERROR_INTERNAL);
    fake_xen.domains[0].domain = 0;
    fake_xen.domains[1].domain = DOMID_FIRST_RESERVED;
    assert_int_equal(backend_ops->list(b, 0, domains, 4, &count, NULL), -ERROR_INTERNAL);
    assert_int_equal(count, 77);
}

static void the_next_domain_is_not_the_one_asked_for(void **state)
{
    struct backend_domain domain = { .domid = 77 };

    (void)state;
    fake_xen.domains[1].domain = 9;
    assert_int_equal(backend_ops->find(b, 1, &domain, NULL), -ERROR_NOT_FOUND);
    assert_int_equal(domain.domid, 77);
    assert_int_equal(backend_ops->find(b, 9, &domain, NULL), 0);
}

static void types_are_told_by_what_is_emulated(void **state)
{
    static const struct {
        uint32_t flags, emulated;
        enum domain_type type;
    } cases[] = {
        { 0, 0, DOMAIN_PV },
        { 0, XEN_X86_EMU_PIT, DOMAIN_PV },
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

        fake_xen.domains[1].flags = cases[i].flags;
        fake_xen.domains[1].arch_config.emulation_flags = cases[i].emulated;
        assert_int_equal(backend_ops->find(b, 1, &domain, NULL), 0);
        assert_int_equal(domain.type, cases[i].type);
    }
}

static void the_strongest_state_is_told(void **state)
{
    enum {
        CRASH = SHUTDOWN_crash << XEN_DOMINF_shutdownshift,
        REBOOT = SHUTDOWN_reboot << XEN_DOMINF_shutdownshift
    };
    static const struct {
        uint32_t flags;
        enum domain_state state;
    } cases[] = {
        { 0, DOMAIN_RUNNING },
        { XEN_DOMINF_running, DOMAIN_RUNNING },
        { XEN_DOMINF_blocked, DOMAIN_BLOCKED },
        { XEN_DOMINF_blocked | XEN_DOMINF_running, DOMAIN_RUNNING },
        { XEN_DOMINF_paused | XEN_DOMINF_blocked, DOMAIN_PAUSED },
        { XEN_DOMINF_paused | XEN_DOMINF_shutdown | REBOOT, DOMAIN_SHUTDOWN },
        { XEN_DOMINF_shutdown, DOMAIN_SHUTDOWN },
        { XEN_DOMINF_shutdown | CRASH, DOMAIN_CRASHED },
        { CRASH, DOMAIN_RUNNING },
        { XEN_DOMINF_dying | XEN_DOMINF_shutdown | CRASH, DOMAIN_DYING },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct backend_domain domain;

        fake_xen.domains[1].flags = cases[i].flags;
        assert_int_equal(backend_ops->find(b, 1, &domain, NULL), 0);
        assert_int_equal(domain.state, cases[i].state);
        assert_int_equal(domain.dying, cases[i].state == DOMAIN_DYING);
    }
}

static void a_domain_without_vcpus_has_none(void **state)
{
    struct backend_domain domain;

    (void)state;
    fake_xen.domains[1].max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
    assert_int_equal(backend_ops->find(b, 1, &domain, NULL), 0);
    assert_int_equal(domain.max_vcpus, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_device_nodes_opening_fails_with_the_cure),
        cmocka_unit_test(a_half_opened_backend_is_closed_again),
        cmocka_unit_test(an_argument_is_refused),
        OPENED(a_sampler_has_devices_of_its_own_and_no_store),
        OPENED(a_sampler_that_cannot_be_opened_leaves_nothing),
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
    };

    setenv("XENSTORED_PATH", "/nonexistent/xenstored", 1);
    return UNIT_RUN(tests);
}
