/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The real gateway with an authority "corp" that may speak for spiffe://corp/ only, its revocation list and a
 * deny list, and clients with whatever certificates a test makes. Included by one file of a test program.
 */
#ifndef XENRES_TESTS_ACCESS_RIG_H
#define XENRES_TESTS_ACCESS_RIG_H

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

#define CLIENT(...)                                                                                \
    {                                                                                              \
        CERTIFICATES_CLIENT, __VA_ARGS__                                                           \
    }

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
                               "  grants { version = 1 frames = 1 entries = 10 }\n}\n"
                               "domain \"traced\" {\n  domid = 2  type = \"pvh\"  vcpus = 1\n"
                               "  uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a02\"\n"
                               "  vmtrace { size = 1048576 rate = 16384 }\n}\n";

static struct certificate corp, other;
static int64_t now; /* from CERTIFICATES_NOW_S */

/* --- files ------------------------------------------------------------------------------------- */

/* Whole at any moment, as an operator does it. */
static inline void replace(const char *name, const void *bytes, size_t len)
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

static inline void replace_text(const char *name, const char *text)
{
    replace(name, text, strlen(text));
}

static inline void write_chain(const char *name, const struct certificate *const *chain,
                               size_t count)
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

/* `b` may be NULL. */
static inline void write_lists(const struct certificate_list *a, const struct certificate_list *b)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char *bytes;

    certificates_list_write(pem, a);
    if (b != NULL) {
        certificates_list_write(pem, b);
    }
    long len = BIO_get_mem_data(pem, &bytes);

    replace("demo/corp.crl", bytes, (size_t)len);
    BIO_free(pem);
}

/* It counts for `life_s` from now on. */
static inline void write_crl_of(const struct certificate *revoked, int64_t life_s)
{
    const int64_t begin_s = (int64_t)time(NULL) - CERTIFICATES_NOW_S;
    const struct certificate_list list = {
        .issuer = &corp, .revoked = { revoked }, .begin_s = now - 60, .end_s = begin_s + life_s
    };

    write_lists(&list, NULL);
}

static inline void write_crl(const struct certificate *revoked)
{
    write_crl_of(revoked, 3600);
}

static inline struct certificate make(struct certificate_spec spec,
                                      const struct certificate *issuer)
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

static inline void write_configuration(void)
{
    char text[2048], dir[GATEWAY_PATH_BYTES];

    gateway_path("demo", dir);
    (void)snprintf(text, sizeof(text),
                   "server { deny = \"%s/deny\"  heartbeat_s = 1 }\n"
                   "trust \"corp\" {\n  ca = \"%s/corp.crt\"  crl = \"%s/corp.crl\"\n"
                   "  identities = { \"spiffe:spiffe://corp/*\" }\n}\n",
                   dir, dir, dir);
    gateway_write("demo/xenresd.conf", "ae", text);
    gateway_write("demo/policy.conf", "ae",
                  "rule \"corp\" { effect = allow identities = { \"spiffe:spiffe://corp/*\" }\n"
                  "  domains = { \"all\" } types = { \"all\" } actions = { \"list\", \"watch\",\n"
                  "  \"trace.read\", \"trace.control\" } }\n");
    replace_text("demo/deny", "# nobody\n");
}

/* What it logs is in a file, for those who look there. */
static inline int begin(void **state)
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

static inline int end(void **state)
{
    (void)state;
    certificates_free(&corp);
    certificates_free(&other);
    return gateway_tear_down();
}

static inline bool file_says(const char *name, const char *text)
{
    static char said[SAID_MAX_BYTES];
    char path[GATEWAY_PATH_BYTES];
    FILE *file;

    gateway_path(name, path);
    file = fopen(path, "re");
    assert_non_null(file);
    said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
    (void)fclose(file);
    return strstr(said, text) != NULL;
}

static inline bool log_says(const char *text)
{
    return file_says("log", text);
}

/* What the health listener answers. */
static inline void ask_health(const char *target, char *out, size_t max)
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

static inline unsigned long metric(const char *name)
{
    static char said[SAID_MAX_BYTES];
    const char *found;
    char line[256];

    ask_health("/metrics", said, sizeof(said));
    (void)snprintf(line, sizeof(line), "\n%s ", name);
    found = strstr(said, line);
    if (found == NULL) {
        fail_msg("no %s", name);
    }
    return strtoul(found + strlen(line), NULL, 10);
}

/* Until it counts so much, or the test fails. */
static inline void await_metric(const char *name, unsigned long at_least)
{
    for (int i = 0; metric(name) < at_least; i++) {
        assert_true(i < 400);
        gateway_pause_ms(50);
    }
}

/* Nobody is on any list; in force before this returns. */
static inline void forget_all(void)
{
    unsigned long before = metric("xenresd_access_reloads_total{result=\"success\"}");

    replace_text("demo/deny", "# nobody any more\n");
    await_metric("xenresd_access_reloads_total{result=\"success\"}", before + 1);
    before++;
    write_crl(NULL);
    await_metric("xenresd_access_reloads_total{result=\"success\"}", before + 1);
}

/* --- clients ----------------------------------------------------------------------------------- */

static inline bool open_as(struct tls_peer *p, struct tls_peer_options options)
{
    static char dir[GATEWAY_PATH_BYTES];

    gateway_path("demo", dir);
    options.dir = dir;
    return tls_peer_open(p, gateway.port, &options);
}

static inline int alert_for(struct tls_peer_options options)
{
    struct tls_peer p;

    if (open_as(&p, options)) {
        (void)tls_peer_say(&p, "GET /v1/ HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_int_equal(tls_peer_head(&p), 0); /* nobody is answered */
    }
    tls_peer_close(&p);
    return p.alert;
}

static inline int alert_as(const char *name)
{
    return alert_for((struct tls_peer_options){ .name = name, .weak = true });
}

/* 200, 401 or what else it is. */
static inline int get_host(struct tls_peer *p)
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

static inline void open_stream(struct stream *s, const char *name)
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

/* Reads until it has said so, behind `from`. How long that took. A stream that goes on says that it lives,
 * each second: it is not waited for without end. */
static inline uint64_t await_said(struct stream *s, size_t from, const char *text)
{
    uint64_t began_ns = clock_monotonic_ns();
    uint64_t until_ns = began_ns + TLS_PEER_WAIT_S * CLOCK_NS_PER_S;

    while (memmem(s->said + from, s->len - from, text, strlen(text)) == NULL) {
        assert_true(s->len < sizeof(s->said));
        size_t n = tls_peer_read(&s->peer, s->said + s->len, sizeof(s->said) - s->len);

        if (n == 0 || clock_monotonic_ns() >= until_ns) {
            fail_msg("the stream %s without \"%s\": %.*s", n == 0 ? "ended" : "goes on", text,
                     (int)s->len, s->said);
        }
        s->len += n;
    }
    return (clock_monotonic_ns() - began_ns) / CLOCK_NS_PER_MS;
}

#endif
