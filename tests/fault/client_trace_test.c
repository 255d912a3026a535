/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What reading a trace makes of proper streams, of cuts, and of ends; and the calls that control traces. */
#include "tests/lib/client_trace.h"

/* A begin, ten bytes, and a checkpoint there. */
static struct buffer *begun(struct script *s)
{
    struct buffer *b = script_stream(s);

    trace_say_begin(b, (struct trace_begin){ .silence_ms = 20000 });
    trace_say_start(b);
    trace_say_bytes(b, 0, 10);
    trace_say_checkpoint(b, 10, "c10");
    return b;
}

#define BEGUN "begin a 0:0=0\nsegment 0/0=0\ndata 0:0=0+10\ncheckpoint 10\n"

static void ended(struct script *s, struct buffer *b, uint64_t position)
{
    trace_say_end(b, XENRES_TRACE_STOPPED, position, "");
    script_then(s, TLS_SERVER_KEEP);
}

static void all_messages_come_in_their_order(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    trace_say_data(
        b, (struct trace_data){
               .position = 10, .offset = 10, .len = 30, .has_sync = true, .sync_offset = 14 });
    trace_say_heartbeat(b, 40);
    trace_say_gap(b, (struct trace_gap){ XENRES_TRACE_GAP_TOO_SLOW, 40, 5, false, 45, 0, 0 });
    trace_say_bytes(b, 45, 5);
    trace_say_gap(b, (struct trace_gap){ XENRES_TRACE_GAP_LAPPED, 50, 100, true, 150, 0, 0 });
    trace_say_segment(b, 1, 0, XENRES_TRACE_SEGMENT_LOSS, 150);
    trace_say_data(b, (struct trace_data){ .position = 150, .segment = 1, .len = 2 });
    trace_say_gap(b, (struct trace_gap){ XENRES_TRACE_GAP_RESET, 152, 0, true, 2, 1, 0 });
    trace_say_segment(b, 2, 1, XENRES_TRACE_SEGMENT_RESET, 152);
    trace_say_data(b, (struct trace_data){ .position = 152, .segment = 2, .epoch = 1, .len = 1 });
    ended(&s, b, 153);
    expect_trace(&s, 0,
                 BEGUN "data 0:10=10+30 sync 14\nheartbeat 40\ngap too_slow 40+5 to 0:45\n"
                       "data 0:45=45+5\ngap lapped 50+100? to 0:150\nsegment 1/0=150\n"
                       "data 1:0=150+2\ngap reset 152+0? to 1:2\nsegment 2/1=152\n"
                       "data 2:0=152+1\nend stopped 153\n");
}

static void it_goes_on_behind_the_cursor_and_delivers_nothing_twice(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    trace_say_bytes(b, 10, 6);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    trace_say_begin(b, (struct trace_begin){ .resumed = true, .position = 10, .offset = 10 });
    trace_say_data(
        b, (struct trace_data){
               .position = 10, .offset = 10, .len = 30, .has_sync = true, .sync_offset = 8 });
    ended(&s, b, 40);
    expect_trace(&s, 0,
                 BEGUN "data 0:10=10+6\ninterrupted at 16 [c10]\nbegin a 0:16=16 resumed\n"
                       "data 0:16=16+24 sync 2\nend stopped 40\n");
}

static void a_cursor_that_leads_nowhere_is_left_out(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    script_then(&s, TLS_SERVER_RESET);
    script_error(&s, "{\"error\":{\"code\":\"out_of_range\",\"message\":\"missed\"}}");
    b = script_stream(&s);
    trace_say_begin(b, (struct trace_begin){ .position = 50, .offset = 50 });
    trace_say_bytes(b, 50, 5);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    trace_say_begin(b, (struct trace_begin){ .position = 60, .offset = 2, .segment = 1 });
    ended(&s, b, 60);
    expect_trace(&s, 0,
                 BEGUN "interrupted at 10 [c10]\nbegin a 0:50=50\n"
                       "gap interrupted 10+40 to 0:50\ndata 0:50=50+5\ninterrupted at 55 []\n"
                       "begin a 1:2=60\ngap interrupted 55+5? to 1:2\nend stopped 60\n");
}

static void what_was_before_the_first_stream_is_told(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);

    (void)state;
    trace_say_begin(b, (struct trace_begin){ .position = 90, .offset = 90 });
    trace_say_bytes(b, 90, 1);
    ended(&s, b, 91);
    expect_trace(&s, 0,
                 "begin a 0:90=90\ngap before 0+90 to 0:90\ndata 0:90=90+1\nend stopped 91\n");
}

