/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The part of <xenres.h> that traces: Intel PT of a domain's vCPUs. That header includes this one; its
 * rules hold here too, and for xenres_trace_read() those of <xenres/watch.h> on callbacks and memory.
 *
 * A trace is of one incarnation of a domain, and has an owner and a lease: it ends when nobody reads or
 * renews it for so long. Of each vCPU that is traced there is a sequence of bytes; each that is known to
 * have been produced has a *position*, those that were lost too: produced = delivered + told as lost.
 * Within a *segment* distances are exact. A new one begins where the trace was reset (a new *epoch*), and
 * behind a loss that may have been larger than it says. The library checks every message against that,
 * and ends with XENRES_INTERNAL where a gateway does not keep it.
 *
 * Cuts     As of watches: a stream that was cut is asked for again and goes on; no byte is delivered twice,
 *          and what is no longer held is told by a gap. So it is where what was shown has expired, and
 *          was renewed in its file.
 * Lives    A trace that is over is over: xenres_trace_read() never goes on with another one.
 */
#ifndef XENRES_TRACE_H
#define XENRES_TRACE_H

#include <xenres.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { XENRES_TRACED_VCPUS_MAX = 128 };

/* Why a trace is over. */
enum xenres_trace_end_reason {
    XENRES_TRACE_RUNS = 0,
    XENRES_TRACE_INCARNATION_ENDED = 1, /* the domain died, is dying, or is another */
    XENRES_TRACE_RENAMED = 2,
    XENRES_TRACE_SHUTDOWN = 3,          /* the domain did; see shutdown_code */
    XENRES_TRACE_STOPPED = 4,           /* somebody stopped it */
    XENRES_TRACE_LEASE_ENDED = 5,
    XENRES_TRACE_TAKEN_OVER = 6,
    XENRES_TRACE_INTERFERED = 7,        /* somebody else ended or changed it: `failure` says what */
    XENRES_TRACE_HARDWARE_ERROR = 8,
    XENRES_TRACE_HARDWARE_STOPPED = 9,
    XENRES_TRACE_SAMPLING_FAILED = 10,
    XENRES_TRACE_MAPPER_GONE = 11,
    XENRES_TRACE_SHUTTING_DOWN = 12,    /* this and the next two: of a stream */
    XENRES_TRACE_PERMISSION_WITHDRAWN = 13,
    XENRES_TRACE_DEADLINE = 14,
    XENRES_TRACE_FAILED = 15,
    XENRES_TRACE_CREDENTIALS_EXPIRED = 16, /* of a stream, too */
    /* Found by the library: */
    XENRES_TRACE_NOT_FOUND = 101        /* after a cut, domain or trace are not there, or are hidden */
};
/* "stopped" for XENRES_TRACE_STOPPED, "runs" for 0, and so on; "" for a number that is none. A
 * constant. */
XENRES_API const char *xenres_trace_end_reason_name(uint32_t reason);

/* What a decoder has to know beside the bytes. 0 or "": not known. */
typedef struct xenres_trace_metadata {
    uint64_t rtit_ctl;              /* IA32_RTIT_CTL as it was set */
    uint64_t buffer_bytes;          /* of each vCPU's ring */
    const char *cpu_vendor;
    uint32_t cpu_family;
    uint32_t cpu_model;
    uint32_t cpu_stepping;
    uint32_t cpuid_15_eax;
    uint32_t cpuid_15_ebx;
    uint32_t cpuid_15_ecx;
    uint32_t nominal_mhz;
    uint32_t tsc_khz;               /* the host's */
    uint32_t guest_tsc_mode;        /* Xen's tsc_mode */
    uint32_t guest_tsc_khz;
    uint32_t guest_bits;
} xenres_trace_metadata;

typedef struct xenres_trace {
    const char *trace_id;           /* 32 hexadecimal digits */
    xenres_identity domain;
    const char *owner;
    const uint32_t *vcpus;          /* ascending */
    size_t vcpu_count;
    bool os;
    bool user;
    bool tsc;
    bool retc;
    uint32_t pauses_per_second;
    uint32_t lease_ms;
    uint32_t lease_left_ms;
    int64_t start_seconds;          /* since 1970 */
    uint32_t start_nanoseconds;
    int64_t end_seconds;            /* 0: it runs */
    uint32_t end_nanoseconds;
    uint32_t end_reason;            /* enum xenres_trace_end_reason */
    uint32_t shutdown_code;         /* Xen's SHUTDOWN_* */
    const xenres_failure *failure;  /* NULL: none */
    bool laps_detectable;           /* false: a loss of whole rounds of the same bytes may go unnoticed */
    xenres_trace_metadata metadata;
} xenres_trace;

