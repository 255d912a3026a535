/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * libxenres: the C client of xenresd, which lets programs elsewhere look into the pages that Xen
 * shares with dom0. libxenres(3) is the overview, with an example.
 *
 * Rules that hold for every function, unless it says otherwise:
 *
 * Returns      0, or the negative of an enum xenres_code. Outputs change only on success.
 * Errors       The last argument is the caller's xenres_error, filled on failure, not touched on
 *              success; NULL where nobody will read it.
 * Retries      What failed for the moment (XENRES_UNAVAILABLE: nobody there, connection cut, gateway
 *              not ready) is asked again, twice unless the options say otherwise, after waits that
 *              grow, and within the call's own timeout. Only questions that may be asked twice
 *              without harm are, and only as long as nothing of an answer was handed on.
 * Memory       An answer comes as a xenres_reply, which owns everything that the view beside it
 *              points to. Release it with xenres_reply_free(). Strings passed in are copied, or not
 *              used after the call.
 * Strings      NUL-ended UTF-8. Those in answers are never NULL. Names that a guest or a toolstack
 *              chose come with control characters escaped by the gateway, but a program that shows
 *              them has to escape them for where it shows them.
 * Numbers      Enumerations in answers are uint32_t: a newer gateway may send values that this
 *              header does not know. They are passed on as they came.
 * Structs      Those that a caller fills begin with `size`: set it to sizeof, best by the macro
 *              that ends in _INIT. That is how later versions add fields. Views may grow at their
 *              end: never copy one by its size, nor make arrays of your own of them.
 * Threads      A handle serves one call or stream at a time. It may move between threads; a second
 *              call while one runs, or while a stream is open, fails with
 *              XENRES_FAILED_PRECONDITION and does no harm. xenres_cancel() alone may be called
 *              beside it. Different handles are independent. A reply belongs to whoever holds it and
 *              needs no handle.
 * Blocking     Functions that ask the gateway block, up to the handle's timeouts, or until
 *              xenres_cancel(). No others do.
 * Process      No globals, no output, no signals raised or handlers set, no abort on what a server
 *              sends. Not safe to use a handle on both sides of a fork().
 * Since        1.0 (soname 1), all of it.
 *
 * What comes from the server is not trusted: sizes and nesting are bounded, every message is
 * checked before it is decoded, and an answer about another domain than the one asked for is an
 * error.
 */
#ifndef XENRES_H
#define XENRES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define XENRES_API __attribute__((visibility("default")))
#else
#define XENRES_API
#endif

/* --- version --------------------------------------------------------------------------------- */

/* Of this header. Compare with what xenres_version_number() says of the library that runs. */
#define XENRES_VERSION_MAJOR 1
#define XENRES_VERSION_MINOR 0
#define XENRES_VERSION_NUMBER (XENRES_VERSION_MAJOR * 1000 + XENRES_VERSION_MINOR)

/* The release that the library is of, for instance "0.1.0". A constant; never NULL. */
XENRES_API const char *xenres_version(void);
/* The interface that the library has, as XENRES_VERSION_NUMBER: at least the header's, or the
 * program must not use what its header has and the library has not. */
XENRES_API unsigned xenres_version_number(void);

/* --- errors ---------------------------------------------------------------------------------- */

/* Kinds of failure: Connect's codes, and what a caller does about each. */
enum xenres_code {
    XENRES_OK = 0,
    XENRES_CANCELED = 1,            /* xenres_cancel() or a callback of yours ended the call */
    XENRES_UNKNOWN = 2,             /* report it */
    XENRES_INVALID_ARGUMENT = 3,    /* correct the call or the options */
    XENRES_DEADLINE_EXCEEDED = 4,   /* ask again, or with longer timeouts */
    XENRES_NOT_FOUND = 5,           /* no such domain, resource or method: list them */
    XENRES_ALREADY_EXISTS = 6,
    XENRES_PERMISSION_DENIED = 7,   /* ask the gateway's administrator for it */
    XENRES_RESOURCE_EXHAUSTED = 8,  /* ask for less, or later */
    XENRES_FAILED_PRECONDITION = 9, /* domain, host or handle is not in a state for it */
    XENRES_ABORTED = 10,            /* the domain changed meanwhile: resolve it again, then retry */
    XENRES_OUT_OF_RANGE = 11,       /* beyond what is there */
    XENRES_UNIMPLEMENTED = 12,      /* this gateway, kernel or hypervisor cannot do it */
    XENRES_INTERNAL = 13,           /* a fault of the gateway, or its answer makes no sense */
    XENRES_UNAVAILABLE = 14,        /* not reached, or not ready: retry with back-off */
    XENRES_DATA_LOSS = 15,
    XENRES_UNAUTHENTICATED = 16     /* one side does not trust the other's certificate */
};

