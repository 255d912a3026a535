/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as a peer's chain: for each certificate its length in two bytes, big endian, and its
 * DER. Names are read from the first one also where the chain is not accepted, as no fuzzer can
 * forge the anchor's signature; the seeds were signed by it, and its key is gone.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity_pattern.h"
#include "auth/access.h"
#include "auth/certificate.h"
#include "auth/name.h"

enum { CHAIN_MAX = IDENTITY_CHAIN_MAX + 1 };

/* In the validity of anchor and seeds: 2100-01-01. */
#define NOW_S INT64_C(4102444800)

static const char ANCHOR[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBkjCCATmgAwIBAgIUG60/Jztimmm67ZbiCI3Y56/jwi4wCgYIKoZIzj0EAwIw\n"
                             "FjEUMBIGA1UEAwwLZnV6eiBhbmNob3IwIBcNMjYxMTIzMTQxNjA1WhgPMjEyNjEw\n"
                             "MzAxNDE2MDVaMBYxFDASBgNVBAMMC2Z1enogYW5jaG9yMFkwEwYHKoZIzj0CAQYI\n"
                             "KoZIzj0DAQcDQgAEaOndst6JPVttcd0Iniw8djJoy4pqQlVbxb+DCRprVrbaCqx9\n"
                             "sqpL4AXA7rC0KqvuVmBQ6EH3tWEhBXQQeFrr9aNjMGEwHQYDVR0OBBYEFKzlFxWV\n"
                             "z7oImPzq+vVAsAY0eKHyMB8GA1UdIwQYMBaAFKzlFxWVz7oImPzq+vVAsAY0eKHy\n"
                             "MA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMAoGCCqGSM49BAMCA0cA\n"
                             "MEQCIET2mJg3b0jBYpzESt80plae2ERzQ5sxwKXhSeyJM3StAiA4hGm1hjrM0JLu\n"
                             "oK5o15Br6bH2yDWwEHS6e4JYemrF5w==\n"
                             "-----END CERTIFICATE-----\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* What policy and log rely on. */
static void check_text(const char *text)
{
    size_t len = strnlen(text, IDENTITY_TEXT_BYTES);

    check(len > 3 && len < IDENTITY_TEXT_BYTES);
    check(strncmp(text, "spiffe:spiffe://", 16) == 0 || strncmp(text, "dns:", 4) == 0 ||
          strncmp(text, "cn:", 3) == 0);
    for (size_t i = 0; i < len; i++) {
        check(text[i] > ' ' && text[i] <= '~');
    }
    check(identity_exact_fault(text) == NULL); /* it can be denied */
}

static void read_first(const struct identity_der *first)
{
    X509_AUTO *certificate = certificate_decode(first->bytes, first->len_bytes, NULL);
    struct identity who = { 0 };

    if (certificate == NULL) {
        return;
    }
    (void)certificate_check_client(certificate, NULL);
    (void)certificate_facts(certificate, &who, NULL);
    if (name_read(certificate, who.text, NULL) == 0) {
        check_text(who.text);
    } else {
        check(who.text[0] == '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct access *access;
    struct identity_der chain[CHAIN_MAX];
    struct identity who = { 0 };
    enum identity_fault fault;
    size_t count = 0;
    int result;

    if (access == NULL) {
        struct trust *trust;

        check(trust_parse("anchor", ANCHOR, strlen(ANCHOR), &trust, NULL) == 0);
        check(access_new(&trust, 1, NULL, &access, NULL) == 0);
    }
    while (size >= 2 && count < CHAIN_MAX) {
        size_t len = (size_t)data[0] << 8 | data[1];

        len = len < size - 2 ? len : size - 2;
        chain[count++] = (struct identity_der){ data + 2, len };
        data += 2 + len;
        size -= 2 + len;
    }
    result = access_certificate(access, chain, count, NOW_S, &who, &fault, NULL);
    check((result == 0) == (fault == IDENTITY_OK));
    if (result == 0) {
        check_text(who.text);
    } else {
        check(result == -ERROR_UNAUTHENTICATED && who.text[0] == '\0');
    }
    if (count > 0) {
        read_first(&chain[0]);
    }
    return 0;
}
