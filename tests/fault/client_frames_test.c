/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What libxenres makes of servers that answer for raw frames wrongly, and of callers' callbacks. */
#include "tests/lib/client_fixture.h"

#include <fcntl.h>
#include <stdarg.h>

#define IDENTITY "Xenres-Domid: 5\r\nXenres-Uuid: " UUID_A "\r\nXenres-Incarnation: " LIFE_A "\r\n"
#define OBSERVATION                                                                                \
    "Xenres-Type: grant_table\r\nXenres-Id: 0\r\nXenres-First-Frame: 0\r\n"                        \
    "Xenres-Frame-Count: 1\r\nXenres-Frames-In-Use: 1\r\nXenres-Frames-Max: 64\r\n"                \
    "Xenres-Grant-Version: 1\r\nXenres-Monotonic-Ns: 1000\r\n"                                     \
    "Xenres-Wall-Time: 2026-01-31T23:59:59.000000007Z\r\nXenres-Copy-Duration-Ns: 50\r\n"          \
    "Xenres-Consistency: aligned_8_bytes\r\nETag: \"abc123\"\r\n"
#define OCTETS    "Content-Type: application/octet-stream\r\n"
#define GOOD_HEAD "HTTP/1.1 200 OK\r\n" IDENTITY OBSERVATION OCTETS "Content-Length: 4096\r\n\r\n"

struct taken {
    struct fixture *f;
    unsigned begins;
    size_t bytes;
    uint64_t done, total;
    bool right; /* the bytes are those that were sent */
    int begin_result, data_result, progress_result;
    bool call_again;
    uint32_t nested_code;
};

static int begin(void *arg, const xenres_frames *frames)
{
    struct taken *t = arg;

    t->begins++;
    assert_int_equal(frames->domain.domid, 5);
    return t->begin_result;
}

static int data(void *arg, const void *bytes, size_t len_bytes)
{
    struct taken *t = arg;
    const uint8_t *at = bytes;

    for (size_t i = 0; i < len_bytes; i++) {
        t->right = (t->bytes + i == 0 || t->right) && at[i] == (uint8_t)(t->bytes + i);
    }
    t->bytes += len_bytes;
    if (t->call_again) {
        const xenres_host *host;
        xenres_reply *reply;
        xenres_error error;

        assert_true(xenres_get_host(t->f->handle, &reply, &host, &error) < 0);
        t->nested_code = error.code;
    }
    return t->data_result;
}

static int progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct taken *t = arg;

    t->done = done_bytes;
    t->total = total_bytes;
    return t->progress_result;
}

static struct tls_server_step frames_step(struct buffer *out, const char *head, size_t len_bytes,
                                          enum tls_server_then then)
{
    buffer_init(out, 1 << 24);
    buffer_append_string(out, head);
    uint8_t *bytes = buffer_extend(out, len_bytes);

    for (size_t i = 0; i < len_bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    return (struct tls_server_step){ out->data, out->len_bytes, then };
}

static int read_frames(struct fixture *f, const char *domain, const char *if_not_tag,
                       struct taken *t, const xenres_frames **frames)
{
    xenres_frames_query query = XENRES_FRAMES_QUERY_INIT(domain, XENRES_GRANT_TABLE, 0);
    xenres_frames_sink sink = XENRES_FRAMES_SINK_INIT;

