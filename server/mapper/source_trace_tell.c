/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See source_trace_state.h. */
#include <string.h>

#include "server/mapper/psb.h"
#include "server/mapper/source_trace_state.h"

enum { SEAM_BYTES = 64 }; /* told together, around the ring's end, so that no PSB is cut there */

int source_trace_begin(struct trace *s, struct source_sample *now, enum feed_begin_reason reason,
                       struct feed_stamp *stamp, uint64_t tsc, struct failure *f)
{
    const struct feed_begin shape = { .reason = reason, .tsc = tsc };
    (void)s;
    return spool_begin(now->spool, stamp, &shape, 0, f);
}

int source_trace_tell_loss(struct trace *s, struct source_sample *now, uint64_t least_bytes,
                           enum feed_loss_reason reason, const struct feed_stamp *stamp,
                           struct failure *f)
{
    int result = spool_loss(now->spool, stamp, reason, least_bytes, true, f);
    if (result == 0) {
        s->lost_bytes += least_bytes;
        s->tools->lost_bytes += least_bytes;
        s->tools->open_losses++;
    }
    return result;
}

/* The next record: what is at `from`, up to the ring's end, but nothing that ends within a PSB. Where one is
 * around the ring's end, it is put together in `seam`. */
static struct spool_run next_run(const struct trace *s, uint64_t from, uint64_t len_bytes,
                                 size_t most_bytes, uint8_t seam[SEAM_BYTES])
{
    uint64_t to_end = s->size_bytes - from;
    size_t len = len_bytes < most_bytes ? len_bytes : most_bytes;
    struct spool_run run = { .bytes = s->image + from };
    run.len_bytes = len < to_end ? len : to_end;
    if (run.len_bytes < len_bytes) {
        run.len_bytes -= psb_cut(run.bytes, run.len_bytes);
    }
    if (run.len_bytes == 0) {
        size_t both = len_bytes < SEAM_BYTES ? len_bytes : SEAM_BYTES;
        memcpy(seam, s->image + from, to_end);
        memcpy(seam + to_end, s->image, both - to_end);
        run.bytes = seam;
        run.len_bytes = both < len_bytes ? both - psb_cut(seam, both) : both;
    }
    run.sync_offset = psb_find(run.bytes, run.len_bytes);
    return run;
}

/* How much of what was found may be told: not the beginning of a PSB, which the next sample will bring. */
static uint64_t tellable(const struct trace *s, const struct lap_found *found)
{
    uint8_t tail[2 * PSB_BYTES];
    size_t len = found->len_bytes < sizeof(tail) ? found->len_bytes : sizeof(tail);
    for (size_t i = 0; i < len; i++) {
        uint64_t at = found->from + found->len_bytes - len + i;
        tail[i] = s->image[at & (s->size_bytes - 1)];
    }
    return found->len_bytes - psb_cut(tail, len);
}

static int tell_bytes(struct trace *s, struct source_sample *now, const struct lap_found *found,
                      uint64_t len_bytes, const struct feed_stamp *stamp, uint64_t tsc,
                      struct failure *f)
{
    uint8_t seam[SEAM_BYTES];
    for (uint64_t done = 0; done < len_bytes;) {
        uint64_t from = (found->from + done) & (s->size_bytes - 1);
        struct spool_run run =
            next_run(s, from, len_bytes - done, spool_bytes_most(now->spool), seam);
        run.tsc = tsc;
        int result = spool_bytes(now->spool, stamp, &run, f);
        if (result < 0) {
            return result;
        }
        done += run.len_bytes;
        lap_take(&s->lap, run.len_bytes);
    }
    return 0;
}

static enum feed_loss_reason loss_reason(const struct trace *s, bool is_reset)
{
    return is_reset ? FEED_LOSS_RESET : s->blame != 0 ? s->blame : FEED_LOSS_LAPPED;
}

/* A loss that may be larger than it says, and the segment behind it. */
static int tell_gap(struct trace *s, struct source_sample *now, uint64_t least_bytes, bool is_reset,
                    struct feed_stamp *stamp, uint64_t tsc, struct failure *f)
{
    int result = source_trace_tell_loss(s, now, least_bytes, loss_reason(s, is_reset), stamp, f);
    return result < 0 ? result
                      : source_trace_begin(s, now, is_reset ? FEED_BEGIN_RESET : FEED_BEGIN_LOSS,
                                           stamp, tsc, f);
}

/* That something is lost is known at once, how much it is later; until then no sample says that there was
 * nothing new. What is unknown at the end, the end tells. */
static int tell_unknown(struct trace *s, struct source_sample *now, bool is_last,
                        struct feed_stamp *stamp, uint64_t tsc, struct failure *f)
{
    if (is_last) {
        return 0;
    }
    if (s->is_gap_told) {
        return spool_failed(now->spool, stamp->monotonic_ns, f);
    }
    s->is_gap_told = true;
    return tell_gap(s, now, 0, false, stamp, tsc, f);
}

int source_trace_tell(struct trace *s, struct source_sample *now, const struct lap_found *found,
                      bool is_last, struct feed_stamp *stamp, uint64_t tsc, struct failure *f)
{
    bool is_reset = found->kind == LAP_RESET, is_told = s->is_gap_told;
    int result = 0;
    if (found->kind == LAP_UNKNOWN) {
        result = tell_unknown(s, now, is_last, stamp, tsc, f);
        now->over = result < 0 ? FEED_END_FAILED : now->over;
        return result;
    }
    s->is_gap_told = false;
    if (found->kind != LAP_FOLLOWS && (!is_told || is_reset || found->lost_bytes > 0)) {
        result = tell_gap(s, now, found->lost_bytes, is_reset, stamp, tsc, f);
    }
    uint64_t len_bytes = is_last ? found->len_bytes : tellable(s, found);
    if (result == 0 && len_bytes > 0) {
        result = tell_bytes(s, now, found, len_bytes, stamp, tsc, f);
    } else if (result == 0 && found->kind == LAP_FOLLOWS) {
        result = spool_still(now->spool, stamp, f);
    }
    if (result < 0) {
        now->over =
            FEED_END_FAILED; /* what was told and what was taken may be no longer the same */
    }
    return result;
}
