/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Bytes from a hostile peer. The descriptor is made by hand: a tree, which none of the API's is. */
#include "tests/lib/unit.h"

#include <stdlib.h>

#include "common/buffer.h"
#include "proto/wire/wire.h"

struct tree {
    ProtobufCMessage base;
    uint32_t number;
    char *text;
    struct tree *child;
    size_t n_list;
    uint32_t *list;
    uint64_t fixed;
};

static void tree_init(ProtobufCMessage *message);
static const ProtobufCMessageDescriptor tree;

static const ProtobufCFieldDescriptor fields[] = {
    { .name = "number",
      .id = 1,
      .label = PROTOBUF_C_LABEL_NONE,
      .type = PROTOBUF_C_TYPE_UINT32,
      .offset = offsetof(struct tree, number) },
    { .name = "text",
      .id = 2,
      .label = PROTOBUF_C_LABEL_NONE,
      .type = PROTOBUF_C_TYPE_STRING,
      .offset = offsetof(struct tree, text),
      .default_value = protobuf_c_empty_string },
    { .name = "child",
      .id = 3,
      .label = PROTOBUF_C_LABEL_NONE,
      .type = PROTOBUF_C_TYPE_MESSAGE,
      .offset = offsetof(struct tree, child),
      .descriptor = &tree },
    { .name = "list",
      .id = 4,
      .label = PROTOBUF_C_LABEL_REPEATED,
      .type = PROTOBUF_C_TYPE_UINT32,
      .quantifier_offset = offsetof(struct tree, n_list),
      .offset = offsetof(struct tree, list) },
    { .name = "fixed",
      .id = 20,
      .label = PROTOBUF_C_LABEL_NONE,
      .type = PROTOBUF_C_TYPE_FIXED64,
      .offset = offsetof(struct tree, fixed) },
};
static const unsigned by_name[] = { 2, 4, 3, 0, 1 };
static const ProtobufCIntRange ranges[] = { { 1, 0 }, { 20, 4 }, { 0, 5 } };
static const ProtobufCMessageDescriptor tree = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "test.Tree",
    .short_name = "Tree",
    .sizeof_message = sizeof(struct tree),
    .n_fields = 5,
    .fields = fields,
    .fields_sorted_by_name = by_name,
    .n_field_ranges = 2,
    .field_ranges = ranges,
    .message_init = tree_init,
};

static void tree_init(ProtobufCMessage *message)
{
    struct tree *t = (struct tree *)message;

    *t = (struct tree){ .base = { .descriptor = &tree },
                        .text = (char *)(uintptr_t)protobuf_c_empty_string };
}

static const struct wire_limits wide = { .len_max_bytes = 1 << 20,
                                         .elements_max = 100000,
                                         .memory_max_bytes = 1 << 24 };

static int code_of(const void *bytes, size_t len, const struct wire_limits *limits)
{
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };
    int result = wire_unpack(&tree, bytes, len, limits, &message, &f);

    if (result != 0) {
        assert_null(message);
        assert_true(f.message[0] != '\0');
    }
    wire_free(message);
    return result;
}

#define CODE(text) code_of(text, sizeof(text) - 1, &wide)

static void messages_are_taken(void **state)
{
    (void)state;
    assert_int_equal(code_of(NULL, 0, &wide), 0);
    assert_int_equal(CODE("\x08\x05\x12\x02hi"), 0);
    assert_int_equal(CODE("\x1a\x02\x08\x05"), 0);
    assert_int_equal(CODE("\x22\x03\x01\x02\x03\x20\x07"), 0); /* packed, and not */
    assert_int_equal(CODE("\xa1\x01"
                          "01234567"),
                     0);
}

static void unknown_fields_are_kept(void **state)
{
    static const char bytes[] = "\xa0\x1f\x05\xaa\x1f\x02\xff\xfe\xad\x1f"
                                "0123";
    ProtobufCMessage *message = NULL;

    (void)state;
    assert_int_equal(wire_unpack(&tree, bytes, sizeof(bytes) - 1, &wide, &message, NULL), 0);
    assert_int_equal(message->n_unknown_fields, 3);
    wire_free(message);
}

static void malformed_bytes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(CODE("\x08"), -ERROR_INVALID_ARGUMENT);               /* no value */
    assert_int_equal(CODE("\x08\xff\xff"), -ERROR_INVALID_ARGUMENT);       /* cut varint */
    assert_int_equal(CODE("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), /* 65 bits */
                     -ERROR_INVALID_ARGUMENT);
    assert_int_equal(CODE("\x12\x05"
                          "four"),
                     -ERROR_INVALID_ARGUMENT); /* cut string */
    assert_int_equal(CODE("\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
                          "x"),
                     -ERROR_INVALID_ARGUMENT);
    assert_int_equal(CODE("\xa1\x01"
                          "0123456"),
                     -ERROR_INVALID_ARGUMENT);                           /* cut fixed64 */
    assert_int_equal(CODE("\x00\x01"), -ERROR_INVALID_ARGUMENT);         /* field 0 */
    assert_int_equal(CODE("\x0b\x0c"), -ERROR_INVALID_ARGUMENT);         /* a group */
    assert_int_equal(CODE("\x0f"), -ERROR_INVALID_ARGUMENT);             /* wire type 7 */
    assert_int_equal(CODE("\x12\x02\xff\xfe"), -ERROR_INVALID_ARGUMENT); /* not UTF-8 */
    assert_int_equal(CODE("\x12\x03"
                          "a\0b"),
                     -ERROR_INVALID_ARGUMENT); /* NUL in a string */
    assert_int_equal(CODE("\x0a\x01"
                          "a"),
                     -ERROR_INVALID_ARGUMENT);                           /* wrong wire type */
    assert_int_equal(CODE("\x22\x02\x01\xff"), -ERROR_INVALID_ARGUMENT); /* cut packed element */
    assert_int_equal(CODE("\x1a\x02\x12\x09"), -ERROR_INVALID_ARGUMENT); /* cut in the child */
}

