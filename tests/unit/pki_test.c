/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/pki.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "auth/certificate.h"
#include "common/clock.h"
#include "tests/lib/anchors.h"
#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

static void make_ca(const struct folder *dir)
{
    assert_int_equal(pki_make_ca(dir->path, "ca", "Test CA", 3650, NULL), 0);
}

static X509 *read_certificate(const struct folder *dir, const char *name)
{
    FILE *file = fopen(folder_path(dir, name), "re");
    X509 *certificate;

    assert_non_null(file);
    certificate = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    assert_non_null(certificate);
    return certificate;
}

/* The identity that the gateway would see, by the CA in the same folder; "" where it sees none. */
static const char *identity_of(const struct folder *dir, const char *name,
                               enum identity_fault *fault)
{
    static struct identity who;
    X509_AUTO *certificate = read_certificate(dir, name);
    struct access *access = anchors_in(folder_path(dir, "ca.crt"));
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    struct identity_der chain = { der, (size_t)len };
    int result;

    result = access_certificate(access, &chain, 1, (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S),
                                &who, fault, NULL);
    OPENSSL_free(der);
    access_unref(access);
    return result == 0 ? who.text : "";
}

static void a_client_is_let_in(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *const uris[] = { "spiffe://example.org/agent", NULL };
    const struct pki_subject by_name = { .common_name = "alice", .valid_days = 1 };
    const struct pki_subject by_uri = { .uris = uris, .valid_days = 1 };
    enum identity_fault fault;

    (void)state;
    make_ca(&dir);
    assert_int_equal(pki_issue(dir.path, "ca", "alice", &by_name, NULL), 0);
    assert_int_equal(pki_issue(dir.path, "ca", "agent", &by_uri, NULL), 0);
    assert_string_equal(identity_of(&dir, "alice.crt", &fault), "cn:alice");
    assert_string_equal(identity_of(&dir, "agent.crt", &fault),
                        "spiffe:spiffe://example.org/agent");
}

static void an_expired_client_and_a_server_are_not(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const struct pki_subject expired = { .common_name = "old", .valid_days = -1 };
    const struct pki_subject server = { .common_name = "server", .server = true, .valid_days = 1 };
    enum identity_fault fault;

    (void)state;
    make_ca(&dir);
    assert_int_equal(pki_issue(dir.path, "ca", "old", &expired, NULL), 0);
    assert_int_equal(pki_issue(dir.path, "ca", "server", &server, NULL), 0);
    assert_string_equal(identity_of(&dir, "old.crt", &fault), "");
    assert_int_equal(fault, IDENTITY_EXPIRED);
    assert_string_equal(identity_of(&dir, "server.crt", &fault), "");
    assert_int_equal(fault, IDENTITY_BAD_CERTIFICATE);
}

static void a_server_has_the_names_it_was_given(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *const dns_names[] = { "localhost", "gateway.example.org", NULL };
    const char *const addresses[] = { "127.0.0.1", "::1", NULL };
    const struct pki_subject subject = {
        .dns_names = dns_names, .addresses = addresses, .server = true, .valid_days = 1
    };
    X509_AUTO *server = NULL;

    (void)state;
    make_ca(&dir);
    assert_int_equal(pki_issue(dir.path, "ca", "server", &subject, NULL), 0);
    server = read_certificate(&dir, "server.crt");
    assert_int_equal(X509_check_host(server, "gateway.example.org", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(server, "other.example.org", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(server, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(server, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(server, "127.0.0.2", 0), 0);
    assert_int_equal(X509_get_extended_key_usage(server), XKU_SSL_SERVER);
}

/* The profile of RFC 5280 in full, as other libraries may insist on it. */
static void certificates_pass_strict_verification(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *const uris[] = { "spiffe://example.org/a", NULL };
    const struct pki_subject subject = { .uris = uris, .valid_days = 1 };
    X509_AUTO *ca = NULL;
    X509_AUTO *client = NULL;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();

    (void)state;
    make_ca(&dir);
    assert_int_equal(pki_issue(dir.path, "ca", "a", &subject, NULL), 0);
    ca = read_certificate(&dir, "ca.crt");
    client = read_certificate(&dir, "a.crt");
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, client, NULL), 1);
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
    assert_int_equal(X509_verify_cert(ctx), 1);
    assert_int_equal(X509_check_ca(client), 0);
    assert_int_equal(X509_get_pathlen(ca), 0);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
}

static void serials_are_long_positive_and_different(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const struct pki_subject subject = { .common_name = "a", .valid_days = 1 };
    X509_AUTO *a = NULL;
    X509_AUTO *b = NULL;

    (void)state;
    make_ca(&dir);
    assert_int_equal(pki_issue(dir.path, "ca", "a", &subject, NULL), 0);
    assert_int_equal(pki_issue(dir.path, "ca", "b", &subject, NULL), 0);
    a = read_certificate(&dir, "a.crt");
    b = read_certificate(&dir, "b.crt");
    assert_int_equal(ASN1_STRING_length(X509_get0_serialNumber(a)), 20);
    assert_int_equal(ASN1_STRING_type(X509_get0_serialNumber(a)), V_ASN1_INTEGER);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(a), X509_get0_serialNumber(b)), 0);
}

