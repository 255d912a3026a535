/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What libxenres makes of servers that answer calls wrongly, badly, late, or not at all. */
#include "tests/lib/client_fixture.h"

#include "xenres/v1/host.pb-c.h"

/* Asks for the host of a server with one step; returns the error's code. */
static uint32_t get_host_code(struct fixture *f)
{
    const xenres_host *host;
    int result = xenres_get_host(f->handle, &f->reply, &host, &f->error);

    assert_int_equal(result, result == 0 ? 0 : -(int)f->error.code);
    return result == 0 ? 0 : f->error.code;
}

static void expect_host_error(struct tls_server_step step, uint32_t code)
{
    static struct fixture f;

    fixture_start(&f, &step, 1);
    assert_int_equal(get_host_code(&f), code);
    assert_true(f.error.message[0] != '\0');
    fixture_end(&f);
}

#define EXPECT_HOST_ERROR(text, then, code)                                                        \
    expect_host_error((struct tls_server_step)FIXTURE_TEXT(text, then), code)

static void good_answer_is_taken(void **state)
{
    static struct fixture f;
    BUFFER_AUTO(bytes, 0);
    Xenres__V1__GetHostResponse answer;
    Xenres__V1__Host host;
    char name[] = "dom0";
    const char *type_name;
    size_t len_bytes;
    const xenres_host *view;

    (void)state;
    xenres__v1__get_host_response__init(&answer);
    xenres__v1__host__init(&host);
    answer.host = &host;
    host.hostname = name;
    const struct tls_server_step step = fixture_message(&bytes, &answer.base);

    fixture_start(&f, &step, 1);
    assert_int_equal(xenres_get_host(f.handle, &f.reply, &view, &f.error), 0);
    assert_string_equal(view->hostname, "dom0");
    assert_string_equal(view->xen_version, "");
    assert_false(view->mapper_connected);
    assert_non_null(xenres_reply_message(f.reply, &len_bytes, &type_name));
    assert_int_equal(len_bytes, protobuf_c_message_get_packed_size(&answer.base));
    assert_string_equal(type_name, "xenres.v1.GetHostResponse");
    fixture_end(&f);
    assert_non_null(strstr(f.server.requests[0], "POST /xenres.v1.HostService/GetHost HTTP/1.1"));
    assert_non_null(strstr(f.server.requests[0], "Connect-Protocol-Version: 1"));
    const char *timeout = strstr(f.server.requests[0], "Connect-Timeout-Ms: ");

    assert_non_null(timeout); /* what is left of it */
    unsigned long left_ms = strtoul(timeout + strlen("Connect-Timeout-Ms: "), NULL, 10);

    assert_true(left_ms > 5000 && left_ms <= 10000 - 500); /* the rest is for the answer's way */
}

static void empty_answer_is_an_empty_message(void **state)
{
    const struct tls_server_step step = FIXTURE_TEXT(
        "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 0\r\n\r\n",
        TLS_SERVER_KEEP);
    static struct fixture f;
    size_t len_bytes;

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(get_host_code(&f), 0);
    assert_non_null(xenres_reply_message(f.reply, &len_bytes, NULL));
    assert_int_equal(len_bytes, 0);
    fixture_end(&f);
}

static void truncated_body_is_unavailable(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Length: 100\r\n\r\n0123",
                      TLS_SERVER_CLOSE, XENRES_UNAVAILABLE);
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n10\r\n0123",
                      TLS_SERVER_CLOSE, XENRES_UNAVAILABLE);
}

/* Cut between two fields, it would be a message like any other. */
static void body_without_a_stated_end_is_refused(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Connection: close\r\n\r\n\x0a\x00",
                      TLS_SERVER_CLOSE, XENRES_INTERNAL);
    EXPECT_HOST_ERROR("HTTP/1.0 200 OK\r\nContent-Type: application/proto\r\n\r\n",
                      TLS_SERVER_CLOSE, XENRES_INTERNAL);
}

static void close_without_answer_is_unavailable(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("", TLS_SERVER_CLOSE, XENRES_UNAVAILABLE);
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Ty", TLS_SERVER_CLOSE, XENRES_UNAVAILABLE);
}

static void wrong_content_type_is_refused(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",
                      TLS_SERVER_KEEP, XENRES_INTERNAL);
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", TLS_SERVER_KEEP,
                      XENRES_INTERNAL);
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\n"
                      "Content-Length: 0\r\n\r\n",
                      TLS_SERVER_KEEP, XENRES_INTERNAL);
}

