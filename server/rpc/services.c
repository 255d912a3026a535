/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/services.h"

#include "proto/frames.h"
#include "server/rpc/method.h"
#include "xenres/v1/access.pb-c.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"
#include "xenres/v1/trace.pb-c.h"

#define MESSAGES(service, name, prefix)                                                            \
    .path = "/xenres.v1." service "/" name, .request = &prefix##_request__descriptor,              \
    .response = &prefix##_response__descriptor
#define UNARY(service, name, prefix)  MESSAGES(service, name, prefix), .kind = METHOD_UNARY
#define STREAM(service, name, prefix) MESSAGES(service, name, prefix), .kind = METHOD_STREAM

/* protobuf-c takes "IRequest" for one word. */
#define xenres__v1__who_am_i_request__descriptor  xenres__v1__who_am_irequest__descriptor
#define xenres__v1__who_am_i_response__descriptor xenres__v1__who_am_iresponse__descriptor

static const struct method methods[] = {
    { UNARY("HostService", "GetHost", xenres__v1__get_host), .no_side_effects = true,
      .action = ACTION_LIST, .cost = METHOD_COST_LIST, .handler = &host_service_get_host },
    { UNARY("HostService", "ListDomains", xenres__v1__list_domains), .no_side_effects = true,
      .action = ACTION_LIST, .cost = METHOD_COST_LIST, .handler = &host_service_list_domains },
    { STREAM("HostService", "WatchDomains", xenres__v1__watch_domains), .no_side_effects = true,
      .action = ACTION_LIST, .cost = METHOD_COST_WATCH, .handler = &host_service_watch_domains },
    { UNARY("ResourceService", "ListResources", xenres__v1__list_resources),
      .no_side_effects = true, .action = ACTION_LIST, .cost = METHOD_COST_LIST,
      .handler = &resource_service_list_resources },
    { UNARY("ResourceService", "GetSnapshot", xenres__v1__get_snapshot), .no_side_effects = true,
      .action = ACTION_SNAPSHOT, .cost = METHOD_COST_COPY,
      .handler = &resource_service_get_snapshot },
    { STREAM("ResourceService", "ReadSnapshot", xenres__v1__read_snapshot), .no_side_effects = true,
      .action = ACTION_SNAPSHOT, .cost = METHOD_COST_COPY,
      .handler = &resource_service_read_snapshot },
    { STREAM("ResourceService", "Watch", xenres__v1__watch), .no_side_effects = true,
      .action = ACTION_WATCH, .cost = METHOD_COST_WATCH, .handler = &resource_service_watch },
    { UNARY("InspectService", "GetGrantTable", xenres__v1__get_grant_table),
      .no_side_effects = true, .action = ACTION_DECODE, .cost = METHOD_COST_COPY,
      .handler = &inspect_service_get_grant_table },
    { UNARY("InspectService", "GetIoreqServer", xenres__v1__get_ioreq_server),
      .no_side_effects = true, .action = ACTION_DECODE, .cost = METHOD_COST_COPY,
      .handler = &inspect_service_get_ioreq_server },
    { UNARY("InspectService", "GetVcpuStats", xenres__v1__get_vcpu_stats), .no_side_effects = true,
      .action = ACTION_DECODE, .cost = METHOD_COST_COPY,
      .handler = &inspect_service_get_vcpu_stats },
    { UNARY("TraceService", "StartTrace", xenres__v1__start_trace), .action = ACTION_TRACE_CONTROL,
      .cost = METHOD_COST_LIST, .handler = &trace_service_start_trace },
    { UNARY("TraceService", "StopTrace", xenres__v1__stop_trace), .action = ACTION_TRACE_CONTROL,
      .cost = METHOD_COST_LIST, .handler = &trace_service_stop_trace },
    { UNARY("TraceService", "RenewTrace", xenres__v1__renew_trace), .action = ACTION_TRACE_CONTROL,
      .cost = METHOD_COST_LIST, .handler = &trace_service_renew_trace },
    { UNARY("TraceService", "GetTrace", xenres__v1__get_trace), .no_side_effects = true,
      .action = ACTION_TRACE_READ, .cost = METHOD_COST_LIST, .handler = &trace_service_get_trace },
    { UNARY("TraceService", "ListTraces", xenres__v1__list_traces), .no_side_effects = true,
      .action = ACTION_TRACE_READ, .cost = METHOD_COST_LIST,
      .handler = &trace_service_list_traces },
    { STREAM("TraceService", "ReadTrace", xenres__v1__read_trace), .no_side_effects = true,
      .action = ACTION_TRACE_READ, .cost = METHOD_COST_WATCH,
      .handler = &trace_service_read_trace },
    { UNARY("AccessService", "WhoAmI", xenres__v1__who_am_i), .no_side_effects = true, .open = true,
      .cost = METHOD_COST_LIST, .handler = &access_service_who_am_i },
    { UNARY("AccessService", "ExplainAccess", xenres__v1__explain_access), .no_side_effects = true,
      .open = true, .cost = METHOD_COST_LIST, .handler = &access_service_explain_access },
    { .path = FRAMES_PATH_PREFIX "{domain}/resources/{type}/{id}/frames",
      .kind = METHOD_RAW,
      .no_side_effects = true,
      .action = ACTION_SNAPSHOT,
      .cost = METHOD_COST_COPY,
      .handler = &frames_handler },
    { .path = "/schema/xenres.v1.binpb",
      .kind = METHOD_RAW,
      .no_side_effects = true,
      .open = true,
      .cost = METHOD_COST_LIST,
      .handler = &schema_handler },
};

const struct method_table services_table = {
    .methods = methods,
    .count = sizeof(methods) / sizeof(methods[0]),
};
