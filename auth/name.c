/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/name.h"

#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "auth/identity_pattern.h"

enum { SPIFFE_TRUST_DOMAIN_MAX_BYTES = 255, DNS_NAME_MAX_BYTES = 253, DNS_LABEL_MAX_BYTES = 63 };

#define GENERAL_NAMES_AUTO __attribute__((cleanup(free_general_names))) GENERAL_NAMES

static void free_general_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static int refuse(struct failure *f, const char *why)
{
    return failure_set(f, ERROR_UNAUTHENTICATED, "the certificate's name cannot be used: %s", why);
}

static bool is_between(char c, char low, char high)
{
    return c >= low && c <= high;
}

/* --- forms ------------------------------------------------------------------------------------ */

/* Lower case, as the SPIFFE ID specification (2.1) has it; others are spellings that compare
 * differently here and alike elsewhere. */
static bool is_trust_domain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_between(text[i], 'a', 'z') && !is_between(text[i], '0', '9') &&
            strchr(".-_", text[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && len <= SPIFFE_TRUST_DOMAIN_MAX_BYTES;
}

/* Segments that are neither empty, nor `.` or `..`: those are the same place spelt twice. No query,
 * fragment or percent-encoding (2.2). */
static bool is_spiffe_path(const char *path)
{
    while (*path == '/') {
        size_t len = strcspn(++path, "/");

        for (size_t i = 0; i < len; i++) {
            char c = path[i];

            if (!is_between(c, 'a', 'z') && !is_between(c, 'A', 'Z') && !is_between(c, '0', '9') &&
                strchr(".-_", c) == NULL) {
                return false;
            }
        }
        if (len == 0 || (path[0] == '.' && (len == 1 || (len == 2 && path[1] == '.')))) {
            return false;
        }
        path += len;
    }
    return *path == '\0';
}

static const char *spiffe_fault(const char *uri)
{
    static const char scheme[] = "spiffe://";
    const char *domain = uri + strlen(scheme);
    size_t domain_len;

    if (strncmp(uri, scheme, strlen(scheme)) != 0) {
        return "its URI is not spiffe://TRUST-DOMAIN/PATH";
    }
    domain_len = strcspn(domain, "/");
    if (!is_trust_domain(domain, domain_len)) {
        return "the trust domain of its SPIFFE ID is malformed";
    }
    /* Without a path it names the trust domain itself, not a workload in it. */
    return domain[domain_len] == '/' && is_spiffe_path(domain + domain_len)
               ? NULL
               : "the path of its SPIFFE ID is missing or malformed";
}

/* Letters, digits, hyphens and underscores in labels; no wildcard: that is no one's name. */
static const char *dns_fault(const char *name)
{
    size_t label = 0;

    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '.' && label > 0) {
            label = 0;
        } else if (is_between(*c, 'a', 'z') || is_between(*c, 'A', 'Z') ||
                   is_between(*c, '0', '9') || *c == '-' || *c == '_') {
            label++;
        } else {
            return "its DNS name is malformed";
        }
        if (label > DNS_LABEL_MAX_BYTES) {
            return "its DNS name is malformed";
        }
    }
    return label > 0 && strlen(name) <= DNS_NAME_MAX_BYTES ? NULL : "its DNS name is malformed";
}

static const char *cn_fault(const char *name)
{
    return name[0] == '\0' ? "its common name is empty" : NULL;
}

/* --- the certificate -------------------------------------------------------------------------- */

struct kind {
    const char *prefix;
    const char *(*fault)(const char *name);
    bool any_case; /* compared in lower case, as its kind is everywhere */
};

static const struct kind SPIFFE = { "spiffe:", spiffe_fault, false };
static const struct kind DNS = { "dns:", dns_fault, true };
static const struct kind CN = { "cn:", cn_fault, false };

/* The bytes by their length, never as a C string: "alice\0.evil" must not become "alice". */
static int write_name(const struct kind *kind, const ASN1_STRING *value,
                      char out[IDENTITY_TEXT_BYTES], struct failure *f)
{
    const unsigned char *bytes = ASN1_STRING_get0_data(value);
    size_t len = (size_t)ASN1_STRING_length(value);
    size_t prefix_len = strlen(kind->prefix);
    char text[IDENTITY_TEXT_BYTES];
    const char *fault;

    if (len >= sizeof text - prefix_len) {
        return refuse(f, "it is too long");
    }
    memcpy(text, kind->prefix, prefix_len);
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] <= ' ' || bytes[i] > '~') {
            return refuse(f, "it has characters other than printable ASCII without spaces");
        }
        text[prefix_len + i] = (char)bytes[i];
        if (kind->any_case && is_between(text[prefix_len + i], 'A', 'Z')) {
            text[prefix_len + i] = (char)(bytes[i] - 'A' + 'a');
        }
    }
    text[prefix_len + len] = '\0';
    fault = kind->fault(text + prefix_len);
    if (fault != NULL) {
        return refuse(f, fault);
    }
    if (identity_exact_fault(text) != NULL) { /* no deny list could name it */
        return refuse(f, "it has * or ?, which make a pattern of it");
    }
    memcpy(out, text, prefix_len + len + 1);
    return 0;
}

/* Names of one type: how many, and the first. */
static size_t count_names(const GENERAL_NAMES *names, int type, const ASN1_STRING **first)
{
    size_t count = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == type && count++ == 0) {
            *first = type == GEN_URI ? name->d.uniformResourceIdentifier : name->d.dNSName;
        }
    }
    return count;
}

static int read_common_name(const X509 *certificate, char out[IDENTITY_TEXT_BYTES],
                            struct failure *f)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const ASN1_STRING *value;
    int type;

    if (at < 0) {
        return refuse(f, "it has no URI, no DNS name and no common name");
    }
    if (X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) {
        return refuse(f, "it has more than one common name");
    }
    value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    type = ASN1_STRING_type(value);
    /* In these three, ASCII's bytes are its characters. */
    if (type != V_ASN1_UTF8STRING && type != V_ASN1_PRINTABLESTRING && type != V_ASN1_IA5STRING) {
        return refuse(f, "its common name is in an outdated encoding");
    }
    return write_name(&CN, value, out, f);
}

int name_read(const X509 *certificate, char out[IDENTITY_TEXT_BYTES], struct failure *f)
{
    int critical = -1;
    GENERAL_NAMES_AUTO *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
    const ASN1_STRING *name = NULL;
    size_t count;

    if (names == NULL && critical != -1) { /* -1: it has none */
        return refuse(f, "its alternative names are malformed, or there twice");
    }
    count = names != NULL ? count_names(names, GEN_URI, &name) : 0;
    if (count > 1) {
        return refuse(f, "it has more than one URI");
    }
    if (count == 1) {
        return write_name(&SPIFFE, name, out, f);
    }
    count = names != NULL ? count_names(names, GEN_DNS, &name) : 0;
    if (count > 1) {
        return refuse(f, "it has more than one DNS name and no URI");
    }
    return count == 1 ? write_name(&DNS, name, out, f) : read_common_name(certificate, out, f);
}
