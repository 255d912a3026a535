/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See snapshot.h. What may be asked of which resource is in range.c. */
#include "server/mapper/snapshot.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/mapper/copy.h"
#include "server/mapper/explain.h"
#include "server/mapper/peer.h"
#include "server/mapper/range.h"
#include "server/mapper/claim.h"

enum { STEP_FRAMES = COPY_STEP_BYTES / MESSAGE_FRAME_BYTES };

struct job {
    bool active;
    struct message_snapshot request;
    struct range range; /* what it comes to */
    struct message_slot slot;
    struct mapping_ref mapping; /* of the shared frames of a grant table */
    uint32_t frames_done;       /* of range.frame_count, then of status_frame_count */
    uint32_t frames_present;
    uint64_t wall_ns, monotonic_ns, copied_ns; /* when the copy began, and (monotonic) ended */
    struct copy_digest *digest;                /* kept from job to job */
};

struct snapshot_jobs {
    uint32_t active_count;
    uint32_t next; /* whose step is first: all get their turn */
    struct job jobs[SNAPSHOT_JOBS_MAX];
};

int snapshot_jobs_new(struct snapshot_jobs **out, struct failure *f)
{
    struct snapshot_jobs *jobs = calloc(1, sizeof(*jobs));
    if (!jobs) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for snapshots");
    }
    for (size_t i = 0; i < SNAPSHOT_JOBS_MAX; i++) {
        jobs->jobs[i].digest = copy_digest_new();
        if (!jobs->jobs[i].digest) {
            snapshot_jobs_free(jobs);
            return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for snapshots");
        }
    }
    *out = jobs;
    return 0;
}

void snapshot_jobs_free(struct snapshot_jobs *jobs)
{
    if (!jobs) {
        return;
    }
    for (size_t i = 0; i < SNAPSHOT_JOBS_MAX; i++) {
        copy_digest_free(jobs->jobs[i].digest);
    }
    free(jobs);
}

static void end_job(struct mapper *m, struct job *j)
{
    mapping_put(m->mappings, &j->mapping);
    j->active = false;
    m->jobs->active_count--;
}

static int check_deadline(const struct job *j, struct failure *f)
{
    if (j->request.deadline_ns == 0 || clock_monotonic_ns() <= j->request.deadline_ns) {
        return 0;
    }
    return failure_set(f, ERROR_DEADLINE_EXCEEDED, "the deadline passed before the copy was done");
}

static int begin(struct mapper *m, struct job *j, struct failure *f)
{
    const struct message_snapshot *r = &j->request;
    int result = check_deadline(j, f);
    if (result == 0) {
        result = range_check_request(r, f);
    }
    if (result == 0) {
        result = claim_allowed(m, &r->domain, r->type, EXPORT_SNAPSHOT, f);
    }
    if (result == 0) {
        result = claim_check(m, &r->domain, NULL, f);
    }
    if (result == 0) {
        result = range_resolve(m->ops, m->backend, r, &j->range, f);
    }
    if (result < 0) {
        return result;
    }
    uint64_t frames = (uint64_t)j->range.frame_count + j->range.status_frame_count;
    result = arena_take(m->arena, frames * MESSAGE_FRAME_BYTES, &j->slot, f);
    if (result < 0) {
        return result;
    }
    j->wall_ns = clock_wall_ns();
    j->monotonic_ns = clock_monotonic_ns();
    range_begin_digest(j->digest, r, &j->range);
    return 0;
}

/* --- copying ----------------------------------------------------------------------------------- */

