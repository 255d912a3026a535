/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What tests/system/metrics.sh cannot make: the most that there can be, and a mapper that lies. */
#include "server/metrics.h"

#include <stdio.h>

#include "server/http/health.h"
#include "server/rpc/method.h"
#include "tests/lib/unit.h"

enum { SERIES_MAX = 1000 }; /* as xenresd-metrics(7) has it */

static struct metrics own;
static struct meter *meter;

static int set_up(void **state)
{
    (void)state;
    metrics_init(&own);
    return meter_new(&services_table, &meter, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    meter_free(meter);
    return 0;
}

static struct metrics_sources sources(void)
{
    return (struct metrics_sources){ .own = &own, .meter = meter };
}

static const char *written(const struct metrics_sources *s, struct buffer *out)
{
    buffer_reset(out);
    metrics_write(s, EXPOSITION_TEXT, out);
    return buffer_string(out);
}

static void has(const char *text, const char *part)
{
    if (text == NULL || strstr(text, part) == NULL) {
        fail_msg("%s is not in:\n%s", part, text != NULL ? text : "(nothing)");
    }
}

/* Every code of every method has come, and every number is as long as it can be. */
static void the_most_that_there_can_be_fits(void **state)
{
    BUFFER_AUTO(out, HEALTH_METRICS_MAX_BYTES);
    struct metrics_sources s = sources();
    struct message_hello_answer hello;
    struct message_counters_answer counters;
    size_t series = 0;

    (void)state;
    memset(&counters, 0xff, sizeof(counters));
    memset(&hello, '\\', sizeof(hello));
    hello.version[sizeof(hello.version) - 1] = hello.backend[sizeof(hello.backend) - 1] = '\0';
    memset(&s.connections, 0xff, sizeof(s.connections));
    memset(&s.feeds, 0xff, sizeof(s.feeds));
    memset(&s.limit_hits, 0xff, sizeof(s.limit_hits));
    memset(&s.tokens_refused, 0xff, sizeof(s.tokens_refused));
    memset(&s.watches, 0xff, sizeof(s.watches));
    s.watches.lag_sum_ns = UINT64_MAX;
    for (size_t i = 0; i < WATCH_LAG_BUCKETS; i++) {
        s.watches.lags[i] = UINT64_MAX / WATCH_LAG_BUCKETS; /* which are added up */
    }
    s.mapper = &hello;
    s.counters = &counters;
    s.counters_age_ns = UINT64_MAX;
    for (size_t i = 0; i <= services_table.count; i++) {
        for (int code = 0; code < METER_CODES; code++) {
            meter_count(meter,
                        &(struct meter_event){
                            .method = i < services_table.count ? &services_table.methods[i] : NULL,
                            .code = (enum error_code)code,
                            .duration_ns = UINT64_MAX / METER_CODES,
                            .body_bytes = UINT64_MAX / METER_CODES,
                        });
        }
    }
    const char *text = written(&s, &out);

    assert_non_null(text);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        series += *line != '#';
    }
    assert_in_range(series, 300, SERIES_MAX);
    assert_true(out.len_bytes < HEALTH_METRICS_MAX_BYTES / 2); /* room for longer numbers */
    has(text, "xenresd_requests_total{method=\"unknown\",code=\"unauthenticated\"} 1\n");
}

static void a_mappers_texts_stay_within_their_labels(void **state)
{
    BUFFER_AUTO(out, HEALTH_METRICS_MAX_BYTES);
    struct metrics_sources s = sources();
    struct message_hello_answer hello = { .version = "1\"} 1\nx 1\n", .backend = "\xff\x1b" };

    (void)state;
    s.mapper = &hello;
    const char *text = written(&s, &out);

    has(text, "\nxenresd_mapper_info{version=\"1\\\"} 1\\nx 1\\n\",backend=\"??\"} 1\n");
    has(text, "\nxenresd_mapper_connected 1\n");
    assert_null(strstr(text, "\nx 1"));
    assert_null(strstr(text, "xenresd_mapper_hypercalls")); /* it has not said */
}

static void of_a_mapper_that_is_away_nothing_is_told(void **state)
{
    BUFFER_AUTO(out, HEALTH_METRICS_MAX_BYTES);
    struct metrics_sources s = sources();
    struct message_counters_answer counters = { .hypercalls = 5 };

    (void)state;
    s.counters = &counters; /* of the one before */
    s.mapper_restarts = 7;
    const char *text = written(&s, &out);

    has(text, "\nxenresd_mapper_connected 0\n");
    has(text, "\nxenresd_mapper_restarts_total 7\n");
    assert_null(strstr(text, "xenresd_mapper_hypercalls"));
    assert_null(strstr(text, "xenresd_mapper_info"));
}

static void limits_that_were_hit_are_told_by_their_names(void **state)
{
    BUFFER_AUTO(out, HEALTH_METRICS_MAX_BYTES);
    struct metrics_sources s = sources();

    (void)state;
    s.limit_hits[QUOTA_REQUESTS] = 3;
    s.limit_hits[QUOTA_IDENTITIES] = 4;
    s.feeds.refused_spools = 5;
    const char *text = written(&s, &out);

    has(text, "\nxenresd_limit_hits_total{limit=\"requests_per_second\"} 3\n");
    has(text, "\nxenresd_limit_hits_total{limit=\"identities\"} 4\n");
    has(text, "\nxenresd_limit_hits_total{limit=\"spool_bytes\"} 5\n");
    has(text, "\nxenresd_limit_hits_total{limit=\"pauses_per_second\"} 0\n");
}

