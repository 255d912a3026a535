/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Watches that are cut at random, of a gateway that produces what the test knows: of each feed every
 * number is delivered or told as lost once, in order, and the image is the source's at each of them.
 * `SEED=n` in the environment runs one seed alone. Sanitized, there are fewer.
 */
#include "tests/lib/client_watch.h"

#ifdef XENRES_SANITIZED
enum { RUNS = 150 };
#else
enum { RUNS = 600 };
#endif

enum {
    BATCHES_MAX = 60,  /* of a feed */
    FEEDS_MAX = 4,     /* of a run */
    SEGMENT_EVERY = 9, /* batches */
    KEPT = 25,         /* batches that a cursor may be behind */
    CUTS_MAX = 12,
};

/* --- the source: what a block holds follows from its feed, its segment and the batch --- */

static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t seed, state_of_chance;

static uint32_t chance(uint32_t below)
{
    state_of_chance += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mixed(state_of_chance) % below);
}

/* Segment of batch `k`; the image at `k` may be of the next one as well. */
static uint32_t segment_of(uint64_t k)
{
    return (uint32_t)(k > 0 ? (k - 1) / SEGMENT_EVERY : 0);
}

static uint32_t frames_of(uint32_t segment)
{
    return 1 + segment % 2;
}

static bool is_changed(unsigned feed, uint64_t k, uint32_t block)
{
    return mixed(seed * 31 + feed * 1009 + k * 100003 + block) % 16 == 0 ||
           block == k % WATCH_BLOCKS_A_FRAME;
}

/* What block has behind batch `k`, in a segment. */
static uint8_t byte_of(unsigned feed, uint64_t k, uint32_t segment, uint32_t block)
{
    uint64_t last = k;

    while (last > (uint64_t)segment * SEGMENT_EVERY && !is_changed(feed, last, block)) {
        last--;
    }
    return (uint8_t)mixed(seed + feed * 7 + last * 77 + segment * 777 + block);
}

static size_t image_of(unsigned feed, uint64_t k, uint32_t segment, uint8_t *out)
{
    uint32_t blocks = frames_of(segment) * WATCH_BLOCKS_A_FRAME;

    for (uint32_t block = 0; block < blocks; block++) {
        memset(out + block * 64, byte_of(feed, k, segment, block), 64);
    }
    return blocks * 64;
}

/* --- the gateway --- */

struct gateway {
    unsigned feed;
    uint64_t head; /* the last batch that was produced */
    unsigned cuts;
    struct buffer stream;
    /* Of the stream that is being made. */
    uint64_t at;
    uint32_t segment;
    bool is_done;
};

static struct gateway gateway;

static const char *feed_name(unsigned feed)
{
    static char name[33];

    (void)snprintf(name, sizeof(name), "%032x", feed + 1);
    return name;
}

static void send_checkpoint(struct gateway *g)
{
    char cursor[64];

    (void)snprintf(cursor, sizeof(cursor), "%u/%" PRIu64 "/%u", g->feed, g->at, g->segment);
    say_checkpoint(&g->stream, g->at, cursor);
}

static void send_image(struct gateway *g, uint64_t first, uint64_t sequence, uint32_t segment)
{
    uint8_t bytes[2 * WATCH_FRAME_BYTES];
    size_t len = image_of(g->feed, sequence, segment, bytes), offset = 0;

    while (offset < len) {
        size_t piece = chance(3) == 0 ? 1 + chance(4000) : len;

        piece = piece < len - offset ? piece : len - offset;
        say_image(&g->stream, (struct say_image){ .first = first,
                                                  .sequence = sequence,
                                                  .segment = segment,
                                                  .frame_count = frames_of(segment),
                                                  .offset = offset,
                                                  .len = piece,
                                                  .bytes = bytes + offset,
                                                  .more = offset + piece < len });
        offset += piece;
    }
    g->at = sequence;
    g->segment = segment;
    if (chance(8) > 0) {
        send_checkpoint(g);
    }
}

