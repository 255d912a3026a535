/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Bearer tokens of libxenres: what is sent with which request, what is not, and to whom never. */
#include "tests/lib/client_fixture.h"
#include "tests/lib/connect_proxy.h"

#include <sys/stat.h>

#include "tests/lib/folder.h"

#define REDIRECT                                                                                   \
    "HTTP/1.1 307 Elsewhere\r\nLocation: https://127.0.0.1:1/elsewhere\r\nContent-Length: "        \
    "0\r\n\r\n"
#define REFUSAL                                                                                    \
    "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n"    \
    "{\"code\":\"unauthenticated\",\"message\":\"the token is expired\"}  "

static const struct tls_server_step answers[] = {
    FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP),
    FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP),
    FIXTURE_TEXT(FIXTURE_EMPTY_ANSWER, TLS_SERVER_KEEP),
};

static void start(struct fixture *f, const struct tls_server_step *steps, size_t count,
                  const char *token, const char *token_file)
{
    const xenres_options options = { .size = sizeof(options),
                                     .timeout_ms = 10000,
                                     .retry_wait_ms = 1,
                                     .token = token,
                                     .token_file = token_file };

    *f = (struct fixture){ 0 };
    tls_server_start(&f->server, "IP:127.0.0.1", TLS1_3_VERSION, steps, count);
    fixture_connect(f, options);
}

static void write_secret(const char *path, const char *text)
{
    folder_write(path, text, strlen(text));
    assert_int_equal(chmod(path, 0600), 0);
}

static void a_token_goes_with_each_request(void **state)
{
    static struct fixture f;

    (void)state;
    start(&f, answers, 2, "xr_token", NULL);
    assert_int_equal(fixture_get_host(&f), 0);
    assert_int_equal(fixture_get_host(&f), 0);
    fixture_end(&f);
    for (int i = 0; i < 2; i++) {
        assert_non_null(strstr(f.server.requests[i], "\r\nAuthorization: Bearer xr_token\r\n"));
    }
}

static void none_is_sent_where_there_is_none(void **state)
{
    static struct fixture f;

    (void)state;
    start(&f, answers, 1, NULL, NULL);
    assert_int_equal(fixture_get_host(&f), 0);
    fixture_end(&f);
    assert_null(strcasestr(f.server.requests[0], "authorization"));
}

static void a_file_is_read_for_each_request(void **state)
{
    static struct fixture f;
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "token");

    (void)state;
    write_secret(path, "first\n");
    start(&f, answers, 3, NULL, path);
    assert_int_equal(fixture_get_host(&f), 0);
    write_secret(path, "second\r\n");
    assert_int_equal(fixture_get_host(&f), 0);
    assert_int_equal(chmod(path, 0640), 0); /* not any more */
    assert_int_equal(fixture_get_host(&f), -XENRES_INVALID_ARGUMENT);
    assert_non_null(strstr(f.error.message, "others have access"));
    assert_non_null(strstr(f.error.next_step, "0600"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fixture_get_host(&f), -XENRES_INVALID_ARGUMENT);
    write_secret(path, "third");
    assert_int_equal(fixture_get_host(&f), 0);
    fixture_end(&f);
    assert_non_null(strstr(f.server.requests[0], "\r\nAuthorization: Bearer first\r\n"));
    assert_non_null(strstr(f.server.requests[1], "\r\nAuthorization: Bearer second\r\n"));
    assert_non_null(strstr(f.server.requests[2], "\r\nAuthorization: Bearer third\r\n"));
    assert_int_equal(f.server.next_step, 3); /* nothing was sent in between */
}

static void what_is_no_token_is_not_sent(void **state)
{
    static const char *const bad[] = { "", "\n", "a b", "a\nX-Evil: 1", "a\tb", "\xc3\xa4" };
    static struct fixture f;
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "token");
    char longest[8194];

    (void)state;
    write_secret(path, "good");
    start(&f, answers, 1, NULL, path);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        xenres_options options = XENRES_OPTIONS_INIT;
        xenres *handle = NULL;

        options.server = f.server.url;
        options.token = bad[i];
        assert_int_equal(xenres_new(&options, &handle, NULL), -XENRES_INVALID_ARGUMENT);
        write_secret(path, bad[i]);
        assert_int_equal(fixture_get_host(&f), -XENRES_INVALID_ARGUMENT);
    }
    memset(longest, 't', sizeof(longest));
    longest[8193] = '\0';
    write_secret(path, longest);
    assert_int_equal(fixture_get_host(&f), -XENRES_INVALID_ARGUMENT);
    longest[8192] = '\0';
    write_secret(path, longest);
    assert_int_equal(fixture_get_host(&f), 0);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 1);
}

