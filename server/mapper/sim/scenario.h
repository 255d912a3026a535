/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a scenario file says (xenresd-scenario(5)): the host, its domains, what happens to them when,
 * and which calls fail. Read once, with every value bounded; immutable after that. All faults of a
 * file that parses are reported together, each with file and line. The play files that it names are
 * read along with it.
 */
#ifndef XENRES_SIM_SCENARIO_H
#define XENRES_SIM_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/message.h"
#include "server/mapper/sim/play.h"
#include "server/mapper/sim/trace_source.h"

enum {
    SCENARIO_FILE_BYTES_MAX = 1 << 20,
    SCENARIO_DOMAINS_MAX = 512,
    SCENARIO_EVENTS_MAX = 1024,
    SCENARIO_FAULTS_MAX = 256,
    SCENARIO_IOREQ_SERVERS_MAX = 8,
    SCENARIO_IOREQ_FRAMES = 2, /* 0: buffered; 1: a slot for each vCPU */
    SCENARIO_GRANT_FRAMES_MAX = 16384,
    SCENARIO_PLAYS_MAX = 16,
    SCENARIO_TRACES_MAX = 16,
    SCENARIO_TRACE_BYTES_MAX = 64 << 20,
    SCENARIO_TRACE_LAPS_MAX = 16, /* forced ones, of each vCPU */
    SCENARIO_VCPUS_MAX = 512,
    SCENARIO_SHUTDOWN_CRASH = 3, /* Xen's SHUTDOWN_crash */
    SCENARIO_SHUTDOWN_CODE_MAX = 5,
    SCENARIO_CHURN_DOMAINS_MAX = 256,
    SCENARIO_NO_DOMAIN = 0xffffffff,
};

struct scenario_host {
    char xen_version[MESSAGE_VERSION_BYTES];
    uint8_t uuid[UUID_BYTES];
    uint32_t cpus;
    uint64_t memory_mib;
    bool stats_table; /* the hypervisor shares run times */
    bool stats_busy;  /* the entry of vCPU 0 is always being written */
};

struct scenario_ioreq {
    bool exists, buffered;
    bool in_stub_domain; /* emulated elsewhere: EPERM for us */
    uint32_t requests_per_second;
    const struct play *play; /* what moves instead; NULL: none */
};

struct scenario_vmtrace {
    uint32_t size_bytes; /* of each vCPU's ring; 0: the domain has none */
    uint64_t rate;       /* bytes a second, of each vCPU */
    bool is_looped, has_sequence;
    bool is_enabled;       /* from the start, by somebody else or a tool that is gone */
    uint32_t source_count; /* 0: generated */
    const struct trace_file *sources[SCENARIO_TRACES_MAX]; /* of the vCPUs, in turn */
    uint32_t lap_count;
    uint64_t lap_at[SCENARIO_TRACE_LAPS_MAX]; /* ascending: a ring more is written there, at once */
    uint64_t idle_vcpus[SCENARIO_VCPUS_MAX / 64]; /* bits: those that never run */
};

struct scenario_domain {
    char title[64]; /* what events and faults call it */
    char name[MESSAGE_NAME_BYTES];
    char tags[MESSAGE_TAGS_MAX * MESSAGE_TAG_BYTES]; /* as the node has them: a space between */
    uint8_t uuid[UUID_BYTES];
    uint16_t domid;
    bool present;         /* from the start */
    uint32_t type, state; /* enum domain_type, domain_state */
    uint32_t vcpus, max_vcpus;
    uint64_t memory_mib;
    uint32_t cpu_percent; /* of each vCPU */
    uint32_t grant_version, grant_frames, grant_frames_max, grant_entries;
    uint32_t grant_changes_per_second;
    bool grant_scribbles;           /* all over its shared frames, as fast as it can */
    const struct play *grants_play; /* NULL: none */
    struct scenario_vmtrace vmtrace;
    struct scenario_ioreq ioreq[SCENARIO_IOREQ_SERVERS_MAX];
};

enum scenario_action {
    SCENARIO_CREATE,
    SCENARIO_DESTROY,
    SCENARIO_REBOOT,
    SCENARIO_RESTORE,
    SCENARIO_SHUTDOWN,
    SCENARIO_CRASH,
    SCENARIO_PAUSE,
    SCENARIO_UNPAUSE,
    SCENARIO_RENAME,
    SCENARIO_REWRITE_NAME,
    SCENARIO_REMOVE_NAME,
    SCENARIO_RETAG,
    SCENARIO_OPEN_TAGS, /* the guest writes them itself, as nobody should let it */
    SCENARIO_GROW,
    SCENARIO_SET_VERSION,
    SCENARIO_CHANGE,
    SCENARIO_DESTROY_IOREQ,
    SCENARIO_CREATE_IOREQ,
    SCENARIO_LOSE_PAGES,
    SCENARIO_VMTRACE_ENABLE, /* what somebody else does to a trace, or what befalls it */
    SCENARIO_VMTRACE_DISABLE,
    SCENARIO_VMTRACE_RESET,
    SCENARIO_VMTRACE_CTL,
    SCENARIO_VMTRACE_STATUS,
    SCENARIO_VMTRACE_EMIT,
    SCENARIO_CLOCK_STEP, /* of the host's wall clock; of no domain */
};

