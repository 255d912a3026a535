/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Messages made to cost more than they are long: nested without end, of a million elements, with NULs
 * and bytes that are no text. By each codec and each kind of call they are refused before anything is
 * made of them: the process does not grow by what they stand for.
 */
#include "tests/lib/echo_call.h"

#include <sys/resource.h>

#include "common/base64.h"
#include "common/log.h"
#include "server/rpc/query.h"

enum {
    REQUEST_MAX_BYTES = 16 << 20,
    RESPONSE_MAX_BYTES = 1 << 20,
    DEPTH = 10000,
    ELEMENTS = 1000000,
    GROWTH_MAX_KIB = 64 << 10, /* for messages of 15 MiB at most, held as they came, and expanded */
};

static struct echo_rig rig;

static int begin(void **state)
{
    (void)state;
    echo_rig_init(&rig, REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES, "");
    return 0;
}

static int end(void **state)
{
    (void)state;
    echo_rig_done(&rig);
    return 0;
}

static long peak_kib(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void post(enum codec codec, bool is_stream, const struct buffer *message,
                 enum error_code code)
{
    BUFFER_AUTO(body, REQUEST_MAX_BYTES + ENVELOPE_HEAD_BYTES);
    char head[128];

    if (is_stream) {
        echo_envelope(&body, 0, message->data, message->len_bytes);
    } else {
        assert_true(buffer_append(&body, message->data, message->len_bytes));
    }
    (void)snprintf(head, sizeof(head), "POST %s\nContent-Type: %s",
                   is_stream ? ECHO_STREAM : ECHO_UNARY, codec_content_type(codec, is_stream));
    echo_expect_error(&rig, head, body.data, body.len_bytes, code,
                      is_stream ? 200 : error_http_status(code));
}

/* Short ones by GET, too, and in each encoding. */
static void get(enum codec codec, enum compress_encoding e, const struct buffer *message,
                enum error_code code)
{
    BUFFER_AUTO(packed, REQUEST_MAX_BYTES);
    BUFFER_AUTO(head, QUERY_MAX_BYTES);

    if (!compress_shrink(e, COMPRESS_ZSTD_LEVEL, message->data, message->len_bytes, &packed)) {
        e = COMPRESS_IDENTITY;
        assert_true(buffer_append(&packed, message->data, message->len_bytes));
    }
    buffer_printf(&head, "GET " ECHO_UNARY "?encoding=%s&compression=%s&base64=1&message=",
                  codec == CODEC_JSON ? "json" : "proto", compress_name(e));
    base64_encode(&head, packed.data, packed.len_bytes, BASE64_URL | BASE64_UNPADDED);
    if (!head.failed) {
        echo_expect_error(&rig, buffer_string(&head), NULL, 0, code, error_http_status(code));
    }
}

static void expect_refused(enum codec codec, const struct buffer *message, enum error_code code)
{
    long before_kib = peak_kib();

    assert_false(message->failed);
    post(codec, false, message, code);
    post(codec, true, message, code);
    for (int e = 0; e < COMPRESS_COUNT; e++) {
        get(codec, (enum compress_encoding)e, message, code);
    }
    assert_in_range(peak_kib() - before_kib, 0, GROWTH_MAX_KIB);
}

static void repeat(struct buffer *out, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_append_string(out, text);
    }
}

/* `before`, so many times `open`, so many times `close`, `behind`. */
static void expect_nested(const char *before, const char *open, const char *middle,
                          const char *close, const char *behind, enum error_code code)
{
    BUFFER_AUTO(json, REQUEST_MAX_BYTES);

    buffer_append_string(&json, before);
    repeat(&json, open, DEPTH);
    buffer_append_string(&json, middle);
    repeat(&json, close, DEPTH);
    buffer_append_string(&json, behind);
    expect_refused(CODEC_JSON, &json, code);
    json.len_bytes = strlen(before) + DEPTH * strlen(open); /* never closed */
    expect_refused(CODEC_JSON, &json, code);
}

static void json_nested_ten_thousand_deep_is_refused(void **state)
{
    (void)state;
    expect_nested("", "{\"child\":", "{}", "}", "", ERROR_RESOURCE_EXHAUSTED);
    expect_nested("", "{\"children\":[", "", "]}", "", ERROR_RESOURCE_EXHAUSTED);
    expect_nested("{\"value\":", "[", "", "]", "}", ERROR_RESOURCE_EXHAUSTED);
    expect_nested("{\"aStruct\":", "{\"a\":", "{}", "}", "}", ERROR_RESOURCE_EXHAUSTED);
    expect_nested("{\"unknown\":", "[", "", "]", "}", ERROR_RESOURCE_EXHAUSTED);
    expect_nested("{\"unknown\":", "{\"a\":", "{}", "}", "}", ERROR_RESOURCE_EXHAUSTED);
    expect_nested("{\"any\":", "{\"@type\":\"a/zoo.Zoo\",\"any\":", "{}", "}", "}",
                  ERROR_RESOURCE_EXHAUSTED);
}

static void append_varint(struct buffer *out, size_t value)
{
    for (; value >= 0x80; value >>= 7) {
        buffer_append_byte(out, (uint8_t)(0x80 | (value & 0x7f)));
    }
    buffer_append_byte(out, (uint8_t)value);
}

