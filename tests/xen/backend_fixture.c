/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/xen/backend_fixture.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xenctrl.h>

#include "common/clock.h"

enum { COMMAND_MAX = 512, EVENT_LIMIT_MS = 10000, DOMAINS_MAX = 64 };

const char *mode;
struct backend *b;
uint16_t tiny, tiny_v2, linux_pv2;

static int helper_fd = -1;

/* A PVH domain without memory or name, with a number that xl does not let one choose. */
static int create_empty(uint32_t domid)
{
    struct xen_domctl_createdomain config = {
        .flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
        .max_vcpus = 1,
        .max_evtchn_port = 16,
        .max_grant_frames = 3,
        .max_maptrack_frames = 4,
        .grant_opts = XEN_DOMCTL_GRANT_version(1),
        .arch.emulation_flags = XEN_X86_EMU_LAPIC,
    };
    xc_interface *xen = xc_interface_open(NULL, NULL, 0);
    int result;

    memset(config.handle, 0xee, sizeof(config.handle));
    result = xen != NULL ? xc_domain_create(xen, &domid, &config) : -1;
    if (xen != NULL) {
        xc_interface_close(xen);
    }
    return result;
}

void start_helper(void)
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
        int domid;
        int status = sscanf(command, "!create %d", &domid) == 1 ? create_empty((uint32_t)domid)
                                                                : system(command);

        (void)!write(pair[1], &status, sizeof(status));
    }
    _exit(0);
}

void stop_helper(void)
{
    close(helper_fd);
}

void run(const char *format, ...)
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

uint16_t domid_of(const char *name)
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

uint16_t create(const char *config, const char *name, const char *settings)
{
    run("xl create -q /guests/%s.cfg 'name=\"%s\"' %s", config, name, settings);
    return domid_of(name);
}

struct backend_domain found(uint16_t domid)
{
    struct backend_domain domain;
    struct failure f = { 0 };

    if (backend_ops->find(b, domid, &domain, &f) < 0) {
        fail_msg("%s: %s", f.message, f.cause);
    }
    return domain;
}

struct backend_size size_of(uint16_t domid, uint32_t type, uint32_t id)
{
    struct backend_size size;
    struct failure f = { 0 };

    if (backend_ops->size(b, domid, type, id, &size, &f) < 0) {
        fail_msg("%s: %s", f.message, f.cause);
    }
    return size;
}

struct backend_mapping mapped(uint16_t domid, uint32_t type, uint32_t id, uint32_t first,
                              uint32_t count)
{
    struct backend_mapping mapping;
    struct failure f = { 0 };

    if (backend_ops->map(b, domid, type, id, first, count, &mapping, &f) < 0) {
        fail_msg("%s: %s", f.message, f.cause);
    }
    return mapping;
}

uint32_t word(const struct backend_mapping *mapping, size_t offset_bytes)
{
    return *(const volatile uint32_t *)((const volatile uint8_t *)mapping->address + offset_bytes);
}

void assert_told(const struct failure *f, int result, enum error_code code, int errnum)
{
    if (result != -(int)code || f->xen_errno != errnum || f->cause[0] == '\0' ||
        f->next_step[0] == '\0' || f->message[0] == '\0') {
        fail_msg("got %d, errno %d, \"%s\" (%s): \"%s\" \"%s\"; wanted %d, errno %d", result,
                 f->xen_errno, f->message, f->call, f->cause, f->next_step, -(int)code, errnum);
    }
    print_message("    %s: %s; %s\n", f->message, f->cause, f->next_step);
}

bool event_comes(unsigned wanted, uint16_t domid)
{
    uint64_t deadline_ns = clock_monotonic_ns() + EVENT_LIMIT_MS * CLOCK_NS_PER_MS;
    struct pollfd fd = { .fd = backend_ops->event_fd(b), .events = POLLIN };

    do {
        unsigned events;
        uint16_t about;
        bool came = false;

        while (backend_ops->next_event(b, &events, &about)) {
            came = came ||
                   ((events & wanted) != 0 && (wanted == BACKEND_EVENT_DOMAINS || about == domid));
        }
        if (came) {
            return true;
        }
    } while (poll(&fd, 1, clock_poll_timeout_ms(deadline_ns, EVENT_LIMIT_MS)) > 0);
    return false;
}

/* Drains; true if one of them was a NAME event of this domain. xenstored's answer to a question
 * comes after the events that it has to tell. */
bool name_event_is_there(uint16_t domid)
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

void drop_privileges(void)
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
