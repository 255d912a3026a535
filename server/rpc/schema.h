/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The descriptor set of proto/, which the build makes into an array (build/gen/schema.c). */
#ifndef XENRES_RPC_SCHEMA_H
#define XENRES_RPC_SCHEMA_H

#include <stddef.h>

extern const unsigned char schema_bytes[];
extern const size_t schema_len_bytes;

#endif
