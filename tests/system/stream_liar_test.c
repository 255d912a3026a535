/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Watchers of the real gateway that lie about where they were: cursors that are another's, another
 * resource's or another life's, forged ones and halves of them. None goes on from where it was not. And
 * watchers that say half of it and leave, or take nothing: nothing is held for them.
 */
#include "tests/lib/gateway.h"

#include "xenres/v1/resource.pb-c.h"

enum {
    ENVELOPE_BYTES = 5,
    MESSAGES_MAX = 16,
    CURSOR_BYTES = 4096,
    LEAVERS = 60,
    WAIT_S = 30,
};

static const char scenario[] =
    "seed = 1\nclock = \"virtual\"\n"
    "domain \"a\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
    "  grants { frames = 4 entries = 1000 } }\n"
    "domain \"b\" { domid = 2 uuid = \"22222222-2222-2222-2222-222222222222\"\n"
    "  grants { frames = 4 entries = 1000 } }\n";

static const char limits[] =
    "limits { subscribers_per_identity = 8 connections_per_address = 200 }\n";

struct ask {
    const char *domain, *incarnation, *cursor, *who;
    uint32_t first_frame;
    bool decode;
};

/* --- one watch, until its first checkpoint or its end ------------------------------------------------- */

struct seen {
    bool resumed, had_content;
    char cursor[CURSOR_BYTES], life[64], error[64];
};

static size_t write_request(const struct ask *a, uint8_t *out, size_t max)
{
    Xenres__V1__WatchRequest r;
    uint8_t body[2 * CURSOR_BYTES];

    xenres__v1__watch_request__init(&r);
    r.domain = (char *)(uintptr_t)a->domain;
    r.type = XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE;
    r.first_frame = a->first_frame;
    r.decode = a->decode;
    r.incarnation = (char *)(uintptr_t)(a->incarnation != NULL ? a->incarnation : "");
    r.cursor = (char *)(uintptr_t)(a->cursor != NULL ? a->cursor : "");
    size_t len = xenres__v1__watch_request__get_packed_size(&r);

    assert_true(len <= sizeof(body));
    (void)xenres__v1__watch_request__pack(&r, body);
    int head = snprintf((char *)out, max,
                        "POST /xenres.v1.ResourceService/Watch HTTP/1.1\r\nHost: t\r\n"
                        "Content-Type: application/connect+proto\r\nContent-Length: %zu\r\n\r\n",
                        len + ENVELOPE_BYTES);
    const uint8_t envelope[ENVELOPE_BYTES] = { 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len };

    assert_true((size_t)head + ENVELOPE_BYTES + len <= max);
    memcpy(out + head, envelope, sizeof(envelope));
    memcpy(out + head + ENVELOPE_BYTES, body, len);
    return (size_t)head + ENVELOPE_BYTES + len;
}

static void open_as(struct tls_peer *p, const struct ask *a)
{
    static uint8_t request[4 * CURSOR_BYTES];
    struct tls_peer_options options = gateway_operator(0);

    options.name = a->who != NULL ? a->who : "operator";
    assert_true(tls_peer_open(p, gateway.port, &options));
    size_t len = write_request(a, request, sizeof(request));

    assert_true(tls_peer_send(p, request, len));
}

/* Of a body in chunks, or of one whose length was said. */
static void read_body(struct tls_peer *p, size_t *chunk_left, uint8_t *out, size_t len)
{
    for (size_t at = 0, n; at < len; at += n, *chunk_left -= n) {
        char line[32] = "";

        while (*chunk_left == 0) { /* the end of the one before is an empty line */
            assert_true(tls_peer_line(p, line, sizeof(line)));
            *chunk_left = strtoul(line, NULL, 16);
        }
        n = tls_peer_read(p, out + at, len - at < *chunk_left ? len - at : *chunk_left);
        assert_true(n > 0);
    }
}

/* The next envelope. Its flags. */
static uint8_t next_envelope(struct tls_peer *p, size_t *chunk_left, uint8_t *out, size_t max,
                             size_t *len)
{
    uint8_t head[ENVELOPE_BYTES];

    read_body(p, chunk_left, head, sizeof(head));
    *len = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    assert_true(*len <= max);
    read_body(p, chunk_left, out, *len);
    return head[0];
}

