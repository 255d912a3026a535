/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/access.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "auth/chain.h"

struct access {
    atomic_uint references;
    struct trust *trusts[ACCESS_TRUSTS_MAX];
    size_t trust_count;
    struct tokens *tokens; /* NULL: none is accepted */
    struct deny *deny;     /* NULL: nobody is on it */
};

/* --- life ------------------------------------------------------------------------------------- */

int access_new(struct trust *const *trusts, size_t trust_count, struct deny *deny,
               struct access **out, struct failure *f)
{
    struct access *a = calloc(1, sizeof *a);

    assert(trust_count <= ACCESS_TRUSTS_MAX);
    if (a == NULL) {
        for (size_t i = 0; i < trust_count; i++) {
            trust_free(trusts[i]);
        }
        deny_free(deny);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    atomic_init(&a->references, 1);
    for (size_t i = 0; i < trust_count; i++) {
        a->trusts[i] = trusts[i];
    }
    a->trust_count = trust_count;
    a->deny = deny;
    *out = a;
    return 0;
}

struct access *access_ref(struct access *a)
{
    unsigned before = atomic_fetch_add_explicit(&a->references, 1, memory_order_relaxed);

    assert(before > 0 && before < UINT32_MAX);
    return a;
}

void access_unref(struct access *a)
{
    if (a == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&a->references, 1, memory_order_acq_rel);

    assert(before > 0);
    if (before > 1) {
        return;
    }
    for (size_t i = 0; i < a->trust_count; i++) {
        trust_free(a->trusts[i]);
    }
    tokens_free(a->tokens);
    deny_free(a->deny);
    free(a);
}

/* --- loading ---------------------------------------------------------------------------------- */

/* All faults, and the first. */
struct loading {
    struct buffer *faults;
    struct failure *first;
    int result;
};

/* `told`: what is wrong stands in the faults already. */
static void keep(struct loading *l, int result, const struct failure *fault, bool told)
{
    if (result == 0) {
        return;
    }
    if (!told) {
        buffer_printf(l->faults, "%s%s%s%s%s\n", fault->message,
                      fault->cause[0] != '\0' ? ": " : "", fault->cause,
                      fault->next_step[0] != '\0' ? "; " : "", fault->next_step);
    }
    if (l->result == 0) {
        l->result = result;
        if (l->first != NULL) {
            *l->first = *fault;
        }
    }
}

static bool is_set(const char *path)
{
    return path != NULL && path[0] != '\0';
}

/* NULL: its faults are kept. */
static struct trust *load_trust(struct loading *l, const struct access_trust *options,
                                bool accept_expired_crl)
{
    struct failure fault = { 0 };
    struct trust *trust = NULL;
    int result = trust_load(options->ca, &trust, &fault);

    if (result == 0 && options->identities != NULL) {
        result = trust_bind(trust, options->identities, &fault);
    }
    if (result == 0 && is_set(options->crl)) {
        result = trust_load_crls(trust, options->crl, &fault);
    }
    if (result == 0 && accept_expired_crl) {
        trust_accept_expired_crls(trust);
    }
    keep(l, result, &fault, false);
    if (result != 0) {
        trust_free(trust);
        return NULL;
    }
    return trust;
}

static void add_file(const char *paths[], size_t *count, const char *path)
{
    if (is_set(path)) {
        paths[(*count)++] = path;
    }
}

size_t access_files(const struct access_options *options, const char *paths[ACCESS_FILES_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < options->trust_count; i++) {
        add_file(paths, &count, options->trusts[i].ca);
        add_file(paths, &count, options->trusts[i].crl);
    }
    for (size_t i = 0; i < options->tokens.issuer_count; i++) {
        add_file(paths, &count, options->tokens.issuers[i].jwks);
    }
    add_file(paths, &count, options->tokens.file);
    add_file(paths, &count, options->deny);
    return count;
}

int access_load(const struct access_options *options, struct access **out, struct buffer *faults,
                struct failure *f)
{
    struct loading l = { .faults = faults, .first = f };
    struct trust *trusts[ACCESS_TRUSTS_MAX] = { NULL };
    struct tokens *tokens = NULL;
    struct deny *deny = NULL;

    for (size_t i = 0; i < options->trust_count; i++) {
        trusts[i] = load_trust(&l, &options->trusts[i], options->accept_expired_crl);
    }
    struct failure wrong = { 0 };

