/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/material.h"

#include <string.h>

#include "auth/guarded_file.h"
#include "auth/policy_file.h"

/* The first fault decides what is returned. */
static void keep_first(int result, const struct failure *fault, int *first, struct failure *f)
{
    if (result != 0 && *first == 0) {
        *first = result;
        if (f != NULL) {
            *f = *fault;
        }
    }
}

/* Adds a fault that came as a failure, and remembers the first. */
static void keep(int result, const struct failure *fault, struct buffer *faults, int *first,
                 struct failure *f)
{
    if (result == 0) {
        return;
    }
    buffer_printf(faults, "%s%s%s%s%s\n", fault->message, fault->cause[0] != '\0' ? ": " : "",
                  fault->cause, fault->next_step[0] != '\0' ? "; " : "", fault->next_step);
    keep_first(result, fault, first, f);
}

struct listener_pem material_pem(const struct material *m)
{
    return (struct listener_pem){
        .certificate = m->certificate.data,
        .certificate_len_bytes = m->certificate.len_bytes,
        .key = m->key.data,
        .key_len_bytes = m->key.len_bytes,
    };
}

void material_access_options(const struct config *config, struct access_options *out)
{
    *out = (struct access_options){
        .deny = config->server_deny,
        .accept_expired_crl = strcmp(config->tls_expired_crl, "accept") == 0,
    };
    if (config->tls_client_ca[0] != '\0') {
        out->trusts[out->trust_count++] =
            (struct access_trust){ .ca = config->tls_client_ca, .crl = config->tls_client_crl };
    }
    for (size_t i = 0; i < config->trust_count; i++) {
        const struct config_trust *trust = &config->trust[i];

        out->trusts[out->trust_count++] = (struct access_trust){ .ca = trust->ca,
                                                                 .crl = trust->crl,
                                                                 .identities = trust->identities };
    }
    out->tokens.file = config->tokens_file;
    for (size_t i = 0; i < config->issuer_count; i++) {
        const struct config_issuer *issuer = &config->issuer[i];

        out->tokens.issuers[out->tokens.issuer_count++] = (struct tokens_issuer){
            .name = issuer->title,
            .issuer = issuer->issuer,
            .audience = issuer->audience,
            .groups_claim = issuer->groups_claim[0] != '\0' ? issuer->groups_claim : "groups",
            .groups = issuer->groups_given ? issuer->groups : NULL,
            .jwks = issuer->jwks,
        };
    }
}

int material_load_access(const struct config *config, struct access **out, struct buffer *faults,
                         struct failure *f)
{
    struct access_options options;

    material_access_options(config, &options);
    return access_load(&options, out, faults, f);
}

_Static_assert(sizeof((struct config){ 0 }.issuer) / sizeof(struct config_issuer) ==
                   TOKENS_ISSUERS_MAX,
               "all of a configuration's issuers have room");

_Static_assert(sizeof((struct config){ 0 }.trust) / sizeof(struct config_trust) + 1 ==
                   ACCESS_TRUSTS_MAX,
               "all of a configuration's authorities have room");

int material_load(const struct config *config, struct material *out, struct buffer *faults,
                  struct failure *f)
{
    struct material m = { 0 };
    struct failure fault = { 0 };
    int first = 0;
    size_t before;

    buffer_init(&m.certificate, MATERIAL_PEM_MAX_BYTES);
    buffer_init(&m.key, MATERIAL_PEM_MAX_BYTES);
    keep(guarded_file_read(config->tls_certificate, GUARDED_PUBLIC, &m.certificate, &fault), &fault,
         faults, &first, f);
    keep(guarded_file_read(config->tls_key, GUARDED_SECRET, &m.key, &fault), &fault, faults, &first,
         f);
    keep_first(material_load_access(config, &m.access, faults, &fault), &fault, &first, f);
    before = faults->len_bytes;
    if (policy_file_load(config->server_policy, &m.policy, faults, &fault) < 0) {
        if (faults->len_bytes == before) {
            keep(-fault.code, &fault, faults, &first, f);
        } else {
            keep_first(-fault.code, &fault, &first, f);
        }
    }
    if (m.certificate.len_bytes > 0 && m.key.len_bytes > 0 && m.access != NULL) {
        const struct listener_pem pem = material_pem(&m);

        keep(listener_check_pem(&pem, &fault), &fault, faults, &first, f);
    }
    if (first != 0) {
        material_done(&m);
        return first;
    }
    *out = m;
    return 0;
}

void material_done(struct material *m)
{
    if (m->key.data != NULL) {
        explicit_bzero(m->key.data, m->key.capacity_bytes);
    }
    buffer_done(&m->key);
    buffer_done(&m->certificate);
    access_unref(m->access);
    policy_unref(m->policy);
    memset(m, 0, sizeof(*m));
}
