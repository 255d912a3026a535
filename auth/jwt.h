/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * JSON web tokens (RFC 7519, 8725, 9068): signed ones in the compact form, of issuers that the
 * operator names, verified by their keys and nothing that the token brings itself.
 *
 * In this order: its length, its three parts, its header (algorithm, key), its issuer, its signature,
 * its claims. Refused is whatever two readers could understand differently (a member twice, a second
 * spelling of base64, text that is not UTF-8), what asks for more than is done here (`crit`, `b64`,
 * nested tokens, keys within the header, a `cnf` that is no certificate's), and what does not end
 * (`exp` is required). Pure, any thread.
 */
#ifndef XENRES_AUTH_JWT_H
#define XENRES_AUTH_JWT_H

#include "auth/jwks.h"
#include "auth/token.h"

enum {
    JWT_MAX_BYTES = 8192,
    JWT_SKEW_S = 60, /* of `nbf` and `iat`: clocks differ. None of `exp`: nobody lives longer */
    JWT_SUBJECT_MAX_BYTES = 255,
    JWT_ISSUER_NAME_BYTES = 64, /* these with their NUL */
    JWT_TEXT_BYTES = 512,
};

struct jwt_issuer {
    char name[JWT_ISSUER_NAME_BYTES]; /* in identities: letters, digits and _ . - */
    char issuer[JWT_TEXT_BYTES];      /* `iss` is exactly this */
    char audience[JWT_TEXT_BYTES];    /* `aud` is, or has, this */
    char groups_claim[JWT_TEXT_BYTES];
    const char
        *groups; /* patterns of those it may give, each NUL-ended, an empty one last; NULL: any */
    struct jwks *keys;
};

/* May it give all of these (as struct identity has them)? NULL, or one that it may not. Names of groups
 * have no issuer to the policy: what one gives is worth what every other one's is. */
const char *jwt_foreign_group(const struct jwt_issuer *issuer,
                              const char groups[IDENTITY_GROUPS_BYTES]);

/*
 * Verifies `token` (`len` bytes, hostile) at the time `now_s`. `out->who` is "jwt:NAME:SUBJECT", with
 * `jti` and the groups; its not_after_s is the last second before `exp`. Each group is printable
 * ASCII. -ERROR_UNAUTHENTICATED as of token_refuse(); -ERROR_RESOURCE_EXHAUSTED: no memory.
 */
int jwt_verify(const struct jwt_issuer *issuers, size_t issuer_count, const char *token, size_t len,
               int64_t now_s, struct token *out, struct failure *f);

#endif
