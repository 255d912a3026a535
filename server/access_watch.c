/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/access_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/faults.h"
#include "server/material.h"

_Static_assert(sizeof(struct file_stamp) == 8 * sizeof(uint64_t), "no padding: compared as bytes");

static struct file_stamp stamp_of(const char *path)
{
    struct file_stamp stamp = { 0 };
    struct stat st;

    if (stat(path, &st) != 0) {
        stamp.error = errno;
        return stamp;
    }
    stamp.device = st.st_dev;
    stamp.inode = st.st_ino;
    stamp.size_bytes = st.st_size;
    stamp.modified_s = st.st_mtim.tv_sec;
    stamp.modified_ns = st.st_mtim.tv_nsec;
    stamp.changed_s = st.st_ctim.tv_sec;
    stamp.changed_ns = st.st_ctim.tv_nsec;
    return stamp;
}

void access_watch_init(struct access_watch *w, const struct config *config)
{
    struct access_options options;

    *w = (struct access_watch){
        .config = config,
        .judged_s = (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S),
    };
    material_access_options(config, &options);
    w->count = access_files(&options, w->paths);
    (void)access_watch_note(w);
}

bool access_watch_note(struct access_watch *w)
{
    bool changed = w->is_due;

    w->is_due = false;
    for (size_t i = 0; i < w->count; i++) {
        const struct file_stamp stamp = stamp_of(w->paths[i]);

        changed |= memcmp(&stamp, &w->stamps[i], sizeof(stamp)) != 0;
        w->stamps[i] = stamp;
    }
    return changed;
}

void access_watch_forget(struct access_watch *w)
{
    w->is_due = true;
}

static bool load(const struct config *config, struct listener *listener, struct rpc *rpc)
{
    static const char doing[] =
        "a file that decides who is let in has changed, and all stays as it was";
    struct access *fresh = NULL;
    struct failure f = { 0 };
    BUFFER_AUTO(faults, FAULTS_MAX_BYTES);
    int result = material_load_access(config, &fresh, &faults, &f);

    if (result != 0) {
        faults_log(LOG_LEVEL_ERROR, doing, &faults);
        return false;
    }
    result = listener_set_access(listener, fresh, &f);
    if (result == 0) {
        rpc_set_access(rpc, fresh);
        log_info("read again what decides who is let in");
    } else {
        log_failure(LOG_LEVEL_ERROR, doing, &f);
    }
    access_unref(fresh);
    return result == 0;
}

/* By what is in force. */
static void judge_again(struct access_watch *w, int64_t now_s, struct listener *listener,
                        struct rpc *rpc)
{
    struct access *access = rpc_access(rpc);
    struct failure f = { 0 };

    if (access != NULL && access_lists_end(access, w->judged_s, now_s)) {
        log_warning(
            "a revocation list is older than it says it may be: whoever it is needed for is "
            "let in no more, until there is a newer one");
        if (listener_set_access(listener, access, &f) == 0) {
            rpc_set_access(rpc, access);
        } else {
            log_failure(LOG_LEVEL_ERROR, "judging anew who is let in", &f);
            now_s = w->judged_s; /* once more, then */
        }
    }
    w->judged_s = now_s;
    access_unref(access);
}

/* What failed may have failed for another reason than the files: no memory, no descriptor, no answer. */
static bool is_retry_due(const struct access_watch *w)
{
    return w->retry_at_ns != 0 && clock_monotonic_ns() >= w->retry_at_ns;
}

void access_watch_tick(struct access_watch *w, struct listener *listener, struct rpc *rpc,
                       struct metrics *metrics)
{
    if (access_watch_note(w) || is_retry_due(w)) {
        bool loaded = load(w->config, listener, rpc);

        metrics_access_reloaded(metrics, loaded);
        w->retry_at_ns = loaded ? 0 : clock_monotonic_ns() + ACCESS_RETRY_S * CLOCK_NS_PER_S;
    }
    int64_t now_s = (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S);

    judge_again(w, now_s, listener, rpc);
    rpc_judge_traces(rpc);
    rpc_expire(rpc, now_s);
}
