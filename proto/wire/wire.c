/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The cursor remembers its first error, so that the parser reads as a list of what must come. */
#include "proto/wire/wire.h"

#include "common/buffer.h"
#include "common/text.h"
#include "proto/wire/budget.h"

enum { VARINT_MAX_BYTES = 10, FIELD_NUMBER_MAX = (1 << 29) - 1 };

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

struct scan {
    const struct wire_limits *limits;
    uint32_t elements;
    unsigned depth;                     /* of the message that is looked at now, from 1 */
    const char *within[WIRE_DEPTH_MAX]; /* the field that it is in, of the one around it, … */
    struct failure *f;
};

static uint64_t take_varint(struct cursor *c)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < VARINT_MAX_BYTES && c->at < c->end; i++) {
        uint8_t byte = *c->at++;

        if (i == VARINT_MAX_BYTES - 1 && byte > 1) {
            break; /* beyond 64 bits */
        }
        value |= (uint64_t)(byte & 0x7fU) << (7 * i);
        if ((byte & 0x80U) == 0) {
            return value;
        }
    }
    c->failed = true;
    return 0;
}

static const uint8_t *take_bytes(struct cursor *c, uint64_t len)
{
    if (c->failed || len > (uint64_t)(c->end - c->at)) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *bytes = c->at;

    c->at += len;
    return bytes;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  uint32_t number)
{
    unsigned low = 0;
    unsigned high = type->n_fields; /* sorted by number */

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (type->fields[middle].id == number) {
            return &type->fields[middle];
        }
        if (type->fields[middle].id < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static ProtobufCWireType wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT: return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default: return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

static int malformed(struct scan *s, const ProtobufCMessageDescriptor *type,
                     const ProtobufCFieldDescriptor *field, const char *what)
{
    BUFFER_AUTO(path, 2 * FAILURE_FIELD_MAX); /* what does not fit is left out */

    for (unsigned i = 1; i < s->depth; i++) {
        buffer_printf(&path, "%s%s", i > 1 ? "." : "", s->within[i]);
    }
    if (field != NULL) {
        buffer_printf(&path, "%s%s", s->depth > 1 ? "." : "", field->name);
    }
    int result = failure_set(s->f, ERROR_INVALID_ARGUMENT, "%s%s%s: %s", type->name,
                             field != NULL ? "." : "", field != NULL ? field->name : "", what);
    const char *text = buffer_string(&path);

    return failure_field(s->f, result, "%s", text != NULL ? text : "");
}

static int count_element(struct scan *s, const ProtobufCMessageDescriptor *type)
{
    if (s->elements >= s->limits->elements_max) {
        return failure_set(s->f, ERROR_RESOURCE_EXHAUSTED, "%s: more than %u fields and elements",
                           type->name, s->limits->elements_max);
    }
    s->elements++;
    return 0;
}

static int scan_packed(struct scan *s, const ProtobufCMessageDescriptor *type,
                       const ProtobufCFieldDescriptor *field, struct cursor content)
{
    ProtobufCWireType wire = wire_type_of(field->type);

    while (content.at < content.end) {
        if (wire == PROTOBUF_C_WIRE_TYPE_VARINT) {
            take_varint(&content);
        } else {
            take_bytes(&content, wire == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8);
        }
        if (content.failed) {
            return malformed(s, type, field, "cut within a packed element");
        }
        int result = count_element(s, type);

        if (result != 0) {
            return result;
        }
    }
    return 0;
}

static int scan_message(struct scan *s, const ProtobufCMessageDescriptor *type, struct cursor c,
                        unsigned depth);

/* The content of a length-prefixed field. */
static int scan_content(struct scan *s, const ProtobufCMessageDescriptor *type,
                        const ProtobufCFieldDescriptor *field, struct cursor content,
                        unsigned depth)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        if (depth < WIRE_DEPTH_MAX) {
            s->within[depth] = field->name;
        }
        return scan_message(s, field->descriptor, content, depth + 1);
    case PROTOBUF_C_TYPE_BYTES: return 0;
    case PROTOBUF_C_TYPE_STRING:
        /* A NUL would hide from us what follows it, while others may have judged by it. */
        return text_is_utf8((const char *)content.at, (size_t)(content.end - content.at))
                   ? 0
                   : malformed(s, type, field, "not UTF-8, or with a NUL in it");
    default: return scan_packed(s, type, field, content);
    }
}

