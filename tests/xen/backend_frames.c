/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Sizes and frames of real guests, and what a real Xen refuses. */
#include <errno.h>
#include <stdio.h>

#include "tests/xen/backend_fixture.h"

static void grant_table_sizes_are_those_in_use(void **state)
{
    struct backend_size size;

    (void)state;
    assert_becomes(size_of(tiny, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED).frames_in_use == 2);
    size = size_of(tiny, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED);
    assert_int_equal(size.frames_max, 4);
    assert_int_equal(size.grant_version, 1);
    assert_becomes(size_of(tiny_v2, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED).grant_version == 2);
    size = size_of(tiny_v2, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS);
    assert_int_equal(size.frames_in_use, 1);
    assert_int_equal(size.frames_max, 1);
    assert_int_equal(size.grant_version, 2);
    size = size_of(linux_pv2, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED);
    assert_int_equal(size.grant_version, 2);
    assert_true(size.frames_in_use > 0 && size.frames_in_use <= size.frames_max);
}

static void sizes_that_cannot_be_are_refused_with_reason(void **state)
{
    struct backend_size size;
    struct failure f = { 0 };

    (void)state;
    assert_told(&f, backend_ops->size(b, tiny, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, &size, &f),
                ERROR_FAILED_PRECONDITION, EINVAL);
    assert_told(&f, backend_ops->size(b, tiny, RESOURCE_GRANT_TABLE, 2, &size, &f),
                ERROR_INVALID_ARGUMENT, EINVAL);
    assert_told(&f, backend_ops->size(b, linux_pv2, RESOURCE_IOREQ_SERVER, 0, &size, &f),
                ERROR_FAILED_PRECONDITION, EINVAL);
    assert_told(&f, backend_ops->size(b, tiny, RESOURCE_VMTRACE_BUF, 0, &size, &f),
                ERROR_FAILED_PRECONDITION, EINVAL);
    assert_told(&f, backend_ops->size(b, tiny, RESOURCE_VCPU_STATS, 0, &size, &f),
                ERROR_UNIMPLEMENTED, EOPNOTSUPP);
    assert_told(&f, backend_ops->size(b, tiny, 99, 0, &size, &f), ERROR_UNIMPLEMENTED, EOPNOTSUPP);
    assert_told(&f, backend_ops->size(b, tiny, UINT32_MAX, 0, &size, &f), ERROR_UNIMPLEMENTED,
                EOPNOTSUPP);
    assert_told(&f, backend_ops->size(b, 0, RESOURCE_GRANT_TABLE, 0, &size, &f),
                ERROR_PERMISSION_DENIED, EPERM);
    assert_int_equal(size_of(tiny, RESOURCE_IOREQ_SERVER, 5).frames_max, IOREQ_FRAMES);
}

static void frames_hold_what_the_guest_wrote(void **state)
{
    struct backend_mapping all = mapped(tiny, RESOURCE_GRANT_TABLE, 0, 0, 2);
    struct backend_mapping second = mapped(tiny, RESOURCE_GRANT_TABLE, 0, 1, 1);

    (void)state;
    assert_int_equal(all.frame_count, 2);
    for (uint32_t ref = 8; ref < 16; ref++) {
        assert_int_equal(word(&all, ref * 8), ref << 16 | 5);
        assert_int_equal(word(&all, ref * 8 + 4), 0x1000 + ref);
    }
    assert_int_equal(word(&all, 600 * 8), 0x00070001);
    assert_int_equal(word(&second, (600 - 512) * 8 + 4), 0x1258);
    backend_ops->unmap(b, &second);
    backend_ops->unmap(b, &all);
    assert_null(all.address);
    assert_int_equal(size_of(tiny, RESOURCE_GRANT_TABLE, 0).frames_in_use, 2);
}

