/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Snapshots: frames of a resource, copied once into a slot of the arena.
 *
 * Each is a job that moves in steps, and each step copies at most COPY_STEP_BYTES, so that nobody
 * waits long behind a large one:
 *
 *   begin   export list, identity, size, range, slot
 *   copy    map (or reuse a live mapping) and copy, a step at a time
 *   end     identity again, and size and version again where they matter; then the answer
 *
 * A failure anywhere gives the slot back and is the answer. Nothing is mapped beyond what is in use,
 * as Xen would make the guest's table grow. ioreq and grant status frames are mapped for one step.
 */
#ifndef XENRES_MAPPER_SNAPSHOT_H
#define XENRES_MAPPER_SNAPSHOT_H

#include "server/mapper/mapper.h"

enum { SNAPSHOT_JOBS_MAX = 64 }; /* in flight; more are refused at once */

struct snapshot_jobs;

int snapshot_jobs_new(struct snapshot_jobs **out, struct failure *f);
/* After snapshot_abandon(); NULL is fine. */
void snapshot_jobs_free(struct snapshot_jobs *jobs);

/* Begins one; on failure the caller answers. A small one is over, and answered, on return. */
int snapshot_begin(struct mapper *m, const struct message_snapshot *request, struct failure *f);
uint32_t snapshot_count(const struct snapshot_jobs *jobs); /* begun and not over */
/* One step of each job. True while there are any. */
bool snapshot_step(struct mapper *m);
/* The peer is gone: ends all without an answer. */
void snapshot_abandon(struct mapper *m);

#endif
