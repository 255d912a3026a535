/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Strings are looked at eight bytes a step, since they are nearly all of a large document. */
#include "proto/json/lexer.h"

#include <string.h>

#include "common/text.h"

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

void lexer_init(struct lexer *lx, struct lexer_span text, uint32_t elements_max,
                struct buffer *scratch)
{
    *lx = (struct lexer){ .start = text.at,
                          .at = text.at,
                          .end = text.at + text.len,
                          .elements_max = elements_max,
                          .scratch = scratch };
}

bool lexer_fail(struct lexer *lx, const char *error)
{
    if (lx->error == NULL) {
        lx->error = error;
    }
    return false;
}

static bool over_limit(struct lexer *lx, const char *error)
{
    lx->is_over_limit = lx->is_over_limit || lx->error == NULL;
    return lexer_fail(lx, error);
}

char lexer_peek(struct lexer *lx)
{
    if (lx->error != NULL) {
        return '\0';
    }
    while (lx->at < lx->end &&
           (*lx->at == ' ' || *lx->at == '\n' || *lx->at == '\r' || *lx->at == '\t')) {
        lx->at++;
    }
    return lx->at < lx->end ? *lx->at : '\0';
}

static const char *missing(char punctuation)
{
    switch (punctuation) {
    case '{': return "an object is expected here";
    case '[': return "a list is expected here";
    case '}': return "',' or '}' is expected here";
    case ']': return "',' or ']' is expected here";
    default: return "':' is expected here";
    }
}

bool lexer_take(struct lexer *lx, char punctuation)
{
    if (lexer_peek(lx) != punctuation) {
        return lexer_fail(lx, missing(punctuation));
    }
    lx->at++;
    return true;
}

bool lexer_literal(struct lexer *lx, const char *word)
{
    size_t len = strlen(word);

    if (lexer_peek(lx) == '\0' || (size_t)(lx->end - lx->at) < len ||
        memcmp(lx->at, word, len) != 0) {
        return lexer_fail(lx, "no JSON value begins here");
    }
    lx->at += len;
    return true;
}

/* Some byte of `word` is 0. */
static uint64_t has_zero(uint64_t word)
{
    return (word - EACH_BYTE(1)) & ~word & EACH_BYTE(0x80);
}

/* The first byte from `at` on that does not simply stand for itself: a quote, a backslash, a control
 * character. `*is_ascii` becomes false where one before it has its high bit set. */
static const char *plain_end(const char *at, const char *end, bool *is_ascii)
{
    uint64_t high = 0;

    for (; end - at >= 8; at += 8) {
        uint64_t word;

        memcpy(&word, at, 8);
        if ((has_zero(word ^ EACH_BYTE('"')) | has_zero(word ^ EACH_BYTE('\\')) |
             ((word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80))) != 0) {
            break;
        }
        high |= word & EACH_BYTE(0x80);
    }
    for (; at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20; at++) {
        high |= (unsigned char)*at & 0x80U;
    }
    *is_ascii = *is_ascii && high == 0;
    return at;
}

/* Four hexadecimal digits; -1 where there are none. */
static int32_t take_code_unit(struct lexer *lx)
{
    uint8_t bytes[2];
    char digits[5] = "";

    if (lx->end - lx->at < 4) {
        return -1;
    }
    memcpy(digits, lx->at, 4);
    if (!text_to_hex(digits, bytes, sizeof(bytes))) {
        return -1;
    }
    lx->at += 4;
    return bytes[0] << 8 | bytes[1];
}

static bool append_character(struct buffer *out, uint32_t point)
{
    uint8_t bytes[4];
    size_t len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };

    for (size_t i = len - 1; i > 0; i--) {
        bytes[i] = (uint8_t)(0x80U | (point & 0x3fU));
        point >>= 6;
    }
    bytes[0] = (uint8_t)(lead[len] | point);
    return buffer_append(out, bytes, len);
}

/* After `\u`. */
static bool take_unicode_escape(struct lexer *lx)
{
    int32_t unit = take_code_unit(lx);

    if (unit < 0) {
        return lexer_fail(lx, "\\u needs four hexadecimal digits");
    }
    if (unit == 0) {
        return lexer_fail(lx, "\\u0000, which no string here can hold");
    }
    if (unit < 0xd800 || unit > 0xdfff) {
        return append_character(lx->scratch, (uint32_t)unit);
    }
    int32_t low = -1;

    if (unit < 0xdc00 && lx->end - lx->at >= 2 && lx->at[0] == '\\' && lx->at[1] == 'u') {
        lx->at += 2;
        low = take_code_unit(lx);
    }
    if (low < 0xdc00 || low > 0xdfff) {
        return lexer_fail(lx, "half of a surrogate pair");
    }
    return append_character(lx->scratch, 0x10000U + (((uint32_t)unit & 0x3ffU) << 10) +
                                             ((uint32_t)low & 0x3ffU));
}

/* After the backslash. */
static bool take_escape(struct lexer *lx)
{
    static const char letters[] = "\"\"\\\\//b\bf\fn\nr\rt\t";

    if (lx->at < lx->end) {
        char letter = *lx->at++;

        if (letter == 'u') {
            return take_unicode_escape(lx);
        }
        for (const char *p = letters; *p != '\0'; p += 2) {
            if (*p == letter) {
                return buffer_append_byte(lx->scratch, (uint8_t)p[1]);
            }
        }
    }
    return lexer_fail(lx, "no such escape in a string");
}

