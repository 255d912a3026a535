/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/mapper_answer.h"

#include <string.h>

#include "common/feed_record.h"
#include "common/layout.h"

enum { DOMID_MAX = 32751 }; /* DOMID_FIRST_RESERVED - 1 */

struct mapper_question mapper_question_of(const union message *request)
{
    struct mapper_question q = { .type = request->head.type };

    if (q.type == MESSAGE_SNAPSHOT) {
        q.resource = request->snapshot.type;
        q.id = request->snapshot.id;
        q.first_frame = request->snapshot.first_frame;
        q.frame_count = request->snapshot.frame_count;
        q.flags = request->snapshot.flags;
    } else if (q.type == MESSAGE_WATCH) {
        q.resource = request->watch.type;
    } else if (q.type == MESSAGE_DOMAINS) {
        q.first_domid = request->domains.first_domid;
    } else if (q.type == MESSAGE_TRACES) {
        q.first_domid = request->traces.first_domid;
        q.one = request->traces.one != 0;
    } else if (q.type == MESSAGE_TRACE_VCPUS) {
        q.id = request->trace_vcpus.first_vcpu;
    } else if (q.type == MESSAGE_TRACE_START) {
        memcpy(q.incarnation, request->trace_start.domain.incarnation, sizeof(q.incarnation));
    } else if (q.type == MESSAGE_TRACE_STOP) {
        memcpy(q.trace_id, request->trace_stop.trace_id, sizeof(q.trace_id));
    } else if (q.type == MESSAGE_TRACE_RENEW) {
        memcpy(q.trace_id, request->trace_renew.trace_id, sizeof(q.trace_id));
    }
    return q;
}

/* What is wrong, NULL for nothing. */
typedef const char *answer_check(const struct mapper_question *q, const union message *m);

static const char *check_domains(const struct mapper_question *q, const union message *m)
{
    const struct message_domains_answer *a = &m->domains_answer;

    /* Ascending, says message_check(): so paging with the last number + 1 comes to an end. */
    if (a->domain_count > 0 && a->domains[0].identity.domid < q->first_domid) {
        return "a domain before the first one asked for";
    }
    if (a->domain_count > 0 && a->domains[a->domain_count - 1].identity.domid > DOMID_MAX) {
        return "a domain with a reserved number";
    }
    return NULL;
}

static const char *check_describe(const struct mapper_question *q, const union message *m)
{
    const struct message_describe_answer *a = &m->describe_answer;

    (void)q;
    for (uint32_t i = 0; i < a->resource_count; i++) {
        const struct message_resource *r = &a->resources[i];

        if (r->id_count > MESSAGE_VCPUS_MAX || r->first_id > MESSAGE_VCPUS_MAX - r->id_count) {
            return "more resources than a domain can have";
        }
        if (r->frames_in_use > r->frames_max) {
            return "more frames in use than there can be";
        }
    }
    return NULL;
}

static const char *check_range(const struct mapper_question *q, const struct message_observation *o)
{
    uint64_t end = (uint64_t)o->first_frame + o->frame_count;

    if (o->first_frame != q->first_frame || o->frame_count == 0) {
        return "other frames than those asked for";
    }
    if (q->frame_count != MESSAGE_FRAMES_ALL ? o->frame_count != q->frame_count
                                             : end != o->frames_in_use) {
        return "another number of frames than asked for";
    }
    return end <= o->frames_in_use && o->frames_in_use <= o->frames_max
               ? NULL
               : "frames beyond those in use";
}

static const char *check_status(const struct mapper_question *q,
                                const struct message_snapshot_answer *a)
{
    uint32_t first = 0;
    uint32_t count = 0;

    if ((q->flags & SNAPSHOT_WITH_STATUS) != 0 && a->observation.grant_version == 2) {
        layout_status_range(a->observation.first_frame, a->observation.frame_count, &first, &count);
    }
    return a->first_status_frame == first && a->status_frame_count == count
               ? NULL
               : "other status frames than those of the frames";
}

static const char *check_present(const struct mapper_question *q,
                                 const struct message_snapshot_answer *a)
{
    uint32_t count = a->observation.frame_count;

    if ((q->flags & SNAPSHOT_SPARSE) == 0) {
        return NULL;
    }
    return count < 32 && a->frames_present != 0 && a->frames_present >> count == 0
               ? NULL
               : "frames present that were not asked for";
}

static const char *check_snapshot(const struct mapper_question *q, const union message *m)
{
    const struct message_snapshot_answer *a = &m->snapshot_answer;
    const struct message_observation *o = &a->observation;
    uint64_t frames = (uint64_t)o->frame_count + a->status_frame_count;
    const char *wrong = check_range(q, o);

    if (wrong == NULL) {
        wrong = check_status(q, a);
    }
    if (wrong == NULL) {
        wrong = check_present(q, a);
    }
    if (wrong == NULL && a->slot.len_bytes != frames * MESSAGE_FRAME_BYTES) {
        wrong = "a slot of another size than its frames";
    }
    if (wrong == NULL && (o->grant_version != 0) != (q->resource == RESOURCE_GRANT_TABLE)) {
        wrong = "a grant version where there is none, or none where there is one";
    }
    return wrong;
}

