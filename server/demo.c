/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/pki.h"
#include "common/log.h"
#include "common/scope.h"

enum { CERTIFICATE_DAYS = 30, DEMO_FILE_MAX_BYTES = 16384 };

static int failed(struct failure *f, const char *doing, const char *path)
{
    int errnum = errno;
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "cannot %s %s: %s", doing, path,
                             strerror(errnum));

    return failure_next(f, result, "choose a directory that this user may write");
}

static bool exists(const char *dir, const char *name)
{
    char path[PATH_MAX];

    return (size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) < sizeof(path) &&
           access(path, F_OK) == 0;
}

/* Whole or not at all: written beside, then renamed. */
static int write_file(const char *dir, const char *name, mode_t mode, const struct buffer *content,
                      struct failure *f)
{
    char path[PATH_MAX], beside[PATH_MAX + 8];
    SCOPE_FD int fd = -1;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    snprintf(beside, sizeof(beside), "%s.XXXXXX", path);
    fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0) {
        return failed(f, "write", path);
    }
    if (content->failed || fchmod(fd, mode) != 0 ||
        write(fd, content->data, content->len_bytes) != (ssize_t)content->len_bytes ||
        fsync(fd) != 0 || rename(beside, path) != 0) {
        int result = failed(f, "write", path);

        (void)unlink(beside);
        return result;
    }
    return 0;
}

static int make_certificates(const char *dir, struct failure *f)
{
    static const char *const server_names[] = { "localhost", NULL };
    static const char *const server_addresses[] = { "127.0.0.1", "::1", NULL };
    static const char *const operator_uris[] = { "spiffe://xenres.demo/operator", NULL };
    static const char *const visitor_uris[] = { "spiffe://xenres.demo/visitor", NULL };
    static const struct {
        const char *name;
        struct pki_subject subject;
    } rows[] = {
        { "server",
          { .common_name = "localhost",
            .dns_names = server_names,
            .addresses = server_addresses,
            .server = true,
            .valid_days = CERTIFICATE_DAYS } },
        { "operator",
          { .common_name = "operator", .uris = operator_uris, .valid_days = CERTIFICATE_DAYS } },
        { "visitor",
          { .common_name = "visitor", .uris = visitor_uris, .valid_days = CERTIFICATE_DAYS } },
    };
    int result = exists(dir, "ca.key")
                     ? 0
                     : pki_make_ca(dir, "ca", "xenresd demonstration CA", CERTIFICATE_DAYS, f);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && result == 0; i++) {
        char key[64];

        snprintf(key, sizeof(key), "%s.key", rows[i].name);
        if (!exists(dir, key)) {
            result = pki_issue(dir, "ca", rows[i].name, &rows[i].subject, f);
        }
    }
    return result;
}

static int write_policy(const char *dir, struct failure *f)
{
    BUFFER_AUTO(text, DEMO_FILE_MAX_BYTES);

    buffer_append_string(
        &text, "# Who may do what: see xenresd-policy(5).\n"
               "rule \"operators\" {\n"
               "    effect     = allow\n"
               "    identities = { \"spiffe:spiffe://xenres.demo/operator\" }\n"
               "    domains    = { \"all\" }\n"
               "    types      = { \"all\" }\n"
               "    actions    = { \"list\", \"snapshot\", \"watch\", \"decode\", \"trace.read\", "
               "\"trace.control\" }\n"
               "}\n"
               "\n"
               "rule \"visitors\" {\n"
               "    effect     = allow\n"
               "    identities = { \"spiffe:spiffe://xenres.demo/visitor\" }\n"
               "    domains    = { \"name:web-*\" }\n"
               "    types      = { \"grant_table\", \"vcpu_stats\" }\n"
               "    actions    = { \"list\", \"decode\" }\n"
               "}\n");
    return exists(dir, "policy.conf") ? 0 : write_file(dir, "policy.conf", 0644, &text, f);
}

static int write_export(const char *dir, struct failure *f)
{
    BUFFER_AUTO(text, DEMO_FILE_MAX_BYTES);

    buffer_append_string(&text,
                         "# What may ever leave this host: see xenresd-export(5).\n"
                         "allow all all list,snapshot,watch,decode,trace.read,trace.control\n");
    return exists(dir, "export") ? 0 : write_file(dir, "export", 0644, &text, f);
}

/* The simulator's mapper stands where this program stands. */
static int find_mapper(char path[PATH_MAX], struct failure *f)
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof("-mapper-sim"));
    char *slash;

    if (n < 0) {
        return failed(f, "read", "/proc/self/exe");
    }
    path[n] = '\0';
    slash = strrchr(path, '/');
    memcpy(slash + 1, "xenresd-mapper-sim", sizeof("xenresd-mapper-sim"));
    if (access(path, X_OK) != 0) {
        int result = failure_set(f, ERROR_NOT_FOUND, "there is no %s", path);

        return failure_next(f, result, "build it (make), or install it beside xenresd");
    }
    return 0;
}

