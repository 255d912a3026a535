/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Feeds played by a test, in the place of server/resource/feeds.c: what a subscription is to be given, the
 * test puts into its queue. One thread, but for the wakes, which are the test's.
 */
#ifndef XENRES_TESTS_FAKE_FEEDS_H
#define XENRES_TESTS_FAKE_FEEDS_H

#include "tests/lib/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/resource/feeds.h"

enum { FAKE_FEEDS_ITEMS = 32, FAKE_FEEDS_SUBSCRIPTIONS = 8 };

struct shared_bytes {
    unsigned refs;
    size_t len_bytes;
    uint8_t bytes[];
};

struct subscription {
    struct subscription_request request;
    struct feed_cursor resumed; /* the request's, where it had one */
    struct subscription_item items[FAKE_FEEDS_ITEMS];
    int failures[FAKE_FEEDS_ITEMS]; /* instead of the item */
    size_t put, taken;
    uint64_t batch;
    bool has_cursor, ended;
    uint64_t again_ns; /* so much later there may be something; 0: it is waked for */
    unsigned looks;
};

struct feeds {
    struct subscription all[FAKE_FEEDS_SUBSCRIPTIONS];
    size_t count;
    int refuse; /* the next subscription */
    struct shared_bytes *shared[FEEDS_VARIANTS];
    unsigned shares, uses;
};

static struct feeds fake_feeds;

int feeds_new(struct mapper_client *mapper, const struct feeds_options *options, struct feeds **out,
              struct failure *f)
{
    (void)mapper, (void)options, (void)f;
    fake_feeds = (struct feeds){ .count = 0 };
    *out = &fake_feeds;
    return 0;
}

void feeds_free(struct feeds *s)
{
    for (size_t i = 0; i < FEEDS_VARIANTS; i++) {
        shared_bytes_unref(s->shared[i]);
    }
    for (size_t i = 0; i < s->count; i++) {
        assert_true(s->all[i].ended);
    }
}

void feeds_stop(struct feeds *s)
{
    (void)s;
}

void feeds_connected(struct feeds *s, bool connected)
{
    (void)s, (void)connected;
}

void feeds_count(struct feeds *s, struct feeds_counters *out)
{
    (void)s;
    *out = (struct feeds_counters){ .feeds = 0 };
}

int subscription_begin(struct feeds *s, const struct subscription_request *request,
                       struct subscription **out, struct failure *f)
{
    if (s->refuse != 0) {
        return failure_set(f, (enum error_code)s->refuse, "as the test wants it");
    }
    assert_true(s->count < FAKE_FEEDS_SUBSCRIPTIONS);
    struct subscription *u = &s->all[s->count++];

    *u = (struct subscription){ .request = *request };
    if (request->cursor != NULL) {
        u->resumed = *request->cursor;
    }
    *out = u;
    return 0;
}

void subscription_end(struct subscription *u)
{
    if (u != NULL) {
        u->ended = true;
    }
}

int subscription_next(struct subscription *u, struct subscription_item *out, struct failure *f)
{
    assert_false(u->ended);
    u->looks++;
    if (u->taken == u->put) {
        *out = (struct subscription_item){
            .kind = SUBSCRIPTION_NOTHING,
            .wake_ns = u->again_ns > 0 ? clock_monotonic_ns() + u->again_ns : UINT64_MAX,
        };
        return 0;
    }
    size_t index = u->taken++;

    if (u->failures[index] != 0) {
        return failure_set(f, (enum error_code)u->failures[index], "as the test wants it");
    }
    *out = u->items[index];
    switch (out->kind) {
    case SUBSCRIPTION_BEGUN: u->batch = out->begun.batch; break;
    case SUBSCRIPTION_IMAGE: u->batch = out->image.answer.batch; break;
    case SUBSCRIPTION_MERGED: u->batch = out->merged.batch; break;
    case SUBSCRIPTION_GAP: u->batch = out->gap.batch; break;
    case SUBSCRIPTION_RECORD:
        u->batch = out->record.record.kind == FEED_RECORD_DOMAIN
                       ? out->record.record.domain->number
                       : out->record.record.changes->batch;
        break;
    default: break;
    }
    u->has_cursor =
        out->kind == SUBSCRIPTION_IMAGE || out->kind == SUBSCRIPTION_RECORD ||
        out->kind == SUBSCRIPTION_MERGED ||
        (out->kind == SUBSCRIPTION_BEGUN && (out->begun.resumed || u->request.source.is_domains)) ||
        (u->has_cursor && out->kind == SUBSCRIPTION_STILL);
    return 0;
}

