/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Cancelling from another thread: whatever a call waits for, and whenever it comes. */
#include "tests/lib/client_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/eventfd.h>

#include "common/clock.h"

enum {
    ROUNDS = 10,
    /* A call that looked once a second would take half of that in the mean. */
    PROMPT_MS = 250,
};

/* --- a name service that does not answer until it is let go --- */

static int name_service_fd = -1; /* readable: answer */
static sem_t name_service_asked, name_service_answered;

/* Instead of the C library's, for libcurl too. */
__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **out)
{
    struct pollfd go = { .fd = name_service_fd, .events = POLLIN };

    (void)name;
    (void)service;
    (void)hints;
    (void)out;
    sem_post(&name_service_asked);
    (void)poll(&go, 1, 60000);
    sem_post(&name_service_answered);
    return EAI_AGAIN;
}

/* --- calls in a thread of their own --- */

struct calling {
    struct fixture f;
    pthread_t thread;
    int (*call)(struct calling *c);
    int result;
    uint64_t cancelled_ns, ended_ns;
    xenres_stream *stream;
    int pipe_fds[2];
};

static void *call_thread(void *arg)
{
    struct calling *c = arg;

    c->result = c->call(c);
    c->ended_ns = clock_monotonic_ns();
    return NULL;
}

static void begin_call(struct calling *c, int (*call)(struct calling *c))
{
    c->call = call;
    assert_int_equal(pthread_create(&c->thread, NULL, call_thread, c), 0);
}

static void cancel(struct calling *c)
{
    c->cancelled_ns = clock_monotonic_ns();
    xenres_cancel(c->f.handle);
}

/* Milliseconds that it took after cancel(). */
static uint64_t expect_cancelled(struct calling *c)
{
    pthread_join(c->thread, NULL);
    assert_int_equal(c->result, -XENRES_CANCELED);
    assert_int_equal(c->f.error.code, XENRES_CANCELED);
    assert_null(c->f.reply);
    return (c->ended_ns - c->cancelled_ns) / CLOCK_NS_PER_MS;
}

static int get_host(struct calling *c)
{
    return fixture_get_host(&c->f);
}

static void waiting_call_ends_at_once(void **state)
{
    static const struct tls_server_step steps[] = {
        FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP),
        FIXTURE_TEXT("", TLS_SERVER_HANG),
    };
    uint64_t took_ms = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct calling c = { .result = 0 };

        /* The second call of a connection: libcurl has timers of its own while it makes one. */
        fixture_start(&c.f, steps, 2);
        assert_int_equal(fixture_get_host(&c.f), 0);
        sem_wait(&c.f.server.asked);
        xenres_reply_free(c.f.reply);
        c.f.reply = NULL;
        begin_call(&c, get_host);
        sem_wait(&c.f.server.asked);
        cancel(&c);
        took_ms += expect_cancelled(&c);
        fixture_end(&c.f);
    }
    assert_true(took_ms < ROUNDS * PROMPT_MS);
}

static void connecting_ends_at_once(void **state)
{
    struct calling c = { .f.server.only_tcp = true };

    (void)state;
    tls_server_start(&c.f.server, "IP:127.0.0.1", TLS1_3_VERSION, NULL, 0);
    fixture_connect(&c.f, (xenres_options)XENRES_OPTIONS_INIT);
    begin_call(&c, get_host);
    cancel(&c);
    assert_true(expect_cancelled(&c) < 5000);
    fixture_end(&c.f);
}

static void name_service_that_hangs_holds_nobody(void **state)
{
    struct calling c = { .f.server.only_tcp = true };
    xenres_options options = XENRES_OPTIONS_INIT;
    uint64_t go = 1;

    (void)state;
    name_service_fd = eventfd(0, 0);
    sem_init(&name_service_asked, 0, 0);
    sem_init(&name_service_answered, 0, 0);
    tls_server_start(&c.f.server, "IP:127.0.0.1", TLS1_3_VERSION, NULL, 0);
    options.server = "https://gateway.test:1";
    fixture_connect(&c.f, options);
    begin_call(&c, get_host);
    sem_wait(&name_service_asked);
    cancel(&c);
    assert_true(expect_cancelled(&c) < 5000);
    fixture_end(&c.f); /* nor the handle's release */
    assert_int_equal(sem_trywait(&name_service_answered), -1);
    assert_int_equal(write(name_service_fd, &go, sizeof(go)), sizeof(go));
    sem_wait(&name_service_answered);
}

