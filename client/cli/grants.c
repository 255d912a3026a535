/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenres grants: all of a table, however many answers it takes. Each answer is of one copy; where
 * there were several, entries of different answers may be of different moments, and that is said.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/names.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "common/scope.h"
#include "proto/wire/wire.h"
#include "xenres/v1/inspect.pb-c.h"

enum { ANSWERS_MAX = 4096 }; /* a table of 2^32 references is none of Xen's */

static const struct option options[] = {
    { .name = "all", .help = "unused entries too" },
    { 0 },
};

struct answers {
    xenres_reply *replies[ANSWERS_MAX];
    const xenres_grant_table *tables[ANSWERS_MAX];
    size_t count;
};

static void free_answers(struct answers **a)
{
    for (size_t i = 0; *a != NULL && i < (*a)->count; i++) {
        xenres_reply_free((*a)->replies[i]);
    }
    free(*a);
}

/* All answers, each of the same life of the domain. */
static int collect(xenres *handle, xenres_grant_query query, struct answers *a)
{
    xenres_error error;

    do {
        if (a->count >= ANSWERS_MAX) {
            return report_local("the table does not end", "", 0,
                                "report it: no gateway may answer so");
        }
        if (xenres_get_grant_table(handle, &query, &a->replies[a->count], &a->tables[a->count],
                                   &error) != 0) {
            return report_error(&error);
        }
        const xenres_grant_table *table = a->tables[a->count++];

        query.incarnation = table->domain.incarnation;
        query.first_reference = table->next_reference;
    } while (query.first_reference != 0);
    return 0;
}

static void tell_copies(const struct answers *a)
{
    if (a->count < 2) {
        return;
    }
    const xenres_observation *first = &a->tables[0]->observation;
    const xenres_observation *last = &a->tables[a->count - 1]->observation;
    uint64_t end_ns = last->monotonic_ns + last->copy_duration_ns;

    report_note("the entries are from %zu copies, made within %.3f ms: those of different copies "
                "may be of different moments",
                a->count,
                end_ns >= first->monotonic_ns ? (double)(end_ns - first->monotonic_ns) / 1e6 : 0.0);
}

/* --- table --- */

static void add_grant(struct table *t, const xenres_grant *g)
{
    struct name_room kind;
    bool is_unused = g->kind == XENRES_GRANT_UNUSED;

    table_cell(t, "%" PRIu32, g->reference);
    table_cell(t, "%s", name_grant_kind(g->kind, &kind));
    if (is_unused) {
        table_cell(t, "-");
        table_cell(t, "-");
        table_cell(t, "-");
    } else {
        table_cell(t, "%" PRIu32, g->domid);
        table_cell(t, g->has_transitive ? "-" : "0x%" PRIx64, g->frame);
        table_cell(t, "%s", g->readonly ? "ro" : "rw");
    }
    table_cell(t, "%s%s%s", g->reading ? "r" : "", g->writing ? "w" : "",
               g->reading || g->writing ? "" : "-");
    if (g->has_sub_page) {
        table_cell(t, "bytes %" PRIu32 " to %" PRIu64, g->sub_page_offset_bytes,
                   (uint64_t)g->sub_page_offset_bytes + g->sub_page_length_bytes);
    } else if (g->has_transitive) {
        table_cell(t, "grant %" PRIu32 " of domain %" PRIu32, g->transitive_reference,
                   g->transitive_domid);
    } else {
        table_cell(t, "%s", "");
    }
}

static int show_table(const struct answers *a)
{
    TABLE_AUTO table;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    render_identity(&text, &a->tables[0]->domain);
    render_observation(&text, &a->tables[0]->observation);
    table_init(&table, "REF>|KIND|TO>|FRAME>|ACCESS|IN USE|PART");
    for (size_t i = 0; i < a->count; i++) {
        for (size_t k = 0; k < a->tables[i]->grant_count; k++) {
            add_grant(&table, &a->tables[i]->grants[k]);
        }
    }
    table_render(&table, render_columns(), &text);
    return output_print(&text);
}

/* --- JSON --- */

static void free_message(ProtobufCMessage **message)
{
    wire_free(*message);
}

/*
 * Widens the first answer's observation to what is true of all: the copies were made between its
 * beginning and the last one's end, and no content tag names them together.
 */
static void widen(Xenres__V1__Observation *all, const Xenres__V1__Observation *next)
{
    uint64_t end_ns = next->monotonic_ns + next->copy_duration_ns;

    if (end_ns > all->monotonic_ns + all->copy_duration_ns) {
        all->copy_duration_ns = end_ns - all->monotonic_ns;
    }
    if (next->first_frame + next->frame_count > all->first_frame + all->frame_count) {
        all->frame_count = next->first_frame + next->frame_count - all->first_frame;
    }
    all->frames_in_use = next->frames_in_use;
    if (all->content_tag[0] != '\0') {
        all->content_tag[0] = '\0';
    }
}

static int merge(Xenres__V1__GetGrantTableResponse *all, Xenres__V1__GetGrantTableResponse *next)
{
    size_t total = all->n_entries + next->n_entries;

    if (all->observation != NULL && next->observation != NULL) {
        widen(all->observation, next->observation);
    }
    all->next_reference = next->next_reference;
    all->reference_capacity = next->reference_capacity;
    if (next->n_entries == 0) {
        return 0;
    }
    /* Arrays of unpacked messages are malloc()'s. */
    Xenres__V1__GrantEntry **longer = realloc(all->entries, total * sizeof(*longer));

    if (longer == NULL) {
        return report_no_memory();
    }
    memcpy(longer + all->n_entries, next->entries, next->n_entries * sizeof(*longer));
    all->entries = longer;
    all->n_entries = total;
    free(next->entries);
    next->entries = NULL;
    next->n_entries = 0;
    return 0;
}

static int show_json(const struct answers *a)
{
    __attribute__((cleanup(free_message))) ProtobufCMessage *all = json_unpack_reply(a->replies[0]);
    BUFFER_AUTO(document, (size_t)1 << 31);
    int status = all != NULL ? 0 : EXIT_LOCAL;

    for (size_t i = 1; status == 0 && i < a->count; i++) {
        __attribute__((cleanup(free_message))) ProtobufCMessage *next =
            json_unpack_reply(a->replies[i]);

        status = next != NULL ? merge((Xenres__V1__GetGrantTableResponse *)all,
                                      (Xenres__V1__GetGrantTableResponse *)next)
                              : EXIT_LOCAL;
    }
    if (status == 0) {
        status = json_append_message(&document, all, true);
    }
    return status == 0 ? json_show_text(&document) : status;
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    xenres_grant_query query = XENRES_GRANT_QUERY_INIT(arguments->operands[0]);
    int status = 0;
    CLI_HANDLE handle = cli_connect(cli, &status);
    __attribute__((cleanup(free_answers))) struct answers *a = calloc(1, sizeof(*a));

    if (handle == NULL) {
        return status;
    }
    if (a == NULL) {
        return report_no_memory();
    }
    query.include_unused = arguments_value(arguments, "all") != NULL;
    status = collect(handle, query, a);
    if (status == 0) {
        status = cli->format == CLI_FORMAT_JSON ? show_json(a) : show_table(a);
    }
    if (status == 0) {
        tell_copies(a);
    }
    return status;
}

const struct verb verb_grants = {
    .name = "grants",
    .operands = "DOMAIN",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "the grant table, decoded: what is shared, with whom, how",
    .description = "Shows the grants of a domain. A large table takes several copies; a note on\n"
                   "standard error says so.",
    .options = options,
    .run = run,
};
