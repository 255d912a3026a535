/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/sim/scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/log.h"
#include "common/scope.h"
#include "tests/lib/folder.h"
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
    assert_int_equal(s->domains[6].vmtrace.size_bytes, 8 << 20);
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

static void traces_are_read(void **state)
{
    struct scenario *s = parsed(DOMAIN(
        "type = \"hvm\" vcpus = 2 max_vcpus = 66\n"
        "vmtrace { size = 4096 rate = 8589934592 loop = true sequence = true enabled = true\n"
        "lap_at = { 0, 70, 9000000000 } idle_vcpus = { 1, 65 } }\n") "event { step = 1 do = "
                                                                     "\"vmtrace_emit\" domain = "
                                                                     "\"a\" value = 77 vcpu = 65 "
                                                                     "}\n"
                                                                     "event { step = 1 do = "
                                                                     "\"shutdown\" domain = \"a\" "
                                                                     "value = 5 }\n"
                                                                     "fault { operation = "
                                                                     "\"vmtrace_position\" effect "
                                                                     "= "
                                                                     "\"frozen\" }\n");
    const struct scenario_vmtrace *v = &s->domains[0].vmtrace;

    (void)state;
    assert_int_equal(v->size_bytes, 4096);
    assert_int_equal(v->rate, UINT64_C(8589934592));
    assert_true(v->is_looped && v->has_sequence && v->is_enabled);
    assert_int_equal(v->source_count, 0);
    assert_int_equal(v->lap_count, 3);
    assert_int_equal(v->lap_at[2], UINT64_C(9000000000));
    assert_int_equal(v->idle_vcpus[0], 2);
    assert_int_equal(v->idle_vcpus[1], 2);
    assert_int_equal(s->events[0].action, SCENARIO_VMTRACE_EMIT);
    assert_int_equal(s->events[0].vcpu, 65);
    assert_int_equal(s->events[1].vcpu, -1);
    assert_int_equal(s->faults[0].effect, SCENARIO_FROZEN);
    scenario_free(s);
}

#define TRACED(body) DOMAIN("type = \"hvm\" vmtrace { size = 8192 " body " }")

static void what_is_wrong_of_traces_is_said(void **state)
{
    (void)state;
    refused(DOMAIN("vmtrace { size = 65536 }"), "a pv domain has no vmtrace");
    refused(DOMAIN("type = \"hvm\" vmtrace { size = 2048 }"), "from 4096 to 67108864");
    refused(DOMAIN("type = \"hvm\" vmtrace { size = 134217728 }"), "from 4096 to 67108864");
    refused(DOMAIN("type = \"hvm\" vmtrace { size = 12288 }"), "expected a power of two");
    refused(DOMAIN("type = \"hvm\" vmtrace { rate = 1 }"), "vmtrace without `size`");
    refused(TRACED("rate = 8589934593"), "from 0 to 8589934592");
    refused(TRACED("rate = -1"), "from 0 to 8589934592");
    refused(TRACED("source = \"/nowhere/trace.pt\""), "/nowhere/trace.pt");
    refused(TRACED("source = \"/dev/null\""), "/dev/null");
    refused(TRACED("lap_at = { 5, 5 }"), "ascending");
    refused(TRACED("idle_vcpus = { 1 }"), "no vCPU 1");
    refused(TRACED("idle_vcpus = { 512 }"), "from 0 to 511");
    refused(DOMAIN("") "event { step = 1 do = \"vmtrace_reset\" domain = \"a\" }",
            "it has no trace buffers");
    refused(TRACED("") "event { step = 1 do = \"vmtrace_reset\" domain = \"a\" vcpu = 1 }",
            "vcpu = 1: domain \"a\" has 1");
    refused(TRACED("") "event { step = 1 do = \"pause\" domain = \"a\" vcpu = 0 }",
            "the event is of a whole domain");
    refused(TRACED("") "event { step = 1 do = \"shutdown\" domain = \"a\" value = 6 }",
            "a reason from 0 to 5");
    refused("fault { operation = \"vmtrace_enable\" effect = \"frozen\" }", "does not go with");
}

/* A scenario whose trace's section has `count` times `item` (NULL: numbers) for `option`. */
static char *with_list(const char *option, const char *item, int count)
{
    BUFFER_AUTO(text, 65536);

    buffer_append_string(&text, "domain \"a\" {\n domid = 7\n uuid = \"" UUID
                                "\" type = \"hvm\" vmtrace { size = 4096 ");
    buffer_append_string(&text, option);
    buffer_append_string(&text, " = {");
    for (int i = 0; i < count; i++) {
        char one[16];

        snprintf(one, sizeof(one), "%d", i);
        buffer_append_string(&text, i == 0 ? "" : ", ");
        buffer_append_string(&text, item != NULL ? item : one);
    }
    buffer_append_string(&text, "} } }");
    return strdup(buffer_string(&text));
}

