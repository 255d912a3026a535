/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The messages between xenresd and its mapper: fixed in size, one seqpacket each, little endian as
 * both run on one machine. xenresd asks, the mapper answers each request exactly once with the same
 * serial (RELEASE and UNWATCH are not answered), and sends events with serial 0.
 *
 * The mapper trusts nothing in a request; xenresd checks what it receives as well, so that a fault
 * of one is not silently a fault of both. message_check() knows each type's exact size; strings are
 * NUL-ended or the message is refused. Pure, any thread.
 */
#ifndef XENRES_COMMON_MESSAGE_H
#define XENRES_COMMON_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/text.h"

#define MESSAGE_MAGIC UINT32_C(0x72736578) /* "xesr" */

/* Both programs must have the same number: there is no other compatibility between them. */
enum { MESSAGE_VERSION = 4 };

enum {
    MESSAGE_NAME_BYTES = 256,   /* of a domain's name, with its NUL */
    MESSAGE_TAGS_MAX = 16,      /* of a domain */
    MESSAGE_TAG_BYTES = 32,     /* of one, with its NUL */
    MESSAGE_VERSION_BYTES = 32, /* of a program's version string */
    MESSAGE_DOMAINS_MAX = 32,   /* domains in one answer */
    MESSAGE_RESOURCES_MAX = 8,  /* resource rows in one answer */
    MESSAGE_CHECKS_MAX = 8,
    MESSAGE_ABIS_BYTES = 256,
    MESSAGE_RELEASES_MAX = 32,
    MESSAGE_FRAME_BYTES = 4096,
    MESSAGE_FRAMES_ALL = 0xffffffff, /* frame_count: all in use from first_frame on */
    MESSAGE_VCPUS_MAX = 8192,        /* HVM_MAX_VCPUS is 128, MAX_VIRT_CPUS 8192 */
    MESSAGE_OWNER_BYTES = 512,       /* of a trace's owner, with its NUL: any identity fits */
    MESSAGE_TRACED_VCPUS_MAX = 128,  /* HVM_MAX_VCPUS: only hvm and pvh domains are traced */
    MESSAGE_TRACES_MAX = 8,          /* traces in one answer */
    MESSAGE_TRACE_VCPUS_MAX = 32,    /* of their vCPUs */
};

enum message_type {
    MESSAGE_HELLO = 1,     /* first, both ways; the answer carries the arena and a doorbell's end */
    MESSAGE_HOST,          /* what Xen and the host say of themselves */
    MESSAGE_DOMAINS,       /* a page of the domain list */
    MESSAGE_DESCRIBE,      /* the resources of one domain, nothing mapped */
    MESSAGE_SNAPSHOT,      /* frames, copied once into a slot of the arena */
    MESSAGE_VCPU_STATS,    /* run times, written into a slot as struct message_vcpu */
    MESSAGE_RELEASE,       /* slots that xenresd has done with */
    MESSAGE_COUNTERS,      /* what the mapper counts; makes no hypercall */
    MESSAGE_WATCH,         /* holds a feed; the answer carries its spool's descriptor */
    MESSAGE_WATCH_DOMAINS, /* the feed of the host's domains; answered as WATCH */
    MESSAGE_UNWATCH,       /* holds it no longer; not answered */
    MESSAGE_IMAGE,         /* the image of a frames feed, copied into a slot */
    MESSAGE_TRACE_START,   /* begins to trace a domain's vCPUs; answered when all of them are */
    MESSAGE_TRACE_STOP,    /* ends that; answered when the last bytes are in the spools */
    MESSAGE_TRACE_RENEW,   /* its lease begins anew */
    MESSAGE_TRACES,        /* a page of the traces there are, or one of them */
    MESSAGE_TRACE_VCPUS,   /* a page of what is known of a trace's vCPUs */
    MESSAGE_ANSWER = 0x80, /* added to the request's type */
    MESSAGE_FAILED = 0x100,        /* the answer to any request that failed */
    MESSAGE_EVENT_DOMAINS = 0x200, /* the domain list is no longer what it was */
};

