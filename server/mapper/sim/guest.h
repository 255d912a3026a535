/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One simulated domain, from its creation until its last page is unmapped: its pages, and how they
 * move. It moves when it is looked at (guest_advance), by the time that has passed: the same seed
 * makes the same changes in the same order, and only how many there are by now depends on the clock.
 */
#ifndef XENRES_SIM_GUEST_H
#define XENRES_SIM_GUEST_H

#include "server/mapper/sim/pages.h"
#include "server/mapper/sim/scenario.h"

enum { GUEST_RESERVED_REFERENCES = 8 }; /* 0 console, 1 xenstore, up to 7 unused */

struct guest {
    const struct scenario_domain *spec;
    uint32_t spec_index;
    uint16_t domid;
    uint32_t state;                /* enum domain_state */
    bool dying;                    /* destroyed, and held as a zombie */
    char name[MESSAGE_NAME_BYTES]; /* "": no name node */
    uint64_t created_ns, advanced_ns;
    uint64_t cpu_time_ns;
    uint64_t random;       /* state of its own generator */
    uint64_t changes_owed; /* in billionths, of changes by rate */
    uint32_t mappings;     /* live ones */

    uint32_t grant_version, grant_frames;
    struct pages grants, status;
    struct pages ioreq[SCENARIO_IOREQ_SERVERS_MAX]; /* made by the first acquire */
    struct pages vmtrace;                           /* all vCPUs' buffers, one behind the other */
    struct pages stats;
};

int guest_new(const struct scenario *s, uint32_t spec_index, uint16_t domid, uint64_t now_ns,
              struct guest **out, struct failure *f);
void guest_free(struct guest *g);

void guest_advance(struct guest *g, uint64_t now_ns);
/* `count` grant entries change now. */
void guest_change(struct guest *g, uint32_t count);
void guest_set_version(struct guest *g, uint32_t version);
/* The pages of an ioreq server, made if they are not there yet. True in *allocated if so. */
int guest_ioreq_pages(struct guest *g, uint32_t id, bool *allocated, struct failure *f);
uint64_t guest_vcpu_time_ns(const struct guest *g, uint32_t vcpu);
void guest_lose_pages(struct guest *g);

#endif
