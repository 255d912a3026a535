/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What the parts of the backends' contract share: the opened backend, its domains as they were then, and the
 * cases that backend_test.c runs and others have. */
#ifndef XENRES_TESTS_BACKEND_CONTRACT_H
#define XENRES_TESTS_BACKEND_CONTRACT_H

#include "server/mapper/backend.h"
#include "tests/lib/unit.h"

enum { DOMAINS_MAX = 256 };

extern const struct backend_ops *ops;
extern struct backend *b;
extern struct backend_domain domains[DOMAINS_MAX];
extern uint32_t domain_count;

/* backend_vmtrace.c */
void without_a_trace_buffer_every_call_is_einval(void **state);
void calls_of_traces_go_to_vcpus_that_there_are(void **state);
void a_vcpu_with_a_trace_buffer_keeps_xens_rules(void **state);
void calls_of_traces_are_counted_as_pauses_by_their_handle(void **state);
void the_clock_of_traces_runs_and_is_described(void **state);

#endif
