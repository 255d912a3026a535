/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Judges what a reader of a trace was told, by the bytes that the vCPU has played and by nothing that the
 * library keeps: each position is delivered or told as lost, once and in order; bytes are those of the
 * file, all of a segment at one distance; a loss that may have been more was no less than it says. The
 * same reading tells a new process where the one before it was. One owner.
 */
#ifndef XENRES_TESTS_CHAOS_TRACE_AUDIT_H
#define XENRES_TESTS_CHAOS_TRACE_AUDIT_H

#include <inttypes.h>
#include <stdarg.h>

#include "client/include/xenres.h"
#include "tests/lib/chaos_journal.h"

/* So many random bytes are nowhere else in a file. */
enum { TRACE_AUDIT_HEAD_BYTES = 8 };

/* What a vCPU plays since its host began, and where in it a trace begins. */
struct trace_played {
    const uint8_t *bytes;
    size_t len_bytes;
    uint64_t shift;
    bool is_exact; /* else it is there or later */
};

struct trace_audit {
    const struct journal *journal;
    size_t at;
    const uint8_t *file;
    size_t file_len;

    /* What a process writes down, to go on from. */
    char feed[JOURNAL_HEX_BYTES], cursor[4096];
    bool is_known; /* `next` is of this feed */
    uint64_t next; /* position */

    uint32_t segment;
    bool is_open;   /* a loss that may have been more was the last that came */
    bool may_go_on; /* … as the library says that does not know the segment: it may be the same */
    /* The byte of position p is that at p + shift in the file; else it is that or a later one. */
    bool is_placed;
    bool has_offset; /* it is that at p - offset_base of its segment */
    uint64_t shift, offset_base;
    uint8_t head[2 * TRACE_AUDIT_HEAD_BYTES]; /* what came since, too little to be placed */
    size_t head_len;

    bool is_over;
    uint32_t end_reason; /* enum xenres_trace_end_reason */
    uint64_t end_position;

    uint64_t told, lost;
    unsigned starts, cuts, resumed, gaps, open_gaps;
    unsigned resets; /* that nobody did: see lap.h of what is in the last bytes of a ring */
    char fault[512];
};

static inline bool trace_audit_fault(struct trace_audit *a, const struct journal_entry *e,
                                     const char *text, ...)
{
    va_list arguments;
    int n = snprintf(a->fault, sizeof(a->fault),
                     "entry of kind %u, position %" PRIu64 ", segment %u, where %" PRIu64
                     " of segment %u is next: ",
                     e->kind, e->first, e->segment, a->next, a->segment);

    va_start(arguments, text);
    (void)vsnprintf(a->fault + n, sizeof(a->fault) - (size_t)n, text, arguments);
    va_end(arguments);
    return false;
}

/* --- bytes ---------------------------------------------------------------------------------------- */

/* Where they are in the file, no earlier than they can be: the first bytes of a segment whose distance is
 * not known, as those were that came before and are in the head. */
static inline bool trace_audit_place(struct trace_audit *a, const struct journal_entry *e,
                                     const uint8_t *bytes)
{
    if (a->head_len + e->count < TRACE_AUDIT_HEAD_BYTES) {
        memcpy(a->head + a->head_len, bytes, e->count);
        a->head_len += e->count;
        return true;
    }
    size_t more =
        sizeof(a->head) - a->head_len < e->count ? sizeof(a->head) - a->head_len : e->count;
    uint64_t first = e->first - a->head_len, least = first + a->shift;

    memcpy(a->head + a->head_len, bytes, more);
    const uint8_t *found = least <= a->file_len ? memmem(a->file + least, a->file_len - least,
                                                         a->head, a->head_len + more)
                                                : NULL;
    if (found == NULL) {
        return trace_audit_fault(a, e, "bytes that there are none of from %" PRIu64 " on", least);
    }
    a->shift = (uint64_t)(found - a->file) - first;
    a->is_placed = true;
    a->head_len = 0;
    return true;
}

static inline bool trace_audit_data(struct trace_audit *a, const struct journal_entry *e)
{
    const uint8_t *bytes = (const uint8_t *)(e + 1);

    if (e->first != a->next) {
        return trace_audit_fault(a, e, "a hole, or twice");
    }
    bool is_next = a->is_open && e->segment > a->segment;

    if (!is_next && (e->segment != a->segment || (a->is_open && !a->may_go_on))) {
        return trace_audit_fault(a, e, "bytes of a segment that they cannot be of");
    }
    if (is_next) {
        a->is_placed = a->has_offset = false;
        a->head_len = 0;
    }
    if (!a->has_offset) {
        a->offset_base = e->first - e->offset;
        a->has_offset = true;
    }
    if (e->first - e->offset != a->offset_base) {
        return trace_audit_fault(a, e, "offset %" PRIu64 ": a segment is not exact", e->offset);
    }
    a->segment = e->segment;
    a->is_open = false;
    if (!a->is_placed && !trace_audit_place(a, e, bytes)) {
        return false;
    }
    uint64_t from = a->next + a->shift;

    a->next += e->count;
    a->told += e->count;
    if (a->is_placed &&
        (from + e->count > a->file_len || memcmp(a->file + from, bytes, e->count) != 0)) {
        return trace_audit_fault(a, e, "%u bytes that are not those at %" PRIu64, e->count, from);
    }
    return true;
}

/* --- the rest --------------------------------------------------------------------------------------- */

