/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/handshakes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/clock.h"
#include "tests/lib/unit.h"

enum { RATE = 4, BURST = RATE * HANDSHAKES_BURST_S };

static const uint64_t start_ns = 1000 * CLOCK_NS_PER_S;

static struct socket_origin origin_of(const char *text)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    struct socket_origin origin;

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        socket_origin((const struct sockaddr *)&v4, &origin);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        socket_origin((const struct sockaddr *)&v6, &origin);
    }
    return origin;
}

static struct socket_origin numbered(uint32_t i)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr = { .s_addr = htonl(i) } };
    struct socket_origin origin;

    socket_origin((const struct sockaddr *)&v4, &origin);
    return origin;
}

static void begin(struct handshakes *h, uint32_t in_all, const char *exempt)
{
    const struct handshakes_limits limits = { .per_second = RATE,
                                              .per_second_in_all = in_all,
                                              .exempt = exempt };

    assert_int_equal(handshakes_init(h, &limits, start_ns, NULL), 0);
}

static unsigned admitted(struct handshakes *h, const struct socket_origin *origin, uint64_t now_ns)
{
    unsigned count = 0;

    while (count < 100000 && handshakes_admit(h, origin, now_ns)) {
        count++;
    }
    return count;
}

static void each_address_has_a_rate_of_its_own(void **state)
{
    struct handshakes h;
    struct socket_origin a = origin_of("192.0.2.1"), b = origin_of("192.0.2.2");

    (void)state;
    begin(&h, 0, "");
    assert_int_equal(admitted(&h, &a, start_ns), BURST);
    assert_int_equal(admitted(&h, &b, start_ns), BURST);
    assert_int_equal(admitted(&h, &a, start_ns + CLOCK_NS_PER_S / RATE - 1), 0);
    assert_int_equal(admitted(&h, &a, start_ns + CLOCK_NS_PER_S / RATE), 1);
    assert_int_equal(admitted(&h, &a, start_ns + 100 * CLOCK_NS_PER_S), BURST);
    handshakes_done(&h);
}

static void a_network_of_64_bits_is_one_address(void **state)
{
    struct handshakes h;
    struct socket_origin a = origin_of("2001:db8::1"), same = origin_of("2001:db8::2:1"),
                         other = origin_of("2001:db8:0:1::1");

    (void)state;
    begin(&h, 0, "");
    assert_int_equal(admitted(&h, &a, start_ns), BURST);
    assert_false(handshakes_admit(&h, &same, start_ns));
    assert_true(handshakes_admit(&h, &other, start_ns));
    handshakes_done(&h);
}

static void all_addresses_have_a_rate_and_refusals_cost_nothing(void **state)
{
    struct handshakes h;
    struct socket_origin a = origin_of("192.0.2.1"), b = origin_of("192.0.2.2"),
                         c = origin_of("192.0.2.3");

    (void)state;
    begin(&h, RATE + 1, "");
    assert_int_equal(admitted(&h, &a, start_ns), BURST);
    assert_int_equal(admitted(&h, &a, start_ns), 0);
    assert_int_equal(admitted(&h, &b, start_ns), HANDSHAKES_BURST_S);
    assert_int_equal(admitted(&h, &c, start_ns), 0);
    assert_int_equal(admitted(&h, &c, start_ns + CLOCK_NS_PER_S), RATE + 1);
    handshakes_done(&h);
}

