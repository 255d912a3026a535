/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/identity.h"

#include <openssl/sha.h>
#include <pthread.h>

#include "tests/lib/certificates.h"
#include "tests/lib/unit.h"

#define ROOT                                                                                       \
    { .common_name = "root", .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign" }
#define SUBORDINATE(name)                                                                          \
    { .common_name = (name), .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign" }
#define CLIENT                                                                                     \
    .common_name = "alice", .constraints = "CA:FALSE", .usage = "digitalSignature",                \
    .extended_usage = "clientAuth"

static const struct certificate_spec root_spec = ROOT;
static struct certificate root;
static struct trust *root_trust;

static int make_root(void **state)
{
    const struct certificate *anchors[] = { &root };

    (void)state;
    root = certificates_make(&root_spec, NULL);
    root_trust = certificates_trust(anchors, 1);
    return root_trust == NULL;
}

static int free_root(void **state)
{
    (void)state;
    trust_unref(root_trust);
    certificates_free(&root);
    return 0;
}

/* Verifies these, the client's first, in this order. */
static enum identity_fault verify(const struct trust *trust, const struct certificate *const *chain,
                                  size_t count, struct identity *who)
{
    struct identity_der der[8] = { { NULL, 0 } };
    struct identity scratch = { .text = "untouched" };
    enum identity_fault fault = (enum identity_fault)99;
    struct failure f = { 0 };
    int result;

    for (size_t i = 0; i < count; i++) {
        der[i] = certificates_der(chain[i]);
    }
    result = trust_verify(trust, der, count, CERTIFICATES_NOW_S, &scratch, &fault, &f);
    for (size_t i = 0; i < count; i++) {
        OPENSSL_free((void *)(uintptr_t)der[i].bytes);
    }
    assert_int_equal(result, fault == IDENTITY_OK ? 0 : -ERROR_UNAUTHENTICATED);
    if (result != 0) {
        assert_string_equal(scratch.text, "untouched");
        assert_string_not_equal(f.message, "");
    }
    if (who != NULL) {
        *who = scratch;
    }
    return fault;
}

static enum identity_fault verify_one(const struct certificate_spec *spec)
{
    CERTIFICATE_AUTO client = certificates_make(spec, &root);
    const struct certificate *chain[] = { &client };

    return verify(root_trust, chain, 1, NULL);
}

#define VERIFY_ONE(...) verify_one(&(struct certificate_spec){ __VA_ARGS__ })
#define VERIFY_USE(says_constraints, says_usage, says_extended)                                    \
    VERIFY_ONE(.common_name = "alice", .constraints = (says_constraints), .usage = (says_usage),   \
               .extended_usage = (says_extended))

static void a_client_of_our_authority_is_known(void **state)
{
    const struct certificate_spec spec = { CLIENT };
    CERTIFICATE_AUTO client = certificates_make(&spec, &root);
    const struct certificate *chain[] = { &client };
    struct identity who;
    uint8_t digest[32];
    struct identity_der der;

    (void)state;
    assert_int_equal(verify(root_trust, chain, 1, &who), IDENTITY_OK);
    assert_string_equal(who.text, "cn:alice");
    assert_int_equal(who.not_after_s, CERTIFICATES_NOW_S + CERTIFICATES_YEAR_S);
    der = certificates_der(&client);
    SHA256(der.bytes, der.len_bytes, digest);
    assert_memory_equal(who.fingerprint, digest, sizeof digest);
    OPENSSL_free((void *)(uintptr_t)der.bytes);
}

static void no_certificate_is_nobody(void **state)
{
    (void)state;
    assert_int_equal(verify(root_trust, NULL, 0, NULL), IDENTITY_NO_CERTIFICATE);
}

static void time_decides(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_ONE(CLIENT, .begin_s = -100, .end_s = -1), IDENTITY_EXPIRED);
    assert_int_equal(VERIFY_ONE(CLIENT, .begin_s = 1, .end_s = 100), IDENTITY_EXPIRED);
    assert_int_equal(VERIFY_ONE(CLIENT, .begin_s = -1, .end_s = 1), IDENTITY_OK);
}

static void another_authority_is_unknown(void **state)
{
    const struct certificate_spec other_spec = SUBORDINATE("other"), client_spec = { CLIENT };
    CERTIFICATE_AUTO other = certificates_make(&other_spec, NULL);
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &other);
    const struct certificate *chain[] = { &client, &other };

    (void)state;
    assert_int_equal(verify(root_trust, chain, 1, NULL), IDENTITY_UNKNOWN_CA);
    assert_int_equal(verify(root_trust, chain, 2, NULL), IDENTITY_UNKNOWN_CA);
}