/* Xen's own numbers (<xen/memory.h>), and one of ours for the stats. */
enum resource_type {
    RESOURCE_IOREQ_SERVER = 0,
    RESOURCE_GRANT_TABLE = 1,
    RESOURCE_VMTRACE_BUF = 2,
    RESOURCE_VCPU_STATS = 3,
    RESOURCE_TYPE_COUNT
};

enum { GRANT_TABLE_SHARED = 0, GRANT_TABLE_STATUS = 1 }; /* ids of RESOURCE_GRANT_TABLE */
enum { IOREQ_FRAME_BUFFERED = 0, IOREQ_FRAME_SYNCHRONOUS = 1, IOREQ_FRAMES = 2, IOREQ_SERVERS = 8 };

/* "grant_table" and back; NULL or -1 for what is none. */
const char *resource_type_name(uint32_t type);
int resource_type_from_name(const char *name);

struct message_head {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
    uint32_t len_bytes; /* of the whole message, head included */
    uint32_t reserved;  /* 0 */
    uint64_t serial;    /* chosen by xenresd, not 0; 0 in events */
};

/* Who is meant, completely. The mapper compares every field before it maps and after it copied. */
struct domain_identity {
    uint8_t uuid[UUID_BYTES];
    uint8_t incarnation[16];
    uint16_t domid;
    uint16_t name_cut; /* 1: the toolstack's name did not fit, and `name` is "" */
    uint16_t
        tags_unknown;  /* 1: they are malformed, or a guest could have written them; none is here */
    uint16_t reserved; /* 0 */
    char name[MESSAGE_NAME_BYTES];
    char tags[MESSAGE_TAGS_MAX][MESSAGE_TAG_BYTES]; /* ascending, the empty ones last */
};

struct message_hello {
    struct message_head head;
    char version[MESSAGE_VERSION_BYTES];
};

struct message_hello_answer {
    struct message_head head;
    char version[MESSAGE_VERSION_BYTES];
    char backend[16];      /* "xen" or "sim" */
    uint8_t mapper_id[16]; /* random, of this start of the mapper */
    uint64_t arena_bytes;  /* of the memfd that comes along */
    uint64_t slot_max_bytes;
    uint32_t requests_max;            /* in flight at once; more are answered resource_exhausted */
    uint32_t feeds_max;               /* held at once */
    uint64_t spool_max_bytes;         /* the most that one spool has: its capacity */
    uint64_t period_min_ns;           /* of a feed */
    uint32_t trace_pauses_per_second; /* of each vCPU, where a trace asks for nothing else */
    uint32_t pauses_per_second;       /* of all vCPUs together: the ceiling */
};

/* HOST, COUNTERS, WATCH_DOMAINS: requests that say nothing but their type. */
struct message_plain {
    struct message_head head;
};

struct message_check_row {
    char name[32];
    uint32_t ok;
    uint32_t reserved;
    char detail[FAILURE_TEXT_MAX];
};

enum host_capability { /* bits */
                       HOST_CAN_HVM = 1,
                       HOST_CAN_PV = 2,
                       HOST_CAN_HAP = 4,
                       HOST_CAN_SHADOW = 8,
                       HOST_CAN_IOMMU = 16,
                       HOST_CAN_VMTRACE = 32,
};

struct message_host_answer {
    struct message_head head;
    uint8_t uuid[UUID_BYTES]; /* all zero where none was found */
    char uuid_source[16];     /* "dmi", "machine-id", "scenario", "" */
    char boot_id[UUID_TEXT_BYTES + 3];
    char xen_version[MESSAGE_VERSION_BYTES];
    char guest_abis[MESSAGE_ABIS_BYTES]; /* words, a space between */
    uint32_t capabilities;               /* enum host_capability */
    uint32_t cpu_count;
    uint64_t total_memory_kib;
    uint64_t free_memory_kib;
    uint64_t monotonic_ns;
    uint64_t wall_ns;
    uint32_t check_count;
    uint32_t reserved;
    struct message_check_row checks[MESSAGE_CHECKS_MAX];
};

struct message_domains {
    struct message_head head;
    uint32_t first_domid; /* domains with this number or above */
    uint32_t reserved;
};

enum domain_type { DOMAIN_PV = 1, DOMAIN_HVM = 2, DOMAIN_PVH = 3 };
enum domain_state {
    DOMAIN_RUNNING = 1,
    DOMAIN_BLOCKED = 2,
    DOMAIN_PAUSED = 3,
    DOMAIN_SHUTDOWN = 4,
    DOMAIN_CRASHED = 5,
    DOMAIN_DYING = 6,
};

