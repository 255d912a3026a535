/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Watches of a scripted gateway: its messages, one function each, and callbacks that write down what
 * they are told, a line each, for a test to compare.
 */
#ifndef XENRES_TESTS_CLIENT_WATCH_H
#define XENRES_TESTS_CLIENT_WATCH_H

#include <inttypes.h>

#include "tests/lib/client_stream.h"
#include "xenres/v1/resource.pb-c.h"

#define FEED_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FEED_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

enum { WATCH_FRAME_BYTES = 4096, WATCH_BLOCKS_A_FRAME = 64 };

/* --- messages --- */

struct say_begin {
    const char *feed, *life;
    bool resumed, decode;
    uint64_t sequence;
    uint32_t segment, mode, silence_ms, first_frame, block_bytes;
};

static inline void say_begin(struct buffer *out, struct say_begin b)
{
    Xenres__V1__WatchResponse m;
    Xenres__V1__WatchBegin begin;
    Xenres__V1__DomainIdentity domain;
    Google__Protobuf__Duration silence;

    xenres__v1__watch_response__init(&m);
    xenres__v1__watch_begin__init(&begin);
    xenres__v1__domain_identity__init(&domain);
    google__protobuf__duration__init(&silence);
    domain.domid = 1;
    domain.uuid = (char *)(uintptr_t)UUID_A;
    domain.name = (char *)(uintptr_t) "web-1";
    domain.incarnation = (char *)(uintptr_t)(b.life != NULL ? b.life : LIFE_A);
    silence.seconds = b.silence_ms / 1000;
    silence.nanos = (int32_t)(b.silence_ms % 1000) * 1000000;
    begin.domain = &domain;
    begin.type = XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE;
    begin.first_frame = b.first_frame;
    begin.mode = (Xenres__V1__WatchMode)(b.mode != 0 ? b.mode : XENRES_WATCH_DELTA);
    begin.decode = b.decode;
    begin.resumed = b.resumed;
    begin.sequence = b.sequence;
    begin.segment = b.segment;
    begin.feed = (char *)(uintptr_t)(b.feed != NULL ? b.feed : FEED_A);
    begin.block_bytes = b.block_bytes != 0 ? b.block_bytes : 64;
    begin.silence_max = b.silence_ms > 0 ? &silence : NULL;
    m.content_case = XENRES__V1__WATCH_RESPONSE__CONTENT_BEGIN;
    m.begin = &begin;
    stream_message(out, &m.base);
}

struct say_image {
    uint64_t first, sequence;
    uint32_t segment;
    uint32_t frame_count; /* of the first piece; 0: 1 */
    uint32_t frame_bytes; /* 0: WATCH_FRAME_BYTES */
    uint64_t offset;
    size_t len; /* 0: all of one frame */
    bool more, without_observation;
    const void *bytes; /* NULL: zeros */
};

static inline void say_image(struct buffer *out, struct say_image i)
{
    static uint8_t zeros[4 * WATCH_FRAME_BYTES];
    Xenres__V1__WatchResponse m;
    Xenres__V1__WatchImage image;
    Xenres__V1__Observation observation;

    xenres__v1__watch_response__init(&m);
    xenres__v1__watch_image__init(&image);
    xenres__v1__observation__init(&observation);
    observation.frame_count = i.frame_count != 0 ? i.frame_count : 1;
    observation.frame_bytes = i.frame_bytes != 0 ? i.frame_bytes : WATCH_FRAME_BYTES;
    observation.content_tag = (char *)(uintptr_t) "tag";
    image.first_sequence = i.first;
    image.sequence = i.sequence;
    image.segment = i.segment;
    image.observation = i.offset == 0 && !i.without_observation ? &observation : NULL;
    image.offset_bytes = i.offset;
    image.frames.len = i.len != 0 ? i.len : WATCH_FRAME_BYTES;
    image.frames.data = i.bytes != NULL ? (uint8_t *)(uintptr_t)i.bytes : zeros;
    image.complete = !i.more;
    m.content_case = XENRES__V1__WATCH_RESPONSE__CONTENT_IMAGE;
    m.image = &image;
    stream_message(out, &m.base);
}

