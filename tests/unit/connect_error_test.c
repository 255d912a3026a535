/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base64.h"
#include "google/rpc/error_details.pb-c.h"
#include "proto/json/print.h"
#include "server/rpc/connect_error.h"
#include "xenres/v1/failure.pb-c.h"

static json_t *parsed(struct buffer *text)
{
    json_error_t error;
    json_t *json =
        json_loadb((const char *)text->data, text->len_bytes, JSON_REJECT_DUPLICATES, &error);

    if (json == NULL) {
        fail_msg("%s: %s", error.text, buffer_string(text));
    }
    return json;
}

static json_t *error_of(const struct failure *f, const struct connect_details *details)
{
    BUFFER_AUTO(text, CONNECT_ERROR_MAX_BYTES);

    assert_true(connect_error(f, details, &text));
    return parsed(&text);
}

/* The detail of a type, unpacked; NULL where there is none. Its `debug` says what its `value` does. */
static ProtobufCMessage *detail_of(const json_t *error, const ProtobufCMessageDescriptor *type)
{
    const json_t *details = json_object_get(error, "details");
    const struct json_print_options options = { .with_defaults = false };

    for (size_t i = 0; i < json_array_size(details); i++) {
        const json_t *d = json_array_get(details, i);
        const char *value = json_string_value(json_object_get(d, "value"));
        BUFFER_AUTO(packed, CONNECT_ERROR_MAX_BYTES);
        BUFFER_AUTO(printed, CONNECT_ERROR_MAX_BYTES);

        assert_non_null(value);
        assert_null(strpbrk(value, "=-_")); /* standard, unpadded */
        if (strcmp(json_string_value(json_object_get(d, "type")), type->name) != 0) {
            continue;
        }
        assert_true(base64_decode(&packed, value, strlen(value)));
        ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, packed.len_bytes, packed.data);

        assert_non_null(m);
        assert_int_equal(json_print(m, &options, &printed, NULL), 0);
        json_t *said = parsed(&printed);

        assert_true(json_equal(said, json_object_get(d, "debug")));
        json_decref(said);
        return m;
    }
    return NULL;
}

static void expect_xen_failure(const json_t *error, const char *call, const char *errno_name,
                               const char *cause, const char *next_step)
{
    ProtobufCMessage *m = detail_of(error, &xenres__v1__xen_failure__descriptor);
    const Xenres__V1__XenFailure *x = (const void *)m;

    assert_non_null(x);
    assert_string_equal(x->call, call);
    assert_string_equal(x->errno_name, errno_name);
    assert_string_equal(x->cause, cause);
    assert_string_equal(x->next_step, next_step);
    protobuf_c_message_free_unpacked(m, NULL);
}

static void a_failure_is_told_with_all_that_is_known_of_it(void **state)
{
    struct failure f = { 0 };
    int result = failure_set(&f, ERROR_NOT_FOUND, "no ioreq server %d", 7);

    (void)state;
    failure_call(&f, result, "XENMEM_acquire_resource", ENOENT);
    failure_cause(&f, result, "\"its\" \\ device model");
    failure_next(&f, result, "list them");
    json_t *error = error_of(&f, NULL);

    assert_string_equal(json_string_value(json_object_get(error, "code")), "not_found");
    assert_string_equal(json_string_value(json_object_get(error, "message")), "no ioreq server 7");
    assert_int_equal(json_array_size(json_object_get(error, "details")), 1);
    expect_xen_failure(error, "XENMEM_acquire_resource", "ENOENT", "\"its\" \\ device model",
                       "list them");
    assert_null(detail_of(error, &google__rpc__retry_info__descriptor));
    assert_null(detail_of(error, &google__rpc__bad_request__descriptor));
    json_decref(error);
}

