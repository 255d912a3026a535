/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/methods.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "xenres/v1/access.pb-c.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"
#include "xenres/v1/trace.pb-c.h"

enum { FIELD_LEVELS = 2 };

static const ProtobufCServiceDescriptor *const services[] = {
    &xenres__v1__host_service__descriptor,    &xenres__v1__resource_service__descriptor,
    &xenres__v1__inspect_service__descriptor, &xenres__v1__trace_service__descriptor,
    &xenres__v1__access_service__descriptor,
};

static const struct note {
    const char *name;
    const char *summary;
    bool is_stream;
} notes[] = {
    { .name = "HostService/GetHost", .summary = "the host and its gateway" },
    { .name = "HostService/ListDomains", .summary = "the domains that you may see, by pages" },
    { .name = "HostService/WatchDomains",
      .summary = "the domains, and what becomes of them",
      .is_stream = true },
    { .name = "ResourceService/ListResources", .summary = "what a domain has, and why not" },
    { .name = "ResourceService/GetSnapshot", .summary = "frames as they are, in one message" },
    { .name = "ResourceService/ReadSnapshot",
      .summary = "the same in pieces, for large ones",
      .is_stream = true },
    { .name = "ResourceService/Watch",
      .summary = "what a resource holds, and its changes",
      .is_stream = true },
    { .name = "InspectService/GetGrantTable", .summary = "a grant table, decoded" },
    { .name = "InspectService/GetIoreqServer",
      .summary = "requests to a device model; asking may make Xen allocate" },
    { .name = "InspectService/GetVcpuStats", .summary = "run time of each vCPU" },
    { .name = "TraceService/StartTrace", .summary = "begins to trace what vCPUs execute" },
    { .name = "TraceService/StopTrace", .summary = "ends a trace" },
    { .name = "TraceService/RenewTrace", .summary = "lets a trace run on though nobody reads it" },
    { .name = "TraceService/GetTrace", .summary = "a domain's trace, and how its vCPUs fare" },
    { .name = "TraceService/ListTraces", .summary = "the traces that you may see, by pages" },
    { .name = "TraceService/ReadTrace",
      .summary = "the bytes of one vCPU's trace, in their order",
      .is_stream = true },
    { .name = "AccessService/WhoAmI", .summary = "who you are to the gateway" },
    { .name = "AccessService/ExplainAccess", .summary = "whether the policy allows you something" },
};

enum { SERVICE_COUNT = sizeof(services) / sizeof(services[0]) };

static const struct note *find_note(const char *short_name)
{
    for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
        if (strcmp(notes[i].name, short_name) == 0) {
            return &notes[i];
        }
    }
    return NULL;
}

static void fill(struct api_method *out, const ProtobufCServiceDescriptor *service,
                 const ProtobufCMethodDescriptor *method)
{
    int len = snprintf(out->name, sizeof(out->name), "%s/%s", service->name, method->name);
    const struct note *note = find_note(out->name + strlen(service->package) + 1);

    assert(len > 0 && (size_t)len < sizeof(out->name));
    assert(note != NULL); /* a method came into proto/: it wants a row */
    out->short_name = note->name;
    out->request = method->input;
    out->response = method->output;
    out->is_stream = note->is_stream;
    out->summary = note->summary;
}

bool methods_at(size_t index, struct api_method *out)
{
    for (size_t i = 0; i < SERVICE_COUNT; i++) {
        if (index < services[i]->n_methods) {
            fill(out, services[i], &services[i]->methods[index]);
            return true;
        }
        index -= services[i]->n_methods;
    }
    return false;
}

bool methods_find(const char *name, struct api_method *out)
{
    struct api_method method;

    for (size_t i = 0; methods_at(i, &method); i++) {
        if (strcmp(method.name, name) == 0 || strcmp(method.short_name, name) == 0) {
            *out = method;
            return true;
        }
    }
    return false;
}

const ProtobufCMessageDescriptor *methods_response(const char *type_name)
{
    struct api_method method;

    for (size_t i = 0; methods_at(i, &method); i++) {
        if (strcmp(method.response->name, type_name) == 0) {
            return method.response;
        }
    }
    return NULL;
}

/* "page_size" → "pageSize" */
static void append_json_name(struct buffer *out, const char *name)
{
    bool is_upper = false;

    for (; *name != '\0'; name++) {
        if (*name != '_') {
            buffer_append_byte(out, (uint8_t)(is_upper ? toupper((unsigned char)*name) : *name));
        }
        is_upper = *name == '_';
    }
}

static void append_fields(struct buffer *out, const ProtobufCMessageDescriptor *type,
                          unsigned levels)
{
    buffer_append_byte(out, '{');
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];

        buffer_append_string(out, i > 0 ? ", " : "");
        append_json_name(out, field->name);
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && levels > 1) {
            buffer_append_string(out, ": ");
            append_fields(out, field->descriptor, levels - 1);
        }
    }
    buffer_append_byte(out, '}');
}

void methods_append_fields(struct buffer *out, const ProtobufCMessageDescriptor *type)
{
    append_fields(out, type, FIELD_LEVELS);
}
