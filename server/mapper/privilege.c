/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See privilege.h. Whatever fails here ends the start: nobody runs with more than he should. */
#include "server/mapper/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/text.h"

static int no_user(const char *user, struct failure *f)
{
    int result = failure_set(f, ERROR_NOT_FOUND, "there is no user %s", user);
    return failure_next(f, result, "create it (useradd --system %s), or name another", user);
}

int privilege_find_uid(const char *user, uid_t *out, struct failure *f)
{
    uint64_t number;
    if (text_to_u64(user, UINT32_MAX - 1, &number)) {
        *out = (uid_t)number;
        return 0;
    }
    const struct passwd *p = getpwnam(user);
    if (!p) {
        return no_user(user, f);
    }
    *out = p->pw_uid;
    return 0;
}

int privilege_find_user(const char *name, struct privilege_user *out, struct failure *f)
{
    const struct passwd *p = getpwnam(name);
    if (!p) {
        return no_user(name, f);
    }
    *out = (struct privilege_user){ .uid = p->pw_uid,
                                    .gid = p->pw_gid,
                                    .group_count = PRIVILEGE_GROUPS_MAX };
    if (getgrouplist(name, out->gid, out->groups, &out->group_count) < 0) {
        return failure_set(f, ERROR_FAILED_PRECONDITION, "user %s is in more than %d groups", name,
                           PRIVILEGE_GROUPS_MAX);
    }
    return 0;
}

static int privilege_failure(const char *call, struct failure *f)
{
    int errnum = errno;
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "cannot give up privileges");
    failure_call(f, result, call, errnum);
    return failure_next(f, result,
                        "start the mapper as root, or as the user it is to run as, without"
                        " --user");
}

static int become(const struct privilege_user *user, struct failure *f)
{
    if (getuid() == user->uid && geteuid() == user->uid) {
        return 0; /* it is that user already */
    }
    if (setgroups((size_t)user->group_count, user->groups) < 0) {
        return privilege_failure("setgroups", f);
    }
    if (setresgid(user->gid, user->gid, user->gid) < 0) {
        return privilege_failure("setresgid", f);
    }
    if (setresuid(user->uid, user->uid, user->uid) < 0) {
        return privilege_failure("setresuid", f);
    }
    if (user->uid != 0 && (setuid(0) == 0 || getuid() != user->uid || geteuid() != user->uid)) {
        return failure_set(f, ERROR_INTERNAL, "root could be had again after giving it up");
    }
    return 0;
}

static int limit(int resource, const char *call, rlim_t most, struct failure *f)
{
    struct rlimit l;
    if (getrlimit((__rlimit_resource_t)resource, &l) < 0) {
        return privilege_failure(call, f);
    }
    if (l.rlim_max > most) {
        l.rlim_max = most;
    }
    if (l.rlim_cur > l.rlim_max) {
        l.rlim_cur = l.rlim_max;
    }
    if (setrlimit((__rlimit_resource_t)resource, &l) < 0) {
        return privilege_failure(call, f);
    }
    return 0;
}

int privilege_begin(struct failure *f)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        return 0;
    }
    return privilege_failure("prctl(PR_SET_NO_NEW_PRIVS)", f);
}

void privilege_raise_descriptors(uint32_t wanted)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < wanted) {
        l.rlim_cur = l.rlim_max < wanted ? l.rlim_max : wanted;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
}

int privilege_drop(const struct privilege_user *user, bool die_with_parent, struct failure *f)
{
    pid_t parent = getppid();
    int result = user ? become(user, f) : 0;
    if (result < 0) {
        return result;
    }
    /* Guests' pages must not end up in a core file. */
    result = limit(RLIMIT_CORE, "setrlimit(RLIMIT_CORE)", 0, f);
#ifndef XENRES_SANITIZED /* the leak checker of an instrumented build traces from a thread of its own */
    if (result == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
        return privilege_failure("prctl(PR_SET_DUMPABLE)", f);
    }
    if (result == 0) {
        result = limit(RLIMIT_NPROC, "setrlimit(RLIMIT_NPROC)", PRIVILEGE_TASKS_MAX, f);
    }
#endif
    if (result < 0) {
        return result;
    }
    /* After the change of user, which clears it. */
    if (die_with_parent && prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0) {
        return privilege_failure("prctl(PR_SET_PDEATHSIG)", f);
    }
    if (die_with_parent && getppid() != parent) {
        return failure_set(f, ERROR_CANCELED, "the process that started the mapper is gone");
    }
    return 0;
}
