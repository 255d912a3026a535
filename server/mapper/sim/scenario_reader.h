/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How the sections of a scenario are copied once libconfuse has parsed them: what scenario.c shares
 * with scenario_happenings.c, which reads what happens (events, faults, churn). One thread.
 */
#ifndef XENRES_SIM_SCENARIO_READER_H
#define XENRES_SIM_SCENARIO_READER_H

#include <confuse.h>

#include "common/buffer.h"
#include "common/settings.h"
#include "server/mapper/sim/scenario.h"

enum { SCENARIO_PATH_BYTES_MAX = 4096 };

struct scenario_reader {
    struct scenario *s;
    struct buffer *faults;
    const char *name;
};

#define SCENARIO_FAULT(r, section, ...)                                                            \
    settings_fault_at((r)->faults, (r)->name, (unsigned)(section)->line, __VA_ARGS__)

/* `file` relative to the folder of the scenario's own file. */
void scenario_reader_path(const struct scenario_reader *r, const char *file, struct buffer *out);
/* How many sections of a name there are; of more than `max` (a fault) none. */
uint32_t scenario_reader_count(struct scenario_reader *r, cfg_t *cfg, const char *name,
                               unsigned max);
uint32_t scenario_reader_number(cfg_t *section, const char *name);
void scenario_reader_text(struct scenario_reader *r, cfg_t *section, const char *what,
                          const char *text, char *out, size_t out_bytes);

/* A domain's `vmtrace`, once its type and vCPUs are read. */
void scenario_reader_vmtrace(struct scenario_reader *r, cfg_t *section, struct scenario_domain *d);
/* Once the domains are read: those of the churn first, so that events and faults may name them. */
void scenario_reader_churn(struct scenario_reader *r, cfg_t *cfg);
void scenario_reader_event(struct scenario_reader *r, cfg_t *section, struct scenario_event *e);
void scenario_reader_fault(struct scenario_reader *r, cfg_t *section, struct scenario_fault *f);

#endif