static void failing_ones_cost_more_and_more_up_to_a_ceiling(void **state)
{
    struct handshakes h;
    struct socket_origin a = origin_of("192.0.2.1");
    uint64_t now_ns = start_ns, waited_ns = 0, longest_ns = 0;
    unsigned failures = 0;

    (void)state;
    begin(&h, 0, "");
    for (; handshakes_admit(&h, &a, now_ns); failures++) {
        handshakes_failed(&h, &a, now_ns);
    }
    assert_in_range(failures, HANDSHAKES_FREE_FAILURES + 1, 12); /* and not the whole burst */
    for (int i = 0; i < 20; i++) {
        uint64_t since_ns = now_ns;

        while (!handshakes_admit(&h, &a, now_ns)) {
            now_ns += CLOCK_NS_PER_S / 100;
        }
        waited_ns = now_ns - since_ns;
        longest_ns = waited_ns > longest_ns ? waited_ns : longest_ns;
        handshakes_failed(&h, &a, now_ns);
    }
    assert_true(longest_ns > HANDSHAKES_PENALTY_MAX_S / 4 * CLOCK_NS_PER_S);
    assert_true(longest_ns <= HANDSHAKES_PENALTY_MAX_S * CLOCK_NS_PER_S + CLOCK_NS_PER_S / 100);
    /* Who waits behind it waits that long, and is let in. */
    assert_true(handshakes_admit(&h, &a, now_ns + HANDSHAKES_PENALTY_MAX_S * CLOCK_NS_PER_S));
    handshakes_done(&h);
}

static void a_few_failures_cost_nothing_and_time_makes_good(void **state)
{
    struct handshakes h;
    struct socket_origin a = origin_of("192.0.2.1");
    uint64_t now_ns = start_ns;

    (void)state;
    begin(&h, 0, "");
    for (int i = 0; i < HANDSHAKES_FREE_FAILURES; i++) {
        assert_true(handshakes_admit(&h, &a, now_ns));
        handshakes_failed(&h, &a, now_ns);
    }
    assert_int_equal(admitted(&h, &a, now_ns), BURST - HANDSHAKES_FREE_FAILURES);
    for (int i = 0; i < 50; i++) {
        handshakes_failed(&h, &a, now_ns);
    }
    now_ns += 10 * HANDSHAKES_HALF_LIFE_S * CLOCK_NS_PER_S;
    handshakes_failed(&h, &a, now_ns);
    assert_int_equal(admitted(&h, &a, now_ns), BURST);
    handshakes_done(&h);
}

/* From 100,000 addresses, each of which fails once, and then from as many that shake hands and go. */
static void who_fails_is_not_forgotten_because_of_many_others(void **state)
{
    struct handshakes h;
    struct socket_origin a = origin_of("192.0.2.1");

    (void)state;
    begin(&h, 0, "");
    for (int i = 0; i < 20; i++) {
        handshakes_failed(&h, &a, start_ns);
    }
    for (uint32_t i = 0; i < 100000; i++) {
        struct socket_origin other = numbered(i);

        (void)handshakes_admit(&h, &other, start_ns);
        if (i % 2 == 0) {
            handshakes_failed(&h, &other, start_ns);
        }
    }
    assert_false(handshakes_admit(&h, &a, start_ns));
    handshakes_done(&h);
}

static void a_full_table_lets_strangers_in(void **state)
{
    struct handshakes h;

    (void)state;
    begin(&h, 0, "");
    for (uint32_t i = 0; i < 4 * HANDSHAKES_ROWS; i++) {
        struct socket_origin other = numbered(i);

        assert_true(handshakes_admit(&h, &other, start_ns));
        for (int n = 0; n < 20; n++) {
            handshakes_failed(&h, &other, start_ns);
        }
    }
    handshakes_done(&h);
}

