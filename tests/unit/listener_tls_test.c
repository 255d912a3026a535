/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The listener: who is let in and what the others are told; limits on connections and on time. */

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <time.h>

#include "tests/lib/listener_rig.h"

enum {
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_EXPIRED = 45,
    ALERT_UNKNOWN_CA = 48,
    ALERT_PROTOCOL_VERSION = 70,
    ALERT_CERTIFICATE_REQUIRED = 116
};

/* The alert that a client with these options gets for a request. */
static int alert_for(const struct tls_peer_options *options)
{
    struct tls_peer p;
    int alert;

    if (tls_peer_open(&p, rig.port, options)) {
        (void)tls_peer_say(&p, "GET /now/1 HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_true(tls_peer_ended(&p));
    }
    alert = p.alert;
    tls_peer_close(&p);
    return alert;
}

static void each_refusal_has_its_alert_and_its_counter(void **state)
{
    static const struct {
        const char *name;
        int max_version, alert;
        enum listener_refusal counter;
    } rows[] = {
        { NULL, 0, ALERT_CERTIFICATE_REQUIRED, LISTENER_REFUSED_NO_CERTIFICATE },
        { "stranger", 0, ALERT_UNKNOWN_CA, LISTENER_REFUSED_UNKNOWN_CA },
        { "expired", 0, ALERT_EXPIRED, LISTENER_REFUSED_EXPIRED },
        { "server2", 0, ALERT_BAD_CERTIFICATE, LISTENER_REFUSED_BAD_CERTIFICATE },
        { "client", TLS1_2_VERSION, ALERT_PROTOCOL_VERSION, LISTENER_REFUSED_TLS_VERSION },
    };

    (void)state;
    rig_start(&rig_limits);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct tls_peer_options options = {
            .dir = rig.dir,
            .name = rows[i].name,
            .max_version = rows[i].max_version,
        };

        for (unsigned n = 1; n <= 10; n++) { /* the alert is never lost in a reset */
            assert_int_equal(alert_for(&options), rows[i].alert);
            assert_int_equal(rig_refused(rows[i].counter), n);
        }
    }
    assert_int_equal(rig.seen, 0); /* no request of theirs came to rpc */
    rig_stop();
}

/* Whoever it is, and with no alert: nothing was spent on it. */
static void who_fails_too_often_is_refused_before_tls(void **state)
{
    const struct tls_peer_options stranger = { .dir = rig.dir, .name = "stranger" };
    struct listener_limits limits = rig_limits;
    struct tls_peer p;
    unsigned failed = 0;

    (void)state;
    limits.handshakes_per_s_per_address = 1;
    limits.handshake_exempt = "127.0.0.2";
    rig_start(&limits);
    while (alert_for(&stranger) == ALERT_UNKNOWN_CA) {
        failed++;
        assert_true(failed < 64);
    }
    assert_true(failed > 3);
    assert_int_equal(rig_refused(LISTENER_REFUSED_UNKNOWN_CA), failed);
    assert_int_equal(rig_refused(LISTENER_REFUSED_HANDSHAKES), 1);
    const struct tls_peer_options known = { .dir = rig.dir, .name = "client" };

    assert_false(tls_peer_open(&p, rig.port, &known)); /* behind the same address */
    tls_peer_close(&p);
    assert_int_equal(rig_refused(LISTENER_REFUSED_HANDSHAKES), 2);
    rig_stop();
}

static void handshakes_have_a_rate_for_who_does_all_well(void **state)
{
    const struct tls_peer_options known = { .dir = rig.dir, .name = "client" };
    struct listener_limits limits = rig_limits;
    struct tls_peer p;
    unsigned opened = 0;

    (void)state;
    limits.handshakes_per_s_per_address = 1;
    rig_start(&limits);
    while (tls_peer_open(&p, rig.port, &known)) {
        tls_peer_close(&p);
        assert_true(++opened < 64);
    }
    tls_peer_close(&p);
    assert_true(opened >= 8); /* more, where it took longer than a second */
    assert_int_equal(rig_refused(LISTENER_REFUSED_HANDSHAKES), 1);
    rig_stop();
}

static void both_aes_suites_are_served_and_chacha_is_not(void **state)
{
    static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384" };
    struct tls_peer_options options = { .dir = rig.dir, .name = "client" };
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    for (size_t i = 0; i < 2; i++) {
        options.ciphersuites = suites[i];
        assert_true(tls_peer_open(&p, rig.port, &options));
        rig_get(&p, "/now/9", 9);
        assert_string_equal(SSL_get_cipher_name(p.ssl), suites[i]);
        assert_int_equal(SSL_session_reused(p.ssl), 0);
        assert_false(SSL_SESSION_is_resumable(SSL_get_session(p.ssl))); /* no ticket came */
        tls_peer_close(&p);
    }
    options.ciphersuites = "TLS_CHACHA20_POLY1305_SHA256";
    assert_false(tls_peer_open(&p, rig.port, &options));
    tls_peer_close(&p);
    rig_stop();
}

