/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How requests arrive: whole, however they are cut into records and segments. */

#include <dlfcn.h>
#include <netinet/tcp.h>
#include <signal.h>

#include "server/http/inflow.h"
#include "tests/lib/listener_rig.h"

/* What is said from here on leaves in one piece, at tell(); or, without that, after 200 ms. */
static void gather(int fd)
{
    int on = 1;

    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)), 0);
}

static void tell(int fd)
{
    int off = 0;

    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off)), 0);
}

/* Nothing stays behind between the daemon's calls: it waits for the socket, which has no more. */
static void requests_that_come_together_are_all_answered(void **state)
{
    /* The last are far more than what is read ahead, and than the daemon's memory. */
    static const int counts[] = { 1, 2, 3, 10, 11, 12, 13, 200, 500 };
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        gather(p.fd);
        for (int k = 0; k < counts[i]; k++) {
            assert_true(tls_peer_say(&p, k % 2 == 0 ? "GET /later/3 HTTP/1.1\r\nHost: test\r\n\r\n"
                                                    : "GET /now/5 HTTP/1.1\r\nHost: test\r\n\r\n"));
        }
        tell(p.fd);
        for (int k = 0; k < counts[i]; k++) {
            size_t len = 0;

            assert_int_equal(tls_peer_response(&p, &len), 200);
            assert_int_equal(len, k % 2 == 0 ? 3 : 5);
        }
    }
    tls_peer_close(&p);
    rig_stop();
}

/* In pieces of `piece_bytes`, a record each; all in one segment, or each by itself. */
static void say_in_pieces(struct tls_peer *p, const char *text, size_t piece_bytes, bool together)
{
    size_t len = strlen(text);

    if (together) {
        gather(p->fd);
    }
    for (size_t at = 0; at < len; at += piece_bytes) {
        assert_true(tls_peer_send(p, text + at, len - at < piece_bytes ? len - at : piece_bytes));
    }
    if (together) {
        tell(p->fd);
    }
}

static void a_request_may_be_cut_into_many_records(void **state)
{
    enum { BODY_BYTES = 5000 };
    static char text[BODY_BYTES + 200];
    struct tls_peer p;
    int head =
        snprintf(text, sizeof(text),
                 "POST /now/7 HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", BODY_BYTES);

    (void)state;
    memset(text + head, 'b', BODY_BYTES);
    rig_start(&rig_limits);
    rig_open(&p);
    for (int together = 0; together < 2; together++) {
        static const size_t pieces[] = { 1,
                                         7,
                                         500,
                                         INFLOW_AHEAD_MAX_BYTES - 23,
                                         INFLOW_AHEAD_MAX_BYTES - 22,
                                         INFLOW_AHEAD_MAX_BYTES,
                                         sizeof(text) };

        for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
            size_t len = 0;

            say_in_pieces(&p, text, pieces[i], together);
            assert_int_equal(tls_peer_response(&p, &len), 200);
            assert_int_equal(len, 7);
        }
    }
    tls_peer_close(&p);
    rig_stop();
    assert_string_equal(rig.last_body_len, "5000");
}

/* The longer a head, the less room its end finds in the daemon's memory: no more is read ahead then
 * than fits. Where none is left, the daemon refuses. */
static void a_head_may_fill_the_daemons_memory(void **state)
{
    enum { FIRST = 14000, LAST = 16600, STEP = 50, PIECE_BYTES = 90 };
    static char text[LAST + 200];
    int answered = 0, refused = 0;

    (void)state;
    rig_start(&rig_limits);
    for (int len = FIRST; len <= LAST; len += STEP) {
        struct tls_peer p;
        int head = snprintf(text, sizeof(text), "GET /now/5 HTTP/1.1\r\nHost: test\r\nX-Long: ");

        memset(text + head, 'v', (size_t)(len - head));
        memcpy(text + len, "\r\n\r\n", 5);
        rig_open(&p);
        say_in_pieces(&p, text, PIECE_BYTES, true);
        if (tls_peer_response(&p, NULL) == 200) {
            answered++;
            rig_get(&p, "/now/5", 5);
        } else {
            refused++;
        }
        tls_peer_close(&p);
    }
    rig_stop();
    assert_true(answered > 0 && refused > 0);
}

/* Of one segment, GnuTLS reads the first record in the handshake, and the daemon the second. */
static void a_request_may_come_with_the_end_of_the_handshake(void **state)
{
    const struct tls_peer_options options = { .dir = rig.dir,
                                              .name = "client",
                                              .on_connected = gather };
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    assert_true(tls_peer_open(&p, rig.port, &options));
    assert_true(tls_peer_say(&p, "GET /now/5 HTTP/1.1\r\nHost: test\r\n\r\n"));
    tell(p.fd);
    assert_int_equal(tls_peer_response(&p, NULL), 200);
    tls_peer_close(&p);
    rig_stop();
}

/* The alert is read with the request; the connection ends when its socket does. */
static void an_end_right_behind_a_request_takes_no_reply_away(void **state)
{
    static const char *const targets[] = { "/now/5", "/later/5" };
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        char request[64];
        uint8_t byte;

        (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: test\r\n\r\n",
                       targets[i]);
        rig_open(&p);
        gather(p.fd);
        assert_true(tls_peer_say(&p, request));
        assert_int_equal(SSL_shutdown(p.ssl), 0);
        tell(p.fd);
        assert_int_equal(tls_peer_response(&p, NULL), 200);
        assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
        assert_int_equal(tls_peer_read(&p, &byte, 1), 0);
        assert_int_equal(SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
        tls_peer_close(&p);
    }
    rig_stop();
}

static void the_daemon_receives_through_us(void **state)
{
    Dl_info ours, found;

    (void)state;
    assert_int_not_equal(dladdr(rig.dir, &ours), 0); /* anything of this program */
    assert_int_not_equal(dladdr(dlsym(RTLD_DEFAULT, "gnutls_record_recv"), &found), 0);
    assert_ptr_equal(found.dli_fbase, ours.dli_fbase);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_that_come_together_are_all_answered),
        cmocka_unit_test(a_request_may_be_cut_into_many_records),
        cmocka_unit_test(a_head_may_fill_the_daemons_memory),
        cmocka_unit_test(a_request_may_come_with_the_end_of_the_handshake),
        cmocka_unit_test(an_end_right_behind_a_request_takes_no_reply_away),
        cmocka_unit_test(the_daemon_receives_through_us),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, rig_make_pki, rig_drop_pki);
}
