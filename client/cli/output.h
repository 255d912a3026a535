/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Where an answer goes: standard output, or a file that appears under its name only when it is
 * whole. A regular file (new, or there already) is written beside its name, with mode 0600 when new
 * because guests' pages are secrets, and renamed; a device or a pipe is written to. On a signal
 * that ends the program the unfinished file is removed. One output at a time (the signal handler
 * knows one name).
 */
#ifndef XENRES_CLI_OUTPUT_H
#define XENRES_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"

struct output {
    int fd;
    char *path;       /* as given; NULL: standard output */
    char *final_path; /* NULL: nothing to rename */
    char *temporary_path;
    bool
        is_endless; /* by whoever opened it: a reader who leaves has seen enough, and that is no failure */
    bool reader_left; /* so it was: nothing is reported, and the status is not to be believed */
};

#define OUTPUT_AUTO __attribute__((cleanup(output_abandon))) struct output

/* `path` NULL: standard output. Not 0: reported, and the exit status. */
int output_open(struct output *o, const char *path);
int output_write(struct output *o, const void *bytes, size_t len_bytes);
/* Writes a rendered text; one that failed to be rendered is reported. */
int output_text(struct output *o, struct buffer *text);
/* All is written: makes the file appear. Not 0: reported; the exit status. */
int output_commit(struct output *o);
/* Removes what is unfinished. Harmless after output_commit(). */
void output_abandon(struct output *o);
/* All of a rendered text to standard output: the exit status. */
int output_print(struct buffer *text);
/* Writes to a terminal? */
bool output_is_terminal(const struct output *o);

#endif
