/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/call.h"

#include <string.h>
#include <strings.h>

#include "client/refusal.h"
#include "client/transport.h"
#include "common/text.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

enum { METHOD_MAX_BYTES = 256 };

/* The methods whose answers xenres_call() can check. */
static const struct {
    const char *method;
    const ProtobufCMessageDescriptor *answer;
} methods[] = {
    { "xenres.v1.HostService/GetHost", &xenres__v1__get_host_response__descriptor },
    { "xenres.v1.HostService/ListDomains", &xenres__v1__list_domains_response__descriptor },
    { "xenres.v1.ResourceService/ListResources", &xenres__v1__list_resources_response__descriptor },
    { "xenres.v1.ResourceService/GetSnapshot", &xenres__v1__get_snapshot_response__descriptor },
    { "xenres.v1.InspectService/GetGrantTable", &xenres__v1__get_grant_table_response__descriptor },
    { "xenres.v1.InspectService/GetIoreqServer",
      &xenres__v1__get_ioreq_server_response__descriptor },
    { "xenres.v1.InspectService/GetVcpuStats", &xenres__v1__get_vcpu_stats_response__descriptor },
};

bool call_is_content_type(const char *value, const char *type)
{
    size_t len = strlen(type);

    if (value == NULL || strncasecmp(value, type, len) != 0) {
        return false;
    }
    return value[len] == '\0' || value[len] == ';' || value[len] == ' ';
}

struct receiver {
    xenres *handle;
    struct buffer *bytes;
};

static int too_large(const struct receiver *r, struct fault *fault)
{
    int result = failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED,
                             "the answer has more than %zu bytes", r->bytes->max_bytes);

    return failure_next(&fault->failure, result,
                        "ask for less, read raw frames, or raise message_max_bytes");
}

/* Looks at the head before any byte is taken. */
static int take_head(void *arg, struct fault *fault)
{
    const struct receiver *r = arg;
    const char *type = transport_header(r->handle, "Content-Type");
    const char *encoding = transport_header(r->handle, "Content-Encoding");
    const char *length = transport_header(r->handle, "Content-Length");
    uint64_t len_bytes = 0;

    if (!call_is_content_type(type, "application/proto") ||
        (encoding != NULL && strcasecmp(encoding, "identity") != 0)) {
        int result = failure_set(&fault->failure, ERROR_INTERNAL,
                                 "%s answers with %s%s%s, not application/proto", r->handle->server,
                                 type != NULL ? type : "no content type",
                                 encoding != NULL ? " in " : "", encoding != NULL ? encoding : "");

        return failure_next(&fault->failure, result,
                            "check that the address is xenresd's own, and no proxy's");
    }
    const char *transfer = transport_header(r->handle, "Transfer-Encoding");

    /* A body that ends with the connection may have been cut between two fields, and would still be
     * a message. */
    if (length == NULL && (transfer == NULL || strcasecmp(transfer, "chunked") != 0)) {
        return failure_set(&fault->failure, ERROR_INTERNAL, "%s does not say where its answer ends",
                           r->handle->server);
    }
    if (length != NULL && text_to_u64(length, UINT64_MAX, &len_bytes) &&
        len_bytes > r->bytes->max_bytes) {
        return too_large(r, fault);
    }
    return 0;
}

static int take_data(void *arg, const void *bytes, size_t len_bytes, struct fault *fault)
{
    const struct receiver *r = arg;

    return buffer_append(r->bytes, bytes, len_bytes) ? 0 : too_large(r, fault);
}

/* Path parts of letters, digits, '.', and '_': nothing that could end or bend the request line. */
static bool is_method(const char *method)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._";
    size_t service = strspn(method, letters);

    if (service == 0 || method[service] != '/') {
        return false;
    }
    size_t name = strspn(method + service + 1, letters);

    return name > 0 && method[service + 1 + name] == '\0' && strlen(method) <= METHOD_MAX_BYTES;
}

static int exchange(xenres *handle, const char *method, const void *message, size_t len_bytes,
                    struct buffer *answer, struct fault *fault)
{
    BUFFER_AUTO(target, METHOD_MAX_BYTES + 1);
    BUFFER_AUTO(timeout, 64);
    BUFFER_AUTO(refusal, TRANSPORT_REFUSAL_MAX_BYTES);
    struct receiver receiver = { .handle = handle, .bytes = answer };

    if (!is_method(method)) {
        return failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                           "\"%s\" is no method: PACKAGE.SERVICE/METHOD is", method);
    }
    if (!buffer_printf(&target, "/%s", method) ||
        !buffer_printf(&timeout, "Connect-Timeout-Ms: %u", handle->timeout_ms)) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    const struct transport_request request = {
        .target = buffer_string(&target),
        .is_post = true,
        .body = message,
        .body_len_bytes = len_bytes,
        .headers = { "Content-Type: application/proto", "Connect-Protocol-Version: 1",
                     buffer_string(&timeout) },
        .timeout_ms = handle->timeout_ms,
        .on_head = take_head,
        .on_data = take_data,
        .arg = &receiver,
    };
    int status = 0;
    int result = transport_perform(handle, &request, &status, &refusal, fault);

    if (result == 0 && status != 200) {
        result = refusal_read(handle->server, status, refusal.data, refusal.len_bytes, fault);
    }
    return result;
}

int call_method(xenres *handle, const char *method, const ProtobufCMessage *request,
                const ProtobufCMessageDescriptor *answer, xenres_reply **reply, struct fault *fault)
{
    REPLY_AUTO fresh = reply_new(handle->message_max_bytes, fault);
    BUFFER_AUTO(message, handle->message_max_bytes);
    size_t len_bytes = protobuf_c_message_get_packed_size(request);

    uint8_t *room = buffer_extend(&message, len_bytes);

    if (fresh == NULL || room == NULL) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    protobuf_c_message_pack(request, room);
    int result = exchange(handle, method, room, len_bytes, &fresh->bytes, fault);

    if (result == 0) {
        result = reply_unpack(fresh, answer, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

static const ProtobufCMessageDescriptor *answer_of(const char *method)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].method, method) == 0) {
            return methods[i].answer;
        }
    }
    return NULL;
}

static int call_any(xenres *handle, const char *method, const void *message, size_t len_bytes,
                    xenres_reply **reply, struct fault *fault)
{
    REPLY_AUTO fresh = reply_new(handle->message_max_bytes, fault);
    const ProtobufCMessageDescriptor *answer = answer_of(method);

    if (fresh == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    int result = exchange(handle, method, message, len_bytes, &fresh->bytes, fault);

    if (result == 0 && answer != NULL) {
        result = reply_unpack(fresh, answer, fault);
    }
    if (result == 0) {
        fresh->has_message = true;
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_call(xenres *handle, const char *method, const void *message, size_t len_bytes,
                xenres_reply **reply, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = call_any(handle, method, message, len_bytes, reply, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}
