/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/trace_manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

/* --- life --- */

void manifest_done_vcpu(struct manifest_vcpu *v)
{
    free(v->files);
    free(v->gaps);
    free(v->times);
    *v = (struct manifest_vcpu){ .files = NULL };
}

void manifest_done(struct manifest *m)
{
    for (size_t i = 0; i < m->vcpu_count; i++) {
        manifest_done_vcpu(&m->vcpus[i]);
    }
    free(m->vcpus);
    m->vcpus = NULL;
    m->vcpu_count = 0;
}

bool manifest_set_vcpus(struct manifest *m, const uint32_t *vcpus, size_t count)
{
    m->vcpus = calloc(count > 0 ? count : 1, sizeof(*m->vcpus));
    if (m->vcpus == NULL) {
        return false;
    }
    m->vcpu_count = count;
    for (size_t i = 0; i < count; i++) {
        m->vcpus[i].vcpu = vcpus[i];
        m->vcpus[i].time_stride = 1;
    }
    return true;
}

/* With the room that grow() relies on: for the next power of two. False: no memory. */
static bool copy(void **out, const void *in, size_t count, size_t element_bytes)
{
    size_t room = 1;

    *out = NULL;
    if (count == 0) {
        return true;
    }
    while (room < count) {
        room *= 2;
    }
    *out = malloc(room * element_bytes);
    if (*out == NULL) {
        return false;
    }
    memcpy(*out, in, count * element_bytes);
    return true;
}

bool manifest_copy_vcpu(struct manifest_vcpu *out, const struct manifest_vcpu *in)
{
    void *files, *gaps, *times;
    bool is_copied = copy(&files, in->files, in->file_count, sizeof(*in->files));

    is_copied = copy(&gaps, in->gaps, in->gap_count, sizeof(*in->gaps)) && is_copied;
    is_copied = copy(&times, in->times, in->time_count, sizeof(*in->times)) && is_copied;
    *out = *in;
    out->files = files;
    out->gaps = gaps;
    out->times = times;
    if (!is_copied) {
        manifest_done_vcpu(out);
    }
    return is_copied;
}

/* --- what is taken --- */

void manifest_take_text(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text);
    out[text_cut(out, strlen(out))] = '\0';
}

#define TAKE(field, text) manifest_take_text((field), sizeof(field), (text))

void manifest_set_trace(struct manifest *m, const xenres_trace *t)
{
    m->trace = *t;
    m->domid = t->domain.domid;
    TAKE(m->uuid, t->domain.uuid);
    TAKE(m->name, t->domain.name);
    TAKE(m->incarnation, t->domain.incarnation);
    TAKE(m->trace_id, t->trace_id);
    TAKE(m->owner, t->owner);
    TAKE(m->cpu_vendor, t->metadata.cpu_vendor);
    m->traced_count =
        t->vcpu_count < XENRES_TRACED_VCPUS_MAX ? t->vcpu_count : XENRES_TRACED_VCPUS_MAX;
    memcpy(m->traced, t->vcpus, m->traced_count * sizeof(m->traced[0]));
    m->trace.vcpus = NULL;
    m->trace.failure = NULL;
    m->trace.trace_id = m->trace.owner = m->trace.metadata.cpu_vendor = NULL;
    m->trace.domain = (xenres_identity){ .domid = t->domain.domid };
}

void manifest_set_host(struct manifest *m, const xenres_host *h)
{
    TAKE(m->host.uuid, h->uuid);
    TAKE(m->host.boot_id, h->boot_id);
    TAKE(m->host.hostname, h->hostname);
    TAKE(m->host.xen_version, h->xen_version);
    TAKE(m->host.gateway_version, h->gateway_version);
    TAKE(m->host.backend, h->backend);
}

/* Room for one more element: doubled at powers of two. False: no memory, or it is full. */
static bool grow(void **array, size_t count, size_t element_bytes, size_t max)
{
    if (count >= max) {
        return false;
    }
    if (count != 0 && (count & (count - 1)) != 0) {
        return true;
    }
    void *larger = realloc(*array, (count > 0 ? 2 * count : 1) * element_bytes);

    if (larger != NULL) {
        *array = larger;
    }
    return larger != NULL;
}

