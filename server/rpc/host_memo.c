/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/host_memo.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

enum { MAPPER_ID_BYTES = 16 };

struct host_memo {
    pthread_mutex_t lock; /* of all below */
    uint64_t fresh_until_ns;
    uint8_t mapper_id[MAPPER_ID_BYTES];
    struct message_host_answer answer;
};

int host_memo_new(struct host_memo **out, struct failure *f)
{
    struct host_memo *m = calloc(1, sizeof(*m));

    if (m == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for what is known of the host");
    }
    (void)pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return 0;
}

void host_memo_free(struct host_memo *m)
{
    if (m != NULL) {
        (void)pthread_mutex_destroy(&m->lock);
        free(m);
    }
}

bool host_memo_get(struct host_memo *m, const uint8_t *mapper_id, struct message_host_answer *out)
{
    uint64_t now_ns = clock_monotonic_ns();

    (void)pthread_mutex_lock(&m->lock);
    bool fresh =
        now_ns < m->fresh_until_ns && memcmp(m->mapper_id, mapper_id, MAPPER_ID_BYTES) == 0;

    if (fresh) {
        *out = m->answer;
    }
    (void)pthread_mutex_unlock(&m->lock);
    return fresh;
}

void host_memo_put(struct host_memo *m, const uint8_t *mapper_id,
                   const struct message_host_answer *answer)
{
    uint64_t now_ns = clock_monotonic_ns();

    (void)pthread_mutex_lock(&m->lock);
    m->fresh_until_ns = now_ns + HOST_MEMO_FRESH_MS * CLOCK_NS_PER_MS;
    memcpy(m->mapper_id, mapper_id, MAPPER_ID_BYTES);
    m->answer = *answer;
    (void)pthread_mutex_unlock(&m->lock);
}
