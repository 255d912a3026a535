/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* JSON to protobuf: each limit, and one beyond. */
#include "tests/lib/json_fixture.h"

/* `levels` messages within each other. */
static int parse_levels(const char *open, const char *innermost, const char *close, unsigned levels,
                        struct failure *f)
{
    BUFFER_AUTO(text, 1 << 20);
    ProtobufCMessage *message = NULL;

    for (unsigned i = 1; i < levels; i++) {
        buffer_append_string(&text, open);
    }
    buffer_append_string(&text, innermost);
    for (unsigned i = 1; i < levels; i++) {
        buffer_append_string(&text, close);
    }
    int result = parse_as(&zoo__zoo__descriptor, buffer_string(&text), &message, f);

    wire_free(message);
    return result;
}

struct wide {
    ProtobufCMessage base;
    protobuf_c_boolean flags[JSON_PARSE_FIELDS_MAX];
};

static void init_wide(struct wide *message);

static char wide_names[JSON_PARSE_FIELDS_MAX][8];
static ProtobufCFieldDescriptor wide_fields[JSON_PARSE_FIELDS_MAX];
static const ProtobufCMessageDescriptor wide_type = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "test.Wide",
    .sizeof_message = sizeof(struct wide),
    .n_fields = JSON_PARSE_FIELDS_MAX,
    .fields = wide_fields,
    .message_init = (ProtobufCMessageInit)init_wide,
};

static void init_wide(struct wide *message)
{
    *message = (struct wide){ .base.descriptor = &wide_type };
}

/* A type with more is not parsed, which an assertion holds. */
static void type_has_as_many_fields_as_the_maximum(void **state)
{
    static const char twice[] = "{\"f511\":true,\"f511\":true}";
    BUFFER_AUTO(text, 1 << 16);
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };

    (void)state;
    for (unsigned i = 0; i < JSON_PARSE_FIELDS_MAX; i++) {
        (void)snprintf(wide_names[i], sizeof(wide_names[i]), "f%u", i);
        wide_fields[i] = (ProtobufCFieldDescriptor){
            .name = wide_names[i],
            .id = i + 1,
            .label = PROTOBUF_C_LABEL_NONE,
            .type = PROTOBUF_C_TYPE_BOOL,
            .offset = (unsigned)(offsetof(struct wide, flags) + i * sizeof(protobuf_c_boolean))
        };
        buffer_printf(&text, "%s\"f%u\":true", i == 0 ? "{" : ",", i);
    }
    buffer_append_byte(&text, '}');
    assert_int_equal(parse_as(&wide_type, buffer_string(&text), &message, NULL), 0);
    for (unsigned i = 0; i < JSON_PARSE_FIELDS_MAX; i++) {
        assert_true(((struct wide *)message)->flags[i]);
    }
    wire_free(message);
    message = NULL;
    assert_int_equal(parse_as(&wide_type, twice, &message, &f), -ERROR_INVALID_ARGUMENT);
    assert_string_equal(f.field, "f511");
}

static int parse_with(const char *text, struct wire_limits limits)
{
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };
    int result = json_parse(&zoo__zoo__descriptor, text, strlen(text), &limits, NULL, &message, &f);

    assert_true((result == 0) == (message != NULL));
    assert_true(result == 0 || f.message[0] != '\0');
    wire_free(message);
    return result;
}

