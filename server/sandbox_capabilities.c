/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/sandbox_capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAPABILITIES = 64, WORDS = _LINUX_CAPABILITY_U32S_3 };

static int failed(struct failure *f, const char *call)
{
    int errnum = errno;

    return failure_call(f, failure_set(f, ERROR_INTERNAL, "cannot give up capabilities"), call,
                        errnum);
}

static int get(struct __user_cap_header_struct *head, struct __user_cap_data_struct sets[WORDS],
               struct failure *f)
{
    *head = (struct __user_cap_header_struct){ .version = _LINUX_CAPABILITY_VERSION_3 };
    return syscall(SYS_capget, head, sets) == 0 ? 0 : failed(f, "capget");
}

int sandbox_capabilities_bound(uint64_t kept, struct failure *f)
{
    struct __user_cap_header_struct head;
    struct __user_cap_data_struct sets[WORDS];
    int result = get(&head, sets, f);

    if (result < 0 || (sets[0].effective & (1U << CAP_SETPCAP)) == 0) {
        return result;
    }
    for (int i = 0; i < CAPABILITIES; i++) {
        bool is_there = prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1; /* EINVAL: behind the last one */

        if (is_there && (kept & SANDBOX_CAPABILITY(i)) == 0 &&
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0) {
            return failed(f, "prctl(PR_CAPBSET_DROP)");
        }
    }
    return 0;
}

int sandbox_capabilities_keep(uint64_t kept, struct failure *f)
{
    struct __user_cap_header_struct head;
    struct __user_cap_data_struct sets[WORDS];
    int result = get(&head, sets, f);

    if (result < 0) {
        return result;
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
        return failed(f, "prctl(PR_CAP_AMBIENT)");
    }
    for (int i = 0; i < WORDS; i++) {
        uint32_t word = (uint32_t)(kept >> (32 * i));

        sets[i].permitted &= word;
        sets[i].effective &= word;
        sets[i].inheritable = 0;
    }
    return syscall(SYS_capset, &head, sets) == 0 ? 0 : failed(f, "capset");
}
