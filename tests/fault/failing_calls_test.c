/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Calls to the hypervisor, to xenstored and to the kernel that fail, one operation after the other:
 * each is one clear failure, or is made up for; nobody is shown another guest's pages, and nothing of
 * a dead domain stays mapped. The real mapper on the simulator.
 */
#include "common/buffer.h"
#include "tests/lib/host_rig.h"

enum { TRIES_MAX = 50, MANY_DOMAINS = 300 };

static void assert_explained(const char *call)
{
    const struct failure *f = &answered.failed.failure;

    assert_int_equal(answered.head.type, MESSAGE_FAILED);
    assert_string_equal(f->call, call);
    assert_true(f->cause[0] && f->next_step[0] && f->xen_errno);
}

static void every_errno_of_every_call_is_one_clear_failure(void **state)
{
    static const struct {
        const char *operation, *call;
    } rows[] = {
        { "find", "xc_domain_getinfolist" },
        { "size", "xenforeignmemory_resource_size" },
        { "grant_version", "xc_gnttab_get_version" },
        { "map", "xenforeignmemory_map_resource" },
    };
    static const char *const errnos[] = { "EACCES",  "EPERM",      "ENOMEM", "EIO",      "EFAULT",
                                          "ENODATA", "EOPNOTSUPP", "EINVAL", "EBUSY",    "E2BIG",
                                          "EINTR",   "ENOTCONN",   "EPROTO", "ECANCELED" };
    enum { ERRNOS = sizeof(errnos) / sizeof(errnos[0]) };

    (void)state;
    for (size_t o = 0; o < sizeof(rows) / sizeof(rows[0]); o++) {
        BUFFER_AUTO(text, 16384);
        size_t failed = 0;

        buffer_append_string(&text, HOST_HEAD HOST_STILL);
        for (size_t e = 0; e < ERRNOS; e++) {
            buffer_printf(&text, "fault { operation = \"%s\" errno = \"%s\" call = %zu }\n",
                          rows[o].operation, errnos[e], e + 1);
        }
        host_start(buffer_string(&text), NULL);
        struct domain_identity d = rig_domain(&peer, "still");

        for (size_t i = 0; i < TRIES_MAX && !host_table(&d); i++, failed++) {
            assert_explained(rows[o].call);
        }
        assert_in_range(failed, ERRNOS / 2, ERRNOS); /* a failure to look again counts as well */
        assert_int_equal(answered.head.type, MESSAGE_SNAPSHOT | MESSAGE_ANSWER);
        host_stop();
    }
}

static void a_size_and_a_version_fail_one_by_one(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL "fault { operation = \"grant_version\" errno = \"EPERM\" }\n"
                                    "fault { operation = \"size\" errno = \"ENOMEM\" call = 2 }\n",
               NULL);
    struct domain_identity d = rig_domain(&peer, "still");

    assert_false(host_table(&d));
    assert_explained("xc_gnttab_get_version");
    assert_false(host_table(&d));
    assert_explained("xenforeignmemory_resource_size");
    assert_true(host_table(&d));
    host_stop();
}

static void run_times_that_cannot_be_had_are_one_failure(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL "fault { operation = \"vcpu_info\" errno = \"EFAULT\" }\n",
               NULL);
    union message m = rig_message(MESSAGE_VCPU_STATS);

    m.vcpu_stats.domain = rig_domain(&peer, "still");
    assert_false(rig_call(&peer, &m, &answered));
    assert_explained("xc_vcpu_getinfo");
    assert_true(rig_call(&peer, &m, &answered));
    host_stop();
}

static void a_list_or_a_name_that_fails_is_no_reason_to_end(void **state)
{
    static const char *const operations[] = { "list", "name" };

    (void)state;
    for (size_t o = 0; o < sizeof(operations) / sizeof(operations[0]); o++) {
        BUFFER_AUTO(text, 1024);

        buffer_printf(&text, "%s%sfault { operation = \"%s\" errno = \"EAGAIN\" count = 2 }\n",
                      HOST_HEAD, HOST_STILL, operations[o]);
        host_start(buffer_string(&text), NULL);
        union message m = rig_message(MESSAGE_DOMAINS);
        bool served = rig_call(&peer, &m, &answered);

        for (int i = 0; i < 3 && !served; i++) {
            host_assert_failed(ERROR_UNAVAILABLE);
            m = rig_message(MESSAGE_DOMAINS);
            served = rig_call(&peer, &m, &answered);
        }
        assert_true(served);
        host_stop();
    }
}

static const struct message_check_row *check_named(const char *name)
{
    for (uint32_t i = 0; i < answered.host_answer.check_count; i++) {
        if (strcmp(answered.host_answer.checks[i].name, name) == 0) {
            return &answered.host_answer.checks[i];
        }
    }
    return NULL;
}

