/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Specifications for zsh's own _arguments, which parses the line and shows what each word means. */
#include <string.h>

#include "client/cli/choices.h"
#include "client/cli/completion.h"
#include "client/cli/verbs.h"

enum { WORDS_MAX_BYTES = 4096 };

/* A text within single quotes, where `escaped` has the characters that _arguments and _describe read
 * otherwise. */
static void append_quoted(struct buffer *out, const char *text, size_t len, const char *escaped)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'') {
            buffer_append_string(out, "'\\''");
            continue;
        }
        if (strchr(escaped, text[i]) != NULL) {
            buffer_append_byte(out, '\\');
        }
        buffer_append_byte(out, (uint8_t)text[i]);
    }
}

/* ":MESSAGE:ACTION" of what stands for a placeholder. */
static void append_action(struct buffer *out, const char *placeholder, size_t len)
{
    BUFFER_AUTO(words, WORDS_MAX_BYTES);

    buffer_append_byte(out, ':');
    append_quoted(out, placeholder, len, ":\\");
    buffer_append_byte(out, ':');
    switch (choices_of(placeholder, len, &words)) {
    case CHOICES_WORDS:
        buffer_append_byte(out, '(');
        buffer_append(out, words.data, words.len_bytes);
        buffer_append_byte(out, ')');
        break;
    case CHOICES_FILES: buffer_append_string(out, "_files"); break;
    case CHOICES_DOMAINS: buffer_append_string(out, "_xenres_domains"); break;
    case CHOICES_JSON: buffer_append_string(out, "_xenres_json"); break;
    case CHOICES_ANY: buffer_append_byte(out, ' '); break;
    }
}

/* A line an option: '*--state=[help]:STATE:(…)', '(-o --format)'{-o+,--format=}'[help]:…' */
static void append_options(struct buffer *out, const char *indent, const struct option *options)
{
    for (const struct option *o = options; o != NULL && o->name != NULL; o++) {
        const char *equals = o->argument != NULL ? "=" : "";

        if (o->letter != '\0') {
            buffer_printf(out, "%s'(-%c --%s)'{-%c%s,--%s%s}'[", indent, o->letter, o->name,
                          o->letter, o->argument != NULL ? "+" : "", o->name, equals);
        } else {
            buffer_printf(out, "%s'%s--%s%s[", indent, o->repeats ? "*" : "", o->name, equals);
        }
        append_quoted(out, o->help, strlen(o->help), "[]:\\");
        buffer_append_byte(out, ']');
        if (o->argument != NULL) {
            append_action(out, o->argument, strlen(o->argument));
        }
        buffer_append_string(out, "'\n");
    }
}

static void append_verb(struct buffer *out, const struct verb *verb)
{
    struct choices_operand operand;
    const char *at = verb->operands;

    buffer_printf(out, "    %s)\n        specs+=(\n", verb->name);
    append_options(out, "            ", verb->options);
    while (choices_next_operand(&at, &operand)) {
        buffer_append_string(out, operand.is_optional ? "            ':" : "            '");
        append_action(out, operand.placeholder, operand.len);
        buffer_append_string(out, "'\n");
    }
    buffer_append_string(out, "        ) ;;\n");
}

static const char functions[] =
    "_xenres_domains() {\n"
    "    local -a names\n"
    "    [[ -n ${XENRES_SERVER-} ]] || return 1\n"
    "    names=(${(f)\"$(command xenres --timeout 1s domains --names 2>/dev/null </dev/null)\"})\n"
    "    compadd -a names\n"
    "}\n\n"
    "_xenres_json() {\n"
    "    compset -P @ && _files\n"
    "}\n\n";

static const char parse[] = "    _arguments -C -S $specs '1: :->verb' '*:: :->rest' && return\n"
                            "    case $state in\n"
                            "    verb)\n"
                            "        _describe -t verbs verb verbs && return\n"
                            "        return 1 ;;\n"
                            "    rest) ;;\n"
                            "    *) return 1 ;;\n"
                            "    esac\n"
                            "    case $words[1] in\n";

void completion_zsh(struct buffer *out)
{
    buffer_append_string(out, "#compdef xenres\n# zsh completion of xenres " XENRES_VERSION
                              ", made by \"xenres completion zsh\".\n\n");
    buffer_append_string(out, functions);
    buffer_append_string(out, "_xenres() {\n"
                              "    local curcontext=$curcontext state\n"
                              "    local -a line specs verbs\n"
                              "    local -A opt_args\n"
                              "    specs=(\n");
    append_options(out, "        ", verbs_global_options);
    buffer_append_string(out, "    )\n    verbs=(\n");
    for (size_t i = 0; i < verbs_count; i++) {
        buffer_printf(out, "        '%s:", verbs[i]->name);
        append_quoted(out, verbs[i]->summary, strlen(verbs[i]->summary), ":\\");
        buffer_append_string(out, "'\n");
    }
    buffer_append_string(out, "    )\n");
    buffer_append_string(out, parse);
    for (size_t i = 0; i < verbs_count; i++) {
        append_verb(out, verbs[i]);
    }
    buffer_append_string(out, "    *) return 1 ;;\n    esac\n    _arguments -S $specs\n}\n\n"
                              "_xenres \"$@\"\n");
}
