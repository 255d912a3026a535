/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * usage: backend_test root|dropped|ordinary
 *
 * Every function of the xen backend in dom0 of a real Xen, with guests of rig/guests. As root; with
 * everything opened as root and all privileges dropped before the first call; or as an ordinary user
 * from the start, who has access to Xen's device nodes by group alone. The guests are made by a child
 * that stays root. backend.sh runs it.
 */
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/layout.h"
#include "server/mapper/backend.h"

enum { COMMAND_MAX = 512, EVENT_LIMIT_MS = 10000, DOMAINS_MAX = 64 };

static const char *mode;
static int helper_fd = -1;
static struct backend *b;
static uint16_t tiny, tiny_v2, linux_pv2;

/* --- guests ----------------------------------------------------------------------------------- */

/* A child that runs commands as root until its end of the pair is closed. */
static void start_helper(void)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    fflush(NULL);
    if (fork() != 0) {
        close(pair[1]);
        helper_fd = pair[0];
        return;
    }
    close(pair[0]);
    for (char command[COMMAND_MAX]; recv(pair[1], command, sizeof(command), 0) > 0;) {
        int status = system(command);

        (void)!write(pair[1], &status, sizeof(status));
    }
    _exit(0);
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A command of dom0's shell that has to succeed. */
static void run(const char *format, ...)
{
    char command[COMMAND_MAX];
    va_list arguments;
    int status = -1;

    va_start(arguments, format);
    vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    assert_true(send(helper_fd, command, strlen(command) + 1, 0) > 0);
    assert_int_equal(recv(helper_fd, &status, sizeof(status), 0), sizeof(status));
    if (status != 0) {
        fail_msg("status %d of: %s", status, command);
    }
}

static uint16_t domid_of(const char *name)
{
    struct backend_domain domains[DOMAINS_MAX];
    uint32_t count = 0;

    assert_int_equal(backend_ops->list(b, 0, domains, DOMAINS_MAX, &count, NULL), 0);
    for (uint32_t i = 0; i < count; i++) {
        char found[MESSAGE_NAME_BYTES];
        bool cut;

        if (backend_ops->domain_name(b, domains[i].domid, found, &cut, NULL) == 0 &&
            strcmp(found, name) == 0) {
            return domains[i].domid;
        }
    }
    fail_msg("no domain has the name %s", name);
    return 0;
}

static uint16_t create(const char *config, const char *name, const char *settings)
{
    run("xl create -q /guests/%s.cfg 'name=\"%s\"' %s", config, name, settings);
    return domid_of(name);
}

static struct backend_domain found(uint16_t domid)
{
    struct backend_domain domain;
    struct failure f = { 0 };

    if (backend_ops->find(b, domid, &domain, &f) < 0) {
        fail_msg("%s: %s", f.message, f.cause);
    }
    return domain;
}

static struct backend_size size_of(uint16_t domid, uint32_t type, uint32_t id)
{
    struct backend_size size;
    struct failure f = { 0 };

    if (backend_ops->size(b, domid, type, id, &size, &f) < 0) {
        fail_msg("%s: %s", f.message, f.cause);
    }
    return size;
}

static struct backend_mapping mapped(uint16_t domid, uint32_t type, uint32_t id, uint32_t first,
                                     uint32_t count)
{
    struct backend_mapping mapping;
    struct failure f = { 0 };

    if (backend_ops->map(b, domid, type, id, first, count, &mapping, &f) < 0) {
        fail_msg("%s: %s", f.message, f.cause);
    }
    return mapping;
}

static uint32_t word(const struct backend_mapping *mapping, size_t offset_bytes)
{
    return *(const volatile uint32_t *)((const volatile uint8_t *)mapping->address + offset_bytes);
}

