/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/quota.h"
#include "auth/policy_file.h"
#include "common/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/lib/unit.h"

static const struct identity alice = { .text = "cn:alice" }, bob = { .text = "cn:bob" };

static struct quota *quota_of(uint32_t calls, uint64_t bytes)
{
    const struct quota_limits limits = { .each = { .calls = calls, .arena_bytes = bytes } };
    struct quota *q = NULL;

    assert_int_equal(quota_new(&limits, &q, NULL), 0);
    return q;
}

static void calls_have_a_maximum_and_come_back(void **state)
{
    struct quota *q = quota_of(2, 100);
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 0, NULL), 0);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 0, NULL), 0);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 0, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_string_equal(f.message, "2 calls of yours are in flight (at most 2)");
    quota_give(q, &alice, QUOTA_CALL_PLAIN, 0);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 0, NULL), 0);
    quota_give(q, &alice, QUOTA_CALL_PLAIN, 0);
    quota_give(q, &alice, QUOTA_CALL_PLAIN, 0);
    quota_free(q);
}

static void bytes_have_a_maximum_and_take_no_call_when_refused(void **state)
{
    struct quota *q = quota_of(2, 100);

    (void)state;
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 100, NULL), 0);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 1, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, UINT64_MAX, NULL),
                     -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 0, NULL), 0);
    quota_give(q, &alice, QUOTA_CALL_PLAIN, 0);
    quota_give(q, &alice, QUOTA_CALL_PLAIN, 100);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 101, NULL), -ERROR_RESOURCE_EXHAUSTED);
    quota_free(q);
}

/* Of streams: bytes without a call, in the same account. */
static void bytes_alone_are_of_the_same_share_and_take_no_call(void **state)
{
    struct quota *q = quota_of(1, 100);

    (void)state;
    assert_int_equal(quota_hold(q, &alice, 0, NULL), 0); /* takes no room */
    assert_int_equal(quota_hold(q, &alice, 60, NULL), 0);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 40, NULL), 0);
    assert_int_equal(quota_hold(q, &alice, 1, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 0, NULL), -ERROR_RESOURCE_EXHAUSTED);
    quota_give(q, &alice, QUOTA_CALL_PLAIN, 40);
    quota_release(q, &alice, 10); /* in parts */
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 51, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 50, NULL), 0);
    quota_give(q, &alice, QUOTA_CALL_PLAIN, 50);
    quota_release(q, &alice, 50);
    quota_release(q, &alice, 0);
    quota_free(q);
}

static void one_does_not_use_up_anothers_share(void **state)
{
    struct quota *q = quota_of(1, 100);

    (void)state;
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 100, NULL), 0);
    assert_int_equal(quota_take(q, &bob, QUOTA_CALL_PLAIN, 100, NULL), 0);
    quota_give(q, &alice, QUOTA_CALL_PLAIN, 100);
    quota_give(q, &bob, QUOTA_CALL_PLAIN, 100);
    quota_free(q);
}

static void more_certificates_are_no_larger_share(void **state)
{
    const struct identity renewed = { .text = "cn:alice", .fingerprint = { 1 }, .not_after_s = 5 };
    struct quota *q = quota_of(1, 100);

    (void)state;
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 0, NULL), 0);
    assert_int_equal(quota_take(q, &renewed, QUOTA_CALL_PLAIN, 0, NULL), -ERROR_RESOURCE_EXHAUSTED);
    quota_give(q, &renewed, QUOTA_CALL_PLAIN, 0);
    quota_free(q);
}

static struct identity numbered(unsigned i)
{
    struct identity who = { 0 };

    (void)snprintf(who.text, sizeof who.text, "cn:%u", i);
    return who;
}

