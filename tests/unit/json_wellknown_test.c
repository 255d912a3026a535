/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* JSON to protobuf: the types of google.protobuf that have forms of their own. */
#include "tests/lib/json_fixture.h"

static void timestamps_are_rfc3339(void **state)
{
    Zoo__Zoo *zoo = parsed("{\"timestamp\":\"2000-02-29T23:59:59.000000001-01:30\"}");

    (void)state;
    assert_int_equal(zoo->timestamp->seconds, 951787799 + 86400);
    assert_int_equal(zoo->timestamp->nanos, 1);
    release(zoo);
    expect(
        "{\"timestamps\":[\"1970-01-01T00:00:00Z\",\"1969-12-31T23:59:59.5+00:00\","
        "\"0001-01-01T00:00:00Z\",\"9999-12-31T23:59:59.999999999Z\",\"2026-03-01T00:00:00+23:59\","
        "\"1600-02-29T12:34:56.123456Z\",\"0004-12-31T00:00:00-00:00\"]}",
        "{\"timestamps\":[\"1970-01-01T00:00:00Z\",\"1969-12-31T23:59:59.500Z\","
        "\"0001-01-01T00:00:00Z\",\"9999-12-31T23:59:59.999999999Z\",\"2026-02-28T00:01:00Z\","
        "\"1600-02-29T12:34:56.123456Z\",\"0004-12-31T00:00:00Z\"]}");
    static const char *const bad[] = {
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01t00:00:00Z",
        "2026-01-01T00:00:00z",
        "2026-01-01 00:00:00Z",
        "2026-1-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.0000000001Z",
        "2026-01-01T00:00:00+1:00",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+00:60",
        "2026-01-01T00:00:00+0000",
        "2026-01-01T00:00:00Z ",
        "0000-12-31T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "12026-01-01T00:00:00Z",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[128];

        (void)snprintf(text, sizeof(text), "{\"timestamps\":[\"%s\"]}", bad[i]);
        expect_refusal(text, "timestamps[0]", "not a time as in RFC 3339");
    }
    expect_refusal("{\"timestamp\":5}", "timestamp", "a string is expected");
}

static void durations_are_seconds(void **state)
{
    Zoo__Zoo *zoo = parsed("{\"duration\":\"-0.5s\"}");

    (void)state;
    assert_int_equal(zoo->duration->seconds, 0);
    assert_int_equal(zoo->duration->nanos, -500000000);
    release(zoo);
    expect("{\"duration\":\"1.50s\"}", "{\"duration\":\"1.500s\"}");
    expect("{\"duration\":\"-315576000000.999999999s\"}", NULL);
    expect("{\"duration\":\"0s\"}", NULL);
    static const char *const bad[] = { "",     "1",    "s",     "1.s",  ".5s", "1.0000000001s",
                                       "+1s",  "--1s", "1 s",   "1s ",  "1m",  "315576000001s",
                                       "1e3s", "-s",   "1.-5s", "1,5s", "1S",  "9999999999999s" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[128];

        (void)snprintf(text, sizeof(text), "{\"duration\":\"%s\"}", bad[i]);
        expect_refusal(text, "duration", "not seconds with");
    }
}

static void field_masks_are_paths_in_camel_case(void **state)
{
    Zoo__Zoo *zoo = parsed("{\"fieldMask\":\"anInt32,child.aStruct,b\"}");

    (void)state;
    assert_int_equal(zoo->field_mask->n_paths, 3);
    assert_string_equal(zoo->field_mask->paths[0], "an_int32");
    assert_string_equal(zoo->field_mask->paths[1], "child.a_struct");
    assert_string_equal(zoo->field_mask->paths[2], "b");
    release(zoo);
    expect("{\"fieldMask\":\"anInt32,child.aStruct,b\"}", NULL);
    expect("{\"fieldMask\":\"\"}", NULL);
    expect_refusal("{\"fieldMask\":\"a_b\"}", "field_mask", "not paths");
    expect_refusal("{\"fieldMask\":\"a,,b\"}", "field_mask", "not paths");
    expect_refusal("{\"fieldMask\":\"a,\"}", "field_mask", "not paths");
    expect_refusal("{\"fieldMask\":\",\"}", "field_mask", "not paths");
    expect_refusal("{\"fieldMask\":\"a..b\"}", "field_mask", "not paths");
    expect_refusal("{\"fieldMask\":\".a\"}", "field_mask", "not paths");
    expect_refusal("{\"fieldMask\":\"a.\"}", "field_mask", "not paths");
    expect_refusal("{\"fieldMask\":\"a b\"}", "field_mask", "not paths");
    expect_refusal("{\"fieldMask\":[\"a\"]}", "field_mask", "a string is expected");
}

