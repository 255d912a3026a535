/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/pki.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/certificate.h"
#include "auth/guarded_file.h"
#include "common/clock.h"

enum {
    SERIAL_BITS = 159, /* RFC 5280, 4.1.2.2: at most 20 octets, positive */
    NAME_MAX_BYTES = 64,
    PEM_FILE_MAX_BYTES = 65536,
    CLOCK_SKEW_S = 300, /* peers whose clocks are behind take it at once */
    DAY_S = 86400,
};

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void free_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

#define KEY_AUTO   __attribute__((cleanup(free_key))) EVP_PKEY
#define BIO_AUTO   __attribute__((cleanup(free_bio))) BIO
#define NAMES_AUTO __attribute__((cleanup(free_names))) GENERAL_NAMES

struct pair_paths {
    char certificate[PATH_MAX];
    char key[PATH_MAX];
};

static int make_paths(const char *dir, const char *name, struct pair_paths *out, struct failure *f)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = strlen(name);

    if (len == 0 || len > NAME_MAX_BYTES || strspn(name, letters) != len ||
        strchr("_.-", name[0]) != NULL) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "\"%s\" cannot be the name of a file here",
                           name);
    }
    if (snprintf(out->certificate, sizeof out->certificate, "%s/%s.crt", dir, name) >= PATH_MAX ||
        snprintf(out->key, sizeof out->key, "%s/%s.key", dir, name) >= PATH_MAX) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "the path of the folder is too long");
    }
    return 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static int write_pem(const char *path, enum guarded_kind kind, BIO *pem, struct failure *f)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(pem, &bytes);

    return guarded_file_create(path, kind, bytes, (size_t)len, f);
}

/* The key first: a certificate that is there has its key. */
static int write_pair(const struct pair_paths *paths, X509 *certificate, EVP_PKEY *key,
                      struct failure *f)
{
    BIO_AUTO *key_pem = BIO_new(BIO_s_secmem()); /* wiped when freed */
    BIO_AUTO *certificate_pem = BIO_new(BIO_s_mem());
    int result;

    if (key_pem == NULL || certificate_pem == NULL ||
        PEM_write_bio_PKCS8PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL) != 1 ||
        PEM_write_bio_X509(certificate_pem, certificate) != 1) {
        return certificate_cause(
            f, failure_set(f, ERROR_INTERNAL, "cannot write %s as PEM", paths->certificate));
    }
    result = write_pem(paths->key, GUARDED_SECRET, key_pem, f);
    if (result == -ERROR_ALREADY_EXISTS) {
        return failure_next(f, result, "%s has no certificate beside it: remove it", paths->key);
    }
    if (result != 0) {
        return result;
    }
    result = write_pem(paths->certificate, GUARDED_PUBLIC, certificate_pem, f);
    if (result != 0) {
        (void)unlink(paths->key);
    }
    return result;
}

static int read_pem(const char *path, enum guarded_kind kind, BIO **out, struct failure *f)
{
    BUFFER_AUTO(content, PEM_FILE_MAX_BYTES);
    BIO *bio;
    int result;

    result = guarded_file_read(path, kind, &content, f);
    if (result == 0) {
        bio = BIO_new(BIO_s_secmem());
        if (bio == NULL || BIO_write(bio, content.data, (int)content.len_bytes) < 0) {
            BIO_free(bio);
            result = certificate_cause(
                f, failure_set(f, ERROR_FAILED_PRECONDITION, "cannot take in %s", path));
        } else {
            *out = bio;
        }
    }
    if (content.data != NULL) {
        explicit_bzero(content.data, content.capacity_bytes);
    }
    return result;
}

/* A key protected by a password is none of ours: fail instead of asking on the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static int read_pair(const struct pair_paths *paths, X509 **certificate, EVP_PKEY **key,
                     struct failure *f)
{
    BIO_AUTO *certificate_pem = NULL;
    BIO_AUTO *key_pem = NULL;
    int result = read_pem(paths->certificate, GUARDED_PUBLIC, &certificate_pem, f);

    if (result == 0) {
        result = read_pem(paths->key, GUARDED_SECRET, &key_pem, f);
    }
    if (result != 0) {
        return result;
    }
    *certificate = PEM_read_bio_X509(certificate_pem, NULL, no_password, NULL);
    *key = PEM_read_bio_PrivateKey(key_pem, NULL, no_password, NULL);
    if (*certificate == NULL || *key == NULL || X509_check_private_key(*certificate, *key) != 1 ||
        X509_check_ca(*certificate) != 1) {
        return certificate_cause(f,
                                 failure_set(f, ERROR_FAILED_PRECONDITION,
                                             "%s and %s are not an authority's certificate and key",
                                             paths->certificate, paths->key));
    }
    return 0;
}

/* --- what a certificate says ------------------------------------------------------------------ */

static bool set_serial(X509 *certificate)
{
    BIGNUM *number = BN_new();
    bool done = number != NULL &&
                BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;

    BN_free(number);
    return done;
}

/* An expired one was valid for a day. */
static bool set_validity(X509 *certificate, int valid_days)
{
    time_t now = (time_t)(clock_wall_ns() / CLOCK_NS_PER_S);
    time_t end = now + (time_t)valid_days * DAY_S;
    time_t begin = valid_days > 0 ? now - CLOCK_SKEW_S : end - DAY_S;

    return ASN1_TIME_adj(X509_getm_notBefore(certificate), begin, 0, 0) != NULL &&
           ASN1_TIME_adj(X509_getm_notAfter(certificate), end, 0, 0) != NULL;
}

