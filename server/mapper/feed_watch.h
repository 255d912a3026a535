/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * WATCH, WATCH_DOMAINS and UNWATCH: what may be watched, by whom it is allowed, and the answers, which
 * come once the first sample was taken, with the spool's descriptor. What is traced can be watched once
 * somebody has started that (trace_request). The loop's thread.
 */
#ifndef XENRES_MAPPER_FEED_WATCH_H
#define XENRES_MAPPER_FEED_WATCH_H

#include "server/mapper/mapper.h"

enum {
    FEED_WATCH_PENDING_MAX = 64, /* that wait for a first sample; more are refused at once */
    FEED_WATCH_PERIOD_MAX_S = 3600,
};

struct feed_watches;

int feed_watches_new(struct feed_watches **out, struct failure *f);
void feed_watches_free(struct feed_watches *w); /* NULL is fine */

/* Each answers by itself, a WATCH later perhaps; on failure the caller does. */
int feed_watch(struct mapper *m, const struct message_watch *request, struct failure *f);
int feed_watch_domains(struct mapper *m, const struct message_plain *request, struct failure *f);
void feed_watch_end(struct mapper *m, const struct message_unwatch *request);

/* Answers what can be answered; to be called at each turn: see feed_table_fd(). */
void feed_watch_step(struct mapper *m);
/* When a deadline passes (monotonic); UINT64_MAX: none does. */
uint64_t feed_watch_deadline_ns(const struct feed_watches *w);
/* The peer is gone: nobody waits for an answer. */
void feed_watch_abandon(struct mapper *m);

#endif
