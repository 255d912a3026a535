/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Operands that several verbs have. Pure. */
#ifndef XENRES_CLI_OPERANDS_H
#define XENRES_CLI_OPERANDS_H

#include "client/cli/arguments.h"

/* A resource type's name; false with `usage` filled for what is none. */
bool operand_type(const char *text, uint32_t *type, char usage[USAGE_MAX_BYTES]);

#endif
