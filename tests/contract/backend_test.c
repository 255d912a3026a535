/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the core may rely on of a backend, through backend.h alone. Built twice: with the simulator,
 * and (backend_xen_test) with Xen's libraries, to be run in dom0. The cases take whatever domains
 * there are, and skip themselves where there is none of a kind.
 *
 * $CONTRACT_ARGUMENT goes to backend_open(), for instance a scenario.
 */
#include "tests/contract/backend_contract.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/layout.h"
#include "server/mapper/copy.h"
#include "tests/lib/unit.h"

enum { VCPUS_MAX = 512, SAMPLES = 200 };

const struct backend_ops *ops;
struct backend *b;
struct backend_domain domains[DOMAINS_MAX];
uint32_t domain_count;

static int set_up(void **state)
{
    struct failure f;

    (void)state;
    ops = backend_ops;
    if (backend_open(getenv("CONTRACT_ARGUMENT"), &b, &f) < 0) {
        print_message("# %s; %s; %s\n", f.message, f.cause, f.next_step);
        return -1;
    }
    return ops->list(b, 0, domains, DOMAINS_MAX, &domain_count, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    ops->close(b);
    return 0;
}

static int grant_size(uint16_t domid, uint32_t id, struct backend_size *out)
{
    return ops->size(b, domid, RESOURCE_GRANT_TABLE, id, out, NULL);
}

/* The first guest whose grant table has this version (0: any), of PV or not (0: either). */
static uint16_t guest(uint32_t version, uint32_t type)
{
    struct backend_size size;

    for (uint32_t i = 0; i < domain_count; i++) {
        const struct backend_domain *d = &domains[i];
        bool fits = type == 0 || (d->type == DOMAIN_PV) == (type == DOMAIN_PV);

        if (d->domid != 0 && !d->dying && fits &&
            grant_size(d->domid, GRANT_TABLE_SHARED, &size) == 0 &&
            (version == 0 || size.grant_version == version)) {
            return d->domid;
        }
    }
    skip();
    return 0;
}

static void assert_explained(const struct failure *f, int code, int errnum)
{
    if (f->code != code || f->xen_errno != errnum) {
        fail_msg("%s (%d, errno %d)", f->message, f->code, f->xen_errno);
    }
    assert_true(f->message[0] && f->cause[0] && f->next_step[0]);
}

static void the_list_ascends_and_can_be_read_in_pages(void **state)
{
    uint32_t seen = 0, next = 0;

    (void)state;
    for (uint32_t i = 1; i < domain_count; i++) {
        assert_true(domains[i].domid > domains[i - 1].domid);
    }
    for (;;) {
        struct backend_domain one;
        uint32_t count = 0;

        assert_int_equal(ops->list(b, (uint16_t)next, &one, 1, &count, NULL), 0);
        if (count == 0) {
            break;
        }
        assert_int_equal(one.domid, domains[seen].domid);
        assert_memory_equal(one.uuid, domains[seen].uuid, UUID_BYTES);
        seen++;
        next = one.domid + 1U;
    }
    assert_int_equal(seen, domain_count);
}

static void each_is_found_by_its_number_and_has_a_sensible_state(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < domain_count; i++) {
        struct backend_domain d;

        assert_int_equal(ops->find(b, domains[i].domid, &d, NULL), 0);
        assert_memory_equal(d.uuid, domains[i].uuid, UUID_BYTES);
        assert_in_range(d.type, DOMAIN_PV, DOMAIN_PVH);
        assert_in_range(d.state, DOMAIN_RUNNING, DOMAIN_DYING);
        assert_true(d.online_vcpus <= d.max_vcpus && d.max_vcpus > 0);
        assert_true(d.cpu_time_ns >= domains[i].cpu_time_ns);
    }
}

static void numbers_without_a_domain_are_not_found(void **state)
{
    static const uint16_t domids[] = { 9999, 0x7fef };
    struct backend_domain d;
    struct backend_size size;
    struct failure f;

    (void)state;
    for (size_t i = 0; i < sizeof(domids) / sizeof(domids[0]); i++) {
        assert_int_equal(ops->find(b, domids[i], &d, &f), -ERROR_NOT_FOUND);
        assert_int_equal(ops->size(b, domids[i], RESOURCE_GRANT_TABLE, 0, &size, &f),
                         -ERROR_NOT_FOUND);
        assert_explained(&f, ERROR_NOT_FOUND, ESRCH);
    }
}