static void structs_and_values_are_any_json(void **state)
{
    (void)state;
    expect("{\"aStruct\":{\"n\":null,\"d\":1.5,\"s\":\"x\",\"b\":true,\"o\":{\"i\":{}},"
           "\"l\":[1,[],{\"a\":null},null]},\"value\":null,\"listValue\":[\"a\",{}],"
           "\"values\":[null,1,\"NaN\",false,{},[]]}",
           NULL);
    expect("{\"value\":{\"a\":1}}", NULL);
    expect("{\"aStruct\":{},\"listValue\":[]}", NULL);
    expect_refusal("{\"aStruct\":{\"a\":1,\"a\":1}}", "a_struct", "key a is given twice");
    expect_refusal("{\"value\":{\"a\":[0,{\"b\":1,\"b\":2}]}}", "value.a[1]",
                   "key b is given twice");
    expect_refusal("{\"aStruct\":[]}", "a_struct", "an object is expected");
    expect_refusal("{\"listValue\":{}}", "list_value", "a list is expected");
    expect_refusal("{\"value\":1e999}", "value", "not in the range");
    expect_refusal("{\"value\":[nul]}", "value[0]", "no JSON value");
    expect_refusal("{\"value\":NaN}", "value", "a number is expected");
    expect_refusal("{\"value\":}", "value", "a number is expected");
    expect_refusal("{\"aStruct\":{\"a\":{\"b\":x}}}", "a_struct.a.b", "a number is expected");
}

static void wrappers_are_their_value(void **state)
{
    (void)state;
    expect("{\"wrappedDouble\":0.5,\"wrappedFloat\":0,\"wrappedInt64\":\"-1\","
           "\"wrappedUint64\":\"18446744073709551615\",\"wrappedInt32\":0,\"wrappedUint32\":7,"
           "\"wrappedBool\":false,\"wrappedString\":\"\",\"wrappedBytes\":\"AA==\","
           "\"wrappedUint64s\":[\"0\",\"1\"]}",
           NULL);
    expect_refusal("{\"wrappedInt32\":{\"value\":1}}", "wrapped_int32", "a number is expected");
    expect_refusal("{\"wrappedUint64s\":[null]}", "wrapped_uint64s[0]", "null is no value");
}

static void empty_is_an_empty_object(void **state)
{
    (void)state;
    expect("{\"empty\":{}}", NULL);
    expect("{\"empty\":{\"a\":1}}", "{\"empty\":{}}");
    expect_refusal("{\"empty\":[]}", "empty", "an object is expected");
}

#define URL "type.googleapis.com/"

static void any_holds_what_its_type_says(void **state)
{
    Zoo__Zoo *zoo = parsed("{\"any\":{\"size\":7,\"@type\":\"" URL "zoo.Leaf\"}}");

    (void)state;
    assert_string_equal(zoo->any->type_url, URL "zoo.Leaf");
    assert_int_equal(zoo->any->value.len, 2);
    assert_memory_equal(zoo->any->value.data, "\x08\x07", 2);
    release(zoo);
    expect("{\"any\":{\"@type\":\"" URL "zoo.Leaf\",\"size\":7,\"color2Of\":\"red\"}}", NULL);
    expect("{\"any\":{\"@type\":\"x/zoo.Leaf\",\"other\":[{}]}}",
           "{\"any\":{\"@type\":\"x/zoo.Leaf\"}}");
    expect("{\"any\":{}}", NULL);
    expect("{\"anys\":[{\"@type\":\"" URL "google.protobuf.Duration\",\"value\":\"1.500s\"},"
           "{\"@type\":\"" URL "google.protobuf.Int32Value\",\"value\":5},"
           "{\"@type\":\"" URL "google.protobuf.Empty\"},"
           "{\"@type\":\"" URL "google.protobuf.Value\",\"value\":null},"
           "{\"@type\":\"" URL "google.protobuf.Any\",\"value\":{\"@type\":\"" URL
           "zoo.Leaf\",\"size\":1}}]}",
           NULL);
    expect("{\"any\":{\"@type\":\"" URL "google.protobuf.Empty\",\"value\":{}}}",
           "{\"any\":{\"@type\":\"" URL "google.protobuf.Empty\"}}");
    expect("{\"any\":{\"value\":5,\"x\":{},\"@type\":\"" URL "google.protobuf.Int32Value\"}}",
           "{\"any\":{\"@type\":\"" URL "google.protobuf.Int32Value\",\"value\":5}}");
    /* In the message that it holds, such a name is one like another. */
    expect("{\"any\":{\"@type\":\"" URL "zoo.Zoo\",\"child\":{\"@type\":1,\"@type\":2}}}",
           "{\"any\":{\"@type\":\"" URL "zoo.Zoo\",\"child\":{}}}");
}

