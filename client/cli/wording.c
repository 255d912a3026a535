/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/wording.h"

#include <inttypes.h>
#include <string.h>

#include "client/cli/names.h"
#include "client/cli/render.h"
#include "common/clock.h"

void wording_grant(struct buffer *out, const xenres_grant *g)
{
    struct name_room kind;

    buffer_append_string(out, name_grant_kind(g->kind, &kind));
    if (g->kind == XENRES_GRANT_UNUSED) {
        return;
    }
    buffer_printf(out, " for %" PRIu32, g->domid);
    if (g->has_transitive) {
        buffer_printf(out, ", grant %" PRIu32 " of domain %" PRIu32, g->transitive_reference,
                      g->transitive_domid);
    } else {
        buffer_printf(out, ", frame 0x%" PRIx64, g->frame);
    }
    buffer_append_string(out, g->readonly ? ", ro" : ", rw");
    if (g->reading || g->writing) {
        buffer_printf(out, ", in use (%s%s)", g->reading ? "r" : "", g->writing ? "w" : "");
    }
    if (g->has_sub_page) {
        buffer_printf(out, ", bytes %" PRIu32 " to %" PRIu64, g->sub_page_offset_bytes,
                      (uint64_t)g->sub_page_offset_bytes + g->sub_page_length_bytes);
    }
}

void wording_ioreq(struct buffer *out, const xenres_ioreq *r)
{
    struct name_room state, type;

    buffer_printf(out, "%s: %s %s at 0x%" PRIx64 ", data %s0x%" PRIx64 ", size %" PRIu32,
                  name_ioreq_state(r->state, &state), name_ioreq_type(r->type, r->raw_type, &type),
                  r->read ? "read" : "write", r->address, r->data_is_pointer ? "*" : "", r->data,
                  r->size_bytes);
    if (r->count > 1) {
        buffer_printf(out, ", %" PRIu32 " times%s", r->count, r->descending ? " down" : "");
    }
}

void wording_queue(struct buffer *out, const xenres_watch_decoded *d)
{
    struct name_room type;

    buffer_printf(out, "read %" PRIu32 ", write %" PRIu32, d->read_pointer, d->write_pointer);
    if (!d->pointers_valid) {
        buffer_append_string(out, ", which make no sense together");
    }
    for (size_t i = 0; i < d->request_count; i++) {
        const xenres_buffered_ioreq *r = &d->requests[i];

        buffer_printf(out, "; %s %s at 0x%" PRIx32 ", data 0x%" PRIx64 ", size %" PRIu32,
                      name_ioreq_type(r->type, r->raw_type, &type), r->read ? "read" : "write",
                      r->address, r->data, r->size_bytes);
    }
}

void wording_vcpu(struct buffer *out, const xenres_vcpu *v)
{
    if (v->unreadable) {
        buffer_append_string(out, "being updated");
    } else {
        buffer_printf(out, "ran %" PRIu64 ".%09" PRIu64 " s", v->run_time_ns / CLOCK_NS_PER_S,
                      v->run_time_ns % CLOCK_NS_PER_S);
    }
    buffer_append_string(out, v->online ? "" : ", offline");
}

void wording_domain(struct buffer *out, const xenres_domain *d)
{
    struct name_room type, state;

    render_safe(out, d->identity.name[0] != '\0' ? d->identity.name : "(no name)");
    buffer_printf(out, ", %s, %s, %" PRIu32 "/%" PRIu32 " vCPUs, %" PRIu64 " MiB, ",
                  name_domain_type(d->type, &type), name_domain_state(d->state, &state),
                  d->online_vcpus, d->max_vcpus, d->memory_kib / 1024);
    render_safe(out, d->identity.uuid);
    buffer_append_string(out, ", incarnation ");
    render_safe(out, d->identity.incarnation);
    for (size_t i = 0; i < d->tag_count; i++) {
        buffer_append_string(out, i == 0 ? ", tags " : " ");
        render_safe(out, d->tags[i]);
    }
    buffer_append_string(out, d->tags_unknown ? ", tags unknown" : "");
}

