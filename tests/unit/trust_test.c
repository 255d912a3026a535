/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Anchors, and chains below them: auth/trust. */
#include "auth/trust.h"

#include "tests/lib/certificate_root.h"
#include "tests/lib/unit.h"

/* A client below one authority below the root. */
static enum identity_fault verify_below(const struct certificate_spec *subordinate)
{
    const struct certificate_spec client_spec = { CERTIFICATES_CLIENT };
    CERTIFICATE_AUTO middle = certificates_make(subordinate, &root);
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &middle);
    const struct certificate *chain[] = { &client, &middle };

    assert_int_equal(certificates_verify(root_access, chain, 1, NULL), IDENTITY_UNKNOWN_CA);
    return certificates_verify(root_access, chain, 2, NULL);
}

#define VERIFY_BELOW(...)                                                                          \
    verify_below(&(struct certificate_spec){ .common_name = "sub", __VA_ARGS__ })

static void an_issuer_has_to_be_an_authority(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_BELOW(.constraints = "critical,CA:TRUE", .usage = "keyCertSign"),
                     IDENTITY_OK);
    assert_int_equal(VERIFY_BELOW(.constraints = "critical,CA:TRUE"), IDENTITY_OK);
    assert_int_equal(VERIFY_BELOW(.constraints = "CA:FALSE", .usage = "keyCertSign"),
                     IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_BELOW(.constraints = "critical,CA:TRUE", .usage = "digitalSignature"),
                     IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_BELOW(.constraints = NULL), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_BELOW(.constraints = "critical,CA:TRUE", .begin_s = -9, .end_s = -1),
                     IDENTITY_EXPIRED);
    assert_int_equal(
        VERIFY_BELOW(.constraints = "critical,CA:TRUE", .extended_usage = "serverAuth"),
        IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_BELOW(.constraints = "critical,CA:TRUE", .key = "RSA-1024"),
                     IDENTITY_BAD_CERTIFICATE);
}

/* X509_check_ca() alone would take this one for an authority. */
static void a_right_to_sign_alone_makes_no_authority(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_BELOW(.constraints = NULL, .usage = "keyCertSign"),
                     IDENTITY_BAD_CERTIFICATE);
}

static void a_client_cannot_issue_clients(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_BELOW(.constraints = "CA:FALSE", .usage = "digitalSignature",
                                  .extended_usage = "clientAuth"),
                     IDENTITY_BAD_CERTIFICATE);
}

static void path_length_and_name_constraints_hold(void **state)
{
    const struct certificate_spec first_spec = { .common_name = "one",
                                                 .constraints = "critical,CA:TRUE,pathlen:0" };
    const struct certificate_spec second_spec = CERTIFICATES_AUTHORITY("two"),
                                  client_spec = { CERTIFICATES_CLIENT };
    CERTIFICATE_AUTO first = certificates_make(&first_spec, &root);
    CERTIFICATE_AUTO second = certificates_make(&second_spec, &first);
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &second);
    const struct certificate *chain[] = { &client, &second, &first };
    const struct certificate_spec narrow_spec = { .common_name = "narrow",
                                                  .constraints = "critical,CA:TRUE",
                                                  .name_constraints =
                                                      "critical,permitted;DNS:example.org" };
    const struct certificate_spec outside_spec = { CERTIFICATES_CLIENT,
                                                   .names = "DNS:a.example.com" };
    CERTIFICATE_AUTO narrow = certificates_make(&narrow_spec, &root);
    CERTIFICATE_AUTO outside = certificates_make(&outside_spec, &narrow);
    const struct certificate *outside_chain[] = { &outside, &narrow };

    (void)state;
    assert_int_equal(certificates_verify(root_access, chain, 3, NULL), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(certificates_verify(root_access, outside_chain, 2, NULL),
                     IDENTITY_BAD_CERTIFICATE);
}

static void a_chain_may_have_four_certificates_and_no_more(void **state)
{
    const struct certificate_spec client_spec = { CERTIFICATES_CLIENT };
    struct certificate made[IDENTITY_CHAIN_MAX + 1];
    const struct certificate *chain[IDENTITY_CHAIN_MAX + 1];
    const struct certificate *issuer = &root;

    (void)state;
    /* made[0] the root's, made[3] the last authority; each is a client's issuer once. */
    for (size_t i = 0; i < IDENTITY_CHAIN_MAX; i++) {
        const char *names[] = { "a", "b", "c", "d" };
        const struct certificate_spec spec = CERTIFICATES_AUTHORITY(names[i]);

        made[i] = certificates_make(&spec, issuer);
        issuer = &made[i];
    }
    for (size_t authorities = 3; authorities <= 4; authorities++) {
        made[4] = certificates_make(&client_spec, &made[authorities - 1]);
        chain[0] = &made[4];
        for (size_t i = 0; i < authorities; i++) {
            chain[i + 1] = &made[authorities - 1 - i];
        }
        assert_int_equal(certificates_verify(root_access, chain, authorities + 1, NULL),
                         authorities == 3 ? IDENTITY_OK : IDENTITY_BAD_CERTIFICATE);
        certificates_free(&made[4]);
    }
    for (size_t i = 0; i < IDENTITY_CHAIN_MAX; i++) {
        certificates_free(&made[i]);
    }
}

static void what_is_sent_along_for_nothing_does_no_harm(void **state)
{
    const struct certificate_spec client_spec = { CERTIFICATES_CLIENT },
                                  other_spec = { .common_name = "mallory" };
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &root);
    CERTIFICATE_AUTO other = certificates_make(&other_spec, NULL);
    const struct certificate *chain[] = { &client, &other, &root };
    const struct certificate *turned[] = { &other, &client };

    (void)state;
    assert_int_equal(certificates_verify(root_access, chain, 3, NULL), IDENTITY_OK);
    assert_int_equal(certificates_verify(root_access, turned, 2, NULL), IDENTITY_UNKNOWN_CA);
}

