/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * TraceService with the program's own feeds, at a mapper that the test plays: its traces are rows that the
 * test sets, and the feeds of their vCPUs are written by the mapper's own spools (append_play.h). Whatever a
 * call asks of the mapper meanwhile is answered by the test's thread, and counted. Callers: "cn:alice" and
 * "cn:bob" may trace, "cn:carol" may read traces, "cn:root" may administrate, "cn:viewer" may see domains.
 */
#ifndef XENRES_TESTS_TRACE_CALLS_H
#define XENRES_TESTS_TRACE_CALLS_H

#include "tests/lib/append_play.h"
#include "tests/lib/watching.h"

#include <errno.h>

enum { TRACE_RIG_TRACES_MAX = 12, TRACE_RIG_VCPUS = 2 };

static const char trace_rig_policy[] =
    "rule \"tracers\" { effect = allow identities = { \"cn:alice\", \"cn:bob\" } domains = { "
    "\"all\" }"
    " types = { \"all\" } actions = { \"list\", \"snapshot\", \"trace.read\", \"trace.control\" } "
    "}\n"
    "rule \"reader\" { effect = allow identities = { \"cn:carol\" } domains = { \"name:web-*\" }"
    " types = { \"vmtrace_buf\" } actions = { \"trace.read\" } }\n"
    "rule \"root\" { effect = allow identities = { \"cn:root\" } domains = { \"all\" }"
    " types = { \"all\" } actions = { \"trace.control\", \"admin\" } }\n"
    "rule \"viewer\" { effect = allow identities = { \"cn:viewer\" } domains = { \"name:web-*\" }"
    " types = { \"all\" } actions = { \"list\", \"watch\" } }\n";

struct trace_rig {
    struct rpc_rig rpc;
    struct identity bob, carol, root;
    struct append_play plays[TRACE_RIG_VCPUS]; /* of the first trace's vCPUs */
    struct message_trace traces[TRACE_RIG_TRACES_MAX];
    uint32_t trace_count, traces_a_page;
    struct message_trace_vcpu vcpus[40];
    uint32_t vcpu_count, vcpus_a_page;
    unsigned asked, starts, stops, renewals, watches; /* that were served */
    struct message_trace_start start;                 /* the last one */
    struct message_trace_renew renewal;
    struct message_watch watch;
    enum error_code fails; /* the next START, STOP, RENEW or WATCH */
    bool is_silent;        /* RENEW is not answered */
};

static inline void trace_rig_set_policy(struct trace_rig *r, const char *text)
{
    struct policy *policy = rpc_rig_parse_policy(text);

    rpc_set_rules(r->rpc.rpc, policy, NULL);
    policy_unref(policy);
}

/* A running one of web-1's, alice's, of two vCPUs; `number` makes its id. */
static inline struct message_trace trace_rig_trace(uint8_t number)
{
    struct message_trace t = {
        .trace_id = { 0x7a, number },
        .domain = fake_domain(1, "web-1", 0x11, 1).identity,
        .vcpus = { 3 },
        .started_wall_ns = UINT64_C(1700000000123456789),
        .started_monotonic_ns = 42,
        .flags = TRACE_OS,
        .pauses_per_second = 400,
        .lease_ms = 60000,
        .lease_left_ms = 59000,
        .vcpu_count = 2,
        .laps_detectable = 1,
        .facts = { .rtit_ctl = 0x2405, .buffer_bytes = 65536, .cpu_vendor = "GenuineIntel" },
        .owner = "cn:alice",
    };

    return t;
}

static inline void trace_rig_end_trace(struct message_trace *t, enum feed_end_reason reason)
{
    t->ended_wall_ns = t->started_wall_ns + CLOCK_NS_PER_S;
    t->end_reason = reason;
}

static inline void trace_rig_begin(struct trace_rig *r)
{
    *r = (struct trace_rig){ .bob = { .text = "cn:bob" },
                             .carol = { .text = "cn:carol" },
                             .root = { .text = "cn:root" },
                             .traces_a_page = MESSAGE_TRACES_MAX,
                             .vcpus_a_page = MESSAGE_TRACE_VCPUS_MAX };
    rpc_rig_init(&r->rpc, true);
    feeds_connected(r->rpc.feeds, true);
    trace_rig_set_policy(r, trace_rig_policy);
    for (uint32_t i = 0; i < TRACE_RIG_VCPUS; i++) {
        append_new(&r->plays[i], i + 1);
    }
    r->traces[0] = trace_rig_trace(1);
    r->trace_count = 1;
}

static inline void trace_rig_done(struct trace_rig *r)
{
    feeds_stop(r->rpc.feeds);
    rpc_rig_done(&r->rpc);
    for (uint32_t i = 0; i < TRACE_RIG_VCPUS; i++) {
        append_free(&r->plays[i]);
    }
}