static void identities_have_a_maximum(void **state)
{
    struct quota *q = quota_of(1, 100);

    (void)state;
    for (unsigned i = 0; i < QUOTA_IDENTITIES_MAX; i++) {
        struct identity who = numbered(i);

        assert_int_equal(quota_take(q, &who, QUOTA_CALL_PLAIN, 1, NULL), 0);
    }
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 0, NULL), -ERROR_RESOURCE_EXHAUSTED);
    for (unsigned i = 0; i < QUOTA_IDENTITIES_MAX; i++) {
        struct identity who = numbered(i);

        quota_give(q, &who, QUOTA_CALL_PLAIN, 1);
        if (i == 0) {
            assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 0, NULL), 0);
        }
    }
    quota_give(q, &alice, QUOTA_CALL_PLAIN, 0);
    quota_free(q);
}

static uint64_t random_state = 7;

static unsigned pick(unsigned count)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % count;
}

enum { PEOPLE = 8, CALLS = 4, BYTES = 100 };

/* What each holds, kept beside the table: it must agree at every step. */
struct held {
    uint64_t bytes[CALLS];
    uint32_t calls;
};

static void step(struct quota *q, struct held *h, const struct identity *who)
{
    uint64_t bytes = pick(BYTES / 2 + 2), sum = 0;
    bool fits;

    if (h->calls > 0 && pick(2) == 0) {
        quota_give(q, who, QUOTA_CALL_PLAIN, h->bytes[--h->calls]);
        return;
    }
    for (uint32_t i = 0; i < h->calls; i++) {
        sum += h->bytes[i];
    }
    fits = h->calls < CALLS && sum + bytes <= BYTES;
    assert_int_equal(quota_take(q, who, QUOTA_CALL_PLAIN, bytes, NULL),
                     fits ? 0 : -ERROR_RESOURCE_EXHAUSTED);
    if (fits) {
        h->bytes[h->calls++] = bytes;
    }
}

static void its_accounts_agree_with_ours_at_each_of_100000_steps(void **state)
{
    struct quota *q = quota_of(CALLS, BYTES);
    struct held held[PEOPLE] = { 0 };

    (void)state;
    for (int i = 0; i < 100000; i++) {
        unsigned person = pick(PEOPLE);
        struct identity who = numbered(person);

        step(q, &held[person], &who);
    }
    for (unsigned person = 0; person < PEOPLE; person++) {
        struct identity who = numbered(person);

        while (held[person].calls > 0) {
            quota_give(q, &who, QUOTA_CALL_PLAIN, held[person].bytes[--held[person].calls]);
        }
    }
    quota_free(q); /* asserts that nothing is held */
}

static void a_smaller_limit_takes_nothing_away_and_gives_nothing_more(void **state)
{
    struct quota *q = quota_of(3, 100);
    struct identity who = numbered(1);

    (void)state;
    assert_int_equal(quota_take(q, &who, QUOTA_CALL_PLAIN, 60, NULL), 0);
    quota_set_arena_limit(q, 50);
    assert_int_equal(quota_take(q, &who, QUOTA_CALL_PLAIN, 1, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &who, QUOTA_CALL_PLAIN, 0, NULL), 0);
    quota_give(q, &who, QUOTA_CALL_PLAIN, 0);
    quota_give(q, &who, QUOTA_CALL_PLAIN, 60);
    assert_int_equal(quota_take(q, &who, QUOTA_CALL_PLAIN, 51, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &who, QUOTA_CALL_PLAIN, 50, NULL), 0);
    quota_give(q, &who, QUOTA_CALL_PLAIN, 50);
    quota_free(q);
}

static void *take_and_give(void *arg)
{
    struct quota *q = arg;
    unsigned taken = 0;

    for (unsigned i = 0; i < 20000; i++) {
        struct identity who = numbered(i % 3);

        if (quota_take(q, &who, QUOTA_CALL_PLAIN, i % 7, NULL) == 0) {
            taken++;
            quota_give(q, &who, QUOTA_CALL_PLAIN, i % 7);
        }
    }
    return taken > 0 ? NULL : arg;
}

static void threads_share_a_quota(void **state)
{
    struct quota *q = quota_of(2, 8);
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, q), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    quota_free(q);
}

/* --- rates ---------------------------------------------------------------------------------------- */

