/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/request.h"

#include "proto/wire/wire.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

enum { REQUEST_MAX_BYTES = 16384, MS_PER_S = 1000, NS_PER_MS = 1000000 };

static int pack(const ProtobufCMessage *message, struct buffer *out)
{
    uint8_t *bytes = buffer_extend(out, protobuf_c_message_get_packed_size(message));

    if (out->failed) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    if (bytes != NULL) {
        (void)protobuf_c_message_pack(message, bytes);
    }
    return 0;
}

/* protobuf-c's strings are not const; it only reads them. */
static char *text_of(const char *text)
{
    return text != NULL ? (char *)(uintptr_t)text : (char *)(uintptr_t) "";
}

int request_pack(const xenres_watch_query *query, struct buffer *out)
{
    Google__Protobuf__Duration period;
    Xenres__V1__WatchRequest request;

    google__protobuf__duration__init(&period);
    xenres__v1__watch_request__init(&request);
    request.domain = text_of(query->domain);
    request.incarnation = text_of(query->incarnation);
    request.type = (Xenres__V1__ResourceType)query->type;
    request.id = query->id;
    request.first_frame = query->first_frame;
    if (query->frame_count != XENRES_ALL) {
        request.frame_count_choice_case = XENRES__V1__WATCH_REQUEST__FRAME_COUNT_CHOICE_FRAME_COUNT;
        request.frame_count = query->frame_count;
    }
    if (query->period_ms != 0) {
        period.seconds = query->period_ms / MS_PER_S;
        period.nanos = (int32_t)(query->period_ms % MS_PER_S * NS_PER_MS);
        request.period = &period;
    }
    request.mode = (Xenres__V1__WatchMode)query->mode;
    request.decode = query->decode;
    request.cursor = text_of(query->cursor);
    return pack(&request.base, out);
}

int request_pack_domains(const char *cursor, struct buffer *out)
{
    Xenres__V1__WatchDomainsRequest request;

    xenres__v1__watch_domains_request__init(&request);
    request.cursor = text_of(cursor);
    return pack(&request.base, out);
}

static bool is_same(const Xenres__V1__WatchRequest *recorded, const xenres_watch_query *query)
{
    uint32_t frame_count = recorded->frame_count_choice_case ==
                                   XENRES__V1__WATCH_REQUEST__FRAME_COUNT_CHOICE_FRAME_COUNT
                               ? recorded->frame_count
                               : XENRES_ALL;

    return (uint32_t)recorded->type == query->type && recorded->id == query->id &&
           recorded->first_frame == query->first_frame && frame_count == query->frame_count &&
           recorded->decode == query->decode;
}

int request_check(const struct buffer *recorded, const xenres_watch_query *query, const char *path,
                  struct failure *f)
{
    static const struct wire_limits limits = {
        .len_max_bytes = REQUEST_MAX_BYTES,
        .elements_max = REQUEST_MAX_BYTES,
        .memory_max_bytes = 64 * REQUEST_MAX_BYTES,
    };
    ProtobufCMessage *message = NULL;

    if (recorded->len_bytes == 0) {
        return 0;
    }
    int result = wire_unpack(&xenres__v1__watch_request__descriptor, recorded->data,
                             recorded->len_bytes, &limits, &message, f);

    if (result == 0 && !is_same((const Xenres__V1__WatchRequest *)message, query)) {
        result =
            failure_set(f, ERROR_FAILED_PRECONDITION,
                        "%s was recorded with another resource, other frames, or --decode", path);
        result = failure_next(f, result, "go on as it was begun, or record to another file");
    }
    wire_free(message);
    return result;
}
