/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/mapper_counters.h"

#include <string.h>

#include "common/clock.h"

void mapper_counters_init(struct mapper_counters *m)
{
    *m = (struct mapper_counters){ .asked = false };
    (void)pthread_mutex_init(&m->lock, NULL);
}

void mapper_counters_done(struct mapper_counters *m)
{
    (void)pthread_mutex_destroy(&m->lock);
}

static void on_answer(void *arg, const struct mapper_result *result)
{
    struct mapper_counters *m = arg;

    pthread_mutex_lock(&m->lock);
    m->asked = false;
    if (result->failure == NULL) {
        m->last = result->answer->counters_answer;
        m->taken_ns = clock_monotonic_ns();
    }
    pthread_mutex_unlock(&m->lock);
}

void mapper_counters_ask(struct mapper_counters *m, struct mapper_client *client)
{
    union message request __attribute__((uninitialized)); /* 27 KiB, of which this is the head */
    struct failure f;

    pthread_mutex_lock(&m->lock);
    bool is_first = !m->asked;

    m->asked = true;
    pthread_mutex_unlock(&m->lock);
    if (!is_first) {
        return;
    }
    memset(&request.plain, 0, sizeof(request.plain));
    request.head.type = MESSAGE_COUNTERS;
    /* No deadline: one that passed would free us to ask again, and each of those questions would
     * keep one of the mapper's few places until it answers. */
    if (mapper_client_call(client, &request, UINT64_MAX, on_answer, m, &f) != 0) {
        pthread_mutex_lock(&m->lock);
        m->asked = false;
        pthread_mutex_unlock(&m->lock);
    }
}

void mapper_counters_forget(struct mapper_counters *m)
{
    pthread_mutex_lock(&m->lock);
    m->taken_ns = 0;
    pthread_mutex_unlock(&m->lock);
}

bool mapper_counters_read(struct mapper_counters *m, struct message_counters_answer *out,
                          uint64_t *age_ns)
{
    pthread_mutex_lock(&m->lock);
    bool is_known = m->taken_ns != 0;

    if (is_known) {
        *out = m->last;
        *age_ns = clock_monotonic_ns() - m->taken_ns;
    }
    pthread_mutex_unlock(&m->lock);
    return is_known;
}
