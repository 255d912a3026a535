/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Within proto/json only: what the files of the printing half share. Functions return 0, or what
 * printer_refuse() returned. */
#ifndef XENRES_PROTO_JSON_PRINTER_H
#define XENRES_PROTO_JSON_PRINTER_H

#include "proto/json/print.h"

struct printer {
    const struct json_print_options *options;
    struct buffer *out;
    struct failure *f;
    unsigned depth;    /* of brackets that are open: the indentation */
    unsigned messages; /* that the printer is in */
};

/* print.c */
/* Fails here; the path to this place is put before `what` on the way out. */
int printer_refuse(const struct printer *p, const char *what);
/* Brackets, and what stands before each member or element in them. */
void printer_open(struct printer *p, char bracket);
void printer_next(const struct printer *p, bool *is_first);
void printer_close(struct printer *p, char bracket, bool is_empty);
void printer_colon(const struct printer *p);

int printer_message(struct printer *p, const ProtobufCMessage *message);
/* The message's fields as an object. `type_url`: goes before them as "@type", or NULL. */
int printer_object(struct printer *p, const ProtobufCMessage *message, const char *type_url);
int printer_value(struct printer *p, const ProtobufCFieldDescriptor *field, const void *at);
int printer_string(struct printer *p, const char *text);
int printer_list(struct printer *p, const ProtobufCMessage *message,
                 const ProtobufCFieldDescriptor *field);
int printer_map(struct printer *p, const ProtobufCMessage *message,
                const ProtobufCFieldDescriptor *field);

/* print_wellknown.c */
int printer_wellknown(struct printer *p, enum wellknown kind, const ProtobufCMessage *message);

static inline const void *printer_member(const ProtobufCMessage *message, unsigned offset)
{
    return (const uint8_t *)message + offset;
}

#endif
