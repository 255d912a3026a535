/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any text as JSON of a message: the first byte chooses the type. What is taken is printed, and what
 * is printed is taken again as the same message; it is a message to proto/wire too. Whether a text is
 * JSON at all is decided as jansson decides it.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json/lexer.h"
#include "proto/json/parse.h"
#include "proto/json/print.h"
#include "tests/proto/zoo.pb-c.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

enum { TEXT_MAX_BYTES = 1 << 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static const ProtobufCMessageDescriptor *find_type(void *context, const char *name)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &zoo__zoo__descriptor,
        &google__protobuf__any__descriptor,
        &google__protobuf__struct__descriptor,
        &google__protobuf__empty__descriptor,
        &google__protobuf__string_value__descriptor,
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

static const ProtobufCMessageDescriptor *choose_type(uint8_t choice)
{
    static const ProtobufCMessageDescriptor *const outermost[] = {
        &zoo__zoo__descriptor,
        &xenres__v1__list_domains_request__descriptor,
        &xenres__v1__get_grant_table_response__descriptor,
        &xenres__v1__get_snapshot_response__descriptor,
        &zoo__pairs__descriptor,
        &google__protobuf__any__descriptor,
        &google__protobuf__value__descriptor,
        &google__protobuf__field_mask__descriptor,
    };

    return outermost[choice % (sizeof(outermost) / sizeof(outermost[0]))];
}

static void check_is_json_to_others(const char *text, size_t len)
{
    BUFFER_AUTO(scratch, len);
    struct lexer lx;
    json_error_t error;

    lexer_init(&lx, (struct lexer_span){ .at = text, .len = len }, UINT32_MAX, &scratch);
    bool is_json = lexer_skip(&lx) && lexer_at_end(&lx);
    json_t *theirs = json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);

    /* jansson passes over a NUL behind a word or a number. */
    check(is_json == (theirs != NULL) || lx.is_over_limit || memchr(text, 0, len) != NULL ||
          (theirs == NULL && json_error_code(&error) == json_error_numeric_overflow));
    json_decref(theirs);
}

static void pack(const ProtobufCMessage *message, struct buffer *out)
{
    size_t len_bytes = protobuf_c_message_get_packed_size(message);

    check(protobuf_c_message_pack(message, buffer_extend(out, len_bytes)) == len_bytes);
}

static void check_round_trip(const ProtobufCMessage *message)
{
    const struct wire_limits limits = { .len_max_bytes = TEXT_MAX_BYTES,
                                        .elements_max = 1 << 20,
                                        .memory_max_bytes = 1 << 27 };
    const struct json_print_options print = { .types = &types };
    const struct json_parse_options parse = { .types = &types, .refuse_unknown = true };
    const ProtobufCMessageDescriptor *type = message->descriptor;
    BUFFER_AUTO(text, TEXT_MAX_BYTES);
    BUFFER_AUTO(bytes, TEXT_MAX_BYTES);
    BUFFER_AUTO(text_again, TEXT_MAX_BYTES);
    BUFFER_AUTO(bytes_again, TEXT_MAX_BYTES);
    ProtobufCMessage *again = NULL;

    check(json_print(message, &print, &text, NULL) == 0);
    check(json_parse(type, text.data, text.len_bytes, &limits, &parse, &again, NULL) == 0);
    check(json_print(again, &print, &text_again, NULL) == 0);
    check(strcmp(buffer_string(&text), buffer_string(&text_again)) == 0);
    pack(message, &bytes);
    pack(again, &bytes_again);
    check(bytes.len_bytes == bytes_again.len_bytes);
    check(bytes.len_bytes == 0 || memcmp(bytes.data, bytes_again.data, bytes.len_bytes) == 0);
    check(wire_scan(type, bytes.data, bytes.len_bytes, &limits, NULL) == 0);
    wire_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct wire_limits limits = { .len_max_bytes = 4096,
                                        .elements_max = 512,
                                        .memory_max_bytes = 1 << 18 };
    const struct json_parse_options options = { .types = &types };
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };

    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    int result = json_parse(choose_type(data[0]), text, size - 1, &limits, &options, &message, &f);

    check((result == 0) == (message != NULL));
    check(result == 0 || result == -ERROR_INVALID_ARGUMENT || result == -ERROR_RESOURCE_EXHAUSTED);
    check(result == 0 || f.message[0] != '\0');
    check_is_json_to_others(text, size - 1);
    if (message != NULL) {
        check_round_trip(message);
    }
    wire_free(message);
    return 0;
}