struct message_domain {
    struct domain_identity identity;
    uint32_t type;  /* enum domain_type */
    uint32_t state; /* enum domain_state */
    uint32_t online_vcpus;
    uint32_t max_vcpus;
    uint64_t memory_kib;
    uint64_t cpu_time_ns;
};

struct message_domains_answer {
    struct message_head head;
    uint64_t generation; /* of the list; EVENT_DOMAINS carries the newer one */
    uint32_t domain_count;
    uint32_t more; /* 1: ask again with the last domid + 1 */
    struct message_domain domains[MESSAGE_DOMAINS_MAX];
};

struct message_event_domains {
    struct message_head head;
    uint64_t generation;
};

struct message_describe {
    struct message_head head;
    struct domain_identity domain;
};

enum resource_availability {
    RESOURCE_AVAILABLE = 1,
    RESOURCE_UNAVAILABLE = 2,
    RESOURCE_ON_REQUEST = 3,
};

/* A run of ids that answer alike: the vCPUs' trace buffers are one row. */
struct message_resource {
    uint32_t type; /* enum resource_type */
    uint32_t first_id;
    uint32_t id_count;
    uint32_t availability; /* enum resource_availability */
    uint32_t frames_in_use;
    uint32_t frames_max;
    uint32_t grant_version;
    uint32_t reserved;
    struct failure failure; /* where unavailable */
};

struct message_describe_answer {
    struct message_head head;
    uint32_t resource_count;
    uint32_t reserved;
    struct message_resource resources[MESSAGE_RESOURCES_MAX];
};

enum snapshot_flags {
    /* Grant table of version 2, id 0: the status frames that belong to the frames asked for
     * follow them in the slot. */
    SNAPSHOT_WITH_STATUS = 1,
    /* ioreq_server: a page that the server does not have is zeros, and its bit in
     * `frames_present` is clear, instead of a failure. At least one must be there. */
    SNAPSHOT_SPARSE = 2,
};

struct message_snapshot {
    struct message_head head;
    struct domain_identity domain;
    uint32_t type; /* enum resource_type */
    uint32_t id;
    uint32_t first_frame;
    uint32_t frame_count; /* or MESSAGE_FRAMES_ALL; 0 is refused */
    uint32_t flags;       /* enum snapshot_flags */
    uint32_t reserved;
    uint64_t deadline_ns; /* monotonic: not begun after it; 0 none */
};

enum snapshot_consistency { SNAPSHOT_ALIGNED_8_BYTES = 1, SNAPSHOT_SEQUENCE_LOCKED = 2 };

/* A place in the arena. `generation` makes a slot that was reused another one: a RELEASE with an
 * old generation frees nothing. */
struct message_slot {
    uint32_t index;
    uint32_t generation;
    uint64_t offset_bytes; /* in the arena, a multiple of the page size */
    uint64_t len_bytes;
};

struct message_observation {
    uint64_t wall_ns; /* when the copy began */
    uint64_t monotonic_ns;
    uint64_t copy_duration_ns;
    uint32_t first_frame;
    uint32_t frame_count;
    uint32_t frames_in_use;
    uint32_t frames_max;
    uint32_t grant_version;
    uint32_t consistency; /* enum snapshot_consistency */
    uint8_t digest[16];   /* XXH3-128, keyed with a secret of the mapper's start, over
                                   incarnation, type, id, range and content */
};

struct message_snapshot_answer {
    struct message_head head;
    struct message_slot slot;
    struct message_observation observation;
    uint32_t first_status_frame; /* with SNAPSHOT_WITH_STATUS; they begin right behind */
    uint32_t status_frame_count; /* the frame_count frames */
    uint32_t frames_present;     /* with SNAPSHOT_SPARSE: bit n = frame first_frame + n */
    uint32_t reserved;
};

struct message_vcpu_stats {
    struct message_head head;
    struct domain_identity domain;
    uint64_t deadline_ns;
};

enum vcpu_stats_source { VCPU_STATS_TABLE = 1, VCPU_STATS_INFO = 2 };
enum vcpu_flags { VCPU_ONLINE = 1, VCPU_UNREADABLE = 2 };