static void version_2_has_its_own_entries_and_status(void **state)
{
    struct backend_mapping shared = mapped(tiny_v2, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0, 1);
    struct backend_mapping status = mapped(tiny_v2, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0, 1);

    (void)state;
    assert_int_equal(word(&shared, 9 * 16), 0x00070001);
    assert_int_equal(word(&shared, 9 * 16 + 8), 0x2009);
    assert_int_equal(word(&status, 8), 0);
    backend_ops->unmap(b, &status);
    backend_ops->unmap(b, &shared);
}

static void mappings_are_read_only(void **state)
{
    struct backend_mapping mapping = mapped(tiny, RESOURCE_GRANT_TABLE, 0, 0, 1);
    char start[32];
    char line[512];
    bool seen = false;
    FILE *maps = fopen("/proc/self/maps", "r");

    (void)state;
    assert_non_null(maps);
    snprintf(start, sizeof(start), "%lx-", (unsigned long)(uintptr_t)mapping.address);
    while (fgets(line, sizeof(line), maps) != NULL) {
        if (strncmp(line, start, strlen(start)) == 0) {
            assert_non_null(strstr(line, " r--s "));
            seen = true;
        }
    }
    fclose(maps);
    assert_true(seen);
    backend_ops->unmap(b, &mapping);
}

static void maps_that_cannot_be_are_refused_and_change_nothing(void **state)
{
    struct backend_mapping mapping;
    struct failure f = { 0 };

    (void)state;
    assert_told(&f, backend_ops->map(b, tiny, RESOURCE_GRANT_TABLE, 0, 4, 1, &mapping, &f),
                ERROR_INVALID_ARGUMENT, EINVAL);
    assert_told(&f, backend_ops->map(b, tiny, RESOURCE_GRANT_TABLE, 0, 0, 5, &mapping, &f),
                ERROR_INVALID_ARGUMENT, EINVAL);
    assert_told(&f, backend_ops->map(b, tiny, RESOURCE_GRANT_TABLE, 1, 0, 1, &mapping, &f),
                ERROR_FAILED_PRECONDITION, EINVAL);
    assert_told(&f,
                backend_ops->map(b, tiny, RESOURCE_GRANT_TABLE, 0, UINT32_MAX - 1, 1, &mapping, &f),
                ERROR_INVALID_ARGUMENT, EINVAL);
    assert_told(&f, backend_ops->map(b, tiny, RESOURCE_GRANT_TABLE, 0, 0, 1 << 20, &mapping, &f),
                ERROR_RESOURCE_EXHAUSTED, ENOMEM);
    assert_told(&f, backend_ops->map(b, tiny, RESOURCE_IOREQ_SERVER, 0, 1, 1, &mapping, &f),
                ERROR_NOT_FOUND, ENOENT);
    assert_told(&f, backend_ops->map(b, tiny, RESOURCE_VMTRACE_BUF, 0, 0, 1, &mapping, &f),
                ERROR_FAILED_PRECONDITION, EINVAL);
    assert_told(&f, backend_ops->map(b, tiny, RESOURCE_VCPU_STATS, 0, 0, 1, &mapping, &f),
                ERROR_UNIMPLEMENTED, EOPNOTSUPP);
    assert_told(&f, backend_ops->map(b, 999, RESOURCE_GRANT_TABLE, 0, 0, 1, &mapping, &f),
                ERROR_NOT_FOUND, ESRCH);
    assert_told(&f, backend_ops->map(b, 0, RESOURCE_GRANT_TABLE, 0, 0, 1, &mapping, &f),
                ERROR_PERMISSION_DENIED, EPERM);
    assert_int_equal(size_of(tiny, RESOURCE_GRANT_TABLE, 0).frames_in_use, 2);
}

