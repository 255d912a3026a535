/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/trace_check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"

const char *trace_finding_name(enum trace_finding_kind kind)
{
    static const char *const names[] = {
        [TRACE_FINDING_GAP] = "gap",
        [TRACE_FINDING_HOLE] = "hole",
        [TRACE_FINDING_CONTRADICTION] = "contradiction",
        [TRACE_FINDING_FILE_MISSING] = "file_missing",
        [TRACE_FINDING_FILE_SHORT] = "file_short",
        [TRACE_FINDING_FILE_LONG] = "file_long",
        [TRACE_FINDING_NOT_ENDED] = "not_ended",
        [TRACE_FINDING_EMPTY] = "empty",
    };

    return names[kind];
}

/* A further one, to fill; NULL: it is counted alone. */
static struct trace_finding *find(struct trace_check *c, enum trace_finding_kind kind,
                                  uint32_t vcpu, const char *why, ...)
    __attribute__((format(printf, 4, 5)));
static struct trace_finding *find(struct trace_check *c, enum trace_finding_kind kind,
                                  uint32_t vcpu, const char *why, ...)
{
    if (c->findings == NULL) {
        c->findings = calloc(TRACE_FINDINGS_MAX, sizeof(*c->findings));
        c->is_out_of_memory = c->findings == NULL;
    }
    if (c->findings == NULL || c->finding_count == TRACE_FINDINGS_MAX) {
        c->left_off++;
        return NULL;
    }
    struct trace_finding *out = &c->findings[c->finding_count++];
    va_list arguments;

    *out = (struct trace_finding){ .kind = kind, .vcpu = vcpu };
    va_start(arguments, why);
    (void)vsnprintf(out->why, sizeof(out->why), why, arguments);
    va_end(arguments);
    out->why[text_cut(out->why, strlen(out->why))] = '\0';
    return out;
}

static void set_place(struct trace_finding *f, uint64_t position, uint64_t length, bool at_least)
{
    if (f != NULL) {
        f->position = position;
        f->length = length;
        f->at_least = at_least;
    }
}

/* Behind the bytes of this file. */
static void set_file(struct trace_finding *f, const struct manifest_vcpu *v, size_t number,
                     uint64_t offset)
{
    if (f != NULL) {
        manifest_file_name(v->vcpu, number, f->file);
        f->file_offset = offset;
    }
}

/* --- the manifest against itself --- */

/* Where one is while one goes through what a vCPU has. */
struct walk {
    const struct manifest_vcpu *v;
    size_t file, gap; /* the next ones */
    uint64_t position;
    bool is_open;            /* a gap that may be larger is behind one, and no byte since */
    bool is_over;            /* the segment: such a gap was its last */
    uint32_t segment, epoch; /* of the last bytes, or where a gap says that it goes on */
    uint64_t offset;
};

static void tell_gap(struct trace_check *c, const struct walk *w, const struct manifest_gap *g)
{
    const char *reason = xenres_trace_gap_reason_name(g->reason);
    struct trace_finding *f =
        find(c, TRACE_FINDING_GAP, w->v->vcpu, "%s", reason[0] != '\0' ? reason : "unknown");

    set_place(f, g->position, g->length, g->at_least);
    if (w->file > 0) {
        set_file(f, w->v, w->file - 1, w->v->files[w->file - 1].bytes);
    }
    if (f != NULL) {
        f->seconds = g->seconds;
        f->nanoseconds = g->nanoseconds;
    }
}

static void take_gap(struct trace_check *c, struct walk *w)
{
    const struct manifest_gap *g = &w->v->gaps[w->gap++];

    tell_gap(c, w, g);
    if (g->segment < w->segment ||
        (g->segment == w->segment && g->offset != w->offset + g->length)) {
        set_place(find(c, TRACE_FINDING_CONTRADICTION, w->v->vcpu,
                       "a gap leads to segment %u, offset %" PRIu64, g->segment, g->offset),
                  g->position, 0, false);
    }
    w->is_over = g->segment == w->segment && (w->is_over || g->at_least);
    w->position += g->length;
    w->is_open = w->is_open || g->at_least;
    w->segment = g->segment;
    w->epoch = g->epoch;
    w->offset = g->offset;
}

/* Can these bytes be next? In another segment only behind a loss that may be larger: a reset, too, is told as
 * one. */
static bool is_next(const struct walk *w, const struct manifest_file *f)
{
    if (f->segment == w->segment) {
        return f->epoch == w->epoch && f->offset == w->offset && !w->is_over;
    }
    return f->segment > w->segment && f->epoch >= w->epoch && w->is_open;
}

static void take_file(struct trace_check *c, struct walk *w)
{
    const struct manifest_file *f = &w->v->files[w->file];

    if (!is_next(w, f) || f->bytes == 0 || f->offset > f->position) {
        set_file(find(c, TRACE_FINDING_CONTRADICTION, w->v->vcpu,
                      "segment %u, epoch %u, offset %" PRIu64
                      " cannot follow segment %u, epoch %u, offset %" PRIu64 " without a loss",
                      f->segment, f->epoch, f->offset, w->segment, w->epoch, w->offset),
                 w->v, w->file, 0);
    }
    w->file++;
    w->is_open = w->is_over = false;
    w->position += f->bytes;
    w->segment = f->segment;
    w->epoch = f->epoch;
    w->offset = f->offset + f->bytes;
}