/* Of each code: a cause and a next step are there always. */
static void every_code_has_its_usual_texts(void **state)
{
    (void)state;
    for (int code = 1; code <= ERROR_UNAUTHENTICATED; code++) {
        const struct failure f = { .code = code };
        json_t *error = error_of(&f, NULL);
        ProtobufCMessage *m = detail_of(error, &xenres__v1__xen_failure__descriptor);

        assert_string_equal(json_string_value(json_object_get(error, "code")),
                            error_connect_code(code));
        assert_string_equal(json_string_value(json_object_get(error, "message")), error_text(code));
        assert_true(((Xenres__V1__XenFailure *)m)->cause[0] != '\0');
        assert_true(((Xenres__V1__XenFailure *)m)->next_step[0] != '\0');
        protobuf_c_message_free_unpacked(m, NULL);
        json_decref(error);
    }
}

static void expect_retry(const struct failure *f, int64_t seconds, int32_t nanos)
{
    json_t *error = error_of(f, NULL);
    ProtobufCMessage *m = detail_of(error, &google__rpc__retry_info__descriptor);
    const Google__Rpc__RetryInfo *retry = (const void *)m;

    assert_non_null(retry);
    assert_int_equal(retry->retry_delay->seconds, seconds);
    assert_int_equal(retry->retry_delay->nanos, nanos);
    protobuf_c_message_free_unpacked(m, NULL);
    json_decref(error);
}

static void when_to_try_again_is_told_where_it_is_known(void **state)
{
    struct failure f = { 0 };

    (void)state;
    failure_retry(&f, failure_set(&f, ERROR_RESOURCE_EXHAUSTED, "busy"), 1);
    expect_retry(&f, 0, 1000000);
    failure_retry(&f, failure_set(&f, ERROR_RESOURCE_EXHAUSTED, "busy"), 2500);
    expect_retry(&f, 2, 500000000);
    failure_retry(&f, failure_set(&f, ERROR_RESOURCE_EXHAUSTED, "busy"), UINT32_MAX);
    expect_retry(&f, 4294967, 295000000);
    failure_set(&f, ERROR_UNAVAILABLE, "away"); /* always helps, in a while */
    expect_retry(&f, 0, 500000000);
}

static void the_field_at_fault_is_told(void **state)
{
    struct failure f = { 0 };
    int result = failure_set(&f, ERROR_INVALID_ARGUMENT, "filter.states[3] is 9");

    (void)state;
    failure_field(&f, result, "filter.states[%d]", 3);
    json_t *error = error_of(&f, NULL);
    ProtobufCMessage *m = detail_of(error, &google__rpc__bad_request__descriptor);
    const Google__Rpc__BadRequest *bad = (const void *)m;

    assert_non_null(bad);
    assert_int_equal(bad->n_field_violations, 1);
    assert_string_equal(bad->field_violations[0]->field, "filter.states[3]");
    assert_string_equal(bad->field_violations[0]->description, "filter.states[3] is 9");
    assert_int_equal(json_array_size(json_object_get(error, "details")), 2);
    protobuf_c_message_free_unpacked(m, NULL);
    json_decref(error);
}

static void a_failure_as_long_as_can_be_fits(void **state)
{
    struct failure f = { .code = ERROR_UNAVAILABLE, .xen_errno = EINVAL, .retry_after_ms = 1 };
    json_t *error;

    (void)state;
    memset(f.call, '"', sizeof(f.call) - 1);
    memset(f.message, '"', sizeof(f.message) - 1);
    memset(f.cause, '\\', sizeof(f.cause) - 1);
    memset(f.next_step, '"', sizeof(f.next_step) - 1);
    memset(f.field, '"', sizeof(f.field) - 1);
    error = error_of(&f, NULL);
    assert_int_equal(json_array_size(json_object_get(error, "details")), 3);
    expect_xen_failure(error, f.call, "EINVAL", f.cause, f.next_step);
    json_decref(error);
}

