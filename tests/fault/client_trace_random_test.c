/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Traces that are cut at random, of a gateway that produces what the test knows: each byte is delivered or
 * told as lost once, in order, is the one that stands there, and no loss that may be larger goes untold.
 * `SEED=n` in the environment runs one seed alone.
 */
#include "tests/lib/client_trace.h"

enum {
    RUNS = 300,
    RUNS_OF_SOURCE = 48, /* stretches of bytes, with losses between them */
    KEPT = 12,           /* stretches that are held */
    CUTS_MAX = 10,
};

static uint64_t seed, state_of_chance;

static uint32_t chance(uint32_t below)
{
    state_of_chance = state_of_chance * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(state_of_chance >> 33) % below;
}

/* --- the source --- */

/* A stretch of bytes, and the loss in front of it. */
struct stretch {
    uint64_t loss; /* bytes in front of it */
    bool is_open;  /* the loss: then it is of another segment */
    bool is_reset;
    uint64_t position, offset; /* of its first byte */
    uint32_t segment, epoch;
    size_t len;
};

static struct stretch source[RUNS_OF_SOURCE];

static void make_source(void)
{
    uint64_t position = 0, offset = 0;
    uint32_t segment = 0, epoch = 0;

    for (size_t i = 0; i < RUNS_OF_SOURCE; i++) {
        struct stretch *s = &source[i];

        *s = (struct stretch){ .len = 1 + chance(500) };
        if (i > 0 && chance(3) == 0) {
            s->is_open = chance(2) == 0;
            s->is_reset = s->is_open && chance(3) == 0;
            s->loss = s->is_open && chance(2) == 0 ? 0 : 1 + chance(300);
        }
        position += s->loss;
        offset = s->is_open ? 0 : offset + s->loss;
        segment += s->is_open;
        epoch += s->is_reset;
        s->position = position;
        s->offset = offset;
        s->segment = segment;
        s->epoch = epoch;
        position += s->len;
        offset += s->len;
    }
}

/* --- the gateway --- */

struct gateway {
    size_t head; /* stretches that were produced */
    unsigned cuts;
    struct buffer stream;
    /* The place of the stream that is being made: within a stretch, and what was said of its front. */
    size_t at;
    uint64_t in;
    bool said_loss, said_segment;
    bool is_in_segment; /* that of the stretch, though it was not announced */
};

static struct gateway gateway;

static void go_to(struct gateway *g, size_t at)
{
    g->at = at;
    g->in = 0;
    g->said_loss = g->said_segment = g->is_in_segment = false;
}

/* Of the next byte, or of what is lost. */
static uint64_t position_of(const struct gateway *g)
{
    if (g->at == RUNS_OF_SOURCE) {
        return source[g->at - 1].position + source[g->at - 1].len;
    }
    return source[g->at].position + g->in - (g->said_loss ? 0 : source[g->at].loss);
}

static void send_checkpoint(struct gateway *g)
{
    char cursor[64];

    (void)snprintf(cursor, sizeof(cursor), "%zu/%" PRIu64 "/%d/%d/%d", g->at, g->in, g->said_loss,
                   g->said_segment, g->is_in_segment);
    trace_say_checkpoint(&g->stream, position_of(g), cursor);
}

/* Over what it was too slow for. */
static void send_skip(struct gateway *g)
{
    size_t to = g->at + 1 + chance((uint32_t)(g->head - g->at - 1));
    const struct stretch *s = &source[to];
    uint64_t position = position_of(g);
    bool at_least = !g->said_loss && source[g->at].is_open;

    for (size_t i = g->at + 1; i <= to; i++) {
        at_least = at_least || source[i].is_open;
    }
    trace_say_gap(&g->stream, (struct trace_gap){ .reason = XENRES_TRACE_GAP_TOO_SLOW,
                                                  .position = position,
                                                  .length = s->position - position,
                                                  .at_least = at_least,
                                                  .offset = s->offset,
                                                  .segment = s->segment,
                                                  .epoch = s->epoch });
    go_to(g, to);
    g->said_loss = g->is_in_segment = true;
    g->said_segment = !s->is_open || chance(2) == 0;
}