/* What the slot of a VCPU_STATS answer holds, vcpu_count times. */
struct message_vcpu {
    uint32_t vcpu;
    uint32_t flags; /* enum vcpu_flags */
    uint64_t run_time_ns;
};

struct message_vcpu_stats_answer {
    struct message_head head;
    struct message_slot slot;
    struct message_observation observation;
    uint32_t source; /* enum vcpu_stats_source */
    uint32_t vcpu_count;
};

struct message_release {
    struct message_head head;
    uint32_t slot_count;
    uint32_t reserved;
    struct {
        uint32_t index, generation;
    } slots[MESSAGE_RELEASES_MAX];
};

/* Sums are since the mapper's start but for `false_releases`, whose arena is this connection's. */
struct message_counters_answer {
    struct message_head head;
    uint64_t requests;         /* received, of all types */
    uint64_t hypercalls;       /* made */
    uint64_t ceiling_refusals; /* requests refused at the ceiling on hypercalls */
    uint64_t maps;             /* mappings made */
    uint64_t mapped_frames;    /* live: held now */
    uint64_t arena_bytes;
    uint64_t arena_used_bytes;
    uint64_t false_releases; /* of slots that were none */
    uint32_t arena_slots;    /* in use */
    uint32_t mappings;       /* live */
    uint32_t zombies;        /* domains that are dead or dying, and of which a mapping is live */
    uint32_t copies;         /* begun and not over */
    uint32_t domains;        /* of which the export list allows anything to be listed */
    uint32_t feeds;          /* live */
    uint64_t spool_bytes;    /* of all spools and images of feeds */
    uint64_t samples, sample_failures; /* taken */
    uint64_t samples_late;             /* by a period or more: skipped, or held back by a ceiling */
    uint64_t sampled_bytes;            /* copied and compared */
    uint64_t produced_batches, produced_blocks;
    uint64_t produced_events; /* of domains */
    uint64_t produced_bytes;  /* of traces, those known to be lost included */
    uint64_t lost_bytes;      /* in the mapper: of open losses the least that it can be */
    uint64_t open_losses;     /* that may be larger than they say */
    uint64_t vcpu_pauses;     /* calls that paused a vCPU for their time */
    uint64_t pause_refusals;  /* samples held back by a ceiling on those, or a trace's budget */
    uint32_t traces, traced_vcpus; /* running */
    uint64_t tags_ignored;         /* of domains: malformed, or for others than dom0 to write */
};

/*
 * Holds the feed of a source, made where there is none, for as long as this peer is served or until
 * UNWATCH. Asked again for what it holds already, it gets another descriptor of the same feed, and the
 * period is that of the last. Answered when the first sample was taken, or why none can be. When the
 * peer goes, the feed lives on for the mapper's grace period, and the next peer that watches the same
 * source has the same feed, with the same id.
 */
struct message_watch {
    struct message_head head;
    struct domain_identity domain;
    uint32_t type; /* enum resource_type */
    uint32_t id;   /* vmtrace_buf: a vCPU that is being traced, or was and is held yet */
    uint32_t first_frame;
    uint32_t frame_count; /* MESSAGE_FRAMES_ALL: all in use from there on, followed as they grow or
                             shrink; vcpu_stats, vmtrace_buf: only that, from 0 */
    uint32_t flags;       /* enum snapshot_flags; without effect where the version is not 2 */
    uint32_t reserved;
    uint64_t period_ns;   /* of sampling; below the mapper's minimum: that; vmtrace_buf: 0 */
    uint64_t deadline_ns; /* monotonic, of the answer; 0 none */
    uint8_t trace_id[16]; /* vmtrace_buf: of this trace alone; zero: of the last one. Else zero */
};

struct message_watch_answer {
    struct message_head head;
    uint8_t feed_id[16];
    uint32_t feed;   /* the mapper's number of it, in UNWATCH and IMAGE, together with the id */
    uint32_t joined; /* 1: it was there already */
    uint64_t spool_bytes; /* the ring's capacity */
    uint64_t period_ns;   /* admitted; of domains 0 */
};

