/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/xen/frames.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "common/layout.h"
#include "server/mapper/explain.h"
#include "server/mapper/xen/handle.h"

/* What a type can have at most; a size above is no size. */
enum {
    GRANT_FRAMES_MAX = 1 << 20, /* 4 GiB; by default a guest may have 64 frames */
    IOREQ_FRAMES_MAX = 1 + MESSAGE_VCPUS_MAX / LAYOUT_IOREQS_PER_FRAME,
    VMTRACE_FRAMES_MAX = 64 << 8, /* 64 MiB */
    STATS_FRAMES_MAX = 1 + MESSAGE_VCPUS_MAX * 16 / LAYOUT_FRAME_BYTES,
};

static struct explain_subject subject_of(uint16_t domid, uint32_t type, uint32_t id)
{
    return (struct explain_subject){
        .domid = domid,
        .type = type <= INT32_MAX ? (int32_t)type : INT32_MAX,
        .id = id,
    };
}

/* Frames of a resource as Xen answers, at least 1 and at most `max`. */
static int resource_frames(struct backend *b, const struct explain_subject *subject, uint32_t max,
                           uint32_t *frames, struct failure *f)
{
    static const char call[] = "xenforeignmemory_resource_size";
    size_t size_bytes = 0;
    size_t answered;

    b->hypercall_count++;
    if (xenforeignmemory_resource_size(b->foreign, subject->domid, (unsigned)subject->type,
                                       subject->id, &size_bytes) != 0) {
        return failure_xen(f, call, errno, subject);
    }
    answered = size_bytes / LAYOUT_FRAME_BYTES;
    if (answered == 0 || answered > max) {
        /* What a Xen from 4.18 on would have answered for a type that it does not know. */
        int result = failure_xen(f, call, EOPNOTSUPP, subject);

        return failure_cause(f, result,
                             "the hypervisor answered a size of %zu frames, which is no"
                             " size of this type: it does not know the type",
                             answered);
    }
    *frames = (uint32_t)answered;
    return 0;
}

/* xc_gnttab_query_size() succeeds with a status inside that is none of errno's. */
static int errno_of_grant_status(int16_t status)
{
    switch (status) {
    case GNTST_okay: return 0;
    case GNTST_bad_domain: return ESRCH;
    case GNTST_permission_denied: return EPERM;
    default: return EINVAL;
    }
}

static int grant_query(struct backend *b, const struct explain_subject *subject,
                       struct gnttab_query_size *query, struct failure *f)
{
    memset(query, 0, sizeof(*query));
    query->dom = subject->domid;
    query->status = GNTST_general_error;
    b->hypercall_count++;
    if (xc_gnttab_query_size(b->control, query) != 0) {
        return failure_xen(f, "xc_gnttab_query_size", errno, subject);
    }
    if (query->status != GNTST_okay) {
        return failure_xen(f, "xc_gnttab_query_size", errno_of_grant_status(query->status),
                           subject);
    }
    return 0;
}

static int grant_version(struct backend *b, const struct explain_subject *subject,
                         uint32_t *version, struct failure *f)
{
    int answered;
    int result;

    b->hypercall_count++;
    answered = xc_gnttab_get_version(b->control, subject->domid);
    if (answered < 0) {
        return failure_xen(f, "xc_gnttab_get_version", errno, subject);
    }
    if (answered != 1 && answered != 2) {
        result = failure_set(f, ERROR_UNIMPLEMENTED, "domain %u has a grant table of version %d",
                             subject->domid, answered);
        failure_cause(f, result, "this gateway knows versions 1 and 2");
        return failure_next(f, result, "update the gateway");
    }
    *version = (uint32_t)answered;
    return 0;
}

static int grant_size(struct backend *b, const struct explain_subject *subject,
                      struct backend_size *out, struct failure *f)
{
    struct gnttab_query_size query;
    struct backend_size size = { 0 };
    int result;

