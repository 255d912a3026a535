/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/mapper_state.h"

#include <string.h>

void mapper_state_init(struct mapper_state *s)
{
    *s = (struct mapper_state){ .up = NULL };
    pthread_mutex_init(&s->lock, NULL);
    failure_set(&s->down, ERROR_UNAVAILABLE, "it has not been reached yet");
}

void mapper_state_done(struct mapper_state *s)
{
    pthread_mutex_destroy(&s->lock);
}

void mapper_state_set_up(struct mapper_state *s, struct mapper_link *link,
                         const struct message_hello_answer *hello)
{
    pthread_mutex_lock(&s->lock);
    if (s->seen_any &&
        memcmp(s->hello.mapper_id, hello->mapper_id, sizeof(hello->mapper_id)) != 0) {
        s->restarts++;
    }
    s->seen_any = true;
    s->up = link;
    s->hello = *hello;
    pthread_mutex_unlock(&s->lock);
}

void mapper_state_set_down(struct mapper_state *s, const struct failure *why)
{
    pthread_mutex_lock(&s->lock);
    s->up = NULL;
    s->down = *why;
    pthread_mutex_unlock(&s->lock);
}

int mapper_state_unavailable(struct failure *f, const struct failure *why)
{
    struct failure told;
    int result =
        failure_set(&told, ERROR_UNAVAILABLE, "the gateway has no connection to its mapper");

    failure_cause(&told, result, "%s", why->message);
    failure_next(&told, result,
                 "try again in a moment; if it stays so, see the mapper's log on the host");
    if (f != NULL) {
        *f = told; /* `why` may have been `f` */
    }
    return result;
}

int mapper_state_take(struct mapper_state *s, struct mapper_link **out, unsigned *requests_max,
                      struct failure *f)
{
    int result = 0;

    pthread_mutex_lock(&s->lock);
    if (s->up != NULL) {
        *out = mapper_link_ref(s->up);
        *requests_max = s->hello.requests_max;
    } else {
        result = mapper_state_unavailable(f, &s->down);
    }
    pthread_mutex_unlock(&s->lock);
    return result;
}

bool mapper_state_hello(struct mapper_state *s, struct message_hello_answer *out)
{
    pthread_mutex_lock(&s->lock);
    bool there = s->up != NULL;

    if (there) {
        *out = s->hello;
    }
    pthread_mutex_unlock(&s->lock);
    return there;
}

uint64_t mapper_state_restarts(struct mapper_state *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t restarts = s->restarts;

    pthread_mutex_unlock(&s->lock);
    return restarts;
}
