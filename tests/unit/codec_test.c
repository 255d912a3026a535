/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include "server/rpc/codec.h"
#include "tests/lib/json_fixture.h"

static void content_types_are_found_whatever_their_case_and_parameters(void **state)
{
    static const struct {
        const char *value;
        bool is_stream;
        enum codec codec;
    } right[] = {
        { "application/proto", false, CODEC_PROTO },
        { "application/json", false, CODEC_JSON },
        { "Application/JSON", false, CODEC_JSON },
        { "application/json;charset=utf-8", false, CODEC_JSON },
        { "application/json \t; charset=utf-8", false, CODEC_JSON },
        { "application/json;", false, CODEC_JSON },
        { "application/connect+proto", true, CODEC_PROTO },
        { "application/connect+json; x=y", true, CODEC_JSON },
    };
    static const struct {
        const char *value;
        bool is_stream;
    } wrong[] = {
        { "", false },
        { ";", false },
        { "application/proto", true },
        { "application/connect+proto", false },
        { "application/connect+json", false },
        { "application/grpc+proto", true },
        { "application/jso", false },
        { "application/jsonx", false },
        { "application/json, application/proto", false },
        { " application/json", false },
        { "text/json", false },
    };
    enum codec codec = CODEC_COUNT;

    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        assert_true(codec_find(right[i].value, right[i].is_stream, &codec));
        assert_int_equal(codec, right[i].codec);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (codec_find(wrong[i].value, wrong[i].is_stream, &codec)) {
            fail_msg("%s was taken", wrong[i].value);
        }
    }
    for (int i = 0; i < 2 * CODEC_COUNT; i++) { /* what we say, we take */
        assert_true(codec_find(codec_content_type((enum codec)(i / 2), i % 2), i % 2, &codec));
        assert_int_equal(codec, i / 2);
    }
}

static void names_in_a_query_are_exact(void **state)
{
    enum codec codec = CODEC_COUNT;

    (void)state;
    assert_true(codec_find_name("proto", &codec));
    assert_int_equal(codec, CODEC_PROTO);
    assert_true(codec_find_name("json", &codec));
    assert_int_equal(codec, CODEC_JSON);
    assert_false(codec_find_name("JSON", &codec));
    assert_false(codec_find_name("", &codec));
    assert_false(codec_find_name("application/json", &codec));
}

static Zoo__Zoo *decoded(enum codec codec, const void *bytes, size_t len_bytes)
{
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };

    if (codec_decode(codec, &zoo__zoo__descriptor, bytes, len_bytes, &roomy, &types, &message,
                     &f) != 0) {
        fail_msg("%s", f.message);
    }
    return (Zoo__Zoo *)message;
}

static void no_bytes_are_an_empty_message(void **state)
{
    (void)state;
    for (int codec = 0; codec < CODEC_COUNT; codec++) {
        Zoo__Zoo *zoo = decoded((enum codec)codec, NULL, 0);

        assert_string_equal(zoo->a_string, "");
        assert_null(zoo->child);
        release(zoo);
    }
}

static void both_forms_are_of_one_message(void **state)
{
    static const char text[] = "{\"anInt32\":-1,\"aString\":\"x\",\"strings\":[\"a\",\"b\"],"
                               "\"any\":{\"@type\":\"type.googleapis.com/zoo.Leaf\",\"size\":3}}";
    Zoo__Zoo *zoo = decoded(CODEC_JSON, text, strlen(text));
    BUFFER_AUTO(packed, 1024);
    BUFFER_AUTO(again, 1024);

    (void)state;
    assert_int_equal(codec_encode(CODEC_PROTO, &zoo->base, &types, &packed, NULL), 0);
    release(zoo);
    zoo = decoded(CODEC_PROTO, packed.data, packed.len_bytes);
    assert_true(buffer_append_string(&again, "head")); /* it appends */
    assert_int_equal(codec_encode(CODEC_JSON, &zoo->base, &types, &again, NULL), 0);
    assert_memory_equal(again.data, "head{", 5);
    Zoo__Zoo *third = decoded(CODEC_JSON, again.data + 4, again.len_bytes - 4);

    assert_int_equal(third->an_int32, -1);
    assert_int_equal(third->n_strings, 2);
    assert_string_equal(third->any->type_url, "type.googleapis.com/zoo.Leaf");
    release(third);
    release(zoo);
}

static void an_answer_of_the_maximum_passes_and_one_byte_more_does_not(void **state)
{
    Zoo__Zoo *zoo = decoded(CODEC_JSON, "{\"aString\":\"0123456789\"}", 24);

    (void)state;
    for (int codec = 0; codec < CODEC_COUNT; codec++) {
        BUFFER_AUTO(whole, 1024);
        struct failure f = { 0 };

        assert_int_equal(codec_encode((enum codec)codec, &zoo->base, NULL, &whole, NULL), 0);
        BUFFER_AUTO(exact, whole.len_bytes);
        BUFFER_AUTO(tight, whole.len_bytes - 1);

        assert_int_equal(codec_encode((enum codec)codec, &zoo->base, NULL, &exact, NULL), 0);
        assert_int_equal(codec_encode((enum codec)codec, &zoo->base, NULL, &tight, &f),
                         -ERROR_RESOURCE_EXHAUSTED);
        assert_true(f.message[0] != '\0');
    }
    release(zoo);
}

static void an_empty_message_is_encoded(void **state)
{
    Zoo__Zoo *zoo = decoded(CODEC_PROTO, NULL, 0);
    BUFFER_AUTO(proto, 16);
    BUFFER_AUTO(json, 16);

    (void)state;
    assert_int_equal(codec_encode(CODEC_PROTO, &zoo->base, NULL, &proto, NULL), 0);
    assert_int_equal(proto.len_bytes, 0);
    assert_int_equal(codec_encode(CODEC_JSON, &zoo->base, NULL, &json, NULL), 0);
    assert_string_equal(buffer_string(&json), "{}");
    release(zoo);
}

static void limits_hold_for_both(void **state)
{
    static const struct wire_limits three = { .len_max_bytes = 3,
                                              .elements_max = 10,
                                              .memory_max_bytes = 1 << 20 };
    ProtobufCMessage *message = NULL;

    (void)state;
    assert_int_equal(
        codec_decode(CODEC_JSON, &zoo__zoo__descriptor, "{ }", 3, &three, NULL, &message, NULL), 0);
    wire_free(message);
    message = NULL;
    assert_int_equal(
        codec_decode(CODEC_JSON, &zoo__zoo__descriptor, "{  }", 4, &three, NULL, &message, NULL),
        -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(codec_decode(CODEC_PROTO, &zoo__zoo__descriptor, "\x72\x02xy", 4, &three, NULL,
                                  &message, NULL),
                     -ERROR_RESOURCE_EXHAUSTED);
    assert_null(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_types_are_found_whatever_their_case_and_parameters),
        cmocka_unit_test(names_in_a_query_are_exact),
        cmocka_unit_test(no_bytes_are_an_empty_message),
        cmocka_unit_test(both_forms_are_of_one_message),
        cmocka_unit_test(an_answer_of_the_maximum_passes_and_one_byte_more_does_not),
        cmocka_unit_test(an_empty_message_is_encoded),
        cmocka_unit_test(limits_hold_for_both),
    };

    return UNIT_RUN(tests);
}
