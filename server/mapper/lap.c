/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See lap.h. Distances are counted forward, around the ring. */
#include "server/mapper/lap.h"

#include <assert.h>
#include <string.h>

enum { ALIKE_MARGIN = 8, ALIKE_FACTOR = 4 };

/* What a comparison has found: distances from where it began. */
struct difference {
    uint64_t end;     /* behind the last byte that differs; 0: none does */
    uint64_t count;   /* of them */
    uint64_t barrier; /* behind the last run of equal bytes that is no chance; 0: there is none */
    uint64_t run;     /* of equal bytes, that goes on */
};

static uint64_t distance(const struct lap *l, uint64_t from, uint64_t to)
{
    return (to - from) & (l->size_bytes - 1);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t part(const struct lap *l, uint64_t fraction)
{
    return least(l->size_bytes / fraction, LAP_EVIDENCE_BYTES);
}

uint64_t lap_evidence_most(uint64_t size_bytes)
{
    return least(size_bytes / LAP_REPETITIVE_FRACTION, LAP_EVIDENCE_BYTES);
}

/* So many equal bytes in a row are no chance, as this writer is. */
static uint64_t no_chance(const struct lap *l)
{
    return ALIKE_MARGIN + ALIKE_FACTOR * l->alike;
}

/* So many have to be as they were to prove that nobody went over them. */
static uint64_t evidence_needed(const struct lap *l)
{
    uint64_t least_bytes = part(l, LAP_EVIDENCE_FRACTION);
    uint64_t bytes = least(no_chance(l), part(l, LAP_REPETITIVE_FRACTION));
    return bytes > least_bytes ? bytes : least_bytes;
}

/* So many before the ring's end, that nobody wrote them. */
static uint64_t end_needed(const struct lap *l)
{
    return least(no_chance(l), part(l, LAP_END_FRACTION));
}

void lap_init(struct lap *l, const struct lap_ring *ring, uint64_t size_bytes, uint8_t *image,
              uint8_t *scratch, size_t chunk_bytes)
{
    assert(size_bytes >= LAP_EVIDENCE_FRACTION && (size_bytes & (size_bytes - 1)) == 0);
    *l = (struct lap){ .ring = ring,
                       .size_bytes = size_bytes,
                       .image = image,
                       .scratch = scratch,
                       .chunk_bytes = chunk_bytes };
}

/* --- reading ----------------------------------------------------------------------------------- */

static int ask(struct lap *l, uint64_t *out, struct failure *f)
{
    uint64_t position;
    int result = l->ring->position(l->ring->context, &position, f);
    if (result < 0) {
        return result;
    }
    if (position >= l->size_bytes) {
        return failure_set(f, ERROR_INTERNAL, "a trace of %llu bytes is at %llu",
                           (unsigned long long)l->size_bytes, (unsigned long long)position);
    }
    *out = l->position = position;
    return 0;
}

/* The next piece of `len_bytes` at `offset`, up to the next multiple of `most_bytes` (a power of two). */
static size_t piece(const struct lap *l, uint64_t offset, uint64_t len_bytes, uint64_t most_bytes)
{
    return (size_t)least(least(len_bytes, l->size_bytes - offset),
                         most_bytes - (offset & (most_bytes - 1)));
}

static int copy(struct lap *l, uint64_t offset, uint64_t len_bytes, struct failure *f)
{
    int result = 0;
    while (len_bytes > 0 && result == 0) {
        size_t n = piece(l, offset, len_bytes, LAP_COPY_BYTES);
        result = l->ring->read(l->ring->context, offset, l->image + offset, n, f);
        offset = (offset + n) & (l->size_bytes - 1);
        len_bytes -= n;
    }
    return result;
}

/* Bytes at `at` of a comparison, of which some differ. */
static void look_closely(const struct lap *l, struct difference *d, uint64_t at, const uint8_t *old,
                         const uint8_t *fresh, size_t len_bytes)
{
    uint64_t chance = end_needed(l);
    for (size_t i = 0; i < len_bytes; i++) {
        if (old[i] == fresh[i]) {
            d->run++;
            d->barrier = d->run >= chance ? at + i + 1 : d->barrier;
        } else {
            d->run = 0;
            d->count++;
            d->end = at + i + 1;
        }
    }
}

/* Compares with the image; with `into_image` it is what is read from then on. */
static int compare(struct lap *l, uint64_t offset, uint64_t len_bytes, bool into_image,
                   struct difference *d, struct failure *f)
{
    *d = (struct difference){ 0 };
    for (uint64_t at = 0, n; at < len_bytes; at += n) {
        n = piece(l, offset, len_bytes - at, l->chunk_bytes);
        int result = l->ring->read(l->ring->context, offset, l->scratch, n, f);
        if (result < 0) {
            return result;
        }
        if (memcmp(l->scratch, l->image + offset, n) == 0) {
            d->run += n;
            d->barrier = d->run >= end_needed(l) ? at + n : d->barrier;
        } else {
            look_closely(l, d, at, l->image + offset, l->scratch, n);
            if (into_image) {
                memcpy(l->image + offset, l->scratch, n);
            }
        }
        offset = (offset + n) & (l->size_bytes - 1);
    }
    return 0;
}

/* Is what is before the ring's end, from `offset` on, as it was, as far as it takes to be no chance? */
static int is_end_unwritten(struct lap *l, uint64_t offset, bool *out, struct failure *f)
{
    uint64_t need = offset < l->size_bytes ? least(end_needed(l), l->size_bytes - offset) : 0;
    *out = need > 0;
    for (uint64_t end = l->size_bytes, n; need > 0 && *out; end -= n, need -= n) {
        n = least(need, l->chunk_bytes);
        int result = l->ring->read(l->ring->context, end - n, l->scratch, n, f);
        if (result < 0) {
            return result;
        }
        *out = memcmp(l->scratch, l->image + end - n, n) == 0;
    }
    return 0;
}

int lap_begin(struct lap *l, struct failure *f)
{
    return copy(l, 0, l->size_bytes, f);
}

int lap_ask(struct lap *l, uint64_t *fill_bytes, struct failure *f)
{
    uint64_t position;
    int result = ask(l, &position, f);
    if (result < 0) {
        return result;
    }
    *fill_bytes = distance(l, l->prev, position);
    l->is_odd = l->is_odd || *fill_bytes < l->seen;
    l->seen = *fill_bytes;
    return 0;
}

/* --- the proof --------------------------------------------------------------------------------- */

/* What is between `prev` and the position, once the rest of the ring is known to be as it was. */
struct proof {
    uint64_t first;     /* the position that it is about */
    uint64_t new_bytes; /* from prev to there */
    bool holds;
    bool differs;   /* it does not, and that is not only for want of evidence */
    bool is_last;   /* all of it is to be found */
    bool is_copied; /* what is to be found of it is in the image */
};

static struct proof begin_proof(const struct lap *l, bool is_last)
{
    return (struct proof){ .first = l->position,
                           .new_bytes = distance(l, l->prev, l->position),
                           .is_last = is_last };
}

/* How much of it is to be found: not up to where a reset could not be told from a way around the end. */
static uint64_t to_be_found(const struct lap *l, const struct proof *p)
{
    uint64_t most = p->is_last ? l->size_bytes : l->size_bytes - end_needed(l);
    uint64_t beyond = p->first > most ? p->first - most : 0;
    return p->new_bytes > beyond ? p->new_bytes - beyond : 0;
}

/* The longest run of equal bytes, of which so many are before these. */
static void count_alike(struct lap *l, const uint8_t *old, const uint8_t *fresh, size_t len_bytes,
                        uint64_t *run)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    for (size_t i = 0; i < len_bytes;) {
        uint64_t a, b;
        if (len_bytes - i >= sizeof(a)) { /* mostly no byte of eight is the same */
            memcpy(&a, old + i, sizeof(a));
            memcpy(&b, fresh + i, sizeof(b));
            a ^= b;
            if (((a - ones) & ~a & tops) == 0) {
                *run = 0;
                i += sizeof(a);
                continue;
            }
        }
        size_t end = len_bytes - i < sizeof(a) ? len_bytes : i + sizeof(a);
        for (; i < end; i++) {
            *run = old[i] == fresh[i] ? *run + 1 : 0;
            l->alike = *run > l->alike ? *run : l->alike;
        }
    }
}

