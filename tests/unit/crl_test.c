/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Revocation lists: which are taken, and who is let in by them. */
#include "auth/crl.h"

#include "tests/lib/certificate_root.h"
#include "tests/lib/unit.h"

enum { LISTS_MAX = 4 };

static char *write_lists(const struct certificate_list *lists, size_t count, BIO **pem, size_t *len)
{
    char *text;

    *pem = BIO_new(BIO_s_mem());
    for (size_t i = 0; i < count; i++) {
        certificates_list_write(*pem, &lists[i]);
    }
    *len = (size_t)BIO_get_mem_data(*pem, &text);
    return text;
}

/* By the root, and these lists; NULL where they are not taken: `f` says why. */
static struct access *with_lists(const struct certificate_list *lists, size_t count,
                                 bool accept_expired, struct failure *f)
{
    const struct certificate *anchor = &root;
    struct trust *trust = certificates_anchors(&anchor, 1);
    struct access *access = NULL;
    BIO *pem;
    size_t len;
    const char *text = write_lists(lists, count, &pem, &len);

    if (trust_add_crls(trust, "crl.pem", text, len, f) != 0) {
        trust_free(trust);
    } else {
        if (accept_expired) {
            trust_accept_expired_crls(trust);
        }
        assert_int_equal(access_new(&trust, 1, NULL, &access, NULL), 0);
    }
    BIO_free(pem);
    return access;
}

static enum identity_fault verify_chain(const struct certificate_list *lists, size_t count,
                                        bool accept_expired, const struct certificate *const *chain,
                                        size_t chain_count)
{
    struct failure f = { 0 };
    struct access *access = with_lists(lists, count, accept_expired, &f);

    if (access == NULL) {
        fail_msg("%s", f.message);
    }
    enum identity_fault fault = certificates_verify(access, chain, chain_count, NULL);

    access_unref(access);
    return fault;
}

static struct certificate client_of(const struct certificate *issuer)
{
    const struct certificate_spec spec = { CERTIFICATES_CLIENT };

    return certificates_make(&spec, issuer);
}

static void who_is_on_the_list_is_revoked(void **state)
{
    CERTIFICATE_AUTO good = client_of(&root);
    CERTIFICATE_AUTO bad = client_of(&root);
    const struct certificate *good_chain = &good, *bad_chain = &bad;
    const struct certificate_list list = { .issuer = &root, .revoked = { &bad } };

    (void)state;
    assert_int_equal(verify_chain(&list, 1, false, &good_chain, 1), IDENTITY_OK);
    assert_int_equal(verify_chain(&list, 1, false, &bad_chain, 1), IDENTITY_REVOKED);
}

static void an_old_list_is_refused_unless_that_is_said_to_be_fine(void **state)
{
    CERTIFICATE_AUTO good = client_of(&root);
    CERTIFICATE_AUTO bad = client_of(&root);
    const struct certificate *good_chain = &good, *bad_chain = &bad;
    const struct certificate_list old = {
        .issuer = &root, .revoked = { &bad }, .begin_s = -100, .end_s = -1
    };
    const struct certificate_list early = { .issuer = &root, .begin_s = 100, .end_s = 200 };

    (void)state;
    assert_int_equal(verify_chain(&old, 1, false, &good_chain, 1), IDENTITY_UNCHECKED);
    assert_int_equal(verify_chain(&old, 1, true, &good_chain, 1), IDENTITY_OK);
    assert_int_equal(verify_chain(&old, 1, true, &bad_chain, 1), IDENTITY_REVOKED);
    assert_int_equal(verify_chain(&early, 1, true, &good_chain, 1), IDENTITY_UNCHECKED);
}

