/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The mapper's own ceiling on hypercalls per second. xenresd has quotas of its own; this one holds
 * also when xenresd was taken over. A bucket of a quarter of a second's worth: what a request made
 * is taken from it afterwards, and requests that come while it is empty are refused at once.
 * One thread.
 */
#ifndef XENRES_MAPPER_CEILING_H
#define XENRES_MAPPER_CEILING_H

#include <stdint.h>

#include "common/error.h"

struct ceiling {
    uint64_t per_second;
    int64_t tokens;     /* below 0 after a request that made more than was left */
    uint64_t filled_ns; /* monotonic: when tokens were last added */
    uint64_t seen;      /* the backend's counter as last looked at */
    uint64_t refusals;
};

void ceiling_init(struct ceiling *c, uint64_t per_second, uint64_t now_ns, uint64_t hypercalls);
/* May a request begin? `hypercalls`: the backend's counter now. -ERROR_RESOURCE_EXHAUSTED. */
int ceiling_admit(struct ceiling *c, uint64_t now_ns, uint64_t hypercalls, struct failure *f);

#endif
