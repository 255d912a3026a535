/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Positions of bytes: proper streams, what comes again, what is missing, and what a gateway may not say. */
#include "tests/lib/unit.h"

#include "tests/lib/byte_calls.h"

#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void takes(struct byte_numbering *n, struct byte_item item, bool is_new, uint64_t skip)
{
    assert_int_equal(take(n, item), 0);
    assert_int_equal(verdict.is_new, is_new);
    assert_int_equal(verdict.skip, skip);
}

static void refuses(const struct byte_numbering *n, struct byte_item item)
{
    struct byte_numbering copy = *n;

    assert_int_equal(take(&copy, item), -ERROR_INTERNAL);
}

/* At byte 10 of the first segment. */
static struct byte_numbering begun(void)
{
    struct byte_numbering n = { .is_known = false };

    assert_int_equal(begin(&n, false, false, place(0, 0, 0, 0)), 0);
    assert_false(verdict.lost.is_some);
    takes(&n, segment(place(0, 0, 0, 0), XENRES_TRACE_SEGMENT_START), true, 0);
    takes(&n, data(place(0, 0, 0, 0), 10), true, 0);
    return n;
}

static void bytes_follow_each_other(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    takes(&n, data(place(10, 0, 0, 10), 5), true, 0);
    takes(&n, mark(BYTE_CHECKPOINT, 15), true, 0);
    takes(&n, gap(15, 7, false, place(0, 0, 0, 22)), true, 0);
    takes(&n, data(place(22, 0, 0, 22), 1), true, 0);
    takes(&n, gap(23, 100, true, place(0, 0, 0, 123)), true, 0);
    takes(&n, mark(BYTE_HEARTBEAT, 123), true, 0);
    takes(&n, segment(place(123, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), true, 0);
    takes(&n, data(place(123, 1, 0, 0), 4), true, 0);
    takes(&n, gap(127, 0, true, place(0, 1, 0, 4)), true, 0);
    takes(&n, segment(place(127, 2, 1, 0), XENRES_TRACE_SEGMENT_RESET), true, 0);
    takes(&n, segment(place(127, 3, 2, 0), XENRES_TRACE_SEGMENT_RESET), true, 0);
    takes(&n, gap(127, 50, true, place(0, 5, 3, 20)), true, 0); /* into the midst of another */
    takes(&n, data(place(177, 5, 3, 20), 3), true, 0);
    takes(&n, mark(BYTE_END, 200), true, 0);
    assert_int_equal(byte_numbering_rest(&n, 200), 20);
    assert_int_equal(byte_numbering_rest(&n, 180), 0);
}

static void what_has_a_hole_is_refused(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    refuses(&n, data(place(11, 0, 0, 11), 5));
    refuses(&n, data(place(9, 0, 0, 9), 5));
    refuses(&n, data(place(10, 0, 0, 9), 5));
    refuses(&n, data(place(10, 1, 0, 0), 5));
    refuses(&n, data(place(10, 0, 1, 10), 5));
    refuses(&n, data(place(10, 0, 0, 10), 0));
    refuses(&n, data(place(10, 0, 0, 10), BYTE_NUMBERING_MAX - 9));
    refuses(&n, data(place(10, 0, 0, 10), UINT64_MAX));
    refuses(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS)); /* none was told of */
    refuses(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_START));
    refuses(&n, segment(place(10, 0, 0, 10), XENRES_TRACE_SEGMENT_LOSS));
    refuses(&n, segment(place(10, 2, 1, 0), XENRES_TRACE_SEGMENT_RESET));
    refuses(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_RESET));
    refuses(&n, segment(place(11, 1, 1, 0), XENRES_TRACE_SEGMENT_RESET));
    refuses(&n, gap(11, 5, false, place(0, 0, 0, 16)));
    refuses(&n, gap(10, 5, false, place(0, 0, 0, 16)));
    refuses(&n, gap(10, 0, false, place(0, 0, 0, 10)));
    refuses(&n, gap(10, 5, false, place(0, 1, 0, 0))); /* an open loss that is not told */
    refuses(&n, gap(10, 5, true, place(0, 1, 0, 6)));  /* it would begin before the gap */
    refuses(&n, gap(10, 5, true, place(0, 1, 2, 0)));  /* more resets than segments */
    refuses(&n, gap(10, UINT64_MAX, true, place(0, 0, 0, 9)));
    refuses(&n, mark(BYTE_CHECKPOINT, 11));
    refuses(&n, mark(BYTE_CHECKPOINT, 9));
    refuses(&n, mark(BYTE_HEARTBEAT, 11));
    refuses(&n, mark(BYTE_END, 9));
    refuses(&n, mark(BYTE_END, UINT64_MAX));
    refuses(&n, mark(BYTE_BEGIN, 10));
}

