/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Files that decide who is let in, changed at random: nothing crashes, and nobody gets in whom the file as it
 * was written keeps out. A file is refused as a whole, or what is left of it still counts.
 */
#include "tests/lib/certificate_root.h"
#include "tests/lib/mutate.h"
#include "tests/lib/unit.h"

enum {
    DENY_CASES = 20000,
    PEM_CASES = 5000, /* for each of two ways */
};

/* --- the deny list ---------------------------------------------------------------------------- */

static const struct {
    const char *line;
    struct identity who;
} denied[] = {
    { "identity:spiffe:spiffe://corp/agent-1", { .text = "spiffe:spiffe://corp/agent-1" } },
    { "identity:cn:mallory", { .text = "cn:mallory" } },
    { "token:0123456789", { .text = "jwt:idp:x", .token_id = "0123456789" } },
    { "fingerprint:1111111111111111111111111111111111111111111111111111111111111111",
      { .text = "cn:y",
        .fingerprint = { 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                         0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                         0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11 } } },
};

/* A line of the text is this very one. */
static bool has_line(const char *text, size_t len, const char *line)
{
    const char *at = text, *end = text + len;

    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t line_len = (size_t)((stop != NULL ? stop : end) - at);

        if (line_len == strlen(line) && memcmp(at, line, line_len) == 0) {
            return true;
        }
        at += line_len + 1;
    }
    return false;
}

static void a_changed_deny_list_is_refused_or_keeps_its_other_lines(void **state)
{
    unsigned taken = 0, refused = 0;

    (void)state;
    for (unsigned i = 0; i < DENY_CASES; i++) {
        uint64_t began = mutate_seed;
        uint8_t text[MUTATE_MAX_BYTES];
        size_t len = 0;
        struct deny *d = NULL;
        BUFFER_AUTO(faults, 65536);

        for (size_t n = 0; n < sizeof(denied) / sizeof(denied[0]); n++) {
            len += (size_t)snprintf((char *)text + len, sizeof(text) - len, "# entry %zu\n%s\n", n,
                                    denied[n].line);
        }
        len = mutate(text, len);
        if (deny_parse("deny", (const char *)text, len, &d, &faults, NULL) != 0) {
            refused++;
            continue;
        }
        taken++;
        for (size_t n = 0; n < sizeof(denied) / sizeof(denied[0]); n++) {
            if (has_line((const char *)text, len, denied[n].line) &&
                deny_find(d, &denied[n].who) == 0) {
                fail_msg("seed %llu: \"%s\" is lost", (unsigned long long)began, denied[n].line);
            }
        }
        deny_free(d);
    }
    assert_true(taken > DENY_CASES / 20 && refused > DENY_CASES / 20); /* both were tried */
}

/* --- anchors and revocation lists ------------------------------------------------------------- */

/* Who comes, below a root whose name constraints and lists keep some out. */
static struct certificate narrow, fine, outside, revoked, stranger;

static int set_up(void **state)
{
    const struct certificate_spec narrow_spec = {
        .common_name = "narrow",
        .constraints = "critical,CA:TRUE",
        .usage = "critical,keyCertSign,cRLSign",
        .name_constraints = "critical,permitted;DNS:example.org",
    };
    const struct certificate_spec inner = { CERTIFICATES_CLIENT, .names = "DNS:a.example.org" },
                                  outer = { CERTIFICATES_CLIENT, .names = "DNS:a.example.com" };

    mutate_begin();
    narrow = certificates_make(&narrow_spec, NULL);
    fine = certificates_make(&inner, &narrow);
    outside = certificates_make(&outer, &narrow);
    revoked = certificates_make(&inner, &narrow);
    if (certificate_root_make(state) != 0) {
        return -1;
    }
    stranger = certificates_make(&inner, &root);
    return 0;
}

static int tear_down(void **state)
{
    certificates_free(&narrow);
    certificates_free(&fine);
    certificates_free(&outside);
    certificates_free(&revoked);
    certificates_free(&stranger);
    return certificate_root_free(state);
}

static size_t take(BIO *pem, uint8_t *out)
{
    char *bytes;
    size_t len = (size_t)BIO_get_mem_data(pem, &bytes);

    assert_true(len <= MUTATE_MAX_BYTES);
    memcpy(out, bytes, len);
    BIO_free(pem);
    return len;
}

