/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/syscall_filter.h"

#include <errno.h>
#include <seccomp.h>

static void scope_release(scmp_filter_ctx *c)
{
    if (*c != NULL) {
        seccomp_release(*c);
    }
}

/* libseccomp returns the negative of an errno. */
static int failed(struct failure *f, const char *call, int code)
{
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "cannot filter system calls");

    (void)failure_call(f, result, call, -code);
    return failure_next(f, result,
                        "a kernel with CONFIG_SECCOMP_FILTER is needed; where a container forbids "
                        "seccomp(2), allow it");
}

static int begin(uint32_t action, scmp_filter_ctx *out, struct failure *f)
{
    scmp_filter_ctx c = seccomp_init(action);
    int code = c == NULL ? -ENOMEM : 0;

    if (code == 0) {
        code = seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    }
    if (code == 0) {
        code = seccomp_attr_set(c, SCMP_FLTATR_CTL_TSYNC, 1);
    }
    if (code == 0) {
        /* The caller's business: without it the kernel refuses the filter, and so should we be. */
        code = seccomp_attr_set(c, SCMP_FLTATR_CTL_NNP, 0);
    }
    if (code == 0) {
        /* A tree by number rather than a chain: what is called most does not stand behind the rest. */
        code = seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    }
    *out = c;
    return code == 0 ? 0 : failed(f, "seccomp_init", code);
}

static int add(scmp_filter_ctx c, const struct syscall_rule *r, uint32_t action, struct failure *f)
{
    struct scmp_arg_cmp terms[SYSCALL_TERMS_MAX];
    int number = seccomp_syscall_resolve_name(r->name);

    if (number < 0) {
        return 0; /* not of this architecture */
    }
    for (uint32_t i = 0; i < r->term_count; i++) {
        terms[i] = (struct scmp_arg_cmp){ .arg = r->terms[i].argument,
                                          .op = SCMP_CMP_MASKED_EQ,
                                          .datum_a = r->terms[i].mask,
                                          .datum_b = r->terms[i].value };
    }
    if (r->refuse_errno != 0) {
        action = SCMP_ACT_ERRNO((uint16_t)r->refuse_errno);
    }
    int code = seccomp_rule_add_array(c, action, number, r->term_count, terms);

    return code == 0 ? 0 : failed(f, r->name, code);
}

static int add_list(scmp_filter_ctx c, const struct syscall_rule *list, uint32_t action,
                    struct failure *f)
{
    int result = 0;

    for (; list->name != NULL && result == 0; list++) {
        result = add(c, list, action, f);
    }
    return result;
}

static int load(scmp_filter_ctx c, struct failure *f)
{
    int code = seccomp_load(c);

    return code == 0 ? 0 : failed(f, "seccomp", code);
}

int syscall_filter_allow(const struct syscall_rule *const *lists, size_t list_count,
                         struct failure *f)
{
    scmp_filter_ctx c __attribute__((cleanup(scope_release))) = NULL;
    int result = begin(SCMP_ACT_KILL_PROCESS, &c, f);

    for (size_t i = 0; i < list_count && result == 0; i++) {
        result = add_list(c, lists[i], SCMP_ACT_ALLOW, f);
    }
    return result == 0 ? load(c, f) : result;
}

int syscall_filter_deny(const struct syscall_rule *list, struct failure *f)
{
    scmp_filter_ctx c __attribute__((cleanup(scope_release))) = NULL;
    int result = begin(SCMP_ACT_ALLOW, &c, f);

    if (result == 0) {
        result = add_list(c, list, SCMP_ACT_KILL_PROCESS, f);
    }
    return result == 0 ? load(c, f) : result;
}
