/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/board.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/render.h"
#include "client/cli/wording.h"
#include "common/clock.h"
#include "common/text.h"

enum { RATE_EVERY_MS = 1000, LINE_MAX_BYTES = 4096 };

void board_init(struct board *b, uint64_t now_ns)
{
    *b = (struct board){ .start_ns = now_ns, .rate_ns = now_ns, .unit = "batch" };
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)snprintf(b->state, sizeof(b->state), "waiting");
}

void board_done(struct board *b)
{
    (void)pthread_mutex_destroy(&b->lock);
}

/* Cut between characters. */
static void keep(char *out, size_t out_bytes, const char *text)
{
    size_t len = text_cut(text, strnlen(text, out_bytes - 1));

    memcpy(out, text, len);
    out[len] = '\0';
}

/* --- told --- */

static struct board_row *row_of(struct board *b, uint64_t key)
{
    /* Keys are numbers in a row, or multiples of 8: both spread by this. */
    struct board_row *set = b->rows[((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % BOARD_SETS];
    struct board_row *oldest = &set[0];

    for (unsigned i = 0; i < BOARD_WAYS; i++) {
        if (set[i].is_used && set[i].key == key) {
            return &set[i];
        }
        if (!set[i].is_used || (oldest->is_used && set[i].changed_ns < oldest->changed_ns)) {
            oldest = &set[i];
        }
    }
    *oldest = (struct board_row){ .is_used = true, .key = key };
    return oldest;
}

static void set_lag(struct board *b, int64_t seconds, uint32_t nanoseconds, uint64_t wall_ns)
{
    if (seconds > 0 && (uint64_t)seconds < INT64_MAX / CLOCK_NS_PER_S) {
        b->lag_ns = (int64_t)wall_ns - (seconds * (int64_t)CLOCK_NS_PER_S + nanoseconds);
        b->has_lag = true;
    }
}

void board_change(struct board *b, const struct teller_change *change, uint64_t now_ns,
                  uint64_t wall_ns)
{
    (void)pthread_mutex_lock(&b->lock);
    struct board_row *row = row_of(b, change->key);

    row->mark = change->mark;
    keep(row->label, sizeof(row->label), change->label);
    keep(row->text, sizeof(row->text), change->text);
    if (change->mark != TELLER_STANDS) {
        row->changed_ns = now_ns;
        row->changes++;
        set_lag(b, change->wall_seconds, change->wall_nanoseconds, wall_ns);
    }
    (void)pthread_mutex_unlock(&b->lock);
}

void board_notice(struct board *b, enum teller_notice notice, const char *text)
{
    (void)pthread_mutex_lock(&b->lock);
    b->is_cut = notice == TELLER_CUT || notice == TELLER_END;
    switch (notice) {
    case TELLER_BEGIN:
        keep(b->title, sizeof(b->title), text);
        keep(b->state, sizeof(b->state), "live");
        break;
    case TELLER_WHOLE:
        /* All that there is comes now: what does not is not there any more. */
        memset(b->rows, 0, sizeof(b->rows));
        break;
    case TELLER_GAP: keep(b->state, sizeof(b->state), "live, after a loss"); break;
    case TELLER_CUT:
    case TELLER_END: keep(b->state, sizeof(b->state), text); break;
    }
    (void)pthread_mutex_unlock(&b->lock);
}

void board_sums(struct board *b, const struct teller_sums *sums, const char *unit)
{
    (void)pthread_mutex_lock(&b->lock);
    b->sums = *sums;
    keep(b->unit, sizeof(b->unit), unit);
    (void)pthread_mutex_unlock(&b->lock);
}

void board_alive(struct board *b, const xenres_watch_heartbeat *heartbeat, uint64_t wall_ns)
{
    (void)pthread_mutex_lock(&b->lock);
    b->samples = heartbeat->samples;
    b->failed_samples = heartbeat->failed_samples;
    if (heartbeat->sampled != NULL) {
        set_lag(b, heartbeat->sampled->wall_seconds, heartbeat->sampled->wall_nanoseconds, wall_ns);
    }
    (void)pthread_mutex_unlock(&b->lock);
}

/* --- drawn --- */

static void measure(struct board *b, uint64_t now_ns)
{
    uint64_t past_ns = now_ns - b->rate_ns;

    if (past_ns < RATE_EVERY_MS * CLOCK_NS_PER_MS) {
        return;
    }
    double seconds = (double)past_ns / (double)CLOCK_NS_PER_S;

    b->changes_per_s = (double)(b->sums.changes - b->rate_sums.changes) / seconds;
    b->batches_per_s = (double)(b->sums.batches - b->rate_sums.batches) / seconds;
    b->rate_ns = now_ns;
    b->rate_sums = b->sums;
}

static void append_status(const struct board *b, struct buffer *out, uint64_t now_ns)
{
    buffer_printf(out, "%.0f s  %.1f changes/s  %.1f ",
                  (double)(now_ns - b->start_ns) / (double)CLOCK_NS_PER_S, b->changes_per_s,
                  b->batches_per_s);
    wording_unit(out, b->unit, 2);
    buffer_append_string(out, "/s  ");
    if (b->has_lag && b->lag_ns >= 0) {
        buffer_append_string(out, "lag ");
        render_duration(out, (uint64_t)b->lag_ns);
        buffer_append_string(out, "  ");
    } else if (b->has_lag) {
        buffer_append_string(out, "lag unknown: the clocks differ  ");
    }
    wording_lost(out, b->unit, b->sums.gaps, b->sums.lost);
    if (b->failed_samples > 0) {
        buffer_printf(out, "  %" PRIu64 " of %" PRIu64 " samples failed", b->failed_samples,
                      b->samples);
    }
    buffer_printf(out, "  %s", b->state);
}

/* A line of the picture: as much of `line` as there are columns for. */
static void append_line(struct buffer *out, struct buffer *line, unsigned columns,
                        const char *before, const char *behind, bool is_last)
{
    const char *text = buffer_string(line);

    buffer_append_string(out, before);
    buffer_append(out, text, text != NULL ? render_fitting(text, columns) : 0);
    buffer_append_string(out, behind);
    buffer_append_string(out, is_last ? "\x1b[K" : "\x1b[K\r\n");
    buffer_reset(line);
}

/* The last ones that changed come first; of those that never did, the first ones. */
static int by_change(const void *a, const void *b)
{
    const struct board_row *x = *(const struct board_row *const *)a;
    const struct board_row *y = *(const struct board_row *const *)b;

    if (x->changed_ns != y->changed_ns) {
        return x->changed_ns > y->changed_ns ? -1 : 1;
    }
    return (x->key > y->key) - (x->key < y->key);
}

static int by_key(const void *a, const void *b)
{
    const struct board_row *x = *(const struct board_row *const *)a;
    const struct board_row *y = *(const struct board_row *const *)b;

    return (x->key > y->key) - (x->key < y->key);
}

/* Those that there is room for, in the order of their places. */
static size_t choose_rows(const struct board *b, const struct board_row **rows, size_t room)
{
    size_t count = 0;

    for (unsigned i = 0; i < BOARD_ROWS_MAX; i++) {
        const struct board_row *row = &b->rows[i / BOARD_WAYS][i % BOARD_WAYS];

        if (row->is_used) {
            rows[count++] = row;
        }
    }
    qsort(rows, count, sizeof(rows[0]), by_change);
    count = count < room ? count : room;
    qsort(rows, count, sizeof(rows[0]), by_key);
    return count;
}

static void append_row(struct buffer *line, const struct board_row *row, uint64_t now_ns)
{
    static const char marks[] = {
        [TELLER_STANDS] = ' ',
        [TELLER_APPEARED] = '+',
        [TELLER_CHANGED] = '*',
        [TELLER_WENT_AWAY] = '-',
    };

    buffer_printf(line, "%c %-14s %s", marks[row->mark], row->label, row->text);
    if (row->changes > 0) {
        buffer_printf(line, "  [%" PRIu64 ", %.0f s ago]", row->changes,
                      (double)(now_ns - row->changed_ns) / (double)CLOCK_NS_PER_S);
    }
}

void board_draw(struct board *b, struct buffer *out, unsigned lines, unsigned columns,
                const char *marked, const char *unmarked, uint64_t now_ns)
{
    const struct board_row *rows[BOARD_ROWS_MAX];
    BUFFER_AUTO(line, LINE_MAX_BYTES);

    columns = columns < BOARD_COLUMNS_MAX ? columns : BOARD_COLUMNS_MAX;
    lines = lines < BOARD_LINES_MAX ? lines : BOARD_LINES_MAX;
    (void)pthread_mutex_lock(&b->lock);
    measure(b, now_ns);
    size_t count = choose_rows(b, rows, lines > 2 ? lines - 2 : 0);

    buffer_append_string(out, "\x1b[H");
    buffer_append_string(&line, b->title);
    append_line(out, &line, columns, "\x1b[1m", "\x1b[0m", false);
    for (size_t i = 0; i < count; i++) {
        bool is_marked = rows[i]->changed_ns != 0 &&
                         now_ns - rows[i]->changed_ns < BOARD_MARKED_MS * CLOCK_NS_PER_MS;

        append_row(&line, rows[i], now_ns);
        append_line(out, &line, columns, is_marked ? marked : "", is_marked ? unmarked : "", false);
    }
    if (count == 0 && lines > 2) {
        buffer_append_string(&line, "  no change so far");
        append_line(out, &line, columns, "", "", false);
    }
    buffer_append_string(out, "\x1b[J");
    buffer_printf(out, "\x1b[%u;1H", lines);
    append_status(b, &line, now_ns);
    append_line(out, &line, columns, "\x1b[7m", "\x1b[0m", true);
    (void)pthread_mutex_unlock(&b->lock);
}

void board_summary(struct board *b, struct buffer *out, uint64_t now_ns)
{
    (void)pthread_mutex_lock(&b->lock);
    buffer_printf(out, "%.1f s: %" PRIu64 " ",
                  (double)(now_ns - b->start_ns) / (double)CLOCK_NS_PER_S, b->sums.batches);
    wording_unit(out, b->unit, b->sums.batches);
    buffer_printf(out, ", %" PRIu64 " ", b->sums.changes);
    wording_unit(out, "change", b->sums.changes);
    buffer_append_string(out, ", ");
    wording_lost(out, b->unit, b->sums.gaps, b->sums.lost);
    (void)pthread_mutex_unlock(&b->lock);
}