/* What failed, why, and what to do now. For people but for `code`; no control characters in it,
 * whatever the server sent. */
typedef struct xenres_error {
    uint32_t code;              /* enum xenres_code; a code this header does not know is UNKNOWN */
    int32_t http_status;        /* of the answer; 0 where none came */
    char call[48];              /* the call that failed at the gateway, or here; else "" */
    char errno_name[24];        /* what that call gave, "EINVAL"; else "" */
    char message[256];          /* what could not be done */
    char cause[256];            /* the likely cause, or "" */
    char next_step[256];        /* what to do now, or "" */
    char field[60];             /* path of the request's field at fault, "frame_count", or "" */
    uint32_t retry_after_ms;    /* the gateway asks to wait so long before another try; 0: not */
    uint32_t tries;             /* how often it was tried; 0 where the gateway was not asked */
} xenres_error;

/* Connect's name of a code, "not_found"; that of XENRES_UNKNOWN for a number that is none. A
 * constant. */
XENRES_API const char *xenres_code_name(uint32_t code);

/* --- the handle ------------------------------------------------------------------------------ */

typedef struct xenres xenres;

#define XENRES_NO_RETRIES UINT32_MAX

/* Where to connect, and who we are. All-zero but for `size` is valid but for `server`. */
typedef struct xenres_options {
    size_t size;                    /* sizeof(xenres_options) */
    const char *server;             /* "https://HOST[:PORT]", nothing behind; needed */
    const char *ca_file;            /* PEM: who may sign the server's; NULL: the system's */
    const char *cert_file;          /* PEM: our certificate, intermediates behind; NULL: none */
    const char *key_file;           /* PEM: its key, not encrypted; NULL: in cert_file */
    const char *proxy;              /* NULL: from https_proxy and no_proxy; "": none */
    uint32_t connect_timeout_ms;    /* until TLS is up; 0: 10 000; at most 3 600 000 */
    uint32_t timeout_ms;            /* of one request and its answer, all tries together; raw
                                       frames and streams may stand still so long; 0: 30 000; at
                                       most 3 600 000 */
    uint32_t transfer_timeout_ms;   /* of all of one xenres_read_frames() or
                                       xenres_read_snapshot(); 0: 600 000; at most 86 400 000 */
    uint64_t message_max_bytes;     /* largest message taken, as it comes and unpacked; 0: 96 MiB;
                                       at most 1 GiB */
    uint32_t retries;               /* tries beyond the first; 0: 2; at most 10, or
                                       XENRES_NO_RETRIES */
    uint32_t retry_wait_ms;         /* before the first of them; each further one waits twice as
                                       long, at most 10 000, by chance up to half less, and at least
                                       as long as the gateway asks, but not where that is
                                       timeout_ms or more; 0: 200; at most 60 000 */
    bool gzip;                      /* ask for compressed answers: where the network is slower than
                                       the processor that packs them, which is dom0's */
    const char *token;              /* a bearer token, of at most 8192 characters; NULL: none */
    const char *token_file;         /* a file with one, read again for each request, so that it can
                                       be renewed there; nobody else may have access to it (mode
                                       0600); NULL: none. Not both */
} xenres_options;

#define XENRES_OPTIONS_INIT                                                                        \
    { sizeof(xenres_options), NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, false, NULL, NULL }

/*
 * Sets `server`, `ca_file`, `cert_file`, `key_file`, `token_file` from XENRES_SERVER, XENRES_CACERT,
 * XENRES_CERT, XENRES_KEY, XENRES_TOKEN_FILE, each that is set and not empty. The strings are the
 * environment's own: use the options before anybody changes it. Nothing else in the library reads these
 * variables.
 * Errors: none. Threads: not beside a setenv() in another thread.
 */
XENRES_API void xenres_options_from_environment(xenres_options *options);

/*
 * Makes a handle: one pool of connections to one gateway. Connects to nothing yet; files are read
 * when the first connection is made, and again for each new one.
 * Inputs:    `options` as above; copied.
 * Output:    *out, to be released with xenres_free().
 * Errors:    XENRES_INVALID_ARGUMENT: a URL that is not https://HOST[:PORT], a value out of range,
 *            a `size` that is none: correct it. XENRES_RESOURCE_EXHAUSTED: no memory.
 * Threads:   any. libcurl's global initialisation happens in here and is thread-safe from libcurl
 *            7.84 on; with an older one, call curl_global_init() before there are threads.
 */