static void names_are_what_the_toolstack_wrote(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < domain_count; i++) {
        char name[MESSAGE_NAME_BYTES];
        bool cut = true;

        assert_int_equal(ops->domain_name(b, domains[i].domid, name, &cut, NULL), 0);
        assert_false(cut);
        assert_non_null(memchr(name, '\0', sizeof(name)));
        assert_true(name[0] != '\0');
    }
}

/* The toolstack's folder of a domain is dom0's to write: else no tag could ever be believed. */
static void tags_are_dom0s_to_write(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < domain_count; i++) {
        struct backend_tags tags;

        memset(&tags, 0xff, sizeof(tags));
        assert_int_equal(ops->domain_tags(b, domains[i].domid, &tags, NULL), 0);
        assert_false(tags.is_untrusted || tags.is_cut);
        assert_non_null(memchr(tags.value, '\0', sizeof(tags.value)));
    }
}

static void our_own_domain_is_refused(void **state)
{
    static const uint32_t types[] = { RESOURCE_GRANT_TABLE, RESOURCE_IOREQ_SERVER,
                                      RESOURCE_VMTRACE_BUF };

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct backend_size size;
        struct failure f;

        assert_true(ops->size(b, 0, types[i], 0, &size, &f) < 0);
        assert_explained(&f, ERROR_PERMISSION_DENIED, EPERM);
    }
}

static void a_grant_table_says_what_is_in_use(void **state)
{
    struct backend_size size;
    uint16_t domid = guest(0, 0);

    (void)state;
    assert_int_equal(grant_size(domid, GRANT_TABLE_SHARED, &size), 0);
    assert_true(size.frames_in_use > 0 && size.frames_in_use <= size.frames_max);
    assert_in_range(size.grant_version, 1, 2);
}

static void mapping_what_is_in_use_changes_nothing(void **state)
{
    struct backend_size before, after;
    struct backend_mapping m = { 0 };
    uint16_t domid = guest(1, 0);
    static uint64_t copy[LAYOUT_FRAME_BYTES / 8];
    struct layout_grant g;

    (void)state;
    assert_int_equal(copy_init(NULL), 0);
    assert_int_equal(grant_size(domid, GRANT_TABLE_SHARED, &before), 0);
    assert_int_equal(ops->map(b, domid, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0,
                              before.frames_in_use, &m, NULL),
                     0);
    assert_int_equal(m.frame_count, before.frames_in_use);
    assert_int_equal(copy_step(copy, m.address, sizeof(copy), NULL, NULL), 0);
    assert_true(layout_grant_v1(copy, sizeof(copy), 0, 0, &g));
    assert_int_equal(g.kind, LAYOUT_GRANT_PERMIT_ACCESS); /* the console, from the toolstack */
    ops->unmap(b, &m);
    assert_int_equal(grant_size(domid, GRANT_TABLE_SHARED, &after), 0);
    assert_int_equal(after.frames_in_use, before.frames_in_use);
    assert_int_equal(after.frames_max, before.frames_max);
}

static void the_same_frames_can_be_mapped_twice(void **state)
{
    struct backend_mapping one = { 0 }, two = { 0 };
    uint16_t domid = guest(0, 0);

    (void)state;
    assert_int_equal(ops->map(b, domid, RESOURCE_GRANT_TABLE, 0, 0, 1, &one, NULL), 0);
    assert_int_equal(ops->map(b, domid, RESOURCE_GRANT_TABLE, 0, 0, 1, &two, NULL), 0);
    assert_ptr_not_equal((const void *)(uintptr_t)one.address,
                         (const void *)(uintptr_t)two.address);
    ops->unmap(b, &one);
    static uint64_t copy[LAYOUT_FRAME_BYTES / 8];

    assert_int_equal(copy_step(copy, two.address, sizeof(copy), NULL, NULL), 0);
    ops->unmap(b, &two);
}

