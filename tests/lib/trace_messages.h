/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Messages of traces that message_check() lets pass, every list at its maximum. */
#ifndef XENRES_TESTS_TRACE_MESSAGES_H
#define XENRES_TESTS_TRACE_MESSAGES_H

#include <stdio.h>

#include "common/message.h"
#include "tests/lib/unit.h"

/* One that is over, of two vCPUs. */
static inline void trace_messages_trace(struct message_trace *t, uint16_t domid)
{
    t->trace_id[15] = 1;
    t->domain.domid = domid;
    t->vcpus[0] = t->vcpus[1] = 1;
    t->vcpu_count = 2;
    t->end_reason = 7;
    t->ended_wall_ns = 1;
    snprintf(t->owner, sizeof(t->owner), "owner");
}

/* What such a message, of which head and zeros are there, still lacks; of others nothing. */
static inline void trace_messages_make(union message *m, uint16_t type)
{
    switch (type) {
    case MESSAGE_TRACE_START: m->trace_start.owner[0] = 'a'; break;
    case MESSAGE_TRACE_STOP: m->trace_stop.trace_id[15] = 1; break;
    case MESSAGE_TRACE_RENEW: m->trace_renew.trace_id[0] = 1; break;
    case MESSAGE_TRACE_VCPUS: m->trace_vcpus.trace_id[0] = 1; break;
    case MESSAGE_TRACE_START | MESSAGE_ANSWER:
    case MESSAGE_TRACE_STOP | MESSAGE_ANSWER:
    case MESSAGE_TRACE_RENEW | MESSAGE_ANSWER:
        trace_messages_trace(&m->trace_answer.trace, 5);
        break;
    case MESSAGE_TRACES | MESSAGE_ANSWER:
        m->traces_answer.trace_count = MESSAGE_TRACES_MAX;
        for (uint16_t i = 0; i < MESSAGE_TRACES_MAX; i++) {
            trace_messages_trace(&m->traces_answer.traces[i], i / 2);
        }
        break;
    case MESSAGE_TRACE_VCPUS | MESSAGE_ANSWER:
        m->trace_vcpus_answer.vcpu_count = MESSAGE_TRACE_VCPUS_MAX;
        for (uint32_t i = 0; i < MESSAGE_TRACE_VCPUS_MAX; i++) {
            m->trace_vcpus_answer.vcpus[i].vcpu =
                MESSAGE_TRACED_VCPUS_MAX - MESSAGE_TRACE_VCPUS_MAX + i;
        }
        break;
    default: break;
    }
}

#endif
