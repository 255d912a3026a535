/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Three functions that are tables, and the ones that use them. Bash breaks words at '=' and, where it
 * completes host names, at '@', which it replaces with the word behind it all the same. */
#include <string.h>

#include "client/cli/choices.h"
#include "client/cli/completion.h"
#include "client/cli/verbs.h"

enum { WORDS_MAX_BYTES = 4096 };

/* What stands for a placeholder, and the end of its branch. No word of the tables has a quote. */
static void append_kind(struct buffer *out, const char *placeholder, size_t len)
{
    BUFFER_AUTO(words, WORDS_MAX_BYTES);

    switch (choices_of(placeholder, len, &words)) {
    case CHOICES_WORDS:
        buffer_append_string(out, "kind=words words='");
        buffer_append(out, words.data, words.len_bytes);
        buffer_append_byte(out, '\'');
        break;
    case CHOICES_FILES: buffer_append_string(out, "kind=files"); break;
    case CHOICES_DOMAINS: buffer_append_string(out, "kind=domains"); break;
    case CHOICES_JSON: buffer_append_string(out, "kind=json"); break;
    case CHOICES_ANY: buffer_append_string(out, "kind=any"); break;
    }
    buffer_append_string(out, " ;;\n");
}

static void append_arguments(struct buffer *out, const char *verb, const struct option *options)
{
    for (const struct option *o = options; o != NULL && o->name != NULL; o++) {
        if (o->argument != NULL) {
            buffer_printf(out, "    %s:--%s", verb, o->name);
            if (o->letter != '\0') {
                buffer_printf(out, " | %s:-%c", verb, o->letter);
            }
            buffer_append_string(out, ") ");
            append_kind(out, o->argument, strlen(o->argument));
        }
    }
}

static void append_option_names(struct buffer *out, const struct option *options)
{
    for (const struct option *o = options; o != NULL && o->name != NULL; o++) {
        buffer_printf(out, " --%s", o->name);
    }
}

static void append_all_arguments(struct buffer *out)
{
    buffer_append_string(out, "_xenres_argument() { # VERB OPTION: sets what the option takes\n"
                              "    case $1:$2 in\n");
    append_arguments(out, "*", verbs_global_options);
    for (size_t i = 0; i < verbs_count; i++) {
        append_arguments(out, verbs[i]->name, verbs[i]->options);
    }
    buffer_append_string(out, "    *) return 1 ;;\n    esac\n}\n\n");
}

static void append_operands(struct buffer *out)
{
    buffer_append_string(out, "_xenres_operand() { # VERB INDEX: sets what may stand there\n"
                              "    case $1:$2 in\n");
    for (size_t i = 0; i < verbs_count; i++) {
        struct choices_operand operand;
        const char *at = verbs[i]->operands;

        for (unsigned k = 0; choices_next_operand(&at, &operand); k++) {
            buffer_printf(out, "    %s:%u) ", verbs[i]->name, k);
            append_kind(out, operand.placeholder, operand.len);
        }
    }
    buffer_append_string(out, "    *) return 1 ;;\n    esac\n}\n\n");
}

static void append_words(struct buffer *out)
{
    buffer_append_string(out, "_xenres_words() { # VERB: sets its options; without one, the verbs\n"
                              "    kind=words options='");
    append_option_names(out, verbs_global_options);
    buffer_append_string(out, "'\n    case $1 in\n    '') words='");
    for (size_t i = 0; i < verbs_count; i++) {
        buffer_printf(out, "%s%s", i > 0 ? " " : "", verbs[i]->name);
    }
    buffer_append_string(out, "' ;;\n");
    for (size_t i = 0; i < verbs_count; i++) {
        if (verbs[i]->options != NULL) {
            buffer_printf(out, "    %s) options+='", verbs[i]->name);
            append_option_names(out, verbs[i]->options);
            buffer_append_string(out, "' ;;\n");
        }
    }
    buffer_append_string(out, "    esac\n}\n\n");
}

static const char functions[] =
    "_xenres_add() { # CANDIDATE...: those that go on from what is typed\n"
    "    local candidate\n"
    "    for candidate; do\n"
    "        [[ $candidate != \"$cur\"* ]] || COMPREPLY+=(\"$candidate\")\n"
    "    done\n"
    "}\n\n"
    "_xenres_files() { # PREFIX BEGINNING\n"
    "    local file\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    while IFS= read -r file; do\n"
    "        COMPREPLY+=(\"$1$file\")\n"
    "    done < <(compgen -f -- \"$2\")\n"
    "}\n\n"
    "_xenres_domains() {\n"
    "    local name\n"
    "    [[ -n ${XENRES_SERVER-} ]] || return 0\n"
    "    while IFS= read -r name; do\n"
    "        _xenres_add \"$name\"\n"
    "    done < <(command xenres --timeout 1s domains --names 2>/dev/null </dev/null)\n"
    "}\n\n"
    "_xenres_json() {\n"
    "    if [[ $cur == @* ]]; then\n"
    "        _xenres_files @ \"${cur#@}\"\n"
    "    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == @ ]]; then\n"
    "        _xenres_files @ \"$cur\"\n"
    "    fi\n"
    "}\n\n"
    "_xenres() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} verb= operand=0 pending= literal= word i\n"
    "    local kind= words= options= IFS=$' \\t\\n'\n"
    "    COMPREPLY=()\n"
    "    [[ $cur != = ]] || cur=\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ -n $pending ]]; then\n"
    "            [[ $word == = ]] || pending=\n"
    "        elif [[ -z $literal && $word == -- ]]; then\n"
    "            literal=yes\n"
    "        elif [[ -z $literal && $word == -?* ]]; then\n"
    "            ! _xenres_argument \"$verb\" \"$word\" || pending=$word\n"
    "        elif [[ -z $verb ]]; then\n"
    "            verb=$word\n"
    "        elif [[ $word != @ ]]; then\n"
    "            operand=$((operand + 1))\n"
    "        fi\n"
    "    done\n"
    "    if [[ -n $pending ]]; then\n"
    "        _xenres_argument \"$verb\" \"$pending\"\n"
    "    elif [[ -z $literal && $cur == -* ]]; then\n"
    "        _xenres_words \"$verb\"\n"
    "        words=$options\n"
    "    elif [[ -z $verb ]]; then\n"
    "        _xenres_words ''\n"
    "    else\n"
    "        _xenres_operand \"$verb\" \"$operand\" || return 0\n"
    "    fi\n"
    "    case $kind in\n"
    "    words) _xenres_add $words ;;\n"
    "    files) _xenres_files '' \"$cur\" ;;\n"
    "    domains) _xenres_domains ;;\n"
    "    json) _xenres_json ;;\n"
    "    esac\n"
    "}\n\n"
    "complete -F _xenres xenres\n";

void completion_bash(struct buffer *out)
{
    buffer_append_string(out, "# bash completion of xenres " XENRES_VERSION
                              ", made by \"xenres completion bash\".\n\n");
    append_all_arguments(out);
    append_operands(out);
    append_words(out);
    buffer_append_string(out, functions);
}
