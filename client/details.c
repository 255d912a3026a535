/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/details.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "common/base64.h"
#include "google/rpc/error_details.pb-c.h"
#include "proto/wire/wire.h"
#include "xenres/v1/failure.pb-c.h"

static void take_xen_failure(const ProtobufCMessage *message, struct fault *fault)
{
    const Xenres__V1__XenFailure *detail = (const Xenres__V1__XenFailure *)message;
    struct failure *f = &fault->failure;
    int result = -f->code;

    failure_call(f, result, detail->call, 0);
    failure_cause(f, result, "%s", detail->cause);
    failure_next(f, result, "%s", detail->next_step);
    /* The name of an errno, and nothing else: the caller may show it as it is. */
    size_t name_len = strspn(detail->errno_name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_?");

    if (detail->errno_name[name_len] == '\0') {
        (void)snprintf(fault->errno_name, sizeof(fault->errno_name), "%s", detail->errno_name);
    }
}

/* Rounded up: "at least so long". */
static void take_retry_info(const ProtobufCMessage *message, struct fault *fault)
{
    const Google__Protobuf__Duration *delay =
        ((const Google__Rpc__RetryInfo *)message)->retry_delay;

    if (delay == NULL || delay->seconds < 0 || delay->nanos < 0 || delay->nanos > 999999999) {
        return;
    }
    uint64_t ms = ((uint64_t)delay->nanos + 999999) / 1000000;

    ms += delay->seconds <= UINT32_MAX / 1000 ? (uint64_t)delay->seconds * 1000 : UINT32_MAX;
    fault->failure.retry_after_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static void take_bad_request(const ProtobufCMessage *message, struct fault *fault)
{
    const Google__Rpc__BadRequest *detail = (const Google__Rpc__BadRequest *)message;
    struct failure *f = &fault->failure;

    if (detail->n_field_violations > 0) {
        failure_field(f, -f->code, "%s", detail->field_violations[0]->field);
    }
}

static const struct {
    const ProtobufCMessageDescriptor *type;
    void (*take)(const ProtobufCMessage *message, struct fault *fault);
} known[] = {
    { &xenres__v1__xen_failure__descriptor, take_xen_failure },
    { &google__rpc__retry_info__descriptor, take_retry_info },
    { &google__rpc__bad_request__descriptor, take_bad_request },
};

static void understand(const char *type, const struct buffer *bytes, struct fault *fault)
{
    static const struct wire_limits limits = {
        .len_max_bytes = DETAIL_MAX_BYTES,
        .elements_max = 1024,
        .memory_max_bytes = 8 * (size_t)DETAIL_MAX_BYTES,
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        ProtobufCMessage *message = NULL;

        if (strcmp(type, known[i].type->name) == 0 &&
            wire_unpack(known[i].type, bytes->data, bytes->len_bytes, &limits, &message, NULL) ==
                0) {
            known[i].take(message, fault);
            wire_free(message);
        }
    }
}

static void keep(struct details *d, const char *type, const struct buffer *bytes)
{
    size_t name_bytes = strlen(type) + 1;
    char *block = malloc(name_bytes + bytes->len_bytes);

    if (block == NULL) {
        return;
    }
    memcpy(block, type, name_bytes);
    if (bytes->len_bytes > 0) {
        memcpy(block + name_bytes, bytes->data, bytes->len_bytes);
    }
    d->items[d->count++] = (xenres_detail){ .type_name = block,
                                            .bytes = block + name_bytes,
                                            .len_bytes = bytes->len_bytes };
}

/* A full name of protobuf's, which may be shown and compared as it is. */
static bool is_type_name(const char *type)
{
    size_t len = strspn(type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._");

    return len > 0 && len <= DETAIL_TYPE_MAX_BYTES && type[len] == '\0';
}

void details_read(struct details *d, const json_t *array, struct fault *fault)
{
    size_t count = json_array_size(array); /* 0 for what is no array */

    for (size_t i = 0; i < count && i < DETAILS_MAX; i++) {
        const json_t *detail = json_array_get(array, i);
        const char *type = json_string_value(json_object_get(detail, "type"));
        const json_t *value = json_object_get(detail, "value");
        BUFFER_AUTO(bytes, DETAIL_MAX_BYTES);

        if (type == NULL || !is_type_name(type) || !json_is_string(value) ||
            !base64_decode(&bytes, json_string_value(value), json_string_length(value))) {
            continue;
        }
        understand(type, &bytes, fault);
        if (d != NULL && d->count < DETAILS_MAX) {
            keep(d, type, &bytes);
        }
    }
}

void details_clear(struct details *d)
{
    for (size_t i = 0; i < d->count; i++) {
        free((char *)(uintptr_t)d->items[i].type_name);
    }
    d->count = 0;
}

size_t xenres_error_details(const xenres *handle, const xenres_detail **details)
{
    *details = handle->details.items;
    return handle->details.count;
}
