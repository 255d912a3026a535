/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A source: what a feed is of, as the functions that one kind of it has. Two kinds of feeds fit: frames,
 * with an image that changes are told of (source_frames, source_stats), and append, with bytes that
 * follow each other.
 *
 * A source is used by the one thread that samples it, with that thread's handle of the backend; but its
 * image may be read by another one while it is not sampled.
 */
#ifndef XENRES_MAPPER_SOURCE_H
#define XENRES_MAPPER_SOURCE_H

#include <stdatomic.h>

#include "server/mapper/backend.h"
#include "server/mapper/ceiling.h"
#include "server/mapper/diff.h"
#include "server/mapper/spool.h"

/* What a sampling thread brings along; one for all of its sources. */
struct source_tools {
    const struct backend_ops *ops;
    struct backend *backend;  /* the thread's own handle */
    struct allowance *memory; /* any thread's */
    struct diff changes;      /* of the sample that is being taken */
    uint8_t *page;            /* MESSAGE_FRAME_BYTES, aligned to them: the private copy */
    uint64_t maps;            /* made since the thread began; as are the next */
    uint64_t sampled_bytes;   /* copied and compared */
    uint32_t mapped;          /* live mappings, and their frames */
    uint64_t mapped_frames;
    struct ceiling *pauses; /* of vCPUs, the whole mapper's; NULL: none */
    struct ceiling_meter pause_meter;
    /* Of append sources, as in struct message_counters_answer. */
    uint64_t produced_bytes, lost_bytes, open_losses, pause_refusals;
};

/* One sample that is to be taken. */
struct source_sample {
    struct spool *spool;            /* what is found goes there */
    uint64_t wall_ns, monotonic_ns; /* now */
    uint64_t started_ns; /* clock_monotonic_ns() when it was begun: what passes since is added */
    const atomic_bool *stop; /* true: another thread waits for its end */
    bool was_postponed;      /* since the last one it was due, and something held it back */
    /* On failure: what it means for the feed; 0: it may work the next time. Where a sample succeeded: the
     * feed ends with it, as was to be expected. */
    enum feed_end_reason over;
    uint32_t detail;   /* of it: struct feed_end */
    bool is_held_back; /* out: nothing was sampled, by a budget or a ceiling */
    uint64_t
        next_after_ns; /* out: the next is wanted so long after this one; 0: the job's period */
};

/* How a feed ends: goes in as it was decided, and may be changed by what is seen at the end. */
struct source_end {
    enum feed_end_reason reason;
    uint32_t detail;
    struct failure failure; /* code 0: none */
};

/* The image, and what is known of it: as struct message_image_answer tells it. */
struct source_image {
    const uint8_t *bytes;
    uint64_t len_bytes;
    struct backend_size size;
    uint32_t first_frame, frame_count, first_status_frame, status_frame_count, frames_present;
    uint32_t consistency; /* enum snapshot_consistency, or 0 */
};

struct source;

struct source_ops {
    /* Takes a sample: the first begins the first segment. -ERROR_ABORTED with nothing else set where it
     * was told to stop. */
    int (*sample)(struct source *s, struct source_tools *t, struct source_sample *now,
                  struct failure *f);
    /* The last of what was sampled, before unmap(): what is left is told, what was enabled is disabled. NULL:
     * nothing is to be done. */
    void (*finish)(struct source *s, struct source_tools *t, struct source_sample *now,
                   struct source_end *end);
    /* Nothing of it stays mapped. */
    void (*unmap)(struct source *s, struct source_tools *t);
    /* Of a frames source that was sampled; an append source has none (NULL). */
    void (*image)(const struct source *s, struct source_image *out);
    /* After unmap(). */
    void (*free)(struct source *s);
};

/* The first member of each kind's own structure. */
struct source {
    const struct source_ops *ops;
};

/* Does somebody wait for the end of what is being done? */
bool source_is_stopped(const struct source_sample *now);
/* Of a copy that begins now, and once it has ended. */
struct feed_stamp source_stamp(const struct source_sample *now);
void source_stamp_end(const struct source_sample *now, struct feed_stamp *stamp);
/* The domain that is meant is there under its number, alive; `known` is as it was last, and is brought up
 * to date. Else now->over is set. */
int source_check_domain(struct source_tools *t, struct source_sample *now,
                        struct backend_domain *known, struct failure *f);

#endif