static void bytes_that_are_no_handshake_disturb_nobody(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        { "", 0 },
        { "\x16", 1 },
        { "\x16\x03\x01\x02\x00\x01", 6 },
        { "GET / HTTP/1.1\r\n\r\n", 18 },
        { "\x80\x2e\x01\x00\x02", 5 },
        { "\x16\x03\x01\xff\xff\x01\xff\xff\xff", 9 },
        { "\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9 },
        { "\x15\x03\x03\x00\x02\x02\x00", 7 },
        { "\x17\x03\x03\x00\x01\x00", 6 },
    };
    struct tls_peer p;

    (void)state;
    rig_start(&rig_limits);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = tls_peer_connect(rig.port, 0);
        char answer[256];

        assert_int_equal(send(fd, rows[i].bytes, rows[i].len, MSG_NOSIGNAL), rows[i].len);
        (void)shutdown(fd, SHUT_WR);
        while (recv(fd, answer, sizeof(answer), 0) > 0) {
        }
        assert_int_not_equal(errno, EAGAIN); /* it was closed, and in time */
        (void)close(fd);
    }
    rig_open(&p);
    rig_get(&p, "/now/1", 1);
    tls_peer_close(&p);
    rig_stop();
}

/* --- limits on connections ------------------------------------------------------------------------- */

static void expect_limit(const struct listener_limits *limits, uint32_t limit,
                         enum listener_refusal why)
{
    struct tls_peer p[8], beyond;
    const struct tls_peer_options options = { .dir = rig.dir, .name = "client" };

    rig_start(limits);
    for (uint32_t i = 0; i < limit; i++) {
        rig_open(&p[i]);
        rig_get(&p[i], "/now/1", 1);
    }
    assert_false(tls_peer_open(&beyond, rig.port, &options));
    tls_peer_close(&beyond);
    assert_int_equal(rig_refused(why), 1);
    rig_get(&p[0], "/now/1", 1); /* those inside notice nothing */
    tls_peer_close(&p[0]);
    for (;;) { /* there is room again as soon as the daemon sees it go */
        if (tls_peer_open(&p[0], rig.port, &options)) {
            break;
        }
        tls_peer_close(&p[0]);
    }
    rig_get(&p[0], "/now/1", 1);
    for (uint32_t i = 0; i < limit; i++) {
        tls_peer_close(&p[i]);
    }
    rig_stop();
}

static void one_more_than_the_limit_in_all_is_refused_at_once(void **state)
{
    struct listener_limits limits = rig_limits;

    (void)state;
    limits.connections = 4;
    expect_limit(&limits, 4, LISTENER_REFUSED_CONNECTIONS);
}

static void one_more_than_the_limit_of_an_address_is_refused_at_once(void **state)
{
    struct listener_limits limits = rig_limits;

    (void)state;
    limits.connections_per_address = 3;
    expect_limit(&limits, 3, LISTENER_REFUSED_ADDRESS);
}

/* --- limits on time -------------------------------------------------------------------------------- */

static uint64_t cpu_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * CLOCK_NS_PER_S + (uint64_t)used.tv_nsec;
}

static void hundreds_of_begun_handshakes_neither_spin_nor_stay(void **state)
{
    enum { STRANGERS = 300 };
    struct listener_limits limits = rig_limits;
    int fds[STRANGERS];
    struct tls_peer p;
    uint64_t before_ns, used_ns;
    char byte;

    (void)state;
    limits.connections = limits.connections_per_address = STRANGERS + 10;
    limits.handshake_timeout_s = 3;
    rig_start(&limits);
    for (size_t i = 0; i < STRANGERS; i++) {
        fds[i] = tls_peer_connect(rig.port, 0);
        assert_int_equal(send(fds[i], "\x16\x03\x01\x02\x00\x01", 6, 0), 6);
    }
    rig_open(&p);
    rig_get(&p, "/later/100000", 100000); /* served meanwhile */
    before_ns = cpu_ns();
    for (size_t i = 0; i < STRANGERS; i++) { /* waits until the server has closed each */
        assert_true(recv(fds[i], &byte, 1, 0) <= 0 || byte == 0x15);
        assert_int_not_equal(errno, EAGAIN);
        (void)close(fds[i]);
    }
    used_ns = cpu_ns() - before_ns;
    print_message("%d begun handshakes: %u ms of CPU until the last was ended\n", STRANGERS,
                  (unsigned)(used_ns / CLOCK_NS_PER_MS));
    assert_true(used_ns < CLOCK_NS_PER_S / 2); /* of about 3 s; a spin would use all of it */
    assert_int_equal(rig_refused(LISTENER_REFUSED_HANDSHAKE_TIMEOUT), STRANGERS);
    rig_get(&p, "/now/1", 1);
    tls_peer_close(&p);
    rig_stop();
}

