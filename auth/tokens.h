/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * All that decides about bearer tokens: issuers with their keys, the file of opaque tokens, and the
 * memory of what was verified by these. Immutable once loaded, but for that memory; its owner
 * (auth/access) exchanges it whole at a reload. Any thread.
 */
#ifndef XENRES_AUTH_TOKENS_H
#define XENRES_AUTH_TOKENS_H

#include "auth/jwt.h"

enum { TOKENS_ISSUERS_MAX = 16 };

/* As configured; borrowed for the call. */
struct tokens_issuer {
    const char *name, *issuer, *audience, *groups_claim;
    const char *groups; /* as struct jwt_issuer has them */
    const char *jwks;   /* the file of its keys */
};
struct tokens_source {
    struct tokens_issuer issuers[TOKENS_ISSUERS_MAX];
    size_t issuer_count;
    const char *file; /* of opaque tokens; NULL or "": none are accepted */
};

struct tokens;
/* Reads all files. -ERROR_INVALID_ARGUMENT: a name that cannot be, nothing where something is needed,
 * two issuers of one name or one `iss`; else as of jwks_load() and opaque_load(). */
int tokens_load(const struct tokens_source *source, struct tokens **out, struct failure *f);
void tokens_free(struct tokens *t); /* NULL is fine */
/* Is any token accepted at all? */
bool tokens_are_accepted(const struct tokens *t);

/* Would that be found out without verifying a signature: is it an opaque one, or remembered? */
bool tokens_are_cheap(struct tokens *t, const char *token, size_t len, int64_t now_s);
/* Who bears `token` (hostile) at `now_s` on a connection with this certificate, or without one (NULL):
 * out->who. -ERROR_UNAUTHENTICATED: message for the bearer, cause for the log, see token.h. Deny lists
 * are not looked at. */
int tokens_verify(struct tokens *t, const char *token, size_t len,
                  const struct identity *certificate, int64_t now_s, struct token *out,
                  struct failure *f);
/* Would one that was verified by other files, before, be known by these: is its line still there, or
 * the key that it was signed with, and are its groups still its issuer's to give?
 * -ERROR_UNAUTHENTICATED as above. */
int tokens_still(const struct tokens *t, const struct token *token, struct failure *f);

#endif
