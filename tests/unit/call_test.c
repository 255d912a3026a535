/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Unary calls as Connect has them: POST, GET, HEAD and OPTIONS, codecs, encodings, limits, origins. */
#include "tests/lib/echo_call.h"

#include "common/base64.h"
#include "common/log.h"
#include "server/rpc/schema.h"

enum { REQUEST_MAX_BYTES = 20000, RESPONSE_MAX_BYTES = 30000 };

#define ORIGIN "https://dash.example"
#define JSON   "POST " ECHO_UNARY "\nContent-Type: application/json"
#define PROTO  "POST " ECHO_UNARY "\nContent-Type: application/proto"
#define GET    "GET " ECHO_UNARY "?"

static struct echo_rig rig;

static int begin(void **state)
{
    (void)state;
    echo_rig_init(&rig, REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES, ORIGIN);
    return 0;
}

static int end(void **state)
{
    (void)state;
    echo_rig_done(&rig);
    return 0;
}

static void expect_echo(const char *head, const char *body, const char *expected)
{
    struct echo_call c;

    echo_call(&rig, &c, head, body, strlen(body));
    if (c.answer.reply->status != 200 || c.answer.body.len_bytes != strlen(expected) ||
        memcmp(c.answer.body.data, expected, strlen(expected)) != 0) {
        fail_msg("%s: %d, %.*s", head, c.answer.reply->status, (int)c.answer.body.len_bytes,
                 (const char *)c.answer.body.data);
    }
    assert_string_equal(answer_header(&c.answer, "Cache-Control"), "no-store");
    echo_done(&c);
}

static void json_is_answered_with_json_and_proto_with_proto(void **state)
{
    (void)state;
    expect_echo(JSON, "{\"a_string\":\"x\",\"unknown\":[1]}", "{\"aString\":\"x\"}");
    expect_echo(PROTO, "\x72\x01x", "\x72\x01x");
}

static void an_empty_body_is_an_empty_message_whatever_it_is_said_to_be_in(void **state)
{
    (void)state;
    expect_echo(JSON, "", "{}");
    expect_echo(PROTO, "", "");
    expect_echo(JSON "\nContent-Encoding: gzip", "", "{}");
    expect_echo(PROTO "\nContent-Encoding: zstd", "", "");
    expect_echo(JSON "\nContent-Encoding: identity", "", "{}");
}

/* A message of this length, in `encoding`, is answered with itself, in it. */
static void expect_encoded(enum codec codec, enum compress_encoding encoding, size_t len_bytes)
{
    struct echo_call c;
    char head[256];
    BUFFER_AUTO(plain, len_bytes);
    BUFFER_AUTO(packed, len_bytes);

    echo_fill(codec, &plain, len_bytes);
    if (!compress_shrink(encoding, COMPRESS_ZSTD_LEVEL, plain.data, plain.len_bytes, &packed)) {
        assert_true(buffer_append(&packed, plain.data, plain.len_bytes));
    }
    (void)snprintf(head, sizeof(head), "%s\nContent-Encoding: %s\nAccept-Encoding: %s",
                   codec == CODEC_JSON ? JSON : PROTO, compress_name(encoding),
                   compress_name(encoding));
    echo_call(&rig, &c, head, packed.data, packed.len_bytes);
    if (len_bytes > REQUEST_MAX_BYTES) {
        assert_int_equal(c.answer.code, ERROR_RESOURCE_EXHAUSTED);
        assert_int_equal(c.answer.reply->status, 429);
    } else {
        assert_int_equal(c.answer.reply->status, 200);
        const char *said = answer_header(&c.answer, "Content-Encoding");

        assert_true((said != NULL) == (codec == CODEC_PROTO && encoding != COMPRESS_IDENTITY));
    }
    echo_done(&c);
}

static void a_message_of_the_limit_passes_in_each_encoding_and_one_byte_more_does_not(void **state)
{
    (void)state;
    for (int codec = 0; codec < CODEC_COUNT; codec++) {
        for (int e = 0; e < COMPRESS_COUNT; e++) {
            expect_encoded((enum codec)codec, (enum compress_encoding)e, REQUEST_MAX_BYTES);
            expect_encoded((enum codec)codec, (enum compress_encoding)e, REQUEST_MAX_BYTES + 1);
        }
    }
}