static void traces_have_their_maxima(void **state)
{
    FOLDER_AUTO folder = folder_make();
    char path[FOLDER_PATH_BYTES], item[FOLDER_PATH_BYTES + 2];
    SCOPE_FREE char *laps = with_list("lap_at", NULL, SCENARIO_TRACE_LAPS_MAX);
    SCOPE_FREE char *more_laps = with_list("lap_at", NULL, SCENARIO_TRACE_LAPS_MAX + 1);

    (void)state;
    scenario_free(parsed(laps));
    refused(more_laps, "at most 16");

    snprintf(path, sizeof(path), "%s/f", folder.path);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    snprintf(item, sizeof(item), "\"%s\"", path);
    SCOPE_FREE char *one = with_list("source", item, 1);

    refused(one, "is empty");
    assert_int_equal(truncate(path, 1), 0);
    SCOPE_FREE char *files = with_list("source", item, SCENARIO_TRACES_MAX);
    SCOPE_FREE char *more_files = with_list("source", item, SCENARIO_TRACES_MAX + 1);

    scenario_free(parsed(files));
    refused(more_files, "more than 16 trace files");
    assert_int_equal(truncate(path, SCENARIO_TRACE_BYTES_MAX), 0);
    scenario_free(parsed(one));
    assert_int_equal(truncate(path, SCENARIO_TRACE_BYTES_MAX + 1), 0);
    refused(one, path);
}

static void time_and_churn_are_read(void **state)
{
    struct scenario *s = parsed("clock = \"virtual\"\nstep_ms = 40\n" DOMAIN(
        "grants { frames = 5 }") "churn { domains = 2 period_ms = 30 first_domid = 500 like = "
                                 "\"a\" }\n"
                                 "event { at_ms = 250 do = \"clock_step\" value = -3000 }\n"
                                 "event { at_ms = 250 do = \"pause\" domain = \"churn-1\" }\n");

    (void)state;
    assert_true(s->clock_is_virtual);
    assert_int_equal(s->step_ms, 40);
    assert_int_equal(s->domain_count, 3);
    assert_int_equal(s->churn.first_domain, 1);
    assert_int_equal(s->churn.domain_count, 2);
    assert_int_equal(s->churn.period_ms, 30);
    assert_string_equal(s->domains[2].name, "churn-1");
    assert_int_equal(s->domains[2].domid, 501);
    assert_int_equal(s->domains[2].grant_frames, 5);
    assert_memory_not_equal(s->domains[1].uuid, s->domains[2].uuid, UUID_BYTES);
    assert_int_equal(s->events[0].clock_step_ms, -3000);
    assert_int_equal(s->events[1].domain, 2);
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
    refused(DOMAIN("grants { scribbles = true changes_per_second = 1 }"),
            "neither changes_per_second");
    refused(DOMAIN("type = \"hvm\" ioreq \"8\" { }"), "an id from 0 to 7");
    refused(DOMAIN("ioreq \"0\" { }"), "a pv domain has no ioreq servers");
    refused("domain \"a\" { uuid = \"" UUID "\" }", "no domid");
    refused("domain \"a\" { domid = 3 }", "no uuid");
    refused("domain \"a\" { domid = 3 uuid = \"x\" }", "expected a UUID");
    refused(DOMAIN("") "event { step = 1 at_ms = 3 do = \"destroy\" domain = \"a\" }",
            "exactly one of");
    refused(DOMAIN("") "event { step = 1 do = \"explode\" domain = \"a\" }", "explode");
    refused(DOMAIN("") "event { step = 1 do = \"destroy\" domain = \"z\" }", "there is none");
    refused("fault { operation = \"find\" effect = \"wrong_size\" }", "does not go with");
    refused("fault { operation = \"map\" effect = \"lost\" }", "does not go with");
    refused("fault { operation = \"events\" effect = \"dies\" }", "does not go with");
    refused("fault { operation = \"map\" errno = \"EWHAT\" }", "EWHAT");
    refused("fault { operation = \"map\" errno = \"E?\" }", "the name of an errno");
    refused(DOMAIN("") "fault { operation = \"host\" domain = \"a\" }", "is about none");
    refused("seed = ${HOME}\n", "file:1");
    refused("clock = \"wall\"\n", "file:1: clock = \"wall\": expected one of: real virtual");
    refused("step_ms = 5\n", "only a virtual clock");
    refused("event { step = 1 do = \"clock_step\" domain = \"a\" }", "the clock is the host's");
    refused(DOMAIN("") "event { step = 1 do = \"grow\" domain = \"a\" value = -1 }",
            "only a clock goes back");
    refused(DOMAIN("type = \"hvm\" ioreq \"1\" { }") "event { step = 1 do = \"destroy_ioreq\" "
                                                     "domain = \"a\" value = 2 }",
            "no ioreq server of this id");
    refused(DOMAIN("") "event { step = 1 do = \"create_ioreq\" domain = \"a\" value = 9 }",
            "no ioreq server of this id");
    refused("churn { domains = 1 like = \"z\" }", "there is no such domain");
    refused(DOMAIN("") "churn { domains = 257 like = \"a\" }", "from 0 to 256");
    refused(DOMAIN("") "churn { domains = 1 period_ms = 0 like = \"a\" }", "from 1 to");
    refused(DOMAIN("") "churn { domains = 2 first_domid = 6 like = \"a\" }", "with domid 7");
    refused(DOMAIN("") "churn { domains = 1 like = \"a\" }"
                       "domain \"churn-0\" { domid = 8 uuid = \"" UUID "\" }",
            "is one of the churn's");
}

