/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The part of <xenres.h> that asks who the caller is to the gateway, and what it may do. That header
 * includes this one; its rules hold here too. Retrying is harmless.
 */
#ifndef XENRES_ACCESS_H
#define XENRES_ACCESS_H

#include <xenres.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an identity was read from. */
enum xenres_caller_kind {
    XENRES_CALLER_SPIFFE = 1,       /* these three: a client certificate */
    XENRES_CALLER_DNS = 2,
    XENRES_CALLER_COMMON_NAME = 3,
    XENRES_CALLER_JWT = 4,
    XENRES_CALLER_TOKEN = 5         /* a token that the gateway's operator has issued */
};
/* "spiffe" for XENRES_CALLER_SPIFFE, and so on; "" for a number that is none. A constant. */
XENRES_API const char *xenres_caller_kind_name(uint32_t kind);

/* What the caller may use: the gateway's limits for each, or the policy's for this one, where they are
 * smaller. 0: there is none. Beyond one, calls fail with XENRES_RESOURCE_EXHAUSTED. What all may use
 * together is not in here. */
typedef struct xenres_caller_limits {
    uint64_t requests_per_second;
    uint64_t bytes_per_second;
    uint32_t snapshots;             /* at a time */
    uint32_t streams;               /* open at a time */
    uint32_t spool_mib;
    uint32_t pauses_per_second;     /* of vCPUs, for its traces */
} xenres_caller_limits;

typedef struct xenres_caller {
    const char *identity;           /* with its kind, "spiffe:spiffe://example.org/agent" */
    uint32_t kind;                  /* enum xenres_caller_kind */
    int64_t not_after_seconds;      /* since 1970: what was shown ends then, and so do streams */
    const char *const *groups;      /* that a token claims */
    size_t group_count;
    bool is_bound;                  /* has proved to hold a key that belongs to what was shown */
    const char *token_id;           /* "": no token */
    const char *certificate_sha256; /* 64 hexadecimal digits; "": no certificate */
    xenres_caller_limits limits;
} xenres_caller;

/* Who the gateway takes the caller for. Allowed to whoever is known to it. */
XENRES_API int xenres_who_am_i(xenres *handle, xenres_reply **reply, const xenres_caller **caller,
                               xenres_error *error);

/* What a policy can allow. */
enum xenres_action {
    XENRES_ACTION_LIST = 1,
    XENRES_ACTION_SNAPSHOT = 2,
    XENRES_ACTION_WATCH = 3,
    XENRES_ACTION_DECODE = 4,
    XENRES_ACTION_TRACE_READ = 5,
    XENRES_ACTION_TRACE_CONTROL = 6,
    XENRES_ACTION_ADMIN = 7
};
/* "trace.read" for XENRES_ACTION_TRACE_READ, and so on; "" for a number that is none. A constant. */
XENRES_API const char *xenres_action_name(uint32_t action);
/* The number for such a name; 0 for a name that is none. */
XENRES_API uint32_t xenres_action_from_name(const char *name);

typedef struct xenres_access {
    xenres_identity domain;
    bool allowed;
} xenres_access;

/*
 * Whether the gateway's policy allows the caller an action on a domain.
 * Inputs:    `domain` as in all queries; `type` of enum xenres_resource_type, or 0: of any type at
 *            all; `action` of enum xenres_action.
 * Output:    *access: yes or no, as it would be decided now. Which rule says so, the gateway's
 *            operator can see. Yes is the policy's word alone: the host's export list may refuse
 *            nevertheless.
 * Errors:    XENRES_NOT_FOUND: no such domain, or none that the caller may see.
 */
XENRES_API int xenres_explain(xenres *handle, const char *domain, uint32_t type, uint32_t action,
                              xenres_reply **reply, const xenres_access **access,
                              xenres_error *error);

#ifdef __cplusplus
}
#endif

#endif
