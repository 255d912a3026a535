/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the handlers of requests work with: the parts of the running mapper. main owns all of it, and
 * the one thread of the loop uses it; of the parts the samplers know the ceilings and the
 * journal as well.
 */
#ifndef XENRES_MAPPER_MAPPER_H
#define XENRES_MAPPER_MAPPER_H

#include "common/message.h"
#include "server/mapper/arena.h"
#include "server/mapper/backend.h"
#include "server/mapper/ceiling.h"
#include "server/mapper/directory.h"
#include "server/mapper/export.h"
#include "server/mapper/mapping.h"

struct feed_image_jobs;
struct feed_table;
struct feed_watches;
struct journal;
struct peer;
struct snapshot_jobs;
struct trace_requests;
struct trace_table;

struct mapper {
    const struct backend_ops *ops;
    struct backend *backend;
    struct export_list *export;
    struct directory *directory;
    struct mapping_cache *mappings;
    struct snapshot_jobs *jobs;
    struct feed_table *feeds;
    struct feed_image_jobs *images;
    struct feed_watches *watches;
    struct journal *journal; /* of traces; sampling threads write to it */
    struct trace_table *traces;
    struct trace_requests *trace_requests;
    struct peer *peer;          /* never NULL; whether anybody is served it knows itself */
    struct arena *arena;        /* of the peer that is served; NULL: none is */
    struct ceiling ceiling;     /* on hypercalls */
    struct ceiling pauses;      /* on those that pause a vCPU: the samplers' alone */
    struct ceiling_meter meter; /* of the loop's handle */
    uint64_t arena_bytes, slot_max_bytes;
    uint8_t mapper_id[16]; /* random, of this start */
    uint64_t requests;     /* received, for COUNTERS; as are the next */
    uint64_t refusals;     /* of requests, at the ceiling */
    uint64_t brief_maps;   /* mappings made for one step, beside those of the cache */
};

#endif
