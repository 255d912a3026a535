/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/examine.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "auth/certificate.h"
#include "auth/examine_part.h"

enum { TEXT_MAX_BYTES = 512, DAY_S = 86400 };

static const char pem_begin[] = "-----BEGIN ";

void examine_file_done(struct examine_file *file)
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

void examine_tell(const struct examine_options *o, enum examine_level level, unsigned line,
                  const char *format, ...)
{
    va_list arguments;

    if (o == NULL) {
        return;
    }
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

static bool has_label(const char *at, const char *end, const char *const *labels)
{
    at += sizeof pem_begin - 1;
    for (; *labels != NULL; labels++) {
        size_t len = strlen(*labels);

        if ((size_t)(end - at) >= len + 5 && memcmp(at, *labels, len) == 0 &&
            memcmp(at + len, "-----", 5) == 0) {
            return true;
        }
    }
    return false;
}

void examine_each(const char *pem, size_t len_bytes, const char *const *labels, examine_take *take,
                  void *arg)
{
    const char *end = pem + len_bytes;
    unsigned line = 1;

    for (const char *at = pem; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));

        if ((size_t)(end - at) >= sizeof pem_begin - 1 &&
            memcmp(at, pem_begin, sizeof pem_begin - 1) == 0 && has_label(at, end, labels) &&
            !take(arg, at, end, line)) {
            return;
        }
        at = newline != NULL ? newline + 1 : end;
    }
}

/* False: the file is full. */
static bool take(void *arg, const char *at, const char *end, unsigned line)
{
    struct examine_file *file = arg;
    BIO *bio;
    X509 *x509;

    if (file->count == EXAMINE_CERTIFICATES_MAX) {
        examine_tell(file->options, EXAMINE_FAULT, line,
                     "more than %d certificates are in one file: remove some",
                     EXAMINE_CERTIFICATES_MAX);
        return false;
    }
    bio = BIO_new_mem_buf(at, (int)(end - at));
    x509 = bio != NULL ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (x509 == NULL) {
        examine_tell(file->options, EXAMINE_FAULT, line,
                     "what begins here is no certificate: copy it again, whole");
        return true;
    }
    file->items[file->count++] = (struct examine_item){ x509, line };
    return true;
}

void examine_read(struct examine_file *file, const char *pem, size_t len_bytes)
{
    static const char *const labels[] = { PEM_STRING_X509, PEM_STRING_X509_OLD,
                                          PEM_STRING_X509_TRUSTED, NULL };

    examine_each(pem, len_bytes, labels, take, file);
}

/* --- one certificate -------------------------------------------------------------------------- */

int64_t examine_seconds(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MIN;
}

void examine_date(int64_t at_s, char out[EXAMINE_DATE_BYTES])
{
    time_t at = (time_t)at_s;
    struct tm tm;

    if (gmtime_r(&at, &tm) == NULL ||
        strftime(out, EXAMINE_DATE_BYTES, "%Y-%m-%d %H:%MZ", &tm) == 0) {
        snprintf(out, EXAMINE_DATE_BYTES, "an unreadable time");
    }
}

static void check_times(const struct examine_options *o, const struct examine_item *item)
{
    int64_t begin_s = examine_seconds(X509_get0_notBefore(item->x509));
    int64_t end_s = examine_seconds(X509_get0_notAfter(item->x509));
    long long days = (long long)((end_s - o->now_s) / DAY_S);
    char when[EXAMINE_DATE_BYTES];

    if (begin_s == INT64_MIN || end_s == INT64_MIN) {
        examine_tell(o, EXAMINE_FAULT, item->line,
                     "its dates cannot be read: have it issued again");
    } else if (end_s < o->now_s) {
        examine_date(end_s, when);
        tell_time(o, item->line, "it expired at %s: have a new one issued", when);
    } else if (begin_s > o->now_s) {
        examine_date(begin_s, when);
        tell_time(o, item->line, "it is not valid before %s: wait, or set this host's clock", when);
    } else {
        examine_date(end_s, when);
        examine_tell(o, days < EXAMINE_SOON_DAYS ? EXAMINE_WARNING : EXAMINE_NOTE, item->line,
                     days < EXAMINE_SOON_DAYS
                         ? "it expires in %lld days, at %s: have a new one issued"
                         : "it is good for %lld days, until %s",
                     days, when);
    }
}

