/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See message_trace.h. */
#include "common/message_trace.h"

#include <string.h>

_Static_assert(sizeof(struct message_trace_start) ==
                   24 + sizeof(struct domain_identity) + 40 + MESSAGE_OWNER_BYTES,
               "trace");
_Static_assert(sizeof(struct message_trace_facts) == 16 + 16 + 12 * 4, "facts");
_Static_assert(sizeof(struct message_trace) == 16 + sizeof(struct domain_identity) + 5 * 8 + 8 * 4 +
                                                   sizeof(struct message_trace_facts) +
                                                   sizeof(struct failure) + MESSAGE_OWNER_BYTES,
               "trace");
_Static_assert(sizeof(struct message_trace_answer) == 32 + sizeof(struct message_trace), "trace");
_Static_assert(sizeof(struct message_trace_stop) == 24 + 24, "trace stop");
_Static_assert(sizeof(struct message_trace_renew) == 24 + 24, "trace renew");
_Static_assert(sizeof(struct message_traces) == 32, "traces");
_Static_assert(sizeof(struct message_traces_answer) ==
                   32 + MESSAGE_TRACES_MAX * sizeof(struct message_trace),
               "traces");
_Static_assert(sizeof(struct message_trace_vcpus) == 24 + 24, "trace vcpus");
_Static_assert(sizeof(struct message_trace_vcpu) == 8 + 16 + 6 * 4 + 5 * 8, "trace vcpu");
_Static_assert(sizeof(struct message_trace_vcpus_answer) ==
                   32 + MESSAGE_TRACE_VCPUS_MAX * sizeof(struct message_trace_vcpu),
               "trace vcpus");

static bool is_ended(const char *text, size_t size_bytes)
{
    return memchr(text, 0, size_bytes) != NULL;
}

#define IS_ENDED(array) is_ended((array), sizeof(array))

static bool is_zero(const uint8_t id[16])
{
    static const uint8_t zero[16];

    return memcmp(id, zero, sizeof(zero)) == 0;
}

enum { TRACE_FLAGS = TRACE_OS | TRACE_USER | TRACE_NO_TSC | TRACE_NO_RETC | TRACE_TAKEOVER };

const char *message_check_trace_start(const union message *m)
{
    const struct message_trace_start *t = &m->trace_start;

    if ((t->flags & ~(uint32_t)TRACE_FLAGS) != 0) {
        return "flags";
    }
    if (!IS_ENDED(t->owner) || t->owner[0] == '\0') {
        return "owner";
    }
    return t->reserved == 0 ? domain_identity_wrong(&t->domain) : "reserved";
}

static const char *check_trace(const struct message_trace *t)
{
    if (is_zero(t->trace_id)) {
        return "trace.trace_id";
    }
    if (!IS_ENDED(t->owner) || !IS_ENDED(t->facts.cpu_vendor)) {
        return "trace: a text";
    }
    if (t->vcpu_count == 0 || t->vcpu_count > MESSAGE_TRACED_VCPUS_MAX ||
        t->vcpu_count !=
            (uint32_t)(__builtin_popcountll(t->vcpus[0]) + __builtin_popcountll(t->vcpus[1]))) {
        return "trace.vcpu_count";
    }
    if ((t->flags & ~(uint32_t)TRACE_FLAGS) != 0) {
        return "trace.flags";
    }
    if (t->laps_detectable > 1) {
        return "trace.laps_detectable";
    }
    if ((t->ended_wall_ns == 0) != (t->end_reason == 0)) {
        return "trace.end_reason";
    }
    if (t->facts.reserved != 0) {
        return "trace.facts.reserved";
    }
    const char *wrong = failure_wrong(&t->failure);

    return wrong != NULL ? wrong : domain_identity_wrong(&t->domain);
}

const char *message_check_trace_answer(const union message *m)
{
    const struct message_trace_answer *a = &m->trace_answer;

    if (a->reserved != 0) {
        return "reserved";
    }
    return a->joined <= 1 ? check_trace(&a->trace) : "joined";
}

const char *message_check_trace_stop(const union message *m)
{
    return is_zero(m->trace_stop.trace_id) ? "trace_id" : NULL;
}

const char *message_check_trace_renew(const union message *m)
{
    if (is_zero(m->trace_renew.trace_id)) {
        return "trace_id";
    }
    return m->trace_renew.reserved == 0 ? NULL : "reserved";
}

const char *message_check_traces(const union message *m)
{
    return m->traces.one <= 1 ? NULL : "one";
}

const char *message_check_traces_answer(const union message *m)
{
    const struct message_traces_answer *a = &m->traces_answer;

    if (a->trace_count > MESSAGE_TRACES_MAX) {
        return "trace_count";
    }
    if (a->more > 1 || (a->more == 1 && a->trace_count == 0)) {
        return "more";
    }
    for (uint32_t i = 0; i < a->trace_count; i++) {
        const char *wrong = check_trace(&a->traces[i]);

        if (wrong != NULL) {
            return wrong;
        }
        const struct message_trace *before = i > 0 ? &a->traces[i - 1] : NULL;

        if (before != NULL &&
            (a->traces[i].domain.domid < before->domain.domid ||
             (a->traces[i].domain.domid == before->domain.domid && a->traces[i].end_reason == 0))) {
            return "traces: the order";
        }
    }
    return NULL;
}

const char *message_check_trace_vcpus(const union message *m)
{
    if (is_zero(m->trace_vcpus.trace_id)) {
        return "trace_id";
    }
    return m->trace_vcpus.reserved == 0 ? NULL : "reserved";
}

const char *message_check_trace_vcpus_answer(const union message *m)
{
    const struct message_trace_vcpus_answer *a = &m->trace_vcpus_answer;

    if (a->vcpu_count > MESSAGE_TRACE_VCPUS_MAX) {
        return "vcpu_count";
    }
    if (a->more > 1 || (a->more == 1 && a->vcpu_count == 0)) {
        return "more";
    }
    for (uint32_t i = 0; i < a->vcpu_count; i++) {
        const struct message_trace_vcpu *v = &a->vcpus[i];

        if (v->vcpu >= MESSAGE_TRACED_VCPUS_MAX || v->is_over > 1 || v->reserved != 0 ||
            v->lost_bytes > v->produced_bytes) {
            return "vcpus";
        }
        if (i > 0 && v->vcpu <= a->vcpus[i - 1].vcpu) {
            return "vcpus: the order";
        }
    }
    return NULL;
}
