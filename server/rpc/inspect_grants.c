/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* InspectService.GetGrantTable: the entries of a grant table, decoded from one copy of it. */
#include <errno.h>

#include "common/layout.h"
#include "server/rpc/present_inspect.h"
#include "server/rpc/services.h"
#include "server/rpc/snapshot.h"
#include "xenres/v1/inspect.pb-c.h"

enum {
    GRANT_ENTRIES_MAX = 65536, /* in one answer */
    GRANT_FRAMES_MAX = 2048,   /* looked at for one answer: 8 MiB, and their status frames */
};

/*
 * Asked in two steps, since only the table's version tells which frames a reference is in:
 * describe, then copy. A table that changed its version in between is answered `aborted`.
 */
struct grants {
    uint32_t first_reference;
    bool has_count;
    uint32_t reference_count;
    bool include_unused;
    bool described;
    uint32_t version;
    uint64_t end_reference; /* of what is looked at in this answer */
    bool to_be_continued;   /* more was asked for than is looked at at once */
    struct snapshot_frames frames;
};

static int grants_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__GetGrantTableRequest *r = (const void *)c->request;
    struct grants *g = pool_alloc(&c->pool, sizeof(*g));

    if (g == NULL) {
        return call_no_memory(f);
    }
    c->state = g;
    c->domain = r->domain;
    c->incarnation = r->incarnation;
    c->type = RESOURCE_GRANT_TABLE;
    g->first_reference = r->first_reference;
    g->has_count = r->reference_count_choice_case ==
                   XENRES__V1__GET_GRANT_TABLE_REQUEST__REFERENCE_COUNT_CHOICE_REFERENCE_COUNT;
    g->reference_count = g->has_count ? r->reference_count : 0;
    g->include_unused = r->include_unused;
    if (g->has_count && g->reference_count == 0) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "no references are asked for");

        failure_field(f, result, "reference_count");
        failure_call(f, result, "", EINVAL);
        failure_cause(f, result, "reference_count is 0");
        return failure_next(f, result, "ask for at least one, or leave it out for all");
    }
    return 0;
}

static void grants_ask(struct call *c, union message *m)
{
    const struct grants *g = c->state;

    if (g->described) {
        snapshot_ask(c, &g->frames, m);
        return;
    }
    m->describe.head.type = MESSAGE_DESCRIBE;
    m->describe.domain = c->identity;
}

static int beyond_table(const struct grants *g, uint64_t capacity, struct failure *f)
{
    int result = failure_set(f, ERROR_OUT_OF_RANGE,
                             "the table has %llu references, fewer than asked for from %u on",
                             (unsigned long long)capacity, g->first_reference);

    failure_call(f, result, "", EINVAL);
    failure_cause(f, result, "looking never makes a guest's table grow");
    return failure_next(f, result, "ask for references below %llu, or leave the number out",
                        (unsigned long long)capacity);
}

/* The frames that hold the references asked for, as far as one answer goes. */
static int choose_frames(struct grants *g, uint32_t frames_in_use, struct failure *f)
{
    uint32_t per_frame = layout_grants_per_frame(g->version);
    uint64_t capacity = (uint64_t)frames_in_use * per_frame;
    uint64_t end = g->has_count ? (uint64_t)g->first_reference + g->reference_count : capacity;

    if (per_frame == 0) {
        return failure_set(f, ERROR_INTERNAL, "a grant table of version %u", g->version);
    }
    if (g->first_reference >= capacity || end > capacity) {
        return beyond_table(g, capacity, f);
    }
    uint32_t first_frame = g->first_reference / per_frame;
    uint64_t end_most = ((uint64_t)first_frame + GRANT_FRAMES_MAX) * per_frame;

    g->to_be_continued = end > end_most;
    g->end_reference = g->to_be_continued ? end_most : end;
    g->frames = (struct snapshot_frames){
        .type = RESOURCE_GRANT_TABLE,
        .id = GRANT_TABLE_SHARED,
        .first_frame = first_frame,
        .has_count = true,
        .frame_count = (g->end_reference + per_frame - 1) / per_frame - first_frame,
        .flags = SNAPSHOT_WITH_STATUS,
    };
    return HANDLER_ASK_AGAIN;
}

static int take_description(struct grants *g, const struct message_describe_answer *a,
                            struct failure *f)
{
    for (uint32_t i = 0; i < a->resource_count; i++) {
        const struct message_resource *row = &a->resources[i];

        if (row->type != RESOURCE_GRANT_TABLE || row->first_id != GRANT_TABLE_SHARED) {
            continue;
        }
        if (row->availability == RESOURCE_UNAVAILABLE) {
            *f = row->failure;
            failure_sanitize(f);
            return -f->code;
        }
        g->described = true;
        g->version = row->grant_version;
        return choose_frames(g, row->frames_in_use, f);
    }
    int result = failure_set(f, ERROR_NOT_FOUND, "the domain has no grant table");

    return failure_next(f, result, "list the domain's resources: it says what may be had, and why");
}

