/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The same stream, closed or reset behind each of its bytes, when it is the first and when it goes on
 * from a checkpoint: what follows from the place that was reached is told once, whole. */
#include "tests/lib/client_watch.h"

/* --- the gateway: batches 4 to 8 behind an image at 3, from wherever it is asked to go on --- */

enum { IMAGE_BYTES = 640, PIECE_BYTES = 320 };

struct gateway {
    unsigned victim; /* the answer that is cut, from 0; those before it are closed behind 3 */
    size_t cut_at, victim_bytes;
    enum tls_server_then then;
    unsigned answers;
    struct buffer stream;
};

static struct gateway gateway;

static void send_from(struct buffer *b, uint64_t at)
{
    say_begin(b, (struct say_begin){ .resumed = at > 0, .sequence = at, .silence_ms = 20000 });
    if (at == 0) {
        say_image(
            b, (struct say_image){
                   .sequence = 3, .frame_bytes = IMAGE_BYTES, .len = PIECE_BYTES, .more = true });
        say_image(b,
                  (struct say_image){ .sequence = 3, .offset = PIECE_BYTES, .len = PIECE_BYTES });
        say_checkpoint(b, 3, "3");
        at = 3;
    }
    if (at < 4) {
        say_batch(b, 4);
    }
    if (at < 5) {
        say_changes(b, (struct say_changes){
                           .sequence = 5, .blocks = { 1 }, .block_count = 1, .more = true });
        say_changes(b, (struct say_changes){ .sequence = 5, .blocks = { 2 }, .block_count = 1 });
        say_checkpoint(b, 5, "5");
    }
    say_changes(b, (struct say_changes){ .first = 6, .sequence = 7 });
    say_batch(b, 8);
    say_end(b, XENRES_END_INCARNATION_ENDED, 8, "");
}

static struct tls_server_step answer(void *arg, const void *body, size_t len)
{
    struct gateway *g = arg;
    Xenres__V1__WatchRequest *request =
        xenres__v1__watch_request__unpack(NULL, len - 5, (const uint8_t *)body + 5);
    uint64_t at = strtoull(request->cursor, NULL, 10);
    struct tls_server_step step;

    xenres__v1__watch_request__free_unpacked(request, NULL);
    buffer_done(&g->stream);
    stream_begin(&g->stream);
    if (g->answers < g->victim) {
        say_begin(&g->stream, (struct say_begin){ .silence_ms = 20000 });
        say_image(&g->stream, (struct say_image){
                                  .sequence = 3, .frame_bytes = IMAGE_BYTES, .len = IMAGE_BYTES });
        say_checkpoint(&g->stream, 3, "3");
        step = stream_step(&g->stream, TLS_SERVER_CLOSE);
    } else {
        send_from(&g->stream, at);
        step = stream_done(&g->stream);
    }
    if (g->answers == g->victim) {
        g->victim_bytes = step.len;
        step.len = g->cut_at < step.len ? g->cut_at : step.len;
        step.then = g->then;
    }
    g->answers++;
    return step;
}

/* What was told, without what differs from cut to cut. */
static void strip(const char *lines, char *out, size_t size)
{
    size_t len = 0;

    while (*lines != '\0') {
        size_t line = strcspn(lines, "\n") + 1;
        bool is_data = strncmp(lines, "changes", 7) == 0 || strncmp(lines, "gap", 3) == 0 ||
                       strncmp(lines, "end", 3) == 0;

        if (is_data && memchr(lines, '.', line) == NULL) { /* parts may come again */
            assert_true(len + line < size);
            memcpy(out + len, lines, line);
            len += line;
        }
        lines += line;
    }
    out[len] = '\0';
}

static void look(struct watching *w, size_t *cuts)
{
    const char *lines = buffer_string(&w->told.lines);
    char data[1024];

    if (strstr(lines, "begin") == NULL) {
        assert_int_equal(w->result, -XENRES_UNAVAILABLE); /* the first try is not tried again */
        return;
    }
    strip(lines, data, sizeof(data));
    if (w->result != 0 || strstr(lines, "image 3") == NULL ||
        strcmp(data, "changes 4\nchanges 5\nchanges 6-7\nchanges 8\nend incarnation_ended\n") !=
            0) {
        fail_msg("cut at %zu: %d, %s; %s", gateway.cut_at, w->result, w->f.error.message, lines);
    }
    *cuts += strstr(lines, "interrupted") != NULL;
}

static void cut_everywhere(unsigned victim, enum tls_server_then then)
{
    static struct watching w;
    const struct script none = { .count = 0 };
    size_t cuts = 0;

    watching_start(&w, &none);
    w.f.server.arg = &gateway;
    w.f.server.answer = answer;
    gateway.victim_bytes = 1;
    for (size_t at = 0; at < gateway.victim_bytes; at++) {
        gateway.victim = victim;
        gateway.cut_at = at;
        gateway.then = then;
        gateway.answers = 0;
        w.told.is_over = false;
        buffer_reset(&w.told.lines);
        watching_run(&w);
        look(&w, &cuts);
    }
    assert_true(cuts > 500);
    watching_stop(&w);
    buffer_done(&gateway.stream);
}

static void first_stream_is_closed(void **state)
{
    (void)state;
    cut_everywhere(0, TLS_SERVER_CLOSE);
}

static void first_stream_is_reset(void **state)
{
    (void)state;
    cut_everywhere(0, TLS_SERVER_RESET);
}

static void second_stream_is_closed(void **state)
{
    (void)state;
    cut_everywhere(1, TLS_SERVER_CLOSE);
}

static void second_stream_is_reset(void **state)
{
    (void)state;
    cut_everywhere(1, TLS_SERVER_RESET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_stream_is_closed),
        cmocka_unit_test(first_stream_is_reset),
        cmocka_unit_test(second_stream_is_closed),
        cmocka_unit_test(second_stream_is_reset),
    };

    return UNIT_RUN(tests);
}