/* The wait before another try. */
static void backing_off_ends_at_once(void **state)
{
    BUFFER_AUTO(bytes, 0);
    const xenres_options options = { .size = sizeof(options),
                                     .timeout_ms = 120000,
                                     .retry_wait_ms = 60000 };
    const struct tls_server_step step = fixture_refusal(
        &bytes, 503, "{\"code\":\"unavailable\",\"details\":[{\"type\":\"a.B\",\"value\":\"\"}]}");
    struct calling c = { .result = 0 };
    const xenres_detail *details;

    (void)state;
    fixture_start_with(&c.f, options, &step, 1);
    begin_call(&c, get_host);
    sem_wait(&c.f.server.asked);
    cancel(&c);
    assert_true(expect_cancelled(&c) < 5000);
    assert_int_equal(c.f.error.tries, 1);
    assert_int_equal(xenres_error_details(c.f.handle, &details), 0);
    fixture_end(&c.f);
}

/* --- streams --- */

static int read_stream(struct calling *c)
{
    int result = 0;

    do {
        xenres_reply_free(c->f.reply);
        c->f.reply = NULL;
        result = xenres_stream_next(c->stream, &c->f.reply, &c->f.error);
    } while (result == 0 && c->f.reply != NULL);
    return result;
}

static void open_stream(struct calling *c)
{
    assert_int_equal(xenres_stream_open(c->f.handle, "test.v1.Service/Stream", NULL, 0, NULL,
                                        &c->stream, &c->f.error),
                     0);
}

static void waiting_stream_ends_at_once(void **state)
{
    BUFFER_AUTO(bytes, 0);
    uint64_t took_ms = 0;

    (void)state;
    stream_begin(&bytes);
    stream_text(&bytes, "one");
    for (int i = 0; i < ROUNDS; i++) {
        const struct tls_server_step step = stream_step(&bytes, TLS_SERVER_HANG);
        struct calling c = { .result = 0 };

        fixture_start(&c.f, &step, 1);
        open_stream(&c);
        begin_call(&c, read_stream);
        cancel(&c);
        took_ms += expect_cancelled(&c);
        /* It is over, also when the handle is not cancelled any more. */
        xenres_cancel_reset(c.f.handle);
        assert_int_equal(xenres_stream_next(c.stream, &c.f.reply, &c.f.error), -XENRES_CANCELED);
        xenres_stream_close(c.stream);
        fixture_end(&c.f);
    }
    assert_true(took_ms < ROUNDS * PROMPT_MS);
}

/* Messages that are here already are not handed on either. */
static void stream_between_two_messages_is_cancelled(void **state)
{
    BUFFER_AUTO(bytes, 0);
    struct calling c = { .result = 0 };

    (void)state;
    stream_begin(&bytes);
    stream_text(&bytes, "one");
    stream_text(&bytes, "two");
    stream_end(&bytes, "{}");
    const struct tls_server_step step = stream_done(&bytes);

    fixture_start(&c.f, &step, 1);
    open_stream(&c);
    assert_int_equal(xenres_stream_next(c.stream, &c.f.reply, &c.f.error), 0);
    xenres_cancel(c.f.handle);
    xenres_reply_free(c.f.reply);
    c.f.reply = NULL;
    assert_int_equal(xenres_stream_next(c.stream, &c.f.reply, &c.f.error), -XENRES_CANCELED);
    xenres_stream_close(c.stream);
    fixture_end(&c.f);
}

/* --- the switch --- */

static void cancelling_lasts_until_it_is_reset(void **state)
{
    const struct tls_server_step answer = FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP);
    xenres_stream *stream = NULL;
    struct fixture f;

    (void)state;
    fixture_start(&f, &answer, 1);
    xenres_cancel(f.handle);
    xenres_cancel(f.handle);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fixture_get_host(&f), -XENRES_CANCELED);
        assert_int_equal(xenres_stream_open(f.handle, "a.B/C", NULL, 0, NULL, &stream, &f.error),
                         -XENRES_CANCELED);
    }
    assert_int_equal(f.error.tries, 0);
    xenres_cancel_reset(f.handle);
    xenres_cancel_reset(f.handle);
    assert_int_equal(fixture_get_host(&f), 0);
    fixture_end(&f);
    assert_int_equal(f.server.connections, 1);
}

/* A row of calls is ended wherever the cancelling falls, and none is missed. */
static int get_hosts(struct calling *c)
{
    int result = 0;

    for (int i = 0; i < 100000 && result == 0; i++) {
        result = fixture_get_host(&c->f);
    }
    return result;
}

