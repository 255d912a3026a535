/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What the tests of proto/json's parsing half share. What was parsed is looked at by printing it, and
 * where the two could err alike, in the message. */
#ifndef XENRES_TESTS_JSON_FIXTURE_H
#define XENRES_TESTS_JSON_FIXTURE_H

#include "tests/lib/unit.h"

#include <stdio.h>

#include "proto/json/parse.h"
#include "proto/json/print.h"
#include "tests/proto/zoo.pb-c.h"

static const struct wire_limits roomy = { .len_max_bytes = 1 << 20,
                                          .elements_max = 10000,
                                          .memory_max_bytes = 1 << 22 };

static inline const ProtobufCMessageDescriptor *find_type(void *context, const char *name)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &zoo__zoo__descriptor,
        &zoo__leaf__descriptor,
        &google__protobuf__any__descriptor,
        &google__protobuf__duration__descriptor,
        &google__protobuf__empty__descriptor,
        &google__protobuf__value__descriptor,
        &google__protobuf__int32_value__descriptor,
    };

    (void)context;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i]->name, name) == 0) {
            return types[i];
        }
    }
    return NULL;
}

static const struct json_types types = { .find = find_type };

static inline int parse_as(const ProtobufCMessageDescriptor *type, const char *text,
                           ProtobufCMessage **out, struct failure *f)
{
    const struct json_parse_options options = { .types = &types };

    return json_parse(type, text, strlen(text), &roomy, &options, out, f);
}

static inline Zoo__Zoo *parsed(const char *text)
{
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };

    if (parse_as(&zoo__zoo__descriptor, text, &message, &f) != 0) {
        fail_msg("%s: %s", text, f.message);
    }
    return (Zoo__Zoo *)message;
}

static inline void release(Zoo__Zoo *zoo)
{
    wire_free(&zoo->base);
}

/* Printed again it is `expected`; NULL: as it was. */
static inline void expect_as(const ProtobufCMessageDescriptor *type, const char *text,
                             const char *expected)
{
    const struct json_print_options options = { .types = &types };
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };
    BUFFER_AUTO(out, 1 << 16);

    if (parse_as(type, text, &message, &f) != 0 || json_print(message, &options, &out, &f) != 0) {
        fail_msg("%s: %s", text, f.message);
    }
    assert_string_equal(buffer_string(&out), expected != NULL ? expected : text);
    wire_free(message);
}

static inline void expect(const char *text, const char *expected)
{
    expect_as(&zoo__zoo__descriptor, text, expected);
}

/* `why`: in the message. */
static inline void expect_refusal(const char *text, const char *field, const char *why)
{
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };
    int result = parse_as(&zoo__zoo__descriptor, text, &message, &f);

    if (result != -ERROR_INVALID_ARGUMENT || message != NULL || strcmp(f.field, field) != 0 ||
        strstr(f.message, why) == NULL || strncmp(f.message, "zoo.Zoo", 7) != 0) {
        wire_free(message);
        fail_msg("%s: %d, field '%s', %s", text, result, f.field, f.message);
    }
    assert_int_equal(parse_as(&zoo__zoo__descriptor, text, &message, NULL), result);
}

#endif
