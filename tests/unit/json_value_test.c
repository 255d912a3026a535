/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* JSON to protobuf: numbers, strings, bytes, enums. */
#include "tests/lib/json_fixture.h"

#include <float.h>
#include <stdlib.h>

#include "proto/json/number.h"

static void integers_are_taken_in_every_spelling(void **state)
{
    static const char *const fives[] = { "5",    "\"5\"",   "5.0",   "0.5e1",      "50e-1",
                                         "5E+0", "\"5e0\"", "5.000", "\"5.0e+00\"" };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(fives) / sizeof(fives[0]); i++) {
        (void)snprintf(text, sizeof(text), "{\"anInt32\":%s}", fives[i]);
        expect(text, "{\"anInt32\":5}");
        (void)snprintf(text, sizeof(text), "{\"aFixed64\":%s}", fives[i]);
        expect(text, "{\"aFixed64\":\"5\"}");
    }
    expect("{\"anInt32\":-0}", "{}");
    expect("{\"anInt32\":0e99999999999999999999}", "{}");
    expect("{\"anInt32\":0.0e-99999999999999999999}", "{}");
    expect("{\"aUint64\":\"1844674407370955161.5e1\"}", "{\"aUint64\":\"18446744073709551615\"}");
}

static void integers_have_the_range_of_their_type(void **state)
{
    (void)state;
    expect(
        "{\"anInt32\":2147483647,\"aSint32\":-2147483648,\"aSfixed32\":-1,\"aUint32\":4294967295,"
        "\"aFixed32\":4294967295,\"anInt64\":\"9223372036854775807\","
        "\"aSint64\":\"-9223372036854775808\",\"aSfixed64\":\"-1\","
        "\"aUint64\":\"18446744073709551615\",\"aFixed64\":\"18446744073709551615\"}",
        NULL);
    expect("{\"aUint64\":9223372036854775807,\"anInt64\":-9223372036854775808}",
           "{\"anInt64\":\"-9223372036854775808\",\"aUint64\":\"9223372036854775807\"}");
    expect_refusal("{\"anInt32\":2147483648}", "an_int32", "not in the range");
    expect_refusal("{\"aSfixed32\":-2147483649}", "a_sfixed32", "not in the range");
    expect_refusal("{\"aUint32\":4294967296}", "a_uint32", "not in the range");
    expect_refusal("{\"aUint32\":-1}", "a_uint32", "not in the range");
    expect_refusal("{\"anInt64\":9223372036854775808}", "an_int64", "not in the range");
    expect_refusal("{\"anInt64\":\"-9223372036854775809\"}", "an_int64", "not in the range");
    expect_refusal("{\"aUint64\":\"18446744073709551616\"}", "a_uint64", "not in the range");
    expect_refusal("{\"aUint64\":\"1e99999999999999999999\"}", "a_uint64", "not in the range");
    expect_refusal("{\"aFixed64\":\"-1\"}", "a_fixed64", "not in the range");
    expect_refusal("{\"anInt32\":1.5}", "an_int32", "not an integer");
    expect_refusal("{\"anInt32\":1e-1}", "an_int32", "not an integer");
    expect_refusal("{\"anInt32\":1e-99999999999999999999}", "an_int32", "not an integer");
}

