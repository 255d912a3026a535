/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Sizes and checks of every message, as one table: a row per type, with the exact size and the
 * function that looks at the fields behind the head.
 */
#include "common/message.h"

#include <string.h>

#include "common/message_tags.h"
#include "common/message_trace.h"

/* No holes: padding would carry the sender's stack to the other side, and comparing would fail. */
_Static_assert(sizeof(struct message_head) == 24, "head");
_Static_assert(sizeof(struct domain_identity) ==
                   40 + MESSAGE_NAME_BYTES + MESSAGE_TAGS_MAX * MESSAGE_TAG_BYTES,
               "identity");
_Static_assert(sizeof(struct failure) ==
                   12 + FAILURE_CALL_MAX + 3 * FAILURE_TEXT_MAX + FAILURE_FIELD_MAX,
               "failure");
_Static_assert(sizeof(struct message_hello) == 24 + MESSAGE_VERSION_BYTES, "hello");
_Static_assert(sizeof(struct message_hello_answer) == 24 + MESSAGE_VERSION_BYTES + 80, "hello");
_Static_assert(sizeof(struct message_check_row) == 40 + FAILURE_TEXT_MAX, "check row");
_Static_assert(sizeof(struct message_host_answer) ==
                   24 + 16 + 16 + 40 + MESSAGE_VERSION_BYTES + MESSAGE_ABIS_BYTES + 48 +
                       MESSAGE_CHECKS_MAX * sizeof(struct message_check_row),
               "host");
_Static_assert(sizeof(struct message_domains) == 32, "domains");
_Static_assert(sizeof(struct message_domain) == sizeof(struct domain_identity) + 32, "domain");
_Static_assert(sizeof(struct message_domains_answer) ==
                   40 + MESSAGE_DOMAINS_MAX * sizeof(struct message_domain),
               "domains");
_Static_assert(sizeof(struct message_event_domains) == 32, "event");
_Static_assert(sizeof(struct message_describe) == 24 + sizeof(struct domain_identity), "describe");
_Static_assert(sizeof(struct message_resource) == 32 + sizeof(struct failure), "resource");
_Static_assert(sizeof(struct message_describe_answer) ==
                   32 + MESSAGE_RESOURCES_MAX * sizeof(struct message_resource),
               "describe");
_Static_assert(sizeof(struct message_snapshot) == 56 + sizeof(struct domain_identity), "snapshot");
_Static_assert(sizeof(struct message_slot) == 24, "slot");
_Static_assert(sizeof(struct message_observation) == 64, "observation");
_Static_assert(sizeof(struct message_snapshot_answer) == 24 + 24 + 64 + 16, "snapshot");
_Static_assert(sizeof(struct message_vcpu_stats) == 32 + sizeof(struct domain_identity), "stats");
_Static_assert(sizeof(struct message_vcpu) == 16, "vcpu");
_Static_assert(sizeof(struct message_vcpu_stats_answer) == 24 + 24 + 64 + 8, "stats");
_Static_assert(sizeof(struct message_release) == 32 + 8 * MESSAGE_RELEASES_MAX, "release");
_Static_assert(sizeof(struct message_counters_answer) ==
                   24 + 8 * 8 + 6 * 4 + 8 * 8 + 5 * 8 + 2 * 4 + 8,
               "counters");
_Static_assert(sizeof(struct message_watch) == 80 + sizeof(struct domain_identity), "watch");
_Static_assert(sizeof(struct message_watch_answer) == 24 + 16 + 24, "watch");
_Static_assert(sizeof(struct message_unwatch) == 24 + 24, "unwatch");
_Static_assert(sizeof(struct message_image) == 24 + 32, "image");
_Static_assert(sizeof(struct message_image_answer) == 24 + 24 + 64 + 5 * 8 + 4 * 4, "image");
_Static_assert(sizeof(struct message_failed) == 24 + sizeof(struct failure), "failed");
/* xenresd and its mapper are built for one machine, and memory is the wire. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little endian");

static const char *const type_names[RESOURCE_TYPE_COUNT] = {
    [RESOURCE_IOREQ_SERVER] = "ioreq_server",
    [RESOURCE_GRANT_TABLE] = "grant_table",
    [RESOURCE_VMTRACE_BUF] = "vmtrace_buf",
    [RESOURCE_VCPU_STATS] = "vcpu_stats",
};

const char *resource_type_name(uint32_t type)
{
    return type < RESOURCE_TYPE_COUNT ? type_names[type] : NULL;
}

int resource_type_from_name(const char *name)
{
    for (int type = 0; type < RESOURCE_TYPE_COUNT; type++) {
        if (strcmp(type_names[type], name) == 0) {
            return type;
        }
    }
    return -1;
}

/* A field that is not as it has to be: its name. NULL: all are. */
typedef const char *check_function(const union message *m);

