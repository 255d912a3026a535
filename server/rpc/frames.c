/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The raw frames:
 *      GET|HEAD /v1/domains/{domain}/resources/{type}/{id}/frames?first=N&count=M&incarnation=I
 * answers with the frames themselves, straight from the arena, and says in headers what they are
 * of.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/text.h"
#include "proto/frames.h"
#include "server/rpc/present.h"
#include "server/rpc/services.h"
#include "server/rpc/snapshot.h"

enum { SEGMENT_DOMAIN = 2, SEGMENT_TYPE = 4, SEGMENT_ID = 5 }; /* in the method's path */

static int bad_number(const char *what, const char *text, struct failure *f)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "%s is %s", what, text);

    failure_field(f, result, "%s", what);
    failure_call(f, result, "", EINVAL);
    failure_cause(f, result, "it has to be a decimal number of 0 to 4294967295");
    return failure_next(f, result, "write digits alone");
}

static int parse_number(const char *what, const char *text, uint32_t *out, struct failure *f)
{
    uint64_t number;

    if (!text_to_u64(text, UINT32_MAX, &number)) {
        return bad_number(what, text, f);
    }
    *out = (uint32_t)number;
    return 0;
}

/* A parameter that was misspelled and ignored would give other frames than were meant. */
static int check_parameters(const struct uri *uri, struct failure *f)
{
    static const char *const known[] = { FRAMES_QUERY_FIRST, FRAMES_QUERY_COUNT,
                                         FRAMES_QUERY_INCARNATION };

    for (size_t i = 0; i < uri->parameter_count; i++) {
        bool found = false;

        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
            found |= strcmp(uri->parameters[i].name, known[k]) == 0;
        }
        if (!found) {
            int result = failure_set(f, ERROR_INVALID_ARGUMENT, "there is no parameter %s",
                                     uri->parameters[i].name);

            failure_field(f, result, "%s", uri->parameters[i].name);
            return failure_next(f, result, "use first, count and incarnation");
        }
    }
    return 0;
}

static int parse(const struct uri *uri, struct snapshot_frames *out, struct failure *f)
{
    const char *first = uri_parameter(uri, FRAMES_QUERY_FIRST);
    const char *count = uri_parameter(uri, FRAMES_QUERY_COUNT);
    uint32_t frame_count = 0;
    int result = check_parameters(uri, f);

    out->type = resource_type_from_name(uri->segments[SEGMENT_TYPE]);
    out->has_count = count != NULL;
    if (result == 0 && out->type < 0) {
        result = snapshot_no_such_type(uri->segments[SEGMENT_TYPE], f);
    }
    if (result == 0) {
        result = parse_number("id", uri->segments[SEGMENT_ID], &out->id, f);
    }
    if (result == 0 && first != NULL) {
        result = parse_number(FRAMES_QUERY_FIRST, first, &out->first_frame, f);
    }
    if (result == 0 && count != NULL) {
        result = parse_number(FRAMES_QUERY_COUNT, count, &frame_count, f);
    }
    out->frame_count = frame_count;
    return result;
}

static int prepare(struct call *c, struct failure *f)
{
    struct snapshot_frames *frames = pool_alloc(&c->pool, sizeof(*frames));
    const char *incarnation = uri_parameter(c->uri, FRAMES_QUERY_INCARNATION);

    if (frames == NULL) {
        return call_no_memory(f);
    }
    c->state = frames;
    c->domain = c->uri->segments[SEGMENT_DOMAIN];
    c->incarnation = incarnation != NULL ? incarnation : "";
    int result = parse(c->uri, frames, f);

    return result == 0 ? snapshot_prepare(c, frames, f) : result;
}

static void ask(struct call *c, union message *m)
{
    snapshot_ask(c, c->state, m);
}

static void add(struct call *c, const char *name, const char *value)
{
    struct exchange_reply *reply = c->reply;

    if (value[0] == '\0' || reply->header_count == EXCHANGE_HEADERS_MAX) {
        return; /* an empty value is a header left out */
    }
    reply->headers[reply->header_count++] = (struct exchange_header){ name, value };
}

static void add_number(struct call *c, const char *name, uint64_t value)
{
    add(c, name, pool_number(&c->pool, value));
}