static void take(struct seen *s, const Xenres__V1__WatchResponse *m)
{
    if (m->content_case == XENRES__V1__WATCH_RESPONSE__CONTENT_BEGIN) {
        s->resumed = m->begin->resumed != 0;
        (void)snprintf(s->life, sizeof(s->life), "%s", m->begin->domain->incarnation);
    }
    s->had_content = s->had_content ||
                     m->content_case == XENRES__V1__WATCH_RESPONSE__CONTENT_IMAGE ||
                     m->content_case == XENRES__V1__WATCH_RESPONSE__CONTENT_DECODED;
    if (m->content_case == XENRES__V1__WATCH_RESPONSE__CONTENT_CHECKPOINT) {
        (void)snprintf(s->cursor, sizeof(s->cursor), "%s", m->checkpoint->cursor);
    }
}

/* Until a checkpoint, the stream's begin where it goes on, or its end. */
static struct seen watch(const struct ask *a)
{
    static uint8_t bytes[1 << 20];
    static struct seen s;
    struct tls_peer p;
    size_t len;

    memset(&s, 0, sizeof(s));
    open_as(&p, a);
    assert_int_equal(tls_peer_head(&p), 200);
    const char *length = tls_peer_header(&p, "Content-Length");
    size_t chunk_left = length != NULL ? strtoul(length, NULL, 10) : 0;

    for (int i = 0; i < MESSAGES_MAX && s.cursor[0] == '\0' && s.error[0] == '\0' && !s.resumed;
         i++) {
        if (next_envelope(&p, &chunk_left, bytes, sizeof(bytes) - 1, &len) != 0) {
            bytes[len] = '\0';
            const char *code = strstr((const char *)bytes, "\"code\":\"");

            assert_true(code != NULL && sscanf(code + 8, "%63[a-z_]", s.error) == 1);
            break;
        }
        Xenres__V1__WatchResponse *m = xenres__v1__watch_response__unpack(NULL, len, bytes);

        assert_non_null(m);
        take(&s, m);
        xenres__v1__watch_response__free_unpacked(m, NULL);
    }
    tls_peer_close(&p);
    return s;
}

static void expect_refused(struct ask a, const char *cursor, const char *code)
{
    a.cursor = cursor;
    struct seen s = watch(&a);

    assert_false(s.resumed || s.had_content);
    assert_string_equal(s.error, code);
}

/* --- lies about the place ---------------------------------------------------------------------------- */

static void a_cursor_leads_back_to_its_own_place_only(void **state)
{
    const struct ask of_a = { .domain = "a" }, of_b = { .domain = "b" },
                     of_part = { .domain = "a", .first_frame = 1 };
    char cursor[CURSOR_BYTES];

    (void)state;
    (void)snprintf(cursor, sizeof(cursor), "%s", watch(&of_a).cursor);
    assert_true(cursor[0] != '\0');
    struct ask again = of_a;

    again.cursor = cursor;
    assert_true(watch(&again).resumed);
    assert_true(watch(&again).resumed);      /* as often as one likes */
    expect_refused(of_b, cursor, "aborted"); /* as of a life that is over */
    expect_refused(of_part, cursor, "invalid_argument");
}

static void another_caller_cannot_use_it(void **state)
{
    const struct ask of_a = { .domain = "a" }, others = { .domain = "a", .who = "visitor" };
    char cursor[CURSOR_BYTES];

    (void)state;
    (void)snprintf(cursor, sizeof(cursor), "%s", watch(&of_a).cursor);
    struct ask with = others;

    with.cursor = cursor;
    struct seen without = watch(&others), s = watch(&with);

    assert_false(s.resumed || s.had_content);
    assert_true(without.error[0] != '\0' && s.error[0] != '\0');
    assert_true(strcmp(s.error, without.error) == 0 || strcmp(s.error, "invalid_argument") == 0);
}

