/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/present.h"

#include <string.h>

#include "common/clock.h"
#include "common/text.h"

char *present_text(struct pool *p, const char *text)
{
    size_t room = TEXT_ESCAPED_MAX * strlen(text) + 1;
    char *escaped = pool_alloc(p, room);

    return escaped != NULL ? text_escape(escaped, room, text, TEXT_UTF8) : pool_string(p, "");
}

char *present_uuid(struct pool *p, const uint8_t uuid[UUID_BYTES])
{
    char text[UUID_TEXT_BYTES];

    text_from_uuid(uuid, text);
    return pool_string(p, text);
}

Xenres__V1__DomainIdentity *present_identity(struct pool *p, const struct domain_identity *d)
{
    Xenres__V1__DomainIdentity *m =
        PRESENT_NEW(p, Xenres__V1__DomainIdentity, xenres__v1__domain_identity);
    char incarnation[HEX128_TEXT_BYTES];

    if (m == NULL) {
        return NULL;
    }
    text_from_hex(d->incarnation, sizeof(d->incarnation), incarnation);
    m->domid = d->domid;
    m->uuid = present_uuid(p, d->uuid);
    m->name = present_text(p, d->name);
    m->incarnation = pool_string(p, incarnation);
    return m;
}

Google__Protobuf__Timestamp *present_time(struct pool *p, uint64_t wall_ns)
{
    Google__Protobuf__Timestamp *m =
        PRESENT_NEW(p, Google__Protobuf__Timestamp, google__protobuf__timestamp);

    if (m != NULL) {
        m->seconds = (int64_t)(wall_ns / CLOCK_NS_PER_S);
        m->nanos = (int32_t)(wall_ns % CLOCK_NS_PER_S);
    }
    return m;
}

static const struct {
    uint32_t consistency;
    Xenres__V1__Consistency presented;
    const char *name;
} consistencies[] = {
    { SNAPSHOT_ALIGNED_8_BYTES, XENRES__V1__CONSISTENCY__CONSISTENCY_ALIGNED_8_BYTES,
      "aligned_8_bytes" },
    { SNAPSHOT_SEQUENCE_LOCKED, XENRES__V1__CONSISTENCY__CONSISTENCY_SEQUENCE_LOCKED,
      "sequence_locked" },
};

static Xenres__V1__Consistency present_consistency(uint32_t consistency)
{
    for (size_t i = 0; i < sizeof(consistencies) / sizeof(consistencies[0]); i++) {
        if (consistencies[i].consistency == consistency) {
            return consistencies[i].presented;
        }
    }
    return XENRES__V1__CONSISTENCY__CONSISTENCY_UNSPECIFIED;
}

const char *present_consistency_name(uint32_t consistency)
{
    for (size_t i = 0; i < sizeof(consistencies) / sizeof(consistencies[0]); i++) {
        if (consistencies[i].consistency == consistency) {
            return consistencies[i].name;
        }
    }
    return "unspecified";
}

void present_content_tag(const struct message_observation *o, char out[CONTENT_TAG_BYTES])
{
    text_from_hex(o->digest, sizeof(o->digest), out);
}

Xenres__V1__Observation *present_observation(struct pool *p, const struct message_observation *o)
{
    Xenres__V1__Observation *m = PRESENT_NEW(p, Xenres__V1__Observation, xenres__v1__observation);
    char tag[CONTENT_TAG_BYTES];

    if (m == NULL) {
        return NULL;
    }
    present_content_tag(o, tag);
    m->wall_time = present_time(p, o->wall_ns);
    m->monotonic_ns = o->monotonic_ns;
    m->copy_duration_ns = o->copy_duration_ns;
    m->first_frame = o->first_frame;
    m->frame_count = o->frame_count;
    m->frame_bytes = MESSAGE_FRAME_BYTES;
    m->frames_in_use = o->frames_in_use;
    m->frames_max = o->frames_max;
    m->grant_version = o->grant_version;
    m->consistency = present_consistency(o->consistency);
    m->content_tag = pool_string(p, tag);
    return m;
}

Xenres__V1__XenFailure *present_failure(struct pool *p, const struct failure *f)
{
    Xenres__V1__XenFailure *m = PRESENT_NEW(p, Xenres__V1__XenFailure, xenres__v1__xen_failure);

    if (m != NULL) {
        m->call = pool_string(p, f->call);
        m->errno_name = pool_string(p, error_errno_name(f->xen_errno));
        m->cause = pool_string(p, f->cause[0] != '\0' ? f->cause : error_text(f->code));
        m->next_step = pool_string(p, f->next_step);
    }
    return m;
}

static const struct {
    uint32_t type;
    Xenres__V1__ResourceType presented;
} resource_types[] = {
    { RESOURCE_IOREQ_SERVER, XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_IOREQ_SERVER },
    { RESOURCE_GRANT_TABLE, XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE },
    { RESOURCE_VMTRACE_BUF, XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_VMTRACE_BUF },
    { RESOURCE_VCPU_STATS, XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_VCPU_STATS },
};
_Static_assert(sizeof(resource_types) / sizeof(resource_types[0]) == RESOURCE_TYPE_COUNT, "all");

Xenres__V1__ResourceType present_resource_type(uint32_t type)
{
    for (size_t i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        if (resource_types[i].type == type) {
            return resource_types[i].presented;
        }
    }
    return XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_UNSPECIFIED;
}

int present_to_resource_type(Xenres__V1__ResourceType type)
{
    for (size_t i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        if (resource_types[i].presented == type) {
            return (int)resource_types[i].type;
        }
    }
    return -1;
}
