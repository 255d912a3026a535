/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ResourceService. */
#include "client/resource.h"

#include <string.h>

#include "client/call.h"
#include "client/pages.h"
#include "client/target.h"
#include "client/view.h"
#include "xenres/v1/resource.pb-c.h"

static const char *const type_names[] = {
    [XENRES_IOREQ_SERVER] = "ioreq_server",
    [XENRES_GRANT_TABLE] = "grant_table",
    [XENRES_VMTRACE_BUF] = "vmtrace_buf",
    [XENRES_VCPU_STATS] = "vcpu_stats",
};

enum { TYPE_NAMES = sizeof(type_names) / sizeof(type_names[0]) };

const char *xenres_resource_type_name(uint32_t type)
{
    return type < TYPE_NAMES && type_names[type] != NULL ? type_names[type] : "";
}

uint32_t xenres_resource_type_from_name(const char *name)
{
    for (uint32_t type = 1; name != NULL && type < TYPE_NAMES; type++) {
        if (strcmp(type_names[type], name) == 0) {
            return type;
        }
    }
    return 0;
}

int resource_take_query(const xenres_frames_query *query, xenres_frames_query *out,
                        struct fault *fault)
{
    int result = fault_copy_sized(out, query, sizeof(*out), "xenres_frames_query", fault);

    if (result == 0) {
        result = target_check(out->domain, out->incarnation, fault);
    }
    if (result == 0 && xenres_resource_type_name(out->type)[0] == '\0') {
        result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "%u is no type of resource",
                             out->type);
        failure_field(&fault->failure, result, "type");
        failure_next(&fault->failure, result, "use one of enum xenres_resource_type");
    }
    return result;
}

int resource_match(const xenres_frames_query *query, const xenres_identity *domain, uint32_t type,
                   uint32_t id, const xenres_observation *observation, struct fault *fault)
{
    int result = target_match(query->domain, query->incarnation, domain, fault);

    if (result != 0) {
        return result;
    }
    if (type != query->type || id != query->id) {
        return failure_set(&fault->failure, ERROR_INTERNAL, "asked for %s %u, answered with %s %u",
                           xenres_resource_type_name(query->type), query->id,
                           xenres_resource_type_name(type), id);
    }
    if (observation->first_frame != query->first_frame ||
        (query->frame_count != XENRES_ALL && observation->frame_count != query->frame_count)) {
        return failure_set(&fault->failure, ERROR_INTERNAL,
                           "asked for frames from %u, answered with %u frames from %u",
                           query->first_frame, observation->frame_count, observation->first_frame);
    }
    return 0;
}

/* --- ListResources --- */

static int call_resources_page(xenres *handle, void *arg, const char *page_token,
                               xenres_reply **page, struct fault *fault)
{
    const xenres_resource_query *query = arg;
    Xenres__V1__ListResourcesRequest request;

    xenres__v1__list_resources_request__init(&request);
    request.domain = call_string(query->domain);
    request.incarnation = call_string(query->incarnation);
    request.type = (Xenres__V1__ResourceType)query->type;
    if (query->id != XENRES_ALL) {
        request.id_choice_case = XENRES__V1__LIST_RESOURCES_REQUEST__ID_CHOICE_ID;
        request.id = query->id;
    }
    request.page_size = PAGES_SIZE;
    request.page_token = call_string(page_token);
    return call_method(handle, "xenres.v1.ResourceService/ListResources", &request.base, page,
                       fault);
}

static struct pages_list resources_list(ProtobufCMessage *message)
{
    Xenres__V1__ListResourcesResponse *m = (Xenres__V1__ListResourcesResponse *)message;

    return (struct pages_list){ .items = (ProtobufCMessage ***)&m->resources,
                                .count = &m->n_resources,
                                .next_page_token = &m->next_page_token };
}

/* Pages of two lives of a domain are not one list. */
static int match_resources_page(const ProtobufCMessage *first, const ProtobufCMessage *page,
                                struct fault *fault)
{
    xenres_identity a, b;

    view_identity(((const Xenres__V1__ListResourcesResponse *)first)->domain, &a);
    view_identity(((const Xenres__V1__ListResourcesResponse *)page)->domain, &b);
    if (a.domid == b.domid && strcmp(a.incarnation, b.incarnation) == 0) {
        return 0;
    }
    int result = failure_set(&fault->failure, ERROR_ABORTED,
                             "the domain was replaced by another between two pages");

    return failure_next(&fault->failure, result, "ask again");
}

static const xenres_failure *view_failure(xenres_reply *reply, const Xenres__V1__XenFailure *m,
                                          struct fault *fault)
{
    xenres_failure *failure = reply_array(reply, 1, sizeof(*failure), fault);

    if (failure != NULL) {
        *failure = (xenres_failure){ .call = m->call,
                                     .errno_name = m->errno_name,
                                     .cause = m->cause,
                                     .next_step = m->next_step };
    }
    return failure;
}

static int view_resource(xenres_reply *reply, const Xenres__V1__Resource *m, xenres_resource *out,
                         struct fault *fault)
{
    *out = (xenres_resource){
        .name = m->name,
        .type = (uint32_t)m->type,
        .id = m->id,
        .availability = (uint32_t)m->availability,
        .frames_in_use = m->frames_in_use,
        .frames_max = m->frames_max,
        .frame_bytes = m->frame_bytes,
        .grant_version = m->grant_version,
    };
    if (m->failure != NULL) {
        out->failure = view_failure(reply, m->failure, fault);
        return out->failure != NULL ? 0 : -ERROR_RESOURCE_EXHAUSTED;
    }
    return 0;
}

static int view_resources(xenres_reply *reply, const xenres_resource_query *query,
                          const xenres_resource_list **out, struct fault *fault)
{
    const Xenres__V1__ListResourcesResponse *m =
        (const Xenres__V1__ListResourcesResponse *)reply->message;
    xenres_resource_list *list = reply_array(reply, 1, sizeof(*list), fault);
    xenres_resource *resources = reply_array(reply, m->n_resources, sizeof(*resources), fault);

    if (list == NULL || resources == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    view_identity(m->domain, &list->domain);
    int result = target_match(query->domain, query->incarnation, &list->domain, fault);

    for (size_t i = 0; result == 0 && i < m->n_resources; i++) {
        result = view_resource(reply, m->resources[i], &resources[i], fault);
    }
    list->resources = resources;
    list->resource_count = m->n_resources;
    if (result == 0) {
        *out = list;
    }
    return result;
}

static int list_resources(xenres *handle, const xenres_resource_query *given, xenres_reply **reply,
                          const xenres_resource_list **list, struct fault *fault)
{
    static const struct pages_kind kind = { .call = call_resources_page,
                                            .list = resources_list,
                                            .match = match_resources_page };
    xenres_resource_query query;
    REPLY_AUTO fresh = NULL;
    int result = fault_copy_sized(&query, given, sizeof(query), "xenres_resource_query", fault);

    if (result == 0) {
        result = target_check(query.domain, query.incarnation, fault);
    }
    if (result == 0) {
        result = pages_collect(handle, &kind, &query, &fresh, fault);
    }
    if (result == 0) {
        result = view_resources(fresh, &query, list, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_list_resources(xenres *handle, const xenres_resource_query *query, xenres_reply **reply,
                          const xenres_resource_list **list, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = list_resources(handle, query, reply, list, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}
