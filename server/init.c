/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/init.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/guarded_file.h"
#include "auth/pki.h"
#include "common/scope.h"
#include "server/config.h"
#include "server/init_folder.h"
#include "server/init_texts.h"
#include "server/material.h"
#include "server/sandbox.h"

enum { NAME_MAX_BYTES = 253, HOST_NAME_BYTES = 256, NFTW_FDS = 8 };

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* What is moved into its place, in this order: where xenresd.conf is, all is. */
static const char *const made[] = { "ca",          "server.crt", "server.key", "clients.crt",
                                    "policy.conf", "export",     "deny",       "xenresd.conf" };
enum { MADE_COUNT = sizeof(made) / sizeof(made[0]) };

/* A making under way; what of it is on the disk. */
struct making {
    const struct init_options *o;
    char host_name[HOST_NAME_BYTES];
    uid_t uid;
    gid_t gid;
    bool is_root, made_dir, made_state_dir;
    char stage[PATH_MAX]; /* "" while there is none */
    size_t moved;         /* of `made` */
};

static int failed(struct failure *f, const char *doing, const char *path)
{
    int errnum = errno;
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "cannot %s %s: %s", doing, path,
                             strerror(errnum));

    return failure_next(f, result, "name a folder that this user may write");
}

static void join(char out[PATH_MAX], const char *dir, const char *name)
{
    snprintf(out, PATH_MAX, "%.*s/%.*s", PATH_MAX - 320, dir, 300, name);
}

/* --- what is asked for ------------------------------------------------------------------------ */

static bool is_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= NAME_MAX_BYTES && strspn(name, LETTERS "-.") == len &&
           strchr("-.", name[0]) == NULL && name[len - 1] != '-';
}

static bool is_address(const char *name)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static int check_admin(const char *admin, struct failure *f)
{
    size_t len = strlen(admin);
    int result;

    if (len > 0 && len <= INIT_ADMIN_MAX_BYTES && strspn(admin, LETTERS "_.-") == len &&
        strchr("_.-", admin[0]) == NULL && strcmp(admin, "ca") != 0 &&
        strcmp(admin, "server") != 0) {
        return 0;
    }
    result = failure_set(f, ERROR_INVALID_ARGUMENT, "nobody can be called \"%s\" here", admin);
    return failure_next(f, result,
                        "choose up to %d letters and digits, with _ . - inside; not ca or server",
                        INIT_ADMIN_MAX_BYTES);
}

/* It goes into quotes in the configuration. */
static int check_dir(const char *dir, struct failure *f)
{
    if (dir[0] == '/' && strlen(dir) <= CONFIG_TEXT_BYTES - 32 &&
        strpbrk(dir, "\"'\\${}\n") == NULL) {
        return 0;
    }
    return failure_next(f,
                        failure_set(f, ERROR_INVALID_ARGUMENT, "%s does not do as a folder", dir),
                        "name an absolute path without quotes, backslashes, $ and braces");
}

static int check_names(const struct init_options *o, struct failure *f)
{
    for (size_t i = 0; i < o->name_count; i++) {
        if (!is_name(o->names[i]) && !is_address(o->names[i])) {
            int result = failure_set(f, ERROR_INVALID_ARGUMENT,
                                     "\"%s\" is neither a host's name nor an address", o->names[i]);

            return failure_next(f, result, "write it as clients will: gateway.example.org");
        }
    }
    return 0;
}

static int check_user(struct making *m, struct failure *f)
{
    int result;

    if (!m->is_root) {
        return 0;
    }
    result = sandbox_find_user(m->o->user, &m->uid, &m->gid, f);
    if (result == 0 && m->uid == 0) {
        result = failure_set(f, ERROR_INVALID_ARGUMENT, "root is not to serve");
    }
    if (result != 0) {
        return failure_next(f, result,
                            "make the user (systemd-sysusers, with xenresd.sysusers), or "
                            "name one with --user");
    }
    return 0;
}