XENRES_API int xenres_new(const xenres_options *options, xenres **out, xenres_error *error);

/* Closes the connections and releases the handle. NULL is fine. No call may be running in it, no
 * stream be open, and no other thread be about to cancel it. */
XENRES_API void xenres_free(xenres *handle);

/*
 * Cancels a handle: what runs in it ends soon, a wait before another try too, and so does whatever
 * begins in it before xenres_cancel_reset(). It is a switch and not a signal: it makes no difference
 * whether it comes before the call, within, or between two of a row; none is missed.
 * Errors:    none. What was cancelled fails with XENRES_CANCELED; a call whose whole answer had come
 *            may still succeed. An open stream is over, and has to be closed as ever.
 * Guarantee: nothing is interrupted but the library's own waiting: a callback, or a write() to a
 *            descriptor that blocks, is waited for.
 * Threads:   any, beside any call, also in a signal handler; the handle must live meanwhile.
 */
XENRES_API void xenres_cancel(xenres *handle);
/* Lets calls run again. Threads: the one that uses the handle, while no call runs. */
XENRES_API void xenres_cancel_reset(xenres *handle);

/* One detail of an error, as it came: for those that a xenres_error has no place for. */
typedef struct xenres_detail {
    const char *type_name;          /* "xenres.v1.XenFailure", "google.rpc.RetryInfo", … */
    const void *bytes;              /* a protobuf message, by the sender's account */
    size_t len_bytes;
} xenres_detail;

/*
 * The details of the error that the gateway answered the handle's last call with, or ended its last
 * stream with; 0 where it gave none, or where the call did not fail so.
 * Outputs:   *details: at most 16, of 16 KiB at most each; those that are not well-formed are left
 *            out. Owned by the handle: they live until the next call in it.
 * Returns:   how many.
 */
XENRES_API size_t xenres_error_details(const xenres *handle, const xenres_detail **details);

/* --- replies --------------------------------------------------------------------------------- */

typedef struct xenres_reply xenres_reply;

/* Releases an answer and everything that its view points to. NULL is fine. */
XENRES_API void xenres_reply_free(xenres_reply *reply);

/*
 * The answer as the API's own protobuf message: for what the views leave out, to store, or to
 * print.
 * Outputs:   *len_bytes and *type_name (may both be NULL), for instance
 *            "xenres.v1.GetHostResponse"; "" where xenres_call() asked for a method that is not
 *            known here. What is returned lives as long as the reply. An answer that came in
 *            pages is one message here.
 *            NULL for a reply without a message (xenres_read_frames()), *len_bytes 0 and
 *            *type_name "" then. An empty message is not NULL.
 */
XENRES_API const void *xenres_reply_message(const xenres_reply *reply, size_t *len_bytes,
                                            const char **type_name);

/* --- what all answers speak of --------------------------------------------------------------- */

/* Frame counts and reference counts: all that there are. */
#define XENRES_ALL UINT32_MAX

/* Which pages. */
enum xenres_resource_type {
    XENRES_IOREQ_SERVER = 1,        /* id: the server, 0 to 7; frame 0 buffered, frame 1 ioreqs */
    XENRES_GRANT_TABLE = 2,         /* id 0: shared frames, id 1: status frames */
    XENRES_VMTRACE_BUF = 3,         /* id: the vCPU */
    XENRES_VCPU_STATS = 4           /* id 0 */
};

/* "grant_table" for XENRES_GRANT_TABLE, and so on; "" for a number that is none. A constant. */
XENRES_API const char *xenres_resource_type_name(uint32_t type);
/* The number for such a name; 0 for a name that is none. */
XENRES_API uint32_t xenres_resource_type_from_name(const char *name);

/* Who a domain is. Equal incarnations mean the same life of the same domain; the other three are
 * reused. */
typedef struct xenres_identity {
    uint32_t domid;
    const char *uuid;               /* 8-4-4-4-12 lower-case digits */
    const char *name;
    const char *incarnation;        /* 32 hexadecimal digits */
} xenres_identity;

enum xenres_consistency {
    XENRES_CONSISTENCY_ALIGNED_8_BYTES = 1, /* each aligned 8 bytes was read at once */
    XENRES_CONSISTENCY_SEQUENCE_LOCKED = 2  /* each entry under its table's sequence lock */
};

