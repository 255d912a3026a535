/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The heads of requests, as text. */
#include "tests/lib/unit.h"

#include <stdio.h>

#include "server/rpc/connect.h"
#include "tests/lib/echo_rig.h"

static int parse(const char *text, bool is_stream, struct connect_request *out, int *http_status,
                 struct failure *f)
{
    static char copy[4096];
    static struct echo_request q;

    assert_true(strlen(text) < sizeof(copy));
    memcpy(copy, text, strlen(text) + 1);
    echo_parse(&q, copy, strlen(text));
    const struct exchange_head head = {
        .method = q.method, .target = q.target, .header = echo_header, .arg = &q
    };

    *http_status = 0;
    return connect_parse_head(&head, is_stream, out, http_status, f);
}

static struct connect_request parsed(const char *text, bool is_stream)
{
    struct connect_request r;
    struct failure f = { 0 };
    int http_status;

    if (parse(text, is_stream, &r, &http_status, &f) != 0) {
        fail_msg("%s: %s", text, f.message);
    }
    assert_true(r.codec_known);
    assert_int_equal(http_status, 0);
    return r;
}

static void expect_refused(const char *text, bool is_stream, enum error_code code, int status)
{
    struct connect_request r;
    struct failure f = { 0 };
    int http_status, result = parse(text, is_stream, &r, &http_status, &f);

    if (result != -(int)code || http_status != status) {
        fail_msg("%s: %d, status %d: %s", text, result, http_status, f.message);
    }
    assert_true(f.message[0] != '\0' && f.next_step[0] != '\0');
    connect_request_done(&r);
    connect_request_done(&r);
}

#define PROTO  "POST /a\nContent-Type: application/proto\n"
#define STREAM "POST /a\nContent-Type: application/connect+json\n"
#define GET    "GET /a?encoding=json&message="

static void a_post_says_codec_encodings_and_timeout(void **state)
{
    struct connect_request r = parsed(PROTO, false);

    (void)state;
    assert_int_equal(r.codec, CODEC_PROTO);
    assert_int_equal(r.encoding, COMPRESS_IDENTITY);
    assert_int_equal(r.answer_encoding, COMPRESS_IDENTITY);
    assert_int_equal(r.timeout_ms, 0);
    assert_false(r.is_get);
    assert_false(r.is_stream);
    r = parsed(PROTO "Content-Encoding: GZIP\nAccept-Encoding: br, zstd\n"
                     "Connect-Timeout-Ms: 0000000007\nConnect-Protocol-Version: 1\n",
               false);
    assert_int_equal(r.encoding, COMPRESS_GZIP);
    assert_int_equal(r.answer_encoding, COMPRESS_ZSTD);
    assert_int_equal(r.timeout_ms, 7);
    r = parsed(PROTO "Connect-Timeout-Ms: 9999999999\n", false);
    assert_int_equal(r.timeout_ms, UINT64_C(9999999999));
}

/* Each kind of call has its own headers for the same, and does not look at the other's. */
static void a_stream_has_encodings_of_its_own(void **state)
{
    struct connect_request r =
        parsed(STREAM "Connect-Content-Encoding: zstd\nConnect-Accept-Encoding: gzip\n"
                      "Content-Encoding: br\nAccept-Encoding: zstd\n",
               true);

    (void)state;
    assert_true(r.is_stream);
    assert_int_equal(r.codec, CODEC_JSON);
    assert_int_equal(r.encoding, COMPRESS_ZSTD);
    assert_int_equal(r.answer_encoding, COMPRESS_GZIP);
    r = parsed(PROTO "Connect-Content-Encoding: br\nConnect-Accept-Encoding: gzip\n", false);
    assert_int_equal(r.encoding, COMPRESS_IDENTITY);
    assert_int_equal(r.answer_encoding, COMPRESS_IDENTITY);
}

static void posts_that_the_protocol_has_not_are_refused(void **state)
{
    static const char *const invalid[] = {
        PROTO "Content-Type: application/proto\n",
        PROTO "Content-Encoding: gzip\nContent-Encoding: gzip\n",
        PROTO "Connect-Protocol-Version: 1\nConnect-Protocol-Version: 1\n",
        PROTO "Connect-Timeout-Ms: 1\nConnect-Timeout-Ms: 1\n",
        PROTO "Connect-Protocol-Version: 2\n",
        PROTO "Connect-Protocol-Version: v1\n",
        PROTO "Connect-Timeout-Ms: 0\n",
        PROTO "Connect-Timeout-Ms: 0000000000\n",
        PROTO "Connect-Timeout-Ms: -1\n",
        PROTO "Connect-Timeout-Ms: +1\n",
        PROTO "Connect-Timeout-Ms: 1s\n",
        PROTO "Connect-Timeout-Ms: 1 \n",
        PROTO "Connect-Timeout-Ms: 0x1\n",
        PROTO "Connect-Timeout-Ms: 1e3\n",
        PROTO "Connect-Timeout-Ms: 10000000000\n", /* eleven digits */
        PROTO "Connect-Timeout-Ms: 00000000001\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        expect_refused(invalid[i], false, ERROR_INVALID_ARGUMENT, 0);
    }
    expect_refused("POST /a\n", false, ERROR_UNKNOWN, 415);
    expect_refused("POST /a\nContent-Type: text/plain\n", false, ERROR_UNKNOWN, 415);
    expect_refused(PROTO, true, ERROR_UNKNOWN, 415);
    expect_refused(STREAM, false, ERROR_UNKNOWN, 415);
    expect_refused(PROTO "Content-Encoding: br\n", false, ERROR_UNIMPLEMENTED, 0);
    expect_refused(PROTO "Content-Encoding: gzip, zstd\n", false, ERROR_UNIMPLEMENTED, 0);
    expect_refused(STREAM "Connect-Content-Encoding: snappy\n", true, ERROR_UNIMPLEMENTED, 0);
}

