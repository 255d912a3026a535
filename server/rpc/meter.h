/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What came of the requests, counted: for each method of the table how many ended with which code,
 * how long they took, and the bytes of their answers. Requests for no method of the table share one
 * row, so that nothing that a client sends becomes a name, and the size is that of the table.
 *
 * Any thread, no lock: relaxed adds, three or four a request. A reader may see some of a request's
 * counts before others.
 */
#ifndef XENRES_RPC_METER_H
#define XENRES_RPC_METER_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct method_table;
struct method;
struct meter;

/* Upper bounds of the durations that are counted apart; what is longer is in the last one. */
#define METER_BOUNDS_NS                                                                            \
    {                                                                                              \
        250000, 1000000, 4000000, 16000000, 64000000, 250000000, 1000000000, 4000000000,           \
            16000000000                                                                            \
    }
enum {
    METER_BUCKETS = 10, /* one more than bounds */
    METER_CODES = ERROR_UNAUTHENTICATED + 1,
};

int meter_new(const struct method_table *table, struct meter **out, struct failure *f);
void meter_free(struct meter *m); /* NULL is fine */

struct meter_event {
    const struct method *method; /* of the table; NULL: of none */
    enum error_code code;
    uint64_t duration_ns;
    uint64_t body_bytes;
};
void meter_count(struct meter *m, const struct meter_event *e);

struct meter_row {
    const char *method; /* its path in the table; "unknown" */
    uint64_t codes[METER_CODES];
    uint64_t buckets[METER_BUCKETS]; /* each by itself, not with those below it */
    uint64_t duration_sum_ns;
    uint64_t body_bytes;
};
size_t meter_rows(const struct meter *m);
void meter_read(const struct meter *m, size_t index, struct meter_row *out);

#endif
