/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See request.h. */
#include "server/mapper/request.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/scope.h"
#include "server/mapper/counters.h"
#include "server/mapper/describe.h"
#include "server/mapper/feed_image.h"
#include "server/mapper/feed_table.h"
#include "server/mapper/feed_watch.h"
#include "server/mapper/inventory.h"
#include "server/mapper/peer.h"
#include "server/mapper/snapshot.h"
#include "server/mapper/stats.h"
#include "server/mapper/trace.h"
#include "server/mapper/trace_request.h"

/*
 * Handlers fill `out`, whose head says afterwards that there is an answer, and return 0; or they
 * return an error, which is then the answer. `out` is zeroed in its head.
 */
typedef int handler(struct mapper *m, const union message *request, union message *out,
                    struct failure *f);

static int on_hello(struct mapper *m, const union message *request, union message *out,
                    struct failure *f)
{
    (void)m, (void)request, (void)out;
    return failure_set(f, ERROR_FAILED_PRECONDITION, "hello was said already");
}

static int on_host(struct mapper *m, const union message *request, union message *out,
                   struct failure *f)
{
    (void)f;
    inventory_host(m, &request->plain, out);
    return 0;
}

static int on_domains(struct mapper *m, const union message *request, union message *out,
                      struct failure *f)
{
    return inventory_domains(m, &request->domains, out, f);
}

static int on_describe(struct mapper *m, const union message *request, union message *out,
                       struct failure *f)
{
    return describe(m, &request->describe, out, f);
}

static int on_snapshot(struct mapper *m, const union message *request, union message *out,
                       struct failure *f)
{
    (void)out;
    return snapshot_begin(m, &request->snapshot, f); /* the job answers */
}

static int on_vcpu_stats(struct mapper *m, const union message *request, union message *out,
                         struct failure *f)
{
    return stats_read(m, &request->vcpu_stats, out, f);
}

static int on_release(struct mapper *m, const union message *request, union message *out,
                      struct failure *f)
{
    (void)out, (void)f;
    for (uint32_t i = 0; i < request->release.slot_count; i++) {
        arena_release(m->arena, request->release.slots[i].index,
                      request->release.slots[i].generation);
    }
    return 0;
}

static int on_counters(struct mapper *m, const union message *request, union message *out,
                       struct failure *f)
{
    (void)f;
    counters_read(m, &request->plain, out);
    return 0;
}

static int on_watch(struct mapper *m, const union message *request, union message *out,
                    struct failure *f)
{
    (void)out;
    return feed_watch(m, &request->watch, f); /* answers by itself; as do the next */
}

static int on_watch_domains(struct mapper *m, const union message *request, union message *out,
                            struct failure *f)
{
    (void)out;
    return feed_watch_domains(m, &request->plain, f);
}

static int on_image(struct mapper *m, const union message *request, union message *out,
                    struct failure *f)
{
    (void)out;
    return feed_image_begin(m, &request->image, f);
}

static int on_unwatch(struct mapper *m, const union message *request, union message *out,
                      struct failure *f)
{
    (void)out, (void)f;
    feed_watch_end(m, &request->unwatch);
    return 0;
}

static int on_trace_start(struct mapper *m, const union message *request, union message *out,
                          struct failure *f)
{
    (void)out;
    return trace_request_start(m, &request->trace_start,
                               f); /* answers by itself; as does the next */
}

static int on_trace_stop(struct mapper *m, const union message *request, union message *out,
                         struct failure *f)
{
    (void)out;
    return trace_request_stop(m, &request->trace_stop, f);
}

static int on_trace_renew(struct mapper *m, const union message *request, union message *out,
                          struct failure *f)
{
    return trace_request_renew(m, &request->trace_renew, out, f);
}

static int on_traces(struct mapper *m, const union message *request, union message *out,
                     struct failure *f)
{
    (void)f;
    trace_request_list(m, &request->traces, out);
    return 0;
}

static int on_trace_vcpus(struct mapper *m, const union message *request, union message *out,
                          struct failure *f)
{
    return trace_request_vcpus(m, &request->trace_vcpus, out, f);
}

