/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a watch tells, in words: pieces of a line, without a line end. What others chose is made
 * harmless here. Pure.
 */
#ifndef XENRES_CLI_WORDING_H
#define XENRES_CLI_WORDING_H

#include <xenres.h>

#include "common/buffer.h"

void wording_grant(struct buffer *out, const xenres_grant *g);
void wording_ioreq(struct buffer *out, const xenres_ioreq *r);
void wording_queue(struct buffer *out, const xenres_watch_decoded *d); /* of buffered requests */
void wording_vcpu(struct buffer *out, const xenres_vcpu *v);
void wording_domain(struct buffer *out, const xenres_domain *d);

/* "web-1 grant_table 0, every 100.0 ms, delta (domain 5, UUID, incarnation HEX)" */
void wording_begin(struct buffer *out, const xenres_watch_begin *b);
/* `unit` is "batch", "event", "record". */
void wording_unit(struct buffer *out, const char *unit, uint64_t count); /* "batches" */
/* "batches 5 to 9"; a number that is 0 is not known. */
void wording_numbers(struct buffer *out, const char *unit, uint64_t first, uint64_t last);
/* "batches 5 to 9 (12 changed blocks): too_slow" */
void wording_gap(struct buffer *out, const char *unit, const xenres_watch_gap *g);
/* "lost 7 batches in 2 gaps"; `lost`: those that are known of. */
void wording_lost(struct buffer *out, const char *unit, uint64_t gaps, uint64_t lost);
void wording_end(struct buffer *out, const xenres_watch_end *e);
/* "cut: MESSAGE; tried 2 times; again in 1.0 s" */
void wording_interruption(struct buffer *out, const xenres_watch_interruption *i);

#endif