static void failures_name_the_field(void **state)
{
    struct failure f = { 0 };

    (void)state;
    assert_true(wire_scan(&tree, "\x1a\x04\x12\x02\xff\xfe", 6, &wide, &f) < 0);
    assert_non_null(strstr(f.message, "test.Tree.text"));
    assert_string_equal(f.field, "child.text");
    assert_true(wire_scan(&tree, "\x12\x02\xff\xfe", 4, &wide, &f) < 0);
    assert_string_equal(f.field, "text");
    /* Of what comes behind an inner message, without it. */
    assert_true(wire_scan(&tree, "\x1a\x02\x12\x00\x12\x02\xff\xfe", 8, &wide, &f) < 0);
    assert_string_equal(f.field, "text");
    assert_true(wire_scan(&tree, "\x1a\x01\x00", 3, &wide, &f) < 0); /* no field of it */
    assert_string_equal(f.field, "child");
}

/* `depth` messages within each other, the outermost counted. */
static int code_of_depth(unsigned depth)
{
    BUFFER_AUTO(bytes, 1 << 20);
    BUFFER_AUTO(outer, 0);

    for (unsigned i = 1; i < depth; i++) {
        buffer_init(&outer, 1 << 20);
        buffer_append_byte(&outer, 0x1a);
        for (size_t len = bytes.len_bytes;; len >>= 7) {
            buffer_append_byte(&outer, (uint8_t)((len & 0x7f) | (len > 0x7f ? 0x80 : 0)));
            if (len <= 0x7f) {
                break;
            }
        }
        buffer_append(&outer, bytes.data, bytes.len_bytes);
        buffer_done(&bytes);
        bytes = outer;
    }
    buffer_init(&outer, 0);
    return code_of(bytes.data, bytes.len_bytes, &wide);
}

static void nesting_has_an_exact_limit(void **state)
{
    (void)state;
    assert_int_equal(code_of_depth(WIRE_DEPTH_MAX), 0);
    assert_int_equal(code_of_depth(WIRE_DEPTH_MAX + 1), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(code_of_depth(10000), -ERROR_RESOURCE_EXHAUSTED);
}

static void length_has_an_exact_limit(void **state)
{
    const struct wire_limits limits = { .len_max_bytes = 4,
                                        .elements_max = 10,
                                        .memory_max_bytes = 1000 };

    (void)state;
    assert_int_equal(code_of("\x12\x02hi", 4, &limits), 0);
    assert_int_equal(code_of("\x12\x03hey", 5, &limits), -ERROR_RESOURCE_EXHAUSTED);
}

static void elements_have_an_exact_limit(void **state)
{
    const struct wire_limits limits = { .len_max_bytes = 100,
                                        .elements_max = 4,
                                        .memory_max_bytes = 10000 };

    (void)state;
    /* one field and three elements in it */
    assert_int_equal(code_of("\x22\x03\x01\x02\x03", 5, &limits), 0);
    assert_int_equal(code_of("\x22\x04\x01\x02\x03\x04", 6, &limits), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(code_of("\x08\x01\x08\x01\x08\x01\x08\x01", 8, &limits), 0);
    assert_int_equal(code_of("\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01", 10, &limits),
                     -ERROR_RESOURCE_EXHAUSTED);
}

static void memory_is_bounded(void **state)
{
    const struct wire_limits limits = { .len_max_bytes = 100,
                                        .elements_max = 100,
                                        .memory_max_bytes = sizeof(struct tree) };

    (void)state;
    assert_int_equal(code_of("\x08\x01", 2, &limits), 0);
    assert_int_equal(code_of("\x1a\x00", 2, &limits), -ERROR_RESOURCE_EXHAUSTED);
}

/* No bytes at all may crash it; what the scan lets through, protobuf-c takes. */
static void random_bytes_do_no_harm(void **state)
{
    static const char seed[] = "\x08\x05\x12\x02hi\x1a\x08\x08\x05\x12\x04"
                               "abcd\x22\x03\x01\x02\x03"
                               "\x20\x07\xa1\x01"
                               "01234567";
    unsigned taken = 0;

    (void)state;
    srand(1);
    for (unsigned run = 0; run < 100000; run++) {
        uint8_t bytes[sizeof(seed)];
        size_t len = sizeof(seed) - 1;

        memcpy(bytes, seed, sizeof(seed));
        for (int changes = rand() % 4; changes >= 0; changes--) {
            bytes[(size_t)rand() % len] = (uint8_t)rand();
        }
        taken += code_of(bytes, len - (size_t)rand() % 8, &wide) == 0;
    }
    assert_true(taken > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_taken),           cmocka_unit_test(unknown_fields_are_kept),
        cmocka_unit_test(malformed_bytes_are_refused),  cmocka_unit_test(failures_name_the_field),
        cmocka_unit_test(nesting_has_an_exact_limit),   cmocka_unit_test(length_has_an_exact_limit),
        cmocka_unit_test(elements_have_an_exact_limit), cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(random_bytes_do_no_harm),
    };

    return UNIT_RUN(tests);
}
