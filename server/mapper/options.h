/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The command line: one table of options with bounds, defaults, units and texts, from which the
 * parser and --help are made. Pure.
 */
#ifndef XENRES_MAPPER_OPTIONS_H
#define XENRES_MAPPER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"
#include "common/log.h"

enum { OPTIONS_UNSET = -1 };

struct options {
    const char *socket_path; /* NULL: listen_fd */
    int64_t listen_fd;       /* or OPTIONS_UNSET */
    const char *export_path;
    const char *peer_user, *user; /* NULL: not given */
    const char *backend_argument; /* the sim's scenario; NULL: not given */
    const char *log_level_name;
    enum log_level log_level;
    const char *journal_path; /* of traces; NULL: not given */
    bool exit_with_peer, doctor, version, help;
    int64_t grace_s, arena_mib, slot_max_mib, mappings_max, mapping_idle_s, hypercalls_per_second;
    int64_t samplers, feeds_max, spool_kib_max, spools_mib, period_min_ms;
    int64_t traces_max, pauses_per_second, trace_budget, trace_period_max_ms;
};

/* Strings point into `argv`. -ERROR_INVALID_ARGUMENT with what was expected. With --help or
 * --version nothing else is looked at; with --doctor neither a socket nor an export list is needed. */
int options_parse(int argc, char *argv[], struct options *out, struct failure *f);
void options_help(FILE *to, const char *program);

#endif