static void nesting_has_an_exact_limit(void **state)
{
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(parse_levels("{\"child\":", "{}", "}", WIRE_DEPTH_MAX, NULL), 0);
    assert_int_equal(parse_levels("{\"child\":", "{}", "}", WIRE_DEPTH_MAX + 1, &f),
                     -ERROR_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(f.message, "nested deeper than 32 messages"));
    assert_int_equal(parse_levels("{\"child\":", "{\"any\":{\"@type\":\"x/zoo.Leaf\"}}", "}",
                                  WIRE_DEPTH_MAX - 2, NULL),
                     0);
    assert_int_equal(parse_levels("{\"child\":", "{\"any\":{\"@type\":\"x/zoo.Leaf\"}}", "}",
                                  WIRE_DEPTH_MAX - 1, NULL),
                     -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(
        parse_levels("{\"child\":", "{\"byName\":{\"a\":\"b\"}}", "}", WIRE_DEPTH_MAX - 1, NULL),
        0);
    assert_int_equal(
        parse_levels("{\"child\":", "{\"byName\":{\"a\":\"b\"}}", "}", WIRE_DEPTH_MAX, NULL),
        -ERROR_RESOURCE_EXHAUSTED);
}

static void nesting_of_values_counts_messages(void **state)
{
    char text[128] = "{\"value\":";
    ProtobufCMessage *message = NULL;

    (void)state;
    /* Zoo, Value, and for each list a ListValue and a Value. */
    for (int lists = 0; lists < WIRE_DEPTH_MAX / 2 - 1; lists++) {
        strcat(text, "[");
    }
    strcat(text, "1");
    for (int lists = 0; lists < WIRE_DEPTH_MAX / 2 - 1; lists++) {
        strcat(text, "]");
    }
    strcat(text, "}");
    expect(text, NULL);
    (void)snprintf(text, sizeof(text), "{\"value\":%.*s1%.*s}", WIRE_DEPTH_MAX / 2,
                   "[[[[[[[[[[[[[[[[[[[[[[", WIRE_DEPTH_MAX / 2, "]]]]]]]]]]]]]]]]]]]]]]");
    assert_int_equal(parse_as(&zoo__zoo__descriptor, text, &message, NULL),
                     -ERROR_RESOURCE_EXHAUSTED);
}

static void nesting_of_ignored_values_has_an_exact_limit(void **state)
{
    char text[256];
    struct failure f = { 0 };
    ProtobufCMessage *message = NULL;
    char open[LEXER_SKIP_DEPTH_MAX + 2];
    char close[LEXER_SKIP_DEPTH_MAX + 2];

    (void)state;
    memset(open, '[', sizeof(open));
    memset(close, ']', sizeof(close));
    (void)snprintf(text, sizeof(text), "{\"new\":%.*s%.*s}", LEXER_SKIP_DEPTH_MAX, open,
                   LEXER_SKIP_DEPTH_MAX, close);
    expect(text, "{}");
    (void)snprintf(text, sizeof(text), "{\"new\":%.*s%.*s}", LEXER_SKIP_DEPTH_MAX + 1, open,
                   LEXER_SKIP_DEPTH_MAX + 1, close);
    assert_int_equal(parse_as(&zoo__zoo__descriptor, text, &message, &f),
                     -ERROR_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(f.message, "nested too deeply"));
}

static void nesting_of_ten_thousand_is_refused(void **state)
{
    static const char *const opens[] = { "{\"child\":", "{\"new\":", "{\"children\":[",
                                         "{\"value\":[[" };

    (void)state;
    for (size_t i = 0; i < sizeof(opens) / sizeof(opens[0]); i++) {
        assert_int_equal(parse_levels(opens[i], "{}", "", 10000, NULL), -ERROR_RESOURCE_EXHAUSTED);
    }
}

static void length_has_an_exact_limit(void **state)
{
    struct wire_limits limits = roomy;

    (void)state;
    limits.len_max_bytes = 13;
    assert_int_equal(parse_with("{\"anInt32\":1}", limits), 0);
    limits.len_max_bytes = 12;
    assert_int_equal(parse_with("{\"anInt32\":1}", limits), -ERROR_RESOURCE_EXHAUSTED);
}

static void elements_have_an_exact_limit(void **state)
{
    static const struct {
        const char *text;
        uint32_t count;
    } cases[] = {
        { "{}", 0 },
        { "{\"anInt32\":1}", 1 },
        { "{\"int32s\":[1,2,3]}", 4 },
        { "{\"new\":[1,[2,{}],{\"a\":[]}]}", 7 },
        { "{\"byName\":{\"a\":\"\",\"b\":\"\"}}", 3 },
        { "{\"value\":{\"a\":[null]}}", 3 },
        { "{\"fieldMask\":\"a,b,c\"}", 4 },
    };
    struct wire_limits limits = roomy;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        limits.elements_max = cases[i].count;
        assert_int_equal(parse_with(cases[i].text, limits), 0);
        if (cases[i].count > 0) {
            limits.elements_max--;
            assert_int_equal(parse_with(cases[i].text, limits), -ERROR_RESOURCE_EXHAUSTED);
        }
    }
}

static void million_elements_are_refused(void **state)
{
    BUFFER_AUTO(text, 1 << 22);

    (void)state;
    buffer_append_string(&text, "{\"int32s\":[0");
    for (int i = 1; i < 1000000; i++) {
        buffer_append(&text, ",0", 2);
    }
    buffer_append_string(&text, "]}");
    struct wire_limits limits = roomy;

    limits.len_max_bytes = 1 << 22;
    assert_int_equal(parse_with(buffer_string(&text), limits), -ERROR_RESOURCE_EXHAUSTED);
    limits.elements_max = 1000001;
    limits.memory_max_bytes = 1 << 23;
    assert_int_equal(parse_with(buffer_string(&text), limits), 0);
}

static void memory_has_an_exact_limit(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"aString\":\"abc\",\"child\":{\"someBytes\":\"AAAA\",\"strings\":[\"a\",\"b\",\"c\","
        "\"d\","
        "\"e\"]}}",
        "{\"byName\":{\"a\":\"b\",\"c\":\"d\"},\"byInt32\":{\"1\":{}}}",
        "{\"value\":[1,{\"a\":\"b\"}],\"fieldMask\":\"a,b\"}",
    };
    struct wire_limits limits = roomy;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t low = 0;
        size_t high = roomy.memory_max_bytes;

        while (low < high) {
            limits.memory_max_bytes = low + (high - low) / 2;
            int result = parse_with(texts[i], limits);

            if (result == 0) {
                high = limits.memory_max_bytes;
            } else {
                assert_int_equal(result, -ERROR_RESOURCE_EXHAUSTED);
                low = limits.memory_max_bytes + 1;
            }
        }
        assert_in_range(low, sizeof(Zoo__Zoo), 8192);
        for (limits.memory_max_bytes = 0; limits.memory_max_bytes < low;
             limits.memory_max_bytes++) { /* each allocation is the one that fails */
            assert_int_equal(parse_with(texts[i], limits), -ERROR_RESOURCE_EXHAUSTED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_has_an_exact_limit),
        cmocka_unit_test(nesting_of_values_counts_messages),
        cmocka_unit_test(nesting_of_ignored_values_has_an_exact_limit),
        cmocka_unit_test(nesting_of_ten_thousand_is_refused),
        cmocka_unit_test(type_has_as_many_fields_as_the_maximum),
        cmocka_unit_test(length_has_an_exact_limit),
        cmocka_unit_test(elements_have_an_exact_limit),
        cmocka_unit_test(million_elements_are_refused),
        cmocka_unit_test(memory_has_an_exact_limit),
    };

    return UNIT_RUN(tests);
}