/* One batch or several as one, in one part or more. */
static void send_changes(struct gateway *g, uint64_t last)
{
    uint32_t blocks[2 * WATCH_BLOCKS_A_FRAME], count = 0, sent = 0;
    uint8_t content[2 * WATCH_FRAME_BYTES];

    for (uint32_t block = 0; block < frames_of(g->segment) * WATCH_BLOCKS_A_FRAME; block++) {
        bool is_in = false;

        for (uint64_t k = g->at + 1; k <= last; k++) {
            is_in = is_in || is_changed(g->feed, k, block);
        }
        if (is_in) {
            memset(content + count * 64, byte_of(g->feed, last, g->segment, block), 64);
            blocks[count++] = block;
        }
    }
    do {
        uint32_t part = chance(3) == 0 ? 1 + chance(4) : count;

        part = part < count - sent ? part : count - sent;
        say_changes(&g->stream, (struct say_changes){ .first = g->at + 1,
                                                      .sequence = last,
                                                      .segment = g->segment,
                                                      .block_list = blocks + sent,
                                                      .block_count = part,
                                                      .content = content + sent * 64,
                                                      .more = sent + part < count });
        sent += part;
    } while (sent < count);
    g->at = last;
}

static void send_something(struct gateway *g)
{
    uint64_t boundary = ((uint64_t)g->segment + 1) * SEGMENT_EVERY; /* its last batch */
    uint64_t last = g->at + 1 + (chance(4) == 0 ? chance(6) : 0);

    last = last < g->head ? last : g->head;
    switch (chance(16)) {
    case 0: say_heartbeat(&g->stream, g->at); return;
    case 1:
    case 2: send_checkpoint(g); return;
    case 3:
        say_gap(&g->stream, XENRES_GAP_TOO_SLOW, g->at + 1, last);
        g->at = last;
        send_image(g, 0, last, segment_of(last));
        return;
    case 4: send_image(g, g->at + 1, last, segment_of(last)); return;
    default: break;
    }
    if (g->at == boundary) {
        send_image(g, 0, g->at, g->segment + 1);
        return;
    }
    send_changes(g, last < boundary ? last : boundary);
}

static void send_stream(struct gateway *g, bool resumed)
{
    say_begin(&g->stream, (struct say_begin){ .feed = feed_name(g->feed),
                                              .resumed = resumed,
                                              .sequence = resumed ? g->at : 0,
                                              .segment = resumed ? g->segment : 0,
                                              .silence_ms = 20000 });
    if (!resumed) {
        send_image(g, 0, g->head, segment_of(g->head));
        /* What comes while it lives. */
        g->head += g->head < BATCHES_MAX ? chance(8) : 0;
    }
    while (g->at < g->head) {
        send_something(g);
    }
}

/* The place that a request asks for; false: none, or none that is kept. */
static bool read_place(struct gateway *g, const void *body, size_t len, bool *has_cursor)
{
    Xenres__V1__WatchRequest *request =
        xenres__v1__watch_request__unpack(NULL, len - 5, (const uint8_t *)body + 5);
    unsigned feed = 0, segment = 0;
    uint64_t at = 0;

    *has_cursor = request->cursor[0] != '\0';
    bool is_place = sscanf(request->cursor, "%u/%" SCNu64 "/%u", &feed, &at, &segment) == 3;

    xenres__v1__watch_request__free_unpacked(request, NULL);
    g->at = at;
    g->segment = segment;
    return is_place && feed == g->feed && at + KEPT >= g->head;
}

static struct tls_server_step refusal(struct gateway *g, const char *json)
{
    stream_end(&g->stream, json);
    return stream_done(&g->stream);
}

/* How a stream is cut, or ends. */
static struct tls_server_step cut(struct gateway *g)
{
    static const enum tls_server_then cuts[] = { TLS_SERVER_CLOSE, TLS_SERVER_RESET };
    size_t kept;
    struct tls_server_step step;

    switch (chance(6)) {
    case 0: {
        char cursor[64];

        (void)snprintf(cursor, sizeof(cursor), "%u/%" PRIu64 "/%u", g->feed, g->at, g->segment);
        say_end(&g->stream, XENRES_END_SHUTTING_DOWN, g->at, cursor);
        return stream_done(&g->stream);
    }
    case 1:
        if (g->feed + 1 < FEEDS_MAX) {
            say_end(&g->stream, XENRES_END_MAPPER_GONE, g->head, "");
            g->feed++;
            g->head = chance(5);
            return stream_done(&g->stream);
        }
        break;
    case 2: return stream_done(&g->stream); /* its proper end, and no last word */
    default: break;
    }
    kept = chance((uint32_t)g->stream.len_bytes);
    step = stream_step(&g->stream, cuts[chance(2)]);
    step.len = kept;
    return step;
}

