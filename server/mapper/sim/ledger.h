/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What was done to the simulated host: how tests prove that nothing was disturbed. */
#ifndef XENRES_SIM_LEDGER_H
#define XENRES_SIM_LEDGER_H

#include <stdint.h>

struct backend;

struct sim_ledger {
    uint64_t maps;               /* that succeeded */
    uint64_t status_maps;        /* of them, of grant status frames */
    uint64_t grant_tables_grown; /* by a mapping beyond what was in use: must stay 0 */
    uint64_t ioreq_allocations;  /* by a first acquire */
    uint64_t live_mappings;
    uint64_t zombies; /* dead domains that mappings keep */
};

struct sim_ledger sim_ledger(const struct backend *b);

#endif
