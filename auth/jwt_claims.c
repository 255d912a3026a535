/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/jwt_claims.h"

#include <stdio.h>
#include <string.h>

#include "auth/identity_pattern.h"
#include "common/text.h"

/* 9999-12-31T23:59:59Z: what is later is no date, and overflows nothing. */
#define DATE_MAX_S 253402300799LL

/* A NumericDate: whole seconds, or with a fraction, which is rounded up. False: none. */
static bool read_date(const json_t *value, int64_t *out)
{
    double seconds = json_number_value(value);

    if (!json_is_number(value) || !(seconds >= 0 && seconds <= (double)DATE_MAX_S)) {
        return false;
    }
    *out = (int64_t)seconds; /* exact: far below 2^53 */
    *out += (double)*out < seconds;
    return true;
}

static int check_audience(const json_t *claims, const struct jwt_issuer *issuer, struct failure *f)
{
    const json_t *aud = json_object_get(claims, "aud");
    const json_t *one;
    bool ours = false;
    size_t i;

    if (json_is_string(aud)) {
        ours = strcmp(json_string_value(aud), issuer->audience) == 0;
    } else if (json_is_array(aud)) {
        json_array_foreach(aud, i, one)
        {
            if (!json_is_string(one)) {
                return token_refuse(f, TOKEN_MALFORMED, "its aud has something that is no string");
            }
            ours |= strcmp(json_string_value(one), issuer->audience) == 0;
        }
    } else {
        return token_refuse(f, TOKEN_MALFORMED, "it has no aud");
    }
    return ours ? 0
                : token_refuse(f, TOKEN_AUDIENCE, "its aud is not \"%.100s\", issuer %s's audience",
                               issuer->audience, issuer->name);
}

static int check_begin(const json_t *claims, const char *name, int64_t now_s, struct failure *f)
{
    const json_t *value = json_object_get(claims, name);
    int64_t begin_s = 0;

    if (value == NULL) {
        return 0;
    }
    if (!read_date(value, &begin_s)) {
        return token_refuse(f, TOKEN_MALFORMED, "its %s is no date", name);
    }
    if (begin_s > now_s + JWT_SKEW_S) {
        return token_refuse(f, TOKEN_NOT_YET_VALID, "its %s is %lld s in the future", name,
                            (long long)(begin_s - now_s));
    }
    return 0;
}

static int check_times(const json_t *claims, int64_t now_s, struct identity *who, struct failure *f)
{
    int64_t exp_s = 0;
    int result;

    if (!read_date(json_object_get(claims, "exp"), &exp_s)) {
        return token_refuse(f, TOKEN_MALFORMED, "its exp is missing, or no date");
    }
    if (now_s >= exp_s) {
        return token_refuse(f, TOKEN_EXPIRED, "its exp was %lld s ago", (long long)(now_s - exp_s));
    }
    who->not_after_s = exp_s - 1; /* that is the last good second; exp the first bad one */
    result = check_begin(claims, "nbf", now_s, f);
    return result != 0 ? result : check_begin(claims, "iat", now_s, f);
}

static bool is_printable(const char *text, char lowest)
{
    for (; *text != '\0'; text++) {
        if (*text < lowest || *text > '~') {
            return false;
        }
    }
    return true;
}

static int read_subject(const json_t *claims, const struct jwt_issuer *issuer, struct identity *who,
                        struct failure *f)
{
    const char *sub = jose_string(claims, "sub");
    const json_t *jti = json_object_get(claims, "jti");

    if (sub == NULL || sub[0] == '\0' || strlen(sub) > JWT_SUBJECT_MAX_BYTES ||
        !is_printable(sub, '!')) {
        return token_refuse(f, TOKEN_MALFORMED,
                            "its sub is not 1 to %d printable characters of ASCII without spaces",
                            JWT_SUBJECT_MAX_BYTES);
    }
    (void)snprintf(who->text, sizeof(who->text), "jwt:%s:%s", issuer->name, sub);
    if (identity_exact_fault(who->text) != NULL) { /* no deny list could name it */
        return token_refuse(f, TOKEN_MALFORMED,
                            "its sub has * or ?, which make a pattern of the identity");
    }
    if (jti == NULL) {
        return 0;
    }
    const char *id = json_string_value(jti);