static void any_that_is_not_understood_is_refused(void **state)
{
    (void)state;
    expect_refusal("{\"any\":{\"size\":7}}", "any", "has no \"@type\"");
    expect_refusal("{\"any\":{\"@type\":7}}", "any", "a string is expected");
    expect_refusal("{\"any\":{\"@type\":\"zoo.Leaf\"}}", "any", "no type known here: zoo.Leaf");
    expect_refusal("{\"any\":{\"@type\":\"\"}}", "any", "no type known here");
    expect_refusal("{\"any\":{\"@type\":\"x/\"}}", "any", "no type known here");
    expect_refusal("{\"any\":{\"@type\":\"x/zoo.Tree\"}}", "any", "no type known here");
    expect_refusal("{\"any\":{\"@type\":\"x/zoo.Leaf\",\"@type\":\"x/zoo.Leaf\"}}", "any",
                   "given twice");
    expect_refusal("{\"any\":{\"@type\":\"x/zoo.Leaf\",\"size\":-1}}", "any.size",
                   "not in the range");
    expect_refusal("{\"any\":{\"@type\":\"x/google.protobuf.Duration\"}}", "any",
                   "has no \"value\"");
    expect_refusal(
        "{\"any\":{\"@type\":\"x/google.protobuf.Duration\",\"value\":\"1s\",\"value\":\"1s\"}}",
        "any", "given twice");
    expect_refusal(
        "{\"any\":{\"@type\":\"x/google.protobuf.Duration\",\"value\":\"1s\",\"@type\":\"\"}}",
        "any", "given twice");
    expect_refusal("{\"any\":{\"@type\":\"x/google.protobuf.Int32Value\",\"value\":\"x\"}}", "any",
                   "not a number");
    expect_refusal("{\"any\":{\"a\":[1,],\"@type\":\"x/zoo.Leaf\"}}", "any", "no JSON value");
    expect_refusal("{\"any\":{\"@type\":\"x/zoo.Leaf\"", "any", "',' or '}'");
    expect_refusal("{\"any\":[]}", "any", "an object is expected");
    ProtobufCMessage *message = NULL;
    static const char text[] = "{\"any\":{\"@type\":\"x/zoo.Leaf\"}}";

    assert_int_equal(
        json_parse(&zoo__zoo__descriptor, text, strlen(text), &roomy, NULL, &message, NULL),
        -ERROR_INVALID_ARGUMENT);
}

static void wellknown_types_may_be_outermost(void **state)
{
    (void)state;
    expect_as(&google__protobuf__value__descriptor, "null", NULL);
    expect_as(&google__protobuf__value__descriptor, "[1,\"a\"]", NULL);
    expect_as(&google__protobuf__duration__descriptor, "\"1s\"", NULL);
    expect_as(&google__protobuf__int32_value__descriptor, "5", NULL);
    expect_as(&google__protobuf__empty__descriptor, "{}", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamps_are_rfc3339),
        cmocka_unit_test(durations_are_seconds),
        cmocka_unit_test(field_masks_are_paths_in_camel_case),
        cmocka_unit_test(structs_and_values_are_any_json),
        cmocka_unit_test(wrappers_are_their_value),
        cmocka_unit_test(empty_is_an_empty_object),
        cmocka_unit_test(any_holds_what_its_type_says),
        cmocka_unit_test(any_that_is_not_understood_is_refused),
        cmocka_unit_test(wellknown_types_may_be_outermost),
    };

    return UNIT_RUN(tests);
}
