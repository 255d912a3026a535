/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The files of what a handle shows: certificate, key, token. What they were, as far as their attributes tell,
 * so that one who is told that it has expired knows whether there is something else to show by now. Any
 * thread.
 */
#ifndef XENRES_CLIENT_PAPERS_H
#define XENRES_CLIENT_PAPERS_H

#include "client/handle.h"

enum { PAPERS_MAX = 3 };

/* All zeros: it is not there, or no file is named. */
struct paper {
    uint64_t device, inode;
    int64_t size_bytes, modified_s, modified_ns, changed_s, changed_ns;
};
struct papers {
    struct paper files[PAPERS_MAX];
};

/* Before they are read. */
void papers_note(struct papers *p, const xenres *handle);
/* Is any of them another than it was noted? */
bool papers_changed(const struct papers *p, const xenres *handle);

#endif
