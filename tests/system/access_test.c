/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who is let in by the real gateway, and who is put out again: each bad certificate with the alert that its
 * client sees, and the revocation of one who has a stream open, by a change of a file and nothing else.
 */
#include "tests/lib/gateway.h"

#include <fcntl.h>
#include <sys/un.h>

#include "common/text.h"
#include "tests/lib/certificates.h"

enum {
    REVOKED_WITHIN_MS = 2000,
    SAID_MAX_BYTES = 1 << 20,
    LIFE_S = 4, /* of a certificate that ends while it is used */
};

enum alert {
    ALERT_HANDSHAKE_FAILURE = 40,
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_CERTIFICATE_REVOKED = 44,
    ALERT_CERTIFICATE_EXPIRED = 45,
    ALERT_UNKNOWN_CA = 48,
    ALERT_ACCESS_DENIED = 49,
    ALERT_PROTOCOL_VERSION = 70,
    ALERT_CERTIFICATE_REQUIRED = 116,
};

static const char scenario[] = "seed = 1\n"
                               "domain \"web\" {\n  domid = 1  type = \"pv\"\n"
                               "  uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01\"\n"
                               "  grants { version = 1 frames = 1 entries = 10 }\n}\n";

static struct certificate corp, other;
static int64_t now; /* from CERTIFICATES_NOW_S */

/* --- files ------------------------------------------------------------------------------------- */

/* Whole at any moment, as an operator does it. */
static void replace(const char *name, const void *bytes, size_t len)
{
    char path[GATEWAY_PATH_BYTES], fresh[GATEWAY_PATH_BYTES];
    FILE *file;

    gateway_path(name, path);
    (void)snprintf(fresh, sizeof(fresh), "%.200s.new", path);
    file = fopen(fresh, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static void replace_text(const char *name, const char *text)
{
    replace(name, text, strlen(text));
}

static void write_chain(const char *name, const struct certificate *const *chain, size_t count)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char path[64], *bytes;

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(PEM_write_bio_X509(pem, chain[i]->x509), 1);
    }
    long len = BIO_get_mem_data(pem, &bytes);

    (void)snprintf(path, sizeof(path), "demo/%s.crt", name);
    replace(path, bytes, (size_t)len);
    assert_int_equal(BIO_reset(pem), 1);
    assert_int_equal(PEM_write_bio_PrivateKey(pem, chain[0]->key, NULL, NULL, 0, NULL, NULL), 1);
    len = BIO_get_mem_data(pem, &bytes);
    (void)snprintf(path, sizeof(path), "demo/%s.key", name);
    replace(path, bytes, (size_t)len);
    BIO_free(pem);
}

static void write_crl(const struct certificate *revoked)
{
    const struct certificate_list list = {
        .issuer = &corp, .revoked = { revoked }, .begin_s = now - 60, .end_s = now + 3600
    };
    BIO *pem = BIO_new(BIO_s_mem());
    char *bytes;

    certificates_list_write(pem, &list);
    long len = BIO_get_mem_data(pem, &bytes);

    replace("demo/corp.crl", bytes, (size_t)len);
    BIO_free(pem);
}

static struct certificate make(struct certificate_spec spec, const struct certificate *issuer)
{
    if (spec.begin_s == 0 && spec.end_s == 0) {
        spec.begin_s = -60;
        spec.end_s = 3600;
    }
    spec.begin_s += now;
    spec.end_s += now;
    return certificates_make(&spec, issuer);
}

/* --- the gateway ------------------------------------------------------------------------------- */

static void write_configuration(void)
{
    char text[2048], dir[GATEWAY_PATH_BYTES];

    gateway_path("demo", dir);
    (void)snprintf(text, sizeof(text),
                   "server { deny = \"%s/deny\"  heartbeat_s = 1 }\n"
                   "trust \"corp\" {\n  ca = \"%s/corp.crt\"  crl = \"%s/corp.crl\"\n"
                   "  identities = { \"spiffe:spiffe://corp/*\" }\n}\n",
                   dir, dir, dir);
    gateway_write("demo/xenresd.conf", "ae", text);
    gateway_write(
        "demo/policy.conf", "ae",
        "rule \"corp\" { effect = allow identities = { \"spiffe:spiffe://corp/*\" }\n"
        "  domains = { \"all\" } types = { \"all\" } actions = { \"list\", \"watch\" } }\n");
    replace_text("demo/deny", "# nobody\n");
}

/* What it logs is in a file, for those who look there. */
static int begin(void **state)
{
    char path[GATEWAY_PATH_BYTES];
    int log, saved = dup(STDERR_FILENO);

    (void)state;
    now = (int64_t)time(NULL) - CERTIFICATES_NOW_S;
    corp = make((struct certificate_spec)CERTIFICATES_AUTHORITY("corp"), NULL);
    other = make((struct certificate_spec)CERTIFICATES_AUTHORITY("other"), NULL);
    (void)snprintf(gateway.dir, sizeof(gateway.dir), "/tmp/access.XXXXXX");
    assert_non_null(mkdtemp(gateway.dir));
    assert_int_equal(chmod(gateway.dir, 0755), 0);
    gateway_write("scenario", "we", scenario);
    gateway_path("log", path);
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(log >= 0 && dup2(log, STDERR_FILENO) >= 0);
    gateway_start(true);
    gateway_stop();
    write_configuration();
    write_chain("corp", (const struct certificate *[]){ &corp }, 1);
    write_crl(NULL);
    gateway_start(false);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(log);
    return 0;
}

static int end(void **state)
{
    (void)state;
    certificates_free(&corp);
    certificates_free(&other);
    return gateway_tear_down();
}