    /* It has to be written as it is in a deny list, a line each. */
    if (id == NULL || id[0] == '\0' || strlen(id) >= sizeof(who->token_id) ||
        !is_printable(id, '!')) {
        return token_refuse(f, TOKEN_MALFORMED,
                            "its jti is not 1 to %zu printable characters of ASCII without spaces",
                            sizeof(who->token_id) - 1);
    }
    memcpy(who->token_id, id, strlen(id) + 1);
    return 0;
}

/* `at`: where the next one goes; behind the last one an empty one has to fit. */
static int add_group(struct identity *who, const json_t *group, size_t *at, struct failure *f)
{
    const char *name = json_string_value(group);
    size_t len = name != NULL ? strlen(name) : 0;

    if (len == 0 || !is_printable(name, ' ')) {
        return token_refuse(f, TOKEN_MALFORMED, "a group is empty, or not printable ASCII");
    }
    if (len + 2 > sizeof(who->groups) - *at) {
        return token_refuse(f, TOKEN_MALFORMED, "its groups have more than %zu bytes in all",
                            sizeof(who->groups) - 1);
    }
    memcpy(who->groups + *at, name, len + 1);
    *at += len + 1;
    return 0;
}

const char *jwt_foreign_group(const struct jwt_issuer *issuer,
                              const char groups[IDENTITY_GROUPS_BYTES])
{
    for (const char *group = groups; issuer->groups != NULL && *group != '\0';
         group += strlen(group) + 1) {
        const char *pattern = issuer->groups;

        while (*pattern != '\0' && !text_glob(pattern, group)) {
            pattern += strlen(pattern) + 1;
        }
        if (*pattern == '\0') {
            return group;
        }
    }
    return NULL;
}

static int take_groups(const json_t *claims, const struct jwt_issuer *issuer, struct identity *who,
                       struct failure *f)
{
    const json_t *groups = json_object_get(claims, issuer->groups_claim);
    const json_t *group;
    size_t at = 0, i;
    int result = 0;

    if (groups == NULL) {
        return 0;
    }
    if (json_is_string(groups)) {
        return add_group(who, groups, &at, f);
    }
    if (!json_is_array(groups)) {
        return token_refuse(f, TOKEN_MALFORMED, "its groups are no list");
    }
    json_array_foreach(groups, i, group)
    {
        result = add_group(who, group, &at, f);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* All of them or none: a group that was left out may be one that a rule denies. One issuer's word is not
 * taken for the groups of another. */
static int read_groups(const json_t *claims, const struct jwt_issuer *issuer, struct identity *who,
                       struct failure *f)
{
    int result = take_groups(claims, issuer, who, f);
    const char *foreign = result == 0 ? jwt_foreign_group(issuer, who->groups) : NULL;

    return foreign == NULL ? result
                           : token_refuse(f, TOKEN_GROUP, "issuer %s may not give group \"%.100s\"",
                                          issuer->name, foreign);
}

/* RFC 7800: a token with `cnf` is for the holder of a key. With a proof that is not asked for here, it
 * would be anybody's. */
static int read_binding(const json_t *claims, struct token *out, struct failure *f)
{
    const json_t *cnf = json_object_get(claims, "cnf");
    const json_t *x5t = json_object_get(cnf, "x5t#S256");
    BUFFER_AUTO(digest, sizeof(out->binding));

    if (cnf == NULL) {
        return 0;
    }
    if (json_object_size(cnf) != 1 || !json_is_string(x5t)) {
        return token_refuse(f, TOKEN_BINDING, "its cnf is something else than one x5t#S256");
    }
    if (!jose_decode(&digest, json_string_value(x5t), json_string_length(x5t)) ||
        digest.len_bytes != sizeof(out->binding)) {
        return token_refuse(f, TOKEN_MALFORMED, "its x5t#S256 is no SHA-256 in base64url");
    }
    memcpy(out->binding, digest.data, sizeof(out->binding));
    out->has_binding = true;
    return 0;
}

int jwt_claims_read(const json_t *claims, const struct jwt_issuer *issuer, int64_t now_s,
                    struct token *out, struct failure *f)
{
    struct token token = { .has_binding = false };
    int result = check_audience(claims, issuer, f);

    if (result == 0) {
        result = check_times(claims, now_s, &token.who, f);
    }
    if (result == 0) {
        result = read_subject(claims, issuer, &token.who, f);
    }
    if (result == 0) {
        result = read_groups(claims, issuer, &token.who, f);
    }
    if (result == 0) {
        result = read_binding(claims, &token, f);
    }
    if (result == 0) {
        *out = token;
    }
    return result;
}