/* From the inside out, so backwards: each level is a tag of two bytes, and a length. */
static void nest_proto(struct buffer *out, uint32_t field)
{
    size_t lengths[DEPTH], length = 0;

    for (size_t i = 0; i < DEPTH; i++) {
        lengths[i] = length;
        length += 2U + (length >= 1 << 14 ? 3U : length >= 1 << 7 ? 2U : 1U);
    }
    for (size_t i = DEPTH; i-- > 0;) {
        append_varint(out, field << 3 | 2);
        append_varint(out, lengths[i]);
    }
}

static void proto_nested_ten_thousand_deep_is_refused(void **state)
{
    static const uint32_t fields[] = { 17, 29 }; /* child, children */

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        BUFFER_AUTO(message, REQUEST_MAX_BYTES);

        nest_proto(&message, fields[i]);
        expect_refused(CODEC_PROTO, &message, ERROR_RESOURCE_EXHAUSTED);
    }
}

static void a_million_elements_of_json_are_refused(void **state)
{
    static const struct {
        const char *before, *element, *behind;
    } lists[] = {
        { "{\"int32s\":[1", ",1", "]}" },
        { "{\"children\":[{}", ",{}", "]}" }, /* of 700 bytes and more each, unpacked */
        { "{\"strings\":[\"\"", ",\"\"", "]}" },
        { "{\"values\":[[]", ",[]", "]}" },
        { "{\"value\":[{}", ",{}", "]}" },
        { "{\"fieldMask\":\"a", ",a", "\"}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        BUFFER_AUTO(json, REQUEST_MAX_BYTES);

        buffer_append_string(&json, lists[i].before);
        repeat(&json, lists[i].element, ELEMENTS);
        buffer_append_string(&json, lists[i].behind);
        expect_refused(CODEC_JSON, &json, ERROR_RESOURCE_EXHAUSTED);
    }
}

static void a_million_elements_of_proto_are_refused(void **state)
{
    static const char *const elements[] = {
        "\xea\x01", /* children: its length follows */
        "\xd2\x01", /* strings */
        "\xc2\x04", /* by_name, a map */
        "\xc2\x07", /* of no field that there is */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++) {
        BUFFER_AUTO(message, REQUEST_MAX_BYTES);

        for (size_t k = 0; k < ELEMENTS; k++) {
            buffer_append(&message, elements[i], 3); /* and its NUL, which is the length */
        }
        expect_refused(CODEC_PROTO, &message, ERROR_RESOURCE_EXHAUSTED);
    }
    BUFFER_AUTO(packed, REQUEST_MAX_BYTES); /* int32s, in one piece */

    append_varint(&packed, 21 << 3 | 2);
    append_varint(&packed, ELEMENTS);
    repeat(&packed, "\x01", ELEMENTS);
    expect_refused(CODEC_PROTO, &packed, ERROR_RESOURCE_EXHAUSTED);
}

#define BYTES(literal) literal, sizeof(literal) - 1

static void nuls_and_bytes_that_are_no_text_are_refused(void **state)
{
    static const struct {
        enum codec codec;
        const char *bytes;
        size_t len_bytes;
    } wrong[] = {
        { CODEC_PROTO, BYTES("\x72\x03\x61\0\x61") }, /* a_string */
        { CODEC_PROTO, BYTES("\x72\x01\0") },
        { CODEC_PROTO, BYTES("\x72\x02\xc3\x28") },
        { CODEC_PROTO, BYTES("\x72\x03\xed\xa0\x80") },   /* half a pair of surrogates */
        { CODEC_PROTO, BYTES("\x72\x02\xc0\x80") },       /* a NUL, spelt long */
        { CODEC_PROTO, BYTES("\xd2\x01\x01\0") },         /* strings */
        { CODEC_PROTO, BYTES("\x8a\x01\x03\x72\x01\0") }, /* of a child */
        { CODEC_PROTO, BYTES("\xc2\x04\x03\x0a\x01\0") }, /* a key of by_name */
        { CODEC_JSON, BYTES("{\"aString\":\"a\\u0000b\"}") },
        { CODEC_JSON, BYTES("{\"aString\":\"\0\"}") },
        { CODEC_JSON, BYTES("{\"aString\":\"\xc3\x28\"}") },
        { CODEC_JSON, BYTES("{\"aString\":\"\xc0\x80\"}") },
        { CODEC_JSON, BYTES("{\"aString\":\"\\ud800\"}") },
        { CODEC_JSON, BYTES("{\"strings\":[\"\xff\xfe\"]}") },
        { CODEC_JSON, BYTES("{}\0") },
        { CODEC_JSON, BYTES("\0{}") },
        { CODEC_JSON, BYTES("{\"\xff\":1}") }, /* a name that nobody knows */
        { CODEC_JSON, BYTES("{\"x\":\"\xff\"}") },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        BUFFER_AUTO(message, 100);

        assert_true(buffer_append(&message, wrong[i].bytes, wrong[i].len_bytes));
        expect_refused(wrong[i].codec, &message, ERROR_INVALID_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_nested_ten_thousand_deep_is_refused),
        cmocka_unit_test(proto_nested_ten_thousand_deep_is_refused),
        cmocka_unit_test(a_million_elements_of_json_are_refused),
        cmocka_unit_test(a_million_elements_of_proto_are_refused),
        cmocka_unit_test(nuls_and_bytes_that_are_no_text_are_refused),
    };

    log_open("hostile_message_test", LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, begin, end);
}