static void behind_an_open_loss_a_segment_begins(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    takes(&n, gap(10, 5, true, place(0, 0, 0, 15)), true, 0);
    refuses(&n, data(place(15, 0, 0, 15), 1));
    refuses(&n, gap(15, 5, false, place(0, 0, 0, 20)));
    refuses(&n, segment(place(15, 2, 0, 0), XENRES_TRACE_SEGMENT_LOSS));
    refuses(&n, segment(place(15, 1, 1, 0), XENRES_TRACE_SEGMENT_LOSS));
    takes(&n, mark(BYTE_END, 15), true, 0);
    takes(&n, gap(15, 5, false, place(0, 1, 0, 5)), true, 0); /* it is the one that is known */
}

static void what_comes_again_is_not_new(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    takes(&n, gap(10, 0, true, place(0, 0, 0, 10)), true, 0);
    takes(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), true, 0);
    takes(&n, data(place(10, 1, 0, 0), 10), true, 0);
    assert_int_equal(begin(&n, false, false, place(0, 0, 0, 0)), 0);
    assert_false(verdict.lost.is_some);
    assert_int_equal(byte_numbering_next(&n).position, 20);
    takes(&n, segment(place(0, 0, 0, 0), XENRES_TRACE_SEGMENT_START), false, 0);
    takes(&n, data(place(0, 0, 0, 0), 10), false, 10);
    refuses(&n, data(place(10, 0, 0, 10), 2)); /* another segment was there before */
    takes(&n, gap(10, 0, true, place(0, 0, 0, 10)), false, 0);
    takes(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), false, 0);
    takes(&n, mark(BYTE_HEARTBEAT, 10), false, 0);
    refuses(&n, gap(10, 30, true, place(0, 1, 0, 31)));
    takes(&n, data(place(10, 1, 0, 0), 25), true, 10);
}

static void a_stream_goes_on_where_it_was_asked_to(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    byte_numbering_keep(&n);
    takes(&n, data(place(10, 0, 0, 10), 5), true, 0);
    struct byte_numbering copy = n;

    assert_int_equal(begin(&copy, true, true, place(9, 0, 0, 9)), -ERROR_INTERNAL);
    copy = n;
    assert_int_equal(begin(&copy, true, true, place(15, 0, 0, 15)), -ERROR_INTERNAL);
    copy = n;
    assert_int_equal(begin(&copy, true, false, place(16, 0, 0, 16)), -ERROR_INTERNAL);
    assert_int_equal(begin(&n, true, true, place(10, 0, 0, 10)), 0);
    assert_false(verdict.lost.is_some);
    takes(&n, data(place(10, 0, 0, 10), 7), true, 5);
}

/* What a cursor was kept behind is known: nobody may leave out the loss. */
static void an_open_loss_is_remembered_with_the_cursor(void **state)
{
    struct byte_numbering n = begun();

    (void)state;
    byte_numbering_keep(&n);
    assert_int_equal(begin(&n, true, true, place(10, 0, 0, 10)), 0);
    refuses(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS));
    takes(&n, gap(10, 0, true, place(0, 0, 0, 10)), true, 0);
    byte_numbering_keep(&n);
    assert_int_equal(begin(&n, true, true, place(10, 0, 0, 10)), 0);
    takes(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), true, 0);
    /* Of one from elsewhere it is not known. */
    n = (struct byte_numbering){ .is_known = false };
    assert_int_equal(begin(&n, true, false, place(10, 0, 0, 10)), 0);
    takes(&n, segment(place(10, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), true, 0);
    n = (struct byte_numbering){ .is_known = false };
    assert_int_equal(begin(&n, true, false, place(10, 0, 0, 10)), 0);
    refuses(&n, gap(10, 5, false, place(0, 2, 0, 1)));
    takes(&n, gap(10, 5, false, place(0, 1, 0, 1)), true,
          0); /* who reads was too slow, behind it */
    refuses(&n, gap(15, 5, false, place(0, 2, 0, 1)));
}

