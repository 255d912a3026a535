/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See range.h. */
#include "server/mapper/range.h"

#include <errno.h>
#include <string.h>

#include "common/layout.h"
#include "server/mapper/copy.h"
#include "server/mapper/explain.h"

static int refuse_as_xen(const struct message_snapshot *r, int errnum, struct failure *f)
{
    const struct explain_subject subject = { .domid = r->domain.domid,
                                             .type = (int32_t)r->type,
                                             .id = r->id };
    return failure_xen(f, "", errnum, &subject);
}

static int check_flags(const struct message_snapshot *r, struct failure *f)
{
    if (r->flags & ~(uint32_t)(SNAPSHOT_WITH_STATUS | SNAPSHOT_SPARSE)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "unknown flags %#x", r->flags);
    }
    if (r->flags & SNAPSHOT_WITH_STATUS &&
        (r->type != RESOURCE_GRANT_TABLE || r->id != GRANT_TABLE_SHARED)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT,
                           "status frames come along with grant_table 0 only");
    }
    if (r->flags & SNAPSHOT_SPARSE && r->type != RESOURCE_IOREQ_SERVER) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "only ioreq servers can lack a page");
    }
    return 0;
}

static int is_changing(int result, struct failure *f)
{
    failure_cause(f, result, "the guest is setting its table up");
    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    return failure_next(f, result, "ask again");
}

int range_check_request(const struct message_snapshot *r, struct failure *f)
{
    if (r->type >= RESOURCE_TYPE_COUNT) {
        int result =
            failure_set(f, ERROR_INVALID_ARGUMENT, "there is no resource type %u", r->type);
        failure_field(f, result, "type");
        failure_call(f, result, "", EINVAL);
        failure_cause(f, result,
                      "Xen 4.17 and older answer an unknown type with a size that cannot"
                      " be; so only known types are asked for");
        return failure_next(f, result,
                            "ask for ioreq_server, grant_table, vmtrace_buf or vcpu_stats");
    }
    if (r->type == RESOURCE_VCPU_STATS) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "run times are no frames");
        failure_field(f, result, "type");
        return failure_next(f, result, "ask for the statistics of the vCPUs");
    }
    if ((r->type == RESOURCE_GRANT_TABLE && r->id > GRANT_TABLE_STATUS) ||
        (r->type == RESOURCE_IOREQ_SERVER && r->id >= IOREQ_SERVERS)) {
        return failure_field(f, refuse_as_xen(r, EINVAL, f), "id");
    }
    if (r->frame_count == 0) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "0 frames were asked for");
        failure_field(f, result, "frame_count");
        failure_call(f, result, "", EINVAL);
        failure_cause(f, result, "to Xen's library, 0 frames are a question for the size");
        return failure_next(f, result,
                            "ask for at least one frame, or leave the count out for all");
    }
    return check_flags(r, f);
}

int range_check_size(uint16_t domid, uint32_t type, uint32_t id, const struct backend_size *size,
                     struct failure *f)
{
    if (size->frames_max <= RANGE_FRAMES_MAX && size->frames_in_use <= size->frames_max &&
        size->grant_version <= 2) {
        return 0;
    }
    int result = failure_set(
        f, ERROR_INTERNAL, "%s %u of domain %u has %u of %u frames in use, says the hypervisor",
        resource_type_name(type), id, domid, size->frames_in_use, size->frames_max);
    failure_cause(f, result,
                  "Xen 4.15 to 4.17 answer with a wrong size where they do not know the"
                  " type");
    return failure_next(f, result, "report this with the output of `xl info`");
}

/* Why no trace buffer is copied as it is. */
static int range_vmtrace_refusal(uint16_t domid, struct failure *f)
{
    int result = failure_set(f, ERROR_UNIMPLEMENTED,
                             "the trace buffers of domain %u are not copied as they are", domid);
    failure_cause(f, result,
                  "Xen does not clear them: what no trace has written since its reset may"
                  " be another guest's memory");
    return failure_next(f, result,
                        "read them through a trace, which serves what it has written and nothing"
                        " else: xenres trace start");
}

