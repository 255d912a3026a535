/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What is known of the host: for how long, and of whom. */
#include "tests/lib/rpc_rig.h"

#include "server/rpc/host_memo.h"
#include "xenres/v1/host.pb-c.h"

static uint64_t now_ns = CLOCK_NS_PER_S;

static uint64_t moved(void *arg)
{
    (void)arg;
    return now_ns;
}

static const uint8_t one[16] = { 1 }, other[16] = { 2 };

static void it_is_fresh_for_so_long_and_not_a_nanosecond_longer(void **state)
{
    const struct clock_source source = { .monotonic_ns = moved, .wall_ns = moved };
    struct message_host_answer answer = { .cpu_count = 7 }, got = { .cpu_count = 0 };
    struct host_memo *m = NULL;

    (void)state;
    clock_set_source(&source);
    assert_int_equal(host_memo_new(&m, NULL), 0);
    assert_false(host_memo_get(m, one, &got)); /* nobody has told anything */
    host_memo_put(m, one, &answer);
    now_ns += HOST_MEMO_FRESH_MS * CLOCK_NS_PER_MS - 1;
    assert_true(host_memo_get(m, one, &got));
    assert_int_equal(got.cpu_count, 7);
    assert_false(host_memo_get(m, other, &got)); /* another start of the mapper */
    now_ns++;
    got.cpu_count = 0;
    assert_false(host_memo_get(m, one, &got));
    assert_int_equal(got.cpu_count, 0);
    host_memo_free(m);
    clock_set_source(NULL);
}

static void answer_host(struct rpc_rig *r)
{
    union message m, answer;

    fake_mapper_request(&r->mapper, &m);
    assert_int_equal(m.head.type, MESSAGE_HOST);
    memset(&answer, 0, sizeof(answer));
    answer.host_answer.cpu_count = 5;
    fake_mapper_send(&r->mapper, &answer, MESSAGE_HOST | MESSAGE_ANSWER, m.head.serial);
}

/* True: without a word to the mapper. */
static bool is_told_at_once(struct rpc_rig *r)
{
    Xenres__V1__GetHostRequest request = XENRES__V1__GET_HOST_REQUEST__INIT;
    struct flight f = { 0 };

    flight_call(r, &f, &r->alice, "HostService/GetHost", &request.base);
    bool at_once = f.at_once;

    if (!at_once) {
        answer_host(r);
    }
    Xenres__V1__GetHostResponse *host =
        flight_message(&f, &xenres__v1__get_host_response__descriptor);

    assert_int_equal(host->host->hypervisor->cpu_count, 5);
    xenres__v1__get_host_response__free_unpacked(host, NULL);
    flight_done(&f);
    return at_once;
}

/* However slow the machine: one of many pairs of calls is within the time. */
static void who_comes_right_after_is_told_the_same_if_he_may(void **state)
{
    Xenres__V1__GetHostRequest request = XENRES__V1__GET_HOST_REQUEST__INIT;
    struct rpc_rig r;
    bool at_once = false;

    (void)state;
    rpc_rig_init(&r, true);
    assert_false(is_told_at_once(&r));
    for (int i = 0; i < 1000 && !at_once; i++) {
        struct flight f = { 0 };

        at_once = is_told_at_once(&r);
        flight_call(&r, &f, &r.nobody, "HostService/GetHost", &request.base);
        flight_error(&f, 403, "permission_denied", NULL);
    }
    assert_true(at_once);
    rpc_rig_done(&r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_fresh_for_so_long_and_not_a_nanosecond_longer),
        cmocka_unit_test(who_comes_right_after_is_told_the_same_if_he_may),
    };

    return UNIT_RUN(tests);
}
