/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a recorded trace's manifest.json says, which xenres-trace(5) describes: whose trace it is, which
 * files hold which of its bytes, what is missing, and where one can go on. In memory, from JSON and to
 * JSON. What is read is not trusted: sizes, counts and texts are bounded; whether it is true of the files
 * is verification's affair (trace_check.h). One owner.
 */
#ifndef XENRES_CLI_TRACE_MANIFEST_H
#define XENRES_CLI_TRACE_MANIFEST_H

#include <xenres.h>

#include "common/buffer.h"
#include "common/error.h"

enum {
    MANIFEST_VERSION = 1,
    MANIFEST_MAX_BYTES = 64 << 20,
    MANIFEST_TEXT_BYTES = 256,
    MANIFEST_CURSOR_BYTES = 4096,
    MANIFEST_FILES_MAX = 16384, /* of a vCPU, as of gaps */
    MANIFEST_GAPS_MAX = 16384,
    MANIFEST_TIMES_MAX = 512, /* pairs; an even number */
    MANIFEST_NAME_BYTES = 32, /* "vcpu127.16383.pt" */
};

/* Bytes without a hole between them, of one segment. Its number is its index. */
struct manifest_file {
    uint64_t position, offset; /* of its first byte: over the trace, and within the segment */
    uint64_t bytes;
    uint32_t segment, epoch;
    bool has_sync;
    uint64_t sync; /* in the file, where the first PSB is */
};

struct manifest_gap {
    uint32_t reason; /* enum xenres_trace_gap_reason; UINT32_MAX: one that we do not know */
    uint64_t position, length;
    bool at_least;
    uint32_t segment, epoch; /* where it goes on */
    uint64_t offset;
    int64_t seconds; /* 0: not known */
    uint32_t nanoseconds;
};

/* When the bytes before a position had been sampled, by the host's clocks. */
struct manifest_time {
    uint64_t position, tsc, monotonic_ns;
    int64_t seconds;
    uint32_t nanoseconds;
};

struct manifest_vcpu {
    uint32_t vcpu;
    char feed[33]; /* "": nothing was read yet */
    char cursor[MANIFEST_CURSOR_BYTES];
    uint64_t position; /* all before it is in a file, or in a gap */
    uint32_t interruptions;
    struct manifest_file *files;
    size_t file_count;
    struct manifest_gap *gaps;
    size_t gap_count;
    struct manifest_time *times;
    size_t time_count;
    uint64_t time_stride, times_seen; /* each so-manyth is kept, of so many */
    bool has_end;
    uint32_t end_reason, shutdown_code;
    uint64_t end_position;
    char end_message[MANIFEST_TEXT_BYTES];
};

struct manifest {
    bool is_closed; /* else it is being written, or its writer was killed */
    char closed_why[MANIFEST_TEXT_BYTES];
    bool is_ours; /* the trace was started for this recording */
    struct {
        char uuid[MANIFEST_TEXT_BYTES], boot_id[MANIFEST_TEXT_BYTES];
        char hostname[MANIFEST_TEXT_BYTES], xen_version[MANIFEST_TEXT_BYTES];
        char gateway_version[MANIFEST_TEXT_BYTES], backend[MANIFEST_TEXT_BYTES];
    } host;
    uint32_t domid;
    char uuid[64], name[MANIFEST_TEXT_BYTES], incarnation[33];
    char trace_id[33], owner[2 * MANIFEST_TEXT_BYTES], cpu_vendor[MANIFEST_TEXT_BYTES];
    uint32_t traced[XENRES_TRACED_VCPUS_MAX];
    size_t traced_count;
    xenres_trace trace; /* its numbers: texts, identity and vCPUs are those above */
    struct manifest_vcpu *vcpus;
    size_t vcpu_count;
};

#define MANIFEST_AUTO __attribute__((cleanup(manifest_done))) struct manifest

void manifest_done(struct manifest *m);
/* A text of it, cut between characters where it is too long. */
void manifest_take_text(char *out, size_t size, const char *text);
/* Takes what is known of it; texts that are too long are cut. */
void manifest_set_trace(struct manifest *m, const xenres_trace *trace);
void manifest_set_host(struct manifest *m, const xenres_host *host);
/* `count` vCPUs of which nothing was read; false: no memory. */
bool manifest_set_vcpus(struct manifest *m, const uint32_t *vcpus, size_t count);
/* A copy of one, with arrays of its own; false: no memory. */
bool manifest_copy_vcpu(struct manifest_vcpu *out, const struct manifest_vcpu *in);
void manifest_done_vcpu(struct manifest_vcpu *v);

/* Each false: no memory, or no more is taken. */
bool manifest_add_file(struct manifest_vcpu *v, const struct manifest_file *file);
bool manifest_add_gap(struct manifest_vcpu *v, const struct manifest_gap *gap);
/* Thins out what is there where it is full: at most half of the maximum stays, over the whole length. */
bool manifest_add_time(struct manifest_vcpu *v, const struct manifest_time *t);

/* Where the next byte is, behind all that files and gaps hold. */
struct manifest_place {
    uint64_t position, offset;
    uint32_t segment, epoch;
    bool is_open; /* behind a loss that may be larger: another segment begins */
};
struct manifest_place manifest_next(const struct manifest_vcpu *v);

struct manifest_sums {
    uint64_t produced, delivered, lost;
    uint64_t open_losses; /* which may be larger than they say */
};
struct manifest_sums manifest_sum(const struct manifest_vcpu *v);

/* "vcpu0.pt", "vcpu0.1.pt" */
void manifest_file_name(uint32_t vcpu, size_t number, char out[MANIFEST_NAME_BYTES]);

/* False: no memory. */
bool manifest_print(const struct manifest *m, struct buffer *out);
/* -ERROR_INVALID_ARGUMENT: it is none; -ERROR_UNIMPLEMENTED: of a later version. */
int manifest_parse(const void *text, size_t len_bytes, struct manifest *out, struct failure *f);

#endif
