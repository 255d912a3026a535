/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Judges a journal by the promise alone, and by nothing that the library keeps: each number of a feed
 * is delivered or told as lost, once and in order; what is built of the deliveries is the content.
 * The same reading tells a new process where the one before it was. One owner.
 */
#ifndef XENRES_TESTS_CHAOS_AUDIT_H
#define XENRES_TESTS_CHAOS_AUDIT_H

#include <inttypes.h>
#include <stdarg.h>

#include "client/include/xenres.h"
#include "tests/lib/chaos_journal.h"

enum {
    AUDIT_IMAGE_BYTES = 256 << 10,
    AUDIT_GRANTS_MAX = 8192,
    AUDIT_DOMAINS_MAX = 256,
    AUDIT_BLOCK_BYTES = 64,
};

struct audit {
    const struct journal *journal;
    size_t at;
    bool skips; /* domains: checkpoints may pass numbers by */

    /* What a process writes down, to go on from. */
    char feed[JOURNAL_HEX_BYTES], life[JOURNAL_HEX_BYTES], cursor[4096];
    bool is_known; /* `delivered` is of this feed */
    uint64_t delivered;

    bool has_content, is_due;
    uint32_t segment;
    bool is_in_parts;
    size_t parts_at; /* in the journal */
    struct journal_entry part;

    uint64_t base;       /* of the feed: up to there it was before our time */
    uint64_t told, lost; /* of this feed, without `base` */
    unsigned feeds, gaps, cuts, ends, starts, resumed, content, batches;
    char fault[512];

    size_t image_len;
    uint8_t image[AUDIT_IMAGE_BYTES];
    xenres_grant grants[AUDIT_GRANTS_MAX]; /* by reference; kind 0: unused */
    struct journal_domain domains[AUDIT_DOMAINS_MAX];
    size_t domain_count;
};

static inline bool audit_fault(struct audit *a, const struct journal_entry *e, const char *text,
                               ...)
{
    va_list arguments;
    int n = snprintf(a->fault, sizeof(a->fault),
                     "entry of kind %u, %" PRIu64 " to %" PRIu64 ", behind %" PRIu64 " of %s: ",
                     e->kind, e->first, e->sequence, a->delivered, a->is_known ? a->feed : "none");

    va_start(arguments, text);
    (void)vsnprintf(a->fault + n, sizeof(a->fault) - (size_t)n, text, arguments);
    va_end(arguments);
    return false;
}

static inline void audit_forget(struct audit *a)
{
    a->feed[0] = a->cursor[0] = '\0';
    a->is_known = a->has_content = a->is_in_parts = false;
    a->is_due = true;
    a->delivered = a->base = a->told = a->lost = 0;
    a->segment = 0;
}

/* --- what is delivered, applied ------------------------------------------------------------------- */

static inline void audit_put_domain(struct audit *a, const struct journal_domain *d)
{
    size_t i = 0;

    while (i < a->domain_count && strcmp(a->domains[i].life, d->life) != 0) {
        i++;
    }
    if (d->kind == XENRES_DOMAIN_CHANGE_GONE) {
        if (i < a->domain_count) {
            a->domains[i] = a->domains[--a->domain_count];
        }
    } else if (i < AUDIT_DOMAINS_MAX) {
        a->domains[i] = *d;
        a->domain_count += i == a->domain_count;
    }
}

static inline void audit_apply(struct audit *a, const struct journal_entry *e)
{
    const uint8_t *bytes = (const uint8_t *)(e + 1);
    const uint32_t *blocks = (const uint32_t *)(const void *)bytes;
    const xenres_grant_change *grants = (const xenres_grant_change *)(const void *)bytes;

    switch (e->kind) {
    case JOURNAL_PIECE:
        memcpy(a->image + e->offset, bytes, e->count);
        a->image_len = e->offset + e->count;
        break;
    case JOURNAL_CHANGES:
        bytes += journal_padded(e->count * sizeof(*blocks));
        for (size_t i = 0; i < e->count; i++) {
            memcpy(a->image + (size_t)blocks[i] * AUDIT_BLOCK_BYTES, bytes + i * AUDIT_BLOCK_BYTES,
                   AUDIT_BLOCK_BYTES);
        }
        break;
    case JOURNAL_DECODED:
        for (size_t i = 0; i < e->count; i++) {
            a->grants[grants[i].grant.reference] = grants[i].kind == XENRES_GRANT_WENT_AWAY
                                                       ? (xenres_grant){ .kind = 0 }
                                                       : grants[i].grant;
        }
        break;
    default:
        for (size_t i = 0; i < e->count; i++) {
            audit_put_domain(a, (const struct journal_domain *)(const void *)bytes + i);
        }
        break;
    }
}