/* What the gateway saw while it copied. */
typedef struct xenres_observation {
    int64_t wall_seconds;           /* the host's clock when the copy began, since 1970 */
    uint32_t wall_nanoseconds;
    uint64_t monotonic_ns;          /* since the host's boot; compares within one boot_id */
    uint64_t copy_duration_ns;
    uint32_t first_frame;
    uint32_t frame_count;
    uint32_t frame_bytes;
    uint32_t frames_in_use;         /* what may be asked for */
    uint32_t frames_max;            /* what there may ever be */
    uint32_t grant_version;         /* 1 or 2; 0 for other resources */
    uint32_t consistency;           /* enum xenres_consistency */
    const char *content_tag;        /* equal tags from one start of the gateway: equal bytes */
} xenres_observation;

/*
 * Naming a domain, wherever a function asks for one:
 * `domain`         digits are a domid, the usual form of a UUID is a UUID, anything else a name;
 *                  "domid:", "uuid:" or "name:" before it says which is meant.
 * `incarnation`    NULL or "": whichever life the domain is in now. Else the gateway answers only
 *                  for this one, and XENRES_ABORTED otherwise.
 * Errors of all these functions, beside XENRES_UNAVAILABLE, XENRES_DEADLINE_EXCEEDED,
 * XENRES_UNAUTHENTICATED and XENRES_PERMISSION_DENIED: XENRES_NOT_FOUND: no such domain, or none
 * that the caller may see. XENRES_INTERNAL: the answer is for another domain than was asked for, or
 * is no proper answer: a faulty gateway or something between; it was not used.
 */

/* --- HostService ----------------------------------------------------------------------------- */

/* One thing that the gateway needs of its host. */
typedef struct xenres_check {
    const char *name;               /* "foreign_memory", … */
    bool ok;
    const char *detail;             /* what was found; where not ok, what to do about it */
} xenres_check;

typedef struct xenres_host {
    const char *uuid;
    const char *uuid_source;        /* "dmi", "machine-id", "scenario" or "" */
    const char *boot_id;
    const char *hostname;
    const char *xen_version;        /* this and the rest of Xen's: "" and 0 without a mapper */
    const char *const *guest_abis;
    size_t guest_abi_count;
    const char *const *capabilities;
    size_t capability_count;
    uint32_t cpu_count;
    uint64_t total_memory_kib;
    uint64_t free_memory_kib;
    const char *gateway_version;
    bool mapper_connected;          /* false: nothing but xenres_get_host() will answer now */
    const char *mapper_version;
    const char *backend;            /* "xen" or "sim" */
    const xenres_check *checks;
    size_t check_count;
    int64_t wall_seconds;           /* the host's clocks, read together */
    uint32_t wall_nanoseconds;
    uint64_t monotonic_ns;
} xenres_host;

/* The host, its gateway, and whether that sees what it needs. Retrying is harmless. */
XENRES_API int xenres_get_host(xenres *handle, xenres_reply **reply, const xenres_host **host,
                               xenres_error *error);

enum xenres_domain_type { XENRES_DOMAIN_PV = 1, XENRES_DOMAIN_HVM = 2, XENRES_DOMAIN_PVH = 3 };
enum xenres_domain_state {
    XENRES_DOMAIN_RUNNING = 1, XENRES_DOMAIN_BLOCKED = 2, XENRES_DOMAIN_PAUSED = 3,
    XENRES_DOMAIN_SHUTDOWN = 4, XENRES_DOMAIN_CRASHED = 5,
    XENRES_DOMAIN_DYING = 6         /* nothing of it can be asked for any more */
};

typedef struct xenres_domain {
    xenres_identity identity;
    uint32_t type;                  /* enum xenres_domain_type; 0: not known */
    uint32_t state;                 /* enum xenres_domain_state; 0: not known */
    uint32_t online_vcpus;
    uint32_t max_vcpus;
    uint64_t memory_kib;
    uint64_t cpu_time_ns;
    const char *const *tags;        /* that dom0 gave it, ascending; policies may decide by them */
    size_t tag_count;
    bool tags_unknown;              /* what is there is no tags, or nobody's to believe */
} xenres_domain;

typedef struct xenres_domain_list {
    const xenres_domain *domains;   /* in the order of their domids */
    size_t domain_count;
} xenres_domain_list;

/* Of states and of types in a query. */
#define XENRES_DOMAIN_QUERY_MAX 16

/* Which domains: those that every field fits. */
typedef struct xenres_domain_query {
    size_t size;                    /* sizeof(xenres_domain_query) */
    const char *name_glob;          /* `*`: any characters, `?`: one; NULL or "": any name */
    const uint32_t *states;         /* enum xenres_domain_state: one of these */
    size_t state_count;             /* 0: any; at most XENRES_DOMAIN_QUERY_MAX */
    const uint32_t *types;          /* enum xenres_domain_type: one of these */
    size_t type_count;              /* 0: any; at most XENRES_DOMAIN_QUERY_MAX */
} xenres_domain_query;