static void integers_beyond_63_bits_have_to_be_strings(void **state)
{
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };

    (void)state;
    expect_refusal("{\"aUint64\":9223372036854775808}", "a_uint64", "that is no string");
    expect_refusal("{\"aFixed64\":18446744073709551615}", "a_fixed64", "that is no string");
    expect_refusal("{\"aUint64\":1e19}", "a_uint64", "that is no string");
    (void)parse_as(&zoo__zoo__descriptor, "{\"aUint64\":9223372036854775808}", &message, &f);
    assert_string_equal(f.next_step, "send it as a string, \"9223372036854775808\"");
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    expect_refusal("{\"anInt32\":\"\"}", "an_int32", "the string is not a number");
    expect_refusal("{\"anInt32\":\" 5\"}", "an_int32", "the string is not a number");
    expect_refusal("{\"anInt32\":\"5 \"}", "an_int32", "the string is not a number");
    expect_refusal("{\"anInt32\":\"+5\"}", "an_int32", "the string is not a number");
    expect_refusal("{\"anInt32\":\"0x5\"}", "an_int32", "the string is not a number");
    expect_refusal("{\"anInt32\":\"05\"}", "an_int32", "the string is not a number");
    expect_refusal("{\"anInt32\":\"NaN\"}", "an_int32", "the string is not a number");
    expect_refusal("{\"anInt32\":true}", "an_int32", "a number is expected");
    expect_refusal("{\"anInt32\":{}}", "an_int32", "a number is expected");
    expect_refusal("{\"anInt32\":[1]}", "an_int32", "a number is expected");
    expect_refusal("{\"anInt32\":+5}", "an_int32", "a number is expected");
    expect_refusal("{\"anInt32\":.5}", "an_int32", "a number is expected");
    expect_refusal("{\"anInt32\":5.}", "an_int32", "a number is expected");
    expect_refusal("{\"anInt32\":5e}", "an_int32", "a number is expected");
    expect_refusal("{\"anInt32\":-}", "an_int32", "a number is expected");
    expect_refusal("{\"anInt32\":05}", "", "',' or '}' is expected");
    expect_refusal("{\"anInt32\":0x5}", "", "',' or '}' is expected");
    expect_refusal("{\"aDouble\":NaN}", "a_double", "a number is expected");
    expect_refusal("{\"aDouble\":\"nan\"}", "a_double", "the string is not a number");
    expect_refusal("{\"aDouble\":\"inf\"}", "a_double", "the string is not a number");
    expect_refusal("{\"aDouble\":\"+Infinity\"}", "a_double", "the string is not a number");
    expect_refusal("{\"aDouble\":\"0x1p3\"}", "a_double", "the string is not a number");
}

static void reals_are_numbers_or_strings(void **state)
{
    (void)state;
    expect("{\"aFloat\":0.1,\"aDouble\":0.1}", NULL);
    expect("{\"aFloat\":\"-2.5\",\"aDouble\":\"1e300\"}", "{\"aFloat\":-2.5,\"aDouble\":1e+300}");
    expect("{\"aFloat\":\"NaN\",\"aDouble\":\"-Infinity\"}", NULL);
    expect("{\"floats\":[\"Infinity\",-0],\"doubles\":[5e-324,123456789012345678901234567890]}",
           "{\"floats\":[\"Infinity\",-0],\"doubles\":[5e-324,1.2345678901234568e+29]}");
}

static void reals_have_the_range_of_their_type(void **state)
{
    Zoo__Zoo *zoo = parsed("{\"aFloat\":3.4028235e38,\"aDouble\":1.7976931348623157e308}");

    (void)state;
    assert_true(zoo->a_float == FLT_MAX);
    assert_true(zoo->a_double == DBL_MAX);
    release(zoo);
    /* Rounded once: through a double it would be 16777216. */
    zoo = parsed("{\"aFloat\":16777217.0000000001,\"aDouble\":1e-999}");
    assert_true(zoo->a_float == 16777218.0F);
    assert_true(zoo->a_double == 0);
    release(zoo);
    expect_refusal("{\"aFloat\":3.5e38}", "a_float", "not in the range");
    expect_refusal("{\"aFloat\":\"-3.5e38\"}", "a_float", "not in the range");
    expect_refusal("{\"aDouble\":1.8e308}", "a_double", "not in the range");
}