bool manifest_add_file(struct manifest_vcpu *v, const struct manifest_file *file)
{
    void *files = v->files;
    bool has_room = grow(&files, v->file_count, sizeof(*v->files), MANIFEST_FILES_MAX);

    v->files = files;
    if (has_room) {
        v->files[v->file_count++] = *file;
    }
    return has_room;
}

bool manifest_add_gap(struct manifest_vcpu *v, const struct manifest_gap *gap)
{
    void *gaps = v->gaps;
    bool has_room = grow(&gaps, v->gap_count, sizeof(*v->gaps), MANIFEST_GAPS_MAX);

    v->gaps = gaps;
    if (has_room) {
        v->gaps[v->gap_count++] = *gap;
    }
    return has_room;
}

bool manifest_add_time(struct manifest_vcpu *v, const struct manifest_time *t)
{
    if (v->times_seen++ % v->time_stride != 0) {
        return true;
    }
    if (v->time_count == MANIFEST_TIMES_MAX) {
        for (size_t i = 0; i < MANIFEST_TIMES_MAX / 2; i++) {
            v->times[i] = v->times[2 * i];
        }
        v->time_count = MANIFEST_TIMES_MAX / 2;
        v->time_stride *= 2;
        /* The one that comes is the first that the wider stride does not leave out. */
    }
    void *times = v->times;
    bool has_room = grow(&times, v->time_count, sizeof(*v->times), MANIFEST_TIMES_MAX);

    v->times = times;
    if (has_room) {
        v->times[v->time_count++] = *t;
    }
    return has_room;
}

/* Behind the last file, or the last of so many gaps: whichever is further. */
static struct manifest_place place_before(const struct manifest_vcpu *v, size_t gap_count)
{
    const struct manifest_file *file = v->file_count > 0 ? &v->files[v->file_count - 1] : NULL;
    const struct manifest_gap *gap = gap_count > 0 ? &v->gaps[gap_count - 1] : NULL;

    if (file != NULL &&
        (gap == NULL || file->position + file->bytes > gap->position + gap->length)) {
        return (struct manifest_place){ .position = file->position + file->bytes,
                                        .offset = file->offset + file->bytes,
                                        .segment = file->segment,
                                        .epoch = file->epoch };
    }
    return gap == NULL ? (struct manifest_place){ .position = 0 }
                       : (struct manifest_place){ .position = gap->position + gap->length,
                                                  .offset = gap->offset,
                                                  .segment = gap->segment,
                                                  .epoch = gap->epoch };
}

struct manifest_place manifest_next(const struct manifest_vcpu *v)
{
    struct manifest_place place = place_before(v, v->gap_count);
    const struct manifest_gap *gap = v->gap_count > 0 ? &v->gaps[v->gap_count - 1] : NULL;

    if (gap != NULL && gap->at_least && gap->position + gap->length == place.position) {
        /* One that leads into another segment is behind that loss, and the others are before it. */
        place.is_open = place_before(v, v->gap_count - 1).segment == gap->segment;
    }
    return place;
}

struct manifest_sums manifest_sum(const struct manifest_vcpu *v)
{
    struct manifest_sums sums = { .produced = v->position };

    for (size_t i = 0; i < v->file_count; i++) {
        sums.delivered += v->files[i].bytes;
    }
    for (size_t i = 0; i < v->gap_count; i++) {
        sums.lost += v->gaps[i].length;
        sums.open_losses += v->gaps[i].at_least;
    }
    return sums;
}

void manifest_file_name(uint32_t vcpu, size_t number, char out[MANIFEST_NAME_BYTES])
{
    if (number == 0) {
        (void)snprintf(out, MANIFEST_NAME_BYTES, "vcpu%u.pt", vcpu);
    } else {
        (void)snprintf(out, MANIFEST_NAME_BYTES, "vcpu%u.%zu.pt", vcpu, number);
    }
}
