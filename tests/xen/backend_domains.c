/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Host, domains and run times, as a real Xen tells them. */
#include <errno.h>

#include "tests/xen/backend_fixture.h"

enum { DOMAINS_MAX = 64 };

static void host_describes_xen_and_checks_pass(void **state)
{
    static struct message_host_answer host;

    (void)state;
    memset(&host, 0xff, sizeof(host));
    memset(&host.head, 0, sizeof(host.head));
    backend_ops->host(b, &host);
    print_message("    Xen %s, %s; boot %s; uuid from %s; capabilities 0x%x, %u CPUs, %llu of %llu"
                  " KiB free\n",
                  host.xen_version, host.guest_abis, host.boot_id, host.uuid_source,
                  host.capabilities, host.cpu_count, (unsigned long long)host.free_memory_kib,
                  (unsigned long long)host.total_memory_kib);
    for (uint32_t i = 0; i < host.check_count; i++) {
        print_message("    %s %s: %s\n", host.checks[i].ok ? "ok  " : "FAIL", host.checks[i].name,
                      host.checks[i].detail);
    }
    assert_memory_equal(host.xen_version, "4.17", 4);
    assert_non_null(strstr(host.guest_abis, "xen-3.0-x86_64"));
    assert_int_equal(strlen(host.boot_id), 36);
    assert_int_equal(host.capabilities & (HOST_CAN_HVM | HOST_CAN_PV | HOST_CAN_HAP),
                     HOST_CAN_HVM | HOST_CAN_PV | HOST_CAN_HAP);
    assert_int_equal(host.capabilities & HOST_CAN_VMTRACE, 0);
    assert_true(host.cpu_count > 0 && host.free_memory_kib < host.total_memory_kib);
    assert_true(host.wall_ns > 0 && host.monotonic_ns > 0);
    assert_true(host.check_count > 5 && host.check_count <= MESSAGE_CHECKS_MAX);
    for (uint32_t i = 0; i < host.check_count; i++) {
        assert_true(host.checks[i].ok);
    }
    assert_string_equal(host.uuid_source, ""); /* the rig's firmware has none */
}

static void domains_are_listed_in_order_and_in_pages(void **state)
{
    struct backend_domain domains[DOMAINS_MAX];
    struct backend_domain page[2];
    uint32_t count = 0;
    uint32_t page_count = 0;

    (void)state;
    assert_int_equal(backend_ops->list(b, 0, domains, DOMAINS_MAX, &count, NULL), 0);
    assert_true(count >= 4);
    assert_int_equal(domains[0].domid, 0);
    assert_int_equal(domains[0].type, DOMAIN_PV);
    assert_int_equal(domains[0].state, DOMAIN_RUNNING);
    for (uint32_t i = 1; i < count; i++) {
        assert_true(domains[i].domid > domains[i - 1].domid);
    }
    assert_int_equal(backend_ops->list(b, domains[1].domid, page, 2, &page_count, NULL), 0);
    assert_int_equal(page_count, 2);
    assert_int_equal(page[0].domid, domains[1].domid);
    assert_int_equal(page[1].domid, domains[2].domid);
    assert_int_equal(backend_ops->list(b, 0x7fef, page, 2, &page_count, NULL), 0);
    assert_int_equal(page_count, 0);
    assert_int_equal(backend_ops->list(b, 0xffff, page, 2, &page_count, NULL), 0);
    assert_int_equal(page_count, 0);
}

static void a_domain_is_found_with_all_its_fields(void **state)
{
    static const uint8_t uuid[UUID_BYTES] = {
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
    };
    struct backend_domain domain = found(tiny);

    (void)state;
    assert_memory_equal(domain.uuid, uuid, UUID_BYTES);
    assert_int_equal(domain.domid, tiny);
    assert_false(domain.dying);
    assert_int_equal(domain.type, DOMAIN_PVH);
    assert_int_equal(domain.online_vcpus, 1);
    assert_int_equal(domain.max_vcpus, 1);
    assert_true(domain.memory_kib >= 4096 && domain.memory_kib < 8192);
    assert_becomes(found(tiny).cpu_time_ns > 0); /* it may not have run yet */
    assert_int_equal(found(linux_pv2).type, DOMAIN_PV);
    assert_int_equal(found(tiny_v2).type, DOMAIN_PVH);
}

