/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/policy_memo.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct place {
    uint64_t used; /* by the memo's count of uses; 0: empty */
    bool is_bound;
    size_t text_len;
    char text[IDENTITY_TEXT_BYTES]; /* without its NUL */
    char groups[IDENTITY_GROUPS_BYTES];
    struct policy_rules rules;
};

struct policy_memo {
    pthread_mutex_t lock; /* of all */
    uint64_t uses;
    struct place places[POLICY_MEMO_BUCKETS][POLICY_MEMO_WAYS];
};

struct policy_memo *policy_memo_new(void)
{
    struct policy_memo *m =
        calloc(1, sizeof *m); /* 300 KiB, of which the kernel gives what is used */

    if (m != NULL) {
        (void)pthread_mutex_init(&m->lock, NULL);
    }
    return m;
}

void policy_memo_free(struct policy_memo *m)
{
    if (m != NULL) {
        (void)pthread_mutex_destroy(&m->lock);
        free(m);
    }
}

/* Groups are for the comparison: few callers have one name and several sets of them. */
static struct place *bucket_of(struct policy_memo *m, const struct identity *who, size_t text_len)
{
    return m->places[XXH3_64bits(who->text, text_len) % POLICY_MEMO_BUCKETS];
}

static bool is_his(const struct place *p, const struct identity *who, size_t text_len)
{
    return p->used > 0 && p->is_bound == who->is_bound && p->text_len == text_len &&
           memcmp(p->text, who->text, text_len) == 0 &&
           memcmp(p->groups, who->groups, sizeof p->groups) == 0;
}

static struct place *find(struct place *bucket, const struct identity *who, size_t text_len)
{
    for (int i = 0; i < POLICY_MEMO_WAYS; i++) {
        if (is_his(&bucket[i], who, text_len)) {
            return &bucket[i];
        }
    }
    return NULL;
}

bool policy_memo_find(struct policy_memo *m, const struct identity *who, struct policy_rules *out)
{
    size_t text_len = strnlen(who->text, sizeof who->text);

    (void)pthread_mutex_lock(&m->lock);
    struct place *p = find(bucket_of(m, who, text_len), who, text_len);

    if (p != NULL) {
        p->used = ++m->uses;
        *out = p->rules;
    }
    (void)pthread_mutex_unlock(&m->lock);
    return p != NULL;
}

void policy_memo_keep(struct policy_memo *m, const struct identity *who,
                      const struct policy_rules *rules)
{
    size_t text_len = strnlen(who->text, sizeof who->text);

    (void)pthread_mutex_lock(&m->lock);
    struct place *bucket = bucket_of(m, who, text_len);
    struct place *p = find(bucket, who, text_len); /* two requests at a time may both have looked */

    if (p == NULL) {
        p = &bucket[0];
        for (int i = 1; i < POLICY_MEMO_WAYS; i++) {
            p = bucket[i].used < p->used ? &bucket[i] : p;
        }
    }
    p->used = ++m->uses;
    p->is_bound = who->is_bound;
    p->text_len = text_len;
    memcpy(p->text, who->text, text_len);
    memcpy(p->groups, who->groups, sizeof p->groups);
    p->rules = *rules;
    (void)pthread_mutex_unlock(&m->lock);
}
