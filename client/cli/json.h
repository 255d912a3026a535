/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Answers as the API's own JSON, printed from their protobuf bytes. Fields with default values are
 * printed too: a script that asks for `.domid` or `.readonly` finds 0 or false instead of nothing.
 */
#ifndef XENRES_CLI_JSON_H
#define XENRES_CLI_JSON_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <xenres.h>

#include "client/cli/output.h"

/* Appends a document, without a newline behind it; in one line where not `is_pretty`. Not 0:
 * reported; the exit status. */
int json_append_message(struct buffer *out, const ProtobufCMessage *message, bool is_pretty);
int json_append_reply(struct buffer *out, const xenres_reply *reply, bool is_pretty);
/* The same of a message's bytes, in one line. */
int json_append_bytes(struct buffer *out, const ProtobufCMessageDescriptor *type, const void *bytes,
                      size_t len_bytes);

/* The answer's message, unpacked; release with wire_free(). NULL: reported. */
ProtobufCMessage *json_unpack_reply(const xenres_reply *reply);

/* Prints one document and a newline on standard output, and ends: the exit status. */
int json_show_reply(const xenres_reply *reply);
int json_show_text(struct buffer *document);

#endif
