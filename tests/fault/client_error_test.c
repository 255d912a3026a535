/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a gateway's error says: all of it arrives, and what makes no sense in it does no harm. */
#include "tests/lib/client_fixture.h"

#include "common/base64.h"
#include "google/rpc/error_details.pb-c.h"
#include "xenres/v1/failure.pb-c.h"

/* --- making errors --- */

static void add_detail(struct buffer *json, const char *type, const void *bytes, size_t len)
{
    buffer_printf(json, "%s{\"type\":\"%s\",\"value\":\"", json->len_bytes > 0 ? "," : "", type);
    base64_encode(json, bytes, len, BASE64_UNPADDED);
    buffer_append_string(json, "\",\"debug\":{\"a\":1}}");
}

static void add_message(struct buffer *json, const ProtobufCMessage *message)
{
    BUFFER_AUTO(packed, 65536);
    size_t len = protobuf_c_message_get_packed_size(message);

    protobuf_c_message_pack(message, buffer_extend(&packed, len));
    add_detail(json, message->descriptor->name, packed.data, len);
}

static void add_retry_info(struct buffer *json, int64_t seconds, int32_t nanos)
{
    Google__Rpc__RetryInfo info = GOOGLE__RPC__RETRY_INFO__INIT;
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;

    delay.seconds = seconds;
    delay.nanos = nanos;
    info.retry_delay = &delay;
    add_message(json, &info.base);
}

static void add_bad_request(struct buffer *json, const char *const *fields, size_t count)
{
    Google__Rpc__BadRequest request = GOOGLE__RPC__BAD_REQUEST__INIT;
    Google__Rpc__BadRequest__FieldViolation violations[4];
    Google__Rpc__BadRequest__FieldViolation *pointers[4];

    for (size_t i = 0; i < count; i++) {
        google__rpc__bad_request__field_violation__init(&violations[i]);
        violations[i].field = (char *)(uintptr_t)fields[i];
        pointers[i] = &violations[i];
    }
    request.field_violations = pointers;
    request.n_field_violations = count;
    add_message(json, &request.base);
}

/* Asks a server that answers with these details; the fixture is left for a look. */
static void ask(struct fixture *f, const struct buffer *details)
{
    BUFFER_AUTO(body, 1 << 20);
    BUFFER_AUTO(bytes, 0);

    buffer_append_string(&body, "{\"code\":\"invalid_argument\",\"message\":\"no\",\"details\":[");
    buffer_append(&body, details->data, details->len_bytes);
    buffer_append_string(&body, "]}");
    const struct tls_server_step step = fixture_refusal(&bytes, 400, buffer_string(&body));

    fixture_start(f, &step, 1);
    assert_int_equal(fixture_get_host(f), -XENRES_INVALID_ARGUMENT);
    assert_string_equal(f->error.message, "no");
    tls_server_stop(&f->server); /* before `bytes` go */
}

static void done(struct fixture *f)
{
    xenres_free(f->handle);
}

/* --- tests --- */

static void all_known_details_are_understood(void **state)
{
    static const char *const fields[] = { "filter.states[3]", "second" };
    Xenres__V1__XenFailure failure;
    char call[] = "map", cause[] = "why", next[] = "do", name[] = "EPERM";
    BUFFER_AUTO(details, 65536);
    const xenres_detail *raw;
    struct fixture f;

    (void)state;
    xenres__v1__xen_failure__init(&failure);
    failure.call = call;
    failure.errno_name = name;
    failure.cause = cause;
    failure.next_step = next;
    add_bad_request(&details, fields, 2);
    add_message(&details, &failure.base);
    add_retry_info(&details, 2, 1);
    add_detail(&details, "acme.Other", "\1\2\0\3", 4);
    ask(&f, &details);
    assert_string_equal(f.error.field, "filter.states[3]");
    assert_string_equal(f.error.call, "map");
    assert_string_equal(f.error.errno_name, "EPERM");
    assert_string_equal(f.error.cause, "why");
    assert_string_equal(f.error.next_step, "do");
    assert_int_equal(f.error.retry_after_ms, 2001); /* at least so long */
    assert_int_equal(f.error.tries, 1);
    assert_int_equal(xenres_error_details(f.handle, &raw), 4);
    assert_string_equal(raw[0].type_name, "google.rpc.BadRequest");
    assert_string_equal(raw[1].type_name, "xenres.v1.XenFailure");
    assert_string_equal(raw[2].type_name, "google.rpc.RetryInfo");
    assert_string_equal(raw[3].type_name, "acme.Other");
    assert_int_equal(raw[3].len_bytes, 4);
    assert_memory_equal(raw[3].bytes, "\1\2\0\3", 4);
    Xenres__V1__XenFailure *again =
        xenres__v1__xen_failure__unpack(NULL, raw[1].len_bytes, raw[1].bytes);

    assert_string_equal(again->cause, "why");
    xenres__v1__xen_failure__free_unpacked(again, NULL);
    done(&f);
}

static void waits_of_any_length_are_numbers(void **state)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
        uint32_t ms;
    } waits[] = {
        { 0, 1, 1 },
        { 0, 999999999, 1000 },
        { 1, 0, 1000 },
        { -1, 0, 0 },
        { 0, -1, 0 },
        { 0, 1000000000, 0 },
        { 4294967, 0, 4294967000 },
        { INT64_MAX, 0, UINT32_MAX },
        { INT64_MIN, INT32_MIN, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        BUFFER_AUTO(details, 65536);
        struct fixture f;

        add_retry_info(&details, waits[i].seconds, waits[i].nanos);
        ask(&f, &details);
        assert_int_equal(f.error.retry_after_ms, waits[i].ms);
        done(&f);
    }
}

