/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See trace_source.h. */
#include "server/mapper/sim/trace_source.h"

#include <assert.h>
#include <string.h>

#include "server/mapper/sim/draw.h"

/* The stretch that a byte is of; NULL: it is no longer known. */
static const struct trace_stretch *stretch_of(const struct trace_source *s, uint64_t at)
{
    for (uint32_t i = s->stretch_count; i > 0; i--) {
        if (s->stretches[i - 1].at <= at) {
            return &s->stretches[i - 1];
        }
    }
    return NULL;
}

/* The stretch of the byte that is next: always known, as only the newest may lie ahead of it. */
static const struct trace_stretch *present(const struct trace_source *s, uint64_t at)
{
    const struct trace_stretch *stretch = stretch_of(s, at);
    assert(stretch);
    return stretch;
}

/* Those that would begin there or later never do. */
static void begin_stretch(struct trace_source *s, const struct trace_stretch *stretch)
{
    while (s->stretch_count > 0 && s->stretches[s->stretch_count - 1].at >= stretch->at) {
        s->stretch_count--;
    }
    if (s->stretch_count == TRACE_SOURCE_STRETCHES_MAX) {
        s->stretch_count--;
        memmove(s->stretches, s->stretches + 1, s->stretch_count * sizeof(s->stretches[0]));
    }
    s->stretches[s->stretch_count++] = *stretch;
}

/* Time stamps go on from the host's, and never back. */
static void set_manner(struct trace_stretch *to, const struct trace_stretch *before,
                       const struct trace_manner *m)
{
    uint64_t last = pt_tsc(&before->pt, before->pt_at + (to->at - before->at));
    uint64_t tsc = m->tsc > last ? m->tsc : last;
    to->pt.has_tsc = m->has_tsc;
    to->pt.tsc_start = 0;
    to->pt.tsc_start = tsc - pt_tsc(&to->pt, to->pt_at); /* it may wrap: what is added wraps back */
}

void trace_source_init_file(struct trace_source *s, const struct trace_file *file, bool is_looped)
{
    *s = (struct trace_source){ .file = file, .is_looped = is_looped };
}

void trace_source_init_made_up(struct trace_source *s, const struct pt_options *options)
{
    *s = (struct trace_source){ .stretch_count = 1, .stretches[0].pt = *options };
}

void trace_source_reset(struct trace_source *s, uint64_t at, const struct trace_manner *m)
{
    if (s->file) {
        return;
    }
    const struct trace_stretch before = *present(s, at);
    struct trace_stretch next = { .at = at, .pt = before.pt };
    draw_next(&next.pt.seed);
    set_manner(&next, &before, m);
    begin_stretch(s, &next);
}

void trace_source_change(struct trace_source *s, uint64_t at, const struct trace_manner *m)
{
    if (s->file) {
        return;
    }
    const struct trace_stretch before = *present(s, at);
    uint64_t pt_at = before.pt_at + (at - before.at), wait = -pt_at % PT_BLOCK_BYTES;
    struct trace_stretch next = { .at = at + wait, .pt_at = pt_at + wait, .pt = before.pt };
    set_manner(&next, &before, m);
    begin_stretch(s, &next);
}

uint64_t trace_source_left(const struct trace_source *s, uint64_t at)
{
    if (!s->file || s->is_looped) {
        return UINT64_MAX;
    }
    return at < s->file->len_bytes ? s->file->len_bytes - at : 0;
}

static void file_bytes(const struct trace_file *file, uint64_t at, uint8_t *out, size_t len)
{
    for (size_t done = 0, part; done < len; done += part) {
        size_t from = (size_t)((at + done) % file->len_bytes);
        part = file->len_bytes - from < len - done ? file->len_bytes - from : len - done;
        memcpy(out + done, file->bytes + from, part);
    }
}

bool trace_source_bytes(const struct trace_source *s, uint64_t at, void *out, size_t len_bytes)
{
    const struct trace_stretch *end = s->stretches + s->stretch_count;
    if (s->file) {
        file_bytes(s->file, at, out, len_bytes);
        return true;
    }
    for (size_t done = 0, part; done < len_bytes; done += part) {
        const struct trace_stretch *stretch = stretch_of(s, at + done);
        if (!stretch) {
            return false;
        }
        uint64_t within = at + done - stretch->at;
        part = len_bytes - done;
        if (stretch + 1 < end && stretch[1].at - stretch->at - within < part) {
            part = (size_t)(stretch[1].at - stretch->at - within);
        }
        pt_bytes(&stretch->pt, stretch->pt_at + within, (uint8_t *)out + done, part);
    }
    return true;
}
