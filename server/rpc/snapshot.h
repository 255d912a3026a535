/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Frames of a resource, as a client asks for them and as the mapper is asked: what GetSnapshot, the
 * raw frames and the decoders have in common. Pure, any thread.
 */
#ifndef XENRES_RPC_SNAPSHOT_H
#define XENRES_RPC_SNAPSHOT_H

#include "server/rpc/call.h"

struct snapshot_frames {
    int type; /* enum resource_type; -1 is refused */
    uint32_t id;
    uint32_t first_frame;
    bool has_count; /* else all in use */
    uint64_t frame_count;
    uint32_t flags; /* enum snapshot_flags */
};

/* Refuses what no resource has, with the errno that Xen would give, and tells the call what is
 * known of type and size. What the domain has not, the mapper refuses. */
int snapshot_prepare(struct call *c, const struct snapshot_frames *frames, struct failure *f);
void snapshot_ask(const struct call *c, const struct snapshot_frames *frames, union message *m);

/* -ERROR_INVALID_ARGUMENT for a type that is none: as the client wrote it, or by the number that a
 * message has. */
int snapshot_no_such_type(const char *what, struct failure *f);
int snapshot_bad_type(int32_t type, struct failure *f);

#endif