static bool is_ended(const char *text, size_t size_bytes)
{
    return memchr(text, 0, size_bytes) != NULL;
}

#define IS_ENDED(array) is_ended((array), sizeof(array))

static bool is_between(uint32_t value, uint32_t least, uint32_t most)
{
    return value >= least && value <= most;
}

const char *domain_identity_wrong(const struct domain_identity *d)
{
    if (d->reserved != 0) {
        return "domain.reserved";
    }
    if (!IS_ENDED(d->name)) {
        return "domain.name";
    }
    if (d->name_cut > 1 || (d->name_cut == 1 && d->name[0] != '\0')) {
        return "domain.name_cut";
    }
    if (d->tags_unknown > 1 || (d->tags_unknown == 1 && d->tags[0][0] != '\0')) {
        return "domain.tags_unknown";
    }
    return domain_tags_are_right(d) ? NULL : "domain.tags";
}

const char *failure_wrong(const struct failure *f)
{
    if (!IS_ENDED(f->call) || !IS_ENDED(f->message) || !IS_ENDED(f->cause) ||
        !IS_ENDED(f->next_step) || !IS_ENDED(f->field)) {
        return "failure: a text";
    }
    return NULL;
}

/* `used_bytes`: what the answer says that is in the slot. A reader that believed a larger figure
 * would serve what belongs to the next slot, and maybe to another domain. */
static const char *check_slot(const struct message_slot *s, uint64_t used_bytes)
{
    if (s->offset_bytes % MESSAGE_FRAME_BYTES != 0) {
        return "slot.offset_bytes";
    }
    if (s->len_bytes > UINT64_MAX - s->offset_bytes || s->len_bytes < used_bytes) {
        return "slot.len_bytes";
    }
    return NULL;
}

static const char *check_hello(const union message *m)
{
    return IS_ENDED(m->hello.version) ? NULL : "version";
}

static const char *check_hello_answer(const union message *m)
{
    const struct message_hello_answer *a = &m->hello_answer;

    if (!IS_ENDED(a->version)) {
        return "version";
    }
    if (!IS_ENDED(a->backend)) {
        return "backend";
    }
    if (a->slot_max_bytes > a->arena_bytes) {
        return "slot_max_bytes";
    }
    return NULL;
}

static const char *check_plain(const union message *m)
{
    (void)m;
    return NULL;
}

static const char *check_host_answer(const union message *m)
{
    const struct message_host_answer *a = &m->host_answer;

    if (!IS_ENDED(a->uuid_source) || !IS_ENDED(a->boot_id) || !IS_ENDED(a->xen_version) ||
        !IS_ENDED(a->guest_abis)) {
        return "a text";
    }
    if (a->reserved != 0) {
        return "reserved";
    }
    if (a->check_count > MESSAGE_CHECKS_MAX) {
        return "check_count";
    }
    for (uint32_t i = 0; i < a->check_count; i++) {
        const struct message_check_row *row = &a->checks[i];

        if (row->ok > 1 || row->reserved != 0 || !IS_ENDED(row->name) || !IS_ENDED(row->detail)) {
            return "checks";
        }
    }
    return NULL;
}

static const char *check_domains(const union message *m)
{
    return m->domains.reserved == 0 ? NULL : "reserved";
}

static const char *check_domain(const struct message_domain *d)
{
    if (!is_between(d->type, DOMAIN_PV, DOMAIN_PVH)) {
        return "domains.type";
    }
    if (!is_between(d->state, DOMAIN_RUNNING, DOMAIN_DYING)) {
        return "domains.state";
    }
    return domain_identity_wrong(&d->identity);
}

