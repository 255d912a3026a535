/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Where the bytes of a simulated vCPU's trace come from: a file, or pt.h. They are numbered from 0 on over
 * the domain's life. A file's just go on; made-up ones come in stretches, one for each reset and change
 * of options, of which the newest are known, so that each byte can be told again by its number. For whoever
 * holds the simulation's lock.
 */
#ifndef XENRES_SIM_TRACE_SOURCE_H
#define XENRES_SIM_TRACE_SOURCE_H

#include "server/mapper/sim/pt.h"

enum { TRACE_SOURCE_STRETCHES_MAX = 64 };

/* Any bytes. */
struct trace_file {
    size_t len_bytes; /* at least 1 */
    uint8_t bytes[];
};

/* From byte `at` on they are those of `pt` from `pt_at` on, which is a block's begin. */
struct trace_stretch {
    uint64_t at, pt_at;
    struct pt_options pt;
};

struct trace_source {
    const struct trace_file *file;                              /* NULL: made up */
    bool is_looped;                                             /* the file is played for ever */
    uint32_t stretch_count;                                     /* of what is made up; at least 1 */
    struct trace_stretch stretches[TRACE_SOURCE_STRETCHES_MAX]; /* ascending */
};

/* How what is made up is to be from some byte on. */
struct trace_manner {
    uint64_t tsc; /* the host's, when it is written */
    bool has_tsc;
};

void trace_source_init_file(struct trace_source *s, const struct trace_file *file, bool is_looped);
void trace_source_init_made_up(struct trace_source *s, const struct pt_options *options);

/* A reset before byte `at`: what is made up begins anew, with other packets, at a PSB. */
void trace_source_reset(struct trace_source *s, uint64_t at, const struct trace_manner *m);
/* The options may be others before byte `at`: they hold from the next block on. */
void trace_source_change(struct trace_source *s, uint64_t at, const struct trace_manner *m);

/* How many bytes there are from `at` on; UINT64_MAX: no end. */
uint64_t trace_source_left(const struct trace_source *s, uint64_t at);
/* False: the first of them are of a stretch too long ago. */
bool trace_source_bytes(const struct trace_source *s, uint64_t at, void *out, size_t len_bytes);

#endif
