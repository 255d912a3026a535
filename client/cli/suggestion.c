/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/suggestion.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PREFIX_MIN = 2, LETTERS_PER_MISTAKE = 4, MISTAKES_MAX = 3 };

static int lower(char c)
{
    return tolower((unsigned char)c);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static bool letters_equal(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

/* Optimal string alignment: three rows of the table are enough. */
static unsigned edits(const char *a, const char *b)
{
    enum { WIDTH = SUGGESTION_NAME_MAX_BYTES + 1 };
    unsigned rows[3][WIDTH];
    size_t a_len = strlen(a), b_len = strlen(b);

    for (size_t k = 0; k <= b_len; k++) {
        rows[0][k] = (unsigned)k;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *last = rows[(i + 2) % 3];
        const unsigned *before = rows[(i + 1) % 3];

        now[0] = (unsigned)i;
        for (size_t k = 1; k <= b_len; k++) {
            unsigned changed = lower(a[i - 1]) != lower(b[k - 1]) ? 1 : 0;

            now[k] = least(last[k - 1] + changed, least(last[k], now[k - 1]) + 1);
            if (i > 1 && k > 1 && lower(a[i - 1]) == lower(b[k - 2]) &&
                lower(a[i - 2]) == lower(b[k - 1])) {
                now[k] = least(now[k], before[k - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

void suggestion_begin(struct suggestion *s, const char *given, size_t len)
{
    *s = (struct suggestion){ .distance = MISTAKES_MAX + 1 };
    if (len <= SUGGESTION_NAME_MAX_BYTES) {
        memcpy(s->given, given, len);
    }
}

static unsigned distance(const char *given, const char *name)
{
    size_t given_len = strlen(given);
    size_t letters = strspn(given, "-");
    const char *part = strrchr(name, '/');

    if (given_len - letters >= PREFIX_MIN && given_len < strlen(name) &&
        letters_equal(given, name, given_len)) {
        return 1;
    }
    if (part != NULL && strlen(part + 1) == given_len &&
        letters_equal(given, part + 1, given_len)) {
        return 1;
    }
    if (given_len == letters) {
        return MISTAKES_MAX + 1; /* dashes alone */
    }
    unsigned count = edits(given, name);
    size_t most = 1 + (given_len - letters - 1) / LETTERS_PER_MISTAKE;

    return count <= most && count < given_len - letters ? count : MISTAKES_MAX + 1;
}

void suggestion_offer(struct suggestion *s, const char *name)
{
    if (s->given[0] == '\0' || strlen(name) > SUGGESTION_NAME_MAX_BYTES) {
        return;
    }
    unsigned count = distance(s->given, name);

    if (count < s->distance) {
        s->distance = count;
        (void)snprintf(s->best, sizeof(s->best), "%s", name);
    }
}

const char *suggestion_text(const struct suggestion *s, char out[SUGGESTION_TEXT_BYTES])
{
    out[0] = '\0';
    if (s->best[0] != '\0') {
        (void)snprintf(out, SUGGESTION_TEXT_BYTES, " (did you mean \"%s\"?)", s->best);
    }
    return out;
}