static void keys_are_secret_and_certificates_are_not(void **state)
{
    FOLDER_AUTO dir = folder_make();
    struct stat st;

    (void)state;
    make_ca(&dir);
    assert_int_equal(stat(folder_path(&dir, "ca.key"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(folder_path(&dir, "ca.crt"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(folder_entries(&dir, 0), 2);
}

static void nothing_is_overwritten(void **state)
{
    FOLDER_AUTO dir = folder_make();
    X509_AUTO *before = NULL;
    X509_AUTO *after = NULL;

    (void)state;
    make_ca(&dir);
    before = read_certificate(&dir, "ca.crt");
    assert_int_equal(pki_make_ca(dir.path, "ca", "Test CA", 1, NULL), -ERROR_ALREADY_EXISTS);
    assert_int_equal(unlink(folder_path(&dir, "ca.key")), 0);
    assert_int_equal(pki_make_ca(dir.path, "ca", "Test CA", 1, NULL), -ERROR_ALREADY_EXISTS);
    assert_int_equal(folder_entries(&dir, 0), 1); /* no key without its certificate */
    after = read_certificate(&dir, "ca.crt");
    assert_int_equal(X509_cmp(before, after), 0);
}

static int issue(const struct folder *dir, const char *name, const struct pki_subject *subject)
{
    int result = pki_issue(dir->path, "ca", name, subject, NULL);

    assert_int_equal(folder_entries(dir, 0), 2);
    return result;
}

static void what_cannot_be_is_refused_and_leaves_nothing(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const struct pki_subject good = { .common_name = "a", .valid_days = 1 };
    const char *const no_address[] = { "localhost", NULL }, *const empty[] = { "", NULL };
    const struct pki_subject bad[] = {
        { .common_name = "a", .valid_days = 0 },
        { .common_name = "a", .valid_days = PKI_VALID_DAYS_MAX + 1 },
        { .common_name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          .valid_days = 1 },
        { .common_name = "a", .addresses = no_address, .valid_days = 1 },
        { .common_name = "a", .uris = empty, .valid_days = 1 },
    };
    const char *const bad_names[] = { "", "../a", "a/b", ".a", "-a", "a b" };

    (void)state;
    make_ca(&dir);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(issue(&dir, "x", &bad[i]), -ERROR_INVALID_ARGUMENT);
    }
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++) {
        assert_int_equal(issue(&dir, bad_names[i], &good), -ERROR_INVALID_ARGUMENT);
    }
    assert_int_equal(pki_make_ca(dir.path, "ca2", NULL, 1, NULL), -ERROR_INVALID_ARGUMENT);
}

static void only_an_authority_issues_and_only_with_a_key_of_its_own(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const struct pki_subject subject = { .common_name = "a", .valid_days = 1 };

    (void)state;
    make_ca(&dir);
    assert_int_equal(pki_issue(dir.path, "ca", "a", &subject, NULL), 0);
    assert_int_equal(pki_issue(dir.path, "a", "b", &subject, NULL), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(chmod(folder_path(&dir, "ca.key"), 0644), 0);
    assert_int_equal(pki_issue(dir.path, "ca", "b", &subject, NULL), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(chmod(folder_path(&dir, "ca.key"), 0600), 0);
    assert_int_equal(rename(folder_path(&dir, "a.key"), folder_path(&dir, "ca.key")), 0);
    assert_int_equal(pki_issue(dir.path, "ca", "b", &subject, NULL), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(pki_issue(dir.path, "none", "b", &subject, NULL), -ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_let_in),
        cmocka_unit_test(an_expired_client_and_a_server_are_not),
        cmocka_unit_test(a_server_has_the_names_it_was_given),
        cmocka_unit_test(certificates_pass_strict_verification),
        cmocka_unit_test(serials_are_long_positive_and_different),
        cmocka_unit_test(keys_are_secret_and_certificates_are_not),
        cmocka_unit_test(nothing_is_overwritten),
        cmocka_unit_test(what_cannot_be_is_refused_and_leaves_nothing),
        cmocka_unit_test(only_an_authority_issues_and_only_with_a_key_of_its_own),
    };

    return UNIT_RUN(tests);
}
