/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A process that watches by libxenres, and writes each thing that it is told into a journal before it
 * takes the next. It ends by being killed; the next one goes on from what is written.
 */
#ifndef XENRES_TESTS_CHAOS_WATCHER_H
#define XENRES_TESTS_CHAOS_WATCHER_H

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

#include "tests/lib/chaos_audit.h"
#include "tests/lib/chaos_client.h"

enum { WATCHER_PAUSE_MS = 5, WATCHER_DOMAINS_A_PIECE = 256 };

struct watcher_options {
    struct chaos_client access;
    const char *domain; /* NULL: the host's domains */
    uint32_t type, id, mode, period_ms;
    bool decode;
};

/* --- callbacks: `arg` is the journal --------------------------------------------------------------- */

static inline void watcher_name(char out[JOURNAL_HEX_BYTES], const char *text)
{
    (void)snprintf(out, JOURNAL_HEX_BYTES, "%s", text);
}

static inline int watcher_begin(void *arg, const xenres_watch_begin *b)
{
    struct journal_entry e = {
        .kind = JOURNAL_BEGIN, .resumed = b->resumed, .sequence = b->sequence, .segment = b->segment
    };

    watcher_name(e.feed, b->feed);
    watcher_name(e.life, b->domain.incarnation);
    journal_add(arg, e, "", 0);
    return 0;
}

static inline int watcher_image(void *arg, const xenres_watch_image *p)
{
    journal_add(arg,
                (struct journal_entry){ .kind = JOURNAL_PIECE,
                                        .whole = true,
                                        .first = p->first_sequence,
                                        .sequence = p->sequence,
                                        .segment = p->segment,
                                        .offset = p->offset_bytes,
                                        .count = (uint32_t)p->len_bytes,
                                        .more = !p->complete },
                p->bytes, p->len_bytes);
    return 0;
}

static inline int watcher_changes(void *arg, const xenres_watch_changes *c)
{
    journal_add2(arg,
                 (struct journal_entry){ .kind = JOURNAL_CHANGES,
                                         .first = c->first_sequence,
                                         .sequence = c->sequence,
                                         .segment = c->segment,
                                         .count = (uint32_t)c->block_count,
                                         .more = c->more },
                 c->blocks, c->block_count * sizeof(*c->blocks), c->content,
                 c->block_count * AUDIT_BLOCK_BYTES);
    return 0;
}

static inline int watcher_decoded(void *arg, const xenres_watch_decoded *d)
{
    journal_add(arg,
                (struct journal_entry){ .kind = JOURNAL_DECODED,
                                        .whole = d->whole,
                                        .first = d->first_sequence,
                                        .sequence = d->sequence,
                                        .segment = d->segment,
                                        .count = (uint32_t)d->grant_count,
                                        .more = d->more },
                d->grants, d->grant_count * sizeof(*d->grants));
    return 0;
}

static inline int watcher_gap(void *arg, const xenres_watch_gap *g)
{
    journal_add(arg,
                (struct journal_entry){ .kind = JOURNAL_GAP,
                                        .reason = g->reason,
                                        .first = g->first_sequence,
                                        .sequence = g->sequence,
                                        .exact = g->exact },
                "", 0);
    return 0;
}

static inline int watcher_checkpoint(void *arg, const xenres_watch_checkpoint *c)
{
    size_t len = strlen(c->cursor) + 1;

    journal_add(arg,
                (struct journal_entry){
                    .kind = JOURNAL_CHECKPOINT, .sequence = c->sequence, .count = (uint32_t)len },
                c->cursor, len);
    return 0;
}

static inline int watcher_heartbeat(void *arg, const xenres_watch_heartbeat *h)
{
    journal_add(arg, (struct journal_entry){ .kind = JOURNAL_HEARTBEAT, .sequence = h->sequence },
                "", 0);
    return 0;
}

static inline int watcher_end(void *arg, const xenres_watch_end *end)
{
    journal_add(arg,
                (struct journal_entry){
                    .kind = JOURNAL_END, .reason = end->reason, .sequence = end->sequence },
                end->message, strlen(end->message) + 1);
    return 0;
}

static inline int watcher_interrupted(void *arg, const xenres_watch_interruption *i)
{
    journal_add(arg, (struct journal_entry){ .kind = JOURNAL_CUT, .sequence = i->sequence },
                i->error->message, strlen(i->error->message) + 1);
    return 0;
}

