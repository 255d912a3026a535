/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/arguments.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/suggestion.h"
#include "common/text.h"

struct parser {
    int argc;
    char **argv;
    int next;
    const struct option *global;
    const struct option *own; /* the verb's; NULL before it */
    struct arguments *out;
    char *usage;
};

static bool refuse(struct parser *p, const char *what, const char *text)
{
    (void)snprintf(p->usage, USAGE_MAX_BYTES, "%s: %.160s", what, text);
    return false;
}

static const struct option *find_in(const struct option *table, const char *name, size_t len,
                                    char letter)
{
    for (; table != NULL && table->name != NULL; table++) {
        if (letter != '\0' ? table->letter == letter
                           : strlen(table->name) == len && strncmp(table->name, name, len) == 0) {
            return table;
        }
    }
    return NULL;
}

static const struct option *find(const struct parser *p, const char *name, size_t len, char letter)
{
    const struct option *option = find_in(p->own, name, len, letter);

    return option != NULL ? option : find_in(p->global, name, len, letter);
}

/* Which one may have been meant, of those that may stand here. */
static bool refuse_option(struct parser *p, const char *text)
{
    const struct option *const tables[] = { p->own, p->global };
    struct suggestion suggestion;
    char meant[SUGGESTION_TEXT_BYTES];

    suggestion_begin(&suggestion, text, strcspn(text, "="));
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct option *o = tables[i]; o != NULL && o->name != NULL; o++) {
            char dashed[64];

            (void)snprintf(dashed, sizeof(dashed), "--%s", o->name);
            suggestion_offer(&suggestion, dashed);
        }
    }
    (void)snprintf(p->usage, USAGE_MAX_BYTES, "%s: %.100s%s",
                   p->own == NULL ? "no such option before a verb" : "no such option", text,
                   suggestion_text(&suggestion, meant));
    return false;
}

/* `attached`: what stands behind "=" or a letter, or NULL. */
static bool take_option(struct parser *p, const struct option *option, const char *text,
                        const char *attached)
{
    const char *value = "";

    if (option == NULL) {
        return refuse_option(p, text);
    }
    if (option->argument == NULL && attached != NULL) {
        return refuse(p, "this option takes no argument", text);
    }
    if (option->argument != NULL) {
        value = attached != NULL ? attached : p->next < p->argc ? p->argv[p->next++] : NULL;
        if (value == NULL) {
            return refuse(p, "this option needs an argument", text);
        }
    }
    if (!option->repeats && arguments_value(p->out, option->name) != NULL) {
        return refuse(p, "this option was given twice", text);
    }
    if (p->out->option_count >= OPTIONS_MAX) {
        return refuse(p, "too many options at", text);
    }
    p->out->options[p->out->option_count].option = option;
    p->out->options[p->out->option_count++].value = value;
    return true;
}

static bool take_dashed(struct parser *p, const char *text)
{
    if (text[1] == '-') {
        const char *name = text + 2;
        size_t len = strcspn(name, "=");

        return take_option(p, find(p, name, len, '\0'), text,
                           name[len] == '=' ? name + len + 1 : NULL);
    }
    return take_option(p, find(p, NULL, 0, text[1]), text, text[2] != '\0' ? text + 2 : NULL);
}

bool arguments_parse(int argc, char **argv, const struct option *global,
                     arguments_find_verb *find_verb, void *arg, struct arguments *out,
                     char usage[USAGE_MAX_BYTES])
{
    struct parser p = {
        .argc = argc, .argv = argv, .next = 1, .global = global, .out = out, .usage = usage
    };
    static const struct option none[] = { { 0 } };
    bool only_operands = false;
    bool has_verb = false;
    size_t operands_max = 0;

    *out = (struct arguments){ 0 };
    while (p.next < argc) {
        const char *text = argv[p.next++];

        if (!only_operands && strcmp(text, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && text[0] == '-' && text[1] != '\0') {
            if (!take_dashed(&p, text)) {
                return false;
            }
        } else if (!has_verb) {
            if (!find_verb(arg, text, &p.own, &operands_max, usage)) {
                return false;
            }
            p.own = p.own != NULL ? p.own : none;
            has_verb = true;
        } else if (out->operand_count >= operands_max || out->operand_count >= OPERANDS_MAX) {
            return refuse(&p, "too many operands at", text);
        } else {
            out->operands[out->operand_count++] = text;
        }
    }
    return true;
}

const char *arguments_next_value(const struct arguments *arguments, const char *name, size_t *at)
{
    while (*at < arguments->option_count) {
        size_t i = (*at)++;

        if (strcmp(arguments->options[i].option->name, name) == 0) {
            return arguments->options[i].value;
        }
    }
    return NULL;
}

const char *arguments_value(const struct arguments *arguments, const char *name)
{
    size_t at = 0;

    return arguments_next_value(arguments, name, &at);
}

bool arguments_number(const char *what, const char *text, uint32_t max, uint32_t *out,
                      char usage[USAGE_MAX_BYTES])
{
    uint64_t value;

    if (!text_to_u64(text, max, &value)) {
        (void)snprintf(usage, USAGE_MAX_BYTES, "%s has to be a number from 0 to %u, not \"%.100s\"",
                       what, max, text);
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

bool arguments_duration(const char *what, const char *text, uint32_t max_ms, uint32_t *out_ms,
                        char usage[USAGE_MAX_BYTES])
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = { { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 } };
    size_t digits = strspn(text, "0123456789");
    char number[16];
    uint64_t value;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && digits < sizeof(number); i++) {
        (void)snprintf(number, sizeof(number), "%.*s", (int)digits, text);
        if (strcmp(text + digits, units[i].unit) == 0 &&
            text_to_u64(number, max_ms / units[i].ms, &value) && value > 0) {
            *out_ms = (uint32_t)(value * units[i].ms);
            return true;
        }
    }
    (void)snprintf(usage, USAGE_MAX_BYTES,
                   "%s has to be a time like 30s, 500ms or 2m, at most %u s, not \"%.100s\"", what,
                   max_ms / 1000, text);
    return false;
}