/* What is in front of a stretch. True: something was said. */
static bool send_front(struct gateway *g)
{
    const struct stretch *s = &source[g->at];
    const struct stretch *before = g->at > 0 ? s - 1 : s;

    if (!g->said_loss) {
        g->said_loss = true;
        if (s->loss > 0 || s->is_open) {
            trace_say_gap(&g->stream,
                          (struct trace_gap){ .reason = s->is_reset ? XENRES_TRACE_GAP_RESET
                                                                    : XENRES_TRACE_GAP_LAPPED,
                                              .position = s->position - s->loss,
                                              .length = s->loss,
                                              .at_least = s->is_open,
                                              .offset = before->offset + before->len + s->loss,
                                              .segment = before->segment,
                                              .epoch = before->epoch });
            return true;
        }
    }
    if (!g->said_segment) {
        g->said_segment = true;
        if (s->is_open) {
            trace_say_segment(&g->stream, s->segment, s->epoch,
                              s->is_reset ? XENRES_TRACE_SEGMENT_RESET : XENRES_TRACE_SEGMENT_LOSS,
                              s->position);
            return true;
        }
    }
    return false;
}

static void send_something(struct gateway *g)
{
    const struct stretch *s = &source[g->at];

    if (chance(10) == 0) {
        trace_say_heartbeat(&g->stream, position_of(g));
    }
    if (chance(5) == 0) {
        send_checkpoint(g);
    }
    if (chance(12) == 0 && g->at + 1 < g->head) {
        send_skip(g);
        return;
    }
    if (send_front(g)) {
        return;
    }
    uint64_t left = s->len - g->in, piece = chance(2) == 0 ? left : 1 + chance((uint32_t)left);

    trace_say_data(&g->stream, (struct trace_data){ .position = s->position + g->in,
                                                    .offset = s->offset + g->in,
                                                    .segment = s->segment,
                                                    .epoch = s->epoch,
                                                    .len = piece });
    g->in += piece;
    if (g->in == s->len) {
        go_to(g, g->at + 1);
    }
}

static void send_stream(struct gateway *g, bool resumed)
{
    if (!resumed) { /* from the oldest that is held on */
        go_to(g, g->head > KEPT ? g->head - KEPT : 0);
        g->said_loss = g->is_in_segment = true;
        g->said_segment = !source[g->at].is_open || chance(2) == 0;
    }
    size_t last = RUNS_OF_SOURCE - 1;
    bool is_within = g->at == 0 || (g->said_loss && (g->said_segment || g->is_in_segment));
    const struct stretch *at = g->at > last ? &source[last]
                               : is_within  ? &source[g->at]
                                            : &source[g->at - 1];
    uint64_t in = g->at > last ? at->len
                  : is_within  ? g->in
                               : at->len + (g->said_loss ? source[g->at].loss : 0);

    trace_say_begin(&g->stream, (struct trace_begin){ .resumed = resumed,
                                                      .position = position_of(g),
                                                      .offset = at->offset + in,
                                                      .segment = at->segment,
                                                      .epoch = at->epoch });
    while (g->at < g->head) {
        send_something(g);
    }
}

static bool read_place(struct gateway *g, const void *body, size_t len, bool *has_cursor)
{
    Xenres__V1__ReadTraceRequest *request =
        xenres__v1__read_trace_request__unpack(NULL, len - 5, (const uint8_t *)body + 5);
    size_t at = 0;
    uint64_t in = 0;
    int said_loss = 0, said_segment = 0, is_in_segment = 0;

    *has_cursor = request->cursor[0] != '\0';
    bool is_place = sscanf(request->cursor, "%zu/%" SCNu64 "/%d/%d/%d", &at, &in, &said_loss,
                           &said_segment, &is_in_segment) == 5;

    xenres__v1__read_trace_request__free_unpacked(request, NULL);
    if (!is_place || at + KEPT < g->head) {
        return false;
    }
    g->at = at;
    g->in = in;
    g->said_loss = said_loss != 0;
    g->said_segment = said_segment != 0;
    g->is_in_segment = is_in_segment != 0;
    return true;
}

static struct tls_server_step refusal(struct gateway *g, const char *json)
{
    stream_end(&g->stream, json);
    return stream_done(&g->stream);
}

static struct tls_server_step cut(struct gateway *g)
{
    static const enum tls_server_then cuts[] = { TLS_SERVER_CLOSE, TLS_SERVER_RESET };
    struct tls_server_step step;

    if (chance(5) == 0) {
        trace_say_end(&g->stream, XENRES_TRACE_SHUTTING_DOWN, position_of(g), "");
        return stream_done(&g->stream);
    }
    step = stream_step(&g->stream, cuts[chance(2)]);
    step.len = g->cuts == 1 ? step.len : chance((uint32_t)g->stream.len_bytes);
    return step;
}