/* Sends a piece every 100 ms, for as long as the server takes them: dripping. True: it was ended. */
static bool drip(struct tls_peer *p, const char *piece, unsigned max_pieces)
{
    const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };

    for (unsigned i = 0; i < max_pieces; i++) {
        if (!tls_peer_say(p, piece)) {
            return true;
        }
        nanosleep(&pause, NULL); /* the rate is what is tested */
    }
    return false;
}

static void a_request_that_drips_is_ended_in_whatever_part(void **state)
{
    static const char *const rows[][2] = {
        { "GE", "T" },                                                         /* the line */
        { "GET / HTTP/1.1\r\nHost: t\r\n", "A: b\r\n" },                       /* the head */
        { "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9999\r\n\r\n", "b" }, /* the body */
    };
    struct listener_limits limits = rig_limits;

    (void)state;
    limits.request_timeout_s = 2;
    limits.idle_timeout_s = 2;
    rig_start(&limits);
    for (size_t i = 0; i < 3; i++) {
        struct tls_peer p;

        rig_open(&p);
        assert_true(tls_peer_say(&p, rows[i][0]));
        assert_true(drip(&p, rows[i][1], 100));
        tls_peer_close(&p);
    }
    assert_int_equal(rig_refused(LISTENER_ENDED_SLOW_REQUEST), 3);
    rig_stop();
}

static void a_reader_that_is_too_slow_holds_no_reply(void **state)
{
    const struct tls_peer_options options = {
        .dir = rig.dir,
        .name = "client",
        .receive_buffer_bytes = 4096,
    };
    struct tls_peer slow[4], fast;

    (void)state;
    rig_start(&rig_limits);
    for (size_t i = 0; i < 4; i++) {
        assert_true(tls_peer_open(&slow[i], rig.port, &options));
        assert_true(tls_peer_say(&slow[i], "GET /now/67108864 HTTP/1.1\r\nHost: t\r\n\r\n"));
        assert_int_equal(tls_peer_head(&slow[i]), 200);
    }
    rig_open(&fast);
    for (int i = 0; i < 20; i++) {
        rig_get(&fast, "/later/1000000", 1000000);
    }
    rig_wait(&rig.live, 0); /* the replies of the slow ones went, too */
    assert_int_equal(rig_refused(LISTENER_ENDED_SLOW_READER), 4);
    rig_get(&fast, "/now/1", 1);
    for (size_t i = 0; i < 4; i++) {
        tls_peer_close(&slow[i]);
    }
    tls_peer_close(&fast);
    rig_stop();
}

static void an_idle_connection_is_ended_with_a_good_bye(void **state)
{
    struct listener_limits limits = rig_limits;
    struct tls_peer p;
    char byte;

    (void)state;
    limits.idle_timeout_s = 1;
    limits.handshake_timeout_s = 1;
    rig_start(&limits);
    rig_open(&p);
    rig_get(&p, "/now/1", 1);
    assert_int_equal(SSL_read(p.ssl, &byte, 1), 0);
    assert_int_equal(SSL_get_error(p.ssl, 0), SSL_ERROR_ZERO_RETURN); /* close_notify */
    tls_peer_close(&p);
    rig_stop();
}

/* --- reload ----------------------------------------------------------------------------------------- */

static void expect_server(struct tls_peer *p, const char *name)
{
    X509 *certificate = SSL_get1_peer_certificate(p->ssl);
    char common_name[64] = "";

    assert_non_null(certificate);
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, common_name,
                              sizeof(common_name));
    X509_free(certificate);
    assert_string_equal(common_name, name);
}