/* What is about to be copied tells how much of it is as it was, though it was written. */
static int learn_alike(struct lap *l, const struct proof *p, struct failure *f)
{
    uint64_t offset = (l->prev + l->fresh) & (l->size_bytes - 1), run = 0;
    uint64_t len_bytes = p->new_bytes > l->fresh ? p->new_bytes - l->fresh : 0;
    len_bytes = least(len_bytes, LAP_LEARN_BYTES);
    for (uint64_t at = 0, n; at < len_bytes; at += n) {
        n = piece(l, offset, len_bytes - at, l->chunk_bytes);
        int result = l->ring->read(l->ring->context, offset, l->scratch, n, f);
        if (result < 0) {
            return result;
        }
        count_alike(l, l->image + offset, l->scratch, n, &run);
        offset = (offset + n) & (l->size_bytes - 1);
    }
    return 0;
}

/* All that differed was written since `first` was asked for, and there is enough that did not. */
static int judge(struct lap *l, struct proof *p, uint64_t differs_end, struct failure *f)
{
    uint64_t meanwhile = 0;
    if (differs_end > 0) {
        uint64_t second;
        int result = ask(l, &second, f);
        if (result < 0) {
            return result;
        }
        meanwhile = distance(l, p->first, second);
    }
    p->differs = differs_end > meanwhile;
    p->holds = !p->differs && p->new_bytes + meanwhile + evidence_needed(l) <= l->size_bytes;
    if (p->holds) {
        l->seen = p->new_bytes + meanwhile;
    }
    return 0;
}

