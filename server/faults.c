/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/faults.h"

#include <string.h>

void faults_log(enum log_level level, const char *doing, const struct buffer *faults)
{
    const char *line = (const char *)faults->data;
    size_t left = faults->len_bytes;

    while (left > 0) {
        const char *end = memchr(line, '\n', left);
        size_t len = end != NULL ? (size_t)(end - line) : left;

        if (level == LOG_LEVEL_ERROR) {
            log_error("%s: %.*s", doing, (int)len, line);
        } else {
            log_warning("%s: %.*s", doing, (int)len, line);
        }
        left -= end != NULL ? len + 1 : len;
        line += len + 1;
    }
}

void faults_add(struct buffer *faults, const struct failure *f)
{
    buffer_printf(faults, "%s%s%s%s%s\n", f->message, f->cause[0] != '\0' ? ": " : "", f->cause,
                  f->next_step[0] != '\0' ? "; " : "", f->next_step);
}
