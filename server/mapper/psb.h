/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The packet of Intel PT that a decoder can begin at: 02 82, eight times. Pure. */
#ifndef XENRES_MAPPER_PSB_H
#define XENRES_MAPPER_PSB_H

#include <stddef.h>
#include <stdint.h>

enum { PSB_BYTES = 16 };

/* Where the first whole one begins; -1: there is none. */
int64_t psb_find(const uint8_t *bytes, size_t len_bytes);
/* How many bytes at the end may be the beginning of one that is not whole: less than PSB_BYTES. */
size_t psb_cut(const uint8_t *bytes, size_t len_bytes);

#endif