static inline bool trace_audit_gap(struct trace_audit *a, const struct journal_entry *e)
{
    if (e->first != a->next) {
        return trace_audit_fault(a, e, "a gap that is not what is missing, reason %u", e->reason);
    }
    if (e->reason == XENRES_TRACE_GAP_FAILED || (e->reason == XENRES_TRACE_GAP_RESET && e->exact)) {
        return trace_audit_fault(a, e, "%s: nobody did that",
                                 xenres_trace_gap_reason_name(e->reason));
    }
    a->resets += e->reason == XENRES_TRACE_GAP_RESET;
    a->gaps++;
    a->lost += e->sequence;
    a->next += e->sequence;
    a->head_len = 0;
    if (!e->exact) {
        a->open_gaps++;
        a->is_open = true;
        a->may_go_on = e->reason == XENRES_TRACE_GAP_INTERRUPTED;
    }
    if (a->next + a->shift > a->file_len) {
        return trace_audit_fault(a, e, "more is declared lost than there ever was");
    }
    return true;
}

static inline bool trace_audit_segment(struct trace_audit *a, const struct journal_entry *e)
{
    bool is_first = e->reason == XENRES_TRACE_SEGMENT_START && e->first == 0 && e->segment == 0;
    bool is_behind_loss =
        e->reason == XENRES_TRACE_SEGMENT_LOSS || e->reason == XENRES_TRACE_SEGMENT_RESET;
    bool is_next = is_behind_loss && a->is_open && e->segment > a->segment;

    return e->first == a->next && (is_first || is_next)
               ? true
               : trace_audit_fault(a, e, "a segment that cannot begin, reason %u", e->reason);
}

static inline bool trace_audit_begin(struct trace_audit *a, const struct journal_entry *e)
{
    a->resumed += e->resumed;
    if (a->is_known && strcmp(a->feed, e->feed) != 0) {
        return trace_audit_fault(a, e, "feed %s without a word", e->feed);
    }
    if (e->resumed && e->first != a->next) {
        return trace_audit_fault(a, e, "goes on elsewhere");
    }
    memcpy(a->feed, e->feed, sizeof(a->feed));
    a->is_known = true;
    return true;
}

static inline bool trace_audit_checkpoint(struct trace_audit *a, const struct journal_entry *e)
{
    if (e->first != a->next) {
        return trace_audit_fault(a, e, "a checkpoint of another place");
    }
    memcpy(a->cursor, e + 1, e->count);
    return true;
}

/* All that was produced has been told of; or it is said that this is not known. */
static inline bool trace_audit_end(struct trace_audit *a, const struct journal_entry *e)
{
    bool is_known_whole = e->reason == XENRES_TRACE_STOPPED;

    a->is_over = true;
    a->end_reason = e->reason;
    a->end_position = e->first;
    if (e->first != a->next) {
        return trace_audit_fault(a, e, "ended %s, and that is not all of it",
                                 xenres_trace_end_reason_name(e->reason));
    }
    if (!is_known_whole && a->is_known && !a->is_open) {
        return trace_audit_fault(a, e, "ended %s, as if that were all of it",
                                 xenres_trace_end_reason_name(e->reason));
    }
    return true;
}

/* Before the first message of a process: what is gone already is said by the call. */
static inline bool trace_audit_failed(struct trace_audit *a, const struct journal_entry *e)
{
    switch (e->reason) {
    case XENRES_NOT_FOUND:
    case XENRES_ABORTED:
    case XENRES_FAILED_PRECONDITION:
        a->is_over = true;
        a->end_reason = XENRES_TRACE_NOT_FOUND;
        return true;
    case XENRES_UNAVAILABLE:
    case XENRES_DEADLINE_EXCEEDED:
    case XENRES_RESOURCE_EXHAUSTED: return true;
    default: return trace_audit_fault(a, e, "failed: %s", (const char *)(e + 1));
    }
}

static inline bool trace_audit_entry(struct trace_audit *a, const struct journal_entry *e)
{
    if (a->is_over) {
        return trace_audit_fault(a, e, "behind the end");
    }
    switch (e->kind) {
    case JOURNAL_STARTED: a->starts++; return true;
    case JOURNAL_CUT: a->cuts++; return true;
    case JOURNAL_BEGIN: return trace_audit_begin(a, e);
    case JOURNAL_SEGMENT: return trace_audit_segment(a, e);
    case JOURNAL_DATA: return trace_audit_data(a, e);
    case JOURNAL_GAP: return trace_audit_gap(a, e);
    case JOURNAL_CHECKPOINT: return trace_audit_checkpoint(a, e);
    case JOURNAL_END: return trace_audit_end(a, e);
    case JOURNAL_FAILED: return trace_audit_failed(a, e);
    case JOURNAL_HEARTBEAT:
        return e->first == a->next ? true : trace_audit_fault(a, e, "a heartbeat of elsewhere");
    default: return true;
    }
}

/* Is the next byte known to be that at next + shift? */
static inline bool trace_audit_is_exact(const struct trace_audit *a)
{
    return a->is_placed && !a->is_open;
}

/* Reads what is new. False: the promise is broken; `fault` says where. */
static inline bool trace_audit_read(struct trace_audit *a)
{
    const struct journal_entry *e;

    while (a->fault[0] == '\0' && (e = journal_next(a->journal, &a->at)) != NULL) {
        (void)trace_audit_entry(a, e);
    }
    return a->fault[0] == '\0';
}

/* Of a trace whose first byte is that at `shift` in the file, or, where that is not exact, a later one. */
static inline void trace_audit_init(struct trace_audit *a, const struct journal *journal,
                                    const struct trace_played *played)
{
    memset(a, 0, sizeof(*a));
    a->journal = journal;
    a->file = played->bytes;
    a->file_len = played->len_bytes;
    a->shift = played->shift;
    a->is_placed = played->is_exact;
}

#endif
