/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The chain against the manual page, xenresd-audit(5), computed a piece at a time. */
#include "auth/audit_chain.h"

#include <inttypes.h>
#include <openssl/evp.h>

#include "common/text.h"
#include "tests/lib/unit.h"

enum { RECORDS = 3 };

struct digest {
    uint8_t bytes[AUDIT_DIGEST_BYTES];
};

struct mac {
    uint8_t bytes[AUDIT_MAC_BYTES];
};

static struct digest sha256(const void *bytes, size_t len)
{
    struct digest d;

    assert_int_equal(EVP_Digest(bytes, len, d.bytes, NULL, EVP_sha256(), NULL), 1);
    return d;
}

static struct mac mac_of(const struct digest *key, const struct digest *digest)
{
    uint8_t both[sizeof key->bytes + sizeof digest->bytes];
    struct mac mac;

    memcpy(both, key->bytes, sizeof key->bytes);
    memcpy(both + sizeof key->bytes, digest->bytes, sizeof digest->bytes);
    const struct digest whole = sha256(both, sizeof both);

    memcpy(mac.bytes, whole.bytes, sizeof mac.bytes);
    return mac;
}

/* Of the record before, and of what comes then. */
static struct digest joined(const struct digest *digest, const struct mac *mac, const char *text,
                            size_t len)
{
    uint8_t all[sizeof digest->bytes + sizeof mac->bytes + AUDIT_LINE_MAX_BYTES];

    memcpy(all, digest->bytes, sizeof digest->bytes);
    memcpy(all + sizeof digest->bytes, mac->bytes, sizeof mac->bytes);
    memcpy(all + sizeof digest->bytes + sizeof mac->bytes, text, len);
    return sha256(all, sizeof digest->bytes + sizeof mac->bytes + len);
}

static struct digest next_key(const struct digest *key)
{
    static const char label[] = "xenresd audit: next key";
    uint8_t all[sizeof label - 1 + sizeof key->bytes];

    memcpy(all, label, sizeof label - 1);
    memcpy(all + sizeof label - 1, key->bytes, sizeof key->bytes);
    return sha256(all, sizeof all);
}

static void lines_are_as_the_manual_page_says(void **state)
{
    const char body[] = "\"time\":\"2026-01-01T00:00:00.000000Z\",\"event\":\"stop\"";
    struct digest key = { { 1, 2, 3 } }, digest = { { 0 } };
    struct mac mac = { { 0 } };
    struct audit_crypto *c = NULL;
    struct audit_link link;
    uint8_t sum[AUDIT_DIGEST_BYTES];

    (void)state;
    assert_int_equal(audit_crypto_new(&c, NULL), 0);
    audit_link_first(&link, key.bytes);
    link.sequence = UINT64_C(9999999999999999998); /* and two more, of a digit more */
    for (unsigned i = 0; i < RECORDS; i++) {
        char line[AUDIT_LINE_MAX_BYTES], wanted[AUDIT_LINE_MAX_BYTES], hex[2 * AUDIT_MAC_BYTES + 1];
        int covered =
            snprintf(wanted, sizeof wanted, "{\"seq\":%" PRIu64 ",%s", link.sequence, body);
        size_t len = audit_chain_seal(c, &link, body, sizeof body - 1, line, &link);

        digest = joined(&digest, &mac, wanted, (size_t)covered);
        mac = mac_of(&key, &digest);
        key = next_key(&key);
        text_from_hex(mac.bytes, sizeof mac.bytes, hex);
        covered +=
            snprintf(wanted + covered, sizeof wanted - (size_t)covered, ",\"mac\":\"%s\"}\n", hex);
        assert_int_equal(len, covered);
        assert_memory_equal(line, wanted, len);
        assert_memory_equal(link.key, key.bytes, sizeof link.key);
    }
    assert_int_equal(audit_chain_sum(c, &link, sum), 0);
    digest = joined(&digest, &mac, "", 0);
    assert_memory_equal(sum, digest.bytes, sizeof sum);
    audit_crypto_free(c);
}

static void a_chain_begins_with_one(void **state)
{
    const uint8_t key[AUDIT_KEY_BYTES] = { 7 };
    struct audit_crypto *c = NULL;
    struct audit_link link;
    char line[AUDIT_LINE_MAX_BYTES];

    (void)state;
    assert_int_equal(audit_crypto_new(&c, NULL), 0);
    audit_link_first(&link, key);
    assert_true(audit_chain_seal(c, &link, "\"a\":1", 5, line, &link) > 0);
    assert_memory_equal(line, "{\"seq\":1,\"a\":1,\"mac\":\"", 22);
    assert_int_equal(link.sequence, 2);
    audit_crypto_free(c);
}

static void a_signature_is_of_its_key_and_bytes(void **state)
{
    const uint8_t key[AUDIT_SIGNING_KEY_BYTES] = { 5 };
    uint8_t public_key[AUDIT_SIGNING_KEY_BYTES], signature[AUDIT_SIGNATURE_BYTES];
    struct audit_signer *s = NULL;

    (void)state;
    assert_int_equal(audit_signer_new(key, &s, NULL), 0);
    assert_int_equal(audit_signer_public(s, public_key, NULL), 0);
    for (unsigned i = 0; i < 2; i++) { /* it signs as often as it is asked to */
        assert_int_equal(audit_chain_sign(s, "bytes", 5, signature), 0);
        assert_true(audit_chain_signed(public_key, "bytes", 5, signature));
    }
    assert_false(audit_chain_signed(public_key, "byteS", 5, signature));
    public_key[0] ^= 1;
    assert_false(audit_chain_signed(public_key, "bytes", 5, signature));
    audit_signer_free(s);
    audit_signer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_as_the_manual_page_says),
        cmocka_unit_test(a_chain_begins_with_one),
        cmocka_unit_test(a_signature_is_of_its_key_and_bytes),
    };

    return UNIT_RUN(tests);
}