static void an_authority_of_our_authoritys_name_is_refused(void **state)
{
    const struct certificate_spec client_spec = { CLIENT };
    CERTIFICATE_AUTO impostor = certificates_make(&root_spec, NULL);
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &impostor);
    const struct certificate *chain[] = { &client, &impostor };

    (void)state;
    assert_int_not_equal(verify(root_trust, chain, 1, NULL), IDENTITY_OK);
    assert_int_not_equal(verify(root_trust, chain, 2, NULL), IDENTITY_OK);
}

static void a_self_signed_client_is_unknown(void **state)
{
    const struct certificate_spec spec = { CLIENT };
    CERTIFICATE_AUTO client = certificates_make(&spec, NULL);
    const struct certificate *chain[] = { &client };

    (void)state;
    assert_int_equal(verify(root_trust, chain, 1, NULL), IDENTITY_UNKNOWN_CA);
}

static void only_certificates_for_clients_are_taken(void **state)
{
    static const char signs[] = "digitalSignature", client[] = "clientAuth", no[] = "CA:FALSE";

    (void)state;
    assert_int_equal(VERIFY_USE(no, signs, "serverAuth"), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_USE(no, signs, NULL), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_USE(no, signs, "anyExtendedKeyUsage"), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_USE(no, signs, "serverAuth,clientAuth"), IDENTITY_OK);
    assert_int_equal(VERIFY_USE(no, "keyEncipherment", client), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_USE(no, "keyAgreement", client), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_USE(no, NULL, client), IDENTITY_OK);
    assert_int_equal(VERIFY_USE(NULL, signs, client), IDENTITY_OK);
}

static void an_authoritys_certificate_is_no_client(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_USE("critical,CA:TRUE", "digitalSignature,keyCertSign", "clientAuth"),
                     IDENTITY_BAD_CERTIFICATE);
}

static void weak_keys_and_digests_are_refused(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_ONE(CLIENT, .key = "RSA-1024"), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_ONE(CLIENT, .key = "P-192"), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_ONE(CLIENT, .sha1 = true), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_ONE(CLIENT, .key = "RSA-2048"), IDENTITY_OK);
    assert_int_equal(VERIFY_ONE(CLIENT, .key = "P-384"), IDENTITY_OK);
    assert_int_equal(VERIFY_ONE(CLIENT, .key = "ED25519"), IDENTITY_OK);
}

static void an_unknown_critical_extension_is_refused(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_ONE(CLIENT, .unknown_critical = true), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_ONE(CLIENT, .huge_bytes = 4), IDENTITY_OK);
}

static void a_huge_extension_is_refused(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_ONE(CLIENT, .huge_bytes = IDENTITY_CERTIFICATE_MAX_BYTES),
                     IDENTITY_BAD_CERTIFICATE);
}

/* With bytes added to, or taken from, the end. */
static enum identity_fault verify_resized(int change)
{
    const struct certificate_spec spec = { CLIENT };
    CERTIFICATE_AUTO client = certificates_make(&spec, &root);
    struct identity_der der = certificates_der(&client);
    uint8_t *copy = calloc(1, der.len_bytes + 16);
    struct identity_der resized = { copy, (size_t)((int)der.len_bytes + change) };
    enum identity_fault fault = IDENTITY_OK;
    struct identity who;

