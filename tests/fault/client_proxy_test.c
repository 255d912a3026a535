/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The way to the gateway through an HTTP proxy, and proxies that make none. */
#include "tests/lib/client_fixture.h"
#include "tests/lib/connect_proxy.h"

enum { CALLS = 5 };

static const struct tls_server_step answers[] = {
    FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP),
    FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP),
    FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP),
    FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP),
    FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP),
};

struct proxied {
    struct fixture f;
    struct connect_proxy proxy;
};

/* A gateway, the proxy as it was set, and a handle that goes through it. */
static void start(struct proxied *p, const char *proxy_url)
{
    xenres_options options = {
        .size = sizeof(options), .timeout_ms = 10000, .connect_timeout_ms = 1000, .retry_wait_ms = 1
    };

    tls_server_start(&p->f.server, "IP:127.0.0.1", TLS1_3_VERSION, answers, CALLS);
    if (p->proxy.target_port == 0) {
        p->proxy.target_port = p->f.server.port;
    }
    connect_proxy_start(&p->proxy);
    options.server = p->f.server.url;
    options.ca_file = p->f.server.ca_path;
    options.proxy = proxy_url != NULL ? proxy_url : p->proxy.url;
    assert_int_equal(xenres_new(&options, &p->f.handle, &p->f.error), 0);
}

static void end(struct proxied *p)
{
    xenres_reply_free(p->f.reply);
    xenres_free(p->f.handle);
    connect_proxy_stop(&p->proxy);
    tls_server_stop(&p->f.server);
}

static void tunnel_is_made_once_for_many_calls(void **state)
{
    struct proxied p = { .proxy.instead = NULL };
    char connect[64];

    (void)state;
    start(&p, NULL);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(fixture_get_host(&p.f), 0);
    }
    end(&p);
    assert_int_equal(p.proxy.connections, 1);
    assert_int_equal(p.f.server.connections, 1);
    (void)snprintf(connect, sizeof(connect), "CONNECT 127.0.0.1:%u HTTP/1.1\r\n", p.f.server.port);
    assert_int_equal(strncmp(p.proxy.request, connect, strlen(connect)), 0);
    /* What is for the gateway is not for the proxy. */
    assert_null(strstr(p.proxy.request, "Connect-Protocol-Version"));
}

/* Whoever the proxy connects us to has to be the gateway. */
static void tunnel_to_somebody_else_is_found_out(void **state)
{
    struct proxied p = { .proxy.instead = NULL };
    struct tls_server other = { .port = 0 };

    (void)state;
    tls_server_start(&other, "IP:127.0.0.1", TLS1_3_VERSION, answers, CALLS);
    p.proxy.target_port = other.port;
    start(&p, NULL);
    assert_int_equal(fixture_get_host(&p.f), -XENRES_UNAUTHENTICATED);
    end(&p);
    tls_server_stop(&other);
    assert_int_equal(other.next_step, 0);
}

/* A proxy that answers this instead; the gateway must never have been reached. */
static void expect(const char *instead, bool hangs, uint32_t code, uint32_t tries)
{
    struct proxied p = { .proxy = { .instead = instead, .hangs = hangs } };

    start(&p, NULL);
    assert_int_equal(fixture_get_host(&p.f), -(int)code);
    assert_int_equal(p.f.error.tries, tries);
    assert_true(p.f.error.next_step[0] != '\0');
    if (strncmp(instead, "HTTP/1.1 ", 9) == 0) {
        assert_non_null(strstr(p.f.error.message, "proxy"));
    }
    end(&p);
    assert_int_equal(p.proxy.connections, tries);
    assert_int_equal(p.f.server.connections, 0);
}

static void refusing_proxy_is_told_and_not_asked_again(void **state)
{
    (void)state;
    expect("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", false, XENRES_UNAVAILABLE, 1);
    expect("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n"
           "Content-Length: 0\r\n\r\n",
           false, XENRES_UNAVAILABLE, 1);
    expect("HTTP/1.1 302 Found\r\nLocation: https://elsewhere.test/\r\nContent-Length: 0\r\n\r\n",
           false, XENRES_UNAVAILABLE, 1);
}

static void proxy_that_does_not_reach_it_is_asked_again(void **state)
{
    (void)state;
    expect("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", false, XENRES_UNAVAILABLE, 3);
    expect("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", false, XENRES_UNAVAILABLE, 3);
    expect("HTTP/1.1 504 Late\r\nContent-Length: 0\r\n\r\n", false, XENRES_UNAVAILABLE, 3);
}

static void proxy_that_hangs_up_is_asked_again(void **state)
{
    (void)state;
    expect("", false, XENRES_UNAVAILABLE, 3);
}

