/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * usage: backend_test root|dropped|ordinary|storeless|stranger
 *
 * Every function of the xen backend in dom0 of a real Xen, with guests of rig/guests. As root; with
 * everything opened as root and all privileges dropped before the first call; or as an ordinary
 * user from the start, who has access to Xen's device nodes by group alone. The guests are made by
 * a child that stays root. storeless and stranger are ordinary users without access to xenstore, or
 * to any of Xen's device nodes: what they are told. backend.sh runs it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/xen/backend_fixture.h"

/* --- users without access --------------------------------------------------------------------- */

static void without_xenstore_all_else_works(void **state)
{
    static struct message_host_answer host;
    struct backend_domain domain;
    struct failure f = { 0 };
    char name[MESSAGE_NAME_BYTES];
    bool cut;

    (void)state;
    assert_int_equal(backend_open(NULL, &b, &f), 0);
    assert_int_equal(backend_ops->find(b, 0, &domain, NULL), 0);
    assert_told(&f, backend_ops->domain_name(b, 0, name, &cut, &f), ERROR_PERMISSION_DENIED,
                EACCES);
    backend_ops->watch_name(b, 0);
    assert_true(name_event_is_there(0)); /* not watched: looked at each time */
    assert_true(name_event_is_there(0));
    backend_ops->host(b, &host);
    for (uint32_t i = 0; i < host.check_count; i++) {
        assert_int_equal(host.checks[i].ok, strcmp(host.checks[i].name, "xenstore") != 0);
    }
    backend_ops->close(b);
}

static void without_device_nodes_it_does_not_open(void **state)
{
    struct failure f = { 0 };

    (void)state;
    assert_told(&f, backend_open(NULL, &b, &f), ERROR_PERMISSION_DENIED, EACCES);
    assert_non_null(strstr(f.next_step, "/dev/xen/privcmd"));
}

static int setup(void **state)
{
    struct failure f = { 0 };

    (void)state;
    start_helper();
    run("xl create -q /guests/tiny.cfg 'uuid=\"01020304-0506-0708-090a-0b0c0d0e0f10\"'");
    run("xl create -q /guests/tiny-v2.cfg");
    run("xl create -q /guests/linux-pv2.cfg");
    run("wait-for 100 grep -q GUEST-UP /var/log/xen/guest-linux-pv2.log");
    if (strcmp(mode, "ordinary") == 0) {
        drop_privileges();
    }
    if (backend_open(NULL, &b, &f) < 0) {
        print_error("%s: %s; %s\n", f.message, f.cause, f.next_step);
        return -1;
    }
    if (strcmp(mode, "dropped") == 0) {
        const struct rlimit no_thread = { 0, 0 };

        drop_privileges();
        assert_int_equal(setrlimit(RLIMIT_NPROC, &no_thread), 0);
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
    stop_helper();
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest storeless[] = { cmocka_unit_test(without_xenstore_all_else_works) };
    const struct CMUnitTest stranger[] = {
        cmocka_unit_test(without_device_nodes_it_does_not_open),
    };
    int failed;

    mode = argc == 2 ? argv[1] : "";
    if (strcmp(mode, "storeless") == 0) {
        drop_privileges();
        return cmocka_run_group_tests(storeless, NULL, NULL);
    }
    if (strcmp(mode, "stranger") == 0) {
        drop_privileges();
        return cmocka_run_group_tests(stranger, NULL, NULL);
    }
    if (strcmp(mode, "root") != 0 && strcmp(mode, "dropped") != 0 &&
        strcmp(mode, "ordinary") != 0) {
        fprintf(stderr, "usage: backend_test root|dropped|ordinary|storeless|stranger\n");
        return 2;
    }
    /* What cmocka_run_group_tests() is a macro for, where it sees the array. One backend for
     * all. */
    failed = _cmocka_run_group_tests("domains", domain_tests, domain_test_count, setup, NULL);
    failed += _cmocka_run_group_tests("frames", frames_tests, frames_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("store", store_tests, store_test_count, NULL, teardown);
    return failed == 0 ? 0 : 1;
}