#define XENRES_DOMAIN_QUERY_INIT { sizeof(xenres_domain_query), NULL, NULL, 0, NULL, 0 }

/*
 * The domains that the caller may see and the query names (NULL: all), all pages of them. The list
 * is of no single moment when it has more than one page: domains that came or went meanwhile may be
 * in it or not.
 * Errors: XENRES_INVALID_ARGUMENT: a query that cannot be. XENRES_RESOURCE_EXHAUSTED: more than
 * 65,536 domains, which no Xen has. Retrying is harmless.
 */
XENRES_API int xenres_list_domains(xenres *handle, const xenres_domain_query *query,
                                   xenres_reply **reply, const xenres_domain_list **list,
                                   xenres_error *error);

/* --- ResourceService ------------------------------------------------------------------------- */

enum xenres_availability {
    XENRES_RESOURCE_AVAILABLE = 1,
    XENRES_RESOURCE_UNAVAILABLE = 2,    /* `failure` says why */
    XENRES_RESOURCE_ON_REQUEST = 3      /* only asking tells, and asking may make Xen allocate */
};

/* Why a resource cannot be had, as in an error. */
typedef struct xenres_failure {
    const char *call;
    const char *errno_name;
    const char *cause;
    const char *next_step;
} xenres_failure;

/* When a sample of what changes was taken: <xenres/watch.h> and <xenres/trace.h> have them. */
typedef struct xenres_sample_time {
    int64_t wall_seconds;           /* the host's clock when its copy began, since 1970 */
    uint32_t wall_nanoseconds;
    uint64_t monotonic_ns;          /* the same, since the host's boot */
    uint64_t since_monotonic_ns;    /* of the sample before; 0: there was none */
    uint64_t copy_duration_ns;
} xenres_sample_time;

typedef struct xenres_resource {
    const char *name;               /* "domains/UUID/resources/TYPE/ID" */
    uint32_t type;                  /* enum xenres_resource_type */
    uint32_t id;
    uint32_t availability;          /* enum xenres_availability */
    const xenres_failure *failure;  /* NULL where there is nothing to say */
    uint32_t frames_in_use;
    uint32_t frames_max;
    uint32_t frame_bytes;
    uint32_t grant_version;
} xenres_resource;

typedef struct xenres_resource_list {
    xenres_identity domain;
    const xenres_resource *resources;
    size_t resource_count;
} xenres_resource_list;

typedef struct xenres_resource_query {
    size_t size;                    /* sizeof(xenres_resource_query) */
    const char *domain;             /* see above */
    const char *incarnation;
    uint32_t type;                  /* only this one; 0: all */
    uint32_t id;                    /* only this one, needs `type`; XENRES_ALL: all */
} xenres_resource_query;

#define XENRES_RESOURCE_QUERY_INIT(domain_)                                                        \
    { sizeof(xenres_resource_query), (domain_), NULL, 0, XENRES_ALL }

/*
 * What a domain has, all pages of it, and of what it has not, why. Allocates and maps nothing.
 * Errors: XENRES_ABORTED: the domain was replaced by another between two pages: ask again.
 * XENRES_RESOURCE_EXHAUSTED: more than 65,536 resources. Retrying is harmless.
 */
XENRES_API int xenres_list_resources(xenres *handle, const xenres_resource_query *query,
                                     xenres_reply **reply, const xenres_resource_list **list,
                                     xenres_error *error);

/* Which frames of which resource. */
typedef struct xenres_frames_query {
    size_t size;                    /* sizeof(xenres_frames_query) */
    const char *domain;             /* see above */
    const char *incarnation;
    uint32_t type;                  /* enum xenres_resource_type */
    uint32_t id;
    uint32_t first_frame;
    uint32_t frame_count;           /* XENRES_ALL: all in use from there; 0 is refused */
    const char *if_not_tag;         /* a content_tag of before: send no bytes if it is still that.
                                       NULL: always. xenres_read_frames() only. */
} xenres_frames_query;

#define XENRES_FRAMES_QUERY_INIT(domain_, type_, id_)                                              \
    { sizeof(xenres_frames_query), (domain_), NULL, (type_), (id_), 0, XENRES_ALL, NULL }

typedef struct xenres_snapshot {
    xenres_identity domain;
    uint32_t type;
    uint32_t id;
    xenres_observation observation;
    const void *frames;             /* frame_count × frame_bytes bytes; aligned to nothing */
    size_t len_bytes;
} xenres_snapshot;