static uint64_t now_ns = CLOCK_NS_PER_S;

static uint64_t test_now(void *arg)
{
    (void)arg;
    return now_ns;
}

static int with_a_clock_of_ours(void **state)
{
    static const struct clock_source source = { .monotonic_ns = test_now, .wall_ns = test_now };

    (void)state;
    clock_set_source(&source);
    return 0;
}

static int with_the_kernels_clock(void **state)
{
    (void)state;
    clock_set_source(NULL);
    return 0;
}

static struct quota *quota_with(const struct quota_share *each, const struct quota_share *all)
{
    const struct quota_limits limits = { .each = *each,
                                         .all = all != NULL ? *all : (struct quota_share){ 0 } };
    struct quota *q = NULL;

    assert_int_equal(quota_new(&limits, &q, NULL), 0);
    return q;
}

static uint64_t hits(const struct quota *q, enum quota_limit limit)
{
    uint64_t all[QUOTA_LIMIT_COUNT];

    quota_count_hits(q, all);
    return all[limit];
}

static void requests_have_a_rate_and_are_told_when_it_has_room(void **state)
{
    struct quota *q = quota_with(&(struct quota_share){ .requests_per_second = 8 }, NULL);
    struct failure f = { 0 };

    (void)state;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(quota_request(q, &alice, NULL), 0);
    }
    assert_int_equal(quota_request(q, &alice, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(f.retry_after_ms, 125);
    assert_non_null(strstr(f.cause, "requests_per_second"));
    assert_int_equal(quota_request(q, &bob, NULL), 0);
    now_ns += 125 * CLOCK_NS_PER_MS - 1;
    assert_int_equal(quota_request(q, &alice, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(f.retry_after_ms, 1);
    now_ns += 1;
    assert_int_equal(quota_request(q, &alice, NULL), 0);
    assert_int_equal(quota_request(q, &alice, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(hits(q, QUOTA_REQUESTS), 3);
    quota_free(q);
}

static void requests_have_a_rate_in_all(void **state)
{
    struct quota *q = quota_with(&(struct quota_share){ .requests_per_second = 3 },
                                 &(struct quota_share){ .requests_per_second = 4 });

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(quota_request(q, &alice, NULL), 0);
    }
    assert_int_equal(quota_request(q, &alice, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_request(q, &bob, NULL), 0); /* what alice was refused cost nobody */
    assert_int_equal(quota_request(q, &bob, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(hits(q, QUOTA_REQUESTS), 1);
    assert_int_equal(hits(q, QUOTA_REQUESTS_IN_ALL), 1);
    quota_free(q);
}

static void bytes_are_charged_when_known_and_the_next_request_waits(void **state)
{
    struct quota *q = quota_with(&(struct quota_share){ .bytes_per_second = 1000 }, NULL);
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(quota_sent(q, &alice, 999), 0);
    assert_int_equal(quota_request(q, &alice, NULL), 0);
    assert_int_equal(quota_sent(q, &alice, 1), CLOCK_NS_PER_MS); /* none is there */
    assert_int_equal(quota_sent(q, &alice, 2500), 2501 * CLOCK_NS_PER_MS);
    assert_int_equal(quota_request(q, &alice, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(f.retry_after_ms, 2501);
    assert_int_equal(quota_request(q, &bob, NULL), 0);
    now_ns += 2501 * CLOCK_NS_PER_MS - 1;
    assert_int_equal(quota_request(q, &alice, NULL), -ERROR_RESOURCE_EXHAUSTED);
    now_ns += 1;
    assert_int_equal(quota_request(q, &alice, NULL), 0);
    assert_int_equal(hits(q, QUOTA_BYTES), 2);
    quota_free(q);
}

static void bytes_have_a_rate_in_all(void **state)
{
    struct quota *q =
        quota_with(&(struct quota_share){ 0 }, &(struct quota_share){ .bytes_per_second = 10 });

    (void)state;
    assert_int_equal(quota_sent(q, &alice, 19), CLOCK_NS_PER_S);
    assert_int_equal(quota_request(q, &bob, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(hits(q, QUOTA_BYTES_IN_ALL), 1);
    now_ns += CLOCK_NS_PER_S;
    assert_int_equal(quota_request(q, &bob, NULL), 0);
    quota_free(q);
}

static void who_holds_nothing_is_remembered_until_4096_others_came(void **state)
{
    struct quota *q = quota_with(&(struct quota_share){ .requests_per_second = 1 }, NULL);

    (void)state;
    assert_int_equal(quota_request(q, &alice, NULL), 0);
    for (unsigned i = 0; i < QUOTA_IDENTITIES_MAX - 1; i++) {
        struct identity who = numbered(i);

        assert_int_equal(quota_request(q, &who, NULL), 0);
    }
    assert_int_equal(quota_request(q, &alice, NULL), -ERROR_RESOURCE_EXHAUSTED);
    for (unsigned i = 0; i < QUOTA_IDENTITIES_MAX; i++) {
        struct identity who = numbered(QUOTA_IDENTITIES_MAX + i);

        assert_int_equal(quota_request(q, &who, NULL), 0);
    }
    assert_int_equal(quota_request(q, &alice, NULL), 0);
    quota_free(q);
}

/* --- snapshots, pauses ---------------------------------------------------------------------------- */

static void snapshots_have_a_maximum_each_and_in_all(void **state)
{
    struct quota *q = quota_with(&(struct quota_share){ .calls = 3, .snapshots = 2 },
                                 &(struct quota_share){ .snapshots = 3 });
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_SNAPSHOT, 0, NULL), 0);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_SNAPSHOT, 0, NULL), 0);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_SNAPSHOT, 0, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_true(f.retry_after_ms > 0);
    assert_int_equal(quota_take(q, &alice, QUOTA_CALL_PLAIN, 0, NULL), 0);
    assert_int_equal(quota_take(q, &bob, QUOTA_CALL_SNAPSHOT, 0, NULL), 0);
    assert_int_equal(quota_take(q, &bob, QUOTA_CALL_SNAPSHOT, 0, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(hits(q, QUOTA_SNAPSHOTS), 1);
    assert_int_equal(hits(q, QUOTA_SNAPSHOTS_IN_ALL), 1);
    quota_give(q, &alice, QUOTA_CALL_SNAPSHOT, 0);
    assert_int_equal(quota_take(q, &bob, QUOTA_CALL_SNAPSHOT, 0, NULL), 0);
    quota_give(q, &alice, QUOTA_CALL_SNAPSHOT, 0);
    quota_give(q, &alice, QUOTA_CALL_PLAIN, 0);
    quota_give(q, &bob, QUOTA_CALL_SNAPSHOT, 0);
    quota_give(q, &bob, QUOTA_CALL_SNAPSHOT, 0);
    quota_free(q);
}

/* --- what it costs -------------------------------------------------------------------------------- */

static uint64_t cpu_ns(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* All that is asked of it for one snapshot, with a thousand others in the table. */
static void a_snapshot_costs_less_than_a_microsecond(void **state)
{
    enum { TIMES = 200000, FRAME_BYTES = 4096, SANITIZED_FACTOR = 20 };
    const struct quota_share share = { .requests_per_second = 1000000000,
                                       .bytes_per_second = UINT64_C(1) << 45,
                                       .calls = 64,
                                       .snapshots = 32,
                                       .arena_bytes = 1 << 30 };
    struct quota *q = quota_with(&share, &share);
#ifdef XENRES_SANITIZED
    uint64_t most_ns = SANITIZED_FACTOR * 1000;
#else
    uint64_t most_ns = 1000;
#endif

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        struct identity who = numbered(i);

        assert_int_equal(quota_request(q, &who, NULL), 0);
    }
    uint64_t before_ns = cpu_ns();

    for (unsigned i = 0; i < TIMES; i++) {
        assert_int_equal(quota_request(q, &alice, NULL), 0);
        assert_int_equal(quota_take(q, &alice, QUOTA_CALL_SNAPSHOT, FRAME_BYTES, NULL), 0);
        (void)quota_sent(q, &alice, FRAME_BYTES);
        quota_give(q, &alice, QUOTA_CALL_SNAPSHOT, FRAME_BYTES);
    }
    uint64_t each_ns = (cpu_ns() - before_ns) / TIMES;

    print_message("%u ns\n", (unsigned)each_ns);
    assert_true(each_ns < most_ns);
    quota_free(q);
}

/* --- by the policy -------------------------------------------------------------------------------- */

static struct policy *policy_of(const char *text)
{
    struct policy *policy = NULL;
    char *copy = strdup(text);
    BUFFER_AUTO(faults, 4096);

    int result = policy_file_parse("test", copy, strlen(copy), &policy, &faults, NULL);

    if (result != 0) {
        print_message("%s\n", buffer_string(&faults));
    }
    assert_int_equal(result, 0);
    free(copy);
    return policy;
}

static void the_policy_makes_limits_smaller_and_never_larger(void **state)
{
    struct quota *q = quota_with(
        &(struct quota_share){ .requests_per_second = 5, .snapshots = 2, .streams = 9 }, NULL);
    struct policy *policy =
        policy_of("rule \"none\" { effect = deny identities = { \"all\" } domains = { \"all\" }"
                  " types = { \"all\" } actions = { \"all\" } }\n"
                  "limits \"few\" { identities = { \"cn:alice\" } requests_per_second = 2"
                  " snapshots = 7 pauses_per_second = 3 }\n");
    struct quota_share share;

    (void)state;
    assert_int_equal(quota_request(q, &alice, NULL), 0); /* by the limits of before */
    quota_set_policy(q, policy);
    policy_unref(policy);
    quota_share_of(q, &alice, &share);
    assert_int_equal(share.requests_per_second, 2);
    assert_int_equal(share.snapshots, 2);
    assert_int_equal(share.streams, 9);
    assert_int_equal(share.pauses_per_second, 3);
    assert_int_equal(quota_request(q, &alice, NULL), 0);
    assert_int_equal(quota_request(q, &alice, NULL), 0);
    assert_int_equal(quota_request(q, &alice, NULL), -ERROR_RESOURCE_EXHAUSTED);
    quota_share_of(q, &bob, &share);
    assert_int_equal(share.requests_per_second, 5);
    assert_int_equal(share.pauses_per_second, 0);
    quota_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_have_a_maximum_and_come_back),
        cmocka_unit_test(bytes_have_a_maximum_and_take_no_call_when_refused),
        cmocka_unit_test(bytes_alone_are_of_the_same_share_and_take_no_call),
        cmocka_unit_test(one_does_not_use_up_anothers_share),
        cmocka_unit_test(more_certificates_are_no_larger_share),
        cmocka_unit_test(identities_have_a_maximum),
        cmocka_unit_test(its_accounts_agree_with_ours_at_each_of_100000_steps),
        cmocka_unit_test(a_smaller_limit_takes_nothing_away_and_gives_nothing_more),
        cmocka_unit_test(threads_share_a_quota),
#define TIMED(test)                                                                                \
    cmocka_unit_test_setup_teardown(test, with_a_clock_of_ours, with_the_kernels_clock)
        cmocka_unit_test(a_snapshot_costs_less_than_a_microsecond),
        TIMED(requests_have_a_rate_and_are_told_when_it_has_room),
        TIMED(requests_have_a_rate_in_all),
        TIMED(bytes_are_charged_when_known_and_the_next_request_waits),
        TIMED(bytes_have_a_rate_in_all),
        TIMED(who_holds_nothing_is_remembered_until_4096_others_came),
        TIMED(snapshots_have_a_maximum_each_and_in_all),
        TIMED(the_policy_makes_limits_smaller_and_never_larger),
#undef TIMED
    };

    return UNIT_RUN(tests);
}
