/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Sizes, mappings and run times, with Xen's libraries replaced (fake_xen.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/layout.h"
#include "tests/unit/xen/opened.h"

static int size_of(uint32_t type, uint32_t id, struct backend_size *size, struct failure *f)
{
    memset(f, 0, sizeof(*f));
    return backend_ops->size(b, 1, type, id, size, f);
}

/* --- sizes and frames ------------------------------------------------------------------------- */

static void a_grant_query_fails_by_its_status_too(void **state)
{
    static const struct {
        int16_t status;
        enum error_code code;
    } cases[] = {
        { GNTST_bad_domain, ERROR_NOT_FOUND },
        { GNTST_permission_denied, ERROR_PERMISSION_DENIED },
        { GNTST_general_error, ERROR_INVALID_ARGUMENT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct backend_size size;
        struct failure f;

        fake_xen.query.status = cases[i].status;
        assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -(int)cases[i].code);
        assert_string_equal(f.call, "xc_gnttab_query_size");
    }
}

static void errnos_of_each_call_are_kept(void **state)
{
    struct backend_size size;
    struct failure f;

    (void)state;
    fake_xen.query_errno = EFAULT;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_INTERNAL);
    fake_xen.version_errno = ESRCH;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_NOT_FOUND);
    assert_string_equal(f.call, "xc_gnttab_get_version");
    fake_xen.size_errno = EOPNOTSUPP;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_UNIMPLEMENTED);
    assert_string_equal(f.call, "xenforeignmemory_resource_size");
}

static void grant_tables_that_contradict_themselves_are_refused(void **state)
{
    struct backend_size size = { .frames_max = 77 };
    struct failure f;

    (void)state;
    fake_xen.query.nr_frames = 5;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_INTERNAL);
    fake_xen.query.nr_frames = 2;
    fake_xen.grant_version = 3;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_UNIMPLEMENTED);
    fake_xen.grant_version = 0;
    assert_int_equal(size_of(RESOURCE_GRANT_TABLE, 0, &size, &f), -ERROR_UNIMPLEMENTED);
    assert_int_equal(size.frames_max, 77);
}

static void status_frames_follow_the_shared_ones(void **state)
{
    static const struct {
        uint32_t shared, status;
    } cases[] = {
        { 0, 0 }, { 1, 1 }, { 8, 1 }, { 9, 2 }, { 16, 2 }, { 64, 8 },
    };

    (void)state;
    fake_xen.grant_version = 2;
    fake_xen.size_bytes = 8 * LAYOUT_FRAME_BYTES;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct backend_size size;
        struct failure f;

        fake_xen.query.nr_frames = cases[i].shared;
        assert_int_equal(size_of(RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, &size, &f), 0);
        assert_int_equal(size.frames_in_use, cases[i].status);
        assert_int_equal(size.frames_max, 8);
    }
}