static void text_of_a_real_has_an_exact_limit(void **state)
{
    char text[NUMBER_REAL_LEN_MAX + 32];
    char digits[NUMBER_REAL_LEN_MAX + 2];
    struct failure f = { 0 };
    ProtobufCMessage *message = NULL;

    (void)state;
    memset(digits, '0', sizeof(digits));
    memcpy(digits, "1.", 2);
    digits[NUMBER_REAL_LEN_MAX + 1] = '\0';
    (void)snprintf(text, sizeof(text), "{\"aDouble\":%s}", digits);
    assert_int_equal(parse_as(&zoo__zoo__descriptor, text, &message, &f), -ERROR_INVALID_ARGUMENT);
    assert_string_equal(f.field, "a_double");
    digits[NUMBER_REAL_LEN_MAX] = '\0';
    (void)snprintf(text, sizeof(text), "{\"aDouble\":%s}", digits);
    expect(text, "{\"aDouble\":1}");
}

static void booleans_are_true_or_false(void **state)
{
    (void)state;
    expect("{\"aBool\":true,\"bools\":[true,false]}", NULL);
    expect("{\"aBool\":false}", "{}");
    expect_refusal("{\"aBool\":\"true\"}", "a_bool", "true or false is expected");
    expect_refusal("{\"aBool\":1}", "a_bool", "true or false is expected");
    expect_refusal("{\"aBool\":tru}", "a_bool", "no JSON value");
    expect_refusal("{\"aBool\":truex}", "", "',' or '}' is expected");
}

static void strings_are_unescaped(void **state)
{
    Zoo__Zoo *zoo =
        parsed("{\"aString\":\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u20AC\\ud83d\\ude00z\"}");

    (void)state;
    assert_string_equal(zoo->a_string, "a\"\\/\b\f\n\r\t\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z");
    release(zoo);
    zoo = parsed("{\"aString\":\"\xc3\xa4\xf0\x9f\x98\x80\"}");
    assert_string_equal(zoo->a_string, "\xc3\xa4\xf0\x9f\x98\x80");
    release(zoo);
    expect("{\"aString\":\"\"}", "{}");
}

static void strings_that_cannot_be_kept_are_refused(void **state)
{
    (void)state;
    expect_refusal("{\"aString\":\"a\\u0000b\"}", "a_string", "which no string here can hold");
    expect_refusal("{\"aString\":\"\\ud800\"}", "a_string", "surrogate");
    expect_refusal("{\"aString\":\"\\ud800x\"}", "a_string", "surrogate");
    expect_refusal("{\"aString\":\"\\ud800\\n\"}", "a_string", "surrogate");
    expect_refusal("{\"aString\":\"\\ud800\\ud800\"}", "a_string", "surrogate");
    expect_refusal("{\"aString\":\"\\ud800\\u0041\"}", "a_string", "surrogate");
    expect_refusal("{\"aString\":\"\\udc00\\ud800\"}", "a_string", "surrogate");
    expect_refusal("{\"aString\":\"\\udc00\"}", "a_string", "surrogate");
    expect_refusal("{\"aString\":\"\\u12g4\"}", "a_string", "hexadecimal");
    expect_refusal("{\"aString\":\"\\u123", "a_string", "hexadecimal");
    expect_refusal("{\"aString\":\"\\x\"}", "a_string", "escape");
    expect_refusal("{\"aString\":\"\\", "a_string", "escape");
    expect_refusal("{\"aString\":\"\xff\"}", "a_string", "not UTF-8");
    expect_refusal("{\"aString\":\"\xc3\\u00a4\"}", "a_string", "not UTF-8");
    expect_refusal("{\"aString\":\"\xed\xa0\x80\"}", "a_string", "not UTF-8");
    expect_refusal("{\"aString\":\"\xc0\x80\"}", "a_string", "not UTF-8");
    expect_refusal("{\"aString\":\"a\nb\"}", "a_string", "control character");
    expect_refusal("{\"aString\":\"\\n\x1f\"}", "a_string", "control character");
    expect_refusal("{\"aString\":\"abc", "a_string", "without its end");
    expect_refusal("{\"aString\":5}", "a_string", "a string is expected");
    expect_refusal("{\"aString\":{\"a\":1}}", "a_string", "a string is expected");
}

