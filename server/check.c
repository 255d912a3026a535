/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/http/health.h"
#include "server/http/listener.h"
#include "server/material.h"
#include "server/rpc/cors.h"
#include "server/sandbox.h"

/* The faults so far; the first decides the result. */
struct findings {
    struct buffer *faults;
    struct failure *first;
    int result;
};

static void find(struct findings *all, int result, const struct failure *fault, const char *option)
{
    if (result == 0) {
        return;
    }
    buffer_printf(all->faults, "%s: %s%s%s\n", option, fault->message,
                  fault->next_step[0] != '\0' ? "; " : "", fault->next_step);
    if (all->result == 0) {
        all->result = result;
        if (all->first != NULL) {
            *all->first = *fault;
        }
    }
}

static void check_cors(struct findings *all, const struct config *c)
{
    struct cors *cors = NULL;
    struct failure fault = { 0 };
    int result = cors_parse(c->server_cors_origins, &cors, &fault);

    find(all, result, &fault, "server.cors_origins");
    if (result == 0 && cors != NULL) {
        buffer_append_string(
            all->faults, "server.cors_origins: note: browsers ask beforehand without a client "
                         "certificate, which this listener requires: pages reach it only through "
                         "what terminates TLS for them\n");
    }
    cors_free(cors);
}

/* A file or directory that is there, of the right kind, and that this user may use in this way. */
static void check_path(struct findings *all, const char *option, const char *path, mode_t kind,
                       int access_mode)
{
    struct failure fault = { 0 };
    struct stat st;
    int result = 0;

    if (stat(path, &st) != 0 || access(path, access_mode) != 0) {
        result =
            failure_set(&fault, ERROR_NOT_FOUND, "cannot use \"%s\": %s", path, strerror(errno));
    } else if ((st.st_mode & S_IFMT) != kind) {
        result = failure_set(&fault, ERROR_INVALID_ARGUMENT, "%s is not a %s", path,
                             kind == S_IFDIR ? "directory" : "regular file");
    }
    find(all, result, &fault, option);
}

static void check_user(struct findings *all, const char *option, const char *user, bool may_be_root)
{
    struct failure fault = { 0 };
    uid_t uid = 0;
    gid_t gid = 0;
    int result = sandbox_find_user(user, &uid, &gid, &fault);

    if (result == 0 && uid == 0 && !may_be_root) {
        result = failure_set(&fault, ERROR_INVALID_ARGUMENT, "the user is root");
        result =
            failure_next(&fault, result, "name an unprivileged one: xenresd needs no privilege");
    }
    find(all, result, &fault, option);
}

static void check_mapper(struct findings *all, const struct config *c)
{
    if (c->mapper_program[0] == '\0') {
        return;
    }
    check_path(all, "mapper.program", c->mapper_program, S_IFREG, X_OK);
    check_path(all, "mapper.export", c->mapper_export, S_IFREG, R_OK);
    if (c->mapper_scenario[0] != '\0') {
        check_path(all, "mapper.scenario", c->mapper_scenario, S_IFREG, R_OK);
    }
    if (c->mapper_user[0] != '\0' && geteuid() == 0) {
        check_user(all, "mapper.user", c->mapper_user, true);
    }
}

/* Where the audit's file is, or will be. */
static void check_audit(struct findings *all, const struct config *c)
{
    char directory[CONFIG_TEXT_BYTES];
    const char *slash = strrchr(c->audit_file, '/');

    if (c->audit_file[0] == '/') {
        (void)snprintf(directory, sizeof(directory), "%.*s",
                       slash == c->audit_file ? 1 : (int)(slash - c->audit_file), c->audit_file);
        check_path(all, "audit.file", directory, S_IFDIR, W_OK | X_OK);
    }
}

int check_config(const struct config *config, struct buffer *faults, struct failure *f)
{
    struct findings all = { .faults = faults, .first = f };
    struct failure fault = { 0 };
    struct material m = { 0 };
    int result = listener_check_address(config->server_listen, &fault);

    find(&all, result, &fault, "server.listen");
    result = health_check(config->server_health, &fault);
    find(&all, result, &fault, "server.health");
    result = listener_check_exempt(config->limits_handshake_exempt, &fault);
    find(&all, result, &fault, "limits.handshake_exempt");
    check_path(&all, "server.state_dir", config->server_state_dir, S_IFDIR, W_OK | X_OK);
    if (geteuid() == 0) {
        check_user(&all, "server.user", config->server_user, false);
    }
    check_mapper(&all, config);
    check_audit(&all, config);
    check_cors(&all, config);
    result = material_load(config, &m, faults, all.result == 0 ? f : NULL);
    material_done(&m);
    return all.result != 0 ? all.result : result;
}
