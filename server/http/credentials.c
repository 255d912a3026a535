/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/credentials.h"

#include <limits.h>
#include <stdlib.h>

#include "server/http/key_pem.h"

/* GnuTLS' own are not counted. */
struct certificate {
    atomic_uint refs;
    gnutls_certificate_credentials_t gnutls;
};

struct credentials {
    atomic_uint refs;
    struct certificate *certificate;
    struct access *access;
};

static void certificate_unref(struct certificate *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    if (c->gnutls != NULL) {
        gnutls_certificate_free_credentials(c->gnutls); /* wipes the key */
    }
    free(c);
}

static void credentials_free(struct credentials *c)
{
    certificate_unref(c->certificate);
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

static int refused(struct failure *f, const char *why)
{
    int result =
        failure_set(f, ERROR_INVALID_ARGUMENT, "cannot load the server certificate: %s", why);

    return failure_next(f, result,
                        "give PEM files: the certificate with its intermediates behind "
                        "it, and its own key without a password");
}

/* GnuTLS copies what it is given, and wipes its copy of the key with the credentials. */
static int set_key(gnutls_certificate_credentials_t credentials, const struct listener_pem *pem,
                   gnutls_x509_crt_t *chain, unsigned count, struct failure *f)
{
    gnutls_x509_privkey_t key = NULL;
    struct failure fault = { 0 };

    if (key_pem_read(pem->key, pem->key_len_bytes, &key, &fault) != 0) {
        return refused(f, fault.message);
    }
    int code = gnutls_certificate_set_x509_key(credentials, chain, (int)count, key);

    gnutls_x509_privkey_deinit(key);
    return code < 0 ? refused(f, gnutls_strerror(code)) : 0;
}

static int load(struct certificate *c, const struct listener_pem *pem, struct failure *f)
{
    const gnutls_datum_t certificate = datum(pem->certificate, pem->certificate_len_bytes);
    gnutls_x509_crt_t *chain = NULL;
    unsigned count = 0;
    int code;

    if (pem->certificate_len_bytes == 0 || pem->certificate_len_bytes > INT_MAX ||
        pem->key_len_bytes == 0 || pem->key_len_bytes > INT_MAX) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "server certificate or key is empty");
    }
    code = gnutls_certificate_allocate_credentials(&c->gnutls);
    if (code < 0) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot load the server certificate: %s",
                           gnutls_strerror(code));
    }
    code = gnutls_x509_crt_list_import2(&chain, &count, &certificate, GNUTLS_X509_FMT_PEM,
                                        GNUTLS_X509_CRT_LIST_SORT);
    if (code < 0) {
        return refused(f, gnutls_strerror(code));
    }
    int result = set_key(c->gnutls, pem, chain, count, f);

    for (unsigned i = 0; i < count; i++) {
        gnutls_x509_crt_deinit(chain[i]);
    }
    gnutls_free(chain);
    return result;
}

static int certificate_new(const struct listener_pem *pem, struct certificate **out,
                           struct failure *f)
{
    struct certificate *c = calloc(1, sizeof(*c));
    int result;

    if (c == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    atomic_init(&c->refs, 1);
    result = load(c, pem, f);
    if (result != 0) {
        certificate_unref(c);
        return result;
    }
    *out = c;
    return 0;
}

/* Takes the reference to `certificate`, in any case. */
static int make(struct certificate *certificate, struct access *access, struct credentials **out,
                struct failure *f)
{
    struct credentials *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        certificate_unref(certificate);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    atomic_init(&c->refs, 1);
    c->certificate = certificate;
    c->access = access_ref(access);
    *out = c;
    return 0;
}

int credentials_new(const struct listener_pem *pem, struct access *access, struct credentials **out,
                    struct failure *f)
{
    struct certificate *certificate = NULL;
    int result = certificate_new(pem, &certificate, f);

    return result != 0 ? result : make(certificate, access, out, f);
}

int credentials_with_access(const struct credentials *old, struct access *access,
                            struct credentials **out, struct failure *f)
{
    atomic_fetch_add_explicit(&old->certificate->refs, 1, memory_order_relaxed);
    return make(old->certificate, access, out, f);
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

gnutls_certificate_credentials_t credentials_gnutls(const struct credentials *c)
{
    return c->certificate->gnutls;
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
    struct certificate *c = NULL;
    int result = certificate_new(pem, &c, f);

    certificate_unref(c);
    return result;
}
