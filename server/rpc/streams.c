/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/streams.h"

#include <assert.h>

#include "server/rpc/state.h"

void streams_init(struct streams *s)
{
    (void)pthread_mutex_init(&s->lock, NULL);
    TAILQ_INIT(&s->list);
    s->count = 0;
    s->earliest_s = INT64_MAX;
}

void streams_done(struct streams *s)
{
    assert(s->count == 0);
    (void)pthread_mutex_destroy(&s->lock);
}

void streams_add(struct streams *s, struct stream_entry *e, struct call *call, int64_t not_after_s)
{
    (void)pthread_mutex_lock(&s->lock);
    e->call = call;
    e->not_after_s = not_after_s;
    s->earliest_s = not_after_s < s->earliest_s ? not_after_s : s->earliest_s;
    TAILQ_INSERT_TAIL(&s->list, e, link);
    s->count++;
    (void)pthread_mutex_unlock(&s->lock);
}

void streams_retime(struct streams *s, struct stream_entry *e, int64_t not_after_s)
{
    if (e->call == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    e->not_after_s = not_after_s;
    s->earliest_s = not_after_s < s->earliest_s ? not_after_s : s->earliest_s;
    (void)pthread_mutex_unlock(&s->lock);
}

void streams_remove(struct streams *s, struct stream_entry *e)
{
    if (e->call == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    TAILQ_REMOVE(&s->list, e, link);
    s->count--;
    (void)pthread_mutex_unlock(&s->lock);
    e->call = NULL;
}

void streams_wake(struct streams *s)
{
    struct stream_entry *e;

    (void)pthread_mutex_lock(&s->lock);
    TAILQ_FOREACH(e, &s->list, link)
    {
        exchange_urge(e->call);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

void streams_expire(struct streams *s, int64_t now_s)
{
    struct stream_entry *e;

    (void)pthread_mutex_lock(&s->lock);
    if (now_s > s->earliest_s) {
        s->earliest_s = INT64_MAX;
        TAILQ_FOREACH(e, &s->list, link)
        {
            if (now_s > e->not_after_s) {
                exchange_urge(e->call);
            }
            s->earliest_s = e->not_after_s < s->earliest_s ? e->not_after_s : s->earliest_s;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
}

unsigned streams_count(struct streams *s)
{
    (void)pthread_mutex_lock(&s->lock);
    unsigned count = s->count;

    (void)pthread_mutex_unlock(&s->lock);
    return count;
}
