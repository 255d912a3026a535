/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* InspectService. */
#include "client/call.h"
#include "client/target.h"
#include "client/view.h"
#include "xenres/v1/inspect.pb-c.h"

/* --- GetGrantTable --- */

/* References go up, and the next one is beyond them: a caller that follows next_reference comes to
 * an end. */
static int check_order(const Xenres__V1__GetGrantTableResponse *m, uint32_t first_reference,
                       struct fault *fault)
{
    uint64_t least = first_reference;

    for (size_t i = 0; i < m->n_entries; i++) {
        if (m->entries[i]->reference < least) {
            return failure_set(&fault->failure, ERROR_INTERNAL,
                               "the grants of the answer are out of order at reference %u",
                               m->entries[i]->reference);
        }
        least = (uint64_t)m->entries[i]->reference + 1;
    }
    if (m->next_reference != 0 &&
        (m->next_reference < least || m->next_reference <= first_reference)) {
        return failure_set(&fault->failure, ERROR_INTERNAL,
                           "the answer says to go on at reference %u, which it is beyond",
                           m->next_reference);
    }
    return 0;
}

static int view_grant_table(xenres_reply *reply, const xenres_grant_query *query,
                            const xenres_grant_table **out, struct fault *fault)
{
    const Xenres__V1__GetGrantTableResponse *m =
        (const Xenres__V1__GetGrantTableResponse *)reply->message;
    xenres_grant_table *table = reply_array(reply, 1, sizeof(*table), fault);
    xenres_grant *grants = reply_array(reply, m->n_entries, sizeof(*grants), fault);

    if (table == NULL || grants == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    view_identity(m->domain, &table->domain);
    view_observation(m->observation, &table->observation);
    int result = target_match(query->domain, query->incarnation, &table->domain, fault);

    if (result == 0) {
        result = check_order(m, query->first_reference, fault);
    }
    if (result != 0) {
        return result;
    }
    for (size_t i = 0; i < m->n_entries; i++) {
        view_grant(m->entries[i], &grants[i]);
    }
    table->grants = grants;
    table->grant_count = m->n_entries;
    table->next_reference = m->next_reference;
    table->reference_capacity = m->reference_capacity;
    *out = table;
    return 0;
}

static int get_grant_table(xenres *handle, const xenres_grant_query *given, xenres_reply **reply,
                           const xenres_grant_table **table, struct fault *fault)
{
    xenres_grant_query query;
    Xenres__V1__GetGrantTableRequest request;
    REPLY_AUTO fresh = NULL;
    int result = fault_copy_sized(&query, given, sizeof(query), "xenres_grant_query", fault);

    if (result == 0) {
        result = target_check(query.domain, query.incarnation, fault);
    }
    if (result != 0) {
        return result;
    }
    xenres__v1__get_grant_table_request__init(&request);
    request.domain = call_string(query.domain);
    request.incarnation = call_string(query.incarnation);
    request.first_reference = query.first_reference;
    request.include_unused = query.include_unused;
    if (query.reference_count != XENRES_ALL) {
        request.reference_count_choice_case =
            XENRES__V1__GET_GRANT_TABLE_REQUEST__REFERENCE_COUNT_CHOICE_REFERENCE_COUNT;
        request.reference_count = query.reference_count;
    }
    result =
        call_method(handle, "xenres.v1.InspectService/GetGrantTable", &request.base, &fresh, fault);
    if (result == 0) {
        result = view_grant_table(fresh, &query, table, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_get_grant_table(xenres *handle, const xenres_grant_query *query, xenres_reply **reply,
                           const xenres_grant_table **table, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = get_grant_table(handle, query, reply, table, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

/* --- GetIoreqServer --- */

static int view_ioreq_server(xenres_reply *reply, const xenres_ioreq_query *query,
                             const xenres_ioreq_server **out, struct fault *fault)
{
    const Xenres__V1__GetIoreqServerResponse *m =
        (const Xenres__V1__GetIoreqServerResponse *)reply->message;
    xenres_ioreq_server *server = reply_array(reply, 1, sizeof(*server), fault);
    xenres_ioreq *vcpus = reply_array(reply, m->n_vcpus, sizeof(*vcpus), fault);

    if (server == NULL || vcpus == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    view_identity(m->domain, &server->domain);
    view_observation(m->observation, &server->observation);
    int result = target_match(query->domain, query->incarnation, &server->domain, fault);

    if (result == 0 && m->id != query->id) {
        result = failure_set(&fault->failure, ERROR_INTERNAL,
                             "asked about ioreq server %u, answered about %u", query->id, m->id);
    }
    if (result == 0 && m->buffered != NULL) {
        server->has_buffered = true;
        server->read_pointer = m->buffered->read_pointer;
        server->write_pointer = m->buffered->write_pointer;
        server->pointers_valid = m->buffered->pointers_valid != 0;
        server->request_count = m->buffered->n_requests;
        result = view_buffered(reply, m->buffered, &server->requests, fault);
    }
    if (result != 0) {
        return result;
    }
    for (size_t i = 0; i < m->n_vcpus; i++) {
        view_ioreq(m->vcpus[i], &vcpus[i]);
    }
    server->id = m->id;
    server->vcpus = vcpus;
    server->vcpu_count = m->n_vcpus;
    *out = server;
    return 0;
}

static int get_ioreq_server(xenres *handle, const xenres_ioreq_query *given, xenres_reply **reply,
                            const xenres_ioreq_server **server, struct fault *fault)
{
    xenres_ioreq_query query;
    Xenres__V1__GetIoreqServerRequest request;
    REPLY_AUTO fresh = NULL;
    int result = fault_copy_sized(&query, given, sizeof(query), "xenres_ioreq_query", fault);

    if (result == 0) {
        result = target_check(query.domain, query.incarnation, fault);
    }
    if (result != 0) {
        return result;
    }
    xenres__v1__get_ioreq_server_request__init(&request);
    request.domain = call_string(query.domain);
    request.incarnation = call_string(query.incarnation);
    request.id = query.id;
    result = call_method(handle, "xenres.v1.InspectService/GetIoreqServer", &request.base, &fresh,
                         fault);
    if (result == 0) {
        result = view_ioreq_server(fresh, &query, server, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_get_ioreq_server(xenres *handle, const xenres_ioreq_query *query, xenres_reply **reply,
                            const xenres_ioreq_server **server, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = get_ioreq_server(handle, query, reply, server, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

/* --- GetVcpuStats --- */

static int view_vcpu_stats(xenres_reply *reply, const char *domain, const char *incarnation,
                           const xenres_vcpu_stats **out, struct fault *fault)
{
    const Xenres__V1__GetVcpuStatsResponse *m =
        (const Xenres__V1__GetVcpuStatsResponse *)reply->message;
    xenres_vcpu_stats *stats = reply_array(reply, 1, sizeof(*stats), fault);
    xenres_vcpu *vcpus = reply_array(reply, m->n_vcpus, sizeof(*vcpus), fault);

    if (stats == NULL || vcpus == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    view_identity(m->domain, &stats->domain);
    view_observation(m->observation, &stats->observation);
    int result = target_match(domain, incarnation, &stats->domain, fault);

    if (result != 0) {
        return result;
    }
    for (size_t i = 0; i < m->n_vcpus; i++) {
        view_vcpu(m->vcpus[i], &vcpus[i]);
    }
    stats->source = (uint32_t)m->source;
    stats->vcpus = vcpus;
    stats->vcpu_count = m->n_vcpus;
    *out = stats;
    return 0;
}

static int get_vcpu_stats(xenres *handle, const char *domain, const char *incarnation,
                          xenres_reply **reply, const xenres_vcpu_stats **stats,
                          struct fault *fault)
{
    Xenres__V1__GetVcpuStatsRequest request;
    REPLY_AUTO fresh = NULL;
    int result = target_check(domain, incarnation, fault);

    if (result != 0) {
        return result;
    }
    xenres__v1__get_vcpu_stats_request__init(&request);
    request.domain = call_string(domain);
    request.incarnation = call_string(incarnation);
    result =
        call_method(handle, "xenres.v1.InspectService/GetVcpuStats", &request.base, &fresh, fault);
    if (result == 0) {
        result = view_vcpu_stats(fresh, domain, incarnation, stats, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_get_vcpu_stats(xenres *handle, const char *domain, const char *incarnation,
                          xenres_reply **reply, const xenres_vcpu_stats **stats,
                          xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = get_vcpu_stats(handle, domain, incarnation, reply, stats, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}
