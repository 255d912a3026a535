/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* HostService.WatchDomains, followed. */
#include "client/call.h"
#include "client/domain_query.h"
#include "client/follow.h"
#include "client/view.h"
#include "client/watch_view.h"

/* What the follower knows as its `arg`. */
struct domains_watch {
    struct domain_query query;
    xenres_domains_sink sink;
};

static bool pack(const struct follow *f, const char *cursor, struct buffer *out)
{
    struct domains_watch *w = f->arg;
    Xenres__V1__WatchDomainsRequest request;

    xenres__v1__watch_domains_request__init(&request);
    request.filter = &w->query.filter;
    request.cursor = call_string(cursor);
    return call_pack(&request.base, out);
}

/* --- messages --- */

static int read_begin(xenres_reply *reply, const Xenres__V1__WatchDomainsBegin *m,
                      struct follow_message *out, struct fault *fault)
{
    xenres_domains_begin *begin = reply_array(reply, 1, sizeof(*begin), fault);
    int result = begin != NULL ? watch_view_begin(m->feed, m->silence_max, m->resumed != 0,
                                                  m->sequence, 0, out, fault)
                               : -ERROR_RESOURCE_EXHAUSTED;

    if (result == 0) {
        *begin = (xenres_domains_begin){ .resumed = m->resumed != 0,
                                         .sequence = m->sequence,
                                         .feed = m->feed,
                                         .silence_max_ms = out->silence_max_ms };
        out->view = begin;
    }
    return result;
}

static int read_list(xenres_reply *reply, const Xenres__V1__WatchDomainsList *m,
                     struct follow_message *out, struct fault *fault)
{
    xenres_domains_piece *piece = reply_array(reply, 1, sizeof(*piece), fault);
    xenres_domain *domains = reply_array(reply, m->n_domains, sizeof(*domains), fault);

    if (piece == NULL || domains == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    for (size_t i = 0; i < m->n_domains; i++) {
        view_domain(m->domains[i], &domains[i]);
    }
    *piece = (xenres_domains_piece){ .sequence = m->sequence,
                                     .domains = domains,
                                     .domain_count = m->n_domains,
                                     .complete = m->complete != 0 };
    out->numbers = (struct numbering_item){ .kind = NUMBERING_CONTENT,
                                            .sequence = m->sequence,
                                            .more = m->complete == 0 };
    out->view = piece;
    return 0;
}

static int read_change(xenres_reply *reply, const Xenres__V1__DomainChange *m,
                       struct follow_message *out, struct fault *fault)
{
    xenres_domain_change *change = reply_array(reply, 1, sizeof(*change), fault);

    if (change == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    if (m->domain == NULL) {
        return reconnect_lie(fault, "has a change of no domain");
    }
    *change = (xenres_domain_change){
        .sequence = m->sequence,
        .kind = (uint32_t)m->kind,
        .previous_name = m->previous_name,
        .monotonic_ns = m->monotonic_ns,
    };
    view_domain(m->domain, &change->domain);
    view_time(m->time, &change->wall_seconds, &change->wall_nanoseconds);
    out->numbers = (struct numbering_item){
        .kind = NUMBERING_CHANGES,
        .first = m->first_sequence != 0 ? m->first_sequence : m->sequence,
        .sequence = m->sequence,
    };
    out->view = change;
    return 0;
}

static int read_message(xenres_reply *reply, struct follow_message *out, struct fault *fault)
{
    const Xenres__V1__WatchDomainsResponse *m =
        (const Xenres__V1__WatchDomainsResponse *)reply->message;

    switch (m->content_case) {
    case XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_BEGIN:
        return read_begin(reply, m->begin, out, fault);
    case XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_LIST:
        return read_list(reply, m->list, out, fault);
    case XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_CHANGE:
        return read_change(reply, m->change, out, fault);
    case XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_GAP: watch_view_gap(m->gap, out); return 0;
    case XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_CHECKPOINT:
        return watch_view_checkpoint(m->checkpoint, out, fault);
    case XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_HEARTBEAT:
        return watch_view_heartbeat(reply, m->heartbeat, out, fault);
    case XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_END:
        return watch_view_end(reply, m->end, out, fault);
    case XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT__NOT_SET: /* a later version's */
    default: return 0;
    }
}

static int deliver(const struct follow *f, const struct follow_message *m,
                   const struct numbering_verdict *verdict)
{
    const struct domains_watch *w = f->arg;
    const xenres_domains_sink *to = &w->sink;

    if (m->numbers.kind == NUMBERING_BEGIN) {
        xenres_domains_begin *begin = m->view;

        begin->sequence = begin->resumed ? f->numbering.delivered : begin->sequence;
        return to->begin != NULL ? to->begin(to->arg, begin) : 0;
    }
    if (m->numbers.kind == NUMBERING_CONTENT) {
        return to->list != NULL ? to->list(to->arg, m->view) : 0;
    }
    xenres_domain_change *change = m->view;

    change->first_sequence = verdict->first;
    return to->change != NULL ? to->change(to->arg, change) : 0;
}

static const struct follow_ops domains_ops = {
    .method = "xenres.v1.HostService/WatchDomains",
    .pack = pack,
    .read = read_message,
    .deliver = deliver,
};

/* --- the interface --- */

static int take_sink(struct domains_watch *w, struct follow *f, const xenres_domains_sink *given,
                     struct fault *fault)
{
    const xenres_domains_sink *s = &w->sink;
    int result = fault_copy_sized(&w->sink, given, sizeof(*s), "xenres_domains_sink", fault);

    f->ops = &domains_ops;
    f->arg = w;
    f->to = (struct follow_sink){ s->raw, s->gap,         s->checkpoint, s->heartbeat,
                                  s->end, s->interrupted, s->arg };
    return result;
}

static int watch_domains(xenres *handle, const xenres_domains_watch_query *given,
                         const xenres_domains_sink *sink, struct fault *fault)
{
    xenres_domains_watch_query query = XENRES_DOMAINS_WATCH_QUERY_INIT;
    struct domains_watch w = { .sink = { .size = 0 } };
    struct follow f = { .stream.handle = handle };
    int result = given != NULL ? fault_copy_sized(&query, given, sizeof(query),
                                                  "xenres_domains_watch_query", fault)
                               : 0;

    if (result == 0) {
        result = domain_query_take(query.filter, &w.query, fault);
    }
    if (result == 0) {
        result = take_sink(&w, &f, sink, fault);
    }
    if (result == 0) {
        result = follow_take_options(&f, query.cursor, query.feed, query.sequence,
                                     query.outage_max_ms, fault);
    }
    if (result != 0) {
        return result;
    }
    f.numbering.content = "list";
    f.numbering.skips = true;
    return follow_run(&f, fault);
}

int xenres_watch_domains(xenres *handle, const xenres_domains_watch_query *query,
                         const xenres_domains_sink *sink, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = watch_domains(handle, query, sink, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

int xenres_watch_domains_message(const void *message, size_t len_bytes,
                                 const xenres_domains_sink *sink, xenres_error *error)
{
    struct fault fault = { 0 };
    struct domains_watch w = { .sink = { .size = 0 } };
    struct follow f = { .arg = NULL };
    int result = take_sink(&w, &f, sink, &fault);

    if (result == 0) {
        result = follow_show(&f, message, len_bytes,
                             &xenres__v1__watch_domains_response__descriptor, &fault);
    }
    return fault_export(result, &fault, error);
}
