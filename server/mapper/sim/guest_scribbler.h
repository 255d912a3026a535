/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A guest that means harm: a thread that writes whatever comes to it all over pages that others read, as
 * fast as it can, and so also while they are copied. Words change as a whole, as a processor writes them;
 * what stands in several means nothing. The observer is not told.
 */
#ifndef XENRES_SIM_GUEST_SCRIBBLER_H
#define XENRES_SIM_GUEST_SCRIBBLER_H

#include "server/mapper/sim/pages.h"

struct guest_scribbler;

/* Begins with the pages' first `frame_count`; they outlive it, and are not lost meanwhile. */
int guest_scribbler_start(const struct pages *pages, uint32_t frame_count, uint64_t seed,
                          struct guest_scribbler **out, struct failure *f);
/* When this returns it writes no more. NULL is fine. */
void guest_scribbler_stop(struct guest_scribbler *s);

#endif
