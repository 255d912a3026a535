/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * IMAGE: the image of a feed, copied into a slot of the arena in steps, as a snapshot is. Meanwhile the
 * feed is pinned: nothing is sampled, so that the image stays what it was behind the record that is told.
 * The loop's thread.
 */
#ifndef XENRES_MAPPER_FEED_IMAGE_H
#define XENRES_MAPPER_FEED_IMAGE_H

#include "server/mapper/mapper.h"

enum { FEED_IMAGE_JOBS_MAX = 64 }; /* in flight; more are refused at once */

struct feed_image_jobs;

int feed_image_jobs_new(struct feed_image_jobs **out, struct failure *f);
void feed_image_jobs_free(
    struct feed_image_jobs *jobs); /* after feed_image_abandon(); NULL is fine */
/* Begins one; on failure the caller answers. A small one is over, and answered, on return, unless its feed
 * is being sampled. */
int feed_image_begin(struct mapper *m, const struct message_image *request, struct failure *f);
uint32_t feed_image_count(const struct feed_image_jobs *jobs); /* begun and not over */
/* One step of each. True while there are any that can go on at once. */
bool feed_image_step(struct mapper *m);
/* The peer is gone: ends all without an answer. */
void feed_image_abandon(struct mapper *m);

#endif