/* --- the mapper's part ---------------------------------------------------------------------------------- */

static inline void trace_rig_answer_traces(struct trace_rig *r, const union message *request)
{
    union message m;
    struct message_traces_answer *a = &m.traces_answer;

    memset(a, 0, sizeof(*a));
    for (uint32_t i = 0; i < r->trace_count; i++) {
        const struct message_trace *t = &r->traces[i];

        if (request->traces.one != 0 ? t->domain.domid != request->traces.first_domid
                                     : t->domain.domid < request->traces.first_domid) {
            continue;
        }
        /* Those of one domain are not torn apart. */
        if (a->trace_count >= r->traces_a_page &&
            t->domain.domid != a->traces[a->trace_count - 1].domain.domid) {
            a->more = 1;
            break;
        }
        a->traces[a->trace_count++] = *t;
    }
    fake_mapper_send(&r->rpc.mapper, &m, MESSAGE_TRACES | MESSAGE_ANSWER, request->head.serial);
}

static inline void trace_rig_answer_vcpus(struct trace_rig *r, const union message *request)
{
    union message m;
    struct message_trace_vcpus_answer *a = &m.trace_vcpus_answer;

    memset(a, 0, sizeof(*a));
    for (uint32_t i = 0; i < r->vcpu_count; i++) {
        if (r->vcpus[i].vcpu < request->trace_vcpus.first_vcpu) {
            continue;
        }
        if (a->vcpu_count == r->vcpus_a_page) {
            a->more = 1;
            break;
        }
        a->vcpus[a->vcpu_count++] = r->vcpus[i];
    }
    fake_mapper_send(&r->rpc.mapper, &m, MESSAGE_TRACE_VCPUS | MESSAGE_ANSWER,
                     request->head.serial);
}

static inline struct message_trace *trace_rig_find(struct trace_rig *r, const uint8_t id[16])
{
    for (uint32_t i = 0; i < r->trace_count; i++) {
        if (memcmp(r->traces[i].trace_id, id, 16) == 0) {
            return &r->traces[i];
        }
    }
    return NULL;
}

/* Of START, STOP and RENEW. */
static inline void trace_rig_answer(struct trace_rig *r, const union message *request,
                                    const struct message_trace *t, bool joined)
{
    uint16_t type = request->head.type | MESSAGE_ANSWER;
    union message m;

    if (r->fails != 0 || t == NULL) {
        enum error_code code = r->fails != 0 ? r->fails : ERROR_NOT_FOUND;

        r->fails = 0;
        fake_mapper_failed(&r->rpc.mapper, request->head.serial, code, ENOENT);
        return;
    }
    memset(&m.trace_answer, 0, sizeof(m.trace_answer));
    m.trace_answer.trace = *t;
    m.trace_answer.joined = joined;
    fake_mapper_send(&r->rpc.mapper, &m, type, request->head.serial);
}

static inline void trace_rig_answer_watch(struct trace_rig *r, const union message *request)
{
    const struct message_watch *w = &request->watch;
    uint16_t type = MESSAGE_WATCH | MESSAGE_ANSWER;
    union message m;

    r->watches++;
    r->watch = *w;
    if (r->fails != 0 || w->id >= TRACE_RIG_VCPUS || trace_rig_find(r, w->trace_id) == NULL) {
        fake_mapper_failed(&r->rpc.mapper, request->head.serial,
                           r->fails != 0 ? r->fails : ERROR_FAILED_PRECONDITION, 0);
        r->fails = 0;
        return;
    }
    const struct feed_source_play *p = &r->plays[w->id].feed;
    int fd = ring_fd(p->ring);

    memset(&m.watch_answer, 0, sizeof(m.watch_answer));
    memcpy(m.watch_answer.feed_id, p->id, sizeof(p->id));
    m.watch_answer.feed = p->number;
    m.watch_answer.spool_bytes = p->capacity_bytes;
    message_init(&m, type, request->head.serial);
    assert_int_equal(channel_send(&r->rpc.mapper.peer, &m, message_size(type), &fd, 1, NULL), 0);
}

static inline void trace_rig_serve(struct trace_rig *r, const union message *request)
{
    struct message_trace *t;

    switch (request->head.type) {
    case MESSAGE_DOMAINS: rpc_rig_send_domains(&r->rpc, request->head.serial); return;
    case MESSAGE_UNWATCH:
    case MESSAGE_RELEASE: return;
    case MESSAGE_TRACES: r->asked++; return trace_rig_answer_traces(r, request);
    case MESSAGE_TRACE_VCPUS: return trace_rig_answer_vcpus(r, request);
    case MESSAGE_WATCH: return trace_rig_answer_watch(r, request);
    case MESSAGE_TRACE_START:
        r->starts++;
        r->start = request->trace_start;
        return trace_rig_answer(r, request, &r->traces[0], r->starts > 1);
    case MESSAGE_TRACE_STOP:
        r->stops++;
        t = trace_rig_find(r, request->trace_stop.trace_id);
        if (t != NULL && r->fails == 0) {
            trace_rig_end_trace(t, FEED_END_STOPPED_BY_CALLER);
        }
        return trace_rig_answer(r, request, t, false);
    case MESSAGE_TRACE_RENEW:
        r->renewals++;
        r->renewal = request->trace_renew;
        if (!r->is_silent) {
            trace_rig_answer(r, request, trace_rig_find(r, request->trace_renew.trace_id), false);
        }
        return;
    default: fail_msg("a request of type %u", (unsigned)request->head.type);
    }
}

