/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* TraceService but for its stream: what is asked of the mapper, whose trace may be ended by whom, and what is
 * told of traces. */
#include "tests/lib/trace_calls.h"

static struct trace_rig r;

static int set_up(void **state)
{
    (void)state;
    trace_rig_begin(&r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    trace_rig_done(&r);
    return 0;
}

#define WEB "\"domain\":\"web-1\""

static const json_t *trace_of(const json_t *m)
{
    const json_t *t = json_object_get(m, "trace");

    assert_true(json_is_object(t));
    return t;
}

/* --- started ------------------------------------------------------------------------------------------- */

static void a_trace_is_started_as_it_is_asked_for(void **state)
{
    const struct message_trace_start *s = &r.start;

    (void)state;
    json_t *m = trace_call_json(&r, &r.rpc.alice, "StartTrace",
                                "{" WEB ",\"vcpus\":[0,70,127,70],\"os\":true,\"noRetc\":true,"
                                "\"pausesPerSecond\":250,\"lease\":\"7.5s\",\"takeover\":true}");

    assert_int_equal(s->domain.domid, 1);
    assert_string_equal(s->domain.name, "web-1");
    assert_true(s->vcpus[0] == 1 && s->vcpus[1] == (UINT64_C(1) << 6 | UINT64_C(1) << 63));
    assert_int_equal(s->flags, TRACE_OS | TRACE_NO_RETC | TRACE_TAKEOVER);
    assert_int_equal(s->pauses_per_second, 250);
    assert_int_equal(s->lease_ms, 7500);
    assert_string_equal(s->owner, "cn:alice");
    assert_true(s->deadline_ns > clock_monotonic_ns());
    assert_false(watch_flag(m, "joined"));
    json_decref(m);
    m = trace_call_json(&r, &r.rpc.alice, "StartTrace",
                        "{" WEB ",\"user\":true,\"noTsc\":true,\"lease\":\"0.000000001s\"}");
    assert_true(s->vcpus[0] == 0 && s->vcpus[1] == 0);
    assert_int_equal(s->flags, TRACE_USER | TRACE_NO_TSC);
    assert_int_equal(s->pauses_per_second, 0);
    assert_int_equal(s->lease_ms, 1); /* not "as the gateway is set up" */
    assert_true(watch_flag(m, "joined"));
    json_decref(m);
}

/* --- within a share of the pauses ---------------------------------------------------------------------- */

static void set_share(unsigned pauses)
{
    char text[sizeof(trace_rig_policy) + 128];

    (void)snprintf(text, sizeof(text),
                   "%slimits \"pauses\" { identities = { \"cn:alice\" } pauses_per_second = %u }\n",
                   trace_rig_policy, pauses);
    trace_rig_set_policy(&r, text);
}

/* Another trace of alice's: of domain `domid`, 400 pauses a second of each of two vCPUs. */
static void add_running(uint16_t domid)
{
    struct message_trace *t = &r.traces[r.trace_count++];

    *t = trace_rig_trace((uint8_t)domid);
    t->domain = fake_domain(domid, "other", (uint8_t)domid, (uint8_t)domid).identity;
}

static void a_start_is_refused_beyond_the_callers_share_of_pauses(void **state)
{
    (void)state;
    add_running(5);
    add_running(6);
    r.traces_a_page = 1; /* several questions */
    set_share(2 * 800 + 100);
    trace_call_fails(&r, &r.rpc.alice, "StartTrace",
                     "{" WEB ",\"vcpus\":[0],\"pausesPerSecond\":101}", ERROR_RESOURCE_EXHAUSTED,
                     NULL);
    assert_int_equal(r.starts, 0);
    assert_int_equal(r.asked, 3);
    json_decref(trace_call_json(&r, &r.rpc.alice, "StartTrace",
                                "{" WEB ",\"vcpus\":[0],\"pausesPerSecond\":100}"));
    assert_int_equal(r.start.pauses_per_second, 100);
    /* What has ended, and what is another's, costs her nothing. */
    trace_rig_end_trace(&r.traces[1], FEED_END_STOPPED_BY_CALLER);
    snprintf(r.traces[2].owner, sizeof(r.traces[2].owner), "cn:bob");
    json_decref(trace_call_json(&r, &r.rpc.alice, "StartTrace",
                                "{" WEB ",\"vcpus\":[0],\"pausesPerSecond\":1700}"));
    trace_call_fails(&r, &r.rpc.alice, "StartTrace",
                     "{" WEB ",\"vcpus\":[0],\"pausesPerSecond\":1701}", ERROR_RESOURCE_EXHAUSTED,
                     NULL);
    /* Nobody has a larger budget than the mapper gives. */
    set_share(5000);
    json_decref(trace_call_json(&r, &r.rpc.alice, "StartTrace",
                                "{" WEB ",\"vcpus\":[0],\"pausesPerSecond\":1000000}"));
}

/* Whosever they are: here bob's, of which each of two vCPUs may be paused 400 times. */
static void a_start_is_refused_beyond_what_all_may_make(void **state)
{
    (void)state;
    add_running(5);
    snprintf(r.traces[1].owner, sizeof(r.traces[1].owner), "cn:bob");
    quota_set_pauses_limit(r.rpc.quota, 0, 900);
    trace_call_fails(&r, &r.rpc.alice, "StartTrace",
                     "{" WEB ",\"vcpus\":[0],\"pausesPerSecond\":101}", ERROR_RESOURCE_EXHAUSTED,
                     NULL);
    assert_int_equal(r.starts, 0);
    json_decref(trace_call_json(&r, &r.rpc.alice, "StartTrace",
                                "{" WEB ",\"vcpus\":[0],\"pausesPerSecond\":100}"));
    assert_int_equal(r.start.pauses_per_second, 100);
    trace_rig_end_trace(&r.traces[1], FEED_END_STOPPED_BY_CALLER);
    json_decref(trace_call_json(&r, &r.rpc.alice, "StartTrace",
                                "{" WEB ",\"vcpus\":[0],\"pausesPerSecond\":900}"));
}

static void who_asks_for_no_budget_gets_one_that_his_share_has(void **state)
{
    (void)state;
    set_share(800);
    json_decref(trace_call_json(&r, &r.rpc.alice, "StartTrace", "{" WEB ",\"vcpus\":[0,1]}"));
    assert_int_equal(r.start.pauses_per_second, 0); /* the mapper's own */
    json_decref(trace_call_json(&r, &r.rpc.alice, "StartTrace", "{" WEB ",\"vcpus\":[0,1,2]}"));
    assert_int_equal(r.start.pauses_per_second, 266);
    set_share(2);
    trace_call_fails(&r, &r.rpc.alice, "StartTrace", "{" WEB ",\"vcpus\":[0,1,2]}",
                     ERROR_RESOURCE_EXHAUSTED, NULL);
}

static void a_trace_is_told_with_all_that_is_known_of_it(void **state)
{
    struct message_trace *t = &r.traces[0];

    (void)state;
    t->vcpus[0] = 5;
    t->vcpus[1] = 1;
    t->vcpu_count = 3;
    t->flags = TRACE_NO_RETC;
    t->facts = (struct message_trace_facts){ .rtit_ctl = UINT64_C(1) << 40,
                                             .buffer_bytes = 1 << 20,
                                             .cpu_vendor = "GenuineIntel",
                                             .cpu_family = 6,
                                             .cpu_model = 85,
                                             .cpu_stepping = 7,
                                             .cpuid_15_eax = 2,
                                             .cpuid_15_ebx = 176,
                                             .cpuid_15_ecx = 24000000,
                                             .nominal_mhz = 2100,
                                             .tsc_khz = 2112000,
                                             .guest_tsc_mode = 1,
                                             .guest_tsc_khz = 1000000,
                                             .guest_bits = 64 };
    json_t *m = trace_call_json(&r, &r.rpc.alice, "StartTrace", "{" WEB "}");
    const json_t *told = trace_of(m), *facts = json_object_get(told, "metadata");

    assert_string_equal(watch_text(told, "traceId"), "7a010000000000000000000000000000");
    assert_string_equal(watch_text(json_object_get(told, "domain"), "name"), "web-1");
    assert_string_equal(watch_text(told, "owner"), "cn:alice");
    const json_t *vcpus = json_object_get(told, "vcpus");

    assert_int_equal(json_array_size(vcpus), 3);
    assert_int_equal(json_integer_value(json_array_get(vcpus, 1)), 2);
    assert_int_equal(json_integer_value(json_array_get(vcpus, 2)), 64);
    assert_true(watch_flag(told, "os") && watch_flag(told, "user")); /* neither: both */
    assert_true(watch_flag(told, "tsc") && !watch_flag(told, "retc"));
    assert_true(watch_flag(told, "lapsDetectable"));
    assert_string_equal(watch_text(told, "lease"), "60s");
    assert_string_equal(watch_text(told, "leaseLeft"), "59s");
    assert_string_equal(watch_text(told, "startTime"), "2023-11-14T22:13:20.123456789Z");
    assert_null(json_object_get(told, "endTime"));
    assert_null(json_object_get(told, "endReason"));
    assert_true(watch_number(facts, "rtitCtl") == UINT64_C(1) << 40);
    assert_int_equal(watch_number(facts, "bufferBytes"), 1 << 20);
    assert_string_equal(watch_text(facts, "cpuVendor"), "GenuineIntel");
    assert_int_equal(watch_number(facts, "cpuModel"), 85);
    assert_int_equal(watch_number(facts, "cpuid15Ecx"), 24000000);
    assert_int_equal(watch_number(facts, "guestTscKhz"), 1000000);
    json_decref(m);
}

static void what_cannot_be_traced_is_refused_by_its_field(void **state)
{
    static const struct {
        const char *method, *json, *field;
    } rows[] = {
        { "StartTrace", "{" WEB ",\"vcpus\":[0,128]}", "vcpus" },
        { "StartTrace", "{" WEB ",\"lease\":\"-1s\"}", "lease" },
        { "StartTrace", "{" WEB ",\"lease\":\"-0.001s\"}", "lease" },
        { "StartTrace", "{" WEB ",\"lease\":\"4294967s\"}", "lease" },
        { "StartTrace", "{}", "domain" },
        { "StopTrace", "{" WEB ",\"traceId\":\"x\"}", "trace_id" },
        { "RenewTrace", "{" WEB ",\"traceId\":\"7a\"}", "trace_id" },
        { "RenewTrace", "{" WEB ",\"lease\":\"-1s\"}", "lease" },
        { "ListTraces", "{\"pageSize\":-1}", "page_size" },
        { "ListTraces", "{\"pageToken\":\"x\"}", "page_token" },
        { "ReadTrace", "{" WEB ",\"vcpu\":128}", "vcpu" },
        { "ReadTrace", "{" WEB ",\"traceId\":\"x\"}", "trace_id" },
        { "ReadTrace", "{" WEB ",\"cursor\":\"x\"}", "cursor" },
        { "GetTrace", "{" WEB ",\"incarnation\":\"x\"}", "incarnation" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        trace_call_fails(&r, &r.rpc.alice, rows[i].method, rows[i].json, ERROR_INVALID_ARGUMENT,
                         rows[i].field);
    }
    json_decref(trace_call_json(&r, &r.rpc.alice, "StartTrace",
                                "{" WEB ",\"vcpus\":[127],\"lease\":\"4294966s\"}")); /* the most */
    assert_int_equal(r.start.lease_ms, UINT32_C(4294966000));
}

static void what_the_mapper_refuses_is_told(void **state)
{
    (void)state;
    r.fails = ERROR_FAILED_PRECONDITION;
    trace_call_fails(&r, &r.rpc.alice, "StartTrace", "{" WEB "}", ERROR_FAILED_PRECONDITION, NULL);
    r.fails = ERROR_PERMISSION_DENIED;
    trace_call_fails(&r, &r.rpc.alice, "StopTrace", "{" WEB "}", ERROR_PERMISSION_DENIED, NULL);
    r.fails = ERROR_OUT_OF_RANGE;
    trace_call_fails(&r, &r.rpc.alice, "RenewTrace", "{" WEB "}", ERROR_OUT_OF_RANGE, NULL);
}

/* --- whose it is --------------------------------------------------------------------------------------- */

static void its_owner_and_who_administrates_end_it_and_nobody_else(void **state)
{
    static const char *const methods[] = { "StopTrace", "RenewTrace" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        r.traces[0] = trace_rig_trace(1);
        trace_call_fails(&r, &r.bob, methods[i], "{" WEB "}", ERROR_PERMISSION_DENIED, NULL);
        trace_call_fails(&r, &r.carol, methods[i], "{" WEB "}", ERROR_PERMISSION_DENIED, NULL);
        assert_int_equal(r.stops + r.renewals, i * 2);
        json_decref(trace_call_json(&r, &r.root, methods[i], "{" WEB "}"));
        r.traces[0] = trace_rig_trace(1);
        json_decref(trace_call_json(&r, &r.rpc.alice, methods[i], "{" WEB "}"));
    }
    assert_true(r.stops == 2 && r.renewals == 2);
}

/* Who may only end traces still has to be allowed that for this domain. */
static void the_policy_has_to_allow_it(void **state)
{
    static const char *const controls[] = { "StartTrace", "StopTrace", "RenewTrace" };
    static const char *const reads[] = { "GetTrace", "ReadTrace" };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        trace_call_fails(&r, &r.carol, controls[i], "{" WEB "}", ERROR_PERMISSION_DENIED, NULL);
        trace_call_fails(&r, &r.rpc.viewer, controls[i], "{" WEB "}", ERROR_PERMISSION_DENIED,
                         NULL);
        trace_call_fails(&r, &r.rpc.nobody, controls[i], "{" WEB "}", ERROR_NOT_FOUND, NULL);
    }
    for (size_t i = 0; i < 2; i++) {
        trace_call_fails(&r, &r.rpc.viewer, reads[i], "{" WEB "}", ERROR_PERMISSION_DENIED, NULL);
        trace_call_fails(&r, &r.root, reads[i], "{" WEB "}", ERROR_PERMISSION_DENIED, NULL);
        trace_call_fails(&r, &r.rpc.nobody, reads[i], "{" WEB "}", ERROR_NOT_FOUND, NULL);
    }
    trace_call_fails(&r, &r.rpc.viewer, "ListTraces", "{}", ERROR_PERMISSION_DENIED, NULL);
    assert_int_equal(r.starts + r.stops + r.renewals + r.watches + r.asked, 0);
    json_decref(trace_call_json(&r, &r.carol, "GetTrace", "{" WEB "}"));
}

/* --- stopped, renewed ---------------------------------------------------------------------------------- */

static void a_stopped_trace_says_how_it_ended(void **state)
{
    (void)state;
    json_t *m = trace_call_json(&r, &r.rpc.alice, "StopTrace",
                                "{" WEB ",\"traceId\":\"7a010000000000000000000000000000\"}");

    assert_string_equal(watch_text(trace_of(m), "endReason"), "TRACE_END_REASON_STOPPED");
    assert_string_equal(watch_text(trace_of(m), "endTime"), "2023-11-14T22:13:21.123456789Z");
    json_decref(m);
    m = trace_call_json(&r, &r.rpc.alice, "StopTrace", "{" WEB "}"); /* again */
    assert_string_equal(watch_text(trace_of(m), "endReason"), "TRACE_END_REASON_STOPPED");
    json_decref(m);
    assert_int_equal(r.stops, 1);
    trace_call_fails(&r, &r.rpc.alice, "RenewTrace", "{" WEB "}", ERROR_FAILED_PRECONDITION, NULL);
    assert_int_equal(r.renewals, 0);
}

static void each_reason_of_an_end_has_its_name(void **state)
{
    static const struct {
        uint32_t reason;
        const char *name;
    } rows[] = {
        { FEED_END_INCARNATION, "INCARNATION_ENDED" },
        { FEED_END_RENAMED, "RENAMED" },
        { FEED_END_SHUTDOWN, "SHUTDOWN" },
        { FEED_END_STOPPED_BY_CALLER, "STOPPED" },
        { FEED_END_LEASE, "LEASE_ENDED" },
        { FEED_END_TAKEN_OVER, "TAKEN_OVER" },
        { FEED_END_INTERFERED, "INTERFERED" },
        { FEED_END_TRACE_ERROR, "HARDWARE_ERROR" },
        { FEED_END_TRACE_STOPPED, "HARDWARE_STOPPED" },
        { FEED_END_FAILED, "SAMPLING_FAILED" },
        { FEED_END_STOPPED, "MAPPER_GONE" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message_trace *t = &r.traces[0];
        char name[64];

        trace_rig_end_trace(t, rows[i].reason);
        t->shutdown_code = 3;
        memset(&t->failure, 0, sizeof(t->failure));
        if (rows[i].reason == FEED_END_INTERFERED) {
            failure_set(&t->failure, ERROR_ABORTED, "RTIT_CTL is not as it was set");
            failure_cause(&t->failure, 0, "another tool has written it");
        }
        json_t *m = trace_call_json(&r, &r.carol, "GetTrace", "{" WEB "}");
        const json_t *told = trace_of(m);

        (void)snprintf(name, sizeof(name), "TRACE_END_REASON_%s", rows[i].name);
        assert_string_equal(watch_text(told, "endReason"), name);
        assert_int_equal(watch_number(told, "shutdownCode"),
                         rows[i].reason == FEED_END_SHUTDOWN ? 3 : 0);
        assert_string_equal(watch_text(json_object_get(told, "failure"), "cause"),
                            rows[i].reason == FEED_END_INTERFERED ? "another tool has written it"
                                                                  : "");
        json_decref(m);
    }
}

static void a_lease_begins_anew_as_long_as_is_wanted(void **state)
{
    (void)state;
    json_decref(trace_call_json(&r, &r.rpc.alice, "RenewTrace", "{" WEB ",\"lease\":\"90s\"}"));
    assert_int_equal(r.renewal.lease_ms, 90000);
    assert_memory_equal(r.renewal.trace_id, r.traces[0].trace_id, 16);
    json_decref(trace_call_json(&r, &r.rpc.alice, "RenewTrace", "{" WEB "}"));
    assert_int_equal(r.renewal.lease_ms, 0);
}

/* Only the trace that is meant is ended, not what has begun meanwhile. */
static void another_trace_is_not_taken_for_the_one_that_is_named(void **state)
{
    static const char named[] = "{" WEB ",\"traceId\":\"7a090000000000000000000000000000\"}";

    (void)state;
    trace_call_fails(&r, &r.rpc.alice, "StopTrace", named, ERROR_ABORTED, NULL);
    trace_call_fails(&r, &r.rpc.alice, "RenewTrace", named, ERROR_ABORTED, NULL);
    trace_call_fails(&r, &r.rpc.alice, "ReadTrace", named, ERROR_ABORTED, NULL);
    r.traces[0].domain.incarnation[3] = 1; /* another life's */
    trace_call_fails(&r, &r.rpc.alice, "StopTrace", "{" WEB "}", ERROR_NOT_FOUND, NULL);
    trace_call_fails(&r, &r.rpc.alice, "GetTrace", "{" WEB "}", ERROR_NOT_FOUND, NULL);
    assert_int_equal(r.stops + r.renewals, 0);
}

/* Who may see the domain by the name that it has now, may not therefore see what it was by another. */
static void a_trace_of_before_a_renaming_is_not_told_of_the_new_name(void **state)
{
    static const char *const methods[] = { "GetTrace", "StopTrace", "RenewTrace" };
    static const char named[] = "{" WEB ",\"traceId\":\"7a010000000000000000000000000000\"}";
    struct domain_identity *domain = &r.traces[0].domain;

    (void)state;
    memset(domain->name, 0, sizeof(domain->name));
    memcpy(domain->name, "secret", sizeof("secret")); /* the same incarnation */
    trace_rig_end_trace(&r.traces[0], FEED_END_RENAMED);
    for (size_t i = 0; i < 3; i++) {
        trace_call_fails(&r, &r.rpc.alice, methods[i], "{" WEB "}", ERROR_NOT_FOUND, NULL);
    }
    trace_call_fails(&r, &r.rpc.alice, "ReadTrace", "{" WEB "}", ERROR_FAILED_PRECONDITION, NULL);
    trace_call_fails(&r, &r.rpc.alice, "StopTrace", named, ERROR_ABORTED, NULL);
    trace_call_fails(&r, &r.rpc.alice, "ReadTrace", named, ERROR_ABORTED, NULL);
    assert_int_equal(r.stops + r.renewals, 0);
}

static void where_nothing_is_traced_that_is_said(void **state)
{
    (void)state;
    r.trace_count = 0;
    trace_call_fails(&r, &r.rpc.alice, "GetTrace", "{" WEB "}", ERROR_NOT_FOUND, NULL);
    trace_call_fails(&r, &r.rpc.alice, "StopTrace", "{" WEB "}", ERROR_NOT_FOUND, NULL);
    trace_call_fails(&r, &r.rpc.alice, "RenewTrace", "{" WEB "}", ERROR_NOT_FOUND, NULL);
    trace_call_fails(&r, &r.rpc.alice, "ReadTrace", "{" WEB "}", ERROR_FAILED_PRECONDITION, NULL);
}

/* --- looked at ----------------------------------------------------------------------------------------- */

static void each_vcpu_is_told_however_many_answers_it_takes(void **state)
{
    (void)state;
    r.vcpu_count = 40;
    r.vcpus_a_page = 15;
    for (uint32_t i = 0; i < 40; i++) {
        r.vcpus[i] = (struct message_trace_vcpu){ .vcpu = i * 3,
                                                  .is_over = i == 39,
                                                  .produced_bytes = UINT64_C(1) << 40 | i,
                                                  .lost_bytes = i,
                                                  .open_losses = 2,
                                                  .segment = 3,
                                                  .epoch = 1,
                                                  .fill_permille = 310,
                                                  .fill_most_permille = 420,
                                                  .bytes_per_second = 8388608,
                                                  .period_ns = 2500000,
                                                  .pauses = 77,
                                                  .samples = 70,
                                                  .late = 4 };
    }
    json_t *m = trace_call_json(&r, &r.carol, "GetTrace", "{" WEB "}");
    const json_t *vcpus = json_object_get(m, "vcpus"), *last = json_array_get(vcpus, 39);

    assert_int_equal(json_array_size(vcpus), 40);
    assert_int_equal(watch_number(last, "vcpu"), 117);
    assert_true(watch_number(last, "producedBytes") == (UINT64_C(1) << 40 | 39));
    assert_int_equal(watch_number(last, "lostBytes"), 39);
    assert_int_equal(watch_number(last, "openLosses"), 2);
    assert_int_equal(watch_number(last, "segment"), 3);
    assert_int_equal(watch_number(last, "fillPermille"), 310);
    assert_int_equal(watch_number(last, "fillMostPermille"), 420);
    assert_int_equal(watch_number(last, "bytesPerSecond"), 8388608);
    assert_string_equal(watch_text(last, "period"), "0.002500s");
    assert_int_equal(watch_number(last, "pauses"), 77);
    assert_int_equal(watch_number(last, "lateSamples"), 4);
    assert_true(watch_flag(last, "over") && !watch_flag(json_array_get(vcpus, 0), "over"));
    json_decref(m);
}

/* Traces 1, 2 (web-1, which has two), 3 (web-2), 4 (vault), 5 (db). */
static void add_traces(void)
{
    static const struct message_domain others[] = {
        { .identity = { .domid = 2, .name = "web-2" } },
        { .identity = { .domid = 3, .name = "vault" } },
        { .identity = { .domid = 4, .name = "db" } },
    };

    r.traces[1] = trace_rig_trace(2);
    trace_rig_end_trace(&r.traces[1], FEED_END_LEASE);
    for (uint8_t i = 0; i < 3; i++) {
        r.traces[2 + i] = trace_rig_trace((uint8_t)(3 + i));
        r.traces[2 + i].domain = others[i].identity;
    }
    r.trace_count = 5;
}

/* Reads the list page by page; "12345" for all five. */
static void list(const struct identity *who, unsigned page, char out[16])
{
    char json[2048] = "", *at = out;

    (void)snprintf(json, sizeof(json), "{\"pageSize\":%u}", page);
    for (;;) {
        json_t *m = trace_call_json(&r, who, "ListTraces", json);
        const json_t *traces = json_object_get(m, "traces");
        const char *token = watch_text(m, "nextPageToken");

        assert_true(json_array_size(traces) <= page);
        for (size_t i = 0; i < json_array_size(traces); i++) {
            *at++ = watch_text(json_array_get(traces, i), "traceId")[3];
        }
        *at = '\0';
        bool is_last = token[0] == '\0';

        (void)snprintf(json, sizeof(json), "{\"pageSize\":%u,\"pageToken\":\"%s\"}", page, token);
        json_decref(m);
        if (is_last) {
            return;
        }
    }
}

static void traces_are_listed_by_pages_and_only_those_that_may_be_read(void **state)
{
    char seen[16];

    (void)state;
    add_traces();
    for (unsigned page = 1; page <= 6; page++) {
        for (r.traces_a_page = 1; r.traces_a_page <= 5; r.traces_a_page++) {
            list(&r.rpc.alice, page, seen);
            assert_string_equal(seen, "12345");
            list(&r.carol, page, seen); /* web-* only */
            assert_string_equal(seen, "123");
        }
    }
    r.trace_count = 0;
    list(&r.rpc.alice, 1, seen);
    assert_string_equal(seen, "");
}

static void a_page_goes_on_behind_what_was_told_also_where_traces_went_meanwhile(void **state)
{
    char json[2048], seen = '\0';

    (void)state;
    add_traces();
    json_t *m = trace_call_json(&r, &r.rpc.alice, "ListTraces", "{\"pageSize\":1}");

    (void)snprintf(json, sizeof(json), "{\"pageSize\":1,\"pageToken\":\"%s\"}",
                   watch_text(m, "nextPageToken"));
    json_decref(m);
    r.traces[0] = r.traces[1]; /* 1 has gone: not 2 with it */
    memmove(&r.traces[1], &r.traces[2], 3 * sizeof(r.traces[0]));
    r.trace_count = 4;
    m = trace_call_json(&r, &r.rpc.alice, "ListTraces", json);
    seen = watch_text(json_array_get(json_object_get(m, "traces"), 0), "traceId")[3];
    assert_int_equal(seen, '2');
    json_decref(m);
    trace_call_fails(&r, &r.carol, "ListTraces", json, ERROR_INVALID_ARGUMENT, "page_token");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trace_is_started_as_it_is_asked_for),
        TEST(a_start_is_refused_beyond_the_callers_share_of_pauses),
        TEST(a_start_is_refused_beyond_what_all_may_make),
        TEST(who_asks_for_no_budget_gets_one_that_his_share_has),
        TEST(a_trace_is_told_with_all_that_is_known_of_it),
        TEST(what_cannot_be_traced_is_refused_by_its_field),
        TEST(what_the_mapper_refuses_is_told),
        TEST(its_owner_and_who_administrates_end_it_and_nobody_else),
        TEST(the_policy_has_to_allow_it),
        TEST(a_stopped_trace_says_how_it_ended),
        TEST(each_reason_of_an_end_has_its_name),
        TEST(a_lease_begins_anew_as_long_as_is_wanted),
        TEST(another_trace_is_not_taken_for_the_one_that_is_named),
        TEST(a_trace_of_before_a_renaming_is_not_told_of_the_new_name),
        TEST(where_nothing_is_traced_that_is_said),
        TEST(each_vcpu_is_told_however_many_answers_it_takes),
        TEST(traces_are_listed_by_pages_and_only_those_that_may_be_read),
        TEST(a_page_goes_on_behind_what_was_told_also_where_traces_went_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
