/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The parsing half of the proto3 JSON mapping: messages, lists, maps, and the form of the text. That
 * values are those of protobuf's own implementation is shown by tests/system/json_peer_test.c. */
#include "tests/lib/json_fixture.h"

#include <stdlib.h>

static void names_are_taken_in_both_spellings(void **state)
{
    (void)state;
    expect("{\"anInt32\":1,\"a_sint32\":2}", "{\"anInt32\":1,\"aSint32\":2}");
    expect("{\"\\u0061n_int32\":1}", "{\"anInt32\":1}");
    expect("{\"chosenLeaf\":{\"color2Of\":\"red\"}}", NULL);
    expect("{\"chosen_leaf\":{\"color_2_of\":\"red\"}}", "{\"chosenLeaf\":{\"color2Of\":\"red\"}}");
    /* Half of one and half of the other is neither: an unknown name. */
    expect("{\"a_nInt32\":1,\"AnInt32\":2,\"an_int32_\":3,\"anInt3\":4,\"anInt322\":5,\"\":6}",
           "{}");
}

static void order_and_white_space_do_not_matter(void **state)
{
    (void)state;
    expect(" \r\n\t{ \"aBool\" : true , \"anInt32\":\n1 } ", "{\"anInt32\":1,\"aBool\":true}");
}

static void null_is_the_default(void **state)
{
    (void)state;
    expect("{\"anInt32\":null,\"aString\":null,\"someBytes\":null,\"kind\":null,\"child\":null,"
           "\"int32s\":null,\"timestamp\":null,\"wrappedInt32\":null,\"any\":null,\"aStruct\":null,"
           "\"byName\":null,\"aBool\":null,\"aDouble\":null,\"listValue\":null}",
           "{}");
    expect_refusal("{\"int32s\":[1,null]}", "int32s[1]", "null is no value");
    expect_refusal("{\"children\":[null]}", "children[0]", "null is no value");
    expect_refusal("{\"byName\":{\"a\":null}}", "by_name.a", "null is no value");
    expect_refusal("{\"anInt32\":nul}", "an_int32", "no JSON value");
    expect_refusal("null", "", "an object is expected");
}

static void messages_nest(void **state)
{
    (void)state;
    expect("{\"child\":{\"children\":[{\"anInt32\":1},{}]}}", NULL);
    expect("{\"child\":{}}", NULL);
    expect_refusal("{\"child\":{\"children\":[{},{\"int32s\":[0,1,\"x\"]}]}}",
                   "child.children[1].int32s[2]",
                   "zoo.Zoo.child.children[1].int32s[2]: the string is not");
    expect_refusal("{\"child\":[]}", "child", "an object is expected");
    expect_refusal("{\"children\":{}}", "children", "a list is expected");
    expect_refusal("{\"int32s\":1}", "int32s", "a list is expected");
}

static void path_that_is_too_long_is_cut(void **state)
{
    static const char text[] =
        "{\"chosen_leaf\":{},\"child\":{\"child\":{\"child\":{\"child\":{\"child\":{\"child\":{"
        "\"child\":{\"child\":{\"child\":{\"children\":[{\"anInt32\":\"x\"}]}}}}}}}}}}}";
    struct failure f = { 0 };
    ProtobufCMessage *message = NULL;

    (void)state;
    assert_int_equal(parse_as(&zoo__zoo__descriptor, text, &message, &f), -ERROR_INVALID_ARGUMENT);
    assert_string_equal(f.field, "child.child.child.child.child.child.child.child.child.child");
    assert_non_null(strstr(f.message, ".child.children[0].an_int32: the string is not a number"));
}

static void fields_given_twice_are_refused(void **state)
{
    (void)state;
    expect_refusal("{\"anInt32\":1,\"anInt32\":1}", "an_int32", "given twice");
    expect_refusal("{\"anInt32\":1,\"an_int32\":1}", "an_int32", "given twice");
    expect_refusal("{\"anInt32\":null,\"anInt32\":1}", "an_int32", "given twice");
    expect_refusal("{\"child\":{\"int32s\":[],\"int32s\":[]}}", "child.int32s", "given twice");
    expect_refusal("{\"byName\":{\"a\":\"b\"},\"byName\":{}}", "by_name", "given twice");
}