/* Serves what is there, or comes soon. */
static inline bool trace_rig_serve_some(struct trace_rig *r, int within_ms)
{
    struct pollfd p = { .fd = r->rpc.mapper.peer.fd, .events = POLLIN };
    union message request;

    if (poll(&p, 1, within_ms) != 1) {
        return false;
    }
    fake_mapper_receive(&r->rpc.mapper, &request);
    trace_rig_serve(r, &request);
    return true;
}

static inline void trace_rig_serve_until_ready(struct trace_rig *r, struct flight *f)
{
    while (!rpc_rig_is_ready(f)) {
        (void)trace_rig_serve_some(r, 5);
    }
}

/* --- calls and streams ---------------------------------------------------------------------------------- */

/* A unary call that is answered; answer_done() and flight_done() are the caller's. */
static inline struct answer trace_call(struct trace_rig *r, struct flight *f,
                                       const struct identity *who, const char *method,
                                       const char *json)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "TraceService/%s", method);
    *f = (struct flight){ .exchange = NULL };
    flight_json(&r->rpc, f, who, name, false, json);
    trace_rig_serve_until_ready(r, f);
    return flight_answer(f);
}

/* Its message, which has to be a success; json_decref() is the caller's. */
static inline json_t *trace_call_json(struct trace_rig *r, const struct identity *who,
                                      const char *method, const char *json)
{
    struct flight f;
    struct answer a = trace_call(r, &f, who, method, json);
    const char *text = answer_text(&a);

    if (a.code != 0) {
        fail_msg("%s", text);
    }
    json_t *m = json_loads(text, 0, NULL);

    assert_true(json_is_object(m));
    answer_done(&a);
    flight_done(&f);
    return m;
}

static inline void trace_call_fails(struct trace_rig *r, const struct identity *who,
                                    const char *method, const char *json, enum error_code code,
                                    const char *field)
{
    char name[64];
    struct flight f = { .exchange = NULL };

    (void)snprintf(name, sizeof(name), "TraceService/%s", method);
    flight_json(&r->rpc, &f, who, name, strcmp(method, "ReadTrace") == 0, json);
    trace_rig_serve_until_ready(r, &f);
    flight_json_error(&f, code, field);
}

static inline void trace_open_as(struct trace_rig *r, struct watching *w,
                                 const struct identity *who, const char *json)
{
    watch_ask(&r->rpc, w, who, "TraceService/ReadTrace", json);
    trace_rig_serve_until_ready(r, &w->flight);
    assert_int_equal(flight_reply(&w->flight)->status, 200);
}

/* The next message; serves the mapper's part while there is none. */
static inline json_t *trace_read(struct trace_rig *r, struct watching *w)
{
    uint64_t until_ns = clock_monotonic_ns() + FAKE_WAIT_MS * CLOCK_NS_PER_MS;

    for (;;) {
        pthread_mutex_lock(&w->flight.ready.lock);
        unsigned before = w->flight.ready.count;

        pthread_mutex_unlock(&w->flight.ready.lock);
        json_t *json = watch_read(w);

        if (json != NULL) {
            return json;
        }
        for (bool is_waiting = true; is_waiting;) {
            pthread_mutex_lock(&w->flight.ready.lock);
            is_waiting = w->flight.ready.count == before;
            pthread_mutex_unlock(&w->flight.ready.lock);
            if (is_waiting) {
                (void)trace_rig_serve_some(r, 5);
            }
            assert_true(clock_monotonic_ns() < until_ns);
        }
    }
}

/* The next message but for heartbeats, and checkpoints where another is expected: this one. */
static inline const json_t *trace_expect(struct trace_rig *r, struct watching *w,
                                         const char *content)
{
    for (;;) {
        json_t *json = trace_read(r, w);
        bool is_aside = json_object_get(json, "heartbeat") != NULL ||
                        json_object_get(json, "checkpoint") != NULL;

        if (json_object_get(json, content) != NULL || !is_aside) {
            return watch_is(json, content);
        }
        json_decref(json);
    }
}

/* The mapper's writer has written. */
static inline void trace_rig_ring(struct trace_rig *r)
{
    doorbell_ring(r->rpc.mapper.doorbell.ring_fd);
}

#endif