static inline int watcher_domains_begin(void *arg, const xenres_domains_begin *b)
{
    struct journal_entry e = { .kind = JOURNAL_BEGIN,
                               .resumed = b->resumed,
                               .sequence = b->sequence };

    watcher_name(e.feed, b->feed);
    journal_add(arg, e, "", 0);
    return 0;
}

static inline void watcher_take_domain(struct journal_domain *to, const xenres_domain *d,
                                       uint32_t kind)
{
    memset(to, 0, sizeof(*to));
    to->domid = d->identity.domid;
    to->kind = kind;
    watcher_name(to->life, d->identity.incarnation);
    (void)snprintf(to->name, sizeof(to->name), "%s", d->identity.name);
}

static inline int watcher_list(void *arg, const xenres_domains_piece *p)
{
    static struct journal_domain rows[WATCHER_DOMAINS_A_PIECE];

    for (size_t i = 0; i < p->domain_count && i < WATCHER_DOMAINS_A_PIECE; i++) {
        watcher_take_domain(&rows[i], &p->domains[i], 0);
    }
    journal_add(arg,
                (struct journal_entry){ .kind = JOURNAL_LIST,
                                        .whole = true,
                                        .sequence = p->sequence,
                                        .count = (uint32_t)p->domain_count,
                                        .more = !p->complete },
                rows, p->domain_count * sizeof(rows[0]));
    return 0;
}

static inline int watcher_change(void *arg, const xenres_domain_change *c)
{
    struct journal_domain row;

    watcher_take_domain(&row, &c->domain, c->kind);
    journal_add(arg,
                (struct journal_entry){ .kind = JOURNAL_DOMAIN,
                                        .first = c->first_sequence,
                                        .sequence = c->sequence,
                                        .count = 1 },
                &row, sizeof(row));
    return 0;
}

/* --- the process ------------------------------------------------------------------------------------ */

static inline int watcher_watch(xenres *handle, const struct watcher_options *o,
                                const struct audit *a, struct journal *j, xenres_error *error)
{
    xenres_watch_query query = XENRES_WATCH_QUERY_INIT(o->domain, o->type, o->id);
    const xenres_watch_sink sink = { sizeof(sink),        NULL,
                                     watcher_begin,       watcher_image,
                                     watcher_changes,     watcher_decoded,
                                     watcher_gap,         watcher_checkpoint,
                                     watcher_heartbeat,   watcher_end,
                                     watcher_interrupted, j };

    query.incarnation = a->life;
    query.mode = o->mode;
    query.period_ms = o->period_ms;
    query.decode = o->decode;
    query.cursor = a->cursor;
    query.feed = a->is_known ? a->feed : NULL;
    query.sequence = a->delivered;
    return xenres_watch(handle, &query, &sink, error);
}

static inline int watcher_watch_domains(xenres *handle, const struct audit *a, struct journal *j,
                                        xenres_error *error)
{
    xenres_domains_watch_query query = XENRES_DOMAINS_WATCH_QUERY_INIT;
    const xenres_domains_sink sink = { sizeof(sink),
                                       NULL,
                                       watcher_domains_begin,
                                       watcher_list,
                                       watcher_change,
                                       watcher_gap,
                                       watcher_checkpoint,
                                       watcher_heartbeat,
                                       watcher_end,
                                       watcher_interrupted,
                                       j };

    query.cursor = a->cursor;
    query.feed = a->is_known ? a->feed : NULL;
    query.sequence = a->delivered;
    return xenres_watch_domains(handle, &query, &sink, error);
}

static inline _Noreturn void watcher_run(const struct watcher_options *o, struct journal *j)
{
    static struct audit a;
    xenres *handle = chaos_client_connect(&o->access);

    audit_begin_at(&a, j, o->domain == NULL);
    journal_add(j, (struct journal_entry){ .kind = JOURNAL_STARTED }, "", 0);
    while (audit_read(&a)) {
        xenres_error error;
        int result = o->domain != NULL ? watcher_watch(handle, o, &a, j, &error)
                                       : watcher_watch_domains(handle, &a, j, &error);

        if (result != 0) {
            journal_add(j, (struct journal_entry){ .kind = JOURNAL_FAILED, .reason = error.code },
                        error.message, strlen(error.message) + 1);
        }
        (void)poll(NULL, 0, WATCHER_PAUSE_MS);
    }
    pause(); /* the parent finds the same */
    _exit(1);
}

static inline pid_t watcher_start(const struct watcher_options *o, struct journal *j)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
            _exit(1);
        }
        watcher_run(o, j);
    }
    return pid;
}

#endif