static void a_gateway_that_stops_is_asked_again(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);
    xenres_trace_query query = XENRES_TRACE_QUERY_INIT("1", 0);

    (void)state;
    trace_say_bytes(b, 10, 1);
    trace_say_end(b, XENRES_TRACE_SHUTTING_DOWN, 11, "c11");
    script_then(&s, TLS_SERVER_KEEP);
    b = script_stream(&s);
    trace_say_begin(b, (struct trace_begin){ .resumed = true, .position = 11, .offset = 11 });
    ended(&s, b, 11);
    expect_trace(&s, 0,
                 BEGUN "data 0:10=10+1\ninterrupted at 11 by the gateway [c11]\n"
                       "begin a 0:11=11 resumed\nend stopped 11\n");
    b = begun(&s);
    trace_say_end(b, XENRES_TRACE_SHUTTING_DOWN, 10, "c10");
    script_then(&s, TLS_SERVER_KEEP);
    query.outage_max_ms = XENRES_NO_RECONNECT;
    expect_trace_of(&s, &query, 0, BEGUN "end shutting_down 10\n");
}

static void what_was_not_sent_before_the_end_is_told_as_lost(void **state)
{
    struct script s = { .count = 0 };

    (void)state;
    ended(&s, begun(&s), 25);
    expect_trace(&s, 0, BEGUN "gap at_end 10+15 to 0:25\nend stopped 25\n");
    trace_say_end(begun(&s), XENRES_TRACE_MAPPER_GONE, 10, "");
    script_then(&s, TLS_SERVER_KEEP);
    expect_trace(&s, 0, BEGUN "gap at_end 10+0? to 0:10\nend mapper_gone 10\n");
}

/* Never into another one, however alike it looks. */
static void a_trace_that_is_over_is_over(void **state)
{
    static const char *const errors[] = { "aborted", "not_found", "failed_precondition" };
    const struct trace_begin others[] = { { .of.id = TRACE_B }, { .of.life = LIFE_B } };
    struct script s = { .count = 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        char json[128];

        begun(&s);
        script_then(&s, TLS_SERVER_CLOSE);
        (void)snprintf(json, sizeof(json),
                       "{\"error\":{\"code\":\"%s\",\"message\":\"it is gone\"}}", errors[i]);
        script_error(&s, json);
        expect_trace(&s, 0,
                     BEGUN "interrupted at 10 [c10]\ngap at_end 10+0? to 0:10\nend not_found 10\n");
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        begun(&s);
        script_then(&s, TLS_SERVER_CLOSE);
        trace_say_begin(script_stream(&s), others[i]);
        script_then(&s, TLS_SERVER_KEEP);
        expect_trace(&s, 0,
                     i == 0 ? BEGUN "interrupted at 10 [c10]\ngap at_end 10+0? to 0:10\n"
                                    "end not_found 10\n"
                            : BEGUN "interrupted at 10 [c10]\ngap at_end 10+0? to 0:10\n"
                                    "end incarnation_ended 10\n");
    }
}

/* As a recording goes on: what the file has, its feed and position say. */
static void a_feed_and_a_position_say_what_was_had(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);
    xenres_trace_query query = XENRES_TRACE_QUERY_INIT("1", 0);

    (void)state;
    query.feed = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    query.position = 4;
    ended(&s, b, 10);
    expect_trace_of(&s, &query, 0, "begin a 0:4=4\ndata 0:4=4+6\ncheckpoint 10\nend stopped 10\n");
    /* A cursor that the gateway does not know any more is no failure then. */
    query.cursor = "old";
    script_error(&s, "{\"error\":{\"code\":\"invalid_argument\",\"message\":\"no cursor\","
                     "\"details\":[{\"type\":\"google.rpc.BadRequest\",\"value\":"
                     "\"CgoKBmN1cnNvchIA\"}]}}");
    ended(&s, begun(&s), 10);
    expect_trace_of(&s, &query, 0, "begin a 0:4=4\ndata 0:4=4+6\ncheckpoint 10\nend stopped 10\n");
    query.cursor = NULL;
    query.feed = FEED_B;
    ended(&s, begun(&s), 10);
    expect_trace_of(&s, &query, 0, "gap at_end 4+0? to 0:4\nend not_found 4\n");
}

