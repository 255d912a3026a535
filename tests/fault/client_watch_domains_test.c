/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Watching the host's domains: lists and events, across cuts. */
#include "tests/lib/client_watch.h"

#include "xenres/v1/host.pb-c.h"

typedef Xenres__V1__WatchDomainsResponse response;

/* --- messages --- */

static void say_message(struct buffer *out, response *m)
{
    stream_message(out, &m->base);
}

static void begin(struct buffer *out, const char *feed, bool resumed, uint64_t sequence)
{
    response m;
    Xenres__V1__WatchDomainsBegin begin;

    xenres__v1__watch_domains_response__init(&m);
    xenres__v1__watch_domains_begin__init(&begin);
    begin.feed = (char *)(uintptr_t)feed;
    begin.resumed = resumed;
    begin.sequence = sequence;
    m.content_case = XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_BEGIN;
    m.begin = &begin;
    say_message(out, &m);
}

static void domain_of(Xenres__V1__Domain *domain, Xenres__V1__DomainIdentity *identity, uint32_t id)
{
    xenres__v1__domain__init(domain);
    xenres__v1__domain_identity__init(identity);
    identity->domid = id;
    identity->uuid = (char *)(uintptr_t)UUID_A;
    identity->incarnation = (char *)(uintptr_t)LIFE_A;
    domain->identity = identity;
}

static void list(struct buffer *out, uint64_t sequence, uint32_t domid, bool complete)
{
    response m;
    Xenres__V1__WatchDomainsList list;
    Xenres__V1__Domain domain, *domains[] = { &domain };
    Xenres__V1__DomainIdentity identity;

    domain_of(&domain, &identity, domid);
    xenres__v1__watch_domains_response__init(&m);
    xenres__v1__watch_domains_list__init(&list);
    list.sequence = sequence;
    list.domains = domains;
    list.n_domains = 1;
    list.complete = complete;
    m.content_case = XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_LIST;
    m.list = &list;
    say_message(out, &m);
}

static void event(struct buffer *out, uint64_t first, uint64_t sequence)
{
    response m;
    Xenres__V1__DomainChange change;
    Xenres__V1__Domain domain;
    Xenres__V1__DomainIdentity identity;

    domain_of(&domain, &identity, (uint32_t)sequence);
    xenres__v1__watch_domains_response__init(&m);
    xenres__v1__domain_change__init(&change);
    change.first_sequence = first;
    change.sequence = sequence;
    change.kind = XENRES__V1__DOMAIN_CHANGE_KIND__DOMAIN_CHANGE_KIND_RENAMED;
    change.domain = &domain;
    change.previous_name = (char *)(uintptr_t) "before";
    m.content_case = XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_CHANGE;
    m.change = &change;
    say_message(out, &m);
}

static void gap(struct buffer *out, uint64_t first, uint64_t sequence)
{
    response m;
    Xenres__V1__WatchGap gap;

    xenres__v1__watch_domains_response__init(&m);
    xenres__v1__watch_gap__init(&gap);
    gap.reason = XENRES__V1__WATCH_GAP_REASON__WATCH_GAP_REASON_TOO_SLOW;
    gap.first_sequence = first;
    gap.sequence = sequence;
    m.content_case = XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_GAP;
    m.gap = &gap;
    say_message(out, &m);
}

static void checkpoint(struct buffer *out, uint64_t sequence, const char *cursor)
{
    response m;
    Xenres__V1__WatchCheckpoint checkpoint;

    xenres__v1__watch_domains_response__init(&m);
    xenres__v1__watch_checkpoint__init(&checkpoint);
    checkpoint.sequence = sequence;
    checkpoint.cursor = (char *)(uintptr_t)cursor;
    m.content_case = XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_CHECKPOINT;
    m.checkpoint = &checkpoint;
    say_message(out, &m);
}

static void heartbeat(struct buffer *out, uint64_t sequence)
{
    response m;
    Xenres__V1__WatchHeartbeat heartbeat;

    xenres__v1__watch_domains_response__init(&m);
    xenres__v1__watch_heartbeat__init(&heartbeat);
    heartbeat.sequence = sequence;
    m.content_case = XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_HEARTBEAT;
    m.heartbeat = &heartbeat;
    say_message(out, &m);
}

static void end_so(struct buffer *out, Xenres__V1__WatchEndReason reason, uint64_t sequence,
                   const char *cursor)
{
    response m;
    Xenres__V1__WatchEnd end;

    xenres__v1__watch_domains_response__init(&m);
    xenres__v1__watch_end__init(&end);
    end.reason = reason;
    end.sequence = sequence;
    end.cursor = (char *)(uintptr_t)cursor;
    m.content_case = XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_END;
    m.end = &end;
    say_message(out, &m);
    stream_end(out, "{}");
}

