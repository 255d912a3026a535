/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/examine.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "auth/certificate.h"

enum { TEXT_MAX_BYTES = 512, NAME_MAX_BYTES = 200, DAY_S = 86400 };

static const char pem_begin[] = "-----BEGIN ";

/* One certificate of the file, and where it stands. */
struct item {
    X509 *x509;
    unsigned line;
};

struct file {
    struct item items[EXAMINE_CERTIFICATES_MAX];
    size_t count;
};

#define FILE_AUTO __attribute__((cleanup(file_done))) struct file

static void file_done(struct file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        X509_free(file->items[i].x509);
    }
    ERR_clear_error();
}

static void tell_finding(const struct examine_options *o, struct examine_finding finding,
                         const char *format, va_list arguments)
{
    char text[TEXT_MAX_BYTES];

    vsnprintf(text, sizeof text, format, arguments);
    finding.text = text;
    o->tell(o->arg, &finding);
}

static void tell(const struct examine_options *o, enum examine_level level, unsigned line,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void tell(const struct examine_options *o, enum examine_level level, unsigned line,
                 const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell_finding(o, (struct examine_finding){ .level = level, .line = line }, format, arguments);
    va_end(arguments);
}

static void tell_time(const struct examine_options *o, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell_time(const struct examine_options *o, unsigned line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell_finding(
        o, (struct examine_finding){ .level = EXAMINE_FAULT, .line = line, .of_the_time = true },
        format, arguments);
    va_end(arguments);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int no_password(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static bool begins_certificate(const char *at, const char *end)
{
    static const char *const kinds[] = { "CERTIFICATE-----", "X509 CERTIFICATE-----",
                                         "TRUSTED CERTIFICATE-----" };

    at += sizeof pem_begin - 1;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t len = strlen(kinds[i]);

        if ((size_t)(end - at) >= len && memcmp(at, kinds[i], len) == 0) {
            return true;
        }
    }
    return false;
}

/* What begins at `at`, which is in this line. False: the file is full. */
static bool take(const struct examine_options *o, struct file *file, const char *at,
                 const char *end, unsigned line)
{
    BIO *bio;
    X509 *x509;

    if (file->count == EXAMINE_CERTIFICATES_MAX) {
        tell(o, EXAMINE_FAULT, line, "more than %d certificates are in one file: remove some",
             EXAMINE_CERTIFICATES_MAX);
        return false;
    }
    bio = BIO_new_mem_buf(at, (int)(end - at));
    x509 = bio != NULL ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (x509 == NULL) {
        tell(o, EXAMINE_FAULT, line, "what begins here is no certificate: copy it again, whole");
        return true;
    }
    file->items[file->count++] = (struct item){ x509, line };
    return true;
}

/* Which lines certificates begin in, OpenSSL's reader does not say. */
static void read_file(const struct examine_options *o, const char *pem, size_t len_bytes,
                      struct file *file)
{
    const char *end = pem + len_bytes;
    unsigned line = 1;

    for (const char *at = pem; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));

        if ((size_t)(end - at) >= sizeof pem_begin - 1 &&
            memcmp(at, pem_begin, sizeof pem_begin - 1) == 0 && begins_certificate(at, end) &&
            !take(o, file, at, end, line)) {
            return;
        }
        at = newline != NULL ? newline + 1 : end;
    }
}

/* --- one certificate -------------------------------------------------------------------------- */

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MIN;
}

