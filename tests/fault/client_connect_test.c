/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How libxenres connects: whom it trusts, what it does when nobody or somebody else answers, which
 * options it takes, and that it raises no SIGPIPE. */
#include "tests/lib/client_fixture.h"

#define EMPTY_ANSWER                                                                               \
    "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 0\r\n\r\n"

static int get_host(struct fixture *f)
{
    const xenres_host *host;

    xenres_reply_free(f->reply);
    f->reply = NULL;
    return xenres_get_host(f->handle, &f->reply, &host, &f->error);
}

static const struct tls_server_step answer = FIXTURE_TEXT(EMPTY_ANSWER, TLS_SERVER_KEEP);

static void start(struct fixture *f, const char *name, int max_version, const xenres_options *given)
{
    xenres_options options = given != NULL ? *given : (xenres_options)XENRES_OPTIONS_INIT;

    *f = (struct fixture){ 0 };
    tls_server_start(&f->server, name, max_version, &answer, 1);
    fixture_connect(f, options);
}

static void older_tls_is_refused(void **state)
{
    static struct fixture f;

    (void)state;
    start(&f, "IP:127.0.0.1", TLS1_2_VERSION, NULL);
    assert_int_equal(get_host(&f), -XENRES_UNAVAILABLE);
    fixture_end(&f);
}

static void certificate_for_another_name_is_refused(void **state)
{
    static struct fixture f;

    (void)state;
    start(&f, "IP:127.0.0.2", TLS1_3_VERSION, NULL);
    assert_int_equal(get_host(&f), -XENRES_UNAUTHENTICATED);
    assert_true(f.error.next_step[0] != '\0');
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 0); /* no request was sent to it */
}

static void only_the_given_ca_is_trusted(void **state)
{
    static struct fixture f, other;
    xenres_options options = XENRES_OPTIONS_INIT;

    (void)state;
    start(&other, "IP:127.0.0.1", TLS1_3_VERSION, NULL);
    options.ca_file = other.server.ca_path;
    start(&f, "IP:127.0.0.1", TLS1_3_VERSION, &options);
    assert_int_equal(get_host(&f), -XENRES_UNAUTHENTICATED);
    fixture_end(&f);
    fixture_end(&other);
}

static void files_that_are_not_there_are_told(void **state)
{
    static struct fixture f;
    xenres_options options = XENRES_OPTIONS_INIT;

    (void)state;
    options.ca_file = "/nonexistent/ca.pem";
    start(&f, "IP:127.0.0.1", TLS1_3_VERSION, &options);
    assert_int_equal(get_host(&f), -XENRES_INVALID_ARGUMENT);
    fixture_end(&f);
    options = (xenres_options)XENRES_OPTIONS_INIT;
    options.cert_file = "/nonexistent/cert.pem";
    start(&f, "IP:127.0.0.1", TLS1_3_VERSION, &options);
    assert_int_equal(get_host(&f), -XENRES_INVALID_ARGUMENT);
    fixture_end(&f);
}

/* Nobody is asked for a password, though it could be read: a library does not talk to people. */
static void encrypted_key_is_told(void **state)
{
    char path[] = "/tmp/encrypted-key.XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    char password[] = "secret";
    static struct fixture f;
    xenres_options options = XENRES_OPTIONS_INIT;
    int kept = dup(STDIN_FILENO);
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "secret\n", 7), 7);
    dup2(fds[0], STDIN_FILENO);
    close(fds[0]);
    close(fds[1]);
    start(&f, "IP:127.0.0.1", TLS1_3_VERSION, NULL);
    xenres_free(f.handle);
    EVP_PKEY *key = SSL_CTX_get0_privatekey(f.server.context);

    assert_int_equal(PEM_write_PrivateKey(file, key, EVP_aes_256_cbc(), NULL, 0, NULL, password),
                     1);
    fclose(file);
    options.cert_file = f.server.ca_path; /* the certificate of this key */
    options.key_file = path;
    fixture_connect(&f, options);
    assert_int_equal(get_host(&f), -XENRES_INVALID_ARGUMENT);
    fixture_end(&f);
    unlink(path);
    dup2(kept, STDIN_FILENO);
    close(kept);
}

