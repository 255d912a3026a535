/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Each fault and warning of certificates, with its line, and nothing about those that are right. */
#include "auth/examine.h"

#include "tests/lib/certificates.h"
#include "tests/lib/unit.h"

#define SERVER      .common_name = "server", .constraints = "CA:FALSE", .usage = "digitalSignature"
#define NAMED       .names = "DNS:gw.example.org,IP:192.0.2.1"
#define FOR_SERVERS .extended_usage = "serverAuth"
#define DAYS(n)     ((n)*INT64_C(86400))

/* What was told, a line each: `L12 warning text`. */
static char said[65536];

static void keep(void *arg, const struct examine_finding *finding)
{
    static const char *const levels[] = { "note", "warning", "fault" };
    size_t len = strlen(said);

    (void)arg;
    (void)snprintf(said + len, sizeof(said) - len, "L%u %s %s\n", finding->line,
                   levels[finding->level], finding->text);
}

static const struct examine_options options = { .now_s = CERTIFICATES_NOW_S, .tell = keep };

static void examine(const struct certificate *const *chain, size_t count, bool as_server,
                    const char *address)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char *bytes;
    long len;

    for (size_t i = 0; i < count; i++) {
        CERTIFICATES_MUST(PEM_write_bio_X509(pem, chain[i]->x509) == 1);
    }
    len = BIO_get_mem_data(pem, &bytes);
    said[0] = '\0';
    if (as_server) {
        examine_server(&options, bytes, (size_t)len, address);
    } else {
        examine_authorities(&options, bytes, (size_t)len);
    }
    BIO_free(pem);
}

static void expect(const char *words)
{
    if (strstr(said, words) == NULL) {
        fail_msg("no `%s` in:\n%s", words, said);
    }
}

static void expect_notes_only(void)
{
    if (strstr(said, " warning ") != NULL || strstr(said, " fault ") != NULL) {
        fail_msg("expected notes only:\n%s", said);
    }
}

/* A server's by a root that is not sent along. */
static void serve(const struct certificate_spec *spec, const char *address)
{
    const struct certificate_spec root_spec = CERTIFICATES_ROOT;
    CERTIFICATE_AUTO root = certificates_make(&root_spec, NULL);
    CERTIFICATE_AUTO leaf = certificates_make(spec, &root);
    const struct certificate *chain[] = { &leaf };

    examine(chain, 1, true, address);
}

static void a_right_one_has_days_left_and_an_authority(void **state)
{
    (void)state;
    serve(&(struct certificate_spec){ SERVER, NAMED, FOR_SERVERS }, "192.0.2.1");
    expect_notes_only();
    expect("L1 note it is good for 365 days, until 2034-");
    expect("L1 note clients have to have the certificate of \"CN=root\"");
    serve(&(struct certificate_spec){ SERVER, NAMED, FOR_SERVERS, .key = "ED25519" }, NULL);
    expect_notes_only();
}

static void times_are_judged_to_the_second_and_the_day(void **state)
{
    struct certificate_spec spec = { SERVER, NAMED, FOR_SERVERS };

    (void)state;
    spec.begin_s = -DAYS(2);
    spec.end_s = -1;
    serve(&spec, NULL);
    expect("L1 fault it expired at 2033-");
    spec.begin_s = 1;
    spec.end_s = DAYS(90);
    serve(&spec, NULL);
    expect("L1 fault it is not valid before 2033-");
    spec.begin_s = -1;
    spec.end_s = DAYS(EXAMINE_SOON_DAYS) - 1;
    serve(&spec, NULL);
    expect("L1 warning it expires in 29 days");
    spec.end_s = DAYS(EXAMINE_SOON_DAYS);
    serve(&spec, NULL);
    expect_notes_only();
    expect("good for 30 days");
}

static void purpose_and_names_are_looked_at(void **state)
{
    (void)state;
    serve(&(struct certificate_spec){ SERVER, NAMED, .extended_usage = "clientAuth" }, NULL);
    expect("fault it was not issued for TLS servers");
    serve(&(struct certificate_spec){ SERVER, NAMED }, NULL);
    expect("warning it does not say what it is for");
    serve(
        &(struct certificate_spec){
            .common_name = "server", .usage = "keyEncipherment", NAMED, FOR_SERVERS },
        NULL);
    expect("fault its keyUsage lacks digitalSignature");
    serve(&(struct certificate_spec){ SERVER, FOR_SERVERS }, NULL);
    expect("fault it has no name that clients look for");
    serve(&(struct certificate_spec){ SERVER, FOR_SERVERS, .names = "email:a@example.org" }, NULL);
    expect("fault it has no name that clients look for");
    serve(&(struct certificate_spec){ SERVER, NAMED, FOR_SERVERS }, "192.0.2.2");
    expect("warning it has no name 192.0.2.2");
    serve(&(struct certificate_spec){ .common_name = "server",
                                      .constraints = "critical,CA:TRUE",
                                      .usage = "digitalSignature",
                                      NAMED,
                                      FOR_SERVERS },
          NULL);
    expect("warning the server's certificate is an authority's");
}