static void alternatives_of_a_oneof_exclude_each_other(void **state)
{
    (void)state;
    expect("{\"chosenNumber\":0}", NULL);
    expect("{\"chosenString\":\"\"}", NULL);
    expect("{\"chosenBytes\":\"\"}", NULL);
    expect("{\"chosenLeaf\":{\"size\":3}}", NULL);
    expect("{\"chosenNull\":null}", NULL);
    expect("{\"chosenNull\":\"NULL_VALUE\"}", "{\"chosenNull\":null}");
    expect("{\"chosenNull\":0}", "{\"chosenNull\":null}");
    expect("{\"chosenDuration\":\"1s\"}", NULL);
    /* null is none of them. */
    expect("{\"chosenNumber\":null,\"chosenString\":\"a\"}", "{\"chosenString\":\"a\"}");
    expect("{\"chosenLeaf\":null}", "{}");
    expect_refusal("{\"chosenNumber\":1,\"chosenString\":\"a\"}", "chosen_string",
                   "another alternative");
    expect_refusal("{\"chosenString\":\"a\",\"chosenNumber\":1}", "chosen_number",
                   "another alternative");
    expect_refusal("{\"chosenBytes\":\"AA==\",\"chosenLeaf\":{}}", "chosen_leaf",
                   "another alternative");
    expect_refusal("{\"chosenLeaf\":{},\"chosenNull\":null}", "chosen_null", "another alternative");
    expect_refusal("{\"chosenNull\":5}", "chosen_null", "null is its only value");
    expect_refusal("{\"chosenString\":5}", "chosen_string", "a string is expected");
    expect_refusal("{\"chosenLeaf\":{\"size\":-1}}", "chosen_leaf.size", "not in the range");
}

static void unknown_fields_are_ignored_unless_refused(void **state)
{
    static const char text[] = "{\"new\":{\"a\":[1,{\"b\":null}],\"c\":\"\\u20ac\"},\"x\":[[],{}],"
                               "\"anInt32\":1,\"y\":-1.5e3,\"z\":true,\"x\":false}";
    const struct json_parse_options strict = { .refuse_unknown = true };
    struct failure f = { 0 };
    ProtobufCMessage *message = NULL;

    (void)state;
    expect(text, "{\"anInt32\":1}");
    assert_int_equal(
        json_parse(&zoo__zoo__descriptor, text, strlen(text), &roomy, &strict, &message, &f),
        -ERROR_INVALID_ARGUMENT);
    assert_string_equal(f.field, "new");
    assert_string_equal(f.message, "zoo.Zoo.new: zoo.Zoo has no such field");
    assert_int_equal(
        json_parse(&zoo__zoo__descriptor, "{\"an_int32\":1}", 14, &roomy, NULL, &message, &f), 0);
    wire_free(message);
}

static void ignored_values_have_to_be_well_formed(void **state)
{
    (void)state;
    expect_refusal("{\"new\":}", "", "no JSON value");
    expect_refusal("{\"new\":01}", "", "',' or '}'");
    expect_refusal("{\"new\":[1,]}", "", "no JSON value");
    expect_refusal("{\"new\":[,1]}", "", "no JSON value");
    expect_refusal("{\"new\":[1 2]}", "", "',' or ']'");
    expect_refusal("{\"new\":{\"a\"}}", "", "':' is expected");
    expect_refusal("{\"new\":{\"a\":1,}}", "", "a member's name is expected");
    expect_refusal("{\"new\":{a:1}}", "", "a member's name is expected");
    expect_refusal("{\"new\":[1}}", "", "',' or ']'");
    expect_refusal("{\"new\":{\"a\":1]}", "", "',' or '}'");
    expect_refusal("{\"new\":\"\xff\"}", "", "not UTF-8");
    expect_refusal("{\"new\":\"\\u0000\"}", "", "no string here");
    expect_refusal("{\"new\":nil}", "", "no JSON value");
    expect_refusal("{\"new\":[[[", "", "no JSON value");
    expect_refusal("{\"new\":1.}", "", "a number is expected");
}

static void text_that_is_not_json_is_refused(void **state)
{
    (void)state;
    expect_refusal("", "", "an object is expected here (byte 0)");
    expect_refusal("   ", "", "an object is expected here (byte 3)");
    expect_refusal("[]", "", "an object is expected");
    expect_refusal("5", "", "an object is expected");
    expect_refusal("\"\"", "", "an object is expected");
    expect_refusal("{", "", "a member's name is expected here (byte 1)");
    expect_refusal("{,}", "", "a member's name is expected");
    expect_refusal("{\"anInt32\":1,}", "", "a member's name is expected here (byte 13)");
    expect_refusal("{\"anInt32\" 1}", "", "':' is expected");
    expect_refusal("{\"anInt32\":1", "", "',' or '}' is expected");
    expect_refusal("{\"anInt32\":1]", "", "',' or '}' is expected");
    expect_refusal("{'anInt32':1}", "", "a member's name is expected");
    expect_refusal("{anInt32:1}", "", "a member's name is expected");
    expect_refusal("{} {}", "", "more than one value (byte 3)");
    expect_refusal("{}}", "", "more than one value");
    expect_refusal("{/* */}", "", "a member's name is expected");
    expect_refusal("\xef\xbb\xbf{}", "", "an object is expected");
    expect_refusal("{\"int32s\":[1", "int32s", "',' or ']' is expected");
    expect_refusal("{\"int32s\":[1,", "int32s[1]", "a number is expected");
}