/* White space in the request is none in the answer: so the answer grows with escapes. */
static void an_answer_of_the_limit_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    for (size_t more = 0; more <= 1; more++) {
        /* {"aString":"…"} with DEL, one byte here and six there. */
        size_t letters = RESPONSE_MAX_BYTES - strlen("{\"aString\":\"\"}") + more;
        BUFFER_AUTO(body, REQUEST_MAX_BYTES);

        buffer_append_string(&body, "{\"aString\":\"");
        for (size_t i = 0; i < letters / 6 + letters % 6; i++) {
            buffer_append_byte(&body, i < letters / 6 ? 0x7f : 'x');
        }
        buffer_append_string(&body, "\"}");
        struct echo_call c;

        echo_call(&rig, &c, JSON, body.data, body.len_bytes);
        assert_int_equal(c.answer.reply->status, more == 0 ? 200 : 429);
        if (more == 0) {
            assert_int_equal(c.answer.body.len_bytes, RESPONSE_MAX_BYTES);
        }
        echo_done(&c);
    }
}

/* --- GET ------------------------------------------------------------------------------------------ */

static void a_get_has_its_message_in_the_query(void **state)
{
    (void)state;
    expect_echo(GET "connect=v1&encoding=json&message=%7B%22aString%22%3A%22x%22%7D", "",
                "{\"aString\":\"x\"}");
    expect_echo(GET "encoding=json&message={\"aString\":\"x\"}", "", "{\"aString\":\"x\"}");
    expect_echo(GET "message=%72%01x&encoding=proto", "", "\x72\x01x");
    expect_echo(GET "encoding=json&message=", "", "{}");
    expect_echo(GET "encoding=proto&message", "", "");
    expect_echo(GET "encoding=json&compression=gzip&message=", "", "{}");
    expect_echo(GET "encoding=json&message={}&whatever=1&x", "", "{}");
    /* Base64: its usual alphabet and the one for addresses, padded or not. */
    expect_echo(GET "encoding=proto&base64=1&message=cgF4", "", "\x72\x01x");
    expect_echo(GET "encoding=proto&base64=1&message=cgJ4eA", "", "\x72\x02xx");
    expect_echo(GET "encoding=proto&base64=1&message=cgJ4eA%3D%3D", "", "\x72\x02xx");
    expect_echo(GET "encoding=proto&base64=1&message=cgJ4eA==", "", "\x72\x02xx");
    expect_echo(GET "encoding=proto&base64=1&message=cgLDvw", "", "\x72\x02\xc3\xbf");
    expect_echo(GET "encoding=json&base64=1&message=", "", "{}");
}

static void a_get_in_an_encoding_is_expanded(void **state)
{
    char head[4096];
    BUFFER_AUTO(plain, 1000);

    (void)state;
    echo_fill(CODEC_JSON, &plain, 1000);
    for (int e = COMPRESS_GZIP; e < COMPRESS_COUNT; e++) {
        BUFFER_AUTO(packed, 1000);
        BUFFER_AUTO(text, 3000);

        assert_true(compress_shrink((enum compress_encoding)e, COMPRESS_ZSTD_LEVEL, plain.data,
                                    plain.len_bytes, &packed));
        assert_true(
            base64_encode(&text, packed.data, packed.len_bytes, BASE64_URL | BASE64_UNPADDED));
        (void)snprintf(head, sizeof(head), GET "encoding=json&base64=1&compression=%s&message=%s",
                       compress_name((enum compress_encoding)e), buffer_string(&text));
        expect_echo(head, "", "{}");
        buffer_reset(&text);
        for (size_t i = 0; i < packed.len_bytes; i++) {
            buffer_printf(&text, "%%%02x", packed.data[i]);
        }
        (void)snprintf(head, sizeof(head), GET "encoding=json&compression=%s&message=%s",
                       compress_name((enum compress_encoding)e), buffer_string(&text));
        expect_echo(head, "", "{}");
    }
}

