/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/scenario_text.h"

#include <string.h>

void scenario_text_begin(struct buffer *out)
{
    buffer_append_string(out, "# Made of a recording by xenres " XENRES_VERSION ".\n\n");
}

void scenario_text_string(struct buffer *out, const char *text)
{
    buffer_append_byte(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            buffer_append_string(out, "\\\"");
        } else if (*text == '$' || (unsigned char)*text < ' ') {
            buffer_printf(out, "\\x%02x", (unsigned)(unsigned char)*text);
        } else {
            buffer_append_byte(out, (uint8_t)*text);
        }
    }
    buffer_append_byte(out, '"');
}

void scenario_text_file(struct buffer *out, const char *path)
{
    BUFFER_AUTO(escaped, 8192);
    const char *slash = strrchr(path, '/');

    for (const char *at = slash != NULL ? slash + 1 : path; *at != '\0'; at++) {
        buffer_append_string(&escaped, *at == '\\' ? "\\\\" : (const char[]){ *at, '\0' });
    }
    const char *text = buffer_string(&escaped);

    scenario_text_string(out, text != NULL ? text : "");
}