/* A folder that others can write is theirs to fill again. */
static int check_place(const struct making *m, struct failure *f)
{
    char path[PATH_MAX];
    struct stat st;

    if (lstat(m->o->dir, &st) != 0) {
        return errno == ENOENT ? 0 : failed(f, "look at", m->o->dir);
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        int result = failure_set(f, ERROR_FAILED_PRECONDITION,
                                 "others than this user can change %s (owner %u, mode %04o)",
                                 m->o->dir, (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));

        return failure_next(f, result, "name a folder that is not there yet");
    }
    for (size_t i = 0; i < MADE_COUNT; i++) {
        join(path, m->o->dir, made[i]);
        if (lstat(path, &st) == 0) {
            int result = failure_set(f, ERROR_ALREADY_EXISTS, "%s is there already", path);

            return failure_next(f, result,
                                "move it away, or name another folder; nothing was made");
        }
    }
    return 0;
}

/* --- making ----------------------------------------------------------------------------------- */

/* Looked at once more, now that nobody can put another one there. */
static int make_folders(struct making *m, struct failure *f)
{
    SCOPE_FD int dir = -1;
    SCOPE_FD int state_dir = -1;
    char path[PATH_MAX];
    int result = init_folder_open(m->o->dir, 0755, geteuid(), getegid(), &m->made_dir, &dir, f);

    if (result == 0) {
        result = init_folder_open(m->o->state_dir, 0700, m->uid, m->gid, &m->made_state_dir,
                                  &state_dir, f);
    }
    if (result != 0) {
        return result;
    }
    join(path, m->o->dir, ".init.XXXXXX");
    if (mkdtemp(path) == NULL) {
        return failed(f, "make", path);
    }
    memcpy(m->stage, path, sizeof(path));
    return 0;
}

static int make_certificates(const struct making *m, struct failure *f)
{
    const char *dns[INIT_NAMES_MAX + 2] = { "localhost" };
    const char *addresses[INIT_NAMES_MAX + 3] = { "127.0.0.1", "::1" };
    size_t dns_count = 1, address_count = 2;
    const char *const *names = m->o->names;
    const char *own[] = { m->host_name };
    size_t count = m->o->name_count;
    char ca_name[INIT_ADMIN_MAX_BYTES + 1];

    if (count == 0 && is_name(m->host_name) && strcmp(m->host_name, "localhost") != 0) {
        names = own;
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_address(names[i])) {
            addresses[address_count++] = names[i];
        } else {
            dns[dns_count++] = names[i];
        }
    }
    /* The names are in the alternative names: a common name is no more than 64 bytes. */
    const struct pki_subject server = { .common_name = "xenresd",
                                        .dns_names = dns,
                                        .addresses = addresses,
                                        .server = true,
                                        .valid_days = INIT_LEAF_DAYS };
    const struct pki_subject admin = { .common_name = m->o->admin, .valid_days = INIT_LEAF_DAYS };
    int result;

    snprintf(ca_name, sizeof(ca_name), "xenresd CA of %.48s", m->host_name);
    result = pki_make_ca(m->stage, "ca", ca_name, INIT_CA_DAYS, f);
    result = result < 0 ? result : pki_issue(m->stage, "ca", "server", &server, f);
    return result < 0 ? result : pki_issue(m->stage, "ca", m->o->admin, &admin, f);
}

/* A copy: who adds another authority to it does not change the authority's own file. */
static int copy_authority(const struct making *m, struct failure *f)
{
    char from[PATH_MAX], to[PATH_MAX];
    BUFFER_AUTO(pem, MATERIAL_PEM_MAX_BYTES);
    int result;

    join(from, m->stage, "ca.crt");
    join(to, m->stage, "clients.crt");
    result = guarded_file_read(from, GUARDED_PUBLIC, &pem, f);
    return result < 0 ? result
                      : guarded_file_create(to, GUARDED_PUBLIC, pem.data, pem.len_bytes, f);
}

