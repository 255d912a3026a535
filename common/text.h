/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Text that crosses a border: strict numbers, UUIDs, hexadecimal, and strings that a guest chose,
 * made harmless before a person or a header sees them. Pure, any thread.
 */
#ifndef XENRES_COMMON_TEXT_H
#define XENRES_COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UUID_BYTES = 16, UUID_TEXT_BYTES = 37, HEX128_TEXT_BYTES = 33 };

/* Decimal digits only (no sign, no space, no leading zero but "0" itself), at most `max`. */
bool text_to_u64(const char *text, uint64_t max, uint64_t *out);

bool text_to_uuid(const char *text, uint8_t out[UUID_BYTES]); /* 8-4-4-4-12, either case */
void text_from_uuid(const uint8_t uuid[UUID_BYTES], char out[UUID_TEXT_BYTES]);

/* Exactly 2 × `len` digits, either case. */
bool text_to_hex(const char *text, uint8_t *out, size_t len);
void text_from_hex(const uint8_t *bytes, size_t len, char *out); /* 2 × len + NUL */

enum text_charset { TEXT_ASCII, TEXT_UTF8 };

/*
 * Bytes of the character at the start of `text` (`len` bytes, more than may be looked at) if it may
 * be shown as it is, else 0: printable ASCII; with TEXT_UTF8 also valid UTF-8 that neither controls
 * a terminal nor shows text as other than it is (controls, line separators, direction marks and
 * overrides, invisible characters).
 */
size_t text_harmless_length(const char *text, size_t len, enum text_charset charset);

/*
 * Escapes `text` into `out` (size `out_bytes` > 0, always NUL-ended, cut between characters).
 * Harmless characters pass but for the backslash, which is doubled. Everything else becomes \xNN, a
 * byte each. Returns `out`. At most TEXT_ESCAPED_MAX × the length of `text`, and a NUL.
 */
enum { TEXT_ESCAPED_MAX = 4 };
char *text_escape(char *out, size_t out_bytes, const char *text, enum text_charset charset);

/* True if all of `len` bytes are valid UTF-8 without NUL: no overlong form, no surrogate. */
bool text_is_utf8(const char *text, size_t len);

/* The largest length up to `len` that does not end within a UTF-8 character. */
size_t text_cut(const char *text, size_t len);

/* Is it one of `words`, which have spaces between? */
bool text_is_word(const char *words, const char *text);

/* Shell-like glob over whole strings: only * and ? (one character, or one byte where the text is
 * not UTF-8) are special. No exponential backtracking: at most pattern × text steps. */
bool text_glob(const char *pattern, const char *text);

#endif
