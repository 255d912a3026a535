/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Names and events from a real xenstored. The last tests take it away. */
#include <errno.h>
#include <poll.h>

#include "common/clock.h"

#include "tests/xen/backend_fixture.h"

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
    assert_false(name_event_is_there(tiny)); /* the registration's own event */
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
    backend_ops->unwatch_name(b, tiny); /* twice is once */
    backend_ops->watch_name(b, 0xffff); /* no domain */
    backend_ops->unwatch_name(b, 0xffff);
}

static struct backend_tags tags_of(uint16_t domid)
{
    struct backend_tags tags;

    memset(&tags, 0xff, sizeof(tags));
    assert_int_equal(backend_ops->domain_tags(b, domid, &tags, NULL), 0);
    return tags;
}

#define TAGS "/local/domain/%u/" BACKEND_TAGS_NODE

static void tags_are_dom0s_and_told_while_they_are_watched(void **state)
{
    (void)state;
    assert_false(tags_of(0).is_untrusted || tags_of(tiny).is_untrusted);
    assert_string_equal(tags_of(tiny).value, "");
    backend_ops->watch_name(b, tiny);
    assert_false(name_event_is_there(tiny));
    run("xenstore-write " TAGS " 'prod web'", tiny);
    assert_true(event_comes(BACKEND_EVENT_TAGS, tiny));
    assert_string_equal(tags_of(tiny).value, "prod web");
    assert_false(tags_of(tiny).is_untrusted);
    run("xenstore-chmod " TAGS " n0 w%u", tiny, tiny); /* the guest's to write */
    assert_true(event_comes(BACKEND_EVENT_TAGS, tiny));
    assert_true(tags_of(tiny).is_untrusted);
    assert_string_equal(tags_of(tiny).value, "");
    run("xenstore-chmod " TAGS " n%u", tiny, tiny); /* its own */
    assert_true(tags_of(tiny).is_untrusted);
    run("xenstore-rm " TAGS, tiny);
    assert_true(event_comes(BACKEND_EVENT_TAGS, tiny));
    assert_string_equal(tags_of(tiny).value, "");
    assert_false(tags_of(tiny).is_untrusted);
    backend_ops->unwatch_name(b, tiny);
}

/* Told when it dies; what it had is given back after that, however long a busy host takes. */
static bool is_gone_soon(uint16_t domid)
{
    struct backend_domain d;
    int result = 0;

    for (int looks = 0; looks < 1000 && result != -ERROR_NOT_FOUND; looks++) {
        (void)poll(NULL, 0, 10);
        result = backend_ops->find(b, domid, &d, NULL);
        assert_true(result == -ERROR_NOT_FOUND || (result == 0 && d.dying));
    }
    return result == -ERROR_NOT_FOUND;
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
    assert_true(is_gone_soon(domid));
    backend_ops->unwatch_name(b, domid);
}

/* xenstored that does not answer: stopped, then gone on. Near the last, as it may lose its
 * socket. */
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
    assert_told(&f, backend_ops->domain_name(b, tiny, name, &cut, &f), ERROR_UNAVAILABLE,
                ETIMEDOUT);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(backend_ops->domain_name(b, tiny, name, &cut, NULL), -ERROR_UNAVAILABLE);
    }
    backend_ops->watch_name(b, tiny_v2);
    backend_ops->watch_name(b, linux_pv2);
    assert_true(clock_monotonic_ns() - begun_ns < 3 * CLOCK_NS_PER_S);
    assert_int_equal(found(tiny).domid, tiny);   /* Xen itself answers */
    assert_true(name_event_is_there(linux_pv2)); /* not watched: looked at each time */
    assert_true(name_event_is_there(linux_pv2));
    run("kill -CONT $(cat /run/xen/xenstored.pid)");
    assert_becomes(backend_ops->domain_name(b, tiny, name, &cut, NULL) == 0);
    assert_string_equal(name, "tiny");
    assert_true(name_event_is_there(linux_pv2)); /* watched by now, what was before is unknown */
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
    run("kill -KILL $(cat /run/xen/xenstored.pid)");
    assert_becomes(backend_ops->domain_name(b, tiny, name, &cut, &f) < 0);
    assert_int_equal(f.code, ERROR_UNAVAILABLE);
    if (strcmp(mode, "ordinary") == 0) {
        /* The kernel's connection outlives xenstored. Nobody can write a name, nobody reads one. */
        assert_int_equal(f.xen_errno, ETIMEDOUT);
        return;
    }
    for (int tries = 0; tries < 1000 && (seen & BACKEND_EVENT_DOMAINS) == 0; tries++) {
        while (backend_ops->next_event(b, &events, &domid)) {
            seen |= events;
        }
        (void)poll(NULL, 0, 10);
    }
    assert_int_equal(seen, BACKEND_EVENT_DOMAINS | BACKEND_EVENT_NAME | BACKEND_EVENT_TAGS);
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

const struct CMUnitTest store_tests[] = {
    cmocka_unit_test(names_are_read_whatever_they_hold),
    cmocka_unit_test(renames_are_told_while_a_name_is_watched),
    cmocka_unit_test(tags_are_dom0s_and_told_while_they_are_watched),
    cmocka_unit_test(domains_that_come_and_go_are_told),
    cmocka_unit_test(a_silent_xenstored_is_waited_for_with_a_limit),
    cmocka_unit_test(a_lost_xenstored_is_told),
};
const size_t store_test_count = sizeof(store_tests) / sizeof(store_tests[0]);
