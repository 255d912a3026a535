/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What can be traced, and what is said where it cannot. */
#include "server/mapper/trace_can.h"

#include <errno.h>

#include "tests/lib/sim_rig.h"

#define DOMAIN(n, body)                                                                            \
    "domain \"d" n "\" { domid = " n " uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a0" n "\" " body  \
    " }\n"

static void find(struct backend *b, uint16_t domid, struct backend_domain *out)
{
    assert_int_equal(backend_ops->find(b, domid, out, NULL), 0);
}

static void vcpus_are_those_that_the_domain_has(void **state)
{
    static const struct {
        uint32_t max_vcpus;
        uint64_t asked[2], traced[2];
        bool is_refused;
    } rows[] = {
        { 1, { 0, 0 }, { 1, 0 }, false },
        { 64, { 0, 0 }, { UINT64_MAX, 0 }, false },
        { 65, { 0, 0 }, { UINT64_MAX, 1 }, false },
        { 128, { 0, 0 }, { UINT64_MAX, UINT64_MAX }, false },
        { 129, { 0, 0 }, { 0, 0 }, true },
        { 0, { 0, 0 }, { 0, 0 }, true },
        { 4, { 9, 0 }, { 9, 0 }, false },
        { 4, { 16, 0 }, { 0, 0 }, true },
        { 64, { 0, 1 }, { 0, 0 }, true },
        { 65, { 1, 1 }, { 1, 1 }, false },
        { 65, { 0, 2 }, { 0, 0 }, true },
        { 8192, { 0, UINT64_C(1) << 63 }, { 0, UINT64_C(1) << 63 }, false },
        { 0, { 1, 0 }, { 0, 0 }, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct backend_domain domain = { .domid = 5, .max_vcpus = rows[i].max_vcpus };
        uint64_t vcpus[2] = { rows[i].asked[0], rows[i].asked[1] };
        struct failure f = { 0 };
        int result = trace_can_vcpus(&domain, vcpus, &f);

        assert_int_equal(result, rows[i].is_refused ? -ERROR_OUT_OF_RANGE : 0);
        if (rows[i].is_refused) {
            assert_true(f.next_step[0] != '\0');
        } else {
            assert_memory_equal(vcpus, rows[i].traced, sizeof(vcpus));
        }
    }
}

static void each_no_has_its_cure(void **state)
{
    struct backend_domain domain;
    uint64_t buffer_bytes = 0;
    struct failure f = { 0 };

    (void)state;
    SIM_AUTO *b = sim_rig_open(DOMAIN("1", "type = \"hvm\" vmtrace { size = 4096 }")
                                   DOMAIN("2", "type = \"pv\"") DOMAIN("3", "type = \"hvm\"")
                                       DOMAIN("4", "type = \"hvm\" state = \"crashed\""
                                                   " vmtrace { size = 4096 }"));

    find(b, 1, &domain);
    assert_int_equal(trace_can(backend_ops, b, &domain, &buffer_bytes, &f), 0);
    assert_int_equal(buffer_bytes, 4096);
    find(b, 2, &domain);
    assert_int_equal(trace_can(backend_ops, b, &domain, &buffer_bytes, &f),
                     -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.cause, "PV guest"));
    assert_int_equal(f.xen_errno, EINVAL);
    find(b, 3, &domain);
    assert_int_equal(trace_can(backend_ops, b, &domain, &buffer_bytes, &f),
                     -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.next_step, "vmtrace_buf_kb"));
    find(b, 4, &domain);
    assert_int_equal(trace_can(backend_ops, b, &domain, &buffer_bytes, &f),
                     -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.message, "shut down"));
    struct message_host_answer host = { .capabilities = HOST_CAN_HVM };

    assert_int_equal(trace_can_host(&host, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.cause, "Intel PT"));
    host.capabilities = HOST_CAN_VMTRACE;
    assert_int_equal(trace_can_host(&host, &f), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(vcpus_are_those_that_the_domain_has),
        cmocka_unit_test(each_no_has_its_cure),
    };

    return UNIT_RUN(tests);
}
