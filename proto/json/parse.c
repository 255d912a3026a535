/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "proto/json/parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/json/parser.h"

enum { PATH_MAX_BYTES = FAILURE_TEXT_MAX };

/* Appends to what is in `path`; beyond its end, nothing. */
static void append(char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(char *path, const char *format, ...)
{
    size_t used = strlen(path);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(path + used, PATH_MAX_BYTES - used, format, args);
    va_end(args);
}

static void append_place(char *path, const struct parser_place *place)
{
    if (place == NULL) {
        return;
    }
    append_place(path, place->outer); /* as deep as messages nest */
    if (place->name.at == NULL) {
        append(path, "[%zu]", place->index);
    } else {
        size_t len = place->name.len < PATH_MAX_BYTES ? place->name.len : PATH_MAX_BYTES;

        append(path, "%s%.*s", path[0] != '\0' ? "." : "", (int)len, place->name.at);
    }
}

int parser_refuse(struct parser *p, enum error_code code, const char *format, ...)
{
    char path[PATH_MAX_BYTES] = "";
    char what[FAILURE_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    append_place(path, p->place);
    int result = failure_set(p->f, code, "%s%s%s: %s", p->root->name,
                             path[0] != '\0' && path[0] != '[' ? "." : "", path, what);

    return failure_field(p->f, result, "%s", path);
}

int parser_refuse_text(struct parser *p)
{
    const struct lexer *lx = &p->lexer;

    return parser_refuse(p, lx->is_over_limit ? ERROR_RESOURCE_EXHAUSTED : ERROR_INVALID_ARGUMENT,
                         "%s (byte %zu)", lx->error, (size_t)(lx->at - lx->start));
}

int parser_refuse_memory(struct parser *p)
{
    return parser_refuse(p, ERROR_RESOURCE_EXHAUSTED, "takes more than %zu bytes of memory",
                         p->limits->memory_max_bytes);
}

int json_parse(const ProtobufCMessageDescriptor *type, const void *text, size_t len_bytes,
               const struct wire_limits *limits, const struct json_parse_options *options,
               ProtobufCMessage **out, struct failure *f)
{
    static const struct json_parse_options no_options;
    BUFFER_AUTO(scratch, len_bytes);
    struct parser p = { .root = type,
                        .limits = limits,
                        .options = options != NULL ? options : &no_options,
                        .budget = { .left_bytes = limits->memory_max_bytes },
                        .f = f };
    ProtobufCMessage *message = NULL;

    if (len_bytes > limits->len_max_bytes) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%s: %zu bytes, more than %zu", type->name,
                           len_bytes, limits->len_max_bytes);
    }
    lexer_init(&p.lexer, (struct lexer_span){ .at = len_bytes > 0 ? text : "", .len = len_bytes },
               limits->elements_max, &scratch);
    int result = parser_message(&p, type, &message);

    if (result != 0) {
        return result;
    }
    if (!lexer_at_end(&p.lexer)) {
        wire_free(message);
        return parser_refuse_text(&p);
    }
    *out = message;
    return 0;
}
