/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/unit.h"

struct attempt {
    struct config config;
    struct buffer faults;
    struct failure failure;
    int result;
};

static void load(struct attempt *a, const char *text)
{
    char path[] = "/tmp/config_test.XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
    memset(a, 0, sizeof(*a));
    buffer_init(&a->faults, 65536);
    a->result = config_load(path, &a->config, &a->faults, &a->failure);
    assert_int_equal(unlink(path), 0);
}

/* The faults must hold `line`, the file's name cut away. */
static void expect_fault(const char *text, const char *line)
{
    struct attempt a;

    load(&a, text);
    assert_int_equal(a.result, -ERROR_INVALID_ARGUMENT);
    if (strstr(buffer_string(&a.faults), line) == NULL) {
        fail_msg("expected \"%s\" in:\n%s", line, buffer_string(&a.faults));
    }
    buffer_done(&a.faults);
}

static void an_empty_file_is_all_defaults(void **state)
{
    struct attempt a;
    struct config defaults;

    (void)state;
    load(&a, "");
    config_defaults(&defaults);
    assert_int_equal(a.result, 0);
    assert_string_equal(a.config.server_listen, defaults.server_listen);
    assert_int_equal(a.config.limits_connections, 1024);
    assert_string_equal(a.config.mapper_program, "");
    buffer_done(&a.faults);
}

static void what_is_given_is_taken(void **state)
{
    struct attempt a;

    (void)state;
    load(&a, "server { listen = \"127.0.0.1:1\" }\nlimits { threads = 16 connections = 200 }\n");
    assert_int_equal(a.result, 0);
    assert_string_equal(a.config.server_listen, "127.0.0.1:1");
    assert_int_equal(a.config.limits_threads, 16);
    assert_int_equal(a.config.limits_connections, 200);
    buffer_done(&a.faults);
}

static void faults_name_their_line_and_what_was_expected(void **state)
{
    (void)state;
    expect_fault("limits {\n threads = 17\n}\n",
                 ":2: limits.threads is 17; expected 0 to 16 threads");
    expect_fault("limits {\n\n threads = -1\n}\n", ":3: limits.threads is -1; expected 0 to 16");
    expect_fault("limits {\n bogus = 1\n}\n", ":2: no such option 'bogus'");
    expect_fault("bogus {\n}\n", ":1: no such option 'bogus'");
    expect_fault("limits {\n threads = many\n}\n",
                 ":2: invalid integer value for option 'threads'; expected a whole number");
    expect_fault("limits {\n threads = 1\n threads = 2\n}\n",
                 ":3: limits.threads is given twice, first in line 2");
    expect_fault("server {\n user = \"${HOME}\"\n}\n", ":2: ");
    expect_fault("limits {\n threads = 1\n", "the file ends within");
    expect_fault("limits {\n threads = 99999999999999999999\n}\n", ":2: ");
}

static void all_faults_are_told_at_once(void **state)
{
    struct attempt a;
    unsigned lines = 0;

    (void)state;
    load(&a, "limits {\n threads = 17\n connections = 0\n idle_timeout_s = 0\n}\n");
    assert_int_equal(a.result, -ERROR_INVALID_ARGUMENT);
    for (const char *c = buffer_string(&a.faults); *c != '\0'; c++) {
        lines += *c == '\n';
    }
    assert_int_equal(lines, 3);
    buffer_done(&a.faults);
}

static void options_that_contradict_each_other_are_faults(void **state)
{
    (void)state;
    expect_fault("mapper {\n arena_mib = 8\n slot_max_mib = 9\n}\n",
                 ":3: mapper.slot_max_mib is 9; expected at most mapper.arena_mib (8)");
    expect_fault("mapper { socket = \"\" }\n", "expected one of them");
    expect_fault("mapper { scenario = \"x\" }\n", "expected mapper.program too");
    expect_fault("limits { connections = 10 }\n", "expected at most limits.connections (10)");
}