static void a_refused_encoding_is_told_which_there_are(void **state)
{
    struct connect_request r;
    struct failure f = { 0 };
    int http_status;

    (void)state;
    assert_int_equal(parse(PROTO "Content-Encoding: br\n", false, &r, &http_status, &f),
                     -ERROR_UNIMPLEMENTED);
    assert_non_null(strstr(f.message, "br"));
    assert_non_null(strstr(f.message, "gzip"));
    assert_non_null(strstr(f.message, "zstd"));
    assert_non_null(strstr(f.message, "identity"));
}

static void a_get_has_all_of_it_in_its_query(void **state)
{
    struct connect_request r = parsed("GET /a?message=%7B%7D&encoding=json", false);

    (void)state;
    assert_true(r.is_get);
    assert_false(r.is_base64);
    assert_int_equal(r.codec, CODEC_JSON);
    assert_int_equal(r.encoding, COMPRESS_IDENTITY);
    assert_int_equal(r.message->value_len, 2);
    assert_memory_equal(r.message->value, "{}", 2);
    connect_request_done(&r);
    r = parsed("GET /a?other=1&connect=v1&encoding=proto&base64=1&compression=zstd&message=CgV3\n"
               "Connect-Timeout-Ms: 5\nAccept-Encoding: gzip\n",
               false);
    assert_true(r.is_base64);
    assert_int_equal(r.codec, CODEC_PROTO);
    assert_int_equal(r.encoding, COMPRESS_ZSTD);
    assert_int_equal(r.answer_encoding, COMPRESS_GZIP);
    assert_int_equal(r.timeout_ms, 5);
    connect_request_done(&r);
    r = parsed("GET /a?encoding=proto&message=%0a%00%ff&compression=identity&base64=0", false);
    assert_false(r.is_base64);
    assert_int_equal(r.message->value_len, 3);
    assert_memory_equal(r.message->value, "\x0a\x00\xff", 3);
    connect_request_done(&r);
    r = parsed(GET "\nContent-Type: text/plain\nConnect-Protocol-Version: 9\n", false);
    assert_int_equal(r.message->value_len, 0); /* a GET has neither */
    connect_request_done(&r);
    r = parsed("HEAD /a?encoding=json&message", false);
    assert_true(r.is_get);
    connect_request_done(&r);
}

static void gets_that_the_protocol_has_not_are_refused(void **state)
{
    static const char *const invalid[] = {
        "GET /a?encoding=json",
        "GET /a?encoding=json&Message={}",
        GET "{}&message={}",
        GET "{}&%6Dessage={}",
        GET "{}&encoding=json",
        GET "{}&connect=v2",
        GET "{}&connect=",
        GET "{}&connect=v1%00",
        GET "%",
        GET "%7",
        GET "{}\nConnect-Timeout-Ms: 0\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        expect_refused(invalid[i], false, ERROR_INVALID_ARGUMENT, 0);
    }
    expect_refused("GET /a", false, ERROR_UNKNOWN, 415);
    expect_refused("GET /a?message={}", false, ERROR_UNKNOWN, 415);
    expect_refused("GET /a?message={}&encoding=JSON", false, ERROR_UNKNOWN, 415);
    expect_refused("GET /a?message={}&encoding=json%00", false, ERROR_UNKNOWN, 415);
    expect_refused("GET /a?message={}&encoding=application/json", false, ERROR_UNKNOWN, 415);
    expect_refused(GET "&compression=br", false, ERROR_UNIMPLEMENTED, 0);
    expect_refused(GET "&compression=", false, ERROR_UNIMPLEMENTED, 0);
    expect_refused(GET "&compression=gzip%00br", false, ERROR_UNIMPLEMENTED, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_post_says_codec_encodings_and_timeout),
        cmocka_unit_test(a_stream_has_encodings_of_its_own),
        cmocka_unit_test(posts_that_the_protocol_has_not_are_refused),
        cmocka_unit_test(a_refused_encoding_is_told_which_there_are),
        cmocka_unit_test(a_get_has_all_of_it_in_its_query),
        cmocka_unit_test(gets_that_the_protocol_has_not_are_refused),
    };

    return UNIT_RUN(tests);
}
