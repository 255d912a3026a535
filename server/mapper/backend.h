/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the mapper's core needs of a hypervisor: a table of functions. xen/ fills it with Xen's
 * libraries, sim/ with a simulation that obeys the same rules; one contract suite runs against both.
 *
 * One thread, the mapper's loop, makes every call; samplers have handles of their own, one thread each
 * (open_sampler). A backend reports what the hypervisor says, with call and errno and the texts of its
 * likely cause and next step (failure_xen() words those once for both); it keeps no policy: limits,
 * identity, export list and caching are the core's.
 */
#ifndef XENRES_MAPPER_BACKEND_H
#define XENRES_MAPPER_BACKEND_H

#include "common/error.h"
#include "common/message.h"

struct backend; /* of the implementation */

/* One domain as the hypervisor has it now. The incarnation is the core's (directory). */
struct backend_domain {
    uint8_t uuid[UUID_BYTES];
    uint16_t domid;
    bool dying;
    uint32_t type;          /* enum domain_type */
    uint32_t state;         /* enum domain_state */
    uint32_t shutdown_code; /* where it is SHUTDOWN or CRASHED: Xen's SHUTDOWN_*; else 0 */
    uint32_t online_vcpus;
    uint32_t max_vcpus;
    uint64_t memory_kib;
    uint64_t cpu_time_ns;
};

/*
 * The node in which a domain's tags are: /local/domain/DOMID/xenres-tags of xenstore, a word each. Its
 * toolstack makes that folder for dom0 to write and the guest to read, and takes it away with the domain,
 * so that the tags of one are never another's with its number. The guest is believed in nothing: a node
 * that it owns, or could write or remove (with its folder), is not looked into.
 */
#define BACKEND_TAGS_NODE "xenres-tags"
enum { BACKEND_TAGS_BYTES = MESSAGE_TAGS_MAX * MESSAGE_TAG_BYTES };
struct backend_tags {
    char value[BACKEND_TAGS_BYTES]; /* "": there is no node, or it is one of those below */
    bool is_cut;                    /* longer, or with a NUL inside */
    bool is_untrusted; /* others than dom0 could have written it, or have taken it away */
};

/* Sizes of a resource as they are now. */
struct backend_size {
    uint32_t frames_in_use; /* what may be mapped without changing the guest */
    uint32_t frames_max;
    uint32_t grant_version; /* of grant tables, else 0 */
};

/* A live mapping, read-only. `handle` is the backend's. */
struct backend_mapping {
    const volatile void *address;
    uint32_t frame_count;
    void *handle;
};

enum backend_event { /* bits: what has happened since the last look */
                     BACKEND_EVENT_DOMAINS =
                         1,                  /* a domain appeared, shut down, died or went away */
                     BACKEND_EVENT_NAME = 2, /* a name node was written, for `domid` */
                     BACKEND_EVENT_TAGS = 4, /* its node of tags was, or whose that is changed */
};

/* Control of one vCPU's trace, as xc_vmtrace_*() has it: on real hardware Intel PT. */
enum vmtrace_call {
    VMTRACE_ENABLE = 1,       /* EINVAL: it is enabled */
    VMTRACE_DISABLE,          /* EINVAL: it is not */
    VMTRACE_RESET_AND_ENABLE, /* position 0, status 0; the buffer stays as it was. EINVAL as ENABLE */
    VMTRACE_POSITION,         /* where the next byte goes; also when it is not enabled */
    VMTRACE_GET_OPTION,
    VMTRACE_SET_OPTION,
};
enum { VMTRACE_KEY_CTL = 0x570, VMTRACE_KEY_STATUS = 0x571 }; /* IA32_RTIT_CTL, IA32_RTIT_STATUS */
#define VMTRACE_CTL_ENABLED    UINT64_C(0x1)
#define VMTRACE_CTL_OS         UINT64_C(0x4)
#define VMTRACE_CTL_USER       UINT64_C(0x8)
#define VMTRACE_CTL_TSC        UINT64_C(0x400)
#define VMTRACE_CTL_NO_RETC    UINT64_C(0x800)
#define VMTRACE_CTL_BRANCH     UINT64_C(0x2000)
#define VMTRACE_STATUS_ERROR   UINT64_C(0x10)
#define VMTRACE_STATUS_STOPPED UINT64_C(0x20)

struct backend_ops {
    const char *name; /* "xen", "sim" */

