/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Files of options and sections, read by means that share nothing with libconfuse and the checks before it: a
 * word at a time.
 */
#ifndef XENRES_TESTS_SETTINGS_READER_H
#define XENRES_TESTS_SETTINGS_READER_H

#include <stdbool.h>
#include <string.h>

enum { SETTINGS_READER_WORD_BYTES = 300 };

struct settings_reader {
    const char *at;
    char word[SETTINGS_READER_WORD_BYTES]; /* a string, a word, or a mark; "" at the end */
    bool is_mark, is_string;
};

static inline void settings_reader_skip(struct settings_reader *r)
{
    for (;;) {
        r->at += strspn(r->at, " \t\r\n");
        if (r->at[0] == '#' || strncmp(r->at, "//", 2) == 0) {
            r->at += strcspn(r->at, "\n");
        } else if (strncmp(r->at, "/*", 2) == 0 && strstr(r->at + 2, "*/") != NULL) {
            r->at = strstr(r->at + 2, "*/") + 2;
        } else {
            return;
        }
    }
}

/* False: longer than all that is meant here. */
static inline bool settings_reader_next(struct settings_reader *r)
{
    size_t len = 0;

    settings_reader_skip(r);
    r->is_mark = strchr("{}=,+", *r->at) != NULL;
    r->is_string = *r->at == '"';
    if (r->is_string) {
        for (r->at++; *r->at != '"' && *r->at != '\0' && len < sizeof(r->word) - 1; len++) {
            r->at += *r->at == '\\';
            r->word[len] = *r->at++;
        }
        if (*r->at++ != '"') {
            return false;
        }
    } else if (r->is_mark) {
        r->word[len++] = *r->at;
        r->at += *r->at != '\0';
    } else {
        for (; strchr(" \t\r\n{}=,+\"#", *r->at) == NULL && len < sizeof(r->word) - 1; len++) {
            r->word[len] = *r->at++;
        }
    }
    r->word[len] = '\0';
    return true;
}

static inline bool settings_reader_is(const struct settings_reader *r, const char *mark)
{
    return r->is_mark && strcmp(r->word, mark) == 0;
}

#endif
