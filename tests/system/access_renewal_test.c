/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * libxenres at the real gateway with a certificate of a few seconds' life: a watch goes on with the one that
 * takes its place in the same files, on a connection of its own.
 */
#include "tests/lib/access_rig.h"

#include "xenres.h"

struct watched {
    unsigned begins, interruptions;
    uint32_t interrupted_by;
};

/* Good for `life_s`, whole. */
static void write_certificate(int64_t life_s)
{
    CERTIFICATE_AUTO made =
        make((struct certificate_spec)CLIENT(.names = "URI:spiffe://corp/carol", .begin_s = -60,
                                             .end_s = (int64_t)time(NULL) - CERTIFICATES_NOW_S -
                                                      now + life_s),
             &corp);

    write_chain("carol", (const struct certificate *[]){ &made }, 1);
}

static int on_begin(void *arg, const xenres_domains_begin *b)
{
    struct watched *w = arg;

    (void)b;
    if (++w->begins == 1) {
        write_certificate(3600);
    }
    return w->begins > 1 ? -XENRES_CANCELED : 0;
}

static int on_interrupted(void *arg, const xenres_watch_interruption *i)
{
    struct watched *w = arg;

    w->interruptions++;
    w->interrupted_by = i->end_reason;
    return 0;
}

static void a_watch_goes_on_with_the_next_certificate(void **state)
{
    struct watched w = { .begins = 0 };
    const xenres_domains_watch_query query = { .size = sizeof(query) };
    const xenres_domains_sink sink = {
        .size = sizeof(sink), .begin = on_begin, .interrupted = on_interrupted, .arg = &w
    };
    char url[64], ca[GATEWAY_PATH_BYTES], cert[GATEWAY_PATH_BYTES], key[GATEWAY_PATH_BYTES];
    xenres_options options = XENRES_OPTIONS_INIT;
    xenres_error error = { 0 };
    xenres *handle = NULL;

    (void)state;
    write_certificate(LIFE_S);
    gateway_path("demo/ca.crt", ca);
    gateway_path("demo/carol.crt", cert);
    gateway_path("demo/carol.key", key);
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", gateway.port);
    options.server = url;
    options.ca_file = ca;
    options.cert_file = cert;
    options.key_file = key;
    options.proxy = "";
    options.retry_wait_ms = 100;
    assert_int_equal(xenres_new(&options, &handle, NULL), 0);
    int result = xenres_watch_domains(handle, &query, &sink, &error);

    if (result != -XENRES_CANCELED) {
        fail_msg("%d: %s", result, error.message);
    }
    assert_int_equal(w.begins, 2);
    assert_int_equal(w.interruptions, 1);
    assert_int_equal(w.interrupted_by, XENRES_END_CREDENTIALS_EXPIRED);
    xenres_free(handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watch_goes_on_with_the_next_certificate),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin, end);
}