static struct tls_server_step answer(void *arg, const void *body, size_t len)
{
    struct gateway *g = arg;
    bool has_cursor;
    bool is_place;

    buffer_done(&g->stream);
    stream_begin(&g->stream);
    g->head += g->head < BATCHES_MAX ? chance(chance(6) == 0 ? 40 : 8) : 0;
    if (g->cuts > 0 && chance(8) == 0) { /* after a cut only: the first failure would be final */
        g->cuts++;
        return refusal(g, "{\"error\":{\"code\":\"unavailable\",\"message\":\"not ready\"}}");
    }
    is_place = read_place(g, body, len, &has_cursor);
    if (has_cursor && !is_place) {
        return refusal(g, "{\"error\":{\"code\":\"out_of_range\",\"message\":\"missed\"}}");
    }
    send_stream(g, is_place);
    if (g->cuts == 0) { /* as above */
        g->cuts++;
        return stream_step(&g->stream, TLS_SERVER_CLOSE);
    }
    if (++g->cuts < CUTS_MAX && chance(10) > 0) {
        return cut(g);
    }
    say_end(&g->stream, XENRES_END_INCARNATION_ENDED, g->head, "");
    return stream_done(&g->stream);
}

/* --- the receiver --- */

struct receiver {
    int feed; /* -1: none yet */
    uint64_t last;
    uint32_t segment;
    bool has_content;
    xenres_image *image;
    uint64_t delivered[FEEDS_MAX + 1], lost[FEEDS_MAX + 1];
    bool is_within; /* the parts of something */
    unsigned ends;
    struct buffer log;
};

static void must(const struct receiver *r, bool condition, const char *what)
{
    if (!condition) {
        print_message("%.*s", (int)r->log.len_bytes, (const char *)r->log.data);
        fail_msg("seed %" PRIu64 ": %s, feed %d, behind %" PRIu64, seed, what, r->feed, r->last);
    }
}

static void account(struct receiver *r, uint64_t first, uint64_t last, uint64_t *count)
{
    buffer_printf(&r->log, "  %s %" PRIu64 "-%" PRIu64 "\n",
                  count == &r->lost[r->feed] ? "lost" : "delivered", first, last);
    must(r, first == r->last + 1 && last >= first, "a hole, or something twice");
    *count += last - first + 1;
    r->last = last;
}

static void compare(struct receiver *r)
{
    static uint8_t expected[2 * WATCH_FRAME_BYTES];
    size_t len = 0;
    uint64_t sequence = 0;
    const void *bytes = xenres_image_bytes(r->image, &len, &sequence);

    must(r, sequence == r->last, "the image is of another number");
    must(r, image_of((unsigned)r->feed, r->last, r->segment, expected) == len, "a wrong size");
    must(r, memcmp(bytes, expected, len) == 0, "the image is not the source's");
}

static int on_begin(void *arg, const xenres_watch_begin *b)
{
    struct receiver *r = arg;
    unsigned feed = 0;

    (void)sscanf(b->feed + 24, "%x", &feed);
    buffer_printf(&r->log, "begin %u %s\n", feed - 1, b->resumed ? "resumed" : "");
    if ((int)feed - 1 != r->feed) {
        must(r, !b->resumed, "resumed in another feed");
        r->feed = (int)feed - 1;
        r->last = 0;
        r->has_content = false;
    } else if (b->resumed) {
        must(r, b->sequence == r->last, "resumed elsewhere");
    }
    return 0;
}

static int on_image(void *arg, const xenres_watch_image *i)
{
    struct receiver *r = arg;
    xenres_error error;

    must(r, (i->observation == NULL) == r->is_within, "a piece out of place");
    r->is_within = !i->complete;
    must(r, xenres_image_apply_piece(r->image, i, &error) == 0, "a piece that does not fit");
    if (!i->complete) {
        return 0;
    }
    if (i->first_sequence != 0) {
        account(r, i->first_sequence, i->sequence, &r->delivered[r->feed]);
    } else if (r->last == 0) {
        r->last = i->sequence; /* the first of a feed */
    }
    must(r, i->sequence == r->last, "an image of another number");
    r->segment = i->segment;
    r->has_content = true;
    compare(r);
    return 0;
}

