/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/scenario_text.h"

#include <stdbool.h>
#include <string.h>

enum { CHARACTER_MAX_BYTES = 4 };

void scenario_text_begin(struct buffer *out)
{
    buffer_append_string(out, "# Made of a recording by xenres " XENRES_VERSION ".\n\n");
}

/* One character of a string; how many bytes it has once it is read. */
static size_t append_character(struct buffer *out, char c, bool is_variable)
{
    if (c == '\\' || c == '"') {
        buffer_printf(out, "\\%c", c);
        return 1;
    }
    if ((c >= 0 && c < ' ') || c == 0x7f || is_variable) {
        buffer_printf(out, "\\\\x%02x", (unsigned)(unsigned char)c);
        return 4;
    }
    buffer_append_byte(out, (uint8_t)c);
    return 1;
}

/* `is_escaped`: two backslashes of the text are one. At most `max_bytes` of it. */
static void append_quoted(struct buffer *out, const char *text, bool is_escaped, size_t max_bytes)
{
    char before = '\0';
    size_t taken = 0;

    buffer_append_byte(out, '"');
    for (; *text != '\0'; text++) {
        bool begins = ((unsigned char)*text & 0xc0) != 0x80; /* a character */

        if (begins && taken + CHARACTER_MAX_BYTES > max_bytes) {
            break;
        }
        taken += append_character(out, *text, *text == '{' && before == '$');
        before = *text;
        text += is_escaped && text[0] == '\\' && text[1] == '\\' ? 1 : 0;
    }
    buffer_append_byte(out, '"');
}

void scenario_text_string(struct buffer *out, const char *text)
{
    append_quoted(out, text, true, SCENARIO_TEXT_MAX_BYTES);
}

void scenario_text_file(struct buffer *out, const char *path)
{
    const char *slash = strrchr(path, '/');

    append_quoted(out, slash != NULL ? slash + 1 : path, false, SIZE_MAX);
}
