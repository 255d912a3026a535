/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/procedure.h"

#include <string.h>

#include "xenres/v1/access.pb-c.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"
#include "xenres/v1/trace.pb-c.h"

static const struct procedure procedures[] = {
    { .name = "xenres.v1.HostService/GetHost",
      .answer = &xenres__v1__get_host_response__descriptor,
      .is_idempotent = true },
    { .name = "xenres.v1.HostService/ListDomains",
      .answer = &xenres__v1__list_domains_response__descriptor,
      .is_idempotent = true },
    { .name = "xenres.v1.HostService/WatchDomains",
      .answer = &xenres__v1__watch_domains_response__descriptor,
      .is_stream = true,
      .is_idempotent = true },
    { .name = "xenres.v1.ResourceService/ListResources",
      .answer = &xenres__v1__list_resources_response__descriptor,
      .is_idempotent = true },
    { .name = "xenres.v1.ResourceService/GetSnapshot",
      .answer = &xenres__v1__get_snapshot_response__descriptor,
      .is_idempotent = true },
    { .name = "xenres.v1.ResourceService/ReadSnapshot",
      .answer = &xenres__v1__read_snapshot_response__descriptor,
      .is_stream = true,
      .is_idempotent = true },
    { .name = "xenres.v1.ResourceService/Watch",
      .answer = &xenres__v1__watch_response__descriptor,
      .is_stream = true,
      .is_idempotent = true },
    { .name = "xenres.v1.InspectService/GetGrantTable",
      .answer = &xenres__v1__get_grant_table_response__descriptor,
      .is_idempotent = true },
    { .name = "xenres.v1.InspectService/GetIoreqServer",
      .answer = &xenres__v1__get_ioreq_server_response__descriptor,
      .is_idempotent = true },
    { .name = "xenres.v1.InspectService/GetVcpuStats",
      .answer = &xenres__v1__get_vcpu_stats_response__descriptor,
      .is_idempotent = true },
    { .name = "xenres.v1.TraceService/StartTrace",
      .answer = &xenres__v1__start_trace_response__descriptor },
    { .name = "xenres.v1.TraceService/StopTrace",
      .answer = &xenres__v1__stop_trace_response__descriptor },
    { .name = "xenres.v1.TraceService/RenewTrace",
      .answer = &xenres__v1__renew_trace_response__descriptor },
    { .name = "xenres.v1.TraceService/GetTrace",
      .answer = &xenres__v1__get_trace_response__descriptor,
      .is_idempotent = true },
    { .name = "xenres.v1.TraceService/ListTraces",
      .answer = &xenres__v1__list_traces_response__descriptor,
      .is_idempotent = true },
    { .name = "xenres.v1.TraceService/ReadTrace",
      .answer = &xenres__v1__read_trace_response__descriptor,
      .is_stream = true,
      .is_idempotent = true },
    { .name = "xenres.v1.AccessService/WhoAmI",
      .answer = &xenres__v1__who_am_iresponse__descriptor,
      .is_idempotent = true },
    { .name = "xenres.v1.AccessService/ExplainAccess",
      .answer = &xenres__v1__explain_access_response__descriptor,
      .is_idempotent = true },
};

/* Path parts of letters, digits, '.', and '_': nothing that could end or bend the request line. */
static bool is_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._";
    size_t service = strspn(name, letters);

    if (service == 0 || name[service] != '/') {
        return false;
    }
    size_t method = strspn(name + service + 1, letters);

    return method > 0 && name[service + 1 + method] == '\0' && strlen(name) <= PROCEDURE_MAX_BYTES;
}

int procedure_find(const char *name, bool is_stream, struct procedure *out, struct fault *fault)
{
    if (!is_name(name)) {
        return failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                           "\"%s\" is no method: PACKAGE.SERVICE/METHOD is", name);
    }
    struct procedure found = { .name = name, .is_stream = is_stream };

    for (size_t i = 0; i < sizeof(procedures) / sizeof(procedures[0]); i++) {
        if (strcmp(procedures[i].name, name) == 0) {
            found = procedures[i];
        }
    }
    if (found.is_stream != is_stream) {
        int result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "%s %s a stream", name,
                                 found.is_stream ? "is" : "is not");

        return failure_next(&fault->failure, result, "use %s",
                            found.is_stream ? "xenres_stream_open()" : "xenres_call()");
    }
    *out = found;
    return 0;
}