static void status_frames_belong_to_version_2(void **state)
{
    struct backend_size shared, status;
    struct failure f;
    uint16_t domid = guest(1, 0);
    uint32_t first, count;

    (void)state;
    assert_true(ops->size(b, domid, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, &status, &f) < 0);
    assert_explained(&f, ERROR_FAILED_PRECONDITION, EINVAL);
    domid = guest(2, 0);
    assert_int_equal(grant_size(domid, GRANT_TABLE_SHARED, &shared), 0);
    assert_int_equal(grant_size(domid, GRANT_TABLE_STATUS, &status), 0);
    layout_status_range(0, shared.frames_in_use, &first, &count);
    assert_int_equal(status.frames_in_use, count);
}

static void ioreq_sizes_do_not_depend_on_the_server(void **state)
{
    struct backend_size a, z;
    struct failure f;
    uint16_t domid = guest(0, DOMAIN_HVM);

    (void)state;
    assert_int_equal(ops->size(b, domid, RESOURCE_IOREQ_SERVER, 0, &a, NULL), 0);
    assert_int_equal(ops->size(b, domid, RESOURCE_IOREQ_SERVER, 7, &z, NULL), 0);
    assert_int_equal(a.frames_in_use, z.frames_in_use);
    struct backend_mapping m = { 0 };

    assert_true(ops->map(b, domid, RESOURCE_IOREQ_SERVER, 7, IOREQ_FRAME_SYNCHRONOUS, 1, &m, &f) <
                0);
    assert_explained(&f, ERROR_NOT_FOUND, ENOENT);
    domid = guest(0, DOMAIN_PV);
    assert_true(ops->size(b, domid, RESOURCE_IOREQ_SERVER, 0, &a, &f) < 0);
    assert_explained(&f, ERROR_FAILED_PRECONDITION, EINVAL);
}

static void an_absent_trace_buffer_is_explained(void **state)
{
    struct backend_size size;
    struct failure f;
    uint16_t domid = guest(0, DOMAIN_PV);

    (void)state;
    assert_true(ops->size(b, domid, RESOURCE_VMTRACE_BUF, 0, &size, &f) < 0);
    assert_explained(&f, ERROR_FAILED_PRECONDITION, EINVAL);
    assert_non_null(strstr(f.next_step, "vmtrace_buf_kb"));
}

static void an_unknown_type_is_refused_whatever_xen_answers(void **state)
{
    static const uint32_t types[] = { 4, 99, UINT32_MAX };
    struct backend_size size;
    struct failure f;
    uint16_t domid = guest(0, 0);

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        assert_true(ops->size(b, domid, types[i], 0, &size, &f) < 0);
        assert_true(f.cause[0] && f.next_step[0]);
    }
}

static void run_times_are_of_each_vcpu_and_grow(void **state)
{
    static struct message_vcpu before[VCPUS_MAX], after[VCPUS_MAX];

    (void)state;
    for (uint32_t i = 0; i < domain_count; i++) {
        uint32_t count = 0, again = 0;

        assert_int_equal(ops->vcpu_info(b, domains[i].domid, before, VCPUS_MAX, &count, NULL), 0);
        assert_int_equal(count, domains[i].max_vcpus);
        assert_int_equal(ops->vcpu_info(b, domains[i].domid, after, VCPUS_MAX, &again, NULL), 0);
        assert_int_equal(again, count);
        for (uint32_t k = 0; k < count; k++) {
            assert_int_equal(before[k].vcpu, k);
            assert_true(after[k].run_time_ns >= before[k].run_time_ns);
            assert_true(after[k].run_time_ns < LAYOUT_STATS_INACTIVE);
        }
        assert_int_equal(ops->vcpu_info(b, domains[i].domid, before, 1, &count, NULL), 0);
        assert_int_equal(count, 1); /* no more than there is room for */
    }
}