static const char *check_domains_answer(const union message *m)
{
    const struct message_domains_answer *a = &m->domains_answer;

    if (a->domain_count > MESSAGE_DOMAINS_MAX) {
        return "domain_count";
    }
    /* "More" behind an empty page has no domid to go on from: the asker would never end. */
    if (a->more > 1 || (a->more == 1 && a->domain_count == 0)) {
        return "more";
    }
    for (uint32_t i = 0; i < a->domain_count; i++) {
        const char *wrong = check_domain(&a->domains[i]);

        if (wrong != NULL) {
            return wrong;
        }
        if (i > 0 && a->domains[i].identity.domid <= a->domains[i - 1].identity.domid) {
            return "domains: the order";
        }
    }
    return NULL;
}

static const char *check_describe(const union message *m)
{
    return domain_identity_wrong(&m->describe.domain);
}

static const char *check_resource(const struct message_resource *r)
{
    if (r->type >= RESOURCE_TYPE_COUNT) {
        return "resources.type";
    }
    if (!is_between(r->availability, RESOURCE_AVAILABLE, RESOURCE_ON_REQUEST)) {
        return "resources.availability";
    }
    if (r->id_count == 0 || r->id_count - 1 > UINT32_MAX - r->first_id) {
        return "resources.id_count";
    }
    if (r->grant_version > 2) {
        return "resources.grant_version";
    }
    return r->reserved == 0 ? failure_wrong(&r->failure) : "resources.reserved";
}