struct message_unwatch {
    struct message_head head;
    uint8_t feed_id[16];
    uint32_t feed;
    uint32_t reserved;
};

struct message_image {
    struct message_head head;
    uint8_t feed_id[16];
    uint32_t feed;
    uint32_t reserved;
    uint64_t deadline_ns;
};

/* The image as it was behind the record at which `place` begins: what is read from there on has to be
 * applied to it. */
struct message_image_answer {
    struct message_head head;
    struct message_slot slot;                             /* as long as the segment's image */
    struct message_observation observation;               /* of the last sample in it */
    uint64_t place_position, place_sequence, place_bytes; /* struct ring_place */
    uint64_t batch, blocks_before;                        /* as of it: see common/feed_record.h */
    uint32_t segment;
    uint32_t first_status_frame, status_frame_count; /* they follow the frames */
    uint32_t frames_present;                         /* with SNAPSHOT_SPARSE */
};

enum trace_flags {
    TRACE_OS = 1,      /* what the guest's kernel executes */
    TRACE_USER = 2,    /* and its programs; neither of both: both */
    TRACE_NO_TSC = 4,  /* without timestamps: laps may be undetectable */
    TRACE_NO_RETC = 8, /* returns are told, and not only that they went where the call came from */
    TRACE_TAKEOVER = 16, /* also where somebody else traces, or has left that on */
};

/*
 * Traces a domain's vCPUs into one feed each, which WATCH gives out. There is one trace of a domain at
 * once. Asked again by the owner of a running one for the same, it is that one, and its lease begins
 * anew. It ends with its lease, which RENEW begins anew, with the domain, with the mapper, and by STOP.
 * A peer that goes does not end it: the next one finds it, as long as its lease lasts.
 */
struct message_trace_start {
    struct message_head head;
    struct domain_identity domain;
    uint64_t vcpus[2]; /* bit n of the first: vCPU n, of the second: n + 64; none: all there are */
    uint32_t flags;    /* enum trace_flags */
    uint32_t pauses_per_second; /* of each vCPU, at most; 0: the mapper's own */
    uint32_t lease_ms;          /* within the mapper's bounds; 0: the mapper's own */
    uint32_t reserved;
    uint64_t deadline_ns;
    char owner[MESSAGE_OWNER_BYTES]; /* not empty */
};

/* What a decoder has to know beside the bytes. 0 or "": not known. */
struct message_trace_facts {
    uint64_t rtit_ctl;     /* as it was set, with TraceEn */
    uint64_t buffer_bytes; /* of each vCPU */
    char cpu_vendor[16];   /* "GenuineIntel" */
    uint32_t cpu_family, cpu_model, cpu_stepping;
    uint32_t cpuid_15_eax, cpuid_15_ebx, cpuid_15_ecx; /* TSC to core crystal clock */
    uint32_t nominal_mhz;
    uint32_t tsc_khz;        /* the host's */
    uint32_t guest_tsc_mode; /* as XEN_DOMCTL_gettscinfo says */
    uint32_t guest_tsc_khz;
    uint32_t guest_bits; /* 32 or 64 */
    uint32_t reserved;
};

/* One trace: running, or over and held yet so that its end can be read. */
struct message_trace {
    uint8_t trace_id[16]; /* random */
    struct domain_identity domain;
    uint64_t vcpus[2];
    uint64_t started_wall_ns, started_monotonic_ns;
    uint64_t ended_wall_ns; /* 0: it runs */
    uint32_t flags;
    uint32_t pauses_per_second;
    uint32_t lease_ms, lease_left_ms;
    uint32_t end_reason;    /* enum feed_end_reason; 0: it runs */
    uint32_t shutdown_code; /* FEED_END_SHUTDOWN: Xen's SHUTDOWN_* */
    uint32_t vcpu_count;
    uint32_t laps_detectable; /* 0: without timestamps a lap may look like none */
    struct message_trace_facts facts;
    struct failure failure; /* that it ended with; code 0: none */
    char owner[MESSAGE_OWNER_BYTES];
};

struct message_trace_answer { /* START, STOP, RENEW */
    struct message_head head;
    uint32_t joined; /* START: 1: it ran already */
    uint32_t reserved;
    struct message_trace trace;
};