static void nobody_there_is_unavailable(void **state)
{
    static struct fixture f;

    (void)state;
    start(&f, "IP:127.0.0.1", TLS1_3_VERSION, NULL);
    tls_server_stop(&f.server); /* its port is free, as far as we know */
    assert_int_equal(get_host(&f), -XENRES_UNAVAILABLE);
    assert_string_equal(f.error.call, "connect");
    assert_string_equal(f.error.errno_name, "ECONNREFUSED");
    assert_int_equal(f.error.http_status, 0);
    xenres_free(f.handle);
}

static void plaintext_is_no_tls(void **state)
{
    static const struct tls_server_step hello = FIXTURE_TEXT(EMPTY_ANSWER, TLS_SERVER_CLOSE);
    static struct fixture f;

    (void)state;
    f = (struct fixture){ .server.only_tcp = true };
    tls_server_start(&f.server, "IP:127.0.0.1", TLS1_3_VERSION, &hello, 1);
    fixture_connect(&f, (xenres_options)XENRES_OPTIONS_INIT);
    assert_int_equal(get_host(&f), -XENRES_UNAVAILABLE);
    fixture_end(&f);
}

static void silence_instead_of_tls_ends(void **state)
{
    const xenres_options options = { .size = sizeof(options), .connect_timeout_ms = 300 };
    static struct fixture f;

    (void)state;
    f = (struct fixture){ .server.only_tcp = true };
    tls_server_start(&f.server, "IP:127.0.0.1", TLS1_3_VERSION, NULL, 0);
    fixture_connect(&f, options);
    assert_int_equal(get_host(&f), -XENRES_UNAVAILABLE);
    fixture_end(&f);
}

static void connection_is_used_again(void **state)
{
    const struct tls_server_step steps[] = { answer, answer, answer };
    static struct fixture f;

    (void)state;
    fixture_start(&f, steps, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(get_host(&f), 0);
    }
    fixture_end(&f);
    assert_int_equal(f.server.connections, 1);
}

/* SIGPIPE has its deadly default here: a write to the connection that the server closed meanwhile
 * must not end us, and the call is made on a new connection. */
static void connection_that_was_closed_is_made_again(void **state)
{
    const struct tls_server_step closing = FIXTURE_TEXT(EMPTY_ANSWER, TLS_SERVER_CLOSE);
    const struct tls_server_step steps[] = { closing, closing, answer };
    static struct fixture f;

    (void)state;
    fixture_start(&f, steps, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(get_host(&f), 0);
    }
    fixture_end(&f);
    assert_int_equal(f.server.connections, 3);
}

/* --- options --- */

static int code_of_options(const xenres_options *options)
{
    xenres *handle = NULL;
    xenres_error error;
    int result = xenres_new(options, &handle, &error);

    xenres_free(handle);
    return result;
}

static void server_has_to_be_an_https_address(void **state)
{
    static const char *const bad[] = {
        "",
        "http://h",
        "https://",
        "h:1",
        "https://h/path",
        "https://h?q=1",
        "https://h#f",
        "https://user@h",
        "https://user:password@h",
        "ftp://h",
        "https://h:99999",
        "https://h:1 x",
        "file:///etc/passwd",
    };
    static const char *const good[] = { "https://h", "https://h/", "https://h:8443",
                                        "https://[::1]:8443", "https://127.0.0.1:1" };
    xenres_options options = XENRES_OPTIONS_INIT;

    (void)state;
    assert_int_equal(code_of_options(&options), -XENRES_INVALID_ARGUMENT);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        options.server = bad[i];
        if (code_of_options(&options) != -XENRES_INVALID_ARGUMENT) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        options.server = good[i];
        if (code_of_options(&options) != 0) {
            fail_msg("refused: %s", good[i]);
        }
    }
}

