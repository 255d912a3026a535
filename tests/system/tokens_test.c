/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Bearer tokens against the real gateway: who is let in by which, what the others are told, how files that
 * change take effect by themselves, and that no token is in a log.
 */
#include "tests/lib/token_rig.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "auth/opaque_file.h"

/* --- who is let in ---------------------------------------------------------------------------- */

static void good_tokens_let_in_without_a_certificate(void **state)
{
    (void)state;
    assert_int_equal(with_token(NULL, mint(JOSE_ES256, ES256, GOOD)), 200);
    assert_int_equal(
        with_token(NULL, mint(JOSE_RS256, "{\"alg\":\"RS256\",\"kid\":\"RSA\"}", GOOD)), 200);
    assert_int_equal(
        with_token(NULL, mint(JOSE_PS256, "{\"alg\":\"PS256\",\"kid\":\"RSA\"}", GOOD)), 200);
    assert_int_equal(
        with_token(NULL, mint(JOSE_EDDSA, "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\"}", GOOD)), 200);
    assert_int_equal(ask("operator", GET_HOST, "", NULL), 200);
}

static void nobody_is_told_how_to_be_known(void **state)
{
    char head[TLS_PEER_HEAD_BYTES];

    (void)state;
    assert_int_equal(ask(NULL, GET_HOST, "", head), 401);
    assert_non_null(strstr(head, "WWW-Authenticate: Bearer\r\n"));
    assert_non_null(strstr(answer, "unauthenticated"));
}

/* The connection without a certificate goes on: each request says for itself who asks. */
static void one_connection_bears_several_tokens(void **state)
{
    struct tls_peer p;
    const char *token = mint(JOSE_ES256, ES256, GOOD);

    (void)state;
    open_as(&p, NULL);
    assert_int_equal(ask_by(&p, GET_HOST, bearer(token)), 200);
    assert_int_equal(ask_by(&p, GET_HOST, ""), 401);
    assert_int_equal(ask_by(&p, GET_HOST, bearer("nonsense")), 401);
    assert_int_equal(ask_by(&p, GET_HOST, bearer(token)), 200);
    tls_peer_close(&p);
}

static void a_token_goes_before_the_certificate(void **state)
{
    const char *token = mint(JOSE_ES256, ES256, GOOD);

    (void)state;
    assert_int_equal(ask("operator", LIST_DOMAINS, "", NULL), 200);
    assert_non_null(strstr(answer, "\"two\""));
    assert_int_equal(ask("operator", LIST_DOMAINS, bearer(token), NULL), 200);
    assert_non_null(strstr(answer, "\"one\""));
    assert_null(strstr(answer, "\"two\""));
    /* One that is not accepted is not passed over in favour of it. */
    assert_int_equal(with_token("operator", "nonsense"), 401);
}

/* A share is of whom the token names, whichever connection it comes by. */
static void rates_are_the_bearer_s_and_not_the_connection_s(void **state)
{
    const char *slow =
        mint(JOSE_ES256, ES256,
             "{\"iss\":\"" ISSUER "\",\"aud\":\"xenresd\",\"sub\":\"slow\"," LATER "}");
    struct tls_peer by_operator, by_nobody;
    unsigned refused[2] = { 0 };

    (void)state;
    open_as(&by_operator, "operator");
    open_as(&by_nobody, NULL);
    for (int i = 0; i < 20; i++) {
        refused[0] += ask_by(&by_operator, GET_HOST, bearer(slow)) == 429;
        refused[1] += ask_by(&by_nobody, GET_HOST, bearer(slow)) == 429;
        assert_int_equal(ask_by(&by_operator, GET_HOST, ""), 200);
    }
    assert_true(refused[0] > 0 && refused[1] > 0);
    tls_peer_close(&by_operator);
    tls_peer_close(&by_nobody);
}

