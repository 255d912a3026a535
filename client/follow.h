/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Following a stream across interruptions: asks, takes message after message, and where the stream was
 * cut, waits and asks again, to go on behind the last checkpoint. What the messages are of is the
 * `ops`': a resource, or the host's domains. Their numbers are judged by client/numbering.
 *
 * A cut is what may pass by itself: no connection, one that ended or fell silent, a gateway that is
 * not ready, full, or said that it stops. All else ends it. One owner, who has entered the handle.
 */
#ifndef XENRES_CLIENT_FOLLOW_H
#define XENRES_CLIENT_FOLLOW_H

#include "client/numbering.h"
#include "client/stream.h"

enum {
    FOLLOW_CURSOR_BYTES = 4096,     /* of a cursor, with its NUL */
    FOLLOW_LAST_WORDS_MS = 2 * 1000 /* between the last message and the stream's own end */
};

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

/* Where to go on from. */
struct follow_place {
    char cursor[FOLLOW_CURSOR_BYTES]; /* "": nowhere */
    bool is_ours;                     /* it came in a stream of ours, so that the rest is known */
    uint64_t sequence;
    uint64_t content_bytes;
};

struct follow {
    /* By the caller, before follow_run(). */
    xenres *handle;
    const struct follow_ops *ops;
    void *arg; /* the ops' */
    struct follow_sink to;
    uint32_t outage_max_ms;
    struct numbering numbering;
    struct follow_place place;

    uint64_t content_bytes; /* of the stream's content, kept with each place; the ops' */
    bool has_begun;         /* a stream has, ever */
    bool is_begun;          /* the one that runs has */
    bool is_over;           /* its end was told */
    bool is_final;          /* the failure is not of the stream but of what it said */
    uint32_t end_reason;    /* that the gateway cut it with; 0: it did not say */
    uint32_t retry_after_ms;
    bool asked_to_go_on; /* a cursor was given, and has not led anywhere yet */
    uint64_t cut_ns;     /* since when it is cut; 0: it is not */
    uint32_t tries;      /* that failed since then */
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
