/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who is let in by the real gateway, and who is put out again: each bad certificate with the alert that its
 * client sees, and the revocation of one who has a stream open, by a change of a file and nothing else.
 */
#include "tests/lib/access_rig.h"

/* --- bad certificates -------------------------------------------------------------------------- */

static void each_bad_certificate_has_its_alert(void **state)
{
    static const struct {
        const char *what;
        bool by_other;
        struct certificate_spec spec;
        int alert;
        const char *metric;
    } rows[] = {
        { "expired", false, CLIENT(.names = "URI:spiffe://corp/x", .begin_s = -100, .end_s = -10),
          ALERT_CERTIFICATE_EXPIRED, "expired" },
        { "not-yet-valid", false,
          CLIENT(.names = "URI:spiffe://corp/x", .begin_s = 1000, .end_s = 2000),
          ALERT_CERTIFICATE_EXPIRED, "expired" },
        { "wrong-ca", true, CLIENT(.names = "URI:spiffe://corp/x"), ALERT_UNKNOWN_CA,
          "unknown_ca" },
        { "not-spoken-for", false, CLIENT(.names = "URI:spiffe://lab/x"), ALERT_ACCESS_DENIED,
          "not_spoken_for" },
        { "common-name", false, CLIENT(.names = NULL), ALERT_ACCESS_DENIED, "not_spoken_for" },
        { "two-uris", false, CLIENT(.names = "URI:spiffe://corp/a,URI:spiffe://corp/b"),
          ALERT_BAD_CERTIFICATE, "bad_certificate" },
        { "nul-in-uri", false, CLIENT(.uri = "spiffe://corp/a\0/b", .uri_len = 18),
          ALERT_BAD_CERTIFICATE, "bad_certificate" },
        { "nul-in-name", false, CLIENT(.common_name_len = 6), ALERT_BAD_CERTIFICATE,
          "bad_certificate" },
        { "pattern-as-name",
          false,
          { .common_name = "al?ce",
            .constraints = "CA:FALSE",
            .usage = "digitalSignature",
            .extended_usage = "clientAuth" },
          ALERT_BAD_CERTIFICATE,
          "bad_certificate" },
        { "weak-digest", false, CLIENT(.names = "URI:spiffe://corp/x", .sha1 = true),
          ALERT_BAD_CERTIFICATE, "bad_certificate" },
        { "weak-key", false, CLIENT(.names = "URI:spiffe://corp/x", .key = "RSA-1024"),
          ALERT_BAD_CERTIFICATE, "bad_certificate" },
        { "for-servers",
          false,
          { .common_name = "x",
            .constraints = "CA:FALSE",
            .usage = "digitalSignature",
            .extended_usage = "serverAuth",
            .names = "URI:spiffe://corp/x" },
          ALERT_BAD_CERTIFICATE,
          "bad_certificate" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CERTIFICATE_AUTO made = make(rows[i].spec, rows[i].by_other ? &other : &corp);
        char name[128];

        (void)snprintf(name, sizeof(name), "xenresd_tls_failures_total{reason=\"%s\"}",
                       rows[i].metric);
        unsigned long before = metric(name);

        write_chain(rows[i].what, (const struct certificate *[]){ &made }, 1);
        int alert = alert_as(rows[i].what);

        if (alert != rows[i].alert || metric(name) != before + 1) {
            fail_msg("%s: alert %d, expected %d; %s: %lu behind %lu", rows[i].what, alert,
                     rows[i].alert, name, metric(name), before);
        }
    }
    assert_true(log_says("certificate of an authority that may not give it: its authority may not "
                         "speak for spiffe:spiffe://lab/x"));
}

static void no_certificate_has_its_alert(void **state)
{
    (void)state;
    assert_int_equal(alert_for((struct tls_peer_options){ .name = NULL }),
                     ALERT_CERTIFICATE_REQUIRED);
}

static void a_chain_that_is_too_long_has_its_alert(void **state)
{
    const struct certificate *chain[IDENTITY_CHAIN_MAX + 1];
    struct certificate made[IDENTITY_CHAIN_MAX + 1];
    const struct certificate *issuer = &corp;

    (void)state;
    for (size_t i = IDENTITY_CHAIN_MAX; i > 0; i--) {
        char name[16];

        (void)snprintf(name, sizeof(name), "level %zu", i);
        made[i] = make((struct certificate_spec)CERTIFICATES_AUTHORITY(name), issuer);
        issuer = &made[i];
    }
    made[0] = make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/deep"), issuer);
    for (size_t i = 0; i <= IDENTITY_CHAIN_MAX; i++) {
        chain[i] = &made[i];
    }
    write_chain("deep", chain, IDENTITY_CHAIN_MAX + 1);
    assert_int_equal(alert_as("deep"), ALERT_BAD_CERTIFICATE);
    for (size_t i = 0; i <= IDENTITY_CHAIN_MAX; i++) {
        certificates_free(&made[i]);
    }
}

static void older_tls_and_other_ciphers_have_their_alerts(void **state)
{
    static const int older[] = { TLS1_2_VERSION, TLS1_1_VERSION, TLS1_VERSION };
    CERTIFICATE_AUTO made =
        make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/good"), &corp);
    struct tls_peer p;

    (void)state;
    write_chain("good", (const struct certificate *[]){ &made }, 1);
    assert_true(
        open_as(&p, (struct tls_peer_options){ .name = "good" })); /* with all that it takes */
    assert_int_equal(get_host(&p), 200);
    tls_peer_close(&p);
    for (size_t i = 0; i < sizeof(older) / sizeof(older[0]); i++) {
        assert_int_equal(alert_for((struct tls_peer_options){
                             .name = "good", .weak = true, .max_version = older[i] }),
                         ALERT_PROTOCOL_VERSION);
    }
    assert_int_equal(alert_for((struct tls_peer_options){
                         .name = "good", .ciphersuites = "TLS_CHACHA20_POLY1305_SHA256" }),
                     ALERT_HANDSHAKE_FAILURE);
    assert_int_equal(
        alert_for((struct tls_peer_options){
            .name = "good", .ciphersuites = "TLS_AES_128_CCM_8_SHA256:TLS_AES_128_CCM_SHA256" }),
        ALERT_HANDSHAKE_FAILURE);
}

/* --- revocation -------------------------------------------------------------------------------- */

struct pair {
    struct certificate alice, bob;
    struct stream *of_alice, *of_bob;
};

/* Two who watch. */
static struct pair watch_both(void)
{
    struct pair p = {
        .alice = make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/alice"), &corp),
        .bob = make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/bob"), &corp),
        .of_alice = malloc(sizeof(struct stream)),
        .of_bob = malloc(sizeof(struct stream)),
    };

    assert_true(p.of_alice != NULL && p.of_bob != NULL);
    write_chain("alice", (const struct certificate *[]){ &p.alice }, 1);
    write_chain("bob", (const struct certificate *[]){ &p.bob }, 1);
    open_stream(p.of_alice, "alice");
    open_stream(p.of_bob, "bob");
    await_said(p.of_alice, 0, "\"list\"");
    await_said(p.of_bob, 0, "\"list\"");
    return p;
}

/* Alice is out by now: her stream in time, and whoever comes in her name; Bob sees nothing of it. */
static void expect_alice_out(struct pair *p)
{
    size_t said = p->of_bob->len;

    if (await_said(p->of_alice, 0, "WATCH_END_REASON_") > REVOKED_WITHIN_MS) {
        fail_msg("it took longer than two seconds");
    }
    await_said(p->of_alice, 0, "\"permission_denied\"");
    assert_non_null(
        memmem(p->of_alice->said, p->of_alice->len, "WATCH_END_REASON_PERMISSION_WITHDRAWN", 37));
    assert_int_equal(alert_as("alice"), ALERT_CERTIFICATE_REVOKED);
    await_said(p->of_bob, said, "\"heartbeat\"");
    assert_null(memmem(p->of_bob->said, p->of_bob->len, "WATCH_END", 9));
}

static void done(struct pair *p)
{
    tls_peer_close(&p->of_alice->peer);
    tls_peer_close(&p->of_bob->peer);
    free(p->of_alice);
    free(p->of_bob);
    certificates_free(&p->alice);
    certificates_free(&p->bob);
}

static void an_identity_on_the_deny_list_is_out_within_two_seconds(void **state)
{
    struct pair p = watch_both();

    (void)state;
    replace_text("demo/deny", "identity:spiffe:spiffe://corp/alice  # left\n");
    expect_alice_out(&p);
    assert_true(log_says("line 1 of the deny list keeps out spiffe:spiffe://corp/alice"));
    assert_true(file_says("demo/audit.log", "\"event\":\"revoked\""));
    done(&p);
    forget_all();
}

static void a_fingerprint_on_the_deny_list_is_out_within_two_seconds(void **state)
{
    struct pair p = watch_both();
    unsigned char digest[32];
    unsigned len = sizeof(digest);
    char hex[65], text[128];

    (void)state;
    assert_int_equal(X509_digest(p.alice.x509, EVP_sha256(), digest, &len), 1);
    text_from_hex(digest, sizeof(digest), hex);
    (void)snprintf(text, sizeof(text), "# stolen\nfingerprint:%s\n", hex);
    replace_text("demo/deny", text);
    expect_alice_out(&p);
    done(&p);
    forget_all();
}

static void a_certificate_on_its_authoritys_list_is_out_within_two_seconds(void **state)
{
    struct pair p = watch_both();

    (void)state;
    write_crl(&p.alice);
    expect_alice_out(&p);
    done(&p);
    forget_all();
}

/* Not only who watches. */
static void who_is_revoked_is_refused_on_a_connection_that_is_open(void **state)
{
    CERTIFICATE_AUTO made =
        make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/carol"), &corp);
    unsigned long before = metric("xenresd_access_reloads_total{result=\"success\"}");
    struct tls_peer p;

    (void)state;
    write_chain("carol", (const struct certificate *[]){ &made }, 1);
    assert_true(open_as(&p, (struct tls_peer_options){ .name = "carol" }));
    assert_int_equal(get_host(&p), 200);
    replace_text("demo/deny", "identity:spiffe:spiffe://corp/carol\n");
    await_metric("xenresd_access_reloads_total{result=\"success\"}", before + 1);
    assert_int_equal(get_host(&p), 401);
    assert_true(tls_peer_ended(&p));
    tls_peer_close(&p);
    forget_all();
}

/* A head that came before, and a body that is sent when the list is in force. */
static void who_is_revoked_while_his_body_is_awaited_is_refused(void **state)
{
    CERTIFICATE_AUTO made =
        make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/dora"), &corp);
    unsigned long before = metric("xenresd_access_reloads_total{result=\"success\"}");
    struct tls_peer p;
    size_t len = 0;

    (void)state;
    write_chain("dora", (const struct certificate *[]){ &made }, 1);
    assert_true(open_as(&p, (struct tls_peer_options){ .name = "dora" }));
    assert_int_equal(get_host(&p), 200);
    assert_true(tls_peer_say(&p, "POST /xenres.v1.HostService/GetHost HTTP/1.1\r\nHost: test\r\n"
                                 "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{"));
    write_crl(&made);
    await_metric("xenresd_access_reloads_total{result=\"success\"}", before + 1);
    assert_true(tls_peer_say(&p, "}"));
    assert_int_equal(tls_peer_response(&p, &len), 401);
    tls_peer_close(&p);
    forget_all();
}

static void a_list_with_a_fault_changes_nothing_and_is_told(void **state)
{
    struct pair p = watch_both();
    unsigned long before = metric("xenresd_access_reloads_total{result=\"failure\"}");
    static char said[4096];
    size_t heard;

    (void)state;
    replace_text("demo/deny", "identity:spiffe:spiffe://corp/bob\nidentity:corp/alice\n");
    await_metric("xenresd_access_reloads_total{result=\"failure\"}", before + 1);
    assert_int_equal(metric("xenresd_last_access_reload_successful"), 0);
    assert_true(log_says("deny:2: expected spiffe:, dns:, cn:, jwt: or token:, and a name"));
    ask_health("/readyz", said, sizeof(said));
    assert_non_null(strstr(said, " 200 "));
    heard = p.of_bob->len;
    await_said(p.of_bob, heard, "\"heartbeat\"");
    /* What was cut short is no list, either. */
    replace_text("demo/deny", "identity:spiffe:spiffe://corp/alice");
    await_metric("xenresd_access_reloads_total{result=\"failure\"}", before + 2);
    replace_text("demo/deny", "identity:spiffe:spiffe://corp/alice\n");
    expect_alice_out(&p);
    assert_int_equal(metric("xenresd_last_access_reload_successful"), 1);
    done(&p);
    forget_all();
}

/* --- expiry ------------------------------------------------------------------------------------ */

static void what_expires_ends_its_streams_and_its_connections(void **state)
{
    CERTIFICATE_AUTO made =
        make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/brief", .begin_s = -60,
                                             .end_s = (int64_t)time(NULL) - CERTIFICATES_NOW_S -
                                                      now + LIFE_S),
             &corp);
    struct stream *s = malloc(sizeof(*s));
    struct tls_peer idle;

    (void)state;
    assert_non_null(s);
    write_chain("brief", (const struct certificate *[]){ &made }, 1);
    open_stream(s, "brief");
    assert_true(open_as(&idle, (struct tls_peer_options){ .name = "brief" }));
    assert_int_equal(get_host(&idle), 200);
    await_said(s, 0, "WATCH_END_REASON_CREDENTIALS_EXPIRED");
    await_said(s, 0, "\"unauthenticated\"");
    assert_int_equal(get_host(&idle), 401);
    assert_true(tls_peer_ended(&idle));
    assert_int_equal(alert_as("brief"), ALERT_CERTIFICATE_EXPIRED);
    tls_peer_close(&idle);
    tls_peer_close(&s->peer);
    free(s);
}