static void a_bound_token_needs_its_certificate(void **state)
{
    char path[GATEWAY_PATH_BYTES], claims[512];
    uint8_t digest[32];
    unsigned len = sizeof(digest);
    BUFFER_AUTO(text, 64);

    (void)state;
    gateway_path("demo/operator.crt", path);
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);

    assert_non_null(certificate);
    assert_int_equal(X509_digest(certificate, EVP_sha256(), digest, &len), 1);
    X509_free(certificate);
    (void)fclose(file);
    minter_encode(&text, digest, sizeof(digest));
    (void)snprintf(claims, sizeof(claims), "{" WHO "," LATER ",\"cnf\":{\"x5t#S256\":\"%s\"}}",
                   buffer_string(&text));
    const char *token = mint(JOSE_ES256, ES256, claims);

    for (int i = 0; i < 2; i++) { /* remembered or not */
        assert_int_equal(with_token("operator", token), 200);
        assert_int_equal(with_token("visitor", token), 401);
        assert_non_null(strstr(answer, "bound to another certificate"));
        assert_int_equal(with_token(NULL, token), 401);
    }
}

/* `ops` is of the file of opaque tokens: that an issuer says so of its own bearers does not count. */
static void an_issuer_gives_its_own_groups_only(void **state)
{
    const char *own = mint(JOSE_ES256, ES256, "{" WHO "," LATER ",\"groups\":[\"corp-ops\"]}");
    const char *both =
        mint(JOSE_ES256, ES256, "{" WHO "," LATER ",\"groups\":[\"corp-ops\",\"ops\"]}");

    (void)state;
    assert_int_equal(with_token(NULL, own), 200);
    assert_int_equal(with_token(NULL, both), 401);
    assert_non_null(strstr(answer, "a group that is not its issuer's to give"));
    assert_null(strstr(answer, "corp"));
}

/* --- who is not ------------------------------------------------------------------------------- */

static void is_refused(const char *token, const char *kind)
{
    char head[TLS_PEER_HEAD_BYTES];

    assert_int_equal(ask(NULL, GET_HOST, bearer(token), head), 401);
    assert_non_null(strstr(head, "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"));
    assert_non_null(strstr(answer, "\"unauthenticated\""));
    if (strstr(answer, kind) == NULL) {
        fail_msg("%s does not say \"%s\"", answer, kind);
    }
    assert_null(
        strstr(answer, "corp")); /* no more than the class: not the issuer's name, nor a key's */
}