static void no_cancelling_is_missed_between_calls(void **state)
{
    enum { STEPS = 50000 };
    static struct tls_server_step steps[STEPS];
    struct calling c = { .result = 0 };

    (void)state;
    for (size_t i = 0; i < STEPS; i++) {
        steps[i] = (struct tls_server_step)FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP);
    }
    fixture_start(&c.f, steps, STEPS);
    for (int i = 0; i < ROUNDS; i++) {
        begin_call(&c, get_hosts);
        sem_wait(&c.f.server.asked);
        sem_wait(&c.f.server.asked);
        cancel(&c);
        (void)expect_cancelled(&c);
        xenres_cancel_reset(c.f.handle);
        while (sem_trywait(&c.f.server.asked) == 0) {
        }
    }
    assert_int_equal(fixture_get_host(&c.f), 0);
    fixture_end(&c.f);
}

static int cancel_in_callback(void *arg, const void *bytes, size_t len_bytes)
{
    (void)bytes;
    (void)len_bytes;
    xenres_cancel(arg);
    return 0;
}

#define FRAMES_HEAD                                                                                \
    "HTTP/1.1 200 OK\r\nXenres-Domid: 5\r\nXenres-Uuid: " UUID_A "\r\nXenres-Incarnation: " LIFE_A \
    "\r\nXenres-Type: grant_table\r\nXenres-Id: 0\r\n"                                             \
    "Xenres-Wall-Time: 2026-01-31T23:59:59Z\r\nXenres-Monotonic-Ns: 1\r\n"                         \
    "Xenres-Copy-Duration-Ns: 1\r\nXenres-First-Frame: 0\r\nXenres-Frame-Count: 1\r\n"             \
    "Xenres-Frames-In-Use: 1\r\nXenres-Frames-Max: 1\r\nXenres-Grant-Version: 1\r\n"               \
    "ETag: \"a\"\r\nContent-Type: application/octet-stream\r\nContent-Length: 4096\r\n\r\n"

static void callback_may_cancel(void **state)
{
    const struct tls_server_step step = FIXTURE_TEXT(FRAMES_HEAD "some", TLS_SERVER_HANG);
    const xenres_frames_query query = XENRES_FRAMES_QUERY_INIT("5", XENRES_GRANT_TABLE, 0);
    xenres_frames_sink sink = XENRES_FRAMES_SINK_INIT;
    const xenres_frames *frames;
    struct fixture f;

    (void)state;
    fixture_start(&f, &step, 1);
    sink.data = cancel_in_callback;
    sink.arg = f.handle;
    assert_int_equal(xenres_read_frames(f.handle, &query, &sink, &f.reply, &frames, &f.error),
                     -XENRES_CANCELED);
    fixture_end(&f);
}

/* A descriptor that does not block and takes nothing. */
static int read_frames_to_pipe(struct calling *c)
{
    const xenres_frames_query query = XENRES_FRAMES_QUERY_INIT("5", XENRES_GRANT_TABLE, 0);
    xenres_frames_sink sink = XENRES_FRAMES_SINK_INIT;
    const xenres_frames *frames;

    sink.fd = c->pipe_fds[1];
    return xenres_read_frames(c->f.handle, &query, &sink, &c->f.reply, &frames, &c->f.error);
}

static void waiting_for_a_descriptor_ends_at_once(void **state)
{
    static char filling[1 << 20];
    const struct tls_server_step step = FIXTURE_TEXT(FRAMES_HEAD "some", TLS_SERVER_HANG);
    struct calling c = { .result = 0 };

    (void)state;
    assert_int_equal(pipe2(c.pipe_fds, O_NONBLOCK), 0);
    assert_true(write(c.pipe_fds[1], filling, sizeof(filling)) > 0);
    fixture_start(&c.f, &step, 1);
    begin_call(&c, read_frames_to_pipe);
    sem_wait(&c.f.server.asked);
    cancel(&c);
    assert_true(expect_cancelled(&c) < 5000);
    fixture_end(&c.f);
    close(c.pipe_fds[0]);
    close(c.pipe_fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_call_ends_at_once),
        cmocka_unit_test(connecting_ends_at_once),
        cmocka_unit_test(name_service_that_hangs_holds_nobody),
        cmocka_unit_test(backing_off_ends_at_once),
        cmocka_unit_test(waiting_stream_ends_at_once),
        cmocka_unit_test(stream_between_two_messages_is_cancelled),
        cmocka_unit_test(cancelling_lasts_until_it_is_reset),
        cmocka_unit_test(no_cancelling_is_missed_between_calls),
        cmocka_unit_test(callback_may_cancel),
        cmocka_unit_test(waiting_for_a_descriptor_ends_at_once),
    };

    return UNIT_RUN(tests);
}
