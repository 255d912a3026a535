/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/name.h"

#include "auth/deny.h"
#include "tests/lib/certificates.h"
#include "tests/lib/unit.h"

/* The name of a certificate made so; "" where it is refused. */
static const char *name_of(const struct certificate_spec *spec)
{
    static char text[IDENTITY_TEXT_BYTES];
    CERTIFICATE_AUTO c = certificates_make(spec, NULL);
    struct failure f = { 0 };

    strcpy(text, "untouched");
    if (name_read(c.x509, text, &f) != 0) {
        assert_string_equal(text, "untouched");
        assert_int_equal(f.code, ERROR_UNAUTHENTICATED);
        return "";
    }
    return text;
}

#define NAME_OF(...)      name_of(&(struct certificate_spec){ __VA_ARGS__ })
#define NAME_OF_URI(text) NAME_OF(.uri = (text), .uri_len = sizeof(text) - 1)

static void one_uri_comes_before_all(void **state)
{
    (void)state;
    assert_string_equal(
        NAME_OF(.common_name = "a", .names = "URI:spiffe://example.org/a,DNS:b,DNS:c"),
        "spiffe:spiffe://example.org/a");
}

static void two_uris_are_refused(void **state)
{
    (void)state;
    assert_string_equal(
        NAME_OF(.common_name = "a", .names = "URI:spiffe://e.org/a,URI:spiffe://e.org/b"), "");
}

static void one_dns_name_is_next_in_lower_case(void **state)
{
    (void)state;
    assert_string_equal(NAME_OF(.common_name = "a", .names = "DNS:Web-1.Example.ORG,IP:10.0.0.1"),
                        "dns:web-1.example.org");
}

static void two_dns_names_are_refused(void **state)
{
    (void)state;
    assert_string_equal(NAME_OF(.common_name = "a", .names = "DNS:b,DNS:c"), "");
}

static void one_common_name_is_last(void **state)
{
    (void)state;
    assert_string_equal(NAME_OF(.common_name = "Alice"), "cn:Alice");
    assert_string_equal(NAME_OF(.common_name = "alice", .names = "IP:10.0.0.1,email:a@b.c"),
                        "cn:alice");
}

static void two_common_names_or_none_are_refused(void **state)
{
    (void)state;
    assert_string_equal(NAME_OF(.common_name = "a", .second_common_name = "b"), "");
    assert_string_equal(NAME_OF(.common_name = NULL), "");
}

/* What ends at the NUL for one reader goes on for another, such as the authority. */
static void a_nul_is_refused(void **state)
{
    (void)state;
    assert_string_equal(NAME_OF_URI("spiffe://example.org/admin\0.evil"), "");
    assert_string_equal(NAME_OF_URI("spiffe://example.org/admin\0"), "");
    assert_string_equal(NAME_OF(.common_name = "alice\0x", .common_name_len = 7), "");
}

static void only_printable_ascii_is_taken(void **state)
{
    (void)state;
    assert_string_equal(NAME_OF(.common_name = "alice smith"), "");
    assert_string_equal(NAME_OF(.common_name = "al\nice"), "");
    assert_string_equal(NAME_OF(.common_name = "al\303\254ce"), "");
    assert_string_equal(NAME_OF(.common_name = "a\x7f"), "");
}

/* Who could be denied by a pattern only, or together with others, is nobody. */
static void what_a_deny_list_cannot_name_is_refused(void **state)
{
    static const char *const bad[] = { "*", "?", "a*", "al?ce", "*.example.org" };
    static const char *const good[] = { "a#b", "#", "a:b", "a\"b", "a\\b", "identity:x", "[a]" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_string_equal(NAME_OF(.common_name = bad[i]), "");
    }
    assert_string_equal(NAME_OF(.common_name = "a", .names = "DNS:*.example.org"), "");
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct identity who = { .token_id = "" };
        struct deny *deny = NULL;
        char line[128];
        BUFFER_AUTO(faults, 4096);

        strcpy(who.text, NAME_OF(.common_name = good[i]));
        (void)snprintf(line, sizeof(line), "identity:%s\n", who.text);
        assert_int_equal(deny_parse("deny", line, strlen(line), &deny, &faults, NULL), 0);
        assert_int_equal(deny_find(deny, &who), 1);
        deny_free(deny);
    }
}

