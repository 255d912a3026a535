/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The part of quotas that is about pauses of vCPUs: of traces that run, by the mapper's list, and of those that
 * are being started. */
#include "auth/quota.h"

#include <string.h>

#include "tests/lib/unit.h"

static const struct identity alice = { .text = "cn:alice" }, bob = { .text = "cn:bob" };

/* `in_all`: 0 for no limit. */
static struct quota *quota_with(uint32_t each, uint32_t in_all)
{
    const struct quota_limits limits = { .each = { .pauses_per_second = each },
                                         .all = { .pauses_per_second = in_all } };
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

#define RUN(own_, all_) ((const struct quota_running){ .own = (own_), .all = (all_) })

static void traces_that_run_and_that_start_share_the_pauses(void **state)
{
    struct quota *q = quota_with(100, 0);
    struct failure f = { 0 };
    uint64_t round = 0;

    (void)state;
    assert_int_equal(quota_start_begin(q, &alice, 101, &round, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(f.retry_after_ms, 0); /* never */
    assert_int_equal(quota_start_begin(q, &alice, 60, &round, NULL), 0);
    assert_int_equal(quota_start_judge(q, &alice, 60, &RUN(40, 40), &round, NULL), 0);
    assert_int_equal(quota_start_judge(q, &alice, 60, &RUN(41, 41), &round, &f),
                     -ERROR_RESOURCE_EXHAUSTED);
    assert_true(f.retry_after_ms > 0);
    assert_int_equal(quota_start_begin(q, &alice, 41, &round, NULL), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(quota_start_begin(q, &bob, 100, &round, NULL), 0);
    quota_start_end(q, &bob, 100);
    quota_start_end(q, &alice, 60);
    assert_int_equal(hits(q, QUOTA_PAUSES), 3);
    quota_free(q);
}

static void a_list_of_traces_from_before_a_start_ended_is_not_judged_by(void **state)
{
    struct quota *q = quota_with(100, 0);
    uint64_t first = 0, second = 0;

    (void)state;
    assert_int_equal(quota_start_begin(q, &alice, 50, &first, NULL), 0);
    assert_int_equal(quota_start_begin(q, &alice, 50, &second, NULL), 0);
    assert_int_equal(quota_start_judge(q, &alice, 50, &RUN(0, 0), &first, NULL), 0);
    quota_start_end(q, &alice, 50); /* it runs, and the second's list may lack it */
    assert_int_equal(quota_start_judge(q, &alice, 50, &RUN(0, 0), &second, NULL), -ERROR_ABORTED);
    assert_int_equal(quota_start_judge(q, &alice, 50, &RUN(50, 50), &second, NULL), 0);
    quota_start_end(q, &alice, 50);
    quota_free(q);
}

/* However small the share of each: what all make together has a limit, too, of which those that run and
 * those that start count, whosever they are. */
static void all_traces_together_have_a_limit(void **state)
{
    struct quota *q = quota_with(60, 100);
    struct failure f = { 0 };
    uint64_t round = 0, other = 0;

    (void)state;
    assert_int_equal(quota_pauses_in_all(q), 100);
    assert_int_equal(quota_start_begin(q, &alice, 60, &round, NULL), 0);
    assert_int_equal(quota_start_begin(q, &bob, 41, &other, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_true(f.retry_after_ms > 0 && strstr(f.message, "all traces") != NULL);
    assert_int_equal(quota_start_begin(q, &bob, 40, &other, NULL), 0);
    assert_int_equal(quota_start_judge(q, &alice, 60, &RUN(0, 0), &round, NULL), 0);
    assert_int_equal(quota_start_judge(q, &alice, 60, &RUN(0, 1), &round, &f),
                     -ERROR_RESOURCE_EXHAUSTED);
    quota_start_end(q, &bob, 40); /* it runs: also somebody else's list may lack it */
    assert_int_equal(quota_start_judge(q, &alice, 60, &RUN(0, 0), &round, NULL), -ERROR_ABORTED);
    assert_int_equal(quota_start_judge(q, &alice, 60, &RUN(0, 40), &round, NULL), 0);
    assert_int_equal(quota_start_judge(q, &alice, 60, &RUN(0, 41), &round, NULL),
                     -ERROR_RESOURCE_EXHAUSTED);
    quota_start_end(q, &alice, 60);
    assert_int_equal(hits(q, QUOTA_PAUSES), 0);
    assert_int_equal(hits(q, QUOTA_PAUSES_IN_ALL), 3);
    quota_set_pauses_limit(q, 60, 50);
    assert_int_equal(quota_start_begin(q, &alice, 51, &round, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(f.retry_after_ms, 0); /* never */
    quota_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traces_that_run_and_that_start_share_the_pauses),
        cmocka_unit_test(all_traces_together_have_a_limit),
        cmocka_unit_test(a_list_of_traces_from_before_a_start_ended_is_not_judged_by),
    };

    return UNIT_RUN(tests);
}
