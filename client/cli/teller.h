/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * From what a watch, or a recording of one, calls back with, to single changes and notices, each in
 * words: of bytes, every aligned 8 of them that are not as they were, for which the content is kept
 * here; of decoded content, every grant, request, vCPU; of the host, every domain. One owner, one
 * thread.
 */
#ifndef XENRES_CLI_TELLER_H
#define XENRES_CLI_TELLER_H

#include <xenres.h>

#include "common/buffer.h"

enum {
    TELLER_WORD_BYTES = 8, /* what is compared at a time: what the gateway reads at once */
    TELLER_TEXT_MAX_BYTES = 64 * 1024, /* of one change; a longer text is cut */
    TELLER_LABEL_BYTES = 32,
};

enum teller_mark {
    TELLER_STANDS, /* not a change: it is there, in whole content */
    TELLER_APPEARED,
    TELLER_CHANGED,
    TELLER_WENT_AWAY,
};

struct teller_change {
    enum teller_mark mark;
    uint64_t key;      /* of its place: equal for all changes of it */
    const char *label; /* "grant 9", "00000140": its place */
    const char *text;
    const char *before; /* "": not known */
    uint64_t sequence;
    int64_t wall_seconds; /* 0: not told */
    uint32_t wall_nanoseconds;
};

enum teller_notice { TELLER_BEGIN, TELLER_WHOLE, TELLER_GAP, TELLER_END, TELLER_CUT };

struct teller_sums {
    uint64_t batches, changes; /* told of */
    uint64_t gaps, lost;       /* and those numbers that are known */
};

/* Where it goes. Each returns 0, or the exit status to stop with. Texts live as long as the call. */
struct teller_out {
    int (*change)(void *arg, const struct teller_change *change);
    int (*notice)(void *arg, enum teller_notice notice, const char *text);
    /* All of one message was told. */
    int (*flush)(void *arg, const struct teller_sums *sums);
    /* Nothing changed, up to now. NULL: not of interest. */
    int (*alive)(void *arg, const xenres_watch_heartbeat *heartbeat);
    void *arg;
};

struct teller {
    const struct teller_out *out;
    xenres_image *image;  /* of bytes; NULL before the first piece */
    bool is_lost;         /* the content is not known, and that was told */
    struct buffer before; /* the image before the one that comes in pieces */
    struct buffer text, before_text;
    const char *unit;      /* "batch" or "event" */
    int status;            /* what stopped it; else 0 */
    bool whole_goes_on;    /* the next message is another piece of the same */
    int64_t image_seconds; /* of the image that comes in pieces */
    uint32_t image_nanoseconds;
    struct teller_sums sums;
    xenres_error error; /* of the library's; code 0: none */
};

#define TELLER_AUTO __attribute__((cleanup(teller_done))) struct teller

void teller_init(struct teller *t, const struct teller_out *out);
void teller_done(struct teller *t);

/* The callbacks, all but `raw`: they fail where `out` does, with teller.status set. */
xenres_watch_sink teller_sink(struct teller *t);
xenres_domains_sink teller_domains_sink(struct teller *t);
/* An interruption that is known by its words only. */
int teller_tell_cut(struct teller *t, const char *text);

#endif
