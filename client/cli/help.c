/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/help.h"

#include <stdio.h>

#include "client/cli/output.h"
#include "client/cli/verbs.h"

enum { HELP_MAX_BYTES = 65536 };

/* " --name ARGUMENT" */
static void option_name(struct buffer *out, const struct option *o)
{
    buffer_printf(out, "--%s%s%s", o->name, o->argument != NULL ? " " : "",
                  o->argument != NULL ? o->argument : "");
}

static void options(struct buffer *out, const struct option *o)
{
    for (; o != NULL && o->name != NULL; o++) {
        BUFFER_AUTO(left, 128);

        if (o->letter != '\0') {
            buffer_printf(&left, "-%c, ", o->letter);
        }
        option_name(&left, o);
        const char *text = buffer_string(&left);

        buffer_printf(out, "  %-28s %s\n", text != NULL ? text : "", o->help);
    }
}

/* "[--first N] [--count M]", under the verb. */
static void verb_line(struct buffer *out, const struct verb *verb)
{
    char left[64];

    (void)snprintf(left, sizeof(left), "%s %s", verb->name, verb->operands);
    buffer_printf(out, "  %-28s %s\n", left, verb->summary);
    if (verb->options == NULL) {
        return;
    }
    buffer_append_string(out, "   ");
    for (const struct option *o = verb->options; o->name != NULL; o++) {
        buffer_append_string(out, " [");
        option_name(out, o);
        buffer_append_string(out, o->repeats ? "]..." : "]");
    }
    buffer_append_byte(out, '\n');
}

static void of_verb(struct buffer *out, const struct verb *verb)
{
    buffer_printf(out, "usage: xenres [OPTIONS] %s%s%s%s\n\n%s\n", verb->name,
                  verb->operands[0] != '\0' ? " " : "", verb->operands,
                  verb->options != NULL ? " [OPTIONS]" : "", verb->description);
    if (verb->options != NULL) {
        buffer_printf(out, "\nOptions of %s:\n", verb->name);
        options(out, verb->options);
    }
}

static void of_command(struct buffer *out)
{
    buffer_append_string(out, "usage: xenres [OPTIONS] VERB [OPERANDS]\n\n"
                              "Looks into the pages that Xen shares with dom0, through xenresd.\n\n"
                              "Verbs:\n");
    for (size_t i = 0; i < verbs_count; i++) {
        verb_line(out, verbs[i]);
    }
}

int help_print(const struct verb *verb)
{
    BUFFER_AUTO(text, HELP_MAX_BYTES);

    if (verb != NULL) {
        of_verb(&text, verb);
    } else {
        of_command(&text);
    }
    buffer_append_string(&text, "\nOptions of all verbs:\n");
    options(&text, verbs_global_options);
    buffer_append_string(
        &text, "\nDOMAIN is a domid, a UUID or a name; domid:, uuid: or name: before it tells.\n"
               "Exit statuses and examples: man xenres.\n");
    return output_print(&text);
}
