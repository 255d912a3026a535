/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/text.h"

#include <assert.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

bool text_to_u64(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0')) {
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(*p - '0');

        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (value > max) {
        return false;
    }
    *out = value;
    return true;
}

/* 0..15, or -1. Not isxdigit(): the locale has no say here. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

static bool read_hex_byte(const char *text, uint8_t *out)
{
    int high = hex_value(text[0]);
    int low = high < 0 ? -1 : hex_value(text[1]); /* text[0] may be the end */

    if (low < 0) {
        return false;
    }
    *out = (uint8_t)(high << 4 | low);
    return true;
}

static char *write_hex_byte(char *out, uint8_t byte)
{
    *out++ = hex_digits[byte >> 4];
    *out++ = hex_digits[byte & 15];
    return out;
}

/* A dash stands before these bytes of a UUID. */
static bool is_after_dash(size_t i)
{
    return i == 4 || i == 6 || i == 8 || i == 10;
}

bool text_to_uuid(const char *text, uint8_t out[UUID_BYTES])
{
    uint8_t bytes[UUID_BYTES];

    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (is_after_dash(i) && *text++ != '-') {
            return false;
        }
        if (!read_hex_byte(text, &bytes[i])) {
            return false;
        }
        text += 2;
    }
    if (*text != '\0') {
        return false;
    }
    memcpy(out, bytes, sizeof(bytes));
    return true;
}

void text_from_uuid(const uint8_t uuid[UUID_BYTES], char out[UUID_TEXT_BYTES])
{
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (is_after_dash(i)) {
            *out++ = '-';
        }
        out = write_hex_byte(out, uuid[i]);
    }
    *out = '\0';
}

bool text_to_hex(const char *text, uint8_t *out, size_t len)
{
    uint8_t ignored;

    /* All of it before any of it: outputs change only on success. */
    for (size_t i = 0; i < len; i++) {
        if (!read_hex_byte(text + 2 * i, &ignored)) {
            return false;
        }
    }
    if (text[2 * len] != '\0') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        (void)read_hex_byte(text + 2 * i, &out[i]);
    }
    return true;
}

void text_from_hex(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        out = write_hex_byte(out, bytes[i]);
    }
    *out = '\0';
}

/* Bytes that a UTF-8 sequence with this first byte has; 0 for a byte that begins none. */
static size_t sequence_length(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) { /* c0 and c1 begin overlong ones only */
        return 2;
    }
    if (first >= 0xe0 && first <= 0xef) {
        return 3;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        return 4;
    }
    return 0;
}

/* The character at the start of `text`, and its length; 0 where there is no valid one or NUL. */
static size_t decode_utf8(const char *text, size_t len, uint32_t *point)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *bytes = (const unsigned char *)text;

    if (len == 0 || bytes[0] == 0) {
        return 0;
    }
    size_t count = sequence_length(bytes[0]);

    if (count == 0 || count > len) {
        return 0;
    }
    uint32_t value = count == 1 ? bytes[0] : bytes[0] & (0x7fU >> count);

    for (size_t i = 1; i < count; i++) {
        if ((bytes[i] & 0xc0U) != 0x80) {
            return 0;
        }
        value = value << 6 | (bytes[i] & 0x3fU);
    }
    /* Overlong forms hide characters from those who compare bytes; surrogates are no characters. */
    if (value < least[count] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
        return 0;
    }
    *point = value;
    return count;
}

/*
 * Characters that a terminal acts upon, or that show text as other than it is: controls (C0, DEL,
 * C1), line and paragraph separators, direction marks and overrides, invisible ones.
 */
static bool is_deceptive(uint32_t point)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        { 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x00ad, 0x00ad },   { 0x061c, 0x061c },
        { 0x180e, 0x180e }, { 0x200b, 0x200f }, { 0x2028, 0x202e },   { 0x2060, 0x206f },
        { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
    };

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (point >= ranges[i].first && point <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

size_t text_harmless_length(const char *text, size_t len, enum text_charset charset)
{
    uint32_t point;
    size_t taken = decode_utf8(text, len, &point);

    if (taken == 0 || is_deceptive(point) || (taken > 1 && charset == TEXT_ASCII)) {
        return 0;
    }
    return taken;
}

size_t text_cut(const char *text, size_t len)
{
    /* Look back for a first byte that asks for more bytes than are left behind it. */
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char byte = (unsigned char)text[len - back];

        if ((byte & 0xc0U) != 0x80) {
            return sequence_length(byte) > back ? len - back : len;
        }
    }
    return len;
}

char *text_escape(char *out, size_t out_bytes, const char *text, enum text_charset charset)
{
    assert(out_bytes > 0);
    size_t len = strlen(text);
    size_t used = 0;

    for (size_t i = 0; i < len;) {
        size_t taken = text_harmless_length(text + i, len - i, charset);
        char piece[5];
        size_t piece_len = taken;

        if (taken == 0) {
            taken = 1;
            piece_len = 4;
            memcpy(piece, "\\x", 2);
            (void)write_hex_byte(piece + 2, (uint8_t)text[i]);
        } else if (text[i] == '\\') {
            piece_len = 2;
            memcpy(piece, "\\\\", 2);
        } else {
            memcpy(piece, text + i, taken);
        }
        if (piece_len >= out_bytes - used) {
            break; /* all of a piece or none: half an escape would read as something else */
        }
        memcpy(out + used, piece, piece_len);
        used += piece_len;
        i += taken;
    }
    out[used] = '\0';
    return out;
}

bool text_is_utf8(const char *text, size_t len)
{
    uint32_t point;

    for (size_t i = 0; i < len;) {
        bool is_ascii = (unsigned char)text[i] - 1U < 0x7f;
        size_t taken = is_ascii ? 1 : decode_utf8(text + i, len - i, &point);

        if (taken == 0) {
            return false;
        }
        i += taken;
    }
    return true;
}

/* Bytes of the character at `text` that '?' stands for: one byte where it is not UTF-8. */
static size_t one_character(const char *text)
{
    uint32_t point;
    size_t taken = decode_utf8(text, strnlen(text, 4), &point);

    return taken > 0 ? taken : 1;
}

/*
 * Only the last star is ever tried again: what an earlier star took may stay as short as it was,
 * because the later one can take the rest. So the work is at most pattern × text, where trying all
 * of them again would let a crafted pattern or name take exponential time.
 */
bool text_glob(const char *pattern, const char *text)
{
    const char *after_star = NULL; /* the pattern behind the last star seen */
    const char *star_text = NULL;  /* where the text goes on behind what that star took */

    while (*text != '\0') {
        if (*pattern == '*') {
            after_star = ++pattern;
            star_text = text;
        } else if (*pattern == '?') {
            pattern++;
            text += one_character(text);
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (after_star != NULL) {
            pattern = after_star;
            star_text += one_character(star_text);
            text = star_text;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

bool text_is_word(const char *words, const char *text)
{
    size_t len = strlen(text);

    for (const char *at = words; *at != '\0'; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");

        if (word == len && memcmp(at, text, len) == 0) {
            return true;
        }
        at += word;
    }
    return false;
}
