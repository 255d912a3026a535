/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "proto/json/number.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char not_in_range[] = "not in the range of its type";

/* So large that no text has as many digits, so small that sums do not wrap. */
#define EXPONENT_MAX (INT64_C(1) << 48)

/* A number's digits, the decimal point taken out, and where it was. */
struct decimal {
    struct lexer_span whole;
    struct lexer_span fraction;
    int64_t exponent;
};

static struct lexer_span take_digits(struct lexer_span *rest)
{
    struct lexer_span digits = { .at = rest->at, .len = 0 };

    while (digits.len < rest->len && rest->at[digits.len] >= '0' && rest->at[digits.len] <= '9') {
        digits.len++;
    }
    rest->at += digits.len;
    rest->len -= digits.len;
    return digits;
}

static bool take_one_of(struct lexer_span *rest, const char *choice)
{
    if (rest->len == 0 || strchr(choice, rest->at[0]) == NULL) {
        return false;
    }
    rest->at++;
    rest->len--;
    return true;
}

static struct decimal split(struct lexer_span rest)
{
    struct decimal d = { .whole = take_digits(&rest) };

    if (take_one_of(&rest, ".")) {
        d.fraction = take_digits(&rest);
    }
    if (!take_one_of(&rest, "eE")) {
        return d;
    }
    bool is_negative = take_one_of(&rest, "-");

    (void)take_one_of(&rest, "+");
    for (size_t i = 0; i < rest.len; i++) {
        if (d.exponent < EXPONENT_MAX) {
            d.exponent = d.exponent * 10 + (rest.at[i] - '0');
        }
    }
    d.exponent = is_negative ? -d.exponent : d.exponent;
    return d;
}

/* `value` with one digit more; false where it has no room. */
static bool append_digit(uint64_t *value, unsigned digit)
{
    return !__builtin_mul_overflow(*value, 10U, value) &&
           !__builtin_add_overflow(*value, (uint64_t)digit, value);
}

const char *number_to_integer(struct lexer_span text, struct number_integer *out)
{
    struct number_integer value = { .is_negative = take_one_of(&text, "-") };
    struct decimal d = split(text);
    int64_t count = (int64_t)(d.whole.len + d.fraction.len);
    int64_t whole = (int64_t)d.whole.len + d.exponent; /* digits before the decimal point */

    for (int64_t i = 0; i < count; i++) {
        size_t at = (size_t)i;
        char c = at < d.whole.len ? d.whole.at[at] : d.fraction.at[at - d.whole.len];

        if (i >= whole && c != '0') {
            return "not an integer";
        }
        if (i < whole && !append_digit(&value.magnitude, (unsigned)(c - '0'))) {
            return not_in_range;
        }
    }
    for (int64_t i = count; i < whole && value.magnitude != 0; i++) { /* ends within 20 steps */
        if (!append_digit(&value.magnitude, 0)) {
            return not_in_range;
        }
    }
    *out = value;
    return NULL;
}

/* strtod() goes by the locale; the one of C always is there. */
static const char *to_real(struct lexer_span text, double *as_double, float *as_float)
{
    char copy[NUMBER_REAL_LEN_MAX + 1];

    if (text.len > NUMBER_REAL_LEN_MAX) {
        return "a number with too many digits";
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);

    if (locale == (locale_t)0) {
        return "out of memory";
    }
    if (as_double != NULL) {
        *as_double = strtod_l(copy, NULL, locale);
    } else {
        *as_float = strtof_l(copy, NULL, locale);
    }
    freelocale(locale);
    return NULL;
}

const char *number_to_double(struct lexer_span text, double *out)
{
    double value = 0;
    const char *wrong = to_real(text, &value, NULL);

    if (wrong == NULL && isinf(value)) {
        wrong = not_in_range;
    }
    *out = wrong == NULL ? value : *out;
    return wrong;
}

const char *number_to_float(struct lexer_span text, float *out)
{
    float value = 0;
    const char *wrong = to_real(text, NULL, &value);

    if (wrong == NULL && isinf(value)) {
        wrong = not_in_range;
    }
    *out = wrong == NULL ? value : *out;
    return wrong;
}
