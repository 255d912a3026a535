/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres_read_snapshot(): frames out of a stream of messages, all of them, in their order, of what
 * was asked for, or an error. */
#include "tests/lib/client_stream.h"

#include <unistd.h>

#include "xenres/v1/resource.pb-c.h"

enum { FRAME_BYTES = 4096, FIRST = 3, COUNT = 4 };

struct told {
    Xenres__V1__ReadSnapshotResponse message;
    Xenres__V1__SnapshotHead head;
    Xenres__V1__DomainIdentity domain;
    Xenres__V1__Observation observation;
    char uuid[sizeof(UUID_A)], life[sizeof(LIFE_A)];
};

static void make_head(struct told *t)
{
    xenres__v1__read_snapshot_response__init(&t->message);
    xenres__v1__snapshot_head__init(&t->head);
    xenres__v1__domain_identity__init(&t->domain);
    xenres__v1__observation__init(&t->observation);
    memcpy(t->uuid, UUID_A, sizeof(UUID_A));
    memcpy(t->life, LIFE_A, sizeof(LIFE_A));
    t->message.content_case = XENRES__V1__READ_SNAPSHOT_RESPONSE__CONTENT_HEAD;
    t->message.head = &t->head;
    t->head.domain = &t->domain;
    t->head.type = XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE;
    t->head.observation = &t->observation;
    t->domain.domid = 5;
    t->domain.uuid = t->uuid;
    t->domain.incarnation = t->life;
    t->observation.first_frame = FIRST;
    t->observation.frame_count = COUNT;
    t->observation.frame_bytes = FRAME_BYTES;
}

/* The byte at each place of the resource, so that frames cannot be mixed up. */
static uint8_t byte_at(size_t offset)
{
    return (uint8_t)(offset / FRAME_BYTES * 31 + offset);
}

static void add_chunk(struct buffer *out, uint32_t first_frame, size_t len)
{
    static uint8_t bytes[(COUNT + 2) * FRAME_BYTES];
    Xenres__V1__ReadSnapshotResponse message;
    Xenres__V1__SnapshotChunk chunk;

    for (size_t i = 0; i < len; i++) {
        bytes[i] = byte_at((size_t)first_frame * FRAME_BYTES + i);
    }
    xenres__v1__read_snapshot_response__init(&message);
    xenres__v1__snapshot_chunk__init(&chunk);
    message.content_case = XENRES__V1__READ_SNAPSHOT_RESPONSE__CONTENT_CHUNK;
    message.chunk = &chunk;
    chunk.first_frame = first_frame;
    chunk.frames.data = bytes;
    chunk.frames.len = len;
    stream_message(out, &message.base);
}

static void add_frames(struct buffer *out, uint32_t first_frame, size_t count)
{
    add_chunk(out, first_frame, count * FRAME_BYTES);
}

struct taken {
    int begins;
    size_t bytes;
    bool right;
    uint64_t done, total;
    int begin_result, data_result;
};

static int begin(void *arg, const xenres_frames *frames)
{
    struct taken *t = arg;

    t->begins++;
    t->right = frames->domain.domid == 5 && frames->len_bytes == COUNT * FRAME_BYTES;
    return t->begin_result;
}

static int data(void *arg, const void *bytes, size_t len_bytes)
{
    struct taken *t = arg;

    for (size_t i = 0; i < len_bytes; i++) {
        t->right = t->right && ((const uint8_t *)bytes)[i] ==
                                   byte_at(FIRST * (size_t)FRAME_BYTES + t->bytes + i);
    }
    t->bytes += len_bytes;
    return t->data_result;
}

static int progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct taken *t = arg;

    t->done = done_bytes;
    t->total = total_bytes;
    return 0;
}

static xenres_frames_query query_of(const char *domain)
{
    xenres_frames_query query = XENRES_FRAMES_QUERY_INIT(domain, XENRES_GRANT_TABLE, 0);

    query.first_frame = FIRST;
    query.frame_count = COUNT;
    return query;
}