static void lost_is(bool is_before_all, uint64_t position, uint64_t length, bool at_least)
{
    assert_true(verdict.lost.is_some);
    assert_int_equal(verdict.lost.is_before_all, is_before_all);
    assert_int_equal(verdict.lost.position, position);
    assert_int_equal(verdict.lost.length, length);
    assert_int_equal(verdict.lost.at_least, at_least);
}

static void what_is_no_longer_held_is_lost(void **state)
{
    struct byte_numbering n = { .is_known = false };

    (void)state;
    assert_int_equal(begin(&n, false, false, place(100, 0, 0, 100)), 0);
    lost_is(true, 0, 100, false);
    n = (struct byte_numbering){ .is_known = false };
    assert_int_equal(begin(&n, false, false, place(100, 2, 1, 50)), 0);
    lost_is(true, 0, 100, true);
    n = (struct byte_numbering){ .is_known = false };
    assert_int_equal(begin(&n, false, false, place(0, 1, 0, 0)), 0);
    lost_is(true, 0, 0, true);
    n = begun();
    assert_int_equal(begin(&n, false, false, place(30, 0, 0, 30)), 0);
    lost_is(false, 10, 20, false);
    assert_int_equal(begin(&n, false, false, place(40, 1, 0, 5)), 0);
    lost_is(false, 30, 10, true);
    assert_int_equal(begin(&n, false, false, place(40, 1, 0, 4)), -ERROR_INTERNAL);
    n = begun();
    assert_int_equal(begin(&n, false, false, place(30, 0, 0, 29)), -ERROR_INTERNAL);
    n = begun();
    assert_int_equal(begin(&n, false, false, place(30, 1, 0, 21)), -ERROR_INTERNAL);
    n = begun();
    assert_int_equal(begin(&n, false, false, place(UINT64_MAX, 0, 0, 30)), -ERROR_INTERNAL);
}

static void a_feed_is_kept_to(void **state)
{
    struct byte_numbering n = begun();
    struct fault fault = { 0 };
    const struct byte_begin b = { .feed = OTHER };

    (void)state;
    assert_int_equal(byte_numbering_begin(&n, &b, false, &verdict, &fault), -ERROR_INTERNAL);
}

/* What a file has, a position says. */
static void a_position_alone_is_enough_to_go_on(void **state)
{
    struct byte_numbering n = { .is_known = false };

    (void)state;
    byte_numbering_know(&n, FEED, 15);
    assert_int_equal(begin(&n, false, false, place(0, 0, 0, 0)), 0);
    assert_false(verdict.lost.is_some);
    takes(&n, segment(place(0, 0, 0, 0), XENRES_TRACE_SEGMENT_START), false, 0);
    takes(&n, data(place(0, 0, 0, 0), 10), false, 10);
    takes(&n, gap(10, 1, true, place(0, 0, 0, 11)), false, 1);
    takes(&n, segment(place(11, 1, 0, 0), XENRES_TRACE_SEGMENT_LOSS), false, 0);
    takes(&n, data(place(11, 1, 0, 0), 10), true, 4);
    takes(&n, data(place(21, 1, 0, 10), 1), true, 0);
    byte_numbering_know(&n, FEED, 15);
    assert_int_equal(begin(&n, false, false, place(20, 1, 0, 3)), 0);
    lost_is(false, 15, 5, true);
    byte_numbering_know(&n, FEED, 15);
    assert_int_equal(begin(&n, true, false, place(15, 1, 0, 4)), 0);
    assert_false(verdict.lost.is_some);
    takes(&n, data(place(15, 1, 0, 4), 1), true, 0);
    /* What was lost before a segment that begins just there, neither it nor a cursor says. */
    for (int resumed = 0; resumed < 2; resumed++) {
        byte_numbering_know(&n, FEED, 15);
        assert_int_equal(begin(&n, resumed, false, place(15, 1, 1, 0)), 0);
        lost_is(false, 15, 0, true);
        takes(&n, segment(place(15, 1, 1, 0), XENRES_TRACE_SEGMENT_RESET), true, 0);
    }
}