static void field_steers_no_terminal_and_is_cut(void **state)
{
    static char long_field[1000];
    const char *fields[] = { "a\x1b[2J" };
    BUFFER_AUTO(details, 65536);
    BUFFER_AUTO(long_details, 65536);
    struct fixture f;

    (void)state;
    add_bad_request(&details, fields, 1);
    ask(&f, &details);
    assert_string_equal(f.error.field, "a?[2J");
    done(&f);
    memset(long_field, 'f', sizeof(long_field) - 1);
    fields[0] = long_field;
    add_bad_request(&long_details, fields, 1);
    ask(&f, &long_details);
    assert_int_equal(strlen(f.error.field), sizeof(f.error.field) - 1);
    done(&f);
}

static void bad_details_are_left_out(void **state)
{
    static const char *const bad[] = {
        "17",
        "null",
        "{}",
        "{\"type\":\"a.B\"}",
        "{\"type\":\"a.B\",\"value\":17}",
        "{\"type\":17,\"value\":\"\"}",
        "{\"type\":\"a.B\",\"value\":\"not base64!\"}",
        "{\"type\":\"\",\"value\":\"\"}",
        "{\"type\":\"a b\",\"value\":\"\"}",
        "{\"type\":\"a\\u001b\",\"value\":\"\"}",
    };
    struct fixture f;
    const xenres_detail *raw;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        BUFFER_AUTO(details, 65536);

        buffer_append_string(&details, bad[i]);
        add_detail(&details, "a.Good", "", 0);
        ask(&f, &details);
        assert_int_equal(xenres_error_details(f.handle, &raw), 1);
        assert_string_equal(raw[0].type_name, "a.Good");
        assert_int_equal(raw[0].len_bytes, 0);
        done(&f);
    }
}

/* Kept as they came, and not understood. */
static void known_names_over_garbage_say_nothing(void **state)
{
    static const char *const names[] = { "xenres.v1.XenFailure", "google.rpc.RetryInfo",
                                         "google.rpc.BadRequest" };
    BUFFER_AUTO(details, 65536);
    const xenres_detail *raw;
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        add_detail(&details, names[i], "\xff\xff\xff", 3);
    }
    ask(&f, &details);
    assert_string_equal(f.error.field, "");
    assert_string_equal(f.error.cause, "");
    assert_int_equal(f.error.retry_after_ms, 0);
    assert_int_equal(xenres_error_details(f.handle, &raw), 3);
    done(&f);
}

static void details_have_their_bounds(void **state)
{
    enum { COUNT_MAX = 16, BYTES_MAX = 16 * 1024, TYPE_MAX = 128 };
    static uint8_t bytes[BYTES_MAX + 1];
    char type[TYPE_MAX + 2];
    BUFFER_AUTO(many, 65536);
    BUFFER_AUTO(large, 65536);
    const xenres_detail *raw;
    struct fixture f;

    (void)state;
    for (int i = 0; i < COUNT_MAX + 1; i++) {
        add_detail(&many, "a.B", "x", 1);
    }
    ask(&f, &many);
    assert_int_equal(xenres_error_details(f.handle, &raw), COUNT_MAX);
    done(&f);
    memset(type, 'a', sizeof(type));
    type[TYPE_MAX + 1] = '\0';
    add_detail(&large, "a.TooLarge", bytes, BYTES_MAX + 1);
    add_detail(&large, type, "", 0);
    type[TYPE_MAX] = '\0';
    add_detail(&large, type, bytes, BYTES_MAX);
    ask(&f, &large);
    assert_int_equal(xenres_error_details(f.handle, &raw), 1);
    assert_string_equal(raw[0].type_name, type);
    assert_int_equal(raw[0].len_bytes, BYTES_MAX);
    done(&f);
}

static void next_call_forgets_them(void **state)
{
    BUFFER_AUTO(bytes, 0);
    const struct tls_server_step answer = FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP);
    const struct tls_server_step steps[] = {
        fixture_refusal(&bytes, 400,
                        "{\"code\":\"aborted\",\"details\":[{\"type\":\"a.B\",\"value\":\"\"}]}"),
        answer,
    };
    const xenres_detail *raw;
    struct fixture f;

    (void)state;
    fixture_start(&f, steps, 2);
    assert_int_equal(xenres_error_details(f.handle, &raw), 0);
    assert_int_equal(fixture_get_host(&f), -XENRES_ABORTED);
    assert_int_equal(xenres_error_details(f.handle, &raw), 1);
    assert_int_equal(fixture_get_host(&f), 0);
    assert_int_equal(xenres_error_details(f.handle, &raw), 0);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_known_details_are_understood),
        cmocka_unit_test(waits_of_any_length_are_numbers),
        cmocka_unit_test(field_steers_no_terminal_and_is_cut),
        cmocka_unit_test(bad_details_are_left_out),
        cmocka_unit_test(known_names_over_garbage_say_nothing),
        cmocka_unit_test(details_have_their_bounds),
        cmocka_unit_test(next_call_forgets_them),
    };

    return UNIT_RUN(tests);
}
