/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The lists in the policy's file: values with their lines → patterns and sets. Whatever could match
 * nothing, or more than it seems to, is a fault. One thread at a time.
 */
#ifndef XENRES_AUTH_POLICY_LIST_H
#define XENRES_AUTH_POLICY_LIST_H

#include <confuse.h>
#include <stdbool.h>

#include "auth/policy_rule.h"
#include "common/buffer.h"

/* A value as it stands in the file: what `values[i]->ptr` of an option points to. */
struct policy_value {
    unsigned line;
    char text[];
};

struct policy_reading {
    const char *name; /* of the file */
    struct buffer *faults;
    bool
        has_faults; /* that libconfuse has told: no policy is made of it, and its other faults are told */
    unsigned fault_count;
    bool out_of_memory;
};

void policy_fault(struct policy_reading *r, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The section that a list stands in. */
struct policy_place {
    const char *kind; /* "rule", "limits" */
    const char *name;
    unsigned line;
};

/* Faults are counted in `r`. What is in `out` is its owner's also then. */
void policy_list_identities(struct policy_reading *r, const cfg_opt_t *list,
                            const struct policy_place *place, struct identity_list *out);

/* Each fills its part of `rule`, whose effect and line are known. */
void policy_list_domains(struct policy_reading *r, const cfg_opt_t *list, struct policy_rule *rule);
void policy_list_types(struct policy_reading *r, const cfg_opt_t *list, struct policy_rule *rule);
void policy_list_actions(struct policy_reading *r, const cfg_opt_t *list, struct policy_rule *rule);

#endif