static void a_hypervisor_that_says_nothing_of_itself_is_a_failed_check(void **state)
{
    (void)state;
    /* The first is the mapper's own, at its start. */
    host_start(HOST_HEAD HOST_STILL "fault { operation = \"host\" errno = \"ENOSYS\" call = 2 }\n",
               NULL);
    union message m = rig_message(MESSAGE_HOST);

    assert_true(rig_call(&peer, &m, &answered));
    const struct message_check_row *row = check_named("hypercall");

    if (row == NULL || row->ok || strstr(row->detail, "ENOSYS") == NULL) {
        fail_msg("no check says that the hypervisor does not answer");
    }
    assert_string_equal(answered.host_answer.xen_version, "");
    assert_int_equal(answered.host_answer.cpu_count, 0);
    m = rig_message(MESSAGE_HOST);
    assert_true(rig_call(&peer, &m, &answered));
    assert_null(check_named("hypercall"));
    assert_true(answered.host_answer.xen_version[0] != '\0' && answered.host_answer.cpu_count > 0);
    host_stop();
}

/* --- unmap ------------------------------------------------------------------------------------- */

/* It says why, and ends: with it go the frames, and the peer sees the end of the connection. */
static void assert_it_gives_up(void)
{
    union message m;

    while (rig_receive(&peer, &m, NULL) > 0) {
    }
    int status = rig_wait(&rig);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
    assert_true(rig_log_says(&rig, "a guest's frames could not be unmapped"));
    assert_true(rig_log_says(&rig, "ENOMEM"));
    rig_leave(&peer);
    rig_remove(&rig);
}

static void who_cannot_unmap_an_idle_mapping_ends(void **state)
{
    static const char *const idle[] = { "--mapping-idle", "0", NULL };

    (void)state;
    host_start(HOST_HEAD HOST_STILL "fault { operation = \"unmap\" errno = \"ENOMEM\" }\n", idle);
    struct domain_identity d = rig_domain(&peer, "still");

    assert_true(host_table(&d));
    assert_it_gives_up();
}

static void who_cannot_unmap_status_frames_ends_before_it_answers(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_V2 "fault { operation = \"unmap\" errno = \"ENOMEM\" }\n", NULL);
    struct domain_identity d = rig_domain(&peer, "two");
    union message m = rig_snapshot_message(&d, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0, 1);

    rig_send(&peer, &m);
    assert_int_equal(rig_receive(&peer, &answered, NULL), 0);
    assert_it_gives_up();
}

static void who_cannot_unmap_a_dead_domain_ends(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL "fault { operation = \"unmap\" errno = \"ENOMEM\" }\n"
                                    "event { step = 1 do = \"destroy\" domain = \"still\" }\n",
               NULL);
    struct domain_identity d = rig_domain(&peer, "still");

    assert_true(host_table(&d));
    rig_step(&rig);
    assert_it_gives_up();
}

/* --- events ------------------------------------------------------------------------------------ */

static void after_a_look_that_failed_everybody_is_somebody_else(void **state)
{
    bool aborted = false;

    (void)state;
    /* The first looks are those of the start; this one comes between two requests. */
    host_start(HOST_HEAD HOST_STILL "fault { operation = \"events\" errno = \"EPIPE\" call = 8 }\n",
               NULL);
    struct domain_identity before = rig_domain(&peer, "still");

    for (int i = 0; i < TRIES_MAX && !aborted; i++) {
        aborted = !host_table(&before);
    }
    assert_true(aborted);
    host_assert_failed(ERROR_ABORTED);
    struct domain_identity after = rig_domain(&peer, "still");

    assert_memory_not_equal(before.incarnation, after.incarnation, sizeof(after.incarnation));
    assert_memory_equal(before.uuid, after.uuid, sizeof(after.uuid));
    host_wait_for_ledger("live mappings", 0, 1000); /* nothing of what was in doubt is kept */
    assert_true(host_table(&after));
    host_stop();
}

static void a_death_that_nobody_tells_of_is_found_within_a_second(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL HOST_V2
               "fault { operation = \"events\" effect = \"lost\" count = 1000000000 }\n"
               "event { step = 1 do = \"destroy\" domain = \"still\" }\n",
               NULL);
    struct domain_identity d = rig_domain(&peer, "still");

    assert_true(host_table(&d));
    rig_step(&rig);
    host_wait_for_ledger("live mappings", 0, 1000);
    assert_int_equal(rig_ledger(&peer, "zombies"), 0);
    assert_false(host_table(&d));
    host_assert_failed(ERROR_NOT_FOUND);
    struct message_domain gone;

    assert_false(rig_find(&peer, "still", &gone));
    assert_true(rig_find(&peer, "two", &gone));
    host_stop();
}

