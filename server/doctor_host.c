/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/scope.h"
#include "server/doctor.h"

/* No host has been right with a clock before this program was written: 2026-01-01. */
#define OLDEST_NOW_S UINT64_C(1767225600)

static void look_at_clock(struct doctor *d)
{
    struct timex t = { 0 };
    int state = adjtimex(&t);
    uint64_t before = clock_monotonic_ns(), now_s = clock_wall_ns() / CLOCK_NS_PER_S;

    if (now_s < OLDEST_NOW_S) {
        doctor_row(d, DOCTOR_FAILED, "clock",
                   "it is %llu s after 1970, so that all certificates are of the future: set the "
                   "clock (chronyd, timedatectl set-ntp true)",
                   (unsigned long long)now_s);
    } else if (clock_monotonic_ns() < before) {
        doctor_row(d, DOCTOR_FAILED, "clock",
                   "the monotonic one goes back: choose another clocksource at the boot");
    } else if (state < 0 || state == TIME_ERROR || (t.status & STA_UNSYNC) != 0) {
        doctor_row(d, DOCTOR_WARNING, "clock",
                   "nobody keeps it right, and certificates and tokens are judged by it: run "
                   "chronyd, or timedatectl set-ntp true");
    } else {
        doctor_row(d, DOCTOR_OK, "clock", "synchronised, to %ld us at worst", t.maxerror);
    }
}

static void look_at_entropy(struct doctor *d)
{
    uint8_t bytes[16];

    if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) == (ssize_t)sizeof(bytes)) {
        doctor_row(d, DOCTOR_OK, "entropy", "the kernel has some");
    } else {
        doctor_row(d, DOCTOR_FAILED, "entropy",
                   "the kernel has none yet (%s): start rngd or haveged, or give this machine a "
                   "random number generator",
                   strerror(errno));
    }
}

static void look_at_seccomp(struct doctor *d)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;

    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) {
        doctor_row(d, DOCTOR_OK, "seccomp", "the kernel filters system calls");
    } else {
        doctor_row(d, DOCTOR_FAILED, "seccomp",
                   "the kernel cannot filter system calls (%s): use one with "
                   "CONFIG_SECCOMP_FILTER",
                   strerror(errno));
    }
}

static void look_at_landlock(struct doctor *d)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (abi > 0) {
        doctor_row(d, DOCTOR_OK, "Landlock", "ABI %ld", abi);
    } else {
        doctor_row(d, DOCTOR_WARNING, "Landlock",
                   "not there (%s), so that the unit alone keeps xenresd from other files: %s",
                   strerror(errno),
                   errno == EOPNOTSUPP
                       ? "add landlock to lsm= on the kernel's command line"
                       : "use a kernel of 5.13 or newer, with CONFIG_SECURITY_LANDLOCK");
    }
}

static void look_at_memfd(struct doctor *d)
{
    SCOPE_FD int fd = memfd_create("doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const int seals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

    if (fd >= 0 && fcntl(fd, F_ADD_SEALS, seals) == 0) {
        doctor_row(d, DOCTOR_OK, "shared memory", "memfd, and its seals");
    } else {
        doctor_row(d, DOCTOR_FAILED, "shared memory",
                   "memory cannot be sealed (%s), which the mapper shares: use a kernel of 5.1 or "
                   "newer",
                   strerror(errno));
    }
}

static void look_at_limits(struct doctor *d)
{
    long long wanted = (long long)d->config->limits_open_files;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        doctor_row(d, DOCTOR_FAILED, "open files", "cannot be asked for: %s", strerror(errno));
    } else if (limit.rlim_max < (rlim_t)wanted && geteuid() != 0) {
        doctor_row(d, DOCTOR_WARNING, "open files",
                   "%llu here, and limits.open_files is %lld: raise LimitNOFILE= of the unit, or "
                   "lower that",
                   (unsigned long long)limit.rlim_max, wanted);
    } else {
        doctor_row(d, DOCTOR_OK, "open files", "%lld can be had", wanted);
    }
}

void doctor_host(struct doctor *d)
{
    look_at_clock(d);
    look_at_entropy(d);
    look_at_seccomp(d);
    look_at_landlock(d);
    look_at_memfd(d);
    look_at_limits(d);
}
