/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/snapshot.h"

#include <errno.h>
#include <stdio.h>

int snapshot_no_such_type(const char *what, struct failure *f)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "%s is no resource type", what);

    failure_call(f, result, "", EINVAL);
    failure_cause(f, result, "there are ioreq_server, grant_table, vmtrace_buf and vcpu_stats");
    failure_field(f, result, "type");
    return failure_next(f, result, "list the domain's resources");
}

int snapshot_bad_type(int32_t type, struct failure *f)
{
    char what[32] = "nothing at all"; /* as a field that is left out is read */

    if (type != 0) {
        (void)snprintf(what, sizeof(what), "type %d", (int)type);
    }
    return snapshot_no_such_type(what, f);
}

/* Xen, asked for none, quietly answers the size instead. */
static int no_frames(struct failure *f)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "no frames are asked for");

    failure_field(f, result, "frame_count");
    failure_call(f, result, "", EINVAL);
    failure_cause(f, result, "the number of frames is 0");
    return failure_next(f, result, "ask for at least one, or leave the number out for all in use");
}

static int too_many(const struct snapshot_frames *frames, struct failure *f)
{
    int result = failure_set(f, ERROR_OUT_OF_RANGE,
                             "%llu frames from frame %u on are more than any resource has",
                             (unsigned long long)frames->frame_count, frames->first_frame);

    failure_call(f, result, "", EINVAL);
    failure_cause(f, result, "looking never makes a guest's table grow");
    return failure_next(f, result, "list the domain's resources: that says how many are in use");
}

int snapshot_prepare(struct call *c, const struct snapshot_frames *frames, struct failure *f)
{
    if (frames->has_count && frames->frame_count == 0) {
        return no_frames(f);
    }
    /* The last number means "all" to the mapper, and nothing to a client. */
    if (frames->has_count && (frames->frame_count >= MESSAGE_FRAMES_ALL ||
                              frames->frame_count > UINT32_MAX - frames->first_frame)) {
        return too_many(frames, f);
    }
    c->type = frames->type;
    c->has_id = true;
    c->id = frames->id;
    c->arena_bytes = frames->has_count ? frames->frame_count * MESSAGE_FRAME_BYTES : 0;
    return 0;
}

void snapshot_ask(const struct call *c, const struct snapshot_frames *frames, union message *m)
{
    struct message_snapshot *s = &m->snapshot;

    s->head.type = MESSAGE_SNAPSHOT;
    s->domain = c->identity;
    s->type = (uint32_t)frames->type;
    s->id = frames->id;
    s->first_frame = frames->first_frame;
    s->frame_count = frames->has_count ? (uint32_t)frames->frame_count : MESSAGE_FRAMES_ALL;
    s->flags = frames->flags;
    s->deadline_ns = c->deadline_ns;
}