typedef struct xenres_trace_vcpu {
    uint32_t vcpu;
    uint64_t produced_bytes;        /* those known to be lost included */
    uint64_t lost_bytes;            /* at least */
    uint32_t open_losses;           /* that may be larger than they say */
    uint32_t segment;
    uint32_t epoch;
    uint32_t fill_permille;         /* of the ring, when it was sampled last */
    uint32_t fill_most_permille;
    uint64_t bytes_per_second;
    uint64_t period_ns;             /* to the next sample */
    uint64_t pauses;
    uint64_t samples;
    uint64_t late_samples;
    bool over;
} xenres_trace_vcpu;

/* --- control ---------------------------------------------------------------------------------- */

typedef struct xenres_trace_options {
    size_t size;                    /* sizeof(xenres_trace_options) */
    const char *domain;             /* as in all queries */
    const char *incarnation;
    const uint32_t *vcpus;          /* NULL: all */
    size_t vcpu_count;
    bool os;                        /* neither of both: both */
    bool user;
    bool no_tsc;
    bool no_retc;
    uint32_t pauses_per_second;     /* of each vCPU; 0: as the gateway is set up */
    uint32_t lease_ms;              /* 0: as the gateway is set up */
    bool takeover;                  /* also where somebody else traces; theirs ends */
} xenres_trace_options;

#define XENRES_TRACE_OPTIONS_INIT(domain_)                                                         \
    { sizeof(xenres_trace_options), (domain_), NULL, NULL, 0, false, false, false, false, 0, 0, false }

/* Begins to trace. *joined (may be NULL): it ran already, and is the caller's. */
XENRES_API int xenres_trace_start(xenres *x, const xenres_trace_options *options, const xenres_trace **trace,
                                  bool *joined, xenres_reply **reply, xenres_error *error);
/* `trace_id` NULL: whichever runs. */
XENRES_API int xenres_trace_stop(xenres *x, const char *domain, const char *trace_id,
                                 const xenres_trace **trace, xenres_reply **reply, xenres_error *error);
XENRES_API int xenres_trace_renew(xenres *x, const char *domain, const char *trace_id, uint32_t lease_ms,
                                  const xenres_trace **trace, xenres_reply **reply, xenres_error *error);

/* The running trace of a domain, or the last one while it is held, also by the name of a domain that is no
 * more; and its vCPUs. */
typedef struct xenres_trace_status {
    xenres_trace trace;
    const xenres_trace_vcpu *vcpus;
    size_t vcpu_count;
} xenres_trace_status;
XENRES_API int xenres_trace_get(xenres *x, const char *domain, const xenres_trace_status **status,
                                xenres_reply **reply, xenres_error *error);

typedef struct xenres_traces {
    const xenres_trace *traces;
    size_t trace_count;
} xenres_traces;
XENRES_API int xenres_trace_list(xenres *x, const xenres_traces **traces, xenres_reply **reply,
                                 xenres_error *error);

/* --- reading ---------------------------------------------------------------------------------- */

typedef struct xenres_trace_query {
    size_t size;                    /* sizeof(xenres_trace_query) */
    const char *domain;
    const char *incarnation;
    const char *trace_id;           /* NULL: the one that there is */
    uint32_t vcpu;
    const char *cursor;             /* of a checkpoint of the same vCPU; NULL or "": from the oldest byte
                                       that is held */
    const char *feed;               /* what was delivered before `position` of this feed is not delivered */
    uint64_t position;              /* again, and what is missing from it on is told. NULL: nothing was */
    uint32_t outage_max_ms;         /* as in xenres_watch_query */
    bool has_place;                 /* with `feed`: the next four are known of `position` too. A loss from it
                                       on is told as exactly as can be then, and else as `at_least` where
                                       another may be hidden in it. What is not so is XENRES_INTERNAL */
    uint64_t offset;                /* as the last data (behind it) or gap said */
    uint32_t segment;
    uint32_t epoch;
    bool is_open;                   /* that was a gap with `at_least`, and its segment that of before: another
                                       segment begins */
} xenres_trace_query;

#define XENRES_TRACE_QUERY_INIT(domain_, vcpu_)                                                    \
    { sizeof(xenres_trace_query), (domain_), NULL, NULL, (vcpu_), NULL, NULL, 0, 0, false, 0, 0, 0, false }

enum xenres_trace_segment_reason {
    XENRES_TRACE_SEGMENT_START = 1,
    XENRES_TRACE_SEGMENT_LOSS = 2,  /* behind a loss that may have been larger than it says */
    XENRES_TRACE_SEGMENT_RESET = 3  /* somebody reset the trace: a new epoch */
};

