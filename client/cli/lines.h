/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a watch tells, one line a change, or one JSON object a message of the API; written at once,
 * since the next one may be long in coming. One thread.
 */
#ifndef XENRES_CLI_LINES_H
#define XENRES_CLI_LINES_H

#include "client/cli/output.h"
#include "client/cli/recording.h"
#include "client/cli/teller.h"

enum { LINES_MAX_BYTES = 1 << 30 }; /* of one message */

struct lines {
    struct output *output;
    struct buffer text;
    const uint64_t *wall_ns; /* when what is told came: for what has no time of its own */
};

#define LINES_AUTO __attribute__((cleanup(lines_done))) struct lines

/* Both pointers are the caller's, and outlive it. */
void lines_init(struct lines *l, struct output *output, const uint64_t *wall_ns);
void lines_done(struct lines *l);
struct teller_out lines_out(struct lines *l);
/* A message as it came, in JSON. 0, or reported: the exit status. */
int lines_message(struct lines *l, enum recording_stream stream, const void *message,
                  size_t len_bytes);

#endif
