/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* HostService. */
#include "client/call.h"
#include "client/domain_query.h"
#include "client/pages.h"
#include "client/view.h"
#include "xenres/v1/host.pb-c.h"

static int view_checks(xenres_reply *reply, const Xenres__V1__Gateway *gateway, xenres_host *host,
                       struct fault *fault)
{
    xenres_check *checks = reply_array(reply, gateway->n_checks, sizeof(*checks), fault);

    if (checks == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    for (size_t i = 0; i < gateway->n_checks; i++) {
        checks[i] = (xenres_check){
            .name = gateway->checks[i]->name,
            .ok = gateway->checks[i]->ok != 0,
            .detail = gateway->checks[i]->detail,
        };
    }
    host->checks = checks;
    host->check_count = gateway->n_checks;
    return 0;
}

static int view_host(xenres_reply *reply, const Xenres__V1__Host *m, const xenres_host **out,
                     struct fault *fault)
{
    Xenres__V1__Host no_host;
    Xenres__V1__Hypervisor no_hypervisor;
    Xenres__V1__Gateway no_gateway;
    xenres_host *host = reply_array(reply, 1, sizeof(*host), fault);

    if (host == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    /* Their strings are constants, and outlive them. */
    xenres__v1__host__init(&no_host);
    xenres__v1__hypervisor__init(&no_hypervisor);
    xenres__v1__gateway__init(&no_gateway);
    m = m != NULL ? m : &no_host;
    const Xenres__V1__Hypervisor *xen = m->hypervisor != NULL ? m->hypervisor : &no_hypervisor;
    const Xenres__V1__Gateway *gateway = m->gateway != NULL ? m->gateway : &no_gateway;

    *host = (xenres_host){
        .uuid = m->uuid,
        .uuid_source = m->uuid_source,
        .boot_id = m->boot_id,
        .hostname = m->hostname,
        .xen_version = xen->version,
        .guest_abis = (const char *const *)xen->guest_abis,
        .guest_abi_count = xen->n_guest_abis,
        .capabilities = (const char *const *)xen->capabilities,
        .capability_count = xen->n_capabilities,
        .cpu_count = xen->cpu_count,
        .total_memory_kib = xen->total_memory_kib,
        .free_memory_kib = xen->free_memory_kib,
        .gateway_version = gateway->version,
        .mapper_connected = gateway->mapper_connected != 0,
        .mapper_version = gateway->mapper_version,
        .backend = gateway->backend,
        .monotonic_ns = m->monotonic_ns,
    };
    view_time(m->wall_time, &host->wall_seconds, &host->wall_nanoseconds);
    int result = view_checks(reply, gateway, host, fault);

    if (result == 0) {
        *out = host;
    }
    return result;
}

static int get_host(xenres *handle, xenres_reply **reply, const xenres_host **host,
                    struct fault *fault)
{
    Xenres__V1__GetHostRequest request;
    REPLY_AUTO fresh = NULL;

    xenres__v1__get_host_request__init(&request);
    int result = call_method(handle, "xenres.v1.HostService/GetHost", &request.base, &fresh, fault);

    if (result == 0) {
        const Xenres__V1__GetHostResponse *answer =
            (const Xenres__V1__GetHostResponse *)fresh->message;

        result = view_host(fresh, answer->host, host, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_get_host(xenres *handle, xenres_reply **reply, const xenres_host **host,
                    xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = get_host(handle, reply, host, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

static int call_domains_page(xenres *handle, void *arg, const char *page_token, xenres_reply **page,
                             struct fault *fault)
{
    struct domain_query *query = arg;
    Xenres__V1__ListDomainsRequest request;

    xenres__v1__list_domains_request__init(&request);
    request.page_token = call_string(page_token);
    request.page_size = PAGES_SIZE;
    request.filter = &query->filter;
    return call_method(handle, "xenres.v1.HostService/ListDomains", &request.base, page, fault);
}

static struct pages_list domains_list(ProtobufCMessage *message)
{
    Xenres__V1__ListDomainsResponse *m = (Xenres__V1__ListDomainsResponse *)message;

    return (struct pages_list){ .items = (ProtobufCMessage ***)&m->domains,
                                .count = &m->n_domains,
                                .next_page_token = &m->next_page_token };
}

static int view_domains(xenres_reply *reply, const xenres_domain_list **out, struct fault *fault)
{
    const Xenres__V1__ListDomainsResponse *m =
        (const Xenres__V1__ListDomainsResponse *)reply->message;
    xenres_domain_list *list = reply_array(reply, 1, sizeof(*list), fault);
    xenres_domain *domains = reply_array(reply, m->n_domains, sizeof(*domains), fault);

    if (list == NULL || domains == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    for (size_t i = 0; i < m->n_domains; i++) {
        view_domain(m->domains[i], &domains[i]);
    }
    *list = (xenres_domain_list){ .domains = domains, .domain_count = m->n_domains };
    *out = list;
    return 0;
}

static int list_domains(xenres *handle, const xenres_domain_query *given, xenres_reply **reply,
                        const xenres_domain_list **list, struct fault *fault)
{
    static const struct pages_kind kind = { .call = call_domains_page, .list = domains_list };
    struct domain_query query;
    REPLY_AUTO fresh = NULL;
    int result = domain_query_take(given, &query, fault);

    if (result == 0) {
        result = pages_collect(handle, &kind, &query, &fresh, fault);
    }
    if (result == 0) {
        result = view_domains(fresh, list, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_list_domains(xenres *handle, const xenres_domain_query *query, xenres_reply **reply,
                        const xenres_domain_list **list, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = list_domains(handle, query, reply, list, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}