static void gets_that_are_none_are_refused(void **state)
{
    static const char *const invalid[] = {
        GET "encoding=json",
        GET "encoding=json&message={}&message={}",
        GET "encoding=json&message={}&connect=v2",
        GET "encoding=json&message=%7",
        GET "encoding=json&message={",
        GET "encoding=json&message=[]",
        GET "encoding=json&base64=1&message={}",
        GET "encoding=proto&base64=1&message=cgF4*",
        GET "encoding=proto&base64=1&message=c",
        GET "encoding=proto&message=cgF4",
        GET "encoding=json&compression=gzip&message={}",
        GET "encoding=json&message={}\nConnect-Timeout-Ms: x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        echo_expect_error(&rig, invalid[i], "", 0, ERROR_INVALID_ARGUMENT, 400);
    }
    echo_expect_error(&rig, GET "message={}", "", 0, ERROR_UNKNOWN, 415);
    echo_expect_error(&rig, GET "encoding=xml&message={}", "", 0, ERROR_UNKNOWN, 415);
    echo_expect_error(&rig, GET "encoding=json&compression=br&message={}", "", 0,
                      ERROR_UNIMPLEMENTED, 501);
    echo_expect_error(&rig, GET "encoding=json&message={}", "x", 1, ERROR_INVALID_ARGUMENT, 400);
    echo_expect_error(&rig, "GET " ECHO_STREAM "?encoding=json&message={}", "", 0, ERROR_UNKNOWN,
                      405);
}

static void head_is_answered_as_get(void **state)
{
    struct echo_call get, head;

    (void)state;
    echo_call(&rig, &get, GET "encoding=json&message={}", NULL, 0);
    echo_call(&rig, &head, "HEAD " ECHO_UNARY "?encoding=json&message={}", NULL, 0);
    assert_int_equal(head.answer.reply->status, 200);
    assert_int_equal(head.answer.reply->header_count, get.answer.reply->header_count);
    assert_int_equal(head.answer.reply->body_len_bytes, get.answer.reply->body_len_bytes);
    echo_done(&get);
    echo_done(&head);
}

/* --- OPTIONS, and pages of other origins ------------------------------------------------------------ */

static void expect_options(const char *path, const struct identity *who, const char *origin,
                           const char *allow)
{
    struct echo_call c;
    char head[256];

    (void)snprintf(head, sizeof(head), "OPTIONS %s%s%s", path, origin != NULL ? "\nOrigin: " : "",
                   origin != NULL ? origin : "");
    echo_call_as(&rig, &c, who, head, NULL, 0);
    assert_int_equal(c.answer.reply->status, 204);
    assert_string_equal(answer_header(&c.answer, "Allow"), allow);
    assert_string_equal(answer_header(&c.answer, "Vary"), "Origin");
    if (origin == NULL) {
        assert_null(answer_header(&c.answer, "Access-Control-Allow-Origin"));
        assert_null(answer_header(&c.answer, "Access-Control-Allow-Methods"));
    } else {
        assert_string_equal(answer_header(&c.answer, "Access-Control-Allow-Origin"), origin);
        assert_string_equal(answer_header(&c.answer, "Access-Control-Allow-Methods"), "GET, POST");
        const char *headers = answer_header(&c.answer, "Access-Control-Allow-Headers");

        assert_non_null(strstr(headers, "Connect-Protocol-Version"));
        assert_non_null(strstr(headers, "Authorization"));
        assert_string_equal(answer_header(&c.answer, "Access-Control-Max-Age"), "7200");
    }
    /* With credentials a page could read what only this user may. */
    assert_null(answer_header(&c.answer, "Access-Control-Allow-Credentials"));
    echo_done(&c);
}

static void options_says_what_may_be_asked(void **state)
{
    (void)state;
    expect_options(ECHO_UNARY, &rig.who, NULL, "GET, HEAD, POST, OPTIONS");
    expect_options(ECHO_STREAM, &rig.who, NULL, "POST, OPTIONS");
    expect_options("/raw/x", &rig.who, NULL, "GET, HEAD, OPTIONS");
    expect_options(ECHO_UNARY, &rig.who, ORIGIN, "GET, HEAD, POST, OPTIONS");
    expect_options(ECHO_STREAM, NULL, ORIGIN, "POST, OPTIONS"); /* a preflight shows nobody */
}

static void expect_nobody(const char *head, bool readable)
{
    struct echo_call c;

    echo_call_as(&rig, &c, NULL, head, NULL, 0);
    assert_int_equal(c.answer.reply->status, 401);
    assert_int_equal(c.answer.code, ERROR_UNAUTHENTICATED);
    assert_true((answer_header(&c.answer, "Access-Control-Allow-Origin") != NULL) == readable);
    echo_done(&c);
}

