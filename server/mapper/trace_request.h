/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * TRACE_START, TRACE_STOP, TRACE_RENEW, TRACES and TRACE_VCPUS: who may, what may be traced, and the
 * answers. A START is answered when each vCPU is traced, or none is any longer because one could not be;
 * where another trace of the domain has to end first, it waits for that. A STOP is answered when the last
 * bytes are in the spools. The loop's thread.
 */
#ifndef XENRES_MAPPER_TRACE_REQUEST_H
#define XENRES_MAPPER_TRACE_REQUEST_H

#include "server/mapper/mapper.h"

enum { TRACE_PENDING_MAX = 64 }; /* that wait for their answer; more are refused at once */

struct trace_requests;

int trace_requests_new(struct trace_requests **out, struct failure *f);
void trace_requests_free(struct trace_requests *r); /* NULL is fine */

/* These answer by themselves, later perhaps; on failure the caller does. */
int trace_request_start(struct mapper *m, const struct message_trace_start *request,
                        struct failure *f);
int trace_request_stop(struct mapper *m, const struct message_trace_stop *request,
                       struct failure *f);
/* These fill `out`. */
int trace_request_renew(struct mapper *m, const struct message_trace_renew *request,
                        union message *out, struct failure *f);
void trace_request_list(struct mapper *m, const struct message_traces *request, union message *out);
int trace_request_vcpus(struct mapper *m, const struct message_trace_vcpus *request,
                        union message *out, struct failure *f);

/* Answers what can be answered; at each turn, behind trace_table_step(). */
void trace_request_step(struct mapper *m);
/* When a deadline passes (monotonic); UINT64_MAX: none does. */
uint64_t trace_request_deadline_ns(const struct trace_requests *r);
/* The peer is gone: nobody waits for an answer. What has begun goes on; what has
 * not ends, as nobody was told of it. */
void trace_request_abandon(struct mapper *m);

#endif
