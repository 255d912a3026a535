/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/meter.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "server/rpc/method.h"

static const uint64_t bounds_ns[] = METER_BOUNDS_NS;
_Static_assert(sizeof(bounds_ns) / sizeof(bounds_ns[0]) + 1 == METER_BUCKETS, "buckets");

struct row {
    _Atomic uint64_t codes[METER_CODES];
    _Atomic uint64_t buckets[METER_BUCKETS];
    _Atomic uint64_t duration_sum_ns, body_bytes;
};

struct meter {
    const struct method_table *table;
    size_t count;      /* of its methods */
    struct row rows[]; /* as many as methods, and one for what is none */
};

int meter_new(const struct method_table *table, struct meter **out, struct failure *f)
{
    struct meter *m = calloc(1, sizeof(*m) + (table->count + 1) * sizeof(m->rows[0]));

    if (m == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory to count requests");
    }
    m->table = table;
    m->count = table->count;
    *out = m;
    return 0;
}

void meter_free(struct meter *m)
{
    free(m);
}

static void add(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static size_t bucket_of(uint64_t duration_ns)
{
    size_t bucket = 0;

    while (bucket < METER_BUCKETS - 1 && duration_ns > bounds_ns[bucket]) {
        bucket++;
    }
    return bucket;
}

void meter_count(struct meter *m, const struct meter_event *e)
{
    size_t index = e->method != NULL ? (size_t)(e->method - m->table->methods) : m->count;
    /* A mapper that lies may have a code of its own. */
    size_t code = (unsigned)e->code < METER_CODES ? (size_t)e->code : ERROR_UNKNOWN;

    assert(index <= m->count);
    struct row *row = &m->rows[index];

    add(&row->codes[code], 1);
    add(&row->buckets[bucket_of(e->duration_ns)], 1);
    add(&row->duration_sum_ns, e->duration_ns);
    if (e->body_bytes > 0) {
        add(&row->body_bytes, e->body_bytes);
    }
}

size_t meter_rows(const struct meter *m)
{
    return m->count + 1;
}

static uint64_t value_of(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void meter_read(const struct meter *m, size_t index, struct meter_row *out)
{
    const struct row *row = &m->rows[index];

    *out = (struct meter_row){
        .method = index < m->count ? m->table->methods[index].path : "unknown",
        .duration_sum_ns = value_of(&row->duration_sum_ns),
        .body_bytes = value_of(&row->body_bytes),
    };
    for (size_t i = 0; i < METER_CODES; i++) {
        out->codes[i] = value_of(&row->codes[i]);
    }
    for (size_t i = 0; i < METER_BUCKETS; i++) {
        out->buckets[i] = value_of(&row->buckets[i]);
    }
}