    query.if_not_tag = if_not_tag;
    sink.begin = begin;
    sink.data = data;
    sink.progress = progress;
    sink.arg = t;
    t->f = f;
    return xenres_read_frames(f->handle, &query, &sink, &f->reply, frames, &f->error);
}

static void frames_come_with_their_observation(void **state)
{
    static struct fixture f;
    BUFFER_AUTO(bytes, 0);
    struct taken t = { 0 };
    const xenres_frames *frames;
    const struct tls_server_step step = frames_step(&bytes, GOOD_HEAD, 4096, TLS_SERVER_KEEP);

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(read_frames(&f, "name:a/../b c", NULL, &t, &frames), 0);
    assert_int_equal(t.bytes, 4096);
    assert_true(t.right);
    assert_int_equal(t.begins, 1);
    assert_int_equal(t.done, 4096);
    assert_int_equal(t.total, 4096);
    assert_false(frames->not_modified);
    assert_int_equal(frames->len_bytes, 4096);
    assert_string_equal(frames->domain.uuid, UUID_A);
    assert_string_equal(frames->domain.name, "");
    assert_string_equal(frames->observation.content_tag, "abc123");
    assert_int_equal(frames->observation.wall_seconds, 1769903999);
    assert_int_equal(frames->observation.wall_nanoseconds, 7);
    assert_int_equal(frames->observation.frame_bytes, 4096);
    assert_int_equal(frames->observation.consistency, XENRES_CONSISTENCY_ALIGNED_8_BYTES);
    assert_null(xenres_reply_message(f.reply, NULL, NULL));
    fixture_end(&f);
    assert_non_null(strstr(f.server.requests[0],
                           "GET /v1/domains/name%3Aa%2F..%2Fb%20c/resources/grant_table/0/frames"
                           "?first=0 HTTP/1.1"));
}

static void unchanged_content_sends_no_bytes(void **state)
{
    const struct tls_server_step step =
        FIXTURE_TEXT("HTTP/1.1 304 Not Modified\r\n" IDENTITY OBSERVATION "\r\n", TLS_SERVER_KEEP);
    static struct fixture f;
    struct taken t = { 0 };
    const xenres_frames *frames;

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(read_frames(&f, "5", "abc123", &t, &frames), 0);
    assert_true(frames->not_modified);
    assert_int_equal(frames->len_bytes, 0);
    assert_int_equal(t.bytes, 0);
    fixture_end(&f);
    assert_non_null(strstr(f.server.requests[0], "If-None-Match: \"abc123\""));
}

static void expect(const char *head, const char *tag, uint32_t code)
{
    static struct fixture f;
    BUFFER_AUTO(bytes, 0);
    struct taken t = { 0 };
    const xenres_frames *frames;
    const struct tls_server_step step = frames_step(&bytes, head, 4096, TLS_SERVER_CLOSE);

    fixture_start(&f, &step, 1);
    assert_int_equal(read_frames(&f, "5", tag, &t, &frames), -(int)code);
    assert_int_equal(f.error.code, code);
    assert_int_equal(t.bytes, 0); /* not one byte of it was handed on */
    assert_int_equal(t.begins, 0);
    assert_null(f.reply);
    fixture_end(&f);
}

static void unchanged_without_question_is_refused(void **state)
{
    (void)state;
    expect("HTTP/1.1 304 Not Modified\r\n" IDENTITY OBSERVATION "\r\n", NULL, XENRES_INTERNAL);
    expect("HTTP/1.1 304 Not Modified\r\n" IDENTITY OBSERVATION "\r\n", "other", XENRES_INTERNAL);
}

static void heads_that_do_not_fit_deliver_nothing(void **state)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\n" OCTETS "Content-Length: 4096\r\n\r\n", /* nothing said of them */
        "HTTP/1.1 200 OK\r\n" IDENTITY OBSERVATION "Content-Type: text/html\r\n"
        "Content-Length: 4096\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" IDENTITY OBSERVATION OCTETS "Content-Length: 4095\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" IDENTITY OBSERVATION OCTETS "Transfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" IDENTITY IDENTITY OBSERVATION OCTETS "Content-Length: 4096\r\n\r\n",
        "HTTP/1.1 200 OK\r\nXenres-Domid: 6\r\nXenres-Uuid: " UUID_A
        "\r\nXenres-Incarnation: " LIFE_A "\r\n" OBSERVATION OCTETS "Content-Length: 4096\r\n\r\n",
        "HTTP/1.1 200 OK\r\nXenres-Domid: 05\r\nXenres-Uuid: " UUID_A
        "\r\nXenres-Incarnation: " LIFE_A "\r\n" OBSERVATION OCTETS "Content-Length: 4096\r\n\r\n",
        "HTTP/1.1 200 OK\r\nXenres-Domid: 5\r\nXenres-Uuid: me\r\nXenres-Incarnation: " LIFE_A
        "\r\n" OBSERVATION OCTETS "Content-Length: 4096\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" IDENTITY OBSERVATION OCTETS "Content-Encoding: gzip\r\n"
        "Content-Length: 4096\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" IDENTITY OBSERVATION OCTETS "Xenres-Frame-Bytes: 4294967295\r\n"
        "Content-Length: 4294967295\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        expect(heads[i], NULL, XENRES_INTERNAL);
    }
}

