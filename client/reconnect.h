/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A stream across interruptions: asks, gives message after message to whoever follows it, and where the
 * stream was cut, waits and asks again, from the last place that can be gone on from. What the messages
 * are, and what they may say, is the `ops`'.
 *
 * A cut is what may pass by itself: no connection, one that ended or fell silent, a gateway that is
 * not ready, full, or said that it stops. So is it where what was shown has expired, and its files are others
 * by then, or soon. All else ends it. One owner, who has entered the handle.
 */
#ifndef XENRES_CLIENT_RECONNECT_H
#define XENRES_CLIENT_RECONNECT_H

#include "client/papers.h"
#include "client/stream.h"

enum {
    RECONNECT_CURSOR_BYTES = 4096,      /* of a cursor, with its NUL */
    RECONNECT_LAST_WORDS_MS = 2 * 1000, /* between the last message and the stream's own end */
    RECONNECT_SILENCE_MAX_MS =
        3 * 600 * 1000,      /* whatever a gateway says: that is three of its longest heartbeats */
    RECONNECT_LOOKS_MAX = 5, /* at the files of what was shown, until something comes of it */
    RECONNECT_LOOK_WAIT_MAX_MS = 2 * 1000, /* between two of them */
};

struct reconnect;

/* What is to be told of a cut. */
struct reconnect_cut {
    const xenres_error *error;
    uint32_t wait_ms; /* before the next try */
    uint64_t outage_ms;
};

struct reconnect_ops {
    /* The request, packed into an empty buffer; `cursor` may be "". False: no memory. */
    bool (*pack)(const struct reconnect *r, const char *cursor, struct buffer *out);
    /* The next message. 0 with r->is_over: it was the last. Negative: r->is_final, which is set before,
     * says whether all is over, or the stream was cut by it (the gateway stops, and there will be another
     * one). */
    int (*take)(struct reconnect *r, xenres_stream *stream, xenres_reply *reply,
                struct fault *fault);
    /* A stream is over. */
    void (*cut)(struct reconnect *r);
    /* Tells it; false: ended by the callback. */
    bool (*tell_cut)(const struct reconnect *r, const struct reconnect_cut *cut);
    /* The reason of the end that this answer after a cut means; 0: none. */
    uint32_t (*end_of)(int result);
    /* Tells an end that the gateway did not say. */
    int (*tell_end)(struct reconnect *r, uint32_t reason, const char *message, struct fault *fault);
    /* Would going on from `place` mislead? NULL: never. */
    bool (*leads_astray)(const struct reconnect *r);
};

/* Where to go on from. */
struct reconnect_place {
    char cursor[RECONNECT_CURSOR_BYTES]; /* "": nowhere */
    bool is_ours; /* it came in a stream of ours, so that the rest is known */
};

struct reconnect {
    /* By the caller, before reconnect_run(). */
    xenres *handle;
    const char *method;
    const struct reconnect_ops *ops;
    uint32_t outage_max_ms;
    struct reconnect_place place;
    bool may_drop_cursor; /* what was had is known beside it, also before the first stream */

    bool has_begun;      /* a stream has, ever */
    bool is_begun;       /* the one that runs has */
    bool is_over;        /* its end was told */
    bool is_final;       /* the failure is not of the stream but of what it said */
    uint32_t end_reason; /* that the gateway cut it with; 0: it did not say */
    uint32_t retry_after_ms;
    bool may_pass;        /* the stream's own end was `unavailable` */
    bool asked_to_go_on;  /* a cursor was given, and has not led anywhere yet */
    uint64_t cut_ns;      /* since when it is cut; 0: it is not */
    uint32_t tries;       /* that failed since then */
    struct papers papers; /* as they were when the last stream was asked for */
    uint32_t looks;       /* at them, since there was news */
};

/* What the public queries have in common. */
int reconnect_take_options(struct reconnect *r, const char *cursor, uint32_t outage_max_ms,
                           struct fault *fault);

/* 0: it is over, and the end was told. */
int reconnect_run(struct reconnect *r, struct fault *fault);

/* --- for the ops ------------------------------------------------------------------------------ */

/* It has begun: nothing heard for so long means that it is dead. 0: it does not say. */
void reconnect_begun(struct reconnect *r, xenres_stream *stream, uint32_t silence_max_ms);
/* It brings news: the outage is over. */
void reconnect_alive(struct reconnect *r);
/* A cursor of a stream of ours. */
void reconnect_keep(struct reconnect *r, const char *cursor);
/* Behind its last message nothing may follow but the stream's own end, with how long to wait, and whether
 * what ended it may pass. */
int reconnect_last_words(struct reconnect *r, xenres_stream *stream, struct fault *fault);
/* The gateway has ended the stream for now: what `take` returns for it, with why. */
int reconnect_again(struct reconnect *r, uint32_t end_reason, const char *why, struct fault *fault);
/* What was shown has expired: is there something else to show? Looks at its files a few times, and waits in
 * between. True: to be asked again. False: there are none, or nobody renews them, or it was cancelled. */
bool reconnect_is_renewed(struct reconnect *r);
int reconnect_ended_by_callback(struct fault *fault);
/* "the stream " and what it does that it must not; returns -ERROR_INTERNAL. */
int reconnect_lie(struct fault *fault, const char *text, ...) __attribute__((format(printf, 2, 3)));
/* Small enough to be kept, and harmless wherever it is written; "" is one. */
bool reconnect_is_cursor(const char *cursor);

#endif
