/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One answer of a stream, as it comes: head, envelopes, end. Reads ahead to the end of the envelope
 * that it stands at and of the piece that this came in, and no further. May be begun again after
 * stream_answer_abandon(). One owner, who has entered the handle.
 */
#ifndef XENRES_CLIENT_STREAM_ANSWER_H
#define XENRES_CLIENT_STREAM_ANSWER_H

#include "client/envelope.h"
#include "client/transport.h"

struct stream_answer {
    xenres *handle;
    struct transport transport;
    struct buffer refusal;
    struct buffer timeout_header;
    struct envelope envelope; /* the one that it stands at */
    struct buffer rest;       /* what came in one piece with it, behind it */
    size_t rest_at;
    bool is_begun;
    bool has_head;
    bool is_gzip;    /* messages may be compressed */
    bool wants_head; /* what the transport is driven for: this, an envelope, or the end */
    bool wants_end;
};

/* What is asked. Lives as long as the answer. */
struct stream_question {
    const char *target; /* "/SERVICE/METHOD" */
    const void *body;   /* the request in its envelope */
    size_t body_len_bytes;
    uint32_t idle_timeout_ms; /* of each wait for a byte */
};

void stream_answer_init(struct stream_answer *a, xenres *handle);
void stream_answer_done(struct stream_answer *a);

/* Asks, and waits for the head. `timeout_ms` as of now, of all of it; 0: none. */
int stream_answer_begin(struct stream_answer *a, const struct stream_question *question,
                        uint32_t timeout_ms, struct fault *fault);
/* Waits until the envelope is whole. A body that ends before is an error. */
int stream_answer_wait(struct stream_answer *a, struct fault *fault);
bool stream_answer_is_at_end(const struct stream_answer *a);
/* The payload of the whole envelope, moved or unpacked into *out (not initialised), with at most
 * `max_bytes`; the next wait is for the next envelope. */
int stream_answer_take(struct stream_answer *a, size_t max_bytes, struct buffer *out,
                       struct fault *fault);
/* At the end message: waits for the end of the body, so that the connection can be used again.
 * Negative where more comes, and else 0: that it does not come harms nobody. */
int stream_answer_drain(struct stream_answer *a, struct fault *fault);
/* Ends the request and forgets what came of it. */
void stream_answer_abandon(struct stream_answer *a);

#endif