static int on_changes(void *arg, const xenres_watch_changes *c)
{
    struct receiver *r = arg;
    xenres_error error;

    must(r, r->has_content && c->segment == r->segment, "changes of nothing");
    must(r, xenres_image_apply_changes(r->image, c, &error) == 0, "changes that do not fit");
    r->is_within = c->more;
    if (!c->more) {
        account(r, c->first_sequence, c->sequence, &r->delivered[r->feed]);
        compare(r);
    }
    return 0;
}

static int on_gap(void *arg, const xenres_watch_gap *g)
{
    struct receiver *r = arg;

    must(r, !r->is_within, "a gap within parts");
    must(r, g->exact || g->reason == XENRES_GAP_NEW_FEED, "a gap that is not exact");
    must(r, g->first_sequence == r->last + 1, "a gap elsewhere");
    if (g->sequence != 0) {
        account(r, g->first_sequence, g->sequence, &r->lost[r->feed]);
    }
    r->has_content = r->has_content && g->reason == XENRES_GAP_AT_END;
    return 0;
}

static int on_checkpoint(void *arg, const xenres_watch_checkpoint *c)
{
    struct receiver *r = arg;

    must(r, c->sequence == r->last && r->has_content && !r->is_within, "a checkpoint elsewhere");
    return 0;
}

static int on_interrupted(void *arg, const xenres_watch_interruption *i)
{
    struct receiver *r = arg;

    buffer_printf(&r->log, "interrupted %s: %s\n", i->unfinished ? "unfinished" : "",
                  i->error->message);
    must(r, i->unfinished == r->is_within, "unfinished, or not");
    must(r, r->feed < 0 || r->last == 0 || i->sequence == r->last, "interrupted elsewhere");
    r->is_within = false;
    return 0;
}

static int on_end(void *arg, const xenres_watch_end *e)
{
    struct receiver *r = arg;

    must(r, e->reason == XENRES_END_INCARNATION_ENDED, "another end");
    must(r, r->last == gateway.head && e->sequence == gateway.head, "not all was told");
    r->ends++;
    return 0;
}

/* --- runs --- */

static struct totals {
    uint64_t delivered, lost, streams;
} totals;

static void run(struct watching *w, uint64_t of_seed)
{
    struct receiver r = { .feed = -1 };
    const xenres_watch_sink sink = { .size = sizeof(sink),
                                     .begin = on_begin,
                                     .image = on_image,
                                     .changes = on_changes,
                                     .gap = on_gap,
                                     .checkpoint = on_checkpoint,
                                     .end = on_end,
                                     .interrupted = on_interrupted,
                                     .arg = &r };

    seed = of_seed;
    state_of_chance = seed * 1000003;
    buffer_done(&gateway.stream);
    gateway = (struct gateway){ .head = chance(4) };
    w->f.server.piece_bytes = chance(4) == 0 ? 1 + chance(300) : 0;
    buffer_init(&r.log, 1 << 20);
    assert_int_equal(xenres_image_new(0, &r.image, NULL), 0);
    int result = xenres_watch(w->f.handle, &w->query, &sink, &w->f.error);

    must(&r, result == 0, w->f.error.message);
    must(&r, r.ends == 1, "no end");
    for (int i = 0; i <= r.feed; i++) {
        totals.delivered += r.delivered[i];
        totals.lost += r.lost[i];
    }
    totals.streams += gateway.cuts;
    xenres_image_free(r.image);
    buffer_done(&r.log);
}

static void nothing_is_missing_undeclared_and_nothing_comes_twice(void **state)
{
    static struct watching w;
    const struct script none = { .count = 0 };
    const char *one = getenv("SEED");

    (void)state;
    watching_start(&w, &none);
    w.f.server.arg = &gateway;
    w.f.server.answer = answer;
    for (uint64_t i = 1; i <= RUNS; i++) {
        run(&w, one != NULL ? strtoull(one, NULL, 10) : i);
    }
    watching_stop(&w);
    buffer_done(&gateway.stream);
    print_message("%d runs, %" PRIu64 " streams: %" PRIu64 " delivered, %" PRIu64 " lost\n", RUNS,
                  totals.streams, totals.delivered, totals.lost);
    /* It is no proof where nothing was cut, delivered or lost. */
    assert_true(totals.streams > 2 * RUNS);
    assert_true(totals.delivered > 10 * RUNS);
    assert_true(totals.lost > RUNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_missing_undeclared_and_nothing_comes_twice),
    };

    return UNIT_RUN(tests);
}
