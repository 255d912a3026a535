/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/quota.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include "tests/lib/unit.h"

static const struct identity alice = { .text = "cn:alice" }, bob = { .text = "cn:bob" };

static struct quota *quota_of(uint32_t calls, uint64_t bytes)
{
    const struct quota_limits limits = { calls, bytes };
    struct quota *q = NULL;

    assert_int_equal(quota_new(&limits, &q, NULL), 0);
    return q;
}

static void calls_have_a_maximum_and_come_back(void **state)
{
    struct quota *q = quota_of(2, 100);
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(quota_take(q, &alice, 0, NULL), 0);
    assert_int_equal(quota_take(q, &alice, 0, NULL), 0);
    assert_int_equal(quota_take(q, &alice, 0, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_string_equal(f.message, "2 calls of yours are in flight (at most 2)");
    quota_give(q, &alice, 0);
    assert_int_equal(quota_take(q, &alice, 0, NULL), 0);
    quota_give(q, &alice, 0);
    quota_give(q, &alice, 0);
    quota_free(q);
}

static void bytes_have_a_maximum_and_take_no_call_when_refused(void **state)
{
    struct quota *q = quota_of(2, 100);

    (void)state;
    assert_int_equal(quota_take(q, &alice, 100, NULL), 0);
    assert_int_equal(quota_take(q, &alice, 1, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &alice, UINT64_MAX, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &alice, 0, NULL), 0);
    quota_give(q, &alice, 0);
    quota_give(q, &alice, 100);
    assert_int_equal(quota_take(q, &alice, 101, NULL), -ERROR_RESOURCE_EXHAUSTED);
    quota_free(q);
}

/* Of streams: bytes without a call, in the same account. */
static void bytes_alone_are_of_the_same_share_and_take_no_call(void **state)
{
    struct quota *q = quota_of(1, 100);

    (void)state;
    assert_int_equal(quota_hold(q, &alice, 0, NULL), 0); /* takes no room */
    assert_int_equal(quota_hold(q, &alice, 60, NULL), 0);
    assert_int_equal(quota_take(q, &alice, 40, NULL), 0);
    assert_int_equal(quota_hold(q, &alice, 1, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &alice, 0, NULL), -ERROR_RESOURCE_EXHAUSTED);
    quota_give(q, &alice, 40);
    quota_release(q, &alice, 10); /* in parts */
    assert_int_equal(quota_take(q, &alice, 51, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &alice, 50, NULL), 0);
    quota_give(q, &alice, 50);
    quota_release(q, &alice, 50);
    quota_release(q, &alice, 0);
    quota_free(q);
}

static void one_does_not_use_up_anothers_share(void **state)
{
    struct quota *q = quota_of(1, 100);

    (void)state;
    assert_int_equal(quota_take(q, &alice, 100, NULL), 0);
    assert_int_equal(quota_take(q, &bob, 100, NULL), 0);
    quota_give(q, &alice, 100);
    quota_give(q, &bob, 100);
    quota_free(q);
}

static void more_certificates_are_no_larger_share(void **state)
{
    const struct identity renewed = { .text = "cn:alice", .fingerprint = { 1 }, .not_after_s = 5 };
    struct quota *q = quota_of(1, 100);

    (void)state;
    assert_int_equal(quota_take(q, &alice, 0, NULL), 0);
    assert_int_equal(quota_take(q, &renewed, 0, NULL), -ERROR_RESOURCE_EXHAUSTED);
    quota_give(q, &renewed, 0);
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

        assert_int_equal(quota_take(q, &who, 1, NULL), 0);
    }
    assert_int_equal(quota_take(q, &alice, 0, NULL), -ERROR_RESOURCE_EXHAUSTED);
    for (unsigned i = 0; i < QUOTA_IDENTITIES_MAX; i++) {
        struct identity who = numbered(i);

        quota_give(q, &who, 1);
        if (i == 0) {
            assert_int_equal(quota_take(q, &alice, 0, NULL), 0);
        }
    }
    quota_give(q, &alice, 0);
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
        quota_give(q, who, h->bytes[--h->calls]);
        return;
    }
    for (uint32_t i = 0; i < h->calls; i++) {
        sum += h->bytes[i];
    }
    fits = h->calls < CALLS && sum + bytes <= BYTES;
    assert_int_equal(quota_take(q, who, bytes, NULL), fits ? 0 : -ERROR_RESOURCE_EXHAUSTED);
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
            quota_give(q, &who, held[person].bytes[--held[person].calls]);
        }
    }
    quota_free(q); /* asserts that nothing is held */
}

static void a_smaller_limit_takes_nothing_away_and_gives_nothing_more(void **state)
{
    struct quota *q = quota_of(3, 100);
    struct identity who = numbered(1);

    (void)state;
    assert_int_equal(quota_take(q, &who, 60, NULL), 0);
    quota_set_arena_limit(q, 50);
    assert_int_equal(quota_take(q, &who, 1, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &who, 0, NULL), 0);
    quota_give(q, &who, 0);
    quota_give(q, &who, 60);
    assert_int_equal(quota_take(q, &who, 51, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_take(q, &who, 50, NULL), 0);
    quota_give(q, &who, 50);
    quota_free(q);
}

static void *take_and_give(void *arg)
{
    struct quota *q = arg;
    unsigned taken = 0;

    for (unsigned i = 0; i < 20000; i++) {
        struct identity who = numbered(i % 3);

        if (quota_take(q, &who, i % 7, NULL) == 0) {
            taken++;
            quota_give(q, &who, i % 7);
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
    };

    return UNIT_RUN(tests);
}