struct say_changes {
    uint64_t first, sequence; /* first 0: sequence */
    uint32_t segment;
    uint32_t blocks[8]; /* ascending: the first one that is not ends them */
    size_t block_count;
    size_t missing_bytes; /* of the content */
    bool more;
    const void *content; /* NULL: the block's number in each byte */
    const uint32_t *block_list;
};

static inline void say_changes(struct buffer *out, struct say_changes c)
{
    static uint8_t content[256 * 64];
    Xenres__V1__WatchResponse m;
    Xenres__V1__WatchChanges changes;
    const uint32_t *blocks = c.block_list != NULL ? c.block_list : c.blocks;

    xenres__v1__watch_response__init(&m);
    xenres__v1__watch_changes__init(&changes);
    for (size_t i = 0; i < c.block_count; i++) {
        memset(content + i * 64, (int)(blocks[i] + c.sequence), 64);
    }
    changes.first_sequence = c.first != 0 ? c.first : c.sequence;
    changes.sequence = c.sequence;
    changes.segment = c.segment;
    changes.blocks = (uint32_t *)(uintptr_t)blocks;
    changes.n_blocks = c.block_count;
    changes.content.data = c.content != NULL ? (uint8_t *)(uintptr_t)c.content : content;
    changes.content.len = c.block_count * 64 - c.missing_bytes;
    changes.more = c.more;
    m.content_case = XENRES__V1__WATCH_RESPONSE__CONTENT_CHANGES;
    m.changes = &changes;
    stream_message(out, &m.base);
}

/* A batch that changes the block of its own number. */
static inline void say_batch(struct buffer *out, uint64_t sequence)
{
    say_changes(out, (struct say_changes){ .sequence = sequence,
                                           .blocks = { (uint32_t)sequence % WATCH_BLOCKS_A_FRAME },
                                           .block_count = 1 });
}

static inline void say_decoded(struct buffer *out, uint64_t first, uint64_t sequence, bool whole,
                               bool more)
{
    Xenres__V1__WatchResponse m;
    Xenres__V1__WatchDecoded decoded;
    Xenres__V1__GrantEntry entry;
    Xenres__V1__GrantEntry before;
    Xenres__V1__GrantChange change;
    Xenres__V1__GrantChange *changes[] = { &change };

    xenres__v1__watch_response__init(&m);
    xenres__v1__watch_decoded__init(&decoded);
    xenres__v1__grant_entry__init(&entry);
    xenres__v1__grant_entry__init(&before);
    xenres__v1__grant_change__init(&change);
    entry.reference = before.reference = 8;
    entry.frame = sequence;
    change.entry = &entry;
    change.before = whole ? NULL : &before;
    change.kind = whole ? XENRES__V1__GRANT_CHANGE_KIND__GRANT_CHANGE_KIND_APPEARED
                        : XENRES__V1__GRANT_CHANGE_KIND__GRANT_CHANGE_KIND_CHANGED;
    decoded.first_sequence = first;
    decoded.sequence = sequence;
    decoded.whole = whole;
    decoded.more = more;
    decoded.grants = changes;
    decoded.n_grants = 1;
    m.content_case = XENRES__V1__WATCH_RESPONSE__CONTENT_DECODED;
    m.decoded = &decoded;
    stream_message(out, &m.base);
}

static inline void say_gap(struct buffer *out, uint32_t reason, uint64_t first, uint64_t sequence)
{
    Xenres__V1__WatchResponse m;
    Xenres__V1__WatchGap gap;

    xenres__v1__watch_response__init(&m);
    xenres__v1__watch_gap__init(&gap);
    gap.reason = (Xenres__V1__WatchGapReason)reason;
    gap.first_sequence = first;
    gap.sequence = sequence;
    gap.blocks = 7;
    m.content_case = XENRES__V1__WATCH_RESPONSE__CONTENT_GAP;
    m.gap = &gap;
    stream_message(out, &m.base);
}

