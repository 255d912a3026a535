/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres trace packets: a recorded trace's packets through libipt, file by file: no packet reaches over a
 * gap. Where this program was built without libipt, it says so. */
#ifndef XENRES_CLI_TRACE_PACKETS_H
#define XENRES_CLI_TRACE_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace_packets_options {
    const char *folder;
    const uint32_t *vcpus; /* NULL: all */
    size_t vcpu_count;
    bool has_stats; /* how many of each instead of each */
    bool is_json;   /* with stats */
};

/* The exit status: that of data loss where bytes are no packets. */
int trace_packets_run(const struct trace_packets_options *options);

#endif
