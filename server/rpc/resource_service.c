/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ResourceService, first half: what a domain has. */
#include "xenres/v1/resource.pb-c.h"

#include <string.h>

#include "server/rpc/page.h"
#include "server/rpc/present.h"
#include "server/rpc/services.h"
#include "server/rpc/snapshot.h"

/* Where a page begins, and for what: a token is good for the same question only. */
struct place {
    uint8_t incarnation[16];
    int32_t only_type; /* -1: any */
    uint32_t has_id, only_id;
    uint32_t type, id; /* the first row */
};

struct listing {
    struct place asked;
    uint32_t page_size;
    const char *token;
};

static int list_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__ListResourcesRequest *r = (const void *)c->request;
    struct listing *l = pool_alloc(&c->pool, sizeof(*l));
    bool has_id = r->id_choice_case == XENRES__V1__LIST_RESOURCES_REQUEST__ID_CHOICE_ID;
    bool has_type = r->type != XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_UNSPECIFIED;

    if (l == NULL) {
        return call_no_memory(f);
    }
    c->state = l;
    c->domain = r->domain;
    c->incarnation = r->incarnation;
    c->type = has_type ? present_to_resource_type(r->type) : -1;
    if (has_type && c->type < 0) {
        return snapshot_bad_type((int32_t)r->type, f);
    }
    if (has_id && !has_type) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "an id is asked for without a type");

        failure_field(f, result, "id");
        return failure_next(f, result, "set the type as well");
    }
    l->asked.only_type = c->type;
    l->asked.has_id = has_id;
    l->asked.only_id = has_id ? r->id : 0;
    l->token = r->page_token;
    return page_size(r->page_size, &l->page_size, f);
}

static void list_ask(struct call *c, union message *m)
{
    m->describe.head.type = MESSAGE_DESCRIBE;
    m->describe.domain = c->identity;
}

static bool is_before(uint32_t type, uint32_t id, const struct place *place)
{
    return type < place->type || (type == place->type && id < place->id);
}

static const struct {
    uint32_t availability;
    Xenres__V1__Availability presented;
} availabilities[] = {
    { RESOURCE_AVAILABLE, XENRES__V1__AVAILABILITY__AVAILABILITY_AVAILABLE },
    { RESOURCE_UNAVAILABLE, XENRES__V1__AVAILABILITY__AVAILABILITY_UNAVAILABLE },
    { RESOURCE_ON_REQUEST, XENRES__V1__AVAILABILITY__AVAILABILITY_ON_REQUEST },
};

static Xenres__V1__Availability present_availability(uint32_t availability)
{
    for (size_t i = 0; i < sizeof(availabilities) / sizeof(availabilities[0]); i++) {
        if (availabilities[i].availability == availability) {
            return availabilities[i].presented;
        }
    }
    return XENRES__V1__AVAILABILITY__AVAILABILITY_UNSPECIFIED;
}

static Xenres__V1__Resource *present_resource(struct call *c, const struct message_resource *row,
                                              uint32_t id)
{
    struct pool *p = &c->pool;
    Xenres__V1__Resource *m = PRESENT_NEW(p, Xenres__V1__Resource, xenres__v1__resource);
    char uuid[UUID_TEXT_BYTES];

    if (m == NULL) {
        return NULL;
    }
    text_from_uuid(c->identity.uuid, uuid);
    m->name = pool_printf(p, "domains/%s/resources/%s/%u", uuid, resource_type_name(row->type), id);
    m->type = present_resource_type(row->type);
    m->id = id;
    m->availability = present_availability(row->availability);
    if (row->availability == RESOURCE_UNAVAILABLE) {
        m->failure = present_failure(p, &row->failure);
    }
    m->frames_in_use = row->frames_in_use;
    m->frames_max = row->frames_max;
    m->frame_bytes = MESSAGE_FRAME_BYTES;
    m->grant_version = row->grant_version;
    return m;
}

/* Adds the rows of one run of ids to the page. False: it is full, and goes on at `next`. */
static bool add_run(struct call *c, const struct message_resource *row, const struct place *from,
                    Xenres__V1__ListResourcesResponse *m, struct place *next)
{
    const struct listing *l = c->state;

    for (uint32_t i = 0; i < row->id_count; i++) {
        uint32_t id = row->first_id + i;

        if (is_before(row->type, id, from) || (l->asked.has_id != 0 && id != l->asked.only_id)) {
            continue;
        }
        if (m->n_resources == l->page_size) {
            next->type = row->type;
            next->id = id;
            return false;
        }
        m->resources[m->n_resources++] = present_resource(c, row, id);
    }
    return true;
}

/* The rows in the order of type and id, those that the caller may list. */
static bool add_rows(struct call *c, const struct message_describe_answer *a,
                     const struct place *from, Xenres__V1__ListResourcesResponse *m,
                     struct place *next)
{
    const struct listing *l = c->state;

    for (int type = 0; type < RESOURCE_TYPE_COUNT; type++) {
        if ((l->asked.only_type >= 0 && l->asked.only_type != type) ||
            !call_allows(c, &c->identity, type, ACTION_LIST)) {
            continue;
        }
        for (uint32_t i = 0; i < a->resource_count; i++) {
            if (a->resources[i].type == (uint32_t)type &&
                !add_run(c, &a->resources[i], from, m, next)) {
                return false;
            }
        }
    }
    return true;
}

static int open_place(struct call *c, struct place *from, struct failure *f)
{
    const struct listing *l = c->state;
    struct place asked = l->asked;

    memcpy(asked.incarnation, c->identity.incarnation, sizeof(asked.incarnation));
    *from = asked;
    int result = page_token_open(c, "page.resources", l->token, from, sizeof(*from), f);

    if (result != 0) {
        return result;
    }
    if (memcmp(from->incarnation, asked.incarnation, sizeof(asked.incarnation)) != 0) {
        result = failure_set(f, ERROR_ABORTED, "the domain is not that of the page before");
        return failure_next(f, result, "begin the list again");
    }
    asked.type = from->type;
    asked.id = from->id;
    if (memcmp(from, &asked, sizeof(asked)) != 0) {
        return page_token_of_another(f);
    }
    return 0;
}

static int list_respond(struct call *c, struct failure *f)
{
    const struct listing *l = c->state;
    struct pool *p = &c->pool;
    Xenres__V1__ListResourcesResponse *m =
        PRESENT_NEW(p, Xenres__V1__ListResourcesResponse, xenres__v1__list_resources_response);
    struct place from;
    int result = open_place(c, &from, f);

    if (result != 0) {
        return result;
    }
    Xenres__V1__Resource **rows = pool_array(p, l->page_size, sizeof(*rows));

    if (m == NULL || rows == NULL) {
        return call_no_memory(f);
    }
    struct place next = from;

    m->domain = present_identity(p, &c->identity);
    m->resources = rows;
    if (!add_rows(c, &c->answer->describe_answer, &from, m, &next)) {
        result = page_token_make(c, "page.resources", &next, sizeof(next), &m->next_page_token, f);
    }
    c->response = &m->base;
    return result;
}

const struct handler resource_service_list_resources = { .prepare = list_prepare,
                                                         .ask = list_ask,
                                                         .respond = list_respond };
