/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/method.h"

#include <string.h>

#include "proto/frames.h"
#include "server/rpc/services.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

#define UNARY(service, name, prefix)                                                               \
    .path = "/xenres.v1." service "/" name, .kind = METHOD_CONNECT,                                \
    .request = &prefix##_request__descriptor, .response = &prefix##_response__descriptor

static const struct method methods[] = {
    { UNARY("HostService", "GetHost", xenres__v1__get_host), .no_side_effects = true,
      .action = ACTION_LIST, .cost = METHOD_COST_LIST, .handler = &host_service_get_host },
    { UNARY("HostService", "ListDomains", xenres__v1__list_domains), .no_side_effects = true,
      .action = ACTION_LIST, .cost = METHOD_COST_LIST, .handler = &host_service_list_domains },
    { UNARY("ResourceService", "ListResources", xenres__v1__list_resources),
      .no_side_effects = true, .action = ACTION_LIST, .cost = METHOD_COST_LIST,
      .handler = &resource_service_list_resources },
    { UNARY("ResourceService", "GetSnapshot", xenres__v1__get_snapshot), .no_side_effects = true,
      .action = ACTION_SNAPSHOT, .cost = METHOD_COST_COPY,
      .handler = &resource_service_get_snapshot },
    { UNARY("InspectService", "GetGrantTable", xenres__v1__get_grant_table),
      .no_side_effects = true, .action = ACTION_DECODE, .cost = METHOD_COST_COPY,
      .handler = &inspect_service_get_grant_table },
    { UNARY("InspectService", "GetIoreqServer", xenres__v1__get_ioreq_server),
      .no_side_effects = true, .action = ACTION_DECODE, .cost = METHOD_COST_COPY,
      .handler = &inspect_service_get_ioreq_server },
    { UNARY("InspectService", "GetVcpuStats", xenres__v1__get_vcpu_stats), .no_side_effects = true,
      .action = ACTION_DECODE, .cost = METHOD_COST_COPY,
      .handler = &inspect_service_get_vcpu_stats },
    { .path = FRAMES_PATH_PREFIX "{domain}/resources/{type}/{id}/frames",
      .kind = METHOD_RAW,
      .no_side_effects = true,
      .action = ACTION_SNAPSHOT,
      .cost = METHOD_COST_COPY,
      .handler = &frames_handler },
};

enum { METHOD_COUNT = sizeof(methods) / sizeof(methods[0]) };

static const struct method *find_raw(const struct uri *uri)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (methods[i].kind == METHOD_RAW && uri_matches(uri, methods[i].path)) {
            return &methods[i];
        }
    }
    return NULL;
}

static int no_method(struct failure *f)
{
    int result = failure_set(f, ERROR_NOT_FOUND, "there is nothing at this path");

    failure_cause(f, result, "the path is misspelled, or of another version of the API");
    return failure_next(f, result, "compare it with the API's description in proto/xenres/v1");
}

const struct method *method_find(const char *target, struct uri *uri, struct failure *f)
{
    size_t path_len = strcspn(target, "?");

    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (methods[i].kind == METHOD_CONNECT && strlen(methods[i].path) == path_len &&
            memcmp(methods[i].path, target, path_len) == 0) {
            return &methods[i];
        }
    }
    if (uri_parse(target, uri, f) != 0) {
        return NULL;
    }
    const struct method *m = find_raw(uri);

    if (m == NULL) {
        uri_done(uri);
        (void)no_method(f);
    }
    return m;
}

const char *method_allow(const struct method *m)
{
    return m->kind == METHOD_CONNECT ? "POST" : "GET, HEAD";
}

bool method_allows(const struct method *m, const char *http_method)
{
    return m->kind == METHOD_CONNECT
               ? strcmp(http_method, "POST") == 0
               : strcmp(http_method, "GET") == 0 || strcmp(http_method, "HEAD") == 0;
}

const struct method *method_table(size_t *count)
{
    *count = METHOD_COUNT;
    return methods;
}