/*
 * Frames of a resource, copied once by the gateway, in one message. For large ones
 * xenres_read_frames() is cheaper on both sides.
 * Errors: XENRES_OUT_OF_RANGE: beyond what is in use: nothing makes a guest's table grow.
 * XENRES_FAILED_PRECONDITION: the domain has no such resource; the error says why.
 * XENRES_RESOURCE_EXHAUSTED: larger than a message may be, here or there, or the gateway is full.
 * Retrying is harmless, but for XENRES_IOREQ_SERVER: see ioreqs below.
 */
XENRES_API int xenres_get_snapshot(xenres *handle, const xenres_frames_query *query,
                                   xenres_reply **reply, const xenres_snapshot **snapshot,
                                   xenres_error *error);

/* What comes with raw frames. */
typedef struct xenres_frames {
    xenres_identity domain;
    uint32_t type;
    uint32_t id;
    xenres_observation observation;
    bool not_modified;              /* the content still has the tag asked about: no bytes came */
    uint64_t len_bytes;             /* of all frames; 0 where not_modified */
} xenres_frames;

/* Where raw frames go. Any callback may be NULL. What one returns: 0 to go on, anything else to end
 * the call, which then fails with XENRES_CANCELED. They run on the calling thread, within the call,
 * and must not use the handle but to cancel it. */