/* A recorder that was killed goes on with a cursor that is too old, in a segment that it knows. */
static void a_place_makes_what_is_lost_exact(void **state)
{
    const struct trace_begin held = { .position = 20, .offset = 15, .segment = 1 };
    xenres_trace_query query = XENRES_TRACE_QUERY_INIT("1", 0);
    struct script s = { .count = 0 };

    (void)state;
    query.feed = FEED_A;
    query.position = 10;
    query.cursor = "old";
    for (int has_place = 0; has_place < 2; has_place++) {
        query.has_place = has_place;
        query.segment = 1;
        query.offset = 5;
        script_error(&s, "{\"error\":{\"code\":\"out_of_range\",\"message\":\"missed\"}}");
        struct buffer *b = script_stream(&s);

        trace_say_begin(b, held);
        ended(&s, b, 20);
        expect_trace_of(&s, &query, 0,
                        has_place
                            ? "begin a 1:15=20\ngap interrupted 10+10 to 1:15\nend stopped 20\n"
                            : "begin a 1:15=20\ngap interrupted 10+10? to 1:15\nend stopped 20\n");
    }
}

static void calls_that_make_no_sense_are_refused(void **state)
{
    static struct tracing w;
    const struct script none = { .count = 0 };
    xenres_trace_query q[8];

    (void)state;
    tracing_start(&w, &none);
    for (size_t i = 0; i < sizeof(q) / sizeof(q[0]); i++) {
        q[i] = (xenres_trace_query)XENRES_TRACE_QUERY_INIT("1", 0);
    }
    q[0].domain = NULL;
    q[1].vcpu = XENRES_TRACED_VCPUS_MAX;
    q[2].trace_id = "123";
    q[3].feed = "xyz";
    q[4].feed = FEED_A;
    q[4].position = UINT64_MAX;
    q[5].size = 1;
    q[6].outage_max_ms = UINT32_MAX - 1;
    q[7].feed = FEED_A;
    q[7].has_place = true;
    q[7].offset = 1; /* of the first byte */
    for (size_t i = 0; i < sizeof(q) / sizeof(q[0]); i++) {
        w.query = q[i];
        tracing_run(&w);
        assert_int_equal(w.result, -XENRES_INVALID_ARGUMENT);
    }
    assert_int_equal(w.told.calls, 0);
    tracing_stop(&w);
}

/* --- control --- */

static void starts_and_says_whether_it_ran(void **state)
{
    static struct fixture f;
    struct trace_room room;
    Xenres__V1__StartTraceResponse m;
    struct buffer bytes;
    const uint32_t vcpus[] = { 0, 3 }, wrong[] = { 128 };
    xenres_trace_options o = XENRES_TRACE_OPTIONS_INIT("1");
    const xenres_trace *trace;
    bool joined = false;

    (void)state;
    xenres__v1__start_trace_response__init(&m);
    m.trace = trace_make(&room, (struct trace_facts){ .vcpus = { 0, 3 }, .vcpu_count = 2 });
    m.joined = true;
    const struct tls_server_step step = fixture_message(&bytes, &m.base);

    fixture_start(&f, &step, 1);
    o.vcpus = wrong;
    o.vcpu_count = 1;
    assert_int_equal(xenres_trace_start(f.handle, &o, &trace, &joined, &f.reply, &f.error),
                     -XENRES_INVALID_ARGUMENT);
    o.vcpus = vcpus;
    o.vcpu_count = 2;
    assert_int_equal(xenres_trace_start(f.handle, &o, &trace, &joined, &f.reply, &f.error), 0);
    assert_true(joined);
    assert_string_equal(trace->trace_id, TRACE_A);
    assert_int_equal(trace->vcpu_count, 2);
    assert_int_equal(trace->vcpus[1], 3);
    assert_string_equal(trace->metadata.cpu_vendor, "GenuineIntel");
    assert_string_equal(xenres_trace_end_reason_name(trace->end_reason), "runs");
    fixture_end(&f);
    buffer_done(&bytes);
}

/* What is answered is of the trace that was asked about, and makes sense. */
static void answers_of_others_are_refused(void **state)
{
    const struct trace_facts wrong[] = { { .uuid = UUID_B, .id = TRACE_A },
                                         { .id = TRACE_B },
                                         { .id = "1" },
                                         { .vcpus = { 1, 1 }, .vcpu_count = 2 },
                                         { .vcpus = { 128 } } };

    (void)state;
    for (size_t i = 0; i <= sizeof(wrong) / sizeof(wrong[0]); i++) {
        static struct fixture f;
        bool is_right = i == sizeof(wrong) / sizeof(wrong[0]);
        struct trace_room room;
        Xenres__V1__StopTraceResponse m;
        struct buffer bytes;
        const xenres_trace *trace = NULL;

        xenres__v1__stop_trace_response__init(&m);
        m.trace = trace_make(&room, is_right ? (struct trace_facts){ .id = TRACE_A } : wrong[i]);
        const struct tls_server_step step = fixture_message(&bytes, &m.base);

        fixture_start(&f, &step, 1);
        assert_int_equal(xenres_trace_stop(f.handle, UUID_A, TRACE_A, &trace, &f.reply, &f.error),
                         is_right ? 0 : -XENRES_INTERNAL);
        assert_true((trace != NULL) == is_right);
        fixture_end(&f);
        buffer_done(&bytes);
    }
}

