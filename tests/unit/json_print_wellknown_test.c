/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Protobuf to JSON: the types of google.protobuf that have forms of their own, and maps. What they look
 * like is in json_wellknown_test.c too, which prints what it parsed; here is what no text makes. */
#include "tests/lib/json_fixture.h"

#include <math.h>

static int print_to(struct buffer *out, const ProtobufCMessage *message, struct failure *f)
{
    const struct json_print_options options = { .types = &types };

    buffer_reset(out);
    return json_print(message, &options, out, f);
}

/* NULL: refused, with `why` in the message. */
static void expect_printed(const ProtobufCMessage *message, const char *expected, const char *why)
{
    BUFFER_AUTO(out, 4096);
    struct failure f = { 0 };
    int result = print_to(&out, message, &f);

    if (expected != NULL) {
        assert_int_equal(result, 0);
        assert_string_equal(buffer_string(&out), expected);
        return;
    }
    assert_int_equal(result, -ERROR_INVALID_ARGUMENT);
    if (strstr(f.message, why) == NULL) {
        fail_msg("%s, not: %s", f.message, why);
    }
}

static void expect_duration(int64_t seconds, int32_t nanos, const char *expected)
{
    Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;

    d.seconds = seconds;
    d.nanos = nanos;
    expect_printed(&d.base, expected, "google.protobuf.Duration: a duration beyond 10,000 years");
}

static void durations_are_seconds(void **state)
{
    (void)state;
    expect_duration(0, 0, "\"0s\"");
    expect_duration(3, 0, "\"3s\"");
    expect_duration(0, -1, "\"-0.000000001s\"");
    expect_duration(-1, -500000000, "\"-1.500s\"");
    expect_duration(1, 10000, "\"1.000010s\"");
    expect_duration(315576000000, 999999999, "\"315576000000.999999999s\"");
    expect_duration(-315576000000, -999999999, "\"-315576000000.999999999s\"");
    expect_duration(315576000001, 0, NULL);
    expect_duration(-315576000001, 0, NULL);
    expect_duration(INT64_MIN, 0, NULL);
    expect_duration(0, 1000000000, NULL);
    expect_duration(0, INT32_MIN, NULL);
    expect_duration(1, -1, NULL);
    expect_duration(-1, 1, NULL);
}

static void paths_that_would_not_come_back_are_refused(void **state)
{
    static const char *const bad[] = { "",     "fooBar", "foo__bar", "foo_3",   "foo_",
                                       "a..b", ".a",     "a.",       "a,b",     "a-b",
                                       "A",    "a b",    "_.a",      "\xc3\xa4" };
    char path[16];
    char *paths[] = { path };
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;

    (void)state;
    mask.n_paths = 1;
    mask.paths = paths;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s", bad[i]);
        expect_printed(&mask.base, NULL, "a path that has no form in lowerCamelCase");
    }
    (void)snprintf(path, sizeof(path), "_a.b_c9.d");
    expect_printed(&mask.base, "\"A.bC9.d\"", NULL);
}

static void values_have_a_kind_and_are_finite(void **state)
{
    Google__Protobuf__Value value = GOOGLE__PROTOBUF__VALUE__INIT;

    (void)state;
    expect_printed(&value.base, NULL, "google.protobuf.Value: a value of no kind");
    value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
    value.number_value = 2.5;
    expect_printed(&value.base, "2.5", NULL);
    value.number_value = NAN;
    expect_printed(&value.base, NULL, "not finite");
    value.number_value = -INFINITY;
    expect_printed(&value.base, NULL, "not finite");
}

static void null_is_null_whatever_its_number(void **state)
{
    Google__Protobuf__Value value = GOOGLE__PROTOBUF__VALUE__INIT;

    (void)state;
    value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
    expect_printed(&value.base, "null", NULL);
    value.null_value = (Google__Protobuf__NullValue)5;
    expect_printed(&value.base, "null", NULL);
}

static void expect_holding(const char *type_url, const char *bytes, size_t len,
                           const char *expected, const char *why)
{
    char url[64];
    uint8_t copy[64];
    Google__Protobuf__Any any;

    google__protobuf__any__init(&any);
    (void)snprintf(url, sizeof(url), "%s", type_url);
    memcpy(copy, bytes, len);
    any.type_url = url;
    any.value = (ProtobufCBinaryData){ .len = len, .data = copy };
    expect_printed(&any.base, expected, why);
}

