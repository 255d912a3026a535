/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/check_certificates.h"

#include <string.h>

#include "auth/crl.h"
#include "auth/guarded_file.h"
#include "server/material.h"

enum { ADDRESS_MAX_BYTES = 64 };

/* The file that is looked at, for what is found in it. */
struct looked_at {
    const char *option, *path;
    check_tell *tell;
    void *arg;
};

static void tell(void *arg, const struct examine_finding *finding)
{
    const struct looked_at *at = arg;

    at->tell(at->arg, at->option, at->path, finding);
}

/* The address of "192.0.2.1:8443" or "[2001:db8::1]:8443", as certificates have it. NULL: any, or none
 * that could be in one. */
static const char *address_of(const char *listen, char out[ADDRESS_MAX_BYTES])
{
    static const char *const any[] = { "", "0.0.0.0", "::", "0:0:0:0:0:0:0:0" };
    const char *colon = strrchr(listen, ':');
    size_t len = colon != NULL ? (size_t)(colon - listen) : 0;

    if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    }
    if (len >= ADDRESS_MAX_BYTES) {
        return NULL;
    }
    memcpy(out, listen, len);
    out[len] = '\0';
    out[strcspn(out, "%")] = '\0'; /* without the link that it is on */
    for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
        if (strcmp(out, any[i]) == 0) {
            return NULL;
        }
    }
    return out;
}

/* One file of authorities, and their revocation lists. */
static void check_trust(const struct examine_options *o, struct looked_at *at,
                        const struct access_trust *trust, bool is_flat, bool accept_expired)
{
    BUFFER_AUTO(pem, TRUST_FILE_MAX_BYTES);
    BUFFER_AUTO(lists, CRL_FILE_MAX_BYTES);

    at->path = trust->ca;
    at->option = is_flat ? "tls.client_ca" : "trust.ca";
    if (guarded_file_read(trust->ca, GUARDED_PUBLIC, &pem, NULL) != 0) {
        return;
    }
    examine_authorities(o, pem.data, pem.len_bytes);
    if (trust->crl[0] == '\0' || guarded_file_read(trust->crl, GUARDED_PUBLIC, &lists, NULL) != 0) {
        return;
    }
    const struct examine_lists what = { .lists = lists.data,
                                        .lists_len_bytes = lists.len_bytes,
                                        .authorities = pem.data,
                                        .authorities_len_bytes = pem.len_bytes,
                                        .accept_expired = accept_expired };

    at->path = trust->crl;
    at->option = is_flat ? "tls.client_crl" : "trust.crl";
    examine_lists(o, &what);
}

void check_server_certificate(const struct config *config, const void *pem, size_t len_bytes,
                              int64_t now_s, check_tell *say, void *arg)
{
    struct looked_at at = { "tls.certificate", config->tls_certificate, say, arg };
    const struct examine_options options = { now_s, tell, &at };
    char address[ADDRESS_MAX_BYTES];

    examine_server(&options, pem, len_bytes, address_of(config->server_listen, address));
}

void check_certificates(const struct config *config, int64_t now_s, check_tell *say, void *arg)
{
    struct looked_at at = { .tell = say, .arg = arg };
    const struct examine_options options = { now_s, tell, &at };
    struct access_options access = { 0 };
    BUFFER_AUTO(pem, MATERIAL_PEM_MAX_BYTES);

    if (guarded_file_read(config->tls_certificate, GUARDED_PUBLIC, &pem, NULL) == 0) {
        check_server_certificate(config, pem.data, pem.len_bytes, now_s, say, arg);
    }
    material_access_options(config, &access);
    for (size_t i = 0; i < access.trust_count; i++) {
        check_trust(&options, &at, &access.trusts[i], access.trusts[i].ca == config->tls_client_ca,
                    access.accept_expired_crl);
    }
}
