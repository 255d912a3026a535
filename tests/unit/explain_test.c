/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/explain.h"

#include <errno.h>

#include "tests/lib/unit.h"

static int explain(struct failure *f, const char *call, int errnum, uint16_t domid, int32_t type,
                   uint32_t id)
{
    const struct explain_subject s = { .domid = domid, .type = type, .id = id };

    return failure_xen(f, call, errnum, &s);
}

static void every_errno_has_words(void **state)
{
    (void)state;
    for (int errnum = 1; errnum < 134; errnum++) {
        for (int32_t type = EXPLAIN_NO_RESOURCE; type < RESOURCE_TYPE_COUNT + 1; type++) {
            struct failure f;
            int result = explain(&f, "xenforeignmemory_map_resource", errnum, 5, type, 0);

            assert_true(result < 0 && f.code == -result);
            assert_int_equal(f.xen_errno, errnum);
            assert_string_equal(f.call, "xenforeignmemory_map_resource");
            assert_true(f.cause[0] && f.next_step[0] && f.message[0]);
            assert_non_null(strstr(f.message, error_errno_name(errnum)));
        }
    }
}

static void the_same_errno_means_other_things_elsewhere(void **state)
{
    struct failure f;

    (void)state;
    assert_int_equal(explain(&f, "map", EINVAL, 5, RESOURCE_VMTRACE_BUF, 0),
                     -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.next_step, "vmtrace_buf_kb"));
    assert_int_equal(explain(&f, "map", EINVAL, 5, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS),
                     -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.cause, "version 2"));
    assert_int_equal(explain(&f, "x_resource_size", EINVAL, 5, RESOURCE_IOREQ_SERVER, 0),
                     -ERROR_FAILED_PRECONDITION);
    assert_int_equal(explain(&f, "x_map_resource", EINVAL, 5, RESOURCE_IOREQ_SERVER, 0),
                     -ERROR_INVALID_ARGUMENT);
    assert_int_equal(explain(&f, "x_map_resource", EPERM, 5, RESOURCE_IOREQ_SERVER, 0),
                     -ERROR_PERMISSION_DENIED);
    assert_non_null(strstr(f.cause, "stub domain"));
    assert_int_equal(explain(&f, "x_map_resource", EPERM, 0, RESOURCE_IOREQ_SERVER, 0),
                     -ERROR_PERMISSION_DENIED);
    assert_non_null(strstr(f.cause, "its own"));
    assert_int_equal(explain(&f, "x", ESRCH, 0x7ff1, RESOURCE_GRANT_TABLE, 0), -ERROR_NOT_FOUND);
    assert_non_null(strstr(f.cause, "reserved"));
    assert_int_equal(explain(&f, "x", ESRCH, 5, RESOURCE_GRANT_TABLE, 0), -ERROR_NOT_FOUND);
    assert_null(strstr(f.cause, "reserved"));
}

/* Whoever asked for all of a resource, or for its size, is not told of frames beyond its end. */
static void a_reason_is_the_only_one_it_can_be(void **state)
{
    static const struct {
        int32_t type;
        uint32_t id;
    } refused[] = {
        { RESOURCE_VMTRACE_BUF, 0 },
        { RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS },
        { RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS + 1 },
        { RESOURCE_IOREQ_SERVER, IOREQ_SERVERS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct explain_subject s = { .domid = 5, .type = refused[i].type, .id = refused[i].id };
        struct failure f;

        failure_xen(&f, "", EINVAL, &s);
        assert_null(strstr(f.cause, "frames are beyond"));
        assert_null(strstr(f.cause, "frame 0"));
        s.frame_count = 1;
        failure_xen(&f, "", EINVAL, &s);
        assert_non_null(strstr(f.cause, "frame"));
    }
}

static void a_refusal_of_our_own_names_no_call(void **state)
{
    struct failure f;

    (void)state;
    assert_int_equal(explain(&f, "", ESRCH, 0x7ff1, EXPLAIN_NO_RESOURCE, 0), -ERROR_NOT_FOUND);
    assert_string_equal(f.call, "");
    assert_int_equal(f.xen_errno, ESRCH);
}

static void ranges_and_unknown_types_are_named(void **state)
{
    const struct explain_subject range = {
        .domid = 7, .type = RESOURCE_GRANT_TABLE, .first_frame = 4294967295U, .frame_count = 2
    };
    const struct explain_subject unknown = { .domid = 7, .type = 99 };
    struct failure f;

    (void)state;
    failure_xen(&f, "map", ENOMEM, &range);
    assert_non_null(
        strstr(f.message, "frames 4294967295 to 4294967296 of grant_table 0 of domain 7"));
    failure_xen(&f, "map", EOPNOTSUPP, &unknown);
    assert_non_null(strstr(f.message, "resource type 99 of domain 7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_errno_has_words),
        cmocka_unit_test(the_same_errno_means_other_things_elsewhere),
        cmocka_unit_test(a_reason_is_the_only_one_it_can_be),
        cmocka_unit_test(a_refusal_of_our_own_names_no_call),
        cmocka_unit_test(ranges_and_unknown_types_are_named),
    };

    return UNIT_RUN(tests);
}