static bool log_says(const char *text)
{
    static char said[SAID_MAX_BYTES];
    char path[GATEWAY_PATH_BYTES];
    FILE *file;

    gateway_path("log", path);
    file = fopen(path, "re");
    assert_non_null(file);
    said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
    (void)fclose(file);
    return strstr(said, text) != NULL;
}

/* What the health listener answers. */
static void ask_health(const char *target, char *out, size_t max)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char request[128];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0;
    ssize_t n;

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/demo/health.sock",
                   gateway.dir);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    (void)snprintf(request, sizeof(request),
                   "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", target);
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    while (len < max - 1 && (n = read(fd, out + len, max - 1 - len)) > 0) {
        len += (size_t)n;
    }
    out[len] = '\0';
    (void)close(fd);
}

static unsigned long metric(const char *name)
{
    static char said[SAID_MAX_BYTES];
    const char *found;
    char line[128];

    ask_health("/metrics", said, sizeof(said));
    (void)snprintf(line, sizeof(line), "\n%s ", name);
    found = strstr(said, line);
    if (found == NULL) {
        fail_msg("no %s", name);
    }
    return strtoul(found + strlen(line), NULL, 10);
}

/* Until it counts so much, or the test fails. */
static void await_metric(const char *name, unsigned long at_least)
{
    for (int i = 0; metric(name) < at_least; i++) {
        assert_true(i < 400);
        gateway_pause_ms(50);
    }
}

/* --- clients ----------------------------------------------------------------------------------- */

static bool open_as(struct tls_peer *p, struct tls_peer_options options)
{
    static char dir[GATEWAY_PATH_BYTES];

    gateway_path("demo", dir);
    options.dir = dir;
    return tls_peer_open(p, gateway.port, &options);
}

static int alert_for(struct tls_peer_options options)
{
    struct tls_peer p;

    if (open_as(&p, options)) {
        (void)tls_peer_say(&p, "GET /v1/ HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_int_equal(tls_peer_head(&p), 0); /* nobody is answered */
    }
    tls_peer_close(&p);
    return p.alert;
}

static int alert_as(const char *name)
{
    return alert_for((struct tls_peer_options){ .name = name, .weak = true });
}

/* 200, 401 or what else it is. */
static int get_host(struct tls_peer *p)
{
    assert_true(tls_peer_say(p, "GET /xenres.v1.HostService/GetHost?encoding=json&message={} "
                                "HTTP/1.1\r\nHost: t\r\n\r\n"));
    return tls_peer_response(p, NULL);
}

struct stream {
    struct tls_peer peer;
    char said[SAID_MAX_BYTES];
    size_t len;
};

static void open_stream(struct stream *s, const char *name)
{
    static const char request[] =
        "POST /xenres.v1.HostService/WatchDomains HTTP/1.1\r\nHost: t\r\n"
        "Content-Type: application/connect+json\r\nContent-Length: 7\r\n\r\n\0\0\0\0\2{}";

    s->len = 0;
    s->said[0] = '\0';
    assert_true(open_as(&s->peer, (struct tls_peer_options){ .name = name }));
    assert_true(tls_peer_send(&s->peer, request, sizeof(request) - 1));
    assert_int_equal(tls_peer_head(&s->peer), 200);
}

/* Reads until it has said so, behind `from`. How long that took. */
static uint64_t await_said(struct stream *s, size_t from, const char *text)
{
    uint64_t began_ns = clock_monotonic_ns();

    while (memmem(s->said + from, s->len - from, text, strlen(text)) == NULL) {
        assert_true(s->len < sizeof(s->said));
        size_t n = tls_peer_read(&s->peer, s->said + s->len, sizeof(s->said) - s->len);

        if (n == 0) {
            fail_msg("the stream ended without \"%s\": %.*s", text, (int)s->len, s->said);
        }
        s->len += n;
    }
    return (clock_monotonic_ns() - began_ns) / CLOCK_NS_PER_MS;
}

/* --- bad certificates -------------------------------------------------------------------------- */

#define CLIENT(...)                                                                                \
    {                                                                                              \
        CERTIFICATES_CLIENT, __VA_ARGS__                                                           \
    }

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
    CERTIFICATE_AUTO made =
        make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/good"), &corp);

    (void)state;
    write_chain("good", (const struct certificate *[]){ &made }, 1);
    assert_int_equal(
        alert_for((struct tls_peer_options){ .name = "good", .max_version = TLS1_2_VERSION }),
        ALERT_PROTOCOL_VERSION);
    assert_int_equal(alert_for((struct tls_peer_options){
                         .name = "good", .ciphersuites = "TLS_CHACHA20_POLY1305_SHA256" }),
                     ALERT_HANDSHAKE_FAILURE);
    assert_int_equal(alert_for((struct tls_peer_options){
                         .name = "good", .ciphersuites = "TLS_AES_128_CCM_SHA256" }),
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

/* Nobody is on any list; in force before this returns. */
static void forget_all(void)
{
    unsigned long before = metric("xenresd_access_reloads_total{result=\"success\"}");

    replace_text("demo/deny", "# nobody any more\n");
    await_metric("xenresd_access_reloads_total{result=\"success\"}", before + 1);
    before++;
    write_crl(NULL);
    await_metric("xenresd_access_reloads_total{result=\"success\"}", before + 1);
}

static void an_identity_on_the_deny_list_is_out_within_two_seconds(void **state)
{
    struct pair p = watch_both();

    (void)state;
    replace_text("demo/deny", "identity:spiffe:spiffe://corp/alice  # left\n");
    expect_alice_out(&p);
    assert_true(log_says("line 1 of the deny list keeps it out"));
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
        cmocka_unit_test(a_list_with_a_fault_changes_nothing_and_is_told),
        cmocka_unit_test(what_expires_ends_its_streams_and_its_connections),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin, end);
}
