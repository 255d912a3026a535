/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Certificates for tests, right and wrong ones: what pki.c would never make. Every failure ends the
 * test program: a test of a certificate that could not be made proves nothing.
 */
#ifndef XENRES_TESTS_CERTIFICATES_H
#define XENRES_TESTS_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/access.h"

#define CERTIFICATES_NOW_S INT64_C(2000000000) /* 2033 */
enum { CERTIFICATES_YEAR_S = 365 * 86400 };

/* Extensions in the syntax of x509v3_config(5); NULL: without. */
struct certificate_spec {
    const char *common_name; /* NULL: none */
    size_t common_name_len;  /* 0: up to its NUL */
    const char *second_common_name;
    const char *constraints, *usage, *extended_usage, *names, *name_constraints;
    const char *uri; /* a URI SAN of `uri_len` bytes, whatever they are */
    size_t uri_len;
    const char *key; /* "P-256" where NULL; a curve, "RSA-1024", "ED25519" */
    bool sha1;
    bool says_key;          /* has an identifier of its own key */
    bool unknown_critical;  /* an extension that nobody knows, critical */
    size_t huge_bytes;      /* an extension of this length, not critical */
    int64_t begin_s, end_s; /* from CERTIFICATES_NOW_S; 0, 0: a year both ways */
};

/* A certificate with its key. */
struct certificate {
    X509 *x509;
    EVP_PKEY *key;
};

static inline void certificates_must(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "certificates.h: cannot make: %s\n", what);
        abort();
    }
}
#define CERTIFICATES_MUST(condition) certificates_must((condition), #condition)

static inline EVP_PKEY *certificates_key(const char *kind)
{
    EVP_PKEY *key;

    if (kind == NULL) {
        kind = "P-256";
    }
    if (strncmp(kind, "RSA-", 4) == 0) {
        key = EVP_RSA_gen((unsigned)strtoul(kind + 4, NULL, 10));
    } else if (strcmp(kind, "ED25519") == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    } else {
        key = EVP_EC_gen(kind);
    }
    CERTIFICATES_MUST(key != NULL);
    return key;
}

static inline void certificates_extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    if (value == NULL) {
        return;
    }
    X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    CERTIFICATES_MUST(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

/* An extension of a private arc with `len` zero bytes. */
static inline void certificates_extend_unknown(X509 *x509, bool critical, size_t len)
{
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    unsigned char *zeros = calloc(len, 1);
    X509_EXTENSION *extension;

    CERTIFICATES_MUST(zeros != NULL && ASN1_OCTET_STRING_set(value, zeros, (int)len) == 1);
    extension = X509_EXTENSION_create_by_OBJ(NULL, oid, critical, value);
    CERTIFICATES_MUST(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
    free(zeros);
}

static inline void certificates_uri(X509 *x509, const char *uri, size_t len)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();

    CERTIFICATES_MUST(ASN1_STRING_set(value, uri, (int)len) == 1);
    GENERAL_NAME_set0_value(name, GEN_URI, value);
    CERTIFICATES_MUST(sk_GENERAL_NAME_push(names, name) > 0);
    CERTIFICATES_MUST(X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) ==
                      1);
    GENERAL_NAMES_free(names);
}

static inline void certificates_subject(X509 *x509, const struct certificate_spec *spec)
{
    X509_NAME *subject = X509_get_subject_name(x509);
    const char *names[] = { spec->common_name, spec->second_common_name };

    for (size_t i = 0; i < 2; i++) {
        int len = i == 0 && spec->common_name_len > 0 ? (int)spec->common_name_len : -1;

        CERTIFICATES_MUST(names[i] == NULL ||
                          X509_NAME_add_entry_by_NID(subject, NID_commonName, V_ASN1_UTF8STRING,
                                                     (const unsigned char *)names[i], len, -1,
                                                     0) == 1);
    }
}

