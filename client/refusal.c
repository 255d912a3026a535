/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/refusal.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "client/inflate.h"
#include "client/transport.h"

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
    enum error_code code = code_of_status(status);
    int result =
        failure_set(&fault->failure, code, "%s answered HTTP %d without a reason", server, status);

    failure_cause(&fault->failure, result, "%s",
                  status / 100 == 3 ? "a redirect: it is not followed"
                                    : "it is no xenresd, or something between answered");
    fault->may_pass = code == ERROR_UNAVAILABLE;
    return failure_next(&fault->failure, result,
                        "check that the address is xenresd's own, and no proxy's");
}

/* An error object whose code is a string. A code that is none of Connect's says no more than
 * `otherwise`. */
static int read_error(xenres *handle, const json_t *object, enum error_code otherwise,
                      struct fault *fault)
{
    const char *name = json_string_value(json_object_get(object, "code"));
    const char *message = json_string_value(json_object_get(object, "message"));
    enum error_code code = (enum error_code)error_from_connect_code(name);
    bool is_silent = message == NULL || message[0] == '\0';

    if (code == ERROR_UNKNOWN && strcmp(name, "unknown") != 0) {
        code = otherwise;
    }
    int result =
        failure_set(&fault->failure, code, "%s", is_silent ? error_text((int)code) : message);

    details_read(&handle->details, json_object_get(object, "details"), fault);
    fault->may_pass = code == ERROR_UNAVAILABLE;
    return result;
}

static bool has_code(const json_t *object)
{
    return json_is_string(json_object_get(object, "code"));
}

static void free_json(json_t **json)
{
    json_decref(*json);
}

#define JSON_AUTO __attribute__((cleanup(free_json))) json_t *

/* jansson bounds nesting (2048) and takes no invalid UTF-8 and no NUL in strings. */
static json_t *parse(const void *bytes, size_t len_bytes)
{
    return len_bytes > 0 ? json_loadb(bytes, len_bytes, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

/* Where compressed answers were asked for, errors may be compressed too. NULL for what is no JSON. */
static json_t *parse_body(xenres *handle, const void *body, size_t len_bytes)
{
    const char *encoding = transport_header(handle, "Content-Encoding");
    BUFFER_AUTO(unpacked, TRANSPORT_REFUSAL_MAX_BYTES);
    struct fault ignored = { 0 };

    if (encoding == NULL || strcasecmp(encoding, "gzip") != 0) {
        return parse(body, len_bytes);
    }
    return inflate_gzip(body, len_bytes, &unpacked, &ignored) == 0
               ? parse(unpacked.data, unpacked.len_bytes)
               : NULL;
}

int refusal_read(xenres *handle, int status, const void *body, size_t len_bytes,
                 struct fault *fault)
{
    JSON_AUTO root = parse_body(handle, body, len_bytes);

    return has_code(root) ? read_error(handle, root, code_of_status(status), fault)
                          : without_reason(handle->server, status, fault);
}

int refusal_read_end(xenres *handle, const void *message, size_t len_bytes, struct fault *fault)
{
    JSON_AUTO root = parse(message, len_bytes);
    const json_t *error = json_object_get(root, "error");

    if (json_is_object(root) && (error == NULL || json_is_null(error))) {
        return 0;
    }
    if (has_code(error)) {
        return read_error(handle, error, ERROR_UNKNOWN, fault);
    }
    if (json_is_object(error)) {
        return failure_set(&fault->failure, ERROR_UNKNOWN,
                           "the stream ended by an error without a code");
    }
    return failure_set(&fault->failure, ERROR_INTERNAL,
                       "the stream's end message is not what it should be");
}
