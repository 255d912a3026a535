/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/crl.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>

#include "auth/certificate.h"
#include "auth/pem.h"

enum { DIGEST_MIN_BYTES = 28 }; /* 112 bits of security: SHA-224 and more */

struct reading {
    const char *name;
    X509_STORE *store;
    X509_CRL *lists[CRL_LISTS_MAX]; /* so far; the store's */
    size_t count;
};

static void free_list(X509_CRL **list)
{
    X509_CRL_free(*list);
    ERR_clear_error();
}

#define CRL_AUTO __attribute__((cleanup(free_list))) X509_CRL

/* Exactly one list in exactly its canonical bytes; NULL otherwise. */
static X509_CRL *decode(const uint8_t *der, size_t len_bytes)
{
    const unsigned char *at = der;
    X509_CRL *list = d2i_X509_CRL(NULL, &at, (long)len_bytes);
    unsigned char *again = NULL;
    int len = list != NULL ? i2d_X509_CRL(list, &again) : -1;
    bool is_same = len > 0 && (size_t)len == len_bytes && memcmp(again, der, len_bytes) == 0;

    OPENSSL_free(again);
    if (!is_same) {
        X509_CRL_free(list);
        return NULL;
    }
    return list;
}

static bool has_critical_extension(const X509_CRL *list)
{
    for (int i = 0; i < X509_CRL_get_ext_count(list); i++) {
        if (X509_EXTENSION_get_critical(X509_CRL_get_ext(list, i)) != 0) {
            return true;
        }
    }
    return false;
}

static bool is_weak(const X509_CRL *list)
{
    int digest = NID_undef, key = NID_undef;

    if (OBJ_find_sigid_algs(X509_CRL_get_signature_nid(list), &digest, &key) != 1) {
        return true;
    }
    const EVP_MD *md = digest != NID_undef ? EVP_get_digestbynid(digest) : NULL;

    /* EdDSA has none of its own; what PSS has is in its parameters, and no more is asked of those. */
    return digest != NID_undef && (md == NULL || EVP_MD_get_size(md) < DIGEST_MIN_BYTES);
}

/* NULL: it can be honoured. */
static const char *fault_of(X509_CRL *list)
{
    return X509_CRL_get_ext_by_NID(list, NID_delta_crl, -1) >= 0
               ? "is a delta; expected a whole list"
           : X509_CRL_get_ext_by_NID(list, NID_issuing_distribution_point, -1) >= 0
               ? "is of some certificates only; expected a whole list"
           : has_critical_extension(list) ? "has a critical extension"
           : X509_CRL_get0_nextUpdate(list) == NULL
               ? "says no nextUpdate; expected until when it counts"
           : is_weak(list) ? "is signed with a weak digest"
                           : NULL;
}

/* The authority's key by its own name for it; NULL: not said. The caller's. */
static AUTHORITY_KEYID *key_of(const X509_CRL *list)
{
    return X509_CRL_get_ext_d2i(list, NID_authority_key_identifier, NULL, NULL);
}

/* An authority that changed its key has two lists, each of which says of which key it is. */
static bool is_of_same_key(const X509_CRL *a, const X509_CRL *b)
{
    AUTHORITY_KEYID *key_a = key_of(a), *key_b = key_of(b);
    bool differ = key_a != NULL && key_b != NULL && key_a->keyid != NULL && key_b->keyid != NULL &&
                  ASN1_OCTET_STRING_cmp(key_a->keyid, key_b->keyid) != 0;

    AUTHORITY_KEYID_free(key_a);
    AUTHORITY_KEYID_free(key_b);
    return X509_NAME_cmp(X509_CRL_get_issuer(a), X509_CRL_get_issuer(b)) == 0 && !differ;
}

/* Where anchors have the name of its issuer, one of them has signed it. */
static bool is_signed(const struct reading *r, X509_CRL *list)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(r->store);
    bool found = false;

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *anchor = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

        if (anchor == NULL ||
            X509_NAME_cmp(X509_get_subject_name(anchor), X509_CRL_get_issuer(list)) != 0) {
            continue;
        }
        found = true;
        if (X509_CRL_verify(list, X509_get0_pubkey(anchor)) == 1) {
            return true;
        }
    }
    return !found;
}

static int take_list(void *arg, const uint8_t *der, size_t len_bytes, unsigned number,
                     struct failure *f)
{
    struct reading *r = arg;
    CRL_AUTO *list = decode(der, len_bytes);
    const char *fault = list == NULL          ? "cannot be read"
                        : !is_signed(r, list) ? "is not signed by the authority that it is of"
                                              : fault_of(list);

    for (size_t i = 0; i < r->count && fault == NULL; i++) {
        if (is_of_same_key(r->lists[i], list)) {
            fault = "is the second one of its authority";
        }
    }
    if (fault != NULL) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "revocation list %u in %s %s", number,
                           r->name, fault);
    }
    if (X509_STORE_add_crl(r->store, list) != 1) {
        return certificate_cause(f, failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                                                "cannot keep revocation list %u of %s", number,
                                                r->name));
    }
    r->lists[r->count++] = list; /* the store has a reference */
    return 0;
}

int crl_parse(X509_STORE *store, const char *name, const void *pem, size_t len_bytes,
              struct failure *f)
{
    static const struct pem_kind kind = {
        .label = PEM_STRING_X509_CRL,
        .noun = "revocation list",
        .max = CRL_LISTS_MAX,
        .max_bytes = CRL_FILE_MAX_BYTES,
    };
    struct reading reading = { .name = name, .store = store };
    int result = pem_read(&kind, name, pem, len_bytes, take_list, &reading, f);

    return result != 0 ? result : pem_check_rest(name, pem, len_bytes, f);
}
