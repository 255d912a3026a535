/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One simulated domain, from its creation until its last page is unmapped: its pages, and how they
 * move. It moves when it is looked at (guest_advance), by the time that has passed: the same seed
 * makes the same changes of each resource in the same order, and only how many there are by now
 * depends on the clock. It stands still while it is paused, shut down or dead.
 */
#ifndef XENRES_SIM_GUEST_H
#define XENRES_SIM_GUEST_H

#include "server/mapper/backend.h"
#include "server/mapper/sim/guest_grants.h"
#include "server/mapper/sim/guest_ioreqs.h"
#include "server/mapper/sim/guest_vmtrace.h"
#include "server/mapper/sim/pages.h"
#include "server/mapper/sim/scenario.h"
#include "server/mapper/sim/truth.h"

/* Who is told of changes: the world's, of all guests. Unset: nobody. */
struct guest_told {
    struct sim_observer observer;
    uint64_t now_ns; /* when what is told happens */
};

struct guest {
    const struct scenario_domain *spec;
    uint32_t spec_index;
    uint8_t uuid[UUID_BYTES];
    uint16_t domid;
    uint32_t state;                /* enum domain_state */
    uint32_t shutdown_code;        /* Xen's SHUTDOWN_*, where it is shut down or crashed */
    bool dying;                    /* destroyed, and held as a zombie */
    char name[MESSAGE_NAME_BYTES]; /* "": no name node */
    struct backend_tags tags;
    uint64_t created_ns, advanced_ns;
    uint64_t ran_ns; /* of that, not paused */
    uint64_t cpu_time_ns;
    uint64_t words_changed;
    uint32_t mappings; /* live ones */

    struct guest_grants grants;
    struct guest_ioreqs ioreq[SCENARIO_IOREQ_SERVERS_MAX];
    struct guest_vmtrace vmtrace;
    struct pages stats;
    struct pages_observer observer; /* of all its pages but the trace buffers */
    struct guest_told *told;
};

struct guest_birth {
    uint32_t spec_index;
    uint16_t domid;
    uint64_t now_ns;
    const uint8_t *uuid; /* NULL: the scenario's */
};

int guest_new(const struct scenario *s, const struct guest_birth *birth, struct guest_told *told,
              struct guest **out, struct failure *f);
void guest_free(struct guest *g);

void guest_advance(struct guest *g, uint64_t now_ns);
/* The pages of an ioreq server, made if they are not there yet. True in *allocated if so. */
int guest_ioreq_pages(struct guest *g, uint32_t id, bool *allocated, struct failure *f);
uint64_t guest_vcpu_time_ns(const struct guest *g, uint32_t vcpu);
void guest_lose_pages(struct guest *g);

#endif
