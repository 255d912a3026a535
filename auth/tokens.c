/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/tokens.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/opaque.h"
#include "auth/token_memory.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

struct tokens {
    size_t issuer_count;
    struct jwt_issuer issuers[TOKENS_ISSUERS_MAX];
    char *groups[TOKENS_ISSUERS_MAX]; /* owned: each issuer's patterns */
    struct opaque_set *opaque;        /* NULL: none are accepted */
    struct token_memory *memory;
};

static int copy(char out[JWT_TEXT_BYTES], const struct tokens_issuer *from, const char *option,
                const char *value, struct failure *f)
{
    size_t len = value != NULL ? strlen(value) : 0;

    if (len == 0 || len >= JWT_TEXT_BYTES) {
        return failure_set(f, ERROR_INVALID_ARGUMENT,
                           "issuer \"%.63s\" has no %s, or one of more than %d bytes", from->name,
                           option, JWT_TEXT_BYTES - 1);
    }
    memcpy(out, value, len + 1);
    return 0;
}

static int check_name(const struct tokens *t, const struct tokens_issuer *from, struct failure *f)
{
    size_t len = strlen(from->name);

    if (len == 0 || len >= JWT_ISSUER_NAME_BYTES || strspn(from->name, NAME_CHARACTERS) != len) {
        return failure_set(
            f, ERROR_INVALID_ARGUMENT,
            "issuer \"%.63s\": expected a name of 1 to %d letters, digits, and _ . -", from->name,
            JWT_ISSUER_NAME_BYTES - 1);
    }
    for (size_t i = 0; i < t->issuer_count; i++) {
        if (strcmp(t->issuers[i].name, from->name) == 0) {
            return failure_set(f, ERROR_INVALID_ARGUMENT, "issuer \"%s\" is there twice",
                               from->name);
        }
        if (strcmp(t->issuers[i].issuer, from->issuer) == 0) {
            return failure_set(f, ERROR_INVALID_ARGUMENT,
                               "issuers \"%s\" and \"%s\" have the same `issuer`",
                               t->issuers[i].name, from->name);
        }
    }
    return 0;
}

static int copy_groups(struct tokens *t, const struct tokens_issuer *from, struct failure *f)
{
    const char *end = from->groups;

    if (from->groups == NULL) {
        return 0;
    }
    while (*end != '\0') {
        end += strlen(end) + 1;
    }
    size_t bytes = (size_t)(end - from->groups) + 1;
    char *groups = malloc(bytes);

    if (groups == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for patterns of groups");
    }
    memcpy(groups, from->groups, bytes);
    t->groups[t->issuer_count] = groups;
    t->issuers[t->issuer_count].groups = groups;
    return 0;
}

static int add_issuer(struct tokens *t, const struct tokens_issuer *from, struct failure *f)
{
    struct jwt_issuer *to = &t->issuers[t->issuer_count];
    int result = copy(to->issuer, from, "issuer", from->issuer, f);

    if (result == 0) {
        result = check_name(t, from, f);
    }
    if (result == 0) {
        (void)snprintf(to->name, sizeof(to->name), "%s", from->name);
        result = copy(to->audience, from, "audience", from->audience, f);
    }
    if (result == 0) {
        result = copy(to->groups_claim, from, "groups_claim", from->groups_claim, f);
    }
    if (result == 0) {
        result = copy_groups(t, from, f);
    }
    if (result == 0) {
        result = jwks_load(from->jwks, &to->keys, f);
        t->issuer_count += result == 0;
    }
    return result;
}

static int fill(struct tokens *t, const struct tokens_source *source, struct failure *f)
{
    int result = 0;

    assert(source->issuer_count <= TOKENS_ISSUERS_MAX);
    t->memory = token_memory_new();
    if (t->memory == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for tokens");
    }
    for (size_t i = 0; i < source->issuer_count && result == 0; i++) {
        result = add_issuer(t, &source->issuers[i], f);
    }
    if (result == 0 && source->file != NULL && source->file[0] != '\0') {
        result = opaque_load(source->file, &t->opaque, f);
    }
    return result;
}

