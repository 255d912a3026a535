/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* AccessService. */
#include <string.h>

#include "client/call.h"
#include "client/target.h"
#include "client/view.h"
#include "xenres/v1/access.pb-c.h"

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))

static const char *const kind_names[] = {
    "",
    [XENRES_CALLER_SPIFFE] = "spiffe",
    [XENRES_CALLER_DNS] = "dns",
    [XENRES_CALLER_COMMON_NAME] = "cn",
    [XENRES_CALLER_JWT] = "jwt",
    [XENRES_CALLER_TOKEN] = "token",
};

static const char *const action_names[] = {
    "",
    [XENRES_ACTION_LIST] = "list",
    [XENRES_ACTION_SNAPSHOT] = "snapshot",
    [XENRES_ACTION_WATCH] = "watch",
    [XENRES_ACTION_DECODE] = "decode",
    [XENRES_ACTION_TRACE_READ] = "trace.read",
    [XENRES_ACTION_TRACE_CONTROL] = "trace.control",
    [XENRES_ACTION_ADMIN] = "admin",
};

const char *xenres_caller_kind_name(uint32_t kind)
{
    return kind < COUNT(kind_names) ? kind_names[kind] : "";
}

const char *xenres_action_name(uint32_t action)
{
    return action < COUNT(action_names) ? action_names[action] : "";
}

uint32_t xenres_action_from_name(const char *name)
{
    for (uint32_t i = 1; i < COUNT(action_names); i++) {
        if (strcmp(action_names[i], name) == 0) {
            return i;
        }
    }
    return 0;
}

/* --- WhoAmI --- */

static void view_limits(const Xenres__V1__CallerLimits *m, xenres_caller_limits *out)
{
    *out = (xenres_caller_limits){
        .requests_per_second = m->requests_per_second,
        .bytes_per_second = m->bytes_per_second,
        .snapshots = m->snapshots,
        .streams = m->streams,
        .spool_mib = m->spool_mib,
        .pauses_per_second = m->pauses_per_second,
    };
}

static int view_caller(xenres_reply *reply, const xenres_caller **out, struct fault *fault)
{
    const Xenres__V1__WhoAmIResponse *answer = (const Xenres__V1__WhoAmIResponse *)reply->message;
    const Xenres__V1__Caller *m = answer->caller;
    xenres_caller *caller = reply_array(reply, 1, sizeof(*caller), fault);
    uint32_t ignored;

    if (caller == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    if (m == NULL) {
        return failure_set(&fault->failure, ERROR_INTERNAL, "the answer names nobody");
    }
    *caller = (xenres_caller){
        .identity = m->identity,
        .kind = (uint32_t)m->kind,
        .groups = (const char *const *)m->groups,
        .group_count = m->n_groups,
        .is_bound = m->is_bound != 0,
        .token_id = m->token_id,
        .certificate_sha256 = m->certificate_sha256,
    };
    view_time(m->not_after, &caller->not_after_seconds, &ignored);
    if (answer->limits != NULL) {
        view_limits(answer->limits, &caller->limits);
    }
    *out = caller;
    return 0;
}

static int who_am_i(xenres *handle, xenres_reply **reply, const xenres_caller **caller,
                    struct fault *fault)
{
    Xenres__V1__WhoAmIRequest request;
    REPLY_AUTO fresh = NULL;

    xenres__v1__who_am_irequest__init(&request);
    int result =
        call_method(handle, "xenres.v1.AccessService/WhoAmI", &request.base, &fresh, fault);

    if (result == 0) {
        result = view_caller(fresh, caller, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_who_am_i(xenres *handle, xenres_reply **reply, const xenres_caller **caller,
                    xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = who_am_i(handle, reply, caller, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

/* --- ExplainAccess --- */

static int view_access(xenres_reply *reply, const char *domain, const xenres_access **out,
                       struct fault *fault)
{
    const Xenres__V1__ExplainAccessResponse *m =
        (const Xenres__V1__ExplainAccessResponse *)reply->message;
    xenres_access *access = reply_array(reply, 1, sizeof(*access), fault);

    if (access == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    view_identity(m->domain, &access->domain);
    access->allowed = m->allowed != 0;
    int result = target_match(domain, NULL, &access->domain, fault);

    if (result == 0) {
        *out = access;
    }
    return result;
}

static int explain(xenres *handle, const char *domain, uint32_t type, uint32_t action,
                   xenres_reply **reply, const xenres_access **access, struct fault *fault)
{
    Xenres__V1__ExplainAccessRequest request;
    REPLY_AUTO fresh = NULL;
    int result = target_check(domain, NULL, fault);

    if (result != 0) {
        return result;
    }
    xenres__v1__explain_access_request__init(&request);
    request.domain = call_string(domain);
    request.type = (Xenres__V1__ResourceType)type;
    request.action = (Xenres__V1__Action)action;
    result =
        call_method(handle, "xenres.v1.AccessService/ExplainAccess", &request.base, &fresh, fault);
    if (result == 0) {
        result = view_access(fresh, domain, access, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_explain(xenres *handle, const char *domain, uint32_t type, uint32_t action,
                   xenres_reply **reply, const xenres_access **access, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = explain(handle, domain, type, action, reply, access, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}