static void token_and_file_are_not_given_both(void **state)
{
    xenres_options options = XENRES_OPTIONS_INIT;
    xenres *handle = NULL;

    (void)state;
    options.server = "https://127.0.0.1:1";
    options.token = "a";
    options.token_file = "/dev/null";
    assert_int_equal(xenres_new(&options, &handle, NULL), -XENRES_INVALID_ARGUMENT);
    options.token = NULL;
    options.server = "http://127.0.0.1:1"; /* never in the clear */
    assert_int_equal(xenres_new(&options, &handle, NULL), -XENRES_INVALID_ARGUMENT);
}

static void the_environment_names_the_file(void **state)
{
    xenres_options options = XENRES_OPTIONS_INIT;

    (void)state;
    assert_int_equal(setenv("XENRES_TOKEN_FILE", "/some/where", 1), 0);
    xenres_options_from_environment(&options);
    assert_string_equal(options.token_file, "/some/where");
    assert_null(options.token);
    assert_int_equal(unsetenv("XENRES_TOKEN_FILE"), 0);
}

static void it_is_not_sent_elsewhere(void **state)
{
    static const struct tls_server_step away = FIXTURE_TEXT(REDIRECT, TLS_SERVER_KEEP);
    static struct fixture f;

    (void)state;
    start(&f, &away, 1, "xr_token", NULL);
    assert_true(fixture_get_host(&f) < 0);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 1);
}

static void a_proxy_does_not_get_it(void **state)
{
    static struct fixture f;
    struct connect_proxy proxy = { .instead = NULL };
    xenres_options options = { .size = sizeof(options), .timeout_ms = 10000, .token = "xr_token" };

    (void)state;
    f = (struct fixture){ 0 };
    tls_server_start(&f.server, "IP:127.0.0.1", TLS1_3_VERSION, answers, 1);
    proxy.target_port = f.server.port;
    connect_proxy_start(&proxy);
    options.server = f.server.url;
    options.ca_file = f.server.ca_path;
    options.proxy = proxy.url;
    assert_int_equal(xenres_new(&options, &f.handle, &f.error), 0);
    assert_int_equal(fixture_get_host(&f), 0);
    xenres_reply_free(f.reply);
    xenres_free(f.handle);
    connect_proxy_stop(&proxy);
    tls_server_stop(&f.server);
    assert_null(strstr(proxy.request, "xr_token"));
    assert_non_null(strstr(f.server.requests[0], "Bearer xr_token\r\n"));
}

/* The gateway's word for it is told, once: trying again with the same one would not help. */
static void a_refusal_is_told(void **state)
{
    static const struct tls_server_step refusal = FIXTURE_TEXT(REFUSAL, TLS_SERVER_KEEP);
    static struct fixture f;

    (void)state;
    start(&f, &refusal, 1, "xr_token", NULL);
    assert_int_equal(fixture_get_host(&f), -XENRES_UNAUTHENTICATED);
    assert_non_null(strstr(f.error.message, "the token is expired"));
    assert_null(strstr(f.error.message, "xr_token"));
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_goes_with_each_request),
        cmocka_unit_test(none_is_sent_where_there_is_none),
        cmocka_unit_test(a_file_is_read_for_each_request),
        cmocka_unit_test(what_is_no_token_is_not_sent),
        cmocka_unit_test(token_and_file_are_not_given_both),
        cmocka_unit_test(the_environment_names_the_file),
        cmocka_unit_test(it_is_not_sent_elsewhere),
        cmocka_unit_test(a_proxy_does_not_get_it),
        cmocka_unit_test(a_refusal_is_told),
    };

    return UNIT_RUN(tests);
}
