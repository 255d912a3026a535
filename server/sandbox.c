/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "server/sandbox_capabilities.h"
#include "server/sandbox_seccomp.h"

int sandbox_find_user(const char *user, uid_t *uid, gid_t *gid, struct failure *f)
{
    struct passwd entry, *found = NULL;
    char strings[4096];
    int errnum = getpwnam_r(user, &entry, strings, sizeof(strings), &found);

    if (found == NULL) {
        int result = failure_set(f, ERROR_NOT_FOUND, "there is no user %s%s%s", user,
                                 errnum != 0 ? ": " : "", errnum != 0 ? strerror(errnum) : "");

        return failure_next(f, result, "make it (useradd --system %s), or name another one", user);
    }
    *uid = entry.pw_uid;
    *gid = entry.pw_gid;
    return 0;
}

bool sandbox_is_root(const char *user)
{
    uid_t uid = 1;
    gid_t gid;

    return sandbox_find_user(user, &uid, &gid, NULL) == 0 && uid == 0;
}

static int refused(struct failure *f, const char *call, int errnum)
{
    return failure_call(f, failure_set(f, ERROR_INTERNAL, "cannot give up privileges"), call,
                        errnum);
}

/* Becomes `user` for good. Root that could come back would make the rest of no use: tried here. */
static int drop_root(const char *user, struct failure *f)
{
    uid_t uid = 0;
    gid_t gid = 0;
    int result = sandbox_find_user(user, &uid, &gid, f);

    if (result < 0) {
        return result;
    }
    if (uid == 0) {
        result = failure_set(f, ERROR_INVALID_ARGUMENT, "server.user is root");
        return failure_next(f, result, "name an unprivileged user: xenresd needs no privilege");
    }
    if (setgroups(0, NULL) != 0) {
        return refused(f, "setgroups", errno);
    }
    if (setresgid(gid, gid, gid) != 0) {
        return refused(f, "setresgid", errno);
    }
    if (setresuid(uid, uid, uid) != 0) {
        return refused(f, "setresuid", errno);
    }
    if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0) {
        return failure_set(f, ERROR_INTERNAL, "root could be had back after it was given up");
    }
    return 0;
}

/* Exactly so, for good: less than there is, or more, where that may be raised while this is still root. */
static int limit(int resource, uint64_t value, const char *name, struct failure *f)
{
    const struct rlimit want = { .rlim_cur = value, .rlim_max = value };

    return setrlimit(resource, &want) == 0 ? 0 : refused(f, name, errno);
}

/* As many as are configured, or, where nobody may raise what there is, that, if it is enough. */
static int limit_files(const struct sandbox_options *o, struct failure *f)
{
    struct rlimit now;
    int result = limit(RLIMIT_NOFILE, o->open_files, "RLIMIT_NOFILE", f);

    if (result == 0 || f->xen_errno != EPERM || getrlimit(RLIMIT_NOFILE, &now) != 0) {
        return result;
    }
    unsigned long long there = now.rlim_max, wanted = o->open_files;

    if (there >= o->open_files_least) {
        log_warning(
            "RLIMIT_NOFILE is limited to %llu, where limits.open_files is %llu: that has to do",
            there, wanted);
        return limit(RLIMIT_NOFILE, there, "RLIMIT_NOFILE", f);
    }
    result = failure_set(f, ERROR_FAILED_PRECONDITION,
                         "RLIMIT_NOFILE is limited to %llu, but %llu is configured", there, wanted);
    return failure_next(f, result,
                        "raise the limit of the service (LimitNOFILE= of its unit; the host's is "
                        "fs.nr_open), or lower limits.open_files and limits.connections");
}

/* Asked for anew, since a change of user forgets it; a parent that died in between is noticed by its
 * number. Before that the supervisor's own wish (child.c) was in force. */
static int follow_parent(pid_t parent, struct failure *f)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return refused(f, "prctl(PR_SET_PDEATHSIG)", errno);
    }
    return getppid() == parent ? 0 : failure_set(f, ERROR_UNAVAILABLE, "the supervisor is gone");
}

/* Cores and debuggers. Of what is not dumpable the kernel makes no core, also not for a handler that it
 * pipes cores to, which RLIMIT_CORE alone would not stop. */
static int hide_memory(struct failure *f)
{
    int result = limit(RLIMIT_CORE, 0, "RLIMIT_CORE", f);

#ifndef XENRES_SANITIZED /* the leak sanitizer looks at its own process as a debugger does */
    if (result == 0 && prctl(PR_SET_DUMPABLE, 0) != 0) {
        result = refused(f, "prctl(PR_SET_DUMPABLE)", errno);
    }
#endif
    return result;
}

static int no_new_privileges(struct failure *f)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
               ? 0
               : refused(f, "prctl(PR_SET_NO_NEW_PRIVS)", errno);
}

static int give_up_privileges(const char *user, struct failure *f)
{
    int result = sandbox_capabilities_bound(0, f); /* while there is the right to */

    if (result == 0 && geteuid() == 0) {
        result = drop_root(user, f);
    }
    if (result == 0) {
        result = sandbox_capabilities_keep(0, f);
    }
    return result == 0 ? no_new_privileges(f) : result;
}

static int give_up_files(const struct sandbox_files *files, struct failure *f)
{
    int abi = 0;
    int result = sandbox_files_restrict(files, &abi, f);

    if (result == 0 && abi == 0) {
        log_warning(
            "this kernel has no Landlock: files are kept from xenresd by their modes alone");
    }
    return result;
}

int sandbox_enter(const struct sandbox_options *options, struct failure *f)
{
    pid_t parent = getppid();
    int result = limit_files(options, f);

    if (result == 0) {
        result = limit(RLIMIT_MEMLOCK, 0, "RLIMIT_MEMLOCK", f);
    }
    if (result == 0) {
        result = give_up_privileges(options->user, f);
    }
    if (result == 0) { /* a change of user has made it dumpable again, or the other way round */
        result = hide_memory(f);
    }
    if (result == 0) {
        result = follow_parent(parent, f);
    }
    if (result == 0) {
        result = give_up_files(options->files, f);
    }
    return result == 0 ? sandbox_seccomp_worker(f) : result;
}

/* What root needs to start the two again: to become their users and to take from them what they must not
 * have, to end them, to raise their limits, to read what belongs to them, their journal included, and to give
 * the worker its audit (which it makes while it is still root). */
#define SUPERVISOR_CAPABILITIES                                                                    \
    (SANDBOX_CAPABILITY(CAP_CHOWN) | SANDBOX_CAPABILITY(CAP_SETUID) |                              \
     SANDBOX_CAPABILITY(CAP_SETGID) | SANDBOX_CAPABILITY(CAP_SETPCAP) |                            \
     SANDBOX_CAPABILITY(CAP_KILL) | SANDBOX_CAPABILITY(CAP_SYS_RESOURCE) |                         \
     SANDBOX_CAPABILITY(CAP_DAC_OVERRIDE) | SANDBOX_CAPABILITY(CAP_DAC_READ_SEARCH))

int sandbox_enter_supervisor(struct failure *f)
{
    int result = sandbox_capabilities_bound(SUPERVISOR_CAPABILITIES, f);

    if (result == 0) {
        result = sandbox_capabilities_keep(SUPERVISOR_CAPABILITIES, f);
    }
    if (result == 0) {
        result = no_new_privileges(f);
    }
    if (result == 0) {
        result = hide_memory(f);
    }
    return result == 0 ? sandbox_seccomp_supervisor(f) : result;
}