static inline void say_checkpoint(struct buffer *out, uint64_t sequence, const char *cursor)
{
    Xenres__V1__WatchResponse m;
    Xenres__V1__WatchCheckpoint checkpoint;

    xenres__v1__watch_response__init(&m);
    xenres__v1__watch_checkpoint__init(&checkpoint);
    checkpoint.sequence = sequence;
    checkpoint.cursor = (char *)(uintptr_t)cursor;
    m.content_case = XENRES__V1__WATCH_RESPONSE__CONTENT_CHECKPOINT;
    m.checkpoint = &checkpoint;
    stream_message(out, &m.base);
}

static inline void say_heartbeat(struct buffer *out, uint64_t sequence)
{
    Xenres__V1__WatchResponse m;
    Xenres__V1__WatchHeartbeat heartbeat;
    Xenres__V1__SampleTime sampled;

    xenres__v1__watch_response__init(&m);
    xenres__v1__watch_heartbeat__init(&heartbeat);
    xenres__v1__sample_time__init(&sampled);
    sampled.monotonic_ns = 5;
    heartbeat.sequence = sequence;
    heartbeat.sampled = &sampled;
    m.content_case = XENRES__V1__WATCH_RESPONSE__CONTENT_HEARTBEAT;
    m.heartbeat = &heartbeat;
    stream_message(out, &m.base);
}

/* And the stream's own end, so. */
static inline void say_end_so(struct buffer *out, uint32_t reason, uint64_t sequence,
                              const char *cursor, const char *json)
{
    Xenres__V1__WatchResponse m;
    Xenres__V1__WatchEnd end;

    xenres__v1__watch_response__init(&m);
    xenres__v1__watch_end__init(&end);
    end.reason = (Xenres__V1__WatchEndReason)reason;
    end.sequence = sequence;
    end.message = (char *)(uintptr_t) "so it is";
    end.cursor = (char *)(uintptr_t)cursor;
    m.content_case = XENRES__V1__WATCH_RESPONSE__CONTENT_END;
    m.end = &end;
    stream_message(out, &m.base);
    stream_end(out, json);
}

static inline void say_end(struct buffer *out, uint32_t reason, uint64_t sequence,
                           const char *cursor)
{
    say_end_so(out, reason, sequence, cursor,
               reason == XENRES_END_SHUTTING_DOWN
                   ? "{\"error\":{\"code\":\"unavailable\",\"message\":\"stops\"}}"
                   : "{}");
}

/* --- scripts --- */

enum { SCRIPT_STREAMS_MAX = 8 };

/* What the gateway answers to each request in turn. */
struct script {
    struct buffer bytes[SCRIPT_STREAMS_MAX];
    struct tls_server_step steps[SCRIPT_STREAMS_MAX];
    size_t count;
};

static inline struct buffer *script_stream(struct script *s)
{
    assert_true(s->count < SCRIPT_STREAMS_MAX);
    stream_begin(&s->bytes[s->count]);
    return &s->bytes[s->count];
}

/* The stream that was begun last is over, so. */
static inline void script_then(struct script *s, enum tls_server_then then)
{
    struct buffer *b = &s->bytes[s->count];

    s->steps[s->count++] = then == TLS_SERVER_KEEP ? stream_done(b) : stream_step(b, then);
}

static inline void script_error(struct script *s, const char *json)
{
    stream_end(script_stream(s), json);
    script_then(s, TLS_SERVER_KEEP);
}

static inline void script_done(struct script *s)
{
    for (size_t i = 0; i < s->count; i++) {
        buffer_done(&s->bytes[i]);
    }
    *s = (struct script){ .count = 0 };
}