typedef struct xenres_frames_sink {
    size_t size;                    /* sizeof(xenres_frames_sink) */
    /* Once, before any byte: everything about them. `frames` lives until the call returns. */
    int (*begin)(void *arg, const xenres_frames *frames);
    /* The bytes, in order, in pieces of 1 byte or more. `bytes` lives until it returns. */
    int (*data)(void *arg, const void *bytes, size_t len_bytes);
    /* After each piece: how many bytes came, of how many. */
    int (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    void *arg;
    int fd;                         /* where `data` is NULL: written to this descriptor */
} xenres_frames_sink;

#define XENRES_FRAMES_SINK_INIT { sizeof(xenres_frames_sink), NULL, NULL, NULL, NULL, -1 }

/*
 * Raw frames, straight from the gateway's copy, without a message around them and without a copy of
 * the whole in memory here.
 * Inputs:    `query`, with `if_not_tag` for a poller; `sink` says where the bytes go.
 * Outputs:   *reply and *frames. With not_modified set: success, and no byte came.
 * Errors:    as xenres_get_snapshot(). XENRES_UNAVAILABLE: the connection ended within the bytes.
 *            XENRES_UNKNOWN with an errno_name: `fd` could not be written to. On any error, discard
 *            what the sink got: it is incomplete.
 * Guarantee: the identity is checked before the first byte is delivered; on success exactly
 *            `len_bytes` were.
 */
XENRES_API int xenres_read_frames(xenres *handle, const xenres_frames_query *query,
                                  const xenres_frames_sink *sink, xenres_reply **reply,
                                  const xenres_frames **frames, xenres_error *error);

/*
 * The same frames as a stream of messages (ReadSnapshot): for where nothing but Connect passes, and
 * compressed where both sides like. Memory here: one piece of them at a time.
 * Inputs:    `query`, without `if_not_tag`; `sink` as above.
 * Outputs:   *reply, whose message is the stream's first one, and *frames.
 * Errors:    as xenres_read_frames(). XENRES_INTERNAL also: pieces that do not follow each other,
 *            are not of whole frames, or are not all; the stream has no end. On any error, discard
 *            what the sink got.
 * Guarantee: as xenres_read_frames().
 */
XENRES_API int xenres_read_snapshot(xenres *handle, const xenres_frames_query *query,
                                    const xenres_frames_sink *sink, xenres_reply **reply,
                                    const xenres_frames **frames, xenres_error *error);

/* --- InspectService -------------------------------------------------------------------------- */

enum xenres_grant_kind {
    XENRES_GRANT_UNUSED = 1, XENRES_GRANT_PERMIT_ACCESS = 2,
    XENRES_GRANT_ACCEPT_TRANSFER = 3, XENRES_GRANT_TRANSITIVE = 4
};

/* One entry of a grant table. */
typedef struct xenres_grant {
    uint32_t reference;
    uint32_t kind;                  /* enum xenres_grant_kind */
    uint32_t domid;                 /* to whom */
    uint64_t frame;                 /* MFN of a PV guest, else GFN */
    bool readonly;
    bool reading;                   /* mapped or being copied now */
    bool writing;
    bool has_sub_page;              /* version 2: only these bytes of the page */
    uint32_t sub_page_offset_bytes;
    uint32_t sub_page_length_bytes;
    bool has_transitive;            /* version 2: stands for this grant of another domain */
    uint32_t transitive_domid;
    uint32_t transitive_reference;
    uint32_t raw_flags;
    uint32_t raw_status;
} xenres_grant;

typedef struct xenres_grant_table {
    xenres_identity domain;
    xenres_observation observation;
    const xenres_grant *grants;     /* in the order of their references */
    size_t grant_count;
    uint32_t next_reference;        /* not 0: cut here; ask again from there with this
                                       incarnation. Each answer is of one copy. */
    uint32_t reference_capacity;    /* references that the frames in use have room for */
} xenres_grant_table;

typedef struct xenres_grant_query {
    size_t size;                    /* sizeof(xenres_grant_query) */
    const char *domain;             /* see above */
    const char *incarnation;
    uint32_t first_reference;
    uint32_t reference_count;       /* XENRES_ALL: to the end; 0 is refused */
    bool include_unused;
} xenres_grant_query;

#define XENRES_GRANT_QUERY_INIT(domain_)                                                           \
    { sizeof(xenres_grant_query), (domain_), NULL, 0, XENRES_ALL, false }

/*
 * The grants of a domain, decoded from one copy. Errors as xenres_get_snapshot(). Retrying is
 * harmless.
 */
XENRES_API int xenres_get_grant_table(xenres *handle, const xenres_grant_query *query,
                                      xenres_reply **reply, const xenres_grant_table **table,
                                      xenres_error *error);

enum xenres_ioreq_state {
    XENRES_IOREQ_NONE = 1, XENRES_IOREQ_READY = 2,
    XENRES_IOREQ_IN_PROCESS = 3, XENRES_IOREQ_RESPONSE_READY = 4
};
enum xenres_ioreq_type {
    XENRES_IOREQ_PIO = 1, XENRES_IOREQ_COPY = 2, XENRES_IOREQ_PCI_CONFIG = 3,
    XENRES_IOREQ_TIMEOFFSET = 4, XENRES_IOREQ_INVALIDATE = 5,
    XENRES_IOREQ_UNKNOWN = 6        /* see raw_type */
};

/* The request of one vCPU. */
typedef struct xenres_ioreq {
    uint32_t vcpu;
    uint32_t state;                 /* enum xenres_ioreq_state */
    uint32_t type;                  /* enum xenres_ioreq_type */
    uint64_t address;
    uint64_t data;
    bool data_is_pointer;
    uint32_t count;
    uint32_t size_bytes;
    uint32_t event_channel;
    bool read;
    bool descending;
    uint32_t raw_type;
} xenres_ioreq;

/* A buffered request. */
typedef struct xenres_buffered_ioreq {
    uint32_t type;                  /* enum xenres_ioreq_type */
    uint32_t address;
    uint64_t data;
    uint32_t size_bytes;
    bool read;
    uint32_t raw_type;
} xenres_buffered_ioreq;

typedef struct xenres_ioreq_server {
    xenres_identity domain;
    xenres_observation observation;
    uint32_t id;
    const xenres_ioreq *vcpus;
    size_t vcpu_count;
    bool has_buffered;              /* false: the server has no buffered page */
    uint32_t read_pointer;
    uint32_t write_pointer;
    bool pointers_valid;            /* false: they make no sense together: no requests */
    const xenres_buffered_ioreq *requests;
    size_t request_count;
} xenres_ioreq_server;

typedef struct xenres_ioreq_query {
    size_t size;                    /* sizeof(xenres_ioreq_query) */
    const char *domain;             /* see above */
    const char *incarnation;
    uint32_t id;                    /* 0 to 7; QEMU's is 0 as a rule */
} xenres_ioreq_query;

#define XENRES_IOREQ_QUERY_INIT(domain_, id_) { sizeof(xenres_ioreq_query), (domain_), NULL, (id_) }

/*
 * The requests of a domain's vCPUs to one ioreq server. Asking may make Xen allocate the server's
 * pages: ask only where that is wanted.
 * Errors: as xenres_get_snapshot(); XENRES_NOT_FOUND also: there is no such server.
 */
XENRES_API int xenres_get_ioreq_server(xenres *handle, const xenres_ioreq_query *query,
                                       xenres_reply **reply, const xenres_ioreq_server **server,
                                       xenres_error *error);

enum xenres_stats_source {
    XENRES_STATS_TABLE = 1,         /* a table shared by the hypervisor */
    XENRES_STATS_VCPU_INFO = 2      /* a hypercall for each vCPU */
};

typedef struct xenres_vcpu {
    uint32_t vcpu;
    uint64_t run_time_ns;           /* since the domain was built; not there where unreadable */
    bool online;
    bool unreadable;                /* was being updated each time that the gateway looked */
} xenres_vcpu;

typedef struct xenres_vcpu_stats {
    xenres_identity domain;
    xenres_observation observation;
    uint32_t source;                /* enum xenres_stats_source */
    const xenres_vcpu *vcpus;
    size_t vcpu_count;
} xenres_vcpu_stats;

/* Run time of each vCPU. `incarnation` as above. Errors as above. Retrying is harmless. */
XENRES_API int xenres_get_vcpu_stats(xenres *handle, const char *domain, const char *incarnation,
                                     xenres_reply **reply, const xenres_vcpu_stats **stats,
                                     xenres_error *error);

/* --- any method ------------------------------------------------------------------------------ */

/*
 * Calls a unary method by name, with protobuf bytes both ways.
 * Inputs:    `method`: "xenres.v1.HostService/GetHost"; `message`: of the request's type, NULL
 *            where `len_bytes` is 0.
 * Output:    *reply: read it with xenres_reply_message(). The answer is checked where the library
 *            knows the method's type; else it is any bytes, at most message_max_bytes.
 * Errors:    XENRES_UNIMPLEMENTED: the gateway has no such method; XENRES_INVALID_ARGUMENT: it is a
 *            stream, or no method's name; and the method's own. A method that the library does not
 *            know is not asked again by itself.
 */
XENRES_API int xenres_call(xenres *handle, const char *method, const void *message,
                           size_t len_bytes, xenres_reply **reply, xenres_error *error);

typedef struct xenres_stream xenres_stream;

typedef struct xenres_stream_options {
    size_t size;                    /* sizeof(xenres_stream_options) */
    uint32_t timeout_ms;            /* of all of it, the caller's own time between two messages
                                       too; 0: none; at most 86 400 000 */
    uint32_t idle_timeout_ms;       /* the longest wait for a byte; 0: the handle's timeout_ms; at
                                       most 3 600 000 */
} xenres_stream_options;

#define XENRES_STREAM_OPTIONS_INIT { sizeof(xenres_stream_options), 0, 0 }

/*
 * Opens a server stream by its method's name.
 * Inputs:    `method`: "xenres.v1.ResourceService/ReadSnapshot"; `message` as in xenres_call();
 *            `options`: NULL for the usual ones.
 * Output:    *stream: has the handle until it is released with xenres_stream_close().
 * Errors:    as xenres_call(). An error of the method's own may come here or with the first message.
 * Blocking:  until the gateway has begun to answer.
 */
XENRES_API int xenres_stream_open(xenres *handle, const char *method, const void *message,
                                  size_t len_bytes, const xenres_stream_options *options,
                                  xenres_stream **stream, xenres_error *error);

/*
 * The next message. Nothing is read from the connection between two calls, but for the rest of what
 * came with the last: a caller that is slow makes the gateway wait, and not memory grow.
 * Output:    *reply: read it with xenres_reply_message(), release it with xenres_reply_free(), also
 *            after the stream. NULL when the stream has come to its good end. The message is checked
 *            where the library knows the method's type.
 * Errors:    what the gateway ended the stream with. XENRES_UNAVAILABLE: cut.
 *            XENRES_DEADLINE_EXCEEDED: a timeout. XENRES_INTERNAL: no proper stream, or one without
 *            an end: a faulty gateway or something between. XENRES_RESOURCE_EXHAUSTED: a message
 *            beyond message_max_bytes. The stream is over after any, and tells the same again.
 * Guarantee: success with NULL only where the gateway said that this was all.
 * Threads:   one at a time; a second meanwhile fails with XENRES_FAILED_PRECONDITION.
 */
XENRES_API int xenres_stream_next(xenres_stream *stream, xenres_reply **reply, xenres_error *error);

/* Releases it, at any point, and the handle with it. NULL is fine. No xenres_stream_next() may be
 * running. The connection is used again where the stream had come to its end. */
XENRES_API void xenres_stream_close(xenres_stream *stream);

#ifdef __cplusplus
}
#endif

/* --- who may ---------------------------------------------------------------------------------- */

/* xenres_who_am_i(), xenres_explain(). */
#include <xenres/access.h>

/* --- what changes ---------------------------------------------------------------------------- */

/* xenres_watch(), xenres_watch_domains(), xenres_trace_read(): streams that are followed, also across
 * interruptions. */
#include <xenres/trace.h>
#include <xenres/watch.h>

#endif
