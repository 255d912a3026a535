/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How replies leave: whole, in few segments, and in bursts. */

#include <dlfcn.h>
#include <linux/tcp.h>
#include <signal.h>

#include "server/http/outflow.h"
#include "tests/lib/listener_rig.h"

/* The bytes of a reply are those of the exchange, whatever the socket takes at a time: a reader with a
 * small buffer makes records wait half sent. */
static void a_reply_arrives_byte_for_byte_through_a_small_buffer(void **state)
{
    enum { LEN = 8 * 1024 * 1024 };
    const struct tls_peer_options options = {
        .dir = rig.dir,
        .name = "client",
        .receive_buffer_bytes = 8192,
    };
    uint8_t *expected = rig.reply;
    struct tls_peer p;

    (void)state;
    for (size_t i = 0; i < LEN; i++) {
        expected[i] = (uint8_t)(i * 2654435761U >> 13);
    }
    rig_start(&rig_limits);
    assert_true(tls_peer_open(&p, rig.port, &options));
    for (int i = 0; i < 2; i++) {
        static uint8_t got[LEN];
        size_t len = 0, n = 1;

        assert_true(tls_peer_say(&p, "GET /later/8388608 HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_int_equal(tls_peer_head(&p), 200);
        while (len < LEN && n > 0) {
            n = tls_peer_read(&p, got + len, LEN - len);
            len += n;
        }
        assert_int_equal(len, LEN);
        assert_int_equal(memcmp(got, expected, LEN), 0);
    }
    tls_peer_close(&p);
    rig_stop();
}

static void a_short_reply_is_one_segment(void **state)
{
    struct tls_peer p;
    struct tcp_info before, after;
    socklen_t len = sizeof(before);

    (void)state;
    rig_start(&rig_limits);
    rig_open(&p);
    rig_get(&p, "/now/4096", 4096);
    assert_int_equal(getsockopt(p.fd, IPPROTO_TCP, TCP_INFO, &before, &len), 0);
    for (int i = 0; i < 50; i++) {
        rig_get(&p, "/now/4096", 4096);
    }
    assert_int_equal(getsockopt(p.fd, IPPROTO_TCP, TCP_INFO, &after, &len), 0);
    assert_int_equal(after.tcpi_data_segs_in - before.tcpi_data_segs_in, 50);
    tls_peer_close(&p);
    rig_stop();
}

/* RFC 8449 and RFC 6066, section 4: the header alone is several records then. */
static void a_reply_is_cut_for_a_peer_that_takes_short_records(void **state)
{
    const struct tls_peer_options options = { .dir = rig.dir,
                                              .name = "client",
                                              .short_records = true };
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    assert_true(tls_peer_open(&p, rig.port, &options));
    rig_get(&p, "/now/long/1000/4096", 4096);
    rig_get(&p, "/now/long/1000/1", 1);
    rig_get(&p, "/now/100000", 100000);
    assert_int_equal(SSL_SESSION_get_max_fragment_length(SSL_get_session(p.ssl)),
                     TLSEXT_max_fragment_length_512);
    tls_peer_close(&p);
    rig_stop();
}

/* The first reply of a connection is the daemon's own; those after it have their lines from us. */
static void a_header_has_its_lines_whoever_puts_them_in(void **state)
{
    enum {
        OTHER_LINES = sizeof("Content-Type: application/octet-stream\r\n") - 1,
        FRAME = sizeof("X-Long: \r\n") - 1,
        LONGEST = OUTFLOW_LINES_MAX_BYTES - OTHER_LINES - FRAME,
    };
    static const int lengths[] = { 1, LONGEST, LONGEST + 1, OUTFLOW_HEADER_MAX_BYTES, 1 };
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    for (size_t first = 0; first < sizeof(lengths) / sizeof(lengths[0]); first++) {
        rig_open(&p);
        for (size_t i = first; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            char target[64];

            (void)snprintf(target, sizeof(target), "/now/long/%d/4096", lengths[i]);
            rig_get(&p, target, 4096);
            assert_int_equal(strspn(tls_peer_header(&p, "X-Long"), "v"), lengths[i]);
            assert_memory_equal(tls_peer_header(&p, "Content-Type"), "application/octet-stream\r\n",
                                26);
            assert_non_null(tls_peer_header(&p, "Date"));
        }
        assert_true(tls_peer_say(&p, "HEAD /now/long/1/4096 HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_int_equal(tls_peer_head(&p), 200);
        assert_int_equal(strspn(tls_peer_header(&p, "X-Long"), "v"), 1);
        tls_peer_close(&p);
    }
    rig_stop();
}

/* Its value is a guest's, maybe: none of it may become a line of its own. */
static void a_value_of_two_lines_is_not_sent(void **state)
{
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    for (int before = 0; before < 2; before++) {
        rig_open(&p);
        for (int i = 0; i < before; i++) {
            rig_get(&p, "/now/4096", 4096);
        }
        assert_true(tls_peer_say(&p, "GET /now/split/4096 HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_int_equal(tls_peer_head(&p), 0);
        tls_peer_close(&p);
    }
    rig_stop();
}

static void the_daemon_sends_through_our_bursts(void **state)
{
    Dl_info ours, found;

    (void)state;
    assert_int_not_equal(dladdr(rig.dir, &ours), 0); /* anything of this program */
    assert_int_not_equal(dladdr(dlsym(RTLD_DEFAULT, "gnutls_record_send"), &found), 0);
    assert_ptr_equal(found.dli_fbase, ours.dli_fbase);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_arrives_byte_for_byte_through_a_small_buffer),
        cmocka_unit_test(a_short_reply_is_one_segment),
        cmocka_unit_test(a_reply_is_cut_for_a_peer_that_takes_short_records),
        cmocka_unit_test(a_header_has_its_lines_whoever_puts_them_in),
        cmocka_unit_test(a_value_of_two_lines_is_not_sent),
        cmocka_unit_test(the_daemon_sends_through_our_bursts),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, rig_make_pki, rig_drop_pki);
}