static void no_domain_is_told_as_such(void **state)
{
    static const uint16_t none[] = { 999, 0x7fef, 0x7ff0, 0x7ff1, 0x7ff2, 0x7ff4, 0x7fff, 0xfffe };

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        struct backend_domain domain;
        struct backend_size size;
        struct message_vcpu vcpus[1];
        uint32_t count;
        struct failure f = { 0 };

        assert_told(&f, backend_ops->find(b, none[i], &domain, &f), ERROR_NOT_FOUND, ESRCH);
        assert_told(&f, backend_ops->size(b, none[i], RESOURCE_GRANT_TABLE, 0, &size, &f),
                    ERROR_NOT_FOUND, ESRCH);
        assert_told(&f, backend_ops->vcpu_info(b, none[i], vcpus, 1, &count, &f), ERROR_NOT_FOUND,
                    ESRCH);
    }
}

static void states_follow_the_domain(void **state)
{
    (void)state;
    assert_becomes(found(tiny).state == DOMAIN_BLOCKED);
    run("xl pause tiny");
    assert_int_equal(found(tiny).state, DOMAIN_PAUSED);
    run("xl unpause tiny");
    assert_becomes(found(tiny).state == DOMAIN_BLOCKED);
}

static void a_domain_that_shut_down_is_told_from_one_that_runs(void **state)
{
    uint16_t domid = create("linux-pv1", "off", "'on_poweroff=\"preserve\"'");

    (void)state;
    run("wait-for 100 grep -q GUEST-UP /var/log/xen/guest-off.log");
    run("xl sysrq off o");
    assert_becomes(found(domid).state == DOMAIN_SHUTDOWN);
    assert_false(found(domid).dying);
    run("xl destroy off");
}

static void run_times_are_those_of_the_vcpus(void **state)
{
    struct message_vcpu vcpus[8];
    uint64_t before = backend_ops->hypercalls(b);
    uint64_t first_ns;
    uint32_t count = 0;

    (void)state;
    assert_int_equal(backend_ops->vcpu_info(b, tiny, vcpus, 8, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(vcpus[0].vcpu, 0);
    assert_int_equal(vcpus[0].flags, VCPU_ONLINE);
    assert_int_equal(vcpus[0].run_time_ns, found(tiny).cpu_time_ns);
    assert_int_equal(backend_ops->hypercalls(b), before + 3);

    assert_int_equal(backend_ops->vcpu_info(b, 0, vcpus, 8, &count, NULL), 0);
    first_ns = vcpus[0].run_time_ns;
    assert_int_equal(backend_ops->vcpu_info(b, 0, vcpus, 8, &count, NULL), 0);
    assert_true(vcpus[0].run_time_ns > first_ns);
    assert_int_equal(backend_ops->vcpu_info(b, 0, vcpus, 0, &count, NULL), 0);
    assert_int_equal(count, 0);
}

const struct CMUnitTest domain_tests[] = {
    cmocka_unit_test(host_describes_xen_and_checks_pass),
    cmocka_unit_test(domains_are_listed_in_order_and_in_pages),
    cmocka_unit_test(a_domain_is_found_with_all_its_fields),
    cmocka_unit_test(no_domain_is_told_as_such),
    cmocka_unit_test(states_follow_the_domain),
    cmocka_unit_test(a_domain_that_shut_down_is_told_from_one_that_runs),
    cmocka_unit_test(run_times_are_those_of_the_vcpus),
};
const size_t domain_test_count = sizeof(domain_tests) / sizeof(domain_tests[0]);
