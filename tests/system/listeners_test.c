/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A gateway with four listeners, each with a mix of its own of what clients show: the main one takes either,
 * the others certificates only, tokens only, and both together.
 */
#include "tests/lib/token_rig.h"

static const char listeners[] =
    "listener \"certificates\" { listen = \"127.0.0.1:0\" bearer_token = none }\n"
    "listener \"tokens\" {\n  listen = \"127.0.0.1:0\"\n"
    "  client_certificate = none  bearer_token = required\n}\n"
    "listener \"both\" { listen = \"127.0.0.1:0\" bearer_token = required }\n"
    "limits { connections = 8  connections_per_address = 8 }\n";

/* By the name of its section; the last start counts. */
static uint16_t port_of(const char *title)
{
    static char log[1 << 18];
    char path[GATEWAY_PATH_BYTES], line[128];
    uint16_t port = 0;
    FILE *file;

    gateway_path("log", path);
    file = fopen(path, "re");
    assert_non_null(file);
    log[fread(log, 1, sizeof(log) - 1, file)] = '\0';
    (void)fclose(file);
    int len = snprintf(line, sizeof(line), "listener.%s: listening on port ", title);

    for (const char *at = log; (at = strstr(at, line)) != NULL; at += len) {
        port = (uint16_t)strtoul(at + len, NULL, 10);
    }
    assert_int_not_equal(port, 0);
    return port;
}

static int start_listeners(void **state)
{
    (void)state;
    return start_gateway_with(listeners);
}

static bool open_at(struct tls_peer *p, const char *title, const char *name)
{
    static char dir[GATEWAY_PATH_BYTES];

    gateway_path("demo", dir);
    const struct tls_peer_options options = { .dir = dir, .name = name };

    return tls_peer_open(p, port_of(title), &options);
}

/* 0: the handshake fails. */
static int ask_at(const char *title, const char *name, const char *path, const char *headers)
{
    struct tls_peer p;
    int status = open_at(&p, title, name) ? ask_by(&p, path, headers) : 0;

    tls_peer_close(&p);
    return status;
}

static const char *good_token(void)
{
    return bearer(mint(JOSE_ES256, ES256, GOOD));
}

static void certificates_only(void **state)
{
    (void)state;
    assert_int_equal(ask_at("certificates", "operator", LIST_DOMAINS, ""), 200);
    assert_non_null(strstr(answer, "\"two\""));
    assert_int_equal(ask_at("certificates", NULL, GET_HOST, good_token()), 0);
    /* Not passed over in favour of the certificate: he would be another than he means to be. */
    assert_int_equal(ask_at("certificates", "operator", GET_HOST, good_token()), 401);
    assert_non_null(strstr(answer, "bearer tokens are not taken at this address"));
}

static void tokens_only(void **state)
{
    char path[GATEWAY_PATH_BYTES];
    struct tls_peer p;

    (void)state;
    assert_int_equal(ask_at("tokens", NULL, LIST_DOMAINS, good_token()), 200);
    assert_non_null(strstr(answer, "\"one\""));
    assert_null(strstr(answer, "\"two\""));
    /* He is not even asked for his certificate, so that it is not worth anything. */
    assert_true(open_at(&p, "tokens", "operator"));
    assert_int_equal(ask_by(&p, GET_HOST, ""), 401);
    assert_memory_equal(tls_peer_header(&p, "WWW-Authenticate"), "Bearer\r", 7);
    assert_non_null(strstr(answer, "no bearer token was shown"));
    assert_int_equal(ask_by(&p, GET_HOST, good_token()), 200);
    tls_peer_close(&p);
    gateway_path("demo/operator.crt", path);
    assert_int_equal(ask_at("tokens", "operator", GET_HOST, bearer(bound_token(path))), 401);
    assert_non_null(strstr(answer, "bound to another certificate"));
}

static void both_together(void **state)
{
    (void)state;
    assert_int_equal(ask_at("both", "operator", LIST_DOMAINS, good_token()), 200);
    assert_null(strstr(answer, "\"two\"")); /* he is who the token says */
    assert_int_equal(ask_at("both", "operator", GET_HOST, ""), 401);
    assert_non_null(strstr(answer, "no bearer token was shown"));
    assert_int_equal(ask_at("both", NULL, GET_HOST, good_token()), 0);
}

