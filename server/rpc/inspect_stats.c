/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* InspectService.GetVcpuStats: run time per vCPU, wherever the mapper has it from. */
#include "server/rpc/present_inspect.h"
#include "server/rpc/services.h"
#include "xenres/v1/inspect.pb-c.h"

static int stats_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__GetVcpuStatsRequest *r = (const void *)c->request;

    (void)f;
    c->domain = r->domain;
    c->incarnation = r->incarnation;
    c->type = RESOURCE_VCPU_STATS;
    return 0;
}

static void stats_ask(struct call *c, union message *m)
{
    m->vcpu_stats.head.type = MESSAGE_VCPU_STATS;
    m->vcpu_stats.domain = c->identity;
    m->vcpu_stats.deadline_ns = c->deadline_ns;
}

static const struct {
    uint32_t source;
    Xenres__V1__StatsSource presented;
} stats_sources[] = {
    { VCPU_STATS_TABLE, XENRES__V1__STATS_SOURCE__STATS_SOURCE_STATS_TABLE },
    { VCPU_STATS_INFO, XENRES__V1__STATS_SOURCE__STATS_SOURCE_VCPU_INFO },
};

static Xenres__V1__StatsSource present_source(uint32_t source)
{
    for (size_t i = 0; i < sizeof(stats_sources) / sizeof(stats_sources[0]); i++) {
        if (stats_sources[i].source == source) {
            return stats_sources[i].presented;
        }
    }
    return XENRES__V1__STATS_SOURCE__STATS_SOURCE_UNSPECIFIED;
}

static int stats_respond(struct call *c, struct failure *f)
{
    const struct message_vcpu_stats_answer *a = &c->answer->vcpu_stats_answer;
    struct pool *p = &c->pool;
    size_t len_bytes;
    const struct message_vcpu *vcpus = mapper_slot_bytes(c->slot, &len_bytes);
    Xenres__V1__GetVcpuStatsResponse *m =
        PRESENT_NEW(p, Xenres__V1__GetVcpuStatsResponse, xenres__v1__get_vcpu_stats_response);
    Xenres__V1__VcpuStats **rows = pool_array(p, a->vcpu_count, sizeof(*rows));

    if (m == NULL || rows == NULL) {
        return call_no_memory(f);
    }
    m->domain = present_identity(p, &c->identity);
    m->observation = present_observation(p, &a->observation);
    m->source = present_source(a->source);
    m->vcpus = rows;
    /* message_check() has seen that the slot has room for so many. */
    for (uint32_t i = 0; i < a->vcpu_count; i++) {
        rows[m->n_vcpus++] = present_vcpu_stats(p, &vcpus[i]);
    }
    c->response = &m->base;
    return 0;
}

const struct handler inspect_service_get_vcpu_stats = { .prepare = stats_prepare,
                                                        .ask = stats_ask,
                                                        .respond = stats_respond };