/* From a live mapping: frames [first, first + count) of the resource to `to`. */
static int copy_mapped(struct mapper *m, struct job *j, uint32_t first, uint32_t count, void *to,
                       struct failure *f)
{
    if (j->mapping.generation == 0) {
        struct mapping_key key = { .domid = j->request.domain.domid,
                                   .type = j->request.type,
                                   .id = j->request.id,
                                   .first_frame = j->range.first_frame,
                                   .frame_count = j->range.frame_count };
        memcpy(key.incarnation, j->request.domain.incarnation, sizeof(key.incarnation));
        int result = mapping_get(m->mappings, &key, &j->mapping, f);
        if (result < 0) {
            return result;
        }
    }
    const volatile uint8_t *from = mapping_resolve(m->mappings, j->mapping, first);
    if (!from) {
        int result = failure_set(f, ERROR_ABORTED, "domain %u went away while it was copied",
                                 j->request.domain.domid);
        return failure_next(f, result, "see the list of domains");
    }
    int result = copy_step(to, from, (size_t)count * MESSAGE_FRAME_BYTES, j->digest, f);
    if (result == -ERROR_ABORTED) {
        mapping_discard(m->mappings, &j->mapping); /* else the next request would find it again */
    }
    return result;
}

/* Frames that no mapping may be kept of: mapped, copied, unmapped. */
static int copy_unmapping(struct mapper *m, struct job *j, uint32_t id, uint32_t first,
                          uint32_t count, void *to, struct failure *f)
{
    struct backend_mapping mapping = { 0 };
    /* Since begin() others had their turn, and mapping is by number: of another guest that has the
     * number now, it might make the table grow. */
    int result = j->frames_done > 0 ? claim_check(m, &j->request.domain, NULL, f) : 0;
    if (result < 0) {
        return result;
    }
    result = m->ops->map(m->backend, j->request.domain.domid, j->request.type, id, first, count,
                         &mapping, f);
    if (result < 0) {
        return result;
    }
    m->brief_maps++;
    assert(mapping.frame_count == count);
    result = copy_step(to, mapping.address, (size_t)count * MESSAGE_FRAME_BYTES, j->digest, f);
    m->ops->unmap(m->backend, &mapping);
    return result;
}

/* One ioreq page, by itself: a map of both fails where one is missing. */
static int copy_ioreq(struct mapper *m, struct job *j, uint32_t frame, uint8_t *to,
                      struct failure *f)
{
    struct failure why = { 0 };
    int result = copy_unmapping(m, j, j->request.id, frame, 1, to, &why);
    uint32_t index = frame - j->range.first_frame;
    if (result == 0) {
        j->frames_present |= UINT32_C(1) << index;
        return 0;
    }
    bool absent = why.xen_errno == ENOENT && (j->request.flags & SNAPSHOT_SPARSE) != 0;
    bool last = index + 1 == j->range.frame_count;
    if (!absent || (last && j->frames_present == 0)) {
        if (f) {
            *f = why;
        }
        return result;
    }
    /* The slot holds what was there before. */
    static const _Alignas(MESSAGE_FRAME_BYTES) uint8_t zeros[MESSAGE_FRAME_BYTES];
    return copy_step(to, zeros, sizeof(zeros), j->digest, f);
}

/* One step. Afterwards frames_done says how far it is. */
static int copy(struct mapper *m, struct job *j, struct failure *f)
{
    uint8_t *to = (uint8_t *)arena_slot_bytes(m->arena, &j->slot) +
                  (size_t)j->frames_done * MESSAGE_FRAME_BYTES;
    uint32_t done = j->frames_done, count;
    int result;
    if (done < j->range.frame_count) {
        uint32_t first = j->range.first_frame + done;
        count = j->range.frame_count - done;
        if (count > STEP_FRAMES) {
            count = STEP_FRAMES;
        }
        if (j->request.type == RESOURCE_IOREQ_SERVER) {
            count = 1;
            result = copy_ioreq(m, j, first, to, f);
        } else if (j->request.id == GRANT_TABLE_STATUS) {
            result = copy_unmapping(m, j, GRANT_TABLE_STATUS, first, count, to, f);
        } else {
            result = copy_mapped(m, j, first, count, to, f);
        }
    } else {
        uint32_t status_done = done - j->range.frame_count;
        count = j->range.status_frame_count - status_done;
        if (count > STEP_FRAMES) {
            count = STEP_FRAMES;
        }
        result = copy_unmapping(m, j, GRANT_TABLE_STATUS, j->range.first_status_frame + status_done,
                                count, to, f);
    }
    if (result == 0) {
        j->frames_done += count;
    }
    return result;
}

/* --- the end ----------------------------------------------------------------------------------- */

