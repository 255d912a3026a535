/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Streams of TraceService.ReadTrace for tests: the services and the mapper of trace_calls.h, carol who reads,
 * and what has to come next. */
#ifndef XENRES_TESTS_TRACE_STREAM_H
#define XENRES_TESTS_TRACE_STREAM_H

#include "tests/lib/trace_calls.h"

#include "common/base64.h"

static struct trace_rig r;

static inline int trace_stream_begin(void **state)
{
    (void)state;
    trace_rig_begin(&r);
    return 0;
}

static inline int trace_stream_end(void **state)
{
    (void)state;
    trace_rig_done(&r);
    return 0;
}

#define WEB "\"domain\":\"web-1\""

static inline struct append_play *first(void)
{
    return &r.plays[0];
}

static inline void open_trace(struct watching *w, const char *json)
{
    *w = (struct watching){ .feed = NULL };
    trace_open_as(&r, w, &r.carol, json);
}

static inline const json_t *open_begun(struct watching *w, const char *json)
{
    open_trace(w, json);
    return trace_expect(&r, w, "begin");
}

static inline void expect_segment(struct watching *w, uint32_t segment, uint32_t epoch,
                                  uint64_t position, const char *reason)
{
    const json_t *m = trace_expect(&r, w, "segment");
    char name[64];

    (void)snprintf(name, sizeof(name), "TRACE_SEGMENT_REASON_%s", reason);
    assert_int_equal(watch_number(m, "segment"), segment);
    assert_int_equal(watch_number(m, "epoch"), epoch);
    assert_int_equal(watch_number(m, "position"), position);
    assert_string_equal(watch_text(m, "reason"), name);
}

/* Bytes of a segment, which have to be those of the source. */
static inline void check_data(const struct append_play *p, const json_t *m, uint64_t position,
                              uint32_t segment, size_t len_bytes)
{
    BUFFER_AUTO(bytes, APPEND_BYTES_MAX);
    const char *text = watch_text(m, "data");
    uint64_t offset = position - p->segments[segment].bytes_before;

    assert_int_equal(watch_number(m, "position"), position);
    assert_int_equal(watch_number(m, "segment"), segment);
    assert_int_equal(watch_number(m, "epoch"), p->segments[segment].epoch);
    assert_int_equal(watch_number(m, "offset"), offset);
    assert_int_equal(watch_number(m, "syncOffset"), len_bytes / 2);
    assert_true(watch_number(json_object_get(m, "sampled"), "monotonicNs") > 0);
    assert_true(base64_decode(&bytes, text, strlen(text)));
    assert_int_equal(bytes.len_bytes, len_bytes);
    for (size_t i = 0; i < len_bytes; i++) {
        assert_int_equal(bytes.data[i], append_byte(append_source(p, segment, offset + i)));
    }
}

static inline void expect_data(struct watching *w, uint64_t position, uint32_t segment,
                               size_t len_bytes)
{
    check_data(first(), trace_expect(&r, w, "data"), position, segment, len_bytes);
}

static inline void expect_gap(struct watching *w, const char *reason, uint64_t position,
                              uint64_t length, bool at_least)
{
    const json_t *m = trace_expect(&r, w, "gap");
    char name[64];

    (void)snprintf(name, sizeof(name), "TRACE_GAP_REASON_%s", reason);
    assert_string_equal(watch_text(m, "reason"), name);
    assert_int_equal(watch_number(m, "position"), position);
    assert_int_equal(watch_number(m, "length"), length);
    assert_int_equal(watch_flag(m, "atLeast"), at_least);
}

/* With a failure where the stream itself could not go on, and else without. */
static inline void expect_end(struct watching *w, const char *reason, enum error_code code)
{
    const json_t *m = trace_expect(&r, w, "end");
    char name[64];

    assert_int_equal(json_object_get(m, "failure") != NULL, code == ERROR_UNKNOWN);
    (void)snprintf(name, sizeof(name), "TRACE_END_REASON_%s", reason);
    assert_string_equal(watch_text(m, "reason"), name);
    watch_expect_end(w, code);
}

#endif
