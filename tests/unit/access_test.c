/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Several files of anchors, each with the identities that it may speak for, and who is kept out by the deny
 * list. Revocation lists: crl_test. */
#include "auth/access.h"

#include "common/text.h"
#include "tests/lib/certificate_root.h"
#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

static struct trust *bound(const struct certificate *anchor, const char *patterns)
{
    struct trust *trust = certificates_anchors(&anchor, 1);

    assert_non_null(trust);
    assert_int_equal(trust_bind(trust, patterns, NULL), 0);
    return trust;
}

static struct access *access_of(struct trust *a, struct trust *b, const char *deny_text)
{
    struct trust *trusts[] = { a, b };
    struct deny *deny = NULL;
    struct access *access = NULL;
    BUFFER_AUTO(faults, 4096);

    if (deny_text != NULL) {
        assert_int_equal(deny_parse("deny", deny_text, strlen(deny_text), &deny, &faults, NULL), 0);
    }
    assert_int_equal(access_new(trusts, b != NULL ? 2 : 1, deny, &access, NULL), 0);
    return access;
}

static struct certificate client_of(const struct certificate *issuer, const char *names)
{
    const struct certificate_spec spec = { CERTIFICATES_CLIENT, .names = names };

    return certificates_make(&spec, issuer);
}

static enum identity_fault verify(const struct access *access, const struct certificate *client)
{
    return certificates_verify(access, &client, 1, NULL);
}

static void anchors_speak_for_identities_of_their_patterns_only(void **state)
{
    CERTIFICATE_AUTO ours = client_of(&root, "URI:spiffe://corp/agent");
    CERTIFICATE_AUTO theirs = client_of(&root, "URI:spiffe://other/agent");
    CERTIFICATE_AUTO named = client_of(&root, NULL); /* cn:alice */
    struct access *access = access_of(bound(&root, "spiffe:spiffe://corp/*\0"), NULL, NULL);

    (void)state;
    assert_int_equal(verify(access, &ours), IDENTITY_OK);
    assert_int_equal(verify(access, &theirs), IDENTITY_NOT_SPOKEN_FOR);
    assert_int_equal(verify(access, &named), IDENTITY_NOT_SPOKEN_FOR);
    access_unref(access);
    access = access_of(bound(&root, "spiffe:spiffe://corp/*\0cn:alice\0"), NULL, NULL);
    assert_int_equal(verify(access, &named), IDENTITY_OK);
    assert_int_equal(verify(access, &theirs), IDENTITY_NOT_SPOKEN_FOR);
    access_unref(access);
}

static void no_pattern_is_nobody(void **state)
{
    CERTIFICATE_AUTO client = client_of(&root, NULL);
    struct access *access = access_of(bound(&root, "\0"), NULL, NULL);

    (void)state;
    assert_int_equal(verify(access, &client), IDENTITY_NOT_SPOKEN_FOR);
    access_unref(access);
}

static void one_of_several_anchors_suffices(void **state)
{
    const struct certificate_spec other_spec = CERTIFICATES_AUTHORITY("other");
    CERTIFICATE_AUTO other = certificates_make(&other_spec, NULL);
    CERTIFICATE_AUTO a = client_of(&root, "URI:spiffe://corp/a");
    CERTIFICATE_AUTO b = client_of(&root, "URI:spiffe://lab/b");
    CERTIFICATE_AUTO c = client_of(&other, "URI:spiffe://lab/c");
    CERTIFICATE_AUTO d = client_of(&other, "URI:spiffe://corp/d");
    struct access *access = access_of(bound(&root, "spiffe:spiffe://corp/*\0"),
                                      bound(&other, "spiffe:spiffe://lab/*\0"), NULL);

    (void)state;
    assert_int_equal(verify(access, &a), IDENTITY_OK);
    assert_int_equal(verify(access, &c), IDENTITY_OK);
    assert_int_equal(verify(access, &b), IDENTITY_NOT_SPOKEN_FOR); /* not by the other's word */
    assert_int_equal(verify(access, &d), IDENTITY_NOT_SPOKEN_FOR);
    access_unref(access);
    /* The same anchor in two files: either may do. */
    access = access_of(bound(&root, "spiffe:spiffe://corp/*\0"),
                       bound(&root, "spiffe:spiffe://lab/*\0"), NULL);
    assert_int_equal(verify(access, &a), IDENTITY_OK);
    assert_int_equal(verify(access, &b), IDENTITY_OK);
    assert_int_equal(verify(access, &c), IDENTITY_UNKNOWN_CA);
    access_unref(access);
}

static void the_refusal_that_says_most_is_told(void **state)
{
    const struct certificate_spec other_spec = CERTIFICATES_AUTHORITY("other"),
                                  old_spec = { CERTIFICATES_CLIENT, .begin_s = -9, .end_s = -1 };
    CERTIFICATE_AUTO other = certificates_make(&other_spec, NULL);
    CERTIFICATE_AUTO old = certificates_make(&old_spec, &root);
    struct access *access = access_of(bound(&other, "cn:*\0"), bound(&root, "cn:*\0"), NULL);
    struct access *turned = access_of(bound(&root, "cn:*\0"), bound(&other, "cn:*\0"), NULL);

    (void)state;
    assert_int_equal(verify(access, &old), IDENTITY_EXPIRED);
    assert_int_equal(verify(turned, &old), IDENTITY_EXPIRED);
    access_unref(access);
    access_unref(turned);
}