static void tags_are_read_as_the_node_would_have_them(void **state)
{
    struct scenario *s = parsed(DOMAIN(
        "tags = { \"prod\", \"a-1\" }\n") "event { step = 1 do = \"retag\" domain = \"a\" text = "
                                          "\"x y\" }\n"
                                          "event { step = 1 do = \"open_tags\" domain = \"a\" }\n");
    char most[1024] = "tags = { ", more[1024];
    size_t used = strlen(most);

    (void)state;
    assert_string_equal(s->domains[0].tags, "prod a-1");
    assert_int_equal(s->events[0].action, SCENARIO_RETAG);
    assert_string_equal(s->events[0].text, "x y");
    scenario_free(s);
    refused(DOMAIN("tags = { \"Prod\" }\n"), "tag \"Prod\": expected 1 to 31 of");
    refused(DOMAIN("tags = { \"a\", \"b\", \"a\" }\n"), "tag \"a\" stands there twice");
    for (int i = 0; i < MESSAGE_TAGS_MAX; i++) {
        used +=
            (size_t)snprintf(most + used, sizeof(most) - used,
                             "%s\"aaaaaaaaaabbbbbbbbbbcccccccccc%c\"", i > 0 ? ", " : "", 'a' + i);
    }
    (void)snprintf(more, sizeof(more), DOMAIN("%s, \"z\" }\n"), most);
    refused(more, "tag \"z\": more than 16");
    (void)snprintf(more, sizeof(more), DOMAIN("%s }\n"), most);
    s = parsed(more);
    assert_int_equal(strlen(s->domains[0].tags), MESSAGE_TAGS_MAX * MESSAGE_TAG_BYTES - 1);
    scenario_free(s);
}

static void every_operation_can_fail_with_any_errno(void **state)
{
    static const struct {
        const char *word;
        enum scenario_operation operation;
    } rows[SCENARIO_OP_COUNT] = {
        { "host", SCENARIO_OP_HOST },
        { "list", SCENARIO_OP_LIST },
        { "find", SCENARIO_OP_FIND },
        { "name", SCENARIO_OP_NAME },
        { "tags", SCENARIO_OP_TAGS },
        { "size", SCENARIO_OP_SIZE },
        { "grant_version", SCENARIO_OP_GRANT_VERSION },
        { "map", SCENARIO_OP_MAP },
        { "unmap", SCENARIO_OP_UNMAP },
        { "vcpu_info", SCENARIO_OP_VCPU_INFO },
        { "vmtrace_enable", SCENARIO_OP_VMTRACE_ENABLE },
        { "vmtrace_disable", SCENARIO_OP_VMTRACE_DISABLE },
        { "vmtrace_reset_and_enable", SCENARIO_OP_VMTRACE_RESET_AND_ENABLE },
        { "vmtrace_position", SCENARIO_OP_VMTRACE_POSITION },
        { "vmtrace_get_option", SCENARIO_OP_VMTRACE_GET_OPTION },
        { "vmtrace_set_option", SCENARIO_OP_VMTRACE_SET_OPTION },
        { "events", SCENARIO_OP_EVENTS },
        { "watch", SCENARIO_OP_WATCH },
        { "unwatch", SCENARIO_OP_UNWATCH },
    };

    (void)state;
    for (int i = 0; i < SCENARIO_OP_COUNT; i++) {
        for (int errnum = 1; errnum <= EHWPOISON; errnum++) {
            char text[128];

            if (strcmp(error_errno_name(errnum), "E?") == 0) {
                continue; /* 41 and 58 are none */
            }
            snprintf(text, sizeof(text), "fault { operation = \"%s\" errno = \"%s\" }\n",
                     rows[i].word, error_errno_name(errnum));
            struct scenario *s = parsed(text);

            assert_int_equal(s->faults[0].operation, rows[i].operation);
            assert_int_equal(s->faults[0].errnum, errnum);
            assert_int_equal(s->faults[0].domain, SCENARIO_NO_DOMAIN);
            scenario_free(s);
        }
    }
}

