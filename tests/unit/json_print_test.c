/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The printing half of the proto3 JSON mapping. A descriptor made by hand has the types that the
 * API's own messages have not; those are compared with protobuf's own printer by
 * tests/system/json_peer_test.c. */
#include "tests/lib/unit.h"

#include <jansson.h>
#include <math.h>

#include "google/protobuf/timestamp.pb-c.h"
#include "proto/json/print.h"

struct zoo {
    ProtobufCMessage base;
    double real;
    float single;
    int64_t big;
    char *the_text;
    ProtobufCBinaryData bytes;
    int32_t small;
    protobuf_c_boolean flag;
    int32_t kind;
    struct zoo *child;
    size_t n_list;
    float *list;
    uint32_t choice_case;
    uint32_t choice;
};

static const ProtobufCEnumValue kind_values[] = { { "KIND_A", "KIND_A", 0 },
                                                  { "KIND_B", "KIND_B", 5 } };
static const ProtobufCIntRange kind_ranges[] = { { 0, 0 }, { 5, 1 }, { 0, 2 } };
static const ProtobufCEnumDescriptor kinds = { .magic = PROTOBUF_C__ENUM_DESCRIPTOR_MAGIC,
                                               .name = "test.Kind",
                                               .n_values = 2,
                                               .values = kind_values,
                                               .n_value_ranges = 2,
                                               .value_ranges = kind_ranges };

static const ProtobufCMessageDescriptor zoo_type;

#define FIELD(number, field_name, member, field_type)                                              \
    .name = field_name, .id = number, .label = PROTOBUF_C_LABEL_NONE,                              \
    .type = PROTOBUF_C_TYPE_##field_type, .offset = offsetof(struct zoo, member)

static const ProtobufCFieldDescriptor fields[] = {
    { FIELD(1, "real", real, DOUBLE) },
    { FIELD(2, "single", single, FLOAT) },
    { FIELD(3, "big", big, SINT64) },
    { FIELD(4, "the_text", the_text, STRING) },
    { FIELD(5, "bytes", bytes, BYTES) },
    { FIELD(6, "small", small, SFIXED32) },
    { FIELD(7, "flag", flag, BOOL) },
    { FIELD(8, "kind_1_of", kind, ENUM), .descriptor = &kinds },
    { FIELD(9, "child", child, MESSAGE), .descriptor = &zoo_type },
    { .name = "list",
      .id = 10,
      .label = PROTOBUF_C_LABEL_REPEATED,
      .type = PROTOBUF_C_TYPE_FLOAT,
      .quantifier_offset = offsetof(struct zoo, n_list),
      .offset = offsetof(struct zoo, list) },
    { FIELD(11, "choice", choice, UINT32), .flags = PROTOBUF_C_FIELD_FLAG_ONEOF,
      .quantifier_offset = offsetof(struct zoo, choice_case) },
};
static const ProtobufCMessageDescriptor zoo_type = { .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
                                                     .name = "test.Zoo",
                                                     .sizeof_message = sizeof(struct zoo),
                                                     .n_fields = 11,
                                                     .fields = fields };

#define ZOO                                                                                        \
    {                                                                                              \
        .base = {.descriptor = &zoo_type }                                                         \
    }

static void expect_options(const ProtobufCMessage *message, bool pretty, bool with_defaults,
                           const char *expected)
{
    const struct json_print_options options = { .pretty = pretty, .with_defaults = with_defaults };
    BUFFER_AUTO(out, 65536);
    struct failure f = { 0 };

    assert_int_equal(json_print(message, &options, &out, &f), 0);
    assert_string_equal(buffer_string(&out), expected);
}

static void expect(const struct zoo *z, const char *expected)
{
    expect_options(&z->base, false, false, expected);
}

static int failure_of(const ProtobufCMessage *message, size_t max_bytes, struct failure *f)
{
    const struct json_print_options options = { 0 };
    BUFFER_AUTO(out, max_bytes);

    return json_print(message, &options, &out, f);
}