/* Whether it stays within what there is; of a change, of the image. */
static inline bool audit_fits(struct audit *a, const struct journal_entry *e)
{
    const uint32_t *blocks = (const uint32_t *)(const void *)(e + 1);
    const xenres_grant_change *grants = (const xenres_grant_change *)(const void *)(e + 1);

    if (e->kind == JOURNAL_PIECE && e->offset + e->count > AUDIT_IMAGE_BYTES) {
        return audit_fault(a, e, "an image beyond all bounds");
    }
    for (size_t i = 0; e->kind == JOURNAL_CHANGES && i < e->count; i++) {
        if (((size_t)blocks[i] + 1) * AUDIT_BLOCK_BYTES > a->image_len) {
            return audit_fault(a, e, "block %u beyond the image", blocks[i]);
        }
    }
    for (size_t i = 0; e->kind == JOURNAL_DECODED && i < e->count; i++) {
        if (grants[i].grant.reference >= AUDIT_GRANTS_MAX) {
            return audit_fault(a, e, "reference %u beyond all bounds", grants[i].grant.reference);
        }
    }
    return true;
}

/* All parts of what has just become whole. */
static inline void audit_apply_parts(struct audit *a, const struct journal_entry *last)
{
    size_t at = a->parts_at;
    const struct journal_entry *e;

    if (last->whole) {
        a->image_len = a->domain_count = 0;
        memset(a->grants, 0, sizeof(a->grants));
    }
    while ((e = journal_next(a->journal, &at)) != NULL && e <= last) {
        if (e->kind == last->kind) {
            audit_apply(a, e);
        }
    }
}

/* --- entries -------------------------------------------------------------------------------------- */

static inline bool audit_first_part(struct audit *a, const struct journal_entry *e)
{
    if (e->whole) {
        if (a->is_known &&
            (e->first != 0 ? e->first != a->delivered + 1 : e->sequence != a->delivered)) {
            return audit_fault(a, e, "content that leaves a hole, or comes from the past");
        }
        return true;
    }
    if (a->is_due || !a->has_content) {
        return audit_fault(a, e, "changes of nothing");
    }
    if (e->first != a->delivered + 1 || e->sequence < e->first) {
        return audit_fault(a, e, "a hole, or twice");
    }
    return e->segment == a->segment
               ? true
               : audit_fault(a, e, "of segment %u, within %u", e->segment, a->segment);
}

static inline bool audit_bytes(struct audit *a, const struct journal_entry *e, size_t at)
{
    if (!a->is_in_parts) {
        if (!audit_first_part(a, e)) {
            return false;
        }
        a->parts_at = at;
        a->part = *e;
    } else if (e->kind != a->part.kind || e->sequence != a->part.sequence ||
               e->first != a->part.first) {
        return audit_fault(a, e, "before all of %" PRIu64 " was there", a->part.sequence);
    }
    a->is_in_parts = e->more;
    if (!audit_fits(a, e)) {
        return false;
    }
    if (e->more) {
        return true;
    }
    audit_apply_parts(a, e);
    if (!a->is_known) {
        a->base = e->sequence;
        a->delivered = e->sequence;
        a->is_known = true;
    }
    a->told += e->sequence - a->delivered;
    a->delivered = e->sequence;
    a->content += e->whole;
    a->batches += !e->whole;
    if (e->whole) {
        a->segment = e->segment;
        a->has_content = true;
        a->is_due = false;
    }
    return true;
}

static inline bool audit_gap(struct audit *a, const struct journal_entry *e)
{
    bool is_of_old = e->reason == XENRES_GAP_NEW_FEED || e->reason == XENRES_GAP_AT_END;

    a->gaps++;
    a->is_in_parts = false;
    if (!a->is_known) {
        return is_of_old ? true : audit_fault(a, e, "a gap in nothing");
    }
    if (e->first != a->delivered + 1 || (e->sequence != 0 && e->sequence < e->first) ||
        (e->sequence == 0 && (e->exact || !is_of_old))) {
        return audit_fault(a, e, "a gap that is not what is missing, reason %u", e->reason);
    }
    if (e->sequence != 0) {
        a->lost += e->sequence - a->delivered;
        a->delivered = e->sequence;
    }
    a->has_content = false;
    a->is_due = true;
    a->cursor[0] = '\0';
    if (e->reason == XENRES_GAP_NEW_FEED) {
        audit_forget(a);
    }
    return true;
}

