/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What may stand where help and usage have a placeholder: "table|json" is one of the words in it,
 * TYPE a resource type, FILE a file, and so on. For messages and shell completion. Pure.
 */
#ifndef XENRES_CLI_CHOICES_H
#define XENRES_CLI_CHOICES_H

#include <stdbool.h>
#include <stddef.h>

#include "client/cli/arguments.h"
#include "common/buffer.h"

enum choices_kind {
    CHOICES_ANY,     /* nothing is known of it */
    CHOICES_WORDS,   /* these, with a space between two */
    CHOICES_FILES,   /* a file's name */
    CHOICES_DOMAINS, /* a domain, as the gateway knows them */
    CHOICES_JSON,    /* JSON, or '@' and a file's name */
};

/* `placeholder`: of `len` bytes. Words are appended to `words`. */
enum choices_kind choices_of(const char *placeholder, size_t len, struct buffer *words);

/* "TYPE has to be one of ioreq_server, …; not "grant" (did you mean "grant_table"?)": for a word that
 * is none of a placeholder's. */
void choices_refuse(const char *what, const char *placeholder, const char *given,
                    char usage[USAGE_MAX_BYTES]);

/* The operands of a verb one by one, as "DOMAIN TYPE [ID]" has them. */
struct choices_operand {
    const char *placeholder; /* of `len` bytes, without brackets */
    size_t len;
    bool is_optional;
};
/* `*at`: the verb's text at first. False behind the last. */
bool choices_next_operand(const char **at, struct choices_operand *out);

#endif