static void weak_keys_and_signatures_are_faults(void **state)
{
    (void)state;
    serve(&(struct certificate_spec){ SERVER, NAMED, FOR_SERVERS, .key = "RSA-1024" }, NULL);
    expect("fault its key is weak (1024 bits of RSA)");
    serve(&(struct certificate_spec){ SERVER, NAMED, FOR_SERVERS, .key = "RSA-2048" }, NULL);
    expect_notes_only();
    serve(&(struct certificate_spec){ SERVER, NAMED, FOR_SERVERS, .sha1 = true }, NULL);
    expect("fault its signature is weak");
}

static void a_chain_holds_together_in_its_order(void **state)
{
    const struct certificate_spec root_spec = CERTIFICATES_ROOT;
    const struct certificate_spec middle_spec = CERTIFICATES_AUTHORITY("middle");
    const struct certificate_spec leaf_spec = { SERVER, NAMED, FOR_SERVERS };
    CERTIFICATE_AUTO root = certificates_make(&root_spec, NULL);
    CERTIFICATE_AUTO impostor = certificates_make(&root_spec, NULL);
    CERTIFICATE_AUTO middle = certificates_make(&middle_spec, &root);
    CERTIFICATE_AUTO leaf = certificates_make(&leaf_spec, &middle);
    const struct certificate *right[] = { &leaf, &middle, &root };
    const struct certificate *swapped[] = { &leaf, &root, &middle };
    const struct certificate *wrong[] = { &leaf, &middle, &impostor };

    (void)state;
    examine(right, 2, true, NULL);
    expect_notes_only();
    expect("note clients have to have the certificate of \"CN=root\"");
    examine(right, 3, true, NULL);
    expect_notes_only();
    examine(swapped, 3, true, NULL);
    expect("fault it has not issued the certificate before it, which is by \"CN=middle\"");
    assert_null(strstr(said, "L1 fault"));
    examine(wrong, 3, true, NULL); /* the same name, another key */
    expect("fault it has not issued the certificate before it, which is by \"CN=root\"");
}

static void authorities_are_looked_at_each_at_its_line(void **state)
{
    const struct certificate_spec good = CERTIFICATES_ROOT;
    struct certificate_spec old = CERTIFICATES_AUTHORITY("old");
    const struct certificate_spec none = { SERVER, NAMED };

    old.begin_s = -DAYS(2);
    old.end_s = -DAYS(1);
    CERTIFICATE_AUTO first = certificates_make(&good, NULL);
    CERTIFICATE_AUTO second = certificates_make(&old, NULL);
    CERTIFICATE_AUTO third = certificates_make(&none, &first);
    const struct certificate *all[] = { &first, &second, &third };

    (void)state;
    examine(all, 1, false, NULL);
    expect_notes_only();
    examine(all, 3, false, NULL);
    assert_null(strstr(said, "L1 fault"));
    expect("fault it expired at");
    expect("fault it is not an authority's");
}

/* --- revocation lists ------------------------------------------------------------------------- */

/* By a root that has this list; and another authority beside it, which has none. */
static void examine_list(struct certificate_list list, bool has_other, bool accept_expired)
{
    const struct certificate_spec root_spec = CERTIFICATES_ROOT;
    const struct certificate_spec other_spec = CERTIFICATES_AUTHORITY("other");
    CERTIFICATE_AUTO root = certificates_make(&root_spec, NULL);
    CERTIFICATE_AUTO other = certificates_make(&other_spec, NULL);
    BIO *lists = BIO_new(BIO_s_mem()), *authorities = BIO_new(BIO_s_mem());
    struct examine_lists what = { .accept_expired = accept_expired };
    char *bytes;

    list.issuer = list.issuer != NULL ? list.issuer : &root;
    certificates_list_write(lists, &list);
    CERTIFICATES_MUST(PEM_write_bio_X509(authorities, root.x509) == 1);
    CERTIFICATES_MUST(!has_other || PEM_write_bio_X509(authorities, other.x509) == 1);
    what.lists_len_bytes = (size_t)BIO_get_mem_data(lists, &bytes);
    what.lists = bytes;
    what.authorities_len_bytes = (size_t)BIO_get_mem_data(authorities, &bytes);
    what.authorities = bytes;
    said[0] = '\0';
    examine_lists(&options, &what);
    BIO_free(lists);
    BIO_free(authorities);
}