/* Steps 1 to 4, from the position that was asked for. */
static int prove(struct lap *l, struct proof *p, struct failure *f)
{
    uint64_t evidence = evidence_needed(l), old_bytes = l->size_bytes - p->new_bytes;
    struct difference rest, window;
    if (old_bytes < evidence) {
        return 0;
    }
    int result = compare(l, p->first, old_bytes, false, &rest, f);
    if (result == 0 && rest.end > old_bytes - evidence) {
        p->differs = true; /* lapped: what is new stays out of the image, and can be told of it */
        return 0;
    }
    if (result == 0 && !l->is_unknown) {
        result = learn_alike(l, p, f);
    }
    if (result == 0) {
        uint64_t len_bytes = to_be_found(l, p);
        p->is_copied = true;
        l->fresh = len_bytes > l->fresh ? len_bytes : l->fresh;
        result = copy(l, l->prev, len_bytes, f);
    }
    uint64_t again = least(old_bytes, LAP_AGAIN_BYTES);
    if (result == 0) {
        uint64_t begin = (l->prev - again) & (l->size_bytes - 1);
        result = compare(l, begin, again, false, &window, f);
    }
    if (result < 0) {
        return result;
    }
    uint64_t window_end = window.end > 0 ? old_bytes - again + window.end : 0;
    return judge(l, p, rest.end > window_end ? rest.end : window_end, f);
}

/* The same, of a sample, where a reset may look like a way around the ring's end, or like a lap. */
static int prove_sample(struct lap *l, struct proof *p, struct failure *f)
{
    bool goes_around = p->first < l->prev;
    int result = 0;
    p->differs = l->is_odd;
    if (goes_around) {
        result = is_end_unwritten(l, l->prev + l->fresh, &l->is_reset, f);
    }
    if (result == 0 && !l->is_reset && !l->is_odd) {
        result = prove(l, p, f);
    }
    if (result == 0 && !goes_around && p->differs) {
        result = is_end_unwritten(l, p->first, &l->is_reset, f);
    }
    return result;
}

/* --- after a lap or a reset -------------------------------------------------------------------- */

/* What a new image has told of the one before. */
struct renewal {
    /* So far behind the position somebody has not written; 0: everywhere somebody has. */
    uint64_t unwritten;
    /* … up to the very byte before the position, which nobody gets to who has not passed all others. */
    bool is_whole;
};

/* Takes an image of what is there now, and counts what was written since the one before. What is new by the
 * proof that failed may be in the image already. */
static int renew_image(struct lap *l, const struct proof *p, struct renewal *out, struct failure *f)
{
    struct difference old;
    uint64_t known_bytes = p->is_copied || l->fresh > 0 ? p->new_bytes : 0;
    int result = compare(l, p->first, l->size_bytes - known_bytes, true, &old, f);
    if (result == 0) {
        result = copy(l, (p->first - known_bytes) & (l->size_bytes - 1), known_bytes, f);
    }
    if (result == 0) {
        l->owed += old.count;
        out->unwritten = old.barrier;
        out->is_whole = old.barrier == 0 && old.end == l->size_bytes;
        /* Where all of it was written, the bytes at the end are as they were by chance. */
        bool is_all_written = old.barrier == 0 && l->size_bytes - known_bytes >= evidence_needed(l);
        l->is_reset = l->is_reset && !is_all_written;
    }
    return result;
}