static void watching_a_name_reports_nothing_by_itself(void **state)
{
    uint16_t domid = guest(0, 0);
    uint16_t of = 0;
    unsigned events = 0;
    struct pollfd row = { .fd = ops->event_fd(b), .events = POLLIN };

    (void)state;
    while (ops->next_event(b, &events, &of)) {
    }
    ops->watch_name(b, domid);
    /* What the watch itself fires would come within this time; a real write may not. */
    uint64_t end_ns = clock_monotonic_ns() + 200 * CLOCK_NS_PER_MS;

    while (clock_monotonic_ns() < end_ns) {
        (void)poll(&row, 1, clock_poll_timeout_ms(end_ns, 200));
        while (ops->next_event(b, &events, &of)) {
            assert_false(events & BACKEND_EVENT_NAME && of == domid);
        }
    }
    ops->unwatch_name(b, domid);
}

static void calls_are_counted(void **state)
{
    uint64_t before = ops->hypercalls(b);
    struct backend_size size;
    uint16_t domid = guest(0, 0);

    (void)state;
    assert_int_equal(grant_size(domid, GRANT_TABLE_SHARED, &size), 0);
    assert_true(ops->hypercalls(b) > before);
}

/* --- samplers ---------------------------------------------------------------------------------- */

static void a_sampler_sees_what_its_parent_sees(void **state)
{
    struct backend *sampler = NULL;
    uint16_t domid = guest(0, 0);

    (void)state;
    assert_int_equal(ops->open_sampler(b, &sampler, NULL), 0);
    for (uint32_t i = 0; i < domain_count; i++) {
        struct backend_domain d;

        assert_int_equal(ops->find(sampler, domains[i].domid, &d, NULL), 0);
        assert_memory_equal(d.uuid, domains[i].uuid, UUID_BYTES);
    }
    struct backend_size ours, its;

    assert_int_equal(grant_size(domid, GRANT_TABLE_SHARED, &ours), 0);
    assert_int_equal(
        ops->size(sampler, domid, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, &its, NULL), 0);
    assert_int_equal(its.frames_max, ours.frames_max);
    assert_int_equal(its.grant_version, ours.grant_version);
    ops->close(sampler);
}

static void a_sampler_explains_its_failures(void **state)
{
    struct backend *sampler = NULL;
    struct backend_domain d;
    struct backend_size size;
    struct failure f;

    (void)state;
    assert_int_equal(ops->open_sampler(b, &sampler, NULL), 0);
    assert_int_equal(ops->find(sampler, 9999, &d, &f), -ERROR_NOT_FOUND);
    assert_explained(&f, ERROR_NOT_FOUND, ESRCH);
    assert_true(ops->size(sampler, 0, RESOURCE_GRANT_TABLE, 0, &size, &f) < 0);
    assert_explained(&f, ERROR_PERMISSION_DENIED, EPERM);
    ops->close(sampler);
}

/* A ceiling counts what each of them asks of the hypervisor, once. */
static void each_handle_counts_its_own_calls(void **state)
{
    struct backend *sampler = NULL;
    struct backend_domain d;

    (void)state;
    assert_int_equal(ops->open_sampler(b, &sampler, NULL), 0);
    uint64_t before = ops->hypercalls(b);

    assert_int_equal(ops->hypercalls(sampler), 0);
    assert_int_equal(ops->find(sampler, domains[0].domid, &d, NULL), 0);
    assert_true(ops->hypercalls(sampler) > 0);
    assert_int_equal(ops->hypercalls(b), before);
    ops->close(sampler);
}

static void a_mapping_of_one_handle_outlives_the_other_handle(void **state)
{
    struct backend *sampler = NULL;
    struct backend_mapping m = { 0 };
    static uint64_t copy[LAYOUT_FRAME_BYTES / 8];
    uint16_t domid = guest(0, 0);

    (void)state;
    assert_int_equal(copy_init(NULL), 0);
    assert_int_equal(ops->map(b, domid, RESOURCE_GRANT_TABLE, 0, 0, 1, &m, NULL), 0);
    assert_int_equal(ops->open_sampler(b, &sampler, NULL), 0);
    ops->close(sampler);
    assert_int_equal(copy_step(copy, m.address, sizeof(copy), NULL, NULL), 0);
    ops->unmap(b, &m);
}

struct sampling {
    struct backend *handle;
    uint16_t domid;
    int samples; /* that went right */
};

