/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The meter itself, and what exchanges of each outcome leave in it. */
#include "server/rpc/meter.h"

#include "common/log.h"
#include "server/rpc/services.h"
#include "tests/lib/rpc_calls.h"

#define FRAMES "/v1/domains/web-1/resources/grant_table/0/frames"

/* --- by itself ---------------------------------------------------------------------------------- */

static struct meter *new_meter(void)
{
    struct meter *m = NULL;

    assert_int_equal(meter_new(&services_table, &m, NULL), 0);
    return m;
}

static void each_method_has_a_row_and_what_is_none_another(void **state)
{
    struct meter *m = new_meter();
    struct meter_row row;

    (void)state;
    assert_int_equal(meter_rows(m), services_table.count + 1);
    for (size_t i = 0; i <= services_table.count; i++) {
        const bool is_method = i < services_table.count;
        const struct meter_event e = { .method = is_method ? &services_table.methods[i] : NULL,
                                       .code = ERROR_NOT_FOUND,
                                       .duration_ns = 5,
                                       .body_bytes = i };

        meter_count(m, &e);
        meter_count(m, &e);
        meter_read(m, i, &row);
        assert_string_equal(row.method, is_method ? services_table.methods[i].path : "unknown");
        assert_int_equal(row.codes[ERROR_NOT_FOUND], 2);
        assert_int_equal(row.codes[ERROR_OK], 0);
        assert_int_equal(row.duration_sum_ns, 10);
        assert_int_equal(row.body_bytes, 2 * i);
    }
    meter_free(m);
}

static void a_duration_is_in_the_first_bucket_that_is_not_below_it(void **state)
{
    static const uint64_t bounds_ns[] = METER_BOUNDS_NS;
    struct meter *m = new_meter();
    struct meter_row row;

    (void)state;
    for (size_t i = 0; i < METER_BUCKETS - 1; i++) {
        assert_true(i == 0 || bounds_ns[i] > bounds_ns[i - 1]);
        meter_count(m, &(struct meter_event){ .duration_ns = bounds_ns[i] });
        meter_count(m, &(struct meter_event){ .duration_ns = bounds_ns[i] + 1 });
    }
    meter_count(m, &(struct meter_event){ .duration_ns = 0 });
    meter_read(m, services_table.count, &row);
    for (size_t i = 0; i < METER_BUCKETS; i++) {
        assert_int_equal(row.buckets[i], i == METER_BUCKETS - 1 ? 1 : 2);
    }
    meter_free(m);
}

static void a_code_that_is_none_is_unknown(void **state)
{
    static const int none[] = { -1, METER_CODES, INT32_MAX, INT32_MIN };
    struct meter *m = new_meter();
    struct meter_row row;

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        meter_count(m, &(struct meter_event){ .code = (enum error_code)none[i] });
    }
    meter_count(m, &(struct meter_event){ .code = ERROR_UNAUTHENTICATED });
    meter_read(m, services_table.count, &row);
    assert_int_equal(row.codes[ERROR_UNKNOWN], 4);
    assert_int_equal(row.codes[ERROR_UNAUTHENTICATED], 1);
    meter_free(m);
}

/* --- of exchanges ------------------------------------------------------------------------------- */

/* The row of a method, by the end of its path. */
static struct meter_row row_of(const struct rpc_rig *r, const char *end)
{
    const struct meter *m = rpc_meter(r->rpc);
    struct meter_row row;

    for (size_t i = 0; i < meter_rows(m); i++) {
        meter_read(m, i, &row);
        size_t len = strlen(row.method);

        if (len >= strlen(end) && strcmp(row.method + len - strlen(end), end) == 0) {
            return row;
        }
    }
    fail_msg("no method %s", end);
    return row;
}

static uint64_t sum(const uint64_t *values, size_t count)
{
    uint64_t total = 0;

    for (size_t i = 0; i < count; i++) {
        total += values[i];
    }
    return total;
}

static void expect(const struct rpc_rig *r, const char *end, enum error_code code, uint64_t times)
{
    const struct meter_row row = row_of(r, end);

    assert_int_equal(row.codes[code], times);
    assert_int_equal(sum(row.codes, METER_CODES), sum(row.buckets, METER_BUCKETS));
}

static void send_raw(struct rpc_rig *r, struct flight *f, const char *method)
{
    flight_send(r, f, &r->alice, method, FRAMES, NULL, 0);
}

