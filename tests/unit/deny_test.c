/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/deny.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static const struct identity alice = {
    .text = "spiffe:spiffe://corp/alice",
    .fingerprint = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
                     0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
                     0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff },
    .token_id = "token-1",
};
static const struct identity nobody = { .text = "cn:nobody" };

static struct deny *parse(const char *text)
{
    struct deny *d = NULL;
    BUFFER_AUTO(faults, 65536);
    struct failure f = { 0 };

    if (deny_parse("deny", text, strlen(text), &d, &faults, &f) != 0) {
        fail_msg("%s%s", f.message, buffer_string(&faults));
    }
    return d;
}

static void expect_line(const char *text, const struct identity *who, unsigned line)
{
    struct deny *d = parse(text);

    assert_int_equal(deny_find(d, who), line);
    deny_free(d);
}

static void expect_fault(const char *text, size_t len, const char *says)
{
    struct deny *d = NULL;
    BUFFER_AUTO(faults, 65536);
    struct failure f = { 0 };

    assert_int_equal(deny_parse("deny", text, len, &d, &faults, &f), -ERROR_INVALID_ARGUMENT);
    assert_null(d);
    if (strstr(buffer_string(&faults), says) == NULL) {
        fail_msg("expected \"%s\" in:\n%s", says, buffer_string(&faults));
    }
}

static void each_kind_of_entry_keeps_out_whom_it_names(void **state)
{
    (void)state;
    expect_line("# nobody yet\n", &alice, 0);
    expect_line("# it\n\nfingerprint:" HEX "\n", &alice, 3);
    expect_line("token:token-1\n", &alice, 1);
    expect_line("identity:cn:bob\nidentity:spiffe:spiffe://corp/alice\n", &alice, 2);
    expect_line("identity:cn:nobody\n", &nobody, 1);
    assert_int_equal(deny_find(NULL, &alice), 0);
}

static void what_only_looks_alike_keeps_nobody_out(void **state)
{
    static const char others[] =
        "identity:spiffe:spiffe://corp/alice2\nidentity:spiffe:spiffe://corp/alic\n"
        "identity:spiffe:spiffe://corp/Alice\ntoken:token-12\ntoken:Token-1\n"
        "fingerprint:0000000000000000000000000000000000000000000000000000000000000000\n";

    (void)state;
    expect_line(others, &alice, 0);
    expect_line(others, &nobody, 0); /* who has shown no certificate has no fingerprint */
    expect_line("token:cn:nobody\n", &nobody, 0);
}

static void of_equal_entries_the_first_counts(void **state)
{
    (void)state;
    expect_line("token:token-1\nidentity:cn:bob\ntoken:token-1\n", &alice, 1);
    expect_line("token:x\nfingerprint:" HEX "\ntoken:token-1\nfingerprint:" HEX "\n", &alice, 2);
}

static void blanks_and_comments_may_stand_around(void **state)
{
    (void)state;
    expect_line(" \t identity:cn:nobody  \t# until June\n", &nobody, 1);
    expect_line("   # identity:cn:nobody\n\t\n", &nobody, 0);
    expect_line("identity:cn:no#body\n", &(struct identity){ .text = "cn:no#body" }, 1);
}

static void all_faults_are_told_with_their_lines(void **state)
{
    static const char bad[] = "# x\nnonsense\nidentity:cn:nobody\nfingerprint:12\ntoken:\n"
                              "identity:alice\nidentity:cn:*\nidentity:cn:a identity:cn:b\n"
                              "identity:dns:A.example\nFingerprint:" HEX "\nidentity:cn:x\r\n";
    static const char *const says[] = {
        "deny:2: expected fingerprint:HEX, token:ID or identity:TEXT: \"nonsense\"\n",
        "deny:4: expected 64 hexadecimal digits behind fingerprint:",
        "deny:5: expected an id behind token:",
        "deny:6: expected spiffe:, dns:, cn:, jwt: or token:, and a name",
        "deny:7: expected one identity, and no pattern",
        "deny:8: expected the line's end, or a comment: \"identity:cn:b\"",
        "deny:9: names of hosts are compared in lower case",
        "deny:10: expected fingerprint:HEX",
        "deny:11: identities are printable ASCII without spaces: \"identity:cn:x\\x0d\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        expect_fault(bad, sizeof(bad) - 1, says[i]);
    }
}

