/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Traces read of a scripted gateway: its messages, one function each, and callbacks that write down what
 * they are told, a line each, for a test to compare. The byte at a position is a function of it, which
 * they check.
 */
#ifndef XENRES_TESTS_CLIENT_TRACE_H
#define XENRES_TESTS_CLIENT_TRACE_H

#include "tests/lib/client_watch.h"
#include "xenres/v1/trace.pb-c.h"

#define TRACE_A "11111111111111111111111111111111"
#define TRACE_B "22222222222222222222222222222222"

enum { TRACE_SAID_MAX_BYTES = 1 << 16 };

static inline uint8_t trace_byte(uint64_t position)
{
    return (uint8_t)(position * 167 + (position >> 8) * 31);
}

static inline char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

/* --- messages --- */

struct trace_facts {
    const char *id, *life, *uuid;
    uint32_t vcpus[4];
    size_t vcpu_count;
};

struct trace_room {
    Xenres__V1__Trace trace;
    Xenres__V1__DomainIdentity domain;
    Xenres__V1__TraceMetadata metadata;
    uint32_t vcpus[4];
};

static inline Xenres__V1__Trace *trace_make(struct trace_room *r, struct trace_facts f)
{
    xenres__v1__trace__init(&r->trace);
    xenres__v1__domain_identity__init(&r->domain);
    xenres__v1__trace_metadata__init(&r->metadata);
    r->domain.domid = 1;
    r->domain.uuid = text(f.uuid != NULL ? f.uuid : UUID_A);
    r->domain.name = text("web-1");
    r->domain.incarnation = text(f.life != NULL ? f.life : LIFE_A);
    r->metadata.rtit_ctl = 0x2405;
    r->metadata.buffer_bytes = 65536;
    r->metadata.cpu_vendor = text("GenuineIntel");
    memcpy(r->vcpus, f.vcpus, sizeof(r->vcpus));
    r->trace.trace_id = text(f.id != NULL ? f.id : TRACE_A);
    r->trace.domain = &r->domain;
    r->trace.owner = text("cn:alice");
    r->trace.vcpus = r->vcpus;
    r->trace.n_vcpus = f.vcpu_count != 0 ? f.vcpu_count : 1;
    r->trace.tsc = r->trace.laps_detectable = true;
    r->trace.metadata = &r->metadata;
    return &r->trace;
}

struct trace_begin {
    struct trace_facts of;
    const char *feed;
    uint32_t vcpu;
    bool resumed, without_trace;
    uint64_t position, offset;
    uint32_t segment, epoch, silence_ms;
};

static inline void trace_say(struct buffer *out, Xenres__V1__ReadTraceResponse__ContentCase kind,
                             void *content)
{
    Xenres__V1__ReadTraceResponse m;

    xenres__v1__read_trace_response__init(&m);
    m.content_case = kind;
    m.begin = content; /* a union of pointers */
    stream_message(out, &m.base);
}

static inline void trace_say_begin(struct buffer *out, struct trace_begin b)
{
    struct trace_room room;
    Xenres__V1__TraceBegin m;
    Google__Protobuf__Duration silence;

    xenres__v1__trace_begin__init(&m);
    google__protobuf__duration__init(&silence);
    silence.seconds = b.silence_ms > 0 ? b.silence_ms / 1000 : 20;
    m.trace = b.without_trace ? NULL : trace_make(&room, b.of);
    m.vcpu = b.vcpu;
    m.resumed = b.resumed;
    m.position = b.position;
    m.offset = b.offset;
    m.segment = b.segment;
    m.epoch = b.epoch;
    m.feed = text(b.feed != NULL ? b.feed : FEED_A);
    m.silence_max = &silence;
    trace_say(out, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_BEGIN, &m);
}

/* Of the first segment, from its first byte on. */
static inline void trace_say_start(struct buffer *out)
{
    Xenres__V1__TraceSegment m;

    xenres__v1__trace_segment__init(&m);
    m.reason = XENRES__V1__TRACE_SEGMENT_REASON__TRACE_SEGMENT_REASON_START;
    trace_say(out, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_SEGMENT, &m);
}

static inline void trace_say_segment(struct buffer *out, uint32_t segment, uint32_t epoch,
                                     uint32_t reason, uint64_t position)
{
    Xenres__V1__TraceSegment m;

    xenres__v1__trace_segment__init(&m);
    m.segment = segment;
    m.epoch = epoch;
    m.reason = (Xenres__V1__TraceSegmentReason)reason;
    m.position = position;
    trace_say(out, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_SEGMENT, &m);
}