static void what_is_sent_along_counts(void **state)
{
    const struct certificate_spec client_spec = { CERTIFICATES_CLIENT },
                                  other_spec = { .common_name = "mallory" };
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &root);
    CERTIFICATE_AUTO other = certificates_make(&other_spec, NULL);
    const struct certificate *chain[IDENTITY_CHAIN_MAX + 1] = { &client, &other, &other, &other,
                                                                &other };

    (void)state;
    assert_int_equal(certificates_verify(root_access, chain, IDENTITY_CHAIN_MAX, NULL),
                     IDENTITY_OK);
    assert_int_equal(certificates_verify(root_access, chain, IDENTITY_CHAIN_MAX + 1, NULL),
                     IDENTITY_BAD_CERTIFICATE);
}

static void an_intermediate_authority_can_be_the_anchor(void **state)
{
    const struct certificate_spec sub_spec = CERTIFICATES_AUTHORITY("department"),
                                  client_spec = { CERTIFICATES_CLIENT };
    CERTIFICATE_AUTO sub = certificates_make(&sub_spec, &root);
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &sub);
    CERTIFICATE_AUTO stranger = certificates_make(&client_spec, &root);
    const struct certificate *anchors[] = { &sub }, *chain[] = { &client },
                             *strange[] = { &stranger };
    struct access *access = certificates_access(anchors, 1);

    (void)state;
    assert_non_null(access);
    assert_int_equal(certificates_verify(access, chain, 1, NULL), IDENTITY_OK);
    assert_int_equal(certificates_verify(access, strange, 1, NULL), IDENTITY_UNKNOWN_CA);
    access_unref(access);
}

static void anchors_are_authorities(void **state)
{
    const struct certificate_spec client_spec = { CERTIFICATES_CLIENT },
                                  old_spec = { .common_name = "old" };
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &root);
    CERTIFICATE_AUTO old = certificates_make(&old_spec, NULL);
    const struct certificate *a[] = { &root, &client }, *b[] = { &old };

    (void)state;
    assert_null(certificates_anchors(a, 2));
    assert_null(certificates_anchors(b, 1));
}

static void assert_unloadable(const char *pem, const char *says)
{
    struct trust *trust = NULL;
    struct failure f = { 0 };

    assert_int_equal(trust_parse("ca.pem", pem, strlen(pem), &trust, &f), -ERROR_INVALID_ARGUMENT);
    assert_null(trust);
    assert_non_null(strstr(f.message, says));
}

static void a_file_with_anything_else_is_no_file_of_anchors(void **state)
{
    (void)state;
    assert_unloadable("", "no certificate in ca.pem");
    assert_unloadable("text\n", "no certificate in ca.pem");
    assert_unloadable("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                      "PRIVATE KEY");
    assert_unloadable("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "X509 CRL");
    assert_unloadable("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                      "certificate 1");
    assert_unloadable("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "block 1");
    assert_unloadable("-----BEGIN CERTIFICATE-----\nAAAA\n", "block 1");
}

static void anchors_have_a_maximum(void **state)
{
    const struct certificate *anchors[TRUST_ANCHORS_MAX + 1];
    struct trust *trust;

    (void)state;
    for (size_t i = 0; i <= TRUST_ANCHORS_MAX; i++) {
        anchors[i] = &root;
    }
    trust = certificates_anchors(anchors, TRUST_ANCHORS_MAX);
    assert_non_null(trust);
    trust_free(trust);
    assert_null(certificates_anchors(anchors, TRUST_ANCHORS_MAX + 1));
}

static void a_file_of_anchors_has_a_maximum(void **state)
{
    static char pem[TRUST_FILE_MAX_BYTES + 1];
    BIO *bio = BIO_new(BIO_s_mem());
    struct trust *trust = NULL;
    struct failure f = { 0 };
    char *bytes;

    (void)state;
    assert_int_equal(PEM_write_bio_X509(bio, root.x509), 1);
    size_t len = (size_t)BIO_get_mem_data(bio, &bytes);

    memset(pem, '\n', sizeof(pem));
    memcpy(pem + TRUST_FILE_MAX_BYTES - len, bytes, len);
    BIO_free(bio);
    assert_int_equal(trust_parse("ca.pem", pem, TRUST_FILE_MAX_BYTES, &trust, &f), 0);
    trust_free(trust);
    assert_int_equal(trust_parse("ca.pem", pem, TRUST_FILE_MAX_BYTES + 1, &trust, &f),
                     -ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(f.message, "1048576"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_issuer_has_to_be_an_authority),
        cmocka_unit_test(a_right_to_sign_alone_makes_no_authority),
        cmocka_unit_test(a_client_cannot_issue_clients),
        cmocka_unit_test(path_length_and_name_constraints_hold),
        cmocka_unit_test(a_chain_may_have_four_certificates_and_no_more),
        cmocka_unit_test(what_is_sent_along_for_nothing_does_no_harm),
        cmocka_unit_test(what_is_sent_along_counts),
        cmocka_unit_test(an_intermediate_authority_can_be_the_anchor),
        cmocka_unit_test(anchors_are_authorities),
        cmocka_unit_test(a_file_with_anything_else_is_no_file_of_anchors),
        cmocka_unit_test(anchors_have_a_maximum),
        cmocka_unit_test(a_file_of_anchors_has_a_maximum),
    };

    return cmocka_run_group_tests(tests, certificate_root_make, certificate_root_free);
}
