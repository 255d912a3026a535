/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The real gateway with an issuer "corp", a file of opaque tokens and a deny list, where certificates are
 * optional, and clients that bear what a test makes. Included by one file of a test program.
 */
#ifndef XENRES_TESTS_TOKEN_RIG_H
#define XENRES_TESTS_TOKEN_RIG_H

#include "tests/lib/gateway.h"

#include "tests/lib/minter.h"

enum { TOKENS_MAX = 64, ANSWER_BYTES = 65536, REQUEST_BYTES = 32768 };

/* Everybody may list and watch `one`, who bears a signed token may trace `traced`, and nobody but the operator sees `two`. */
static const char scenario[] =
    "seed = 1\n"
    "domain \"one\" {\n"
    "  domid = 1  uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01\"  type = \"pv\"\n"
    "  grants { version = 1 frames = 1 frames_max = 4 entries = 30 changes_per_second = 50 }\n"
    "}\n"
    "domain \"traced\" {\n"
    "  domid = 3  uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a03\"  type = \"pvh\"  vcpus = 1\n"
    "  vmtrace { size = 1048576 rate = 65536 }\n"
    "}\n"
    "domain \"two\" {\n"
    "  domid = 2  uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a02\"  type = \"pv\"\n"
    "  grants { version = 1 frames = 1 frames_max = 4 entries = 1 }\n"
    "}\n";
static const char policy[] =
    "rule \"all\" { effect = allow identities = { \"all\" } domains = { \"name:one\" } types = { "
    "\"all\" }"
    " actions = { \"list\", \"watch\" } }\n"
    "rule \"traced\" { effect = allow identities = { \"jwt:*\" } domains = { \"name:traced\" }"
    " types = { \"all\" } actions = { \"trace.read\", \"trace.control\" } }\n"
    "rule \"operator\" { effect = allow identities = { \"spiffe:spiffe://xenres.demo/operator\" }"
    " domains = { \"all\" } types = { \"all\" } actions = { \"list\" } }\n"
    "limits \"slow\" { identities = { \"jwt:corp:slow\" } requests_per_second = 1 }\n";

#define ISSUER "https://issuer.example"
#define WHO    "\"iss\":\"" ISSUER "\",\"aud\":\"xenresd\",\"sub\":\"alice\""
#define LATER  "\"exp\":4000000000"
#define GOOD   "{" WHO "," LATER "}"
#define ES256  "{\"alg\":\"ES256\",\"kid\":\"ES256\"}"

static struct minter minter;
static char *shown[TOKENS_MAX]; /* every token that was shown to the gateway */
static size_t shown_count;
static char answer[ANSWER_BYTES];

static inline const char *show(const char *token)
{
    assert_true(shown_count < TOKENS_MAX);
    shown[shown_count] = strdup(token);
    assert_non_null(shown[shown_count]);
    return shown[shown_count++];
}

static inline const char *mint(enum jose_algorithm a, const char *header, const char *claims)
{
    BUFFER_AUTO(token, 16384);

    minter_mint(&minter, a, header, claims, &token);
    return show(buffer_string(&token));
}

static inline void write_keys(const struct minter *m)
{
    BUFFER_AUTO(text, 8192);

    minter_jwks(m, &text);
    gateway_write("jwks.new", "we", buffer_string(&text));
    char from[GATEWAY_PATH_BYTES], to[GATEWAY_PATH_BYTES];

    gateway_path("jwks.new", from);
    gateway_path("jwks.json", to);
    assert_int_equal(rename(from, to), 0);
}

/* `more`: what else is in its configuration. */
static inline int start_gateway_with(const char *more)
{
    char file[GATEWAY_PATH_BYTES], conf[1024];

    minter_init(&minter);
    (void)snprintf(gateway.dir, sizeof(gateway.dir), "/tmp/tokens.XXXXXX");
    assert_non_null(mkdtemp(gateway.dir));
    assert_int_equal(chmod(gateway.dir, 0755), 0);
    gateway_write("scenario", "we", scenario);
    gateway.is_logged = true;
    gateway_start(true);
    gateway_stop();
    write_keys(&minter);
    gateway_path("tokens", file);
    gateway_write("tokens", "we", "# none yet\n");
    gateway_write("deny", "we", "# nobody yet\n");
    gateway_write("demo/policy.conf", "we", policy);
    (void)snprintf(conf, sizeof(conf),
                   "tls { client_certificate = \"optional\" }\n"
                   "tokens { file = \"%s\" }\nserver { deny = \"%s/deny\" }\n"
                   "issuer \"corp\" { issuer = \"" ISSUER "\" audience = \"xenresd\" jwks = "
                   "\"%s/jwks.json\" groups = { \"corp-*\" } }\n%s",
                   file, gateway.dir, gateway.dir, more);
    gateway_write("demo/xenresd.conf", "ae", conf);
    gateway_start(false);
    return 0;
}

static inline int start_gateway(void **state)
{
    (void)state;
    return start_gateway_with("");
}

static inline int stop_gateway(void **state)
{
    (void)state;
    for (size_t i = 0; i < shown_count; i++) {
        free(shown[i]);
    }
    minter_done(&minter);
    return gateway_tear_down();
}

/* --- requests --------------------------------------------------------------------------------- */

static inline void open_as(struct tls_peer *p, const char *name)
{
    static char dir[GATEWAY_PATH_BYTES];

    gateway_path("demo", dir);
    const struct tls_peer_options options = { .dir = dir, .name = name };

    assert_true(tls_peer_open(p, gateway.port, &options));
}

/* The status; its head is in p->head, its body in `answer`. `headers`: whole lines. */
static inline int ask_by(struct tls_peer *p, const char *path, const char *headers)
{
    static char request[REQUEST_BYTES];
    size_t len, got = 0;
    int n = snprintf(request, sizeof(request),
                     "POST %s HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                     "Connect-Protocol-Version: 1\r\nContent-Length: 2\r\n%s\r\n{}",
                     path, headers);

    assert_true(n > 0 && n < (int)sizeof(request));
    int status = tls_peer_say(p, request) ? tls_peer_head(p) : 0;
    const char *length = tls_peer_header(p, "Content-Length");

    len = length != NULL ? strtoul(length, NULL, 10) : 0;
    assert_true(len < sizeof(answer));
    while (status != 0 && got < len) {
        size_t more = tls_peer_read(p, answer + got, len - got);

        assert_true(more > 0);
        got += more;
    }
    answer[got] = '\0';
    return status;
}

static inline int ask(const char *name, const char *path, const char *headers,
                      char head[TLS_PEER_HEAD_BYTES])
{
    struct tls_peer p;

    open_as(&p, name);
    int status = ask_by(&p, path, headers);

    if (head != NULL) {
        memcpy(head, p.head, TLS_PEER_HEAD_BYTES);
    }
    tls_peer_close(&p);
    return status;
}

#define GET_HOST     "/xenres.v1.HostService/GetHost"
#define LIST_DOMAINS "/xenres.v1.HostService/ListDomains"

static inline const char *bearer(const char *token)
{
    static char header[REQUEST_BYTES / 2];

    (void)snprintf(header, sizeof(header), "Authorization: Bearer %s\r\n", token);
    return header;
}

static inline int with_token(const char *certificate, const char *token)
{
    return ask(certificate, GET_HOST, bearer(token), NULL);
}

#endif
