/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What ties the audit's records to each other. A record's line is
 *
 *      {"seq":N,BODY,"mac":"M"}\n
 *
 * with M in lower-case hex, and
 *
 *      digest N   = SHA-256(digest N-1, M N-1, and the line's bytes up to before `,"mac"`)
 *      M N        = the first half of SHA-256(key N, digest N)
 *      key N+1    = SHA-256("xenresd audit: next key", key N)
 *
 * so that a line is hashed once, for those who have the key and those who have not. HMAC would add what is
 * needed for messages of any length: here all have one, so that none can be made longer, and a key has one,
 * or where writing failed a few. The key before is wiped once a record is written: who takes the process over
 * can make no record of the past, not even the last one, since what he finds makes the next one only. Who has
 * key 1 (kept elsewhere) can check each record; who has the public key, each up to the last checkpoint, which
 * signs the sum of all that was before it, SHA-256(digest N-1, M N-1) (Ed25519). Digest and M before record 1
 * are zeros.
 *
 * Arithmetic alone; no files. A `struct audit_crypto` is one thread's at a time.
 */
#ifndef XENRES_AUTH_AUDIT_CHAIN_H
#define XENRES_AUTH_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/audit_record.h"
#include "common/error.h"

enum {
    AUDIT_KEY_BYTES = 32,
    AUDIT_MAC_BYTES = 16,
    AUDIT_DIGEST_BYTES = 32,
    AUDIT_ID_BYTES = 16,
    AUDIT_SIGNATURE_BYTES = 64,
    AUDIT_SIGNING_KEY_BYTES = 32,
};

/* Where the chain is: of the record that comes next. */
struct audit_link {
    uint64_t sequence; /* from 1 */
    uint8_t key[AUDIT_KEY_BYTES];
    uint8_t mac[AUDIT_MAC_BYTES]; /* of the record before, and so the digest */
    uint8_t digest[AUDIT_DIGEST_BYTES];
};

struct audit_crypto;
int audit_crypto_new(struct audit_crypto **out, struct failure *f);
void audit_crypto_free(struct audit_crypto *c); /* NULL is fine */

void audit_link_first(struct audit_link *link, const uint8_t key[AUDIT_KEY_BYTES]);
/* What names the chain that begins with this key, and says nothing of it. */
int audit_chain_id(struct audit_crypto *c, const uint8_t key[AUDIT_KEY_BYTES],
                   uint8_t id[AUDIT_ID_BYTES]);

/* The key of the next record; in place. */
int audit_chain_next_key(struct audit_crypto *c, uint8_t key[AUDIT_KEY_BYTES]);
/* The digest of the record that comes next, of which these are the covered bytes. */
int audit_chain_digest(struct audit_crypto *c, const struct audit_link *before, const void *covered,
                       size_t len, uint8_t digest[AUDIT_DIGEST_BYTES]);
int audit_chain_mac(struct audit_crypto *c, const uint8_t key[AUDIT_KEY_BYTES],
                    const uint8_t digest[AUDIT_DIGEST_BYTES], uint8_t mac[AUDIT_MAC_BYTES]);
/* What stands for all that was before, macs included. */
int audit_chain_sum(struct audit_crypto *c, const struct audit_link *link,
                    uint8_t sum[AUDIT_DIGEST_BYTES]);

/* Makes the whole line of a body, and the link behind it. `line` has AUDIT_LINE_MAX_BYTES. Returns its
 * length; 0: the library failed. `after` may be `before`. */
size_t audit_chain_seal(struct audit_crypto *c, const struct audit_link *before, const char *body,
                        size_t body_len, char *line, struct audit_link *after);

/* --- checkpoints ---------------------------------------------------------------------------------- */

/* A signing key, made ready once: that takes longer than to sign. */
struct audit_signer;
int audit_signer_new(const uint8_t key[AUDIT_SIGNING_KEY_BYTES], struct audit_signer **out,
                     struct failure *f);
void audit_signer_free(struct audit_signer *s); /* NULL is fine */

/* What is signed is the line from its `{` to before `,"signature":"`; it has the sum. */
int audit_chain_sign(const struct audit_signer *s, const void *bytes, size_t len,
                     uint8_t signature[AUDIT_SIGNATURE_BYTES]);
bool audit_chain_signed(const uint8_t public_key[AUDIT_SIGNING_KEY_BYTES], const void *bytes,
                        size_t len, const uint8_t signature[AUDIT_SIGNATURE_BYTES]);
int audit_signer_public(const struct audit_signer *s, uint8_t public_key[AUDIT_SIGNING_KEY_BYTES],
                        struct failure *f);

#endif