/* However many domains are mapped before it. */
static void the_last_of_many_dies_no_more_secretly_than_the_first(void **state)
{
    static const char *const many[] = { "--mappings-max", "300", "--arena-mib", "4", NULL };
    static struct message_domain all[MANY_DOMAINS];
    BUFFER_AUTO(text, 1 << 20);

    (void)state;
    buffer_append_string(&text,
                         "fault { operation = \"events\" effect = \"lost\" count = 1000000000 }\n");
    for (unsigned i = 0; i < MANY_DOMAINS; i++) {
        buffer_printf(&text,
                      "domain \"d%u\" { domid = %u uuid = \"%08x-1111-1111-1111-111111111111\" }\n",
                      i, i + 1, i);
    }
    buffer_printf(&text, "event { step = 1 do = \"destroy\" domain = \"d%u\" }\n",
                  MANY_DOMAINS - 1);
    host_start(buffer_string(&text), many);
    assert_int_equal(rig_domains(&peer, all, MANY_DOMAINS), MANY_DOMAINS);
    for (unsigned i = 0; i < MANY_DOMAINS; i++) {
        assert_true(host_table(&all[i].identity));
        rig_release(&peer, &answered.snapshot_answer.slot);
    }
    assert_int_equal(rig_ledger(&peer, "live mappings"), MANY_DOMAINS);
    rig_step(&rig);
    host_wait_for_ledger("live mappings", MANY_DOMAINS - 1, 1000);
    assert_int_equal(rig_ledger(&peer, "zombies"), 0);
    host_stop();
}

static void a_name_that_cannot_be_watched_is_never_believed(void **state)
{
    int others = 0;
    bool stands = false;

    (void)state;
    host_start(HOST_HEAD HOST_STILL
               "fault { operation = \"watch\" errno = \"ENOSPC\" count = 4 domain = \"still\" }\n",
               NULL);
    /* As long as a write of the name might be missed, each look begins another incarnation. */
    for (int i = 0; i < TRIES_MAX && !stands; i++) {
        struct domain_identity d = rig_domain(&peer, "still");

        stands = host_table(&d) && host_table(&d);
        if (!stands) {
            host_assert_failed(ERROR_ABORTED);
            others++;
        }
    }
    assert_true(stands);
    assert_in_range(others, 1, 4);
    host_stop();
}

static void a_watch_that_cannot_be_taken_back_does_no_harm(void **state)
{
    (void)state;
    host_start(HOST_HEAD HOST_STILL HOST_V2
               "domain \"next\" { domid = 1 uuid = \"44444444-4444-4444-4444-444444444444\""
               " present = false }\n"
               "fault { operation = \"unwatch\" errno = \"EINVAL\" }\n"
               "event { step = 1 do = \"destroy\" domain = \"still\" }\n"
               "event { step = 2 do = \"create\" domain = \"next\" }\n",
               NULL);
    struct message_domain d;

    assert_true(rig_find(&peer, "still", &d));
    rig_step(&rig);
    assert_false(rig_find(&peer, "still", &d));
    rig_step(&rig);
    assert_true(rig_find(&peer, "next", &d));
    assert_true(host_table(&d.identity));
    assert_true(rig_find(&peer, "two", &d));
    assert_true(host_table(&d.identity));
    host_stop();
}

/* --- in between -------------------------------------------------------------------------------- */

static void a_domain_may_die_behind_any_call_about_it(void **state)
{
    static const char *const operations[] = { "find",          "name", "size",
                                              "grant_version", "map",  "watch" };

    (void)state;
    for (size_t o = 0; o < sizeof(operations) / sizeof(operations[0]); o++) {
        BUFFER_AUTO(text, 2048);
        struct message_domain d;

        buffer_printf(&text,
                      "%s%s%sfault { operation = \"%s\" effect = \"dies\" domain = \"still\" }\n",
                      HOST_HEAD, HOST_STILL, HOST_V2, operations[o]);
        host_start(buffer_string(&text), NULL);
        if (rig_find(&peer, "still", &d)) {
            assert_false(host_table(&d.identity));
            assert_true(answered.failed.failure.code == ERROR_ABORTED ||
                        answered.failed.failure.code == ERROR_NOT_FOUND);
        }
        host_wait_for_ledger("zombies", 0, 1000);
        assert_int_equal(rig_ledger(&peer, "live mappings"), 0);
        assert_int_equal(rig_ledger(&peer, "grant tables grown"), 0);
        assert_true(rig_find(&peer, "two", &d));
        assert_true(host_table(&d.identity));
        host_stop();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_errno_of_every_call_is_one_clear_failure),
        cmocka_unit_test(a_size_and_a_version_fail_one_by_one),
        cmocka_unit_test(run_times_that_cannot_be_had_are_one_failure),
        cmocka_unit_test(a_list_or_a_name_that_fails_is_no_reason_to_end),
        cmocka_unit_test(a_hypervisor_that_says_nothing_of_itself_is_a_failed_check),
        cmocka_unit_test(who_cannot_unmap_an_idle_mapping_ends),
        cmocka_unit_test(who_cannot_unmap_status_frames_ends_before_it_answers),
        cmocka_unit_test(who_cannot_unmap_a_dead_domain_ends),
        cmocka_unit_test(after_a_look_that_failed_everybody_is_somebody_else),
        cmocka_unit_test(a_death_that_nobody_tells_of_is_found_within_a_second),
        cmocka_unit_test(the_last_of_many_dies_no_more_secretly_than_the_first),
        cmocka_unit_test(a_name_that_cannot_be_watched_is_never_believed),
        cmocka_unit_test(a_watch_that_cannot_be_taken_back_does_no_harm),
        cmocka_unit_test(a_domain_may_die_behind_any_call_about_it),
    };

    return UNIT_RUN(tests);
}