/* How much of what is before `now` was written since the image before; and whether all of the ring was. A
 * position that did not move at all may be one that is stuck. */
static uint64_t written_before(struct lap *l, const struct proof *p, uint64_t unwritten,
                               uint64_t now)
{
    bool is_still = p->new_bytes == 0 && now == p->first;
    l->is_vague = l->is_vague || unwritten > 0 || is_still;
    if (is_still) {
        return 0;
    }
    return unwritten == 0 ? l->size_bytes : distance(l, unwritten, distance(l, p->first, now));
}

/* A new image, proven as any sample is, with at most so many of the bytes that were written last. */
static int start_again(struct lap *l, struct proof *p, uint64_t most, bool is_first,
                       struct renewal *renewal, struct failure *f)
{
    uint64_t now = 0;
    int result = renew_image(l, p, renewal, f);
    if (result == 0) {
        result = ask(l, &now, f);
    }
    if (result < 0) {
        return result;
    }
    uint64_t written = is_first ? written_before(l, p, renewal->unwritten, now) : l->size_bytes;
    l->prev = now - least(least(now, most), written);
    *p = begin_proof(l, p->is_last);
    l->fresh = p->new_bytes; /* as of the image that was taken just now */
    return prove(l, p, f);
}

/* How many of the last bytes may be served: those that were written since `prev`, and not across what
 * looks like a reset. */
static uint64_t to_be_saved(const struct lap *l)
{
    if (l->is_unknown && (l->is_vague || l->is_reset)) {
        return 0; /* which those are is not known any more */
    }
    return l->is_reset ? l->size_bytes / 4 * 3 : l->size_bytes / 2;
}

/* Lost, at least: what was written and is not saved. Where the position did not move it may be stuck, and
 * what comes to be seen later be told then: so many are lost only if all of the ring was written, which is a
 * lap wherever the writer is, and is no more than one. */
static uint64_t least_lost(const struct lap *l, uint64_t saved, bool is_whole)
{
    uint64_t lost = l->owed > saved ? l->owed - saved : 0;
    return !l->is_vague ? lost : is_whole ? least(lost, l->size_bytes) : 0;
}

static int look_after_loss(struct lap *l, struct proof *p, struct lap_found *out, struct failure *f)
{
    uint64_t most = to_be_saved(l);
    bool is_whole = false;
    *out = (struct lap_found){ .kind = LAP_UNKNOWN };
    for (int i = 0; i < LAP_TRIES && !p->holds; i++) {
        bool is_first = !l->is_unknown;
        l->is_unknown = true; /* until it is proven, also where a read fails */
        struct renewal renewal = { 0 };
        int result = start_again(l, p, i == 0 ? most : 0, is_first, &renewal, f);
        if (result < 0) {
            return result;
        }
        is_whole = is_first ? renewal.is_whole : is_whole;
    }
    if (p->holds) {
        uint64_t saved = p->new_bytes; /* what is held back of it will be found later */
        *out = (struct lap_found){ .kind = l->is_reset ? LAP_RESET : LAP_LAPPED,
                                   .lost_bytes = least_lost(l, saved, is_whole) };
        l->owed = 0;
        l->is_odd = l->is_unknown = l->is_reset = l->is_vague = false;
    }
    return 0;
}

/* --- what is found ----------------------------------------------------------------------------- */

int lap_look(struct lap *l, bool is_last, struct lap_found *out, struct failure *f)
{
    struct proof p = begin_proof(l, is_last);
    int result = l->is_unknown ? 0 : prove_sample(l, &p, f);
    *out = (struct lap_found){ .kind = LAP_FOLLOWS };
    if (result == 0 && !p.holds) {
        result = look_after_loss(l, &p, out, f);
    }
    if (result == 0 && p.holds) {
        out->from = l->prev;
        out->len_bytes = to_be_found(l, &p);
    }
    return result;
}

void lap_take(struct lap *l, uint64_t len_bytes)
{
    assert(len_bytes <= l->seen && len_bytes <= l->fresh && !l->is_unknown);
    l->prev = (l->prev + len_bytes) & (l->size_bytes - 1);
    l->seen -= len_bytes;
    l->fresh -= len_bytes;
}
