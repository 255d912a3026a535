/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Watches that are cut: when there is no going on, and when nothing that is heard is a cut. */
#include "tests/lib/client_watch_cuts.h"

/* --- when it is given up --- */

static void refusals_after_a_cut_are_final(void **state)
{
    struct script s = { .count = 0 };

    (void)state;
    begun(&s);
    script_then(&s, TLS_SERVER_CLOSE);
    script_error(&s, "{\"error\":{\"code\":\"permission_denied\",\"message\":\"no more\"}}");
    expect_watch(&s, XENRES_PERMISSION_DENIED, BEGUN "interrupted at 3 [c3]\n");

    begun(&s);
    script_then(&s, TLS_SERVER_CLOSE);
    script_error(&s, "{\"error\":{\"code\":\"out_of_range\",\"message\":\"missed\"}}");
    script_error(&s, "{\"error\":{\"code\":\"out_of_range\",\"message\":\"missed\"}}");
    expect_watch(&s, XENRES_OUT_OF_RANGE, BEGUN "interrupted at 3 [c3]\n");
}

static void full_gateway_is_tried_again(void **state)
{
    struct script s = { .count = 0 };

    (void)state;
    begun(&s);
    script_then(&s, TLS_SERVER_CLOSE);
    script_error(&s, "{\"error\":{\"code\":\"resource_exhausted\",\"message\":\"too many\"}}");
    script_error(&s, "{\"error\":{\"code\":\"deadline_exceeded\",\"message\":\"slow\"}}");
    ended(&s, resumed(&s, 3), 3);
    expect_watch(&s, 0,
                 BEGUN "interrupted at 3 [c3]\ninterrupted at 3 try 1 [c3]\n"
                       "interrupted at 3 try 2 [c3]\nbegin a behind 3\nend incarnation_ended\n");
}

static void without_reconnecting_the_first_cut_is_the_last(void **state)
{
    xenres_watch_query query = XENRES_WATCH_QUERY_INIT("1", XENRES_GRANT_TABLE, 0);
    struct script s = { .count = 0 };

    (void)state;
    query.outage_max_ms = XENRES_NO_RECONNECT;
    begun(&s);
    script_then(&s, TLS_SERVER_CLOSE);
    expect_watch_of(&s, &query, XENRES_UNAVAILABLE, BEGUN);
    say_end(begun(&s), XENRES_END_SHUTTING_DOWN, 3, "e3");
    script_then(&s, TLS_SERVER_KEEP);
    expect_watch_of(&s, &query, 0, BEGUN "end shutting_down\n");
}

static void outage_has_a_bound(void **state)
{
    static struct watching w;
    struct script s = { .count = 0 };

    (void)state;
    begun(&s);
    script_then(&s, TLS_SERVER_CLOSE);
    watching_start(&w, &s); /* which takes no further requests */
    w.query.outage_max_ms = 3000;
    watching_run(&w);
    assert_int_equal(w.result, -XENRES_UNAVAILABLE);
    assert_non_null(strstr(buffer_string(&w.told.lines), BEGUN "interrupted at 3 [c3]\n"));
    assert_non_null(strstr(buffer_string(&w.told.lines), "try 2"));
    watching_stop(&w);
    script_done(&s);
}

/* The gateway asks for a longer wait than there is. */
static void wait_beyond_the_bound_is_not_begun(void **state)
{
    struct script s = { .count = 0 };

    (void)state;
    begun(&s);
    script_then(&s, TLS_SERVER_CLOSE);
    /* google.rpc.RetryInfo of an hour */
    script_error(
        &s, "{\"error\":{\"code\":\"unavailable\",\"message\":\"later\",\"details\":[{\"type\":"
            "\"google.rpc.RetryInfo\",\"value\":\"CgMIkBw\"}]}}");
    expect_watch(&s, XENRES_UNAVAILABLE, BEGUN "interrupted at 3 [c3]\n");
}

/* A gateway that takes the question and says nothing does not make it longer. */
static void silent_try_ends_with_the_outage(void **state)
{
    static struct watching w;
    struct script s = { .count = 0 };

    (void)state;
    begun(&s);
    script_then(&s, TLS_SERVER_CLOSE);
    buffer_init(&s.bytes[s.count], 1);
    script_then(&s, TLS_SERVER_SILENT);
    watching_start(&w, &s);
    w.query.outage_max_ms = 300;
    watching_run(&w); /* the handle's timeout is 20 s */
    assert_int_equal(w.result, -XENRES_DEADLINE_EXCEEDED);
    assert_string_equal(buffer_string(&w.told.lines), BEGUN "interrupted at 3 [c3]\n");
    watching_stop(&w);
    script_done(&s);
}

/* --- silence --- */

static void silence_is_a_cut(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);

    (void)state;
    say_begin(b, (struct say_begin){ .silence_ms = 300 });
    say_image(b, (struct say_image){ .sequence = 3 });
    say_checkpoint(b, 3, "c3");
    script_then(&s, TLS_SERVER_SILENT);
    b = resumed(&s, 3);
    ended(&s, b, 3);
    expect_watch(&s, 0, BEGUN "interrupted at 3 [c3]\nbegin a behind 3\nend incarnation_ended\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_after_a_cut_are_final),
        cmocka_unit_test(full_gateway_is_tried_again),
        cmocka_unit_test(without_reconnecting_the_first_cut_is_the_last),
        cmocka_unit_test(outage_has_a_bound),
        cmocka_unit_test(wait_beyond_the_bound_is_not_begun),
        cmocka_unit_test(silent_try_ends_with_the_outage),
        cmocka_unit_test(silence_is_a_cut),
    };

    return UNIT_RUN(tests);
}
