/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A WatchResponse as views, and what can be wrong about one by itself: content that does not fit to
 * its blocks, blocks out of order, a checkpoint without a cursor. Pure. */
#ifndef XENRES_CLIENT_WATCH_READ_H
#define XENRES_CLIENT_WATCH_READ_H

#include "client/follow.h"

enum { WATCH_BLOCK_BYTES = 64 };

/* What follow_message's `view` is, for each kind; CONTENT and CHANGES: `is_decoded` says which. All of
 * it is the reply's. */
struct watch_view {
    bool is_decoded;
    union {
        xenres_watch_begin begin;
        struct {
            xenres_watch_image image;
            xenres_observation observation;
        } content;
        xenres_watch_changes changes;
        xenres_watch_decoded decoded;
    };
};

int watch_read(xenres_reply *reply, struct follow_message *out, struct fault *fault);

#endif