    /* Fills everything of the answer but its head, clocks included; checks too. */
    void (*host)(struct backend *, struct message_host_answer *out);

    /* Domains with a number of at least `first_domid`, ascending, at most `max`. Count in *count. */
    int (*list)(struct backend *, uint16_t first_domid, struct backend_domain *out, uint32_t max,
                uint32_t *count, struct failure *f);
    /* One domain, by number; -ERROR_NOT_FOUND. */
    int (*find)(struct backend *, uint16_t domid, struct backend_domain *out, struct failure *f);
    /* Its name as the toolstack wrote it, "" for none. *cut where it does not fit. */
    int (*domain_name)(struct backend *, uint16_t domid, char out[MESSAGE_NAME_BYTES], bool *cut,
                       struct failure *f);

    int (*domain_tags)(struct backend *, uint16_t domid, struct backend_tags *out,
                       struct failure *f);

    /* Sizes, without mapping anything. -ERROR_FAILED_PRECONDITION, UNIMPLEMENTED, … where the
     * domain has no such resource. For ioreq servers the id is not looked at. */
    int (*size)(struct backend *, uint16_t domid, uint32_t type, uint32_t id,
                struct backend_size *out, struct failure *f);

    /* Maps read-only. The core has checked that count > 0 and that the range is in use. */
    int (*map)(struct backend *, uint16_t domid, uint32_t type, uint32_t id, uint32_t first_frame,
               uint32_t frame_count, struct backend_mapping *out, struct failure *f);
    /* Succeeds, or ends the process by backend_give_up(). */
    void (*unmap)(struct backend *, struct backend_mapping *);

    /* Run times of vCPUs, at most `max`; where the hypervisor shares no stats table. */
    int (*vcpu_info)(struct backend *, uint16_t domid, struct message_vcpu *out, uint32_t max,
                     uint32_t *count, struct failure *f);

    /* One call of the control of a vCPU's trace: each pauses that vCPU for its time. *value goes in for
     * SET_OPTION, and comes out of POSITION (within the buffer) and GET_OPTION; else it may be NULL. */
    int (*vmtrace)(struct backend *, uint16_t domid, uint32_t vcpu, enum vmtrace_call call,
                   uint32_t key, uint64_t *value, struct failure *f);
    /* What a decoder needs to know of host and domain; rtit_ctl and buffer_bytes stay 0. What cannot be
     * found out stays 0, and is no failure. */
    void (*trace_facts)(struct backend *, uint16_t domid, struct message_trace_facts *out);
    /* The host's time stamp counter now: what the TSC packets of a trace are made from. */
    uint64_t (*tsc)(struct backend *);

    /* Descriptor to poll for events (-1: none), and the next event without waiting. False when
     * there is none left. The core drains before it compares an identity. watch_name() asks for
     * NAME and TAGS events of a domain from now on, unwatch_name() ends them; each stands for a write after
     * watch_name() returned: the event that setting a watch fires by itself is not reported. */
    int (*event_fd)(struct backend *);
    bool (*next_event)(struct backend *, unsigned *events, uint16_t *domid);
    void (*watch_name)(struct backend *, uint16_t domid);
    void (*unwatch_name)(struct backend *, uint16_t domid);

    /* How many hypercalls this handle has made, for ceilings and metrics; and how many of them paused a
     * vCPU: those of vmtrace(). */
    uint64_t (*hypercalls)(struct backend *);
    uint64_t (*pauses)(struct backend *);

    /* Another handle on the same hypervisor, for one other thread: only find, size, map, unmap,
     * vcpu_info, vmtrace, tsc, hypercalls, pauses and close may be called on it, while the parent is
     * used by its own. */
    int (*open_sampler)(struct backend *parent, struct backend **child, struct failure *f);

    void (*close)(struct backend *);
};

/*
 * An unmap failed: says so, and ends the process. Frames that stay mapped keep a dead domain, and
 * only the process's end gives them back; whoever started it starts it again.
 */
_Noreturn void backend_give_up(int errnum);

/* What each mapper executable defines exactly once. `argument`: the sim's scenario file, or NULL. */
extern const struct backend_ops *const backend_ops;
int backend_open(const char *argument, struct backend **out, struct failure *f);
/* Words for --help and --version: what `argument` is, "" if the backend takes none. */
extern const char backend_argument_help[];

#endif