static void nobody_learns_nothing_but_by_a_preflight_of_a_known_origin(void **state)
{
    (void)state;
    expect_nobody("OPTIONS " ECHO_UNARY, false);
    expect_nobody("OPTIONS " ECHO_UNARY "\nOrigin: https://evil.example", false);
    expect_nobody("OPTIONS " ECHO_UNARY "\nOrigin: " ORIGIN "\nOrigin: " ORIGIN, false);
    expect_nobody("OPTIONS " ECHO_UNARY "\nOrigin: null", false);
    expect_nobody("POST " ECHO_UNARY "\nOrigin: " ORIGIN, true);
    expect_nobody(GET "encoding=json&message={}\nOrigin: " ORIGIN, true);
    expect_nobody("GET /schema/xenres.v1.binpb", false);
}

static const char *origin_of(const char *head, const char *body)
{
    static char origin[64];
    struct echo_call c;

    echo_call(&rig, &c, head, body, strlen(body));
    assert_string_equal(answer_header(&c.answer, "Vary"), "Origin");
    const char *allowed = answer_header(&c.answer, "Access-Control-Allow-Origin");
    const char *exposed = answer_header(&c.answer, "Access-Control-Expose-Headers");

    assert_true((exposed != NULL) == (allowed != NULL));
    (void)snprintf(origin, sizeof(origin), "%s", allowed != NULL ? allowed : "");
    echo_done(&c);
    return origin;
}

static void pages_of_the_configured_origins_may_read_and_no_others(void **state)
{
    (void)state;
    assert_string_equal(origin_of(JSON "\nOrigin: " ORIGIN, "{}"), ORIGIN);
    assert_string_equal(origin_of(JSON "\nOrigin: " ORIGIN, "{"), ORIGIN); /* failures too */
    assert_string_equal(origin_of("GET /raw/x\nOrigin: " ORIGIN, ""), ORIGIN);
    assert_string_equal(origin_of("GET /nothing\nOrigin: " ORIGIN, ""), ORIGIN);
    assert_string_equal(origin_of("POST " ECHO_STREAM "\nContent-Type: application/connect+json\n"
                                  "Origin: " ORIGIN,
                                  ""),
                        ORIGIN);
    assert_string_equal(origin_of(JSON, "{}"), "");
    assert_string_equal(origin_of(JSON "\nOrigin: https://evil.example", "{}"), "");
    assert_string_equal(origin_of(JSON "\nOrigin: " ORIGIN ".evil", "{}"), "");
}

static void without_origins_nothing_is_said_of_them(void **state)
{
    struct echo_rig without;
    struct echo_call c;

    (void)state;
    echo_rig_init(&without, REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES, "");
    echo_call(&without, &c, JSON "\nOrigin: " ORIGIN, "{}", 2);
    assert_int_equal(c.answer.reply->status, 200);
    assert_null(answer_header(&c.answer, "Vary"));
    assert_null(answer_header(&c.answer, "Access-Control-Allow-Origin"));
    echo_done(&c);
    echo_call_as(&without, &c, NULL, "OPTIONS " ECHO_UNARY "\nOrigin: " ORIGIN, NULL, 0);
    assert_int_equal(c.answer.reply->status, 401);
    echo_done(&c);
    echo_rig_done(&without);
}

/* --- errors, metadata, the schema ------------------------------------------------------------------- */

static void a_unary_call_has_its_trailers_in_headers(void **state)
{
    struct echo_call c;
    static const char body[] = "{\"strings\":[\"one\",\"two\"],\"anInt32\":9}";

    (void)state;
    echo_call(&rig, &c, JSON, body, sizeof(body) - 1);
    assert_int_equal(c.answer.code, ERROR_FAILED_PRECONDITION);
    assert_string_equal(answer_header(&c.answer, "Trailer-x-string"), "one");
    echo_done(&c);
}

/* An answer that memory runs out for is an error like any other, whatever it had begun to say. */
static int respond_without_memory(struct call *c, struct failure *f)
{
    (void)metadata_add(&c->headers, &c->pool, "x-header", "v");
    (void)metadata_add(&c->trailers, &c->pool, "x-trailer", "v");
    while (pool_alloc(&c->pool, 1 << 20) != NULL || pool_alloc(&c->pool, 1) != NULL) {
    }
    return call_no_memory(f);
}

