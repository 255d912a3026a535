/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The calls that any program with threads makes: of its C library, not of what it does. For
 * syscall_filter_allow(), beside a list of the program's own.
 */
#ifndef XENRES_COMMON_SYSCALL_LIST_H
#define XENRES_COMMON_SYSCALL_LIST_H

#include "common/syscall_filter.h"

/* Memory that is never executable; threads, but no processes; locks, time, random bytes; the signals that
 * end a process of itself. Ends with SYSCALL_END. */
extern const struct syscall_rule syscall_list_runtime[];

/* Room for the rows that depend on the process: signals to itself alone. */
enum { SYSCALL_LIST_SELF_ROWS = 3 };
void syscall_list_self(struct syscall_rule rows[SYSCALL_LIST_SELF_ROWS]);

/* What the runtime of an instrumented build does besides; without one: an empty list. */
extern const struct syscall_rule syscall_list_sanitizer[];

#endif