static int read_snapshot(struct fixture *f, struct taken *t, const xenres_frames **frames)
{
    const xenres_frames_query query = query_of("5");
    xenres_frames_sink sink = XENRES_FRAMES_SINK_INIT;

    sink.begin = begin;
    sink.data = data;
    sink.progress = progress;
    sink.arg = t;
    return xenres_read_snapshot(f->handle, &query, &sink, &f->reply, frames, &f->error);
}

static void frames_come_in_any_pieces(void **state)
{
    struct fixture f;
    struct told told;
    struct taken t = { 0 };
    const xenres_frames *frames;
    const char *type_name;
    BUFFER_AUTO(bytes, 0);

    (void)state;
    make_head(&told);
    stream_begin(&bytes);
    stream_message(&bytes, &told.message.base);
    add_frames(&bytes, FIRST, 1);
    stream_text(&bytes, ""); /* what a later version may send is no frame */
    add_frames(&bytes, FIRST + 1, 3);
    stream_end(&bytes, "{}");
    const struct tls_server_step steps[] = { stream_done(&bytes),
                                             FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP) };

    fixture_start(&f, steps, 2);
    assert_int_equal(read_snapshot(&f, &t, &frames), 0);
    assert_true(t.right);
    assert_int_equal(t.begins, 1);
    assert_int_equal(t.bytes, COUNT * FRAME_BYTES);
    assert_int_equal(t.done, COUNT * FRAME_BYTES);
    assert_int_equal(t.total, COUNT * FRAME_BYTES);
    assert_string_equal(frames->domain.uuid, UUID_A);
    assert_int_equal(frames->observation.first_frame, FIRST);
    assert_false(frames->not_modified);
    assert_non_null(xenres_reply_message(f.reply, NULL, &type_name));
    assert_string_equal(type_name, "xenres.v1.ReadSnapshotResponse");
    assert_int_equal(fixture_get_host(&f), 0); /* on the same connection */
    fixture_end(&f);
    assert_int_equal(f.server.connections, 1);
}

static void request_says_what_is_wanted(void **state)
{
    const struct tls_server_step step = FIXTURE_TEXT("", TLS_SERVER_CLOSE);
    struct fixture f;
    struct taken t = { 0 };
    const xenres_frames *frames;

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(read_snapshot(&f, &t, &frames), -XENRES_UNAVAILABLE);
    fixture_end(&f);
    Xenres__V1__ReadSnapshotRequest *request = xenres__v1__read_snapshot_request__unpack(
        NULL, f.server.body_len - 5, (const uint8_t *)f.server.body + 5);

    assert_non_null(request);
    assert_string_equal(request->domain, "5");
    assert_int_equal(request->type, 2);
    assert_int_equal(request->first_frame, FIRST);
    assert_int_equal(request->frame_count, COUNT);
    xenres__v1__read_snapshot_request__free_unpacked(request, NULL);
    assert_non_null(strstr(f.server.requests[0], "Connect-Timeout-Ms: "));
}

/* `bytes` is the whole stream but its body's end. */
static void expect(struct buffer *bytes, uint32_t code, size_t delivered_frames)
{
    struct fixture f;
    struct taken t = { 0 };
    const xenres_frames *frames;
    const struct tls_server_step step = stream_done(bytes);

    fixture_start(&f, &step, 1);
    assert_int_equal(read_snapshot(&f, &t, &frames), -(int)code);
    assert_int_equal(f.error.code, code);
    assert_int_equal(t.bytes, delivered_frames * FRAME_BYTES);
    assert_null(f.reply);
    fixture_end(&f);
}

static void begin_with_head(struct buffer *bytes, struct told *told)
{
    make_head(told);
    stream_begin(bytes);
    stream_message(bytes, &told->message.base);
}

static void incomplete_snapshots_are_errors(void **state)
{
    struct told told;
    BUFFER_AUTO(no_frames, 0);
    BUFFER_AUTO(too_few, 0);
    BUFFER_AUTO(no_end, 0);
    BUFFER_AUTO(nothing, 0);

    (void)state;
    begin_with_head(&no_frames, &told);
    stream_end(&no_frames, "{}");
    expect(&no_frames, XENRES_INTERNAL, 0);

    begin_with_head(&too_few, &told);
    add_frames(&too_few, FIRST, COUNT - 1);
    stream_end(&too_few, "{}");
    expect(&too_few, XENRES_INTERNAL, COUNT - 1);

    begin_with_head(&no_end, &told);
    add_frames(&no_end, FIRST, COUNT); /* all of them, and yet */
    expect(&no_end, XENRES_INTERNAL, COUNT);

    stream_begin(&nothing);
    stream_end(&nothing, "{}");
    expect(&nothing, XENRES_INTERNAL, 0);
}