/* What a manifest has, all numbers say: what is missing within a segment is so many bytes and no more. */
static void by_all_numbers_a_loss_is_as_exact_as_it_can_be(void **state)
{
    const struct byte_place had = place(15, 1, 1, 4), fresh = place(15, 1, 1, 0);
    struct byte_numbering n = { .is_known = false };

    (void)state;
    assert_true(byte_numbering_know_place(&n, FEED, &had, false));
    assert_int_equal(begin(&n, false, false, place(20, 1, 1, 9)), 0);
    lost_is(false, 15, 5, false);
    assert_true(byte_numbering_know_place(&n, FEED, &had, false));
    assert_int_equal(begin(&n, false, false, place(20, 2, 1, 1)), 0);
    lost_is(false, 15, 5, true);
    assert_true(byte_numbering_know_place(&n, FEED, &had, true)); /* of which it was told */
    assert_int_equal(begin(&n, false, false, place(20, 2, 1, 1)), 0);
    lost_is(false, 15, 5, false);
    assert_true(byte_numbering_know_place(&n, FEED, &had, true));
    assert_int_equal(begin(&n, false, false, place(20, 3, 1, 1)), 0);
    lost_is(false, 15, 5, true);
    for (int resumed = 0; resumed < 2; resumed++) {
        assert_true(byte_numbering_know_place(&n, FEED, &had, false));
        assert_int_equal(begin(&n, resumed, false, place(12, 1, 1, 1)), 0);
        assert_false(verdict.lost.is_some);
        takes(&n, data(place(12, 1, 1, 1), 5), true, 3);
    }
    assert_true(byte_numbering_know_place(&n, FEED, &fresh, false));
    assert_int_equal(begin(&n, false, false, fresh), 0);
    assert_false(verdict.lost.is_some);
    takes(&n, segment(fresh, XENRES_TRACE_SEGMENT_RESET), true, 0);
}

static void numbers_that_are_not_the_traces_are_found_out(void **state)
{
    const struct byte_place wrong[] = { place(15, 1, 1, 3), place(15, 2, 1, 4),
                                        place(15, 1, 0, 4) };
    const struct byte_place none[] = { place(15, 1, 1, 16), place(15, 0, 1, 4),
                                       place(UINT64_MAX, 1, 1, 4) };
    struct byte_numbering n = { .is_known = false };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(byte_numbering_know_place(&n, FEED, &wrong[i], false));
        assert_int_equal(begin(&n, false, false, place(20, 1, 1, 9)), -ERROR_INTERNAL);
        assert_false(byte_numbering_know_place(&n, FEED, &none[i], false));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_follow_each_other),
        cmocka_unit_test(what_has_a_hole_is_refused),
        cmocka_unit_test(behind_an_open_loss_a_segment_begins),
        cmocka_unit_test(what_comes_again_is_not_new),
        cmocka_unit_test(a_stream_goes_on_where_it_was_asked_to),
        cmocka_unit_test(an_open_loss_is_remembered_with_the_cursor),
        cmocka_unit_test(what_is_no_longer_held_is_lost),
        cmocka_unit_test(a_feed_is_kept_to),
        cmocka_unit_test(a_position_alone_is_enough_to_go_on),
        cmocka_unit_test(by_all_numbers_a_loss_is_as_exact_as_it_can_be),
        cmocka_unit_test(numbers_that_are_not_the_traces_are_found_out),
    };

    return UNIT_RUN(tests);
}