static void answers_are_counted_with_their_bytes_when_they_are_gone(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    send_raw(&r, &f, "GET");
    rpc_rig_domains(&r);
    rpc_rig_frames(&r, 0, 2);
    assert_int_equal(flight_reply(&f)->status, 200);
    expect(&r, "/frames", ERROR_OK, 0);
    assert_int_equal(rpc_requests_in_flight(r.rpc), 1);
    const char *tag = flight_reply_header(&f, "ETag");
    char copy[128];

    assert_true(snprintf(copy, sizeof(copy), "%s", tag) < (int)sizeof(copy));
    flight_done(&f);
    assert_int_equal(rpc_requests_in_flight(r.rpc), 0);
    expect(&r, "/frames", ERROR_OK, 1);
    assert_int_equal(row_of(&r, "/frames").body_bytes, 2 * MESSAGE_FRAME_BYTES);
    assert_true(row_of(&r, "/frames").duration_sum_ns > 0);

    send_raw(&r, &f, "HEAD"); /* the same answer without its body */
    rpc_rig_frames(&r, 0, 2);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
    flight_add(&f, "If-None-Match", copy);
    send_raw(&r, &f, "GET");
    rpc_rig_frames(&r, 0, 2);
    assert_int_equal(flight_reply(&f)->status, 304);
    flight_done(&f);
    expect(&r, "/frames", ERROR_OK, 3);
    assert_int_equal(row_of(&r, "/frames").body_bytes, 2 * MESSAGE_FRAME_BYTES);
    rpc_rig_done(&r);
}

static void refusals_are_counted_by_their_code(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, false);
    flight_json(&r, &f, &r.alice, "HostService/ListDomains", false, "{");
    flight_json_error(&f, ERROR_INVALID_ARGUMENT, NULL);
    expect(&r, "/ListDomains", ERROR_INVALID_ARGUMENT, 1);
    send_raw(&r, &f, "GET");
    flight_error(&f, 503, "unavailable", NULL);
    expect(&r, "/frames", ERROR_UNAVAILABLE, 1);
    send_raw(&r, &f, "DELETE");
    flight_error(&f, 405, "unknown", NULL);
    expect(&r, "/frames", ERROR_UNKNOWN, 1);
    assert_true(row_of(&r, "/frames").body_bytes > 0);
    rpc_rig_done(&r);
}

static void nothing_that_a_client_sends_becomes_a_name(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, false);
    flight_send(&r, &f, &r.alice, "GET", "/v1/there/is/none", NULL, 0);
    flight_error(&f, 404, "not_found", NULL);
    flight_send(&r, &f, NULL, "GET", FRAMES, NULL, 0);
    flight_error(&f, 401, "unauthenticated", NULL);
    expect(&r, "unknown", ERROR_NOT_FOUND, 1);
    expect(&r, "unknown", ERROR_UNAUTHENTICATED, 1);
    expect(&r, "/frames", ERROR_UNAUTHENTICATED, 0);
    rpc_rig_done(&r);
}

static void who_leaves_before_the_end_has_cancelled(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    char piece[100];

    (void)state;
    rpc_rig_init(&r, true);
    send_raw(&r, &f, "GET");
    rpc_rig_domains(&r);
    rpc_rig_frames(&r, 0, 1);
    outcome_wait(&f.ready, 1);
    flight_done(&f); /* nobody took the answer */
    expect(&r, "/frames", ERROR_CANCELED, 1);
    assert_int_equal(row_of(&r, "/frames").body_bytes, 0);

    flight_json(&r, &f, &r.alice, "ResourceService/ReadSnapshot", true,
                "{\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_GRANT_TABLE\"}");
    rpc_rig_frames(&r, 0, 1);
    assert_true(flight_reply(&f)->streamed);
    assert_int_equal(exchange_read(f.exchange, piece, sizeof(piece)), sizeof(piece));
    flight_done(&f);
    expect(&r, "/ReadSnapshot", ERROR_CANCELED, 1);
    assert_int_equal(row_of(&r, "/ReadSnapshot").body_bytes, sizeof(piece));

    flight_json(&r, &f, &r.alice, "ResourceService/ReadSnapshot", true,
                "{\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_GRANT_TABLE\"}");
    rpc_rig_frames(&r, 0, 1);
    struct answer a = flight_answer(&f);

    answer_done(&a);
    flight_done(&f);
    expect(&r, "/ReadSnapshot", ERROR_OK, 1);
    assert_true(row_of(&r, "/ReadSnapshot").body_bytes > MESSAGE_FRAME_BYTES);
    rpc_rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_has_a_row_and_what_is_none_another),
        cmocka_unit_test(a_duration_is_in_the_first_bucket_that_is_not_below_it),
        cmocka_unit_test(a_code_that_is_none_is_unknown),
        cmocka_unit_test(answers_are_counted_with_their_bytes_when_they_are_gone),
        cmocka_unit_test(refusals_are_counted_by_their_code),
        cmocka_unit_test(nothing_that_a_client_sends_becomes_a_name),
        cmocka_unit_test(who_leaves_before_the_end_has_cancelled),
    };

    log_open("meter_test", LOG_LEVEL_ERROR);
    return UNIT_RUN(tests);
}
