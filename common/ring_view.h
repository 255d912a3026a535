/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A ring as its readers see it, in a process that cannot write to it. `struct ring_view` is immutable:
 * any thread, several at a time. A `struct ring_place` is one subscriber's.
 *
 * A reader believes nothing. If the writer is taken over, a reader gets nonsense or -ERROR_DATA_LOSS, but
 * reads nothing outside the ring, trusts no length, loops a bounded number of times, and is not told of
 * more that was missed than there was room for. Nothing here waits.
 */
#ifndef XENRES_COMMON_RING_VIEW_H
#define XENRES_COMMON_RING_VIEW_H

#include <stdbool.h>

#include "common/ring.h"

enum { RING_LOOKS_MAX = 16 }; /* how often one call tries again to find a place that stays */

struct ring_view;

/* Maps the ring behind `fd`, which stays the caller's. -ERROR_INVALID_ARGUMENT: it is no ring, not
 * sealed, not allocated, or its capacity is above `capacity_max_bytes`. */
int ring_view_open(int fd, uint64_t capacity_max_bytes, struct ring_view **out, struct failure *f);
void ring_view_close(struct ring_view *v); /* NULL is fine */
uint64_t ring_view_capacity(const struct ring_view *v);
/* Where the newest record ends, as the writer says: to see whether there is another one, at the cost of
 * one load. A hint: no place to read at. */
uint64_t ring_view_committed(const struct ring_view *v);
/* Of what kind the newest record is, without reading it. False: there is none, or it is being overwritten.
 * A hint as well. */
bool ring_view_newest_kind(const struct ring_view *v, uint32_t *kind);

enum ring_answer {
    RING_NOTHING,     /* the end: the next record will be there */
    RING_RECORD,      /* a record is there */
    RING_OVERTAKEN,   /* it was overwritten: ring_view_skip() */
    RING_FUTURE,      /* nothing was written so far */
    RING_NO_BOUNDARY, /* within a record, or a place of another ring */
};

struct ring_record {
    uint32_t kind;
    uint32_t len_bytes;
    struct ring_place place;
};

/*
 * Copies the record at `at` out and moves `at` behind it: RING_RECORD. Else nothing changes but that
 * `bytes` are undefined: RING_NOTHING, RING_OVERTAKEN, or -ERROR_DATA_LOSS: the place is not of this
 * ring, or the writer is broken or taken over; the feed has to end. `room_bytes` is at least
 * ring_record_max() of the view's capacity.
 */
int ring_view_read(const struct ring_view *v, struct ring_place *at, void *bytes, size_t room_bytes,
                   struct ring_record *out, struct failure *f);

enum ring_end {
    RING_OLDEST, /* the oldest record that is held (the end, if none is) */
    RING_NEWEST, /* behind the newest record that is complete */
};

/* Finds a place to begin at. -ERROR_UNAVAILABLE: the writer overtook each look; later, or at
 * RING_NEWEST, it may work. -ERROR_DATA_LOSS as above. */
int ring_view_find(const struct ring_view *v, enum ring_end end, struct ring_place *out,
                   struct failure *f);

struct ring_missed {
    uint64_t records, bytes;
};
/* Moves `at` forward, and says exactly what lies between: to RING_NEWEST at any time, to RING_OLDEST
 * after RING_OVERTAKEN. Errors are those of ring_view_find(); -ERROR_DATA_LOSS also if it is no way
 * forward, or not in all that is counted. */
int ring_view_skip(const struct ring_view *v, enum ring_end end, struct ring_place *at,
                   struct ring_missed *missed, struct failure *f);

/*
 * What is at a place that came from outside (a cursor): any answer of enum ring_answer. RING_RECORD and
 * RING_NOTHING mean that ring_view_read() may go on there. That a place which is RING_OVERTAKEN ever was
 * a boundary nobody can tell: its sender has to be believed (a MAC). Errors are those of ring_view_find().
 */
int ring_view_check(const struct ring_view *v, const struct ring_place *place, struct failure *f);

#endif
