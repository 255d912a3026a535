/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/connect_error.h"

#include <strings.h>

#include "common/base64.h"
#include "google/rpc/error_details.pb-c.h"
#include "proto/json/print.h"
#include "proto/json/scalar.h"
#include "xenres/v1/failure.pb-c.h"

enum {
    UNAVAILABLE_RETRY_MS = 500, /* as long as a mapper takes to come back, as a rule */
    MS_PER_S = 1000,
    NS_PER_MS = 1000000,
};

/* What to do where nobody could say it better. */
static const char *usual_next_step(int code)
{
    switch (code) {
    case ERROR_UNAVAILABLE:
    case ERROR_ABORTED: return "try again in a moment";
    case ERROR_RESOURCE_EXHAUSTED: return "ask for less, or try again later";
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

static void begin_detail(struct buffer *out, const char *type, const void *bytes, size_t len_bytes)
{
    if (out->len_bytes > 0 && out->data[out->len_bytes - 1] == '}') {
        buffer_append_byte(out, ',');
    }
    buffer_printf(out, "{\"type\":\"%s\",\"value\":\"", type);
    base64_encode(out, bytes, len_bytes, BASE64_UNPADDED);
    buffer_append_byte(out, '"');
}

/* With `debug`, which says the same for people. */
static bool append_message(const ProtobufCMessage *message, struct buffer *out)
{
    const struct json_print_options options = { .with_defaults = false };
    BUFFER_AUTO(packed, CONNECT_ERROR_MAX_BYTES);
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = buffer_extend(&packed, len);

    if (bytes == NULL && len > 0) {
        return false;
    }
    (void)protobuf_c_message_pack(message, bytes);
    begin_detail(out, message->descriptor->name, bytes, len);
    buffer_append_string(out, ",\"debug\":");
    return json_print(message, &options, out, NULL) == 0 && buffer_append_byte(out, '}');
}

static bool append_xen_failure(const struct failure *f, struct buffer *out)
{
    Xenres__V1__XenFailure m;

    xenres__v1__xen_failure__init(&m);
    m.call = text_field(f->call);
    m.errno_name = text_field(error_errno_name(f->xen_errno));
    m.cause = text_field(or_usual(f->cause, error_text(f->code)));
    m.next_step = text_field(or_usual(f->next_step, usual_next_step(f->code)));
    return append_message(&m.base, out);
}

static bool append_retry_info(const struct failure *f, struct buffer *out)
{
    uint32_t after_ms = f->retry_after_ms > 0          ? f->retry_after_ms
                        : f->code == ERROR_UNAVAILABLE ? UNAVAILABLE_RETRY_MS
                                                       : 0;
    Google__Protobuf__Duration delay;
    Google__Rpc__RetryInfo m;

    if (after_ms == 0) {
        return true;
    }
    google__protobuf__duration__init(&delay);
    google__rpc__retry_info__init(&m);
    delay.seconds = after_ms / MS_PER_S;
    delay.nanos = (int32_t)(after_ms % MS_PER_S) * NS_PER_MS;
    m.retry_delay = &delay;
    return append_message(&m.base, out);
}

static bool append_bad_request(const struct failure *f, struct buffer *out)
{
    Google__Rpc__BadRequest__FieldViolation violation;
    Google__Rpc__BadRequest__FieldViolation *violations[] = { &violation };
    Google__Rpc__BadRequest m;

    if (f->field[0] == '\0') {
        return true;
    }
    google__rpc__bad_request__field_violation__init(&violation);
    google__rpc__bad_request__init(&m);
    violation.field = text_field(f->field);
    violation.description = text_field(f->message);
    m.n_field_violations = 1;
    m.field_violations = violations;
    return append_message(&m.base, out);
}

static bool append_details(const struct failure *f, const struct connect_details *details,
                           struct buffer *out)
{
    if (details == NULL) {
        return append_xen_failure(f, out) && append_retry_info(f, out) &&
               append_bad_request(f, out);
    }
    for (size_t i = 0; i < details->count; i++) {
        const struct connect_detail *d = &details->details[i];

        begin_detail(out, d->type, d->bytes, d->len_bytes);
        buffer_append_byte(out, '}');
    }
    return true;
}

bool connect_error(const struct failure *f, const struct connect_details *details,
                   struct buffer *out)
{
    const char *message = details != NULL && details->message != NULL
                              ? details->message
                              : or_usual(f->message, error_text(f->code));

    buffer_append_string(out, "{\"code\":\"");
    buffer_append_string(out, error_connect_code(f->code));
    buffer_append_string(out, "\",\"message\":");
    if (!scalar_print_string(out, message)) {
        return false;
    }
    buffer_append_string(out, ",\"details\":[");
    return append_details(f, details, out) && buffer_append_string(out, "]}") && !out->failed;
}

/* A name once, with all its values, where the first of them stands. */
static bool append_metadata(const struct metadata *m, struct buffer *out)
{
    bool first = true;

    buffer_append_string(out, "\"metadata\":{");
    for (size_t i = 0; i < m->count; i++) {
        bool stood = false;

        for (size_t k = 0; k < i; k++) {
            stood |= strcasecmp(m->names[k], m->names[i]) == 0;
        }
        if (stood) {
            continue;
        }
        buffer_printf(out, "%s\"%s\":[", first ? "" : ",", m->names[i]);
        first = false;
        for (size_t k = i; k < m->count; k++) {
            if (strcasecmp(m->names[k], m->names[i]) != 0) {
                continue;
            }
            if (k > i) {
                buffer_append_byte(out, ',');
            }
            if (!scalar_print_string(out, m->values[k])) {
                return false;
            }
        }
        buffer_append_byte(out, ']');
    }
    return buffer_append_byte(out, '}');
}

bool connect_end(const struct failure *f, const struct connect_details *details,
                 const struct metadata *trailers, struct buffer *out)
{
    buffer_append_byte(out, '{');
    if (f != NULL) {
        buffer_append_string(out, "\"error\":");
        if (!connect_error(f, details, out)) {
            return false;
        }
    }
    if (trailers->count > 0) {
        buffer_append_string(out, f != NULL ? "," : "");
        if (!append_metadata(trailers, out)) {
            return false;
        }
    }
    return buffer_append_byte(out, '}');
}