/* --- as much as a file may have, and one more -------------------------------------------------- */

static void domains(struct buffer *text, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        buffer_printf(text, "domain \"d%u\" { domid = %u uuid = \"" UUID "\" present = false }\n",
                      i, i);
    }
}

static void events(struct buffer *text, unsigned count)
{
    domains(text, 1);
    for (unsigned i = 0; i < count; i++) {
        buffer_append_string(text, "event { step = 1 do = \"pause\" domain = \"d0\" }\n");
    }
}

static void faults(struct buffer *text, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        buffer_append_string(text, "fault { operation = \"map\" }\n");
    }
}

static void so_many_sections_and_not_one_more(void **state)
{
    static const struct {
        void (*put)(struct buffer *text, unsigned count);
        unsigned max;
        const char *said;
    } rows[] = {
        { domains, SCENARIO_DOMAINS_MAX, "513 sections `domain`: expected at most 512" },
        { events, SCENARIO_EVENTS_MAX, "1025 sections `event`: expected at most 1024" },
        { faults, SCENARIO_FAULTS_MAX, "257 sections `fault`: expected at most 256" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        BUFFER_AUTO(most, SCENARIO_FILE_BYTES_MAX);
        BUFFER_AUTO(more, SCENARIO_FILE_BYTES_MAX);

        rows[i].put(&most, rows[i].max);
        struct scenario *s = parsed(buffer_string(&most));

        assert_true(s->domain_count == rows[i].max || s->event_count == rows[i].max ||
                    s->fault_count == rows[i].max);
        scenario_free(s);
        rows[i].put(&more, rows[i].max + 1);
        refused(buffer_string(&more), rows[i].said);
    }
}

static void so_many_frames_and_ioreq_servers_and_not_one_more(void **state)
{
    (void)state;
    struct scenario *s = parsed(DOMAIN("grants { frames = 16384 frames_max = 16384 }"));

    assert_int_equal(s->domains[0].grant_frames, SCENARIO_GRANT_FRAMES_MAX);
    scenario_free(s);
    refused(DOMAIN("grants { frames_max = 16385 }"), "from 1 to 16384");
    s = parsed(DOMAIN("type = \"hvm\" ioreq \"7\" { }"));
    assert_true(s->domains[0].ioreq[SCENARIO_IOREQ_SERVERS_MAX - 1].exists);
    scenario_free(s);
    refused(DOMAIN("type = \"hvm\" ioreq \"8\" { }"), "an id from 0 to 7");
}

static void a_file_of_a_mebibyte_and_not_a_byte_more(void **state)
{
    FOLDER_AUTO folder = folder_make();
    BUFFER_AUTO(text, SCENARIO_FILE_BYTES_MAX + 1);
    const char *path = folder_path(&folder, "scenario");
    struct scenario *s = NULL;
    struct failure f;

    (void)state;
    buffer_append_string(&text, "seed = 5\n");
    while (text.len_bytes < SCENARIO_FILE_BYTES_MAX) {
        buffer_append_string(&text, "\n");
    }
    folder_write(path, text.data, text.len_bytes);
    assert_int_equal(scenario_load(path, &s, &f), 0);
    assert_int_equal(s->seed, 5);
    scenario_free(s);
    buffer_append_string(&text, "\n");
    folder_write(path, text.data, text.len_bytes);
    assert_true(scenario_load(path, &s, &f) < 0);
    assert_non_null(strstr(f.message, "1048576"));
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
        cmocka_unit_test(traces_are_read),
        cmocka_unit_test(what_is_wrong_of_traces_is_said),
        cmocka_unit_test(traces_have_their_maxima),
        cmocka_unit_test(time_and_churn_are_read),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(tags_are_read_as_the_node_would_have_them),
        cmocka_unit_test(every_operation_can_fail_with_any_errno),
        cmocka_unit_test(so_many_sections_and_not_one_more),
        cmocka_unit_test(so_many_frames_and_ioreq_servers_and_not_one_more),
        cmocka_unit_test(a_file_of_a_mebibyte_and_not_a_byte_more),
        cmocka_unit_test(a_number_has_one_owner_from_the_start),
    };

    return UNIT_RUN(tests);
}
