/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/check.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/audit_service.h"
#include "server/check_certificates.h"
#include "server/faults.h"
#include "server/http/health.h"
#include "server/http/listener.h"
#include "server/mapper/export.h"
#include "server/material.h"
#include "server/rpc/cors.h"
#include "server/sandbox.h"

/* The faults so far; the first decides the result. */
struct findings {
    const struct config *config;
    struct buffer *faults;
    struct failure *first;
    int result;
};

static void end_line(struct findings *all, int result, const struct failure *fault)
{
    faults_add(all->faults, fault);
    if (all->result == 0) {
        all->result = result;
        if (all->first != NULL) {
            *all->first = *fault;
        }
    }
}

static void find(struct findings *all, int result, const struct failure *fault, const char *option)
{
    if (result != 0) {
        config_place(all->config, option, all->faults);
        end_line(all, result, fault);
    }
}

static void check_listeners(struct findings *all, const struct config *c)
{
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];
        struct failure fault = { 0 };
        int result = listener_check_address(l->listen, &fault);

        if (result != 0) {
            buffer_printf(all->faults, "%s:%u: listener \"%s\": ", c->path, l->listen_line,
                          l->title);
            end_line(all, result, &fault);
        }
    }
}

static void check_cors(struct findings *all, const struct config *c)
{
    struct cors *cors = NULL;
    struct failure fault = { 0 };
    int result = cors_parse(c->server_cors_origins, &cors, &fault);

    find(all, result, &fault, "server.cors_origins");
    if (result == 0 && cors != NULL && strcmp(c->tls_client_certificate, "required") == 0) {
        config_place(all->config, "server.cors_origins", all->faults);
        buffer_append_string(
            all->faults, "note: browsers ask beforehand without a client "
                         "certificate, which this listener requires: pages reach it only through "
                         "what terminates TLS for them\n");
    }
    cors_free(cors);
}

/* To the policy `group:ops` is one group, whoever says that somebody is of it. */
static void check_groups(struct findings *all, const struct config *c)
{
    if (c->issuer_count + (c->tokens_file[0] != '\0') < 2) {
        return;
    }
    for (size_t i = 0; i < c->issuer_count; i++) {
        const struct config_issuer *issuer = &c->issuer[i];

        if (!issuer->groups_given) {
            buffer_printf(
                all->faults,
                "%s:%u: warning: issuer \"%s\" may give any group, also those that others "
                "give; say which in issuer.groups\n",
                c->path, issuer->line, issuer->title);
        }
    }
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

/* Read as the mapper will. One that runs by itself has its own option for it; what init makes agrees. */
static void check_export(struct findings *all, const struct config *c)
{
    struct export_list *list = NULL;
    struct failure fault = { 0 };

    if (c->mapper_program[0] != '\0' ||
        (config_line("mapper.export") > 0 && access(c->mapper_export, F_OK) == 0)) {
        find(all, export_load(c->mapper_export, geteuid(), &list, &fault), &fault, "mapper.export");
        export_free(list);
    }
}

static void check_mapper(struct findings *all, const struct config *c)
{
    if (c->mapper_program[0] == '\0') {
        return;
    }
    check_path(all, "mapper.program", c->mapper_program, S_IFREG, X_OK);
    if (c->mapper_scenario[0] != '\0') {
        check_path(all, "mapper.scenario", c->mapper_scenario, S_IFREG, R_OK);
    }
    if (geteuid() == 0) {
        check_user(all, "mapper.user", c->mapper_user, true);
    }
    if (sandbox_is_root(c->mapper_user)) {
        config_place(all->config, "mapper.user", all->faults);
        buffer_append_string(all->faults,
                             "warning: a mapper that is started as root stays root; name a user of "
                             "its own, as xenresd-mapper is\n");
    }
}

/* Where the audit's file is, or will be. */
static void check_audit(struct findings *all, const struct config *c)
{
    char directory[CONFIG_TEXT_BYTES];
    const char *slash = strrchr(c->audit_file, '/');
    struct failure fault = { 0 };

    if (c->audit_file[0] == '/') {
        (void)snprintf(directory, sizeof(directory), "%.*s",
                       slash == c->audit_file ? 1 : (int)(slash - c->audit_file), c->audit_file);
        check_path(all, "audit.file", directory, S_IFDIR, W_OK | X_OK);
    }
    find(all, audit_service_check(c, &fault), &fault, "audit.file");
}

static void find_certificate(void *arg, const char *option, const char *path,
                             const struct examine_finding *finding)
{
    struct findings *all = arg;
    int result;

    if (finding->level == EXAMINE_NOTE) {
        return;
    }
    buffer_printf(all->faults, "%s:", path);
    if (finding->line > 0) {
        buffer_printf(all->faults, "%u:", finding->line);
    }
    buffer_printf(all->faults, " %s%s (%s)\n", finding->level == EXAMINE_WARNING ? "warning: " : "",
                  finding->text, option);
    if (finding->level == EXAMINE_FAULT && all->result == 0) {
        result = failure_set(all->first, ERROR_FAILED_PRECONDITION, "%s will not do", path);
        all->result = failure_cause(all->first, result, "%s", finding->text);
    }
}

/*
 * Where the key is not root's, and no mapper is started along, the unit starts the service as the key's
 * owner: so is the rest looked at with that user's eyes, who may less than root.
 */
static int become_server(struct findings *all, const struct config *c, struct failure *f)
{
    struct stat key;
    uid_t uid = 0;
    gid_t gid = 0;

    if (geteuid() != 0 || c->mapper_program[0] != '\0' || stat(c->tls_key, &key) != 0 ||
        key.st_uid == 0 || sandbox_find_user(c->server_user, &uid, &gid, NULL) != 0 ||
        uid != key.st_uid) {
        return 0;
    }
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
        return failure_call(f, failure_set(f, ERROR_INTERNAL, "cannot look as %s", c->server_user),
                            "setresuid", errno);
    }
    config_place(all->config, "server.user", all->faults);
    buffer_printf(all->faults,
                  "note: the key belongs to %s, as whom the unit starts the service: looked at as "
                  "that user\n",
                  c->server_user);
    return 0;
}

/* All but the users, which root alone can look at. */
static int check_as_server(struct findings *all, const struct config *config, struct failure *f)
{
    struct material m = { 0 };
    int result;

    material_accept_user(config);
    check_path(all, "server.state_dir", config->server_state_dir, S_IFDIR, W_OK | X_OK);
    check_cors(all, config);
    check_groups(all, config);
    result = material_load(config, &m, all->faults, all->result == 0 ? f : NULL);
    material_done(&m);
    all->result = all->result != 0 ? all->result : result;
    check_certificates(config, (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S), find_certificate, all);
    return all->result;
}

int check_config(const struct config *config, struct buffer *faults, struct failure *f)
{
    struct findings all = { .config = config, .faults = faults, .first = f };
    struct failure fault = { 0 };
    int result = listener_check_address(config->server_listen, &fault);

    find(&all, result, &fault, "server.listen");
    check_listeners(&all, config);
    result = health_check(config->server_health, &fault);
    find(&all, result, &fault, "server.health");
    result = listener_check_exempt(config->limits_handshake_exempt, &fault);
    find(&all, result, &fault, "limits.handshake_exempt");
    if (geteuid() == 0) {
        check_user(&all, "server.user", config->server_user, false);
    }
    check_mapper(&all, config);
    check_export(&all, config);
    check_audit(&all, config);
    result = become_server(&all, config, f);
    return result != 0 ? result : check_as_server(&all, config, f);
}
