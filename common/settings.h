/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * libconfuse, made strict: the one way in which xenresd and the simulator read files that people
 * write. A file is bounded, read once, and checked (settings_text.h) before libconfuse reads it;
 * every fault gets its file and line. Linked by xenresd and xenresd-mapper-sim, never by
 * xenresd-mapper.
 */
#ifndef XENRES_COMMON_SETTINGS_H
#define XENRES_COMMON_SETTINGS_H

#include <confuse.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/error.h"

/*
 * Parses a text, NUL-ended behind its `len_bytes` (its comments are made spaces), into `cfg`, made
 * by cfg_init() with the caller's schema; `path` is for the faults. Faults of syntax and those that
 * validators report through settings_fault() are appended to `faults`, a line each:
 * `file:line: what`. -ERROR_INVALID_ARGUMENT when there was any. libconfuse stops at the first
 * fault of syntax: then `*is_whole` is false. Options that the schema does not have and numbers that are
 * none are taken out of the text and passed over; validators that return 0 after settings_fault() let it go
 * on, too: so that all faults are told, and what is right can be looked at. Any thread: one parses at a time.
 */
int settings_parse_text(cfg_t *cfg, const char *path, char *text, size_t len_bytes,
                        struct buffer *faults, bool *is_whole, struct failure *f);

/* Within settings_parse_text(), from a validator: a fault in the line that libconfuse has reached. */
void settings_fault(cfg_t *cfg, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* After it: a fault of a line that the caller remembered, or (line 0) of the whole file. */
void settings_fault_at(struct buffer *faults, const char *path, unsigned line, const char *format,
                       ...) __attribute__((format(printf, 4, 5)));

/* The whole of a regular file of at most `max_bytes`, appended to `content`. */
int settings_read_file(const char *path, size_t max_bytes, struct buffer *content,
                       struct failure *f);

#endif