enum xenres_trace_gap_reason {
    XENRES_TRACE_GAP_LAPPED = 1,    /* the processor went round the ring before it was read */
    XENRES_TRACE_GAP_FAILED = 2,
    XENRES_TRACE_GAP_PAUSED = 3,    /* a budget held samples back, and it was lapped */
    XENRES_TRACE_GAP_RESET = 4,     /* somebody else reset the trace */
    XENRES_TRACE_GAP_TOO_SLOW = 5,  /* we did not read fast enough */
    /* Found by the library: */
    XENRES_TRACE_GAP_INTERRUPTED = 101, /* it came during a cut, and the gateway no longer has it */
    XENRES_TRACE_GAP_BEFORE = 102,  /* it was produced before the first stream, and is no longer held */
    XENRES_TRACE_GAP_AT_END = 103   /* it was produced before the end, and not sent */
};
/* "lapped" for XENRES_TRACE_GAP_LAPPED, and so on; "" for a number that is none. A constant. */
XENRES_API const char *xenres_trace_gap_reason_name(uint32_t reason);

/* What is read. Comes first, and again after each cut. */
typedef struct xenres_trace_begin {
    const xenres_trace *trace;
    uint32_t vcpu;
    bool resumed;
    uint64_t position;              /* of the next byte, as delivered */
    uint64_t offset;
    uint32_t segment;
    uint32_t epoch;
    const char *feed;               /* 32 hexadecimal digits */
    uint32_t silence_max_ms;
} xenres_trace_begin;

typedef struct xenres_trace_segment {
    uint32_t segment;
    uint32_t epoch;
    uint32_t reason;                /* enum xenres_trace_segment_reason */
    uint64_t position;              /* of its first byte */
} xenres_trace_segment;

/* Bytes that follow each other. */
typedef struct xenres_trace_data {
    uint64_t position;              /* of the first */
    uint64_t offset;                /* the same, within the segment */
    uint32_t segment;
    uint32_t epoch;
    const void *bytes;
    size_t len_bytes;
    bool has_sync;
    uint32_t sync_offset;           /* in `bytes`, where the first whole PSB packet begins */
    xenres_sample_time sampled;
    uint64_t tsc;                   /* the host's time stamp counter then */
} xenres_trace_data;

typedef struct xenres_trace_gap {
    uint32_t reason;                /* enum xenres_trace_gap_reason */
    uint64_t position;              /* of the first byte that is missing */
    uint64_t length;
    bool at_least;                  /* it may have been more */
    uint64_t offset;                /* where it goes on */
    uint32_t segment;
    uint32_t epoch;
    int64_t wall_seconds;           /* 0 where the library found it */
    uint32_t wall_nanoseconds;
} xenres_trace_gap;

typedef struct xenres_trace_checkpoint {
    const char *cursor;             /* as of watches */
    const char *feed;
    uint64_t position;              /* of the next byte */
} xenres_trace_checkpoint;

typedef struct xenres_trace_heartbeat {
    int64_t wall_seconds;
    uint32_t wall_nanoseconds;
    uint64_t position;
    const xenres_sample_time *sampled; /* NULL: not known */
} xenres_trace_heartbeat;

typedef struct xenres_trace_interruption {
    const xenres_error *error;
    uint32_t end_reason;            /* where the gateway ended the stream so; else 0 */
    uint32_t tries;
    uint32_t wait_ms;
    uint64_t outage_ms;
    const char *feed;
    uint64_t position;              /* of the next byte, as delivered or told as lost */
    const char *cursor;
} xenres_trace_interruption;

/* The last of a trace. */
typedef struct xenres_trace_end {
    uint32_t reason;                /* enum xenres_trace_end_reason */
    uint32_t shutdown_code;
    const char *message;
    const xenres_failure *failure;  /* NULL: none */
    const char *cursor;
    uint64_t position;              /* bytes produced in all, as far as is known */
} xenres_trace_end;

typedef struct xenres_trace_sink {
    size_t size;                    /* sizeof(xenres_trace_sink) */
    int (*begin)(void *arg, const xenres_trace_begin *begin);
    int (*segment)(void *arg, const xenres_trace_segment *segment);
    int (*data)(void *arg, const xenres_trace_data *data);
    int (*gap)(void *arg, const xenres_trace_gap *gap);
    int (*checkpoint)(void *arg, const xenres_trace_checkpoint *checkpoint);
    int (*heartbeat)(void *arg, const xenres_trace_heartbeat *heartbeat);
    int (*end)(void *arg, const xenres_trace_end *end);
    int (*interrupted)(void *arg, const xenres_trace_interruption *interruption);
    void *arg;
} xenres_trace_sink;

#define XENRES_TRACE_SINK_INIT                                                                     \
    { sizeof(xenres_trace_sink), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }

/*
 * Reads one vCPU of a trace until that ends, through cuts. 0: it has ended, as `end` said. Blocks. Several
 * vCPUs are read with a handle and a thread each.
 */
XENRES_API int xenres_trace_read(xenres *x, const xenres_trace_query *query, const xenres_trace_sink *sink,
                                 xenres_error *error);

#ifdef __cplusplus
}
#endif

#endif
