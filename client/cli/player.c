/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/player.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One message on its way to the caller's callbacks. */
struct passage {
    struct player *player;
    const struct recording_record *record;
    int status; /* the caller's */
};

/* The message itself comes before what it is made of. */
#define PASS(passage, sink, callback, view)                                                        \
    ((sink) == NULL ? 0                                                                            \
     : pass_raw((passage), (sink)->raw, (sink)->arg) != 0                                          \
         ? (passage)->status                                                                       \
         : pass_status((passage),                                                                  \
                       (sink)->callback != NULL ? (sink)->callback((sink)->arg, (view)) : 0))

static int pass_status(struct passage *passage, int status)
{
    passage->status = status;
    return status;
}

static int pass_raw(struct passage *passage,
                    int (*raw)(void *arg, const void *message, size_t len_bytes), void *arg)
{
    const struct recording_record *record = passage->record;

    return pass_status(passage, raw != NULL ? raw(arg, record->payload, record->len_bytes) : 0);
}

/* --- of a resource --- */

static int on_begin(void *arg, const xenres_watch_begin *begin)
{
    struct passage *p = arg;

    ledger_begin(p->player->ledger, begin);
    return PASS(p, p->player->sink, begin, begin);
}

static int on_image(void *arg, const xenres_watch_image *piece)
{
    struct passage *p = arg;

    return ledger_image(p->player->ledger, piece) == LEDGER_AGAIN
               ? 0
               : PASS(p, p->player->sink, image, piece);
}

static int on_changes(void *arg, const xenres_watch_changes *changes)
{
    struct passage *p = arg;

    return ledger_changes(p->player->ledger, changes) == LEDGER_AGAIN
               ? 0
               : PASS(p, p->player->sink, changes, changes);
}

static int on_decoded(void *arg, const xenres_watch_decoded *decoded)
{
    struct passage *p = arg;

    return ledger_decoded(p->player->ledger, decoded) == LEDGER_AGAIN
               ? 0
               : PASS(p, p->player->sink, decoded, decoded);
}

static int on_gap(void *arg, const xenres_watch_gap *gap)
{
    struct passage *p = arg;

    return ledger_gap(p->player->ledger, gap) == LEDGER_AGAIN ? 0
                                                              : PASS(p, p->player->sink, gap, gap);
}

static int on_checkpoint(void *arg, const xenres_watch_checkpoint *checkpoint)
{
    struct passage *p = arg;

    ledger_checkpoint(p->player->ledger, checkpoint);
    return PASS(p, p->player->sink, checkpoint, checkpoint);
}

static int on_heartbeat(void *arg, const xenres_watch_heartbeat *heartbeat)
{
    struct passage *p = arg;

    return PASS(p, p->player->sink, heartbeat, heartbeat);
}

static int on_end(void *arg, const xenres_watch_end *end)
{
    struct passage *p = arg;

    ledger_end(p->player->ledger, end);
    return PASS(p, p->player->sink, end, end);
}

static int play_resource(struct passage *passage, xenres_error *error)
{
    const xenres_watch_sink sink = {
        .size = sizeof(sink),
        .begin = on_begin,
        .image = on_image,
        .changes = on_changes,
        .decoded = on_decoded,
        .gap = on_gap,
        .checkpoint = on_checkpoint,
        .heartbeat = on_heartbeat,
        .end = on_end,
        .arg = passage,
    };

    return xenres_watch_message(passage->record->payload, passage->record->len_bytes, &sink, error);
}

/* --- of domains --- */

static int on_domains_begin(void *arg, const xenres_domains_begin *begin)
{
    struct passage *p = arg;

    ledger_domains_begin(p->player->ledger, begin);
    return PASS(p, p->player->domains, begin, begin);
}

static int on_list(void *arg, const xenres_domains_piece *piece)
{
    struct passage *p = arg;

    return ledger_domains_list(p->player->ledger, piece) == LEDGER_AGAIN
               ? 0
               : PASS(p, p->player->domains, list, piece);
}

static int on_change(void *arg, const xenres_domain_change *change)
{
    struct passage *p = arg;

    return ledger_domain_change(p->player->ledger, change) == LEDGER_AGAIN
               ? 0
               : PASS(p, p->player->domains, change, change);
}

static int on_domains_gap(void *arg, const xenres_watch_gap *gap)
{
    struct passage *p = arg;

    return ledger_gap(p->player->ledger, gap) == LEDGER_AGAIN
               ? 0
               : PASS(p, p->player->domains, gap, gap);
}

static int on_domains_checkpoint(void *arg, const xenres_watch_checkpoint *checkpoint)
{
    struct passage *p = arg;

    ledger_domains_checkpoint(p->player->ledger, checkpoint);
    return PASS(p, p->player->domains, checkpoint, checkpoint);
}

static int on_domains_heartbeat(void *arg, const xenres_watch_heartbeat *heartbeat)
{
    struct passage *p = arg;

    ledger_domains_heartbeat(p->player->ledger, heartbeat);
    return PASS(p, p->player->domains, heartbeat, heartbeat);
}

static int on_domains_end(void *arg, const xenres_watch_end *end)
{
    struct passage *p = arg;

    ledger_domains_end(p->player->ledger, end);
    return PASS(p, p->player->domains, end, end);
}

static int play_domains(struct passage *passage, xenres_error *error)
{
    const xenres_domains_sink sink = {
        .size = sizeof(sink),
        .begin = on_domains_begin,
        .list = on_list,
        .change = on_change,
        .gap = on_domains_gap,
        .checkpoint = on_domains_checkpoint,
        .heartbeat = on_domains_heartbeat,
        .end = on_domains_end,
        .arg = passage,
    };

    return xenres_watch_domains_message(passage->record->payload, passage->record->len_bytes, &sink,
                                        error);
}