static const char *check_describe_answer(const union message *m)
{
    const struct message_describe_answer *a = &m->describe_answer;

    if (a->resource_count > MESSAGE_RESOURCES_MAX) {
        return "resource_count";
    }
    if (a->reserved != 0) {
        return "reserved";
    }
    for (uint32_t i = 0; i < a->resource_count; i++) {
        const char *wrong = check_resource(&a->resources[i]);

        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

/* Type, id and frames are whatever a client asked for: the request table answers them, with words
 * that help. */
static const char *check_snapshot(const union message *m)
{
    const struct message_snapshot *s = &m->snapshot;

    if ((s->flags & ~(uint32_t)(SNAPSHOT_WITH_STATUS | SNAPSHOT_SPARSE)) != 0) {
        return "flags";
    }
    return s->reserved == 0 ? domain_identity_wrong(&s->domain) : "reserved";
}

/* `least`: 0 where the hypervisor gave figures and no page: those have no consistency to name. */
static const char *check_observation(const struct message_observation *o, uint32_t least)
{
    if (o->frame_count > UINT32_MAX - o->first_frame) {
        return "observation.frame_count";
    }
    if (o->grant_version > 2) {
        return "observation.grant_version";
    }
    if (!is_between(o->consistency, least, SNAPSHOT_SEQUENCE_LOCKED)) {
        return "observation.consistency";
    }
    return NULL;
}

static const char *check_snapshot_answer(const union message *m)
{
    const struct message_snapshot_answer *a = &m->snapshot_answer;
    uint64_t frames = (uint64_t)a->observation.frame_count + a->status_frame_count;

    if (a->reserved != 0) {
        return "reserved";
    }
    if (a->status_frame_count > UINT32_MAX - a->first_status_frame) {
        return "status_frame_count";
    }
    const char *wrong = check_observation(&a->observation, SNAPSHOT_ALIGNED_8_BYTES);

    return wrong != NULL ? wrong : check_slot(&a->slot, frames * MESSAGE_FRAME_BYTES);
}

static const char *check_vcpu_stats(const union message *m)
{
    return domain_identity_wrong(&m->vcpu_stats.domain);
}

static const char *check_vcpu_stats_answer(const union message *m)
{
    const struct message_vcpu_stats_answer *a = &m->vcpu_stats_answer;

    if (!is_between(a->source, VCPU_STATS_TABLE, VCPU_STATS_INFO)) {
        return "source";
    }
    if (a->vcpu_count > MESSAGE_VCPUS_MAX) {
        return "vcpu_count";
    }
    const char *wrong = check_observation(&a->observation, 0);

    return wrong != NULL ? wrong
                         : check_slot(&a->slot, a->vcpu_count * sizeof(struct message_vcpu));
}

static const char *check_release(const union message *m)
{
    if (m->release.slot_count > MESSAGE_RELEASES_MAX) {
        return "slot_count";
    }
    return m->release.reserved == 0 ? NULL : "reserved";
}

static const char *check_counters_answer(const union message *m)
{
    const struct message_counters_answer *a = &m->counters_answer;

    if (a->arena_used_bytes > a->arena_bytes) {
        return "arena_used_bytes";
    }
    if (a->mappings > a->mapped_frames) {
        return "mappings";
    }
    return a->zombies > a->mappings ? "zombies" : NULL;
}

static bool is_zero(const uint8_t id[16])
{
    static const uint8_t zero[16];

    return memcmp(id, zero, sizeof(zero)) == 0;
}

/* Type, id, frames and period are whatever a client asked for, as in a snapshot. */
static const char *check_watch(const union message *m)
{
    const struct message_watch *w = &m->watch;

    if ((w->flags & ~(uint32_t)(SNAPSHOT_WITH_STATUS | SNAPSHOT_SPARSE)) != 0) {
        return "flags";
    }
    if (w->type != RESOURCE_VMTRACE_BUF && !is_zero(w->trace_id)) {
        return "trace_id";
    }
    return w->reserved == 0 ? domain_identity_wrong(&w->domain) : "reserved";
}

static const char *check_watch_answer(const union message *m)
{
    const struct message_watch_answer *a = &m->watch_answer;

    if (is_zero(a->feed_id)) {
        return "feed_id";
    }
    return a->joined <= 1 ? NULL : "joined";
}

static const char *check_unwatch(const union message *m)
{
    return m->unwatch.reserved == 0 ? NULL : "reserved";
}

static const char *check_image(const union message *m)
{
    return m->image.reserved == 0 ? NULL : "reserved";
}

static const char *check_image_answer(const union message *m)
{
    const struct message_image_answer *a = &m->image_answer;
    uint64_t frames = (uint64_t)a->observation.frame_count + a->status_frame_count;

    if (a->status_frame_count > UINT32_MAX - a->first_status_frame) {
        return "status_frame_count";
    }
    const char *wrong = check_observation(&a->observation, 0);

    return wrong != NULL ? wrong : check_slot(&a->slot, frames * MESSAGE_FRAME_BYTES);
}

static const char *check_failed(const union message *m)
{
    return m->failed.failure.code > 0 ? failure_wrong(&m->failed.failure) : "failure.code";
}

static const struct message_row {
    uint16_t type;
    size_t len_bytes;
    check_function *check;
} message_rows[] = {
    { MESSAGE_HELLO, sizeof(struct message_hello), check_hello },
    { MESSAGE_HOST, sizeof(struct message_plain), check_plain },
    { MESSAGE_DOMAINS, sizeof(struct message_domains), check_domains },
    { MESSAGE_DESCRIBE, sizeof(struct message_describe), check_describe },
    { MESSAGE_SNAPSHOT, sizeof(struct message_snapshot), check_snapshot },
    { MESSAGE_VCPU_STATS, sizeof(struct message_vcpu_stats), check_vcpu_stats },
    { MESSAGE_RELEASE, sizeof(struct message_release), check_release },
    { MESSAGE_COUNTERS, sizeof(struct message_plain), check_plain },
    { MESSAGE_WATCH, sizeof(struct message_watch), check_watch },
    { MESSAGE_WATCH_DOMAINS, sizeof(struct message_plain), check_plain },
    { MESSAGE_UNWATCH, sizeof(struct message_unwatch), check_unwatch },
    { MESSAGE_IMAGE, sizeof(struct message_image), check_image },
    { MESSAGE_TRACE_START, sizeof(struct message_trace_start), message_check_trace_start },
    { MESSAGE_TRACE_STOP, sizeof(struct message_trace_stop), message_check_trace_stop },
    { MESSAGE_TRACE_RENEW, sizeof(struct message_trace_renew), message_check_trace_renew },
    { MESSAGE_TRACES, sizeof(struct message_traces), message_check_traces },
    { MESSAGE_TRACE_VCPUS, sizeof(struct message_trace_vcpus), message_check_trace_vcpus },
    { MESSAGE_HELLO | MESSAGE_ANSWER, sizeof(struct message_hello_answer), check_hello_answer },
    { MESSAGE_HOST | MESSAGE_ANSWER, sizeof(struct message_host_answer), check_host_answer },
    { MESSAGE_DOMAINS | MESSAGE_ANSWER, sizeof(struct message_domains_answer),
      check_domains_answer },
    { MESSAGE_DESCRIBE | MESSAGE_ANSWER, sizeof(struct message_describe_answer),
      check_describe_answer },
    { MESSAGE_SNAPSHOT | MESSAGE_ANSWER, sizeof(struct message_snapshot_answer),
      check_snapshot_answer },
    { MESSAGE_VCPU_STATS | MESSAGE_ANSWER, sizeof(struct message_vcpu_stats_answer),
      check_vcpu_stats_answer },
    { MESSAGE_COUNTERS | MESSAGE_ANSWER, sizeof(struct message_counters_answer),
      check_counters_answer },
    { MESSAGE_WATCH | MESSAGE_ANSWER, sizeof(struct message_watch_answer), check_watch_answer },
    { MESSAGE_WATCH_DOMAINS | MESSAGE_ANSWER, sizeof(struct message_watch_answer),
      check_watch_answer },
    { MESSAGE_IMAGE | MESSAGE_ANSWER, sizeof(struct message_image_answer), check_image_answer },
    { MESSAGE_TRACE_START | MESSAGE_ANSWER, sizeof(struct message_trace_answer),
      message_check_trace_answer },
    { MESSAGE_TRACE_STOP | MESSAGE_ANSWER, sizeof(struct message_trace_answer),
      message_check_trace_answer },
    { MESSAGE_TRACE_RENEW | MESSAGE_ANSWER, sizeof(struct message_trace_answer),
      message_check_trace_answer },
    { MESSAGE_TRACES | MESSAGE_ANSWER, sizeof(struct message_traces_answer),
      message_check_traces_answer },
    { MESSAGE_TRACE_VCPUS | MESSAGE_ANSWER, sizeof(struct message_trace_vcpus_answer),
      message_check_trace_vcpus_answer },
    { MESSAGE_FAILED, sizeof(struct message_failed), check_failed },
    { MESSAGE_EVENT_DOMAINS, sizeof(struct message_event_domains), check_plain },
};

static const struct message_row *row_of(uint16_t type)
{
    for (size_t i = 0; i < sizeof(message_rows) / sizeof(message_rows[0]); i++) {
        if (message_rows[i].type == type) {
            return &message_rows[i];
        }
    }
    return NULL;
}

size_t message_size(uint16_t type)
{
    const struct message_row *row = row_of(type);

    return row != NULL ? row->len_bytes : 0;
}

void message_init(union message *m, uint16_t type, uint64_t serial)
{
    m->head = (struct message_head){
        .magic = MESSAGE_MAGIC,
        .version = MESSAGE_VERSION,
        .type = type,
        .len_bytes = (uint32_t)message_size(type),
        .serial = serial,
    };
}

static int check_head(const struct message_head *head, size_t len_bytes, struct failure *f)
{
    if (len_bytes < sizeof(*head) || head->magic != MESSAGE_MAGIC) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%zu bytes that are no message", len_bytes);
    }
    if (head->version != MESSAGE_VERSION) {
        int result = failure_set(f, ERROR_FAILED_PRECONDITION,
                                 "message version %u, and this program has version %d",
                                 (unsigned)head->version, (int)MESSAGE_VERSION);
        (void)failure_cause(f, result, "xenresd and its mapper are of different releases");
        return failure_next(f, result, "install both from the same release and restart both");
    }
    if (head->reserved != 0) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "message head: reserved is not zero");
    }
    return 0;
}