static void bad_tokens_are_told_their_class(void **state)
{
    static const struct {
        const char *header, *claims, *kind;
    } rows[] = {
        { "{\"alg\":\"none\",\"kid\":\"ES256\"}", GOOD, "algorithm that is not accepted" },
        { "{\"alg\":\"HS256\",\"kid\":\"RSA\"}", GOOD, "algorithm that is not accepted" },
        { "{\"alg\":\"EdDSA\",\"kid\":\"ES256\"}", GOOD, "algorithm that is not accepted" },
        { "{\"alg\":\"ES256\",\"kid\":\"none\"}", GOOD, "unknown key or issuer" },
        { "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"kid\":\"ES256\"}", GOOD, "malformed" },
        { "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"crit\":[\"exp\"]}", GOOD, "malformed" },
        { "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"x\":{\"crit\":[]}}", GOOD, "malformed" },
        { ES256, "{" WHO ",\"exp\":1000000000}", "expired" },
        { ES256, "{" WHO "}", "malformed" },
        { ES256, "{" WHO "," LATER ",\"nbf\":3999999999}", "not yet valid" },
        { ES256, "{" WHO "," LATER ",\"iat\":3999999999}", "not yet valid" },
        { ES256, "{\"iss\":\"" ISSUER "\",\"aud\":\"other\",\"sub\":\"a\"," LATER "}",
          "not for this gateway" },
        { ES256, "{\"iss\":\"https://evil\",\"aud\":\"xenresd\",\"sub\":\"a\"," LATER "}",
          "unknown key or issuer" },
        { ES256, "{" WHO "," LATER ",\"sub\":\"root\"}", "malformed" },
        { ES256, "{" WHO "," LATER ",\"x\":\"\xff\"}", "malformed" },
        { ES256, "{" WHO "," LATER ",\"cnf\":{\"jkt\":\"x\"}}", "bound to another certificate" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        is_refused(mint(JOSE_ES256, rows[i].header, rows[i].claims), rows[i].kind);
    }
}

static void altered_tokens_are_not_genuine(void **state)
{
    const char *good = mint(JOSE_ES256, ES256, GOOD);
    const char *claims = strchr(good, '.');
    BUFFER_AUTO(token, 4096);
    static const char admin[] =
        "{\"iss\":\"" ISSUER "\",\"aud\":\"xenresd\",\"sub\":\"admin\"," LATER "}";

    (void)state;
    minter_unsigned(&token, ES256, admin, strlen(admin));
    buffer_append_string(&token, strrchr(good, '.'));
    is_refused(show(buffer_string(&token)), "not genuine");
    buffer_reset(&token);
    minter_encode(&token, "{\"alg\":\"ES256\", \"kid\":\"ES256\"}", strlen(ES256) + 1);
    buffer_append_string(&token, claims);
    is_refused(show(buffer_string(&token)), "not genuine");
    /* And without any signature, as `none` has it, and as if it had been left out. */
    buffer_reset(&token);
    minter_unsigned(&token, "{\"alg\":\"none\",\"kid\":\"ES256\"}", admin, strlen(admin));
    buffer_append_byte(&token, '.');
    is_refused(show(buffer_string(&token)), "algorithm that is not accepted");
    buffer_reset(&token);
    minter_unsigned(&token, ES256, admin, strlen(admin));
    buffer_append_byte(&token, '.');
    is_refused(show(buffer_string(&token)), "malformed");
}

static void a_header_is_there_once_and_says_bearer(void **state)
{
    const char *token = mint(JOSE_ES256, ES256, GOOD);
    static char twice[REQUEST_BYTES / 2];

    (void)state;
    (void)snprintf(twice, sizeof(twice), "Authorization: Bearer %s\r\nauthorization: Bearer %s\r\n",
                   token, token);
    assert_int_equal(ask(NULL, GET_HOST, twice, NULL), 400);
    assert_non_null(strstr(answer, "invalid_argument"));
    assert_int_equal(ask(NULL, GET_HOST, "Authorization: Basic YTpi\r\n", NULL), 401);
    assert_int_equal(ask("operator", GET_HOST, "Authorization: Basic YTpi\r\n", NULL), 401);
    assert_int_equal(ask(NULL, GET_HOST, "Authorization: Bearer\r\n", NULL), 401);
    assert_int_equal(ask(NULL, GET_HOST, "Authorization:\r\n", NULL), 401);
    (void)snprintf(twice, sizeof(twice), "authorization: bearer %s\r\n", token);
    assert_int_equal(ask(NULL, GET_HOST, twice, NULL), 200);
}

static void a_token_in_the_url_is_refused(void **state)
{
    const char *token = mint(JOSE_ES256, ES256, GOOD);
    static char path[REQUEST_BYTES / 2];

    (void)state;
    (void)snprintf(path, sizeof(path), GET_HOST "?access_token=%s", token);
    assert_int_equal(ask(NULL, path, "", NULL), 400);
    assert_non_null(strstr(answer, "token in the URL"));
    assert_int_equal(ask("operator", path, "", NULL), 400);
    (void)snprintf(path, sizeof(path), GET_HOST "?a=b&access%%5ftoken=%s", token);
    assert_int_equal(ask("operator", path, "", NULL), 400);
    assert_non_null(strstr(answer, "token in the URL"));
}

/* More than the gateway takes of a request's head: it is ended, one way or the other, and others are
 * served. */
static void a_token_of_a_mebibyte(void **state)
{
    struct tls_peer p;
    size_t len = 1 << 20;
    char *token = malloc(len + 1);

    (void)state;
    assert_non_null(token);
    memset(token, 'e', len);
    token[len] = '\0';
    open_as(&p, NULL);
    assert_true(
        tls_peer_say(&p, "POST " GET_HOST " HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer "));
    (void)signal(SIGPIPE, SIG_IGN);
    (void)(tls_peer_send(&p, token, len) && tls_peer_say(&p, "\r\n\r\n"));
    int status = tls_peer_head(&p);

    assert_true(status == 0 || (status >= 400 && status < 500));
    tls_peer_close(&p);
    memset(token, 'e', 9000); /* one that fits into a head, and is longer than a token may be */
    token[9000] = '\0';
    is_refused(token, "malformed");
    free(token);
    assert_int_equal(with_token(NULL, mint(JOSE_ES256, ES256, GOOD)), 200);
}

/* --- files that change, and time ------------------------------------------------------------------------ */

static void answers_at_last(int status, const char *token)
{
    uint64_t until_ns = clock_monotonic_ns() + GATEWAY_START_WAIT_S * CLOCK_NS_PER_S;

    while (with_token(NULL, token) != status) {
        assert_true(clock_monotonic_ns() < until_ns);
        gateway_pause_ms(20);
    }
}

static bool log_has(const char *what)
{
    char path[GATEWAY_PATH_BYTES], line[1024];
    bool has = false;

    gateway_path("log", path);
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    while (!has && fgets(line, sizeof(line), file) != NULL) {
        has = strstr(line, what) != NULL;
    }
    (void)fclose(file);
    return has;
}

static void says_at_last(const char *what)
{
    uint64_t until_ns = clock_monotonic_ns() + GATEWAY_START_WAIT_S * CLOCK_NS_PER_S;

    while (!log_has(what)) {
        assert_true(clock_monotonic_ns() < until_ns);
        gateway_pause_ms(20);
    }
}

static void begin_watch(struct tls_peer *p, const char *token)
{
    static char request[REQUEST_BYTES];
    static const char body[] = "\0\0\0\0\2{}";
    int n = snprintf(request, sizeof(request),
                     "POST /xenres.v1.HostService/WatchDomains HTTP/1.1\r\nHost: test\r\n"
                     "Content-Type: application/connect+json\r\nConnect-Protocol-Version: 1\r\n"
                     "Authorization: Bearer %s\r\nContent-Length: 7\r\n\r\n",
                     token);

    open_as(p, NULL);
    assert_true(n > 0 && tls_peer_send(p, request, (size_t)n) && tls_peer_send(p, body, 7));
    assert_int_equal(tls_peer_head(p), 200);
}

static void ends_saying(struct tls_peer *p, const char *what)
{
    size_t len = tls_peer_chunks(p, answer, sizeof(answer) - 1);

    assert_true(len < sizeof(answer));
    answer[len] = '\0';
    for (size_t i = 0; i < len; i++) {
        answer[i] = answer[i] == '\0' ? ' ' : answer[i];
    }
    if (strstr(answer, what) == NULL) {
        fail_msg("%s does not say \"%s\"", answer, what);
    }
    tls_peer_close(p);
}

static void opaque_tokens_come_and_go(void **state)
{
    char file[GATEWAY_PATH_BYTES], token[OPAQUE_TOKEN_BYTES], id[OPAQUE_ID_BYTES] = "";
    struct tls_peer watch;

    (void)state;
    gateway_path("tokens", file);
    assert_int_equal(opaque_file_add(file, "backup", "", INT64_C(4000000000), token, NULL), 0);
    answers_at_last(200, show(token));
    begin_watch(&watch, token);
    memcpy(id, token + 3, 16);
    assert_int_equal(opaque_file_remove(file, id, NULL), 0);
    ends_saying(&watch, "PERMISSION_WITHDRAWN");
    is_refused(token, "unknown key or issuer");
}

static void keys_are_withdrawn(void **state)
{
    struct minter other = minter;
    const char *token = mint(JOSE_ES256, ES256, GOOD);
    struct tls_peer watch;

    (void)state;
    begin_watch(&watch, token);
    other.keys[JOSE_ES256] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    write_keys(&other);
    ends_saying(&watch, "PERMISSION_WITHDRAWN");
    is_refused(token, "not genuine"); /* also though it was remembered */
    EVP_PKEY_free(other.keys[JOSE_ES256]);
    gateway_write("jwks.json", "we",
                  "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"ES256\"}]}");
    says_at_last("shared secret");
    is_refused(token, "not genuine"); /* a bad file leaves the old one in force */
    write_keys(&minter);
    answers_at_last(200, token);
}

/* Though it was remembered: the deny list is looked at each time, and so is the clock. */
static void a_denied_token_is_refused_and_its_streams_end(void **state)
{
    const char *denied = mint(JOSE_ES256, ES256, "{" WHO "," LATER ",\"jti\":\"stolen-1\"}");
    const char *other = mint(JOSE_ES256, ES256, "{" WHO "," LATER ",\"jti\":\"kept-1\"}");
    struct tls_peer watch;

    (void)state;
    assert_int_equal(with_token(NULL, denied), 200);
    begin_watch(&watch, denied);
    gateway_write("deny", "ae", "token:stolen-1\n");
    ends_saying(&watch, "PERMISSION_WITHDRAWN");
    assert_int_equal(with_token(NULL, denied), 401);
    assert_int_equal(with_token(NULL, other), 200);
}

static void streams_end_with_their_tokens(void **state)
{
    char claims[256];
    struct tls_peer watch;
    int64_t exp_s = (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S) + 3;

    (void)state;
    (void)snprintf(claims, sizeof(claims), "{" WHO ",\"exp\":%lld}", (long long)exp_s);
    const char *token = mint(JOSE_ES256, ES256, claims);

    begin_watch(&watch, token);
    ends_saying(&watch, "CREDENTIALS_EXPIRED");
    int64_t late_s = (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S) - exp_s;

    assert_true(late_s >= 0 && late_s <= 5);
    is_refused(token, "expired");
}

/* --- logs ------------------------------------------------------------------------------------- */

/* Neither whole nor in part: of each token, its last 24 characters, and any 24 from its middle. */
static void no_token_is_in_a_log(void **state)
{
    char path[GATEWAY_PATH_BYTES];
    BUFFER_AUTO(text, 1 << 24);
    char piece[25] = "";
    uint8_t bytes[4096];
    size_t n;

    (void)state;
    gateway_path("log", path);
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0) {
        assert_true(buffer_append(&text, bytes, n));
    }
    (void)fclose(file);
    const char *log = buffer_string(&text);

    assert_non_null(strstr(log, "refused a bearer token: its exp was")); /* it is the log */
    assert_non_null(strstr(log, "has no key"));
    for (size_t i = 0; i < shown_count; i++) {
        size_t len = strlen(shown[i]);

        for (size_t at = len - 24;; at = len / 2 - 12) {
            memcpy(piece, shown[i] + at, 24);
            if (strstr(log, piece) != NULL) {
                fail_msg("a part of token %zu is in the log", i);
            }
            if (at != len - 24) {
                break;
            }
        }
    }
    assert_null(strstr(log, "access_token"));
    assert_null(strstr(log, "eeeeeeeeeeeeeeee"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_tokens_let_in_without_a_certificate),
        cmocka_unit_test(nobody_is_told_how_to_be_known),
        cmocka_unit_test(one_connection_bears_several_tokens),
        cmocka_unit_test(a_token_goes_before_the_certificate),
        cmocka_unit_test(rates_are_the_bearer_s_and_not_the_connection_s),
        cmocka_unit_test(a_bound_token_needs_its_certificate),
        cmocka_unit_test(an_issuer_gives_its_own_groups_only),
        cmocka_unit_test(bad_tokens_are_told_their_class),
        cmocka_unit_test(altered_tokens_are_not_genuine),
        cmocka_unit_test(a_header_is_there_once_and_says_bearer),
        cmocka_unit_test(a_token_in_the_url_is_refused),
        cmocka_unit_test(a_token_of_a_mebibyte),
        cmocka_unit_test(opaque_tokens_come_and_go),
        cmocka_unit_test(keys_are_withdrawn),
        cmocka_unit_test(a_denied_token_is_refused_and_its_streams_end),
        cmocka_unit_test(streams_end_with_their_tokens),
        cmocka_unit_test(no_token_is_in_a_log), /* the last one: of all above */
    };

    return cmocka_run_group_tests(tests, start_gateway, stop_gateway);
}