/* The name in ASCII, escaped. Spaces at its ends too: they are no part of a header's value. */
static const char *header_name(struct call *c, const char *name)
{
    static const char space[] = "\\x20";
    size_t room = TEXT_ESCAPED_MAX * strlen(name) + 1;
    char *escaped = pool_alloc(&c->pool, room);

    if (escaped == NULL) {
        return "";
    }
    text_escape(escaped, room, name, TEXT_ASCII);
    size_t len = strlen(escaped);
    bool first = len > 0 && escaped[0] == ' ';
    bool last = len > 1 && escaped[len - 1] == ' ';

    if (!first && !last) {
        return escaped;
    }
    return pool_printf(&c->pool, "%s%.*s%s", first ? space : "", (int)(len - first - last),
                       escaped + first, last ? space : "");
}

static void add_wall_time(struct call *c, uint64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / CLOCK_NS_PER_S);
    struct tm utc;
    char text[32];

    if (gmtime_r(&seconds, &utc) != NULL &&
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc) > 0) {
        add(c, FRAMES_HEADER_WALL_TIME,
            pool_printf(&c->pool, "%s.%09uZ", text, (unsigned)(wall_ns % CLOCK_NS_PER_S)));
    }
}

static void add_identity(struct call *c)
{
    const struct domain_identity *d = &c->identity;
    char incarnation[HEX128_TEXT_BYTES];

    text_from_hex(d->incarnation, sizeof(d->incarnation), incarnation);
    add_number(c, FRAMES_HEADER_DOMID, d->domid);
    add(c, FRAMES_HEADER_UUID, present_uuid(&c->pool, d->uuid));
    add(c, FRAMES_HEADER_NAME, header_name(c, d->name));
    add(c, FRAMES_HEADER_INCARNATION, pool_string(&c->pool, incarnation));
}

static void add_observation(struct call *c, const struct snapshot_frames *frames,
                            const struct message_observation *o)
{
    add(c, FRAMES_HEADER_TYPE, resource_type_name((uint32_t)frames->type));
    add_number(c, FRAMES_HEADER_ID, frames->id);
    add_number(c, FRAMES_HEADER_FIRST, o->first_frame);
    add_number(c, FRAMES_HEADER_COUNT, o->frame_count);
    add_number(c, FRAMES_HEADER_IN_USE, o->frames_in_use);
    add_number(c, FRAMES_HEADER_MAX, o->frames_max);
    add_number(c, FRAMES_HEADER_GRANT_VERSION, o->grant_version);
    add_number(c, FRAMES_HEADER_MONOTONIC, o->monotonic_ns);
    add_wall_time(c, o->wall_ns);
    add_number(c, FRAMES_HEADER_DURATION, o->copy_duration_ns);
    add(c, FRAMES_HEADER_CONSISTENCY, present_consistency_name(o->consistency));
}

/* RFC 9110, section 13.1.2: `*`, or a list of tags, compared weakly. What is malformed matches no
 * more: the answer is then the frames, which is never wrong. */
static bool is_match(const char *header, const char *etag)
{
    size_t etag_len = strlen(etag);

    if (header == NULL) {
        return false;
    }
    const char *at = header + strspn(header, " \t");

    if (at[0] == '*') {
        return at[1 + strspn(at + 1, " \t")] == '\0';
    }
    for (;;) {
        at += strspn(at, " \t,");
        at += strncmp(at, "W/", 2) == 0 ? 2 : 0;
        if (at[0] != '"') {
            return false;
        }
        size_t len = 2 + strcspn(at + 1, "\"");

        if (at[len - 1] != '"') {
            return false;
        }
        if (len == etag_len && memcmp(at, etag, len) == 0) {
            return true;
        }
        at += len;
    }
}

static int respond(struct call *c, struct failure *f)
{
    const struct message_snapshot_answer *a = &c->answer->snapshot_answer;
    struct exchange_reply *reply = c->reply;
    char tag[CONTENT_TAG_BYTES];

    (void)f;
    present_content_tag(&a->observation, tag);
    const char *etag = pool_printf(&c->pool, "\"%s\"", tag);

    add_identity(c);
    add_observation(c, c->state, &a->observation);
    add(c, "ETag", etag);
    add(c, "Cache-Control", "private, no-cache");
    if (is_match(c->head->header(c->head->arg, "If-None-Match", NULL), etag)) {
        reply->status = 304; /* whose length is that of the 200 (RFC 9110, 8.6); no body is sent */
    } else {
        reply->status = 200;
        add(c, "Content-Type", FRAMES_CONTENT_TYPE);
    }
    reply->body = mapper_slot_bytes(c->slot, &reply->body_len_bytes);
    return 0;
}

const struct handler frames_handler = { .prepare = prepare, .ask = ask, .respond = respond };