static void defaults_are_left_out(void **state)
{
    const struct zoo z = ZOO;

    (void)state;
    expect(&z, "{}");
    expect_options(&z.base, true, false, "{}");
}

static void defaults_are_printed_on_request(void **state)
{
    const struct zoo z = ZOO;

    (void)state;
    expect_options(&z.base, false, true,
                   "{\"real\":0,\"single\":0,\"big\":\"0\",\"theText\":\"\",\"bytes\":\"\","
                   "\"small\":0,\"flag\":false,\"kind1Of\":\"KIND_A\",\"list\":[]}");
}

static void pretty_is_a_line_a_value(void **state)
{
    struct zoo child = ZOO;
    struct zoo z = ZOO;
    float list[] = { 1, 2.5F };

    (void)state;
    child.small = -7;
    z.child = &child;
    z.list = list;
    z.n_list = 2;
    expect_options(&z.base, true, false,
                   "{\n  \"child\": {\n    \"small\": -7\n  },\n"
                   "  \"list\": [\n    1,\n    2.5\n  ]\n}");
}

static void numbers_are_as_short_as_can_be(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        { 0.1, "0.1" },
        { 1e300, "1e+300" },
        { -2.5, "-2.5" },
        { 1.0 / 3, "0.3333333333333333" },
        { 5e-324, "5e-324" },
        { NAN, "\"NaN\"" },
        { INFINITY, "\"Infinity\"" },
        { -INFINITY, "\"-Infinity\"" },
        { -0.0, "-0" },
    };
    char text[64];
    struct zoo z = ZOO;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        z.real = cases[i].value;
        (void)snprintf(text, sizeof(text), "{\"real\":%s}", cases[i].text);
        expect(&z, text);
    }
    z.real = 0;
    z.single = 0.1F;
    expect(&z, "{\"single\":0.1}");
    z.single = 16777216;
    expect(&z, "{\"single\":16777216}");
}

static void wide_integers_are_strings(void **state)
{
    struct zoo z = ZOO;

    (void)state;
    z.big = INT64_MIN;
    expect(&z, "{\"big\":\"-9223372036854775808\"}");
}

static void unknown_enum_numbers_stay_numbers(void **state)
{
    struct zoo z = ZOO;

    (void)state;
    z.kind = 5;
    expect(&z, "{\"kind1Of\":\"KIND_B\"}");
    z.kind = -3;
    expect(&z, "{\"kind1Of\":-3}");
}

static void chosen_field_of_a_oneof_is_printed_also_when_default(void **state)
{
    struct zoo z = ZOO;

    (void)state;
    z.choice = 9;
    expect(&z, "{}");
    z.choice = 0;
    z.choice_case = 11;
    expect(&z, "{\"choice\":0}");
}

static void strings_are_escaped(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        { "plain", "plain" },
        { "\"\\/", "\\\"\\\\/" },
        { "\b\f\n\r\t\x01\x1f\x7f", "\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f" },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
        { "\xc2\x9b"
          "2J\xe2\x80\xa8\xe2\x80\xae\xef\xbb\xbf",
          "\\u009b2J\\u2028\\u202e\\ufeff" },
        { "\xf3\xa0\x81\x81", "\\udb40\\udc41" },
    };
    char expected[256];
    char text[64];
    struct zoo z = ZOO;

    (void)state;
    z.the_text = text;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s", cases[i].text);
        (void)snprintf(expected, sizeof(expected), "{\"theText\":\"%s\"}", cases[i].json);
        expect(&z, expected);
        json_t *back = json_loads(expected, 0, NULL);

        assert_string_equal(json_string_value(json_object_get(back, "theText")), text);
        json_decref(back);
    }
}

