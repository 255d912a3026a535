/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Gateways that do not keep what TraceService promises: each is found out, and nothing of the lie reaches
 * a callback. What places of bytes alone can be wrong about, tests/unit/byte_numbering_test has. */
#include "tests/lib/client_trace.h"

#define BEGUN "begin a 0:0=0\nsegment 0/0=0\ndata 0:0=0+10\ncheckpoint 10\n"

static struct buffer *begun(struct script *s)
{
    struct buffer *b = script_stream(s);

    trace_say_begin(b, (struct trace_begin){ .silence_ms = 20000 });
    trace_say_start(b);
    trace_say_bytes(b, 0, 10);
    trace_say_checkpoint(b, 10, "c10");
    return b;
}

/* The stream that was begun last is a lie in the end. */
static void expect_lie(struct script *s, const char *before)
{
    script_then(s, TLS_SERVER_KEEP);
    expect_trace(s, XENRES_INTERNAL, before);
}

static void bytes_are_where_they_have_to_be(void **state)
{
    static const struct trace_data wrong[] = {
        { .position = 11, .offset = 11, .len = 1 }, /* a hole */
        { .position = 9, .offset = 9, .len = 1 },   /* twice */
        { .position = 10, .offset = 9, .len = 1 },
        { .position = 10, .offset = 10, .segment = 1, .len = 1 },
        { .position = 10, .offset = 10, .epoch = 1, .len = 1 },
        { .position = 10, .offset = 10, .len = 0 },
        { .position = 10, .offset = 10, .len = 20, .has_sync = true, .sync_offset = 5 },
        { .position = 10, .offset = 10, .len = 15, .has_sync = true },
        { .position = 10, .offset = 10, .len = 20, .has_sync = true, .sync_offset = UINT32_MAX },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct script s = { .count = 0 };

        trace_say_data(begun(&s), wrong[i]);
        expect_lie(&s, BEGUN);
    }
}

static void what_is_said_between_is_right(void **state)
{
    struct script s = { .count = 0 };

    (void)state;
    trace_say_checkpoint(begun(&s), 11, "c");
    expect_lie(&s, BEGUN);
    trace_say_checkpoint(begun(&s), 10, "");
    expect_lie(&s, BEGUN);
    trace_say_checkpoint(begun(&s), 10, "two words");
    expect_lie(&s, BEGUN);
    trace_say_heartbeat(begun(&s), 9);
    expect_lie(&s, BEGUN);
    trace_say_segment(begun(&s), 1, 0, XENRES_TRACE_SEGMENT_LOSS, 10);
    expect_lie(&s, BEGUN);
    trace_say_gap(begun(&s), (struct trace_gap){ XENRES_TRACE_GAP_LAPPED, 11, 5, false, 16, 0, 0 });
    expect_lie(&s, BEGUN);
    trace_say_end(begun(&s), XENRES_TRACE_STOPPED, 9, "");
    expect_lie(&s, BEGUN);
    trace_say_end(begun(&s), XENRES_TRACE_STOPPED, 10, "two words");
    expect_lie(&s, BEGUN);
}

static void a_stream_begins_once_and_first(void **state)
{
    struct script s = { .count = 0 };

    (void)state;
    trace_say_begin(begun(&s), (struct trace_begin){ .silence_ms = 1 });
    expect_lie(&s, BEGUN);
    trace_say_bytes(script_stream(&s), 0, 10);
    expect_lie(&s, "");
}

static void it_is_of_what_was_asked_for(void **state)
{
    static const struct trace_begin wrong[] = {
        { .vcpu = 1 },
        { .of.uuid = UUID_B },
        { .of.life = LIFE_B },
        { .of.id = TRACE_B },
        { .of.id = "" },
        { .of.vcpus = { 200 } },
        { .without_trace = true },
        { .feed = "" },
        { .feed = "nonsense" },
        { .resumed = true },
        { .position = 5, .offset = 6 },
        { .position = 5, .epoch = 1 },
        { .position = UINT64_MAX },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct script s = { .count = 0 };
        xenres_trace_query query = XENRES_TRACE_QUERY_INIT(UUID_A, 0);

        query.incarnation = LIFE_A;
        query.trace_id = TRACE_A;
        trace_say_begin(script_stream(&s), wrong[i]);
        script_then(&s, TLS_SERVER_KEEP);
        expect_trace_of(&s, &query, XENRES_INTERNAL, "");
    }
}

/* After a cut, too. */
static void it_goes_on_where_it_was_and_nowhere_else(void **state)
{
    static const struct trace_begin wrong[] = {
        { .resumed = true, .position = 9, .offset = 9 },
        { .resumed = true, .position = 11, .offset = 11 },
        { .resumed = true, .position = 10, .offset = 9 },
        { .resumed = true, .position = 10, .segment = 1 },
        { .feed = FEED_B },
        { .position = 20, .offset = 19 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct script s = { .count = 0 };

        begun(&s);
        script_then(&s, TLS_SERVER_CLOSE);
        trace_say_begin(script_stream(&s), wrong[i]);
        expect_lie(&s, BEGUN "interrupted at 10 [c10]\n");
    }
}

static void nothing_comes_behind_the_end(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);
    Xenres__V1__TraceEnd end;

    (void)state;
    xenres__v1__trace_end__init(&end);
    end.reason = XENRES__V1__TRACE_END_REASON__TRACE_END_REASON_STOPPED;
    end.position = 10;
    trace_say(b, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_END, &end);
    trace_say_bytes(b, 10, 5);
    expect_lie(&s, BEGUN);
}

/* What stood there before, stands there now: other segments would make another trace of it. */
static void what_comes_again_is_the_same(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    trace_say_gap(b, (struct trace_gap){ XENRES_TRACE_GAP_LAPPED, 10, 5, true, 15, 0, 0 });
    trace_say_segment(b, 1, 0, XENRES_TRACE_SEGMENT_LOSS, 15);
    trace_say_data(b, (struct trace_data){ .position = 15, .segment = 1, .len = 5 });
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    trace_say_begin(b, (struct trace_begin){ .resumed = true, .position = 10, .offset = 10 });
    trace_say_bytes(b, 10, 30);
    expect_lie(&s, BEGUN "gap lapped 10+5? to 0:15\nsegment 1/0=15\ndata 1:0=15+5\n"
                         "interrupted at 20 [c10]\nbegin a 1:5=20 resumed\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_where_they_have_to_be),
        cmocka_unit_test(what_is_said_between_is_right),
        cmocka_unit_test(a_stream_begins_once_and_first),
        cmocka_unit_test(it_is_of_what_was_asked_for),
        cmocka_unit_test(it_goes_on_where_it_was_and_nowhere_else),
        cmocka_unit_test(nothing_comes_behind_the_end),
        cmocka_unit_test(what_comes_again_is_the_same),
    };

    return UNIT_RUN(tests);
}
