/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the gateway would answer to somebody about some domain, and by what: who is let in, the policy, and
 * the mapper's export list. From files and from what is said of the domain alone: nothing is asked, nothing
 * has to run. What is not said of it counts against whoever asks. For the operator. One thread.
 */
#ifndef XENRES_SERVER_POLICY_ANSWER_H
#define XENRES_SERVER_POLICY_ANSWER_H

#include <stdbool.h>
#include <stdio.h>

#include "auth/policy.h"
#include "common/buffer.h"
#include "server/config.h"

struct policy_inquiry {
    struct identity who;
    struct domain_identity domain;
    bool has_domid, has_name, has_uuid, has_tags; /* are said; has_tags with none: it has none */
    int type;                                     /* -1: any */
    enum action action;
};

/* Says the verdict in a line, with rule, file and line, and behind it what was assumed and what would decide
 * otherwise. `c`: whose policy, deny list, authorities and export list count; NULL: the policy at `path`
 * alone. A failure, perhaps with lines in `faults`, where a file cannot be read. */
int policy_answer(const struct policy_inquiry *q, const struct config *c, const char *path,
                  FILE *to, bool *allowed, struct buffer *faults, struct failure *f);

#endif
