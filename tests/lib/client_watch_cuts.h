/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Scripts of streams that are cut: how one begins, is resumed, and ends. */
#ifndef XENRES_TESTS_CLIENT_WATCH_CUTS_H
#define XENRES_TESTS_CLIENT_WATCH_CUTS_H

#include "tests/lib/client_watch.h"

#define BEGUN "begin a\nimage 3\ncheckpoint 3\n"

/* As BEGUN is told. */
static inline struct buffer *begun(struct script *s)
{
    struct buffer *b = script_stream(s);

    say_begin(b, (struct say_begin){ .silence_ms = 20000 });
    say_image(b, (struct say_image){ .sequence = 3 });
    say_checkpoint(b, 3, "c3");
    return b;
}

static inline struct buffer *resumed(struct script *s, uint64_t sequence)
{
    struct buffer *b = script_stream(s);

    say_begin(b, (struct say_begin){ .resumed = true, .sequence = sequence });
    return b;
}

static inline void ended(struct script *s, struct buffer *b, uint64_t sequence)
{
    say_end(b, XENRES_END_INCARNATION_ENDED, sequence, "");
    script_then(s, TLS_SERVER_KEEP);
}

#endif