/* What is left of a string whose first `begun` has no escape. */
static bool take_escaped_string(struct lexer *lx, struct lexer_span begun, bool *is_ascii,
                                struct lexer_span *out)
{
    struct buffer *b = lx->scratch;

    buffer_reset(b);
    buffer_append(b, begun.at, begun.len);
    while (lx->at < lx->end && *lx->at == '\\') {
        lx->at++;
        if (!take_escape(lx)) {
            return over_limit(lx, "out of memory");
        }
        const char *from = lx->at;

        lx->at = plain_end(from, lx->end, is_ascii);
        buffer_append(b, from, (size_t)(lx->at - from));
    }
    *out = (struct lexer_span){ .at = (const char *)b->data, .len = b->len_bytes };
    return !b->failed || over_limit(lx, "out of memory");
}

bool lexer_string(struct lexer *lx, struct lexer_span *out)
{
    bool is_ascii = true;

    if (lexer_peek(lx) != '"') {
        return lexer_fail(lx, "a string is expected here");
    }
    const char *from = ++lx->at;

    lx->at = plain_end(from, lx->end, &is_ascii);
    *out = (struct lexer_span){ .at = from, .len = (size_t)(lx->at - from) };
    if (lx->at < lx->end && *lx->at == '\\' && !take_escaped_string(lx, *out, &is_ascii, out)) {
        return false;
    }
    if (lx->at == lx->end) {
        return lexer_fail(lx, "a string without its end");
    }
    if (*lx->at != '"') {
        return lexer_fail(lx, "a control character in a string");
    }
    lx->at++;
    return is_ascii || text_is_utf8(out->at, out->len) || lexer_fail(lx, "a string is not UTF-8");
}

static const char *digits_end(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}

size_t lexer_number_length(const char *at, const char *end)
{
    const char *p = at < end && *at == '-' ? at + 1 : at;
    const char *whole = p < end && *p == '0' ? p + 1 : digits_end(p, end);

    if (whole == p) {
        return 0;
    }
    p = whole;
    if (p < end && *p == '.') {
        const char *fraction = digits_end(p + 1, end);

        if (fraction == p + 1) {
            return 0;
        }
        p = fraction;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *digits = p + 1 < end && (p[1] == '+' || p[1] == '-') ? p + 2 : p + 1;

        p = digits_end(digits, end);
        if (p == digits) {
            return 0;
        }
    }
    return (size_t)(p - at);
}

bool lexer_number(struct lexer *lx, struct lexer_span *out)
{
    (void)lexer_peek(lx);
    size_t len = lx->error == NULL ? lexer_number_length(lx->at, lx->end) : 0;

    if (len == 0) {
        return lexer_fail(lx, "a number is expected here");
    }
    *out = (struct lexer_span){ .at = lx->at, .len = len };
    lx->at += len;
    return true;
}

static bool begin_element(struct lexer *lx)
{
    if (lx->elements >= lx->elements_max) {
        return over_limit(lx, "too many members and elements");
    }
    lx->elements++;
    return lx->error == NULL;
}

bool lexer_more(struct lexer *lx, char closing, bool *is_first)
{
    char next = lexer_peek(lx);

    if (next == closing) {
        lx->at++;
        return false;
    }
    if (!*is_first && next != ',') {
        return lexer_fail(lx, missing(closing));
    }
    lx->at += *is_first ? 0 : 1;
    *is_first = false;
    return begin_element(lx);
}

bool lexer_key(struct lexer *lx, struct lexer_span *out)
{
    if (lexer_peek(lx) != '"') {
        return lexer_fail(lx, "a member's name is expected here");
    }
    return lexer_string(lx, out) && lexer_take(lx, ':');
}

/* A value without others in it. */
static bool skip_scalar(struct lexer *lx, char first)
{
    struct lexer_span ignored;

    switch (first) {
    case '"': return lexer_string(lx, &ignored);
    case 't': return lexer_literal(lx, "true");
    case 'f': return lexer_literal(lx, "false");
    case 'n': return lexer_literal(lx, "null");
    default:
        return first == '-' || (first >= '0' && first <= '9')
                   ? lexer_number(lx, &ignored)
                   : lexer_fail(lx, "no JSON value begins here");
    }
}

bool lexer_skip(struct lexer *lx)
{
    uint64_t objects = 0; /* a bit a level, the innermost lowest: an object, not a list */
    unsigned depth = 0;
    struct lexer_span key;

    do {
        char first = lexer_peek(lx);
        bool is_first = false;

        if (first == '{' || first == '[') {
            if (depth == LEXER_SKIP_DEPTH_MAX) {
                return over_limit(lx, "nested too deeply");
            }
            objects = objects << 1 | (first == '{');
            depth++;
            lx->at++;
            is_first = true;
        } else if (!skip_scalar(lx, first)) {
            return false;
        }
        while (depth > 0 && !lexer_more(lx, (objects & 1) != 0 ? '}' : ']', &is_first)) {
            if (lx->error != NULL) {
                return false;
            }
            objects >>= 1;
            depth--;
            is_first = false;
        }
        if (depth > 0 && (objects & 1) != 0 && !lexer_key(lx, &key)) {
            return false;
        }
    } while (depth > 0);
    return true;
}

bool lexer_at_end(struct lexer *lx)
{
    (void)lexer_peek(lx);
    return lx->error == NULL && (lx->at == lx->end || lexer_fail(lx, "more than one value"));
}

bool lexer_span_is(struct lexer_span span, const char *text)
{
    return strncmp(text, span.at, span.len) == 0 && text[span.len] == '\0';
}
