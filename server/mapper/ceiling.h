/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The mapper's own ceiling on hypercalls per second, of requests and of samples together. xenresd has
 * quotas of its own; this one holds also when xenresd was taken over. A bucket of a quarter of a second's
 * worth: what was made is taken from it afterwards, and what comes while it is empty is refused at once.
 *
 * Any thread; each has a meter for its own handle of the backend.
 */
#ifndef XENRES_MAPPER_CEILING_H
#define XENRES_MAPPER_CEILING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct ceiling {
    uint64_t per_second;
    pthread_mutex_t lock; /* of what follows */
    int64_t tokens;       /* below 0 after a request that made more than was left */
    uint64_t filled_ns;   /* monotonic: when tokens were last added */
};

/* A handle's counter of hypercalls as last looked at. One thread's. */
struct ceiling_meter {
    uint64_t seen;
};

void ceiling_init(struct ceiling *c, uint64_t per_second, uint64_t now_ns);
void ceiling_done(struct ceiling *c);
/* Takes what was made since the meter was last looked at. `hypercalls`: the handle's counter now. */
void ceiling_charge(struct ceiling *c, struct ceiling_meter *meter, uint64_t hypercalls);
/* May something begin? Charges first. */
bool ceiling_has_room(struct ceiling *c, struct ceiling_meter *meter, uint64_t now_ns,
                      uint64_t hypercalls);
/* The same, in words: 0 or -ERROR_RESOURCE_EXHAUSTED. */
int ceiling_admit(struct ceiling *c, struct ceiling_meter *meter, uint64_t now_ns,
                  uint64_t hypercalls, struct failure *f);

#endif
