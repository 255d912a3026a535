/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Aligned columns. On a terminal, the last column is wrapped under itself where it does not fit, so
 * that nothing is cut; elsewhere each row is one line. Cells are made harmless as they come in. A
 * table without titles is a list of names and values. Titles and cells are painted as for standard
 * output.
 */
#ifndef XENRES_CLI_TABLE_H
#define XENRES_CLI_TABLE_H

#include <stdbool.h>

#include "client/cli/paint.h"
#include "common/buffer.h"

enum { TABLE_COLUMNS_MAX = 12, TABLE_MAX_BYTES = 1 << 30 };

struct table {
    unsigned column_count;
    bool has_titles;
    bool right[TABLE_COLUMNS_MAX]; /* numbers */
    unsigned width[TABLE_COLUMNS_MAX];
    unsigned column;     /* of the next cell */
    struct buffer cells; /* each a byte for its paint, and its text, ended by a NUL */
};

#define TABLE_AUTO __attribute__((cleanup(table_done))) struct table

/* `titles`: "REF>|KIND|DETAIL": a '>' after a title aligns its column to the right. NULL: two
 * columns without titles. */
void table_init(struct table *t, const char *titles);
void table_done(struct table *t);

void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_painted(struct table *t, enum paint paint, const char *text);
/* A name and its value, for tables without titles. */
void table_pair(struct table *t, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends all of it. `columns`: of the terminal, 0: none. */
void table_render(struct table *t, unsigned columns, struct buffer *out);

#endif