static void encoding_that_nobody_knows_is_refused(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Encoding: br\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
                      TLS_SERVER_KEEP, XENRES_INTERNAL);
}

static void huge_length_is_refused_before_any_byte(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Length: 1099511627776\r\n\r\n",
                      TLS_SERVER_HANG, XENRES_RESOURCE_EXHAUSTED);
}

/* Bodies of exactly the maximum pass, one byte more does not, announced or not. */
static uint32_t code_for_body_of(size_t len_bytes, bool chunked)
{
    const xenres_options options = { .size = sizeof(options), .message_max_bytes = 5000 };
    static struct fixture f;
    BUFFER_AUTO(bytes, 65536);

    buffer_append_string(&bytes, "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n");
    if (chunked) {
        buffer_printf(&bytes, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", len_bytes);
    } else {
        buffer_printf(&bytes, "Content-Length: %zu\r\n\r\n", len_bytes);
    }
    /* An unknown field of bytes: a proper message of any length. */
    size_t content = len_bytes - 4;
    const uint8_t head[] = { 0xfa, 0x07, (uint8_t)(content & 0x7f) | 0x80,
                             (uint8_t)(content >> 7) };

    buffer_append(&bytes, head, sizeof(head));
    memset(buffer_extend(&bytes, content), 'x', content);
    buffer_append_string(&bytes, chunked ? "\r\n0\r\n\r\n" : "");
    const struct tls_server_step step = { bytes.data, bytes.len_bytes, TLS_SERVER_KEEP };

    f = (struct fixture){ 0 };
    tls_server_start(&f.server, "IP:127.0.0.1", TLS1_3_VERSION, &step, 1);
    fixture_connect(&f, options);
    uint32_t code = get_host_code(&f);

    fixture_end(&f);
    return code;
}

static void message_bound_is_exact(void **state)
{
    (void)state;
    assert_int_equal(code_for_body_of(5000, false), 0);
    assert_int_equal(code_for_body_of(5000, true), 0);
    assert_int_equal(code_for_body_of(5001, false), XENRES_RESOURCE_EXHAUSTED);
    assert_int_equal(code_for_body_of(5001, true), XENRES_RESOURCE_EXHAUSTED);
}

static void garbage_is_no_message(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Length: 8\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff",
                      TLS_SERVER_KEEP, XENRES_INTERNAL);
    /* host = a message of 100 bytes, of which there are two */
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Length: 4\r\n\r\n\x0a\x64zz",
                      TLS_SERVER_KEEP, XENRES_INTERNAL);
    /* host.hostname with a NUL in it */
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Length: 7\r\n\r\n\x0a\x05\x22\x03"
                      "a\0b",
                      TLS_SERVER_KEEP, XENRES_INTERNAL);
}

static void endless_head_is_ended(void **state)
{
    BUFFER_AUTO(bytes, 1 << 20);

    (void)state;
    buffer_append_string(&bytes, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 2000; i++) {
        buffer_printf(&bytes, "X-%d: 0123456789012345678901234567890123456789\r\n", i);
    }
    expect_host_error((struct tls_server_step){ bytes.data, bytes.len_bytes, TLS_SERVER_HANG },
                      XENRES_INTERNAL);
}

static void silence_ends_at_the_timeout(void **state)
{
    const struct tls_server_step step = FIXTURE_TEXT("", TLS_SERVER_HANG);
    static struct fixture f;

    (void)state;
    fixture_start_impatient(&f, &step, 1);
    assert_int_equal(get_host_code(&f), XENRES_DEADLINE_EXCEEDED);
    fixture_end(&f);
}

static void slow_drip_ends_at_the_timeout(void **state)
{
    const struct tls_server_step step = FIXTURE_TEXT(
        "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 100000\r\n\r\n",
        TLS_SERVER_DRIP);
    static struct fixture f;

    (void)state;
    fixture_start_impatient(&f, &step, 1);
    assert_int_equal(get_host_code(&f), XENRES_DEADLINE_EXCEEDED);
    fixture_end(&f);
}

static void redirect_is_not_followed(void **state)
{
    static const struct tls_server_step steps[] = {
        FIXTURE_TEXT("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
                     TLS_SERVER_KEEP),
        FIXTURE_TEXT("", TLS_SERVER_CLOSE),
    };
    static struct fixture f;

    (void)state;
    fixture_start(&f, steps, 2);
    assert_int_equal(get_host_code(&f), XENRES_UNKNOWN);
    assert_int_equal(f.error.http_status, 302);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 1);
}

