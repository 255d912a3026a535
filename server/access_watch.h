/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The files that decide who somebody is, looked at while the service runs: one that changed (which
 * file it is, its size, its times) has all of them read again, and then the new ones are in force at
 * once, for connections and streams that are open as well, or, where one of them has a fault, the old
 * ones stay and the fault is told. So that who is put on a list is out without anybody's signal. When a
 * revocation list's time is over everybody is judged anew, too: nobody stays in by what lets nobody in.
 *
 * The service's thread.
 */
#ifndef XENRES_SERVER_ACCESS_WATCH_H
#define XENRES_SERVER_ACCESS_WATCH_H

#include "auth/access.h"
#include "server/config.h"
#include "server/http/listener.h"
#include "server/metrics.h"
#include "server/rpc/rpc.h"

enum {
    ACCESS_WATCH_MS = 1000, /* how often access_watch_tick() is to be called */
    ACCESS_RETRY_S = 10,    /* after which what could not be read is tried again, changed or not */
};

/* What a file was; two that are alike are the same content. */
struct file_stamp {
    uint64_t device, inode;
    int64_t size_bytes;
    int64_t modified_s, changed_s; /* the latter also where mode or owner are another */
    int64_t modified_ns, changed_ns;
    int64_t error; /* errno, where it cannot be looked at */
};

struct access_watch {
    const struct config *config;
    const char *paths[ACCESS_FILES_MAX];
    size_t count;
    struct file_stamp stamps[ACCESS_FILES_MAX];
    bool is_due;          /* whatever the stamps say */
    uint64_t retry_at_ns; /* 0: the last reading is in force */
    int64_t judged_s;     /* all that ended by then was noticed; wall clock */
};

/* `config` outlives it. */
void access_watch_init(struct access_watch *w, const struct config *config);
/* Notes how they are, before somebody reads them. True: otherwise than noted before. */
bool access_watch_note(struct access_watch *w);
/* Whoever noted them did not put into force what he read. */
void access_watch_forget(struct access_watch *w);

/* Has what changed read again; streams end whose clients' time is over, or whose authority's list's, and
 * traces whose owners may not have them any more. */
void access_watch_tick(struct access_watch *w, struct listener *listener, struct rpc *rpc,
                       struct metrics *metrics);

#endif