/* `issuer` NULL: self-signed. */
static inline struct certificate certificates_make(const struct certificate_spec *spec,
                                                   const struct certificate *issuer)
{
    struct certificate made = { X509_new(), certificates_key(spec->key) };
    const struct certificate *signer = issuer != NULL ? issuer : &made;
    bool dated = spec->begin_s != 0 || spec->end_s != 0;
    const EVP_MD *digest = spec->sha1 ? EVP_sha1() : EVP_sha256();
    static long serial;

    CERTIFICATES_MUST(X509_set_version(made.x509, X509_VERSION_3) == 1);
    CERTIFICATES_MUST(ASN1_INTEGER_set(X509_get_serialNumber(made.x509), ++serial) == 1);
    CERTIFICATES_MUST(
        ASN1_TIME_set(X509_getm_notBefore(made.x509),
                      CERTIFICATES_NOW_S + (dated ? spec->begin_s : -CERTIFICATES_YEAR_S)));
    CERTIFICATES_MUST(
        ASN1_TIME_set(X509_getm_notAfter(made.x509),
                      CERTIFICATES_NOW_S + (dated ? spec->end_s : CERTIFICATES_YEAR_S)));
    certificates_subject(made.x509, spec);
    CERTIFICATES_MUST(X509_set_issuer_name(made.x509, X509_get_subject_name(signer->x509)) == 1);
    CERTIFICATES_MUST(X509_set_pubkey(made.x509, made.key) == 1);
    certificates_extend(made.x509, signer->x509, NID_basic_constraints, spec->constraints);
    if (spec->says_key) {
        certificates_extend(made.x509, signer->x509, NID_subject_key_identifier, "hash");
    }
    certificates_extend(made.x509, signer->x509, NID_key_usage, spec->usage);
    certificates_extend(made.x509, signer->x509, NID_ext_key_usage, spec->extended_usage);
    certificates_extend(made.x509, signer->x509, NID_subject_alt_name, spec->names);
    certificates_extend(made.x509, signer->x509, NID_name_constraints, spec->name_constraints);
    if (spec->uri != NULL) {
        certificates_uri(made.x509, spec->uri, spec->uri_len);
    }
    if (spec->unknown_critical) {
        certificates_extend_unknown(made.x509, true, 4);
    }
    if (spec->huge_bytes > 0) {
        certificates_extend_unknown(made.x509, false, spec->huge_bytes);
    }
    if (EVP_PKEY_get_id(signer->key) == EVP_PKEY_ED25519) {
        digest = NULL;
    }
    CERTIFICATES_MUST(X509_sign(made.x509, signer->key, digest) > 0);
    return made;
}

static inline void certificates_free(struct certificate *c)
{
    X509_free(c->x509);
    EVP_PKEY_free(c->key);
}

/* The same authority with the same key, that ends at another time. */
static inline struct certificate certificates_renew(const struct certificate *c, int64_t end_s)
{
    struct certificate made = { X509_dup(c->x509), c->key };

    CERTIFICATES_MUST(made.x509 != NULL && EVP_PKEY_up_ref(c->key) == 1);
    CERTIFICATES_MUST(ASN1_TIME_set(X509_getm_notAfter(made.x509), CERTIFICATES_NOW_S + end_s) !=
                      NULL);
    CERTIFICATES_MUST(X509_sign(made.x509, made.key, EVP_sha256()) > 0);
    return made;
}

#define CERTIFICATE_AUTO __attribute__((cleanup(certificates_free))) struct certificate

/* OPENSSL_free() releases the bytes. */
static inline struct identity_der certificates_der(const struct certificate *c)
{
    unsigned char *bytes = NULL;
    int len = i2d_X509(c->x509, &bytes);

    CERTIFICATES_MUST(len > 0);
    return (struct identity_der){ bytes, (size_t)len };
}

/* --- revocation lists ------------------------------------------------------------------------- */

struct certificate_list {
    const struct certificate *issuer;
    const struct certificate *revoked[4]; /* up to a NULL */
    int64_t begin_s, end_s;               /* as a certificate_spec's */
    bool is_endless;                      /* no nextUpdate */
    int extension;                        /* NID of one more, whose value is an integer; 0: none */
    bool is_critical;                     /* that one */
    bool says_key;                        /* of the issuer, by which it is signed */
    bool sha1;
};

static inline void certificates_list_extend(X509_CRL *crl, const struct certificate_list *list)
{
    ASN1_INTEGER *one = ASN1_INTEGER_new();
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    unsigned char *der = NULL;
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    if (list->extension != 0) {
        CERTIFICATES_MUST(ASN1_INTEGER_set(one, 1) == 1);
        int len = i2d_ASN1_INTEGER(one, &der);

        CERTIFICATES_MUST(len > 0 && ASN1_OCTET_STRING_set(value, der, len) == 1);
        extension = X509_EXTENSION_create_by_NID(NULL, list->extension, list->is_critical, value);
        CERTIFICATES_MUST(extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1);
        X509_EXTENSION_free(extension);
    }
    if (list->says_key) {
        X509V3_set_ctx(&ctx, list->issuer->x509, NULL, NULL, crl, 0);
        extension = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
        CERTIFICATES_MUST(extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1);
        X509_EXTENSION_free(extension);
    }
    ASN1_INTEGER_free(one);
    ASN1_OCTET_STRING_free(value);
    OPENSSL_free(der);
}

