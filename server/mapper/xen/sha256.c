/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/xen/sha256.h"

#include <assert.h>
#include <string.h>

enum { BLOCK_BYTES = 64, ROUNDS = 64, LENGTH_BYTES = 8 };

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t initial_state[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

struct digest {
    uint32_t state[8];
    uint8_t block[BLOCK_BYTES];
    uint64_t len_bytes;         /* of all that was added */
};

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return (word >> bits) | (word << (32 - bits));
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void expand(const uint8_t block[BLOCK_BYTES], uint32_t words[ROUNDS])
{
    for (unsigned i = 0; i < 16; i++) {
        words[i] = big_endian(block + (size_t)i * 4);
    }
    for (unsigned i = 16; i < ROUNDS; i++) {
        uint32_t a = words[i - 15];
        uint32_t b = words[i - 2];

        words[i] = words[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ (a >> 3)) +
                   words[i - 7] + (rotate(b, 17) ^ rotate(b, 19) ^ (b >> 10));
    }
}

static void compress(struct digest *d)
{
    uint32_t words[ROUNDS];
    uint32_t s[8];

    expand(d->block, words);
    memcpy(s, d->state, sizeof(s));
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t first = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
                         ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_constants[i] + words[i];
        uint32_t second = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
                          ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

        memmove(s + 1, s, 7 * sizeof(s[0]));
        s[4] += first;
        s[0] = first + second;
    }
    for (unsigned i = 0; i < 8; i++) {
        d->state[i] += s[i];
    }
}

static void digest_init(struct digest *d)
{
    memcpy(d->state, initial_state, sizeof(d->state));
    d->len_bytes = 0;
}

static void digest_add(struct digest *d, const void *data, size_t len_bytes)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len_bytes; i++) {
        d->block[d->len_bytes++ % BLOCK_BYTES] = bytes[i];
        if (d->len_bytes % BLOCK_BYTES == 0) {
            compress(d);
        }
    }
}

static void digest_end(struct digest *d, uint8_t out[SHA256_BYTES])
{
    const uint64_t len_bits = d->len_bytes * 8;
    uint8_t length[LENGTH_BYTES];

    for (unsigned i = 0; i < LENGTH_BYTES; i++) {
        length[i] = (uint8_t)(len_bits >> (56 - 8 * i));
    }
    digest_add(d, "\x80", 1);
    while (d->len_bytes % BLOCK_BYTES != BLOCK_BYTES - LENGTH_BYTES) {
        digest_add(d, "", 1);
    }
    digest_add(d, length, sizeof(length));
    for (unsigned i = 0; i < SHA256_BYTES; i++) {
        out[i] = (uint8_t)(d->state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

void sha256_hmac(const void *key, size_t key_bytes, const void *data, size_t len_bytes,
                 uint8_t out[SHA256_BYTES])
{
    uint8_t pad[SHA256_KEY_MAX] = { 0 };
    struct digest inner;
    struct digest outer;

    assert(key_bytes <= sizeof(pad));
    memcpy(pad, key, key_bytes);
    for (unsigned i = 0; i < sizeof(pad); i++) {
        pad[i] ^= 0x36;
    }
    digest_init(&inner);
    digest_add(&inner, pad, sizeof(pad));
    digest_add(&inner, data, len_bytes);
    digest_end(&inner, out);

    for (unsigned i = 0; i < sizeof(pad); i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }
    digest_init(&outer);
    digest_add(&outer, pad, sizeof(pad));
    digest_add(&outer, out, SHA256_BYTES);
    digest_end(&outer, out);
}