static int grants_take(struct call *c, const union message *answer, struct mapper_slot *slot,
                       struct failure *f)
{
    struct grants *g = c->state;

    if (answer->head.type == (MESSAGE_DESCRIBE | MESSAGE_ANSWER)) {
        return take_description(g, &answer->describe_answer, f);
    }
    if (answer->snapshot_answer.observation.grant_version != g->version) {
        int result = failure_set(f, ERROR_ABORTED, "the grant table changed its version meanwhile");

        failure_cause(f, result, "the guest is setting its table up");
        failure_retry(f, result, FAILURE_RETRY_SOON_MS);
        return failure_next(f, result, "ask again");
    }
    return call_keep(c, answer, slot, f);
}

/* One copy of frames, with their status frames behind them. */
struct table {
    uint32_t version;
    const uint8_t *frames, *status;
    size_t frames_len_bytes, status_len_bytes;
    uint32_t first_reference, first_status_reference;
};

static struct table table_of(const struct call *c)
{
    const struct message_snapshot_answer *a = &c->answer->snapshot_answer;
    size_t len_bytes;
    const uint8_t *bytes = mapper_slot_bytes(c->slot, &len_bytes);
    size_t frames_len_bytes = (size_t)a->observation.frame_count * MESSAGE_FRAME_BYTES;
    uint32_t version = a->observation.grant_version;

    return (struct table){
        .version = version,
        .frames = bytes,
        .frames_len_bytes = frames_len_bytes,
        .status = a->status_frame_count > 0 ? bytes + frames_len_bytes : NULL,
        .status_len_bytes = len_bytes - frames_len_bytes,
        .first_reference = a->observation.first_frame * layout_grants_per_frame(version),
        .first_status_reference = a->first_status_frame * LAYOUT_STATUS_PER_FRAME,
    };
}

static bool decode_grant(const struct table *t, uint64_t reference, struct layout_grant *out)
{
    uint32_t index = (uint32_t)(reference - t->first_reference);

    return t->version == 1
               ? layout_grant_v1(t->frames, t->frames_len_bytes, t->first_reference, index, out)
               : layout_grant_v2(t->frames, t->frames_len_bytes, t->first_reference, index,
                                 t->status, t->status_len_bytes, t->first_status_reference, out);
}

static bool is_wanted(const struct grants *g, const struct layout_grant *grant)
{
    return g->include_unused || grant->kind != LAYOUT_GRANT_UNUSED;
}

/* How many entries the answer has, and the reference behind the last one looked at. */
static size_t count_grants(const struct grants *g, const struct table *t, uint64_t *end)
{
    struct layout_grant grant;
    size_t count = 0;
    uint64_t reference = g->first_reference;

    for (; reference < g->end_reference && decode_grant(t, reference, &grant); reference++) {
        if (!is_wanted(g, &grant)) {
            continue;
        }
        if (count == GRANT_ENTRIES_MAX) {
            break;
        }
        count++;
    }
    *end = reference;
    return count;
}

static size_t fill_grants(struct call *c, const struct table *t, uint64_t end, size_t count,
                          Xenres__V1__GrantEntry *entries, Xenres__V1__GrantEntry **rows)
{
    const struct grants *g = c->state;
    struct layout_grant grant;
    size_t filled = 0;

    /* Bounded by `count` as well: a mapper that is not honest may write on. */
    for (uint64_t reference = g->first_reference; reference < end && filled < count; reference++) {
        if (decode_grant(t, reference, &grant) && is_wanted(g, &grant)) {
            present_grant(&c->pool, &grant, &entries[filled]);
            rows[filled] = &entries[filled];
            filled++;
        }
    }
    return filled;
}

static int grants_respond(struct call *c, struct failure *f)
{
    const struct grants *g = c->state;
    const struct message_observation *o = &c->answer->snapshot_answer.observation;
    struct pool *p = &c->pool;
    struct table t = table_of(c);
    uint64_t end;
    size_t count = count_grants(g, &t, &end);
    Xenres__V1__GetGrantTableResponse *m =
        PRESENT_NEW(p, Xenres__V1__GetGrantTableResponse, xenres__v1__get_grant_table_response);
    Xenres__V1__GrantEntry *entries = pool_array(p, count, sizeof(*entries));
    Xenres__V1__GrantEntry **rows = pool_array(p, count, sizeof(*rows));

    if (m == NULL || entries == NULL || rows == NULL) {
        return call_no_memory(f);
    }
    m->domain = present_identity(p, &c->identity);
    m->observation = present_observation(p, o);
    m->entries = rows;
    m->n_entries = fill_grants(c, &t, end, count, entries, rows);
    m->next_reference = end < g->end_reference || g->to_be_continued ? (uint32_t)end : 0;
    m->reference_capacity = o->frames_in_use * layout_grants_per_frame(o->grant_version);
    c->response = &m->base;
    return 0;
}

const struct handler inspect_service_get_grant_table = {
    .prepare = grants_prepare, .ask = grants_ask, .take = grants_take, .respond = grants_respond
};