/* --- records --- */

static int play_message(struct player *p, const struct recording_record *record,
                        enum recording_stream stream)
{
    struct passage passage = { .player = p, .record = record };
    xenres_error error = { 0 };
    int result = stream == RECORDING_OF_RESOURCE ? play_resource(&passage, &error)
                                                 : play_domains(&passage, &error);

    if (result != 0 && passage.status == 0) {
        ledger_nonsense(p->ledger, error.message);
    }
    return passage.status;
}

static int play_gap(struct player *p, const struct recording_record *record,
                    enum recording_stream stream)
{
    xenres_watch_gap gap;

    if (!recording_get_gap(record, &gap)) {
        ledger_nonsense(p->ledger, "a record of a gap that is none");
        return 0;
    }
    if (ledger_gap(p->ledger, &gap) == LEDGER_AGAIN) {
        return 0;
    }
    if (stream == RECORDING_OF_RESOURCE) {
        return p->sink != NULL && p->sink->gap != NULL ? p->sink->gap(p->sink->arg, &gap) : 0;
    }
    return p->domains != NULL && p->domains->gap != NULL ? p->domains->gap(p->domains->arg, &gap)
                                                         : 0;
}

static int play_note(struct player *p, const struct recording_record *record)
{
    struct recording_note note;

    if (!recording_get_note(record, &note)) {
        ledger_nonsense(p->ledger, "a note that is none");
        return 0;
    }
    if (record->kind == RECORDING_CLOSED) {
        p->is_closed = true;
        p->closed = note;
        ledger_excuse(p->ledger, "it was not recorded from one close to the next begin");
    } else {
        p->interruptions++;
        p->is_cut = true;
        ledger_excuse(p->ledger, note.text);
    }
    return p->event != NULL ? p->event(p->arg, record, &note) : 0;
}

static int play_record(struct player *p, const struct recording_record *record,
                       enum recording_stream stream)
{
    p->is_closed = false;
    p->is_cut = p->is_cut && record->kind != RECORDING_MESSAGE && record->kind != RECORDING_GAP;
    switch (record->kind) {
    case RECORDING_MESSAGE: return play_message(p, record, stream);
    case RECORDING_GAP: return play_gap(p, record, stream);
    case RECORDING_INTERRUPTED:
    case RECORDING_CLOSED: return play_note(p, record);
    case RECORDING_REQUEST:
    case RECORDING_HOST: return p->event != NULL ? p->event(p->arg, record, NULL) : 0;
    default: p->unknown_records++; return 0;
    }
}

/* --- the file --- */

static void tell_flaw(struct player *p, const struct player_flaw *flaw)
{
    char why[LEDGER_EXCUSE_MAX_BYTES + 1];

    p->flaws++;
    (void)snprintf(why, sizeof(why), "%s at byte %" PRIu64 " of the file",
                   flaw->kind == PLAYER_RECORDS_MISSING ? "records are missing"
                                                        : "a record is damaged",
                   flaw->offset_bytes);
    ledger_excuse(p->ledger, why);
    if (p->flaw != NULL) {
        p->flaw(p->arg, flaw);
    }
}

static void check_index(struct player *p, const struct recording_step *step)
{
    if (step->record.index != p->next_index) {
        tell_flaw(p, &(struct player_flaw){
                         .kind = PLAYER_RECORDS_MISSING,
                         .offset_bytes = step->offset_bytes,
                         .first_record = p->next_index,
                         .last_record = step->record.index - 1,
                     });
    }
    p->next_index = step->record.index + 1;
    p->end_bytes = step->offset_bytes + step->len_bytes;
}

static int play_step(struct player *p, const struct recording_step *step,
                     enum recording_stream stream)
{
    static const enum player_flaw_kind kinds[] = {
        [RECORDING_FOUND_DAMAGE] = PLAYER_DAMAGED,
        [RECORDING_FOUND_TORN] = PLAYER_TORN,
        [RECORDING_FOUND_UNREADABLE] = PLAYER_UNREADABLE,
    };

    p->offset_bytes = step->offset_bytes;
    if (step->found == RECORDING_FOUND_RECORD || step->found == RECORDING_FOUND_DAMAGE) {
        check_index(p, step);
        p->records++;
        p->wall_ns = step->record.wall_ns;
        p->first_wall_ns = p->records == 1 ? p->wall_ns : p->first_wall_ns;
        p->last_wall_ns = p->wall_ns;
    }
    if (step->found == RECORDING_FOUND_RECORD) {
        return play_record(p, &step->record, stream);
    }
    p->is_unreadable = step->found == RECORDING_FOUND_UNREADABLE;
    p->is_closed = false;
    tell_flaw(p, &(struct player_flaw){
                     .kind = kinds[step->found],
                     .offset_bytes = step->offset_bytes,
                     .len_bytes = step->len_bytes,
                 });
    return 0;
}

int player_run(struct player *p, struct recording_reader *r, struct failure *f)
{
    struct recording_step step;
    int status = 0;

    p->end_bytes = r->offset_bytes;
    while (status == 0) {
        int result = recording_reader_next(r, &step, f);

        if (result != 0) {
            return result;
        }
        if (step.found == RECORDING_FOUND_END) {
            break;
        }
        status = play_step(p, &step, r->stream);
    }
    return status;
}
