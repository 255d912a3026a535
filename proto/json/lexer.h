/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * JSON text (RFC 8259) as a row of tokens, without a tree: whoever reads knows what must come, asks
 * for it, and has it in one pass. The first error stays (`error`), and everything after it fails, so
 * that a reader may look once at the end. Strict: UTF-8 without a byte order mark, no comment, no
 * trailing comma, no NUL and no half surrogate pair in a string.
 *
 * Never recurses, and allocates only `scratch`: no more than the longest string that has escapes.
 * One owner, one thread.
 */
#ifndef XENRES_PROTO_JSON_LEXER_H
#define XENRES_PROTO_JSON_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

enum { LEXER_SKIP_DEPTH_MAX = 64 }; /* objects and lists within each other, in what is skipped */

/* Bytes that are not ended by a NUL. */
struct lexer_span {
    const char *at;
    size_t len;
};

struct lexer {
    const char *start;
    const char *at;
    const char *end;
    const char *error;      /* why this is no JSON, at `at`; NULL: it is, so far */
    bool is_over_limit;     /* with `error`: it was a limit */
    uint32_t elements;      /* members of objects and elements of lists that have begun */
    uint32_t elements_max;  /* exactly so many pass */
    struct buffer *scratch; /* not touched by anyone else; its maximum is the text's length */
};

void lexer_init(struct lexer *lx, struct lexer_span text, uint32_t elements_max,
                struct buffer *scratch);

/* The first byte of the next token; NUL at the end, and after an error. */
char lexer_peek(struct lexer *lx);
/* Takes this punctuation; an error where something else stands there. */
bool lexer_take(struct lexer *lx, char punctuation);
/* Each takes a token of its kind, or fails. A string's bytes, unescaped, last until the next string
 * is read; a number's are its text. */
bool lexer_string(struct lexer *lx, struct lexer_span *out);
bool lexer_number(struct lexer *lx, struct lexer_span *out);
bool lexer_literal(struct lexer *lx, const char *word);

/*
 * After the opening bracket, before each member or element: true where one comes, false after the
 * closing bracket or an error. `*is_first` begins as true.
 */
bool lexer_more(struct lexer *lx, char closing, bool *is_first);
/* A member's name and its colon. */
bool lexer_key(struct lexer *lx, struct lexer_span *out);
/* Takes any one value, looking only at its form. */
bool lexer_skip(struct lexer *lx);
/* False, and an error, where anything but white space is left. */
bool lexer_at_end(struct lexer *lx);

/* An error found by whoever reads. Returns false. */
bool lexer_fail(struct lexer *lx, const char *error);

/* A number's text by the grammar, the longest at `at`; 0 where none begins. */
size_t lexer_number_length(const char *at, const char *end);
bool lexer_span_is(struct lexer_span span, const char *text);

#endif
