/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/choices.h"

#include <stdio.h>
#include <string.h>
#include <xenres.h>

#include "client/cli/methods.h"
#include "client/cli/names.h"
#include "client/cli/suggestion.h"

enum { WORDS_MAX_BYTES = 4096 };

static void append_word(struct buffer *words, const char *word, size_t len)
{
    if (words->len_bytes > 0) {
        buffer_append_byte(words, ' ');
    }
    buffer_append(words, word, len);
}

static void resource_types(struct buffer *words)
{
    struct name_room room;

    for (uint32_t i = XENRES_IOREQ_SERVER; i <= XENRES_VCPU_STATS; i++) {
        const char *name = name_resource_type(i, &room);

        append_word(words, name, strlen(name));
    }
}

static void domain_states(struct buffer *words)
{
    struct name_room room;

    for (uint32_t i = XENRES_DOMAIN_RUNNING; i <= XENRES_DOMAIN_DYING; i++) {
        const char *name = name_domain_state(i, &room);

        append_word(words, name, strlen(name));
    }
}

static void types_and_any(struct buffer *words)
{
    resource_types(words);
    append_word(words, "any", strlen("any"));
}

static void actions(struct buffer *words)
{
    for (uint32_t i = XENRES_ACTION_LIST; i <= XENRES_ACTION_ADMIN; i++) {
        append_word(words, xenres_action_name(i), strlen(xenres_action_name(i)));
    }
}

static void methods(struct buffer *words)
{
    struct api_method method;

    for (size_t i = 0; methods_at(i, &method); i++) {
        append_word(words, method.short_name, strlen(method.short_name));
    }
}

static const struct {
    const char *placeholder;
    enum choices_kind kind;
    void (*append)(struct buffer *words);
} table[] = {
    { "TYPE", CHOICES_WORDS, resource_types },
    { "TYPE|any", CHOICES_WORDS, types_and_any },
    { "ACTION", CHOICES_WORDS, actions },
    { "STATE", CHOICES_WORDS, domain_states },
    { "SERVICE/METHOD", CHOICES_WORDS, methods },
    { "FILE", CHOICES_FILES, NULL },
    { "DOMAIN", CHOICES_DOMAINS, NULL },
    { "JSON", CHOICES_JSON, NULL },
    { "DIR", CHOICES_FILES, NULL },
};

static bool is(const char *name, const char *text, size_t len)
{
    return strlen(name) == len && strncmp(name, text, len) == 0;
}

enum choices_kind choices_of(const char *placeholder, size_t len, struct buffer *words)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (is(table[i].placeholder, placeholder, len)) {
            if (table[i].append != NULL) {
                table[i].append(words);
            }
            return table[i].kind;
        }
    }
    if (memchr(placeholder, '|', len) == NULL) {
        return CHOICES_ANY;
    }
    while (len > 0) {
        const char *bar = memchr(placeholder, '|', len);
        size_t word = bar != NULL ? (size_t)(bar - placeholder) : len;
        size_t taken = bar != NULL ? word + 1 : len;

        append_word(words, placeholder, word);
        placeholder += taken;
        len -= taken;
    }
    return CHOICES_WORDS;
}

void choices_refuse(const char *what, const char *placeholder, const char *given,
                    char usage[USAGE_MAX_BYTES])
{
    BUFFER_AUTO(words, WORDS_MAX_BYTES);
    BUFFER_AUTO(list, WORDS_MAX_BYTES);
    struct suggestion suggestion;
    char meant[SUGGESTION_TEXT_BYTES];

    (void)choices_of(placeholder, strlen(placeholder), &words);
    suggestion_begin(&suggestion, given, strlen(given));
    for (const char *at = buffer_string(&words); at != NULL && *at != '\0';) {
        char word[SUGGESTION_NAME_MAX_BYTES + 1];
        int len = (int)strcspn(at, " ");

        (void)snprintf(word, sizeof(word), "%.*s", len, at);
        suggestion_offer(&suggestion, word);
        buffer_printf(&list, "%s%s", list.len_bytes > 0 ? ", " : "", word);
        at += len + (at[len] == ' ' ? 1 : 0);
    }
    const char *shown = buffer_string(&list);

    (void)snprintf(usage, USAGE_MAX_BYTES, "%s has to be one of %s; not \"%.60s\"%s", what,
                   shown != NULL ? shown : "", given, suggestion_text(&suggestion, meant));
}

bool choices_next_operand(const char **at, struct choices_operand *out)
{
    const char *start = *at + strspn(*at, " ");
    size_t brackets = strspn(start, "[");

    out->placeholder = start + brackets;
    out->len = strcspn(out->placeholder, " ]");
    out->is_optional = brackets > 0;
    *at = out->placeholder + out->len;
    *at += strspn(*at, "]");
    return out->len > 0;
}
