/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/token_memory.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct place {
    uint64_t used; /* by the memory's count of uses; 0: empty */
    uint8_t digest[TOKEN_DIGEST_BYTES];
    struct token token;
};

struct token_memory {
    EVP_MD *sha256;       /* looked up once: that costs as much as the digest */
    pthread_mutex_t lock; /* of all that follows: held for the copy of one token */
    uint64_t uses;
    struct place places[TOKEN_MEMORY_BUCKETS][TOKEN_MEMORY_WAYS];
};

struct token_memory *token_memory_new(void)
{
    struct token_memory *m =
        calloc(1, sizeof(*m)); /* 1 MiB, of which the kernel gives what is used */

    if (m == NULL) {
        return NULL;
    }
    m->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (m->sha256 == NULL) {
        free(m);
        return NULL;
    }
    (void)pthread_mutex_init(&m->lock, NULL);
    return m;
}

void token_memory_free(struct token_memory *m)
{
    if (m != NULL) {
        (void)pthread_mutex_destroy(&m->lock);
        EVP_MD_free(m->sha256);
        free(m);
    }
}

bool token_digest(struct token_memory *m, const char *token, size_t len,
                  uint8_t digest[TOKEN_DIGEST_BYTES])
{
    return EVP_Digest(token, len, digest, NULL, m->sha256, NULL) == 1;
}

static struct place *bucket_of(struct token_memory *m, const uint8_t digest[TOKEN_DIGEST_BYTES])
{
    return m->places[digest[0] % TOKEN_MEMORY_BUCKETS];
}

static struct place *find(struct place *bucket, const uint8_t digest[TOKEN_DIGEST_BYTES])
{
    for (int i = 0; i < TOKEN_MEMORY_WAYS; i++) {
        if (bucket[i].used > 0 && memcmp(bucket[i].digest, digest, TOKEN_DIGEST_BYTES) == 0) {
            return &bucket[i];
        }
    }
    return NULL;
}

bool token_memory_find(struct token_memory *m, const uint8_t digest[TOKEN_DIGEST_BYTES],
                       int64_t now_s, struct token *out)
{
    bool found = false;

    (void)pthread_mutex_lock(&m->lock);
    struct place *p = find(bucket_of(m, digest), digest);

    if (p != NULL && p->token.who.not_after_s < now_s) {
        p->used = 0;
    } else if (p != NULL) {
        p->used = ++m->uses;
        *out = p->token;
        found = true;
    }
    (void)pthread_mutex_unlock(&m->lock);
    return found;
}

/* Empty and expired ones first, then the one that was used longest ago. */
static struct place *choose(struct place *bucket, int64_t now_s)
{
    struct place *oldest = &bucket[0];

    for (int i = 0; i < TOKEN_MEMORY_WAYS; i++) {
        if (bucket[i].used == 0 || bucket[i].token.who.not_after_s < now_s) {
            return &bucket[i];
        }
        if (bucket[i].used < oldest->used) {
            oldest = &bucket[i];
        }
    }
    return oldest;
}

void token_memory_keep(struct token_memory *m, const uint8_t digest[TOKEN_DIGEST_BYTES],
                       int64_t now_s, const struct token *token)
{
    (void)pthread_mutex_lock(&m->lock);
    struct place *bucket = bucket_of(m, digest);
    struct place *p = find(bucket, digest); /* two requests at a time may both have verified it */

    if (p == NULL) {
        p = choose(bucket, now_s);
    }
    p->used = ++m->uses;
    memcpy(p->digest, digest, TOKEN_DIGEST_BYTES);
    p->token = *token;
    (void)pthread_mutex_unlock(&m->lock);
}
