/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See feed_image.h. */
#include "server/mapper/feed_image.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/mapper/copy.h"
#include "server/mapper/feed_table.h"
#include "server/mapper/peer.h"
#include "server/mapper/range.h"

struct job {
    bool is_active;
    struct message_image request;
    struct feed_pin pin;
    bool has_begun; /* to be copied: `view` and `slot` are set */
    struct sampler_view view;
    struct message_slot slot;
    uint64_t done_bytes;
};

struct feed_image_jobs {
    uint32_t active_count;
    struct copy_digest *digests[FEED_IMAGE_JOBS_MAX];
    struct job jobs[FEED_IMAGE_JOBS_MAX];
};

int feed_image_jobs_new(struct feed_image_jobs **out, struct failure *f)
{
    struct feed_image_jobs *jobs = calloc(1, sizeof(*jobs));
    bool is_made = jobs != NULL;
    for (size_t i = 0; i < FEED_IMAGE_JOBS_MAX && is_made; i++) {
        jobs->digests[i] = copy_digest_new();
        is_made = jobs->digests[i] != NULL;
    }
    if (!is_made) {
        feed_image_jobs_free(jobs);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for images");
    }
    *out = jobs;
    return 0;
}

void feed_image_jobs_free(struct feed_image_jobs *jobs)
{
    for (size_t i = 0; i < FEED_IMAGE_JOBS_MAX && jobs; i++) {
        copy_digest_free(jobs->digests[i]);
    }
    free(jobs);
}

static struct copy_digest *digest_of(struct mapper *m, const struct job *j)
{
    return m->images->digests[j - m->images->jobs];
}

static void end_job(struct mapper *m, struct job *j)
{
    feed_table_unpin(m->feeds, &j->pin);
    j->is_active = false;
    m->images->active_count--;
}

/* The same digest as of a snapshot of the same content. */
static void begin_digest(struct mapper *m, const struct job *j)
{
    const struct message_snapshot *wanted = feed_table_wanted(m->feeds, &j->pin);
    const struct source_image *image = &j->view.image;
    if (wanted->type == RESOURCE_VCPU_STATS) {
        copy_digest_begin(digest_of(m, j));
        copy_digest_add(digest_of(m, j), wanted->domain.incarnation,
                        sizeof(wanted->domain.incarnation));
        return;
    }
    const struct range range = { .first_frame = image->first_frame,
                                 .frame_count = image->frame_count,
                                 .first_status_frame = image->first_status_frame,
                                 .status_frame_count = image->status_frame_count };
    range_begin_digest(digest_of(m, j), wanted, &range);
}

/* Once nothing is sampled: what is to be copied, and where to. */
static int begin_copy(struct mapper *m, struct job *j, struct failure *f)
{
    if (!j->view.image.bytes) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "feed %u has no image", j->request.feed);
    }
    int result = arena_take(m->arena, j->view.image.len_bytes, &j->slot, f);
    if (result == 0) {
        j->has_begun = true;
        begin_digest(m, j);
    }
    return result;
}

static int copy(struct mapper *m, struct job *j, struct failure *f)
{
    const struct source_image *image = &j->view.image;
    uint64_t left = image->len_bytes - j->done_bytes;
    size_t len_bytes = left < COPY_STEP_BYTES ? (size_t)left : COPY_STEP_BYTES;
    uint8_t *to = (uint8_t *)arena_slot_bytes(m->arena, &j->slot) + j->done_bytes;
    int result = copy_step(to, image->bytes + j->done_bytes, len_bytes, digest_of(m, j), f);
    j->done_bytes += result == 0 ? len_bytes : 0;
    return result;
}