static void what_is_not_utf8_is_refused_with_its_path(void **state)
{
    struct zoo inner = ZOO;
    struct zoo z = ZOO;
    char text[] = "\xff";
    struct failure f = { 0 };

    (void)state;
    inner.the_text = text;
    z.child = &inner;
    assert_int_equal(failure_of(&z.base, 1000, &f), -ERROR_INVALID_ARGUMENT);
    assert_string_equal(f.message, "test.Zoo.child.the_text: not UTF-8");
    assert_int_equal(failure_of(&z.base, 1000, NULL), -ERROR_INVALID_ARGUMENT);
}

static void bytes_are_base64(void **state)
{
    struct zoo z = ZOO;
    uint8_t bytes[] = { 0xfb, 0xff };

    (void)state;
    z.bytes = (ProtobufCBinaryData){ .len = 2, .data = bytes };
    expect(&z, "{\"bytes\":\"+/8=\"}");
}

static void nesting_has_an_exact_limit(void **state)
{
    struct zoo levels[JSON_PRINT_DEPTH_MAX + 1];

    (void)state;
    for (size_t i = 0; i <= JSON_PRINT_DEPTH_MAX; i++) {
        levels[i] = (struct zoo)ZOO;
        levels[i].child = i < JSON_PRINT_DEPTH_MAX ? &levels[i + 1] : NULL;
    }
    assert_int_equal(failure_of(&levels[1].base, 65536, NULL), 0);
    assert_int_equal(failure_of(&levels[0].base, 65536, NULL), -ERROR_INVALID_ARGUMENT);
}

static void buffer_that_is_full_is_told(void **state)
{
    struct zoo z = ZOO;

    (void)state;
    z.flag = 1;
    assert_int_equal(failure_of(&z.base, 13, NULL), 0);
    assert_int_equal(failure_of(&z.base, 12, NULL), -ERROR_RESOURCE_EXHAUSTED);
}

static void expect_time(int64_t seconds, int32_t nanos, const char *expected)
{
    Google__Protobuf__Timestamp t;

    google__protobuf__timestamp__init(&t);
    t.seconds = seconds;
    t.nanos = nanos;
    if (expected != NULL) {
        expect_options(&t.base, false, false, expected);
    } else {
        assert_int_equal(failure_of(&t.base, 100, NULL), -ERROR_INVALID_ARGUMENT);
    }
}

static void timestamps_are_rfc3339(void **state)
{
    (void)state;
    expect_time(0, 0, "\"1970-01-01T00:00:00Z\"");
    expect_time(-1, 0, "\"1969-12-31T23:59:59Z\"");
    expect_time(951782400, 1000000, "\"2000-02-29T00:00:00.001Z\"");
    expect_time(951868800, 1000, "\"2000-03-01T00:00:00.000001Z\"");
    expect_time(1769903999, 7, "\"2026-01-31T23:59:59.000000007Z\"");
    expect_time(INT64_C(-62135596800), 0, "\"0001-01-01T00:00:00Z\"");
    expect_time(INT64_C(253402300799), 999999999, "\"9999-12-31T23:59:59.999999999Z\"");
    expect_time(INT64_C(-62135596801), 0, NULL);
    expect_time(INT64_C(253402300800), 0, NULL);
    expect_time(0, -1, NULL);
    expect_time(0, 1000000000, NULL);
    expect_time(INT64_MAX, 0, NULL);
    expect_time(INT64_MIN, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_left_out),
        cmocka_unit_test(defaults_are_printed_on_request),
        cmocka_unit_test(pretty_is_a_line_a_value),
        cmocka_unit_test(numbers_are_as_short_as_can_be),
        cmocka_unit_test(wide_integers_are_strings),
        cmocka_unit_test(unknown_enum_numbers_stay_numbers),
        cmocka_unit_test(chosen_field_of_a_oneof_is_printed_also_when_default),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(what_is_not_utf8_is_refused_with_its_path),
        cmocka_unit_test(bytes_are_base64),
        cmocka_unit_test(nesting_has_an_exact_limit),
        cmocka_unit_test(buffer_that_is_full_is_told),
        cmocka_unit_test(timestamps_are_rfc3339),
    };

    return UNIT_RUN(tests);
}