static void end(struct buffer *out, uint64_t sequence)
{
    end_so(out, XENRES__V1__WATCH_END_REASON__WATCH_END_REASON_PERMISSION_WITHDRAWN, sequence, "");
}

/* --- callbacks --- */

static int on_begin(void *arg, const xenres_domains_begin *b)
{
    struct told *t = arg;

    buffer_printf(&t->lines, "begin %c%s %" PRIu64 "\n", b->feed[0], b->resumed ? " behind" : "",
                  b->sequence);
    return told(t);
}

static int on_list(void *arg, const xenres_domains_piece *p)
{
    struct told *t = arg;

    assert_int_equal(p->domain_count, 1);
    assert_string_equal(p->domains[0].identity.uuid, UUID_A);
    buffer_printf(&t->lines, "list %" PRIu64 ": %u%s\n", p->sequence, p->domains[0].identity.domid,
                  p->complete ? "" : "...");
    return told(t);
}

static int on_change(void *arg, const xenres_domain_change *c)
{
    struct told *t = arg;

    assert_int_equal(c->kind, XENRES_DOMAIN_CHANGE_RENAMED);
    assert_int_equal(c->domain.identity.domid, c->sequence);
    assert_string_equal(c->previous_name, "before");
    told_range(t, "change", c->first_sequence, c->sequence);
    buffer_append_string(&t->lines, "\n");
    return told(t);
}

static void expect_domains(struct script *s, const xenres_domains_watch_query *query, uint32_t code,
                           const char *lines)
{
    static struct watching w;
    const xenres_domains_sink sink = { .size = sizeof(sink),
                                       .raw = told_raw,
                                       .begin = on_begin,
                                       .list = on_list,
                                       .change = on_change,
                                       .gap = told_gap,
                                       .checkpoint = told_checkpoint,
                                       .heartbeat = told_heartbeat,
                                       .end = told_end,
                                       .interrupted = told_interrupted,
                                       .arg = &w.told };

    watching_start(&w, s);
    w.result = xenres_watch_domains(w.f.handle, query, &sink, &w.f.error);
    assert_string_equal(buffer_string(&w.told.lines), lines);
    assert_int_equal(w.result, -(int)code);
    watching_stop(&w);
    assert_int_equal(w.f.server.next_step, s->count);
    script_done(s);
}

/* --- tests --- */

static struct buffer *begun(struct script *s)
{
    struct buffer *b = script_stream(s);

    begin(b, FEED_A, false, 0);
    list(b, 5, 0, false);
    list(b, 5, 1, true);
    return b;
}

#define BEGUN "begin a 0\nlist 5: 0...\nlist 5: 1\n"

static void lists_and_events_come_in_their_order(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    event(b, 6, 6);
    event(b, 0, 7); /* which is 7 alone */
    event(b, 8, 10);
    gap(b, 11, 12);
    list(b, 12, 1, true);
    end(b, 12);
    script_then(&s, TLS_SERVER_KEEP);
    expect_domains(&s, NULL, 0,
                   BEGUN "change 6\nchange 7\nchange 8-10\ngap too_slow 11-12\nlist 12: 1\n"
                         "end permission_withdrawn\n");
}

/* What the caller may see was decided anew: what there is to see is another list, not an event. */
static void another_list_at_the_same_number_replaces_the_one_before(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    list(b, 5, 1, true);
    event(b, 6, 6);
    list(b, 6, 0, false);
    list(b, 6, 1, true);
    end(b, 6);
    script_then(&s, TLS_SERVER_KEEP);
    expect_domains(&s, NULL, 0,
                   BEGUN "list 5: 1\nchange 6\nlist 6: 0...\nlist 6: 1\n"
                         "end permission_withdrawn\n");
}

/* Events of domains that are not watched are passed over by what says so. */
static void numbers_of_others_are_passed_over(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    checkpoint(b, 8, "c8");
    heartbeat(b, 12);
    event(b, 13, 14);
    heartbeat(b, 20);
    event(b, 15, 21);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    begin(b, FEED_A, true, 8);
    event(b, 9, 14);
    event(b, 15, 21);
    event(b, 22, 22);
    end(b, 22);
    script_then(&s, TLS_SERVER_KEEP);
    expect_domains(&s, NULL, 0,
                   BEGUN "checkpoint 8\nheartbeat 12\nchange 13-14\nheartbeat 20\nchange 15-21\n"
                         "interrupted at 21 [c8]\nbegin a behind 21\nchange 22\n"
                         "end permission_withdrawn\n");
}