static void a_size_that_cannot_be_is_no_size(void **state)
{
    static const struct {
        uint32_t type;
        size_t max_frames;
    } cases[] = {
        { RESOURCE_IOREQ_SERVER, 65 },
        { RESOURCE_GRANT_TABLE, 1 << 20 },
        { RESOURCE_VMTRACE_BUF, 16384 },
        { RESOURCE_VCPU_STATS, 33 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct backend_size size;
        struct failure f;

        fake_xen.size_bytes = cases[i].max_frames * LAYOUT_FRAME_BYTES;
        assert_int_equal(size_of(cases[i].type, 0, &size, &f), 0);
        assert_int_equal(size.frames_max, cases[i].max_frames);
        fake_xen.size_bytes = (cases[i].max_frames + 1) * LAYOUT_FRAME_BYTES;
        assert_true(size_of(cases[i].type, 0, &size, &f) < 0);
        fake_xen.size_bytes = UINT64_C(4294967201) * LAYOUT_FRAME_BYTES;
        assert_true(size_of(cases[i].type, 0, &size, &f) < 0);
        assert_non_null(strstr(f.cause, "4294967201"));
        fake_xen.size_bytes = 0;
        assert_true(size_of(cases[i].type, 0, &size, &f) < 0);
    }
}

static void a_stats_table_needs_a_frame_beside_its_size(void **state)
{
    struct backend_size size;
    struct failure f;

    (void)state;
    fake_xen.size_bytes = LAYOUT_FRAME_BYTES;
    fake_xen.map_errno = EOPNOTSUPP;
    assert_int_equal(size_of(RESOURCE_VCPU_STATS, 0, &size, &f), -ERROR_UNIMPLEMENTED);
    fake_xen.map_errno = 0;
    assert_int_equal(size_of(RESOURCE_VCPU_STATS, 0, &size, &f), 0);
    assert_int_equal(size.frames_in_use, 1);
    assert_int_equal(fake_xen.live_mappings, 0);
}

static void a_mapping_is_given_back_once(void **state)
{
    struct backend_mapping mapping;
    uint64_t before = backend_ops->hypercalls(b);

    (void)state;
    assert_int_equal(
        backend_ops->map(b, 1, RESOURCE_GRANT_TABLE, 0, UINT32_MAX - 1, 1, &mapping, NULL), 0);
    assert_ptr_equal(mapping.address, fake_xen_page);
    assert_int_equal(mapping.frame_count, 1);
    assert_int_equal(fake_xen.live_mappings, 1);
    backend_ops->unmap(b, &mapping);
    assert_null(mapping.handle);
    assert_int_equal(fake_xen.live_mappings, 0);
    assert_int_equal(backend_ops->hypercalls(b), before + 1);
}

static void who_cannot_unmap_ends(void **state)
{
    struct backend_mapping mapping;
    int status = -1;

    (void)state;
    assert_int_equal(backend_ops->map(b, 1, RESOURCE_GRANT_TABLE, 0, 0, 1, &mapping, NULL), 0);
    fflush(NULL);
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        fake_xen.unmap_errno = ENOMEM;
        backend_ops->unmap(b, &mapping);
        _exit(EXIT_SUCCESS);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
    backend_ops->unmap(b, &mapping);
}

/* --- run times -------------------------------------------------------------------------------- */

static void run_times_lose_the_mark_of_what_is_unknown(void **state)
{
    struct message_vcpu vcpus[4];
    uint32_t count;

    (void)state;
    fake_xen.cpu_time_ns = (UINT64_C(1) << 63) + 5;
    assert_int_equal(backend_ops->vcpu_info(b, 1, vcpus, 4, &count, NULL), 0);
    assert_int_equal(count, 3);
    assert_int_equal(vcpus[0].run_time_ns, 5);
    assert_int_equal(vcpus[0].flags, VCPU_ONLINE);
    assert_int_equal(vcpus[1].flags, 0);
    assert_int_equal(vcpus[2].vcpu, 2);
}

static void a_hole_in_the_vcpus_is_told_from_a_domain_that_went(void **state)
{
    struct message_vcpu vcpus[4];
    struct failure f = { 0 };
    uint32_t count;

    (void)state;
    fake_xen.unreadable_vcpu = 1;
    fake_xen.vcpu_errno = ESRCH;
    assert_int_equal(backend_ops->vcpu_info(b, 1, vcpus, 4, &count, NULL), 0);
    assert_int_equal(vcpus[1].flags, VCPU_UNREADABLE);
    assert_int_equal(vcpus[1].run_time_ns, 0);
    assert_int_equal(vcpus[2].flags, VCPU_ONLINE);
    fake_xen.vcpu_errno = EPERM;
    assert_int_equal(backend_ops->vcpu_info(b, 1, vcpus, 4, &count, &f), -ERROR_PERMISSION_DENIED);
    fake_xen.domain_count = 1;
    assert_int_equal(backend_ops->vcpu_info(b, 1, vcpus, 4, &count, &f), -ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPENED(a_grant_query_fails_by_its_status_too),
        OPENED(errnos_of_each_call_are_kept),
        OPENED(grant_tables_that_contradict_themselves_are_refused),
        OPENED(status_frames_follow_the_shared_ones),
        OPENED(a_size_that_cannot_be_is_no_size),
        OPENED(a_stats_table_needs_a_frame_beside_its_size),
        OPENED(a_mapping_is_given_back_once),
        OPENED(who_cannot_unmap_ends),
        OPENED(run_times_lose_the_mark_of_what_is_unknown),
        OPENED(a_hole_in_the_vcpus_is_told_from_a_domain_that_went),
    };

    setenv("XENSTORED_PATH", "/nonexistent/xenstored", 1);
    return UNIT_RUN(tests);
}