/* What only root needs, and what should leave this host, in a folder of its own. */
static int set_apart(const struct making *m, struct failure *f)
{
    char apart[PATH_MAX], from[PATH_MAX], to[PATH_MAX], names[4][INIT_ADMIN_MAX_BYTES + 8];

    snprintf(names[0], sizeof(names[0]), "ca.crt");
    snprintf(names[1], sizeof(names[1]), "ca.key");
    snprintf(names[2], sizeof(names[2]), "%s.crt", m->o->admin);
    snprintf(names[3], sizeof(names[3]), "%s.key", m->o->admin);
    join(apart, m->stage, "ca");
    if (mkdir(apart, 0700) != 0) {
        return failed(f, "make", apart);
    }
    for (size_t i = 0; i < 4; i++) {
        join(from, m->stage, names[i]);
        join(to, apart, names[i]);
        if (rename(from, to) != 0) {
            return failed(f, "move", from);
        }
    }
    join(from, m->stage, "server.key");
    return m->is_root && lchown(from, m->uid, m->gid) != 0 ? failed(f, "give away", from) : 0;
}

static int write_texts(const struct making *m, struct failure *f)
{
    static const struct {
        const char *name;
        void (*write)(struct buffer *out, const struct init_options *options);
    } texts[] = { { "xenresd.conf", init_text_config },
                  { "policy.conf", init_text_policy },
                  { "export", init_text_export },
                  { "deny", init_text_deny } };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char path[PATH_MAX];
        BUFFER_AUTO(text, INIT_TEXT_MAX_BYTES);
        int result;

        texts[i].write(&text, m->o);
        if (text.failed) {
            return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot write %s: out of memory",
                               texts[i].name);
        }
        join(path, m->stage, texts[i].name);
        result = guarded_file_create(path, GUARDED_PUBLIC, text.data, text.len_bytes, f);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

/* Not even what has come there meanwhile is replaced. */
static int move_all(struct making *m, struct failure *f)
{
    for (; m->moved < MADE_COUNT; m->moved++) {
        char from[PATH_MAX], to[PATH_MAX];

        join(from, m->stage, made[m->moved]);
        join(to, m->o->dir, made[m->moved]);
        if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0) {
            return failed(f, "make", to);
        }
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    (void)remove(path);
    return 0;
}

/* What was moved goes back first, so that only what is ours is removed. */
static void undo(struct making *m)
{
    for (; m->moved > 0; m->moved--) {
        char from[PATH_MAX], to[PATH_MAX];

        join(from, m->o->dir, made[m->moved - 1]);
        join(to, m->stage, made[m->moved - 1]);
        (void)rename(from, to);
    }
    if (m->stage[0] != '\0') {
        (void)nftw(m->stage, remove_one, NFTW_FDS, FTW_DEPTH | FTW_PHYS);
    }
    if (m->made_state_dir) {
        (void)rmdir(m->o->state_dir);
    }
    if (m->made_dir) {
        (void)rmdir(m->o->dir);
    }
}

static int sync_folder(const char *path, struct failure *f)
{
    SCOPE_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && fsync(fd) == 0 ? 0 : failed(f, "write", path);
}

static int make(struct making *m, struct failure *f)
{
    int result = make_folders(m, f);

    result = result < 0 ? result : make_certificates(m, f);
    result = result < 0 ? result : copy_authority(m, f);
    result = result < 0 ? result : write_texts(m, f);
    result = result < 0 ? result : set_apart(m, f);
    result = result < 0 ? result : move_all(m, f);
    result = result < 0 ? result : sync_folder(m->o->dir, f);
    if (result < 0) {
        undo(m);
        return result;
    }
    (void)rmdir(m->stage); /* empty */
    return 0;
}

int init_make(const struct init_options *options, struct failure *f)
{
    struct making m = {
        .o = options, .is_root = geteuid() == 0, .uid = geteuid(), .gid = getegid()
    };
    int result = check_dir(options->dir, f);

    (void)gethostname(m.host_name, sizeof(m.host_name) - 1);
    result = result < 0 ? result : check_dir(options->state_dir, f);
    result = result < 0 ? result : check_admin(options->admin, f);
    result = result < 0 ? result : check_names(options, f);
    result = result < 0 ? result : check_user(&m, f);
    result = result < 0 ? result : check_place(&m, f);
    return result < 0 ? result : make(&m, f);
}