static struct tls_server_step answer(void *arg, const void *body, size_t len)
{
    struct gateway *g = arg;
    bool has_cursor;

    buffer_done(&g->stream);
    stream_begin(&g->stream);
    g->head += chance(chance(5) == 0 ? 16 : 5);
    g->head = g->head < RUNS_OF_SOURCE ? g->head : RUNS_OF_SOURCE;
    if (g->cuts++ > 0 && chance(8) == 0) { /* after a cut only: the first failure would be final */
        return refusal(g, "{\"error\":{\"code\":\"unavailable\",\"message\":\"not ready\"}}");
    }
    bool is_place = read_place(g, body, len, &has_cursor);

    if (has_cursor && !is_place) {
        return refusal(g, "{\"error\":{\"code\":\"out_of_range\",\"message\":\"missed\"}}");
    }
    send_stream(g, is_place);
    if (g->cuts < CUTS_MAX && (g->cuts == 1 || chance(12) > 0)) {
        return cut(g);
    }
    trace_say_end(&g->stream, XENRES_TRACE_STOPPED, position_of(g), "");
    return stream_done(&g->stream);
}

/* --- the receiver --- */

struct receiver {
    uint64_t at;                           /* of the next byte */
    bool is_open_told[RUNS_OF_SOURCE + 1]; /* before the segment of this number */
    unsigned ends;
    uint32_t segment;
};

static void must(bool condition, const char *what)
{
    if (!condition) {
        fail_msg("seed %" PRIu64 ": %s", seed, what);
    }
}

static int on_data(void *arg, const xenres_trace_data *d)
{
    struct receiver *r = arg;
    const uint8_t *bytes = d->bytes;
    size_t i = 0;

    must(d->position == r->at, "a hole, or something twice");
    for (size_t k = 0; k < d->len_bytes; k++) {
        must(bytes[k] == trace_byte(d->position + k), "another byte");
    }
    while (i + 1 < RUNS_OF_SOURCE && source[i + 1].position <= d->position) {
        i++;
    }
    must(d->position + d->len_bytes <= source[i].position + source[i].len, "bytes that were lost");
    must(d->segment == source[i].segment && d->epoch == source[i].epoch &&
             d->offset == source[i].offset + (d->position - source[i].position),
         "another place");
    for (uint32_t s = 1; s <= d->segment; s++) {
        must(r->is_open_told[s], "an open loss that was not told");
    }
    r->segment = d->segment;
    r->at += d->len_bytes;
    return 0;
}

static int on_gap(void *arg, const xenres_trace_gap *g)
{
    struct receiver *r = arg;

    must(g->position == r->at, "a gap elsewhere");
    must(g->length > 0 || g->at_least, "a gap of nothing");
    r->at += g->length;
    /* In front of the segment in which it goes on, and of the one that follows where it ends so. */
    for (uint32_t s = 1; g->at_least && s <= g->segment + 1 && s <= RUNS_OF_SOURCE; s++) {
        r->is_open_told[s] = r->is_open_told[s] || s > r->segment;
    }
    return 0;
}

static int on_end(void *arg, const xenres_trace_end *e)
{
    struct receiver *r = arg;

    must(e->position == r->at, "produced is not delivered and lost");
    r->ends++;
    return 0;
}

static void run_seed(void)
{
    static struct tracing w;
    const struct script none = { .count = 0 };
    struct receiver r = { .at = 0 };
    const xenres_trace_sink sink = {
        .size = sizeof(sink), .data = on_data, .gap = on_gap, .end = on_end, .arg = &r
    };

    state_of_chance = seed * UINT64_C(0x9e3779b97f4a7c15) + 7;
    make_source();
    gateway = (struct gateway){ .head = 1 };
    tracing_start(&w, &none);
    w.f.server.arg = &gateway;
    w.f.server.answer = answer;
    w.result = xenres_trace_read(w.f.handle, &w.query, &sink, &w.f.error);
    if (w.result != 0) {
        fail_msg("seed %" PRIu64 ": %s", seed, w.f.error.message);
    }
    must(r.ends == 1, "no end, or two");
    tracing_stop(&w);
    buffer_done(&gateway.stream);
}

static void each_byte_is_delivered_or_told_as_lost_once(void **state)
{
    const char *one = getenv("SEED");

    (void)state;
    for (seed = one != NULL ? strtoull(one, NULL, 10) : 0; seed < RUNS; seed++) {
        run_seed();
        if (one != NULL) {
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_is_delivered_or_told_as_lost_once),
    };

    return UNIT_RUN(tests);
}