int tokens_load(const struct tokens_source *source, struct tokens **out, struct failure *f)
{
    struct tokens *t = calloc(1, sizeof(*t));
    int result = t != NULL ? fill(t, source, f)
                           : failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for tokens");

    if (result != 0) {
        tokens_free(t);
        return result;
    }
    *out = t;
    return 0;
}

void tokens_free(struct tokens *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < TOKENS_ISSUERS_MAX; i++) {
        jwks_free(t->issuers[i].keys);
        free(t->groups[i]);
    }
    opaque_free(t->opaque);
    token_memory_free(t->memory);
    free(t);
}

bool tokens_are_accepted(const struct tokens *t)
{
    return t->issuer_count > 0 || t->opaque != NULL;
}

/* The length first: a digest of a megabyte is work, too. */
static int verify_jwt(struct tokens *t, const char *text, size_t len, int64_t now_s,
                      struct token *out, struct failure *f)
{
    uint8_t digest[TOKEN_DIGEST_BYTES];
    bool has_digest = len <= JWT_MAX_BYTES && token_digest(text, len, digest);

    if (has_digest && token_memory_find(t->memory, digest, now_s, out)) {
        return 0;
    }
    int result = jwt_verify(t->issuers, t->issuer_count, text, len, now_s, out, f);

    if (result == 0 && has_digest) {
        token_memory_keep(t->memory, digest, now_s, out);
    }
    return result;
}

bool tokens_are_cheap(struct tokens *t, const char *token, size_t len, int64_t now_s)
{
    uint8_t digest[TOKEN_DIGEST_BYTES];
    struct token ignored;

    return opaque_is_one(token, len) || (len <= JWT_MAX_BYTES && token_digest(token, len, digest) &&
                                         token_memory_find(t->memory, digest, now_s, &ignored));
}

int tokens_verify(struct tokens *t, const char *token, size_t len,
                  const struct identity *certificate, int64_t now_s, struct token *out,
                  struct failure *f)
{
    struct token verified;
    int result;

    if (opaque_is_one(token, len)) {
        result = t->opaque != NULL
                     ? opaque_verify(t->opaque, token, len, now_s, &verified, f)
                     : token_refuse(f, TOKEN_UNKNOWN, "xenresd.conf names no file of tokens");
    } else {
        result = verify_jwt(t, token, len, now_s, &verified, f);
    }
    if (result == 0) {
        result = token_bear(&verified, certificate, f);
    }
    if (result == 0) {
        *out = verified;
    }
    return result;
}

static const char *after(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static int signed_still(const struct jwt_issuer *issuer, const struct token *token,
                        struct failure *f)
{
    const char *foreign = jwt_foreign_group(issuer, token->who.groups);

    if (!jwks_has(issuer->keys, token->key)) {
        return token_refuse(f, TOKEN_UNKNOWN, "issuer %s has its key no longer", issuer->name);
    }
    return foreign == NULL
               ? 0
               : token_refuse(f, TOKEN_GROUP, "issuer %s may not give group \"%.100s\" any more",
                              issuer->name, foreign);
}

int tokens_still(const struct tokens *t, const struct token *token, struct failure *f)
{
    const char *name = after(token->who.text, "token:");
    const char *issuer = after(token->who.text, "jwt:");

    if (name != NULL && t->opaque != NULL && opaque_has(t->opaque, token, name)) {
        return 0;
    }
    for (size_t i = 0; issuer != NULL && i < t->issuer_count; i++) {
        const char *subject = after(issuer, t->issuers[i].name);

        if (subject != NULL && subject[0] == ':') {
            return signed_still(&t->issuers[i], token, f);
        }
    }
    return token_refuse(f, TOKEN_UNKNOWN,
                        "it is no longer in the file of tokens, or its issuer "
                        "not in xenresd.conf");
}