static const struct row {
    uint16_t type;
    size_t len_bytes;
    handler *handle;
    bool is_answered;
    bool is_metered; /* makes hypercalls: under the ceiling */
} rows[] = {
    { MESSAGE_HELLO, sizeof(struct message_hello), on_hello, true, false },
    { MESSAGE_HOST, sizeof(struct message_plain), on_host, true, true },
    { MESSAGE_DOMAINS, sizeof(struct message_domains), on_domains, true, true },
    { MESSAGE_DESCRIBE, sizeof(struct message_describe), on_describe, true, true },
    { MESSAGE_SNAPSHOT, sizeof(struct message_snapshot), on_snapshot, true, true },
    { MESSAGE_VCPU_STATS, sizeof(struct message_vcpu_stats), on_vcpu_stats, true, true },
    { MESSAGE_RELEASE, sizeof(struct message_release), on_release, false, false },
    { MESSAGE_COUNTERS, sizeof(struct message_plain), on_counters, true, false },
    { MESSAGE_WATCH, sizeof(struct message_watch), on_watch, true, true },
    { MESSAGE_WATCH_DOMAINS, sizeof(struct message_plain), on_watch_domains, true, true },
    { MESSAGE_UNWATCH, sizeof(struct message_unwatch), on_unwatch, false, false },
    { MESSAGE_IMAGE, sizeof(struct message_image), on_image, true, false },
    { MESSAGE_TRACE_START, sizeof(struct message_trace_start), on_trace_start, true, true },
    { MESSAGE_TRACE_STOP, sizeof(struct message_trace_stop), on_trace_stop, true, false },
    { MESSAGE_TRACE_RENEW, sizeof(struct message_trace_renew), on_trace_renew, true, false },
    { MESSAGE_TRACES, sizeof(struct message_traces), on_traces, true, false },
    { MESSAGE_TRACE_VCPUS, sizeof(struct message_trace_vcpus), on_trace_vcpus, true, false },
};

static const struct row *row_of(const union message *request, size_t len_bytes, struct failure *f)
{
    if (message_check(request, len_bytes, f) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].type == request->head.type && rows[i].len_bytes == len_bytes) {
            return &rows[i];
        }
    }
    failure_set(f, ERROR_INVALID_ARGUMENT, "messages of type %#x are answers, not requests",
                request->head.type);
    return NULL;
}

void request_handle(struct mapper *m, union message *request, size_t len_bytes)
{
    struct failure f = { 0 };
    m->requests++;
    bool has_head = len_bytes >= sizeof(request->head) && request->head.magic == MESSAGE_MAGIC;
    uint64_t serial = has_head && request->head.serial != 0 ? request->head.serial : 1;
    const struct row *row = row_of(request, len_bytes, &f);
    if (!row) {
        peer_send_failure(m->peer, serial, &f);
        /* Without a head nothing says whose answer that was: there is no going on from there. */
        if (!has_head) {
            peer_drop(m->peer, "it sent what is no message");
        }
        return;
    }
    int result = 0;
    if (row->is_metered) {
        result = ceiling_admit(&m->ceiling, &m->meter, clock_monotonic_ns(),
                               m->ops->hypercalls(m->backend), &f);
        m->refusals += result < 0;
    }
    union message out __attribute__((uninitialized)); /* 15 KiB: handlers clear what they use */
    out.head.len_bytes = 0;
    if (result == 0) {
        result = row->handle(m, request, &out, &f);
    }
    if (!row->is_answered) {
        return;
    }
    if (result < 0) {
        assert(f.code == -result); /* who fails says why */
        peer_send_failure(m->peer, serial, &f);
    } else if (out.head.len_bytes > 0) {
        peer_send(m->peer, &out, NULL, 0);
    }
}

/* The peer's arena and its end of the doorbell. */
static int equip(struct mapper *m, struct message_hello_answer *hello, int *wait_fd,
                 struct failure *f)
{
    arena_free(m->arena);
    m->arena = NULL;
    int result = arena_new(m->arena_bytes, m->slot_max_bytes, &m->arena, f);
    return result < 0 ? result : feed_table_welcome(m->feeds, hello, wait_fd, f);
}

void request_welcome(struct mapper *m, const union message *hello)
{
    struct failure f;
    SCOPE_FD int wait_fd = -1;
    union message out;
    memset(&out.hello_answer, 0, sizeof(out.hello_answer));
    message_init(&out, MESSAGE_HELLO | MESSAGE_ANSWER, hello->head.serial);
    struct message_hello_answer *a = &out.hello_answer;
    if (equip(m, a, &wait_fd, &f) < 0) {
        log_failure(LOG_LEVEL_ERROR, "making an arena for the new peer", &f);
        peer_send_failure(m->peer, hello->head.serial, &f);
        peer_drop(m->peer, "there is no arena for it");
        return;
    }
    snprintf(a->version, sizeof(a->version), "%s", XENRES_VERSION);
    snprintf(a->backend, sizeof(a->backend), "%s", m->ops->name);
    memcpy(a->mapper_id, m->mapper_id, sizeof(a->mapper_id));
    a->arena_bytes = m->arena_bytes;
    a->slot_max_bytes = m->slot_max_bytes;
    a->requests_max = SNAPSHOT_JOBS_MAX;
    trace_table_welcome(m->traces, a);
    const int fds[] = { arena_fd(m->arena), wait_fd };
    peer_send(m->peer, &out, fds, 2);
}
