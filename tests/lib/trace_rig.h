/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Traces of a real mapper, as a peer of mapper_rig.h asks for them and reads them. */
#ifndef XENRES_TESTS_TRACE_RIG_H
#define XENRES_TESTS_TRACE_RIG_H

#include "tests/lib/feed_rig.h"

#define TRACE_RIG_EXPORT "allow all all list,snapshot,watch,trace.read,trace.control\n"

static inline union message trace_rig_start_message(const struct domain_identity *d,
                                                    const char *owner, uint32_t flags)
{
    union message m = rig_message(MESSAGE_TRACE_START);

    m.trace_start.domain = *d;
    m.trace_start.flags = flags;
    snprintf(m.trace_start.owner, sizeof(m.trace_start.owner), "%s", owner);
    return m;
}

/* All vCPUs; false: refused, as `answer` says. */
static inline bool trace_rig_start(struct rig_peer *p, const struct domain_identity *d,
                                   const char *owner, uint32_t flags, union message *answer)
{
    union message m = trace_rig_start_message(d, owner, flags);

    return rig_call(p, &m, answer);
}

static inline bool trace_rig_stop(struct rig_peer *p, const uint8_t trace_id[16],
                                  union message *answer)
{
    union message m = rig_message(MESSAGE_TRACE_STOP);

    memcpy(m.trace_stop.trace_id, trace_id, 16);
    return rig_call(p, &m, answer);
}

static inline bool trace_rig_renew(struct rig_peer *p, const uint8_t trace_id[16],
                                   uint32_t lease_ms, union message *answer)
{
    union message m = rig_message(MESSAGE_TRACE_RENEW);

    memcpy(m.trace_renew.trace_id, trace_id, 16);
    m.trace_renew.lease_ms = lease_ms;
    return rig_call(p, &m, answer);
}

/* The traces of one domain. */
static inline const struct message_traces_answer *trace_rig_of(struct rig_peer *p, uint16_t domid,
                                                               union message *answer)
{
    union message m = rig_message(MESSAGE_TRACES);

    m.traces.first_domid = domid;
    m.traces.one = 1;
    assert_true(rig_call(p, &m, answer));
    return &answer->traces_answer;
}

static inline bool trace_rig_watch(struct rig_peer *p, const struct domain_identity *d,
                                   uint32_t vcpu, struct feed_rig *r, union message *answer)
{
    union message m = feed_rig_message(d, RESOURCE_VMTRACE_BUF, vcpu, 0, 0);

    return feed_rig_begin(r, p, &m, answer);
}

/* The next END, and what there was before it, from where `r` is. */
struct trace_rig_read {
    uint64_t bytes, lost;
    uint32_t begins, open_losses;
};
static inline const struct feed_end *trace_rig_to_end(struct feed_rig *r,
                                                      struct trace_rig_read *out)
{
    struct trace_rig_read read = { 0 };

    while (feed_rig_next(r)->kind != FEED_RECORD_END) {
        switch (r->record.kind) {
        case FEED_RECORD_BEGIN: read.begins++; break;
        case FEED_RECORD_BYTES: read.bytes += r->record.bytes->len_bytes; break;
        case FEED_RECORD_LOSS:
            read.lost += r->record.loss->len_bytes;
            read.open_losses += r->record.loss->at_least;
            break;
        default: break;
        }
    }
    if (out != NULL) {
        *out = read;
    }
    return r->record.end;
}

#endif