/* --- what the callbacks are told --- */

struct told {
    struct buffer lines;
    unsigned calls, stop_at; /* the call that returns non-zero; 0: none */
    bool is_over;            /* nothing may come any more */
    unsigned raws;
    char cursor[64];
    void (*on_call)(struct told *t);
    void *arg;
};

static inline int told(struct told *t)
{
    assert_false(t->is_over);
    if (t->on_call != NULL) {
        t->on_call(t);
    }
    t->is_over = ++t->calls == t->stop_at;
    return t->is_over ? 1 : 0;
}

static inline int told_raw(void *arg, const void *message, size_t len_bytes)
{
    struct told *t = arg;

    assert_non_null(message);
    assert_true(len_bytes > 0);
    assert_false(t->is_over);
    t->raws++;
    return 0;
}

static inline int told_begin(void *arg, const xenres_watch_begin *b)
{
    struct told *t = arg;

    buffer_printf(&t->lines, "begin %c", b->feed[0]);
    if (b->resumed) {
        buffer_printf(&t->lines, " behind %" PRIu64, b->sequence);
    }
    buffer_append_string(&t->lines, "\n");
    return told(t);
}

static inline void told_range(struct told *t, const char *what, uint64_t first, uint64_t last)
{
    buffer_printf(&t->lines, "%s ", what);
    if (first != 0 && first != last) {
        buffer_printf(&t->lines, "%" PRIu64 "-", first);
    }
    buffer_printf(&t->lines, "%" PRIu64, last);
}

static inline int told_image(void *arg, const xenres_watch_image *i)
{
    struct told *t = arg;

    assert_true((i->observation != NULL) == (i->offset_bytes == 0));
    told_range(t, "image", i->first_sequence, i->sequence);
    if (i->segment != 0) {
        buffer_printf(&t->lines, " s%u", i->segment);
    }
    if (i->offset_bytes != 0 || !i->complete) {
        buffer_printf(&t->lines, " @%" PRIu64 "%s", i->offset_bytes, i->complete ? "" : "...");
    }
    buffer_append_string(&t->lines, "\n");
    return told(t);
}

static inline int told_changes(void *arg, const xenres_watch_changes *c)
{
    struct told *t = arg;

    told_range(t, "changes", c->first_sequence, c->sequence);
    buffer_append_string(&t->lines, c->more ? "...\n" : "\n");
    return told(t);
}

static inline int told_decoded(void *arg, const xenres_watch_decoded *d)
{
    struct told *t = arg;

    assert_int_equal(d->grant_count, 1);
    assert_int_equal(d->grants[0].grant.reference, 8);
    assert_int_equal(d->grants[0].grant.frame, d->sequence);
    assert_true(d->grants[0].has_before == !d->whole);
    told_range(t, d->whole ? "whole" : "decoded", d->first_sequence, d->sequence);
    buffer_append_string(&t->lines, d->more ? "...\n" : "\n");
    return told(t);
}

static inline int told_gap(void *arg, const xenres_watch_gap *g)
{
    struct told *t = arg;

    buffer_printf(&t->lines, "gap %s %" PRIu64 "-%" PRIu64 "%s", xenres_gap_reason_name(g->reason),
                  g->first_sequence, g->sequence, g->exact ? "" : "?");
    if (g->blocks != 0) {
        buffer_printf(&t->lines, " (%" PRIu64 " blocks)", g->blocks);
    }
    buffer_append_string(&t->lines, "\n");
    return told(t);
}

static inline int told_checkpoint(void *arg, const xenres_watch_checkpoint *c)
{
    struct told *t = arg;

    assert_true(strlen(c->feed) == 32 || c->feed[0] == '\0'); /* of one shown by itself */
    (void)snprintf(t->cursor, sizeof(t->cursor), "%s", c->cursor);
    buffer_printf(&t->lines, "checkpoint %" PRIu64 "\n", c->sequence);
    return told(t);
}

