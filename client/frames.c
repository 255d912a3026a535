/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The raw frames endpoint: what proto/frames.h says, from the client's side. Nothing is delivered
 * before the head of the answer was found to be about what was asked for. */
#include "proto/frames.h"

#include <string.h>
#include <strings.h>

#include "client/head.h"
#include "client/refusal.h"
#include "client/reply.h"
#include "client/resource.h"
#include "client/retry.h"
#include "client/sink.h"
#include "client/timestamp.h"
#include "client/transport.h"
#include "common/text.h"

enum {
    TARGET_MAX = 4096,
    TAG_MAX = 128,
    FRAME_BYTES_MAX = 1 << 20, /* no machine has larger frames */
};

struct reading {
    xenres *handle;
    xenres_reply *reply;
    const xenres_frames_query *query;
    struct sink *sink;
    xenres_frames *frames;
};

/* --- the request --- */

/* RFC 3986's unreserved characters pass; a '/' in a domain's name must not become a path. */
static void append_encoded(struct buffer *out, const char *text)
{
    static const char unreserved[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

    for (; *text != '\0'; text++) {
        if (strchr(unreserved, *text) != NULL) {
            buffer_append_byte(out, (uint8_t)*text);
        } else {
            buffer_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
}

static const char *make_target(struct buffer *out, const xenres_frames_query *query)
{
    buffer_append_string(out, FRAMES_PATH_PREFIX);
    append_encoded(out, query->domain);
    buffer_printf(out, "/resources/%s/%u/frames?" FRAMES_QUERY_FIRST "=%u",
                  xenres_resource_type_name(query->type), query->id, query->first_frame);
    if (query->frame_count != XENRES_ALL) {
        buffer_printf(out, "&" FRAMES_QUERY_COUNT "=%u", query->frame_count);
    }
    if (query->incarnation != NULL && query->incarnation[0] != '\0') {
        buffer_printf(out, "&" FRAMES_QUERY_INCARNATION "=%s", query->incarnation);
    }
    return buffer_string(out);
}

/* A tag goes into a header: nothing that would end it or its quotes. */
static bool is_tag(const char *tag)
{
    size_t len = strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789-_.+/=");

    return len > 0 && len <= TAG_MAX && tag[len] == '\0';
}

/* --- the head of the answer --- */

static int bad_head(const char *name, struct fault *fault)
{
    int result =
        failure_set(&fault->failure, ERROR_INTERNAL, "the answer has no proper %s header", name);

    return failure_next(&fault->failure, result,
                        "check that the address is xenresd's own; report it");
}

static int number_header(const struct reading *r, const char *name, uint64_t max, uint64_t *out,
                         struct fault *fault)
{
    const char *text = transport_header(r->handle, name);

    if (text == NULL && strcmp(name, FRAMES_HEADER_FRAME_BYTES) == 0) {
        *out = FRAMES_FRAME_BYTES;
        return 0;
    }

    return text != NULL && text_to_u64(text, max, out) ? 0 : bad_head(name, fault);
}

/* Strings of the view, copied: libcurl keeps headers only until the next request. */
static int string_header(const struct reading *r, const char *name, const char **out,
                         struct fault *fault)
{
    const char *text = transport_header(r->handle, name);

    if (text == NULL && *out != NULL) {
        return 0; /* may be left out: the view has its default */
    }
    if (text == NULL || !text_is_utf8(text, strlen(text))) {
        return bad_head(name, fault);
    }
    size_t len = strlen(text);
    char *copy = reply_array(r->reply, len + 1, 1, fault);

    if (copy == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    memcpy(copy, text, len);
    *out = copy;
    return 0;
}

static int read_numbers(const struct reading *r, struct fault *fault)
{
    xenres_observation *o = &r->frames->observation;
    const struct {
        const char *name;
        uint32_t *out;
    } numbers[] = {
        { FRAMES_HEADER_DOMID, &r->frames->domain.domid },
        { FRAMES_HEADER_ID, &r->frames->id },
        { FRAMES_HEADER_FIRST, &o->first_frame },
        { FRAMES_HEADER_COUNT, &o->frame_count },
        { FRAMES_HEADER_FRAME_BYTES, &o->frame_bytes },
        { FRAMES_HEADER_IN_USE, &o->frames_in_use },
        { FRAMES_HEADER_MAX, &o->frames_max },
        { FRAMES_HEADER_GRANT_VERSION, &o->grant_version },
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint64_t value;
        int result = number_header(r, numbers[i].name, UINT32_MAX, &value, fault);

        if (result != 0) {
            return result;
        }
        *numbers[i].out = (uint32_t)value;
    }
    int result = number_header(r, FRAMES_HEADER_MONOTONIC, UINT64_MAX, &o->monotonic_ns, fault);

    return result != 0
               ? result
               : number_header(r, FRAMES_HEADER_DURATION, UINT64_MAX, &o->copy_duration_ns, fault);
}

/* A word that is not known is a promise that is not known: none. */
static uint32_t consistency_of(const char *name)
{
    if (strcmp(name, "aligned_8_bytes") == 0) {
        return XENRES_CONSISTENCY_ALIGNED_8_BYTES;
    }
    return strcmp(name, "sequence_locked") == 0 ? XENRES_CONSISTENCY_SEQUENCE_LOCKED : 0;
}

static int read_strings(const struct reading *r, struct fault *fault)
{
    xenres_frames *f = r->frames;
    const char *type = NULL, *consistency = "", *time = NULL, *tag = NULL;
    const struct {
        const char *name;
        const char **out;
    } strings[] = {
        { FRAMES_HEADER_UUID, &f->domain.uuid },
        { FRAMES_HEADER_NAME, &f->domain.name },
        { FRAMES_HEADER_INCARNATION, &f->domain.incarnation },
        { FRAMES_HEADER_TYPE, &type },
        { FRAMES_HEADER_CONSISTENCY, &consistency },
        { FRAMES_HEADER_WALL_TIME, &time },
        { "ETag", &tag },
    };

    f->domain.name = "";
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        int result = string_header(r, strings[i].name, strings[i].out, fault);

        if (result != 0) {
            return result;
        }
    }
    f->observation.consistency = consistency_of(consistency);
    if (!timestamp_parse(time, &f->observation.wall_seconds, &f->observation.wall_nanoseconds)) {
        return bad_head(FRAMES_HEADER_WALL_TIME, fault);
    }
    size_t len = strlen(tag);

    if (len < 3 || tag[0] != '"' || tag[len - 1] != '"') {
        return bad_head("ETag", fault);
    }
    char *bare = reply_array(r->reply, len, 1, fault);

    if (bare == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    memcpy(bare, tag + 1, len - 2);
    f->observation.content_tag = bare;
    f->type = xenres_resource_type_from_name(type);
    return is_tag(bare) ? 0 : bad_head("ETag", fault);
}

static int read_head(const struct reading *r, struct fault *fault)
{
    const xenres_observation *o = &r->frames->observation;
    int result = read_numbers(r, fault);

    if (result == 0) {
        result = read_strings(r, fault);
    }
    if (result == 0) {
        result =
            resource_match(r->query, &r->frames->domain, r->frames->type, r->frames->id, o, fault);
    }
    if (result == 0 &&
        (o->frame_count == 0 || o->frame_bytes == 0 || o->frame_bytes > FRAME_BYTES_MAX)) {
        result = bad_head(FRAMES_HEADER_COUNT, fault);
    }
    return result;
}

/* --- the bytes --- */

static int take_head(void *arg, struct fault *fault)
{
    struct reading *r = arg;
    const char *type = transport_header(r->handle, "Content-Type");
    const char *encoding = transport_header(r->handle, "Content-Encoding");
    uint64_t len_bytes;

    if (!head_is_type(type, FRAMES_CONTENT_TYPE) ||
        (encoding != NULL && strcasecmp(encoding, "identity") != 0)) {
        return bad_head("Content-Type", fault);
    }
    int result = read_head(r, fault);

    if (result == 0) {
        result = number_header(r, "Content-Length", INT64_MAX, &len_bytes, fault);
    }
    if (result != 0) {
        return result;
    }
    r->frames->len_bytes =
        (uint64_t)r->frames->observation.frame_count * r->frames->observation.frame_bytes;
    if (len_bytes != r->frames->len_bytes) {
        return bad_head("Content-Length", fault);
    }
    return sink_begin(r->sink, r->frames, fault);
}

static int take_data(void *arg, const void *bytes, size_t len_bytes, struct fault *fault)
{
    const struct reading *r = arg;

    return sink_deliver(r->sink, bytes, len_bytes, fault);
}

static int not_modified(struct reading *r, struct fault *fault)
{
    int result = read_head(r, fault);

    if (result == 0 && (r->query->if_not_tag == NULL ||
                        strcmp(r->query->if_not_tag, r->frames->observation.content_tag) != 0)) {
        result = failure_set(&fault->failure, ERROR_INTERNAL,
                             "answered \"not modified\" of a content that was not asked about");
    }
    r->frames->not_modified = true;
    return result == 0 ? sink_begin(r->sink, r->frames, fault) : result;
}

static int try_once(struct reading *r, uint32_t timeout_ms, struct fault *fault)
{
    BUFFER_AUTO(target, TARGET_MAX);
    BUFFER_AUTO(condition, TAG_MAX + 32);
    BUFFER_AUTO(refusal, TRANSPORT_REFUSAL_MAX_BYTES);
    int status = 0;

    if (r->query->if_not_tag != NULL) {
        buffer_printf(&condition, "If-None-Match: \"%s\"", r->query->if_not_tag);
    }
    const struct transport_request request = {
        .target = make_target(&target, r->query),
        .headers = { r->query->if_not_tag != NULL ? buffer_string(&condition) : NULL },
        .timeout_ms = timeout_ms,
        .stall_ms = r->handle->timeout_ms,
        .on_head = take_head,
        .on_data = take_data,
        .arg = r,
    };
    if (request.target == NULL || condition.failed) {
        return failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "the request is too long");
    }
    int result = transport_perform(r->handle, &request, &status, &refusal, fault);

    if (result == 0 && status == 304) {
        return not_modified(r, fault);
    }
    if (result == 0 && status != 200) {
        return refusal_read(r->handle, status, refusal.data, refusal.len_bytes, fault);
    }
    if (result == 0 && r->sink->done_bytes != r->frames->len_bytes) {
        result = failure_set(&fault->failure, ERROR_UNAVAILABLE,
                             "the connection to %s ended within the frames", r->handle->server);
    }
    return result;
}

/* What the caller has not been told of may be asked for again. */
static int perform(struct reading *r, struct fault *fault)
{
    struct retry retry = retry_begin(true, r->handle->transfer_timeout_ms);
    int result;

    do {
        *r->frames = (xenres_frames){ 0 };
        result = try_once(r, retry_next_ms(&retry), fault);
        retry.is_allowed = !r->sink->has_begun;
    } while (result != 0 && retry_wait(&retry, r->handle, &result, fault));
    fault->tries = retry.tries;
    return result;
}

static int read_frames(xenres *handle, const xenres_frames_query *given_query,
                       const xenres_frames_sink *given_sink, xenres_reply **reply,
                       const xenres_frames **frames, struct fault *fault)
{
    xenres_frames_query query;
    struct sink sink;
    REPLY_AUTO fresh = NULL;
    int result = resource_take_query(given_query, &query, fault);

    if (result == 0) {
        result = sink_take(&sink, handle, given_sink, fault);
    }
    if (result == 0 && query.if_not_tag != NULL && !is_tag(query.if_not_tag)) {
        result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                             "if_not_tag is none of a gateway's tags");
        failure_next(&fault->failure, result, "copy it from an observation's content_tag");
    }
    if (result != 0) {
        return result;
    }
    fresh = reply_new(0, fault);
    xenres_frames *view = fresh != NULL ? reply_array(fresh, 1, sizeof(*view), fault) : NULL;

    if (view == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    struct reading r = {
        .handle = handle,
        .reply = fresh,
        .query = &query,
        .sink = &sink,
        .frames = view,
    };

    result = perform(&r, fault);
    if (result == 0) {
        *frames = view;
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_read_frames(xenres *handle, const xenres_frames_query *query,
                       const xenres_frames_sink *sink, xenres_reply **reply,
                       const xenres_frames **frames, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = read_frames(handle, query, sink, reply, frames, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}