static void answer(struct mapper *m, struct job *j)
{
    union message out __attribute__((uninitialized)); /* 15 KiB, of which this is little */
    memset(&out.snapshot_answer, 0, sizeof(out.snapshot_answer));
    message_init(&out, MESSAGE_SNAPSHOT | MESSAGE_ANSWER, j->request.head.serial);
    out.snapshot_answer.slot = j->slot;
    out.snapshot_answer.observation = (struct message_observation){
        .wall_ns = j->wall_ns,
        .monotonic_ns = j->monotonic_ns,
        .copy_duration_ns = j->copied_ns - j->monotonic_ns,
        .first_frame = j->range.first_frame,
        .frame_count = j->range.frame_count,
        .frames_in_use = j->range.size.frames_in_use,
        .frames_max = j->range.size.frames_max,
        .grant_version = j->range.size.grant_version,
        .consistency = SNAPSHOT_ALIGNED_8_BYTES,
    };
    copy_digest_end(j->digest, out.snapshot_answer.observation.digest);
    out.snapshot_answer.first_status_frame = j->range.first_status_frame;
    out.snapshot_answer.status_frame_count = j->range.status_frame_count;
    out.snapshot_answer.frames_present = j->frames_present;
    arena_hand_over(m->arena, &j->slot);
    peer_send(m->peer, &out, NULL, 0);
}

/* Advances a job that begin() has let in. True while it is not over. */
static bool advance(struct mapper *m, struct job *j)
{
    struct failure f = { 0 };
    int result = check_deadline(j, &f);
    if (result == 0) {
        result = copy(m, j, &f);
    }
    if (result == 0 && j->frames_done < j->range.frame_count + j->range.status_frame_count) {
        return true;
    }
    j->copied_ns = clock_monotonic_ns();
    struct failure changed = { 0 };
    int still = claim_check(m, &j->request.domain, NULL, &changed);
    if (still == 0 && result == 0) {
        still = range_recheck(m->ops, m->backend, &j->request, &j->range, &changed);
    }
    if (still < 0) { /* that the domain is another explains a failure to copy it as well */
        result = still;
        f = changed;
    }
    if (result == 0) {
        answer(m, j);
    } else {
        arena_take_back(m->arena, &j->slot);
        peer_send_failure(m->peer, j->request.head.serial, &f);
    }
    end_job(m, j);
    return false;
}

int snapshot_begin(struct mapper *m, const struct message_snapshot *request, struct failure *f)
{
    struct job *j = NULL;
    for (size_t i = 0; i < SNAPSHOT_JOBS_MAX && !j; i++) {
        if (!m->jobs->jobs[i].active) {
            j = &m->jobs->jobs[i];
        }
    }
    if (!j) {
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%d snapshots are in flight already",
                                 SNAPSHOT_JOBS_MAX);
        failure_retry(f, result, FAILURE_RETRY_SOON_MS);
        return failure_next(f, result, "ask again in a moment");
    }
    *j = (struct job){ .request = *request, .digest = j->digest };
    int result = begin(m, j, f);
    if (result < 0) {
        return result;
    }
    j->active = true;
    m->jobs->active_count++;
    /* The first step at once: most snapshots are over with it. */
    advance(m, j);
    return 0;
}

uint32_t snapshot_count(const struct snapshot_jobs *jobs)
{
    return jobs->active_count;
}

bool snapshot_step(struct mapper *m)
{
    struct snapshot_jobs *jobs = m->jobs;
    for (uint32_t i = 0; i < SNAPSHOT_JOBS_MAX && jobs->active_count > 0; i++) {
        struct job *j = &jobs->jobs[(jobs->next + i) % SNAPSHOT_JOBS_MAX];
        if (j->active) {
            advance(m, j);
        }
    }
    jobs->next = (jobs->next + 1) % SNAPSHOT_JOBS_MAX;
    return jobs->active_count > 0;
}

void snapshot_abandon(struct mapper *m)
{
    for (uint32_t i = 0; i < SNAPSHOT_JOBS_MAX; i++) {
        if (m->jobs->jobs[i].active) {
            end_job(m, &m->jobs->jobs[i]);
        }
    }
}
