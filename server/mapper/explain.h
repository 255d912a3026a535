/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What an errno of Xen or of the kernel means, in words: likely cause and next step by errno, call,
 * resource type and domain. Both backends and the core word their failures here, so that a user
 * never sees a bare errno, and sees the same words for the same thing. Pure.
 */
#ifndef XENRES_MAPPER_EXPLAIN_H
#define XENRES_MAPPER_EXPLAIN_H

#include "common/error.h"
#include "common/message.h"

enum {
    EXPLAIN_NO_RESOURCE = -1,        /* `type` of a call that is about a domain, not a resource */
    EXPLAIN_NO_DOMAIN = 0xffff,      /* `domid` of a call that is about the host */
    EXPLAIN_DOMID_RESERVED = 0x7ff0, /* Xen's DOMID_FIRST_RESERVED: no domain from here on */
};

/* What the call was about. */
struct explain_subject {
    uint16_t domid; /* or EXPLAIN_NO_DOMAIN */
    int32_t type;   /* enum resource_type, any other number asked for, or EXPLAIN_NO_RESOURCE */
    uint32_t id;
    uint32_t first_frame; /* the range, where there is one */
    uint32_t frame_count; /* 0: the call has no range */
};

/*
 * Fills `f` (may be NULL) for `call` that failed with `errnum`, and returns the negative code.
 * `call` is the function's name as it is in Xen's libraries or the kernel; "" where the gateway
 * refuses by itself what Xen would answer with that errno.
 */
int failure_xen(struct failure *f, const char *call, int errnum, const struct explain_subject *s);

#endif