/* What a sampler does: identity, size, map, copy, unmap. The only thread that copies. */
static void *sample(void *arg)
{
    struct sampling *s = arg;
    static uint64_t copy[LAYOUT_FRAME_BYTES / 8];
    static struct message_vcpu vcpus[VCPUS_MAX];

    for (int i = 0; i < SAMPLES; i++) {
        struct backend_domain d;
        struct backend_size size;
        struct backend_mapping m = { 0 };
        uint32_t count = 0;
        bool ok = ops->find(s->handle, s->domid, &d, NULL) == 0 && d.domid == s->domid &&
                  ops->size(s->handle, s->domid, RESOURCE_GRANT_TABLE, 0, &size, NULL) == 0 &&
                  ops->vcpu_info(s->handle, s->domid, vcpus, VCPUS_MAX, &count, NULL) == 0 &&
                  count == d.max_vcpus &&
                  ops->map(s->handle, s->domid, RESOURCE_GRANT_TABLE, 0, 0, 1, &m, NULL) == 0;

        if (m.handle != NULL) {
            ok = copy_step(copy, m.address, sizeof(copy), NULL, NULL) == 0 && ok;
            ops->unmap(s->handle, &m);
        }
        s->samples += ok;
    }
    return NULL;
}

static void a_sampler_works_in_its_thread_while_the_parent_works_in_its_own(void **state)
{
    struct sampling s = { .domid = guest(0, 0) };
    pthread_t thread;

    (void)state;
    assert_int_equal(copy_init(NULL), 0);
    assert_int_equal(ops->open_sampler(b, &s.handle, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, sample, &s), 0);
    int listed = 0;

    for (int i = 0; i < SAMPLES; i++) {
        static struct backend_domain again[DOMAINS_MAX];
        struct backend_mapping m = { 0 };
        unsigned events;
        uint16_t of;
        uint32_t count = 0;

        listed += ops->list(b, 0, again, DOMAINS_MAX, &count, NULL) == 0 && count == domain_count;
        if (ops->map(b, s.domid, RESOURCE_GRANT_TABLE, 0, 0, 1, &m, NULL) == 0) {
            ops->unmap(b, &m);
        }
        while (ops->next_event(b, &events, &of)) {
        }
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(s.samples, SAMPLES);
    assert_int_equal(listed, SAMPLES);
    ops->close(s.handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_ascends_and_can_be_read_in_pages),
        cmocka_unit_test(each_is_found_by_its_number_and_has_a_sensible_state),
        cmocka_unit_test(numbers_without_a_domain_are_not_found),
        cmocka_unit_test(names_are_what_the_toolstack_wrote),
        cmocka_unit_test(tags_are_dom0s_to_write),
        cmocka_unit_test(our_own_domain_is_refused),
        cmocka_unit_test(a_grant_table_says_what_is_in_use),
        cmocka_unit_test(mapping_what_is_in_use_changes_nothing),
        cmocka_unit_test(the_same_frames_can_be_mapped_twice),
        cmocka_unit_test(status_frames_belong_to_version_2),
        cmocka_unit_test(ioreq_sizes_do_not_depend_on_the_server),
        cmocka_unit_test(an_absent_trace_buffer_is_explained),
        cmocka_unit_test(an_unknown_type_is_refused_whatever_xen_answers),
        cmocka_unit_test(run_times_are_of_each_vcpu_and_grow),
        cmocka_unit_test(watching_a_name_reports_nothing_by_itself),
        cmocka_unit_test(calls_are_counted),
        cmocka_unit_test(without_a_trace_buffer_every_call_is_einval),
        cmocka_unit_test(calls_of_traces_go_to_vcpus_that_there_are),
        cmocka_unit_test(a_vcpu_with_a_trace_buffer_keeps_xens_rules),
        cmocka_unit_test(calls_of_traces_are_counted_as_pauses_by_their_handle),
        cmocka_unit_test(the_clock_of_traces_runs_and_is_described),
        cmocka_unit_test(a_sampler_sees_what_its_parent_sees),
        cmocka_unit_test(a_sampler_explains_its_failures),
        cmocka_unit_test(each_handle_counts_its_own_calls),
        cmocka_unit_test(a_mapping_of_one_handle_outlives_the_other_handle),
        cmocka_unit_test(a_sampler_works_in_its_thread_while_the_parent_works_in_its_own),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