/* The range that the request comes to, of what is in use. */
static int check_range(const struct message_snapshot *r, struct range *range, struct failure *f)
{
    uint32_t in_use = range->size.frames_in_use;
    uint64_t count = r->frame_count;
    if (r->frame_count == MESSAGE_FRAMES_ALL) {
        count = r->first_frame < in_use ? in_use - r->first_frame : 1;
    }
    if (r->first_frame + count > in_use) { /* 64 bits: cannot wrap */
        int result =
            failure_set(f, ERROR_OUT_OF_RANGE,
                        "frames %u to %llu of %s %u of domain %u were asked for, and %u are"
                        " in use",
                        r->first_frame, (unsigned long long)(r->first_frame + count - 1),
                        resource_type_name(r->type), r->id, r->domain.domid, in_use);
        failure_call(f, result, "", r->type == RESOURCE_GRANT_TABLE ? 0 : EINVAL);
        failure_cause(
            f, result,
            r->type == RESOURCE_GRANT_TABLE
                ? "to map frames beyond would make the guest's table grow, and looking never"
                  " changes a guest"
                : "the resource has no more frames than these");
        return failure_next(f, result, "ask for frames below %u", in_use);
    }
    range->first_frame = r->first_frame;
    range->frame_count = (uint32_t)count;
    return 0;
}

/* The status frames that belong to the range of a version 2 table. */
static int add_status(const struct backend_ops *ops, struct backend *backend,
                      const struct message_snapshot *r, struct range *range, struct failure *f)
{
    if (!(r->flags & SNAPSHOT_WITH_STATUS) || range->size.grant_version != 2) {
        return 0;
    }
    struct backend_size status;
    int result = ops->size(backend, r->domain.domid, r->type, GRANT_TABLE_STATUS, &status, f);
    if (result == 0) {
        result = range_check_size(r->domain.domid, r->type, GRANT_TABLE_STATUS, &status, f);
    }
    if (result < 0) {
        return result;
    }
    layout_status_range(range->first_frame, range->frame_count, &range->first_status_frame,
                        &range->status_frame_count);
    if ((uint64_t)range->first_status_frame + range->status_frame_count > status.frames_in_use) {
        result = failure_set(f, ERROR_ABORTED,
                             "the table of domain %u has fewer status frames (%u)"
                             " than its frames need: it is changing",
                             r->domain.domid, status.frames_in_use);
        return is_changing(result, f);
    }
    return 0;
}

int range_resolve(const struct backend_ops *ops, struct backend *backend,
                  const struct message_snapshot *r, struct range *out, struct failure *f)
{
    struct range range = { 0 };
    int result = ops->size(backend, r->domain.domid, r->type, r->id, &range.size, f);
    if (result == 0) {
        result = range_check_size(r->domain.domid, r->type, r->id, &range.size, f);
    }
    if (result < 0) {
        return result;
    }
    if (r->type == RESOURCE_VMTRACE_BUF) {
        return range_vmtrace_refusal(r->domain.domid, f);
    }
    if (r->type == RESOURCE_IOREQ_SERVER && range.size.frames_in_use > IOREQ_FRAMES) {
        range.size.frames_in_use = IOREQ_FRAMES; /* Xen counts by vCPUs, and maps no third one */
    }
    result = check_range(r, &range, f);
    if (result == 0) {
        result = add_status(ops, backend, r, &range, f);
    }
    if (result < 0) {
        return result;
    }
    *out = range;
    return 0;
}

int range_recheck(const struct backend_ops *ops, struct backend *backend,
                  const struct message_snapshot *r, const struct range *range, struct failure *f)
{
    if (r->type != RESOURCE_GRANT_TABLE) {
        return 0;
    }
    struct backend_size now;
    int result = ops->size(backend, r->domain.domid, r->type, r->id, &now, f);
    if (result < 0) {
        return result;
    }
    if (now.grant_version != range->size.grant_version) {
        result = failure_set(f, ERROR_ABORTED,
                             "the grant table of domain %u went from version %u to"
                             " %u while it was copied",
                             r->domain.domid, range->size.grant_version, now.grant_version);
    } else if (now.frames_in_use != range->size.frames_in_use) {
        result = failure_set(f, ERROR_ABORTED,
                             "the grant table of domain %u went from %u to %u"
                             " frames while it was copied",
                             r->domain.domid, range->size.frames_in_use, now.frames_in_use);
    } else {
        return 0;
    }
    return is_changing(result, f);
}

void range_begin_digest(struct copy_digest *d, const struct message_snapshot *r,
                        const struct range *range)
{
    struct {
        uint8_t incarnation[16];
        uint32_t type, id, first_frame, frame_count, first_status, status_count;
    } key = { .type = r->type,
              .id = r->id,
              .first_frame = range->first_frame,
              .frame_count = range->frame_count,
              .first_status = range->first_status_frame,
              .status_count = range->status_frame_count };
    memcpy(key.incarnation, r->domain.incarnation, sizeof(key.incarnation));
    copy_digest_begin(d);
    copy_digest_add(d, &key, sizeof(key));
}