static void lists_are_judged_by_their_times(void **state)
{
    struct certificate_list list = { .begin_s = -DAYS(60), .end_s = DAYS(30) };

    (void)state;
    examine_list(list, false, false);
    expect_notes_only();
    expect("L1 note the list of \"CN=root\" counts until 2033-");
    list.end_s = -1;
    examine_list(list, false, false);
    expect("L1 fault the list of \"CN=root\" was to be replaced by 2033-");
    examine_list(list, false, true);
    expect("L1 warning the list of \"CN=root\" was to be replaced by 2033-");
    assert_null(strstr(said, " fault "));
    list.end_s = DAYS(7) - 1;
    examine_list(list, false, false);
    expect("L1 warning the list of \"CN=root\" is to be replaced within 168 hours");
    list.end_s = DAYS(7);
    examine_list(list, false, false);
    expect_notes_only();
    list.begin_s = -DAYS(1); /* a week's list is not always near its end */
    list.end_s = DAYS(6);
    examine_list(list, false, false);
    expect_notes_only();
    list.begin_s = 1;
    examine_list(list, false, false);
    expect("L1 fault the list of \"CN=root\" is of 2033-");
}

static void lists_are_of_the_authorities_that_are_there(void **state)
{
    const struct certificate_spec spec = CERTIFICATES_AUTHORITY("stranger");
    CERTIFICATE_AUTO stranger = certificates_make(&spec, NULL);

    (void)state;
    examine_list((struct certificate_list){ 0 }, true, false);
    expect("L0 fault there is no list of \"CN=other\"");
    assert_null(strstr(said, "no list of \"CN=root\""));
    examine_list((struct certificate_list){ .issuer = &stranger }, false, false);
    expect("L1 warning the list is by \"CN=stranger\", which is none of the authorities");
    expect("L0 fault there is no list of \"CN=root\"");
}

static void what_is_no_certificate_is_told_with_its_line(void **state)
{
    static const char cut[] = "# mine\n-----BEGIN CERTIFICATE-----\nAAAA\n";
    static char many[(EXAMINE_CERTIFICATES_MAX + 1) * 2048];
    const struct certificate_spec spec = CERTIFICATES_ROOT;
    CERTIFICATE_AUTO root = certificates_make(&spec, NULL);
    BIO *pem = BIO_new(BIO_s_mem());
    char *bytes;
    size_t len, one;

    (void)state;
    said[0] = '\0';
    examine_server(&options, "", 0, NULL);
    examine_authorities(&options, "", 0);
    assert_string_equal(said, ""); /* who loads it says so */
    examine_authorities(&options, cut, sizeof(cut) - 1);
    expect("L2 fault what begins here is no certificate");

    CERTIFICATES_MUST(PEM_write_bio_X509(pem, root.x509) == 1);
    one = (size_t)BIO_get_mem_data(pem, &bytes);
    assert_true(one <= 2048);
    for (len = 0; len < EXAMINE_CERTIFICATES_MAX * one; len += one) {
        memcpy(many + len, bytes, one);
    }
    said[0] = '\0';
    examine_authorities(&options, many, len);
    expect_notes_only();
    memcpy(many + len, bytes, one);
    said[0] = '\0';
    examine_authorities(&options, many, len + one);
    expect("fault more than 256 certificates");
    BIO_free(pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_one_has_days_left_and_an_authority),
        cmocka_unit_test(times_are_judged_to_the_second_and_the_day),
        cmocka_unit_test(purpose_and_names_are_looked_at),
        cmocka_unit_test(weak_keys_and_signatures_are_faults),
        cmocka_unit_test(a_chain_holds_together_in_its_order),
        cmocka_unit_test(authorities_are_looked_at_each_at_its_line),
        cmocka_unit_test(lists_are_judged_by_their_times),
        cmocka_unit_test(lists_are_of_the_authorities_that_are_there),
        cmocka_unit_test(what_is_no_certificate_is_told_with_its_line),
    };

    return UNIT_RUN(tests);
}