bool subscription_cursor(const struct subscription *u, struct feed_cursor *out)
{
    const struct feed_source *s = &u->request.source;

    *out = (struct feed_cursor){ .feed_id = { 9 },
                                 .type = s->type,
                                 .id = s->id,
                                 .first_frame = s->first_frame,
                                 .frame_count = s->frame_count,
                                 .flags = s->flags,
                                 .batch = u->batch };
    memcpy(out->incarnation, s->domain.incarnation, sizeof(out->incarnation));
    return u->has_cursor;
}

uint64_t subscription_lag(const struct subscription *u)
{
    return u->put - u->taken;
}

const void *shared_bytes_data(const struct shared_bytes *b, size_t *len_bytes)
{
    *len_bytes = b->len_bytes;
    return b->bytes;
}

void shared_bytes_unref(struct shared_bytes *b)
{
    if (b != NULL && --b->refs == 0) {
        free(b);
    }
}

struct shared_bytes *subscription_shared(struct subscription *u, unsigned variant)
{
    struct shared_bytes *b = fake_feeds.shared[variant];

    (void)u;
    if (b != NULL) {
        b->refs++;
        fake_feeds.uses++;
    }
    return b;
}

struct shared_bytes *subscription_share(struct subscription *u, unsigned variant, const void *bytes,
                                        size_t len_bytes)
{
    struct shared_bytes *b = malloc(sizeof(*b) + len_bytes);

    (void)u;
    assert_non_null(b);
    *b = (struct shared_bytes){ .refs = 2, .len_bytes = len_bytes };
    memcpy(b->bytes, bytes, len_bytes);
    shared_bytes_unref(fake_feeds.shared[variant]);
    fake_feeds.shared[variant] = b;
    fake_feeds.shares++;
    return b;
}

/* --- what the test does --------------------------------------------------------------------------------- */

/* Another record comes: nobody has made anything of it. */
static inline void fake_feeds_forget_shared(void)
{
    for (size_t i = 0; i < FEEDS_VARIANTS; i++) {
        shared_bytes_unref(fake_feeds.shared[i]);
        fake_feeds.shared[i] = NULL;
    }
}

static inline void fake_feeds_put(struct subscription *u, const struct subscription_item *item)
{
    if (u == NULL) {
        fail_msg("it has not subscribed");
        return;
    }
    assert_true(u->put < FAKE_FEEDS_ITEMS);
    u->items[u->put++] = *item;
    u->request.wake(u->request.arg);
}

static inline void fake_feeds_fail(struct subscription *u, enum error_code code)
{
    if (u == NULL) {
        fail_msg("it has not subscribed");
        return;
    }
    assert_true(u->put < FAKE_FEEDS_ITEMS);
    u->failures[u->put++] = (int)code;
    u->request.wake(u->request.arg);
}

static inline void fake_feeds_begin(struct subscription *u, uint64_t batch, bool resumed)
{
    fake_feeds_put(u, &(struct subscription_item){ .kind = SUBSCRIPTION_BEGUN,
                                                   .begun = { .feed_id = { 9 },
                                                              .period_ns = 20000000,
                                                              .resumed = resumed,
                                                              .batch = batch } });
}

#endif
