/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The rows of the table of feeds: the inside of feed_table.h, for feed_table.c and for feed_room.c, which
 * decides who makes room for whom. The loop's thread.
 */
#ifndef XENRES_MAPPER_FEED_ROWS_H
#define XENRES_MAPPER_FEED_ROWS_H

#include "common/doorbell.h"
#include "server/mapper/domain_feed.h"
#include "server/mapper/feed_table.h"

struct feed {
    uint8_t id[FEED_ID_BYTES];
    struct message_snapshot wanted;
    struct backend_domain known; /* as it was when it was asked for */
    struct sampler *sampler;
    struct sampler_job job;
    uint64_t period_ns;
    bool is_ending;     /* told to, or over: nobody finds it any more */
    bool is_held;       /* by the peer that is served */
    uint64_t let_go_ns; /* not held: when it ends */
    uint32_t waiting;   /* WATCHes that wait for its first sample */
    uint32_t pins;
};

struct feed_table {
    struct feed_table_options options;
    struct allowance memory;
    struct sampler *samplers[FEED_TABLE_SAMPLERS_MAX];
    struct feed *feeds[FEED_TABLE_MAX]; /* by number; NULL: free */
    uint32_t count;
    int told_fd;
    bool is_to_look; /* at all feeds: one may have ended, or be free to be taken away */
    struct doorbell bell;
    struct domain_feed *domains; /* NULL: nobody asked for it */
    bool domains_are_held;
    uint64_t domains_let_go_ns;
    uint64_t events; /* of feeds of domains that have ended */
};

/* Its first sample is due at once; once more only where it is over, and nothing of it was told. */
int feed_rows_begin(struct feed_table *t, struct feed *feed, struct failure *f);
void feed_rows_end(struct feed *feed, enum feed_end_reason reason);
void feed_rows_end_domains(struct feed_table *t, enum feed_end_reason reason);
/* It is over. */
void feed_rows_remove(struct feed_table *t, uint32_t number);

/* As many feeds as may be are there: ends one that nobody holds. -ERROR_RESOURCE_EXHAUSTED: there is none, or
 * its end has not come within FEED_TABLE_END_WAIT_MS. */
int feed_room_make(struct feed_table *t, struct failure *f);

#endif