static void error_object_is_no_frame(void **state)
{
    (void)state;
    expect("HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length: 35\r\n\r\n"
           "{\"code\":\"aborted\",\"message\":\"gone\"}  ",
           NULL, XENRES_ABORTED);
}

static void cut_frames_are_an_error(void **state)
{
    static struct fixture f;
    BUFFER_AUTO(bytes, 0);
    struct taken t = { 0 };
    const xenres_frames *frames;
    const struct tls_server_step step = frames_step(&bytes, GOOD_HEAD, 4000, TLS_SERVER_CLOSE);

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(read_frames(&f, "5", NULL, &t, &frames), -XENRES_UNAVAILABLE);
    assert_int_equal(t.bytes, 4000);
    fixture_end(&f);
}

static void standstill_ends(void **state)
{
    static struct fixture f;
    BUFFER_AUTO(bytes, 0);
    struct taken t = { 0 };
    const xenres_frames *frames;
    const struct tls_server_step step = frames_step(&bytes, GOOD_HEAD, 100, TLS_SERVER_HANG);

    (void)state;
    fixture_start_impatient(&f, &step, 1);
    assert_int_equal(read_frames(&f, "5", NULL, &t, &frames), -XENRES_DEADLINE_EXCEEDED);
    fixture_end(&f);
}

static void drip_ends_at_the_transfers_limit(void **state)
{
    static struct fixture f;
    BUFFER_AUTO(bytes, 0);
    struct taken t = { 0 };
    const xenres_frames *frames;
    const struct tls_server_step step = frames_step(&bytes, GOOD_HEAD, 0, TLS_SERVER_DRIP);

    (void)state;
    fixture_start_impatient(&f, &step, 1);
    assert_int_equal(read_frames(&f, "5", NULL, &t, &frames), -XENRES_DEADLINE_EXCEEDED);
    assert_true(t.bytes > 0 && t.bytes < 4096);
    fixture_end(&f);
}

/* Each callback can end the call; the handle serves the next one, on a new connection. */
static void callbacks_end_the_call(void **state)
{
    BUFFER_AUTO(bytes, 0);
    const struct tls_server_step step = frames_step(&bytes, GOOD_HEAD, 4096, TLS_SERVER_KEEP);
    const struct tls_server_step steps[] = { step, step, step, step };
    struct taken t[4] = {
        { .begin_result = 1 }, { .data_result = -1 }, { .progress_result = 7 }, { 0 }
    };
    static struct fixture f;
    const xenres_frames *frames;

    (void)state;
    fixture_start(&f, steps, 4);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(read_frames(&f, "5", NULL, &t[i], &frames), -XENRES_CANCELED);
        assert_null(f.reply);
    }
    assert_int_equal(read_frames(&f, "5", NULL, &t[3], &frames), 0);
    assert_true(t[3].right);
    fixture_end(&f);
}

static void call_within_a_callback_is_refused(void **state)
{
    static struct fixture f;
    BUFFER_AUTO(bytes, 0);
    struct taken t = { .call_again = true };
    const xenres_frames *frames;
    const struct tls_server_step step = frames_step(&bytes, GOOD_HEAD, 4096, TLS_SERVER_KEEP);

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(read_frames(&f, "5", NULL, &t, &frames), 0);
    assert_int_equal(t.nested_code, XENRES_FAILED_PRECONDITION);
    fixture_end(&f);
}

