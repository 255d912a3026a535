/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See stats.h. */
#include "server/mapper/stats.h"

#include <string.h>

#include "common/clock.h"
#include "common/scope.h"
#include "server/mapper/claim.h"
#include "server/mapper/copy.h"
#include "server/mapper/run_times.h"

/* Into a slot, and the answer about it. */
static int deliver(struct mapper *m, const struct message_vcpu_stats *request,
                   const struct run_times *r, union message *out, struct failure *f)
{
    struct message_vcpu_stats_answer *a = &out->vcpu_stats_answer;
    size_t len_bytes = r->count * sizeof(r->vcpus[0]);
    if (len_bytes == 0) {
        return failure_set(f, ERROR_FAILED_PRECONDITION, "domain %u has no vCPUs",
                           request->domain.domid);
    }
    int result = arena_take(m->arena, len_bytes, &a->slot, f);
    if (result < 0) {
        return result;
    }
    struct copy_digest *digest = copy_digest_new();
    if (digest) {
        copy_digest_begin(digest);
        copy_digest_add(digest, request->domain.incarnation, sizeof(request->domain.incarnation));
        result = copy_step(arena_slot_bytes(m->arena, &a->slot), r->vcpus, len_bytes, digest, f);
        copy_digest_end(digest, a->observation.digest);
        copy_digest_free(digest);
    } else {
        result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a digest");
    }
    if (result < 0) {
        arena_take_back(m->arena, &a->slot);
        return result;
    }
    arena_hand_over(m->arena, &a->slot);
    a->source = r->source;
    a->vcpu_count = r->count;
    a->observation.consistency = r->source == VCPU_STATS_TABLE ? SNAPSHOT_SEQUENCE_LOCKED : 0;
    return 0;
}

int stats_read(struct mapper *m, const struct message_vcpu_stats *request, union message *out,
               struct failure *f)
{
    const struct domain_identity *domain = &request->domain;
    const struct directory_entry *e;
    uint64_t monotonic_ns = clock_monotonic_ns();
    if (request->deadline_ns != 0 && monotonic_ns > request->deadline_ns) {
        return failure_set(f, ERROR_DEADLINE_EXCEEDED, "the deadline passed before it was begun");
    }
    int result = claim_allowed(m, domain, RESOURCE_VCPU_STATS, EXPORT_SNAPSHOT, f);
    if (result == 0) {
        result = claim_check(m, domain, &e, f);
    }
    if (result < 0) {
        return result;
    }

    struct run_times r = { .max = e->domain.max_vcpus };
    if (r.max > MESSAGE_VCPUS_MAX) {
        r.max = MESSAGE_VCPUS_MAX;
    }
    SCOPE_FREE struct message_vcpu *vcpus = calloc(r.max ? r.max : 1, sizeof(*vcpus));
    if (!vcpus) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %u vCPUs", r.max);
    }
    r.vcpus = vcpus;
    memset(&out->vcpu_stats_answer, 0, sizeof(out->vcpu_stats_answer));
    message_init(out, MESSAGE_VCPU_STATS | MESSAGE_ANSWER, request->head.serial);
    struct message_observation *o = &out->vcpu_stats_answer.observation;
    o->wall_ns = clock_wall_ns();
    o->monotonic_ns = monotonic_ns;
    result = run_times_read(m->ops, m->backend, domain->domid, &r, f);
    m->brief_maps += r.maps;
    struct failure changed;
    if (claim_check(m, domain, NULL, &changed) < 0) {
        if (f) {
            *f = changed;
        }
        return -changed.code;
    }
    if (result < 0) {
        return result;
    }
    o->copy_duration_ns = clock_monotonic_ns() - monotonic_ns;
    return deliver(m, request, &r, out, f);
}