static void a_handlers_own_details_stand_instead(void **state)
{
    const struct failure f = { .code = ERROR_ABORTED, .message = "m", .field = "f" };
    const struct connect_details two = {
        .message = "a\nb", .count = 2, .details = { { "a.B", "\xff\xfe", 2 }, { "c.D", "", 0 } }
    };
    const struct connect_details none = { .count = 0 };
    json_t *error = error_of(&f, &two), *details = json_object_get(error, "details");

    (void)state;
    assert_string_equal(json_string_value(json_object_get(error, "message")), "a\nb");
    assert_int_equal(json_array_size(details), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(details, 0), "value")),
                        "//4");
    assert_string_equal(json_string_value(json_object_get(json_array_get(details, 1), "type")),
                        "c.D");
    assert_string_equal(json_string_value(json_object_get(json_array_get(details, 1), "value")),
                        "");
    json_decref(error);
    error = error_of(&f, &none);
    assert_string_equal(json_string_value(json_object_get(error, "message")), "m");
    assert_int_equal(json_array_size(json_object_get(error, "details")), 0);
    json_decref(error);
}

static void what_does_not_fit_fails(void **state)
{
    const struct failure f = { .code = ERROR_INTERNAL };
    const struct metadata none = { .count = 0 };
    BUFFER_AUTO(whole, CONNECT_ERROR_MAX_BYTES);

    (void)state;
    assert_true(connect_error(&f, NULL, &whole));
    for (size_t max = 0; max < whole.len_bytes; max += 7) {
        BUFFER_AUTO(tight, max);
        BUFFER_AUTO(end, max);

        assert_false(connect_error(&f, NULL, &tight));
        assert_false(connect_end(&f, NULL, &none, &end));
    }
}

/* --- the end of a stream --------------------------------------------------------------------------- */

static json_t *end_of(const struct failure *f, const struct metadata *trailers)
{
    BUFFER_AUTO(text, CONNECT_ERROR_MAX_BYTES);

    assert_true(connect_end(f, NULL, trailers, &text));
    return parsed(&text);
}

static void an_end_has_an_error_and_metadata_where_there_are_any(void **state)
{
    const struct failure f = { .code = ERROR_DATA_LOSS };
    const struct metadata none = { .count = 0 };
    const struct metadata some = { .count = 4,
                                   .names = { "x-a", "x-b", "X-A", "x-a" },
                                   .values = { "1", "\"q\"", "2", "" } };
    json_t *end = end_of(NULL, &none);

    (void)state;
    assert_int_equal(json_object_size(end), 0);
    json_decref(end);
    end = end_of(&f, &none);
    assert_int_equal(json_object_size(end), 1);
    assert_string_equal(json_string_value(json_object_get(json_object_get(end, "error"), "code")),
                        "data_loss");
    json_decref(end);
    end = end_of(&f, &some);
    assert_int_equal(json_object_size(end), 2);
    json_t *metadata = json_object_get(end, "metadata"), *a = json_object_get(metadata, "x-a");

    assert_int_equal(json_object_size(metadata), 2);
    assert_int_equal(json_array_size(a), 3);
    assert_string_equal(json_string_value(json_array_get(a, 1)), "2");
    assert_string_equal(json_string_value(json_array_get(a, 2)), "");
    assert_string_equal(json_string_value(json_array_get(json_object_get(metadata, "x-b"), 0)),
                        "\"q\"");
    json_decref(end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_told_with_all_that_is_known_of_it),
        cmocka_unit_test(every_code_has_its_usual_texts),
        cmocka_unit_test(when_to_try_again_is_told_where_it_is_known),
        cmocka_unit_test(the_field_at_fault_is_told),
        cmocka_unit_test(a_failure_as_long_as_can_be_fits),
        cmocka_unit_test(a_handlers_own_details_stand_instead),
        cmocka_unit_test(what_does_not_fit_fails),
        cmocka_unit_test(an_end_has_an_error_and_metadata_where_there_are_any),
    };

    return UNIT_RUN(tests);
}