    keep(&l, tokens_load(&options->tokens, &tokens, &wrong), &wrong, false);
    if (is_set(options->deny)) {
        struct failure fault = { 0 };
        size_t before = faults->len_bytes;
        int result = deny_load(options->deny, &deny, faults, &fault);

        keep(&l, result, &fault, faults->len_bytes > before);
    }
    if (l.result == 0) {
        l.result = access_new(trusts, options->trust_count, deny, out, f);
        if (l.result == 0) {
            (*out)->tokens = tokens;
        } else {
            tokens_free(tokens);
        }
        return l.result;
    }
    tokens_free(tokens);
    for (size_t i = 0; i < options->trust_count; i++) {
        trust_free(trusts[i]);
    }
    deny_free(deny);
    return l.result;
}

/* --- deciding --------------------------------------------------------------------------------- */

/* Of several refusals the one that says most is told: whose authority is unknown to one file may have
 * expired by another. */
static unsigned weight(enum identity_fault fault)
{
    static const unsigned char weights[] = {
        [IDENTITY_UNKNOWN_CA] = 1, [IDENTITY_BAD_CERTIFICATE] = 2, [IDENTITY_EXPIRED] = 3,
        [IDENTITY_UNCHECKED] = 4,  [IDENTITY_NOT_SPOKEN_FOR] = 5,  [IDENTITY_REVOKED] = 6,
    };

    return weights[fault];
}

/* One anchor file's word. */
static int ask_trust(const struct trust *t, const struct chain *chain, int64_t now_s,
                     struct identity *who, enum identity_fault *fault, struct failure *f)
{
    int64_t end_s;
    int result = trust_verify(t, chain, now_s, &end_s, fault, f);

    if (result != 0) {
        return result;
    }
    *fault = IDENTITY_BAD_CERTIFICATE;
    result = chain_identity(chain, who, f);
    if (result != 0) {
        return -ERROR_UNAUTHENTICATED;
    }
    who->not_after_s = end_s; /* its own is among those */
    if (!trust_may_name(t, who->text)) {
        *fault = IDENTITY_NOT_SPOKEN_FOR;
        result =
            failure_set(f, ERROR_UNAUTHENTICATED, "its authority may not speak for %s", who->text);
        return failure_next(f, result,
                            "issue it from an authority that may, or add to the "
                            "identities of a section trust");
    }
    *fault = IDENTITY_OK;
    return 0;
}

/* All files are asked, even behind one that vouches: another one may know that it is revoked. */
static int ask_trusts(const struct access *a, const struct chain *chain, int64_t now_s,
                      struct identity *who, enum identity_fault *fault, struct failure *f)
{
    struct failure best = { 0 };
    bool vouched = false;

    *fault = IDENTITY_UNKNOWN_CA;
    (void)failure_set(&best, ERROR_UNAUTHENTICATED, "the peer's authorities are not known");
    for (size_t i = 0; i < a->trust_count; i++) {
        enum identity_fault why;
        struct identity found;
        struct failure said = { 0 };

        if (ask_trust(a->trusts[i], chain, now_s, &found, &why, &said) == 0) {
            if (!vouched || found.not_after_s > who->not_after_s) {
                *who = found;
            }
            vouched = true;
        } else if (weight(why) >= weight(*fault)) {
            *fault = why;
            best = said;
        }
    }
    if (vouched && *fault != IDENTITY_REVOKED) {
        *fault = IDENTITY_OK;
        return 0;
    }
    if (f != NULL) {
        *f = best;
    }
    return -ERROR_UNAUTHENTICATED;
}

int access_still(const struct access *a, const struct identity *who, int64_t now_s,
                 enum identity_fault *fault, struct failure *f)
{
    unsigned line = deny_find(a->deny, who);

    if (line > 0) {
        if (fault != NULL) {
            *fault = IDENTITY_REVOKED;
        }
        return failure_set(f, ERROR_UNAUTHENTICATED, "line %u of the deny list keeps out %s", line,
                           who->text);
    }
    if (now_s > who->not_after_s) {
        if (fault != NULL) {
            *fault = IDENTITY_EXPIRED;
        }
        return failure_set(f, ERROR_UNAUTHENTICATED, "what was shown for %s has expired",
                           who->text);
    }
    return 0;
}

bool access_lists_end(const struct access *a, int64_t since_s, int64_t now_s)
{
    for (size_t i = 0; i < a->trust_count; i++) {
        if (trust_lists_end(a->trusts[i], since_s, now_s)) {
            return true;
        }
    }
    return false;
}

bool access_takes_tokens(const struct access *a)
{
    return a->tokens != NULL && tokens_are_accepted(a->tokens);
}

bool access_token_is_cheap(struct access *a, const char *token, size_t len, int64_t now_s)
{
    return a->tokens == NULL || tokens_are_cheap(a->tokens, token, len, now_s);
}

int access_token(struct access *a, const char *token, size_t len,
                 const struct identity *certificate, int64_t now_s, struct token *out,
                 struct failure *f)
{
    return a->tokens != NULL ? tokens_verify(a->tokens, token, len, certificate, now_s, out, f)
                             : token_refuse(f, TOKEN_UNKNOWN, "no tokens are accepted here");
}

int access_token_still(const struct access *a, const struct token *token, struct failure *f)
{
    return a->tokens != NULL ? tokens_still(a->tokens, token, f)
                             : token_refuse(f, TOKEN_UNKNOWN, "no tokens are accepted here");
}

int access_certificate(const struct access *a, const struct identity_der *certificates,
                       size_t count, int64_t now_s, struct identity *out,
                       enum identity_fault *fault, struct failure *f)
{
    CHAIN_AUTO chain = { 0 };
    struct identity who;

    if (chain_decode(&chain, certificates, count, fault, f) != 0 ||
        ask_trusts(a, &chain, now_s, &who, fault, f) != 0 ||
        access_still(a, &who, now_s, fault, f) != 0) {
        return -ERROR_UNAUTHENTICATED;
    }
    *out = who;
    return 0;
}