struct trace_data {
    uint64_t position, offset;
    uint32_t segment, epoch;
    size_t len;
    bool has_sync;
    uint32_t sync_offset;
};

static inline void trace_say_data(struct buffer *out, struct trace_data d)
{
    static uint8_t bytes[TRACE_SAID_MAX_BYTES];
    Xenres__V1__TraceData m;
    Xenres__V1__SampleTime sampled;

    xenres__v1__trace_data__init(&m);
    xenres__v1__sample_time__init(&sampled);
    assert_true(d.len <= sizeof(bytes));
    for (size_t i = 0; i < d.len; i++) {
        bytes[i] = trace_byte(d.position + i);
    }
    sampled.monotonic_ns = 5;
    m.position = d.position;
    m.offset = d.offset;
    m.segment = d.segment;
    m.epoch = d.epoch;
    m.data.data = bytes;
    m.data.len = d.len;
    m.sync_choice_case = d.has_sync ? XENRES__V1__TRACE_DATA__SYNC_CHOICE_SYNC_OFFSET
                                    : XENRES__V1__TRACE_DATA__SYNC_CHOICE__NOT_SET;
    m.sync_offset = d.sync_offset;
    m.sampled = &sampled;
    m.tsc = 1000 + d.position;
    trace_say(out, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_DATA, &m);
}

/* Of the first segment. */
static inline void trace_say_bytes(struct buffer *out, uint64_t position, size_t len)
{
    trace_say_data(out,
                   (struct trace_data){ .position = position, .offset = position, .len = len });
}

struct trace_gap {
    uint32_t reason;
    uint64_t position, length;
    bool at_least;
    uint64_t offset;
    uint32_t segment, epoch;
};

static inline void trace_say_gap(struct buffer *out, struct trace_gap g)
{
    Xenres__V1__TraceGap m;

    xenres__v1__trace_gap__init(&m);
    m.reason = (Xenres__V1__TraceGapReason)g.reason;
    m.position = g.position;
    m.length = g.length;
    m.at_least = g.at_least;
    m.offset = g.offset;
    m.segment = g.segment;
    m.epoch = g.epoch;
    trace_say(out, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_GAP, &m);
}

static inline void trace_say_checkpoint(struct buffer *out, uint64_t position, const char *cursor)
{
    Xenres__V1__TraceCheckpoint m;

    xenres__v1__trace_checkpoint__init(&m);
    m.position = position;
    m.cursor = text(cursor);
    trace_say(out, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_CHECKPOINT, &m);
}

static inline void trace_say_heartbeat(struct buffer *out, uint64_t position)
{
    Xenres__V1__TraceHeartbeat m;

    xenres__v1__trace_heartbeat__init(&m);
    m.position = position;
    trace_say(out, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_HEARTBEAT, &m);
}

/* And the stream's own end. */
static inline void trace_say_end(struct buffer *out, uint32_t reason, uint64_t position,
                                 const char *cursor)
{
    Xenres__V1__TraceEnd m;

    xenres__v1__trace_end__init(&m);
    m.reason = (Xenres__V1__TraceEndReason)reason;
    m.position = position;
    m.cursor = text(cursor);
    m.message = text("so it is");
    trace_say(out, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_END, &m);
    stream_end(out, reason == XENRES_TRACE_SHUTTING_DOWN
                        ? "{\"error\":{\"code\":\"unavailable\",\"message\":\"stops\"}}"
                        : "{}");
}

/* --- what the callbacks are told --- */

static inline int trace_told_begin(void *arg, const xenres_trace_begin *b)
{
    struct told *t = arg;

    assert_string_equal(b->trace->domain.name, "web-1");
    assert_int_equal(b->trace->metadata.rtit_ctl, 0x2405);
    buffer_printf(&t->lines, "begin %c %u:%" PRIu64 "=%" PRIu64 "%s\n", b->feed[0], b->segment,
                  b->offset, b->position, b->resumed ? " resumed" : "");
    return told(t);
}

static inline int trace_told_segment(void *arg, const xenres_trace_segment *s)
{
    struct told *t = arg;

    buffer_printf(&t->lines, "segment %u/%u=%" PRIu64 "\n", s->segment, s->epoch, s->position);
    return told(t);
}

static inline int trace_told_data(void *arg, const xenres_trace_data *d)
{
    struct told *t = arg;
    const uint8_t *bytes = d->bytes;

    assert_true(d->len_bytes > 0);
    for (size_t i = 0; i < d->len_bytes; i++) {
        assert_int_equal(bytes[i], trace_byte(d->position + i));
    }
    assert_int_equal(d->sampled.monotonic_ns, 5);
    buffer_printf(&t->lines, "data %u:%" PRIu64 "=%" PRIu64 "+%zu", d->segment, d->offset,
                  d->position, d->len_bytes);
    if (d->has_sync) {
        buffer_printf(&t->lines, " sync %u", d->sync_offset);
    }
    buffer_append_string(&t->lines, "\n");
    return told(t);
}