static void what_is_left_of_a_file_is_no_list(void **state)
{
    (void)state;
    expect_fault("", 0, "deny:1: the file is empty");
    expect_fault("# x\nidentity:cn:nob", 18, "deny:2: the last line has no end");
    expect_fault("identity:cn:a\n\0\n", 16, "deny:2: a NUL byte");
    expect_fault("identity:cn:a\0b\n", 16, "deny:1: a NUL byte");
}

static void the_longest_entries_pass_and_one_byte_more_does_not(void **state)
{
    char name[IDENTITY_TEXT_BYTES + 2], text[IDENTITY_TEXT_BYTES + 64];
    struct identity who = { .text = "cn:x" };

    (void)state;
    memset(name, 'x', sizeof(name));
    memcpy(name, "cn:", 3);
    name[IDENTITY_TEXT_BYTES - 1] = '\0';
    memcpy(who.text, name, IDENTITY_TEXT_BYTES);
    (void)snprintf(text, sizeof(text), "identity:%s\n", name);
    expect_line(text, &who, 1);
    name[IDENTITY_TEXT_BYTES - 1] = 'x';
    name[IDENTITY_TEXT_BYTES] = '\0';
    (void)snprintf(text, sizeof(text), "identity:%s\n", name);
    expect_fault(text, strlen(text), "longer than any identity");

    memset(name, 'x', sizeof(name));
    name[IDENTITY_TOKEN_ID_BYTES - 1] = '\0';
    memcpy(who.token_id, name, IDENTITY_TOKEN_ID_BYTES);
    (void)snprintf(text, sizeof(text), "token:%s\n", name);
    expect_line(text, &who, 1);
    (void)snprintf(text, sizeof(text), "token:%sx\n", name);
    expect_fault(text, strlen(text), "longer than any token's id");
}

static void a_list_has_a_maximum(void **state)
{
    BUFFER_AUTO(text, DENY_FILE_MAX_BYTES);
    struct deny *d;

    (void)state;
    for (unsigned i = 0; i < DENY_ENTRIES_MAX; i++) {
        assert_true(buffer_printf(&text, "identity:cn:user-%u\n", i));
    }
    d = parse(buffer_string(&text));
    for (unsigned i = 0; i < 2 * DENY_ENTRIES_MAX; i++) {
        struct identity who = { 0 };

        (void)snprintf(who.text, sizeof who.text, "cn:user-%u", i);
        assert_int_equal(deny_find(d, &who), i < DENY_ENTRIES_MAX ? i + 1 : 0);
    }
    deny_free(d);
    assert_true(buffer_append_string(&text, "identity:cn:one-more\n"));
    expect_fault(buffer_string(&text), text.len_bytes, "deny:65537: one entry too many");
}

static void a_file_has_a_maximum_and_no_strangers_write_it(void **state)
{
    static char text[DENY_FILE_MAX_BYTES + 1];
    FOLDER_AUTO dir = folder_make();
    struct deny *d = NULL;
    struct failure f = { 0 };
    BUFFER_AUTO(faults, 4096);
    char path[256];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", folder_path(&dir, "deny"));
    assert_int_equal(deny_load(path, &d, &faults, &f), -ERROR_NOT_FOUND);
    memset(text, '\n', sizeof(text));
    folder_write(path, text, DENY_FILE_MAX_BYTES);
    assert_int_equal(deny_load(path, &d, &faults, &f), 0);
    deny_free(d);
    folder_write(path, text, DENY_FILE_MAX_BYTES + 1);
    assert_int_equal(deny_load(path, &d, &faults, &f), -ERROR_RESOURCE_EXHAUSTED);
    folder_write(path, "identity:cn:x\n", 14);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(deny_load(path, &d, &faults, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(faults.len_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_entry_keeps_out_whom_it_names),
        cmocka_unit_test(what_only_looks_alike_keeps_nobody_out),
        cmocka_unit_test(of_equal_entries_the_first_counts),
        cmocka_unit_test(blanks_and_comments_may_stand_around),
        cmocka_unit_test(all_faults_are_told_with_their_lines),
        cmocka_unit_test(what_is_left_of_a_file_is_no_list),
        cmocka_unit_test(the_longest_entries_pass_and_one_byte_more_does_not),
        cmocka_unit_test(a_list_has_a_maximum),
        cmocka_unit_test(a_file_has_a_maximum_and_no_strangers_write_it),
    };

    return UNIT_RUN(tests);
}
