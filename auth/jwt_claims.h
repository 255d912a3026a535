/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The claims of a token whose signature was verified: for whom, until when, who. Nobody but jwt.c
 * calls it. Pure, any thread.
 */
#ifndef XENRES_AUTH_JWT_CLAIMS_H
#define XENRES_AUTH_JWT_CLAIMS_H

#include "auth/jwt.h"

/* As jwt_verify() has it, from there on. */
int jwt_claims_read(const json_t *claims, const struct jwt_issuer *issuer, int64_t now_s,
                    struct token *out, struct failure *f);

#endif
