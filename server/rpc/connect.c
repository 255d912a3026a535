/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/connect.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base64.h"
#include "proto/json/print.h"
#include "proto/json/scalar.h"
#include "xenres/v1/failure.pb-c.h"

enum { TIMEOUT_DIGITS_MAX = 10 }; /* the protocol's */

/* A header that may come once at most: two values are two readings of one request. */
static int single_header(const struct exchange_head *head, const char *name, const char **value,
                         struct failure *f)
{
    unsigned count = 0;

    *value = head->header(head->arg, name, &count);
    if (count > 1) {
        int result =
            failure_set(f, ERROR_INVALID_ARGUMENT, "the header %s came %u times", name, count);

        return failure_next(f, result, "send it once");
    }
    return 0;
}

/* True where `value` is this media type, parameters aside. */
static bool is_media_type(const char *value, const char *type)
{
    size_t len = strcspn(value, ";");

    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) {
        len--;
    }
    return len == strlen(type) && strncasecmp(value, type, len) == 0;
}

static int check_content_type(const struct exchange_head *head, int *http_status, struct failure *f)
{
    const char *value;
    int result = single_header(head, "Content-Type", &value, f);

    if (result != 0 || (value != NULL && is_media_type(value, CONNECT_CONTENT_TYPE_PROTO))) {
        return result;
    }
    *http_status = CONNECT_STATUS_UNSUPPORTED_TYPE;
    result = failure_set(f, ERROR_UNIMPLEMENTED, "content type %s is not supported",
                         value != NULL ? value : "(none)");
    return failure_next(f, result, "send %s", CONNECT_CONTENT_TYPE_PROTO);
}

static int check_encoding(const struct exchange_head *head, struct failure *f)
{
    const char *value;
    int result = single_header(head, "Content-Encoding", &value, f);

    if (result != 0 || value == NULL || strcasecmp(value, "identity") == 0) {
        return result;
    }
    result = failure_set(f, ERROR_UNIMPLEMENTED,
                         "content encoding %s is not supported; supported: identity", value);
    return failure_next(f, result, "send the message as it is");
}

static int check_version(const struct exchange_head *head, struct failure *f)
{
    const char *value;
    int result = single_header(head, "Connect-Protocol-Version", &value, f);

    if (result != 0 || value == NULL || strcmp(value, "1") == 0) {
        return result;
    }
    result = failure_set(f, ERROR_INVALID_ARGUMENT, "Connect-Protocol-Version %s is not supported",
                         value);
    return failure_next(f, result, "send 1, or leave it out");
}

static int check_timeout(const struct exchange_head *head, uint64_t *timeout_ms, struct failure *f)
{
    const char *value;
    int result = single_header(head, "Connect-Timeout-Ms", &value, f);

    if (result != 0 || value == NULL) {
        *timeout_ms = 0;
        return result;
    }
    size_t len = strspn(value, "0123456789");
    unsigned long long number = 0;

    if (len > 0 && len <= TIMEOUT_DIGITS_MAX && value[len] == '\0') {
        number = strtoull(value, NULL, 10);
    }
    if (number == 0) {
        result = failure_set(f, ERROR_INVALID_ARGUMENT, "Connect-Timeout-Ms is %s", value);
        return failure_next(f, result, "send a positive number of at most %d digits",
                            (int)TIMEOUT_DIGITS_MAX);
    }
    *timeout_ms = number;
    return 0;
}

int connect_check_head(const struct exchange_head *head, uint64_t *timeout_ms, int *http_status,
                       struct failure *f)
{
    int result = check_content_type(head, http_status, f);

    if (result == 0) {
        result = check_version(head, f);
    }
    if (result == 0) {
        result = check_encoding(head, f);
    }
    if (result == 0) {
        result = check_timeout(head, timeout_ms, f);
    }
    return result;
}

/* What to do where nobody could say it better. */
static const char *usual_next_step(int code)
{
    switch (code) {
    case ERROR_UNAVAILABLE:
    case ERROR_RESOURCE_EXHAUSTED:
    case ERROR_ABORTED: return "try again in a moment";
    case ERROR_DEADLINE_EXCEEDED: return "try again, or allow more time";
    case ERROR_PERMISSION_DENIED:
    case ERROR_UNAUTHENTICATED: return "ask the operator of the gateway for access";
    case ERROR_INTERNAL:
    case ERROR_UNKNOWN:
    case ERROR_DATA_LOSS: return "report it, with the gateway's log";
    default: return "correct the request";
    }
}

static const char *or_usual(const char *text, const char *usual)
{
    return text[0] != '\0' ? text : usual;
}

/* Generated code has fields of plain `char *`; nothing writes through them. */
static char *text_field(const char *text)
{
    return (char *)(uintptr_t)text;
}

static bool append_detail(const Xenres__V1__XenFailure *detail, struct buffer *out)
{
    const struct json_print_options options = { .with_defaults = false };
    uint8_t packed[4 * FAILURE_TEXT_MAX]; /* three texts, a call, a name, and their heads */

    if (xenres__v1__xen_failure__get_packed_size(detail) > sizeof(packed)) {
        return false;
    }
    size_t len = xenres__v1__xen_failure__pack(detail, packed);

    buffer_append_string(out, "{\"type\":\"xenres.v1.XenFailure\",\"value\":\"");
    base64_encode(out, packed, len, BASE64_UNPADDED);
    buffer_append_string(out, "\",\"debug\":");
    return json_print(&detail->base, &options, out, NULL) == 0 && buffer_append_byte(out, '}');
}

bool connect_error(const struct failure *f, struct buffer *out)
{
    Xenres__V1__XenFailure detail;

    xenres__v1__xen_failure__init(&detail);
    detail.call = text_field(f->call);
    detail.errno_name = text_field(error_errno_name(f->xen_errno));
    detail.cause = text_field(or_usual(f->cause, error_text(f->code)));
    detail.next_step = text_field(or_usual(f->next_step, usual_next_step(f->code)));
    buffer_append_string(out, "{\"code\":\"");
    buffer_append_string(out, error_connect_code(f->code));
    buffer_append_string(out, "\",\"message\":");
    if (!scalar_print_string(out, or_usual(f->message, error_text(f->code)))) {
        return false;
    }
    buffer_append_string(out, ",\"details\":[");
    return append_detail(&detail, out) && buffer_append_string(out, "]}") && !out->failed;
}