/* A source or the host's domains: only the first is sampled, and a trace as its buffer demands. */
static const char *check_watch(const struct mapper_question *q, const union message *m)
{
    const struct message_watch_answer *a = &m->watch_answer;

    return (q->type == MESSAGE_WATCH && q->resource == RESOURCE_VMTRACE_BUF) ||
                   (a->period_ns == 0) == (q->type == MESSAGE_WATCH_DOMAINS)
               ? NULL
               : "a period of what is not sampled, or none of what is";
}

/* Whether the frames are those of the feed, and the place is one of its spool, feeds knows. */
static const char *check_image(const struct mapper_question *q, const union message *m)
{
    const struct message_slot *slot = &m->image_answer.slot;

    (void)q;
    return slot->len_bytes > 0 && slot->len_bytes <= FEED_IMAGE_MAX_BYTES &&
                   slot->len_bytes % FEED_BLOCK_BYTES == 0
               ? NULL
               : "an image of a size that cannot be";
}

static const char *check_started(const struct mapper_question *q, const union message *m)
{
    const struct message_trace *t = &m->trace_answer.trace;

    return memcmp(t->domain.incarnation, q->incarnation, sizeof(q->incarnation)) == 0
               ? NULL
               : "a trace of another domain";
}

static const char *check_trace(const struct mapper_question *q, const union message *m)
{
    return memcmp(m->trace_answer.trace.trace_id, q->trace_id, sizeof(q->trace_id)) == 0
               ? NULL
               : "another trace";
}

static const char *check_traces(const struct mapper_question *q, const union message *m)
{
    const struct message_traces_answer *a = &m->traces_answer;

    if (a->trace_count == 0) {
        return NULL;
    }
    /* Ascending, as domains are. */
    uint32_t first = a->traces[0].domain.domid, last = a->traces[a->trace_count - 1].domain.domid;

    if (first < q->first_domid || (q->one && last != q->first_domid)) {
        return "a trace of a domain that was not asked for";
    }
    return last <= DOMID_MAX ? NULL : "a domain with a reserved number";
}

static const char *check_trace_vcpus(const struct mapper_question *q, const union message *m)
{
    const struct message_trace_vcpus_answer *a = &m->trace_vcpus_answer;

    return a->vcpu_count == 0 || a->vcpus[0].vcpu >= q->id ? NULL : "a vCPU before the first one";
}

static const char *check_nothing(const struct mapper_question *q, const union message *m)
{
    (void)q;
    (void)m;
    return NULL;
}

static const struct {
    uint16_t type;
    answer_check *check;
} checks[] = {
    { MESSAGE_HOST, check_nothing },
    { MESSAGE_DOMAINS, check_domains },
    { MESSAGE_DESCRIBE, check_describe },
    { MESSAGE_SNAPSHOT, check_snapshot },
    { MESSAGE_COUNTERS, check_nothing },
    { MESSAGE_WATCH, check_watch },
    { MESSAGE_WATCH_DOMAINS, check_watch },
    { MESSAGE_IMAGE, check_image },
    { MESSAGE_VCPU_STATS, check_nothing }, /* all of it is message_check()'s, and the slot */
    { MESSAGE_TRACE_START, check_started },
    { MESSAGE_TRACE_STOP, check_trace },
    { MESSAGE_TRACE_RENEW, check_trace },
    { MESSAGE_TRACES, check_traces },
    { MESSAGE_TRACE_VCPUS, check_trace_vcpus },
};

int mapper_answer_check(const struct mapper_question *q, const union message *answer,
                        struct failure *f)
{
    const char *wrong = "an answer to another question";

    if (answer->head.type == MESSAGE_FAILED) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (q->type == checks[i].type && answer->head.type == (q->type | MESSAGE_ANSWER)) {
            wrong = checks[i].check(q, answer);
        }
    }
    if (wrong == NULL) {
        return 0;
    }
    int result = failure_set(f, ERROR_INTERNAL, "the mapper contradicts itself: %s", wrong);

    failure_cause(f, result, "a fault in the mapper; nothing of this answer is used");
    return failure_next(f, result, "report it, with the log of both programs");
}

const struct message_slot *mapper_answer_slot(const union message *answer)
{
    switch (answer->head.type) {
    case MESSAGE_SNAPSHOT | MESSAGE_ANSWER: return &answer->snapshot_answer.slot;
    case MESSAGE_VCPU_STATS | MESSAGE_ANSWER: return &answer->vcpu_stats_answer.slot;
    case MESSAGE_IMAGE | MESSAGE_ANSWER: return &answer->image_answer.slot;
    default: return NULL;
    }
}

size_t mapper_answer_fd_count(const union message *answer)
{
    switch (answer->head.type) {
    case MESSAGE_HELLO | MESSAGE_ANSWER: return MAPPER_HELLO_FDS;
    case MESSAGE_WATCH | MESSAGE_ANSWER:
    case MESSAGE_WATCH_DOMAINS | MESSAGE_ANSWER: return 1;
    default: return 0;
    }
}