/* The same bytes as PEM: a change of them is not one of base64. */
static size_t wrap(const char *label, const uint8_t *der, size_t len, uint8_t *out)
{
    BIO *pem = BIO_new(BIO_s_mem());

    assert_true(PEM_write_bio(pem, label, "", der, (long)len) > 0);
    return take(pem, out);
}

/* Of a file of one anchor and one of its list. */
static struct access *load(const uint8_t *ca, size_t ca_len, const uint8_t *crl, size_t crl_len)
{
    struct trust *trust = NULL;
    struct access *access = NULL;

    if (trust_parse("ca", ca, ca_len, &trust, NULL) != 0) {
        return NULL;
    }
    if (trust_add_crls(trust, "crl", crl, crl_len, NULL) != 0) {
        trust_free(trust);
        return NULL;
    }
    assert_int_equal(access_new(&trust, 1, NULL, &access, NULL), 0);
    return access;
}

static bool lets_in(const struct access *access, const struct certificate *who)
{
    return certificates_verify(access, &who, 1, NULL) == IDENTITY_OK;
}

struct files {
    uint8_t ca[MUTATE_MAX_BYTES], crl[MUTATE_MAX_BYTES];
    size_t ca_len, crl_len;
};

static void write_files(struct files *f)
{
    const struct certificate_list list = { .issuer = &narrow, .revoked = { &revoked } };
    BIO *ca = BIO_new(BIO_s_mem()), *crl = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_X509(ca, narrow.x509), 1);
    certificates_list_write(crl, &list);
    f->ca_len = take(ca, f->ca);
    f->crl_len = take(crl, f->crl);
}

/* Changes one of the two, as text or in what the text is of. */
static void change_one(struct files *f, bool is_text)
{
    bool is_ca = mutate_any(2) == 0;
    uint8_t *bytes = is_ca ? f->ca : f->crl;
    size_t *len = is_ca ? &f->ca_len : &f->crl_len;
    uint8_t der[MUTATE_MAX_BYTES];
    char *label = NULL, *header = NULL;
    unsigned char *plain = NULL;
    long plain_len = 0;

    if (is_text) {
        *len = mutate(bytes, *len);
        return;
    }
    BIO *pem = BIO_new_mem_buf(bytes, (int)*len);

    assert_int_equal(PEM_read_bio(pem, &label, &header, &plain, &plain_len), 1);
    memcpy(der, plain, (size_t)plain_len);
    size_t changed = mutate(der, (size_t)plain_len);

    *len = wrap(label, der, changed > 0 ? changed : 1, bytes);
    BIO_free(pem);
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_free(plain);
}

static void try_changes(bool is_text)
{
    static struct files files;
    unsigned taken = 0;

    for (unsigned i = 0; i < PEM_CASES; i++) {
        uint64_t began = mutate_seed;

        write_files(&files);
        change_one(&files, is_text);
        struct access *access = load(files.ca, files.ca_len, files.crl, files.crl_len);

        if (access == NULL) {
            continue;
        }
        taken++;
        if (lets_in(access, &revoked) || lets_in(access, &outside) || lets_in(access, &stranger)) {
            fail_msg("seed %llu: it lets in whom it does not", (unsigned long long)began);
        }
        access_unref(access);
    }
    print_message("%u of %d were taken\n", taken, PEM_CASES);
}

static void the_files_unchanged_let_in_whom_they_should(void **state)
{
    static struct files files;

    (void)state;
    write_files(&files);
    struct access *access = load(files.ca, files.ca_len, files.crl, files.crl_len);

    assert_non_null(access);
    assert_true(lets_in(access, &fine));
    assert_false(lets_in(access, &revoked));
    assert_false(lets_in(access, &outside));
    assert_false(lets_in(access, &stranger));
    access_unref(access);
}

static void changed_texts_let_nobody_else_in(void **state)
{
    (void)state;
    try_changes(true);
}

static void changed_contents_let_nobody_else_in(void **state)
{
    (void)state;
    try_changes(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_deny_list_is_refused_or_keeps_its_other_lines),
        cmocka_unit_test(the_files_unchanged_let_in_whom_they_should),
        cmocka_unit_test(changed_texts_let_nobody_else_in),
        cmocka_unit_test(changed_contents_let_nobody_else_in),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