/* In its last second it counts no more, as OpenSSL has it, who then lets nobody in. */
static void when_a_list_stops_to_count_is_told(void **state)
{
    CERTIFICATE_AUTO client = client_of(&root);
    const struct certificate *chain = &client;
    const struct certificate_list list = { .issuer = &root, .begin_s = -100, .end_s = 10 };
    const int64_t end_s = CERTIFICATES_NOW_S + 10;
    struct access *access = with_lists(&list, 1, false, NULL);
    struct access *lenient = with_lists(&list, 1, true, NULL);

    (void)state;
    assert_non_null(access);
    assert_int_equal(certificates_verify(access, &chain, 1, NULL), IDENTITY_OK);
    assert_false(access_lists_end(access, end_s - 100, end_s - 1));
    assert_true(access_lists_end(access, end_s - 1, end_s));
    assert_true(access_lists_end(access, end_s - 100, end_s + 100));
    assert_false(access_lists_end(access, end_s, end_s + 100)); /* once */
    assert_false(access_lists_end(lenient, end_s - 100, end_s + 100));
    access_unref(access);
    access_unref(lenient);
    const struct certificate_list over = { .issuer = &root, .begin_s = -100, .end_s = 0 };
    const struct certificate_list nearly = { .issuer = &root, .begin_s = -100, .end_s = 1 };

    assert_int_equal(verify_chain(&over, 1, false, &chain, 1), IDENTITY_UNCHECKED);
    assert_int_equal(verify_chain(&nearly, 1, false, &chain, 1), IDENTITY_OK);
}

static void each_authority_between_has_to_have_a_list(void **state)
{
    const struct certificate_spec middle_spec = CERTIFICATES_AUTHORITY("middle");
    CERTIFICATE_AUTO middle = certificates_make(&middle_spec, &root);
    CERTIFICATE_AUTO client = client_of(&middle);
    const struct certificate *chain[] = { &client, &middle };
    const struct certificate_list both[] = { { .issuer = &root }, { .issuer = &middle } };
    const struct certificate_list revoked[] = { { .issuer = &root, .revoked = { &middle } },
                                                { .issuer = &middle } };
    const struct certificate_list client_revoked[] = {
        { .issuer = &root }, { .issuer = &middle, .revoked = { &client } }
    };

    (void)state;
    assert_int_equal(verify_chain(both, 2, false, chain, 2), IDENTITY_OK);
    assert_int_equal(verify_chain(&both[0], 1, false, chain, 2), IDENTITY_UNCHECKED);
    assert_int_equal(verify_chain(&both[1], 1, false, chain, 2), IDENTITY_UNCHECKED);
    assert_int_equal(verify_chain(&both[0], 1, true, chain, 2), IDENTITY_UNCHECKED);
    assert_int_equal(verify_chain(revoked, 2, false, chain, 2), IDENTITY_REVOKED);
    assert_int_equal(verify_chain(client_revoked, 2, false, chain, 2), IDENTITY_REVOKED);
}

/* Whose list it is nobody can say when it is read; but nobody is let in by it. */
static void a_list_of_somebody_elses_key_lets_nobody_in(void **state)
{
    const struct certificate_spec middle_spec = CERTIFICATES_AUTHORITY("middle");
    CERTIFICATE_AUTO middle = certificates_make(&middle_spec, &root);
    CERTIFICATE_AUTO impostor = certificates_make(&middle_spec, &root);
    CERTIFICATE_AUTO client = client_of(&middle);
    const struct certificate *chain[] = { &client, &middle };
    const struct certificate_list lists[] = { { .issuer = &root }, { .issuer = &impostor } };

    (void)state;
    assert_int_equal(verify_chain(lists, 2, false, chain, 2), IDENTITY_UNCHECKED);
}

