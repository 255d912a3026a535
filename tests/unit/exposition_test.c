/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/exposition.h"

#include "tests/lib/unit.h"

enum { TEXT_MAX_BYTES = 4096 };

static const struct exposition_family requests = { "x_requests", EXPOSITION_COUNTER, NULL,
                                                   "Requests." };
static const struct exposition_family sent = { "x_sent_bytes", EXPOSITION_COUNTER, "bytes",
                                               "Bytes." };
static const struct exposition_family age = { "x_age_seconds", EXPOSITION_GAUGE, "seconds",
                                              "Age." };
static const struct exposition_family build = { "x_build", EXPOSITION_INFO, NULL, "Build." };
static const struct exposition_family duration = { "x_duration_seconds", EXPOSITION_HISTOGRAM,
                                                   "seconds", "Duration." };

static const uint64_t bounds_ns[] = { 250000, 1000000000 };

static void write_all(struct exposition *e)
{
    const uint64_t buckets[] = { 2, 0, 3 };
    const struct exposition_histogram h = {
        .bounds_ns = bounds_ns, .buckets = buckets, .bucket_count = 3, .sum_ns = 1500000001
    };

    exposition_family(e, &requests);
    exposition_label(e, "method", "a");
    exposition_label(e, "code", "ok");
    exposition_count(e, UINT64_MAX);
    exposition_family(e, &sent);
    exposition_count(e, 0);
    exposition_family(e, &age);
    exposition_seconds(e, 0);
    exposition_family(e, &build);
    exposition_label(e, "version", "1");
    exposition_count(e, 1);
    exposition_family(e, &duration);
    exposition_label(e, "method", "a");
    exposition_histogram(e, &h);
    exposition_end(e);
}

#define HISTOGRAM                                                                                  \
    "# HELP x_duration_seconds Duration.\n"                                                        \
    "# TYPE x_duration_seconds histogram\n"
#define BUCKETS                                                                                    \
    "x_duration_seconds_bucket{method=\"a\",le=\"0.00025\"} 2\n"                                   \
    "x_duration_seconds_bucket{method=\"a\",le=\"1.0\"} 2\n"                                       \
    "x_duration_seconds_bucket{method=\"a\",le=\"+Inf\"} 5\n"                                      \
    "x_duration_seconds_sum{method=\"a\"} 1.500000001\n"                                           \
    "x_duration_seconds_count{method=\"a\"} 5\n"

static void the_text_format_calls_a_family_as_its_samples(void **state)
{
    BUFFER_AUTO(out, TEXT_MAX_BYTES);
    struct exposition e;

    (void)state;
    exposition_begin(&e, &out, EXPOSITION_TEXT);
    write_all(&e);
    assert_string_equal(buffer_string(&out), "# HELP x_requests_total Requests.\n"
                                             "# TYPE x_requests_total counter\n"
                                             "x_requests_total{method=\"a\",code=\"ok\"} "
                                             "18446744073709551615\n"
                                             "# HELP x_sent_bytes_total Bytes.\n"
                                             "# TYPE x_sent_bytes_total counter\n"
                                             "x_sent_bytes_total 0\n"
                                             "# HELP x_age_seconds Age.\n"
                                             "# TYPE x_age_seconds gauge\n"
                                             "x_age_seconds 0.0\n"
                                             "# HELP x_build_info Build.\n"
                                             "# TYPE x_build_info gauge\n"
                                             "x_build_info{version=\"1\"} 1\n" HISTOGRAM BUCKETS);
}

static void openmetrics_has_units_infos_and_an_end(void **state)
{
    BUFFER_AUTO(out, TEXT_MAX_BYTES);
    struct exposition e;

    (void)state;
    exposition_begin(&e, &out, EXPOSITION_OPENMETRICS);
    write_all(&e);
    assert_string_equal(buffer_string(&out),
                        "# HELP x_requests Requests.\n"
                        "# TYPE x_requests counter\n"
                        "x_requests_total{method=\"a\",code=\"ok\"} 18446744073709551615\n"
                        "# HELP x_sent_bytes Bytes.\n"
                        "# TYPE x_sent_bytes counter\n"
                        "# UNIT x_sent_bytes bytes\n"
                        "x_sent_bytes_total 0\n"
                        "# HELP x_age_seconds Age.\n"
                        "# TYPE x_age_seconds gauge\n"
                        "# UNIT x_age_seconds seconds\n"
                        "x_age_seconds 0.0\n"
                        "# HELP x_build Build.\n"
                        "# TYPE x_build info\n"
                        "x_build_info{version=\"1\"} 1\n" HISTOGRAM
                        "# UNIT x_duration_seconds seconds\n" BUCKETS "# EOF\n");
}

static const char *label_of(struct buffer *out, const char *value)
{
    struct exposition e;

    buffer_reset(out);
    exposition_begin(&e, out, EXPOSITION_TEXT);
    e.family = &build;
    exposition_label(&e, "v", value);
    exposition_count(&e, 1);
    return buffer_string(out);
}