static int scan_field(struct scan *s, const ProtobufCMessageDescriptor *type, struct cursor *c,
                      unsigned depth)
{
    uint64_t key = take_varint(c);
    uint32_t wire = (uint32_t)(key & 7);

    if (c->failed || key >> 3 == 0 || key >> 3 > FIELD_NUMBER_MAX) {
        return malformed(s, type, NULL, "no field begins here");
    }
    const ProtobufCFieldDescriptor *field = find_field(type, (uint32_t)(key >> 3));
    struct cursor content = { 0 };

    switch (wire) {
    case PROTOBUF_C_WIRE_TYPE_VARINT: take_varint(c); break;
    case PROTOBUF_C_WIRE_TYPE_64BIT: take_bytes(c, 8); break;
    case PROTOBUF_C_WIRE_TYPE_32BIT: take_bytes(c, 4); break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED: {
        uint64_t len = take_varint(c);

        content.at = take_bytes(c, len);
        content.end = content.at != NULL ? content.at + len : NULL;
        break;
    }
    default: return malformed(s, type, field, "a wire type that proto3 does not have");
    }
    if (c->failed) {
        return malformed(s, type, field, "cut within the field");
    }
    if (field == NULL) {
        return 0;
    }
    if (wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
        (wire_type_of(field->type) == wire || field->label == PROTOBUF_C_LABEL_REPEATED)) {
        return scan_content(s, type, field, content, depth);
    }
    return wire_type_of(field->type) == wire ? 0 : malformed(s, type, field, "wrong wire type");
}

static int scan_message(struct scan *s, const ProtobufCMessageDescriptor *type, struct cursor c,
                        unsigned depth)
{
    if (depth > WIRE_DEPTH_MAX) {
        return failure_set(s->f, ERROR_RESOURCE_EXHAUSTED, "%s: nested deeper than %d", type->name,
                           WIRE_DEPTH_MAX);
    }
    while (c.at < c.end) {
        int result = count_element(s, type);

        s->depth = depth;
        if (result == 0) {
            result = scan_field(s, type, &c, depth);
        }
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

int wire_scan(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len_bytes,
              const struct wire_limits *limits, struct failure *f)
{
    struct scan s = { .limits = limits, .f = f };

    if (len_bytes > limits->len_max_bytes) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%s: %zu bytes, more than %zu", type->name,
                           len_bytes, limits->len_max_bytes);
    }
    if (len_bytes == 0) {
        return 0; /* `bytes` may be NULL */
    }
    const uint8_t *at = bytes;

    return scan_message(&s, type, (struct cursor){ .at = at, .end = at + len_bytes }, 1);
}

int wire_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len_bytes,
                const struct wire_limits *limits, ProtobufCMessage **out, struct failure *f)
{
    int result = wire_scan(type, bytes, len_bytes, limits, f);

    if (result != 0) {
        return result;
    }
    struct budget budget = { .left_bytes = limits->memory_max_bytes };
    ProtobufCAllocator allocator = budget_allocator(&budget);
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, len_bytes, bytes);

    if (message == NULL && budget.is_exceeded) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%s: takes more than %zu bytes of memory",
                           type->name, limits->memory_max_bytes);
    }
    if (message == NULL) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s: the bytes are no such message",
                           type->name);
    }
    *out = message;
    return 0;
}

void wire_free(ProtobufCMessage *message)
{
    if (message != NULL) {
        protobuf_c_message_free_unpacked(message, NULL); /* the budget's memory is malloc()'s */
    }
}