static int read_to_fd(struct fixture *f, int fd)
{
    xenres_frames_query query = XENRES_FRAMES_QUERY_INIT("5", XENRES_GRANT_TABLE, 0);
    xenres_frames_sink sink = XENRES_FRAMES_SINK_INIT;
    const xenres_frames *frames;

    sink.fd = fd;
    return xenres_read_frames(f->handle, &query, &sink, &f->reply, &frames, &f->error);
}

static void descriptor_gets_the_bytes(void **state)
{
    static struct fixture f;
    BUFFER_AUTO(bytes, 0);
    int fds[2];
    char got[8192];
    const struct tls_server_step step = frames_step(&bytes, GOOD_HEAD, 4096, TLS_SERVER_KEEP);

    (void)state;
    assert_int_equal(pipe(fds), 0);
    fixture_start(&f, &step, 1);
    assert_int_equal(read_to_fd(&f, fds[1]), 0);
    assert_int_equal(read(fds[0], got, sizeof(got)), 4096);
    assert_memory_equal(got, bytes.data + bytes.len_bytes - 4096, 4096);
    fixture_end(&f);
    close(fds[0]);
    close(fds[1]);
}

static void full_disk_and_closed_pipe_are_told(void **state)
{
    BUFFER_AUTO(bytes, 0);
    const struct tls_server_step step = frames_step(&bytes, GOOD_HEAD, 4096, TLS_SERVER_KEEP);
    const struct tls_server_step steps[] = { step, step };
    int full = open("/dev/full", O_WRONLY);
    int fds[2];
    static struct fixture f;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    fixture_start(&f, steps, 2);
    assert_int_equal(read_to_fd(&f, full), -XENRES_UNKNOWN);
    assert_string_equal(f.error.errno_name, "ENOSPC");
    assert_string_equal(f.error.call, "write");
    assert_int_equal(read_to_fd(&f, fds[1]), -XENRES_UNKNOWN); /* and no SIGPIPE ends us */
    assert_string_equal(f.error.errno_name, "EPIPE");
    fixture_end(&f);
    close(full);
    close(fds[1]);
}

/* A descriptor that does not block and takes nothing holds the call no longer than its limit. */
static void descriptor_that_takes_nothing_is_given_up(void **state)
{
    BUFFER_AUTO(bytes, 0);
    const struct tls_server_step step = frames_step(&bytes, GOOD_HEAD, 4096, TLS_SERVER_KEEP);
    static char filling[1 << 20];
    static struct fixture f;
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    assert_true(write(fds[1], filling, sizeof(filling)) > 0);
    fixture_start_impatient(&f, &step, 1);
    assert_int_equal(read_to_fd(&f, fds[1]), -XENRES_UNKNOWN);
    assert_string_equal(f.error.errno_name, "EAGAIN");
    fixture_end(&f);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_with_their_observation),
        cmocka_unit_test(unchanged_content_sends_no_bytes),
        cmocka_unit_test(unchanged_without_question_is_refused),
        cmocka_unit_test(heads_that_do_not_fit_deliver_nothing),
        cmocka_unit_test(error_object_is_no_frame),
        cmocka_unit_test(cut_frames_are_an_error),
        cmocka_unit_test(standstill_ends),
        cmocka_unit_test(drip_ends_at_the_transfers_limit),
        cmocka_unit_test(callbacks_end_the_call),
        cmocka_unit_test(call_within_a_callback_is_refused),
        cmocka_unit_test(descriptor_gets_the_bytes),
        cmocka_unit_test(full_disk_and_closed_pipe_are_told),
        cmocka_unit_test(descriptor_that_takes_nothing_is_given_up),
    };

    return UNIT_RUN(tests);
}
