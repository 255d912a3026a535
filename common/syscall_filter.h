/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Which system calls a process may make from now on, for good: a seccomp filter made by libseccomp. What is
 * not on the list ends the whole process by SIGSYS at once (never one thread of it, which the others
 * would wait for), and so does a call of another architecture's table.
 *
 * Installed for every thread that there is and comes. Needs no_new_privs, or CAP_SYS_ADMIN; filters add
 * up: a later one can only take away.
 */
#ifndef XENRES_COMMON_SYSCALL_FILTER_H
#define XENRES_COMMON_SYSCALL_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum { SYSCALL_TERMS_MAX = 2 };

/* (argument & mask) == value. Of what is an int in the kernel, only 32 bits count: SYSCALL_INT. */
struct syscall_term {
    uint32_t argument; /* 0 to 5 */
    uint64_t mask, value;
};
#define SYSCALL_INT UINT64_C(0xffffffff)

/* Allowed when all terms hold; several rows for one call: when one of them does. A name that this
 * architecture does not have is passed over, so that one list does for all. */
struct syscall_rule {
    const char *name; /* NULL ends a list */
    uint32_t term_count;
    struct syscall_term terms[SYSCALL_TERMS_MAX];
    int refuse_errno; /* not 0: refused so, without harm: for what libraries try and can do without */
};

/* Rows, for tables that read as lists. */
#define SYSCALL(call)                                                                              \
    {                                                                                              \
        .name = #call                                                                              \
    }
#define SYSCALL_IF(call, index, bits, is)                                                          \
    {                                                                                              \
        .name = #call, .term_count = 1, .terms = { { (index), (bits), (uint64_t)(is) } }           \
    }
#define SYSCALL_REFUSE(call, errnum)                                                               \
    {                                                                                              \
        .name = #call, .refuse_errno = (errnum)                                                    \
    }
#define SYSCALL_END                                                                                \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* Only what is in one of the lists. -ERROR_FAILED_PRECONDITION: the kernel takes no filter. */
int syscall_filter_allow(const struct syscall_rule *const *lists, size_t list_count,
                         struct failure *f);
/* All but what is in `list`: for who starts other programs, whose needs it does not know. */
int syscall_filter_deny(const struct syscall_rule *list, struct failure *f);

#endif