static void a_mapping_keeps_a_dying_domain_until_it_is_unmapped(void **state)
{
    uint16_t domid = create("tiny", "held", "");
    struct backend_mapping mapping;
    struct backend_domain domain;
    uint16_t successor;

    (void)state;
    assert_becomes(size_of(domid, RESOURCE_GRANT_TABLE, 0).frames_in_use == 2);
    mapping = mapped(domid, RESOURCE_GRANT_TABLE, 0, 0, 2);
    (void)name_event_is_there(0);
    run("xl destroy held");
    assert_true(event_comes(BACKEND_EVENT_DOMAINS, 0));
    assert_becomes(found(domid).dying);
    assert_int_equal(found(domid).state, DOMAIN_DYING);
    assert_int_equal(word(&mapping, 8 * 8), 8 << 16 | 5);

    successor = create("tiny", "held", ""); /* the name is free */
    assert_int_not_equal(successor, domid);
    assert_memory_not_equal(found(successor).uuid, found(domid).uuid, UUID_BYTES);

    backend_ops->unmap(b, &mapping);
    assert_becomes(backend_ops->find(b, domid, &domain, NULL) == -ERROR_NOT_FOUND);
    run("xl destroy held");
}

static void a_device_models_pages_are_seen(void **state)
{
    uint16_t domid = create("hvm", "hvm", "");
    struct backend_mapping buffered;
    struct backend_mapping synchronous;

    (void)state;
    assert_int_equal(found(domid).type, DOMAIN_HVM);
    assert_int_equal(size_of(domid, RESOURCE_IOREQ_SERVER, 0).frames_in_use, IOREQ_FRAMES);
    buffered = mapped(domid, RESOURCE_IOREQ_SERVER, 0, IOREQ_FRAME_BUFFERED, 1);
    synchronous = mapped(domid, RESOURCE_IOREQ_SERVER, 0, IOREQ_FRAME_SYNCHRONOUS, 1);
    assert_becomes(word(&synchronous, 24) != 0); /* the event channel's port */
    assert_becomes(word(&synchronous, 0) != 0);  /* an address: requests come */
    backend_ops->unmap(b, &buffered);
    backend_ops->unmap(b, &synchronous);
    run("xl destroy hvm");
}

/* Xen lets a toolstack choose a number as soon as it is free: only the UUID tells. */
static void a_number_that_is_used_again_is_another_domain(void **state)
{
    uint16_t domid = create("tiny", "first", "");
    struct backend_domain first = found(domid);
    struct backend_mapping mapping;
    struct backend_domain second;
    char name[MESSAGE_NAME_BYTES];
    bool cut;

    (void)state;
    assert_becomes(size_of(domid, RESOURCE_GRANT_TABLE, 0).frames_in_use == 2);
    run("xl destroy first");
    assert_becomes(backend_ops->find(b, domid, &second, NULL) == -ERROR_NOT_FOUND);
    run("!create %u", domid);
    second = found(domid);
    assert_int_equal(second.domid, first.domid);
    assert_memory_not_equal(second.uuid, first.uuid, UUID_BYTES);
    assert_int_equal(size_of(domid, RESOURCE_GRANT_TABLE, 0).frames_max, 3);
    assert_int_equal(backend_ops->domain_name(b, domid, name, &cut, NULL), 0);
    assert_string_equal(name, "");
    mapping = mapped(domid, RESOURCE_GRANT_TABLE, 0, 0, 1);
    assert_int_equal(word(&mapping, 8 * 8), 0); /* the first one's table had an entry there */
    backend_ops->unmap(b, &mapping);
    run("xl destroy %u", domid);
    assert_becomes(backend_ops->find(b, domid, &second, NULL) == -ERROR_NOT_FOUND);
}

const struct CMUnitTest frames_tests[] = {
    cmocka_unit_test(grant_table_sizes_are_those_in_use),
    cmocka_unit_test(sizes_that_cannot_be_are_refused_with_reason),
    cmocka_unit_test(frames_hold_what_the_guest_wrote),
    cmocka_unit_test(version_2_has_its_own_entries_and_status),
    cmocka_unit_test(mappings_are_read_only),
    cmocka_unit_test(maps_that_cannot_be_are_refused_and_change_nothing),
    cmocka_unit_test(a_mapping_keeps_a_dying_domain_until_it_is_unmapped),
    cmocka_unit_test(a_device_models_pages_are_seen),
    cmocka_unit_test(a_number_that_is_used_again_is_another_domain),
};
const size_t frames_test_count = sizeof(frames_tests) / sizeof(frames_tests[0]);
