/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/access.h"

#include <openssl/sha.h>
#include <pthread.h>

#include "tests/lib/certificate_root.h"
#include "tests/lib/unit.h"

static enum identity_fault verify_one(const struct certificate_spec *spec)
{
    CERTIFICATE_AUTO client = certificates_make(spec, &root);
    const struct certificate *chain[] = { &client };

    return certificates_verify(root_access, chain, 1, NULL);
}

#define VERIFY_ONE(...) verify_one(&(struct certificate_spec){ __VA_ARGS__ })
#define VERIFY_USE(says_constraints, says_usage, says_extended)                                    \
    VERIFY_ONE(.common_name = "alice", .constraints = (says_constraints), .usage = (says_usage),   \
               .extended_usage = (says_extended))

static void a_client_of_our_authority_is_known(void **state)
{
    const struct certificate_spec spec = { CERTIFICATES_CLIENT };
    CERTIFICATE_AUTO client = certificates_make(&spec, &root);
    const struct certificate *chain[] = { &client };
    struct identity who;
    uint8_t digest[32];
    struct identity_der der;

    (void)state;
    assert_int_equal(certificates_verify(root_access, chain, 1, &who), IDENTITY_OK);
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
    assert_int_equal(certificates_verify(root_access, NULL, 0, NULL), IDENTITY_NO_CERTIFICATE);
}

static void time_decides(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .begin_s = -100, .end_s = -1),
                     IDENTITY_EXPIRED);
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .begin_s = 1, .end_s = 100), IDENTITY_EXPIRED);
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .begin_s = -1, .end_s = 1), IDENTITY_OK);
}

static void another_authority_is_unknown(void **state)
{
    const struct certificate_spec other_spec = CERTIFICATES_AUTHORITY("other"),
                                  client_spec = { CERTIFICATES_CLIENT };
    CERTIFICATE_AUTO other = certificates_make(&other_spec, NULL);
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &other);
    const struct certificate *chain[] = { &client, &other };

    (void)state;
    assert_int_equal(certificates_verify(root_access, chain, 1, NULL), IDENTITY_UNKNOWN_CA);
    assert_int_equal(certificates_verify(root_access, chain, 2, NULL), IDENTITY_UNKNOWN_CA);
}

static void an_authority_of_our_authoritys_name_is_refused(void **state)
{
    const struct certificate_spec client_spec = { CERTIFICATES_CLIENT };
    CERTIFICATE_AUTO impostor = certificates_make(&root_spec, NULL);
    CERTIFICATE_AUTO client = certificates_make(&client_spec, &impostor);
    const struct certificate *chain[] = { &client, &impostor };

    (void)state;
    assert_int_not_equal(certificates_verify(root_access, chain, 1, NULL), IDENTITY_OK);
    assert_int_not_equal(certificates_verify(root_access, chain, 2, NULL), IDENTITY_OK);
}

static void a_self_signed_client_is_unknown(void **state)
{
    const struct certificate_spec spec = { CERTIFICATES_CLIENT };
    CERTIFICATE_AUTO client = certificates_make(&spec, NULL);
    const struct certificate *chain[] = { &client };

    (void)state;
    assert_int_equal(certificates_verify(root_access, chain, 1, NULL), IDENTITY_UNKNOWN_CA);
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
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .key = "RSA-1024"), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .key = "P-192"), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .sha1 = true), IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .key = "RSA-2048"), IDENTITY_OK);
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .key = "P-384"), IDENTITY_OK);
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .key = "ED25519"), IDENTITY_OK);
}

static void an_unknown_critical_extension_is_refused(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .unknown_critical = true),
                     IDENTITY_BAD_CERTIFICATE);
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .huge_bytes = 4), IDENTITY_OK);
}

static void a_huge_extension_is_refused(void **state)
{
    (void)state;
    assert_int_equal(VERIFY_ONE(CERTIFICATES_CLIENT, .huge_bytes = IDENTITY_CERTIFICATE_MAX_BYTES),
                     IDENTITY_BAD_CERTIFICATE);
}

/* With bytes added to, or taken from, the end. */
static enum identity_fault verify_resized(int change)
{
    const struct certificate_spec spec = { CERTIFICATES_CLIENT };
    CERTIFICATE_AUTO client = certificates_make(&spec, &root);
    struct identity_der der = certificates_der(&client);
    uint8_t *copy = calloc(1, der.len_bytes + 16);
    struct identity_der resized = { copy, (size_t)((int)der.len_bytes + change) };
    enum identity_fault fault = IDENTITY_OK;
    struct identity who;

    assert_non_null(copy);
    memcpy(copy, der.bytes, der.len_bytes);
    assert_int_equal(
        access_certificate(root_access, &resized, 1, CERTIFICATES_NOW_S, &who, &fault, NULL),
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
    const struct certificate_spec spec = { CERTIFICATES_CLIENT };
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
    assert_int_equal(
        access_certificate(root_access, &respelt, 1, CERTIFICATES_NOW_S, &who, &fault, NULL),
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
    assert_int_equal(
        access_certificate(root_access, &nothing, 1, CERTIFICATES_NOW_S, &who, &fault, NULL),
        -ERROR_UNAUTHENTICATED);
    assert_int_equal(fault, IDENTITY_BAD_CERTIFICATE);
}

enum { THREADS = 4, ROUNDS = 100 };

static void *verify_often(void *arg)
{
    const struct identity_der *der = arg;

    for (int i = 0; i < ROUNDS; i++) {
        struct access *mine = access_ref(root_access);
        struct identity who;
        enum identity_fault fault;

        if (access_certificate(mine, der, 1, CERTIFICATES_NOW_S, &who, &fault, NULL) != 0) {
            return arg;
        }
        access_unref(mine);
    }
    return NULL;
}

static void threads_share_access(void **state)
{
    const struct certificate_spec spec = { CERTIFICATES_CLIENT };
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
        cmocka_unit_test(threads_share_access),
    };

    return cmocka_run_group_tests(tests, certificate_root_make, certificate_root_free);
}