static void a_text_of_the_greatest_length_passes_and_one_more_does_not(void **state)
{
    char text[CONFIG_TEXT_BYTES + 64], value[CONFIG_TEXT_BYTES + 1];
    struct attempt a;

    (void)state;
    memset(value, 'x', sizeof(value));
    value[CONFIG_TEXT_BYTES - 1] = '\0';
    snprintf(text, sizeof(text), "server { policy = \"%s\" }\n", value);
    load(&a, text);
    assert_int_equal(a.result, 0);
    assert_string_equal(a.config.server_policy, value);
    buffer_done(&a.faults);
    value[CONFIG_TEXT_BYTES - 1] = 'x';
    value[CONFIG_TEXT_BYTES] = '\0';
    snprintf(text, sizeof(text), "server { policy = \"%s\" }\n", value);
    expect_fault(text, "server.policy has more than 511 bytes");
}

static void a_missing_file_is_not_found(void **state)
{
    struct config config;
    struct failure f = { 0 };
    BUFFER_AUTO(faults, 1000);

    (void)state;
    assert_int_equal(config_load("/nonexistent/file", &config, &faults, &f), -ERROR_NOT_FOUND);
    assert_true(f.next_step[0] != '\0');
}

/* It names the program that root starts. */
static void a_file_that_others_can_change_is_refused(void **state)
{
    char path[] = "/tmp/config_test.XXXXXX";
    struct config config;
    struct failure f = { 0 };
    BUFFER_AUTO(faults, 1000);
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0622), 0);
    assert_int_equal(config_load(path, &config, &faults, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(config_load(path, &config, &faults, &f), 0);
    if (geteuid() == 0) {
        assert_int_equal(fchown(fd, 65534, 65534), 0);
        assert_int_equal(config_load(path, &config, &faults, &f), -ERROR_FAILED_PRECONDITION);
    }
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
}

static void a_file_of_the_greatest_size_passes_and_one_byte_more_does_not(void **state)
{
    static char text[CONFIG_FILE_MAX_BYTES + 2];
    struct attempt a;

    (void)state;
    memset(text, '\n', CONFIG_FILE_MAX_BYTES + 1);
    text[CONFIG_FILE_MAX_BYTES + 1] = '\0';
    load(&a, text);
    assert_int_equal(a.result, -ERROR_RESOURCE_EXHAUSTED);
    buffer_done(&a.faults);
    text[CONFIG_FILE_MAX_BYTES] = '\0';
    load(&a, text);
    assert_int_equal(a.result, 0);
    buffer_done(&a.faults);
}

/* --- sections with titles --------------------------------------------------------------------- */

static void sections_with_titles_are_taken_in_order(void **state)
{
    struct attempt a;

    (void)state;
    load(&a, "trust \"corp\" {\n ca = \"/corp.crt\"\n identities = { \"spiffe:spiffe://corp/*\",\n"
             " \"cn:x\" }\n crl = \"/corp.crl\"\n}\ntrust \"b-2_c.d\" { ca = \"/b\" identities = "
             "\"cn:*\" }\n");
    assert_int_equal(a.result, 0);
    assert_int_equal(a.config.trust_count, 2);
    assert_string_equal(a.config.trust[0].title, "corp");
    assert_string_equal(a.config.trust[0].ca, "/corp.crt");
    assert_string_equal(a.config.trust[0].crl, "/corp.crl");
    assert_memory_equal(a.config.trust[0].identities, "spiffe:spiffe://corp/*\0cn:x\0", 29);
    assert_string_equal(a.config.trust[1].title, "b-2_c.d");
    assert_string_equal(a.config.trust[1].crl, "");
    buffer_done(&a.faults);
}

static void faults_in_sections_with_titles_name_their_line(void **state)
{
    (void)state;
    expect_fault("trust \"a\" {\n bogus = 1\n}\n",
                 ":2: no such option 'bogus'; expected one of: ca, identities, crl");
    expect_fault("trust \"a\" {\n ca = \"/x\"\n ca = \"/y\"\n identities = \"cn:x\"\n}\n",
                 ":3: ca stands twice in this section");
    expect_fault("trust \"a\" {\n ca = \"/x\"\n identities = \"cn:x\"\n}\ntrust \"a\" {\n}\n",
                 ": found duplicate title 'a'");
    expect_fault("trust \"a\" {\n identities = \"cn:x\"\n}\n", ":3: trust \"a\": ca is missing");
    expect_fault("trust \"a\" {\n ca = \"/x\"\n}\n", ":3: trust \"a\": identities is missing");
    expect_fault("trust \"a\" {\n ca = \"\"\n identities = \"cn:x\"\n}\n",
                 ":2: trust \"a\": ca is empty");
    expect_fault("trust \"a b\" {\n ca = \"/x\"\n identities = \"cn:x\"\n}\n",
                 ":4: trust \"a b\": expected a title of 1 to 63 letters, digits, and - _ .");
    expect_fault("trust \"a\" {\n ca = \"/x\"\n identities = {\n \"cn:x\",\n \"jwt:i:s\" }\n}\n",
                 ":5: trust \"a\": identities: \"jwt:i:s\": an authority speaks for spiffe:, dns: "
                 "and cn: only");
    expect_fault("trust {\n}\n", ":1: ");
}

/* As many sections as may be, and one more. */
static void sections_with_titles_have_a_maximum(void **state)
{
    enum { MOST = 16 };
    BUFFER_AUTO(text, 4096);
    struct attempt a;

    (void)state;
    for (int i = 0; i < MOST; i++) {
        assert_true(
            buffer_printf(&text, "trust \"%d\" { ca = \"/x\" identities = \"cn:x\" }\n", i));
    }
    load(&a, buffer_string(&text));
    assert_int_equal(a.result, 0);
    assert_int_equal(a.config.trust_count, MOST);
    buffer_done(&a.faults);
    assert_true(buffer_append_string(&text, "trust \"x\" { ca = \"/x\" identities = \"cn:x\" }\n"));
    expect_fault(buffer_string(&text), ":17: more than 16 sections trust");
}

/* A list that fills its room, and one with a byte more. */
static void a_list_has_a_maximum(void **state)
{
    char filler[512], last[CONFIG_LIST_BYTES];

    (void)state;
    memset(filler, 'x', sizeof(filler));
    memcpy(filler, "cn:", 3);
    filler[sizeof(filler) - 1] = '\0'; /* 512 with its NUL: seven of them leave 512 for the last */
    for (size_t more = 0; more <= 1; more++) {
        BUFFER_AUTO(text, 16384);
        struct attempt a;

        memset(last, 'x', sizeof(last));
        memcpy(last, "cn:", 3);
        last[510 + more] = '\0';
        assert_true(buffer_append_string(&text, "trust \"a\" { ca = \"/x\" identities = {"));
        for (int i = 0; i < 7; i++) {
            assert_true(buffer_printf(&text, " \"%s\",", filler));
        }
        assert_true(buffer_printf(&text, " \"%s\" } }\n", last));
        if (more > 0) {
            expect_fault(buffer_string(&text), "identities has more than 4094 bytes in all");
        } else {
            load(&a, buffer_string(&text));
            assert_int_equal(a.result, 0);
            buffer_done(&a.faults);
        }
    }
}

static void authorities_without_bounds_are_named(void **state)
{
    static const char corp[] = "trust \"a\" { ca = \"/x\" identities = \"cn:x\" }\n";
    char both[256];
    struct attempt a;

    (void)state;
    load(&a, corp);
    assert_string_equal(a.config.tls_client_ca, ""); /* the default is not meant then */
    buffer_done(&a.faults);
    snprintf(both, sizeof(both), "%stls { client_ca = \"/all.crt\" }\n", corp);
    load(&a, both);
    assert_string_equal(a.config.tls_client_ca, "/all.crt");
    buffer_done(&a.faults);
    expect_fault("tls {\n client_ca = \"\"\n}\n", ":2: tls.client_ca is empty; expected a file");
    snprintf(both, sizeof(both), "%stls {\n client_crl = \"/x\"\n}\n", corp);
    expect_fault(both, ":3: tls.client_crl is for the authorities of tls.client_ca");
    expect_fault("tls {\n expired_crl = \"ignore\"\n}\n",
                 ":2: tls.expired_crl is \"ignore\"; expected one of: refuse accept");
    expect_fault("tls { expired_crl = \"\" }\n", "expected one of: refuse accept");
}

static void issuers_and_what_needs_them(void **state)
{
    struct attempt a;

    (void)state;
    load(&a, "issuer \"corp\" {\n issuer = \"https://i\"\n audience = \"x\"\n jwks = \"/k\"\n}\n"
             "tls { client_certificate = \"optional\" client_ca = \"\" }\n");
    assert_int_equal(a.result, 0); /* nobody has to show a certificate: no authority is needed */
    assert_int_equal(a.config.issuer_count, 1);
    assert_string_equal(a.config.issuer[0].title, "corp");
    assert_string_equal(a.config.issuer[0].groups_claim, "");
    assert_false(a.config.issuer[0].groups_given);
    assert_string_equal(a.config.tls_client_certificate, "optional");
    buffer_done(&a.faults);
    load(&a, "tokens { file = \"/t\" }\ntls { client_certificate = \"optional\" }\n");
    assert_int_equal(a.result, 0);
    buffer_done(&a.faults);
    expect_fault("tls {\n client_certificate = \"optional\"\n}\n",
                 ":2: tls.client_certificate is optional, and no bearer token is accepted");
    expect_fault("tls {\n client_certificate = \"perhaps\"\n}\n",
                 "expected one of: required optional");
    expect_fault("issuer \"a\" {\n issuer = \"https://i\"\n jwks = \"/k\"\n}\n",
                 ":4: issuer \"a\": audience is missing");
}

/* No list is any group, an empty one is none. */
static void groups_that_an_issuer_may_give(void **state)
{
#define ISSUER(name)                                                                               \
    "issuer \"" name "\" {\n issuer = \"i" name "\"\n audience = \"x\"\n jwks = \"/k\"\n"
    struct attempt a;

    (void)state;
    load(&a, ISSUER("a") " groups = { \"corp-*\", \"night shift\" }\n}\n" ISSUER(
                 "b") " groups = {}\n}\n" ISSUER("c") "}\n");
    assert_int_equal(a.result, 0);
    assert_true(a.config.issuer[0].groups_given);
    assert_memory_equal(a.config.issuer[0].groups, "corp-*\0night shift\0", 20);
    assert_true(a.config.issuer[1].groups_given);
    assert_string_equal(a.config.issuer[1].groups, "");
    assert_false(a.config.issuer[2].groups_given);
    buffer_done(&a.faults);
    expect_fault(ISSUER("a") " groups = {\n\"\" }\n}\n", "groups: \"\": expected no empty text");
    expect_fault(ISSUER("a") " groups = { \"\xc3\xa4\" }\n}\n",
                 "names of groups are printable ASCII");
#undef ISSUER
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_is_all_defaults),
        cmocka_unit_test(what_is_given_is_taken),
        cmocka_unit_test(faults_name_their_line_and_what_was_expected),
        cmocka_unit_test(all_faults_are_told_at_once),
        cmocka_unit_test(options_that_contradict_each_other_are_faults),
        cmocka_unit_test(a_text_of_the_greatest_length_passes_and_one_more_does_not),
        cmocka_unit_test(a_file_of_the_greatest_size_passes_and_one_byte_more_does_not),
        cmocka_unit_test(a_missing_file_is_not_found),
        cmocka_unit_test(a_file_that_others_can_change_is_refused),
        cmocka_unit_test(sections_with_titles_are_taken_in_order),
        cmocka_unit_test(faults_in_sections_with_titles_name_their_line),
        cmocka_unit_test(sections_with_titles_have_a_maximum),
        cmocka_unit_test(a_list_has_a_maximum),
        cmocka_unit_test(authorities_without_bounds_are_named),
        cmocka_unit_test(issuers_and_what_needs_them),
        cmocka_unit_test(groups_that_an_issuer_may_give),
    };

    return UNIT_RUN(tests);
}