static void spiffe_ids_are_checked(void **state)
{
    static const char *const bad[] = {
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe:///a",
        "spiffe://Example.org/a",
        "SPIFFE://example.org/a",
        "https://example.org/a",
        "spiffe://example.org/a/",
        "spiffe://e.org//a",
        "spiffe://example.org/./a",
        "spiffe://example.org/..",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a#b",
        "spiffe://example.org/a%2fb",
        "spiffe://u@example.org/a",
        "spiffe://example.org:443/a",
        "spiffe:/example.org/a",
        "",
        "spiffe://",
        "spiffe://example.org/a b",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_string_equal(NAME_OF(.common_name = "a", .uri = bad[i], .uri_len = strlen(bad[i])),
                            "");
    }
    assert_string_equal(NAME_OF_URI("spiffe://a.b_c-9/x/Y.z_/..."),
                        "spiffe:spiffe://a.b_c-9/x/Y.z_/...");
}

static void lengths_have_maxima(void **state)
{
    char uri[IDENTITY_TEXT_BYTES];
    char domain[300] = "spiffe://";
    const size_t most = sizeof uri - sizeof "spiffe:";

    (void)state;
    memset(uri, 'a', sizeof uri);
    memcpy(uri, "spiffe://t/", 11);
    assert_int_equal(strlen(NAME_OF(.uri = uri, .uri_len = most)), IDENTITY_TEXT_BYTES - 1);
    assert_string_equal(NAME_OF(.uri = uri, .uri_len = most + 1), "");
    memset(domain + 9, 'd', 256);
    memcpy(domain + 9 + 255, "/a", 2);
    assert_string_not_equal(NAME_OF(.uri = domain, .uri_len = 9 + 255 + 2), "");
    memcpy(domain + 9 + 255, "d/a", 3);
    assert_string_equal(NAME_OF(.uri = domain, .uri_len = 9 + 256 + 2), "");
}

#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void a_dns_name_has_labels_of_63_and_253_bytes_at_most(void **state)
{
    static const char label[] = "DNS:" LABEL_63;
    static const char name[] = "DNS:" LABEL_63 "." LABEL_63 "." LABEL_63 "."
                               "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    (void)state;
    assert_int_equal(strlen(label) - 4, 63);
    assert_string_equal(NAME_OF(.names = label) + 4, label + 4);
    assert_string_equal(NAME_OF(.names = "DNS:a" LABEL_63), "");
    assert_int_equal(strlen(name) - 4, 253);
    assert_string_equal(NAME_OF(.names = name) + 4, name + 4);
    assert_string_equal(
        NAME_OF(.names = "DNS:" LABEL_63 "." LABEL_63 "." LABEL_63 "."
                         "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
        "");
}

static void dns_names_are_checked(void **state)
{
    (void)state;
    assert_string_equal(NAME_OF(.names = "DNS:*.example.org"), "");
    assert_string_equal(NAME_OF(.names = "DNS:a..b"), "");
    assert_string_equal(NAME_OF(.names = "DNS:.a"), "");
    assert_string_equal(NAME_OF(.names = "DNS:a."), "");
    assert_string_equal(NAME_OF(.names = "DNS:a/b"), "");
    assert_string_equal(NAME_OF(.names = "DNS:_x.a-1"), "dns:_x.a-1");
}

static void alternative_names_there_twice_are_refused(void **state)
{
    assert_string_equal(NAME_OF(.common_name = "a", .names = "URI:spiffe://example.org/a",
                                .uri = "spiffe://example.org/b", .uri_len = 22),
                        "");
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_uri_comes_before_all),
        cmocka_unit_test(two_uris_are_refused),
        cmocka_unit_test(one_dns_name_is_next_in_lower_case),
        cmocka_unit_test(two_dns_names_are_refused),
        cmocka_unit_test(one_common_name_is_last),
        cmocka_unit_test(two_common_names_or_none_are_refused),
        cmocka_unit_test(a_nul_is_refused),
        cmocka_unit_test(only_printable_ascii_is_taken),
        cmocka_unit_test(what_a_deny_list_cannot_name_is_refused),
        cmocka_unit_test(spiffe_ids_are_checked),
        cmocka_unit_test(lengths_have_maxima),
        cmocka_unit_test(a_dns_name_has_labels_of_63_and_253_bytes_at_most),
        cmocka_unit_test(dns_names_are_checked),
        cmocka_unit_test(alternative_names_there_twice_are_refused),
    };

    return UNIT_RUN(tests);
}