/* An intermediate one: who is above it is not known, and need not be. */
static void an_anchor_itself_needs_no_list_above_it(void **state)
{
    const struct certificate_spec middle_spec = CERTIFICATES_AUTHORITY("middle");
    CERTIFICATE_AUTO middle = certificates_make(&middle_spec, &root);
    CERTIFICATE_AUTO client = client_of(&middle);
    const struct certificate *anchor = &middle, *chain = &client;
    const struct certificate_list list = { .issuer = &middle };
    struct trust *trust = certificates_anchors(&anchor, 1);
    struct access *access;
    BIO *pem;
    size_t len;
    const char *text = write_lists(&list, 1, &pem, &len);

    (void)state;
    assert_int_equal(trust_add_crls(trust, "crl.pem", text, len, NULL), 0);
    assert_int_equal(access_new(&trust, 1, NULL, &access, NULL), 0);
    assert_int_equal(certificates_verify(access, &chain, 1, NULL), IDENTITY_OK);
    access_unref(access);
    BIO_free(pem);
}

/* The same authority in two files, one of which knows more. */
static void what_one_file_has_revoked_no_other_lets_in(void **state)
{
    CERTIFICATE_AUTO bad = client_of(&root);
    const struct certificate *anchor = &root, *chain = &bad;
    const struct certificate_list list = { .issuer = &root, .revoked = { &bad } };
    BIO *pem;
    size_t len;
    const char *text = write_lists(&list, 1, &pem, &len);

    (void)state;
    for (size_t with = 0; with < 2; with++) {
        struct trust *trusts[] = { certificates_anchors(&anchor, 1),
                                   certificates_anchors(&anchor, 1) };
        struct access *access;

        assert_int_equal(trust_add_crls(trusts[with], "crl.pem", text, len, NULL), 0);
        assert_int_equal(access_new(trusts, 2, NULL, &access, NULL), 0);
        assert_int_equal(certificates_verify(access, &chain, 1, NULL), IDENTITY_REVOKED);
        access_unref(access);
    }
    BIO_free(pem);
}

/* --- what is no such file --------------------------------------------------------------------- */

static void expect_refused(const struct certificate_list *lists, size_t count, const char *says)
{
    struct failure f = { 0 };

    assert_null(with_lists(lists, count, false, &f));
    if (strstr(f.message, says) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", says, f.message);
    }
}

static void lists_that_cannot_be_honoured_are_refused(void **state)
{
    const struct certificate_list delta = { .issuer = &root, .extension = NID_delta_crl },
                                  scoped = { .issuer = &root,
                                             .extension = NID_issuing_distribution_point,
                                             .is_critical = true },
                                  critical = { .issuer = &root,
                                               .extension = NID_crl_number,
                                               .is_critical = true },
                                  endless = { .issuer = &root, .is_endless = true },
                                  weak = { .issuer = &root, .sha1 = true },
                                  numbered = { .issuer = &root, .extension = NID_crl_number };
    const struct certificate_list twice[] = { numbered, numbered };
    struct failure f = { 0 };

    (void)state;
    expect_refused(&delta, 1, "revocation list 1 in crl.pem is a delta");
    expect_refused(&scoped, 1, "is of some certificates only");
    expect_refused(&critical, 1, "has a critical extension");
    expect_refused(&endless, 1, "says no nextUpdate");
    expect_refused(&weak, 1, "weak digest");
    expect_refused(twice, 2, "revocation list 2 in crl.pem is the second one of its authority");
    struct access *access = with_lists(&numbered, 1, false, &f);

    assert_non_null(access);
    access_unref(access);
}

static void an_anchors_list_is_signed_by_it(void **state)
{
    CERTIFICATE_AUTO impostor = certificates_make(&root_spec, NULL);
    const struct certificate_list list = { .issuer = &impostor };

    (void)state;
    expect_refused(&list, 1, "is not signed by the authority that it is of");
}

/* After a change of its key, an authority has two lists. */
static void an_authority_may_have_a_list_for_each_of_its_keys(void **state)
{
    struct certificate_spec spec = CERTIFICATES_AUTHORITY("middle");

    spec.says_key = true;
    CERTIFICATE_AUTO before = certificates_make(&spec, &root);
    CERTIFICATE_AUTO after = certificates_make(&spec, &root);
    CERTIFICATE_AUTO a = client_of(&before);
    CERTIFICATE_AUTO b = client_of(&after);
    const struct certificate *chain_a[] = { &a, &before }, *chain_b[] = { &b, &after };
    const struct certificate_list lists[] = {
        { .issuer = &root },
        { .issuer = &before, .says_key = true, .revoked = { &a } },
        { .issuer = &after, .says_key = true },
    };

    (void)state;
    assert_int_equal(verify_chain(lists, 3, false, chain_a, 2), IDENTITY_REVOKED);
    assert_int_not_equal(verify_chain(lists, 2, false, chain_b, 2), IDENTITY_OK);
}

