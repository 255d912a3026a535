/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/policy_memo.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "tests/lib/unit.h"

enum {
    MEMO_MAX = POLICY_MEMO_BUCKETS * POLICY_MEMO_WAYS,
    THREADS = 4,
    TURNS = 20000,
    CALLERS = 600
};

static struct identity caller(unsigned n)
{
    struct identity who = { .is_bound = n % 2 == 0 };

    (void)snprintf(who.text, sizeof who.text, "cn:caller-%u", n);
    return who;
}

/* Rules that only this caller has. */
static struct policy_rules rules_of(unsigned n)
{
    struct policy_rules rules;

    for (size_t i = 0; i < POLICY_RULES_WORDS; i++) {
        rules.words[i] = (uint64_t)n << i;
    }
    return rules;
}

static bool is_known(struct policy_memo *m, const struct identity *who, unsigned n)
{
    const struct policy_rules wanted = rules_of(n);
    struct policy_rules found;

    if (!policy_memo_find(m, who, &found)) {
        return false;
    }
    assert_memory_equal(&found, &wanted, sizeof found);
    return true;
}

static void who_was_kept_is_known_again(void **state)
{
    struct policy_memo *m = policy_memo_new();
    const struct identity who = caller(7);
    const struct policy_rules first = rules_of(7), second = rules_of(9);

    (void)state;
    assert_false(is_known(m, &who, 7));
    policy_memo_keep(m, &who, &first);
    assert_true(is_known(m, &who, 7));
    policy_memo_keep(m, &who, &second); /* kept twice: in one place */
    assert_true(is_known(m, &who, 9));
    policy_memo_free(m);
    policy_memo_free(NULL);
}

/* All that rules look at, each alone; what they do not look at makes nobody another. */
static void who_differs_in_anything_that_counts_is_somebody_else(void **state)
{
    struct policy_memo *m = policy_memo_new();
    const struct identity who = { .text = "jwt:corp:alice",
                                  .groups = "ops\0dev",
                                  .is_bound = true };
    struct identity other = who;
    const struct policy_rules rules = rules_of(1);

    (void)state;
    policy_memo_keep(m, &who, &rules);
    other.is_bound = false;
    assert_false(is_known(m, &other, 1));
    other = who;
    memcpy(other.groups, "ops\0den", 8); /* the last character of the last one */
    assert_false(is_known(m, &other, 1));
    other = who;
    other.groups[0] = '\0';
    assert_false(is_known(m, &other, 1));
    other = who;
    other.text[0] = 'J';
    assert_false(is_known(m, &other, 1));
    other = who;
    other.text[strlen(other.text)] = 'x'; /* one is the beginning of the other */
    assert_false(is_known(m, &other, 1));
    other = who;
    other.fingerprint[0] = 1;
    other.not_after_s = 5;
    other.token_id[0] = 'x';
    assert_true(is_known(m, &other, 1));
    policy_memo_free(m);
}

/* Full, and one more: the last is known, and no more than there is room for. */
static void it_forgets_who_asked_longest_ago(void **state)
{
    struct policy_memo *m = policy_memo_new();
    unsigned known = 0;

    (void)state;
    for (unsigned n = 0; n < 4 * MEMO_MAX; n++) {
        const struct identity who = caller(n), first = caller(0);
        const struct policy_rules rules = rules_of(n);

        policy_memo_keep(m, &who, &rules);
        assert_true(is_known(m, &who, n));
        assert_true(is_known(m, &first, 0)); /* who asks all the time stays */
    }
    for (unsigned n = 0; n < 4 * MEMO_MAX; n++) {
        const struct identity who = caller(n);

        known += is_known(m, &who, n);
    }
    assert_in_range(known, MEMO_MAX / 2, MEMO_MAX);
    policy_memo_free(m);
}

/* --- threads -------------------------------------------------------------------------------------- */

static atomic_uint wrong;

static void *ask(void *arg)
{
    struct policy_memo *m = arg;

    for (unsigned turn = 0; turn < TURNS; turn++) {
        unsigned n = turn * 7919 % CALLERS;
        const struct identity who = caller(n);
        const struct policy_rules rules = rules_of(n);
        struct policy_rules found;

        if (!policy_memo_find(m, &who, &found)) {
            policy_memo_keep(m, &who, &rules);
        } else if (memcmp(&found, &rules, sizeof rules) != 0) {
            atomic_fetch_add(&wrong, 1);
        }
    }
    return NULL;
}

static void threads_get_their_own(void **state)
{
    struct policy_memo *m = policy_memo_new();
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask, m), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&wrong), 0);
    policy_memo_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_kept_is_known_again),
        cmocka_unit_test(who_differs_in_anything_that_counts_is_somebody_else),
        cmocka_unit_test(it_forgets_who_asked_longest_ago),
        cmocka_unit_test(threads_get_their_own),
    };

    return UNIT_RUN(tests);
}