static int64_t in_a_while(void)
{
    return (int64_t)time(NULL) - CERTIFICATES_NOW_S + LIFE_S;
}

static void expect_expiry(struct stream *s)
{
    await_said(s, 0, "WATCH_END_REASON_CREDENTIALS_EXPIRED");
    await_said(s, 0, "\"unauthenticated\"");
    tls_peer_close(&s->peer);
    free(s);
}

/* The client's own certificate lasts much longer. */
static void an_authority_that_expires_ends_what_it_vouches_for(void **state)
{
    struct certificate_spec spec = CERTIFICATES_AUTHORITY("brief");
    struct stream *s = malloc(sizeof(*s));

    (void)state;
    assert_non_null(s);
    spec.begin_s = -60;
    spec.end_s = in_a_while() - now;
    CERTIFICATE_AUTO brief = make(spec, &corp);
    CERTIFICATE_AUTO made =
        make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/below"), &brief);
    const struct certificate_list of_brief = { .issuer = &brief,
                                               .begin_s = now - 60,
                                               .end_s = now + 3600 };
    const struct certificate_list of_corp = { .issuer = &corp,
                                              .begin_s = now - 60,
                                              .end_s = now + 3600 };
    unsigned long before = metric("xenresd_access_reloads_total{result=\"success\"}");

    write_lists(&of_corp, &of_brief);
    await_metric("xenresd_access_reloads_total{result=\"success\"}", before + 1);
    write_chain("below", (const struct certificate *[]){ &made, &brief }, 2);
    open_stream(s, "below");
    expect_expiry(s);
    assert_int_equal(alert_as("below"), ALERT_CERTIFICATE_EXPIRED);
    forget_all();
}