static void values_are_escaped_and_ascii(void **state)
{
    BUFFER_AUTO(out, TEXT_MAX_BYTES);

    (void)state;
    assert_string_equal(label_of(&out, ""), "x_build_info{v=\"\"} 1\n");
    assert_string_equal(label_of(&out, "a\"b\\c\nd"), "x_build_info{v=\"a\\\"b\\\\c\\nd\"} 1\n");
    assert_string_equal(label_of(&out, "\x1b[0m\r\t\x7f\xff\xc3\xa9~ "),
                        "x_build_info{v=\"?[0m??\?\?\?\?~ \"} 1\n");
    assert_string_equal(label_of(&out, "\"} 2\nx_build_info{v=\""),
                        "x_build_info{v=\"\\\"} 2\\nx_build_info{v=\\\"\"} 1\n");
}

static void seconds_are_exact(void **state)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } rows[] = {
        { 1, "x_age_seconds 0.000000001\n" },
        { 999999999, "x_age_seconds 0.999999999\n" },
        { 1000000000, "x_age_seconds 1.0\n" },
        { 10500000000, "x_age_seconds 10.5\n" },
        { UINT64_MAX, "x_age_seconds 18446744073.709551615\n" },
    };
    BUFFER_AUTO(out, TEXT_MAX_BYTES);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct exposition e;

        buffer_reset(&out);
        exposition_begin(&e, &out, EXPOSITION_TEXT);
        e.family = &age;
        exposition_seconds(&e, rows[i].ns);
        assert_string_equal(buffer_string(&out), rows[i].text);
    }
}

static void labels_are_of_one_sample_and_there_may_be_four(void **state)
{
    BUFFER_AUTO(out, TEXT_MAX_BYTES);
    struct exposition e;

    (void)state;
    exposition_begin(&e, &out, EXPOSITION_TEXT);
    e.family = &requests;
    for (int i = 0; i < EXPOSITION_LABELS_MAX; i++) {
        exposition_label(&e, "l", "v");
    }
    exposition_count(&e, 1);
    exposition_count(&e, 2);
    assert_string_equal(
        buffer_string(&out),
        "x_requests_total{l=\"v\",l=\"v\",l=\"v\",l=\"v\"} 1\nx_requests_total 2\n");
}

/* All of it fits; in one byte less it does not, and the buffer says so. */
static void the_buffers_maximum_bounds_it(void **state)
{
    struct exposition e;
    size_t len_bytes;

    (void)state;
    {
        BUFFER_AUTO(out, TEXT_MAX_BYTES);

        exposition_begin(&e, &out, EXPOSITION_OPENMETRICS);
        write_all(&e);
        assert_false(out.failed);
        len_bytes = out.len_bytes;
    }
    for (size_t less = 0; less < 2; less++) {
        BUFFER_AUTO(out, len_bytes - less);

        exposition_begin(&e, &out, EXPOSITION_OPENMETRICS);
        write_all(&e);
        assert_int_equal(out.failed, less == 1);
    }
}

static void openmetrics_is_for_who_asks_for_it(void **state)
{
    static const char *const open[] = {
        "application/openmetrics-text",
        "Application/OpenMetrics-Text; version=1.0.0; charset=utf-8",
        "text/plain, application/openmetrics-text;version=1.0.0;q=0.1",
        "application/openmetrics-text;q=0.01",
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
        "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        ",,\tapplication/openmetrics-text ,",
    };
    static const char *const text[] = {
        "",
        "*/*",
        "text/plain;version=0.0.4",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text; version=1.0.0; q=0.000",
        "application/openmetrics-text2",
        "xapplication/openmetrics-text",
        "application/openmetrics",
        ";application/openmetrics-text",
    };

    (void)state;
    assert_int_equal(exposition_choose(NULL), EXPOSITION_TEXT);
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        assert_int_equal(exposition_choose(open[i]), EXPOSITION_OPENMETRICS);
    }
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        assert_int_equal(exposition_choose(text[i]), EXPOSITION_TEXT);
    }
    assert_string_equal(exposition_content_type(EXPOSITION_OPENMETRICS),
                        "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_string_equal(exposition_content_type(EXPOSITION_TEXT),
                        "text/plain; version=0.0.4; charset=utf-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_format_calls_a_family_as_its_samples),
        cmocka_unit_test(openmetrics_has_units_infos_and_an_end),
        cmocka_unit_test(values_are_escaped_and_ascii),
        cmocka_unit_test(seconds_are_exact),
        cmocka_unit_test(labels_are_of_one_sample_and_there_may_be_four),
        cmocka_unit_test(the_buffers_maximum_bounds_it),
        cmocka_unit_test(openmetrics_is_for_who_asks_for_it),
    };

    return UNIT_RUN(tests);
}
