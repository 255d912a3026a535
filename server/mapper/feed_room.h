/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who makes room for another feed, by number and by memory: what is ending and only has to be taken away,
 * then what the peer before had and nobody has asked for again, the oldest first. A feed of a trace never
 * does. The loop's thread, which waits for an end as long as it is told to, FEED_LIST_END_WAIT_MS at most.
 */
#ifndef XENRES_MAPPER_FEED_ROOM_H
#define XENRES_MAPPER_FEED_ROOM_H

#include "server/mapper/feed_table.h"

/* There may be one more from now on. -ERROR_RESOURCE_EXHAUSTED: as many as may be are there, and nobody makes
 * room; or not within `wait_ms`, where it is to be tried again soon (FAILURE_RETRY_SOON_MS): the table has
 * news once there is room. */
int feed_room_make(struct feed_table *t, uint32_t wait_ms, struct failure *f);
/* One that FAILED, as `why` says, for want of memory: ends what makes room until there is what it lacked.
 * True: its first sample is due once more. Each time something has ended, so that it is not asked without
 * end. False: there is not enough, or `why` is another reason; it may say when to try again. */
bool feed_room_begin_again(struct feed_table *t, uint32_t number, struct failure *why);

#endif