    assert_non_null(copy);
    memcpy(copy, der.bytes, der.len_bytes);
    assert_int_equal(trust_verify(root_trust, &resized, 1, CERTIFICATES_NOW_S, &who, &fault, NULL),
                     change == 0 ? 0 : -ERROR_UNAUTHENTICATED);
    OPENSSL_free((void *)(uintptr_t)der.bytes);
    free(copy);
    return fault;
}

static void bytes_behind_or_missing_are_refused(void **state)
{
    (void)state;
    assert_int_equal(verify_resized(0), IDENTITY_OK);
    assert_int_equal(verify_resized(1), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(verify_resized(16), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(verify_resized(-1), IDENTITY_BAD_CERTIFICATE);
}

/* The outer length in five bytes instead of as few as possible: the same content in BER. */
static void a_second_spelling_of_a_certificate_is_refused(void **state)
{
    const struct certificate_spec spec = { CLIENT };
    CERTIFICATE_AUTO client = certificates_make(&spec, &root);
    struct identity_der der = certificates_der(&client);
    uint8_t ber[4096];
    struct identity_der respelt = { ber, der.len_bytes + 1 };
    enum identity_fault fault = IDENTITY_OK;
    struct identity who;

    (void)state;
    assert_true(der.bytes[1] == 0x82 && der.len_bytes + 1 < sizeof ber);
    ber[0] = der.bytes[0];
    ber[1] = 0x83;
    ber[2] = 0;
    memcpy(ber + 3, der.bytes + 2, der.len_bytes - 2);
    assert_int_equal(trust_verify(root_trust, &respelt, 1, CERTIFICATES_NOW_S, &who, &fault, NULL),
                     -ERROR_UNAUTHENTICATED);
    assert_int_equal(fault, IDENTITY_BAD_CERTIFICATE);
    OPENSSL_free((void *)(uintptr_t)der.bytes);
}

static void an_empty_certificate_is_refused(void **state)
{
    struct identity_der nothing = { (const uint8_t *)"", 0 };
    enum identity_fault fault = IDENTITY_OK;
    struct identity who;

    (void)state;
    assert_int_equal(trust_verify(root_trust, &nothing, 1, CERTIFICATES_NOW_S, &who, &fault, NULL),
                     -ERROR_UNAUTHENTICATED);
    assert_int_equal(fault, IDENTITY_BAD_CERTIFICATE);
}

/* A client below one authority below the root. */
static enum identity_fault verify_below(const struct certificate_spec *subordinate)
{
    const struct certificate_spec client_spec = { CLIENT };
    CERTIFICATE_AUTO middle = certificates_make(subordinate, &root);
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &middle);
    const struct certificate *chain[] = { &client, &middle };

    assert_int_equal(verify(root_trust, chain, 1, NULL), IDENTITY_UNKNOWN_CA);
    return verify(root_trust, chain, 2, NULL);
}

#define VERIFY_BELOW(...) verify_below(&(struct certificate_spec){ .common_name = "sub", __VA_ARGS__ })

static void an_issuer_has_to_be_an_authority(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_BELOW(.constraints = "critical,CA:TRUE", .usage = "keyCertSign"), IDENTITY_OK);
    assert_int_equal(VERIFY_BELOW(.constraints = "critical,CA:TRUE"), IDENTITY_OK);
    assert_int_equal(VERIFY_BELOW(.constraints = "CA:FALSE", .usage = "keyCertSign"),
                     IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_BELOW(.constraints = "critical,CA:TRUE", .usage = "digitalSignature"),
                     IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_BELOW(.constraints = NULL), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_BELOW(.constraints = "critical,CA:TRUE", .begin_s = -9, .end_s = -1),
                     IDENTITY_EXPIRED);
    assert_int_equal(VERIFY_BELOW(.constraints = "critical,CA:TRUE", .extended_usage = "serverAuth"),
                     IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_BELOW(.constraints = "critical,CA:TRUE", .key = "RSA-1024"),
                     IDENTITY_BAD_CERTIFICATE);
}

