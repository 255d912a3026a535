/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The simulated host from the inside, for tests that run the mapper's parts in their own process:
 * they move its time, and see what its guests' pages really held, when, and how often they changed.
 * Nothing here is a call to the hypervisor: none is counted, no fault strikes, and but for
 * sim_advance() and sim_step() nothing moves. Any thread, on any handle.
 */
#ifndef XENRES_SIM_TRUTH_H
#define XENRES_SIM_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/message.h"

struct backend;

/* As backend_open(), of a scenario that is given as text; its play files are those of the working
 * folder. */
int sim_open(const char *scenario, struct backend **out, struct failure *f);

/* The clock by which the simulation moves: the virtual one of a scenario that says so, from 0 on,
 * else the kernel's monotonic one. */
uint64_t sim_now_ns(struct backend *b);
/* Moves a virtual clock; what happens in that time happens in its order. */
void sim_advance(struct backend *b, uint64_t by_ns);
/* What a SIGUSR1 does. */
void sim_step(struct backend *b);

struct sim_resource {
    uint16_t domid;
    uint32_t type, id;
};

/* Copies frames as they are at this moment. False where there are none such (an ioreq server that
 * nobody has acquired has none), or they are lost. */
bool sim_read(struct backend *b, const struct sim_resource *what, uint32_t first_frame,
              uint32_t frame_count, void *out);

/* A domain's grant table as it is at this moment. False: there is no such domain. */
struct sim_table {
    uint8_t uuid[UUID_BYTES]; /* of its domain */
    uint32_t version, frames_in_use;
    bool is_dying; /* its domain is: a zombie, that something mapped keeps */
};
bool sim_table(struct backend *b, uint16_t domid, struct sim_table *out);

/* Of one domain since it was created. A change that leaves the bytes as they were is none. */
struct sim_changes {
    uint64_t words;             /* aligned, of 8 bytes, of all its resources */
    uint64_t grants;            /* entries; with a play file, its blocks */
    uint64_t ioreqs;            /* moves of a request to its next state; or blocks */
    uint64_t buffered_requests; /* put into a queue */
};
bool sim_changes(struct backend *b, uint16_t domid, struct sim_changes *out);

/* One aligned word of a guest's pages that became another. */
struct sim_change {
    uint64_t at_ns; /* by sim_now_ns() */
    struct sim_resource of;
    uint8_t uuid[UUID_BYTES];
    uint64_t offset_bytes; /* within the resource */
    uint64_t before, after;
};

/* Told of every change from now on, of domains that come later too, from all zeros on; within the
 * call that lets it happen, on its thread, with the simulation locked: it calls nothing of it. */
struct sim_observer {
    void (*changed)(void *arg, const struct sim_change *change); /* NULL: nobody is told */
    void *arg;
};
void sim_observe(struct backend *b, const struct sim_observer *observer);

#endif
