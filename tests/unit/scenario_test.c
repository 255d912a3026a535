/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/sim/scenario.h"

#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "tests/lib/unit.h"

#define UUID         "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01"
#define DOMAIN(body) "domain \"a\" {\n domid = 7\n uuid = \"" UUID "\"\n" body "\n}\n"

static struct scenario *parsed(const char *text)
{
    struct scenario *s = NULL;
    struct failure f = { 0 };

    if (scenario_parse(text, "file", &s, &f) < 0) {
        fail_msg("%s", f.message);
    }
    return s;
}

static void refused(const char *text, const char *said)
{
    struct scenario *s = NULL;
    struct failure f;

    assert_int_equal(scenario_parse(text, "file", &s, &f), -ERROR_INVALID_ARGUMENT);
    if (strstr(f.message, said) == NULL) {
        fail_msg("`%s` is not in `%s`", said, f.message);
    }
}

static void the_builtin_one_is_right(void **state)
{
    struct scenario *s = NULL;

    (void)state;
    assert_int_equal(scenario_load(NULL, &s, NULL), 0);
    assert_int_equal(s->domain_count, 8);
    assert_string_equal(s->domains[2].name, "db-1");
    assert_int_equal(s->domains[2].grant_version, 2);
    assert_true(s->domains[4].ioreq[0].exists && s->domains[4].ioreq[0].buffered);
    assert_false(s->domains[5].ioreq[0].buffered);
    assert_int_equal(s->domains[6].vmtrace_kib, 8192);
    scenario_free(s);
}

static void everything_is_read(void **state)
{
    struct scenario *s = parsed("seed = 9\nhost { stats_table = true cpus = 2 }\n" DOMAIN(
        "name = \"b\" type = \"pvh\" present = false vcpus = 2 max_vcpus = 4\n"
        "grants { version = 2 frames = 3 frames_max = 9 entries = 768 "
        "changes_per_second = 5 }\n"
        "ioreq \"3\" { emulator = \"stubdom\" requests_per_second = 7 buffered = false "
        "}\n") "event { at_ms = 250 do = \"create\" domain = \"a\" }\n"
               "event { step = 2 do = \"rename\" domain = \"a\" text = \"c\" }\n"
               "fault { operation = \"map\" errno = \"ENOMEM\" call = 3 count = 2 "
               "domain = \"a\" }\n");

    (void)state;
    assert_int_equal(s->seed, 9);
    assert_true(s->host.stats_table);
    const struct scenario_domain *d = &s->domains[0];

    assert_string_equal(d->title, "a");
    assert_string_equal(d->name, "b");
    assert_int_equal(d->type, DOMAIN_PVH);
    assert_false(d->present);
    assert_int_equal(d->max_vcpus, 4);
    assert_int_equal(d->grant_entries, 768);
    assert_true(d->ioreq[3].exists && d->ioreq[3].in_stub_domain && !d->ioreq[3].buffered);
    assert_int_equal(s->events[0].at_ms, 250);
    assert_int_equal(s->events[1].step, 2);
    assert_int_equal(s->events[1].action, SCENARIO_RENAME);
    assert_string_equal(s->events[1].text, "c");
    assert_int_equal(s->faults[0].errnum, ENOMEM);
    assert_int_equal(s->faults[0].first_call, 3);
    assert_int_equal(s->faults[0].call_count, 2);
    scenario_free(s);
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
    (void)state;
    refused("seed = 1\nsed = 2\n", "file:2");
    refused(DOMAIN("vcpus = 0"), "file:4: vcpus = 0: expected a number from 1 to 512");
    refused(DOMAIN("vcpus = two"), "file:4");
    refused(DOMAIN("type = \"lxc\""), "file:4: type = \"lxc\": expected one of: pv hvm pvh");
    refused(DOMAIN("grants { frames = 16385 frames_max = 16384 }"), "from 1 to 16384");
    refused(DOMAIN("grants { frames = 8 frames_max = 4 }"), "above frames_max");
    refused(DOMAIN("grants { frames = 1 entries = 513 }"), "1 frames have 512");
    refused(DOMAIN("type = \"hvm\" ioreq \"8\" { }"), "an id from 0 to 7");
    refused(DOMAIN("ioreq \"0\" { }"), "a pv domain has no ioreq servers");
    refused(DOMAIN("vmtrace_kib = 64"), "a pv domain has no vmtrace");
    refused("domain \"a\" { uuid = \"" UUID "\" }", "no domid");
    refused("domain \"a\" { domid = 3 }", "no uuid");
    refused("domain \"a\" { domid = 3 uuid = \"x\" }", "expected a UUID");
    refused(DOMAIN("") "event { step = 1 at_ms = 3 do = \"destroy\" domain = \"a\" }",
            "exactly one of");
    refused(DOMAIN("") "event { step = 1 do = \"explode\" domain = \"a\" }", "explode");
    refused(DOMAIN("") "event { step = 1 do = \"destroy\" domain = \"z\" }", "there is none");
    refused("fault { operation = \"find\" effect = \"wrong_size\" }", "does not go with");
    refused("fault { operation = \"map\" errno = \"EWHAT\" }", "EWHAT");
    refused("seed = ${HOME}\n", "file:1");
}

static void a_number_has_one_owner_from_the_start(void **state)
{
    (void)state;
    refused(DOMAIN("") "domain \"b\" { domid = 7 uuid = \"" UUID "\" }\n", "both there");
    scenario_free(
        parsed(DOMAIN("") "domain \"b\" { domid = 7 uuid = \"" UUID "\" present = false }\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_builtin_one_is_right),
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(a_number_has_one_owner_from_the_start),
    };

    return UNIT_RUN(tests);
}