static void what_is_lost_of_traces_is_told_by_its_reason(void **state)
{
    BUFFER_AUTO(out, HEALTH_METRICS_MAX_BYTES);
    struct metrics_sources s = sources();
    struct message_hello_answer hello = { .version = "1" };
    struct message_counters_answer counters = { .produced_bytes = 1,
                                                .lost_bytes = 2,
                                                .open_losses = 3,
                                                .vcpu_pauses = 4,
                                                .pause_refusals = 5,
                                                .tags_ignored = 6,
                                                .traces = 6,
                                                .traced_vcpus = 7 };

    (void)state;
    s.mapper = &hello;
    s.counters = &counters;
    s.feeds.delivered_bytes = 8;
    s.watches.trace_renewals = 9;
    for (uint64_t i = 0; i < WATCH_LOSS_COUNT; i++) {
        s.watches.losses[i] = 10 + i;
        s.watches.lost_bytes[i] = 20 + i;
    }
    const char *text = written(&s, &out);

    has(text, "\nxenresd_mapper_produced_bytes_total 1\n");
    has(text, "\nxenresd_mapper_lost_bytes_total 2\n");
    has(text, "\nxenresd_mapper_open_losses_total 3\n");
    has(text, "\nxenresd_mapper_vcpu_pauses_total 4\n");
    has(text, "\nxenresd_mapper_pause_refusals_total 5\n");
    has(text, "\nxenresd_mapper_tags_ignored_total 6\n");
    has(text, "\nxenresd_mapper_traces 6\n");
    has(text, "\nxenresd_mapper_traced_vcpus 7\n");
    has(text, "\nxenresd_delivered_bytes_total 8\n");
    has(text, "\nxenresd_trace_renewals_total 9\n");
    has(text, "\nxenresd_trace_gaps_total{reason=\"lapped\"} 10\n");
    has(text, "\nxenresd_lost_bytes_total{reason=\"too_slow\"} 24\n");
}

static void every_reason_is_in_one_family(void **state)
{
    BUFFER_AUTO(out, HEALTH_METRICS_MAX_BYTES);
    struct metrics_sources s = sources();
    char part[128];

    (void)state;
    for (int why = 0; why < LISTENER_REFUSAL_COUNT; why++) {
        s.connections.refused[why] = 100 + (uint64_t)why;
    }
    const char *text = written(&s, &out);

    for (int why = 0; why < LISTENER_REFUSAL_COUNT; why++) {
        const char *family = why < LISTENER_REFUSED_TLS_VERSION  ? "connections_refused"
                             : why < LISTENER_ENDED_SLOW_REQUEST ? "tls_failures"
                                                                 : "connections_ended";

        (void)snprintf(part, sizeof(part), "\nxenresd_%s_total{reason=\"%s\"} %d\n", family,
                       listener_refusal_name((enum listener_refusal)why), 100 + why);
        has(text, part);
    }
}

static void tokens_that_were_refused_are_told_by_their_reason(void **state)
{
    BUFFER_AUTO(out, HEALTH_METRICS_MAX_BYTES);
    struct metrics_sources s = sources();
    char part[128];

    (void)state;
    for (int why = 0; why < TOKEN_FAULT_COUNT; why++) {
        s.tokens_refused[why] = 100 + (uint64_t)why;
    }
    const char *text = written(&s, &out);

    for (int why = 0; why < TOKEN_FAULT_COUNT; why++) {
        (void)snprintf(part, sizeof(part), "\nxenresd_tokens_refused_total{reason=\"%s\"} %d\n",
                       token_fault_name((enum token_fault)why), 100 + why);
        has(text, part);
    }
}

static void a_failed_reload_counts_until_one_succeeds(void **state)
{
    BUFFER_AUTO(out, HEALTH_METRICS_MAX_BYTES);
    struct metrics_sources s = sources();
    const char *text;

    (void)state;
    has(written(&s, &out), "\nxenresd_last_reload_successful 1\n");
    metrics_reloaded(&own, false);
    text = written(&s, &out);
    has(text, "\nxenresd_last_reload_successful 0\n");
    has(text, "\nxenresd_reloads_total{result=\"failure\"} 1\n");
    metrics_reloaded(&own, true);
    text = written(&s, &out);
    has(text, "\nxenresd_last_reload_successful 1\n");
    has(text, "\nxenresd_reloads_total{result=\"success\"} 1\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_most_that_there_can_be_fits),
        TEST(a_mappers_texts_stay_within_their_labels),
        TEST(of_a_mapper_that_is_away_nothing_is_told),
        TEST(limits_that_were_hit_are_told_by_their_names),
        TEST(what_is_lost_of_traces_is_told_by_its_reason),
        TEST(every_reason_is_in_one_family),
        TEST(tokens_that_were_refused_are_told_by_their_reason),
        TEST(a_failed_reload_counts_until_one_succeeds),
    };

    return UNIT_RUN(tests);
}