void wording_begin(struct buffer *out, const xenres_watch_begin *b)
{
    struct name_room type, mode;

    render_safe(out, b->domain.name[0] != '\0' ? b->domain.name : "(no name)");
    buffer_printf(out, " %s %" PRIu32, name_resource_type(b->type, &type), b->id);
    if (b->first_frame != 0) {
        buffer_printf(out, " from frame %" PRIu32, b->first_frame);
    }
    buffer_append_string(out, ", every ");
    render_duration(out, b->period_ms * CLOCK_NS_PER_MS);
    buffer_printf(out, ", %s%s", name_watch_mode(b->mode, &mode), b->decode ? ", decoded" : "");
    buffer_printf(out, " (domain %" PRIu32 ", ", b->domain.domid);
    render_safe(out, b->domain.uuid);
    buffer_append_string(out, ", incarnation ");
    render_safe(out, b->domain.incarnation);
    buffer_append_byte(out, ')');
}

void wording_unit(struct buffer *out, const char *unit, uint64_t count)
{
    size_t len = strlen(unit);

    buffer_append(out, unit, len);
    if (count != 1) {
        buffer_append_string(out, len > 0 && unit[len - 1] == 'h' ? "es" : "s");
    }
}

void wording_numbers(struct buffer *out, const char *unit, uint64_t first, uint64_t last)
{
    wording_unit(out, unit, first == last && first != 0 ? 1 : 2);
    if (first == 0 && last == 0) {
        buffer_append_string(out, " whose numbers are not known");
    } else if (first == 0) {
        buffer_printf(out, " up to %" PRIu64, last);
    } else if (first == last) {
        buffer_printf(out, " %" PRIu64, first);
    } else {
        buffer_printf(out, " %" PRIu64 " to %" PRIu64, first, last);
    }
}

void wording_gap(struct buffer *out, const char *unit, const xenres_watch_gap *g)
{
    struct name_room room;
    const char *reason = name_gap_reason(g->reason, &room);

    wording_numbers(out, unit, g->first_sequence, g->sequence);
    if (!g->exact && g->sequence != 0) {
        buffer_append_string(out, ", at least");
    }
    if (g->blocks > 0) {
        buffer_printf(out, " (%" PRIu64 " changed blocks)", g->blocks);
    }
    buffer_printf(out, ": %s", reason);
}

void wording_lost(struct buffer *out, const char *unit, uint64_t gaps, uint64_t lost)
{
    if (gaps == 0) {
        buffer_append_string(out, "nothing lost");
        return;
    }
    if (lost == 0) {
        buffer_append_string(out, "lost: it is not known how much, in");
    } else {
        buffer_printf(out, "lost %" PRIu64 " ", lost);
        wording_unit(out, unit, lost);
        buffer_append_string(out, " in");
    }
    buffer_printf(out, " %" PRIu64 " ", gaps);
    wording_unit(out, "gap", gaps);
}

void wording_end(struct buffer *out, const xenres_watch_end *e)
{
    struct name_room room;

    buffer_append_string(out, name_end_reason(e->reason, &room));
    if (e->message[0] != '\0') {
        buffer_append_string(out, ": ");
        render_safe(out, e->message);
    }
}

void wording_interruption(struct buffer *out, const xenres_watch_interruption *i)
{
    struct name_room room;

    if (i->end_reason != 0) {
        buffer_printf(out, "%s: ", name_end_reason(i->end_reason, &room));
    }
    render_safe(out, i->error != NULL && i->error->message[0] != '\0' ? i->error->message
                                                                      : "the stream was cut");
    if (i->tries > 0) {
        buffer_printf(out, "; tried %" PRIu32 " time%s", i->tries, i->tries > 1 ? "s" : "");
    }
    buffer_append_string(out, "; again in ");
    render_duration(out, i->wait_ms * CLOCK_NS_PER_MS);
}
