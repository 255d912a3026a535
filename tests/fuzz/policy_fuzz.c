/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any text as a policy's file: it is refused with a fault, or loaded; and what was loaded keeps to
 * the promise of policy.h that the question without a domain never says no where a domain is
 * allowed, and has limits within their bounds.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "auth/policy_file.h"
#include "auth/policy_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void ask(const struct policy *policy, const struct identity *who)
{
    static const struct domain_identity domains[] = {
        { .domid = 0, .name = "Domain-0" },
        { .domid = 1, .name = "web-1", .uuid = { 1, 2, 3 } },
        { .domid = 2, .name_cut = 1, .uuid = { 4 } },
        { .domid = 3 },
        { .domid = 4, .name = "db", .tags = { "prod", "web" } },
        { .domid = 5, .name = "db", .tags_unknown = 1 },
    };

    for (int action = 0; action < ACTION_COUNT; action++) {
        struct policy_question any = { .who = who, .type = -1, .action = (enum action)action };
        bool any_allowed = policy_decide(policy, &any).allowed;

        for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++) {
            struct policy_question q = any;

            q.domain = &domains[i];
            check(!policy_decide(policy, &q).allowed || any_allowed);
            for (q.type = 0; q.type < RESOURCE_TYPE_COUNT; q.type++) {
                struct policy_verdict v = policy_decide(policy, &q);

                check(!v.allowed || (any_allowed && v.rule != NULL && v.line > 0));
            }
        }
    }
}

static void ask_limits(const struct policy *policy, const struct identity *who)
{
    struct policy_limits l;

    policy_limits_of(policy, who, &l);
    check(l.requests_per_second <= POLICY_REQUESTS_PER_SECOND_MAX &&
          l.bytes_per_second <= POLICY_BYTES_PER_SECOND_MAX &&
          l.snapshots <= POLICY_SNAPSHOTS_MAX && l.streams <= POLICY_STREAMS_MAX &&
          l.spool_mib <= POLICY_SPOOL_MAX_MIB &&
          l.pauses_per_second <= POLICY_PAUSES_PER_SECOND_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct identity callers[] = {
        { .text = "cn:alice", .is_bound = true },
        { .text = "jwt:corp:alice", .groups = "ops\0dev\0" },
        { .text = "token:ci", .is_bound = true },
        { .text = "dns:a.example.org" },
        { .text = "spiffe:spiffe://example.org/a" },
    };
    BUFFER_AUTO(faults, 1 << 24);
    struct policy *policy = NULL;
    char *text = malloc(size + 1);
    int result;

    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    result = policy_file_parse("fuzz", text, size, &policy, &faults, NULL);
    check((result == 0) == (policy != NULL) && (result == 0) == (faults.len_bytes == 0));
    for (size_t i = 0; policy != NULL && i < sizeof callers / sizeof callers[0]; i++) {
        ask(policy, &callers[i]);
        ask_limits(policy, &callers[i]);
    }
    policy_unref(policy);
    free(text);
    return 0;
}
