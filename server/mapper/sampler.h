/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A thread that samples, with a handle of its own on the hypervisor: jobs, each of one feed, on a timer
 * wheel. A job that is late is sampled once, not as often as it was missed; a ceiling that refuses makes it
 * late, too, until there is room, as does who pins it. After each record the peer's doorbell is rung.
 *
 * What a source that has something to finish begins and ends with is long: all of a trace's ring is copied.
 * After one of these all others that are due have their turn before the next, however many wait, so that many
 * traces that begin or end at once hold up nobody for longer than one of them does.
 *
 * The thread that made it, the mapper's loop, calls everything here; nothing waits but sampler_wait(), and
 * sampler_free() for a sample that is being taken. What it has to tell it tells by an eventfd; the loop
 * then looks at its jobs with sampler_look().
 *
 * Locks: one of a sampler, innermost but for the ceiling's; not held while a sample is taken.
 */
#ifndef XENRES_MAPPER_SAMPLER_H
#define XENRES_MAPPER_SAMPLER_H

#include "server/mapper/ceiling.h"
#include "server/mapper/sampling.h"
#include "server/mapper/wheel.h"

struct sampler;

struct sampler_options {
    const struct backend_ops *ops;
    struct backend *parent; /* whose open_sampler() is called */
    struct allowance *memory;
    uint64_t spool_most_bytes;
    int told_fd; /* an eventfd, of several samplers */
};

/* Opens its handle, and starts the thread: both before privileges are dropped. */
int sampler_new(const struct sampler_options *options, struct sampler **out, struct failure *f);
/* Without jobs. NULL is fine. */
void sampler_free(struct sampler *s);
/* From now on; before the first job. It outlives the sampler. */
void sampler_set_ceiling(struct sampler *s, struct ceiling *ceiling);
/* The same, of calls that pause vCPUs: sources that make some are asked to keep it. */
void sampler_set_pause_ceiling(struct sampler *s, struct ceiling *ceiling);
/* The end of the doorbell that is rung from now on; it stays the caller's. -1: none. */
void sampler_set_bell(struct sampler *s, int ring_fd);

/* What is sampled. The caller's memory; from sampler_add() to sampler_remove() all of it is the
 * sampler's, but that `sampling` may be read while it is pinned or over. */
struct sampler_job {
    struct wheel_entry entry; /* first: the wheel gives this back */
    struct sampler_job *next_end;
    struct sampling sampling;
    uint64_t period_ns, due_ns;
    uint32_t pins;
    bool is_sampled; /* just now */
    bool is_told;    /* that the first sample was taken */
    uint32_t mapped; /* live mappings after the last sample */
    enum feed_end_reason end;
    atomic_bool stop;
};

struct sampler_state {
    bool has_begun; /* the first sample was taken */
    bool is_over;   /* ended, by whomsoever: nothing of it is mapped */
    bool is_mapped; /* frames are, after its last sample */
};

/* Its first sample is due at once. */
void sampler_add(struct sampler *s, struct sampler_job *job);
/* It is over. */
void sampler_remove(struct sampler *s, struct sampler_job *job);
void sampler_set_period(struct sampler *s, struct sampler_job *job, uint64_t period_ns);
struct sampler_state sampler_look(struct sampler *s, const struct sampler_job *job);
/* No new sample is begun until sampler_unpin(), as often as it was pinned. Its end is not held back. It
 * has begun. */
void sampler_pin(struct sampler *s, struct sampler_job *job);
void sampler_unpin(struct sampler *s, struct sampler_job *job);
/* Ends it, before anything else that is due, but for one whose end is long; a sample that is being taken is
 * given up. */
void sampler_end(struct sampler *s, struct sampler_job *job, enum feed_end_reason reason);
/* What there is to be read of it while it is pinned; it may end meanwhile. */
struct sampler_view {
    struct ring_place place; /* of the record after the image */
    uint64_t batch, blocks;
    uint32_t segment;
    struct feed_stamp last; /* of the last sample */
    struct source_image image;
};
/* False: it is still being sampled; the eventfd tells when it no longer is. */
bool sampler_view(struct sampler *s, const struct sampler_job *job, struct sampler_view *out);
/* Waits until it is over, so long at most. */
bool sampler_wait(struct sampler *s, const struct sampler_job *job, uint64_t most_ns);

struct sampler_counts {
    uint32_t jobs;
    uint64_t hypercalls, maps, samples, failures, late;
    uint64_t sampled_bytes, produced_batches, produced_blocks; /* of frames sources */
    /* Of append sources. */
    uint64_t produced_bytes, lost_bytes, open_losses, pauses, pause_refusals;
    uint32_t mapped; /* live mappings, and their frames */
    uint64_t mapped_frames;
};
/* Adds what this one has counted. */
void sampler_count(struct sampler *s, struct sampler_counts *sum);

#endif
