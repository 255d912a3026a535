/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/credentials.h"

#include <gnutls/x509.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/key_pem.h"

/* GnuTLS' own are not counted. */
struct credentials_pair {
    atomic_uint refs;
    gnutls_certificate_credentials_t gnutls;
};

struct credentials {
    atomic_uint refs;
    struct credentials_pair *pair;
    struct access *access;
};

static struct credentials_pair *pair_ref(struct credentials_pair *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void credentials_pair_unref(struct credentials_pair *p)
{
    if (p == NULL || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    if (p->gnutls != NULL) {
        gnutls_certificate_free_credentials(p->gnutls); /* wipes the key */
    }
    free(p);
}

static void credentials_free(struct credentials *c)
{
    credentials_pair_unref(c->pair);
    access_unref(c->access);
    free(c);
}

/* GnuTLS takes pointers to non-const bytes, and only reads them. */
static gnutls_datum_t datum(const void *bytes, size_t len_bytes)
{
    union {
        const void *constant;
        unsigned char *plain;
    } u = { .constant = bytes };

    return (gnutls_datum_t){ .data = u.plain, .size = (unsigned)len_bytes };
}

/* GnuTLS' sentences end with a full stop; what is made of them goes on. */
static int fail(struct failure *f, enum error_code error, const char *what, int code)
{
    const char *text = gnutls_strerror(code);

    return failure_set(f, error, "%s: %.*s", what, (int)strcspn(text, "."), text);
}

/* GnuTLS copies what it is given, and wipes its copy of the key with the credentials. */
static int set_key(gnutls_certificate_credentials_t credentials, const struct listener_pem *pem,
                   gnutls_x509_crt_t *chain, unsigned count, struct failure *f)
{
    gnutls_x509_privkey_t key = NULL;
    struct failure fault = { 0 };
    int result;

    if (key_pem_read(pem->key, pem->key_len_bytes, &key, &fault) != 0) {
        result =
            failure_set(f, ERROR_INVALID_ARGUMENT, "the key cannot be read: %s", fault.message);
        return failure_next(f, result,
                            "give a PEM file: the certificate's key, without a password");
    }
    int code = gnutls_certificate_set_x509_key(credentials, chain, (int)count, key);

    gnutls_x509_privkey_deinit(key);
    if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH) {
        result = failure_set(f, ERROR_INVALID_ARGUMENT, "the key is not the certificate's");
        return failure_next(f, result,
                            "give the key that the certificate was issued for, or have a "
                            "certificate issued for this key");
    }
    return code < 0 ? fail(f, ERROR_INVALID_ARGUMENT, "certificate and key cannot be used", code)
                    : 0;
}

static int load(struct credentials_pair *p, const struct listener_pem *pem, struct failure *f)
{
    const gnutls_datum_t certificate = datum(pem->certificate, pem->certificate_len_bytes);
    gnutls_x509_crt_t *chain = NULL;
    unsigned count = 0;
    int code;

    if (pem->certificate_len_bytes > INT_MAX || pem->key_len_bytes > INT_MAX) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "server certificate or key is too long");
    }
    code = gnutls_certificate_allocate_credentials(&p->gnutls);
    if (code < 0) {
        return fail(f, ERROR_RESOURCE_EXHAUSTED, "no room for the server's certificate", code);
    }
    code = gnutls_x509_crt_list_import2(&chain, &count, &certificate, GNUTLS_X509_FMT_PEM,
                                        GNUTLS_X509_CRT_LIST_SORT);
    if (code < 0) {
        int result = fail(f, ERROR_INVALID_ARGUMENT, "the certificate cannot be read", code);

        return failure_next(f, result,
                            "give a PEM file: the certificate, with its intermediates behind it");
    }
    int result = set_key(p->gnutls, pem, chain, count, f);

    for (unsigned i = 0; i < count; i++) {
        gnutls_x509_crt_deinit(chain[i]);
    }
    gnutls_free(chain);
    return result;
}

static int pair_new(const struct listener_pem *pem, struct credentials_pair **out,
                    struct failure *f)
{
    struct credentials_pair *p = calloc(1, sizeof(*p));
    int result;

    if (p == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    atomic_init(&p->refs, 1);
    result = load(p, pem, f);
    if (result != 0) {
        credentials_pair_unref(p);
        return result;
    }
    *out = p;
    return 0;
}

/* Takes the reference to `pair`, in any case. */
static int make(struct credentials_pair *pair, struct access *access, struct credentials **out,
                struct failure *f)
{
    struct credentials *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        credentials_pair_unref(pair);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    atomic_init(&c->refs, 1);
    c->pair = pair;
    c->access = access_ref(access);
    *out = c;
    return 0;
}

int credentials_new(const struct listener_pem *pem, struct access *access, struct credentials **out,
                    struct failure *f)
{
    struct credentials_pair *pair = NULL;
    int result = pair_new(pem, &pair, f);

    return result != 0 ? result : make(pair, access, out, f);
}

int credentials_with_access(const struct credentials *old, struct access *access,
                            struct credentials **out, struct failure *f)
{
    return make(pair_ref(old->pair), access, out, f);
}

struct credentials *credentials_ref(struct credentials *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void credentials_unref(struct credentials *c)
{
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        credentials_free(c);
    }
}

struct credentials_pair *credentials_take_pair(const struct credentials *c)
{
    return pair_ref(c->pair);
}

gnutls_certificate_credentials_t credentials_gnutls(const struct credentials_pair *p)
{
    return p->gnutls;
}

const struct access *credentials_access(const struct credentials *c)
{
    return c->access;
}

void credentials_place_init(struct credentials_place *p)
{
    (void)pthread_mutex_init(&p->lock, NULL);
    atomic_init(&p->credentials, NULL);
}

void credentials_place_done(struct credentials_place *p)
{
    credentials_unref(atomic_load(&p->credentials));
    (void)pthread_mutex_destroy(&p->lock);
}

void credentials_exchange(struct credentials_place *p, struct credentials *fresh)
{
    struct credentials *old;

    (void)pthread_mutex_lock(&p->lock);
    old = atomic_exchange(&p->credentials, fresh);
    (void)pthread_mutex_unlock(&p->lock);
    credentials_unref(old);
}

struct credentials *credentials_current(struct credentials_place *p)
{
    struct credentials *c;

    (void)pthread_mutex_lock(&p->lock);
    c = credentials_ref(atomic_load(&p->credentials));
    (void)pthread_mutex_unlock(&p->lock);
    return c;
}

bool credentials_are_current(const struct credentials_place *p, const struct credentials *c)
{
    return atomic_load(&p->credentials) == c;
}

int listener_check_pem(const struct listener_pem *pem, struct failure *f)
{
    struct credentials_pair *pair = NULL;
    int result = pair_new(pem, &pair, f);

    credentials_pair_unref(pair);
    return result;
}