static inline int told_heartbeat(void *arg, const xenres_watch_heartbeat *h)
{
    struct told *t = arg;

    assert_true(h->sampled == NULL || h->sampled->monotonic_ns == 5);
    buffer_printf(&t->lines, "heartbeat %" PRIu64 "\n", h->sequence);
    return told(t);
}

static inline int told_end(void *arg, const xenres_watch_end *e)
{
    struct told *t = arg;

    assert_non_null(e->message);
    buffer_printf(&t->lines, "end %s\n", xenres_end_reason_name(e->reason));
    int result = told(t);

    t->is_over = true;
    return result;
}

static inline int told_interrupted(void *arg, const xenres_watch_interruption *i)
{
    struct told *t = arg;

    assert_true(i->error->code != 0 && i->error->message[0] != '\0');
    buffer_printf(&t->lines, "interrupted at %" PRIu64, i->sequence);
    if (i->tries > 0) {
        buffer_printf(&t->lines, " try %u", i->tries);
    }
    if (i->end_reason != 0) {
        buffer_printf(&t->lines, " %s", xenres_end_reason_name(i->end_reason));
    }
    buffer_printf(&t->lines, "%s [%s]\n", i->unfinished ? " unfinished" : "", i->cursor);
    return told(t);
}

static inline xenres_watch_sink told_sink(struct told *t)
{
    return (xenres_watch_sink){
        .size = sizeof(xenres_watch_sink),
        .raw = told_raw,
        .begin = told_begin,
        .image = told_image,
        .changes = told_changes,
        .decoded = told_decoded,
        .gap = told_gap,
        .checkpoint = told_checkpoint,
        .heartbeat = told_heartbeat,
        .end = told_end,
        .interrupted = told_interrupted,
        .arg = t,
    };
}

/* --- a watch of a script --- */

struct watching {
    struct fixture f;
    xenres_watch_query query;
    struct told told;
    int result;
};

/* Tries follow each other at once. */
static inline void watching_start(struct watching *w, const struct script *s)
{
    const xenres_options options = { .size = sizeof(options),
                                     .timeout_ms = 20000,
                                     .retries = XENRES_NO_RETRIES,
                                     .retry_wait_ms = 1 };

    *w = (struct watching){ .query = XENRES_WATCH_QUERY_INIT("1", XENRES_GRANT_TABLE, 0) };
    buffer_init(&w->told.lines, 1 << 20);
    tls_server_start(&w->f.server, "IP:127.0.0.1", TLS1_3_VERSION, s->steps, s->count);
    fixture_connect(&w->f, options);
}

static inline void watching_run(struct watching *w)
{
    const xenres_watch_sink sink = told_sink(&w->told);

    w->result = xenres_watch(w->f.handle, &w->query, &sink, &w->f.error);
    w->told.is_over = true;
}

static inline void watching_stop(struct watching *w)
{
    buffer_done(&w->told.lines);
    fixture_end(&w->f);
}

/* All of it: the script is followed, `lines` are told, and the call returns -`code`. */
static inline void expect_watch_of(struct script *s, const xenres_watch_query *query, uint32_t code,
                                   const char *lines)
{
    static struct watching w;

    watching_start(&w, s);
    if (query != NULL) {
        w.query = *query;
    }
    watching_run(&w);
    assert_string_equal(buffer_string(&w.told.lines), lines);
    assert_int_equal(w.result, -(int)code);
    if (code != 0) {
        assert_int_equal(w.f.error.code, code);
        assert_true(w.f.error.message[0] != '\0');
    }
    watching_stop(&w);
    assert_int_equal(w.f.server.next_step, s->count);
    script_done(s);
}

static inline void expect_watch(struct script *s, uint32_t code, const char *lines)
{
    expect_watch_of(s, NULL, code, lines);
}

#endif