static bool is_self_signed(X509 *x509)
{
    return (X509_get_extension_flags(x509) & EXFLAG_SS) != 0;
}

static void check_strength(const struct examine_options *o, const struct examine_item *item)
{
    EVP_PKEY *key = X509_get0_pubkey(item->x509);
    int bits = key != NULL ? EVP_PKEY_get_security_bits(key) : 0;
    int signature_bits = 0;

    if (bits < EXAMINE_SECURITY_BITS) {
        examine_tell(
            o, EXAMINE_FAULT, item->line,
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
        examine_tell(o, EXAMINE_FAULT, item->line,
                     "its signature is weak: have it issued again, with SHA-256");
    }
}

/* --- a server --------------------------------------------------------------------------------- */

static void check_purpose(const struct examine_options *o, const struct examine_item *leaf)
{
    uint32_t flags = X509_get_extension_flags(leaf->x509);

    if ((flags & EXFLAG_CA) != 0) {
        examine_tell(
            o, EXAMINE_WARNING, leaf->line,
            "the server's certificate is an authority's, with whose key others can be made: have "
            "one issued for the server alone");
    }
    if ((flags & EXFLAG_XKUSAGE) == 0) {
        examine_tell(
            o, EXAMINE_WARNING, leaf->line,
            "it does not say what it is for: have it issued with extendedKeyUsage = serverAuth");
    } else if ((X509_get_extended_key_usage(leaf->x509) & XKU_SSL_SERVER) == 0) {
        examine_tell(o, EXAMINE_FAULT, leaf->line,
                     "it was not issued for TLS servers: have it issued with extendedKeyUsage = "
                     "serverAuth");
    }
    if ((X509_get_key_usage(leaf->x509) & X509v3_KU_DIGITAL_SIGNATURE) == 0) {
        examine_tell(o, EXAMINE_FAULT, leaf->line,
                     "its keyUsage lacks digitalSignature: have it issued with that");
    }
}

static void check_names(const struct examine_options *o, const struct examine_item *leaf,
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
        examine_tell(
            o, EXAMINE_FAULT, leaf->line,
            "it has no name that clients look for: have it issued with a subjectAltName of DNS "
            "names or IP addresses (a common name is not looked at)");
    } else if (address != NULL && X509_check_ip_asc(leaf->x509, address, 0) != 1) {
        examine_tell(
            o, EXAMINE_WARNING, leaf->line,
            "it has no name %s, where the server listens: clients have to use one of its names, "
            "or it has to be issued with IP:%s as well",
            address, address);
    }
}

void examine_name(const X509_NAME *name, char out[EXAMINE_NAME_BYTES])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int len = 0;

    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        len = BIO_read(bio, out, EXAMINE_NAME_BYTES - 1);
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
static void check_chain(const struct examine_options *o, const struct examine_file *file)
{
    const struct examine_item *last = &file->items[file->count - 1];
    char name[EXAMINE_NAME_BYTES];

    for (size_t i = 1; i < file->count; i++) {
        if (!has_issued(file->items[i].x509, file->items[i - 1].x509)) {
            examine_name(X509_get_issuer_name(file->items[i - 1].x509), name);
            examine_tell(
                o, EXAMINE_FAULT, file->items[i].line,
                "it has not issued the certificate before it, which is by \"%s\": put that one "
                "here, and the others behind it in their order",
                name);
            return;
        }
    }
    examine_name(X509_get_issuer_name(last->x509), name);
    examine_tell(o, EXAMINE_NOTE, last->line, "clients have to have the certificate of \"%s\"",
                 name);
}

void examine_server(const struct examine_options *o, const void *pem, size_t len_bytes,
                    const char *address)
{
    EXAMINE_FILE_AUTO file = { .options = o };

    examine_read(&file, pem, len_bytes);
    if (file.count == 0) {
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
    EXAMINE_FILE_AUTO file = { .options = o };

    examine_read(&file, pem, len_bytes);
    for (size_t i = 0; i < file.count; i++) {
        const struct examine_item *item = &file.items[i];

        check_times(o, item);
        check_strength(o, item);
        if (X509_check_ca(item->x509) == 0) {
            examine_tell(o, EXAMINE_FAULT, item->line,
                         "it is not an authority's, and so vouches for nobody: remove it");
        }
    }
}