/* Polls what has no event; the condition is the last word. */
#define assert_becomes(condition)                                                                  \
    do {                                                                                           \
        for (int tries_ = 0; !(condition) && tries_ < 1000; tries_++) {                            \
            (void)poll(NULL, 0, 10);                                                               \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static void assert_told(const struct failure *f, int result, enum error_code code, int errnum)
{
    if (result != -(int)code || f->xen_errno != errnum || f->cause[0] == '\0' ||
        f->next_step[0] == '\0' || f->message[0] == '\0') {
        fail_msg("got %d, errno %d, \"%s\" (%s): \"%s\" \"%s\"; wanted %d, errno %d", result,
                 f->xen_errno, f->message, f->call, f->cause, f->next_step, -(int)code, errnum);
    }
    print_message("    %s: %s; %s\n", f->message, f->cause, f->next_step);
}

/* --- events ----------------------------------------------------------------------------------- */

static bool event_comes(unsigned wanted, uint16_t domid)
{
    uint64_t deadline_ns = clock_monotonic_ns() + EVENT_LIMIT_MS * CLOCK_NS_PER_MS;
    struct pollfd fd = { .fd = backend_ops->event_fd(b), .events = POLLIN };

    do {
        unsigned events;
        uint16_t about;
        bool came = false;

        while (backend_ops->next_event(b, &events, &about)) {
            came = came || ((events & wanted) != 0 &&
                            (wanted == BACKEND_EVENT_DOMAINS || about == domid));
        }
        if (came) {
            return true;
        }
    } while (poll(&fd, 1, clock_poll_timeout_ms(deadline_ns, EVENT_LIMIT_MS)) > 0);
    return false;
}

/* Drains; true if one of them was a NAME event of this domain. xenstored's answer to a question
 * comes after the events that it has to tell. */
static bool name_event_is_there(uint16_t domid)
{
    char name[MESSAGE_NAME_BYTES];
    bool seen = false;
    unsigned events;
    uint16_t about;
    bool cut;

    (void)backend_ops->domain_name(b, 0, name, &cut, NULL);
    while (backend_ops->next_event(b, &events, &about)) {
        seen = seen || ((events & BACKEND_EVENT_NAME) != 0 && about == domid);
    }
    return seen;
}

/* --- the tests, in this order ----------------------------------------------------------------- */

static void host_describes_xen_and_checks_pass(void **state)
{
    static struct message_host_answer host;

    (void)state;
    memset(&host, 0xff, sizeof(host));
    memset(&host.head, 0, sizeof(host.head));
    backend_ops->host(b, &host);
    print_message("    Xen %s, %s; boot %s; uuid from %s; capabilities 0x%x, %u CPUs, %llu of %llu"
                  " KiB free\n", host.xen_version, host.guest_abis, host.boot_id, host.uuid_source,
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
    assert_string_equal(host.uuid_source, "machine-id");    /* the rig's firmware has no UUID */
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
    static const uint8_t uuid[UUID_BYTES] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
    struct backend_domain domain = found(tiny);

    (void)state;
    assert_memory_equal(domain.uuid, uuid, UUID_BYTES);
    assert_int_equal(domain.domid, tiny);
    assert_false(domain.dying);
    assert_int_equal(domain.type, DOMAIN_PVH);
    assert_int_equal(domain.online_vcpus, 1);
    assert_int_equal(domain.max_vcpus, 1);
    assert_true(domain.memory_kib >= 4096 && domain.memory_kib < 8192);
    assert_true(domain.cpu_time_ns > 0);
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
    run("wait-for 40 grep -q GUEST-UP /var/log/xen/guest-off.log");
    run("xl sysrq off o");
    assert_becomes(found(domid).state == DOMAIN_SHUTDOWN);
    assert_false(found(domid).dying);
    run("xl destroy off");
}

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
    assert_told(&f, backend_ops->map(b, tiny, RESOURCE_GRANT_TABLE, 0, UINT32_MAX - 1, 1, &mapping,
                                     &f), ERROR_INVALID_ARGUMENT, EINVAL);
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

static void names_are_read_whatever_they_hold(void **state)
{
    char name[MESSAGE_NAME_BYTES];
    char longest[MESSAGE_NAME_BYTES];
    bool cut = true;

    (void)state;
    assert_int_equal(backend_ops->domain_name(b, 0, name, &cut, NULL), 0);
    assert_string_equal(name, "Domain-0");
    assert_false(cut);
    assert_int_equal(backend_ops->domain_name(b, 999, name, &cut, NULL), 0);
    assert_string_equal(name, "");
    assert_false(cut);

    run("xenstore-write /local/domain/%u/name \"$(printf 'a\\033[31m\\377 b')\"", tiny);
    assert_int_equal(backend_ops->domain_name(b, tiny, name, &cut, NULL), 0);
    assert_string_equal(name, "a\033[31m\377 b");

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    run("xenstore-write /local/domain/%u/name %s", tiny, longest);
    assert_int_equal(backend_ops->domain_name(b, tiny, name, &cut, NULL), 0);
    assert_string_equal(name, longest);
    assert_false(cut);
    run("xenstore-write /local/domain/%u/name %sx", tiny, longest);
    assert_int_equal(backend_ops->domain_name(b, tiny, name, &cut, NULL), 0);
    assert_string_equal(name, "");
    assert_true(cut);
    run("xenstore-write /local/domain/%u/name tiny", tiny);
}

static void renames_are_told_while_a_name_is_watched(void **state)
{
    char name[MESSAGE_NAME_BYTES];
    bool cut;

    (void)state;
    backend_ops->watch_name(b, tiny);
    backend_ops->watch_name(b, tiny_v2);
    assert_false(name_event_is_there(tiny));        /* the registration's own event */
    run("xl rename tiny renamed");
    assert_true(event_comes(BACKEND_EVENT_NAME, tiny));
    assert_false(name_event_is_there(tiny_v2));
    assert_int_equal(backend_ops->domain_name(b, tiny, name, &cut, NULL), 0);
    assert_string_equal(name, "renamed");

    backend_ops->unwatch_name(b, tiny);
    run("xl rename renamed tiny");
    assert_false(name_event_is_there(tiny));
    backend_ops->watch_name(b, tiny);
    assert_false(name_event_is_there(tiny));
    run("xl rename tiny again && xl rename again tiny");
    assert_true(name_event_is_there(tiny));
    backend_ops->unwatch_name(b, tiny);
    backend_ops->unwatch_name(b, tiny);             /* twice is once */
    backend_ops->watch_name(b, 0xffff);             /* no domain */
    backend_ops->unwatch_name(b, 0xffff);
}

static void domains_that_come_and_go_are_told(void **state)
{
    uint16_t domid;

    (void)state;
    (void)name_event_is_there(0);
    domid = create("tiny", "passing", "");
    assert_true(event_comes(BACKEND_EVENT_DOMAINS, 0));
    backend_ops->watch_name(b, domid);
    (void)name_event_is_there(domid);
    run("xl destroy passing");
    assert_true(event_comes(BACKEND_EVENT_DOMAINS, 0));
    assert_true(backend_ops->find(b, domid, &(struct backend_domain){ 0 }, NULL) ==
                -ERROR_NOT_FOUND);
    backend_ops->unwatch_name(b, domid);
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

    successor = create("tiny", "held", "");         /* the name is free */
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
    assert_becomes(word(&synchronous, 24) != 0);    /* the event channel's port */
    assert_becomes(word(&synchronous, 0) != 0);     /* an address: requests come */
    backend_ops->unmap(b, &buffered);
    backend_ops->unmap(b, &synchronous);
    run("xl destroy hvm");
}

/* xenstored that does not answer: stopped, then gone on. Near the last, as it may lose its socket. */
static void a_silent_xenstored_is_waited_for_with_a_limit(void **state)
{
    uint64_t begun_ns;
    struct failure f = { 0 };
    char name[MESSAGE_NAME_BYTES];
    bool cut;

    (void)state;
    backend_ops->watch_name(b, tiny);
    (void)name_event_is_there(tiny);
    run("kill -STOP $(cat /run/xen/xenstored.pid)");
    begun_ns = clock_monotonic_ns();
    assert_told(&f, backend_ops->domain_name(b, tiny, name, &cut, &f), ERROR_UNAVAILABLE, ETIMEDOUT);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(backend_ops->domain_name(b, tiny, name, &cut, NULL), -ERROR_UNAVAILABLE);
    }
    backend_ops->watch_name(b, tiny_v2);
    backend_ops->watch_name(b, linux_pv2);
    assert_true(clock_monotonic_ns() - begun_ns < 3 * CLOCK_NS_PER_S);
    assert_int_equal(found(tiny).domid, tiny);      /* Xen itself answers */
    assert_true(name_event_is_there(linux_pv2));    /* not watched: looked at each time */
    assert_true(name_event_is_there(linux_pv2));
    run("kill -CONT $(cat /run/xen/xenstored.pid)");
    assert_becomes(backend_ops->domain_name(b, tiny, name, &cut, NULL) == 0);
    assert_string_equal(name, "tiny");
    assert_true(name_event_is_there(linux_pv2));    /* watched by now, what was before is unknown */
    assert_false(name_event_is_there(linux_pv2));
    run("xl rename linux-pv2 other && xl rename other linux-pv2");
    assert_true(event_comes(BACKEND_EVENT_NAME, linux_pv2));
}

static void a_lost_xenstored_is_told(void **state)
{
    static struct message_host_answer host;
    char name[MESSAGE_NAME_BYTES];
    struct failure f = { 0 };
    unsigned seen = 0;
    unsigned events;
    uint16_t domid;
    bool cut;

    (void)state;
    if (strcmp(mode, "ordinary") == 0) {
        skip();     /* the kernel's connection outlives xenstored, and answers nothing then */
    }
    run("kill -KILL $(cat /run/xen/xenstored.pid)");
    assert_becomes(backend_ops->domain_name(b, tiny, name, &cut, &f) < 0);
    assert_int_equal(f.code, ERROR_UNAVAILABLE);
    for (int tries = 0; tries < 1000 && (seen & BACKEND_EVENT_DOMAINS) == 0; tries++) {
        while (backend_ops->next_event(b, &events, &domid)) {
            seen |= events;
        }
        (void)poll(NULL, 0, 10);
    }
    assert_int_equal(seen, BACKEND_EVENT_DOMAINS | BACKEND_EVENT_NAME);
    assert_int_equal(backend_ops->domain_name(b, tiny, name, &cut, &f), -ERROR_UNAVAILABLE);
    print_message("    %s: %s; %s\n", f.message, f.cause, f.next_step);
    assert_true(name_event_is_there(tiny));
    backend_ops->host(b, &host);
    for (uint32_t i = 0; i < host.check_count; i++) {
        if (strcmp(host.checks[i].name, "xenstore") == 0) {
            assert_false(host.checks[i].ok);
            print_message("    %s\n", host.checks[i].detail);
        }
    }
    assert_int_equal(found(tiny).domid, tiny);
}

/* --- main ------------------------------------------------------------------------------------- */

static void drop_privileges(void)
{
    const struct passwd *user = getpwnam("xenresd-mapper");

    if (user == NULL || initgroups(user->pw_name, user->pw_gid) != 0 ||
        setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        perror("backend_test: cannot become xenresd-mapper");
        exit(2);
    }
    if (setuid(0) == 0) {
        exit(2);
    }
}

static int setup(void **state)
{
    struct failure f = { 0 };

    (void)state;
    start_helper();
    run("xl create -q /guests/tiny.cfg 'uuid=\"01020304-0506-0708-090a-0b0c0d0e0f10\"'");
    run("xl create -q /guests/tiny-v2.cfg");
    run("xl create -q /guests/linux-pv2.cfg");
    run("wait-for 40 grep -q GUEST-UP /var/log/xen/guest-linux-pv2.log");
    if (strcmp(mode, "ordinary") == 0) {
        drop_privileges();
    }
    if (backend_open(NULL, &b, &f) < 0) {
        print_error("%s: %s; %s\n", f.message, f.cause, f.next_step);
        return -1;
    }
    if (strcmp(mode, "dropped") == 0) {
        drop_privileges();
    }
    tiny = domid_of("tiny");
    tiny_v2 = domid_of("tiny-v2");
    linux_pv2 = domid_of("linux-pv2");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    backend_ops->close(b);
    close(helper_fd);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_describes_xen_and_checks_pass),
        cmocka_unit_test(domains_are_listed_in_order_and_in_pages),
        cmocka_unit_test(a_domain_is_found_with_all_its_fields),
        cmocka_unit_test(no_domain_is_told_as_such),
        cmocka_unit_test(states_follow_the_domain),
        cmocka_unit_test(a_domain_that_shut_down_is_told_from_one_that_runs),
        cmocka_unit_test(grant_table_sizes_are_those_in_use),
        cmocka_unit_test(sizes_that_cannot_be_are_refused_with_reason),
        cmocka_unit_test(frames_hold_what_the_guest_wrote),
        cmocka_unit_test(version_2_has_its_own_entries_and_status),
        cmocka_unit_test(mappings_are_read_only),
        cmocka_unit_test(maps_that_cannot_be_are_refused_and_change_nothing),
        cmocka_unit_test(run_times_are_those_of_the_vcpus),
        cmocka_unit_test(names_are_read_whatever_they_hold),
        cmocka_unit_test(renames_are_told_while_a_name_is_watched),
        cmocka_unit_test(domains_that_come_and_go_are_told),
        cmocka_unit_test(a_mapping_keeps_a_dying_domain_until_it_is_unmapped),
        cmocka_unit_test(a_device_models_pages_are_seen),
        cmocka_unit_test(a_silent_xenstored_is_waited_for_with_a_limit),
        cmocka_unit_test(a_lost_xenstored_is_told),
    };

    mode = argc == 2 ? argv[1] : "";
    if (strcmp(mode, "root") != 0 && strcmp(mode, "dropped") != 0 &&
        strcmp(mode, "ordinary") != 0) {
        fprintf(stderr, "usage: backend_test root|dropped|ordinary\n");
        return 2;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