int message_check(const union message *m, size_t len_bytes, struct failure *f)
{
    int result = check_head(&m->head, len_bytes, f);

    if (result != 0) {
        return result;
    }
    unsigned type = m->head.type;
    const struct message_row *row = row_of(m->head.type);

    if (row == NULL) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "message of unknown type %#x", type);
    }
    if (len_bytes != row->len_bytes || m->head.len_bytes != row->len_bytes) {
        return failure_set(f, ERROR_INVALID_ARGUMENT,
                           "message %#x has %zu bytes and says %u, and not %zu", type, len_bytes,
                           (unsigned)m->head.len_bytes, row->len_bytes);
    }
    if ((m->head.serial == 0) != (row->type == MESSAGE_EVENT_DOMAINS)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "message %#x: wrong serial", type);
    }
    const char *wrong = row->check(m);

    if (wrong != NULL) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "message %#x: wrong %s", type, wrong);
    }
    return 0;
}

bool domain_identity_equal(const struct domain_identity *a, const struct domain_identity *b)
{
    return a->domid == b->domid && a->name_cut == b->name_cut &&
           memcmp(a->uuid, b->uuid, sizeof(a->uuid)) == 0 &&
           memcmp(a->incarnation, b->incarnation, sizeof(a->incarnation)) == 0 &&
           strncmp(a->name, b->name, sizeof(a->name)) == 0 && domain_tags_equal(a, b);
}
