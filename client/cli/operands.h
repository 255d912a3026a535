/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Operands that several verbs have, read and written. Pure. */
#ifndef XENRES_CLI_OPERANDS_H
#define XENRES_CLI_OPERANDS_H

#include <xenres.h>

#include "client/cli/arguments.h"

enum { OPERAND_DOMAIN_BYTES = 64 };

/* A resource type's name; false with `usage` filled for what is none. */
bool operand_type(const char *text, uint32_t *type, char usage[USAGE_MAX_BYTES]);

/* A DOMAIN that names it, which any shell takes as one word without quotes: its name where that is
 * all letters, digits, '.', '_', '+' and '-', and means no number, UUID or option; else its number. */
const char *operand_from_domain(const xenres_identity *identity, char out[OPERAND_DOMAIN_BYTES]);

#endif