static void renews_gets_and_lists(void **state)
{
    static struct fixture f;
    struct trace_room room;
    Xenres__V1__RenewTraceResponse renewed;
    Xenres__V1__GetTraceResponse got;
    Xenres__V1__ListTracesResponse listed;
    Xenres__V1__TraceVcpu vcpu, *vcpus[] = { &vcpu };
    struct buffer bytes[3];
    struct tls_server_step steps[3];
    const xenres_trace *trace;
    const xenres_trace_status *status;
    const xenres_traces *traces;

    (void)state;
    xenres__v1__renew_trace_response__init(&renewed);
    xenres__v1__get_trace_response__init(&got);
    xenres__v1__list_traces_response__init(&listed);
    xenres__v1__trace_vcpu__init(&vcpu);
    renewed.trace = got.trace = trace_make(&room, (struct trace_facts){ .id = NULL });
    vcpu.produced_bytes = 77;
    vcpu.fill_permille = 300;
    got.vcpus = vcpus;
    got.n_vcpus = 1;
    listed.traces = &got.trace;
    listed.n_traces = 1;
    steps[0] = fixture_message(&bytes[0], &renewed.base);
    steps[1] = fixture_message(&bytes[1], &got.base);
    steps[2] = fixture_message(&bytes[2], &listed.base);
    fixture_start(&f, steps, 3);
    assert_int_equal(xenres_trace_renew(f.handle, "1", NULL, 5000, &trace, &f.reply, &f.error), 0);
    assert_string_equal(trace->owner, "cn:alice");
    xenres_reply_free(f.reply);
    f.reply = NULL;
    assert_int_equal(xenres_trace_get(f.handle, "1", &status, &f.reply, &f.error), 0);
    assert_int_equal(status->vcpu_count, 1);
    assert_int_equal(status->vcpus[0].produced_bytes, 77);
    assert_int_equal(status->vcpus[0].fill_permille, 300);
    xenres_reply_free(f.reply);
    f.reply = NULL;
    assert_int_equal(xenres_trace_list(f.handle, &traces, &f.reply, &f.error), 0);
    assert_int_equal(traces->trace_count, 1);
    assert_string_equal(traces->traces[0].domain.uuid, UUID_A);
    fixture_end(&f);
    for (size_t i = 0; i < 3; i++) {
        buffer_done(&bytes[i]);
    }
}

static void numbers_have_names(void **state)
{
    (void)state;
    assert_string_equal(xenres_trace_end_reason_name(XENRES_TRACE_NOT_FOUND), "not_found");
    assert_string_equal(xenres_trace_end_reason_name(XENRES_TRACE_FAILED), "failed");
    assert_string_equal(xenres_trace_end_reason_name(XENRES_TRACE_CREDENTIALS_EXPIRED),
                        "credentials_expired");
    assert_string_equal(xenres_trace_end_reason_name(17), "");
    assert_string_equal(xenres_trace_end_reason_name(UINT32_MAX), "");
    assert_string_equal(xenres_trace_gap_reason_name(XENRES_TRACE_GAP_LAPPED), "lapped");
    assert_string_equal(xenres_trace_gap_reason_name(XENRES_TRACE_GAP_AT_END), "at_end");
    assert_string_equal(xenres_trace_gap_reason_name(0), "");
    assert_string_equal(xenres_trace_gap_reason_name(104), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_messages_come_in_their_order),
        cmocka_unit_test(it_goes_on_behind_the_cursor_and_delivers_nothing_twice),
        cmocka_unit_test(a_cursor_that_leads_nowhere_is_left_out),
        cmocka_unit_test(what_was_before_the_first_stream_is_told),
        cmocka_unit_test(a_gateway_that_stops_is_asked_again),
        cmocka_unit_test(what_was_not_sent_before_the_end_is_told_as_lost),
        cmocka_unit_test(a_trace_that_is_over_is_over),
        cmocka_unit_test(a_feed_and_a_position_say_what_was_had),
        cmocka_unit_test(a_place_makes_what_is_lost_exact),
        cmocka_unit_test(calls_that_make_no_sense_are_refused),
        cmocka_unit_test(starts_and_says_whether_it_ran),
        cmocka_unit_test(answers_of_others_are_refused),
        cmocka_unit_test(renews_gets_and_lists),
        cmocka_unit_test(numbers_have_names),
    };

    return UNIT_RUN(tests);
}
