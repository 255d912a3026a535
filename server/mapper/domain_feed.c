/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See domain_feed.h. */
#include "server/mapper/domain_feed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/ring.h"
#include "server/mapper/inventory.h"
#include "server/mapper/spool.h"

struct domain_feed {
    const struct export_list *export;
    struct allowance *memory;
    struct ring *ring;
    uint64_t capacity_bytes;
    uint64_t number; /* of the last event */
    uint8_t id[FEED_ID_BYTES];
};

int domain_feed_new(const struct export_list *export, uint64_t most_bytes, struct allowance *memory,
                    struct domain_feed **out, struct failure *f)
{
    struct domain_feed *d = calloc(1, sizeof(*d));
    if (!d) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the feed of domains");
    }
    d->export = export;
    d->memory = memory;
    d->capacity_bytes = SPOOL_MIN_BYTES;
    while (d->capacity_bytes * 2 <= most_bytes && d->capacity_bytes < DOMAIN_FEED_BYTES) {
        d->capacity_bytes *= 2;
    }
    int result = allowance_take(memory, d->capacity_bytes, f);
    if (result == 0) {
        result = ring_new(d->capacity_bytes, NULL, &d->ring, f);
        if (result < 0) {
            allowance_give(memory, d->capacity_bytes);
        }
    }
    if (result < 0) {
        free(d);
        return result;
    }
    ssize_t drawn = getrandom(d->id, sizeof(d->id), 0);
    assert(drawn == sizeof(d->id)); /* so few bytes are never cut or interrupted */
    *out = d;
    return 0;
}

void domain_feed_free(struct domain_feed *d)
{
    if (!d) {
        return;
    }
    ring_free(d->ring);
    allowance_give(d->memory, d->capacity_bytes);
    free(d);
}

const uint8_t *domain_feed_id(const struct domain_feed *d)
{
    return d->id;
}

int domain_feed_fd(const struct domain_feed *d)
{
    return ring_fd(d->ring);
}

uint64_t domain_feed_bytes(const struct domain_feed *d)
{
    return d->capacity_bytes;
}

uint64_t domain_feed_events(const struct domain_feed *d)
{
    return d->number;
}

static void append(struct domain_feed *d, uint32_t kind, const void *record, size_t len_bytes)
{
    const struct ring_part part = { record, len_bytes };
    struct failure f;
    if (ring_append(d->ring, kind, &part, 1, &f) < 0) {
        log_failure(LOG_LEVEL_ERROR, "writing to the feed of domains", &f);
    }
}

static bool is_listed(const struct domain_feed *d, const struct domain_identity *identity)
{
    return export_allows_any(d->export, identity, EXPORT_LIST);
}

bool domain_feed_tell(struct domain_feed *d, enum feed_domain_kind kind,
                      const struct directory_entry *e, const struct domain_identity *before,
                      uint64_t generation)
{
    struct feed_domain record = { .wall_ns = clock_wall_ns(),
                                  .monotonic_ns = clock_monotonic_ns(),
                                  .generation = generation,
                                  .kind = kind,
                                  .now = inventory_domain(e) };
    bool is_known = is_listed(d, before ? before : &e->identity);
    bool is_to_be_known = is_listed(d, &e->identity);
    if (!is_known && !is_to_be_known) {
        return false;
    }
    if (is_known && !is_to_be_known) {
        record.kind = FEED_DOMAIN_GONE;
        record.now.identity = *before;
    } else if (!is_known) {
        record.kind = FEED_DOMAIN_CREATED;
    } else if (before) {
        record.before = *before;
        record.had_name = 1;
    }
    record.number = ++d->number;
    append(d, FEED_RECORD_DOMAIN, &record, sizeof(record));
    return true;
}

void domain_feed_end(struct domain_feed *d, enum feed_end_reason reason)
{
    const struct feed_end record = { .wall_ns = clock_wall_ns(),
                                     .monotonic_ns = clock_monotonic_ns(),
                                     .batch = d->number,
                                     .reason = reason };
    append(d, FEED_RECORD_END, &record, sizeof(record));
}