    if (subject->id != GRANT_TABLE_SHARED && subject->id != GRANT_TABLE_STATUS) {
        return failure_xen(f, "", EINVAL, subject);
    }
    /* The library's call comes first: it refuses what may not be mapped, such as one's own
     * domain. */
    result = resource_frames(b, subject, GRANT_FRAMES_MAX, &size.frames_max, f);
    if (result < 0) {
        return result;
    }
    result = grant_version(b, subject, &size.grant_version, f);
    if (result < 0) {
        return result;
    }
    if (subject->id == GRANT_TABLE_STATUS && size.grant_version != 2) {
        return failure_xen(f, "", EINVAL, subject); /* Xen tells a size, and maps none */
    }
    result = grant_query(b, subject, &query, f);
    if (result < 0) {
        return result;
    }
    size.frames_in_use = query.nr_frames;
    if (subject->id == GRANT_TABLE_STATUS) {
        uint32_t first;

        layout_status_range(0, query.nr_frames, &first, &size.frames_in_use);
    }
    if (size.frames_in_use > size.frames_max) {
        return failure_set(f, ERROR_INTERNAL, "domain %u: %u grant table frames in use, of %u",
                           subject->domid, size.frames_in_use, size.frames_max);
    }
    *out = size;
    return 0;
}

static int plain_size(struct backend *b, const struct explain_subject *subject, uint32_t max,
                      struct backend_size *out, struct failure *f)
{
    uint32_t frames;
    int result = resource_frames(b, subject, max, &frames, f);

    if (result == 0) {
        *out = (struct backend_size){ .frames_in_use = frames, .frames_max = frames };
    }
    return result;
}

/* No released Xen has type 3, and two proposals claim it: a believable size is no proof, so that
 * one frame is mapped as well. What it holds, the core looks at. */
static int stats_size(struct backend *b, const struct explain_subject *subject,
                      struct backend_size *out, struct failure *f)
{
    struct backend_mapping probe;
    struct backend_size size;
    int result = plain_size(b, subject, STATS_FRAMES_MAX, &size, f);

    if (result < 0) {
        return result;
    }
    result = frames_map(b, subject->domid, RESOURCE_VCPU_STATS, subject->id, 0, 1, &probe, f);
    if (result < 0) {
        return result;
    }
    frames_unmap(b, &probe);
    *out = size;
    return 0;
}

int frames_size(struct backend *b, uint16_t domid, uint32_t type, uint32_t id,
                struct backend_size *out, struct failure *f)
{
    const struct explain_subject subject = subject_of(domid, type, id);

    switch (type) {
    case RESOURCE_IOREQ_SERVER: return plain_size(b, &subject, IOREQ_FRAMES_MAX, out, f);
    case RESOURCE_GRANT_TABLE: return grant_size(b, &subject, out, f);
    case RESOURCE_VMTRACE_BUF: return plain_size(b, &subject, VMTRACE_FRAMES_MAX, out, f);
    case RESOURCE_VCPU_STATS: return stats_size(b, &subject, out, f);
    default: return failure_xen(f, "", EOPNOTSUPP, &subject);
    }
}

int frames_map(struct backend *b, uint16_t domid, uint32_t type, uint32_t id, uint32_t first_frame,
               uint32_t frame_count, struct backend_mapping *out, struct failure *f)
{
    static const char call[] = "xenforeignmemory_map_resource";
    struct explain_subject subject = subject_of(domid, type, id);
    xenforeignmemory_resource_handle *handle;
    void *address = NULL; /* an input too: where to map, or the kernel's choice */

    /* 0 frames would be a question for the size, whose handle is no mapping. */
    assert(frame_count > 0 && frame_count <= UINT32_MAX - first_frame);
    subject.first_frame = first_frame;
    subject.frame_count = frame_count;
    b->hypercall_count++;
    handle = xenforeignmemory_map_resource(b->foreign, domid, type, id, first_frame, frame_count,
                                           &address, PROT_READ, 0);
    if (handle == NULL) {
        return failure_xen(f, call, errno, &subject);
    }
    assert(address != NULL);
    *out = (struct backend_mapping){
        .address = address,
        .frame_count = frame_count,
        .handle = handle,
    };
    return 0;
}

void frames_unmap(struct backend *b, struct backend_mapping *mapping)
{
    assert(mapping->handle != NULL);
    if (xenforeignmemory_unmap_resource(b->foreign, mapping->handle) != 0) {
        backend_give_up(errno);
    }
    *mapping = (struct backend_mapping){ 0 };
}