/* Each kind of end, at each place of the eight bytes that are looked at together. */
static void strings_of_every_length_are_read(void **state)
{
    char text[128];
    char expected[128];

    (void)state;
    for (int len = 0; len < 40; len++) {
        for (int at = 0; at <= len; at++) {
            (void)snprintf(expected, sizeof(expected), "%.*s\xc3\xa9\n%.*s", at,
                           "abcdefghijklmnopqrstuvwxyz!#$%&'()*+,-./0123", len - at,
                           "0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ");
            (void)snprintf(text, sizeof(text), "{\"aString\":\"%.*s\xc3\xa9\\n%.*s\"}", at,
                           "abcdefghijklmnopqrstuvwxyz!#$%&'()*+,-./0123", len - at,
                           "0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ");
            Zoo__Zoo *zoo = parsed(text);

            assert_string_equal(zoo->a_string, expected);
            release(zoo);
        }
    }
}

static void bytes_are_base64_of_any_form(void **state)
{
    static const char *const forms[] = { "+/8=", "+/8", "-_8=", "-_8", "\\u002b\\/8" };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        (void)snprintf(text, sizeof(text), "{\"someBytes\":\"%s\"}", forms[i]);
        expect(text, "{\"someBytes\":\"+/8=\"}");
    }
    expect("{\"someBytes\":\"\",\"manyBytes\":[\"AA==\",\"\"]}", "{\"manyBytes\":[\"AA==\",\"\"]}");
    expect_refusal("{\"someBytes\":\"A\"}", "some_bytes", "not base64");
    expect_refusal("{\"someBytes\":\"A===\"}", "some_bytes", "not base64");
    expect_refusal("{\"someBytes\":\"Zh==\"}", "some_bytes", "not base64");
    expect_refusal("{\"someBytes\":\"Zg ==\"}", "some_bytes", "not base64");
    expect_refusal("{\"manyBytes\":[\"\",\"\xc3\xa4\"]}", "many_bytes[1]", "not base64");
    expect_refusal("{\"someBytes\":[1,2]}", "some_bytes", "a string is expected");
}

static void enums_are_names_or_numbers(void **state)
{
    (void)state;
    expect("{\"kind\":\"KIND_ONE\",\"kinds\":[\"KIND_MANY\",1,-5,77,1.0,\"KIND_NONE\"]}",
           "{\"kind\":\"KIND_ONE\",\"kinds\":[\"KIND_MANY\",\"KIND_ONE\",\"KIND_MANY\",77,"
           "\"KIND_ONE\",\"KIND_NONE\"]}");
    expect_refusal("{\"kind\":\"KIND_\"}", "kind", "zoo.Kind has no value \"KIND_\"");
    expect_refusal("{\"kinds\":[0,\"KIND_ONES\"]}", "kinds[1]", "zoo.Kind has no value");
    expect_refusal("{\"kind\":\"\"}", "kind", "zoo.Kind has no value");
    expect_refusal("{\"kind\":\"kind_one\"}", "kind", "zoo.Kind has no value");
    expect_refusal("{\"kind\":\"1\"}", "kind", "zoo.Kind has no value");
    expect_refusal("{\"kind\":1.5}", "kind", "not an integer");
    expect_refusal("{\"kind\":2147483648}", "kind", "not in the range");
    expect_refusal("{\"kind\":true}", "kind", "a number is expected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_taken_in_every_spelling),
        cmocka_unit_test(integers_have_the_range_of_their_type),
        cmocka_unit_test(integers_beyond_63_bits_have_to_be_strings),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(reals_are_numbers_or_strings),
        cmocka_unit_test(reals_have_the_range_of_their_type),
        cmocka_unit_test(text_of_a_real_has_an_exact_limit),
        cmocka_unit_test(booleans_are_true_or_false),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(strings_that_cannot_be_kept_are_refused),
        cmocka_unit_test(strings_of_every_length_are_read),
        cmocka_unit_test(bytes_are_base64_of_any_form),
        cmocka_unit_test(enums_are_names_or_numbers),
    };

    return UNIT_RUN(tests);
}