/* X509_CRL_free() releases it. */
static inline X509_CRL *certificates_list(const struct certificate_list *list)
{
    bool dated = list->begin_s != 0 || list->end_s != 0;
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *time = ASN1_TIME_new();

    CERTIFICATES_MUST(X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1);
    CERTIFICATES_MUST(X509_CRL_set_issuer_name(crl, X509_get_subject_name(list->issuer->x509)) ==
                      1);
    CERTIFICATES_MUST(
        ASN1_TIME_set(time, CERTIFICATES_NOW_S + (dated ? list->begin_s : -CERTIFICATES_YEAR_S)) !=
            NULL &&
        X509_CRL_set1_lastUpdate(crl, time) == 1);
    for (size_t i = 0; i < 4 && list->revoked[i] != NULL; i++) {
        X509_REVOKED *revoked = X509_REVOKED_new();

        CERTIFICATES_MUST(X509_REVOKED_set_serialNumber(
                              revoked, X509_get_serialNumber(list->revoked[i]->x509)) == 1 &&
                          X509_REVOKED_set_revocationDate(revoked, time) == 1 &&
                          X509_CRL_add0_revoked(crl, revoked) == 1);
    }
    CERTIFICATES_MUST(
        ASN1_TIME_set(time, CERTIFICATES_NOW_S + (dated ? list->end_s : CERTIFICATES_YEAR_S)) !=
            NULL &&
        (list->is_endless || X509_CRL_set1_nextUpdate(crl, time) == 1));
    ASN1_TIME_free(time);
    certificates_list_extend(crl, list);
    CERTIFICATES_MUST(
        X509_CRL_sort(crl) == 1 &&
        X509_CRL_sign(crl, list->issuer->key, list->sha1 ? EVP_sha1() : EVP_sha256()) > 0);
    return crl;
}

/* As PEM, behind what is in `pem`. */
static inline void certificates_list_write(BIO *pem, const struct certificate_list *list)
{
    X509_CRL *crl = certificates_list(list);

    CERTIFICATES_MUST(PEM_write_bio_X509_CRL(pem, crl) == 1);
    X509_CRL_free(crl);
}

/* --- access ----------------------------------------------------------------------------------- */

/* Anchors of these, which may not be authorities' at all: then NULL. */
static inline struct trust *certificates_anchors(const struct certificate *const *anchors,
                                                 size_t count)
{
    BIO *pem = BIO_new(BIO_s_mem());
    struct trust *trust = NULL;
    char *bytes;
    long len;

    for (size_t i = 0; i < count; i++) {
        CERTIFICATES_MUST(PEM_write_bio_X509(pem, anchors[i]->x509) == 1);
    }
    len = BIO_get_mem_data(pem, &bytes);
    (void)trust_parse("anchors", bytes, (size_t)len, &trust, NULL);
    BIO_free(pem);
    return trust;
}

/* The same, by which everybody below them is let in. */
static inline struct access *certificates_access(const struct certificate *const *anchors,
                                                 size_t count)
{
    struct trust *trust = certificates_anchors(anchors, count);
    struct access *access = NULL;

    if (trust != NULL) {
        CERTIFICATES_MUST(access_new(&trust, 1, NULL, &access, NULL) == 0);
    }
    return access;
}

/* What most tests begin with. */
#define CERTIFICATES_ROOT                                                                          \
    {                                                                                              \
        .common_name = "root", .constraints = "critical,CA:TRUE",                                  \
        .usage = "critical,keyCertSign,cRLSign"                                                    \
    }
#define CERTIFICATES_AUTHORITY(name)                                                               \
    {                                                                                              \
        .common_name = (name), .constraints = "critical,CA:TRUE",                                  \
        .usage = "critical,keyCertSign,cRLSign"                                                    \
    }
#define CERTIFICATES_CLIENT                                                                        \
    .common_name = "alice", .constraints = "CA:FALSE", .usage = "digitalSignature",                \
    .extended_usage = "clientAuth"

/* Verifies these, the client's first, in this order. What access_certificate() promises whatever it finds
 * is checked here. `who` may be NULL. */
static inline enum identity_fault certificates_verify(const struct access *access,
                                                      const struct certificate *const *chain,
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
    result = access_certificate(access, der, count, CERTIFICATES_NOW_S, &scratch, &fault, &f);
    for (size_t i = 0; i < count; i++) {
        OPENSSL_free((void *)(uintptr_t)der[i].bytes);
    }
    CERTIFICATES_MUST(result == (fault == IDENTITY_OK ? 0 : -ERROR_UNAUTHENTICATED));
    CERTIFICATES_MUST(result == 0 || strcmp(scratch.text, "untouched") == 0);
    CERTIFICATES_MUST((result == 0) == (f.message[0] == '\0'));
    if (who != NULL) {
        *who = scratch;
    }
    return fault;
}

#endif