/* X509_check_ca() alone would take this one for an authority. */
static void a_right_to_sign_alone_makes_no_authority(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_BELOW(.constraints = NULL, .usage = "keyCertSign"), IDENTITY_BAD_CERTIFICATE);
}

static void a_client_cannot_issue_clients(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_BELOW(.constraints = "CA:FALSE", .usage = "digitalSignature",
                                  .extended_usage = "clientAuth"), IDENTITY_BAD_CERTIFICATE);
}

static void path_length_and_name_constraints_hold(void **state)
{
    const struct certificate_spec first_spec = { .common_name = "one",
                                                 .constraints = "critical,CA:TRUE,pathlen:0" };
    const struct certificate_spec second_spec = SUBORDINATE("two"), client_spec = { CLIENT };
    CERTIFICATE_AUTO first = certificates_make(&first_spec, &root);
    CERTIFICATE_AUTO second = certificates_make(&second_spec, &first);
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &second);
    const struct certificate *chain[] = { &client, &second, &first };
    const struct certificate_spec narrow_spec = { .common_name = "narrow",
        .constraints = "critical,CA:TRUE", .name_constraints = "critical,permitted;DNS:example.org" };
    const struct certificate_spec outside_spec = { CLIENT, .names = "DNS:a.example.com" };
    CERTIFICATE_AUTO narrow = certificates_make(&narrow_spec, &root);
    CERTIFICATE_AUTO outside = certificates_make(&outside_spec, &narrow);
    const struct certificate *outside_chain[] = { &outside, &narrow };

    (void)state;
    assert_int_equal(verify(root_trust, chain, 3, NULL), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(verify(root_trust, outside_chain, 2, NULL), IDENTITY_BAD_CERTIFICATE);
}

static void a_chain_may_have_four_certificates_and_no_more(void **state)
{
    const struct certificate_spec client_spec = { CLIENT };
    struct certificate made[IDENTITY_CHAIN_MAX + 1];
    const struct certificate *chain[IDENTITY_CHAIN_MAX + 1];
    const struct certificate *issuer = &root;

    (void)state;
    /* made[0] the root's, made[3] the last authority; each is a client's issuer once. */
    for (size_t i = 0; i < IDENTITY_CHAIN_MAX; i++) {
        const char *names[] = { "a", "b", "c", "d" };
        const struct certificate_spec spec = SUBORDINATE(names[i]);

        made[i] = certificates_make(&spec, issuer);
        issuer = &made[i];
    }
    for (size_t authorities = 3; authorities <= 4; authorities++) {
        made[4] = certificates_make(&client_spec, &made[authorities - 1]);
        chain[0] = &made[4];
        for (size_t i = 0; i < authorities; i++) {
            chain[i + 1] = &made[authorities - 1 - i];
        }
        assert_int_equal(verify(root_trust, chain, authorities + 1, NULL),
                         authorities == 3 ? IDENTITY_OK : IDENTITY_BAD_CERTIFICATE);
        certificates_free(&made[4]);
    }
    for (size_t i = 0; i < IDENTITY_CHAIN_MAX; i++) {
        certificates_free(&made[i]);
    }
}

static void what_is_sent_along_for_nothing_does_no_harm(void **state)
{
    const struct certificate_spec client_spec = { CLIENT }, other_spec = { .common_name = "mallory" };
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &root);
    CERTIFICATE_AUTO other = certificates_make(&other_spec, NULL);
    const struct certificate *chain[] = { &client, &other, &root };
    const struct certificate *turned[] = { &other, &client };

    (void)state;
    assert_int_equal(verify(root_trust, chain, 3, NULL), IDENTITY_OK);
    assert_int_equal(verify(root_trust, turned, 2, NULL), IDENTITY_UNKNOWN_CA);
}