static void nul_between_tokens_is_refused(void **state)
{
    static const char text[] = "{}\0{}";
    ProtobufCMessage *message = NULL;

    (void)state;
    assert_int_equal(
        json_parse(&zoo__zoo__descriptor, text, sizeof(text) - 1, &roomy, NULL, &message, NULL),
        -ERROR_INVALID_ARGUMENT);
    assert_int_equal(json_parse(&zoo__zoo__descriptor, NULL, 0, &roomy, NULL, &message, NULL),
                     -ERROR_INVALID_ARGUMENT);
    assert_null(message);
}

static void maps_are_objects(void **state)
{
    (void)state;
    expect("{\"byName\":{\"a\":\"x\",\"\":\"y\"},\"byInt32\":{\"-5\":{\"size\":1},\"0\":{}},"
           "\"byUint64\":{\"18446744073709551615\":\"KIND_ONE\"},\"byBool\":{\"true\":0.5,"
           "\"false\":0},\"valuesByName\":{\"n\":null,\"s\":\"t\"}}",
           NULL);
    expect("{\"byName\":{}}", "{}");
    expect_refusal("{\"byName\":{\"a\":\"x\",\"b\":\"y\",\"\\u0061\":\"z\"}}", "by_name",
                   "key a is given twice");
    expect_refusal("{\"byInt32\":{\"5\":{},\"7\":{},\"5.0\":{}}}", "by_int32",
                   "key is given twice");
    expect_refusal("{\"byInt32\":{\"x\":{}}}", "by_int32.x", "not a number");
    expect_refusal("{\"byInt32\":{\"5\":{\"size\":-1}}}", "by_int32.5.size", "not in the range");
    expect_refusal("{\"byBool\":{\"1\":1}}", "by_bool.1", "neither true nor false");
    expect_refusal("{\"byName\":{\"\\u20ac\\n\":5}}", "by_name.\xe2\x82\xac?",
                   "a string is expected");
    expect_refusal("{\"byName\":[]}", "by_name", "an object is expected");
    expect_refusal("{\"byName\":{\"a\":\"x\"", "by_name", "',' or '}' is expected");
    /* Not by its looks alone. */
    expect_as(&zoo__pairs__descriptor, "{\"pairs\":[{\"key\":\"a\",\"value\":\"b\"}]}", NULL);
}

static void every_prefix_of_a_text_is_refused(void **state)
{
    static const char text[] =
        "{\"anInt32\":1,\"aString\":\"\\u20ac\xc3\xa4\",\"child\":{\"int32s\":[1,2]},\"byName\":{"
        "\"a\":"
        "\"b\"},\"any\":{\"size\":3,\"@type\":\"x/"
        "zoo.Leaf\"},\"new\":[{\"a\":1.5e3},null],\"value\":"
        "{\"a\":[true,null]},\"timestamp\":\"1970-01-01T00:00:00Z\",\"kinds\":[\"KIND_ONE\"]}";
    ProtobufCMessage *message = NULL;
    const struct json_parse_options options = { .types = &types };

    (void)state;
    release(parsed(text));
    for (size_t len = 0; len < strlen(text); len++) {
        char *exact = malloc(len + 1);

        assert_non_null(exact);
        memcpy(exact, text, len);
        assert_int_equal(
            json_parse(&zoo__zoo__descriptor, exact, len, &roomy, &options, &message, NULL),
            -ERROR_INVALID_ARGUMENT);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_taken_in_both_spellings),
        cmocka_unit_test(order_and_white_space_do_not_matter),
        cmocka_unit_test(null_is_the_default),
        cmocka_unit_test(messages_nest),
        cmocka_unit_test(path_that_is_too_long_is_cut),
        cmocka_unit_test(fields_given_twice_are_refused),
        cmocka_unit_test(alternatives_of_a_oneof_exclude_each_other),
        cmocka_unit_test(unknown_fields_are_ignored_unless_refused),
        cmocka_unit_test(ignored_values_have_to_be_well_formed),
        cmocka_unit_test(text_that_is_not_json_is_refused),
        cmocka_unit_test(nul_between_tokens_is_refused),
        cmocka_unit_test(maps_are_objects),
        cmocka_unit_test(every_prefix_of_a_text_is_refused),
    };

    return UNIT_RUN(tests);
}
