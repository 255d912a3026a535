/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What may be asked of a resource, and which sizes of it are believed: without a backend. */
#include "server/mapper/range.h"

#include "tests/lib/unit.h"

static int check_size(uint32_t in_use, uint32_t max, uint32_t grant_version, struct failure *f)
{
    const struct backend_size size = { .frames_in_use = in_use,
                                       .frames_max = max,
                                       .grant_version = grant_version };

    return range_check_size(5, RESOURCE_GRANT_TABLE, 0, &size, f);
}

static void a_size_of_the_maximum_is_believed_and_one_frame_more_is_not(void **state)
{
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(check_size(1, RANGE_FRAMES_MAX, 1, &f), 0);
    assert_int_equal(check_size(RANGE_FRAMES_MAX, RANGE_FRAMES_MAX, 2, &f), 0);
    assert_int_equal(check_size(1, RANGE_FRAMES_MAX + 1, 1, &f), -ERROR_INTERNAL);
    assert_true(f.cause[0] != '\0' && f.next_step[0] != '\0');
    assert_int_equal(check_size(3, 2, 1, &f), -ERROR_INTERNAL);
    assert_int_equal(check_size(1, 2, 3, &f), -ERROR_INTERNAL);
}

static int check_request(uint32_t type, uint32_t id, uint32_t count, uint32_t flags)
{
    const struct message_snapshot r = {
        .domain = { .domid = 5 }, .type = type, .id = id, .frame_count = count, .flags = flags
    };

    return range_check_request(&r, NULL);
}

static void ids_have_a_last_one(void **state)
{
    (void)state;
    assert_int_equal(check_request(RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 1, 0), 0);
    assert_int_equal(check_request(RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS + 1, 1, 0),
                     -ERROR_INVALID_ARGUMENT);
    assert_int_equal(check_request(RESOURCE_IOREQ_SERVER, IOREQ_SERVERS - 1, 1, 0), 0);
    assert_int_equal(check_request(RESOURCE_IOREQ_SERVER, IOREQ_SERVERS, 1, 0),
                     -ERROR_INVALID_ARGUMENT);
    assert_int_equal(check_request(RESOURCE_TYPE_COUNT, 0, 1, 0), -ERROR_INVALID_ARGUMENT);
}

static void no_frames_and_flags_of_other_types_are_refused(void **state)
{
    (void)state;
    assert_int_equal(check_request(RESOURCE_GRANT_TABLE, 0, 0, 0), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(check_request(RESOURCE_GRANT_TABLE, 0, 1, SNAPSHOT_WITH_STATUS), 0);
    assert_int_equal(
        check_request(RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 1, SNAPSHOT_WITH_STATUS),
        -ERROR_INVALID_ARGUMENT);
    assert_int_equal(check_request(RESOURCE_GRANT_TABLE, 0, 1, SNAPSHOT_SPARSE),
                     -ERROR_INVALID_ARGUMENT);
    assert_int_equal(check_request(RESOURCE_VCPU_STATS, 0, 1, 0), -ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_of_the_maximum_is_believed_and_one_frame_more_is_not),
        cmocka_unit_test(ids_have_a_last_one),
        cmocka_unit_test(no_frames_and_flags_of_other_types_are_refused),
    };

    return UNIT_RUN(tests);
}