static void what_is_sent_along_counts(void **state)
{
    const struct certificate_spec client_spec = { CLIENT }, other_spec = { .common_name = "mallory" };
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &root);
    CERTIFICATE_AUTO other = certificates_make(&other_spec, NULL);
    const struct certificate *chain[IDENTITY_CHAIN_MAX + 1] = { &client, &other, &other, &other, &other };

    (void)state;
    assert_int_equal(verify(root_trust, chain, IDENTITY_CHAIN_MAX, NULL), IDENTITY_OK);
    assert_int_equal(verify(root_trust, chain, IDENTITY_CHAIN_MAX + 1, NULL), IDENTITY_BAD_CERTIFICATE);
}

static void an_intermediate_authority_can_be_the_anchor(void **state)
{
    const struct certificate_spec sub_spec = SUBORDINATE("department"), client_spec = { CLIENT };
    CERTIFICATE_AUTO sub = certificates_make(&sub_spec, &root);
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &sub);
    CERTIFICATE_AUTO stranger = certificates_make(&client_spec, &root);
    const struct certificate *anchors[] = { &sub }, *chain[] = { &client }, *strange[] = { &stranger };
    struct trust *trust = certificates_trust(anchors, 1);

    (void)state;
    assert_non_null(trust);
    assert_int_equal(verify(trust, chain, 1, NULL), IDENTITY_OK);
    assert_int_equal(verify(trust, strange, 1, NULL), IDENTITY_UNKNOWN_CA);
    trust_unref(trust);
}

static void anchors_are_authorities(void **state)
{
    const struct certificate_spec client_spec = { CLIENT }, old_spec = { .common_name = "old" };
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &root);
    CERTIFICATE_AUTO old = certificates_make(&old_spec, NULL);
    const struct certificate *a[] = { &root, &client }, *b[] = { &old };

    (void)state;
    assert_null(certificates_trust(a, 2));
    assert_null(certificates_trust(b, 1));
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
    assert_unloadable("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "PRIVATE KEY");
    assert_unloadable("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "X509 CRL");
    assert_unloadable("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1");
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
    trust = certificates_trust(anchors, TRUST_ANCHORS_MAX);
    assert_non_null(trust);
    trust_unref(trust);
    assert_null(certificates_trust(anchors, TRUST_ANCHORS_MAX + 1));
}

enum { THREADS = 4, ROUNDS = 100 };

static void *verify_often(void *arg)
{
    const struct identity_der *der = arg;

    for (int i = 0; i < ROUNDS; i++) {
        struct trust *mine = trust_ref(root_trust);
        struct identity who;
        enum identity_fault fault;

        if (trust_verify(mine, der, 1, CERTIFICATES_NOW_S, &who, &fault, NULL) != 0) {
            return arg;
        }
        trust_unref(mine);
    }
    return NULL;
}

static void threads_share_a_trust(void **state)
{
    const struct certificate_spec spec = { CLIENT };
    CERTIFICATE_AUTO client = certificates_make(&spec, &root);
    struct identity_der der = certificates_der(&client);
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &der), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    OPENSSL_free((void *)(uintptr_t)der.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_of_our_authority_is_known),
        cmocka_unit_test(no_certificate_is_nobody),
        cmocka_unit_test(time_decides),
        cmocka_unit_test(another_authority_is_unknown),
        cmocka_unit_test(an_authority_of_our_authoritys_name_is_refused),
        cmocka_unit_test(a_self_signed_client_is_unknown),
        cmocka_unit_test(only_certificates_for_clients_are_taken),
        cmocka_unit_test(an_authoritys_certificate_is_no_client),
        cmocka_unit_test(weak_keys_and_digests_are_refused),
        cmocka_unit_test(an_unknown_critical_extension_is_refused),
        cmocka_unit_test(a_huge_extension_is_refused),
        cmocka_unit_test(bytes_behind_or_missing_are_refused),
        cmocka_unit_test(a_second_spelling_of_a_certificate_is_refused),
        cmocka_unit_test(an_empty_certificate_is_refused),
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
        cmocka_unit_test(threads_share_a_trust),
    };

    return cmocka_run_group_tests(tests, make_root, free_root);
}