/* The one of before lasted longer: what it vouched for is judged by that which took its place. */
static void an_anchor_that_ends_earlier_takes_its_place_for_open_streams_too(void **state)
{
    CERTIFICATE_AUTO made =
        make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/anchored"), &corp);
    CERTIFICATE_AUTO ending = certificates_renew(&corp, in_a_while());
    unsigned long before = metric("xenresd_access_reloads_total{result=\"success\"}");
    struct stream *s = malloc(sizeof(*s));

    (void)state;
    assert_non_null(s);
    write_chain("anchored", (const struct certificate *[]){ &made }, 1);
    open_stream(s, "anchored");
    write_chain("corp", (const struct certificate *[]){ &ending }, 1);
    expect_expiry(s);
    assert_int_equal(alert_as("anchored"), ALERT_CERTIFICATE_EXPIRED);
    assert_int_equal(metric("xenresd_access_reloads_total{result=\"success\"}"), before + 1);
    write_chain("corp", (const struct certificate *[]){ &corp }, 1);
    await_metric("xenresd_access_reloads_total{result=\"success\"}", before + 2);
}

/* Nobody can say any more who is revoked: what a new connection gets, open ones get as well. A newer list in
 * time changes nothing for anybody. */
static void a_list_that_is_too_old_ends_what_it_was_needed_for(void **state)
{
    struct pair p = watch_both();
    unsigned long before = metric("xenresd_access_reloads_total{result=\"success\"}");
    size_t heard;

    (void)state;
    write_crl_of(NULL, LIFE_S);
    await_metric("xenresd_access_reloads_total{result=\"success\"}", before + 1);
    write_crl_of(NULL, 2 * LIFE_S);
    await_metric("xenresd_access_reloads_total{result=\"success\"}", before + 2);
    gateway_pause_ms(LIFE_S * 1000);
    heard = p.of_bob->len;
    await_said(p.of_bob, heard, "\"heartbeat\"");
    await_said(p.of_alice, 0, "WATCH_END_REASON_PERMISSION_WITHDRAWN");
    await_said(p.of_bob, 0, "WATCH_END_REASON_PERMISSION_WITHDRAWN");
    assert_int_equal(alert_as("alice"), ALERT_BAD_CERTIFICATE);
    assert_true(log_says("a revocation list is older than it says it may be"));
    done(&p);
    forget_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_certificate_has_its_alert),
        cmocka_unit_test(each_bad_certificate_has_its_alert),
        cmocka_unit_test(a_chain_that_is_too_long_has_its_alert),
        cmocka_unit_test(older_tls_and_other_ciphers_have_their_alerts),
        cmocka_unit_test(an_identity_on_the_deny_list_is_out_within_two_seconds),
        cmocka_unit_test(a_fingerprint_on_the_deny_list_is_out_within_two_seconds),
        cmocka_unit_test(a_certificate_on_its_authoritys_list_is_out_within_two_seconds),
        cmocka_unit_test(who_is_revoked_is_refused_on_a_connection_that_is_open),
        cmocka_unit_test(who_is_revoked_while_his_body_is_awaited_is_refused),
        cmocka_unit_test(a_list_with_a_fault_changes_nothing_and_is_told),
        cmocka_unit_test(what_expires_ends_its_streams_and_its_connections),
        cmocka_unit_test(an_authority_that_expires_ends_what_it_vouches_for),
        cmocka_unit_test(an_anchor_that_ends_earlier_takes_its_place_for_open_streams_too),
        cmocka_unit_test(a_list_that_is_too_old_ends_what_it_was_needed_for),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin, end);
}
