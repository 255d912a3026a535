/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What the client allows of time is what the mapper is told: of calls of all kinds, by POST and by
 * GET, and never more than the gateway allows itself. */
#include "common/clock.h"
#include "tests/lib/rpc_calls.h"
#include "tests/lib/unit.h"

enum { ALLOWED_MS = FAKE_WAIT_MS / 2 };
#define FRAMES "\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_GRANT_TABLE\",\"frameCount\":1"

static const struct row {
    const char *method, *json;
    bool is_stream;
} rows[] = {
    { "ResourceService/GetSnapshot", "{" FRAMES "}", false },
    { "ResourceService/ReadSnapshot", "{" FRAMES "}", true },
    { "InspectService/GetIoreqServer", "{\"domain\":\"web-1\"}", false },
    { "InspectService/GetVcpuStats", "{\"domain\":\"web-1\"}", false },
};

static uint64_t deadline_of(const union message *m)
{
    if (m->head.type == MESSAGE_VCPU_STATS) {
        return m->vcpu_stats.deadline_ns;
    }
    assert_int_equal(m->head.type, MESSAGE_SNAPSHOT);
    return m->snapshot.deadline_ns;
}

/* The mapper's next request ends `allowed_ms` after a moment between `from_ns` and now. */
static void expect_deadline(struct rpc_rig *r, uint64_t from_ns, uint64_t to_ns,
                            uint32_t allowed_ms)
{
    union message m;

    fake_mapper_request(&r->mapper, &m);
    assert_in_range(deadline_of(&m), from_ns + allowed_ms * CLOCK_NS_PER_MS,
                    to_ns + allowed_ms * CLOCK_NS_PER_MS);
    fake_mapper_failed(&r->mapper, m.head.serial, ERROR_OUT_OF_RANGE, 0);
}

/* All rows, with what the client says of time, if anything. */
static void ask_all(const char *timeout, uint32_t expected_ms)
{
    struct rpc_rig r;

    rpc_rig_init(&r, true);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct flight f = { 0 };
        uint64_t from_ns = clock_monotonic_ns();

        if (timeout != NULL) {
            flight_add(&f, "Connect-Timeout-Ms", timeout);
        }
        flight_json(&r, &f, &r.alice, rows[i].method, rows[i].is_stream, rows[i].json);
        uint64_t to_ns = clock_monotonic_ns();

        if (i == 0) {
            rpc_rig_domains(&r);
        }
        expect_deadline(&r, from_ns, to_ns, expected_ms);
        flight_json_error(&f, ERROR_OUT_OF_RANGE, NULL);
    }
    rpc_rig_done(&r);
}

static void the_clients_time_goes_along(void **state)
{
    char timeout[16];

    (void)state;
    snprintf(timeout, sizeof(timeout), "%d", (int)ALLOWED_MS);
    ask_all(timeout, ALLOWED_MS);
}

static void it_is_never_more_than_the_gateways(void **state)
{
    (void)state;
    ask_all("9999999999", FAKE_WAIT_MS);
}

static void without_one_it_is_the_gateways(void **state)
{
    (void)state;
    ask_all(NULL, FAKE_WAIT_MS);
}

static void a_get_has_one_too(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    char timeout[16];
    uint64_t from_ns = clock_monotonic_ns();

    (void)state;
    rpc_rig_init(&r, true);
    snprintf(timeout, sizeof(timeout), "%d", (int)ALLOWED_MS);
    flight_add(&f, "Connect-Timeout-Ms", timeout);
    flight_send(
        &r, &f, &r.alice, "GET",
        "/xenres.v1.InspectService/GetVcpuStats?encoding=json&message={\"domain\":\"web-1\"}", NULL,
        0);
    uint64_t to_ns = clock_monotonic_ns();

    rpc_rig_domains(&r);
    expect_deadline(&r, from_ns, to_ns, ALLOWED_MS);
    flight_json_error(&f, ERROR_OUT_OF_RANGE, NULL);
    rpc_rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clients_time_goes_along),
        cmocka_unit_test(it_is_never_more_than_the_gateways),
        cmocka_unit_test(without_one_it_is_the_gateways),
        cmocka_unit_test(a_get_has_one_too),
    };

    return UNIT_RUN(tests);
}
