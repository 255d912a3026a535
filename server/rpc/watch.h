/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * ResourceService.Watch, as its files share it: watch_request reads what is asked for, watch_content makes
 * messages of content and changes, watch_say of the stream itself, watch decides what comes next. Nobody
 * else includes this.
 *
 * A message is made when the one before is with the kernel. What does not fit one is sent in parts, and
 * meanwhile nothing more is taken of the subscription, whose item they are of. Changes that raw
 * subscribers get record by record are encoded and compressed by the first who comes to them, and sent by
 * all. All of it is touched on the thread that sends, but for what wakes it.
 */
#ifndef XENRES_RPC_WATCH_H
#define XENRES_RPC_WATCH_H

#include "server/resource/feeds.h"
#include "server/rpc/call.h"
#include "server/rpc/watch_decode.h"
#include "server/rpc/watch_meter.h"
#include "server/rpc/watch_pulse.h"
#include "xenres/v1/resource.pb-c.h"

enum {
    WATCH_PERIOD_DEFAULT_MS = 100,
    WATCH_PERIOD_MAX_S = 3600,
    WATCH_IMAGE_PART_BYTES = 256 * 1024,
    WATCH_CHANGES_PART_BLOCKS = 4096, /* 256 KiB of content */
};

/* What an item of the subscription is being sent as. */
enum watch_part { WATCH_PART_NONE, WATCH_PART_IMAGE, WATCH_PART_CHANGES, WATCH_PART_DECODED };

/* Changes, of one record or merged. */
struct watch_changes {
    uint64_t first_batch, batch;
    uint32_t segment;
    const struct feed_stamp *stamp;
    const uint32_t *blocks;
    const uint8_t *contents;
    uint32_t block_count;
    bool more; /* the batch goes on in the next record */
};

struct watch {
    /* What is asked for. */
    struct feed_source source; /* the domain aside */
    Xenres__V1__WatchMode mode;
    uint64_t period_ns;
    bool decode;
    bool has_cursor;
    struct feed_cursor cursor;

    struct subscription *subscription;
    struct subscription_item item; /* the last one, and so the subscription's */
    bool begun, over;
    enum watch_end end;
    struct failure failure; /* that it ended with; code 0: none */
    uint64_t sequence;      /* of the last batch that was told of */
    struct watch_pulse pulse;
    struct feed_stamp sampled; /* the last that is known of */
    uint64_t samples, failed_samples;

    enum watch_part part;
    size_t at; /* bytes of the image, or blocks of the changes, that were sent */
    struct watch_changes changes;
    bool within_batch; /* parts of it were sent, and more have to come before anything else */
    struct shared_bytes *shared; /* being sent */

    struct watch_decoder *decoder; /* NULL: raw */
};

/* Reads c->request into a zeroed one, and says what the call is about. */
int watch_request_read(struct call *c, struct watch *w, struct failure *f);

/* Each makes a message in `p` and says HANDLER_MESSAGE, or fails. */
int watch_say_begin(struct call *c, struct pool *p, struct failure *f);
/* The next part of the item; after the last one there is none. Also says HANDLER_BYTES. */
int watch_say_part(struct call *c, struct pool *p, struct failure *f);

/* A cursor for all that was said, or "" where there is no place between two messages. */
char *watch_cursor_now(struct call *c, struct pool *p);
int watch_say_checkpoint(struct call *c, struct pool *p, char *cursor, struct failure *f);
int watch_say_heartbeat(struct call *c, struct pool *p, struct failure *f);
int watch_say_gap(struct call *c, struct pool *p, struct failure *f); /* of the item */
/* The last message. Behind it comes Connect's own end, with `why_failed`. */
int watch_say_end(struct call *c, struct pool *p, enum watch_end why,
                  const struct failure *why_failed, uint64_t sequence, struct failure *f);

/* Take an item, which is to be told in parts then. */
int watch_take_image(struct call *c, struct failure *f);
int watch_take_changes(struct call *c, const struct watch_changes *changes, struct failure *f);
/* Whether what was taken still has to be told. Not so of a part of a batch, which is decoded when all of
 * it is there. */
static inline bool watch_has_part(const struct watch *w)
{
    return w->part != WATCH_PART_NONE;
}

/* A response in the pool that has `content`; NULL: no memory. */
Xenres__V1__WatchResponse *watch_response(struct pool *p,
                                          Xenres__V1__WatchResponse__ContentCase content);
/* Says it. */
int watch_say(struct call *c, Xenres__V1__WatchResponse *m, struct failure *f);

#endif