struct scenario_event {
    uint64_t at_ms; /* after the start; where `step` is 0 */
    uint32_t step;  /* at the n-th SIGUSR1 */
    enum scenario_action action;
    uint32_t domain; /* index */
    uint32_t value;
    int32_t vcpu; /* of a trace's; -1: all */
    int64_t clock_step_ms;
    char text[MESSAGE_TAGS_MAX * MESSAGE_TAG_BYTES]; /* a name, or tags */
};

/* The operations of backend.h, but for those that ask no hypervisor. */
enum scenario_operation {
    SCENARIO_OP_HOST,
    SCENARIO_OP_LIST,
    SCENARIO_OP_FIND,
    SCENARIO_OP_NAME,
    SCENARIO_OP_TAGS,
    SCENARIO_OP_SIZE,
    SCENARIO_OP_GRANT_VERSION, /* the second call that the size of a grant table takes */
    SCENARIO_OP_MAP,
    SCENARIO_OP_UNMAP,
    SCENARIO_OP_VCPU_INFO,
    SCENARIO_OP_VMTRACE_ENABLE,
    SCENARIO_OP_VMTRACE_DISABLE,
    SCENARIO_OP_VMTRACE_RESET_AND_ENABLE,
    SCENARIO_OP_VMTRACE_POSITION,
    SCENARIO_OP_VMTRACE_GET_OPTION,
    SCENARIO_OP_VMTRACE_SET_OPTION,
    SCENARIO_OP_EVENTS, /* a look: from the first next_event() to the one that returns false */
    SCENARIO_OP_WATCH,
    SCENARIO_OP_UNWATCH,
    SCENARIO_OP_COUNT
};

enum scenario_effect {
    SCENARIO_FAIL,        /* with `errnum` */
    SCENARIO_WRONG_SIZE,  /* size: `value` frames in use, and as many at most */
    SCENARIO_DIES,        /* the call succeeds, and the domain is destroyed right after */
    SCENARIO_PAGES_LOST,  /* map succeeds, and touching the pages is a SIGBUS */
    SCENARIO_FROZEN,      /* vmtrace_position: it is where the call before said */
    SCENARIO_EVENTS_LOST, /* events: nobody is ever told of what has happened by then */
};

struct scenario_fault {
    enum scenario_operation operation;
    enum scenario_effect effect;
    int errnum;
    uint32_t value;
    uint32_t domain;                 /* index, or SCENARIO_NO_DOMAIN: calls about any */
    uint64_t first_call, call_count; /* of the calls that match, counted from 1 */
};

/* Domains that are destroyed and created for ever: domain_count of them, like another. */
struct scenario_churn {
    uint32_t first_domain, domain_count; /* indices; 0: there is no churn */
    uint32_t first_domid, domid_count;   /* the numbers that they take turns with */
    uint64_t period_ms;                  /* from one's end to the next beginning, and so on */
};

struct scenario {
    uint64_t seed;
    bool clock_is_virtual; /* time passes when it is told to */
    uint64_t step_ms;      /* of the virtual clock, at each SIGUSR1 */
    struct scenario_host host;
    struct scenario_churn churn;
    struct play *plays[SCENARIO_PLAYS_MAX]; /* owned; domains refer to them */
    uint32_t play_count;
    struct trace_file *traces[SCENARIO_TRACES_MAX]; /* owned, likewise */
    uint32_t trace_count;
    uint32_t domain_count, event_count, fault_count;
    struct scenario_domain domains[SCENARIO_DOMAINS_MAX];
    struct scenario_event events[SCENARIO_EVENTS_MAX]; /* in the order of the file */
    struct scenario_fault faults[SCENARIO_FAULTS_MAX];
};

/* `path` NULL: the built-in scenario of the demo. */
int scenario_load(const char *path, struct scenario **out, struct failure *f);
/* Play files are relative to the folder that `name` is in. */
int scenario_parse(const char *text, const char *name, struct scenario **out, struct failure *f);
void scenario_free(struct scenario *s);

/* Is a call of it about one domain, and not about the host? */
bool scenario_operation_is_of_a_domain(enum scenario_operation operation);

/* The built-in one, as text. */
extern const char scenario_builtin[];

#endif
