/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Answers of calls that come compressed, and what is wrong with some. */
#include "tests/lib/client_stream.h"

#include "xenres/v1/host.pb-c.h"

/* A 200, said to be gzip. */
static struct tls_server_step gzip_answer(struct buffer *out, const void *bytes, size_t len)
{
    buffer_init(out, 1 << 26);
    buffer_printf(out,
                  "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                  "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                  len);
    buffer_append(out, bytes, len);
    return (struct tls_server_step){ out->data, out->len_bytes, TLS_SERVER_KEEP };
}

static void pack_host(struct buffer *out, const char *hostname)
{
    Xenres__V1__GetHostResponse answer;
    Xenres__V1__Host host;
    BUFFER_AUTO(packed, 1 << 20);

    xenres__v1__get_host_response__init(&answer);
    xenres__v1__host__init(&host);
    host.hostname = (char *)(uintptr_t)hostname;
    answer.host = &host;
    size_t len = protobuf_c_message_get_packed_size(&answer.base);

    protobuf_c_message_pack(&answer.base, buffer_extend(&packed, len));
    stream_gzip(out, packed.data, len);
}

static void compressed_answer_is_unpacked(void **state)
{
    struct fixture f;
    BUFFER_AUTO(bytes, 0);
    BUFFER_AUTO(gzip, 4096);
    const xenres_host *host;

    (void)state;
    pack_host(&gzip, "dom0");
    const struct tls_server_step step = gzip_answer(&bytes, gzip.data, gzip.len_bytes);

    fixture_start(&f, &step, 1);
    assert_int_equal(xenres_get_host(f.handle, &f.reply, &host, &f.error), 0);
    assert_string_equal(host->hostname, "dom0");
    fixture_end(&f);
    assert_non_null(strstr(f.server.requests[0], "\nAccept-Encoding: gzip"));
}

/* An empty message is never compressed, whatever the head says. */
static void empty_answer_is_empty(void **state)
{
    struct fixture f;
    BUFFER_AUTO(bytes, 0);
    const struct tls_server_step step = gzip_answer(&bytes, "", 0);

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(fixture_get_host(&f), 0);
    fixture_end(&f);
}

static void expect(const void *body, size_t len, const xenres_options *given, int result)
{
    const xenres_options usual = { .size = sizeof(usual), .gzip = true };
    struct fixture f;
    BUFFER_AUTO(bytes, 0);
    const struct tls_server_step step = gzip_answer(&bytes, body, len);

    fixture_start_with(&f, given != NULL ? *given : usual, &step, 1);
    assert_int_equal(fixture_get_host(&f), result);
    fixture_end(&f);
}

static void bad_gzip_is_an_error(void **state)
{
    BUFFER_AUTO(gzip, 4096);

    (void)state;
    expect("no gzip", 7, NULL, -XENRES_INTERNAL);
    pack_host(&gzip, "dom0");
    expect(gzip.data, gzip.len_bytes - 1, NULL, -XENRES_INTERNAL);
    buffer_append_byte(&gzip, 'x');
    expect(gzip.data, gzip.len_bytes, NULL, -XENRES_INTERNAL);
}

static void bound_holds_for_what_is_unpacked(void **state)
{
    enum { MAX = 5000 };
    const xenres_options options = { .size = sizeof(options),
                                     .message_max_bytes = MAX,
                                     .gzip = true };

    (void)state;
    for (size_t over = 0; over <= 1; over++) {
        static uint8_t message[MAX + 1]; /* an unknown field of bytes */
        BUFFER_AUTO(gzip, 65536);
        size_t content = MAX + over - 4;
        const uint8_t head[] = { 0xfa, 0x07, (uint8_t)(content & 0x7f) | 0x80,
                                 (uint8_t)(content >> 7) };

        memcpy(message, head, sizeof(head));
        stream_gzip(&gzip, message, MAX + over);
        expect(gzip.data, gzip.len_bytes, &options, over > 0 ? -XENRES_RESOURCE_EXHAUSTED : 0);
    }
}

static void bomb_is_refused(void **state)
{
    enum { UNPACKED = 128 << 20 };
    BUFFER_AUTO(gzip, 1 << 20);
    uint8_t *zeros = calloc(1, UNPACKED);

    (void)state;
    stream_gzip(&gzip, zeros, UNPACKED);
    free(zeros);
    expect(gzip.data, gzip.len_bytes, NULL, -XENRES_RESOURCE_EXHAUSTED);
}

static void compressed_error_is_read(void **state)
{
    static const char json[] = "{\"code\":\"aborted\",\"message\":\"gone\"}";
    struct fixture f;
    BUFFER_AUTO(bytes, 65536);
    BUFFER_AUTO(gzip, 4096);

    (void)state;
    stream_gzip(&gzip, json, sizeof(json) - 1);
    for (size_t cut = 0; cut <= 1; cut++) {
        buffer_reset(&bytes);
        buffer_printf(&bytes,
                      "HTTP/1.1 500 X\r\nContent-Type: application/json\r\n"
                      "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                      gzip.len_bytes - cut);
        buffer_append(&bytes, gzip.data, gzip.len_bytes - cut);
        const struct tls_server_step step = { bytes.data, bytes.len_bytes, TLS_SERVER_KEEP };

        fixture_start(&f, &step, 1);
        /* Where it cannot be read, the status says what there is to say. */
        assert_int_equal(fixture_get_host(&f), cut > 0 ? -XENRES_UNKNOWN : -XENRES_ABORTED);
        fixture_end(&f);
    }
}

static void declined_compression_is_refused(void **state)
{
    const xenres_options options = { .size = sizeof(options) };
    struct fixture f;
    BUFFER_AUTO(bytes, 0);
    BUFFER_AUTO(gzip, 4096);

    (void)state;
    pack_host(&gzip, "dom0");
    const struct tls_server_step step = gzip_answer(&bytes, gzip.data, gzip.len_bytes);

    fixture_start_with(&f, options, &step, 1);
    assert_int_equal(fixture_get_host(&f), -XENRES_INTERNAL);
    fixture_end(&f);
    assert_null(strstr(f.server.requests[0], "Accept-Encoding"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compressed_answer_is_unpacked),
        cmocka_unit_test(empty_answer_is_empty),
        cmocka_unit_test(bad_gzip_is_an_error),
        cmocka_unit_test(bound_holds_for_what_is_unpacked),
        cmocka_unit_test(bomb_is_refused),
        cmocka_unit_test(compressed_error_is_read),
        cmocka_unit_test(declined_compression_is_refused),
    };

    return UNIT_RUN(tests);
}
