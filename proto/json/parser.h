/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Within proto/json only: what the files of the parsing half share. Functions return 0 or what
 * parser_refuse() returned; messages that they began are freed then. */
#ifndef XENRES_PROTO_JSON_PARSER_H
#define XENRES_PROTO_JSON_PARSER_H

#include <protobuf-c/protobuf-c.h>

#include "common/error.h"
#include "proto/json/lexer.h"
#include "proto/json/parse.h"
#include "proto/wire/budget.h"

/* Where in the message the parser is: the innermost of a list on the stack. */
struct parser_place {
    const struct parser_place *outer;
    struct lexer_span name; /* of a field, or of a map's entry; `.at` NULL: an index */
    size_t index;
};

struct parser {
    struct lexer lexer;
    const ProtobufCMessageDescriptor *root;
    const struct wire_limits *limits;
    const struct json_parse_options *options;
    struct budget budget;
    unsigned depth; /* messages that the parser is in */
    const struct parser_place *place;
    struct failure *f;
};

/* parse.c */
/* Fails at the current place; the texts as in failure_set(). */
int parser_refuse(struct parser *p, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int parser_refuse_text(struct parser *p); /* the lexer's error */
int parser_refuse_memory(struct parser *p);

/* parse_message.c */
/* A value of this message type in the form that it has. */
int parser_message(struct parser *p, const ProtobufCMessageDescriptor *type,
                   ProtobufCMessage **out);
/* A message with nothing in it, a level deeper than the one around it; and its end, with what came
 * of its content, which frees it where that failed and returns that. */
int parser_begin_message(struct parser *p, const ProtobufCMessageDescriptor *type,
                         ProtobufCMessage **out);
int parser_end_message(struct parser *p, int result, ProtobufCMessage *message);
/* The members of an object, from its opening bracket on. `skipped`: a name that is not one of its
 * fields and is passed over, once ("@type"), or NULL. */
int parser_members(struct parser *p, ProtobufCMessage *message, const char *skipped);
/* A member that the type has not. */
int parser_unknown(struct parser *p, const ProtobufCMessageDescriptor *type,
                   struct lexer_span name);

/* parse_value.c */
/* One value, of a singular field or of a list. `at` is written on success only. */
int parser_value(struct parser *p, const ProtobufCFieldDescriptor *field, void *at);
/* `null` is a value of this field and not its absence. */
bool parser_takes_null(const ProtobufCFieldDescriptor *field);
/* A map's key, which is a number or boolean in a string. */
int parser_map_key(struct parser *p, const ProtobufCFieldDescriptor *field, const char *text,
                   void *at);
/* An allocated copy that a NUL ends. */
int parser_copy_string(struct parser *p, struct lexer_span text, char **out);

/* parse_list.c */
int parser_list(struct parser *p, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
int parser_map(struct parser *p, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);

/* parse_wellknown.c, parse_any.c */
/* A value of a well-known type into `message`, which is empty. */
int parser_wellknown(struct parser *p, enum wellknown kind, ProtobufCMessage *message);
int parser_any(struct parser *p, ProtobufCMessage *message);

static inline void *parser_member(ProtobufCMessage *message, unsigned offset)
{
    return (uint8_t *)message + offset;
}

#endif