struct message_trace_stop {
    struct message_head head;
    uint8_t trace_id[16];
    uint64_t deadline_ns;
};

struct message_trace_renew {
    struct message_head head;
    uint8_t trace_id[16];
    uint32_t lease_ms; /* 0: as it was */
    uint32_t reserved;
};

struct message_traces {
    struct message_head head;
    uint32_t first_domid; /* of domains with this number or above */
    uint32_t one;         /* 1: with exactly this number */
};

struct message_traces_answer { /* ascending by domid; of one domain the running one first */
    struct message_head head;
    uint32_t trace_count;
    uint32_t more; /* 1: ask again with the last domid + 1 */
    struct message_trace traces[MESSAGE_TRACES_MAX];
};

struct message_trace_vcpus {
    struct message_head head;
    uint8_t trace_id[16];
    uint32_t first_vcpu;
    uint32_t reserved;
};

struct message_trace_vcpu {
    uint32_t vcpu;
    uint32_t is_over;
    uint64_t produced_bytes; /* since the trace began, those known to be lost included */
    uint64_t lost_bytes;     /* of them, at least */
    uint32_t open_losses;    /* that may be larger than they say */
    uint32_t segment, epoch; /* the last */
    uint32_t fill_permille;  /* of the ring, at the last sample; and the most so far */
    uint32_t fill_most_permille;
    uint32_t reserved;
    uint64_t bytes_per_second; /* as measured last */
    uint64_t period_ns;        /* to the next sample */
    uint64_t pauses;           /* since the trace began */
    uint64_t samples;
    uint64_t late; /* samples that a budget or a ceiling held back */
};

struct message_trace_vcpus_answer { /* ascending */
    struct message_head head;
    uint32_t vcpu_count;
    uint32_t more; /* 1: ask again with the last vCPU + 1 */
    struct message_trace_vcpu vcpus[MESSAGE_TRACE_VCPUS_MAX];
};

struct message_failed {
    struct message_head head;
    struct failure failure;
};

/* Room for any of them. */
union message {
    struct message_head head;
    struct message_hello hello;
    struct message_hello_answer hello_answer;
    struct message_plain plain;
    struct message_host_answer host_answer;
    struct message_domains domains;
    struct message_domains_answer domains_answer;
    struct message_describe describe;
    struct message_describe_answer describe_answer;
    struct message_snapshot snapshot;
    struct message_snapshot_answer snapshot_answer;
    struct message_vcpu_stats vcpu_stats;
    struct message_vcpu_stats_answer vcpu_stats_answer;
    struct message_release release;
    struct message_watch watch;
    struct message_watch_answer watch_answer;
    struct message_unwatch unwatch;
    struct message_image image;
    struct message_image_answer image_answer;
    struct message_trace_start trace_start;
    struct message_trace_answer trace_answer;
    struct message_trace_stop trace_stop;
    struct message_trace_renew trace_renew;
    struct message_traces traces;
    struct message_traces_answer traces_answer;
    struct message_trace_vcpus trace_vcpus;
    struct message_trace_vcpus_answer trace_vcpus_answer;
    struct message_counters_answer counters_answer;
    struct message_event_domains event_domains;
    struct message_failed failed;
};

/* The exact size of a type; 0 for a type that is none. */
size_t message_size(uint16_t type);
/* Fills the head of a zeroed message. */
void message_init(union message *m, uint16_t type, uint64_t serial);
/*
 * Checks what was received: magic, version, type, exact length, reserved fields zero, strings
 * ended, counts within their maxima, enums and flags known, slots large enough for what they are
 * said to hold. Not what a client may ask for wrongly (type, id and frames of a SNAPSHOT): that is
 * answered, by the request table. Whether a slot is within the arena, the arena's owner checks.
 * -ERROR_INVALID_ARGUMENT with what is wrong; -ERROR_FAILED_PRECONDITION: another version, both named.
 */
int message_check(const union message *m, size_t len_bytes, struct failure *f);

/* Of what another program wrote: a field that is not as it has to be, by name; NULL: all are. */
const char *domain_identity_wrong(const struct domain_identity *d);
const char *failure_wrong(const struct failure *f);

/* All fields equal, the name up to its NUL. */
bool domain_identity_equal(const struct domain_identity *a, const struct domain_identity *b);

#endif