static void any_holds_what_its_type_says(void **state)
{
    (void)state;
    expect_holding("", "", 0, "{}", NULL);
    expect_holding("x/zoo.Leaf", "\x08\x07", 2, "{\"@type\":\"x/zoo.Leaf\",\"size\":7}", NULL);
    expect_holding("x/google.protobuf.Duration", "\x08\x01", 2,
                   "{\"@type\":\"x/google.protobuf.Duration\",\"value\":\"1s\"}", NULL);
    expect_holding("x/zoo.Leaf", "\x08", 1, NULL, "does not hold what its type says");
    expect_holding("x/zoo.Leaf", "\x12\x01\xff", 3, NULL, "does not hold what its type says");
    expect_holding("x/zoo.Tree", "", 0, NULL, "a type that is not known here");
    expect_holding("zoo.Leaf", "", 0, NULL, "a type that is not known here");
    expect_holding("", "\x08\x07", 2, NULL, "a type that is not known here");
    expect_holding("x/google.protobuf.Value", "", 0, NULL, "a value of no kind");
}

static void any_needs_to_be_told_the_types(void **state)
{
    const struct json_print_options none = { 0 };
    BUFFER_AUTO(out, 4096);
    Google__Protobuf__Any any;
    char url[] = "x/zoo.Leaf";

    (void)state;
    google__protobuf__any__init(&any);
    any.type_url = url;
    assert_int_equal(json_print(&any.base, &none, &out, NULL), -ERROR_INVALID_ARGUMENT);
}

/* An Any of `count` empty messages. */
static int print_children(size_t count)
{
    static char url[] = "x/zoo.Zoo";
    const struct json_print_options options = { .types = &types };
    BUFFER_AUTO(bytes, 1 << 20);
    BUFFER_AUTO(out, 1 << 20);
    Google__Protobuf__Any any;
    struct failure f = { 0 };

    google__protobuf__any__init(&any);
    for (size_t i = 0; i < count; i++) {
        buffer_append(&bytes, "\xea\x01\x00", 3); /* field 29 */
    }
    any.type_url = url;
    any.value = (ProtobufCBinaryData){ .len = bytes.len_bytes, .data = bytes.data };
    return json_print(&any.base, &options, &out, &f);
}

static void any_that_takes_too_much_memory_is_refused(void **state)
{
    size_t beyond = JSON_PRINT_ANY_MAX_BYTES / (sizeof(Zoo__Zoo) + sizeof(void *)) + 1;

    (void)state;
    assert_int_equal(print_children(beyond), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(print_children(beyond * 3 / 4),
                     0); /* protobuf-c takes some for its own work */
}

static void pretty_has_a_line_for_each_member(void **state)
{
    const struct json_print_options options = { .pretty = true, .types = &types };
    Zoo__Zoo *zoo =
        parsed("{\"byBool\":{\"true\":1},\"any\":{\"@type\":\"x/google.protobuf.Duration\","
               "\"value\":\"1s\"},\"aStruct\":{\"a\":[1,{}]}}");
    BUFFER_AUTO(out, 4096);

    (void)state;
    assert_int_equal(json_print(&zoo->base, &options, &out, NULL), 0);
    assert_string_equal(buffer_string(&out), "{\n"
                                             "  \"aStruct\": {\n"
                                             "    \"a\": [\n"
                                             "      1,\n"
                                             "      {}\n"
                                             "    ]\n"
                                             "  },\n"
                                             "  \"any\": {\n"
                                             "    \"@type\": \"x/google.protobuf.Duration\",\n"
                                             "    \"value\": \"1s\"\n"
                                             "  },\n"
                                             "  \"byBool\": {\n"
                                             "    \"true\": 1\n"
                                             "  }\n"
                                             "}");
    release(zoo);
}

static void empty_maps_and_nulls_are_defaults(void **state)
{
    const struct json_print_options options = { .with_defaults = true };
    Zoo__Zoo *zoo = parsed("{}");
    BUFFER_AUTO(out, 4096);

    (void)state;
    assert_int_equal(json_print(&zoo->base, &options, &out, NULL), 0);
    assert_non_null(strstr(buffer_string(&out), "\"byName\":{},\"byInt32\":{}"));
    assert_non_null(strstr(buffer_string(&out), "\"nullValue\":null"));
    release(zoo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_seconds),
        cmocka_unit_test(paths_that_would_not_come_back_are_refused),
        cmocka_unit_test(values_have_a_kind_and_are_finite),
        cmocka_unit_test(null_is_null_whatever_its_number),
        cmocka_unit_test(any_holds_what_its_type_says),
        cmocka_unit_test(any_needs_to_be_told_the_types),
        cmocka_unit_test(any_that_takes_too_much_memory_is_refused),
        cmocka_unit_test(pretty_has_a_line_for_each_member),
        cmocka_unit_test(empty_maps_and_nulls_are_defaults),
    };

    return UNIT_RUN(tests);
}