static bool set_common_name(X509 *certificate, const char *common_name)
{
    X509_NAME *subject = X509_get_subject_name(certificate);

    return common_name == NULL ||
           X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)common_name, -1, -1, 0) == 1;
}

/* `value` is ours: what a caller chose never goes through this syntax. */
static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool done;

    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

static bool add_name(GENERAL_NAMES *names, int type, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = NULL;

    if (name != NULL && type == GEN_IPADD) {
        value = a2i_IPADDRESS(text);
    } else if (name != NULL) {
        value = ASN1_IA5STRING_new();
        if (value != NULL && (text[0] == '\0' || ASN1_STRING_set(value, text, -1) != 1)) {
            ASN1_STRING_free(value);
            value = NULL;
        }
    }
    if (value == NULL) {
        GENERAL_NAME_free(name);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, value);
    if (sk_GENERAL_NAME_push(names, name) <= 0) {
        GENERAL_NAME_free(name);
        return false;
    }
    return true;
}

static bool add_names(GENERAL_NAMES *names, int type, const char *const *texts)
{
    for (; texts != NULL && *texts != NULL; texts++) {
        if (!add_name(names, type, *texts)) {
            return false;
        }
    }
    return true;
}

static bool add_subject_names(X509 *certificate, const struct pki_subject *subject)
{
    NAMES_AUTO *names = GENERAL_NAMES_new();
    int critical = subject->common_name == NULL; /* RFC 5280, 4.2.1.6: where there is no subject */

    if (names == NULL || !add_names(names, GEN_URI, subject->uris) ||
        !add_names(names, GEN_DNS, subject->dns_names) ||
        !add_names(names, GEN_IPADD, subject->addresses)) {
        return false;
    }
    return sk_GENERAL_NAME_num(names) == 0 ||
           X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, critical,
                             X509V3_ADD_DEFAULT) == 1;
}

/* --- making ----------------------------------------------------------------------------------- */

/* All that is the same for every certificate. */
static X509 *begin(EVP_PKEY *key, const char *common_name, int valid_days)
{
    X509 *certificate = X509_new();

    if (certificate == NULL || X509_set_version(certificate, X509_VERSION_3) != 1 ||
        !set_serial(certificate) || !set_validity(certificate, valid_days) ||
        !set_common_name(certificate, common_name) || X509_set_pubkey(certificate, key) != 1) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

static int check_days(int valid_days, struct failure *f)
{
    if (valid_days == 0 || valid_days > PKI_VALID_DAYS_MAX || valid_days < -PKI_VALID_DAYS_MAX) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "valid for %d days: expected 1 to %d",
                           valid_days, PKI_VALID_DAYS_MAX);
    }
    return 0;
}

static int cannot_make(struct failure *f, const char *name)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "cannot make the certificate %s", name);

    return certificate_cause(f, result);
}

int pki_make_ca(const char *dir, const char *name, const char *common_name, int valid_days,
                struct failure *f)
{
    KEY_AUTO *key = NULL;
    X509_AUTO *certificate = NULL;
    struct pair_paths paths;
    int result = make_paths(dir, name, &paths, f);

    if (result == 0) {
        result = check_days(valid_days, f);
    }
    if (result == 0 && (common_name == NULL || common_name[0] == '\0')) {
        result = failure_set(f, ERROR_INVALID_ARGUMENT, "an authority has to have a common name");
    }
    if (result != 0) {
        return result;
    }
    key = EVP_EC_gen("P-256");
    certificate = key != NULL ? begin(key, common_name, valid_days) : NULL;
    if (certificate == NULL ||
        X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) != 1 ||
        !add_extension(certificate, certificate, NID_basic_constraints,
                       "critical,CA:TRUE,pathlen:0") ||
        !add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(certificate, certificate, NID_subject_key_identifier, "hash") ||
        !add_extension(certificate, certificate, NID_authority_key_identifier, "keyid:always") ||
        X509_sign(certificate, key, EVP_sha256()) <= 0) {
        return cannot_make(f, name);
    }
    return write_pair(&paths, certificate, key, f);
}

int pki_issue(const char *dir, const char *ca, const char *name, const struct pki_subject *subject,
              struct failure *f)
{
    KEY_AUTO *ca_key = NULL;
    KEY_AUTO *key = NULL;
    X509_AUTO *ca_certificate = NULL;
    X509_AUTO *certificate = NULL;
    struct pair_paths ca_paths, paths;
    int result = make_paths(dir, ca, &ca_paths, f);

    if (result != 0 || (result = make_paths(dir, name, &paths, f)) != 0 ||
        (result = check_days(subject->valid_days, f)) != 0 ||
        (result = read_pair(&ca_paths, &ca_certificate, &ca_key, f)) != 0) {
        return result;
    }
    key = EVP_EC_gen("P-256");
    certificate = key != NULL ? begin(key, subject->common_name, subject->valid_days) : NULL;
    if (certificate == NULL ||
        X509_set_issuer_name(certificate, X509_get_subject_name(ca_certificate)) != 1 ||
        !add_extension(certificate, ca_certificate, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(certificate, ca_certificate, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(certificate, ca_certificate, NID_ext_key_usage,
                       subject->server ? "serverAuth" : "clientAuth") ||
        !add_extension(certificate, ca_certificate, NID_subject_key_identifier, "hash") ||
        !add_extension(certificate, ca_certificate, NID_authority_key_identifier, "keyid:always") ||
        !add_subject_names(certificate, subject) ||
        X509_sign(certificate, ca_key, EVP_sha256()) <= 0) {
        return cannot_make(f, name);
    }
    return write_pair(&paths, certificate, key, f);
}