static void silent_proxy_ends_at_the_connections_timeout(void **state)
{
    (void)state;
    expect("", true, XENRES_UNAVAILABLE, 1);
}

static void garbage_of_a_proxy_ends(void **state)
{
    struct proxied p = { .proxy = { .instead = "SSH-2.0-none\r\n\r\n", .hangs = false } };

    (void)state;
    start(&p, NULL);
    assert_true(fixture_get_host(&p.f) < 0);
    assert_true(p.f.error.code == XENRES_UNAVAILABLE || p.f.error.code == XENRES_INTERNAL);
    end(&p);
    assert_int_equal(p.f.server.connections, 0);
}

/* After the tunnel's making, what is in it has to be TLS. */
static void garbage_in_the_tunnel_is_no_tls(void **state)
{
    struct proxied p = { .proxy.instead = "HTTP/1.1 200 OK\r\n\r\nno TLS at all, but some text" };

    (void)state;
    start(&p, NULL);
    assert_int_equal(fixture_get_host(&p.f), -XENRES_UNAVAILABLE);
    end(&p);
    assert_int_equal(p.f.server.connections, 0);
}

static void nobody_at_the_proxys_place_is_unavailable(void **state)
{
    struct proxied p = { .proxy.instead = NULL };
    char url[64];

    (void)state;
    connect_proxy_start(&p.proxy);
    (void)snprintf(url, sizeof(url), "%s", p.proxy.url);
    connect_proxy_stop(&p.proxy); /* its port is free, as far as we know */
    start(&p, url);
    assert_int_equal(fixture_get_host(&p.f), -XENRES_UNAVAILABLE);
    end(&p);
    assert_int_equal(p.f.server.connections, 0);
}

static void password_of_a_proxy_is_not_repeated(void **state)
{
    struct proxied p = { .proxy.instead = "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n" };
    char url[96];

    (void)state;
    connect_proxy_start(&p.proxy);
    (void)snprintf(url, sizeof(url), "http://user:secret@%.40s", p.proxy.url + strlen("http://"));
    const xenres_options options = { .size = sizeof(options),
                                     .server = "https://gateway.test",
                                     .proxy = url };

    assert_int_equal(xenres_new(&options, &p.f.handle, &p.f.error), 0);
    assert_int_equal(fixture_get_host(&p.f), -XENRES_UNAVAILABLE);
    assert_null(strstr(p.f.error.message, "secret"));
    assert_null(strstr(p.f.error.cause, "secret"));
    assert_null(strstr(p.f.error.next_step, "secret"));
    xenres_free(p.f.handle);
    connect_proxy_stop(&p.proxy);
    assert_non_null(strstr(p.proxy.request, "Proxy-Authorization: Basic ")); /* but it was used */
}

/* Without an option the environment says which; "" says none. */
static void environment_chooses_unless_the_options_do(void **state)
{
    struct proxied p = { .proxy.instead = NULL };
    xenres_options options = { .size = sizeof(options) };

    (void)state;
    start(&p, NULL);
    options.server = p.f.server.url;
    options.ca_file = p.f.server.ca_path;
    for (int i = 0; i < 3; i++) {
        static const char *const no_proxy[] = { "", "", "127.0.0.1" };

        setenv("https_proxy", p.proxy.url, 1);
        setenv("no_proxy", no_proxy[i], 1);
        xenres_free(p.f.handle);
        options.proxy = i == 1 ? "" : NULL;
        assert_int_equal(xenres_new(&options, &p.f.handle, &p.f.error), 0);
        assert_int_equal(fixture_get_host(&p.f), 0);
        unsetenv("https_proxy");
        unsetenv("no_proxy");
    }
    end(&p);
    assert_int_equal(p.f.server.connections, 3);
    assert_int_equal(p.proxy.connections, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tunnel_is_made_once_for_many_calls),
        cmocka_unit_test(tunnel_to_somebody_else_is_found_out),
        cmocka_unit_test(refusing_proxy_is_told_and_not_asked_again),
        cmocka_unit_test(proxy_that_does_not_reach_it_is_asked_again),
        cmocka_unit_test(proxy_that_hangs_up_is_asked_again),
        cmocka_unit_test(silent_proxy_ends_at_the_connections_timeout),
        cmocka_unit_test(garbage_of_a_proxy_ends),
        cmocka_unit_test(garbage_in_the_tunnel_is_no_tls),
        cmocka_unit_test(nobody_at_the_proxys_place_is_unavailable),
        cmocka_unit_test(password_of_a_proxy_is_not_repeated),
        cmocka_unit_test(environment_chooses_unless_the_options_do),
    };

    return UNIT_RUN(tests);
}
