/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Content and changes of one watched resource, decoded: an image and batches of changed blocks in, the
 * messages that tell them out.
 *
 * Owns two private images, as it is now and as it was told last; whoever has it charges their memory to
 * the identity that it is for. A batch is told when all of its parts were taken, and in as many messages
 * as it needs; an entry that two blocks are of (a version 2 grant, whose status is elsewhere) is told
 * once. Blocks beyond the image are -ERROR_DATA_LOSS: the mapper is not believed. One owner, one thread.
 */
#ifndef XENRES_RPC_WATCH_DECODE_H
#define XENRES_RPC_WATCH_DECODE_H

#include "common/feed_record.h"
#include "server/rpc/pool.h"
#include "xenres/v1/watch.pb-c.h"

enum { WATCH_ENTRIES_MAX = 1024 }; /* told in one message */

struct watch_decoder;

/* `type`: grant_table (the frames of grants, with their status), ioreq_server or vcpu_stats. NULL: no
 * memory. */
struct watch_decoder *watch_decoder_new(uint32_t type, uint32_t max_vcpus);
void watch_decoder_free(struct watch_decoder *d); /* NULL is fine */

/* What it will hold of memory with an image of so many bytes. */
uint64_t watch_decoder_bytes(uint64_t image_bytes);

/* A whole image, to be told as such. -ERROR_RESOURCE_EXHAUSTED, -ERROR_DATA_LOSS. */
int watch_decoder_image(struct watch_decoder *d, const struct message_image_answer *a,
                        const void *bytes, size_t len_bytes, struct failure *f);
/* A part of a batch, or a whole one. Not before an image. */
int watch_decoder_blocks(struct watch_decoder *d, const uint32_t *blocks, const uint8_t *contents,
                         uint32_t count, struct failure *f);
/* Fills the next message of what was taken, numbers and times aside, and says by `more` whether another
 * one is needed. Nothing is taken until all is told. */
void watch_decoder_tell(struct watch_decoder *d, struct pool *p, Xenres__V1__WatchDecoded *m);

#endif