static void without_memory_there_is_still_an_error(void **state)
{
    static const struct handler handler = { .prepare = echo_prepare,
                                            .respond = respond_without_memory };
    struct method m = rig.methods[0];

    (void)state;
    m.path = "/test.v1.Echo/NoMemory";
    m.handler = &handler;
    echo_rig_add(&rig, &m);
    echo_expect_error(&rig, "POST /test.v1.Echo/NoMemory\nContent-Type: application/json", "{}", 2,
                      ERROR_RESOURCE_EXHAUSTED, 429);
}

static void failed_fields_are_told(void **state)
{
    struct echo_call c;
    static const char body[] = "{\"children\":[{},{\"anInt32\":\"x\"}]}";

    (void)state;
    echo_call(&rig, &c, JSON, body, sizeof(body) - 1);
    assert_int_equal(c.answer.code, ERROR_INVALID_ARGUMENT);
    char *text = json_dumps(c.answer.end, JSON_COMPACT);

    assert_non_null(strstr(text, "\"type\":\"google.rpc.BadRequest\""));
    assert_non_null(strstr(text, "\"field\":\"children[1].an_int32\""));
    free(text);
    echo_done(&c);
}

/* The protocol's code for them, unknown, tells nothing; the cause has to. */
static void refusals_by_the_protocol_say_why(void **state)
{
    static const char *const heads[] = { "PUT " ECHO_UNARY, "POST " ECHO_UNARY, "GET " ECHO_UNARY };

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct echo_call c;

        echo_call(&rig, &c, heads[i], NULL, 0);
        assert_int_equal(c.answer.code, ERROR_UNKNOWN);
        assert_null(memmem(c.answer.body.data, c.answer.body.len_bytes, "no known kind", 13));
        echo_done(&c);
    }
}

/* By whoever is known, of whatever policy: it says nothing of this host. */
static void the_schema_is_given_to_whoever_is_known(void **state)
{
    static const struct identity stranger = { .text = "cn:stranger" };
    struct echo_call c;

    (void)state;
    echo_call_as(&rig, &c, &stranger, "GET /schema/xenres.v1.binpb", NULL, 0);
    assert_int_equal(c.answer.reply->status, 200);
    assert_int_equal(c.answer.body.len_bytes, schema_len_bytes);
    assert_memory_equal(c.answer.body.data, schema_bytes, schema_len_bytes);
    for (size_t i = 0; i < services_table.count; i++) { /* every service and method is in it */
        const char *path = services_table.methods[i].path, *slash = strrchr(path, '/');

        if (services_table.methods[i].kind != METHOD_RAW) {
            const char *service = strrchr(path, '.') + 1;

            assert_non_null(
                memmem(schema_bytes, schema_len_bytes, service, (size_t)(slash - service)));
            assert_non_null(memmem(schema_bytes, schema_len_bytes, slash + 1, strlen(slash + 1)));
        }
    }
    echo_done(&c);
    echo_expect_error(&rig, "POST /schema/xenres.v1.binpb", NULL, 0, ERROR_UNKNOWN, 405);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_answered_with_json_and_proto_with_proto),
        cmocka_unit_test(an_empty_body_is_an_empty_message_whatever_it_is_said_to_be_in),
        cmocka_unit_test(a_message_of_the_limit_passes_in_each_encoding_and_one_byte_more_does_not),
        cmocka_unit_test(an_answer_of_the_limit_passes_and_one_byte_more_does_not),
        cmocka_unit_test(a_get_has_its_message_in_the_query),
        cmocka_unit_test(a_get_in_an_encoding_is_expanded),
        cmocka_unit_test(gets_that_are_none_are_refused),
        cmocka_unit_test(head_is_answered_as_get),
        cmocka_unit_test(options_says_what_may_be_asked),
        cmocka_unit_test(nobody_learns_nothing_but_by_a_preflight_of_a_known_origin),
        cmocka_unit_test(pages_of_the_configured_origins_may_read_and_no_others),
        cmocka_unit_test(without_origins_nothing_is_said_of_them),
        cmocka_unit_test(a_unary_call_has_its_trailers_in_headers),
        cmocka_unit_test(without_memory_there_is_still_an_error),
        cmocka_unit_test(failed_fields_are_told),
        cmocka_unit_test(refusals_by_the_protocol_say_why),
        cmocka_unit_test(the_schema_is_given_to_whoever_is_known),
    };

    log_open("call_test", LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, begin, end);
}
