/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the mapper counts, as it last told. Who reads never waits: the mapper is asked in the
 * background, one question at a time, and while it does not answer its last answer stands, and grows
 * old. Nothing is known of a mapper that is gone.
 *
 * In place, owned by whoever makes the mapper client, and outlives that. Any thread. Lock: one,
 * nothing is called under it.
 */
#ifndef XENRES_RESOURCE_MAPPER_COUNTERS_H
#define XENRES_RESOURCE_MAPPER_COUNTERS_H

#include <pthread.h>

#include "server/resource/mapper_client.h"

struct mapper_counters {
    pthread_mutex_t lock;
    bool asked;        /* under `lock`, as the next two: its answer is to come */
    uint64_t taken_ns; /* monotonic; 0: nothing is known */
    struct message_counters_answer last;
};

void mapper_counters_init(struct mapper_counters *m);
void mapper_counters_done(struct mapper_counters *m);

/* Asks, unless there is no mapper or it has not answered yet. */
void mapper_counters_ask(struct mapper_counters *m, struct mapper_client *client);
/* The connection ended (mapper_client's on_connected). */
void mapper_counters_forget(struct mapper_counters *m);
/* False: nothing is known. */
bool mapper_counters_read(struct mapper_counters *m, struct message_counters_answer *out,
                          uint64_t *age_ns);

#endif
