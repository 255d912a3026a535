/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Following a watch across interruptions (client/reconnect): what its messages are of is the `ops`':
 * a resource, or the host's domains. Their numbers are judged by client/numbering, and what is new goes
 * to the callbacks. One owner, who has entered the handle.
 */
#ifndef XENRES_CLIENT_FOLLOW_H
#define XENRES_CLIENT_FOLLOW_H

#include "client/numbering.h"
#include "client/reconnect.h"

/* A message, read. What it points to is the reply's. */
struct follow_message {
    struct numbering_item numbers; /* its kind decides which of the following is set */
    struct numbering_begin begin;
    uint32_t silence_max_ms; /* BEGIN; 0: it does not say */
    void *view;              /* BEGIN, CONTENT, CHANGES: the ops' own */
    xenres_watch_gap gap;
    xenres_watch_checkpoint checkpoint;
    xenres_watch_heartbeat heartbeat;
    xenres_watch_end end;
};

/* The callbacks that all have. */
struct follow_sink {
    int (*raw)(void *arg, const void *message, size_t len_bytes);
    int (*gap)(void *arg, const xenres_watch_gap *gap);
    int (*checkpoint)(void *arg, const xenres_watch_checkpoint *checkpoint);
    int (*heartbeat)(void *arg, const xenres_watch_heartbeat *heartbeat);
    int (*end)(void *arg, const xenres_watch_end *end);
    int (*interrupted)(void *arg, const xenres_watch_interruption *interruption);
    void *arg;
};

struct follow;

struct follow_ops {
    const char *method;
    /* The request, packed into an empty buffer; `cursor` may be "". False: no memory. */
    bool (*pack)(const struct follow *f, const char *cursor, struct buffer *out);
    /* What a message is, and whether it makes sense by itself. */
    int (*read)(xenres_reply *reply, struct follow_message *out, struct fault *fault);
    /* A begin: is it what was asked for? *is_other_life, where not for that alone. NULL: always. */
    int (*admit)(struct follow *f, const struct follow_message *message, bool *is_other_life,
                 struct fault *fault);
    /* Content, changes and gaps, also those that are not delivered: do they fit to each other? NULL. */
    int (*check)(struct follow *f, const struct follow_message *message, struct fault *fault);
    /* BEGIN, CONTENT and CHANGES to the callbacks. What they return. */
    int (*deliver)(const struct follow *f, const struct follow_message *message,
                   const struct numbering_verdict *verdict);
};

struct follow {
    struct reconnect stream; /* first: its ops find us by it */
    const struct follow_ops *ops;
    void *arg; /* the ops' */
    struct follow_sink to;
    struct numbering numbering;
    uint64_t content_bytes; /* of the stream's content; the ops' */
    bool is_unfinished;     /* the stream that was cut was in the midst of something */
    /* Of the place to go on from, where it is ours. */
    uint64_t place_sequence, place_content_bytes;
};

/* 0: it is over, and the end was told. */
int follow_run(struct follow *f, struct fault *fault);

/* What the public queries have in common. */
int follow_take_options(struct follow *f, const char *cursor, const char *feed, uint64_t sequence,
                        uint32_t outage_max_ms, struct fault *fault);

/* Gives one message, read, to its callback: not followed. */
int follow_show(const struct follow *f, const void *message, size_t len_bytes,
                const ProtobufCMessageDescriptor *type, struct fault *fault);

#endif