static void date(int64_t at_s, char out[32])
{
    time_t at = (time_t)at_s;
    struct tm tm;

    if (gmtime_r(&at, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%MZ", &tm) == 0) {
        snprintf(out, 32, "an unreadable time");
    }
}

static void check_times(const struct examine_options *o, const struct item *item)
{
    int64_t begin_s = seconds_of(X509_get0_notBefore(item->x509));
    int64_t end_s = seconds_of(X509_get0_notAfter(item->x509));
    long long days = (long long)((end_s - o->now_s) / DAY_S);
    char when[32];

    if (begin_s == INT64_MIN || end_s == INT64_MIN) {
        tell(o, EXAMINE_FAULT, item->line, "its dates cannot be read: have it issued again");
    } else if (end_s < o->now_s) {
        date(end_s, when);
        tell_time(o, item->line, "it expired at %s: have a new one issued", when);
    } else if (begin_s > o->now_s) {
        date(begin_s, when);
        tell_time(o, item->line, "it is not valid before %s: wait, or set this host's clock", when);
    } else {
        date(end_s, when);
        tell(o, days < EXAMINE_SOON_DAYS ? EXAMINE_WARNING : EXAMINE_NOTE, item->line,
             days < EXAMINE_SOON_DAYS ? "it expires in %lld days, at %s: have a new one issued"
                                      : "it is good for %lld days, until %s",
             days, when);
    }
}

static bool is_self_signed(X509 *x509)
{
    return (X509_get_extension_flags(x509) & EXFLAG_SS) != 0;
}

static void check_strength(const struct examine_options *o, const struct item *item)
{
    EVP_PKEY *key = X509_get0_pubkey(item->x509);
    int bits = key != NULL ? EVP_PKEY_get_security_bits(key) : 0;
    int signature_bits = 0;

    if (bits < EXAMINE_SECURITY_BITS) {
        tell(o, EXAMINE_FAULT, item->line,
             "its key is weak (%d bits of %s): have one issued for P-256, Ed25519 or RSA of 3072 "
             "bits",
             key != NULL ? EVP_PKEY_get_bits(key) : 0,
             key != NULL && EVP_PKEY_get0_type_name(key) != NULL ? EVP_PKEY_get0_type_name(key)
                                                                 : "a kind that is not known");
    }
    /* Nobody looks at the signature that a root has made for itself. */
    if (!is_self_signed(item->x509) &&
        (X509_get_signature_info(item->x509, NULL, NULL, &signature_bits, NULL) != 1 ||
         signature_bits < EXAMINE_SECURITY_BITS)) {
        tell(o, EXAMINE_FAULT, item->line,
             "its signature is weak: have it issued again, with SHA-256");
    }
}

/* --- a server --------------------------------------------------------------------------------- */

static void check_purpose(const struct examine_options *o, const struct item *leaf)
{
    uint32_t flags = X509_get_extension_flags(leaf->x509);

    if ((flags & EXFLAG_CA) != 0) {
        tell(o, EXAMINE_WARNING, leaf->line,
             "the server's certificate is an authority's, with whose key others can be made: have "
             "one issued for the server alone");
    }
    if ((flags & EXFLAG_XKUSAGE) == 0) {
        tell(o, EXAMINE_WARNING, leaf->line,
             "it does not say what it is for: have it issued with extendedKeyUsage = serverAuth");
    } else if ((X509_get_extended_key_usage(leaf->x509) & XKU_SSL_SERVER) == 0) {
        tell(o, EXAMINE_FAULT, leaf->line,
             "it was not issued for TLS servers: have it issued with extendedKeyUsage = "
             "serverAuth");
    }
    if ((X509_get_key_usage(leaf->x509) & X509v3_KU_DIGITAL_SIGNATURE) == 0) {
        tell(o, EXAMINE_FAULT, leaf->line,
             "its keyUsage lacks digitalSignature: have it issued with that");
    }
}

static void check_names(const struct examine_options *o, const struct item *leaf,
                        const char *address)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf->x509, NID_subject_alt_name, NULL, NULL);
    size_t usable = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        usable += name->type == GEN_DNS || name->type == GEN_IPADD;
    }
    GENERAL_NAMES_free(names);
    if (usable == 0) {
        tell(o, EXAMINE_FAULT, leaf->line,
             "it has no name that clients look for: have it issued with a subjectAltName of DNS "
             "names or IP addresses (a common name is not looked at)");
    } else if (address != NULL && X509_check_ip_asc(leaf->x509, address, 0) != 1) {
        tell(o, EXAMINE_WARNING, leaf->line,
             "it has no name %s, where the server listens: clients have to use one of its names, "
             "or it has to be issued with IP:%s as well",
             address, address);
    }
}

static void name_of(const X509_NAME *name, char out[NAME_MAX_BYTES])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int len = 0;

    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        len = BIO_read(bio, out, NAME_MAX_BYTES - 1);
    }
    out[len > 0 ? len : 0] = '\0';
    BIO_free(bio);
}

static bool has_issued(X509 *issuer, X509 *subject)
{
    return X509_check_issued(issuer, subject) == X509_V_OK &&
           X509_verify(subject, X509_get0_pubkey(issuer)) == 1;
}

/* Each by the next one. Which authority the last one is by, only clients can know. */
static void check_chain(const struct examine_options *o, const struct file *file)
{
    const struct item *last = &file->items[file->count - 1];
    char name[NAME_MAX_BYTES];

    for (size_t i = 1; i < file->count; i++) {
        if (!has_issued(file->items[i].x509, file->items[i - 1].x509)) {
            name_of(X509_get_issuer_name(file->items[i - 1].x509), name);
            tell(o, EXAMINE_FAULT, file->items[i].line,
                 "it has not issued the certificate before it, which is by \"%s\": put that one "
                 "here, and the others behind it in their order",
                 name);
            return;
        }
    }
    name_of(X509_get_issuer_name(last->x509), name);
    tell(o, EXAMINE_NOTE, last->line, "clients have to have the certificate of \"%s\"", name);
}

void examine_server(const struct examine_options *o, const void *pem, size_t len_bytes,
                    const char *address)
{
    FILE_AUTO file = { .count = 0 };

    read_file(o, pem, len_bytes, &file);
    if (file.count == 0) {
        tell(o, EXAMINE_FAULT, 0, "there is no certificate in it: expected PEM");
        return;
    }
    for (size_t i = 0; i < file.count; i++) {
        check_times(o, &file.items[i]);
        check_strength(o, &file.items[i]);
    }
    check_purpose(o, &file.items[0]);
    check_names(o, &file.items[0], address);
    check_chain(o, &file);
}

/* --- authorities ------------------------------------------------------------------------------ */

void examine_authorities(const struct examine_options *o, const void *pem, size_t len_bytes)
{
    FILE_AUTO file = { .count = 0 };

    read_file(o, pem, len_bytes, &file);
    if (file.count == 0) {
        tell(o, EXAMINE_FAULT, 0, "there is no certificate in it: expected PEM");
    }
    for (size_t i = 0; i < file.count; i++) {
        const struct item *item = &file.items[i];

        check_times(o, item);
        check_strength(o, item);
        if (X509_check_ca(item->x509) == 0) {
            tell(o, EXAMINE_FAULT, item->line,
                 "it is not an authority's, and so vouches for nobody: remove it");
        }
    }
}
