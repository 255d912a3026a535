/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/token.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text;
} faults[] = {
    [TOKEN_MALFORMED] = { "malformed", "the bearer token is malformed" },
    [TOKEN_ALGORITHM] = { "algorithm",
                          "the bearer token is signed with an algorithm that is not accepted" },
    [TOKEN_UNKNOWN] = { "unknown", "the bearer token is of an unknown key or issuer" },
    [TOKEN_SIGNATURE] = { "signature", "the bearer token is not genuine" },
    [TOKEN_EXPIRED] = { "expired", "the bearer token has expired" },
    [TOKEN_NOT_YET_VALID] = { "not_yet_valid", "the bearer token is not yet valid" },
    [TOKEN_AUDIENCE] = { "audience", "the bearer token is not for this gateway" },
    [TOKEN_BINDING] = { "binding", "the bearer token is bound to another certificate" },
    [TOKEN_GROUP] = { "group", "the bearer token claims a group that is not its issuer's to give" },
    [TOKEN_REVOKED] = { "revoked", "the bearer token was revoked" },
};
_Static_assert(sizeof(faults) / sizeof(faults[0]) == TOKEN_FAULT_COUNT, "each has a row");

const char *token_fault_text(enum token_fault fault)
{
    return faults[fault].text;
}

const char *token_fault_name(enum token_fault fault)
{
    return faults[fault].name;
}

enum token_fault token_fault_of(const struct failure *f)
{
    int fault = 0;

    while (fault < TOKEN_FAULT_COUNT && strcmp(f->message, faults[fault].text) != 0) {
        fault++;
    }
    return fault < TOKEN_FAULT_COUNT ? (enum token_fault)fault : TOKEN_MALFORMED;
}

int token_refuse(struct failure *f, enum token_fault fault, const char *detail, ...)
{
    int result = failure_set(f, ERROR_UNAUTHENTICATED, "%s", faults[fault].text);
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

/* CRYPTO_memcmp() goes byte by byte, which costs each request of a token a fifth of a microsecond. */
bool token_is_same(const char *a, const char *b, size_t len)
{
    uint64_t difference = 0;
    size_t i = 0;

    for (; i + sizeof(difference) <= len; i += sizeof(difference)) {
        uint64_t of_a, of_b;

        memcpy(&of_a, a + i, sizeof(of_a));
        memcpy(&of_b, b + i, sizeof(of_b));
        difference |= of_a ^ of_b;
    }
    for (; i < len; i++) {
        difference |= (unsigned char)(a[i] ^ b[i]);
    }
    return difference == 0;
}