/* As long as one would be refused, and no longer; asking costs nothing. */
static void the_penalty_is_told(void **state)
{
    struct handshakes h;
    struct socket_origin a = origin_of("192.0.2.1"), b = origin_of("192.0.2.2"),
                         exempt = origin_of("127.0.0.1");

    (void)state;
    begin(&h, 0, "127.0.0.1");
    for (int i = 0; i < 20; i++) {
        assert_int_equal(handshakes_penalty_ns(&h, &b, start_ns), 0);
        handshakes_failed(&h, &a, start_ns);
        handshakes_failed(&h, &exempt, start_ns);
    }
    assert_int_equal(admitted(&h, &b, start_ns), BURST); /* many, and none of them failed */
    assert_int_equal(handshakes_penalty_ns(&h, &b, start_ns), 0);
    uint64_t wait_ns = handshakes_penalty_ns(&h, &a, start_ns);

    assert_in_range(wait_ns, 1, HANDSHAKES_PENALTY_MAX_S * CLOCK_NS_PER_S);
    assert_int_equal(handshakes_penalty_ns(&h, &exempt, start_ns), 0);
    assert_int_equal(handshakes_penalty_ns(&h, &a, start_ns + wait_ns - 1), 1);
    assert_false(handshakes_admit(&h, &a, start_ns + wait_ns - 1));
    assert_int_equal(handshakes_penalty_ns(&h, &a, start_ns + wait_ns), 0);
    assert_true(handshakes_admit(&h, &a, start_ns + wait_ns));
    handshakes_done(&h);
}

static void who_is_exempt_is_not_counted(void **state)
{
    struct handshakes h;
    struct socket_origin v4 = origin_of("127.0.0.1"), v6 = origin_of("::1"),
                         other = origin_of("127.0.0.2"), nowhere = { .bytes = { 0 } };

    (void)state;
    begin(&h, 1, "  127.0.0.1   ::1 ");
    for (int i = 0; i < 100; i++) {
        handshakes_failed(&h, &v4, start_ns);
    }
    assert_int_equal(admitted(&h, &v4, start_ns), 100000);
    assert_int_equal(admitted(&h, &v6, start_ns), 100000);
    assert_int_equal(admitted(&h, &nowhere, start_ns), 100000);
    assert_int_equal(admitted(&h, &other, start_ns), HANDSHAKES_BURST_S);
    handshakes_done(&h);
}

static void the_list_of_who_is_exempt_has_a_maximum(void **state)
{
    char list[(HANDSHAKES_EXEMPT_MAX + 1) * 12] = "";

    (void)state;
    for (int i = 0; i < HANDSHAKES_EXEMPT_MAX; i++) {
        strcat(list, "192.0.2.1 ");
    }
    assert_int_equal(handshakes_check_exempt(list, NULL), 0);
    strcat(list, "192.0.2.1");
    assert_int_equal(handshakes_check_exempt(list, NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(handshakes_check_exempt("", NULL), 0);
    assert_int_equal(handshakes_check_exempt("localhost", NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(handshakes_check_exempt("10.0.0.0/8", NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(handshakes_check_exempt("::1,127.0.0.1", NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(
        handshakes_check_exempt("1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", NULL),
        -ERROR_INVALID_ARGUMENT);
}

static void no_rate_is_no_limit(void **state)
{
    const struct handshakes_limits limits = { 0 };
    struct handshakes h;
    struct socket_origin a = origin_of("192.0.2.1");

    (void)state;
    assert_int_equal(handshakes_init(&h, &limits, start_ns, NULL), 0);
    handshakes_failed(&h, &a, start_ns);
    assert_int_equal(handshakes_penalty_ns(&h, &a, start_ns), 0);
    assert_int_equal(admitted(&h, &a, start_ns), 100000);
    handshakes_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_has_a_rate_of_its_own),
        cmocka_unit_test(a_network_of_64_bits_is_one_address),
        cmocka_unit_test(all_addresses_have_a_rate_and_refusals_cost_nothing),
        cmocka_unit_test(failing_ones_cost_more_and_more_up_to_a_ceiling),
        cmocka_unit_test(a_few_failures_cost_nothing_and_time_makes_good),
        cmocka_unit_test(who_fails_is_not_forgotten_because_of_many_others),
        cmocka_unit_test(a_full_table_lets_strangers_in),
        cmocka_unit_test(the_penalty_is_told),
        cmocka_unit_test(who_is_exempt_is_not_counted),
        cmocka_unit_test(the_list_of_who_is_exempt_has_a_maximum),
        cmocka_unit_test(no_rate_is_no_limit),
    };

    return UNIT_RUN(tests);
}
