/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Traces of the real programs whose owner is revoked when his call and his connection are long gone: each way
 * to revoke him ends his trace within two seconds, unless somebody else reads it.
 */
#include "tests/lib/access_rig.h"

enum { ANSWER_MAX_BYTES = 65536 };

static struct certificate alice, bob;
static char answer[ANSWER_MAX_BYTES];

/* The status; the body is in `answer`. */
static int ask(const char *name, const char *method, const char *json)
{
    struct tls_peer p;
    char request[1024];
    size_t got = 0;

    (void)snprintf(request, sizeof(request),
                   "POST /xenres.v1.TraceService/%s HTTP/1.1\r\nHost: t\r\n"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   method, strlen(json), json);
    assert_true(open_as(&p, (struct tls_peer_options){ .name = name }));
    assert_true(tls_peer_say(&p, request));
    int status = tls_peer_head(&p);
    const char *length = tls_peer_header(&p, "Content-Length");
    size_t len = length != NULL ? strtoul(length, NULL, 10) : 0;

    assert_true(len < sizeof(answer));
    while (got < len) {
        size_t n = tls_peer_read(&p, answer + got, len - got);

        assert_true(n > 0);
        got += n;
    }
    answer[got] = '\0';
    tls_peer_close(&p);
    return status;
}

/* By Alice, for an hour; she goes. */
static void start_trace(void)
{
    if (ask("alice", "StartTrace", "{\"domain\":\"traced\",\"lease\":\"3600s\"}") != 200) {
        fail_msg("%s", answer);
    }
}

static bool it_runs(void)
{
    if (ask("bob", "GetTrace", "{\"domain\":\"traced\"}") != 200) {
        fail_msg("%s", answer);
    }
    return strstr(answer, "\"endReason\"") == NULL;
}

static void expect_it_ends_from(uint64_t since_ns)
{
    while (it_runs()) {
        gateway_pause_ms(20);
        if (clock_monotonic_ns() - since_ns > REVOKED_WITHIN_MS * CLOCK_NS_PER_MS) {
            fail_msg("it took longer than two seconds");
        }
    }
    assert_non_null(strstr(answer, "STOPPED"));
}

static void an_identity_on_the_deny_list_loses_its_trace(void **state)
{
    (void)state;
    start_trace();
    replace_text("demo/deny", "identity:spiffe:spiffe://corp/alice\n");
    expect_it_ends_from(clock_monotonic_ns());
    assert_true(log_says("spiffe:spiffe://corp/alice may not have it any more"));
    forget_all();
}

static void so_does_a_certificate_on_the_deny_list(void **state)
{
    unsigned char digest[32];
    unsigned len = sizeof(digest);
    char hex[65], text[128];

    (void)state;
    start_trace();
    assert_int_equal(X509_digest(alice.x509, EVP_sha256(), digest, &len), 1);
    text_from_hex(digest, sizeof(digest), hex);
    (void)snprintf(text, sizeof(text), "fingerprint:%s\n", hex);
    replace_text("demo/deny", text);
    expect_it_ends_from(clock_monotonic_ns());
    forget_all();
}

static void and_one_on_its_authoritys_list(void **state)
{
    (void)state;
    start_trace();
    write_crl(&alice);
    expect_it_ends_from(clock_monotonic_ns());
    forget_all();
}

/* Bob, who reads it, has done nothing wrong. */
static void who_reads_it_keeps_it_until_he_goes(void **state)
{
    static const char request[] =
        "POST /xenres.v1.TraceService/ReadTrace HTTP/1.1\r\nHost: t\r\n"
        "Content-Type: application/connect+json\r\nContent-Length: 24\r\n\r\n"
        "\0\0\0\0\x13{\"domain\":\"traced\"}";
    struct stream *s = malloc(sizeof(*s));
    unsigned long before;

    (void)state;
    assert_non_null(s);
    *s = (struct stream){ .len = 0 };
    start_trace();
    assert_true(open_as(&s->peer, (struct tls_peer_options){ .name = "bob" }));
    assert_true(tls_peer_send(&s->peer, request, sizeof(request) - 1));
    assert_int_equal(tls_peer_head(&s->peer), 200);
    await_said(s, 0, "\"begin\"");
    before = metric("xenresd_access_reloads_total{result=\"success\"}");
    replace_text("demo/deny", "identity:spiffe:spiffe://corp/alice\n");
    await_metric("xenresd_access_reloads_total{result=\"success\"}", before + 1);
    await_said(s, s->len, "\"data\"");
    assert_true(it_runs());
    tls_peer_close(&s->peer);
    expect_it_ends_from(clock_monotonic_ns());
    free(s);
    forget_all();
}

static int begin_with_clients(void **state)
{
    int result = begin(state);

    alice = make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/alice"), &corp);
    bob = make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/bob"), &corp);
    write_chain("alice", (const struct certificate *[]){ &alice }, 1);
    write_chain("bob", (const struct certificate *[]){ &bob }, 1);
    return result;
}

static int end_with_clients(void **state)
{
    certificates_free(&alice);
    certificates_free(&bob);
    return end(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identity_on_the_deny_list_loses_its_trace),
        cmocka_unit_test(so_does_a_certificate_on_the_deny_list),
        cmocka_unit_test(and_one_on_its_authoritys_list),
        cmocka_unit_test(who_reads_it_keeps_it_until_he_goes),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin_with_clients, end_with_clients);
}
