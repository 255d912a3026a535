/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A folder with a recorded trace: who writes into it, its manifest, and the files of its vCPUs.
 *
 * One writer at a time (a lock on the folder). A file's bytes are written as they come; the manifest says
 * how many of them count, and is replaced as a whole, after what it speaks of has reached the disk: killed
 * at any moment, manifest and files agree up to what the manifest says, and what is behind that is cut off
 * when the recording goes on.
 */
#ifndef XENRES_CLI_TRACE_FILES_H
#define XENRES_CLI_TRACE_FILES_H

#include <pthread.h>

#include "client/cli/trace_manifest.h"

/* Opens the folder, and makes it where `is_new`; then it must hold no recording. Locked until it is closed.
 * *fd is the caller's. */
int trace_files_open(const char *path, bool is_new, int *fd, struct failure *f);
/* The same to read, without a lock. */
int trace_files_open_to_read(const char *path, int *fd, struct failure *f);
/* The manifest that is there. */
int trace_files_load(int dir_fd, struct manifest *out, struct failure *f);
int trace_files_save(int dir_fd, const struct manifest *m, struct failure *f);
/* Cuts off what is behind what the manifest says, and removes files that it does not know. A file with less
 * is -ERROR_DATA_LOSS. */
int trace_files_trim(int dir_fd, const struct manifest *m, struct failure *f);

/* One vCPU, written by its thread; looked at by the one that saves. */
struct trace_writer {
    int dir_fd;           /* not its own */
    pthread_mutex_t lock; /* all below */
    struct manifest_vcpu vcpu;
    int fd;           /* of the last file; -1: not open */
    bool sync_failed; /* once: the system says so once, and nothing more of it counts */
    struct failure f; /* the first that happened */
};

/* Takes over *vcpu's arrays. */
void trace_writer_init(struct trace_writer *w, int dir_fd, struct manifest_vcpu *vcpu);
void trace_writer_done(struct trace_writer *w);

/* What comes. Not 0: w->f says why, and nothing of it counts. */
int trace_writer_begin(struct trace_writer *w, const xenres_trace_begin *begin);
int trace_writer_data(struct trace_writer *w, const xenres_trace_data *data);
int trace_writer_gap(struct trace_writer *w, const xenres_trace_gap *gap);
int trace_writer_checkpoint(struct trace_writer *w, const xenres_trace_checkpoint *checkpoint);
int trace_writer_interrupted(struct trace_writer *w);
int trace_writer_end(struct trace_writer *w, const xenres_trace_end *end);

/* A copy of what counts now, with all of it on the disk; *out is the caller's. Where it once could not be
 * brought there, nothing more is settled. */
int trace_writer_settle(struct trace_writer *w, struct manifest_vcpu *out, struct failure *f);

#endif
