/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Private keys in PEM, in all forms that operators have them in. */
#include "server/http/key_pem.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "tests/lib/unit.h"

enum { PEM_BYTES = 8192 };

enum form { FORM_PKCS8, FORM_TRADITIONAL, FORM_ENCRYPTED, FORM_OLD_ENCRYPTED };

static EVP_PKEY *make_key(const char *kind)
{
    return strcmp(kind, "EC") == 0    ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
           : strcmp(kind, "RSA") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
                                      : EVP_PKEY_Q_keygen(NULL, NULL, kind);
}

static size_t write_key(const char *kind, enum form form, char out[PEM_BYTES])
{
    EVP_PKEY *key = make_key(kind);
    BIO *bio = BIO_new(BIO_s_mem());
    unsigned char password[] = "password";
    const EVP_CIPHER *cipher = form >= FORM_ENCRYPTED ? EVP_aes_128_cbc() : NULL;
    int len = cipher != NULL ? 8 : 0;

    assert_non_null(key);
    assert_int_equal(
        form == FORM_PKCS8 || form == FORM_ENCRYPTED
            ? PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, (char *)password, len, NULL, NULL)
            : PEM_write_bio_PrivateKey_traditional(bio, key, cipher, password, len, NULL, NULL),
        1);
    len = BIO_read(bio, out, PEM_BYTES - 1);
    assert_true(len > 0);
    out[len] = '\0';
    BIO_free(bio);
    EVP_PKEY_free(key);
    return (size_t)len;
}

/* What is read, or GNUTLS_PK_UNKNOWN where it is refused. */
static gnutls_pk_algorithm_t read_key(const char *pem, size_t len_bytes)
{
    gnutls_x509_privkey_t key = NULL;
    struct failure f = { 0 };
    int result = key_pem_read(pem, len_bytes, &key, &f);

    if (result != 0) {
        assert_int_equal(result, -ERROR_INVALID_ARGUMENT);
        assert_null(key);
        assert_true(f.message[0] != '\0');
        return GNUTLS_PK_UNKNOWN;
    }
    int algorithm = gnutls_x509_privkey_get_pk_algorithm(key);

    gnutls_x509_privkey_deinit(key);
    return (gnutls_pk_algorithm_t)algorithm;
}

static void every_form_of_a_key_is_read(void **state)
{
    static const struct {
        const char *kind;
        enum form form;
        const char *label;
        gnutls_pk_algorithm_t algorithm;
    } rows[] = {
        { "EC", FORM_PKCS8, "-----BEGIN PRIVATE KEY-----", GNUTLS_PK_ECDSA },
        { "EC", FORM_TRADITIONAL, "-----BEGIN EC PRIVATE KEY-----", GNUTLS_PK_ECDSA },
        { "RSA", FORM_PKCS8, "-----BEGIN PRIVATE KEY-----", GNUTLS_PK_RSA },
        { "RSA", FORM_TRADITIONAL, "-----BEGIN RSA PRIVATE KEY-----", GNUTLS_PK_RSA },
        { "ED25519", FORM_PKCS8, "-----BEGIN PRIVATE KEY-----", GNUTLS_PK_EDDSA_ED25519 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char pem[PEM_BYTES];
        size_t len = write_key(rows[i].kind, rows[i].form, pem);

        assert_memory_equal(pem, rows[i].label, strlen(rows[i].label));
        assert_int_equal(read_key(pem, len), rows[i].algorithm);
    }
}

/* As `openssl ecparam -genkey` writes it, and as a mail or an editor of another system leaves it. */
static void what_stands_around_it_does_not_matter(void **state)
{
    static const char before[] = "a note\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                                 "-----END EC PARAMETERS-----\n";
    char pem[PEM_BYTES], text[3 * PEM_BYTES] = "";
    size_t len = write_key("EC", FORM_TRADITIONAL, pem), used = 0;

    (void)state;
    memcpy(text, before, sizeof(before) - 1);
    used = sizeof(before) - 1;
    for (size_t i = 0; i < len; i++) {
        if (pem[i] == '\n') {
            text[used++] = '\r';
        }
        text[used++] = pem[i];
    }
    assert_int_equal(read_key(text, used), GNUTLS_PK_ECDSA);
    assert_int_equal(read_key(text, used - 2), GNUTLS_PK_ECDSA); /* without its last line's end */
}

static void what_is_encrypted_is_refused(void **state)
{
    char pem[PEM_BYTES];

    (void)state;
    assert_int_equal(read_key(pem, write_key("EC", FORM_ENCRYPTED, pem)), GNUTLS_PK_UNKNOWN);
    assert_int_equal(read_key(pem, write_key("EC", FORM_OLD_ENCRYPTED, pem)), GNUTLS_PK_UNKNOWN);
}

/* Each shorter text is none, and is not read beyond its end (which a sanitizer sees). */
static void what_is_cut_short_is_refused(void **state)
{
    char pem[PEM_BYTES];
    size_t len = write_key("EC", FORM_PKCS8, pem);
    size_t whole = (size_t)(strstr(pem, "-----END ") - pem) + strlen("-----END ");

    (void)state;
    for (size_t cut = 0; cut < whole; cut++) {
        char *exact = malloc(cut > 0 ? cut : 1);

        assert_non_null(exact);
        memcpy(exact, pem, cut);
        assert_int_equal(read_key(exact, cut), GNUTLS_PK_UNKNOWN);
        free(exact);
    }
    assert_int_equal(read_key(pem, len), GNUTLS_PK_ECDSA);
}

static void what_is_no_key_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "nonsense",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN \n-----END ",
        "PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(read_key(texts[i], strlen(texts[i])), GNUTLS_PK_UNKNOWN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_a_key_is_read),
        cmocka_unit_test(what_stands_around_it_does_not_matter),
        cmocka_unit_test(what_is_encrypted_is_refused),
        cmocka_unit_test(what_is_cut_short_is_refused),
        cmocka_unit_test(what_is_no_key_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
