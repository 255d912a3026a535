/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How identities and patterns of them are written in files: `spiffe:…`, `dns:…`, `cn:…`,
 * `jwt:ISSUER:SUBJECT`, `token:NAME`; in a pattern * and ? are a glob's. What could match no identity
 * at all is a fault, as it would stand there for nothing. And whoever shows an identity that cannot be
 * written exactly is let in nowhere: nobody could deny him alone. Pure, any thread.
 */
#ifndef XENRES_AUTH_IDENTITY_PATTERN_H
#define XENRES_AUTH_IDENTITY_PATTERN_H

#include <stdbool.h>

/* Does it begin with one of these? */
bool identity_has_kind(const char *pattern);
/* NULL: it is a pattern. Else what was expected. */
const char *identity_pattern_fault(const char *pattern);
/* NULL: it is one identity, and no pattern. */
const char *identity_exact_fault(const char *text);
/* NULL: it is a pattern of names of groups. */
const char *identity_group_fault(const char *pattern);
/* Is it of a kind that certificates have? Of what has no fault. */
bool identity_is_of_certificate(const char *pattern);

#endif