static void frames_out_of_place_are_errors(void **state)
{
    struct told told;
    BUFFER_AUTO(gap, 0);
    BUFFER_AUTO(twice, 0);
    BUFFER_AUTO(part, 0);
    BUFFER_AUTO(empty, 0);
    BUFFER_AUTO(too_many, 0);
    BUFFER_AUTO(headless, 0);
    BUFFER_AUTO(two_heads, 0);

    (void)state;
    begin_with_head(&gap, &told);
    add_frames(&gap, FIRST, 1);
    add_frames(&gap, FIRST + 2, 2);
    expect(&gap, XENRES_INTERNAL, 1);

    begin_with_head(&twice, &told);
    add_frames(&twice, FIRST, 1);
    add_frames(&twice, FIRST, 1);
    expect(&twice, XENRES_INTERNAL, 1);

    begin_with_head(&part, &told);
    add_chunk(&part, FIRST, FRAME_BYTES - 1);
    expect(&part, XENRES_INTERNAL, 0);

    begin_with_head(&empty, &told);
    add_chunk(&empty, FIRST, 0);
    expect(&empty, XENRES_INTERNAL, 0);

    begin_with_head(&too_many, &told);
    add_frames(&too_many, FIRST, COUNT + 1);
    expect(&too_many, XENRES_INTERNAL, 0);

    stream_begin(&headless);
    add_frames(&headless, FIRST, COUNT);
    expect(&headless, XENRES_INTERNAL, 0);

    begin_with_head(&two_heads, &told);
    stream_message(&two_heads, &told.message.base);
    expect(&two_heads, XENRES_INTERNAL, 0);
}

/* Each head is of something else than was asked for, or of nothing. */
static void other_snapshots_deliver_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++) {
        struct told told;
        BUFFER_AUTO(bytes, 0);

        make_head(&told);
        switch (i) {
        case 0: told.domain.domid = 6; break;
        case 1: told.head.domain = NULL; break;
        case 2: told.head.id = 1; break;
        case 3: told.head.type = XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_VMTRACE_BUF; break;
        case 4: told.observation.first_frame = 0; break;
        case 5: told.observation.frame_count = COUNT - 1; break;
        case 6: told.observation.frame_bytes = 0; break;
        case 7: told.observation.frame_bytes = UINT32_MAX; break;
        default: told.head.observation = NULL; break;
        }
        stream_begin(&bytes);
        stream_message(&bytes, &told.message.base);
        add_frames(&bytes, FIRST, COUNT);
        stream_end(&bytes, "{}");
        expect(&bytes, XENRES_INTERNAL, 0);
    }
}

static void gateways_own_error_is_told(void **state)
{
    struct told told;
    BUFFER_AUTO(bytes, 0);

    (void)state;
    begin_with_head(&bytes, &told);
    add_frames(&bytes, FIRST, 2);
    stream_end(&bytes, "{\"error\":{\"code\":\"aborted\",\"message\":\"the domain is gone\"}}");
    expect(&bytes, XENRES_ABORTED, 2);
}

static void callbacks_end_it(void **state)
{
    struct told told;
    struct taken t[] = { { .begin_result = 1 }, { .data_result = 1 }, { 0 } };
    const xenres_frames *frames;
    struct fixture f;
    BUFFER_AUTO(bytes, 0);

    (void)state;
    begin_with_head(&bytes, &told);
    add_frames(&bytes, FIRST, COUNT);
    stream_end(&bytes, "{}");
    const struct tls_server_step step = stream_done(&bytes);
    const struct tls_server_step steps[] = { step, step, step };

    fixture_start(&f, steps, 3);
    assert_int_equal(read_snapshot(&f, &t[0], &frames), -XENRES_CANCELED);
    assert_int_equal(read_snapshot(&f, &t[1], &frames), -XENRES_CANCELED);
    assert_null(f.reply);
    assert_int_equal(read_snapshot(&f, &t[2], &frames), 0);
    assert_true(t[2].right);
    fixture_end(&f);
}