static void expect_text_refused(const char *text, const char *says)
{
    const struct certificate *anchor = &root;
    struct trust *trust = certificates_anchors(&anchor, 1);
    struct failure f = { 0 };

    assert_int_equal(trust_add_crls(trust, "crl.pem", text, strlen(text), &f),
                     -ERROR_INVALID_ARGUMENT);
    if (strstr(f.message, says) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", says, f.message);
    }
    trust_free(trust);
}

static void a_file_with_anything_else_is_no_file_of_lists(void **state)
{
    const struct certificate_list list = { .issuer = &root };
    BIO *pem;
    size_t len;
    const char *text = write_lists(&list, 1, &pem, &len);
    char room[8192];

    (void)state;
    expect_text_refused("", "no revocation list in crl.pem");
    expect_text_refused("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                        "expected \"X509 CRL\"");
    expect_text_refused("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
                        "cannot be read");
    (void)snprintf(room, sizeof(room), "# ours\n\n%.*s\n#----BEGIN X509 CRL-----\nAAAA\n", (int)len,
                   text);
    expect_text_refused(room, ": expected a block, a blank line, or a comment behind #");
    BIO_free(pem);
}

static void lists_have_a_maximum(void **state)
{
    BIO *pem = BIO_new(BIO_s_mem());
    const struct certificate *anchor = &root;
    char *text;

    (void)state;
    for (unsigned i = 0; i <= CRL_LISTS_MAX; i++) {
        char name[32];
        struct certificate_spec spec = CERTIFICATES_AUTHORITY(name);

        (void)snprintf(name, sizeof(name), "authority %u", i);
        CERTIFICATE_AUTO issuer = certificates_make(&spec, NULL);
        const struct certificate_list list = { .issuer = &issuer };

        if (i == CRL_LISTS_MAX) {
            struct trust *trust = certificates_anchors(&anchor, 1);
            size_t len = (size_t)BIO_get_mem_data(pem, &text);

            assert_int_equal(trust_add_crls(trust, "crl.pem", text, len, NULL), 0);
            trust_free(trust);
        }
        certificates_list_write(pem, &list);
    }
    struct trust *trust = certificates_anchors(&anchor, 1);
    size_t len = (size_t)BIO_get_mem_data(pem, &text);
    struct failure f = { 0 };

    assert_int_equal(trust_add_crls(trust, "crl.pem", text, len, &f), -ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(f.message, "more than 64 revocation lists"));
    trust_free(trust);
    BIO_free(pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_on_the_list_is_revoked),
        cmocka_unit_test(an_old_list_is_refused_unless_that_is_said_to_be_fine),
        cmocka_unit_test(when_a_list_stops_to_count_is_told),
        cmocka_unit_test(each_authority_between_has_to_have_a_list),
        cmocka_unit_test(a_list_of_somebody_elses_key_lets_nobody_in),
        cmocka_unit_test(an_anchor_itself_needs_no_list_above_it),
        cmocka_unit_test(what_one_file_has_revoked_no_other_lets_in),
        cmocka_unit_test(lists_that_cannot_be_honoured_are_refused),
        cmocka_unit_test(an_anchors_list_is_signed_by_it),
        cmocka_unit_test(an_authority_may_have_a_list_for_each_of_its_keys),
        cmocka_unit_test(a_file_with_anything_else_is_no_file_of_lists),
        cmocka_unit_test(lists_have_a_maximum),
    };

    return cmocka_run_group_tests(tests, certificate_root_make, certificate_root_free);
}
