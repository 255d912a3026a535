/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The text of a JSON number as a number: integers exactly, whatever the spelling (`1e3`, `2.50e1`),
 * floating point correctly rounded, whatever the locale. Pure, any thread. */
#ifndef XENRES_PROTO_JSON_NUMBER_H
#define XENRES_PROTO_JSON_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/json/lexer.h"

enum { NUMBER_REAL_LEN_MAX = 1024 }; /* of the text of a floating point number, in bytes */

struct number_integer {
    bool is_negative;
    uint64_t magnitude;
};

/* Each returns NULL, or why not. `text` must be a number by JSON's grammar. */
const char *number_to_integer(struct lexer_span text, struct number_integer *out);
/* Also "not in the range": beyond the largest finite number. */
const char *number_to_double(struct lexer_span text, double *out);
const char *number_to_float(struct lexer_span text, float *out);

#endif