static void forged_and_halved_cursors_are_none(void **state)
{
    const struct ask of_a = { .domain = "a" };
    char cursor[CURSOR_BYTES], forged[CURSOR_BYTES];

    (void)state;
    (void)snprintf(cursor, sizeof(cursor), "%s", watch(&of_a).cursor);
    size_t len = strlen(cursor);

    assert_true(len > 100);
    for (size_t at = 0; at < len - 1; at += 7) { /* the last one may have bits that are none */
        memcpy(forged, cursor, len + 1);
        forged[at] = forged[at] == 'A' ? 'B' : 'A';
        expect_refused(of_a, forged, "invalid_argument");
        (void)snprintf(forged, at + 2, "%s", cursor);
        expect_refused(of_a, forged, "invalid_argument");
    }
    (void)snprintf(forged, sizeof(forged), "%.*s%s", 2000, cursor, cursor);
    expect_refused(of_a, forged, "invalid_argument");
    expect_refused(of_a, "\x01\x02", "invalid_argument");
    memset(forged, 'A', sizeof(forged) - 1);
    forged[sizeof(forged) - 1] = '\0';
    expect_refused(of_a, forged, "invalid_argument");
}

/* The mapper's next life has other incarnations: a cursor of the one before goes nowhere. */
static void a_cursor_of_another_life_goes_nowhere(void **state)
{
    struct ask of_a = { .domain = "a" };
    char cursor[CURSOR_BYTES], life[64];

    (void)state;
    struct seen s = watch(&of_a);

    memcpy(cursor, s.cursor, sizeof(cursor));
    memcpy(life, s.life, sizeof(life));
    gateway_stop();
    gateway_start(false);
    of_a.cursor = cursor;
    s = watch(&of_a);
    assert_false(s.resumed || s.had_content);
    assert_true(strcmp(s.error, "invalid_argument") == 0 || strcmp(s.error, "aborted") == 0 ||
                strcmp(s.error, "out_of_range") == 0);
    of_a.incarnation = life;
    s = watch(&of_a);
    assert_string_equal(s.error, "aborted");
    of_a.cursor = of_a.incarnation = NULL;
    assert_true(watch(&of_a).had_content);
}

/* --- who does not hear it out ------------------------------------------------------------------------ */

/* Soon, not at once: who has just gone may not have been noticed. */
static void expect_served(void)
{
    const struct ask of_a = { .domain = "a" };
    uint64_t until_ns = clock_monotonic_ns() + WAIT_S * CLOCK_NS_PER_S;
    struct seen s;

    do {
        s = watch(&of_a);
        assert_true(clock_monotonic_ns() < until_ns);
    } while (strcmp(s.error, "resource_exhausted") == 0);
    assert_string_equal(s.error, "");
    assert_true(s.had_content);
}

static void who_leaves_in_the_midst_of_it_holds_nothing(void **state)
{
    static uint8_t bytes[16384];
    const struct ask of_a = { .domain = "a" };

    (void)state;
    for (int i = 0; i < LEAVERS; i++) { /* far more than one may have at a time */
        const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
        struct tls_peer p;

        open_as(&p, &of_a);
        if (i % 4 > 0) { /* before the head, behind it, in the midst of the image */
            (void)tls_peer_head(&p);
        }
        if (i % 4 > 1) {
            (void)tls_peer_read(&p, bytes, (size_t)(i * 97 % 9000 + 1));
        }
        if (i % 2 == 0) {
            (void)setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        }
        tls_peer_close(&p);
    }
    expect_served();
}

static void who_never_reads_takes_a_place_and_no_more(void **state)
{
    enum { PLACES = 8 };
    const struct ask of_a = { .domain = "a" }, of_b = { .domain = "b" };
    struct tls_peer deaf[PLACES];

    (void)state;
    for (size_t i = 0; i < PLACES; i++) {
        open_as(&deaf[i], i % 2 == 0 ? &of_a : &of_b);
        assert_int_equal(tls_peer_head(&deaf[i]), 200); /* it has begun */
    }
    struct seen s = watch(&of_a);

    assert_string_equal(s.error, "resource_exhausted");
    for (size_t i = 0; i < PLACES; i++) {
        tls_peer_close(&deaf[i]);
    }
    expect_served();
}

static int begin(void **state)
{
    (void)state;
    return gateway_set_up("liar", scenario, limits);
}

static int end(void **state)
{
    (void)state;
    return gateway_tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_leads_back_to_its_own_place_only),
        cmocka_unit_test(another_caller_cannot_use_it),
        cmocka_unit_test(forged_and_halved_cursors_are_none),
        cmocka_unit_test(a_cursor_of_another_life_goes_nowhere),
        cmocka_unit_test(who_leaves_in_the_midst_of_it_holds_nothing),
        cmocka_unit_test(who_never_reads_takes_a_place_and_no_more),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin, end);
}
