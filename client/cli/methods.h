/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The API's methods as this command knows them: names and types from the generated descriptors, and
 * what those leave out (which ones stream, a word on each) from a table that tests/arch compares
 * with proto/. Pure.
 */
#ifndef XENRES_CLI_METHODS_H
#define XENRES_CLI_METHODS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"

enum { METHODS_NAME_BYTES = 128 };

struct api_method {
    char name[METHODS_NAME_BYTES]; /* "xenres.v1.HostService/GetHost" */
    const char *short_name;        /* static: "HostService/GetHost" */
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *response; /* or of each message of a stream */
    bool is_stream;
    const char *summary;
};

/* False behind the last one. They come service by service. */
bool methods_at(size_t index, struct api_method *out);
/* By its name, with the package before it or without. */
bool methods_find(const char *name, struct api_method *out);
/* The type of an answer by its full name; NULL: it is none. */
const ProtobufCMessageDescriptor *methods_response(const char *type_name);

/* "{domain, incarnation, …}": the fields of a message as JSON has them, messages within opened two
 * levels deep. */
void methods_append_fields(struct buffer *out, const ProtobufCMessageDescriptor *type);

#endif
