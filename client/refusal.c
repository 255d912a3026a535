/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/refusal.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/base64.h"
#include "proto/wire/wire.h"
#include "xenres/v1/failure.pb-c.h"

enum {
    DETAILS_MAX = 16, /* looked at */
    DETAIL_MAX_BYTES = 16 * 1024,
};

/* Connect's table for answers without a code: proxies and gateways in between make them. */
static enum error_code code_of_status(int status)
{
    switch (status) {
    case 400: return ERROR_INTERNAL;
    case 401: return ERROR_UNAUTHENTICATED;
    case 403: return ERROR_PERMISSION_DENIED;
    case 404: return ERROR_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504: return ERROR_UNAVAILABLE;
    default: return ERROR_UNKNOWN;
    }
}

static int without_reason(const char *server, int status, struct fault *fault)
{
    int result = failure_set(&fault->failure, code_of_status(status),
                             "%s answered HTTP %d without a reason", server, status);

    failure_cause(&fault->failure, result, "%s",
                  status / 100 == 3 ? "a redirect: it is not followed"
                                    : "it is no xenresd, or something between answered");
    return failure_next(&fault->failure, result,
                        "check that the address is xenresd's own, and no proxy's");
}

/* Our own detail. What cannot be read is left: the error counts without it. */
static void read_xen_failure(const char *text, size_t len, struct fault *fault)
{
    static const struct wire_limits limits = {
        .len_max_bytes = DETAIL_MAX_BYTES,
        .elements_max = 64,
        .memory_max_bytes = 4 * (size_t)DETAIL_MAX_BYTES,
    };
    BUFFER_AUTO(bytes, DETAIL_MAX_BYTES);
    ProtobufCMessage *message = NULL;
    struct failure *f = &fault->failure;
    int result = -f->code;

    if (!base64_decode(&bytes, text, len) ||
        wire_unpack(&xenres__v1__xen_failure__descriptor, bytes.data, bytes.len_bytes, &limits,
                    &message, NULL) != 0) {
        return;
    }
    const Xenres__V1__XenFailure *detail = (const Xenres__V1__XenFailure *)message;

    failure_call(f, result, detail->call, 0);
    failure_cause(f, result, "%s", detail->cause);
    failure_next(f, result, "%s", detail->next_step);
    /* The name of an errno, and nothing else: the caller may show it as it is. */
    size_t name_len = strspn(detail->errno_name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_?");

    if (detail->errno_name[name_len] == '\0') {
        (void)snprintf(fault->errno_name, sizeof(fault->errno_name), "%s", detail->errno_name);
    }
    wire_free(message);
}

static void read_details(const json_t *details, struct fault *fault)
{
    size_t count = json_array_size(details); /* 0 for what is no array */

    for (size_t i = 0; i < count && i < DETAILS_MAX; i++) {
        const json_t *detail = json_array_get(details, i);
        const char *type = json_string_value(json_object_get(detail, "type"));
        const json_t *value = json_object_get(detail, "value");

        if (type != NULL && strcmp(type, "xenres.v1.XenFailure") == 0 && json_is_string(value)) {
            read_xen_failure(json_string_value(value), json_string_length(value), fault);
            return;
        }
    }
}

static void free_json(json_t **json)
{
    json_decref(*json);
}

int refusal_read(const char *server, int status, const void *body, size_t len_bytes,
                 struct fault *fault)
{
    /* jansson bounds nesting (2048) and takes no invalid UTF-8 and no NUL in strings. */
    __attribute__((cleanup(free_json))) json_t *root =
        len_bytes > 0 ? json_loadb(body, len_bytes, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *name = json_string_value(json_object_get(root, "code"));
    const char *message = json_string_value(json_object_get(root, "message"));

    if (name == NULL) {
        return without_reason(server, status, fault);
    }
    /* A code that is no code of Connect's says no more than the status does. */
    enum error_code code = (enum error_code)error_from_connect_code(name);

    if (code == ERROR_UNKNOWN && strcmp(name, "unknown") != 0) {
        code = code_of_status(status);
    }
    bool is_silent = message == NULL || message[0] == '\0';
    int result =
        failure_set(&fault->failure, code, "%s", is_silent ? error_text((int)code) : message);

    read_details(json_object_get(root, "details"), fault);
    return result;
}