static void patterns_are_checked_when_the_configuration_is_read(void **state)
{
    (void)state;
    assert_null(trust_pattern_fault("spiffe:spiffe://corp/*"));
    assert_null(trust_pattern_fault("spiffe:*"));
    assert_null(trust_pattern_fault("dns:*.example.org"));
    assert_null(trust_pattern_fault("cn:?"));
    assert_non_null(trust_pattern_fault("*"));
    assert_non_null(trust_pattern_fault("all"));
    assert_non_null(trust_pattern_fault("cn:"));
    assert_non_null(trust_pattern_fault("cn:a b"));
    assert_non_null(trust_pattern_fault("spiffe:https://x"));
    assert_non_null(trust_pattern_fault("dns:A"));
    assert_non_null(trust_pattern_fault("jwt:issuer:x"));
    assert_non_null(trust_pattern_fault("token:x"));
}

/* --- the deny list ---------------------------------------------------------------------------- */

static void who_is_on_the_deny_list_is_revoked(void **state)
{
    CERTIFICATE_AUTO a = client_of(&root, "URI:spiffe://corp/a");
    CERTIFICATE_AUTO b = client_of(&root, "URI:spiffe://corp/b");
    const struct certificate *chain = &b;
    struct access *all = access_of(bound(&root, "spiffe:*\0"), NULL, NULL), *access;
    struct identity who;
    char hex[65], text[256];

    (void)state;
    assert_int_equal(certificates_verify(all, &chain, 1, &who), IDENTITY_OK);
    text_from_hex(who.fingerprint, 32, hex);
    (void)snprintf(text, sizeof(text), "identity:spiffe:spiffe://corp/a\nfingerprint:%s\n", hex);
    access = access_of(bound(&root, "spiffe:*\0"), NULL, text);
    assert_int_equal(verify(access, &a), IDENTITY_REVOKED);
    assert_int_equal(verify(access, &b), IDENTITY_REVOKED);
    /* What was found before it was put there. */
    enum identity_fault fault = IDENTITY_OK;

    assert_int_equal(access_still(all, &who, CERTIFICATES_NOW_S, &fault, NULL), 0);
    assert_int_equal(access_still(access, &who, CERTIFICATES_NOW_S, &fault, NULL),
                     -ERROR_UNAUTHENTICATED);
    assert_int_equal(fault, IDENTITY_REVOKED);
    access_unref(access);
    access_unref(all);
}

static void what_was_shown_is_good_to_its_last_second(void **state)
{
    struct identity who = { .text = "cn:x", .not_after_s = 1000 };
    struct access *access = access_of(bound(&root, "cn:*\0"), NULL, NULL);
    enum identity_fault fault = IDENTITY_OK;

    (void)state;
    assert_int_equal(access_still(access, &who, 1000, &fault, NULL), 0);
    assert_int_equal(access_still(access, &who, 1001, &fault, NULL), -ERROR_UNAUTHENTICATED);
    assert_int_equal(fault, IDENTITY_EXPIRED);
    assert_int_equal(access_still(access, &who, 1001, NULL, NULL), -ERROR_UNAUTHENTICATED);
    access_unref(access);
}

static int64_t end_of(const struct access *access, const struct certificate *const *chain,
                      size_t count)
{
    struct identity who;

    assert_int_equal(certificates_verify(access, chain, count, &who), IDENTITY_OK);
    return who.not_after_s - CERTIFICATES_NOW_S;
}

static void a_chain_ends_with_the_first_of_it_that_ends(void **state)
{
    const struct certificate_spec brief_spec = {
        .common_name = "brief", .constraints = "critical,CA:TRUE", .begin_s = -9, .end_s = 50
    };
    const struct certificate_spec long_spec = CERTIFICATES_AUTHORITY("long");
    CERTIFICATE_AUTO brief = certificates_make(&brief_spec, &root);
    CERTIFICATE_AUTO lasting = certificates_make(&long_spec, &root);
    CERTIFICATE_AUTO ending_root = certificates_renew(&root, 70);
    CERTIFICATE_AUTO below_brief = client_of(&brief, NULL);
    CERTIFICATE_AUTO below_long = client_of(&lasting, NULL);
    const struct certificate *a[] = { &below_brief, &brief }, *b[] = { &below_long, &lasting };
    struct access *access = access_of(bound(&root, "cn:*\0"), NULL, NULL);

    (void)state;
    assert_int_equal(end_of(access, a, 2), 50);
    assert_int_equal(end_of(access, b, 2), CERTIFICATES_YEAR_S);
    access_unref(access);
    access = access_of(bound(&ending_root, "cn:*\0"), NULL, NULL); /* the anchor, too */
    assert_int_equal(end_of(access, a, 2), 50);
    assert_int_equal(end_of(access, b, 2), 70);
    access_unref(access);
    access = access_of(bound(&brief, "cn:*\0"), NULL, NULL);
    assert_int_equal(end_of(access, a, 1), 50);
    access_unref(access);
}

