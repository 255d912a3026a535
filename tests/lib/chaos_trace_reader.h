/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A process that reads a trace by libxenres, each vCPU with a thread and a handle, and writes each thing
 * that it is told into that vCPU's journal before it takes the next. It ends by being killed; the next one
 * goes on from what is written.
 */
#ifndef XENRES_TESTS_CHAOS_TRACE_READER_H
#define XENRES_TESTS_CHAOS_TRACE_READER_H

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "tests/lib/chaos_client.h"
#include "tests/lib/chaos_trace_audit.h"

enum { TRACE_READER_PAUSE_MS = 5, TRACE_READER_VCPUS_MAX = 3 };

struct trace_reader_vcpu {
    struct journal *journal;
    struct trace_played played;
};

struct trace_reader {
    struct chaos_client access;
    const char *domain;
    char trace_id[JOURNAL_HEX_BYTES];
    uint32_t vcpu_count;
    struct trace_reader_vcpu vcpus[TRACE_READER_VCPUS_MAX];
};

/* --- callbacks: `arg` is the journal ---------------------------------------------------------------- */

static inline int trace_reader_begin(void *arg, const xenres_trace_begin *b)
{
    struct journal_entry e = { .kind = JOURNAL_BEGIN,
                               .resumed = b->resumed,
                               .first = b->position,
                               .offset = b->offset,
                               .segment = b->segment };

    (void)snprintf(e.feed, sizeof(e.feed), "%s", b->feed);
    journal_add(arg, e, "", 0);
    return 0;
}

static inline int trace_reader_segment(void *arg, const xenres_trace_segment *s)
{
    journal_add(arg,
                (struct journal_entry){ .kind = JOURNAL_SEGMENT,
                                        .reason = s->reason,
                                        .segment = s->segment,
                                        .first = s->position },
                "", 0);
    return 0;
}

static inline int trace_reader_data(void *arg, const xenres_trace_data *d)
{
    journal_add(arg,
                (struct journal_entry){ .kind = JOURNAL_DATA,
                                        .first = d->position,
                                        .offset = d->offset,
                                        .segment = d->segment,
                                        .count = (uint32_t)d->len_bytes },
                d->bytes, d->len_bytes);
    return 0;
}

static inline int trace_reader_gap(void *arg, const xenres_trace_gap *g)
{
    journal_add(arg,
                (struct journal_entry){ .kind = JOURNAL_GAP,
                                        .reason = g->reason,
                                        .first = g->position,
                                        .sequence = g->length,
                                        .offset = g->offset,
                                        .segment = g->segment,
                                        .exact = !g->at_least },
                "", 0);
    return 0;
}

static inline int trace_reader_checkpoint(void *arg, const xenres_trace_checkpoint *c)
{
    size_t len = strlen(c->cursor) + 1;

    journal_add(arg,
                (struct journal_entry){
                    .kind = JOURNAL_CHECKPOINT, .first = c->position, .count = (uint32_t)len },
                c->cursor, len);
    return 0;
}

static inline int trace_reader_heartbeat(void *arg, const xenres_trace_heartbeat *h)
{
    journal_add(arg, (struct journal_entry){ .kind = JOURNAL_HEARTBEAT, .first = h->position }, "",
                0);
    return 0;
}

static inline int trace_reader_end(void *arg, const xenres_trace_end *end)
{
    journal_add(arg,
                (struct journal_entry){
                    .kind = JOURNAL_END, .reason = end->reason, .first = end->position },
                end->message, strlen(end->message) + 1);
    return 0;
}

static inline int trace_reader_interrupted(void *arg, const xenres_trace_interruption *i)
{
    journal_add(arg, (struct journal_entry){ .kind = JOURNAL_CUT, .first = i->position },
                i->error->message, strlen(i->error->message) + 1);
    return 0;
}

/* --- the process ------------------------------------------------------------------------------------ */

static const struct trace_reader *trace_reader_of; /* the process's own */

static inline int trace_reader_read(xenres *handle, uint32_t vcpu, const struct trace_audit *a,
                                    xenres_error *error)
{
    const struct trace_reader *r = trace_reader_of;
    xenres_trace_query query = XENRES_TRACE_QUERY_INIT(r->domain, vcpu);
    const xenres_trace_sink sink = {
        sizeof(sink),           trace_reader_begin, trace_reader_segment,
        trace_reader_data,      trace_reader_gap,   trace_reader_checkpoint,
        trace_reader_heartbeat, trace_reader_end,   trace_reader_interrupted,
        r->vcpus[vcpu].journal
    };

    query.trace_id = r->trace_id;
    query.cursor = a->cursor;
    query.feed = a->is_known ? a->feed : NULL;
    query.position = a->next;
    return xenres_trace_read(handle, &query, &sink, error);
}

static inline void *trace_reader_thread(void *arg)
{
    static struct trace_audit audits[TRACE_READER_VCPUS_MAX];
    const struct trace_reader_vcpu *v = arg;
    uint32_t vcpu = (uint32_t)(v - trace_reader_of->vcpus);
    struct trace_audit *a = &audits[vcpu];
    xenres *handle = chaos_client_connect(&trace_reader_of->access);

    trace_audit_init(a, v->journal, &v->played);
    while (trace_audit_read(a) && !a->is_over) {
        xenres_error error;

        journal_add(v->journal, (struct journal_entry){ .kind = JOURNAL_STARTED }, "", 0);
        if (trace_reader_read(handle, vcpu, a, &error) != 0) {
            journal_add(v->journal,
                        (struct journal_entry){ .kind = JOURNAL_FAILED, .reason = error.code },
                        error.message, strlen(error.message) + 1);
        }
        (void)poll(NULL, 0, TRACE_READER_PAUSE_MS);
    }
    xenres_free(handle);
    return NULL; /* a broken promise the parent finds, too */
}

static inline _Noreturn void trace_reader_run(const struct trace_reader *r)
{
    pthread_t threads[TRACE_READER_VCPUS_MAX];

    trace_reader_of = r;
    for (uint32_t i = 0; i < r->vcpu_count; i++) {
        if (pthread_create(&threads[i], NULL, trace_reader_thread,
                           (void *)(uintptr_t)&r->vcpus[i]) != 0) {
            abort();
        }
    }
    for (uint32_t i = 0; i < r->vcpu_count; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    for (;;) {
        (void)pause();
    }
}

static inline pid_t trace_reader_start(const struct trace_reader *r)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
            _exit(1);
        }
        trace_reader_run(r);
    }
    return pid;
}

#endif