static void descriptor_gets_the_bytes(void **state)
{
    static char got[COUNT * FRAME_BYTES + 1];
    const xenres_frames_query query = query_of("5");
    xenres_frames_sink sink = XENRES_FRAMES_SINK_INIT;
    const xenres_frames *frames;
    struct told told;
    struct fixture f;
    int fds[2];
    BUFFER_AUTO(bytes, 0);

    (void)state;
    begin_with_head(&bytes, &told);
    add_frames(&bytes, FIRST, COUNT);
    stream_end(&bytes, "{}");
    const struct tls_server_step step = stream_done(&bytes);

    assert_int_equal(pipe(fds), 0);
    sink.fd = fds[1];
    fixture_start(&f, &step, 1);
    assert_int_equal(xenres_read_snapshot(f.handle, &query, &sink, &f.reply, &frames, &f.error), 0);
    assert_int_equal(read(fds[0], got, sizeof(got)), COUNT * FRAME_BYTES);
    assert_int_equal((uint8_t)got[FRAME_BYTES], byte_at((FIRST + 1) * (size_t)FRAME_BYTES));
    fixture_end(&f);
    close(fds[0]);
    close(fds[1]);
}

/* As the gateway would say it. */
static void expect_refusal(struct fixture *f, const xenres_frames_query *query, const char *field)
{
    const xenres_snapshot *snapshot;

    memset(&f->error, 0, sizeof(f->error));
    assert_int_equal(xenres_get_snapshot(f->handle, query, &f->reply, &snapshot, &f->error),
                     -XENRES_INVALID_ARGUMENT);
    assert_string_equal(f->error.field, field);
    assert_string_not_equal(f->error.next_step, "");
    assert_int_equal(f->error.tries, 0);
}

static void field_at_fault_is_told_here_too(void **state)
{
    xenres_frames_query query = query_of("");
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, 0);
    expect_refusal(&f, &query, "domain");
    query.domain = "\xff";
    expect_refusal(&f, &query, "domain");
    query = query_of("5");
    query.incarnation = "x";
    expect_refusal(&f, &query, "incarnation");
    query = query_of("5");
    query.type = 99;
    expect_refusal(&f, &query, "type");
    query = query_of("5");
    query.if_not_tag = "abc";
    expect_refusal(&f, &query, ""); /* no field of a message's */
    fixture_end(&f);
    assert_int_equal(f.server.connections, 0);
}

static void query_is_checked_here(void **state)
{
    xenres_frames_query query = query_of("5");
    const xenres_frames_sink sink = XENRES_FRAMES_SINK_INIT;
    const xenres_frames *frames;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, 0);
    query.if_not_tag = "abc";
    assert_int_equal(xenres_read_snapshot(f.handle, &query, &sink, &f.reply, &frames, &f.error),
                     -XENRES_INVALID_ARGUMENT);
    query = query_of("");
    assert_int_equal(xenres_read_snapshot(f.handle, &query, &sink, &f.reply, &frames, &f.error),
                     -XENRES_INVALID_ARGUMENT);
    query = query_of("5");
    assert_int_equal(xenres_read_snapshot(f.handle, &query, NULL, &f.reply, &frames, &f.error),
                     -XENRES_INVALID_ARGUMENT);
    fixture_end(&f);
    assert_int_equal(f.server.connections, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_in_any_pieces),
        cmocka_unit_test(request_says_what_is_wanted),
        cmocka_unit_test(incomplete_snapshots_are_errors),
        cmocka_unit_test(frames_out_of_place_are_errors),
        cmocka_unit_test(other_snapshots_deliver_nothing),
        cmocka_unit_test(gateways_own_error_is_told),
        cmocka_unit_test(callbacks_end_it),
        cmocka_unit_test(descriptor_gets_the_bytes),
        cmocka_unit_test(query_is_checked_here),
        cmocka_unit_test(field_at_fault_is_told_here_too),
    };

    return UNIT_RUN(tests);
}
