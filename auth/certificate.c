/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/certificate.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

int certificate_cause(struct failure *f, int result)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

    if (reason != NULL) {
        (void)failure_cause(f, result, "OpenSSL: %s", reason);
    }
    ERR_clear_error();
    return result;
}

void certificate_free(X509 **certificate)
{
    X509_free(*certificate);
}

/* BER has many spellings of one certificate; only one may have its fingerprint and get in. */
static bool is_canonical(X509 *certificate, const uint8_t *der, size_t len_bytes)
{
    unsigned char *again = NULL;
    int len = i2d_X509(certificate, &again);
    bool same = len > 0 && (size_t)len == len_bytes && memcmp(again, der, len_bytes) == 0;

    OPENSSL_free(again);
    return same;
}

X509 *certificate_decode(const uint8_t *der, size_t len_bytes, struct failure *f)
{
    const unsigned char *at = der;
    X509 *certificate;

    if (len_bytes == 0 || len_bytes > IDENTITY_CERTIFICATE_MAX_BYTES) {
        (void)failure_set(f, ERROR_UNAUTHENTICATED,
                          "a certificate of %zu bytes (1 to %d are taken)", len_bytes,
                          IDENTITY_CERTIFICATE_MAX_BYTES);
        return NULL;
    }
    certificate = d2i_X509(NULL, &at, (long)len_bytes);
    if (certificate == NULL) {
        (void)certificate_cause(
            f, failure_set(f, ERROR_UNAUTHENTICATED, "a certificate is malformed"));
        return NULL;
    }
    if (!is_canonical(certificate, der, len_bytes)) {
        X509_free(certificate);
        ERR_clear_error();
        (void)failure_set(
            f, ERROR_UNAUTHENTICATED,
            "a certificate is not in canonical form (DER), or something is behind it");
        return NULL;
    }
    return certificate;
}

int certificate_check_client(X509 *certificate, struct failure *f)
{
    uint32_t flags = X509_get_extension_flags(certificate);
    int result;

    if ((flags & EXFLAG_CA) != 0) {
        return failure_set(f, ERROR_UNAUTHENTICATED,
                           "the certificate is an authority's; those identify no client");
    }
    /* OpenSSL lets a certificate without this extension be anything, so that one made for another
     * purpose would open this door as well. */
    if ((flags & EXFLAG_XKUSAGE) == 0 ||
        (X509_get_extended_key_usage(certificate) & XKU_SSL_CLIENT) == 0) {
        result =
            failure_set(f, ERROR_UNAUTHENTICATED, "the certificate was not issued for TLS clients");
        return failure_next(f, result, "issue it with extendedKeyUsage = clientAuth");
    }
    /* What TLS 1.3 uses the key for; all bits are set where the extension is absent. */
    if ((X509_get_key_usage(certificate) & X509v3_KU_DIGITAL_SIGNATURE) == 0) {
        return failure_set(f, ERROR_UNAUTHENTICATED,
                           "the certificate's key usage lacks digitalSignature");
    }
    return 0;
}

bool certificate_time(const ASN1_TIME *time, int64_t *out_s)
{
    struct tm tm;

    if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1) {
        return false;
    }
    *out_s = timegm(&tm);
    return true;
}

int certificate_facts(const X509 *certificate, struct identity *out, struct failure *f)
{
    unsigned len = sizeof out->fingerprint;
    int64_t end_s;

    if (!certificate_time(X509_get0_notAfter(certificate), &end_s)) {
        return certificate_cause(
            f, failure_set(f, ERROR_UNAUTHENTICATED, "the certificate's end cannot be read"));
    }
    if (X509_digest(certificate, EVP_sha256(), out->fingerprint, &len) != 1) {
        return certificate_cause(f, failure_set(f, ERROR_INTERNAL, "cannot compute a fingerprint"));
    }
    out->not_after_s = end_s;
    return 0;
}

enum identity_fault certificate_fault(int verify_error)
{
    switch (verify_error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_REJECTED: return IDENTITY_UNKNOWN_CA;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return IDENTITY_EXPIRED;
    case X509_V_ERR_CERT_REVOKED: return IDENTITY_REVOKED;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
    case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
    case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
    case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
    case X509_V_ERR_DIFFERENT_CRL_SCOPE:
    case X509_V_ERR_CRL_PATH_VALIDATION_ERROR: return IDENTITY_UNCHECKED;
    default: return IDENTITY_BAD_CERTIFICATE;
    }
}