static void a_reload_counts_for_open_connections_too(void **state)
{
    struct rig_pem room;
    struct listener_pem fresh, mismatch;
    struct access *other;
    struct tls_peer before, after;
    const struct tls_peer_options stranger = { .dir = rig.dir, .name = "stranger" };
    char path[128];
    struct failure f = { 0 };

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/other.crt", rig.dir);
    other = anchors_in(path);
    rig_start(&rig_limits);
    rig_open(&before);
    rig_get(&before, "/now/1", 1);
    expect_server(&before, "server");

    fresh = rig_pem("server2", &room);
    mismatch = fresh;
    mismatch.key = room.certificate; /* fails, and changes nothing */
    assert_int_equal(listener_reload(rig.listener, &mismatch, other, &f), -ERROR_INVALID_ARGUMENT);
    rig_open(&after);
    rig_get(&after, "/now/1", 1);
    expect_server(&after, "server");
    tls_peer_close(&after);

    /* The same authority: the connection goes on, with the certificate that it began with. */
    assert_int_equal(listener_reload(rig.listener, &fresh, rig.access, &f), 0);
    rig_get(&before, "/now/1", 1);
    rig_get(&before, "/now/1", 1);

    /* Whose authority was taken away is nobody, also on a connection that is open. */
    assert_int_equal(listener_reload(rig.listener, &fresh, other, &f), 0);
    access_unref(other);
    assert_true(tls_peer_say(&before, "GET /now/1 HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(tls_peer_response(&before, NULL), 401);
    assert_non_null(tls_peer_header(&before, "Connection"));
    assert_true(tls_peer_ended(&before));
    assert_true(tls_peer_open(&after, rig.port, &stranger));
    rig_get(&after, "/now/1", 1);
    expect_server(&after, "server2");
    tls_peer_close(&after);
    assert_int_equal(alert_for(&(struct tls_peer_options){ .dir = rig.dir, .name = "client" }),
                     ALERT_UNKNOWN_CA);
    tls_peer_close(&before);
    rig_stop();
}

enum { ERAS = 8, DENIED = 60000 };

/* Zero where a sanitizer has replaced malloc(). */
static size_t memory_bytes(void)
{
    const struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

static void write_deny_list(void)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/deny", rig.dir);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    for (unsigned i = 0; i < DENIED; i++) {
        assert_true(fprintf(file, "identity:cn:somebody-whose-name-is-long-%u\n", i) > 0);
    }
    assert_int_equal(fclose(file), 0);
}

/* One that is large, since its deny list is. */
static struct access *large_access(void)
{
    char ca[128], deny[128];
    const struct access_options options = { .trusts = { { .ca = ca } },
                                            .trust_count = 1,
                                            .deny = deny };
    struct access *access = NULL;
    BUFFER_AUTO(faults, 4096);

    (void)snprintf(ca, sizeof(ca), "%s/ca.crt", rig.dir);
    (void)snprintf(deny, sizeof(deny), "%s/deny", rig.dir);
    assert_int_equal(access_load(&options, &access, &faults, NULL), 0);
    return access;
}

static void ask_as(struct tls_peer *p, bool is_anonymous)
{
    assert_true(tls_peer_say(p, "GET /now/1 HTTP/1.1\r\nHost: test\r\n\r\n"));
    assert_int_equal(tls_peer_response(p, NULL), is_anonymous ? 401 : 200);
}

/* Streams may last for months, and what decides who is let in be another every hour. */
static void connections_keep_no_access_but_the_one_in_force(void **state)
{
    struct tls_peer peers[ERAS];
    const struct tls_peer_options shown[] = { { .dir = rig.dir, .name = "client" },
                                              { .dir = rig.dir } };
    size_t before, one = 0;

    (void)state;
    write_deny_list();
    rig.certificate_optional = true;
    rig_start(&rig_limits);
    rig.certificate_optional = false;
    before = memory_bytes();
    for (int i = 0; i < ERAS; i++) {
        struct access *access = large_access();

        one = i == 0 ? memory_bytes() - before : one;
        assert_int_equal(listener_set_access(rig.listener, access, NULL), 0);
        access_unref(access);
        assert_true(tls_peer_open(&peers[i], rig.port, &shown[i % 2]));
        ask_as(&peers[i], i % 2 == 1);
    }
    assert_int_equal(listener_set_access(rig.listener, rig.access, NULL), 0);
    for (int i = 0; i < ERAS; i++) {
        ask_as(&peers[i], i % 2 == 1);
    }
#ifndef XENRES_SANITIZED
    assert_true(one > 3U << 20);
    assert_true(memory_bytes() < before + one); /* what connections themselves need */
#endif
    for (int i = 0; i < ERAS; i++) {
        tls_peer_close(&peers[i]);
    }
    rig_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refusal_has_its_alert_and_its_counter),
        cmocka_unit_test(who_fails_too_often_is_refused_before_tls),
        cmocka_unit_test(handshakes_have_a_rate_for_who_does_all_well),
        cmocka_unit_test(both_aes_suites_are_served_and_chacha_is_not),
        cmocka_unit_test(bytes_that_are_no_handshake_disturb_nobody),
        cmocka_unit_test(one_more_than_the_limit_in_all_is_refused_at_once),
        cmocka_unit_test(one_more_than_the_limit_of_an_address_is_refused_at_once),
        cmocka_unit_test(hundreds_of_begun_handshakes_neither_spin_nor_stay),
        cmocka_unit_test(a_request_that_drips_is_ended_in_whatever_part),
        cmocka_unit_test(a_reader_that_is_too_slow_holds_no_reply),
        cmocka_unit_test(an_idle_connection_is_ended_with_a_good_bye),
        cmocka_unit_test(a_reload_counts_for_open_connections_too),
        cmocka_unit_test(connections_keep_no_access_but_the_one_in_force),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, rig_make_pki, rig_drop_pki);
}