static inline bool audit_begin(struct audit *a, const struct journal_entry *e)
{
    a->is_in_parts = false;
    a->resumed += e->resumed;
    if (e->resumed && (!a->is_known || !a->has_content || strcmp(a->feed, e->feed) != 0 ||
                       e->sequence != a->delivered)) {
        return audit_fault(a, e, "goes on where it cannot");
    }
    if (a->is_known && strcmp(a->feed, e->feed) != 0) {
        return audit_fault(a, e, "feed %s without a word", e->feed);
    }
    if (a->life[0] != '\0' && e->life[0] != '\0' && strcmp(a->life, e->life) != 0) {
        return audit_fault(a, e, "another life");
    }
    a->feeds += strcmp(a->feed, e->feed) != 0;
    memcpy(a->feed, e->feed, sizeof(a->feed));
    memcpy(a->life, e->life, sizeof(a->life));
    a->is_due = !e->resumed;
    return true;
}

static inline bool audit_checkpoint(struct audit *a, const struct journal_entry *e)
{
    if (!a->is_known || !a->has_content || a->is_in_parts ||
        (a->skips ? e->sequence < a->delivered : e->sequence != a->delivered)) {
        return audit_fault(a, e, "a checkpoint of another place");
    }
    a->told += e->sequence - a->delivered;
    a->delivered = e->sequence;
    memcpy(a->cursor, e + 1, e->count);
    return true;
}

/* The domain is over: the next watch is another one's. Stops and restarts are the library's to see
 * through. */
static inline bool audit_end(struct audit *a, const struct journal_entry *e)
{
    a->ends++;
    audit_forget(a);
    a->life[0] = '\0';
    return e->reason == XENRES_END_INCARNATION_ENDED || e->reason == XENRES_END_NOT_FOUND ||
                   e->reason == XENRES_END_RENAMED || e->reason == XENRES_END_RESOURCE_GONE
               ? true
               : audit_fault(a, e, "ended: %s: %s", xenres_end_reason_name(e->reason),
                             (const char *)(e + 1));
}

static inline bool audit_failed(struct audit *a, const struct journal_entry *e)
{
    switch (e->reason) {
    case XENRES_ABORTED:
        audit_forget(a);
        a->life[0] = '\0';
        return true;
    case XENRES_NOT_FOUND:
    case XENRES_UNAVAILABLE:
    case XENRES_DEADLINE_EXCEEDED:
    case XENRES_RESOURCE_EXHAUSTED: return true;
    default: return audit_fault(a, e, "failed: %s", (const char *)(e + 1));
    }
}

static inline bool audit_entry(struct audit *a, const struct journal_entry *e, size_t at)
{
    switch (e->kind) {
    case JOURNAL_STARTED:
        a->starts++;
        a->is_in_parts = false;
        return true;
    case JOURNAL_CUT:
        a->cuts++;
        a->is_in_parts = false;
        return true;
    case JOURNAL_BEGIN: return audit_begin(a, e);
    case JOURNAL_PIECE:
    case JOURNAL_CHANGES:
    case JOURNAL_DECODED:
    case JOURNAL_LIST:
    case JOURNAL_DOMAIN: return audit_bytes(a, e, at);
    case JOURNAL_GAP: return audit_gap(a, e);
    case JOURNAL_CHECKPOINT: return audit_checkpoint(a, e);
    case JOURNAL_END: return audit_end(a, e);
    case JOURNAL_FAILED: return audit_failed(a, e);
    case JOURNAL_HEARTBEAT:
    default: return true;
    }
}

/* Reads what is new. False: the promise is broken; `fault` says where. */
static inline bool audit_read(struct audit *a)
{
    const struct journal_entry *e;
    size_t at = a->at;

    while (a->fault[0] == '\0' && (e = journal_next(a->journal, &a->at)) != NULL) {
        (void)audit_entry(a, e, at);
        at = a->at;
    }
    return a->fault[0] == '\0';
}

static inline void audit_begin_at(struct audit *a, const struct journal *journal, bool skips)
{
    memset(a, 0, sizeof(*a));
    a->journal = journal;
    a->skips = skips;
    audit_forget(a);
}

#endif