/* Nor are they lost where it ends. */
static void what_was_passed_over_is_not_lost_at_the_end(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    heartbeat(b, 9);
    end(b, 9);
    script_then(&s, TLS_SERVER_KEEP);
    expect_domains(&s, NULL, 0, BEGUN "heartbeat 9\nend permission_withdrawn\n");
    b = begun(&s);
    heartbeat(b, 9);
    end(b, 10); /* which says so itself */
    script_then(&s, TLS_SERVER_KEEP);
    expect_domains(&s, NULL, 0, BEGUN "heartbeat 9\nend permission_withdrawn\n");
}

/* Another policy decides, or a filter of states was resumed: no number is missing, and the list is void. */
static void a_list_is_made_anew_where_the_stream_is(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    list(b, 5, 2, false);
    list(b, 5, 3, true);
    checkpoint(b, 5, "c5");
    event(b, 6, 6);
    event(b, 7, 7);
    list(b, 7, 4, true);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    begin(b, FEED_A, true, 5);
    list(b, 5, 2, true); /* older than what was delivered */
    event(b, 6, 6);
    gap(b, 7, 7);
    list(b, 7, 5, true);
    end(b, 7);
    script_then(&s, TLS_SERVER_KEEP);
    expect_domains(&s, NULL, 0,
                   BEGUN "list 5: 2...\nlist 5: 3\ncheckpoint 5\nchange 6\nchange 7\nlist 7: 4\n"
                         "interrupted at 7 [c5]\nbegin a behind 7\nlist 7: 5\n"
                         "end permission_withdrawn\n");
}

/* The cursor of an end may be behind events of others that nothing has told of. */
static void end_goes_on_behind_what_was_passed_over(void **state)
{
    struct script s = { .count = 0 };

    (void)state;
    for (uint64_t at = 9; at <= 10; at++) {
        struct buffer *b = begun(&s);

        end_so(b, XENRES__V1__WATCH_END_REASON__WATCH_END_REASON_SHUTTING_DOWN, 9, "e9");
        script_then(&s, TLS_SERVER_KEEP);
        b = script_stream(&s);
        begin(b, FEED_A, true, at);
        event(b, at + 1, at + 1);
        end(b, at + 1);
        script_then(&s, TLS_SERVER_KEEP);
        expect_domains(&s, NULL, at == 9 ? 0 : XENRES_INTERNAL /* 10 is nowhere */,
                       at == 9 ? BEGUN "interrupted at 5 shutting_down [e9]\nbegin a behind 9\n"
                                       "change 10\nend permission_withdrawn\n"
                               : BEGUN "interrupted at 5 shutting_down [e9]\n");
    }
}

/* Without an event and without a gap: what may be seen was decided anew. */
static void a_list_comes_again_when_others_may_be_seen(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    list(b, 5, 2, false);
    list(b, 5, 3, true);
    event(b, 6, 6);
    checkpoint(b, 6, "c6");
    event(b, 7, 7);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    begin(b, FEED_A, true, 6);
    gap(b, 7, 7); /* it is known already */
    list(b, 7, 4, true);
    event(b, 8, 8);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    begin(b, FEED_A, true, 8);
    list(b, 8, 5, true);
    end(b, 8);
    script_then(&s, TLS_SERVER_KEEP);
    expect_domains(&s, NULL, 0,
                   BEGUN "list 5: 2...\nlist 5: 3\nchange 6\ncheckpoint 6\nchange 7\n"
                         "interrupted at 7 [c6]\nbegin a behind 7\nlist 7: 4\nchange 8\n"
                         "interrupted at 8 [c6]\nbegin a behind 8\nlist 8: 5\n"
                         "end permission_withdrawn\n");
}

static void another_feed_has_another_list(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    checkpoint(b, 5, "c5");
    script_then(&s, TLS_SERVER_CLOSE);
    script_error(&s, "{\"error\":{\"code\":\"out_of_range\",\"message\":\"gone\"}}");
    b = script_stream(&s);
    begin(b, FEED_B, false, 0);
    list(b, 0, 1, true);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    begin(b, FEED_B, false, 0);
    list(b, 4, 1, true);
    end(b, 4);
    script_then(&s, TLS_SERVER_KEEP);
    expect_domains(&s, NULL, 0,
                   BEGUN "checkpoint 5\ninterrupted at 5 [c5]\ngap new_feed 6-0?\nbegin b 0\n"
                         "list 0: 1\ninterrupted at 0 []\nbegin b 0\ngap interrupted 1-4\n"
                         "list 4: 1\nend permission_withdrawn\n");
}

