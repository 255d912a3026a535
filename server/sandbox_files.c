/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* By system call, as the C library knows nothing of Landlock; and with constants of our own, as headers are
 * often older than the kernel that will be run on. Documentation/userspace-api/landlock.rst has them. */
#include "server/sandbox_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/scope.h"

#define ACCESS_EXECUTE     (UINT64_C(1) << 0)
#define ACCESS_WRITE_FILE  (UINT64_C(1) << 1)
#define ACCESS_READ_FILE   (UINT64_C(1) << 2)
#define ACCESS_READ_DIR    (UINT64_C(1) << 3)
#define ACCESS_REMOVE_FILE (UINT64_C(1) << 5)
#define ACCESS_MAKE_REG    (UINT64_C(1) << 8)
#define ACCESS_TRUNCATE    (UINT64_C(1) << 14)
#define OF_FILES           (ACCESS_EXECUTE | ACCESS_WRITE_FILE | ACCESS_READ_FILE | ACCESS_TRUNCATE)

#define NET_BIND_AND_CONNECT UINT64_C(3)
#define SCOPE_ABSTRACT_UNIX  (UINT64_C(1) << 0)
#define SCOPE_SIGNAL         (UINT64_C(1) << 1)

enum { ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL = 5, ABI_SCOPE = 6 };
enum { CREATE_VERSION = 1, RULE_PATH_BENEATH = 1 };

/* Grows at its end; the kernel takes any length that it knows. */
struct ruleset {
    uint64_t fs, net, scoped;
};

struct path_beneath {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

static int landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);

    return version > 0 ? (int)version : 0;
}

/* Everything that this kernel can take away. */
static struct ruleset all_of(int abi)
{
    /* Bits 0 to 12 came with the first version, REFER (13) with the second, TRUNCATE (14) and IOCTL_DEV
     * (15) each with one more. */
    unsigned bits = abi >= ABI_IOCTL ? 16 : abi >= ABI_TRUNCATE ? 15 : abi == 2 ? 14 : 13;
    struct ruleset r = { .fs = (UINT64_C(1) << bits) - 1 };

    if (abi >= ABI_NET) {
        r.net = NET_BIND_AND_CONNECT;
    }
    if (abi >= ABI_SCOPE) {
        r.scoped = SCOPE_SIGNAL | SCOPE_ABSTRACT_UNIX;
    }
    return r;
}

static int failed(struct failure *f, const char *call)
{
    int errnum = errno;
    int result = failure_set(f, ERROR_INTERNAL, "cannot give up access to files");

    return failure_call(f, result, call, errnum);
}

static int allow(int ruleset_fd, const char *path, uint64_t access, struct failure *f)
{
    SCOPE_FD int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0) {
        return 0; /* not there, or not for us: nothing to allow */
    }
    if (fstat(fd, &st) != 0) {
        return failed(f, "fstat");
    }
    const struct path_beneath rule = {
        .allowed = S_ISDIR(st.st_mode) ? access : access & OF_FILES,
        .parent_fd = fd,
    };

    return syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PATH_BENEATH, &rule, 0) == 0
               ? 0
               : failed(f, "landlock_add_rule");
}

int sandbox_files_restrict(const struct sandbox_files *files, int *abi, struct failure *f)
{
    int version = landlock_version();
    const struct ruleset all = all_of(version);
    size_t len_bytes = version >= ABI_SCOPE ? sizeof(all) : version >= ABI_NET ? 16 : 8;
    const uint64_t read_access = (ACCESS_READ_FILE | ACCESS_READ_DIR) & all.fs;
    const uint64_t write_access = (ACCESS_READ_DIR | ACCESS_WRITE_FILE | ACCESS_MAKE_REG |
                                   ACCESS_REMOVE_FILE | ACCESS_TRUNCATE) &
                                  all.fs;
    int result = 0;

    if (version == 0) {
        *abi = 0;
        return 0;
    }
    SCOPE_FD int fd = (int)syscall(SYS_landlock_create_ruleset, &all, len_bytes, 0);

    if (fd < 0) {
        return failed(f, "landlock_create_ruleset");
    }
    for (unsigned i = 0; i < files->readable_count && result == 0; i++) {
        result = allow(fd, files->readable[i], read_access, f);
    }
    for (unsigned i = 0; i < files->writable_count && result == 0; i++) {
        result = allow(fd, files->writable[i], write_access, f);
    }
    if (result == 0 && syscall(SYS_landlock_restrict_self, fd, 0) != 0) {
        result = failed(f, "landlock_restrict_self");
    }
    if (result == 0) {
        *abi = version;
    }
    return result;
}