static void error_comes_with_its_detail(void **state)
{
    /* call "c", errno "EINVAL", cause "why", next "do" */
    const struct tls_server_step step = FIXTURE_TEXT(
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 141\r\n\r\n"
        "{\"code\":\"not_found\",\"message\":\"no domain 7\",\"details\":[{\"type\":\"a.B\"},"
        "{\"type\":\"xenres.v1.XenFailure\",\"value\":\"CgFjEgZFSU5WQUwaA3doeSICZG8\"}]}",
        TLS_SERVER_KEEP);
    static struct fixture f;

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(get_host_code(&f), XENRES_NOT_FOUND);
    assert_string_equal(f.error.message, "no domain 7");
    assert_string_equal(f.error.call, "c");
    assert_string_equal(f.error.errno_name, "EINVAL");
    assert_string_equal(f.error.cause, "why");
    assert_string_equal(f.error.next_step, "do");
    assert_int_equal(f.error.http_status, 404);
    fixture_end(&f);
}

static void error_texts_steer_no_terminal(void **state)
{
    const struct tls_server_step step = FIXTURE_TEXT(
        "HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nContent-Length: 63\r\n\r\n"
        "{\"code\":\"internal\",\"message\":\"a\\u001b[2Jb\\u202ec\",\"details\":17}   ",
        TLS_SERVER_KEEP);
    static struct fixture f;

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(get_host_code(&f), XENRES_INTERNAL);
    assert_string_equal(f.error.message, "a?[2Jb???c");
    fixture_end(&f);
}

/* A status and a body that is no error object: the status decides. */
static void expect_status_code(int status, const char *body, size_t len, uint32_t code)
{
    BUFFER_AUTO(bytes, 1 << 20);

    buffer_printf(&bytes,
                  "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  status, len);
    buffer_append(&bytes, body, len);
    expect_host_error((struct tls_server_step){ bytes.data, bytes.len_bytes, TLS_SERVER_KEEP },
                      code);
}

static void malformed_errors_fall_back_to_the_status(void **state)
{
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "17",
        "{\"code\":5}",
        "{\"message\":\"no code\"}",
        "not JSON at all",
        "{\"code\":\"internal\",\"code\":\"not_found\"}",
        "\xff\xfe",
        "{\"code\":\"made_up\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        expect_status_code(503, bodies[i], strlen(bodies[i]), XENRES_UNAVAILABLE);
    }
    expect_status_code(404, "", 0, XENRES_UNIMPLEMENTED);
    expect_status_code(500, "", 0, XENRES_UNKNOWN);
    expect_status_code(401, "", 0, XENRES_UNAUTHENTICATED);
    expect_status_code(204, "", 0, XENRES_UNKNOWN);
}

static void nested_error_is_no_bomb(void **state)
{
    static char nested[60000];

    (void)state;
    memset(nested, '[', sizeof(nested));
    expect_status_code(500, nested, sizeof(nested), XENRES_UNKNOWN);
}

static void long_error_body_is_cut(void **state)
{
    static char body[300000];

    (void)state;
    memset(body, ' ', sizeof(body));
    expect_status_code(429, body, sizeof(body), XENRES_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answer_is_taken),
        cmocka_unit_test(empty_answer_is_an_empty_message),
        cmocka_unit_test(truncated_body_is_unavailable),
        cmocka_unit_test(body_without_a_stated_end_is_refused),
        cmocka_unit_test(close_without_answer_is_unavailable),
        cmocka_unit_test(wrong_content_type_is_refused),
        cmocka_unit_test(encoding_that_nobody_knows_is_refused),
        cmocka_unit_test(huge_length_is_refused_before_any_byte),
        cmocka_unit_test(message_bound_is_exact),
        cmocka_unit_test(garbage_is_no_message),
        cmocka_unit_test(endless_head_is_ended),
        cmocka_unit_test(silence_ends_at_the_timeout),
        cmocka_unit_test(slow_drip_ends_at_the_timeout),
        cmocka_unit_test(redirect_is_not_followed),
        cmocka_unit_test(error_comes_with_its_detail),
        cmocka_unit_test(error_texts_steer_no_terminal),
        cmocka_unit_test(malformed_errors_fall_back_to_the_status),
        cmocka_unit_test(nested_error_is_no_bomb),
        cmocka_unit_test(long_error_body_is_cut),
    };

    return UNIT_RUN(tests);
}