static void password_in_an_address_is_not_repeated(void **state)
{
    xenres_options options = XENRES_OPTIONS_INIT;
    xenres *handle;
    xenres_error error;

    (void)state;
    options.server = "https://user:secret@h";
    assert_true(xenres_new(&options, &handle, &error) < 0);
    assert_null(strstr(error.message, "secret"));
}

static void bounds_of_options_are_exact(void **state)
{
    xenres_options options = XENRES_OPTIONS_INIT;

    (void)state;
    options.server = "https://h";
    options.timeout_ms = 3600 * 1000;
    options.connect_timeout_ms = 3600 * 1000;
    options.transfer_timeout_ms = 24 * 3600 * 1000;
    options.message_max_bytes = UINT64_C(1) << 30;
    assert_int_equal(code_of_options(&options), 0);
    options.timeout_ms++;
    assert_int_equal(code_of_options(&options), -XENRES_INVALID_ARGUMENT);
    options.timeout_ms--;
    options.transfer_timeout_ms++;
    assert_int_equal(code_of_options(&options), -XENRES_INVALID_ARGUMENT);
    options.transfer_timeout_ms--;
    options.message_max_bytes++;
    assert_int_equal(code_of_options(&options), -XENRES_INVALID_ARGUMENT);
}

static void options_of_other_versions_are_told_apart(void **state)
{
    struct {
        xenres_options known;
        uint64_t more;
    } newer = { .known = XENRES_OPTIONS_INIT };

    (void)state;
    newer.known.server = "https://h";
    newer.known.size = sizeof(newer);
    assert_int_equal(code_of_options(&newer.known), 0); /* the rest is not used */
    newer.more = 1;
    assert_int_equal(code_of_options(&newer.known), -XENRES_INVALID_ARGUMENT);
    newer.known.size = 0;
    assert_int_equal(code_of_options(&newer.known), -XENRES_INVALID_ARGUMENT);
    newer.known.size = SIZE_MAX;
    assert_int_equal(code_of_options(&newer.known), -XENRES_INVALID_ARGUMENT);
    assert_int_equal(code_of_options(NULL), -XENRES_INVALID_ARGUMENT);
}

static void environment_is_read_on_request_only(void **state)
{
    xenres_options options = XENRES_OPTIONS_INIT;

    (void)state;
    setenv("XENRES_SERVER", "https://h", 1);
    setenv("XENRES_CACERT", "", 1);
    assert_int_equal(code_of_options(&options), -XENRES_INVALID_ARGUMENT);
    xenres_options_from_environment(&options);
    assert_string_equal(options.server, "https://h");
    assert_null(options.ca_file);
    unsetenv("XENRES_SERVER");
    unsetenv("XENRES_CACERT");
}

static void null_is_released(void **state)
{
    (void)state;
    xenres_free(NULL);
    xenres_reply_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_tls_is_refused),
        cmocka_unit_test(certificate_for_another_name_is_refused),
        cmocka_unit_test(only_the_given_ca_is_trusted),
        cmocka_unit_test(files_that_are_not_there_are_told),
        cmocka_unit_test(encrypted_key_is_told),
        cmocka_unit_test(nobody_there_is_unavailable),
        cmocka_unit_test(plaintext_is_no_tls),
        cmocka_unit_test(silence_instead_of_tls_ends),
        cmocka_unit_test(connection_is_used_again),
        cmocka_unit_test(connection_that_was_closed_is_made_again),
        cmocka_unit_test(server_has_to_be_an_https_address),
        cmocka_unit_test(password_in_an_address_is_not_repeated),
        cmocka_unit_test(bounds_of_options_are_exact),
        cmocka_unit_test(options_of_other_versions_are_told_apart),
        cmocka_unit_test(environment_is_read_on_request_only),
        cmocka_unit_test(null_is_released),
    };

    return UNIT_RUN(tests);
}
