/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The sections with titles (config_titled.def) for config.c, which reads the rest: their schema for
 * libconfuse, and their values once it has read them. Every value is text there, and keeps its line.
 * Nobody else includes this. One thread.
 */
#ifndef XENRES_SERVER_CONFIG_TITLED_H
#define XENRES_SERVER_CONFIG_TITLED_H

#include <confuse.h>

#include "server/config.h"

enum {
    CONFIG_TITLED_KINDS_MAX = 8,
    CONFIG_TITLED_ROWS_MAX = 64, /* of all kinds, with an end for each */
};

struct config_titled_schema {
    cfg_opt_t rows[CONFIG_TITLED_ROWS_MAX];
};

/* Appends a section for each kind to `root`; how many. `s` lives as long as what is made of it. */
size_t config_titled_schema(struct config_titled_schema *s, cfg_opt_t *root);

/* Takes what was read into `out`, whose path is set. Each fault is a line in `faults`; a section with one
 * is left out. */
void config_titled_take(cfg_t *cfg, struct config *out, struct buffer *faults);

/* As config_print_options(). */
void config_titled_print(FILE *out);

#endif
