/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Replies that are streamed: sent as they come, to whoever reads them, or has left. */

#include <signal.h>

#include "server/http/body.h"
#include "tests/lib/listener_rig.h"

static void begin_stream(struct tls_peer *p, const char *target)
{
    char request[256];

    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", target);
    rig_open(p);
    assert_true(tls_peer_say(p, request));
    assert_int_equal(tls_peer_head(p), 200);
    assert_null(tls_peer_header(p, "Content-Length"));
    assert_non_null(tls_peer_header(p, "Transfer-Encoding"));
}

static void a_streamed_reply_comes_whole_however_it_is_woken(void **state)
{
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    begin_stream(&p, "/stream/123456");
    assert_int_equal(tls_peer_chunks(&p, NULL, 0), 123456);
    rig_get(&p, "/now/5", 5); /* the connection goes on */
    tls_peer_close(&p);
    rig_stop();
}

static void a_client_that_leaves_a_stream_leaves_nothing_behind(void **state)
{
    (void)state;
    rig_start(&rig_limits);
    for (int i = 0; i < 20; i++) {
        struct tls_peer p;

        begin_stream(&p, "/stream/67108864");
        tls_peer_close(&p);
    }
    rig_wait(&rig.live, 0);
    rig_stop();
}

/* Nothing is sent to them that would tell. */
static void clients_that_leave_silent_streams_are_noticed(void **state)
{
    enum { STREAMS = 200 };
    static struct tls_peer peers[STREAMS];
    struct listener_limits limits = rig_limits;

    (void)state;
    limits.connections = limits.connections_per_address = STREAMS;
    rig_start(&limits);
    for (int i = 0; i < STREAMS; i++) {
        char byte;

        begin_stream(&peers[i], "/silent/1");
        assert_int_equal(tls_peer_read(&peers[i], &byte, 1), 1);
    }
    rig_wait(&rig.live, STREAMS);
    for (int i = 0; i < STREAMS; i++) {
        if (i % 2 == 0) { /* with a word, or without */
            (void)SSL_shutdown(peers[i].ssl);
        }
        tls_peer_close(&peers[i]);
    }
    rig_wait(&rig.live, 0);
    rig_stop();
}

/* What he is sent to see whether he is there is nothing to him. */
static void who_has_said_all_still_gets_his_stream(void **state)
{
    (void)state;
    rig_start(&rig_limits);
    for (int i = 0; i < 20; i++) {
        struct tls_peer p;

        begin_stream(&p, "/stream/123456");
        if (i % 2 == 0) {
            (void)SSL_shutdown(p.ssl);
        }
        assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
        assert_int_equal(tls_peer_chunks(&p, NULL, 0), 123456);
        tls_peer_close(&p);
    }
    rig_stop();
}

static void a_stream_has_no_chunks_for_who_does_not_know_them(void **state)
{
    char bytes[5000], rest[4096];
    size_t len = 0, n;
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    assert_true(tls_peer_say(&p, "GET /stream/5000 HTTP/1.0\r\nHost: test\r\n\r\n"));
    assert_int_equal(tls_peer_head(&p), 200);
    assert_null(tls_peer_header(&p, "Transfer-Encoding"));
    while (len < sizeof(bytes) && (n = tls_peer_read(&p, bytes + len, sizeof(bytes) - len)) > 0) {
        len += n;
    }
    assert_int_equal(len, sizeof(bytes));
    assert_memory_equal(bytes, rig.reply, sizeof(bytes));
    assert_int_equal(tls_peer_read(&p, rest, sizeof(rest)), 0);
    tls_peer_close(&p);
    rig_stop();
}

/* More than its socket holds: what does not fit is kept, and goes when there is room. */
static void a_stream_waits_for_a_slow_reader(void **state)
{
    enum { BYTES = 8000000 };
    struct tls_peer_options options = { .dir = rig.dir,
                                        .name = "client",
                                        .receive_buffer_bytes = 4096 };

    (void)state;
    rig_start(&rig_limits);
    for (int i = 0; i < 2; i++) { /* records of 16 KiB, and short ones */
        struct tls_peer p, other;

        options.short_records = i == 1;
        assert_true(tls_peer_open(&p, rig.port, &options));
        assert_true(tls_peer_say(&p, "GET /flood/8000000 HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_int_equal(tls_peer_head(&p), 200);
        for (int j = 0; j < 2; j++) { /* the others do not wait: on every thread */
            begin_stream(&other, "/stream/100000");
            assert_int_equal(tls_peer_chunks(&other, NULL, 0), 100000);
            tls_peer_close(&other);
        }
        assert_int_equal(tls_peer_chunks(&p, NULL, 0), BYTES);
        rig_get(&p, "/now/5", 5);
        tls_peer_close(&p);
    }
    rig_stop();
}

static void stopping_ends_a_stream(void **state)
{
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    begin_stream(&p, "/stream/67108864");
    listener_stop(rig.listener, 1);
    rig_wait(&rig.live, 0);
    assert_int_equal(tls_peer_chunks(&p, NULL, 0), SIZE_MAX); /* and is not taken for its end */
    tls_peer_close(&p);
}

static void stopping_ends_silent_streams(void **state)
{
    struct tls_peer peers[5]; /* several on each thread */

    (void)state;
    rig_start(&rig_limits);
    for (int i = 0; i < 5; i++) {
        begin_stream(&peers[i], "/silent/100");
    }
    listener_stop(rig.listener, 1);
    rig_wait(&rig.live, 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tls_peer_chunks(&peers[i], NULL, 0), SIZE_MAX);
        tls_peer_close(&peers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_streamed_reply_comes_whole_however_it_is_woken),
        cmocka_unit_test(a_client_that_leaves_a_stream_leaves_nothing_behind),
        cmocka_unit_test(clients_that_leave_silent_streams_are_noticed),
        cmocka_unit_test(who_has_said_all_still_gets_his_stream),
        cmocka_unit_test(a_stream_has_no_chunks_for_who_does_not_know_them),
        cmocka_unit_test(a_stream_waits_for_a_slow_reader),
        cmocka_unit_test(stopping_ends_a_stream),
        cmocka_unit_test(stopping_ends_silent_streams),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, rig_make_pki, rig_drop_pki);
}
