/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The live view's content: what changed last, a row a place, and a status line with rates, lag and
 * losses. One thread tells it of changes, another draws: all of it is behind one lock. Time is passed
 * in. Where there are more places than it has rows, those that changed longest ago give way.
 */
#ifndef XENRES_CLI_BOARD_H
#define XENRES_CLI_BOARD_H

#include <pthread.h>

#include "client/cli/teller.h"

enum {
    BOARD_SETS = 256, /* a power of two */
    BOARD_WAYS = 4,
    BOARD_ROWS_MAX = BOARD_SETS * BOARD_WAYS,
    BOARD_TEXT_BYTES = 256, /* of a row; longer ones are cut */
    BOARD_COLUMNS_MAX = 500,
    BOARD_LINES_MAX = 500,
    BOARD_MARKED_MS = 1000, /* so long a change is marked */
};

struct board_row {
    bool is_used;
    enum teller_mark mark;
    uint64_t key;
    uint64_t changed_ns; /* monotonic; 0: never */
    uint64_t changes;
    char label[TELLER_LABEL_BYTES];
    char text[BOARD_TEXT_BYTES];
};

struct board {
    pthread_mutex_t lock;
    struct board_row rows[BOARD_SETS][BOARD_WAYS];
    struct teller_sums sums;
    char unit[8];
    char title[BOARD_TEXT_BYTES];
    char state[BOARD_TEXT_BYTES];
    bool is_cut;
    uint64_t start_ns;
    int64_t lag_ns; /* of the last sample that something came of; negative: the clocks differ */
    bool has_lag;
    uint64_t samples, failed_samples;
    /* Of the rates: what the sums were when they were looked at. */
    uint64_t rate_ns;
    struct teller_sums rate_sums;
    double changes_per_s, batches_per_s;
};

/* It is large: the caller allocates. `now_ns` is monotonic in all of them. */
void board_init(struct board *b, uint64_t now_ns);
void board_done(struct board *b);

void board_change(struct board *b, const struct teller_change *change, uint64_t now_ns,
                  uint64_t wall_ns);
void board_notice(struct board *b, enum teller_notice notice, const char *text);
void board_sums(struct board *b, const struct teller_sums *sums, const char *unit);
void board_alive(struct board *b, const xenres_watch_heartbeat *heartbeat, uint64_t wall_ns);

/* Appends the whole picture, `lines` lines of at most `columns` each, with the escapes of a terminal
 * that shows it from its upper left corner on. `marked`: what stands before and behind a row that has
 * just changed. */
void board_draw(struct board *b, struct buffer *out, unsigned lines, unsigned columns,
                const char *marked, const char *unmarked, uint64_t now_ns);
/* The sums, in a line without its end. */
void board_summary(struct board *b, struct buffer *out, uint64_t now_ns);

#endif
