/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The policy: which identity may do what with which domain. Decisions only; policy_file reads it
 * from a file. Default deny; a matching deny rule wins over any allow; order does not matter. A
 * policy is immutable once loaded, counted, and shared by all threads.
 *
 * Decide on the domain as resolved, and hand exactly that resolution to the mapper: renaming and
 * reuse of numbers cannot get between the decision and the copy then.
 */
#ifndef XENRES_AUTH_POLICY_H
#define XENRES_AUTH_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/identity.h"
#include "common/error.h"
#include "common/message.h"

/* Every action of the API. The names are in ACTION_NAMES and never change. */
enum action {
    ACTION_LIST,     /* see the domain and what it has */
    ACTION_SNAPSHOT, /* raw frames, once */
    ACTION_WATCH,    /* raw frames, as they change */
    ACTION_DECODE,   /* decoded content */
    ACTION_TRACE_READ,
    ACTION_TRACE_CONTROL, /* also needs the mapper's export list */
    ACTION_ADMIN,
    ACTION_COUNT
};
const char *action_name(enum action a); /* "trace.control" */
int action_from_name(const char *name); /* -1 for none */

enum { POLICY_RULES_MAX = 1024 };

struct policy;
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p);
/* Of the text that it was read from: the same file is the same policy, also to another process. No
 * secret, and no proof. */
uint64_t policy_digest(const struct policy *p);

/* Which rules of a policy are for somebody: bit n % 64 of word n / 64 for rule n. */
enum { POLICY_RULES_WORDS = POLICY_RULES_MAX / 64 };
struct policy_rules {
    uint64_t words[POLICY_RULES_WORDS];
};
/* For who asks more than one question: it is most of what an answer costs. */
void policy_rules_of(const struct policy *p, const struct identity *who, struct policy_rules *out);
/* Those of his that are about a domain: of it they answer all questions as his do. */
void policy_rules_about(const struct policy *p, const struct policy_rules *his,
                        const struct domain_identity *domain, struct policy_rules *out);

/*
 * What is asked.
 *
 * With type -1: allowed where it is for at least one type: exact. With no domain: allowed where,
 * for one and the same type, an allow rule matches whatever its domains, and no deny rule with all
 * domains does. That never says no where some domain is allowed, but may say yes where deny rules
 * leave none: it decides whether to go on and ask for each domain, and nothing else.
 *
 * A domain whose name is not known (name_cut, or none given yet) is matched by no name pattern of
 * an allow rule and by every name pattern of a deny rule; one whose tags are not (tags_unknown), by
 * tags likewise. dom0 is matched in an allow rule by "dom0" alone.
 */
struct policy_question {
    const struct identity *who;           /* NULL is denied */
    const struct policy_rules *rules;     /* of this policy, for `who`, or those of them about
                                           `domain`; NULL: they are found out */
    const struct domain_identity *domain; /* NULL: on any domain at all? */
    int type;                             /* enum resource_type; -1: on any type at all? */
    enum action action;
};

/* The answer, with the rule that decided (the first in the file of those that did): for the audit
 * and for the operator, never for the client. */
struct policy_verdict {
    bool allowed;
    const char *rule; /* its name; NULL where no rule matched. Lives as long as the policy. */
    unsigned line;
};
struct policy_verdict policy_decide(const struct policy *p, const struct policy_question *q);

/* For who explains: a rule of that effect that matches all but the domain (which is not NULL, nor the type
 * -1), and has patterns of that kind, none of any kind that matches the domain. */
enum policy_domain_part { POLICY_BY_NAME, POLICY_BY_UUID, POLICY_BY_TAG };
bool policy_find(const struct policy *p, const struct policy_question *q, bool allow,
                 enum policy_domain_part part, struct policy_verdict *out);

/*
 * What an identity may use, by the policy's `limits` sections: each the smallest that any section
 * which matches the identity sets, so that one more section takes away and never gives. 0: none
 * sets it, and the gateway's own limit is all there is. They are no decision: what is allowed and
 * over a limit is answered resource_exhausted.
 */
struct policy_limits {
    uint64_t requests_per_second;
    uint64_t bytes_per_second;  /* of what is sent to it */
    uint32_t snapshots;         /* in flight at once */
    uint32_t streams;           /* open at once */
    uint32_t spool_mib;         /* of the spools that it has asked for */
    uint32_t pauses_per_second; /* of vCPUs, for its traces */
};
void policy_limits_of(const struct policy *p, const struct identity *who,
                      struct policy_limits *out);

#endif
