/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What help, messages and completion say of placeholders, operands and methods. */
#include "tests/lib/unit.h"

#include "client/cli/choices.h"
#include "client/cli/methods.h"
#include "client/cli/names.h"
#include "client/cli/operands.h"
#include "client/cli/verbs.h"

static void expect_words(const char *placeholder, enum choices_kind kind, const char *expected)
{
    BUFFER_AUTO(words, 4096);

    assert_int_equal(choices_of(placeholder, strlen(placeholder), &words), kind);
    assert_string_equal(buffer_string(&words), expected);
}

static void placeholders_have_choices(void **state)
{
    (void)state;
    expect_words("table|json", CHOICES_WORDS, "table json");
    expect_words("a|b|c", CHOICES_WORDS, "a b c");
    expect_words("TYPE", CHOICES_WORDS, "ioreq_server grant_table vmtrace_buf vcpu_stats");
    expect_words("STATE", CHOICES_WORDS, "running blocked paused shutdown crashed dying");
    expect_words("FILE", CHOICES_FILES, "");
    expect_words("DOMAIN", CHOICES_DOMAINS, "");
    expect_words("JSON", CHOICES_JSON, "");
    expect_words("N", CHOICES_ANY, "");
    expect_words("FILES", CHOICES_ANY, "");
}

/* What is offered is taken. */
static void states_and_types_read_back(void **state)
{
    struct name_room room;

    (void)state;
    for (uint32_t i = 1; i <= XENRES_DOMAIN_DYING; i++) {
        assert_int_equal(name_to_domain_state(name_domain_state(i, &room)), i);
    }
    assert_int_equal(name_to_domain_type("pvh"), XENRES_DOMAIN_PVH);
    assert_int_equal(name_to_domain_type("HVM"), XENRES_DOMAIN_HVM);
    assert_int_equal(name_to_domain_type("?"), 0);
    assert_int_equal(name_to_domain_state(""), 0);
}

static void expect_operand(const char **at, const char *placeholder, bool is_optional)
{
    struct choices_operand operand;

    assert_true(choices_next_operand(at, &operand));
    assert_int_equal(operand.len, strlen(placeholder));
    assert_memory_equal(operand.placeholder, placeholder, operand.len);
    assert_int_equal(operand.is_optional, is_optional);
}

static void operands_come_one_by_one(void **state)
{
    const char *at = "DOMAIN TYPE [ID]";
    struct choices_operand operand;

    (void)state;
    expect_operand(&at, "DOMAIN", false);
    expect_operand(&at, "TYPE", false);
    expect_operand(&at, "ID", true);
    assert_false(choices_next_operand(&at, &operand));
    at = "[SERVICE/METHOD [JSON]]";
    expect_operand(&at, "SERVICE/METHOD", true);
    expect_operand(&at, "JSON", true);
    assert_false(choices_next_operand(&at, &operand));
}

/* As many operands as the parser takes are in each verb's text. */
static void verbs_say_how_many_operands_they_take(void **state)
{
    (void)state;
    for (size_t i = 0; i < verbs_count; i++) {
        const char *at = verbs[i]->operands;
        struct choices_operand operand;
        unsigned count = 0, needed = 0;

        while (choices_next_operand(&at, &operand)) {
            count++;
            needed += operand.is_optional ? 0 : 1;
        }
        assert_int_equal(count, verbs[i]->operands_max);
        assert_int_equal(needed, verbs[i]->operands_min);
    }
}

static void refusals_name_the_choices(void **state)
{
    char usage[USAGE_MAX_BYTES];

    (void)state;
    choices_refuse("--state", "STATE", "runing", usage);
    assert_string_equal(usage, "--state has to be one of running, blocked, paused, shutdown, "
                               "crashed, dying; not \"runing\" (did you mean \"running\"?)");
}

static void methods_are_found_by_either_name(void **state)
{
    struct api_method method;

    (void)state;
    assert_true(methods_find("HostService/GetHost", &method));
    assert_string_equal(method.name, "xenres.v1.HostService/GetHost");
    assert_string_equal(method.request->name, "xenres.v1.GetHostRequest");
    assert_true(methods_find("xenres.v1.ResourceService/ReadSnapshot", &method));
    assert_string_equal(method.short_name, "ResourceService/ReadSnapshot");
    assert_true(method.is_stream);
    assert_false(methods_find("v1.HostService/GetHost", &method));
    assert_false(methods_find("GetHost", &method));
    assert_false(methods_find("", &method));
    assert_ptr_equal(methods_response("xenres.v1.ReadSnapshotResponse"), method.response);
    assert_null(methods_response("xenres.v1.GetHostRequest"));
}

static void fields_are_as_in_json(void **state)
{
    BUFFER_AUTO(text, 4096);
    struct api_method method;

    (void)state;
    assert_true(methods_find("HostService/ListDomains", &method));
    methods_append_fields(&text, method.request);
    assert_string_equal(buffer_string(&text),
                        "{pageSize, pageToken, filter: {nameGlob, states, types}}");
}

static const char *operand_of(const char *name)
{
    static char out[OPERAND_DOMAIN_BYTES];
    const xenres_identity identity = { .domid = 7, .uuid = "", .name = name, .incarnation = "" };

    return operand_from_domain(&identity, out);
}

/* What the shell or the gateway would read otherwise is named by its number. */
static void domains_have_a_name_that_no_shell_changes(void **state)
{
    static const char *const plain[] = { "web-1", "A.b_c+d", "9lives", "domid" };
    static const char *const other[] = {
        "",    "12",   "-x",    "a b",    "$(id)",    "`id`",
        "a;b", "a\nb", "\\x41", "name:x", "*",        "~root",
        "a'b", "a/b",  "a@b",   "a=b",    "\xc3\xbc", "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01",
    };
    char longest[OPERAND_DOMAIN_BYTES + 1] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        assert_string_equal(operand_of(plain[i]), plain[i]);
    }
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        assert_string_equal(operand_of(other[i]), "7");
    }
    memset(longest, 'a', OPERAND_DOMAIN_BYTES - 1);
    assert_string_equal(operand_of(longest), longest);
    longest[OPERAND_DOMAIN_BYTES - 1] = 'a';
    assert_string_equal(operand_of(longest), "7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placeholders_have_choices),
        cmocka_unit_test(states_and_types_read_back),
        cmocka_unit_test(operands_come_one_by_one),
        cmocka_unit_test(verbs_say_how_many_operands_they_take),
        cmocka_unit_test(refusals_name_the_choices),
        cmocka_unit_test(methods_are_found_by_either_name),
        cmocka_unit_test(fields_are_as_in_json),
        cmocka_unit_test(domains_have_a_name_that_no_shell_changes),
    };

    return UNIT_RUN(tests);
}