static inline int trace_told_gap(void *arg, const xenres_trace_gap *g)
{
    struct told *t = arg;

    buffer_printf(&t->lines, "gap %s %" PRIu64 "+%" PRIu64 "%s to %u:%" PRIu64 "\n",
                  xenres_trace_gap_reason_name(g->reason), g->position, g->length,
                  g->at_least ? "?" : "", g->segment, g->offset);
    return told(t);
}

static inline int trace_told_checkpoint(void *arg, const xenres_trace_checkpoint *c)
{
    struct told *t = arg;

    assert_int_equal(strlen(c->feed), 32);
    (void)snprintf(t->cursor, sizeof(t->cursor), "%s", c->cursor);
    buffer_printf(&t->lines, "checkpoint %" PRIu64 "\n", c->position);
    return told(t);
}

static inline int trace_told_heartbeat(void *arg, const xenres_trace_heartbeat *h)
{
    struct told *t = arg;

    buffer_printf(&t->lines, "heartbeat %" PRIu64 "\n", h->position);
    return told(t);
}

static inline int trace_told_end(void *arg, const xenres_trace_end *e)
{
    struct told *t = arg;

    assert_non_null(e->message);
    buffer_printf(&t->lines, "end %s %" PRIu64 "\n", xenres_trace_end_reason_name(e->reason),
                  e->position);
    int result = told(t);

    t->is_over = true;
    return result;
}

static inline int trace_told_interrupted(void *arg, const xenres_trace_interruption *i)
{
    struct told *t = arg;

    assert_true(i->error->code != 0 && i->error->message[0] != '\0');
    buffer_printf(&t->lines, "interrupted at %" PRIu64 "%s [%s]\n", i->position,
                  i->end_reason != 0 ? " by the gateway" : "", i->cursor);
    return told(t);
}

static inline xenres_trace_sink trace_told_sink(struct told *t)
{
    return (xenres_trace_sink){ .size = sizeof(xenres_trace_sink),
                                .begin = trace_told_begin,
                                .segment = trace_told_segment,
                                .data = trace_told_data,
                                .gap = trace_told_gap,
                                .checkpoint = trace_told_checkpoint,
                                .heartbeat = trace_told_heartbeat,
                                .end = trace_told_end,
                                .interrupted = trace_told_interrupted,
                                .arg = t };
}

/* --- reading a script --- */

struct tracing {
    struct fixture f;
    xenres_trace_query query;
    struct told told;
    int result;
};

/* Tries follow each other at once. */
static inline void tracing_start(struct tracing *w, const struct script *s)
{
    const xenres_options options = { .size = sizeof(options),
                                     .timeout_ms = 20000,
                                     .retries = XENRES_NO_RETRIES,
                                     .retry_wait_ms = 1 };

    *w = (struct tracing){ .query = XENRES_TRACE_QUERY_INIT("1", 0) };
    buffer_init(&w->told.lines, 1 << 20);
    tls_server_start(&w->f.server, "IP:127.0.0.1", TLS1_3_VERSION, s->steps, s->count);
    fixture_connect(&w->f, options);
}

static inline void tracing_run(struct tracing *w)
{
    const xenres_trace_sink sink = trace_told_sink(&w->told);

    w->result = xenres_trace_read(w->f.handle, &w->query, &sink, &w->f.error);
    w->told.is_over = true;
}

static inline void tracing_stop(struct tracing *w)
{
    buffer_done(&w->told.lines);
    fixture_end(&w->f);
}

/* Reads the script, which is done with then: `code` and these lines have to come of it. */
static inline void expect_trace_of(struct script *s, const xenres_trace_query *query, int code,
                                   const char *lines)
{
    static struct tracing w;

    tracing_start(&w, s);
    if (query != NULL) {
        w.query = *query;
    }
    tracing_run(&w);
    if (w.result != -code || strcmp(buffer_string(&w.told.lines), lines) != 0) {
        fail_msg("%d, %s, and:\n%s", w.result, w.result != 0 ? w.f.error.message : "",
                 buffer_string(&w.told.lines));
    }
    tracing_stop(&w);
    assert_int_equal(w.f.server.next_step, s->count);
    script_done(s);
}

static inline void expect_trace(struct script *s, int code, const char *lines)
{
    expect_trace_of(s, NULL, code, lines);
}

#endif