static void answer(struct mapper *m, struct job *j)
{
    const struct sampler_view *v = &j->view;
    union message out __attribute__((uninitialized)); /* 15 KiB, of which this is little */
    memset(&out.image_answer, 0, sizeof(out.image_answer));
    message_init(&out, MESSAGE_IMAGE | MESSAGE_ANSWER, j->request.head.serial);
    struct message_image_answer *a = &out.image_answer;
    a->slot = j->slot;
    a->observation = (struct message_observation){
        .wall_ns = v->last.wall_ns,
        .monotonic_ns = v->last.monotonic_ns,
        .copy_duration_ns = v->last.duration_ns,
        .first_frame = v->image.first_frame,
        .frame_count = v->image.frame_count,
        .frames_in_use = v->image.size.frames_in_use,
        .frames_max = v->image.size.frames_max,
        .grant_version = v->image.size.grant_version,
        .consistency = v->image.consistency,
    };
    copy_digest_end(digest_of(m, j), a->observation.digest);
    a->place_position = v->place.position;
    a->place_sequence = v->place.sequence;
    a->place_bytes = v->place.bytes;
    a->batch = v->batch;
    a->blocks_before = v->blocks;
    a->segment = v->segment;
    a->first_status_frame = v->image.first_status_frame;
    a->status_frame_count = v->image.status_frame_count;
    a->frames_present = v->image.frames_present;
    arena_hand_over(m->arena, &j->slot);
    peer_send(m->peer, &out, NULL, 0);
}

static int check_deadline(const struct job *j, struct failure *f)
{
    if (j->request.deadline_ns == 0 || clock_monotonic_ns() <= j->request.deadline_ns) {
        return 0;
    }
    return failure_set(f, ERROR_DEADLINE_EXCEEDED, "the deadline passed before the copy was done");
}

/* True: it can go on at once. False: it is over, or waits for a sample to end. */
static bool advance(struct mapper *m, struct job *j)
{
    struct failure f = { 0 };
    int result = check_deadline(j, &f);
    if (result == 0 && !j->has_begun) {
        if (!feed_table_view(m->feeds, &j->pin, &j->view)) {
            return false;
        }
        result = begin_copy(m, j, &f);
    }
    if (result == 0) {
        result = copy(m, j, &f);
    }
    if (result == 0 && j->done_bytes < j->view.image.len_bytes) {
        return true;
    }
    if (result == 0) {
        answer(m, j);
    } else {
        if (j->has_begun) {
            arena_take_back(m->arena, &j->slot);
        }
        peer_send_failure(m->peer, j->request.head.serial, &f);
    }
    end_job(m, j);
    return false;
}

int feed_image_begin(struct mapper *m, const struct message_image *request, struct failure *f)
{
    struct feed_image_jobs *jobs = m->images;
    struct job *j = NULL;
    for (size_t i = 0; i < FEED_IMAGE_JOBS_MAX && !j; i++) {
        j = jobs->jobs[i].is_active ? NULL : &jobs->jobs[i];
    }
    if (!j) {
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%d images are in flight already",
                                 FEED_IMAGE_JOBS_MAX);
        failure_retry(f, result, FAILURE_RETRY_SOON_MS);
        return failure_next(f, result, "ask again in a moment");
    }
    struct feed_pin pin;
    int result = feed_table_pin(m->feeds, request, &pin, f);
    if (result < 0) {
        return result;
    }
    *j = (struct job){ .is_active = true, .request = *request, .pin = pin };
    jobs->active_count++;
    advance(m, j);
    return 0;
}

uint32_t feed_image_count(const struct feed_image_jobs *jobs)
{
    return jobs->active_count;
}

bool feed_image_step(struct mapper *m)
{
    bool is_busy = false;
    for (size_t i = 0; i < FEED_IMAGE_JOBS_MAX && m->images->active_count > 0; i++) {
        struct job *j = &m->images->jobs[i];
        is_busy = (j->is_active && advance(m, j)) || is_busy;
    }
    return is_busy;
}

void feed_image_abandon(struct mapper *m)
{
    for (size_t i = 0; i < FEED_IMAGE_JOBS_MAX; i++) {
        if (m->images->jobs[i].is_active) {
            end_job(m, &m->images->jobs[i]);
        }
    }
}