static void filter_and_cursor_are_asked_for(void **state)
{
    static const uint32_t states[] = { XENRES_DOMAIN_RUNNING };
    xenres_domain_query filter = XENRES_DOMAIN_QUERY_INIT;
    xenres_domains_watch_query query = XENRES_DOMAINS_WATCH_QUERY_INIT;
    static struct watching w;
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);
    const xenres_domains_sink sink = XENRES_DOMAINS_SINK_INIT;

    (void)state;
    filter.name_glob = "web-*";
    filter.states = states;
    filter.state_count = 1;
    query.filter = &filter;
    query.cursor = "kept";
    begin(b, FEED_A, true, 7);
    end(b, 7);
    script_then(&s, TLS_SERVER_KEEP);
    watching_start(&w, &s);
    assert_int_equal(xenres_watch_domains(w.f.handle, &query, &sink, &w.f.error), 0);
    Xenres__V1__WatchDomainsRequest *request = xenres__v1__watch_domains_request__unpack(
        NULL, w.f.server.body_len - 5, (const uint8_t *)w.f.server.body + 5);

    assert_non_null(request);
    assert_string_equal(request->cursor, "kept");
    assert_string_equal(request->filter->name_glob, "web-*");
    assert_int_equal(request->filter->n_states, 1);
    xenres__v1__watch_domains_request__free_unpacked(request, NULL);
    watching_stop(&w);
    script_done(&s);
}

/* --- lies --- */

static void expect_lie(struct script *s)
{
    script_then(s, TLS_SERVER_KEEP);
    static struct watching w;
    const xenres_domains_sink sink = XENRES_DOMAINS_SINK_INIT;

    watching_start(&w, s);
    assert_int_equal(xenres_watch_domains(w.f.handle, NULL, &sink, &w.f.error), -XENRES_INTERNAL);
    watching_stop(&w);
    script_done(s);
}

static void lies_are_found_out(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b;

    (void)state;
    event(begun(&s), 7, 7); /* a hole */
    expect_lie(&s);
    b = begun(&s);
    heartbeat(b, 9);
    event(b, 11, 11); /* passed over as far as 9 */
    expect_lie(&s);
    event(begun(&s), 5, 5); /* again */
    expect_lie(&s);
    list(begun(&s), 4, 1, true); /* from before */
    expect_lie(&s);
    list(begun(&s), 6, 1, true); /* where is 6? */
    expect_lie(&s);
    b = begun(&s);
    gap(b, 6, 8);
    list(b, 9, 1, true); /* where is 9? */
    expect_lie(&s);
    b = begun(&s);
    gap(b, 6, 8);
    event(b, 9, 9); /* without a list */
    expect_lie(&s);
    checkpoint(begun(&s), 4, "c");
    expect_lie(&s);
    b = script_stream(&s);
    begin(b, FEED_A, false, 0);
    list(b, 5, 0, false);
    list(b, 6, 1, true); /* of another list */
    expect_lie(&s);
    b = script_stream(&s);
    begin(b, FEED_A, true, 3); /* nobody asked for */
    expect_lie(&s);
}

static void recorded_message_is_shown(void **state)
{
    struct told t = { .calls = 0 };
    struct buffer stream;
    const xenres_domains_sink sink = { .size = sizeof(sink), .change = on_change, .arg = &t };

    (void)state;
    buffer_init(&t.lines, 4096);
    buffer_init(&stream, 1 << 20);
    event(&stream, 4, 9);
    const uint8_t *message = (const uint8_t *)strstr((const char *)stream.data, "\r\n") + 2 + 5;
    size_t len = stream.len_bytes - (size_t)(message - stream.data) - 2;

    assert_int_equal(xenres_watch_domains_message(message, len, &sink, NULL), 0);
    assert_string_equal(buffer_string(&t.lines), "change 4-9\n");
    assert_int_equal(xenres_watch_domains_message(message, len - 1, &sink, NULL), -XENRES_INTERNAL);
    buffer_done(&stream);
    buffer_done(&t.lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_and_events_come_in_their_order),
        cmocka_unit_test(another_list_at_the_same_number_replaces_the_one_before),
        cmocka_unit_test(numbers_of_others_are_passed_over),
        cmocka_unit_test(what_was_passed_over_is_not_lost_at_the_end),
        cmocka_unit_test(a_list_is_made_anew_where_the_stream_is),
        cmocka_unit_test(end_goes_on_behind_what_was_passed_over),
        cmocka_unit_test(a_list_comes_again_when_others_may_be_seen),
        cmocka_unit_test(another_feed_has_another_list),
        cmocka_unit_test(filter_and_cursor_are_asked_for),
        cmocka_unit_test(lies_are_found_out),
        cmocka_unit_test(recorded_message_is_shown),
    };

    return UNIT_RUN(tests);
}
