/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any text as a deny list: it is refused with a fault, or loaded; and what was loaded keeps out whom its
 * lines name, as read here by other means, and nobody else who is asked for.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "auth/deny.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* The word that a line begins with, where that is no comment. */
static size_t word_of(const char **line, size_t len)
{
    size_t end = 0;

    while (len > 0 && (**line == ' ' || **line == '\t')) {
        (*line)++;
        len--;
    }
    while (end < len && (*line)[end] != ' ' && (*line)[end] != '\t') {
        end++;
    }
    return len > 0 && **line == '#' ? 0 : end;
}

static void check_word(const struct deny *d, const char *word, size_t len)
{
    struct identity who = { .text = "cn:somebody" };
    const char *value = memchr(word, ':', len);
    size_t value_len = value != NULL ? len - (size_t)(++value - word) : 0;

    check(value != NULL);
    if (word[0] == 'f') {
        char hex[65] = "";

        check(value_len == 64);
        memcpy(hex, value, 64);
        check(text_to_hex(hex, who.fingerprint, sizeof who.fingerprint));
        static const uint8_t none[sizeof who.fingerprint];

        if (memcmp(who.fingerprint, none, sizeof none) == 0) {
            return; /* nobody's */
        }
    } else if (word[0] == 't') {
        check(value_len > 0 && value_len < sizeof who.token_id);
        memcpy(who.token_id, value, value_len);
    } else {
        check(word[0] == 'i' && value_len < sizeof who.text);
        memcpy(who.text, value, value_len);
        who.text[value_len] = '\0';
    }
    check(deny_find(d, &who) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct identity stranger = { .text = "not an identity that may be written" };
    BUFFER_AUTO(faults, 1 << 20);
    struct deny *d = NULL;
    struct failure f = { 0 };
    const char *text = (const char *)data, *end = text + size;
    int result = deny_parse("fuzz", text, size, &d, &faults, &f);

    check((result == 0) == (d != NULL) && (result == 0) == (f.code == 0));
    check(result == 0 || faults.len_bytes > 0 || result == -ERROR_RESOURCE_EXHAUSTED);
    if (d == NULL) {
        return 0;
    }
    check(size > 0 && end[-1] == '\n' && deny_find(d, &stranger) == 0);
    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        const char *word = text;
        size_t len = word_of(&word, (size_t)(stop - text));

        if (len > 0) {
            check_word(d, word, len);
        }
        text = stop + 1;
    }
    deny_free(d);
    return 0;
}