static int write_config(const struct demo_options *o, const char *dir, struct failure *f)
{
    char mapper[PATH_MAX], scenario[PATH_MAX] = "";
    int result = find_mapper(mapper, f);
    BUFFER_AUTO(text, DEMO_FILE_MAX_BYTES);

    if (result < 0) {
        return result;
    }
    if (o->scenario != NULL && realpath(o->scenario, scenario) == NULL) {
        return failure_next(f, failed(f, "read", o->scenario),
                            "name a scenario file that is there");
    }
    buffer_printf(&text,
                  "# A demonstration: see xenresd.conf(5).\n"
                  "server {\n"
                  "    listen    = \"%s\"\n"
                  "    health    = \"%s/health.sock\"\n"
                  "    user      = \"nobody\"\n"
                  "    state_dir = \"%s\"\n"
                  "    policy    = \"%s/policy.conf\"\n"
                  "}\n"
                  "tls {\n"
                  "    certificate = \"%s/server.crt\"\n"
                  "    key         = \"%s/server.key\"\n"
                  "    client_ca   = \"%s/ca.crt\"\n"
                  "}\n"
                  "mapper {\n"
                  "    program  = \"%s\"\n"
                  "    export   = \"%s/export\"\n"
                  "    scenario = \"%s\"\n"
                  "    user     = \"nobody\"\n"
                  "}\n",
                  o->listen != NULL ? o->listen : "127.0.0.1:0", dir, dir, dir, dir, dir, dir,
                  mapper, dir, scenario);
    if (exists(dir, "xenresd.conf") && o->listen == NULL && o->scenario == NULL) {
        return 0;
    }
    return write_file(dir, "xenresd.conf", 0644, &text, f);
}

/* A path goes into files that have quotes of their own. */
static int usable_name(const char *dir, struct failure *f)
{
    if (strlen(dir) > CONFIG_TEXT_BYTES - 32 || strpbrk(dir, "\"'\\${}\n") != NULL) {
        int result =
            failure_set(f, ERROR_INVALID_ARGUMENT, "the directory's name does not do: %s", dir);

        return failure_next(f, result,
                            "choose a short one without quotes, backslashes, $ and braces");
    }
    return 0;
}

/* Who can write the directory decides which program is started, as root perhaps, and what DIR/env
 * says to the shell that reads it. */
static int check_owner(const char *dir, struct failure *f)
{
    struct stat st;
    int result;

    if (stat(dir, &st) != 0) {
        return failed(f, "look at", dir);
    }
    if (st.st_uid == geteuid() && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0) {
        return 0;
    }
    result = failure_set(f, ERROR_FAILED_PRECONDITION,
                         "others than this user can change what is in %s (owner %u, mode %04o)",
                         dir, (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
    return failure_next(f, result, "choose a directory that is not there yet");
}

int demo_prepare(const struct demo_options *options, char config_path[CONFIG_TEXT_BYTES],
                 struct failure *f)
{
    char dir[PATH_MAX], env[PATH_MAX + 8];
    int result;

    if (mkdir(options->dir, 0755) != 0 && errno != EEXIST) {
        return failed(f, "make", options->dir);
    }
    if (realpath(options->dir, dir) == NULL) {
        return failed(f, "read", options->dir);
    }
    result = usable_name(dir, f);
    result = result < 0 ? result : check_owner(dir, f);
    if (result < 0) {
        return result;
    }
    snprintf(env, sizeof(env), "%s/env", dir);
    if (unlink(env) != 0 && errno != ENOENT) {
        return failed(f, "remove", env);
    }
    result = make_certificates(dir, f);
    result = result < 0 ? result : write_policy(dir, f);
    result = result < 0 ? result : write_export(dir, f);
    result = result < 0 ? result : write_config(options, dir, f);
    if (result == 0) {
        snprintf(config_path, CONFIG_TEXT_BYTES, "%.*s/xenresd.conf", CONFIG_TEXT_BYTES - 16, dir);
    }
    return result;
}

/* The address that a client on this machine uses for one that the server listens at. */
static void reachable(const char *listen, char *out, size_t out_bytes)
{
    const char *colon = strrchr(listen, ':');
    int len = colon != NULL ? (int)(colon - listen) : (int)strlen(listen);

    if (strncmp(listen, "0.0.0.0", (size_t)len) == 0 || strncmp(listen, "[::]", (size_t)len) == 0) {
        snprintf(out, out_bytes, "localhost");
    } else {
        snprintf(out, out_bytes, "%.*s", len, listen);
    }
}

int demo_ready(void *arg, const char *address, uint16_t port, struct failure *f)
{
    const char *dir = arg;
    char host[128];
    BUFFER_AUTO(text, DEMO_FILE_MAX_BYTES);
    int result;

    reachable(address, host, sizeof(host));
    buffer_printf(&text,
                  "export XENRES_SERVER='https://%s:%u'\n"
                  "export XENRES_CACERT='%s/ca.crt'\n"
                  "export XENRES_CERT='%s/operator.crt'\n"
                  "export XENRES_KEY='%s/operator.key'\n",
                  host, port, dir, dir, dir);
    result = write_file(dir, "env", 0644, &text, f);
    if (result == 0) {
        log_info("ready: . %s/env && xenres domains", dir);
    }
    return result;
}
