/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/token.h"

#include <stdio.h>
#include <string.h>

static const char *const fault_texts[] = {
    [TOKEN_MALFORMED] = "the bearer token is malformed",
    [TOKEN_ALGORITHM] = "the bearer token is signed with an algorithm that is not accepted",
    [TOKEN_UNKNOWN] = "the bearer token is of an unknown key or issuer",
    [TOKEN_SIGNATURE] = "the bearer token is not genuine",
    [TOKEN_EXPIRED] = "the bearer token has expired",
    [TOKEN_NOT_YET_VALID] = "the bearer token is not yet valid",
    [TOKEN_AUDIENCE] = "the bearer token is not for this gateway",
    [TOKEN_BINDING] = "the bearer token is bound to another certificate",
    [TOKEN_GROUP] = "the bearer token claims a group that is not its issuer's to give",
};

const char *token_fault_text(enum token_fault fault)
{
    return fault_texts[fault];
}

int token_refuse(struct failure *f, enum token_fault fault, const char *detail, ...)
{
    int result = failure_set(f, ERROR_UNAUTHENTICATED, "%s", fault_texts[fault]);
    char text[FAILURE_TEXT_MAX];
    va_list args;

    va_start(args, detail);
    (void)vsnprintf(text, sizeof(text), detail, args);
    va_end(args);
    return failure_cause(f, result, "%s", text);
}

int token_bear(struct token *t, const struct identity *certificate, struct failure *f)
{
    struct identity *who = &t->who;

    if (t->has_binding && certificate == NULL) {
        return token_refuse(f, TOKEN_BINDING, "no client certificate was shown with it");
    }
    /* A stolen token is of no use without the key of the certificate (RFC 8705, 3). */
    if (t->has_binding && memcmp(t->binding, certificate->fingerprint, sizeof(t->binding)) != 0) {
        return token_refuse(f, TOKEN_BINDING, "its x5t#S256 is not the client certificate's");
    }
    if (certificate != NULL) {
        memcpy(who->fingerprint, certificate->fingerprint, sizeof(who->fingerprint));
        if (certificate->not_after_s < who->not_after_s) {
            who->not_after_s = certificate->not_after_s;
        }
    }
    who->is_bound = t->has_binding;
    return 0;
}