/* Whoever of them vouches longest lets it in that long. */
static void of_several_anchors_the_last_to_end_counts(void **state)
{
    CERTIFICATE_AUTO ending_root = certificates_renew(&root, 70);
    CERTIFICATE_AUTO client = client_of(&root, NULL);
    const struct certificate *chain = &client;
    struct access *access = access_of(bound(&ending_root, "cn:*\0"), bound(&root, "cn:*\0"), NULL);
    struct access *turned = access_of(bound(&root, "cn:*\0"), bound(&ending_root, "cn:*\0"), NULL);

    (void)state;
    assert_int_equal(end_of(access, &chain, 1), CERTIFICATES_YEAR_S);
    assert_int_equal(end_of(turned, &chain, 1), CERTIFICATES_YEAR_S);
    access_unref(access);
    access_unref(turned);
}

/* --- files ------------------------------------------------------------------------------------ */

static void write_anchor(const struct folder *dir, const char *name)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char *bytes;

    assert_int_equal(PEM_write_bio_X509(pem, root.x509), 1);
    long len = BIO_get_mem_data(pem, &bytes);

    folder_write(folder_path(dir, name), bytes, (size_t)len);
    BIO_free(pem);
}

static void all_files_are_right_or_none_counts(void **state)
{
    FOLDER_AUTO dir = folder_make();
    char ca[256], no_ca[256], deny[256];
    struct access *access = NULL;
    struct failure f = { 0 };
    BUFFER_AUTO(faults, 4096);

    (void)state;
    (void)snprintf(ca, sizeof(ca), "%s", folder_path(&dir, "ca"));
    (void)snprintf(no_ca, sizeof(no_ca), "%s", folder_path(&dir, "no-ca"));
    (void)snprintf(deny, sizeof(deny), "%s", folder_path(&dir, "deny"));
    struct access_options options = {
        .trusts = { { .ca = ca, .crl = "" }, { .ca = no_ca, .identities = "cn:*\0" } },
        .trust_count = 2,
        .deny = deny,
    };
    const char *paths[ACCESS_FILES_MAX];

    write_anchor(&dir, "ca");
    folder_write(deny, "bogus\n", 6);
    assert_int_equal(access_load(&options, &access, &faults, &f), -ERROR_NOT_FOUND);
    assert_null(access);
    assert_non_null(strstr(buffer_string(&faults), "no-ca")); /* both are told */
    assert_non_null(strstr(buffer_string(&faults), "deny:1: expected fingerprint"));
    options.trust_count = 1;
    assert_int_equal(access_load(&options, &access, &faults, &f), -ERROR_INVALID_ARGUMENT);
    assert_null(access);
    folder_write(deny, "# none\n", 7);
    assert_int_equal(access_load(&options, &access, &faults, &f), 0);
    access_unref(access);
    assert_int_equal(access_files(&options, paths), 2);
    assert_string_equal(paths[0], ca);
    assert_string_equal(paths[1], deny);
}

static void a_damaged_anchor_is_refused(void **state)
{
    struct identity_der der = certificates_der(&root);
    uint8_t *bytes = (uint8_t *)(uintptr_t)der.bytes;
    BIO *pem = BIO_new(BIO_s_mem());
    struct trust *trust = NULL;
    struct failure f = { 0 };
    char *text;

    (void)state;
    bytes[der.len_bytes - 1] ^= 1; /* of its signature */
    assert_int_equal(PEM_write_bio(pem, PEM_STRING_X509, "", bytes, (long)der.len_bytes) > 0, 1);
    long len = BIO_get_mem_data(pem, &text);

    assert_int_equal(trust_parse("ca", text, (size_t)len, &trust, &f), -ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(f.message, "damaged"));
    BIO_free(pem);
    OPENSSL_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anchors_speak_for_identities_of_their_patterns_only),
        cmocka_unit_test(no_pattern_is_nobody),
        cmocka_unit_test(one_of_several_anchors_suffices),
        cmocka_unit_test(the_refusal_that_says_most_is_told),
        cmocka_unit_test(patterns_are_checked_when_the_configuration_is_read),
        cmocka_unit_test(who_is_on_the_deny_list_is_revoked),
        cmocka_unit_test(a_chain_ends_with_the_first_of_it_that_ends),
        cmocka_unit_test(of_several_anchors_the_last_to_end_counts),
        cmocka_unit_test(what_was_shown_is_good_to_its_last_second),
        cmocka_unit_test(all_files_are_right_or_none_counts),
        cmocka_unit_test(a_damaged_anchor_is_refused),
    };

    return cmocka_run_group_tests(tests, certificate_root_make, certificate_root_free);
}