/* Nothing begins where the last has ended. */
static void take_nothing(struct trace_check *c, struct walk *w)
{
    const struct manifest_vcpu *v = w->v;
    uint64_t file = w->file < v->file_count ? v->files[w->file].position : v->position;
    uint64_t gap = w->gap < v->gap_count ? v->gaps[w->gap].position : v->position;
    uint64_t next = file < gap ? file : gap;

    if (next > w->position) {
        set_place(find(c, TRACE_FINDING_HOLE, v->vcpu, "in no file, and in no gap"), w->position,
                  next - w->position, false);
    } else {
        set_place(find(c, TRACE_FINDING_CONTRADICTION, v->vcpu,
                       "byte %" PRIu64 " comes twice, or before others", next),
                  next, 0, false);
    }
    w->position = next;
    w->is_open = true; /* what follows is not held against it */
    w->is_over = false;
    if (w->file < v->file_count && file == next) {
        w->segment = v->files[w->file].segment;
        w->epoch = v->files[w->file].epoch;
        w->offset = v->files[w->file].offset;
    }
}

static void walk(struct trace_check *c, const struct manifest_vcpu *v)
{
    struct walk w = { .v = v };

    while (w.file < v->file_count || w.gap < v->gap_count) {
        if (w.gap < v->gap_count && v->gaps[w.gap].position == w.position) {
            take_gap(c, &w);
        } else if (w.file < v->file_count && v->files[w.file].position == w.position) {
            take_file(c, &w);
        } else {
            take_nothing(c, &w);
        }
    }
    if (w.position != v->position) {
        set_place(find(c,
                       w.position < v->position ? TRACE_FINDING_HOLE : TRACE_FINDING_CONTRADICTION,
                       v->vcpu, "files and gaps end at byte %" PRIu64 ", the recording at %" PRIu64,
                       w.position, v->position),
                  w.position, w.position < v->position ? v->position - w.position : 0, false);
    }
}

/* --- its end --- */

bool trace_check_ends_trace(uint32_t reason)
{
    return reason >= XENRES_TRACE_INCARNATION_ENDED && reason <= XENRES_TRACE_HARDWARE_STOPPED;
}

static void check_end(struct trace_check *c, const struct manifest *m,
                      const struct manifest_vcpu *v)
{
    struct trace_finding *f;

    if (v->feed[0] == '\0') {
        (void)find(c, TRACE_FINDING_EMPTY, v->vcpu, "nothing was read of it");
        return;
    }
    if (v->has_end && trace_check_ends_trace(v->end_reason)) {
        if (v->end_position != v->position) {
            set_place(find(c, TRACE_FINDING_CONTRADICTION, v->vcpu,
                           "the trace ends at byte %" PRIu64 ", the recording at %" PRIu64,
                           v->end_position, v->position),
                      v->position, 0, false);
        }
        return;
    }
    if (v->has_end) {
        f = find(c, TRACE_FINDING_NOT_ENDED, v->vcpu, "%s: %.200s",
                 xenres_trace_end_reason_name(v->end_reason), v->end_message);
    } else if (m->is_closed) {
        f = find(c, TRACE_FINDING_NOT_ENDED, v->vcpu, "%.200s", m->closed_why);
    } else {
        f = find(c, TRACE_FINDING_NOT_ENDED, v->vcpu, "it was not closed: record --resume goes on");
    }
    set_place(f, v->position, 0, true);
}

/* --- files --- */

static void check_file(struct trace_check *c, const struct manifest_vcpu *v, size_t number,
                       int dir_fd)
{
    const struct manifest_file *file = &v->files[number];
    char name[MANIFEST_NAME_BYTES];
    struct stat st;

    manifest_file_name(v->vcpu, number, name);
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) {
        struct trace_finding *f =
            find(c, TRACE_FINDING_FILE_MISSING, v->vcpu, "%s is not there", name);

        set_place(f, file->position, file->bytes, false);
        set_file(f, v, number, 0);
        return;
    }
    uint64_t size = (uint64_t)st.st_size;

    if (size < file->bytes) {
        struct trace_finding *f =
            find(c, TRACE_FINDING_FILE_SHORT, v->vcpu,
                 "it has %" PRIu64 " bytes, and should have %" PRIu64, size, file->bytes);

        set_place(f, file->position + size, file->bytes - size, false);
        set_file(f, v, number, size);
    } else if (size > file->bytes) {
        struct trace_finding *f =
            find(c, TRACE_FINDING_FILE_LONG, v->vcpu,
                 "it has %" PRIu64 " bytes, of which %" PRIu64 " are no part of the recording",
                 size, size - file->bytes);

        set_file(f, v, number, file->bytes);
    }
}

/* One that the manifest does not know would be taken for a part of it. */
static void check_no_more(struct trace_check *c, const struct manifest_vcpu *v, int dir_fd)
{
    char name[MANIFEST_NAME_BYTES];

    manifest_file_name(v->vcpu, v->file_count, name);
    if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        set_file(find(c, TRACE_FINDING_FILE_LONG, v->vcpu, "%s is no part of the recording", name),
                 v, v->file_count, 0);
    }
}

void trace_check_run(struct trace_check *c, const struct manifest *m, int dir_fd)
{
    *c = (struct trace_check){ .findings = NULL };
    for (size_t i = 0; i < m->vcpu_count; i++) {
        const struct manifest_vcpu *v = &m->vcpus[i];

        walk(c, v);
        check_end(c, m, v);
        for (size_t k = 0; dir_fd >= 0 && k < v->file_count; k++) {
            check_file(c, v, k, dir_fd);
        }
        if (dir_fd >= 0) {
            check_no_more(c, v, dir_fd);
        }
    }
    if (m->vcpu_count == 0) {
        (void)find(c, TRACE_FINDING_EMPTY, 0, "it is of no vCPU");
    }
}

bool trace_check_is_complete(const struct trace_check *c)
{
    return c->finding_count == 0 && c->left_off == 0;
}

void trace_check_done(struct trace_check *c)
{
    free(c->findings);
    *c = (struct trace_check){ .findings = NULL };
}
