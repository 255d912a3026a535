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

/* Moments within calls at which time may pass, so that the guest is as fast as a test wants it. */
enum sim_moment {
    SIM_AFTER_POSITION, /* a vmtrace POSITION that succeeded has been answered */
    SIM_AFTER_CONTROL,  /* … any other call of vmtrace */
    SIM_AFTER_MAP,
    SIM_MOMENTS
};

/* Asked at each of them from now on, with how many of its kind there were since: how many ns pass right
 * after it, before the caller goes on. Of a virtual clock; within the call, on its thread, with the
 * simulation locked: it calls nothing of it. `after` NULL: none. */
struct sim_delays {
    uint64_t (*after)(void *arg, enum sim_moment moment, uint64_t nth);
    void *arg;
};
void sim_delay(struct backend *b, const struct sim_delays *delays);

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

/* The trace of a vCPU, as its processor knows it. Bytes are numbered from 0 on since the domain was
 * created, whatever was reset since; a mapping that a test holds keeps a dead domain's. */
struct sim_trace {
    uint64_t produced;
    uint64_t reset_at; /* how many there were at the last reset */
    uint64_t resets;
    uint32_t position; /* where the next one goes */
    bool is_enabled;   /* by a call */
    bool is_writing; /* … and RTIT_CTL and RTIT_STATUS let something through, and it ever runs */
    uint64_t ctl, status;
};
bool sim_trace(struct backend *b, uint16_t domid, uint32_t vcpu, struct sim_trace *out);
/* Bytes that it wrote. False: it did not; or they are older than its newest 64 resets and changes of
 * options, and not known any more. */
bool sim_trace_bytes(struct backend *b, uint16_t domid, uint32_t vcpu, uint64_t from, void *out,
                     size_t len_bytes);

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