static void either(void **state)
{
    (void)state;
    assert_int_equal(ask("operator", GET_HOST, "", NULL), 200);
    assert_int_equal(ask(NULL, GET_HOST, good_token(), NULL), 200);
    assert_int_equal(ask(NULL, GET_HOST, "", NULL), 401);
}

/* Eight connections in all, wherever they come in. */
static void limits_are_those_of_all_together(void **state)
{
    static const char *const titles[] = { "certificates", "tokens", "both", "certificates" };
    struct tls_peer peers[8], more;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_true(open_at(&peers[i], titles[i], "operator"));
        open_as(&peers[i + 4], "operator");
    }
    assert_int_equal(ask_by(&peers[0], GET_HOST, ""), 200);
    assert_false(open_at(&more, "certificates", "operator") && ask_by(&more, GET_HOST, "") != 0);
    tls_peer_close(&more);
    for (size_t i = 0; i < 8; i++) {
        tls_peer_close(&peers[i]);
    }
    for (int i = 0; ask_at("both", "operator", GET_HOST, "") != 401; i++) {
        assert_true(i < 100);
        gateway_pause_ms(50);
    }
}

/* Who is put on the deny list is out at each of them, also where he is connected. */
static void what_is_decided_counts_at_each(void **state)
{
    struct tls_peer by_certificate, by_token;

    (void)state;
    const char *headers = good_token();

    assert_true(open_at(&by_certificate, "certificates", "operator"));
    assert_true(open_at(&by_token, "tokens", NULL));
    assert_int_equal(ask_by(&by_certificate, GET_HOST, ""), 200);
    assert_int_equal(ask_by(&by_token, GET_HOST, headers), 200);
    gateway_write("deny", "we",
                  "identity:spiffe:spiffe://xenres.demo/operator\nidentity:jwt:corp:alice\n");
    for (int i = 0; ask_at("tokens", NULL, GET_HOST, headers) != 401; i++) {
        assert_true(i < 100);
        gateway_pause_ms(50);
    }
    assert_int_equal(ask_by(&by_certificate, GET_HOST, ""), 401);
    assert_int_equal(ask_by(&by_token, GET_HOST, headers), 401);
    tls_peer_close(&by_certificate);
    tls_peer_close(&by_token);
    gateway_write("deny", "we", "# nobody\n");
    for (int i = 0; ask_at("certificates", "operator", GET_HOST, "") != 200; i++) {
        assert_true(i < 100);
        gateway_pause_ms(50);
    }
}

/* The only other process of this program's with xenresd's name that listens. */
static pid_t worker(void)
{
    char path[64], text[32] = "";
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", gateway.pid, gateway.pid);
    file = fopen(path, "re");
    assert_non_null(file);
    long mapper = 0, second = 0;

    assert_non_null(fgets(text, sizeof(text), file));
    (void)fclose(file);
    assert_int_equal(sscanf(text, "%ld %ld", &mapper, &second), 2);
    return (pid_t)second;
}

/* The sockets are the supervisor's: the next worker goes on at the same ports. */
static void doors_outlive_a_worker(void **state)
{
    uint16_t before = port_of("tokens");

    (void)state;
    assert_int_equal(kill(worker(), SIGKILL), 0);
    const char *headers = good_token();

    assert_int_equal(ask_at("tokens", NULL, GET_HOST, headers), 200);
    assert_int_equal(port_of("tokens"), before);
    assert_int_equal(ask_at("certificates", "operator", GET_HOST, ""), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_only),
        cmocka_unit_test(tokens_only),
        cmocka_unit_test(both_together),
        cmocka_unit_test(either),
        cmocka_unit_test(limits_are_those_of_all_together),
        cmocka_unit_test(what_is_decided_counts_at_each),
        cmocka_unit_test(doors_outlive_a_worker),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* of a connection that is not let in */
    return cmocka_run_group_tests_name("listeners", tests, start_listeners, stop_gateway);
}
