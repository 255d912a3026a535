/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Values as people read them. Everything that a guest, a toolstack or a server chose passes
 * render_safe(), which no control or deceptive character passes. One thread.
 */
#ifndef XENRES_CLI_RENDER_H
#define XENRES_CLI_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenres.h>

#include "common/buffer.h"

/* Asks the locale and the terminal, once, before all else here. */
void render_init(void);
/* Columns of the terminal on standard output; 0: it is none. */
unsigned render_columns(void);

/* Harmless characters as they are (ASCII only where the locale is not UTF-8), others as \xNN. A
 * backslash stays one: the gateway's own escapes are not escaped again. */
void render_safe(struct buffer *out, const char *text);
/* Columns that harmless text takes. */
unsigned render_width(const char *text);
/* Bytes of harmless text that take at most so many columns. */
size_t render_fitting(const char *text, unsigned columns);

void render_time(struct buffer *out, int64_t seconds, uint32_t nanoseconds); /* "… UTC" */
void render_duration(struct buffer *out, uint64_t ns);                       /* "12.3 us" */
void render_memory(struct buffer *out, uint64_t kib);                        /* "512.0 MiB" */

/* "guest (domain 5, UUID, incarnation HEX)" and a line of what was observed. */
void render_identity(struct buffer *out, const xenres_identity *identity);
void render_observation(struct buffer *out, const xenres_observation *o);

/* A hex view as of hexdump -C, in pieces of any size; equal lines are folded to a '*'. */
struct render_hex {
    uint64_t offset; /* of the line that is being filled */
    uint8_t line[16], last[16];
    size_t len; /* bytes in `line` */
    bool has_last, folding;
};
void render_hex(struct render_hex *hex, struct buffer *out, const void *bytes, size_t len_bytes);
void render_hex_end(struct render_hex *hex, struct buffer *out);

#endif
