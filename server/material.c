/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/material.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/guarded_file.h"
#include "auth/policy_file.h"
#include "server/faults.h"
#include "server/sandbox.h"

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

/* For a callback, which only reads it. */
static void *config_of(const struct config *config)
{
    union {
        const struct config *constant;
        void *plain;
    } u = { .constant = config };

    return u.plain;
}

/* The option that names the file at `path`, which is the option's own text. */
static void place(void *arg, const char *path, struct buffer *faults)
{
    const struct config *c = arg;
    const struct {
        const char *option, *path;
    } options[] = {
        { "tls.certificate", c->tls_certificate }, { "tls.key", c->tls_key },
        { "tls.client_ca", c->tls_client_ca },     { "tls.client_crl", c->tls_client_crl },
        { "server.policy", c->server_policy },     { "server.deny", c->server_deny },
        { "tokens.file", c->tokens_file },
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (options[i].path == path) {
            config_place(c, options[i].option, faults);
            return;
        }
    }
    for (size_t i = 0; i < c->trust_count; i++) {
        if (path == c->trust[i].ca || path == c->trust[i].crl) {
            bool is_ca = path == c->trust[i].ca;

            buffer_printf(faults, "%s:%u: trust \"%s\": %s: ", c->path,
                          is_ca ? c->trust[i].ca_line : c->trust[i].crl_line, c->trust[i].title,
                          is_ca ? "ca" : "crl");
        }
    }
    for (size_t i = 0; i < c->issuer_count; i++) {
        if (path == c->issuer[i].jwks) {
            buffer_printf(faults, "%s:%u: issuer \"%s\": jwks: ", c->path, c->issuer[i].jwks_line,
                          c->issuer[i].title);
        }
    }
}

/* What is being loaded: its faults so far, of which the first is the result. */
struct loading {
    const struct config *config;
    struct buffer *faults;
    struct failure *f;
    int first;
};

/* Of the file at `path`. */
static void keep(struct loading *l, int result, const struct failure *fault, const char *path)
{
    if (result != 0) {
        place(config_of(l->config), path, l->faults);
        faults_add(l->faults, fault);
        keep_first(result, fault, &l->first, l->f);
    }
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
        .place = place,
        .place_arg = config_of(config),
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

void material_accept_user(const struct config *config)
{
    struct stat key = { .st_uid = (uid_t)-1 };
    uid_t uid = (uid_t)-1;
    gid_t gid;

    if (geteuid() == 0 && sandbox_find_user(config->server_user, &uid, &gid, NULL) != 0 &&
        stat(config->tls_key, &key) == 0) {
        uid = key.st_uid;
    }
    guarded_file_accept_user(uid, GUARDED_SECRET);
}

/* A certificate and a key that were read: do they belong together? */
static void check_pair(struct loading *l, const struct material *m)
{
    const struct config *c = l->config;
    const struct listener_pem pem = material_pem(m);
    struct failure fault = { 0 }, named = { 0 };
    int result = listener_check_pem(&pem, &fault);

    if (result != 0) {
        (void)failure_set(&named, fault.code, "%s, for %s: %s", c->tls_key, c->tls_certificate,
                          fault.message);
        (void)failure_next(&named, result, "%s", fault.next_step);
        keep(l, result, &named, c->tls_key);
    }
}

static void load_policy(struct loading *l, struct policy **out)
{
    struct failure fault = { 0 };
    size_t before = l->faults->len_bytes;
    int result = policy_file_load(l->config->server_policy, out, l->faults, &fault);

    if (l->faults->len_bytes > before) { /* they have lines of their own */
        keep_first(result, &fault, &l->first, l->f);
    } else {
        keep(l, result, &fault, l->config->server_policy);
    }
}

int material_load(const struct config *config, struct material *out, struct buffer *faults,
                  struct failure *f)
{
    struct loading l = { .config = config, .faults = faults, .f = f };
    struct material m = { 0 };
    struct failure fault = { 0 };

    buffer_init(&m.certificate, MATERIAL_PEM_MAX_BYTES);
    buffer_init(&m.key, MATERIAL_PEM_MAX_BYTES);
    keep(&l, guarded_file_read(config->tls_certificate, GUARDED_PUBLIC, &m.certificate, &fault),
         &fault, config->tls_certificate);
    keep(&l, guarded_file_read(config->tls_key, GUARDED_SECRET, &m.key, &fault), &fault,
         config->tls_key);
    if (l.first == 0) {
        check_pair(&l, &m);
    }
    keep_first(material_load_access(config, &m.access, faults, &fault), &fault, &l.first, f);
    load_policy(&l, &m.policy);
    if (l.first != 0) {
        material_done(&m);
        return l.first;
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
