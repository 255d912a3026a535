/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a verified bearer token says, whichever kind it is, and how one is refused: its bearer learns
 * the fault's class, the operator's log also what exactly was wrong (`cause`). Neither quotes the
 * token. Pure, any thread.
 */
#ifndef XENRES_AUTH_TOKEN_H
#define XENRES_AUTH_TOKEN_H

#include "auth/identity.h"

struct token {
    struct identity who; /* without a certificate: fingerprint of zeros, not bound */
    bool has_binding;    /* RFC 8705: it is worth nothing but on a connection of this certificate */
    uint8_t binding[32]; /* SHA-256 of that */
    uint8_t key[32]; /* of a signed one: its key's digest, as in jwks.h; else what is kept of it */
};

enum token_fault {
    TOKEN_MALFORMED,     /* no token, or one that says what it may not */
    TOKEN_ALGORITHM,     /* none of ours, or not its key's */
    TOKEN_UNKNOWN,       /* the key, the issuer or the token's id */
    TOKEN_SIGNATURE,     /* wrong, or a wrong secret */
    TOKEN_EXPIRED,       /* at its `exp` */
    TOKEN_NOT_YET_VALID, /* by `nbf` or `iat` */
    TOKEN_AUDIENCE,      /* it is for somebody else */
    TOKEN_BINDING,       /* to another certificate, or to something that cannot be checked */
    TOKEN_GROUP,         /* it claims one that is not its issuer's to give */
    TOKEN_REVOKED,       /* after it was verified: by the deny list, or its key or line is gone */
    TOKEN_FAULT_COUNT
};
const char *token_fault_text(enum token_fault fault); /* "the bearer token has expired" */
const char *token_fault_name(enum token_fault fault); /* "expired": a word that never changes */
/* What token_refuse() refused it for; TOKEN_MALFORMED where another did. */
enum token_fault token_fault_of(const struct failure *f);

/* -ERROR_UNAUTHENTICATED: `f` has the fault's text as its message, the detail as its cause. */
int token_refuse(struct failure *f, enum token_fault fault, const char *detail, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes of `t->who` who bears it on a connection with this verified certificate (NULL: none): with its
 * fingerprint, and the earlier end of the two. Refuses a binding to another certificate. */
int token_bear(struct token *t, const struct identity *certificate, struct failure *f);

/* Of the text of two tokens. How long it takes says nothing of where they differ. */
bool token_is_same(const char *a, const char *b, size_t len);

#endif
